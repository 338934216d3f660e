// Merkle trees over lists and over key-value states. Source: spec, formats §7.3.
#pragma once

#include "base/bytes.hpp"
#include "format/fracpack.hpp"
#include "format/hash.hpp"
#include "format/types.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace polis::format {

/// sha256(00 ‖ packed).
Checksum256 merkleLeafOfBytes(ByteView packed);
/// sha256(01 ‖ left ‖ right).
Checksum256 merkleNode(const Checksum256& left, const Checksum256& right);

template <class T>
Checksum256 merkleLeaf(const T& value) {
   return merkleLeafOfBytes(pack(value));
}

/// A list's tree while it grows: the roots of its full subtrees, left to right. Packs as the protocol's Merkle.
struct Merkle {
   std::uint64_t i = 0; ///< leaves so far
   std::vector<Checksum256> stack{};

   void push(const Checksum256& leaf);
   /// All zero for the empty list.
   Checksum256 root() const;

   friend bool operator==(const Merkle&, const Merkle&) = default;
};

/// Hash of a whole key-value state, fed in ascending key order.
class KvMerkle {
public:
   /// key: greater than every key before it.
   void push(ByteView key, ByteView value);
   /// All zero for the empty state. Ends the state.
   Checksum256 finish();

private:
   struct Pending {
      Checksum256 hash;
      std::uint64_t
          split; ///< where this subtree and the next one part: 2 × bit depth, + 1 unless it is the end of a key
   };
   void fold(std::uint64_t split);

   std::vector<Pending> pending_;
   Bytes lastKey_;
   Bytes scratch_;
   std::optional<Checksum256> last_;
};

/// sha256(00 ‖ u32le |k| ‖ k ‖ u32le |v| ‖ v).
Checksum256 kvMerkleLeaf(ByteView key, ByteView value);

} // namespace polis::format
