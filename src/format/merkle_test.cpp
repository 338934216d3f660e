#include "format/merkle.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>
#include <map>

namespace polis::format {
namespace {

// The definitions, word for word.
Checksum256 treeOf(std::span<const Checksum256> leaves) {
   if (leaves.empty())
      return {};
   if (leaves.size() == 1)
      return leaves[0];
   std::size_t left = 1;
   while (2 * left < leaves.size())
      left *= 2;
   return merkleNode(treeOf(leaves.first(left)), treeOf(leaves.subspan(left)));
}

using Rows = std::map<std::string, std::string>; // keys as bits, most significant first
Checksum256 combine(const Checksum256& a, const Checksum256& b) {
   return a == Checksum256{} ? b : b == Checksum256{} ? a : merkleNode(a, b);
}
std::string bitsOf(ByteView key) {
   std::string bits;
   for (const auto byte : key)
      for (int i = 7; i >= 0; --i)
         bits += byte >> i & 1 ? '1' : '0';
   return bits;
}
Checksum256 stateOf(const std::map<std::string, Checksum256>& leaves, const std::string& prefix) {
   const auto first = leaves.lower_bound(prefix);
   if (first == leaves.end() || !first->first.starts_with(prefix))
      return {};
   const auto self = leaves.find(prefix);
   return combine(self == leaves.end() ? Checksum256{} : self->second,
                  combine(stateOf(leaves, prefix + '0'), stateOf(leaves, prefix + '1')));
}

TEST(Merkle, growsLikeTheDefinition) {
   Merkle tree;
   std::vector<Checksum256> leaves;
   for (std::uint32_t i = 0; i < 70; ++i) {
      EXPECT_EQ(tree.root(), treeOf(leaves)) << i;
      leaves.push_back(merkleLeaf(i));
      tree.push(leaves.back());
   }
   EXPECT_EQ(tree.i, 70u);
   EXPECT_EQ(tree.stack.size(), 3u);
}

TEST(KvMerkle, agreesWithTheDefinition) {
   SeededRandom random(1);
   for (int round = 0; round < 200; ++round) {
      std::map<Bytes, Bytes> rows;
      for (std::uint64_t count = random.next64() % 12; count > 0; --count) {
         Bytes key(random.next64() % 4), value(random.next64() % 3);
         for (auto& byte : key)
            byte = static_cast<std::uint8_t>(random.next64() % 4 * 0x55);
         rows[key] = value;
      }
      KvMerkle state;
      std::map<std::string, Checksum256> leaves;
      for (const auto& [key, value] : rows) {
         state.push(key, value);
         leaves[bitsOf(key)] = kvMerkleLeaf(key, value);
      }
      EXPECT_EQ(state.finish(), stateOf(leaves, "")) << "round " << round;
   }
}

} // namespace
} // namespace polis::format
