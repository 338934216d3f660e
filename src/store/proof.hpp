// Proofs of what is under a Merkle root, as Version::prove makes them.
#pragma once

#include "store/version.hpp"

#include <expected>
#include <string>

namespace polis::store {

/// Input that breaks a rule.
struct Rejection {
   std::string reason;
};

/// What a proof shows: a part of the Merkle tree, the rest of it hidden behind hashes. Its bytes, which may come from
/// anybody, outlive it. Keys are without the prefix that the root was taken for.
///
/// A proof lists the tree from left to right, a node behind its two branches: 0 and 32 bytes, a subtree that is not
/// shown; 1, u32 length, key, u32 length, value, an entry; 2, a node. The order of the tree is that of the keys.
class Proof {
public:
   /// Refuses what is no proof under `root`. Costs time and memory in proportion to the bytes.
   [[nodiscard]] static std::expected<Proof, Rejection> check(const MerkleRoot& root, ByteView bytes);

   /// The entries shown, in the order of keys.
   const std::vector<Entry>& entries() const { return entries_; }
   /// True when the tree has no entries in `range` but those shown.
   bool complete(const KeyRange& range) const;
   /// The value for the key, or that there is none. Rejection: the proof does not tell.
   [[nodiscard]] std::expected<std::optional<ByteView>, Rejection> get(ByteView key) const;

private:
   std::vector<Entry> entries_;
   /// Whether something hidden lies before each entry; at last: behind them all.
   std::vector<bool> hiddenBefore_{false};
};

namespace detail {
void writeProofHidden(Bytes& proof, const MerkleRoot& root);
void writeProofEntry(Bytes& proof, ByteView key, ByteView value);
void writeProofJoin(Bytes& proof);
} // namespace detail

} // namespace polis::store
