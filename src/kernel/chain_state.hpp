// One revision of the chain databases, being read or built.
#pragma once

#include "base/assert.hpp"
#include "format/native_tables.hpp"
#include "kernel/databases.hpp"
#include "store/store.hpp"

#include <optional>
#include <utility>

namespace polis::kernel {

/// Databases 0-5 of one block. Keys are store keys: database byte, then the raw key. One thread.
/// Views live until the next write or restore.
class ChainState {
public:
   /// Read only.
   explicit ChainState(store::Version version) : version_(std::move(version)) {}

   struct Writable {};
   ChainState(store::Version version, Writable) : version_(std::move(version)) { writer_.emplace(version_); }

   bool writable() const { return writer_.has_value(); }

   std::optional<ByteView> get(ByteView key) const { return writer_ ? writer_->get(key) : version_.get(key); }
   std::optional<store::Entry> lowerBound(ByteView key) const {
      return writer_ ? writer_->lowerBound(key) : version_.lowerBound(key);
   }
   std::optional<store::Entry> lessThan(ByteView key) const {
      return writer_ ? writer_->lessThan(key) : version_.lessThan(key);
   }
   std::optional<store::Entry> last(ByteView prefix) const {
      return writer_ ? writer_->last(prefix) : version_.last(prefix);
   }

   void put(ByteView key, ByteView value) {
      ASSERT(writable());
      codeChanges_ += decidesCode(key);
      writer_->put(key, value);
   }
   void remove(ByteView key) {
      ASSERT(writable());
      codeChanges_ += decidesCode(key);
      writer_->remove(key);
   }

   /// The state as it is now; O(1).
   store::Version snapshot() { return writer_ ? writer_->snapshot() : version_; }

   /// A savepoint; nothing in a read-only state.
   std::optional<store::Writer::Mark> mark() { return writer_ ? std::optional(writer_->mark()) : std::nullopt; }
   void keep(std::optional<store::Writer::Mark> mark) {
      if (mark)
         writer_->keep(*mark);
   }
   void rollBack(std::optional<store::Writer::Mark> mark) {
      if (!mark)
         return;
      ++codeChanges_;
      writer_->rollBack(*mark);
   }

   /// Grows whenever the rows may have changed that say which code runs, and within which limits.
   std::uint64_t codeChanges() const { return codeChanges_; }

private:
   /// Of `native` all but the status row, which every block writes.
   static bool decidesCode(ByteView key) {
      return key[0] == db::native &&
             !(key.size() >= 3 && key[1] == 0 && key[2] == static_cast<std::uint8_t>(format::NativeTable::status));
   }

   store::Version version_;
   std::optional<store::Writer> writer_;
   std::uint64_t codeChanges_ = 1;
};

} // namespace polis::kernel
