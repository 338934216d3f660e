#include "node/block_clock.hpp"
#include <cstdlib>
#include <gtest/gtest.h>
#include <random>

using polis::node::BlockClock;

namespace {

constexpr std::int64_t start = 1'700'000'000'000'000;

/// Runs the rules of the chain thread against a made-up load, and checks what is promised of block times.
/// gap: called with the time, returns how long until the next transaction.
template <class Gap>
std::int64_t simulate(std::int64_t minIntervalUs, std::int64_t lengthUs, Gap&& gap) {
   BlockClock clock{minIntervalUs};
   std::int64_t head = start, now = start, blocks = 0, lastSeal = start;
   std::int64_t next = start + gap(start);
   std::int64_t opened = 0, time = 0;
   bool open = false, filled = false;
   while (now < start + lengthUs) {
      const bool work = next <= now;
      const bool due = now >= clock.idleDeadline(head, lastSeal);
      if (work || due) {
         if (open && !filled && now > time + clock.minIntervalUs)
            open = false;
         if (!open) {
            time = clock.blockTime(head, now);
            opened = now;
            open = true;
            filled = false;
         }
      }
      if (work) {
         filled = true;
         next = now + gap(now);
      }
      if (open && (due || clock.sealNow(time, opened, now, filled, next <= now))) {
         EXPECT_GT(time, head);
         EXPECT_LE(time - head, BlockClock::idleUs);
         if (filled && blocks > 0)
            EXPECT_GE(now - lastSeal, minIntervalUs / 2);
         head = time;
         lastSeal = now;
         open = false;
         filled = false;
         ++blocks;
      }
      now += 1'000;
   }
   EXPECT_LE(std::abs(now - head), 2 * BlockClock::idleUs) << "the chain's time runs away";
   return blocks;
}

} // namespace

TEST(BlockClock, idleIsOneBlockASecond) {
   const auto blocks = simulate(250'000, 60'000'000, [](std::int64_t) { return std::int64_t{1} << 60; });
   EXPECT_GE(blocks, 59);
   EXPECT_LE(blocks, 61);
}

TEST(BlockClock, fullLoadIsTheMinimumInterval) {
   for (std::int64_t interval : {100'000, 250'000}) {
      const auto blocks = simulate(interval, 60'000'000, [](std::int64_t) { return 1'000; });
      EXPECT_LE(blocks, 60'000'000 / interval + 1);
      EXPECT_GE(blocks, 60'000'000 / interval / 2);
   }
}

TEST(BlockClock, anyLoadKeepsThePromises) {
   for (unsigned seed = 1; seed <= 50; ++seed) {
      SCOPED_TRACE(seed);
      std::mt19937 random(seed);
      simulate(100'000 + static_cast<std::int64_t>(seed) * 3'000, 20'000'000,
               [&](std::int64_t) { return std::int64_t{1'000} << (random() % 12); });
   }
}

TEST(BlockClock, aTransactionOnAnIdleChainIsSealedAtOnce) {
   BlockClock clock;
   const std::int64_t now = start + 600'000;
   const auto time = clock.blockTime(start, now);
   EXPECT_EQ(time, now);
   EXPECT_TRUE(clock.sealNow(time, now, now, true, false));
   EXPECT_FALSE(clock.sealNow(time, now, now, false, false));
   // Soon after a block it waits for the interval.
   EXPECT_EQ(clock.blockTime(start, start + 10), start + clock.minIntervalUs);
   EXPECT_FALSE(clock.sealNow(start + clock.minIntervalUs, start + 10, start + 20, true, false));
}

TEST(BlockClock, newsWaitForNoInterval) {
   EXPECT_EQ(BlockClock::newsTime(start, start + 5'000), start + 5'000);
   // The next block with work keeps it.
   BlockClock clock;
   EXPECT_EQ(clock.blockTime(start + 5'000, start + 6'000), start + 5'000 + clock.minIntervalUs);
   for (const std::int64_t took : {-5'000'000, 0, 1, 999'999, 1'550'387}) {
      EXPECT_GT(BlockClock::newsTime(start, start + took), start) << took;
      EXPECT_LE(BlockClock::newsTime(start, start + took), start + BlockClock::idleUs) << took;
   }
}

TEST(BlockClock, blocksOfABootKeepThePromisesToo) {
   // However long the packages of one block take, and however fast they are.
   for (const std::int64_t took : {-5'000'000, 0, 1, 999'999, 1'550'387, 60'000'000}) {
      const auto time = BlockClock::bootTime(start, start + took);
      EXPECT_GT(time, start) << took;
      EXPECT_LE(time, start + BlockClock::idleUs) << took;
   }
   EXPECT_EQ(BlockClock::bootTime(start, start + 300), start + 300);
}

TEST(BlockClock, pausesAndClocksSetBack) {
   BlockClock clock;
   EXPECT_EQ(clock.blockTime(start, start + 3'000'000), start + BlockClock::idleUs);
   EXPECT_EQ(clock.blockTime(start, start + 60'000'000), start + 60'000'000);
   // Set back by an hour: the chain goes on at its pace, and its own time waits for the clock as good as it can.
   const std::int64_t now = start - 3'600'000'000;
   const std::int64_t time = clock.blockTime(start, now);
   EXPECT_GT(time, start);
   EXPECT_LE(time, start + clock.minIntervalUs);
   EXPECT_EQ(clock.idleDeadline(start, now), now + BlockClock::idleUs);
   EXPECT_FALSE(clock.sealNow(time, now, now + clock.minIntervalUs - 1, true, false));
   EXPECT_TRUE(clock.sealNow(time, now, now + clock.minIntervalUs, true, false));
}
