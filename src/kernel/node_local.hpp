// The node-local databases (64-67), shared by all threads, changed by optimistic commits.
#pragma once

#include "base/bytes.hpp"
#include "base/mutex.hpp"
#include "kernel/commit_turn.hpp"
#include "store/journal.hpp"
#include "store/store.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace polis::kernel {

/// One change. Keys are store keys: database byte, then the raw key. No value: removed.
struct LocalWrite {
   Bytes key;
   std::optional<Bytes> value;
};

/// Key ranges that were read, kept in one buffer. Bounded: where there are too many, wider ones stand for them.
class ReadSet {
public:
   static constexpr std::size_t rangesMax = 65536;
   /// No stored key is longer; what is read beyond counts as a range.
   static constexpr std::size_t keyBytesMax = 256;

   /// The one key.
   void addKey(ByteView key);
   /// Every key in [low, high).
   void addRange(ByteView low, ByteView high);
   bool empty() const { return ranges_.empty(); }
   std::size_t size() const { return ranges_.size(); }
   void clear();

   /// Sorts and merges; before `contains`, after the last add.
   void seal();
   bool contains(ByteView key) const;

private:
   struct Range {
      std::uint32_t low, lowBytes, high, highBytes;
   };
   void makeRoom();
   void append(ByteView low, ByteView high);
   ByteView low(const Range& r) const { return ByteView(bytes_).subspan(r.low, r.lowBytes); }
   ByteView high(const Range& r) const { return ByteView(bytes_).subspan(r.high, r.highBytes); }

   Bytes bytes_;
   std::vector<Range> ranges_;
};

/// State of the node-local databases at one commit.
struct LocalState {
   store::Version kept;    ///< 64 and 65
   store::Version session; ///< 66 and 67; empty after a restart
   std::uint64_t sequence = 0;
};

/// Thread-safe. The lock is held for a few store writes at most, never over wasm.
class NodeLocal {
public:
   /// journal: where commits to 64 and 65 go; null while a journal is being replayed (see `setJournal`).
   NodeLocal(store::Store& store, store::Version kept);

   void setJournal(store::Journal* journal);

   LocalState state() const;
   /// No rows at all.
   LocalState emptyState() const { return {empty_, empty_, 0}; }

   /// Makes `writes` part of the shared state if nothing in `reads` nor any written key changed since `base`.
   /// reads: sealed. next: the state that the writes lead to from `base`; used when nothing else was committed since.
   /// Returns where the journal must have reached for them to be durable, 0 when they are only for the session; none:
   /// conflict, nothing happened.
   [[nodiscard]] std::optional<store::JournalPosition>
   commit(const LocalState& base, const ReadSet& reads, const std::vector<LocalWrite>& writes, const LocalState& next);

   /// The node's own write, which always succeeds.
   void write(const std::vector<LocalWrite>& writes);

   /// As `write`, of a record that is in the journal already.
   void replay(const std::vector<LocalWrite>& writes);

   /// The kept state and the journal position that it belongs to.
   std::pair<store::Version, store::JournalPosition> cut() const;

   std::uint64_t conflicts() const;

   /// For those who commit.
   CommitTurn& turn() { return turn_; }

private:
   struct Commit {
      std::uint64_t sequence;
      std::vector<Bytes> keys;
   };
   void apply(const std::vector<LocalWrite>& writes) REQUIRES(mutex_);
   void record(const std::vector<LocalWrite>& writes) REQUIRES(mutex_);

   const store::Version empty_;
   mutable Mutex mutex_;
   LocalState state_ GUARDED_BY(mutex_);
   store::Journal* journal_ GUARDED_BY(mutex_) = nullptr;
   /// The newest commits, for validation; a checkout older than the oldest conflicts.
   std::deque<Commit> recent_ GUARDED_BY(mutex_);
   std::uint64_t conflicts_ GUARDED_BY(mutex_) = 0;
   CommitTurn turn_;
};

/// Whether two keys are in the order of the store: bytewise, shorter first.
bool keyLess(ByteView a, ByteView b);

/// First key after every key that starts with `prefix`; empty when there is none.
Bytes afterPrefix(ByteView prefix);

} // namespace polis::kernel
