// Instructions as a measure of time.
#pragma once

#include "vm/budget.hpp"

#include <cstdint>

namespace polis::kernel {

/// CPU time is what the counted instructions would take on a machine that runs one in a nanosecond: the same figure
/// everywhere (spec, kernel §10, Metering).
inline constexpr std::uint64_t instructionsPerNs = 1;

constexpr std::uint64_t nsOf(std::uint64_t instructions) { return instructions / instructionsPerNs; }

constexpr std::uint64_t instructionsIn(std::uint64_t ns) {
   return ns >= vm::Budget::unlimited / instructionsPerNs ? vm::Budget::unlimited : ns * instructionsPerNs;
}

/// What host functions add for their own work, in instructions.
namespace cost {
inline constexpr std::uint64_t hostCall = 50;
inline constexpr std::uint64_t call = 1000;
inline constexpr std::uint64_t read = 400;
inline constexpr std::uint64_t write = 1000;
constexpr std::uint64_t copy(std::size_t bytes) { return bytes / 8; }
} // namespace cost

} // namespace polis::kernel
