#include "node/chain_thread.hpp"
#include "base/fault.hpp"
#include "base/log.hpp"
#include "base/thread_name.hpp"
#include "format/fracpack.hpp"
#include "format/ids.hpp"

namespace polis::node {

namespace {

/// A block takes in no more once it is so large: one transaction more, of 8 MiB at most, and it still goes into a
/// frame.
constexpr std::size_t blockBytesMax = std::size_t{4} << 20;
/// A transaction that is not in the chain after so long is handed on once more.
constexpr std::int64_t forwardAgainAfterUs = 2'000'000;

/// The set for the block after this one, if there is but one.
const std::vector<format::Producer>* soleSet(const kernel::BlockState& block) {
   const auto& [current, next] = block.status.consensus;
   const bool ended = next && block.header && next->blockNum <= block.header->commitNum;
   if (next && !ended)
      return nullptr;
   return std::visit([](const auto& data) { return &data.producers; }, (ended ? next->consensus : current).data);
}

/// Whether the block after this one is made by `producer` without asking anybody.
bool isAloneOn(const kernel::BlockState& parent, format::AccountNumber producer) {
   const auto* set = soleSet(parent);
   return set && (set->empty() || (set->size() == 1 && set->front().name == producer));
}

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

void ChainThread::wake() {
   transactionsWait_.store(true);
   wake_.signal();
}

bool ChainThread::submit(std::function<void(kernel::Kernel&)> task) {
   if (!tasks_.tryPush(std::move(task)))
      return false;
   wake_.signal();
   return true;
}

void ChainThread::command(std::function<void(kernel::Kernel&)> task) {
   {
      Lock lock(mutex_);
      commands_.push_back(std::move(task));
   }
   wake_.signal();
}

void ChainThread::runTasks() {
   while (!stopping_.load()) {
      std::deque<std::function<void(kernel::Kernel&)>> commands;
      {
         Lock lock(mutex_);
         commands.swap(commands_);
      }
      for (const auto& command : commands)
         if (!stopping_.load())
            command(kernel_);
      auto task = tasks_.tryPop();
      if (task)
         (*task)(kernel_);
      else if (commands.empty())
         return;
   }
}

void ChainThread::run() {
   while (!stopping_.load()) {
      runTasks();
      const bool woken = transactionsWait_.exchange(false);
      if (order_)
         work(woken);
      else if (options_.forward)
         forward(woken);

      auto wait = std::chrono::microseconds(BlockClock::idleUs);
      if (takesMore())
         wait = std::chrono::microseconds(0);
      else if (order_) {
         const std::int64_t now = lookAtClock();
         std::int64_t due = BlockClock::idleDeadline(kernel_.head()->header->time.microseconds, headSeenUs_);
         if (kernel_.blockOpen() && kernel_.openBlockTransactions() > 0)
            due = std::min(due, options_.clock.sealTime(blockTimeUs_, openedUs_));
         due = std::max(due, retryUs_);
         wait = std::chrono::microseconds(std::max<std::int64_t>(due - now, 0));
      }
      (void)wake_.waitUntil(seen_, std::chrono::steady_clock::now() + wait);
   }
   kernel_.abortBlock();
}

// ---- what consensus asks for ---------------------------------------------------------------------------------------

bool ChainThread::alone(format::AccountNumber producer) const { return isAloneOn(*kernel_.head(), producer); }

/// A sole producer goes on by itself, ahead of what consensus has heard. Among several, or where the sets change, one
/// block is made by an order, and consensus may have to do without it.
bool ChainThread::isAhead() const {
   const auto head = kernel_.head();
   if (!unknown_.contains(head->id))
      return false;
   const auto parent = kernel_.retained(head->header->previous);
   return parent && isAloneOn(*parent, head->header->producer);
}

void ChainThread::produce(consensus::Produce order) {
   // Ordered before consensus knew of what was sealed here since: another order follows when it does.
   if (order.parent != kernel_.head()->id || (!unknown_.empty() && !alone(order.producer)))
      return;
   const bool same =
       order_ && order_->parent == order.parent && order_->term == order.term && order_->producer == order.producer;
   // What has no work in it yet may as well say the newest, and what has little waits for the block with the news.
   if (kernel_.blockOpen() && (!same || (order.news && !waiting_) ||
                               (kernel_.openBlockTransactions() == 0 && order_->commitNum != order.commitNum)))
      kernel_.abortBlock();
   order_ = std::move(order);
   if (!same)
      transactionsWait_.store(true);
}

void ChainThread::stopProducing() {
   kernel_.abortBlock();
   order_.reset();
   waiting_ = false;
}

void ChainThread::setHead(const format::Checksum256& id) {
   if (kernel_.head()->id == id || isAhead())
      return;
   stopProducing();
   if (const auto done = kernel_.switchHead(id); !done)
      throw Fault("consensus wants a head that is not there: " + done.error().reason);
}

void ChainThread::forget() {
   stopProducing();
   unknown_.clear();
}

// ---- production ----------------------------------------------------------------------------------------------------

std::int64_t ChainThread::lookAtClock() {
   const std::int64_t now = options_.nowUs();
   if (const auto head = kernel_.head()->id; head != seenHead_) {
      seenHead_ = head;
      headSeenUs_ = now;
   }
   headSeenUs_ = std::min(headSeenUs_, now);
   openedUs_ = std::min(openedUs_, now);
   retryUs_ = std::min(retryUs_, now + BlockClock::idleUs);
   forwardAgainUs_ = std::min(forwardAgainUs_, now + forwardAgainAfterUs);
   return now;
}

void ChainThread::work(bool woken) {
   const std::int64_t now = lookAtClock();
   if (now < retryUs_)
      return;
   if (order_->news && !kernel_.blockOpen()) {
      open(now, BlockClock::newsTime(kernel_.head()->header->time.microseconds, now));
      if (kernel_.blockOpen())
         seal();
      return;
   }
   const bool due = now >= BlockClock::idleDeadline(kernel_.head()->header->time.microseconds, headSeenUs_);
   if (woken || waiting_ || due) {
      // An empty block that has been open for a while would carry a time of the past.
      if (kernel_.blockOpen() && kernel_.openBlockTransactions() == 0 &&
          now > blockTimeUs_ + options_.clock.minIntervalUs)
         kernel_.abortBlock();
      if (!kernel_.blockOpen())
         open(now, options_.clock.blockTime(kernel_.head()->header->time.microseconds, now));
      if (!kernel_.blockOpen())
         return;
      waiting_ = pull();
   }
   const std::int64_t later = options_.nowUs();
   const bool transactions = kernel_.openBlockTransactions() > 0;
   if (kernel_.blockOpen() &&
       (due || options_.clock.sealNow(blockTimeUs_, openedUs_, later, transactions, takesMore())))
      seal();
}

void ChainThread::open(std::int64_t now, std::int64_t blockTimeUs) {
   blockTimeUs_ = blockTimeUs;
   openedUs_ = now;
   if (auto started = kernel_.startBlock(
           {.time = blockTimeUs_, .producer = order_->producer, .term = order_->term, .commitNum = order_->commitNum});
       !started) {
      log::error("Block ", kernel_.head()->num + 1, " cannot be started: ", started.error().reason);
      fail();
   }
}

bool ChainThread::blockIsFull() const { return kernel_.openBlockBytes() >= blockBytesMax; }

/// Whether more transactions wait that the block has room for.
bool ChainThread::takesMore() const { return waiting_ && !blockIsFull(); }

/// Runs waiting transactions until none is left, or the block is full or has been open long enough. True: more may
/// wait.
bool ChainThread::pull() {
   while (!stopping_.load()) {
      if (blockIsFull())
         return true;
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
      if (options_.nowUs() >= openedUs_ + options_.clock.minIntervalUs)
         return true;
   }
   return false;
}

void ChainThread::seal() {
   // Whatever did not fit may still be there.
   const bool full = kernel_.openBlockTransactions() > 0;
   const bool decides = alone(order_->producer);
   auto sealed = kernel_.sealBlock(
       [&](ByteView preimage) {
          if (!order_->claim.service)
             return Bytes();
          auto signature = options_.sign(order_->claim, preimage);
          if (!signature)
             throw Fault("the key that this node's blocks are signed with has gone");
          return std::move(*signature);
       },
       order_->aux);
   if (!sealed) {
      log::error("The block cannot be finished: ", sealed.error().reason);
      return fail();
   }
   blocks_.fetch_add(1, std::memory_order_relaxed);
   waiting_ = waiting_ || full;
   unknown_.insert(sealed->id);
   options_.sealed(*sealed);
   // Of a sole producer nobody else may think otherwise; with several, consensus has to know the block first. So it has
   // to where the sets change: whose key signs the next block, and what it has to tell, is in another order.
   if (decides && alone(order_->producer))
      order_->parent = sealed->id;
   else
      stopProducing();
}

void ChainThread::fail() {
   kernel_.abortBlock();
   waiting_ = false;
   if (alone(order_->producer)) {
      retryUs_ = options_.nowUs() + BlockClock::idleUs;
      return;
   }
   options_.failed(order_->parent);
   order_.reset();
}

// ---- handing transactions on ---------------------------------------------------------------------------------------

/// With one producer its followers hand it what they have verified. With several the services do so by themselves;
/// here only what has not got into the chain since is handed on once more.
void ChainThread::forward(bool woken) {
   constexpr int atOnce = 1000;
   const std::int64_t now = lookAtClock();
   const bool again = now >= forwardAgainUs_;
   const auto* set = soleSet(*kernel_.head());
   const bool several = !set || set->size() > 1;
   if (!again && (several || !woken))
      return;
   if (again)
      forwardAgainUs_ = now + forwardAgainAfterUs;
   std::set<format::Checksum256> waiting;
   for (int i = 0; i < atOnce && !stopping_.load(); ++i) {
      const auto transaction = kernel_.nextTransaction(now, again && i == 0);
      if (!transaction)
         break;
      const auto id = format::transactionId(*transaction);
      if (!several || forwarded_.contains(id))
         options_.forward(format::pack(*transaction));
      waiting.insert(id);
      if (i + 1 == atOnce && !several)
         wake();
   }
   if (several)
      forwarded_ = std::move(waiting);
}

} // namespace polis::node
