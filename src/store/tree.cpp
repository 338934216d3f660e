#include "store/tree.hpp"

#include "base/fault.hpp"

#include <algorithm>

namespace polis::store::detail {
namespace {

std::optional<Entry> firstOf(const Pool& pool, Ref ref) {
   while (ref) {
      if (pool.node(ref)->kind == Kind::leaf)
         return leafEntry(pool, *pool.leaf(ref), 0);
      const Inner& inner = *pool.inner(ref);
      ref = inner.own ? inner.own : pool.childOf(inner, static_cast<std::uint8_t>(inner.byteFrom(0)));
   }
   return std::nullopt;
}

std::optional<Entry> lastOf(const Pool& pool, Ref ref) {
   while (ref) {
      if (pool.node(ref)->kind == Kind::leaf)
         return leafEntry(pool, *pool.leaf(ref), pool.leaf(ref)->count - 1u);
      const Inner& inner = *pool.inner(ref);
      ref = inner.children ? pool.childOf(inner, static_cast<std::uint8_t>(inner.byteUpTo(255))) : inner.own;
   }
   return std::nullopt;
}

/// How the keys of a node lie to `key`, whose first `depth` bytes they share.
enum class Side { before, within, after };
Side sideOf(const Inner& inner, std::size_t depth, ByteView key) {
   const ByteView rest = key.subspan(depth), prefix{inner.prefix(), inner.prefixBytes};
   const std::size_t common = commonBytes(rest, prefix);
   if (common == prefix.size())
      return Side::within;
   return common < rest.size() && prefix[common] < rest[common] ? Side::before : Side::after;
}

} // namespace

ByteView leafValue(const Pool& pool, const Leaf& leaf, std::uint32_t at) {
   const std::uint32_t word = leaf.valueWord(at);
   const std::uint8_t* value = leaf.valueAt(at);
   if (word & blobFlag)
      return {pool.blob(loadRef(value))->value(), word & ~blobFlag};
   return {value, word};
}

Entry leafEntry(const Pool& pool, const Leaf& leaf, std::uint32_t at) {
   return {leaf.key(at), leafValue(pool, leaf, at)};
}

namespace {

std::optional<ByteView> valueIn(const Pool& pool, const Leaf& leaf, ByteView key) {
   const std::int32_t at = leafFind(leaf, key);
   return at < 0 ? std::nullopt : std::optional(leafValue(pool, leaf, static_cast<std::uint32_t>(at)));
}

/// The node below an inner one that may have the key; 0 when there is none. `depth`: how far the key has been followed.
/// Prefixes are not compared, nor whether an inner child is for the key's byte: the leaf holds the whole key.
Ref below(const Pool& pool, const Inner& inner, ByteView key, std::size_t& depth) {
   depth += inner.prefixBytes;
   if (key.size() <= depth)
      return key.size() == depth ? inner.own : 0;
   const std::uint8_t byte = key[depth++];
   if (!inner.wide) {
      const std::uint32_t count = inner.upTo(byte);
      return count ? inner.refs()[count - 1] : 0;
   }
   const int at = inner.byteUpTo(byte);
   return at < 0 ? 0 : pool.childOf(inner, static_cast<std::uint8_t>(at));
}

} // namespace

std::optional<ByteView> treeGet(const Pool& pool, Ref ref, ByteView key) {
   for (std::size_t depth = 0; ref; pool.prefetch(ref)) {
      if (pool.node(ref)->kind == Kind::leaf)
         return valueIn(pool, *pool.leaf(ref), key);
      ref = below(pool, *pool.inner(ref), key, depth);
   }
   return std::nullopt;
}

void treeGet(const Pool& pool, Ref root, std::span<const ByteView> keys, std::span<std::optional<ByteView>> values) {
   ASSERT(keys.size() == values.size());
   struct Way {
      Ref ref;
      std::size_t depth;
   };
   constexpr std::size_t atOnce = 16;
   for (std::size_t from = 0; from < keys.size(); from += atOnce) {
      const std::size_t count = std::min(atOnce, keys.size() - from);
      Way ways[atOnce];
      std::fill_n(ways, count, Way{root, 0});
      std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(from), count, std::nullopt);
      // A step of each in turn: when it comes to the next one of a way, that node is underway.
      for (bool going = true; going;) {
         going = false;
         for (std::size_t i = 0; i < count; ++i) {
            auto& [ref, depth] = ways[i];
            if (!ref)
               continue;
            if (pool.node(ref)->kind == Kind::leaf) {
               values[from + i] = valueIn(pool, *pool.leaf(ref), keys[from + i]);
               ref = 0;
               continue;
            }
            ref = below(pool, *pool.inner(ref), keys[from + i], depth);
            if (ref)
               pool.prefetch(ref);
            going |= ref != 0;
         }
      }
   }
}

