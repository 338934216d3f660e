#pragma once
#include <algorithm>
#include <cstdint>

namespace polis::node {

/// When a producer opens and seals blocks. Pure; all times are microseconds since 1970.
///
/// A block is sealed when there is work, no sooner than `minIntervalUs` after the last, and every second when idle; and
/// at once, without any work in it, when others wait to hear what has become irreversible. No two block times are equal
/// or more than a second apart, but for a pause of the process itself.
struct BlockClock {
   static constexpr std::int64_t idleUs = 1'000'000;
   /// Behind by more than this the clock does not catch up second by second, but goes on from now.
   static constexpr std::int64_t pauseUs = 10'000'000;

   std::int64_t minIntervalUs = 250'000;

   /// The time of a block opened at `now` on a head of time `head`.
   std::int64_t blockTime(std::int64_t head, std::int64_t now) const {
      if (now - head > pauseUs)
         return now;
      if (now < head + minIntervalUs)
         return head + minIntervalUs;
      return now < head + idleUs ? now : head + idleUs;
   }

   /// The time of an empty block that tells others what has become irreversible: it is sealed at once.
   static std::int64_t newsTime(std::int64_t head, std::int64_t now) { return BlockClock{1}.blockTime(head, now); }

   /// The time of a block while a chain is being made: those follow as fast as they can.
   static std::int64_t bootTime(std::int64_t head, std::int64_t now) {
      return now <= head ? head + 1 : now < head + idleUs ? now : head + idleUs;
   }

   /// When an idle chain seals its next block. seen: since when this node has its head, by its own clock. That may be
   /// behind the head's author's, or have been set back since, which must not stop the chain.
   static std::int64_t idleDeadline(std::int64_t head, std::int64_t seen) { return std::min(head, seen) + idleUs; }

   /// When a block that was opened then can be sealed at the soonest: at its time, or after the interval where the
   /// clock is behind.
   std::int64_t sealTime(std::int64_t blockTime, std::int64_t opened) const {
      return std::min(blockTime, opened + minIntervalUs);
   }

   /// Whether an open block with `transactions` is sealed now. waiting: more transactions are at hand; opened: when the
   /// block was opened.
   bool sealNow(std::int64_t blockTime, std::int64_t opened, std::int64_t now, bool transactions, bool waiting) const {
      if (!transactions || now < sealTime(blockTime, opened))
         return false;
      return !waiting || now >= opened + minIntervalUs;
   }
};

} // namespace polis::node
