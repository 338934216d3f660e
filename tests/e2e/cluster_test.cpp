// Several producers on real nodes: finality, forwarding, killed leaders, changes of the set, late comers.
#include "e2e/fixture.hpp"
#include "harness/cluster.hpp"
#include "harness/command.hpp"
#include "harness/history.hpp"
#include "harness/load.hpp"

#include <atomic>
#include <cstdio>
#include <thread>

namespace polis::e2e {

using harness::Cluster;

namespace {

/// Makes accounts through all nodes in turn, and remembers those whose transactions were taken in.
class Load {
public:
   explicit Load(Cluster& cluster) : cluster_(cluster), thread_([this] { run(); }) {}
   ~Load() { stop(); }
   void stop() {
      ending_.store(true);
      if (thread_.joinable())
         thread_.join();
   }
   const std::vector<std::string>& taken() const { return taken_; }

private:
   void run() {
      const auto& key = cluster_.key(0);
      const std::size_t nodes = cluster_.size();
      for (std::size_t n = 0; !ending_.load(); ++n) {
         const auto client = cluster_.client(n % nodes);
         const std::string name = "load-" + std::to_string(10000 + n);
         try {
            const auto bytes = client.transaction(
                {action("prod", "accounts", "newAccount", format::AccountNumber{name}, "auth-any"_a, true)}, &key);
            if (client.push(bytes, "none").status == 202)
               taken_.push_back(name);
         } catch (const std::runtime_error&) {
            // that node is dead at the moment
         }
         std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
   }

   Cluster& cluster_;
   std::atomic<bool> ending_ = false;
   std::vector<std::string> taken_;
   std::thread thread_;
};

} // namespace

class ClusterTest : public testing::Test {
protected:
   void SetUp() override {
      if (harness::dataFolder().empty())
         GTEST_SKIP() << "the packages are not built: ./run --build";
   }

   /// Makes the first `count` nodes the producers, by the command that operators use. kind: --bft or --cft. signers:
   /// how many of the present ones sign.
   static void decide(Cluster& cluster, const std::string& kind, std::size_t count, std::size_t signers) {
      std::vector<std::string> words{"producers", kind, "--url",
                                     "http://polis.localhost:" + std::to_string(cluster.network().clientPort(0))};
      for (std::size_t i = 0; i < count; ++i)
         words.push_back(Cluster::producerName(i) + "=" + cluster.keyFile(i));
      for (std::size_t i = 0; i < signers; ++i)
         words.insert(words.end(), {"--sign", cluster.keyFile(i)});
      const auto result = harness::runPolis(words);
      if (result.status != 0 || result.output.find("They are in force") == std::string::npos)
         throw std::runtime_error(result.output);
   }

   /// Says something on the chain through a node, and waits until that is irreversible.
   static void greet(Cluster& cluster, std::size_t through, const std::string& text) {
      cluster.client(through).mustPush({action("prod", "hello", "greet", text)}, &cluster.key(0));
   }
   static bool hears(Cluster& cluster, std::size_t node, const std::string& text) {
      return soon(
          [&] { return cluster.client(node).get("hello", "/api/greetings").body.find(text) != std::string::npos; });
   }

   /// Kills the leader: finality goes on without it, and it comes back to the same chain.
   static void killLeader(Cluster& cluster, std::size_t producers) {
      const auto dead = cluster.leader();
      ASSERT_TRUE(dead) << cluster.logs();
      cluster.node(*dead).kill();
      const std::string text = "without " + Cluster::producerName(*dead);
      greet(cluster, (*dead + 1) % producers, text);
      cluster.start(*dead);
      ASSERT_TRUE(hears(cluster, *dead, text)) << cluster.logs();
   }

