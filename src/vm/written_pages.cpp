#include "vm/written_pages.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <sys/mman.h>

namespace polis::vm {
namespace {

thread_local WrittenPages::Active* top = nullptr;
struct sigaction previous;

} // namespace

struct FaultHandler {
   static void run(int signal, siginfo_t* info, void* context) {
      const auto* at = static_cast<const std::uint8_t*>(info->si_addr);
      if (info->si_code == SEGV_ACCERR)
         for (WrittenPages::Active* active = top; active; active = active->below_)
            if (active->pages_.admit(at))
               return;
      // Not ours: the engine's, which turns it into a trap or hands it on.
      if (previous.sa_flags & SA_SIGINFO)
         previous.sa_sigaction(signal, info, context);
      else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
         previous.sa_handler(signal);
      else
         sigaction(signal, &previous, nullptr); // the access is tried again and ends the process
   }
};

void WrittenPages::installHandler() {
   static std::once_flag once;
   std::call_once(once, [] {
      struct sigaction action{};
      action.sa_sigaction = FaultHandler::run;
      action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
      sigemptyset(&action.sa_mask);
      sigaction(SIGSEGV, &action, &previous);
   });
}

WrittenPages::Active::Active(WrittenPages& pages) : pages_(pages), below_(top) { top = this; }

WrittenPages::Active::~Active() { top = below_; }

bool WrittenPages::watch(std::uint8_t* base, std::size_t bytes, std::span<const std::uint32_t> expected) {
   if (!bytes || bytes > watchedPagesMax * pageBytes)
      return bytes == 0;
   if (mprotect(base, bytes, PROT_READ))
      return false;
   base_ = base;
   bytes_ = bytes;
   // Neighbours together.
   for (std::size_t i = 0; i < expected.size();) {
      std::size_t run = 1;
      while (i + run < expected.size() && expected[i + run] == expected[i] + run)
         ++run;
      if (mprotect(base + expected[i] * pageBytes, run * pageBytes, PROT_READ | PROT_WRITE)) {
         unwatch();
         return false;
      }
      for (; run; --run, ++i) {
         pages_[count_++] = expected[i];
         writable_[expected[i] / 64] |= std::uint64_t{1} << (expected[i] % 64);
      }
   }
   return true;
}

void WrittenPages::unwatch() {
   // Left read-only, the memory's next user would be told that it is out of bounds.
   if (base_)
      ASSERT(!mprotect(base_, bytes_, PROT_READ | PROT_WRITE));
   base_ = nullptr;
   bytes_ = 0;
}

bool WrittenPages::admit(const std::uint8_t* at) noexcept {
   if (lost_ || at < base_ || at >= base_ + bytes_)
      return false;
   const auto page = static_cast<std::size_t>(at - base_) / pageBytes;
   if (has(page))
      return false; // some other fault
   if (count_ < pagesMax && !mprotect(base_ + page * pageBytes, pageBytes, PROT_READ | PROT_WRITE)) {
      pages_[count_++] = static_cast<std::uint32_t>(page);
      writable_[page / 64] |= std::uint64_t{1} << (page % 64);
      return true;
   }
   lost_ = true;
   if (mprotect(base_, bytes_, PROT_READ | PROT_WRITE))
      std::abort(); // the guest must not take it for a verdict
   return true;
}

void WrittenPages::willWrite(const std::uint8_t* at, std::size_t bytes) {
   if (lost_ || !bytes_ || !bytes || at >= base_ + bytes_)
      return;
   const auto first = static_cast<std::size_t>(at - base_) / pageBytes;
   const auto last = std::min(static_cast<std::size_t>(at - base_) + bytes - 1, bytes_ - 1) / pageBytes;
   for (std::size_t page = first; page <= last && !lost_; ++page)
      if (!has(page))
         admit(base_ + page * pageBytes);
}

void WrittenPages::restore(ByteView image, std::size_t imageAt) {
   for (const std::uint32_t page : pages()) {
      const std::size_t at = std::size_t{page} * pageBytes;
      if (at >= imageAt && at < imageAt + image.size())
         std::memcpy(base_ + at, image.data() + (at - imageAt), pageBytes);
      else
         std::memset(base_ + at, 0, pageBytes);
   }
}

} // namespace polis::vm
