// An append-only log of records, made durable by group commit.
#pragma once

#include "base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

namespace polis::store {

/// A place between two records, counted in bytes since the journal's first. Grows with every record.
using JournalPosition = std::uint64_t;

/// Longest record, in bytes.
inline constexpr std::size_t recordBytesMax = std::size_t{64} << 20;

class FileWatch;

struct JournalOptions {
   /// A new file begins when the present one has reached this size.
   std::uint64_t segmentBytes = std::uint64_t{64} << 20;
   /// The file is filled with zeros this far ahead: overwriting is made durable several times faster than appending,
   /// for the file system has nothing to note about itself.
   std::uint64_t aheadBytes = std::uint64_t{4} << 20;
   /// So many segments that are no longer needed are kept to be written again, which needs no zeros and no room.
   std::size_t sparesMax = 16;
   /// For tests; outlives the journal.
   FileWatch* watch = nullptr;
};

/// One folder of segment files, opened by one process at a time. Functions are safe on any thread.
/// After a crash everything up to the last finished sync() is there, in order, and perhaps some records after it; a
/// torn tail is cut off when opening. Errors: all throw Fault; after a failed write or sync every later one fails too.
class Journal {
public:
   /// Faults: already open, foreign, newer, or damaged before the durable end (says where).
   static std::unique_ptr<Journal> open(const std::filesystem::path& folder, const JournalOptions& options = {});
   ~Journal();
   Journal(const Journal&) = delete;
   Journal& operator=(const Journal&) = delete;

   /// Adds a record of at most recordBytesMax bytes. Returns the position behind it. Not durable yet.
   JournalPosition append(ByteView record);

   /// Returns when everything before `upTo` is durable. Callers that come while another syncs share one sync.
   void sync(JournalPosition upTo);
   /// sync(end()).
   void sync();

   /// Position behind the last record.
   JournalPosition end() const;
   /// Position of the first record still held.
   JournalPosition begin() const;
   /// Everything before this is durable.
   JournalPosition durable() const;

   /// Calls `record` for each record from position `from` (as append returned it, or begin()) to the end that the
   /// journal had when called, with the position behind the record. The view lives until the callback returns.
   /// Appending meanwhile is allowed. Faults: `from` is no position of a record, or is no longer held.
   void replay(JournalPosition from, const std::function<void(JournalPosition after, ByteView record)>& record) const;

   /// Lets go of the segments that hold nothing at or after `position`.
   void truncateBefore(JournalPosition position);

private:
   struct State;
   explicit Journal(std::unique_ptr<State> state);
   std::unique_ptr<State> state_;
};

} // namespace polis::store
