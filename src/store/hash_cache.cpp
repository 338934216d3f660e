#include "store/hash_cache.hpp"

namespace polis::store::detail {

std::span<HashCache::Slot> HashCache::slotsOf(const Node& node) {
   const std::uint64_t hash = (node.ref ^ std::uint64_t{node.cutBytes} << 32) * 0x9E37'79B9'7F4A'7C15;
   const std::size_t sets = slots_.size() / ways;
   return {slots_.data() + (hash >> 32) % sets * ways, ways};
}

std::optional<MerkleRoot> HashCache::find(const Node& node) {
   Lock lock(mutex_);
   if (!slots_.empty())
      for (const Slot& slot : slotsOf(node))
         if (slot.node == node)
            return slot.root;
   return std::nullopt;
}

void HashCache::add(const Node& node, const MerkleRoot& root) {
   Lock lock(mutex_);
   const std::size_t wanted = std::max<std::size_t>(1024, slots_.size() * 2);
   if (used_ * 2 >= slots_.size() && wanted * sizeof(Slot) <= bytesMax_) {
      std::vector<Slot> before(wanted);
      before.swap(slots_);
      used_ = 0;
      for (const Slot& slot : before)
         if (slot.node.birth)
            put(slot.node, slot.root);
   }
   if (!slots_.empty())
      put(node, root);
}

void HashCache::put(const Node& node, const MerkleRoot& root) {
   const auto slots = slotsOf(node);
   // The place of an older node at the same reference, which is gone; a free one; else any.
   Slot* chosen = &slots[(node.birth ^ node.ref) % ways];
   for (Slot& slot : slots)
      if (!slot.node.birth)
         chosen = &slot;
   for (Slot& slot : slots)
      if (slot.node.birth && slot.node.ref == node.ref && slot.node.cutBytes == node.cutBytes)
         chosen = &slot;
   used_ += chosen->node.birth == 0;
   *chosen = {node, root};
}

} // namespace polis::store::detail
