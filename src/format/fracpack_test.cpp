#include "format/fracpack.hpp"

#include <gtest/gtest.h>
#include <limits>

namespace polis::format {
namespace {

template <class T>
std::string hex(const T& value) {
   return toHex(pack(value));
}

template <class T>
Validity check(std::string_view text) {
   std::string digits;
   for (const char c : text)
      if (c != ' ')
         digits += c;
   const auto bytes = fromHex(digits);
   EXPECT_TRUE(bytes) << text;
   const Validity verdict = validate<T>(*bytes);
   const auto value = unpack<T>(*bytes);
   EXPECT_EQ(value.has_value(), verdict != Validity::invalid) << text;
   EXPECT_EQ(unpackStrict<T>(*bytes).has_value(), verdict == Validity::valid) << text;
   return verdict;
}

struct Fixed {
   using FixedLayout = std::true_type;
   std::uint32_t a;
   std::uint8_t b;
};
struct FixedOptional {
   using FixedLayout = std::true_type;
   std::optional<std::uint8_t> a;
   std::uint8_t b;
   std::optional<std::string> c;
   friend bool operator==(const FixedOptional&, const FixedOptional&) = default;
};
struct Object {
   std::uint8_t a;
   std::optional<std::uint8_t> b;
   std::uint8_t c;
   std::optional<std::string> d;
   std::optional<Bytes> e;
   friend bool operator==(const Object&, const Object&) = default;
};
struct Nothing {
   using FixedLayout = std::true_type;
};

// Worked examples of the specification.
TEST(Fracpack, packsTheWorkedExamples) {
   EXPECT_EQ(hex(Fixed{1, 2}), "0100000002");
   EXPECT_EQ(hex(std::vector<Fixed>{{1, 2}, {3, 4}}), "0A00000001000000020300000004");
   EXPECT_EQ(hex(FixedOptional{{}, 2, {}}), "010000000201000000");
   EXPECT_EQ(hex(FixedOptional{1, 2, "hi"}), "09000000020500000001020000006869");
   EXPECT_EQ(hex(Object{1, {}, 3, {}, {}}), "0600010100000003");
   EXPECT_EQ(hex(Object{1, {}, 3, "ab", Bytes{7}}), "0E00010100000003080000000A0000000200000061620100000007");
   EXPECT_EQ(hex(std::vector<std::string>{"xy", "", "z"}), "0C0000000C000000000000000A000000020000007879010000007A");
   EXPECT_EQ(hex(std::array<std::string, 2>{"a", ""}), "08000000000000000100000061");
   using MaybeMaybe = std::optional<std::optional<Bytes>>;
   EXPECT_EQ(hex(MaybeMaybe(std::in_place, std::nullopt)), "0400000001000000");
   EXPECT_EQ(hex(MaybeMaybe(std::in_place, Bytes{})), "0400000000000000");
   using Either = std::variant<std::uint32_t, std::string>;
   EXPECT_EQ(hex(Either("ab")), "0106000000020000006162");
   EXPECT_EQ(hex(std::tuple<Either, std::uint8_t>("ab", 9)), "050005000000090106000000020000006162");
   EXPECT_EQ(hex(std::tuple<Nested<std::uint32_t>>(Nested<std::uint32_t>(7u))), "0400040000000400000007000000");
   EXPECT_EQ(hex(std::map<std::uint8_t, std::uint16_t>{{1, 2}}), "04000000040000000300010200");
   EXPECT_EQ(hex(std::tuple<>()), "0000");
}

TEST(Fracpack, rejectsTheSpecifiedMalformations) {
   constexpr auto bad = Validity::invalid;
   using Text = std::tuple<std::string>;
   using Texts = std::tuple<std::string, std::string>;
   using U8 = std::uint8_t;
   EXPECT_EQ(check<bool>("02"), bad);
   EXPECT_EQ(check<std::vector<std::uint16_t>>("03000000 FFFFFF"), bad);
   EXPECT_EQ(check<std::vector<std::uint16_t>>("FEFFFFFF 0100"), bad);
   EXPECT_EQ(check<std::vector<std::vector<std::uint16_t>>>("04000000 04000000 00000000"), bad);
   EXPECT_EQ(check<Text>("0400 01000000"), bad);
   EXPECT_EQ(check<Text>("0400 03000000 00"), bad);
   EXPECT_EQ(check<Text>("0400 05000000 00 0100000041"), bad);
   EXPECT_EQ(check<Text>("0400 04000000 0100000041 00"), bad);
   EXPECT_EQ(check<Texts>("0800 0D000000 08000000 01000000 41 01000000 42"), bad);
   EXPECT_EQ(check<Texts>("0800 08000000 08000000 01000000 41"), bad);
   EXPECT_EQ(check<std::optional<U8>>("00000000"), bad);
   EXPECT_EQ(check<std::optional<U8>>("06000000 FFFF FF"), bad);
   EXPECT_EQ(check<std::tuple<std::uint32_t>>("0000"), bad);
   EXPECT_EQ(check<std::tuple<std::uint32_t>>("0200 0100"), bad);
   EXPECT_EQ((check<std::tuple<std::optional<U8>, std::optional<U8>>>("0800 01000000 01000000")), bad);
   EXPECT_EQ((check<std::tuple<std::optional<U8>, U8>>("0000")), bad);
   EXPECT_EQ((check<std::tuple<std::optional<U8>, U8>>("0100 05")), bad);
   EXPECT_EQ(check<std::tuple<>>("0100 FF"), bad);
   EXPECT_EQ(check<std::tuple<>>("0400 03000000"), bad);
   EXPECT_EQ(check<std::tuple<>>("0400 05000000 FFFF"), bad);
   EXPECT_EQ(check<std::tuple<>>("0800 08000000 05000000"), bad);
   EXPECT_EQ(check<std::tuple<>>("0800 08000000 01000000 FF"), bad);
   EXPECT_EQ(check<std::variant<U8>>("02 01000000 07"), bad);
   EXPECT_EQ(check<std::variant<U8>>("80 01000000 FF"), bad);
   EXPECT_EQ(check<std::variant<U8>>("00 02000000 FFFF"), bad);
   EXPECT_EQ(check<Nested<std::uint32_t>>("03000000 070000"), bad);
   EXPECT_EQ(check<Nested<std::uint32_t>>("05000000 0700000000"), bad);
   EXPECT_EQ(check<Nested<std::tuple<>>>("00000000"), bad);
   EXPECT_EQ(check<std::tuple<Nested<std::tuple<>>>>("0400 00000000"), bad);
   EXPECT_EQ((check<std::tuple<std::optional<std::int32_t>, Nothing>>("0000")), bad);
}

TEST(Fracpack, acceptsUnknownExtensions) {
   EXPECT_EQ(check<std::tuple<>>("0400 04000000 FF"), Validity::extended);
   EXPECT_EQ(check<std::tuple<std::uint32_t>>("0800 01000000 04000000 AABB"), Validity::extended);
   // After a child whose end is unknown, a later member is still found, and only ever further on.
   using Parent = std::tuple<std::tuple<>, std::uint8_t, std::string>;
   EXPECT_EQ(check<Parent>("0900 09000000 05 09000000 0400 04000000 01000000 41"), Validity::invalid);
   EXPECT_EQ(check<Parent>("0900 09000000 05 0B000000 0400 04000000 EE 01000000 41"), Validity::extended);
}

TEST(Fracpack, optionalBeforeARequiredMemberStays) {
   using T = std::tuple<std::uint8_t, std::optional<std::uint8_t>, std::uint8_t, std::optional<std::uint8_t>>;
   EXPECT_EQ(check<T>("0600 0B 01000000 0C"), Validity::valid);
   EXPECT_EQ(hex(T(11, std::nullopt, 12, std::nullopt)), "06000B010000000C");
}

template <class T>
void roundTrip(const T& value) {
   const Bytes packed = pack(value);
   EXPECT_EQ(packedSize(value), packed.size());
   EXPECT_EQ(validate<T>(packed), Validity::valid);
   const auto back = unpackStrict<T>(packed);
   ASSERT_TRUE(back);
   EXPECT_EQ(*back, value);
   for (std::size_t size = 0; size < packed.size(); ++size)
      EXPECT_EQ(validate<T>(ByteView(packed).first(size)), Validity::invalid) << size;
}

TEST(Fracpack, roundTripsAndNoPrefixIsValid) {
   roundTrip(std::numeric_limits<std::int64_t>::min());
   roundTrip(true);
   roundTrip(1.5);
   roundTrip(std::string("text"));
   roundTrip(std::vector<bool>{true, false, true});
   roundTrip(std::set<std::string>{"a", "", "b"});
   roundTrip(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
   roundTrip(std::vector<std::optional<std::uint16_t>>{1, {}, 3});
   roundTrip(std::vector<std::optional<std::string>>{"x", {}, ""});
   roundTrip(std::vector<Object>{{1, 2, 3, "four", Bytes{5}}, {}});
   roundTrip(std::vector<FixedOptional>{{1, 2, "three"}, {}});
   roundTrip(std::tuple<std::array<std::optional<std::string>, 3>, Memo>({"a", {}, ""}, Memo{"b"}));
   roundTrip(std::vector<std::variant<Object, bool, std::string>>{Object{}, true, "x", ""});
   roundTrip(Nested<std::vector<std::string>>(std::vector<std::string>{"a", "b"}));
   roundTrip(std::pair<std::string, bool>("k", true));
}

TEST(Fracpack, viewsPackLikeWhatTheyShow) {
   const std::string text = "text";
   const Bytes bytes{1, 2};
   EXPECT_EQ(hex(std::string_view(text)), hex(text));
   EXPECT_EQ(hex(ByteView(bytes)), hex(bytes));
   EXPECT_EQ(hex(std::tuple<std::string_view, ByteView>(text, bytes)), hex(std::tuple(text, bytes)));
}

TEST(Fracpack, duplicateMapKeysKeepTheFirst) {
   const Bytes two = pack(std::vector<std::pair<std::string, int>>{{"b", 1}, {"a", 2}, {"b", 3}});
   const auto map = unpack<std::map<std::string, int>>(two);
   ASSERT_TRUE(map);
   EXPECT_EQ(*map, (std::map<std::string, int>{{"a", 2}, {"b", 1}}));
}

TEST(Fracpack, memoIsCheckedWhereverItStands) {
   EXPECT_EQ(validate<Memo>(pack(std::string(80, 'x'))), Validity::valid);
   EXPECT_EQ(validate<Memo>(pack(std::string(81, 'x'))), Validity::invalid);
   EXPECT_EQ(validate<std::tuple<Memo>>(pack(std::tuple(std::string("\xC3")))), Validity::invalid);
   EXPECT_EQ(validate<std::tuple<Memo>>(pack(std::tuple(std::string()))), Validity::valid);
   EXPECT_FALSE(unpack<std::optional<Memo>>(pack(std::optional(std::string("\xED\xA0\x80")))));
}

struct Tree {
   std::vector<Tree> children;
};

TEST(Fracpack, depthIsBounded) {
   const auto chain = [](unsigned depth) {
      Bytes bytes;
      for (unsigned i = 0; i + 1 < depth; ++i)
         append(bytes, *fromHex("04000400000004000000"
                                "04000000"));
      append(bytes, *fromHex("040000000000"));
      return bytes;
   };
   EXPECT_EQ(toHex(pack(Tree{{Tree{}}})), toHex(chain(2)));
   EXPECT_EQ(validate<Tree>(chain(1000)), Validity::valid);
   const auto tooDeep = unpack<Tree>(chain(100'000));
   ASSERT_FALSE(tooDeep);
   EXPECT_EQ(tooDeep.error().rule, FracRule::tooDeep);
}

TEST(Fracpack, aHostileCountDoesNotAllocate) {
   Bytes bytes(1 << 20);
   frac::store32(bytes.data(), bytes.size() - 4);
   const auto rejected = unpack<std::vector<Object>>(bytes);
   ASSERT_FALSE(rejected);
   EXPECT_EQ(rejected.error().rule, FracRule::truncated);
}

TEST(Fracpack, errorsSayWhereAndWhy) {
   const auto bad = unpack<std::tuple<std::string, bool>>(*fromHex("0500050000000701000000"
                                                                   "41"));
   ASSERT_FALSE(bad);
   EXPECT_EQ(bad.error(), (FracError{FracRule::badBool, 6}));
   EXPECT_EQ(describe(bad.error().rule), "a bool is neither 0 nor 1");
}

} // namespace
} // namespace polis::format
