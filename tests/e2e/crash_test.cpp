// kill -9 at any moment, also in the middle of load: what was reported irreversible is there after the restart, and
// the chain goes on by itself.
#include "e2e/fixture.hpp"

#include "format/hash.hpp"
#include "format/ids.hpp"
#include "harness/command.hpp"

#include <atomic>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

namespace polis::e2e {

namespace {

std::string upperHex(const format::Checksum256& value) {
   static constexpr char digits[] = "0123456789ABCDEF";
   std::string text;
   for (const auto byte : value) {
      text += digits[byte >> 4];
      text += digits[byte & 15];
   }
   return text;
}

} // namespace

TEST(Crash, killedUnderLoadKeepsWhatWasFinal) {
   if (harness::dataFolder().empty())
      GTEST_SKIP() << "the packages are not built: ./run --build";
   harness::NodeProcess node;
   const ChainClient client{node.port()};
   std::minstd_rand random(7);
   std::set<std::string> finals;
   int serial = 0;

   for (int round = 0; round < 4; ++round) {
      std::atomic<bool> stop{false};
      std::thread pusher([&] {
         while (!stop) {
            try {
               const auto packed = client.transaction(
                   {action("prod", "accounts", "exists", "prod"_a, "crash " + std::to_string(++serial))});
               const auto answer = client.push(packed, "final");
               if (ChainClient::succeeded(answer))
                  finals.insert(upperHex(format::transactionId(*format::unpack<format::SignedTransaction>(packed))));
            } catch (const std::runtime_error&) {
               if (!stop)
                  std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
         }
      });
      std::this_thread::sleep_for(std::chrono::milliseconds(1500 + random() % 1000));
      node.kill();
      stop = true;
      pusher.join();
      node.start();

      ASSERT_FALSE(finals.empty());
      for (const auto& id : finals) {
         const auto answer = client.get("explorer", "/api/transaction?id=" + id);
         EXPECT_EQ(answer.status, 200) << "round " << round << ": " << id << " is lost";
      }
      // It goes on by itself: an idle block within a few seconds, and a new transaction.
      const auto before = client.get("explorer", "/api/head").body;
      std::this_thread::sleep_for(std::chrono::milliseconds(2500));
      EXPECT_NE(before, client.get("explorer", "/api/head").body);
      client.mustPush({action("prod", "accounts", "exists", "prod"_a, "after " + std::to_string(round))});
   }
   // In use: refused. Stopped: everything that happened gives the same chain again.
   const std::vector<std::string> replay{"replay", "--verify", node.folder().string()};
   EXPECT_EQ(harness::runPolis(replay).status, 1);
   EXPECT_EQ(node.stop(), 0) << node.log();
   const auto verified = harness::runPolis(replay);
   EXPECT_EQ(verified.status, 0) << verified.output;
   EXPECT_NE(verified.output.find("The chain verifies"), std::string::npos) << verified.output;
}

TEST(Crash, killedWhileTheChainIsMadeStartsAfresh) {
   if (harness::dataFolder().empty())
      GTEST_SKIP() << "the packages are not built: ./run --build";
   harness::NodeProcess::Options options;
   options.start = false;
   harness::NodeProcess node(options);
   const auto mark = node.folder() / "booting";
   node.launch();
   while (!std::filesystem::exists(mark)) {
      ASSERT_TRUE(node.running()) << node.log();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
   }
   // Somewhere in the middle: block 2 may be there or not.
   std::this_thread::sleep_for(std::chrono::milliseconds(300));
   node.kill();
   const bool unfinished = std::filesystem::exists(mark);
   node.start();
   EXPECT_FALSE(std::filesystem::exists(mark));
   EXPECT_EQ(node.log().find("was not finished") != std::string::npos, unfinished);
   const ChainClient client{node.port()};
   EXPECT_EQ(client.get("explorer", "/api/block?num=2").status, 200);
   client.mustPush({action("prod", "accounts", "exists", "prod"_a, std::string{"after the making"})});
   EXPECT_EQ(node.stop(), 0) << node.log();
}

} // namespace polis::e2e
