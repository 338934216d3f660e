#include "node/log_allowance.hpp"
#include <gtest/gtest.h>

namespace polis::node {

using namespace format::literals;

TEST(LogAllowance, aServiceThatNeverStopsIsCut) {
   LogAllowance log;
   std::uint64_t written = 0;
   for (int i = 0; i < 10'000; ++i)
      written += log.take("noisy"_a, 1000).has_value();
   EXPECT_EQ(written, LogAllowance::linesSaved);
   EXPECT_TRUE(log.take("quiet"_a, 1000));
   // Later it is told how much is missing.
   EXPECT_EQ(log.take("noisy"_a, 2000), 10'000 - LogAllowance::linesSaved);
   EXPECT_EQ(log.take("noisy"_a, 2000), 0u);
   EXPECT_FALSE(log.take("noisy"_a, 2000));
}

TEST(LogAllowance, manyServicesShareWhatIsLeft) {
   LogAllowance log;
   std::uint64_t written = 0;
   for (std::uint64_t name = 1; name <= 10'000; ++name)
      for (int i = 0; i < 3; ++i)
         written += log.take(format::AccountNumber(name), 1000).has_value();
   EXPECT_LE(written, 3 * LogAllowance::servicesMax + LogAllowance::linesSaved);
   // Those who were quiet meanwhile have their places again.
   EXPECT_TRUE(log.take("quiet"_a, 1'000'000));
}

} // namespace polis::node
