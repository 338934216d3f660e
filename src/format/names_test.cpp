#include "format/names.hpp"

#include <gtest/gtest.h>

namespace polis::format {
namespace {

using namespace literals;

static_assert("alice"_a.value == 351191174077921280);
static_assert("alice+7"_a.base() == "alice"_a && "alice+7"_a.subIndex() == 7);
static_assert("verifySys"_m.value == 211547574510318);
static_assert("packageInstalled"_m.isHashed());

TEST(AccountNumber, malformedNamesAreZero) {
   for (const auto* text : {"-a", "a-", "a--b", "toolongname1", "a_b", "alice+256", "alice+1x", "a+1+2", "a.b+7"})
      EXPECT_EQ(AccountNumber(std::string_view(text)).value, 0u) << text;
   EXPECT_EQ(AccountNumber(std::string_view("+7")).value, 7u);
   EXPECT_EQ(AccountNumber(std::string_view("alice+")), "alice"_a);
   EXPECT_EQ(AccountNumber(std::string_view("alice+007")), "alice+7"_a);
}

TEST(AccountNumber, everyValueReadsBack) {
   std::uint64_t rank = 1;
   for (; rank < names::accountBaseMax; rank += rank / 7 + 1) {
      const AccountNumber account(rank << 8 | rank % 256);
      EXPECT_EQ(AccountNumber(std::string_view(account.str())), account) << account.str();
   }
   EXPECT_EQ(AccountNumber(names::accountBaseMax << 8).str(), "zzzzzzzzzz");
   EXPECT_EQ(AccountNumber((names::accountBaseMax + 1) << 8).str(), "");
   EXPECT_EQ(AccountNumber(~std::uint64_t{0}).str(), "+255");
}

TEST(AccountNumber, ordersAsText) {
   EXPECT_LT("a-a"_a, "a0"_a);
   EXPECT_LT("a"_a, "a-0"_a);
   EXPECT_LT("z"_a, "zz"_a);
}

TEST(MethodNumber, spellingsThatCompressAlikeAreEqual) {
   EXPECT_EQ("newAccount"_m, "NEWACCOUNT"_m);
   EXPECT_EQ("a1"_m, "aa"_m);
   EXPECT_EQ("a_b"_m.str(), "aqb");
   EXPECT_EQ(MethodNumber(std::string_view("what?")).value, 0u);
   EXPECT_EQ(MethodNumber(std::string_view("#abc")).value, ~std::uint64_t{0});
}

TEST(MethodNumber, hashedNamesRoundTripThroughTheirText) {
   const auto method = "createPackageForEverybodyHere"_m;
   ASSERT_TRUE(method.isHashed());
   EXPECT_EQ(method.str().size(), 17u);
   EXPECT_EQ(method.str()[0], '#');
   constexpr auto known = "natasharomanoff"_m;
   EXPECT_EQ(known.str(), "#psaoryoiluhlrpyn");
   EXPECT_EQ(MethodNumber(std::string_view(known.str())), known);
}

TEST(MethodNumber, anyValueHasAText) {
   for (std::uint64_t value = 1; value < std::uint64_t{1} << 62; value = value * 3 + 1)
      EXPECT_LE(MethodNumber(value).str().size(), 80u);
}

TEST(MethodNumber, rustRulesDiffer) {
   EXPECT_EQ(names::methodFromText("checkFirstAuth", names::MethodRules::rust), 14783562261609992078u);
   EXPECT_EQ(names::methodFromText("checkFirstAuth"), 181928783605353596u);
}

} // namespace
} // namespace polis::format
