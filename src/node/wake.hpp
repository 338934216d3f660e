#pragma once
#include "base/mutex.hpp"
#include <chrono>
#include <condition_variable>
#include <cstdint>

namespace polis::node {

/// Tells a thread that there is something to do. Signals that come while it works are not lost and count as one.
class Wake {
public:
   void signal() {
      {
         Lock lock(mutex_);
         ++signals_;
      }
      changed_.notify_one();
   }

   void signalAll() {
      {
         Lock lock(mutex_);
         ++signals_;
      }
      changed_.notify_all();
   }

   /// Waits for a signal newer than `seen`, at most until `end`. True when there was one; `seen` is then up to date.
   bool waitUntil(std::uint64_t& seen, std::chrono::steady_clock::time_point end) {
      Lock lock(mutex_);
      while (signals_ == seen)
         if (changed_.wait_until(lock, end) == std::cv_status::timeout)
            break;
      const bool any = signals_ != seen;
      seen = signals_;
      return any;
   }

private:
   Mutex mutex_;
   std::condition_variable_any changed_;
   std::uint64_t signals_ GUARDED_BY(mutex_) = 0;
};

} // namespace polis::node
