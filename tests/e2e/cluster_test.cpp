// Several producers on real nodes: finality, forwarding, killed leaders, changes of the set, late comers.
#include "e2e/cluster.hpp"

namespace polis::e2e {

class ClusterTest : public testing::Test {
protected:
   void SetUp() override {
      if (harness::dataFolder().empty())
         GTEST_SKIP() << "the packages are not built: ./run --build";
   }

   /// Every node holds what was said, and all hold the same irreversible block.
   static void agree(Cluster& cluster, const std::string& text) {
      for (std::size_t i = 0; i < cluster.size(); ++i)
         ASSERT_TRUE(soon([&] { return cluster.greetings(i).find(text) != std::string::npos; })) << cluster.logs();
      const auto num = cluster.chain(0).irreversible.num;
      for (std::size_t i = 1; i < cluster.size(); ++i) {
         ASSERT_TRUE(soon([&] { return cluster.chain(i).irreversible.num >= num; })) << cluster.logs();
         EXPECT_EQ(cluster.blockId(i, num), cluster.blockId(0, num));
      }
   }
};

TEST_F(ClusterTest, fourProducersOfWhomOneIsKilled) {
   Cluster cluster(4);
   cluster.producers("--bft", 4, 1);
   for (std::size_t i = 0; i < 4; ++i)
      cluster.greet(i, "all through " + std::to_string(i));
   agree(cluster, "all through 3");

   // One after the other, so that the leader is among them.
   for (std::size_t dead = 0; dead < 4; ++dead) {
      cluster[dead].kill();
      const std::string text = "without " + std::to_string(dead);
      cluster.greet((dead + 1) % 4, text);
      cluster[dead].start();
      ASSERT_TRUE(soon([&] { return cluster.greetings(dead).find(text) != std::string::npos; })) << cluster.logs();
   }
   agree(cluster, "without 3");
}

} // namespace polis::e2e
