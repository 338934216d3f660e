// Reads of a tree by its root. Internal to the store. Views live as long as the nodes do.
#pragma once

#include "store/pool.hpp"

namespace polis::store::detail {

Entry leafEntry(const Pool& pool, const Leaf& leaf, std::uint32_t at);
ByteView leafValue(const Pool& pool, const Leaf& leaf, std::uint32_t at);

std::optional<ByteView> treeGet(const Pool& pool, Ref root, ByteView key);
/// The same for several keys, waiting for memory together.
void treeGet(const Pool& pool, Ref root, std::span<const ByteView> keys, std::span<std::optional<ByteView>> values);
std::optional<Entry> treeLowerBound(const Pool& pool, Ref root, ByteView key);
std::optional<Entry> treeUpperBound(const Pool& pool, Ref root, ByteView key);
std::optional<Entry> treeLessThan(const Pool& pool, Ref root, ByteView key);
std::optional<Entry> treeLast(const Pool& pool, Ref root, ByteView prefix);
std::uint64_t treeSize(const Pool& pool, Ref root);
std::uint64_t treeRangeCount(const Pool& pool, Ref root, ByteView low, std::optional<ByteView> high);

/// The least byte string above every one that begins with `prefix`; none when there is no such.
std::optional<Bytes> prefixEnd(ByteView prefix);

/// What a range low <= key < high leaves of itself below a node. Both absent: everything.
struct Bounds {
   std::optional<ByteView> low, high;
   bool all() const { return !low && !high; }
};
/// The view lives as long as the range.
inline Bounds boundsOf(const KeyRange& range) {
   return {range.low.empty() ? std::nullopt : std::optional<ByteView>(range.low),
           range.high ? std::optional<ByteView>(*range.high) : std::nullopt};
}
/// Narrows `bounds` to the keys that begin with a path of `depth` bytes (shared with the bounds that are there) and
/// then `prefix`. False when none of them can lie within.
bool narrow(Bounds& bounds, std::size_t depth, ByteView prefix);

/// What remains of bounds, narrowed to a node whose path and prefix have `at` bytes, for keys that go on with a byte
/// from `first` to `last`; none when nothing does.
inline std::optional<Bounds> boundsBelow(const Bounds& bounds, std::size_t at, std::uint8_t first, std::uint8_t last) {
   if ((bounds.low && last < (*bounds.low)[at]) || (bounds.high && first > (*bounds.high)[at]))
      return std::nullopt;
   return Bounds{bounds.low && first <= (*bounds.low)[at] ? bounds.low : std::nullopt,
                 bounds.high && last >= (*bounds.high)[at] ? bounds.high : std::nullopt};
}

/// The last byte that the child at `byte` stands for.
inline std::uint8_t lastByteOf(const Pool& pool, const Inner& inner, std::uint8_t byte) {
   return pool.node(pool.childOf(inner, byte))->kind == Kind::leaf ? inner.blockEnd(byte) : byte;
}

/// The byte at which a node has the child for `byte`; -1 when there is none.
inline int childByte(const Pool& pool, const Inner& inner, std::uint8_t byte) {
   const int at = inner.byteUpTo(byte);
   return at < 0 || at == byte || lastByteOf(pool, inner, static_cast<std::uint8_t>(at)) >= byte ? at : -1;
}

/// Calls each(byte, within) for a node's own (byte -1) and children that may have keys within `bounds`, which must
/// have been narrowed to the node; `within` is what remains of the bounds below it.
template <class Each>
void eachWithin(const Pool& pool, const Inner& inner, std::size_t depth, const Bounds& bounds, Each&& each) {
   if (inner.own && !bounds.low)
      each(-1, Bounds{});
   const std::size_t at = depth + inner.prefixBytes;
   const int from = bounds.low ? inner.byteUpTo((*bounds.low)[at]) : -1;
   for (int next = inner.byteFrom(std::max(from, 0)); next >= 0; next = next < 255 ? inner.byteFrom(next + 1) : -1) {
      const auto byte = static_cast<std::uint8_t>(next);
      if (bounds.high && byte > (*bounds.high)[at])
         break;
      // What is between the edges need not be looked at.
      const bool edge = next == from || (bounds.high && inner.blockEnd(byte) >= (*bounds.high)[at]);
      if (const auto below = boundsBelow(bounds, at, byte, edge ? lastByteOf(pool, inner, byte) : byte))
         each(next, *below);
   }
}

/// The entries of a leaf within bounds: from, to.
inline std::pair<std::uint32_t, std::uint32_t> leafRange(const Leaf& leaf, const Bounds& bounds) {
   const std::uint32_t from = bounds.low ? leafLowerBound(leaf, *bounds.low) : 0;
   const std::uint32_t to = bounds.high ? leafLowerBound(leaf, *bounds.high) : leaf.count;
   return {from, std::max(from, to)};
}

/// Where a node stands: what all keys below it begin with, and then, unless `last` is -1, a byte from `first` to `last`
/// when it is a leaf, and `first` when it is not.
struct Place {
   ByteView path;
   int first = -1, last = -1;
};
/// Whether what lies at `ref` is a sound node for a place under `path`. Looks at the node alone. Throws Fault. For
/// bytes that are not trusted yet.
void checkNode(const Pool& pool, Ref ref, const Place& place);
/// Of a sound node: whether it may stand there.
void checkPlace(const Pool& pool, Ref ref, const Place& place);

} // namespace polis::store::detail
