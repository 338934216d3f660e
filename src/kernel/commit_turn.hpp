// Lets whoever conflicts again and again commit for once.
#pragma once

#include "base/mutex.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>

namespace polis::kernel {

/// A commit that reads much and takes long conflicts with each of the small ones that are made meanwhile: among many
/// of them it would never come through. After some conflicts it takes a turn, during which the others wait before they
/// commit. Thread-safe; every wait is bounded, so that nobody depends on who has the turn.
class CommitTurn {
public:
   /// Conflicts in a row after which a turn is taken.
   static constexpr unsigned after = 4;
   /// How long others wait. Who is slower than that has had its turn.
   static constexpr std::chrono::milliseconds longest{200};

   using Who = const void*;

   /// Takes the turn, or renews it: once nobody has it, and those who waited for it have committed. Who is not let in
   /// for so long as a turn may last goes on without.
   void take(Who who) {
      Lock lock(mutex_);
      const auto until = Clock::now() + longest;
      while (holder_ != who && !(free() && waiting_ == 0))
         if (changed_.wait_until(lock, until) == std::cv_status::timeout)
            break;
      if (holder_ != who && !free())
         return;
      holder_ = who;
      ends_ = Clock::now() + longest;
   }

   /// Nothing if it is another's.
   void giveBack(Who who) {
      if (holder_ != who)
         return;
      Lock lock(mutex_);
      if (holder_ == who)
         holder_ = nullptr;
      changed_.notify_all();
   }

   /// Waits while the turn is another's.
   void await(Who who) {
      if (const Who holder = holder_; !holder || holder == who)
         return;
      Lock lock(mutex_);
      ++waiting_;
      const auto until = ends_;
      while (!free() && Clock::now() < until)
         changed_.wait_until(lock, until);
      if (--waiting_ == 0)
         changed_.notify_all();
   }

   /// How many wait before they commit.
   unsigned waiting() const {
      Lock lock(mutex_);
      return waiting_;
   }

private:
   using Clock = std::chrono::steady_clock;
   bool free() const REQUIRES(mutex_) { return !holder_ || Clock::now() >= ends_; }

   mutable Mutex mutex_;
   std::condition_variable_any changed_;
   /// Changed under the lock only.
   std::atomic<Who> holder_ = nullptr;
   Clock::time_point ends_ GUARDED_BY(mutex_);
   unsigned waiting_ GUARDED_BY(mutex_) = 0;
};

} // namespace polis::kernel
