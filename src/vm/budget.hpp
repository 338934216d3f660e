// What one execution context may still use. Shared by all instances of the context.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

namespace polis::vm {

/// One per context; must outlive every Instance made with it. Fields belong to the executing thread,
/// `interrupt` may be called from any.
///
/// Inside a host function the fields are exact: what the calling guest has used is already subtracted, and
/// what the function changes is seen by the guest when it goes on. While guest code runs they are stale.
struct Budget {
   static constexpr std::uint64_t unlimited = std::numeric_limits<std::int64_t>::max();

   /// Accounted stack that remains, in bytes. Instance::call leaves it as it found it. To charge a nested call
   /// (`call` costs 4096), subtract before Instance::call and add back after.
   /// Source: spec, kernel §4.7.
   std::uint32_t stackBytes = 1u << 20;

   /// Instructions counted so far by the cost table of docs/metering. Host functions add the cost of their own work.
   /// After a trap or an exception the last, unfinished slice counts as a whole: at most `sliceInstructions` too many,
   /// and the same on every machine.
   std::uint64_t instructions = 0;

   /// Guest code that finds itself beyond this count traps with TrapKind::instructionLimit.
   /// May be changed at any time by the executing thread, also downwards.
   std::uint64_t instructionLimit = unlimited;

   /// Asks the guest to stop: it traps with TrapKind::interrupted within one slice of instructions (some tens of
   /// microseconds), or when a host function returns. Stays set until cleared. Any thread.
   void interrupt() { interrupted.store(true, std::memory_order_relaxed); }
   void clearInterrupt() { interrupted.store(false, std::memory_order_relaxed); }

   /// Guest code looks at the limit and the interruption at least this often.
   static constexpr std::uint64_t sliceInstructions = 1u << 16;

   std::atomic<bool> interrupted{false};

   /// The count at which the running slice ends. Owned by vm.
   std::uint64_t sliceEnd = 0;
};

} // namespace polis::vm
