#include "node/chain_thread.hpp"
#include "base/clock.hpp"
#include "base/fault.hpp"
#include "base/log.hpp"
#include "base/thread_name.hpp"
#include "format/fracpack.hpp"

namespace polis::node {

namespace {

std::int64_t nowUs() { return SystemClock().realtimeNs() / 1000; }

} // namespace

ChainThread::ChainThread(kernel::Kernel& kernel, Options options, std::function<void(const char*)> onFault)
   : kernel_(kernel), options_(std::move(options)), onFault_(std::move(onFault)) {}

ChainThread::~ChainThread() { stop(); }

void ChainThread::start() {
   thread_ = vm::ExecutionThread([this] {
      nameThread("chain");
      try {
         run();
      } catch (const Fault& fault) {
         onFault_(fault.what());
      }
   });
}

void ChainThread::stop() {
   stopping_.store(true);
   wake_.signal();
   if (thread_.joinable())
      thread_.join();
}

bool ChainThread::submit(std::function<void(kernel::Kernel&)> task) {
   if (!tasks_.tryPush(std::move(task)))
      return false;
   wake_.signal();
   return true;
}

void ChainThread::run() {
   bool woken = true; // transactions may wait from before a restart
   while (!stopping_.load()) {
      while (auto task = tasks_.tryPop())
         (*task)(kernel_);
      if (leads())
         produce(woken);
      else if (woken && options_.forward)
         forward();

      auto wait = std::chrono::microseconds(BlockClock::idleUs);
      if (waiting_)
         wait = std::chrono::microseconds(0);
      else if (leads()) {
         const std::int64_t now = nowUs();
         std::int64_t due = options_.clock.idleDeadline(kernel_.head()->header->time.microseconds, now);
         if (kernel_.blockOpen() && kernel_.openBlockTransactions() > 0)
            due = std::min(due, blockTimeUs_);
         due = std::max(due, retryUs_);
         wait = std::chrono::microseconds(std::max<std::int64_t>(due - now, 0));
      }
      woken = wake_.waitUntil(seen_, std::chrono::steady_clock::now() + wait);
   }
   kernel_.abortBlock();
}

/// Whether this node's producer is the chain's only one.
bool ChainThread::leads() const {
   if (options_.producer.value == 0 || !kernel_.hasChain())
      return false;
   const auto head = kernel_.head();
   const auto& consensus = head->status.consensus;
   const bool ended = consensus.next && head->header && consensus.next->blockNum <= head->header->commitNum;
   return std::visit(
       [&](const auto& data) {
          return data.producers.empty() || (data.producers.size() == 1 && data.producers[0].name == options_.producer);
       },
       (ended ? consensus.next->consensus : consensus.current).data);
}

void ChainThread::produce(bool woken) {
   const std::int64_t now = nowUs();
   if (now < retryUs_)
      return;
   const bool due = now >= options_.clock.idleDeadline(kernel_.head()->header->time.microseconds, now);
   if (woken || waiting_ || due) {
      // An empty block that has been open for a while would carry a time of the past.
      if (kernel_.blockOpen() && kernel_.openBlockTransactions() == 0 &&
          now > blockTimeUs_ + options_.clock.minIntervalUs)
         kernel_.abortBlock();
      if (!kernel_.blockOpen())
         open(now);
      if (!kernel_.blockOpen())
         return;
      waiting_ = pull();
   }
   const std::int64_t later = nowUs();
   const bool transactions = kernel_.openBlockTransactions() > 0;
   if (kernel_.blockOpen() && (due || options_.clock.sealNow(blockTimeUs_, openedUs_, later, transactions, waiting_)))
      seal();
}

void ChainThread::open(std::int64_t now) {
   blockTimeUs_ = options_.clock.blockTime(kernel_.head()->header->time.microseconds, now);
   openedUs_ = now;
   const auto head = kernel_.head();
   if (auto started = kernel_.startBlock(
           {.time = blockTimeUs_, .producer = options_.producer, .term = head->header->term, .commitNum = head->num});
       !started) {
      log::error("Block ", head->num + 1, " cannot be started: ", started.error().reason);
      retryUs_ = now + BlockClock::idleUs;
   }
}

/// Runs waiting transactions until none is left, or the block has been open long enough. True: more may wait.
bool ChainThread::pull() {
   while (!stopping_.load()) {
      switch (kernel_.pushNext()) {
      case kernel::Pull::nothing:
         return false;
      case kernel::Pull::included:
         transactions_.fetch_add(1, std::memory_order_relaxed);
         break;
      case kernel::Pull::refused:
         refused_.fetch_add(1, std::memory_order_relaxed);
         break;
      }
      const std::int64_t now = nowUs();
      if (now >= blockTimeUs_ && now >= openedUs_ + options_.clock.minIntervalUs)
         return true;
   }
   return false;
}

void ChainThread::forward() {
   constexpr int atOnce = 1000;
   for (int i = 0; i < atOnce && !stopping_.load(); ++i) {
      const auto transaction = kernel_.nextTransaction(nowUs());
      if (!transaction)
         return;
      options_.forward(format::pack(*transaction));
   }
   wake_.signal();
}

void ChainThread::seal() {
   // Whatever did not fit may still be there.
   const bool full = kernel_.openBlockTransactions() > 0;
   auto sealed = kernel_.sealBlock(options_.sign);
   if (!sealed) {
      log::error("The block cannot be finished: ", sealed.error().reason);
      kernel_.abortBlock();
      retryUs_ = nowUs() + BlockClock::idleUs;
      return;
   }
   blocks_.fetch_add(1, std::memory_order_relaxed);
   waiting_ = waiting_ || full;
}

} // namespace polis::node
