#include "format/merkle.hpp"

#include <bit>
#include <cstring>

namespace polis::format {

Checksum256 merkleLeafOfBytes(ByteView packed) {
   Bytes buffer;
   buffer.reserve(packed.size() + 1);
   buffer.push_back(0);
   append(buffer, packed);
   return sha256(ByteView(buffer));
}

Checksum256 merkleNode(const Checksum256& left, const Checksum256& right) {
   std::uint8_t buffer[65];
   buffer[0] = 1;
   std::memcpy(buffer + 1, left.data(), 32);
   std::memcpy(buffer + 33, right.data(), 32);
   return sha256(ByteView(buffer));
}

void Merkle::push(const Checksum256& leaf) {
   stack.push_back(leaf);
   for (std::uint64_t rest = i; rest & 1 && stack.size() >= 2; rest >>= 1) {
      const Checksum256 right = stack.back();
      stack.pop_back();
      stack.back() = merkleNode(stack.back(), right);
   }
   ++i;
}

Checksum256 Merkle::root() const {
   if (stack.empty())
      return {};
   Checksum256 root = stack.back();
   for (std::size_t at = stack.size() - 1; at-- > 0;)
      root = merkleNode(stack[at], root);
   return root;
}

namespace {

Checksum256 leafOf(Bytes& buffer, ByteView key, ByteView value) {
   buffer.resize(9 + key.size() + value.size());
   std::uint8_t* at = buffer.data();
   *at++ = 0;
   frac::store32(at, key.size());
   if (!key.empty())
      std::memcpy(at + 4, key.data(), key.size());
   at += 4 + key.size();
   frac::store32(at, value.size());
   if (!value.empty())
      std::memcpy(at + 4, value.data(), value.size());
   return sha256(ByteView(buffer));
}

/// Where two keys part, the first being smaller.
std::uint64_t splitOf(ByteView a, ByteView b) {
   std::size_t common = 0;
   while (common < a.size() && a[common] == b[common])
      ++common;
   if (common == a.size())
      return 16 * std::uint64_t{common};
   const auto bits = static_cast<unsigned>(std::countl_zero(static_cast<std::uint8_t>(a[common] ^ b[common])));
   return 2 * (8 * std::uint64_t{common} + bits) + 1;
}

} // namespace

Checksum256 kvMerkleLeaf(ByteView key, ByteView value) {
   Bytes buffer;
   return leafOf(buffer, key, value);
}

void KvMerkle::fold(std::uint64_t split) {
   for (; !pending_.empty() && pending_.back().split > split; pending_.pop_back())
      last_ = merkleNode(pending_.back().hash, *last_);
}

void KvMerkle::push(ByteView key, ByteView value) {
   if (last_) {
      const std::uint64_t split = splitOf(lastKey_, key);
      fold(split);
      pending_.push_back({*last_, split});
   }
   last_ = leafOf(scratch_, key, value);
   lastKey_.assign(key.begin(), key.end());
}

Checksum256 KvMerkle::finish() {
   if (!last_)
      return {};
   for (; !pending_.empty(); pending_.pop_back())
      last_ = merkleNode(pending_.back().hash, *last_);
   const Checksum256 root = *last_;
   last_.reset();
   lastKey_.clear();
   return root;
}

} // namespace polis::format
