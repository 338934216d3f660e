// How much native stack guest code may need, and how much the running thread has left. Included by vm only.
#pragma once

#include "base/bytes.hpp"
#include "vm/checked_module.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>

namespace polis::vm {

/// Accounted stack that execution threads are made for: the protocol's default limit of a context.
constexpr std::size_t accountedStackBytes = std::size_t{1} << 20;

/// Native bytes for each accounted byte, at most. Code that could need more is compiled so that it does not.
constexpr std::size_t nativePerAccounted = 256;

/// Native stack that guest code of one context can need, in all its instances together.
constexpr std::size_t nativeGuestStackBytes = accountedStackBytes * nativePerAccounted;

/// Least accounted frame among the functions whose native frame, as far as their wasm tells, could exceed
/// nativePerAccounted times it; none: the greatest number.
/// The optimiser may keep a value that an instruction makes, however often the same is computed, until the function's
/// end; so every value counts. A function without calls has no frame beneath it, and does not matter.
inline std::uint64_t leastDoubtfulFrame(const CheckedModule& checked) {
   constexpr std::uint64_t fixedBytes = 256; // return address, saved registers, the counters
   std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
   for (const FunctionFacts& f : checked.functions) {
      const std::uint64_t native =
          fixedBytes + 4 * (std::uint64_t{f.frameBytes} - 16) + 16 * std::uint64_t{f.params} + f.valueBytes;
      if (f.calls && native > nativePerAccounted * f.frameBytes && f.frameBytes < least)
         least = f.frameBytes;
   }
   return least;
}

/// Size of the largest frame that compiled code makes, or more.
std::uint64_t largestNativeFrame(ByteView compiled);

/// Throws Fault unless at least `bytes`, and what host functions need beside, remain below the caller: the thread was
/// not made by ExecutionThread.
void requireNativeStack(std::size_t bytes);

} // namespace polis::vm
