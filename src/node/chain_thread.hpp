#pragma once
#include "base/bounded_queue.hpp"
#include "kernel/kernel.hpp"
#include "node/block_clock.hpp"
#include "node/wake.hpp"
#include "vm/execution_thread.hpp"
#include <atomic>
#include <functional>
#include <optional>

namespace polis::node {

/// The chain thread: owns all chain functions of the kernel, and produces blocks where this node leads.
class ChainThread {
public:
   struct Options {
      format::AccountNumber producer; ///< 0: this node does not produce
      BlockClock clock;
      /// Signs a block; empty for a producer without key.
      std::function<Bytes(ByteView)> sign;
      /// Takes a verified transaction, packed, to who makes the blocks; used while this node does not.
      std::function<void(Bytes)> forward;
   };

   ChainThread(kernel::Kernel& kernel, Options options, std::function<void(const char*)> onFault);
   ~ChainThread();

   void start();
   /// Drops an open block and ends the thread.
   void stop();

   /// There may be a transaction. Any thread.
   void wake() { wake_.signal(); }
   /// Runs `task` on the chain thread. False when too many wait.
   [[nodiscard]] bool submit(std::function<void(kernel::Kernel&)> task);
   /// Changed by configuration or boot. Chain thread, or before start().
   void setProducer(format::AccountNumber producer) { options_.producer = producer; }

   std::uint64_t blocks() const { return blocks_.load(); }
   std::uint64_t transactions() const { return transactions_.load(); }
   /// Transactions that did not get into a block.
   std::uint64_t refused() const { return refused_.load(); }

private:
   void run();
   bool leads() const;
   void produce(bool woken);
   void open(std::int64_t now);
   bool pull();
   void forward();
   void seal();

   kernel::Kernel& kernel_;
   Options options_;
   std::function<void(const char*)> onFault_;
   BoundedQueue<std::function<void(kernel::Kernel&)>, 256> tasks_;
   Wake wake_;
   std::uint64_t seen_ = 0;
   std::int64_t openedUs_ = 0, blockTimeUs_ = 0;
   bool waiting_ = false;
   std::int64_t retryUs_ = 0;
   std::atomic<bool> stopping_ = false;
   std::atomic<std::uint64_t> blocks_ = 0, transactions_ = 0, refused_ = 0;
   vm::ExecutionThread thread_;
};

} // namespace polis::node
