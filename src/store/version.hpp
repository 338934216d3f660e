// An immutable state of the store, and ordered reads of it.
#pragma once

#include "base/bytes.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace polis::store {

/// Longest key and longest value that can be written, in bytes. Reads take keys of any length.
inline constexpr std::size_t keyBytesMax = 1024;
inline constexpr std::size_t valueBytesMax = std::size_t{16} << 20;

/// SHA-256; all zero stands for "no rows".
using MerkleRoot = std::array<std::uint8_t, 32>;

/// Views into the store; see the function that returned them for how long they live.
struct Entry {
   ByteView key;
   ByteView value;
};

/// Keys from `low` on, those before `high` when there is one.
struct KeyRange {
   Bytes low;
   std::optional<Bytes> high;

   static KeyRange withPrefix(ByteView prefix);
   bool contains(ByteView key) const;
};

/// How an entry differs between two versions: `before` is absent when it was inserted, `after` when it was removed.
struct Change {
   ByteView key;
   std::optional<ByteView> before, after;
};

namespace detail {
class Pool;
class Generations;
struct Generation;
/// Place of a node in the file, in units of 64 bytes; 0 is none.
using Ref = std::uint32_t;
} // namespace detail

class Cursor;

/// A counted reference to one immutable state: an ordered map from byte strings to byte strings, keys in
/// lexicographic order of unsigned bytes. Copying and dropping cost O(1) and are safe on any thread; one object is
/// not to be assigned and read at the same time. The store outlives its versions. A default-made version is empty
/// and belongs to no store.
class Version {
public:
   Version() = default;
   Version(const Version& other);
   Version(Version&& other) noexcept
      : generations_(other.generations_), generation_(std::exchange(other.generation_, nullptr)),
        root_(std::exchange(other.root_, 0)) {}
   Version& operator=(Version other) noexcept {
      std::swap(generations_, other.generations_);
      std::swap(generation_, other.generation_);
      std::swap(root_, other.root_);
      return *this;
   }
   ~Version();

   // Views live as long as some copy of this version.

   std::optional<ByteView> get(ByteView key) const;
   /// The value for each of the keys, in `values`, of which there are as many. Several at once take little longer than
   /// one, for they wait for memory together.
   void get(std::span<const ByteView> keys, std::span<std::optional<ByteView>> values) const;
   /// First entry at or after `key`.
   std::optional<Entry> lowerBound(ByteView key) const;
   /// First entry after `key`.
   std::optional<Entry> upperBound(ByteView key) const;
   /// Last entry before `key`.
   std::optional<Entry> lessThan(ByteView key) const;
   /// Last entry whose key begins with `prefix`.
   std::optional<Entry> last(ByteView prefix) const;
   /// A cursor that stands nowhere yet.
   Cursor cursor() const;

   bool empty() const { return root_ == 0; }
   /// Count of entries. O(1).
   std::uint64_t size() const;
   /// Count of entries with low <= key < high; without `high` to the end. O(depth x width of a node).
   std::uint64_t rangeCount(ByteView low, std::optional<ByteView> high) const;

   /// True when both are the same state by construction. Equal content reached on two ways may answer false.
   bool sameRoot(const Version& other) const { return root_ == other.root_; }

   /// Merkle root over the entries whose keys begin with `prefix`, taken with the prefix cut off. Roots of subtrees are
   /// remembered, so that a version much like one asked about before costs O(changes). Any thread.
   /// Source: spec, formats §7.3 (KvMerkle), consensus §7.1.
   MerkleRoot merkle(ByteView prefix) const;
   /// The same over the entries of any range, taken without their first `cutBytes` bytes, which all keys of the range
   /// have in common.
   MerkleRoot merkle(const KeyRange& range, std::size_t cutBytes) const;

   /// Proves to whoever has merkle(prefix) what the entries in `shown` are, or that there are none: for check() of
   /// Proof. Keys of `shown` are without the prefix. Ends early, behind some entry, when more than `bytesMax` bytes of
   /// entries are shown. Besides those it shows at most one entry on either side, of up to valueBytesMax bytes.
   Bytes prove(ByteView prefix, const KeyRange& shown, std::size_t bytesMax = SIZE_MAX) const;

   /// Calls `each`, in the order of keys, for every entry in `range` in which this version differs from `before`, until
   /// it returns false. Views live as long as the two versions. What both share is not looked at: O(changes), each
   /// times the width of the nodes above it. Versions of two stores can be compared too, but share nothing.
   /// Returns how many nodes were looked at.
   std::uint64_t changesSince(const Version& before, const KeyRange& range,
                              const std::function<bool(const Change&)>& each) const;

   /// Checks every rule of the tree; throws Fault that says what is broken and where. Costly: for tests and tools.
   void verify() const;

private:
   friend class Cursor;
   friend class Store;
   friend class Writer;
   /// Takes over a handle of the generation; null: no entries.
   Version(detail::Generations& generations, detail::Generation* generation);
   const detail::Pool& pool() const;

   detail::Generations* generations_ = nullptr;
   /// Null when there are no entries.
   detail::Generation* generation_ = nullptr;
   detail::Ref root_ = 0;
};

/// Walks a version in either direction. One thread at a time. Keeps its version; views of entries live as long as
/// some copy of that version, moves of the cursor do not touch them.
class Cursor {
public:
   explicit Cursor(Version version) : version_(std::move(version)) {}

   bool valid() const { return leaf_ != 0; }
   /// Requires valid().
   Entry entry() const;

   /// Each moves and returns valid().
   bool first();
   bool last();
   /// To the first entry at or after `key`.
   bool seek(ByteView key);
   /// To the last entry before `key`.
   bool seekBefore(ByteView key);
   /// Require valid(). Past either end the cursor becomes invalid.
   bool next();
   bool previous();

   const Version& version() const { return version_; }

private:
   struct Frame {
      detail::Ref inner;
      /// Byte of the child; -1 is the entry that ends at the node itself.
      std::int32_t at;
   };

   bool descendFirst(detail::Ref ref);
   bool descendLast(detail::Ref ref);
   /// Lets the leaves after the child just chosen at the end of the path come nearer.
   void fetchAhead();
   /// The child so many after that one, also when it is one of the next node's; 0 when it is not near.
   detail::Ref childAfter(std::size_t steps) const;
   bool climbNext();
   bool climbPrevious();

   Version version_;
   std::vector<Frame> path_;
   detail::Ref leaf_ = 0;
   std::uint32_t slot_ = 0;
   /// How many leaves after this one are underway.
   std::size_t ahead_ = 0;
};

} // namespace polis::store
