// Nodes as they lie in the file. Internal to the store.
//
// A leaf holds whole entries, sorted. An inner node stands for a byte string (the path to it, then its own prefix):
// every key below begins with it; the next byte selects the child; `own` is a leaf with the one entry whose key ends
// right there. A child that is an inner node is for one byte. One that is a leaf is for a block of bytes: a power of
// two of them, beginning at a multiple of their count, as many as its neighbours allow. So the entries of a leaf are
// all that share some first bits. A node with many children is wide: it refers to groups of them, so that to copy it
// costs little. A blob is one long value.
#pragma once

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "store/version.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace polis::store::detail {

static_assert(std::endian::native == std::endian::little, "the file holds little-endian numbers");

inline constexpr std::size_t unitBytes = 64;
inline constexpr std::uint32_t slabUnits = 1024;
inline constexpr std::size_t slabBytes = unitBytes * slabUnits;

/// A leaf is at most this long; when its entries all share the byte that selects it and would need more, it becomes an
/// inner node with leaves.
inline constexpr std::size_t leafBytesMax = 2048;
/// When they do not share it, a leaf that would need more than this is split.
inline constexpr std::size_t leafSplitBytes = 1280;
/// Longer values lie outside the leaf.
inline constexpr std::size_t inlineValueBytesMax = 512;

enum class Kind : std::uint8_t { leaf = 1, inner = 2, blob = 3, group = 4 };

/// What every node begins with.
struct NodeHead {
   Kind kind;
   std::uint8_t sizeClass;
   std::uint16_t a;
   /// Checksum of the node once a checkpoint holds it, never 0 then; 0 while it may still change.
   std::uint32_t seal;
   /// Number of the generation that made the node, or was the last to change it. Never less than that of a node below.
   std::uint64_t birth;
};
static_assert(sizeof(NodeHead) == 16);

struct LeafSlot {
   /// The key's 4 bytes after the leaf's common prefix, big-endian, filled up with zeros.
   std::uint32_t head;
   /// Where the entry begins, in bytes from the start of the leaf.
   std::uint16_t at;
   std::uint16_t keyBytes;
};
static_assert(sizeof(LeafSlot) == 8);

/// Followed by the slots; entries fill the node from its end downwards.
/// Entry: valueWord (4 bytes), key, then the value, or the Ref of its blob.
struct Leaf {
   Kind kind;
   std::uint8_t sizeClass;
   std::uint16_t count;
   std::uint32_t seal;
   std::uint64_t birth;
   /// All keys share this many first bytes.
   std::uint16_t common;
   /// Lowest byte in use by entries.
   std::uint16_t heap;
   /// Bytes of entries no longer in use.
   std::uint16_t dead;
   /// Count of entries whose value is a blob.
   std::uint16_t blobs;

   LeafSlot* slots() { return reinterpret_cast<LeafSlot*>(this + 1); }
   const LeafSlot* slots() const { return reinterpret_cast<const LeafSlot*>(this + 1); }
   std::uint8_t* bytes() { return reinterpret_cast<std::uint8_t*>(this); }
   const std::uint8_t* bytes() const { return reinterpret_cast<const std::uint8_t*>(this); }
   std::size_t slotEnd() const { return sizeof(Leaf) + sizeof(LeafSlot) * count; }
   std::size_t gap() const { return heap - slotEnd(); }

   ByteView key(std::size_t i) const {
      const LeafSlot& slot = slots()[i];
      return {bytes() + slot.at + 4, slot.keyBytes};
   }
   std::uint32_t valueWord(std::size_t i) const {
      std::uint32_t word;
      std::memcpy(&word, bytes() + slots()[i].at, 4);
      return word;
   }
   /// Where the value's bytes or its Ref are.
   const std::uint8_t* valueAt(std::size_t i) const { return bytes() + slots()[i].at + 4 + slots()[i].keyBytes; }
};
static_assert(sizeof(Leaf) == 24);

