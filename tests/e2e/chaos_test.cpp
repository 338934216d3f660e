// Several nodes under load, to which things happen, for a short time; scripts/chaos does it for long.
#include "harness/chaos.hpp"
#include "harness/history.hpp"
#include "harness/load.hpp"
#include "harness/node_process.hpp"

#include <gtest/gtest.h>

namespace polis::e2e {

using namespace harness;

class ChaosTest : public testing::Test {
protected:
   void SetUp() override {
      if (dataFolder().empty())
         GTEST_SKIP() << "the packages are not built: ./run --build";
   }
   static void survive(const ChaosOptions& options) {
      const auto report = runChaos(options);
      EXPECT_TRUE(report.problems.empty()) << "scripts/chaos --seed " << options.seed << "\n" << report.text();
      EXPECT_GT(report.reportedFinal, 0u);
      EXPECT_GT(report.lastBlock, report.firstBlock);
   }
};

TEST_F(ChaosTest, aProducerAndWhoFollowsIt) {
   survive({.cluster = {.producers = 1, .followers = 2}, .duration = std::chrono::seconds(10), .seed = 3});
}

TEST_F(ChaosTest, fourProducers) {
   survive({.cluster = {.producers = 4}, .duration = std::chrono::seconds(12), .seed = 1});
}

} // namespace polis::e2e
