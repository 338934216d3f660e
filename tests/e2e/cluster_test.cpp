// Several producers on real nodes: finality, forwarding, killed leaders, changes of the set, late comers.
#include "e2e/cluster.hpp"

#include <atomic>

namespace polis::e2e {

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
      const auto key = cluster_.key(0);
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

   /// Kills the leader: finality goes on without it, and it comes back to the same chain.
   static void killLeader(Cluster& cluster, std::size_t producers) {
      const std::size_t dead = cluster.leader(0);
      cluster[dead].kill();
      const std::string text = std::string("without ") + Cluster::names[dead];
      cluster.greet((dead + 1) % producers, text);
      cluster[dead].start();
      ASSERT_TRUE(soon([&] { return cluster.greetings(dead).find(text) != std::string::npos; })) << cluster.logs();
   }

   /// Every node holds what was said, and all hold the same irreversible block.
   static void agree(Cluster& cluster, const std::string& text) {
      cluster.greet(0, text);
      for (std::size_t i = 0; i < cluster.size(); ++i)
         ASSERT_TRUE(soon([&] { return cluster.greetings(i).find(text) != std::string::npos; })) << cluster.logs();
      const auto num = cluster.chain(0).irreversible.num;
      for (std::size_t i = 1; i < cluster.size(); ++i) {
         ASSERT_TRUE(soon([&] { return cluster.chain(i).irreversible.num >= num; })) << cluster.logs();
         EXPECT_EQ(cluster.block(i, num), cluster.block(0, num));
      }
   }
};

TEST_F(ClusterTest, producersComeAndGo) {
   Cluster cluster(4);
   Load load(cluster);
   cluster.producers("--cft", 3, 1);
   cluster.greet(2, "three under CFT");
   ASSERT_NO_FATAL_FAILURE(killLeader(cluster, 3));

   cluster.producers("--bft", 4, 2);
   for (std::size_t i = 0; i < 4; ++i)
      cluster.greet(i, "four under BFT, through " + std::to_string(i));
   ASSERT_NO_FATAL_FAILURE(killLeader(cluster, 4));

   // All at once: what each has promised to the others is in its journal.
   for (std::size_t i = 0; i < 4; ++i)
      cluster[i].kill();
   for (std::size_t i = 0; i < 4; ++i)
      cluster[i].start();
   ASSERT_NO_FATAL_FAILURE(agree(cluster, "after all were killed"));

   cluster.producers("--cft", 1, 3);
   cluster.greet(3, "one again");
   load.stop();

   // Whatever was taken in is in the chain, whoever led and died meanwhile.
   ASSERT_GT(load.taken().size(), 50u);
   for (const auto& name : load.taken())
      ASSERT_TRUE(soon([&] {
         return cluster.client(1).get("accounts", "/api/account?name=" + name).body.find(name) != std::string::npos;
      })) << name;
   // Who comes late gets all of it.
   cluster.add();
   ASSERT_NO_FATAL_FAILURE(agree(cluster, "all of us"));
}

} // namespace polis::e2e