inline constexpr std::uint32_t blobFlag = 0x8000'0000;
inline std::size_t storedValueBytes(std::uint32_t word) { return word & blobFlag ? sizeof(Ref) : word; }
inline std::size_t entryBytes(std::size_t keyBytes, std::uint32_t word) {
   return 4 + keyBytes + storedValueBytes(word);
}
inline Ref loadRef(const std::uint8_t* at) {
   Ref ref;
   std::memcpy(&ref, at, sizeof ref);
   return ref;
}

/// More children than this make an inner node wide; with fewer than the other it becomes narrow again.
inline constexpr std::size_t narrowChildrenMax = 32, wideChildrenMin = 12;
/// A group is for this many values of the byte.
inline constexpr std::size_t groupBytes = 32, groupsMax = 256 / groupBytes;

/// Followed by the prefix, filled up to a multiple of 4, then, when narrow, one Ref per child in the order of their
/// bytes; when wide, one Ref per group, 0 where it would be empty.
struct Inner {
   Kind kind;
   std::uint8_t sizeClass;
   std::uint16_t prefixBytes;
   std::uint32_t seal;
   std::uint64_t birth;
   /// Count of entries below.
   std::uint64_t count;
   std::uint16_t children;
   std::uint16_t spare;
   Ref own;
   /// Count of children in the words of `present` before this one.
   std::uint8_t rank[4];
   std::uint32_t wide;
   /// Bit b is set when there is a child for byte b, or for a block of bytes that begins with b.
   std::uint64_t present[4];

   std::uint8_t* prefix() { return reinterpret_cast<std::uint8_t*>(this + 1); }
   const std::uint8_t* prefix() const { return reinterpret_cast<const std::uint8_t*>(this + 1); }
   static std::size_t refsAt(std::size_t prefixBytes) { return sizeof(Inner) + ((prefixBytes + 3) & ~std::size_t{3}); }
   Ref* refs() { return reinterpret_cast<Ref*>(reinterpret_cast<std::uint8_t*>(this) + refsAt(prefixBytes)); }
   const Ref* refs() const {
      return reinterpret_cast<const Ref*>(reinterpret_cast<const std::uint8_t*>(this) + refsAt(prefixBytes));
   }
   static std::size_t bytesFor(std::size_t prefixBytes, std::size_t refs) {
      return refsAt(prefixBytes) + sizeof(Ref) * refs;
   }
   /// Count of the node's refs: children, or groups.
   std::size_t refCount() const { return wide ? groupsMax : children; }

   bool has(std::uint8_t byte) const { return present[byte >> 6] >> (byte & 63) & 1; }
   /// Count of children whose byte is less than `byte`.
   std::uint32_t below(std::uint8_t byte) const {
      const std::uint64_t word = present[byte >> 6] & ((std::uint64_t{1} << (byte & 63)) - 1);
      return rank[byte >> 6] + static_cast<std::uint32_t>(std::popcount(word));
   }
   /// Count of children whose byte is at most `byte`.
   std::uint32_t upTo(std::uint8_t byte) const {
      const std::uint64_t word = present[byte >> 6] << (63 - (byte & 63));
      return rank[byte >> 6] + static_cast<std::uint32_t>(std::popcount(word));
   }
   /// The last byte that the child at `byte`, which is there, stands for when it is a leaf: that of the longest block
   /// which begins there and has no other child.
   std::uint8_t blockEnd(std::uint8_t byte) const {
      const unsigned aligned = byte ? byte & (~unsigned{byte} + 1) : 256u;
      return static_cast<std::uint8_t>(byte + std::min(aligned, std::bit_floor(nextByte(byte) - byte)) - 1);
   }
   /// The first byte of the longest block that holds `byte` and has no child.
   std::uint8_t freeBlock(std::uint8_t byte) const {
      const int before = byteUpTo(byte);
      const unsigned after = nextByte(byte);
      unsigned first = byte;
      for (unsigned bytes = 2; bytes <= 256; bytes *= 2) {
         const unsigned wider = byte & ~(bytes - 1);
         if (static_cast<int>(wider) <= before || wider + bytes > after)
            break;
         first = wider;
      }
      return static_cast<std::uint8_t>(first);
   }
   /// The bits of the group that `byte` belongs to.
   std::uint32_t groupPresent(std::size_t group) const {
      return static_cast<std::uint32_t>(present[group / 2] >> (group % 2 * groupBytes));
   }
   /// Place in its group of the child for `byte`.
   std::uint32_t groupIndex(std::uint8_t byte) const {
      const std::uint32_t lower = groupPresent(byte / groupBytes) & ((std::uint32_t{1} << (byte % groupBytes)) - 1);
      return static_cast<std::uint32_t>(std::popcount(lower));
   }
   /// The first byte after `byte` that has a child; 256 when there is none.
   unsigned nextByte(std::uint8_t byte) const {
      const int next = byte < 255 ? byteFrom(byte + 1) : -1;
      return next < 0 ? 256u : static_cast<unsigned>(next);
   }
   /// The first byte from `from` on that has a child; -1 when there is none.
   int byteFrom(int from) const {
      for (int word = from >> 6; word < 4; ++word, from = word * 64)
         if (const std::uint64_t bits = present[word] >> (from & 63))
            return from + std::countr_zero(bits);
      return -1;
   }
   /// The last byte up to `to` that has a child; -1 when there is none.
   int byteUpTo(int to) const {
      for (int word = to >> 6; word >= 0 && to >= 0; --word, to = word * 64 + 63)
         if (const std::uint64_t bits = present[word] << (63 - (to & 63)))
            return to - std::countl_zero(bits);
      return -1;
   }
   void fillRank() {
      std::uint32_t sum = 0;
      for (int i = 0; i < 4; ++i) {
         rank[i] = static_cast<std::uint8_t>(sum);
         sum += static_cast<std::uint32_t>(std::popcount(present[i]));
      }
      children = static_cast<std::uint16_t>(sum);
   }
};
static_assert(sizeof(Inner) == 72);

