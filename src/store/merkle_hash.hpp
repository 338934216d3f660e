// The two hashes that a Merkle tree is made of. Internal to the store.
#pragma once

#include "base/bytes.hpp"
#include "store/version.hpp"

#include <memory>

namespace polis::store::detail {

/// One thread at a time. Throws Fault when the system has no SHA-256.
class MerkleHash {
public:
   MerkleHash();
   ~MerkleHash();
   MerkleHash(const MerkleHash&) = delete;
   MerkleHash& operator=(const MerkleHash&) = delete;

   MerkleRoot entry(ByteView key, ByteView value);
   /// Neither is the root of nothing.
   MerkleRoot join(const MerkleRoot& left, const MerkleRoot& right);

private:
   struct State;
   std::unique_ptr<State> state_;
};

} // namespace polis::store::detail
