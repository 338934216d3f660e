#include "node/told_lately.hpp"

#include <gtest/gtest.h>

namespace polis::node {

TEST(ToldLatelyTest, whatWasToldIsNewAgainAfterAWhile) {
   ToldLately told(1000);
   EXPECT_TRUE(told.isNew("a", 5));
   EXPECT_FALSE(told.isNew("a", 1005));
   EXPECT_TRUE(told.isNew("b", 1005));
   EXPECT_TRUE(told.isNew("a", 1006));
   EXPECT_FALSE(told.isNew("a", 2006));
}

} // namespace polis::node
