// What the kernel writes to the journal.
#pragma once

#include "base/bytes.hpp"
#include "format/chain.hpp"
#include "kernel/node_local.hpp"

#include <expected>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace polis::kernel {

/// A commit to databases 64 and 65; writes to others are left out. Nothing when no write is left.
std::optional<Bytes> packLocalCommit(const std::vector<LocalWrite>& writes);

/// A block that was sealed, applied or executed. becameHead: it was head at once.
Bytes packBlockRecord(const format::SignedBlock& block, bool becameHead);

/// A retained block became head.
Bytes packHeadRecord(const format::Checksum256& id);

/// A block became irreversible because consensus said so.
Bytes packIrreversibleRecord(const format::Checksum256& id);

/// What consensus must never forget; the newest one counts.
Bytes packMemoryRecord(ByteView memory);

struct LocalCommitRecord {
   std::vector<LocalWrite> writes;
};
struct BlockRecord {
   format::SignedBlock block;
   bool becameHead = true;
};
struct HeadRecord {
   format::Checksum256 id;
};
struct IrreversibleRecord {
   format::Checksum256 id;
};
struct MemoryRecord {
   Bytes memory;
};
using JournalRecord = std::variant<LocalCommitRecord, BlockRecord, HeadRecord, IrreversibleRecord, MemoryRecord>;

/// Throws Fault for bytes that no version of this program wrote: the journal's checksums were right.
JournalRecord unpackJournalRecord(ByteView record);

/// What a checkpoint says beside its versions.
struct CheckpointNote {
   /// The chain version holds every block record before this position, the kept version every commit before `local`.
   std::uint64_t chain = 0;
   std::uint64_t local = 0;
   /// The newest memory of consensus; one that the journal still holds is newer, or the same.
   std::optional<Bytes> memory{};
};

} // namespace polis::kernel