std::optional<Entry> treeLowerBound(const Pool& pool, Ref ref, ByteView key) {
   // Where the subtree right after the path taken hangs.
   const Inner* above = nullptr;
   int afterByte = 0;
   const auto firstAfter = [&] {
      return above ? firstOf(pool, pool.childOf(*above, static_cast<std::uint8_t>(afterByte))) : std::nullopt;
   };
   std::size_t depth = 0;
   while (ref) {
      if (pool.node(ref)->kind == Kind::leaf) {
         const Leaf& leaf = *pool.leaf(ref);
         const std::uint32_t at = leafLowerBound(leaf, key);
         return at < leaf.count ? leafEntry(pool, leaf, at) : firstAfter();
      }
      const Inner& inner = *pool.inner(ref);
      const Side side = sideOf(inner, depth, key);
      depth += inner.prefixBytes;
      if (side == Side::before)
         break;
      if (side == Side::after || key.size() == depth)
         return firstOf(pool, ref);
      const std::uint8_t byte = key[depth++];
      if (const int next = byte < 255 ? inner.byteFrom(byte + 1) : -1; next >= 0) {
         above = &inner;
         afterByte = next;
      }
      const int at = childByte(pool, inner, byte);
      ref = at < 0 ? 0 : pool.childOf(inner, static_cast<std::uint8_t>(at));
   }
   return firstAfter();
}

std::optional<Entry> treeUpperBound(const Pool& pool, Ref root, ByteView key) {
   // The least key after `key` is `key` and a zero byte.
   if (key.size() < keyBytesMax) {
      std::uint8_t next[keyBytesMax];
      if (!key.empty())
         std::memcpy(next, key.data(), key.size());
      next[key.size()] = 0;
      return treeLowerBound(pool, root, {next, key.size() + 1});
   }
   Bytes next(key.begin(), key.end());
   next.push_back(0);
   return treeLowerBound(pool, root, next);
}

std::optional<Entry> treeLessThan(const Pool& pool, Ref ref, ByteView key) {
   // Where the subtree, or own, right before the path taken hangs: byte -1 is own.
   const Inner* above = nullptr;
   int beforeByte = 0;
   const auto lastBefore = [&] {
      if (!above)
         return std::optional<Entry>();
      return lastOf(pool, beforeByte < 0 ? above->own : pool.childOf(*above, static_cast<std::uint8_t>(beforeByte)));
   };
   std::size_t depth = 0;
   while (ref) {
      if (pool.node(ref)->kind == Kind::leaf) {
         const Leaf& leaf = *pool.leaf(ref);
         const std::uint32_t at = leafLowerBound(leaf, key);
         return at > 0 ? leafEntry(pool, leaf, at - 1) : lastBefore();
      }
      const Inner& inner = *pool.inner(ref);
      const Side side = sideOf(inner, depth, key);
      depth += inner.prefixBytes;
      if (side == Side::before)
         return lastOf(pool, ref);
      if (side == Side::after || key.size() == depth)
         break;
      const std::uint8_t byte = key[depth++];
      const int at = childByte(pool, inner, byte);
      if (const int previous = inner.byteUpTo(at < 0 ? byte : at - 1); previous >= 0 || inner.own) {
         above = &inner;
         beforeByte = previous;
      }
      ref = at < 0 ? 0 : pool.childOf(inner, static_cast<std::uint8_t>(at));
   }
   return lastBefore();
}

