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

/// A block that was sealed or applied; it became head.
Bytes packBlockRecord(const format::SignedBlock& block);

/// A retained block became head.
Bytes packHeadRecord(const format::Checksum256& id);

struct LocalCommitRecord {
   std::vector<LocalWrite> writes;
};
struct BlockRecord {
   format::SignedBlock block;
};
struct HeadRecord {
   format::Checksum256 id;
};
using JournalRecord = std::variant<LocalCommitRecord, BlockRecord, HeadRecord>;

/// Throws Fault for bytes that no version of this program wrote: the journal's checksums were right.
JournalRecord unpackJournalRecord(ByteView record);

/// What a checkpoint says beside its versions.
struct CheckpointNote {
   /// The chain version holds every block record before this position, the kept version every commit before `local`.
   std::uint64_t chain = 0;
   std::uint64_t local = 0;
};

} // namespace polis::kernel
