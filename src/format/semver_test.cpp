#include "format/semver.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace polis::format {
namespace {

std::optional<bool> match(std::string_view pattern, std::string_view version) {
   return matchesVersion(pattern, *Version::parse(version));
}

TEST(Semver, precedence) {
   const std::vector<std::string> ascending{"1.0.0-1",       "1.0.0-2",    "1.0.0-10",      "1.0.0-alpha",
                                            "1.0.0-alpha.1", "1.0.0-beta", "1.0.0-beta.11", "1.0.0",
                                            "1.0.1",         "1.2.0",      "1.10.0",        "2.0.0"};
   for (std::size_t i = 0; i < ascending.size(); ++i)
      for (std::size_t j = 0; j < ascending.size(); ++j)
         EXPECT_EQ(compareVersions(*Version::parse(ascending[i]), *Version::parse(ascending[j])), i < j ? -1 : i > j)
             << ascending[i] << " " << ascending[j];
   for (const auto* bad : {"1", "1.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0-a..b", "1.0.0+", "1.0.0 ", "1.0.0.0"})
      EXPECT_FALSE(Version::parse(bad)) << bad;
   EXPECT_TRUE(Version::parse("1.0.0-a.0+001"));
}

TEST(Semver, patterns) {
   EXPECT_EQ(match("1", "1.9.0"), true);
   EXPECT_EQ(match("1", "2.0.0"), false);
   EXPECT_EQ(match("^0.1", "0.2.0"), false);
   EXPECT_EQ(match("~0.0.1", "0.0.2"), false);
   EXPECT_EQ(match(">1", "1.9.0"), false);
   EXPECT_EQ(match("!=1.2.3", "1.2.3"), false);
   EXPECT_EQ(match("0,1||2", "2.0.0"), false);
   EXPECT_EQ(match("0 && 1 || 2", "2.0.0"), true);
   EXPECT_EQ(match("^1.0.0-rc1", "1.4.2"), true);
   EXPECT_EQ(match("^1.0.0-rc1", "1.0.0-rc2"), false);
   for (const auto* bad : {"", "01", "1.x", "1 2", "(1", "1)", "&&1", "1,", "==1", "1.0.0-"})
      EXPECT_FALSE(match(bad, "1.0.0")) << bad;
   EXPECT_FALSE(match(std::string(10'000, '('), "1.0.0"));
}

} // namespace
} // namespace polis::format
