#include "vm/trap.hpp"

namespace polis::vm {

std::string_view text(TrapKind kind) {
   switch (kind) {
   case TrapKind::unreachable:
      return "unreachable";
   case TrapKind::memoryOutOfBounds:
      return "wasm memory out-of-bounds";
   case TrapKind::stackOverflow:
      return "stack overflow";
   case TrapKind::callOutOfRange:
      return "call_indirect out of range";
   case TrapKind::callWrongType:
      return "call_indirect incorrect function type";
   case TrapKind::floatingPoint:
      return "floating point error";
   case TrapKind::instructionLimit:
      return "instruction limit reached";
   case TrapKind::interrupted:
      return "interrupted";
   case TrapKind::missingExport:
      return "function is not exported";
   case TrapKind::wrongExportType:
      return "exported function has the wrong type";
   }
   return "trap";
}

std::string Trap::traceText() const {
   std::string once(text());
   return once + ": " + once;
}

} // namespace polis::vm
