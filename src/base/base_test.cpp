#include "base/assert.hpp"
#include "base/bounded_queue.hpp"
#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/fault.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "base/read_all.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <string>
#include <thread>

namespace polis {
namespace {

TEST(Bytes, hexBothWays) {
   EXPECT_EQ(toHex(Bytes{0x00, 0x0f, 0xA0, 0xff}), "000FA0FF");
   EXPECT_EQ(fromHex("000fA0fF"), (Bytes{0x00, 0x0f, 0xA0, 0xff}));
   EXPECT_EQ(fromHex(""), Bytes{});
   EXPECT_FALSE(fromHex("0"));
   EXPECT_FALSE(fromHex("0g"));
   EXPECT_FALSE(fromHex("g0"));
}

TEST(BoundedQueue, refusesWhenFullAndDrainsAfterClose) {
   BoundedQueue<std::string, 2> queue;
   EXPECT_TRUE(queue.tryPush("a"));
   EXPECT_TRUE(queue.tryPush("b"));
   std::string third = "c";
   EXPECT_FALSE(queue.tryPush(std::move(third)));
   EXPECT_EQ(third, "c");
   queue.close();
   EXPECT_EQ(queue.pop(), "a");
   EXPECT_EQ(queue.tryPop(), "b");
   EXPECT_FALSE(queue.pop());
   EXPECT_FALSE(queue.tryPush("d"));
}

TEST(BoundedQueue, wakesAWaitingConsumer) {
   BoundedQueue<int, 4> queue;
   std::optional<int> seen;
   std::thread consumer([&] { seen = queue.pop(); });
   EXPECT_TRUE(queue.tryPush(7));
   consumer.join();
   EXPECT_EQ(seen, 7);
   EXPECT_FALSE(queue.popFor(std::chrono::nanoseconds(1)));
}

TEST(Random, seededRepeatsAndSystemDoesNot) {
   SeededRandom a(1), b(1), c(2);
   const auto first = a.next64();
   EXPECT_EQ(first, b.next64());
   EXPECT_NE(first, c.next64());
   EXPECT_NE(a.next64(), first);
   SystemRandom system;
   EXPECT_NE(system.next64(), system.next64());
}

TEST(Clock, goesForward) {
   SystemClock clock;
   const auto before = clock.monotonicNs();
   EXPECT_LE(before, clock.monotonicNs());
   EXPECT_GT(clock.realtimeNs(), 1'600'000'000'000'000'000);
}

TEST(Fault, namesTheErrno) {
   errno = ENOENT;
   try {
      throwErrno("open x");
      FAIL();
   } catch (const Fault& fault) {
      EXPECT_EQ(std::string(fault.what()), "open x: No such file or directory");
   }
}

TEST(Log, sinkSeesWhatPassesTheLevel) {
   std::string seen;
   log::setSink([&](log::Level, std::string_view text, std::string_view source) {
      seen += text;
      seen += source;
   });
   log::setLevel(log::Level::error);
   log::info("dropped");
   log::error("kept ", 7);
   log::write(log::Level::error, "; said by ", "alice");
   log::setSink({});
   log::setLevel(log::Level::info);
   EXPECT_EQ(seen, "kept 7; said by alice");
   log::Level level{};
   EXPECT_TRUE(log::parseLevel("warning", level));
   EXPECT_EQ(level, log::Level::warning);
   EXPECT_FALSE(log::parseLevel("loud", level));
   EXPECT_EQ(log::levelName(log::Level::warning), "warning");
}

TEST(AssertDeathTest, abortsWithTheCondition) { EXPECT_DEATH(ASSERT(1 + 1 == 3), "assertion failed: 1 \\+ 1 == 3"); }

TEST(ReadAll, GivesAllOrNothing) {
   std::istringstream text(std::string(40'000, 'a') + '\0' + "b");
   EXPECT_EQ(readAll(text).value_or("").size(), 40'002u);
   std::istringstream nothing;
   EXPECT_EQ(readAll(nothing), "");
   std::ifstream folder(std::filesystem::temp_directory_path());
   EXPECT_EQ(readAll(folder), std::nullopt);
}

} // namespace
} // namespace polis
