#pragma once

#include "base/mutex.hpp"
#include "store/journal.hpp"

#include <functional>
#include <utility>
#include <vector>

namespace polis::node {

/// Answers that must not leave before the journal is durable up to what they tell of. Thread-safe.
class HeldReplies {
public:
   /// wake: has the journal made durable soon.
   explicit HeldReplies(std::function<void()> wake) : wake_(std::move(wake)) {}

   /// Calls `reply` once the journal is durable up to `after`: now, or from `release`.
   void hold(store::JournalPosition after, std::function<void()> reply) {
      {
         Lock lock(mutex_);
         if (after > durable_) {
            held_.emplace_back(after, std::move(reply));
            reply = nullptr;
         }
      }
      if (reply)
         reply();
      else
         wake_();
   }

   /// The journal is durable up to here.
   void release(store::JournalPosition durable) {
      std::vector<std::pair<store::JournalPosition, std::function<void()>>> ready;
      {
         Lock lock(mutex_);
         durable_ = durable;
         std::erase_if(held_, [&](auto& item) {
            const bool due = item.first <= durable;
            if (due)
               ready.push_back(std::move(item));
            return due;
         });
      }
      for (const auto& [after, reply] : ready)
         reply();
   }

private:
   const std::function<void()> wake_;
   Mutex mutex_;
   store::JournalPosition durable_ GUARDED_BY(mutex_) = 0;
   std::vector<std::pair<store::JournalPosition, std::function<void()>>> held_ GUARDED_BY(mutex_);
};

} // namespace polis::node
