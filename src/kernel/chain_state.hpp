// One revision of the chain databases, being read or built.
#pragma once

#include "base/assert.hpp"
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
      writer_->put(key, value);
   }
   void remove(ByteView key) {
      ASSERT(writable());
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
      if (mark)
         writer_->rollBack(*mark);
   }

private:
   store::Version version_;
   std::optional<store::Writer> writer_;
};

} // namespace polis::kernel
