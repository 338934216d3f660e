#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace polis::node {

/// Bytes of this process in memory, by what they are for. Names are the protocol's.
struct MemoryUse {
   std::uint64_t database = 0;
   std::uint64_t code = 0;
   std::uint64_t data = 0;
   std::uint64_t wasmMemory = 0; ///< as far as the system tells it from other memory
   std::uint64_t wasmCode = 0;
   std::uint64_t unclassified = 0;
};

/// One thread; times in microseconds, sizes in bytes, since it began.
struct ThreadUse {
   std::uint32_t id = 0;
   std::string group;
   std::uint64_t user = 0;
   std::uint64_t system = 0;
   std::uint64_t pageFaults = 0; ///< those that waited for the disk
   std::uint64_t read = 0;
   std::uint64_t written = 0;
};

struct TransactionCounts {
   std::uint64_t unprocessed = 0;
   std::uint64_t total = 0;
   std::uint64_t failed = 0;
   std::uint64_t succeeded = 0;
   std::uint64_t skipped = 0;
};

/// The answer of /native/admin/perf.
struct Performance {
   std::int64_t timestamp = 0; ///< monotonic, microseconds
   MemoryUse memory;
   std::vector<ThreadUse> tasks;
   TransactionCounts transactions;
};

/// smaps: text of /proc/PID/smaps. folder: of the node, absolute.
MemoryUse memoryUse(std::string_view smaps, const std::filesystem::path& folder);
/// stat, io: texts of /proc/PID/task/TID/…; io may be empty. ticksPerSecond: of the times in stat. Nothing when
/// malformed.
std::optional<ThreadUse> threadUse(std::string_view stat, std::string_view io, std::uint64_t ticksPerSecond);

/// Memory of this process, of all kinds; cheap.
std::uint64_t residentBytes();

/// Of this process, as far as the system tells. The rest is zero.
Performance measurePerformance(const std::filesystem::path& folder);

} // namespace polis::node