std::optional<Bytes> prefixEnd(ByteView prefix) {
   Bytes end(prefix.begin(), prefix.end());
   while (!end.empty() && end.back() == 0xFF)
      end.pop_back();
   if (end.empty())
      return std::nullopt;
   ++end.back();
   return end;
}

std::optional<Entry> treeLast(const Pool& pool, Ref root, ByteView prefix) {
   const auto end = prefixEnd(prefix);
   const auto entry = end ? treeLessThan(pool, root, *end) : lastOf(pool, root);
   if (!entry || !beginsWith(entry->key, prefix))
      return std::nullopt;
   return entry;
}

std::uint64_t treeSize(const Pool& pool, Ref ref) {
   if (!ref)
      return 0;
   return pool.node(ref)->kind == Kind::leaf ? pool.leaf(ref)->count : pool.inner(ref)->count;
}

bool narrow(Bounds& bounds, std::size_t depth, ByteView prefix) {
   if (bounds.low) {
      const ByteView rest = bounds.low->subspan(depth);
      const std::size_t common = commonBytes(rest, prefix);
      if (common < prefix.size() && common < rest.size() && prefix[common] < rest[common])
         return false;
      if (common < prefix.size() || common == rest.size())
         bounds.low.reset();
   }
   if (bounds.high) {
      const ByteView rest = bounds.high->subspan(depth);
      const std::size_t common = commonBytes(rest, prefix);
      if (common == rest.size() || (common < prefix.size() && prefix[common] > rest[common]))
         return false;
      if (common < prefix.size())
         bounds.high.reset();
   }
   return true;
}

namespace {

std::uint64_t countWithin(const Pool& pool, Ref ref, std::size_t depth, Bounds bounds) {
   if (bounds.all())
      return treeSize(pool, ref);
   if (pool.node(ref)->kind == Kind::leaf) {
      const auto [from, to] = leafRange(*pool.leaf(ref), bounds);
      return to - from;
   }
   const Inner& inner = *pool.inner(ref);
   if (!narrow(bounds, depth, {inner.prefix(), inner.prefixBytes}))
      return 0;
   if (bounds.all())
      return inner.count;
   std::uint64_t sum = 0;
   eachWithin(pool, inner, depth, bounds, [&](int byte, const Bounds& below) {
      sum += byte < 0 ? 1
                      : countWithin(pool, pool.childOf(inner, static_cast<std::uint8_t>(byte)),
                                    depth + inner.prefixBytes + 1, below);
   });
   return sum;
}

} // namespace

std::uint64_t treeRangeCount(const Pool& pool, Ref root, ByteView low, std::optional<ByteView> high) {
   if (!root || (high && compare(low, *high) >= 0))
      return 0;
   return countWithin(pool, root, 0, {low.empty() ? std::nullopt : std::optional(low), high});
}

namespace {

void needAt(Ref ref, bool holds, const char* what) {
   if (!holds)
      throw Fault("damaged: " + std::string(what) + " at byte " + std::to_string(std::uint64_t{ref} * unitBytes));
}

} // namespace

void checkPlace(const Pool& pool, Ref ref, const Place& place) {
   const std::size_t at = place.path.size();
   if (pool.node(ref)->kind == Kind::inner)
      needAt(ref, at + (place.first >= 0) + pool.inner(ref)->prefixBytes <= keyBytesMax, "path too long");
   if (pool.node(ref)->kind != Kind::leaf)
      return;
   const Leaf& leaf = *pool.leaf(ref);
   for (const std::size_t i : {std::size_t{0}, leaf.count - std::size_t{1}}) {
      const ByteView key = leaf.key(i);
      needAt(ref, beginsWith(key, place.path), "misplaced key");
      needAt(ref, place.first < 0 || (key.size() > at && key[at] >= place.first && key[at] <= place.last),
             "misplaced key");
   }
}