/// Calls each(byte) for every child, in order.
template <class Each>
void eachByte(const Inner& inner, Each&& each) {
   for (unsigned word = 0; word < 4; ++word)
      for (std::uint64_t bits = inner.present[word]; bits; bits &= bits - 1)
         each(static_cast<std::uint8_t>(word * 64 + static_cast<unsigned>(std::countr_zero(bits))));
}

/// Children of a wide node, in the order of their bytes: as many as the node has bits there.
struct Group {
   Kind kind;
   std::uint8_t sizeClass;
   std::uint16_t count;
   std::uint32_t seal;
   std::uint64_t birth;

   Ref* refs() { return reinterpret_cast<Ref*>(this + 1); }
   const Ref* refs() const { return reinterpret_cast<const Ref*>(this + 1); }
   static std::size_t bytesFor(std::size_t count) { return sizeof(Group) + sizeof(Ref) * count; }
};
static_assert(sizeof(Group) == 16);

/// Followed by the value.
struct Blob {
   Kind kind;
   std::uint8_t sizeClass;
   std::uint16_t spare;
   std::uint32_t seal;
   std::uint64_t birth;
   std::uint32_t length;
   /// Slabs it covers, when it has slabs of its own; else 0.
   std::uint32_t slabs;

   std::uint8_t* value() { return reinterpret_cast<std::uint8_t*>(this + 1); }
   const std::uint8_t* value() const { return reinterpret_cast<const std::uint8_t*>(this + 1); }
};
static_assert(sizeof(Blob) == 24);

/// Sizes of nodes, in units. The last class stands for whole slabs.
inline constexpr std::uint16_t classUnits[] = {1,  2,  3,  4,  5,  6,  7,  8,  10,  12,  14,  16,  20,  24,
                                               28, 32, 36, 40, 48, 56, 64, 96, 128, 170, 204, 256, 341, 512};
inline constexpr std::uint8_t slabClass = sizeof classUnits / sizeof classUnits[0];
inline constexpr std::uint8_t classCount = slabClass + 1;
inline constexpr std::uint8_t noClass = 0xFF;

inline constexpr std::size_t classBytes(std::uint8_t sizeClass) { return classUnits[sizeClass] * unitBytes; }

