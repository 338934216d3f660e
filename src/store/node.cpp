#include "store/node.hpp"

#include "store/crc32c.hpp"

namespace polis::store::detail {
namespace {

/// First index whose (head, key) is not less. Reads an entry only where the heads are equal.
std::uint32_t slotLowerBound(const Leaf& leaf, std::uint32_t head, ByteView key) {
   const LeafSlot* slots = leaf.slots();
   std::uint32_t base = 0;
   for (std::uint32_t n = leaf.count; n > 0;) {
      const std::uint32_t half = n / 2, at = base + half;
      const bool less = slots[at].head != head ? slots[at].head < head : compare(leaf.key(at), key) < 0;
      base = less ? at + 1 : base;
      n = less ? n - half - 1 : half;
   }
   return base;
}

} // namespace

std::uint32_t leafLowerBound(const Leaf& leaf, ByteView key) {
   if (leaf.common) {
      const ByteView first = leaf.key(0).first(leaf.common);
      const std::size_t n = std::min(key.size(), first.size());
      const int order = n ? std::memcmp(key.data(), first.data(), n) : 0;
      if (order < 0 || (order == 0 && key.size() < first.size()))
         return 0;
      if (order > 0)
         return leaf.count;
   }
   return slotLowerBound(leaf, keyHead(key, leaf.common), key);
}

std::int32_t leafFind(const Leaf& leaf, ByteView key) {
   // A key without the common prefix may meet equal heads, never an equal key.
   const std::uint32_t i = slotLowerBound(leaf, keyHead(key, leaf.common), key);
   return i < leaf.count && same(leaf.key(i), key) ? static_cast<std::int32_t>(i) : -1;
}

std::uint32_t nodeChecksum(const NodeHead* node) {
   const auto* bytes = reinterpret_cast<const std::uint8_t*>(node);
   std::uint32_t crc = crc32c(0, {bytes, 4});
   switch (node->kind) {
   case Kind::leaf: {
      const auto* leaf = reinterpret_cast<const Leaf*>(node);
      crc = crc32c(crc, {bytes + 8, leaf->slotEnd() - 8});
      crc = crc32c(crc, {bytes + leaf->heap, classBytes(leaf->sizeClass) - leaf->heap});
      break;
   }
   case Kind::inner: {
      const auto* inner = reinterpret_cast<const Inner*>(node);
      crc = crc32c(crc, {bytes + 8, sizeof(Inner) - 8});
      crc = crc32c(crc, {inner->prefix(), inner->prefixBytes});
      crc = crc32c(crc, {reinterpret_cast<const std::uint8_t*>(inner->refs()), sizeof(Ref) * inner->refCount()});
      break;
   }
   case Kind::group: {
      const auto* group = reinterpret_cast<const Group*>(node);
      crc = crc32c(crc, {bytes + 8, Group::bytesFor(group->count) - 8});
      break;
   }
   case Kind::blob: {
      const auto* blob = reinterpret_cast<const Blob*>(node);
      crc = crc32c(crc, {bytes + 8, sizeof(Blob) - 8 + blob->length});
      break;
   }
   }
   return crc ? crc : 1;
}

} // namespace polis::store::detail
