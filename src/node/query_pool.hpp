#pragma once
#include "base/bounded_queue.hpp"
#include "vm/execution_thread.hpp"
#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

namespace polis::node {

/// Threads that run services for requests, socket messages and what the kernel submits.
class QueryPool {
public:
   static constexpr std::size_t queueMax = 8192;

   /// onFault hears the text of a Fault that a piece of work threw; the pool goes on.
   QueryPool(std::size_t threads, std::function<void(const char*)> onFault);
   ~QueryPool();

   /// False when the queue is full or closed: whoever asked is told to come again.
   [[nodiscard]] bool submit(std::function<void()> work);
   /// No more work; what is queued is still done. Waits for the end.
   void stop();

   std::size_t queued() const { return queue_.size(); }
   std::uint64_t refused() const { return refused_.load(); }

private:
   BoundedQueue<std::function<void()>, queueMax> queue_;
   std::function<void(const char*)> onFault_;
   std::atomic<std::uint64_t> refused_ = 0;
   std::vector<vm::ExecutionThread> threads_;
};

} // namespace polis::node
