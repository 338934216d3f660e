#include "format/key.hpp"

#include <gtest/gtest.h>

namespace polis::format {
namespace {

TEST(Key, layouts) {
   EXPECT_EQ(toHex(toKey(std::uint16_t{0x0102})), "0102");
   EXPECT_EQ(toHex(toKey(std::int8_t{-128})), "00");
   EXPECT_EQ(toHex(toKey(-0.0)), "8000000000000000");
   EXPECT_EQ(toHex(toKey(-1.5f)), "403FFFFF");
   EXPECT_EQ(toHex(toKey(std::string("a\0b", 3))), "61000162"
                                                   "0000");
   EXPECT_EQ(toHex(toKey(Bytes{0, 1})), "000101"
                                        "0000");
   EXPECT_EQ(toHex(toKey(std::vector<char>{0, -128})), "80"
                                                       "0001"
                                                       "0000");
   EXPECT_EQ(toHex(toKey(std::vector<std::uint16_t>{1})), "01000100");
   EXPECT_EQ(toHex(toKey(std::optional<bool>())), "0000");
   EXPECT_EQ(toHex(toKey(std::optional<bool>(false))), "0001");
   EXPECT_EQ(toHex(toKey(std::optional<int>(0))), "0180000000");
   EXPECT_EQ(toHex(toKey(std::variant<int, bool>(true))), "0101");
   EXPECT_EQ(toHex(toKey(Checksum256{1})).substr(0, 4), "0100");
   EXPECT_EQ(toHex(toKey(std::tuple<std::uint8_t, bool>(7, true), std::uint8_t{9})), "070109");
}

TEST(Key, orderIsTheValuesOrder) {
   const std::vector<std::string> texts{
       "", std::string("\0", 1), std::string("\0\0", 2), std::string("\0a", 2), "a", std::string("a\0", 2), "aa", "b"};
   for (std::size_t i = 1; i < texts.size(); ++i)
      EXPECT_LT(toKey(texts[i - 1]), toKey(texts[i])) << i;
   const std::vector<double> numbers{-1e300, -2, -1, -0.0, 1e-300, 1, 2, 1e300};
   for (std::size_t i = 1; i < numbers.size(); ++i)
      EXPECT_LT(toKey(numbers[i - 1]), toKey(numbers[i])) << i;
   using List = std::vector<std::int8_t>;
   const std::vector<List> lists{{}, {-128}, {-128, 0}, {-1}, {0}, {0, -5}, {1}};
   for (std::size_t i = 1; i < lists.size(); ++i)
      EXPECT_LT(toKey(lists[i - 1]), toKey(lists[i])) << i;
}

TEST(Key, varUint) {
   const auto key = [](std::uint32_t value) {
      Bytes out;
      keys::appendVarUint(out, value);
      return toHex(out);
   };
   EXPECT_EQ(key(0), "00");
   EXPECT_EQ(key(127), "7F");
   EXPECT_EQ(key(128), "8080");
   EXPECT_EQ(key(0x3FFF), "BFFF");
   EXPECT_EQ(key(0x4000), "C04000");
   EXPECT_EQ(key(0xFFFFFFF), "EFFFFFFF");
   EXPECT_EQ(key(0xFFFFFFFF), "F0FFFFFFFF");
}

} // namespace
} // namespace polis::format
