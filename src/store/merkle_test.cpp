// The state hash against a second, slower reading of its definition, and against vectors of the reference.
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <openssl/sha.h>
#include <random>
#include <regex>

namespace polis::store {
namespace {

using Map = std::map<Bytes, Bytes>;

MerkleRoot sha(const Bytes& bytes) {
   MerkleRoot out;
   SHA256(bytes.data(), bytes.size(), out.data());
   return out;
}

void append32(Bytes& out, std::size_t n) {
   for (int i = 0; i < 4; ++i)
      out.push_back(static_cast<std::uint8_t>(n >> (8 * i)));
}

/// H(p) as defined, over the keys in [from, to) which all begin with the first `bits` bits of the first.
MerkleRoot defined(Map::const_iterator from, Map::const_iterator to, std::size_t bits) {
   if (from == to)
      return {};
   MerkleRoot own{};
   if (from->first.size() * 8 == bits) {
      Bytes leaf{0};
      append32(leaf, from->first.size());
      append(leaf, from->first);
      append32(leaf, from->second.size());
      append(leaf, from->second);
      own = sha(leaf);
      ++from;
   }
   const auto combine = [](const MerkleRoot& a, const MerkleRoot& b) {
      if (a == MerkleRoot{})
         return b;
      if (b == MerkleRoot{})
         return a;
      Bytes both{1};
      append(both, a);
      append(both, b);
      return sha(both);
   };
   if (from == to)
      return own;
   auto middle = from;
   while (middle != to && !(middle->first[bits / 8] >> (7 - bits % 8) & 1))
      ++middle;
   return combine(own, combine(defined(from, middle, bits + 1), defined(middle, to, bits + 1)));
}

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
      const MerkleRoot expected = defined(rows.begin(), rows.end(), 0);
      ASSERT_EQ(rootOf(*store, rows), expected) << "round " << round;
      ASSERT_EQ(rootOf(*store, rows, Bytes{2}), expected) << "round " << round;
   }
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
      at = rootAt;
      ++cases;
   }
   EXPECT_GE(cases, 10);
}

} // namespace
} // namespace polis::store
