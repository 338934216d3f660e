// Merkle roots of nodes, remembered. Internal to the store.
//
// A node that a version sees does not change as long as the version lives, and no later node at the same place has the
// same birth; so place and birth say for ever what the root is. Forgetting is always allowed.
#pragma once

#include "base/mutex.hpp"
#include "store/node.hpp"

namespace polis::store::detail {

/// Safe on any thread.
class HashCache {
public:
   explicit HashCache(std::size_t bytesMax) : bytesMax_(bytesMax) {}

   struct Node {
      Ref ref;
      /// Count of first bytes that the keys were taken without.
      std::uint32_t cutBytes;
      std::uint64_t birth;
      bool operator==(const Node&) const = default;
   };
   std::optional<MerkleRoot> find(const Node& node);
   void add(const Node& node, const MerkleRoot& root);

private:
   struct Slot {
      /// Birth 0: free.
      Node node;
      MerkleRoot root;
   };
   /// A node may be in one of so many neighbours.
   static constexpr std::size_t ways = 4;

   std::span<Slot> slotsOf(const Node& node) REQUIRES(mutex_);
   void put(const Node& node, const MerkleRoot& root) REQUIRES(mutex_);

   const std::size_t bytesMax_;
   Mutex mutex_;
   /// A power of two of them, or none.
   std::vector<Slot> slots_ GUARDED_BY(mutex_);
   std::size_t used_ GUARDED_BY(mutex_) = 0;
};

} // namespace polis::store::detail
