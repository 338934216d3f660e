// Random values of every kind of type: packed and unpacked, by type and by schema, to JSON and back; all must agree.
// POLIS_RANDOM_VALUES says how many values of each type (default 2,000); POLIS_RANDOM_SEED, which.
#include "base/random.hpp"
#include "format/chain.hpp"
#include "format/dynamic.hpp"
#include "format/key.hpp"
#include "format/native_tables.hpp"
#include "format/view.hpp"

#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>

namespace polis::format {
namespace {

std::uint64_t fromEnvironment(const char* name, std::uint64_t otherwise) {
   const char* text = std::getenv(name);
   return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct Fixed {
   using FixedLayout = std::true_type;
   std::uint16_t a = 0;
   std::array<std::int8_t, 3> b{};
   bool c = false;
   double d = 0;
};
struct Leaf {
   std::uint8_t id = 0;
   std::optional<std::string> text{};
   std::optional<std::uint64_t> number{};
};
struct FixedVariable {
   using FixedLayout = std::true_type;
   std::string name{};
   std::optional<std::uint16_t> number{};
   Leaf leaf{};
};
/// But a Memo, whose rule a schema does not know.
struct Everything {
   std::int8_t i8 = 0;
   std::int16_t i16 = 0;
   std::int32_t i32 = 0;
   std::int64_t i64 = 0;
   float f32 = 0;
   double f64 = 0;
   bool flag = false;
   Fixed fixed{};
   FixedVariable fixedVariable{};
   std::string text{};
   Bytes bytes{};
   std::vector<std::uint32_t> numbers{};
   std::vector<bool> flags{};
   std::vector<std::optional<std::uint16_t>> optionals{};
   std::vector<std::optional<std::vector<std::string>>> deep{};
   std::array<std::string, 2> pair{};
   std::array<std::optional<std::uint8_t>, 3> slots{};
   std::tuple<std::uint8_t, std::string, std::optional<Leaf>> tuple{};
   std::variant<std::uint32_t, std::string, Leaf, std::vector<Leaf>> variant{};
   std::map<std::string, Leaf> named{};
   std::set<std::uint16_t> set{};
   Nested<Leaf> nested{Leaf{}};
   std::optional<std::optional<std::uint8_t>> twice{};
   std::optional<std::tuple<>> unit{};
   TimePointSec seconds{};
   TimePointUSec micros{};
   Checksum256 hash{};
   AccountNumber account{};
   MethodNumber method{};
   std::optional<Fixed> last{};
};
struct Tree {
   std::uint16_t id = 0;
   std::vector<Tree> children{};
   std::optional<std::string> note{};
};

/// Fills values of any type; small numbers and short lists more often than not.
class Filler {
public:
   explicit Filler(Random& random) : random_(random) {}

   template <class T>
   void fill(T& out) {
      if constexpr (std::is_same_v<T, bool>) {
         out = random_.next64() % 2;
      } else if constexpr (std::is_floating_point_v<T>) {
         out = floating<T>();
      } else if constexpr (std::is_enum_v<T>) {
         out = static_cast<T>(random_.next64());
      } else if constexpr (std::is_integral_v<T>) {
         const std::uint64_t bits = random_.next64();
         out = static_cast<T>(random_.next64() >> (bits % 64));
         if (bits & 64)
            out = static_cast<T>(~out);
      } else if constexpr (Name<T>) {
         static constexpr std::string_view names[] = {"a", "alice", "bob", "tokens", "credit", "transfer"};
         out = T(names[random_.next64() % std::size(names)]);
      } else if constexpr (std::is_same_v<T, TimePointSec>) {
         out.seconds = static_cast<std::int64_t>(random_.next64() % 250'000'000'000) - 62'000'000'000;
      } else if constexpr (std::is_same_v<T, TimePointUSec>) {
         out.microseconds =
             static_cast<std::int64_t>(random_.next64() % 250'000'000'000'000'000) - 62'000'000'000'000'000;
      } else if constexpr (std::is_same_v<T, std::string>) {
         static constexpr std::string_view parts[] = {"a",
                                                      "hello ",
                                                      "\"",
                                                      "\\",
                                                      "\n",
                                                      "\x01",
                                                      "\x7F",
                                                      "\xC3\xA9",
                                                      "\xE2\x82\xAC",
                                                      "\xF0\x9F\x98\x80",
                                                      "/",
                                                      "0123456789abcdef",
                                                      {"\0", 1}};
         out.clear();
         for (std::size_t n = length(); n > 0; --n)
            out += parts[random_.next64() % std::size(parts)];
      } else if constexpr (NestedFrac<T>) {
         out = T([&]<class U>(std::type_identity<Nested<U>>) {
            U content{};
            fill(content);
            return content;
         }(std::type_identity<T>()));
      } else if constexpr (Optional<T>) {
         if (random_.next64() % 2)
            fill(out.emplace());
         else
            out.reset();
         // JSON shows an absent one in a present one as the absence of both.
         if constexpr (Optional<typename T::value_type>)
            if (out && !*out)
               out.reset();
      } else if constexpr (Variant<T>) {
         const std::size_t index = random_.next64() % std::variant_size_v<T>;
         [&]<std::size_t... I>(std::index_sequence<I...>) {
            ((I == index ? fill(out.template emplace<I>()) : static_cast<void>(0)), ...);
         }(std::make_index_sequence<std::variant_size_v<T>>());
      } else if constexpr (Vector<T> || Set<T> || Map<T>) {
         out.clear();
         if (++depth_ < 6)
            for (std::size_t n = length(); n > 0; --n) {
               typename frac::ListElement<T>::type element{};
               fill(element);
               out.insert(out.end(), std::move(element));
            }
         --depth_;
      } else if constexpr (Array<T>) {
         for (auto& element : out)
            fill(element);
      } else {
         withMembers(out, [&](auto&... members) { (this->fill(members), ...); });
      }
   }
   template <class A, class B>
   void fill(std::pair<A, B>& out) {
      fill(out.first);
      fill(out.second);
   }

private:
   std::size_t length() {
      const std::uint64_t bits = random_.next64();
      return bits % 4 ? bits / 4 % 3 : bits / 4 % 9;
   }
   /// No NaN but the plain one and nothing subnormal: JSON does not bring those back.
   template <class T>
   T floating() {
      const std::uint64_t bits = random_.next64();
      T out;
      if (bits % 3 == 0) {
         out = static_cast<T>(static_cast<std::int64_t>(random_.next64() % 2'000'001) - 1'000'000) /
               T(1 << (bits / 3 % 12));
      } else {
         std::memcpy(&out, &bits, sizeof out);
         if (std::isnan(out))
            out = std::numeric_limits<T>::infinity();
         if (std::fpclassify(out) == FP_SUBNORMAL)
            out = 0;
      }
      return out;
   }

   Random& random_;
   unsigned depth_ = 0;
};

template <class T>
void roundTrips(const char* name) {
   const auto schema = CompiledSchema::compile(schemaOf<T>("T"));
   ASSERT_TRUE(schema) << schema.error();
   const TypeId type = schema->find("T").value();
   const std::uint64_t count = fromEnvironment("POLIS_RANDOM_VALUES", 2000);
   const std::uint64_t seed = fromEnvironment("POLIS_RANDOM_SEED", 1);
   SeededRandom random(seed);
   Filler filler(random);
   T again{};
   for (std::uint64_t i = 0; i < count; ++i) {
      T value{};
      filler.fill(value);
      const Bytes packed = pack(value);
      const auto where = [&] {
         return std::string(name) + " number " + std::to_string(i) + ": " + toHex(packed) +
                "\nreplay: POLIS_RANDOM_SEED=" + std::to_string(seed) + " format_test --gtest_filter=Random." + name;
      };
      ASSERT_EQ(packed.size(), packedSize(value)) << where();
      ASSERT_EQ(validate<T>(packed), Validity::valid) << where();
      ASSERT_EQ(schema->validate(type, packed), Validity::valid) << where();
      const auto back = unpackStrict<T>(packed);
      ASSERT_TRUE(back) << where();
      ASSERT_EQ(pack(*back), packed) << where();
      // Over the value before, of whose parts nothing may stay.
      ASSERT_TRUE(unpackInto(packed, again)) << where();
      Bytes over;
      packOver(over, again);
      ASSERT_EQ(over, packed) << where();

      const std::string json = toJson(value);
      const auto dynamicJson = schema->toJson(type, packed);
      ASSERT_TRUE(dynamicJson) << where();
      ASSERT_EQ(*dynamicJson, json) << where();
      const auto parsed = fromJson<T>(json);
      ASSERT_TRUE(parsed) << where() << "\n" << json << "\n" << parsed.error().message;
      ASSERT_EQ(pack(*parsed), packed) << where() << "\n" << json << "\n" << toJson(*parsed);
      const auto dynamicPacked = schema->fromJson(type, json);
      ASSERT_TRUE(dynamicPacked) << where() << "\n" << json << "\n" << dynamicPacked.error().message;
      ASSERT_EQ(*dynamicPacked, packed) << where() << "\n" << json;
      // A byte cut off or changed: both readers say the same.
      Bytes broken = packed;
      if (random.next64() % 2)
         broken.resize(random.next64() % (broken.size() + 1));
      if (!broken.empty())
         broken[random.next64() % broken.size()] = static_cast<std::uint8_t>(random.next64() % 6);
      ASSERT_EQ(schema->validate(type, broken), validate<T>(broken)) << where() << " broken: " << toHex(broken);
      ASSERT_EQ(unpack<T>(broken).has_value(), validate<T>(broken) != Validity::invalid) << toHex(broken);
   }
}

TEST(Random, everything) { roundTrips<Everything>("everything"); }
TEST(Random, tree) { roundTrips<Tree>("tree"); }
TEST(Random, action) { roundTrips<Action>("action"); }
TEST(Random, transaction) { roundTrips<Transaction>("transaction"); }
TEST(Random, signedTransaction) { roundTrips<SignedTransaction>("signedTransaction"); }
TEST(Random, signedBlock) { roundTrips<SignedBlock>("signedBlock"); }
TEST(Random, statusRow) { roundTrips<StatusRow>("statusRow"); }
TEST(Random, transactionTrace) { roundTrips<TransactionTrace>("transactionTrace"); }
TEST(Random, genesisActionData) { roundTrips<GenesisActionData>("genesisActionData"); }
TEST(Random, httpRequest) { roundTrips<HttpRequest>("httpRequest"); }
TEST(Random, blockConfirm) { roundTrips<BlockConfirm>("blockConfirm"); }

/// Keys order as values do, and by schema they are the same bytes.
TEST(Random, keysOrderAsTheirValues) {
   using T =
       std::tuple<std::int32_t, std::string, std::optional<std::uint16_t>, std::vector<std::uint8_t>, AccountNumber>;
   const auto schema = CompiledSchema::compile(schemaOf<T>("T"));
   ASSERT_TRUE(schema);
   const TypeId type = schema->find("T").value();
   SeededRandom random(fromEnvironment("POLIS_RANDOM_SEED", 1));
   Filler filler(random);
   T before{};
   for (std::uint64_t i = 0; i < 2 * fromEnvironment("POLIS_RANDOM_VALUES", 2000); ++i) {
      T value{};
      filler.fill(value);
      if (random.next64() % 2)
         std::get<0>(value) = std::get<0>(before);
      const Bytes key = toKey(value), keyBefore = toKey(before);
      ASSERT_EQ(key < keyBefore, value < before) << toHex(pack(value)) << " " << toHex(pack(before));
      ASSERT_EQ(schema->toKey(type, pack(value)).value(), key) << toHex(pack(value));
      before = std::move(value);
   }
}

} // namespace
} // namespace polis::format
