// A queue between threads that says when it is full.
#pragma once

#include "base/mutex.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

namespace polis {

/// Any number of producers and consumers. Holds at most `max` items; what a full queue means is the pusher's choice.
template <class T, std::size_t max>
class BoundedQueue {
public:
   /// False when full or closed; `item` is then untouched.
   [[nodiscard]] bool tryPush(T&& item) {
      {
         Lock lock(mutex_);
         if (closed_ || items_.size() >= max)
            return false;
         items_.push_back(std::move(item));
      }
      changed_.notify_one();
      return true;
   }

   [[nodiscard]] bool tryPush(const T& item) { return tryPush(T(item)); }

   std::optional<T> tryPop() {
      Lock lock(mutex_);
      return take();
   }

   /// Waits for an item; none once the queue is closed and empty.
   std::optional<T> pop() {
      Lock lock(mutex_);
      while (items_.empty() && !closed_)
         changed_.wait(lock);
      return take();
   }

   /// As pop, but none also after `timeout`.
   std::optional<T> popFor(std::chrono::nanoseconds timeout) {
      const auto deadline = std::chrono::steady_clock::now() + timeout;
      Lock lock(mutex_);
      while (items_.empty() && !closed_)
         if (changed_.wait_until(lock, deadline) == std::cv_status::timeout)
            break;
      return take();
   }

   /// Nothing more enters; waiting consumers drain what is left and then get none.
   void close() {
      {
         Lock lock(mutex_);
         closed_ = true;
      }
      changed_.notify_all();
   }

   std::size_t size() const {
      Lock lock(mutex_);
      return items_.size();
   }

private:
   std::optional<T> take() REQUIRES(mutex_) {
      if (items_.empty())
         return std::nullopt;
      std::optional<T> item(std::move(items_.front()));
      items_.pop_front();
      return item;
   }

   mutable Mutex mutex_;
   std::condition_variable_any changed_;
   std::deque<T> items_ GUARDED_BY(mutex_);
   bool closed_ GUARDED_BY(mutex_) = false;
};

} // namespace polis
