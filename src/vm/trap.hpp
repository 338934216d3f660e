// Why guest code stopped.
#pragma once

#include <string>
#include <string_view>

namespace polis::vm {

enum class TrapKind {
   unreachable,
   memoryOutOfBounds,
   stackOverflow,    ///< the accounted stack of the Budget is used up
   callOutOfRange,   ///< call_indirect beyond the table
   callWrongType,    ///< call_indirect of an empty element or of another type
   floatingPoint,    ///< integer division by zero, or a result that does not fit
   instructionLimit, ///< Budget::instructionLimit; not part of the protocol
   interrupted,      ///< Budget::interrupt; not part of the protocol
   missingExport,    ///< the module does not export the function called
   wrongExportType   ///< it does, with other parameters
};

/// The protocol's words for the kind, as in "wasm memory out-of-bounds". Source: spec, kernel §4.8.
std::string_view text(TrapKind kind);

/// The verdict on guest code; the same on every node for the kinds that are part of the protocol.
struct Trap {
   TrapKind kind;

   std::string_view text() const { return vm::text(kind); }
   /// What a trace reports: the text twice, joined by ": ".
   std::string traceText() const;
};

/// Thrown by host functions only (CallContext and GuestMemory do it for them) to stop the guest with a trap.
/// Never leaves Instance::call, which returns the trap instead.
struct TrapException {
   Trap trap;
};

} // namespace polis::vm
