#include "format/json.hpp"

#include "base/random.hpp"
#include "format/chain.hpp"

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>

namespace polis::format {
namespace {

using namespace literals;

struct Plain {
   std::uint32_t a = 0;
   std::optional<std::string> b;
   Bytes c;
};
struct VA {
   std::uint32_t x = 0;
};

template <class T>
std::string reformat(std::string_view text) {
   const auto value = fromJson<T>(text);
   return value ? toJson(*value) : "error: " + value.error().message;
}

TEST(Json, integers) {
   EXPECT_EQ(reformat<std::uint8_t>("255"), "255");
   EXPECT_EQ(reformat<std::uint8_t>("\"0012\""), "12");
   EXPECT_EQ(reformat<std::int64_t>("-9223372036854775808"), "\"-9223372036854775808\"");
   EXPECT_EQ(reformat<std::uint64_t>("18446744073709551615"), "\"18446744073709551615\"");
   EXPECT_EQ(reformat<std::int8_t>("-0"), "0");
   for (const auto* bad : {"256", "-1", "1.0", "1e2", "\"+1\"", "\"\"", "\" 1\"", "true", "null", "[]"})
      EXPECT_TRUE(reformat<std::uint8_t>(bad).starts_with("error")) << bad;
   EXPECT_TRUE(reformat<std::uint64_t>("18446744073709551616").starts_with("error"));
   EXPECT_TRUE(reformat<std::int64_t>("-9223372036854775809").starts_with("error"));
   EXPECT_TRUE(reformat<std::int64_t>("9223372036854775808").starts_with("error"));
}

TEST(Json, floats) {
   for (const auto* same : {"0", "1", "-1.5", "0.1", "123456789012345680", "1e-7", "-0", "1e+21", "1e+300",
                            "\"Infinity\"", "\"NaN\"", "0.000001", "1000", "1.7976931348623157e+308"})
      EXPECT_EQ(reformat<double>(same), same);
   EXPECT_EQ(reformat<double>("1e3"), "1000");
   for (const auto* same : {"0.29", "1.15", "-2.675", "123.5", "0.000002", "4503599627370.497", "999999999999999",
                            "10000000", "1e+14", "12345670000000", "-0.5", "8.41", "1.0000001", "0.30000000000000004"})
      EXPECT_EQ(reformat<double>(same), same);
   EXPECT_EQ(reformat<double>("5e-324"), "error: expected a number in range");
   EXPECT_EQ(reformat<double>("\" 0x1p3\""), "8");
   EXPECT_EQ(reformat<double>("\"inf\""), "\"Infinity\"");
   EXPECT_EQ(reformat<float>("16777217"), "16777216");
   EXPECT_EQ(reformat<float>("0.333333333333333333"), "0.3333333432674408");
   EXPECT_EQ(reformat<float>("0.1"), "0.10000000149011612");
   EXPECT_EQ(reformat<float>("3.4028235e38"), "3.4028234663852886e+38");
   EXPECT_TRUE(reformat<double>("1e400").starts_with("error"));
   EXPECT_TRUE(reformat<float>("1e39").starts_with("error"));
   EXPECT_TRUE(reformat<double>("\"1.5x\"").starts_with("error"));
}

/// What strtod reads is the truth, but for what typed input refuses.
template <class T>
void expectAsLibrary(const std::string& text, T (*library)(const char*, char**)) {
   const T expected = library(text.c_str(), nullptr);
   const T size = std::abs(expected);
   const auto read = fromJson<T>(text);
   if (std::isinf(expected) || (size != 0 && size < std::numeric_limits<T>::min())) {
      EXPECT_FALSE(read) << text;
   } else {
      // Zeros that are none are refused as well.
      ASSERT_TRUE(read || (size == 0 && text.find_first_of("123456789") != text.npos)) << text;
      if (read)
         ASSERT_EQ(std::memcmp(&*read, &expected, sizeof expected), 0) << text;
   }
}

TEST(Json, floatsAreReadExactly) {
   const char* given = std::getenv("POLIS_RANDOM_VALUES");
   const std::uint64_t count = given ? std::strtoull(given, nullptr, 10) : 50'000;
   SeededRandom random(1876);
   const auto digits = [&](std::uint64_t most) {
      std::string out;
      for (std::uint64_t left = 1 + random.next64() % most; left; --left)
         out += static_cast<char>('0' + random.next64() % 10);
      return out;
   };
   const auto whole = [&] {
      std::string out = digits(21);
      out.erase(0, std::min(out.find_first_not_of('0'), out.size() - 1));
      return out;
   };
   for (std::uint64_t i = 0; i < count; ++i) {
      std::string text = random.next64() % 4 ? "" : "-";
      if (random.next64() % 4 == 0) { // any value there is, as it is written
         const double value = std::bit_cast<double>(random.next64());
         if (!std::isfinite(value))
            continue;
         char shown[40];
         std::snprintf(shown, sizeof shown, random.next64() % 2 ? "%.17g" : "%.9g", std::abs(value));
         text += shown;
      } else {
         text += whole();
         if (random.next64() % 4)
            text += "." + digits(23);
         if (random.next64() % 4 == 0)
            text += (random.next64() % 2 ? "e-" : "E") + std::to_string(random.next64() % 330);
      }
      expectAsLibrary<double>(text, std::strtod);
      expectAsLibrary<float>(text, std::strtof);
   }
   // Next to where one operation is no longer enough.
   for (const std::uint64_t edge : {std::uint64_t{1} << 24, std::uint64_t{1} << 53, std::uint64_t{1} << 62})
      for (std::uint64_t near = edge - 3; near <= edge + 3; ++near)
         for (int decimals = 0; decimals < 24; ++decimals) {
            std::string text = std::to_string(near);
            const auto point = static_cast<std::size_t>(decimals);
            if (point >= text.size())
               text.insert(0, point - text.size() + 1, '0');
            if (point)
               text.insert(text.size() - point, ".");
            expectAsLibrary<double>(text, std::strtod);
            expectAsLibrary<float>(text, std::strtof);
         }
}

TEST(Json, strings) {
   EXPECT_EQ(reformat<std::string>("\"\\u00e9\\n\\u0000\\/\x7F\""), "\"\xC3\xA9\\n\\u0000/\\u007F\"");
   EXPECT_EQ(toJson(std::string("a\xFF"
                                "b\xED\xA0\x80\xF0\x9F\x98\x80")),
             "\"a?b???\xF0\x9F\x98\x80\"");
   EXPECT_EQ(reformat<std::string>("12.50"), "\"12.50\"");
   EXPECT_TRUE(reformat<std::string>("\"\xFF\"").starts_with("error"));
   EXPECT_TRUE(reformat<std::string>("\"abcdefgh\xEF").starts_with("error"));
   for (const auto* bad :
        {"\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\u12g4\"", "\"\\x\"", "\"\n\"", "\"\\",
         "\"abcdefghijklmnopq", "tru", "nul", "01", "-", "1.", "1e", "[1 2]", "{\"a\" 1}", "{1:2}", "[}", ","})
      EXPECT_TRUE(reformat<std::string>(bad).starts_with("error")) << bad;
   EXPECT_EQ(reformat<std::string>("\"0123456789abcdef\\ud83d\\ude00\\u20ac0123456789abcdef\\t\""),
             "\"0123456789abcdef\xF0\x9F\x98\x80\xE2\x82\xAC"
             "0123456789abcdef\\t\"");
   for (std::size_t size = 0; size < 300; ++size) { // short texts and long ones lie in different memory
      const std::string text = '"' + std::string(size, 'x') + "\\n\"";
      EXPECT_EQ(reformat<std::string>(text), text);
   }
   EXPECT_TRUE(reformat<std::string>(std::string_view("\"a\"\0", 4)).starts_with("error"));
   EXPECT_TRUE(reformat<std::string>("\"a\" b").starts_with("error"));
   EXPECT_TRUE(reformat<std::string>("").starts_with("error"));
}

TEST(Json, objects) {
   EXPECT_EQ(reformat<Plain>(R"({"c":"0a","a":2,"zz":{"q":[1,{}]},"a":3})"), R"({"a":3,"b":null,"c":"0A"})");
   EXPECT_EQ(reformat<Plain>(R"({})"), R"({"a":0,"b":null,"c":""})");
   for (const auto* bad : {"[1]", "null", R"({"a":1,})", R"({"c":[1]})", R"({"c":"0"})"})
      EXPECT_TRUE(reformat<Plain>(bad).starts_with("error")) << bad;
}

TEST(Json, variantsAndTuples) {
   using V = std::variant<std::uint32_t, std::string, VA, std::vector<std::uint16_t>>;
   EXPECT_EQ(reformat<V>(R"({"uint32":5})"), R"({"uint32":5})");
   EXPECT_EQ(reformat<V>(R"({"VA":{"x":1}})"), R"({"VA":{"x":1}})");
   EXPECT_EQ(reformat<V>(R"({"uint16[]":[1]})"), R"({"uint16[]":[1]})");
   for (const auto* bad : {"{}", "5", R"({"nope":1})", R"({"uint32":5,"string":"x"})"})
      EXPECT_TRUE(reformat<V>(bad).starts_with("error")) << bad;
   using T = std::tuple<std::uint16_t, std::string>;
   EXPECT_EQ(reformat<T>("[1]"), "[1,\"\"]");
   EXPECT_EQ(reformat<T>("7"), "[7,\"\"]");
   EXPECT_EQ(reformat<T>("null"), "[0,\"\"]");
   EXPECT_TRUE(reformat<T>("[1,\"a\",2]").starts_with("error"));
   EXPECT_EQ(reformat<std::tuple<>>("[]"), "[]");
   using A = std::array<std::uint16_t, 2>;
   EXPECT_EQ(reformat<A>("[1,2]"), "[1,2]");
   EXPECT_TRUE(reformat<A>("[1]").starts_with("error"));
   EXPECT_TRUE(reformat<A>("[1,2,3]").starts_with("error"));
   EXPECT_EQ((reformat<std::map<std::string, int>>(R"({"b":1,"a":2,"b":3})")), R"({"a":2,"b":3})");
   EXPECT_EQ(reformat<std::vector<bool>>("[true,false]"), "[true,false]");
}

TEST(Json, protocolTypes) {
   const Transaction transaction{{.expiration = {1700000000}}, {{"alice+7"_a, "tokens"_a, "credit"_m, {0, 255}}}, {}};
   const std::string text = R"({"tapos":{"expiration":"2023-11-14T22:13:20Z","refBlockSuffix":0,"flags":0,)"
                            R"("refBlockIndex":0},"actions":[{"sender":"alice+7","service":"tokens",)"
                            R"("method":"credit","rawData":"00FF"}],"claims":[]})";
   EXPECT_EQ(toJson(transaction), text);
   const auto back = fromJson<Transaction>(text);
   ASSERT_TRUE(back);
   EXPECT_EQ(*back, transaction);
   EXPECT_EQ(toJson(Nested(std::uint16_t{1})), "\"0100\"");
   EXPECT_FALSE(fromJson<Nested<std::uint16_t>>("\"01\""));
   EXPECT_FALSE(fromJson<Memo>('"' + std::string(81, 'x') + '"'));
   EXPECT_EQ(toJson(TimePointUSec{-1}), "\"1969-12-31T23:59:59.999999Z\"");
}

TEST(Json, depthIsBounded) {
   const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
   JsonReader fine(nested(jsonDepthMax));
   fine.skip();
   EXPECT_EQ(fine.token(), JsonToken::end);
   JsonReader deep(nested(1'000'000));
   EXPECT_EQ(deep.token(), JsonToken::error);
   EXPECT_EQ(deep.error().message, "nested too deeply");
}

TEST(TimeText, readsAndRejects) {
   EXPECT_EQ(parseTimeUSec("2023-11-14T22:13:20.1234567+01:30"), TimePointUSec{1699994600123456});
   EXPECT_EQ(parseTimeSec("2023-11-14T24:00:00Z"), TimePointSec{1700006400});
   for (const auto* bad : {"2023-11-14T22:13:20", "2023-02-29T00:00:00Z", "2023-11-14T24:00:01Z",
                           "2023-11-14T22:13:20-00:00", "2023-11-14t22:13:20Z", "2023-11-14T22:13:20+15:00", ""})
      EXPECT_FALSE(parseTimeSec(bad)) << bad;
   EXPECT_EQ(timeText(TimePointSec{std::numeric_limits<std::int64_t>::min()}).size(), 20u);
   EXPECT_EQ(timeText(TimePointUSec{std::numeric_limits<std::int64_t>::min()}).size(), 27u);
   for (std::int64_t day = -719'528; day < 2'900'000; day += 37)
      EXPECT_EQ(parseTimeSec(timeText(TimePointSec{day * 86400 + 1})), TimePointSec{day * 86400 + 1}) << day;
}

/// Each of the numbers that follow one another, an empty list, and a key that is read as a string can be come back to.
TEST(Json, theReaderGoesBack) {
   JsonReader reader(R"({"k" :[1 , -2.5,3, [ ] ,"x",4],"l":5})");
   const auto object = reader.mark();
   EXPECT_EQ(reader.count(), 2u);
   reader.advance();
   reader.keyAsString();
   const auto key = reader.mark();
   std::string_view text;
   ASSERT_TRUE(reader.takeText(text, "a key"));
   EXPECT_EQ(text, "k");
   EXPECT_EQ(reader.count(), 6u);
   reader.advance();
   std::vector<std::pair<JsonReader::Mark, std::string>> values;
   for (; reader.token() != JsonToken::endArray; reader.skip())
      values.emplace_back(reader.mark(), reader.token() == JsonToken::beginArray ? "[]" : std::string(reader.text()));
   reader.advance();
   EXPECT_EQ(reader.text(), "l");
   reader.skip();
   EXPECT_EQ(reader.token(), JsonToken::endObject);
   const std::vector<std::string> expected{"1", "-2.5", "3", "[]", "x", "4"};
   ASSERT_EQ(values.size(), expected.size());
   for (std::size_t i = expected.size(); i-- > 0;) {
      reader.rewind(values[i].first);
      EXPECT_EQ(values[i].second, expected[i]);
      if (expected[i] != "[]") {
         EXPECT_EQ(reader.text(), expected[i]);
      } else {
         EXPECT_EQ(reader.count(), 0u);
         reader.advance();
         EXPECT_EQ(reader.token(), JsonToken::endArray);
      }
      reader.advance();
      EXPECT_EQ(reader.token() == JsonToken::endArray, i + 1 == expected.size());
      if (i + 1 < expected.size() && expected[i + 1] != "[]")
         EXPECT_EQ(reader.text(), expected[i + 1]);
   }
   reader.rewind(key);
   EXPECT_EQ(reader.token(), JsonToken::string);
   EXPECT_EQ(reader.text(), "k");
   reader.rewind(object);
   reader.skip();
   EXPECT_EQ(reader.token(), JsonToken::end);
}

TEST(Json, aListTakesNoMoreMemoryThanItsTextAllows) {
   const auto list = [](std::size_t count, std::string_view element) {
      std::string text = "[";
      for (std::size_t i = 0; i < count; ++i)
         (text += element) += ',';
      text.back() = ']';
      return text;
   };
   EXPECT_EQ(fromJson<std::vector<std::string>>(list(40'000, "\"\""))->size(), 40'000u);
   EXPECT_EQ(fromJson<std::vector<double>>(list(1'000'000, "1"))->size(), 1'000'000u);
   EXPECT_EQ(fromJson<std::vector<std::string>>(list(1'000'000, "\"a text of some length\""))->size(), 1'000'000u);
   const auto tooMany = fromJson<std::vector<std::string>>(list(1'000'000, "\"\""));
   ASSERT_FALSE(tooMany);
   EXPECT_EQ(tooMany.error().message, "a list takes too much memory for its text");
   EXPECT_FALSE((fromJson<std::vector<std::vector<std::uint64_t>>>(list(1'000'000, "[1]"))));
   EXPECT_FALSE(fromJson<std::vector<Bytes>>(list(1'000'000, "\"00\"")));
}

TEST(Json, whereItFailed) {
   EXPECT_EQ(fromJson<std::vector<std::uint16_t>>(R"([1, 2,-3])").error().offset, 6u);
   EXPECT_EQ((fromJson<std::vector<std::vector<std::uint16_t>>>(R"([[1],[2],["x"]])").error().offset), 11u);
   EXPECT_EQ(fromJson<std::vector<bool>>("[true,  null]").error().offset, 8u);
   EXPECT_EQ(fromJson<std::string>("\"a\" b").error().offset, 4u);
}

} // namespace
} // namespace polis::format
