// Types and costs of the instructions that only take operands and give a result.
#pragma once

#include <cstdint>

namespace polis::vm {

// The cost table. Instructions that are not named cost 1; those that only name a value or give structure (block, loop,
// else, end, nop, drop, constants, local.get, local.set, local.tee) cost 0. Source: docs/metering.md.
constexpr std::uint32_t costCall = 4, costCallIndirect = 8, costBranchTable = 2, costDivide = 10, costRoot = 10,
                        costGrow = 1000, costBulk = 10;
/// Bulk instructions cost one more for each 16 bytes (elements) they are asked to move.
constexpr unsigned bulkShift = 4;

struct SimpleOp {
   bool valid = false;
   bool memory = false;       ///< has alignment and offset
   std::uint8_t alignMax = 0; ///< power of two
   std::uint8_t paramCount = 0;
   std::uint8_t params[3] = {};
   std::uint8_t result = 0; ///< value type; 0: none
   std::uint32_t cost = 1;
};

enum class SimdImmediate : std::uint8_t { none, memory, memoryLane, lane, constant, shuffle };

struct SimdOp {
   SimpleOp op;
   SimdImmediate immediate = SimdImmediate::none;
   std::uint8_t limit = 0; ///< alignment (power of two), or number of lanes
};

const SimpleOp& simpleOp(std::uint8_t code);
/// code: 0 … 7 after the prefix FC.
const SimpleOp& truncateSaturating(std::uint32_t code);
/// Null for codes that are not instructions of fixed-width SIMD.
const SimdOp* simdOp(std::uint32_t code);

} // namespace polis::vm