/// Smallest class of at least `bytes`; slabClass when none is.
inline constexpr std::uint8_t classFor(std::size_t bytes) {
   const std::size_t units = (bytes + unitBytes - 1) / unitBytes;
   if (units <= 8)
      return units ? static_cast<std::uint8_t>(units - 1) : std::uint8_t{0};
   return static_cast<std::uint8_t>(std::lower_bound(classUnits + 8, classUnits + slabClass, units) - classUnits);
}
static_assert(classFor(1) == 0 && classFor(64) == 0 && classFor(65) == 1 && classFor(512) == 7 && classFor(513) == 8);
static_assert(classFor(32768) == slabClass - 1 && classFor(32769) == slabClass);
// A leaf's offsets have 16 bits, and an inner node with the longest prefix and all children must fit a class.
static_assert(leafBytesMax <= 0xFFFF &&
              sizeof(Inner) + keyBytesMax + narrowChildrenMax * sizeof(Ref) <= classBytes(slabClass - 1));
// A single entry always fits a leaf.
static_assert(sizeof(Leaf) + sizeof(LeafSlot) + 4 + keyBytesMax + inlineValueBytesMax <= leafBytesMax);
inline constexpr std::size_t leafEntriesMax = (leafBytesMax - sizeof(Leaf)) / (sizeof(LeafSlot) + 4) + 1;

inline std::size_t commonBytes(ByteView a, ByteView b) {
   const std::size_t n = std::min(a.size(), b.size());
   std::size_t i = 0;
   for (; i + 8 <= n; i += 8) {
      std::uint64_t x, y;
      std::memcpy(&x, a.data() + i, 8);
      std::memcpy(&y, b.data() + i, 8);
      if (x != y)
         return i + static_cast<std::size_t>(std::countr_zero(x ^ y)) / 8;
   }
   while (i < n && a[i] == b[i])
      ++i;
   return i;
}

inline int compare(ByteView a, ByteView b) {
   const std::size_t n = std::min(a.size(), b.size());
   if (n)
      if (const int order = std::memcmp(a.data(), b.data(), n))
         return order;
   return a.size() < b.size() ? -1 : a.size() > b.size();
}

inline bool same(ByteView a, ByteView b) {
   return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

inline bool beginsWith(ByteView key, ByteView prefix) {
   return key.size() >= prefix.size() && same(key.first(prefix.size()), prefix);
}

/// LeafSlot::head of a key in a leaf whose keys share `common` bytes.
inline std::uint32_t keyHead(ByteView key, std::size_t common) {
   if (key.size() >= common + 4) {
      std::uint32_t word;
      std::memcpy(&word, key.data() + common, 4);
      return __builtin_bswap32(word);
   }
   std::uint32_t head = 0;
   for (std::size_t i = common; i < common + 4; ++i)
      head = head << 8 | (i < key.size() ? key[i] : 0u);
   return head;
}

/// Index of the first entry at or after `key`; the leaf's count when there is none.
std::uint32_t leafLowerBound(const Leaf& leaf, ByteView key);
/// Index of the entry; -1 when there is none.
std::int32_t leafFind(const Leaf& leaf, ByteView key);

/// Calls each(ref) for every node that this one refers to.
template <class Each>
void eachRef(const NodeHead& node, Each&& each) {
   switch (node.kind) {
   case Kind::inner: {
      const auto& inner = reinterpret_cast<const Inner&>(node);
      if (inner.own)
         each(inner.own);
      for (std::size_t i = 0; i < inner.refCount(); ++i)
         if (inner.refs()[i])
            each(inner.refs()[i]);
      break;
   }
   case Kind::group: {
      const auto& group = reinterpret_cast<const Group&>(node);
      for (std::uint32_t i = 0; i < group.count; ++i)
         each(group.refs()[i]);
      break;
   }
   case Kind::leaf: {
      const auto& leaf = reinterpret_cast<const Leaf&>(node);
      for (std::uint32_t i = 0; leaf.blobs && i < leaf.count; ++i)
         if (leaf.valueWord(i) & blobFlag)
            each(loadRef(leaf.valueAt(i)));
      break;
   }
   case Kind::blob:
      break;
   }
}

/// Checksum as kept in `seal`.
std::uint32_t nodeChecksum(const NodeHead* node);

} // namespace polis::store::detail
