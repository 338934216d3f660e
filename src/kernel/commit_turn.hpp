// Lets whoever conflicts again and again commit for once.
#pragma once

#include "base/mutex.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>

namespace polis::kernel {

/// A commit that reads much and takes long conflicts with each of the small ones that are made meanwhile: among many
/// of them it would never come through. After some conflicts it takes a turn, during which the others wait before they
/// commit. Thread-safe; every wait is bounded, so that nobody depends on who has the turn. After a turn there is none
/// for some time, so that those who conflict on purpose hold up the others, the chain thread above all, for a part of
/// the time only.
class CommitTurn {
public:
   /// Conflicts in a row after which a turn is taken.
   static constexpr unsigned after = 4;
   /// How long others wait. Who is slower than that has had its turn.
   static constexpr std::chrono::milliseconds longest{200};
   /// How much longer than a turn the time without one is that follows it.
   static constexpr int rest = 4;

   using Who = const void*;

   /// Takes the turn, unless it has it: once nobody has, the time after the last is over, and those who waited for it
   /// have committed. Who is not let in for so long as a turn may last goes on without.
   void take(Who who) {
      Lock lock(mutex_);
      auto now = Clock::now();
      if (holder_ == who && now < ends_)
         return;
      for (const auto until = now + longest; now < nextFrom_ || waiting_ > 0; now = Clock::now()) {
         if (now >= until)
            return;
         changed_.wait_until(lock, now < nextFrom_ ? std::min(until, nextFrom_) : until);
      }
      holder_ = who;
      begins_ = now;
      ends_ = now + longest;
      nextFrom_ = ends_ + rest * longest;
   }

   /// Nothing if it is another's.
   void giveBack(Who who) {
      if (holder_ != who)
         return;
      Lock lock(mutex_);
      if (holder_ == who) {
         holder_ = nullptr;
         if (const auto now = Clock::now(); now < ends_)
            nextFrom_ = now + rest * (now - begins_);
      }
      changed_.notify_all();
   }

   /// Waits while the turn is another's.
   void await(Who who) {
      if (const Who holder = holder_; !holder || holder == who)
         return;
      Lock lock(mutex_);
      ++waiting_;
      const auto until = ends_;
      while (holder_ && Clock::now() < until)
         changed_.wait_until(lock, until);
      if (--waiting_ == 0)
         changed_.notify_all();
   }

   bool has(Who who) const { return holder_ == who; }

   /// How many wait before they commit.
   unsigned waiting() const {
      Lock lock(mutex_);
      return waiting_;
   }

private:
   using Clock = std::chrono::steady_clock;

   mutable Mutex mutex_;
   std::condition_variable_any changed_;
   /// Changed under the lock only.
   std::atomic<Who> holder_ = nullptr;
   /// Of the last turn, and from when on there may be another.
   Clock::time_point begins_ GUARDED_BY(mutex_), ends_ GUARDED_BY(mutex_), nextFrom_ GUARDED_BY(mutex_);
   unsigned waiting_ GUARDED_BY(mutex_) = 0;
};

} // namespace polis::kernel
