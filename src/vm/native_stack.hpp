// How much native stack the running thread has left. Included by vm only.
#pragma once

#include <cstddef>

namespace polis::vm {

/// True if at least `bytes`, and what host functions need beside, remain below the caller. Throws Fault if the thread
/// could never have that much: it was not made by ExecutionThread.
bool nativeStackLeft(std::size_t bytes);

} // namespace polis::vm
