#pragma once
#include "base/bounded_queue.hpp"
#include "base/clock.hpp"
#include "base/mutex.hpp"
#include "consensus/consensus.hpp"
#include "kernel/kernel.hpp"
#include "node/block_clock.hpp"
#include "node/wake.hpp"
#include "vm/execution_thread.hpp"
#include <atomic>
#include <deque>
#include <functional>
#include <optional>
#include <set>

namespace polis::node {

/// The chain thread: owns all chain functions of the kernel, and produces blocks as consensus orders.
class ChainThread {
public:
   struct Options {
      BlockClock clock;
      /// Microseconds since 1970; may be set back.
      std::function<std::int64_t()> nowUs = [] { return SystemClock().realtimeNs() / 1000; };
      /// Signs a block for a claim that is not empty; nothing when the key is not at hand.
      std::function<std::optional<Bytes>(const format::Claim& claim, ByteView preimage)> sign;
      /// Takes a verified transaction, packed, to who makes the blocks; used while this node does not.
      std::function<void(Bytes)> forward;
      /// This node has sealed a block; it is durable when the journal is, up to its end.
      std::function<void(const kernel::SealedBlock&)> sealed;
      /// No block could be made on this parent.
      std::function<void(const format::Checksum256& parent)> failed;
   };

   ChainThread(kernel::Kernel& kernel, Options options, std::function<void(const char*)> onFault);
   ~ChainThread();

   void start();
   /// Drops an open block and ends the thread.
   void stop();

   // ---- any thread ----

   /// There may be a transaction.
   void wake();
   /// Runs `task` on the chain thread. False when too many wait.
   [[nodiscard]] bool submit(std::function<void(kernel::Kernel&)> task);
   /// The same for what consensus asks for, in its order. Never refused: consensus asks for one block at a time, and
   /// for the rest by blocks that are executed.
   void command(std::function<void(kernel::Kernel&)> task);

   // ---- within a command ----

   void produce(consensus::Produce order);
   void stopProducing();
   void setHead(const format::Checksum256& id);
   /// Consensus knows of this block that was sealed here.
   void sealedIsKnown(const format::Checksum256& id) { unknown_.erase(id); }
   /// Consensus begins anew with the chain as it is.
   void forget();

   // ---- any thread ----

   std::uint64_t blocks() const { return blocks_.load(); }
   std::uint64_t transactions() const { return transactions_.load(); }
   /// Transactions that did not get into a block.
   std::uint64_t refused() const { return refused_.load(); }

private:
   void run();
   void runTasks();
   /// Whether the block after head is made by `producer` without asking anybody.
   bool alone(format::AccountNumber producer) const;
   bool isAhead() const;
   /// The time now; nothing that was noted by the clock before it was set back is waited for.
   std::int64_t lookAtClock();
   void work(bool woken);
   void open(std::int64_t now, std::int64_t blockTimeUs);
   bool pull();
   bool blockIsFull() const;
   bool takesMore() const;
   void forward(bool woken);
   void seal();
   void fail();

   kernel::Kernel& kernel_;
   Options options_;
   std::function<void(const char*)> onFault_;
   BoundedQueue<std::function<void(kernel::Kernel&)>, 256> tasks_;
   Mutex mutex_;
   std::deque<std::function<void(kernel::Kernel&)>> commands_ GUARDED_BY(mutex_);
   Wake wake_;
   std::atomic<bool> transactionsWait_ = true; ///< as they may from before a restart

   // The thread's own.
   std::uint64_t seen_ = 0;
   std::optional<consensus::Produce> order_;
   /// Blocks sealed here that consensus does not know of yet.
   std::set<format::Checksum256> unknown_;
   std::int64_t openedUs_ = 0, blockTimeUs_ = 0;
   format::Checksum256 seenHead_{}; ///< head when the clock was looked at
   std::int64_t headSeenUs_ = 0;    ///< since when it is head
   bool waiting_ = false;
   std::int64_t retryUs_ = 0;
   std::int64_t forwardAgainUs_ = 0;
   std::set<format::Checksum256> forwarded_; ///< what waited at the last time

   std::atomic<bool> stopping_ = false;
   std::atomic<std::uint64_t> blocks_ = 0, transactions_ = 0, refused_ = 0;
   vm::ExecutionThread thread_;
};

} // namespace polis::node