   /// Every node holds what was said, and all hold the same irreversible block.
   static void agree(Cluster& cluster, const std::string& text) {
      greet(cluster, 0, text);
      for (std::size_t i = 0; i < cluster.size(); ++i)
         ASSERT_TRUE(hears(cluster, i, text)) << cluster.logs();
      const auto irreversible = [&](std::size_t i) {
         return cluster.standing(i).value_or(harness::Standing{}).irreversible;
      };
      const auto num = irreversible(0);
      for (std::size_t i = 1; i < cluster.size(); ++i) {
         ASSERT_TRUE(soon([&] { return irreversible(i) >= num; })) << cluster.logs();
         // A node's services hear a moment later of what is irreversible.
         EXPECT_TRUE(soon([&] { return cluster.block(i, num) == cluster.block(0, num); })) << cluster.block(i, num);
      }
   }
};

TEST_F(ClusterTest, whenTheCommandHasReturnedThoseBeforeMayStop) {
   Cluster cluster({.producers = 1, .followers = 4});
   const auto become = [&](const std::vector<std::size_t>& members, const std::vector<std::size_t>& signers) {
      std::vector<std::string> words{"producers", "--bft", "--url",
                                     "http://polis.localhost:" + std::to_string(cluster.network().clientPort(0))};
      for (const auto i : members)
         words.push_back(Cluster::producerName(i) + "=" + cluster.keyFile(i));
      for (const auto i : signers)
         words.insert(words.end(), {"--sign", cluster.keyFile(i)});
      const auto result = harness::runPolis(words);
      ASSERT_EQ(result.status, 0) << result.output;
   };
   ASSERT_NO_FATAL_FAILURE(become({1, 2, 3, 4}, {0}));
   cluster.node(0).kill();
   greet(cluster, 2, "without the first");
}

TEST_F(ClusterTest, aProducerThatLostItsFolderVotesAgainInALaterTerm) {
   constexpr std::size_t lost = 3;
   const TemporaryFolder folders("lost");
   const auto folder = folders.path() / "node";
   std::filesystem::create_directory(folder);
   Cluster cluster(
       {.producers = 4, .folder = [&](std::size_t node) { return node == lost ? folder : std::filesystem::path(); }});
   const auto logHas = [&](const std::string& text) {
      return soon([&] { return cluster.node(lost).log().find(text) != std::string::npos; });
   };
   const auto irreversible = [&](std::size_t node) {
      return cluster.standing(node).value_or(harness::Standing{}).irreversible;
   };
   cluster.node(lost).kill();
   std::filesystem::remove_all(folder);
   std::filesystem::create_directory(folder);
   cluster.start(lost);
   greet(cluster, 1, "it follows");
   ASSERT_TRUE(hears(cluster, lost, "it follows")) << cluster.logs();
   ASSERT_TRUE(logHas("does not know how " + Cluster::producerName(lost) + " has voted")) << cluster.logs();

   // With one more away only two vote: nothing is decided.
   const auto leader = cluster.leader();
   ASSERT_TRUE(leader && *leader != lost) << cluster.logs();
   const std::size_t follower = (*leader + 1) % lost;
   cluster.node(follower).kill();
   const auto before = irreversible(*leader) + 1; // its vote may have been on the way
   EXPECT_FALSE(harness::within(std::chrono::seconds(8), [&] { return irreversible(*leader) > before; }))
       << cluster.logs();
   cluster.start(follower);
   // Whatever refers to a block that two made alone would go with it.
   ASSERT_TRUE(soon([&] { return irreversible(*leader) > before + 1; })) << cluster.logs();
   greet(cluster, *leader, "three vote");

   // A term begins without its votes; after that nothing is left that it could contradict.
   for (int attempt = 0; attempt < 3 && cluster.node(lost).log().find("votes again") == std::string::npos; ++attempt) {
      const auto leads = cluster.leader();
      ASSERT_TRUE(leads) << cluster.logs();
      const std::size_t known = cluster.node(lost).log().size();
      cluster.node(*leads).kill();
      // Not sooner: who is back at once leads on.
      ASSERT_TRUE(soon([&] { return cluster.node(lost).log().find(" Term ", known) != std::string::npos; }))
          << cluster.logs();
      cluster.start(*leads);
      const std::string text = "after the leader came back, " + std::to_string(attempt);
      greet(cluster, (*leads + 1) % lost, text);
      ASSERT_TRUE(hears(cluster, lost, text)) << cluster.logs();
   }
   ASSERT_TRUE(logHas("votes again")) << cluster.logs();
   cluster.node(follower).kill();
   greet(cluster, (follower + 1) % lost, "it takes part");
   ASSERT_TRUE(hears(cluster, lost, "it takes part")) << cluster.logs();
}

TEST_F(ClusterTest, producersComeAndGo) {
   Cluster cluster({.producers = 1, .followers = 4, .absent = 1});
   Load load(cluster);
   decide(cluster, "--cft", 3, 1);
   greet(cluster, 2, "three under CFT");
   ASSERT_NO_FATAL_FAILURE(killLeader(cluster, 3));

   decide(cluster, "--bft", 4, 2);
   for (std::size_t i = 0; i < 4; ++i)
      greet(cluster, i, "four under BFT, through " + std::to_string(i));
   ASSERT_NO_FATAL_FAILURE(killLeader(cluster, 4));

   // All at once: what each has promised to the others is in its journal.
   for (std::size_t i = 0; i < 4; ++i)
      cluster.node(i).kill();
   for (std::size_t i = 0; i < 4; ++i)
      cluster.start(i);
   ASSERT_NO_FATAL_FAILURE(agree(cluster, "after all were killed"));

   decide(cluster, "--cft", 1, 3);
   greet(cluster, 3, "one again");
   load.stop();

   // Whatever was taken in is in the chain, whoever led and died meanwhile.
   ASSERT_GT(load.taken().size(), 50u);
   for (const auto& name : load.taken())
      ASSERT_TRUE(soon([&] {
         return cluster.client(1).get("accounts", "/api/account?name=" + name).body.find(name) != std::string::npos;
      })) << name;
   // Who comes late gets all of it.
   cluster.start(4);
   ASSERT_NO_FATAL_FAILURE(agree(cluster, "all of us"));
   // The logs tell who makes the blocks, and what is sent again is nothing to warn of.
   EXPECT_NE(cluster.node(0).log().find("The blocks are now made by prod alone"), std::string::npos) << cluster.logs();
   for (std::size_t i = 0; i < 4; ++i)
      EXPECT_EQ(cluster.node(i).log().find("duplicate transaction"), std::string::npos) << cluster.node(i).log();
}

TEST_F(ClusterTest, aChangeOfProducersLosesNothingAndTakesFewBlocks) {
   Cluster cluster({.producers = 1, .followers = 6});
   harness::History history;
   harness::TransferLoad load(cluster, {.perSecond = 16, .patience = std::chrono::minutes(1)});
   load.start(history);
   struct {
      std::size_t count;
      bool cft;
   } const steps[] = {{4, false}, {7, true}, {4, false}, {4, true}, {7, false}, {4, false}, {1, true}};
   for (const auto& [count, cft] : steps) {
      std::vector<std::size_t> numbers;
      for (std::size_t i = 0; i < count; ++i)
         numbers.push_back(i);
      const auto change = cluster.setProducers(numbers, cft);
      std::printf("to %zu under %s: %u blocks, %.2f s\n", count, cft ? "CFT" : "BFT", change.blocks, change.seconds);
      EXPECT_LE(change.blocks, 5u) << count << (cft ? " under CFT" : " under BFT");
   }
   load.stop();
   // Each sender waited for its transaction: it was final, and everybody says so.
   EXPECT_EQ(load.refused(), 0u) << load.firstRefusal();
   EXPECT_EQ(history.reportedCount(), load.sent());
   EXPECT_GT(load.sent(), 20u);
   const auto last = cluster.standing(0).value_or(harness::Standing{}).irreversible;
   for (std::size_t i = 0; i < cluster.size(); ++i)
      ASSERT_TRUE(soon([&] { return load.received(i, last) == load.sent(); })) << "node " << i << cluster.logs();
}

} // namespace polis::e2e
