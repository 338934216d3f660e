#include "base/crash_record.hpp"

#include "base/fault.hpp"

#include <atomic>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

namespace polis {

struct CrashRecord::Slot {
   enum State : std::uint32_t { free, running, hit };
   std::atomic<std::uint32_t> state;
   std::uint32_t unused;
   std::int64_t sinceNs;
   Note note;
};

struct CrashRecord::Page {
   static constexpr std::uint64_t magicNumber = 0x31544152434c4f50; // "POLCRAT1"
   std::uint64_t magic;
   std::atomic<std::int64_t> aliveNs;
   std::array<std::uint8_t, 48> unused;
   std::array<Slot, threadsMax> slots;
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free);

namespace {

thread_local CrashRecord::Slot* own = nullptr;
constexpr std::array fatal = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
std::array<struct sigaction, fatal.size()> previous;

void onFatal(int signal, siginfo_t* info, void* context) {
   CrashRecord::Slot* const slot = own;
   if (slot)
      slot->state.store(CrashRecord::Slot::hit, std::memory_order_relaxed);
   std::size_t i = 0;
   while (fatal[i] != signal)
      ++i;
   if (previous[i].sa_flags & SA_SIGINFO)
      previous[i].sa_sigaction(signal, info, context);
   else if (previous[i].sa_handler != SIG_DFL && previous[i].sa_handler != SIG_IGN)
      previous[i].sa_handler(signal);
   else {
      sigaction(signal, &previous[i], nullptr);
      raise(signal); // if the cause does not come again by itself
      return;
   }
   // Whoever was there before has dealt with it.
   if (slot)
      slot->state.store(CrashRecord::Slot::running, std::memory_order_relaxed);
}

void watchSignals() {
   static std::once_flag once;
   std::call_once(once, [] {
      struct sigaction action{};
      action.sa_sigaction = onFatal;
      action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
      sigemptyset(&action.sa_mask);
      for (std::size_t i = 0; i < fatal.size(); ++i)
         sigaction(fatal[i], &action, &previous[i]);
   });
}

} // namespace

CrashRecord::CrashRecord(const std::filesystem::path& file) {
   static_assert(sizeof(Slot) == 64 && sizeof(Page) == 64 * (1 + threadsMax));
   const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
   if (fd < 0)
      throwErrno("open " + file.string());
   void* at = ::ftruncate(fd, sizeof(Page)) == 0
                  ? ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0)
                  : MAP_FAILED;
   ::close(fd);
   if (at == MAP_FAILED)
      throwErrno("map " + file.string());
   page_ = static_cast<Page*>(at);
   if (page_->magic == Page::magicNumber)
      for (const Slot& slot : page_->slots) {
         const bool crashed = slot.state.load() == Slot::hit;
         if (crashed || (slot.state.load() == Slot::running && page_->aliveNs.load() - slot.sinceNs > stuckNs))
            left_.push_back({slot.note, crashed});
      }
   std::memset(at, 0, sizeof(Page));
   page_->magic = Page::magicNumber;
   watchSignals();
}

CrashRecord::~CrashRecord() { ::munmap(page_, sizeof(Page)); }

void CrashRecord::beat(std::int64_t nowNs) { page_->aliveNs.store(nowNs, std::memory_order_relaxed); }

CrashRecord::Slot* CrashRecord::take() {
   for (Slot& slot : page_->slots) {
      std::uint32_t expected = Slot::free;
      if (slot.state.load(std::memory_order_relaxed) == Slot::free &&
          slot.state.compare_exchange_strong(expected, Slot::running))
         return &slot;
   }
   return nullptr;
}

CrashRecord::Scope::Scope(CrashRecord* record, const Note& note, std::int64_t nowNs) {
   if (!record)
      return;
   outermost_ = own == nullptr;
   if (outermost_)
      own = record->take();
   slot_ = own;
   if (!slot_)
      return;
   before_ = slot_->note;
   sinceBefore_ = slot_->sinceNs;
   slot_->note = note;
   slot_->sinceNs = nowNs;
}

CrashRecord::Scope::~Scope() {
   if (!slot_)
      return;
   slot_->note = before_;
   slot_->sinceNs = sinceBefore_;
   if (outermost_) {
      own = nullptr;
      slot_->state.store(Slot::free, std::memory_order_release);
   }
}

} // namespace polis
