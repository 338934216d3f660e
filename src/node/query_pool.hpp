#pragma once
#include "base/mutex.hpp"
#include "vm/execution_thread.hpp"
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <unordered_map>
#include <vector>

namespace polis::node {

/// Threads that run services for requests, socket messages and what the kernel submits.
/// Fair: sources take turns, and none has all threads, so that one that asks for slow things keeps nobody else waiting.
class QueryPool {
public:
   using Source = std::uint64_t;
   /// The node's own work; never held back.
   static constexpr Source ownWork = ~Source{0};

   /// Waiting, of all sources together; as much again of the node's own.
   static constexpr std::size_t queueMax = 8192;
   static constexpr std::size_t sourceQueueMax = queueMax / 4;

   /// onFault hears the text of a Fault that a piece of work threw; the pool goes on.
   QueryPool(std::size_t threads, std::function<void(const char*)> onFault);
   ~QueryPool();

   /// False when too much waits or the pool has stopped: whoever asked is told to come again.
   [[nodiscard]] bool submit(std::function<void()> work, Source source = ownWork);
   /// No more work; what is queued is still done. Waits for the end.
   void stop();

   std::size_t queued() const;
   std::uint64_t refused() const;

private:
   struct Lane {
      std::deque<std::function<void()>> waiting;
      std::size_t running = 0;
      bool inTurn = false; ///< stands in turns_
   };
   void run();
   bool mayRun(Source source, const Lane& lane) const {
      return !lane.waiting.empty() && (source == ownWork || lane.running < sourceRunningMax_);
   }
   /// Gives a lane its place among those whose turn comes.
   void queueTurn(Source source, Lane& lane) REQUIRES(mutex_);

   const std::size_t sourceRunningMax_;
   const std::function<void(const char*)> onFault_;
   mutable Mutex mutex_;
   std::condition_variable_any changed_;
   std::unordered_map<Source, Lane> lanes_ GUARDED_BY(mutex_);
   /// Lanes that may run something, in the order of their turns.
   std::deque<Source> turns_ GUARDED_BY(mutex_);
   std::size_t waiting_ GUARDED_BY(mutex_) = 0, ownWaiting_ GUARDED_BY(mutex_) = 0;
   std::uint64_t refused_ GUARDED_BY(mutex_) = 0;
   bool stopped_ GUARDED_BY(mutex_) = false;
   std::vector<vm::ExecutionThread> threads_;
};

} // namespace polis::node
