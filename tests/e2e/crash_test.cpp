// kill -9 at any moment, also in the middle of load: what was reported irreversible is there after the restart, and
// the chain goes on by itself.
#include "e2e/fixture.hpp"

#include "format/hash.hpp"
#include "format/ids.hpp"
#include "harness/command.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
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

TEST(Crash, whatWasTakenInIsCarriedOut) {
   if (harness::dataFolder().empty())
      GTEST_SKIP() << "the packages are not built: ./run --build";
   harness::NodeProcess node;
   const ChainClient client{node.port()};
   for (int round = 0; round < 5; ++round) {
      const std::string name = "taken-in-" + std::to_string(round);
      const auto answer = client.push(client.transaction({action("prod", "accounts", "newAccount",
                                                                 format::AccountNumber{name}, "auth-any"_a, true)}),
                                      "none");
      node.kill();
      ASSERT_EQ(answer.status, 202) << answer.body;
      node.start();
      EXPECT_TRUE(soon([&] {
         return client.get("accounts", "/api/account?name=" + name).body.find(name) != std::string::npos;
      })) << "round "
          << round;
   }
}

TEST(Crash, codeThatTheNodeDiesOfIsSwitchedOff) {
   if (harness::dataFolder().empty())
      GTEST_SKIP() << "the packages are not built: ./run --build";
   harness::NodeProcess node;
   const ChainClient client{node.port()};
   client.mustPush({action("prod", "accounts", "newAccount", "bad-loops"_a, "auth-any"_a, true)});
   client.mustPush({action("bad-loops", "setcode", "setCode", "bad-loops"_a, std::uint8_t{0}, std::uint8_t{0},
                           readAll(std::filesystem::path(POLIS_BAD_SERVICES) / "loop.wasm"))});
   client.mustPush({action("bad-loops", "http", "registerServer", "bad-loops"_a)});

   const auto deaths = [&] {
      const std::string log = node.log(), said = "died running the code of bad-loops";
      int count = 0;
      for (auto at = log.find(said); at != std::string::npos; at = log.find(said, at + 1))
         ++count;
      return count;
   };
   const auto die = [&](bool inBlock) {
      std::thread asks([&] {
         try {
            for (std::uint32_t nonce = 0;; ++nonce)
               if (inBlock)
                  (void)client.push(client.transaction({action("prod", "bad-loops", "go", nonce)}));
               else
                  (void)client.get("bad-loops", "/");
         } catch (const std::runtime_error&) { // the node is gone
         }
      });
      bool hit = false;
      for (int i = 0; i < 100 && !hit; ++i)
         hit = node.hitBusiestThread(SIGABRT);
      if (!hit)
         node.kill();
      asks.join();
      node.start();
      return hit;
   };
   // Twice the process dies of a signal in the thread that runs this code: once in a block, once for a request. The
   // busiest thread may be another for a moment, which is nobody's fault.
   for (const bool inBlock : {true, false}) {
      const int before = deaths();
      for (int attempt = 0; attempt < 10 && deaths() == before; ++attempt)
         ASSERT_TRUE(die(inBlock));
      ASSERT_EQ(deaths(), before + 1) << node.log();
   }
   // From then on the node does not run it, and says so. Everything else goes on.
   EXPECT_NE(node.log().find("does not run it of its own choice"), std::string::npos) << node.log();
   for (int start = 0; start < 2; ++start) {
      const auto pushed = client.push(client.transaction({action("prod", "bad-loops", "go")}));
      EXPECT_NE(pushed.body.find("does not run on this node"), std::string::npos) << pushed.body;
      const auto asked = client.get("bad-loops", "/");
      EXPECT_EQ(asked.status, 500);
      EXPECT_NE(asked.body.find("does not run on this node"), std::string::npos) << asked.body;
      client.mustPush({action("prod", "accounts", "exists", "prod"_a, "after " + std::to_string(start))});
      EXPECT_EQ(node.stop(), 0) << node.log();
      node.start();
   }
   // A node that is killed blames nothing that just happened to run.
   std::thread asks([&] {
      try {
         (void)client.get("hello", "/");
      } catch (const std::runtime_error&) {
      }
   });
   node.kill();
   asks.join();
   node.start();
   EXPECT_EQ(std::ranges::count(readAll(node.folder() / "poison"), '\n'), 1);
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
