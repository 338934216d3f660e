// The state hash against a second, slower reading of its definition, and against vectors of the reference.
#include "store/hash_cache.hpp"
#include "store/long_run.hpp"
#include "store/merkle_definition.hpp"
#include "store/proof.hpp"
#include "store/random_map.hpp"
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>

namespace polis::store {
namespace {

MerkleRoot rootOf(Store& store, const Map& rows, ByteView prefix = {}) {
   Writer writer(store.empty());
   for (const auto& [key, value] : rows) {
      Bytes whole = toBytes(prefix);
      append(whole, key);
      writer.put(whole, value);
   }
   if (!prefix.empty()) {
      // Neighbours that do not belong to it.
      writer.put({}, asBytes("before"));
      writer.put(Bytes{0xFF, 0xFF, 0xFF}, asBytes("after"));
   }
   return writer.snapshot().merkle(prefix);
}

TEST(Merkle, SmallCases) {
   const TestFolder folder;
   auto store = Store::open(folder.path());
   EXPECT_EQ(rootOf(*store, {}), MerkleRoot{});
   const Map rows{
       {toBytes(""), toBytes("x")}, {toBytes("a"), toBytes("1")}, {toBytes("ab"), toBytes("2")}, {toBytes("b"), {}}};
   EXPECT_EQ(toHex(rootOf(*store, rows)), "8CF7701CD8717BFBAA2D7687258DDEC0A4BC5B8FED34E662B82EEB4377615935");
}

TEST(Merkle, AgreesWithItsDefinition) {
   const TestFolder folder;
   auto store = Store::open(folder.path());
   std::mt19937_64 random(1);
   for (int round = 0; round < 200; ++round) {
      Map rows;
      for (std::uint64_t i = random() % 60; i > 0; --i) {
         Bytes key(random() % 4);
         for (auto& byte : key)
            byte = static_cast<std::uint8_t>(random() % 3 * 0x7F);
         rows[key] = Bytes(random() % 700, static_cast<std::uint8_t>(i));
      }
      const MerkleRoot expected = defined(rows);
      ASSERT_EQ(rootOf(*store, rows), expected) << "round " << round;
      ASSERT_EQ(rootOf(*store, rows, Bytes{2}), expected) << "round " << round;
   }
}

/// The rows in the range, without their first bytes.
Map cut(const Map& rows, const KeyRange& range, std::size_t cutBytes) {
   Map out;
   for (const auto& [key, value] : rows)
      if (range.contains(key))
         out.emplace(toBytes(ByteView(key).subspan(cutBytes)), value);
   return out;
}

TEST(Merkle, OfAnyRangeOfAnyVersion) {
   for (std::uint64_t seed = 1; seed <= std::uint64_t{40} * longRun(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      const TestFolder folder;
      // With all roots remembered, some, or none.
      auto store = Store::open(folder.path(), {.hashCacheBytesMax = std::size_t{seed % 3} << (seed % 3 * 10)});
      std::mt19937_64 random(seed);
      const RandomKeys keys(random);
      std::vector<std::pair<Version, Map>> kept;
      Writer writer(store->empty());
      Map model;
      for (int step = 0; step < 12; ++step) {
         if (!kept.empty() && random() % 4 == 0) {
            const auto& [version, map] = kept[random() % kept.size()];
            writer.reset(version);
            model = map;
         }
         if (random() % 6 == 0)
            kept.clear();
         for (std::uint64_t i = random() % 3 ? random() % 8 : random() % 300; i > 0; --i)
            change(writer, model, keys, random);
         kept.emplace_back(writer.snapshot(), model);
         const auto& [version, map] = kept[random() % kept.size()];
         ASSERT_EQ(version.merkle({}), defined(map));
         const KeyRange range = keys.range(random);
         ASSERT_EQ(version.merkle(range, 0), defined(cut(map, range, 0)));
         const Bytes prefix = keys(random);
         const KeyRange all = KeyRange::withPrefix(prefix);
         ASSERT_EQ(version.merkle(prefix), defined(cut(map, all, prefix.size())));
         const KeyRange some{std::max(all.low, keys(random)), all.high};
         if (KeyRange::withPrefix(prefix).contains(some.low))
            ASSERT_EQ(version.merkle(some, prefix.size()), defined(cut(map, some, prefix.size())));
      }
   }
}

TEST(Merkle, RootsAreRememberedWithinBounds) {
   detail::HashCache cache(1000 * 64);
   const auto root = [](std::uint64_t i) {
      return MerkleRoot{static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i >> 8)};
   };
   const auto found = [&](std::uint64_t birth) {
      std::size_t count = 0;
      for (detail::Ref ref = 1; ref <= 5000; ++ref)
         if (const auto there = cache.find({ref, 0, birth})) {
            EXPECT_EQ(*there, root(ref + birth));
            ++count;
         }
      return count;
   };
   for (detail::Ref ref = 1; ref <= 300; ++ref)
      cache.add({ref, 0, 1}, root(ref + 1u));
   EXPECT_GE(found(1), 295u);
   EXPECT_EQ(found(2), 0u);
   EXPECT_FALSE(cache.find({1, 1, 1}));
   // A later node takes the place of the one before it.
   for (detail::Ref ref = 1; ref <= 300; ++ref)
      cache.add({ref, 0, 2}, root(ref + 2u));
   EXPECT_EQ(found(1), 0u);
   EXPECT_GE(found(2), 295u);
   for (detail::Ref ref = 1; ref <= 5000; ++ref)
      cache.add({ref, 0, 3}, root(ref + 3u));
   EXPECT_GE(found(3), 500u);
   EXPECT_LE(found(3), 1024u);
   detail::HashCache none(0);
   none.add({1, 0, 1}, root(1));
   EXPECT_FALSE(none.find({1, 0, 1}));
}

TEST(Merkle, ReferenceVectors) {
   const std::filesystem::path file = std::filesystem::path(POLIS_SOURCE_DIR) / "../shared/conformance/merkle.json";
   std::ifstream stream(file);
   if (!stream)
      GTEST_SKIP() << file << " is not there";
   const std::string text(std::istreambuf_iterator<char>(stream), {});
   // The file's only nesting is {"rows": [[key, value], …], "root": …}: enough for two expressions.
   const std::size_t from = text.find("\"kv_merkle\"");
   ASSERT_NE(from, std::string::npos);
   const TestFolder folder;
   auto store = Store::open(folder.path());
   int cases = 0;
   std::size_t at = from;
   while ((at = text.find("\"rows\"", at)) != std::string::npos) {
      const std::size_t rootAt = text.find("\"root\"", at);
      ASSERT_NE(rootAt, std::string::npos);
      Map rows;
      const std::string part = text.substr(at, rootAt - at);
      static const std::regex row(R"re(\[\s*"([0-9A-F]*)"\s*,\s*"([0-9A-F]*)"\s*\])re");
      for (std::sregex_iterator match(part.begin(), part.end(), row), end; match != end; ++match)
         rows[fromHex((*match)[1].str()).value()] = fromHex((*match)[2].str()).value();
      static const std::regex root(R"re("root"\s*:\s*"([0-9A-F]{64})")re");
      std::smatch match;
      const std::string tail = text.substr(rootAt, 200);
      ASSERT_TRUE(std::regex_search(tail, match, root));
      EXPECT_EQ(toHex(rootOf(*store, rows)), match[1].str()) << "case " << cases;
      Writer writer(store->empty());
      for (const auto& [key, value] : rows)
         writer.put(key, value);
      MerkleRoot expected;
      const Bytes digits = fromHex(match[1].str()).value();
      std::copy(digits.begin(), digits.end(), expected.begin());
      const Bytes bytes = writer.snapshot().prove({}, {});
      const auto proof = Proof::check(expected, bytes);
      ASSERT_TRUE(proof) << proof.error().reason;
      EXPECT_TRUE(proof->complete({}));
      EXPECT_EQ(proof->entries().size(), rows.size());
      at = rootAt;
      ++cases;
   }
   EXPECT_GE(cases, 10);
}

} // namespace
} // namespace polis::store
