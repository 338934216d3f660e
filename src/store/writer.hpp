// A write session: changes on top of a version.
#pragma once

#include "store/version.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace polis::store {

/// A copy-on-write session over a version, for one thread at a time. Other versions never see its changes; what only
/// this session can reach is changed in place. Any number of sessions may run at once, each on its own thread.
///
/// Views that reads return live until the next change (put, remove, removeRange, rollBack, reset) of this writer.
/// Throws Fault when the disk is full; the session then still holds a whole state, without the change that failed.
class Writer {
public:
   /// `base` belongs to a store.
   explicit Writer(Version base);
   ~Writer();
   Writer(const Writer&) = delete;
   Writer& operator=(const Writer&) = delete;

   std::optional<ByteView> get(ByteView key) const;
   /// See Version::get.
   void get(std::span<const ByteView> keys, std::span<std::optional<ByteView>> values) const;
   std::optional<Entry> lowerBound(ByteView key) const;
   std::optional<Entry> upperBound(ByteView key) const;
   std::optional<Entry> lessThan(ByteView key) const;
   std::optional<Entry> last(ByteView prefix) const;
   std::uint64_t size() const;
   std::uint64_t rangeCount(ByteView low, std::optional<ByteView> high) const;

   /// Inserts or replaces. key.size() <= keyBytesMax and value.size() <= valueBytesMax: the caller has checked.
   /// Neither may point into this writer's own entries.
   void put(ByteView key, ByteView value);
   /// True when the key was there.
   bool remove(ByteView key);
   /// Removes low <= key < high; without `high` to the end. Returns how many. Cheap however many they are.
   std::uint64_t removeRange(ByteView low, std::optional<ByteView> high);

   /// The present state as a version of its own. O(1), but the next changes copy their paths again: for a savepoint
   /// that is mostly kept, mark() is cheaper.
   Version snapshot();
   /// Goes on from `version`, of the same store. Outstanding marks are forgotten.
   void reset(Version version);

   /// A savepoint by undo list: costs nothing when taken, and a copy of the old value for each change after it.
   /// Marks nest: each is ended by exactly one keep or rollBack, the innermost first.
   struct Mark {
      std::size_t undoCount;
   };
   [[nodiscard]] Mark mark();
   /// The changes since the mark stay (and an outer mark can still undo them).
   void keep(Mark mark);
   /// Undoes the changes since the mark.
   void rollBack(Mark mark);
   /// Count of marks not yet ended.
   std::size_t marks() const;

private:
   struct State;
   void startFrom(const Version& version);
   /// Before a change at `key`: true when the value there is still to be noted.
   bool noteKey(ByteView key);
   void noteRoot();
   std::unique_ptr<State> state_;
};

} // namespace polis::store