void checkNode(const Pool& pool, Ref ref, const Place& place) {
   const auto need = [&](bool holds, const char* what) { needAt(ref, holds, what); };
   const std::uint8_t sizeClass = pool.node(ref)->sizeClass;
   switch (pool.node(ref)->kind) {
   case Kind::leaf: {
      const Leaf& leaf = *pool.leaf(ref);
      const std::size_t bytes = classBytes(sizeClass);
      need(sizeClass < slabClass && bytes <= leafBytesMax, "leaf too long");
      need(leaf.count >= 1 && leaf.slotEnd() <= leaf.heap && leaf.heap <= bytes, "wrong bounds of a leaf");
      std::size_t used = 0, blobs = 0;
      for (std::uint32_t i = 0; i < leaf.count; ++i) {
         const LeafSlot& slot = leaf.slots()[i];
         need(slot.at >= leaf.heap && slot.keyBytes <= keyBytesMax && slot.at + 4u + slot.keyBytes <= bytes,
              "wrong bounds of an entry");
         const std::uint32_t word = leaf.valueWord(i);
         need((word & blobFlag) ? (word & ~blobFlag) <= valueBytesMax && (word & ~blobFlag) > inlineValueBytesMax
                                : word <= inlineValueBytesMax,
              "wrong length of a value");
         need(slot.at + entryBytes(slot.keyBytes, word) <= bytes, "wrong bounds of an entry");
         used += entryBytes(slot.keyBytes, word);
         blobs += (word & blobFlag) != 0;
         need(slot.keyBytes >= leaf.common && slot.head == keyHead(leaf.key(i), leaf.common), "wrong slot of an entry");
         need(same(leaf.key(i).first(leaf.common), leaf.key(0).first(leaf.common)), "wrong prefix of a leaf");
         need(i == 0 || compare(leaf.key(i - 1), leaf.key(i)) < 0, "keys out of order");
      }
      need(used + leaf.dead == bytes - leaf.heap, "wrong count of dead bytes");
      need(blobs == leaf.blobs, "wrong count of blobs");
      break;
   }
   case Kind::inner: {
      const Inner& inner = *pool.inner(ref);
      need(sizeClass < slabClass, "inner node too long");
      Inner ranks{};
      std::memcpy(ranks.present, inner.present, sizeof ranks.present);
      ranks.fillRank();
      need(ranks.children == inner.children && std::memcmp(ranks.rank, inner.rank, sizeof ranks.rank) == 0,
           "wrong count of children");
      need(inner.wide <= 1 && Inner::bytesFor(inner.prefixBytes, inner.refCount()) <= classBytes(sizeClass),
           "wrong bounds of an inner node");
      need(inner.children + (inner.own != 0) >= 2, "inner node without a branch");
      for (std::uint32_t i = 0; i < inner.refCount(); ++i)
         need((inner.refs()[i] != 0) == (!inner.wide || inner.groupPresent(i) != 0), "missing child");
      break;
   }
   case Kind::group: {
      const Group& group = *pool.group(ref);
      need(sizeClass < slabClass && group.count >= 1 && group.count <= groupBytes &&
               Group::bytesFor(group.count) <= classBytes(sizeClass),
           "wrong bounds of a group");
      for (std::uint32_t i = 0; i < group.count; ++i)
         need(group.refs()[i] != 0, "missing child");
      break;
   }
   case Kind::blob: {
      const Blob& blob = *pool.blob(ref);
      const std::size_t bytes = sizeClass == slabClass ? blob.slabs * slabBytes : classBytes(sizeClass);
      need(blob.length <= valueBytesMax && sizeof(Blob) + blob.length <= bytes, "wrong length of a blob");
      need((sizeClass == slabClass) == (blob.slabs != 0), "wrong slabs of a blob");
      break;
   }
   }
   checkPlace(pool, ref, place);
}

} // namespace polis::store::detail
