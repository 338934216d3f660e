// How much memory there is for this process.
#pragma once

#include <cstdint>

namespace polis::store::detail {

/// Bytes that this process may still take without others' having to be paged out: the least of what the system says is
/// available and of the limits of the control groups (either version) that the process is in.
std::uint64_t availableMemory();

} // namespace polis::store::detail
