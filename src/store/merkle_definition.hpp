// The Merkle root of a map, read off its definition: spec, formats §7.3. For tests.
#pragma once

#include "store/version.hpp"

#include <map>
#include <openssl/sha.h>

namespace polis::store {

inline MerkleRoot sha(const Bytes& bytes) {
   MerkleRoot out;
   SHA256(bytes.data(), bytes.size(), out.data());
   return out;
}

inline void append32(Bytes& out, std::size_t n) {
   for (int i = 0; i < 4; ++i)
      out.push_back(static_cast<std::uint8_t>(n >> (8 * i)));
}

/// H(p) as defined, over the keys in [from, to) which all begin with the first `bits` bits of the first.
inline MerkleRoot defined(std::map<Bytes, Bytes>::const_iterator from, std::map<Bytes, Bytes>::const_iterator to,
                          std::size_t bits) {
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

inline MerkleRoot defined(const std::map<Bytes, Bytes>& rows) { return defined(rows.begin(), rows.end(), 0); }

} // namespace polis::store
