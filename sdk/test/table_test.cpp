// Tables and their indexes against a plain model.
#include "native_host.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

#include <tuple>

namespace polis::sdk {
namespace {

struct Row {
   std::uint32_t id = 0;
   AccountNumber owner;
   std::string name;
   std::uint64_t score = 0;

   /// Best first.
   std::uint64_t rank() const { return ~score; }
   bool operator==(const Row&) const = default;
};
/// By owner; by name, which is unique; by rank; by owner and rank.
using Rows = Table<5, Row, &Row::id, Index<&Row::owner, &Row::id>, Index<&Row::name>, Index<&Row::rank, &Row::id>,
                   Index<&Row::owner, &Row::rank, &Row::id>>;

class Tables : public testing::Test {
protected:
   void SetUp() override { host = {}; }
   static TableRef<Rows> rows() { return openOf<Rows>("owner"_a, Mode::readWrite); }

   template <class Range>
   static std::vector<Row> listed(const Range& range) {
      std::vector<Row> out;
      for (const Row& row : range)
         out.push_back(row);
      return out;
   }
   /// The rows of the model as an index should list them.
   template <class Key>
   static std::vector<Row> sorted(const std::map<std::uint32_t, Row>& model, Key key) {
      std::vector<Row> out;
      for (const auto& [id, row] : model)
         out.push_back(row);
      std::ranges::sort(out, {}, key);
      return out;
   }
   static std::string failure(const auto& body) {
      try {
         body();
         return "";
      } catch (const Aborted& aborted) {
         return aborted.text;
      }
   }
};

TEST_F(Tables, everyIndexFollowsItsRows) {
   constexpr AccountNumber owners[] = {"alice"_a, "bob"_a, "carol"_a};
   std::map<std::uint32_t, Row> model;
   SeededRandom random(20);
   for (int step = 0; step < 400; ++step) {
      const auto id = static_cast<std::uint32_t>(random.next64() % 12);
      if (random.next64() % 3 == 0) {
         rows().erase(id);
         model.erase(id);
      } else {
         const Row row{id, owners[random.next64() % 3], "name " + std::to_string(id + 12 * (random.next64() % 2)),
                       random.next64() % 5};
         rows().put(row);
         model[id] = row;
      }
      const auto check = [&]<std::size_t n>(std::integral_constant<std::size_t, n>, auto key) {
         auto wanted = sorted(model, key);
         ASSERT_EQ(listed(rows().template index<n>().range()), wanted) << "index " << n << ", step " << step;
         std::ranges::reverse(wanted);
         ASSERT_EQ(listed(rows().template index<n>().range().reverse()), wanted) << "index " << n << ", step " << step;
      };
      check(std::integral_constant<std::size_t, 0>(), [](const Row& r) { return r.id; });
      check(std::integral_constant<std::size_t, 1>(), [](const Row& r) { return std::tuple(r.owner.value, r.id); });
      check(std::integral_constant<std::size_t, 2>(), [](const Row& r) { return r.name; });
      check(std::integral_constant<std::size_t, 3>(), [](const Row& r) { return std::tuple(r.rank(), r.id); });
      check(std::integral_constant<std::size_t, 4>(),
            [](const Row& r) { return std::tuple(r.owner.value, r.rank(), r.id); });
   }
   for (const auto& [id, row] : model) {
      EXPECT_EQ(rows().get(id), row);
      EXPECT_EQ(rows().index<2>().get(row.name), row);
      rows().remove(row);
   }
   EXPECT_TRUE(host.rows.empty()) << "an index entry has outlived its row";
}

TEST_F(Tables, anIndexIsReadFromAnyOfItsParts) {
   for (std::uint32_t i = 0; i < 10; ++i)
      rows().put({i, i % 2 ? "alice"_a : "bob"_a, "n" + std::to_string(i), i / 3});
   const auto ids = [](const auto& range) {
      std::vector<std::uint32_t> out;
      for (const Row& row : range)
         out.push_back(row.id);
      return out;
   };
   using Ids = std::vector<std::uint32_t>;
   const auto best = rows().index<4>();
   EXPECT_EQ(ids(best.range("alice"_a)), (Ids{9, 7, 3, 5, 1}));
   EXPECT_EQ(ids(best.range("alice"_a, ~std::uint64_t{1})), (Ids{3, 5}));
   EXPECT_EQ(ids(best.range("alice"_a).reverse()), (Ids{1, 5, 3, 7, 9}));
   EXPECT_EQ(ids(rows().index<1>().range("bob"_a).from("bob"_a, 4u)), (Ids{4, 6, 8}));
   EXPECT_EQ(ids(rows().index<1>().range("bob"_a).reverse().from("bob"_a, 4u)), (Ids{2, 0}));
   EXPECT_EQ(best.first("bob"_a)->id, 6u);
   EXPECT_EQ(best.last("bob"_a)->id, 2u);
   EXPECT_FALSE(best.first("carol"_a));
}

TEST_F(Tables, aKeyOfAnIndexIsOfOneRow) {
   rows().put({1, "alice"_a, "same", 0});
   EXPECT_EQ(failure([] { rows().put({2, "bob"_a, "same", 0}); }), "duplicate key in an index");
   EXPECT_EQ(failure([] { rows().put({1, "bob"_a, "same", 7}); }), "");
}

struct Sold {
   AccountNumber seller, buyer;
   std::uint32_t item = 0;
};
using Sales = EventTable<9, Sold, By<&Sold::seller>, By<&Sold::buyer, &Sold::item>>;

TEST_F(Tables, eventsAreFoundByAnyIndexInTheirOrder) {
   const auto sales = openOf<Sales>("owner"_a, Mode::readWrite);
   for (std::uint32_t i = 0; i < 6; ++i)
      sales.append({.number = 300 - 50 * i,
                    .event = {i % 2 ? "alice"_a : "bob"_a, "carol"_a, i / 3},
                    .blockNum = i,
                    .blockTime = {}});
   const auto numbers = [](const auto& range) {
      std::vector<std::uint64_t> out;
      for (const auto& line : range)
         out.push_back(line.number);
      return out;
   };
   using Numbers = std::vector<std::uint64_t>;
   EXPECT_EQ(numbers(sales.range()), (Numbers{50, 100, 150, 200, 250, 300}));
   EXPECT_EQ(numbers(sales.index<1>().range("alice"_a)), (Numbers{50, 150, 250}));
   EXPECT_EQ(numbers(sales.index<2>().range("carol"_a, 1u)), (Numbers{50, 100, 150}));
   EXPECT_EQ(numbers(sales.index<2>().range("carol"_a).reverse().from("carol"_a, 1u)), (Numbers{300, 250, 200}));
   EXPECT_EQ(sales.index<1>().last("bob"_a)->blockNum, 0u);
}

} // namespace
} // namespace polis::sdk
