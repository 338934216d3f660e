// Checks one function body, and finds what metering must know of it.
#pragma once

#include "vm/parsed_module.hpp"

#include <cstdint>
#include <expected>
#include <vector>

namespace polis::vm {

/// A run of instructions that is charged as a whole when it is entered. Source: docs/metering.md.
struct Segment {
   std::size_t offset = 0; ///< of the module: its first byte
   std::uint32_t cost = 0;
   bool loop = false;                          ///< the head of a loop: the budget is looked at here
   std::uint32_t keptBegin = 0, keptCount = 0; ///< among FunctionFacts::kept: what the loop uses
};

/// A local that an innermost loop without calls uses, and that metering keeps for it where it asks the host: otherwise
/// no register could hold it. Source: docs/metering.md.
struct KeptLocal {
   std::uint32_t local = 0;
   ValueType type{};
};
/// Loops that use more are left as they are.
constexpr std::size_t keptLocalsMax = 24;

struct FunctionFacts {
   /// Charge on the accounted stack: 16 + greatest size of locals and operands. Source: spec, kernel §4.7.
   std::uint32_t frameBytes = 0;
   bool calls = false;         ///< contains a call, reachable or not
   bool changesTables = false; ///< writes a table or drops a segment
   bool needsTemps = false;    ///< contains instructions whose charge depends on an operand
   std::size_t codeBegin = 0;  ///< first byte after the declarations of locals
   std::uint32_t declaredLocals = 0;
   std::uint32_t params = 0;
   std::uint32_t branches = 0;   ///< blocks, branches and calls, each target of a branch table counted
   std::uint64_t valueBytes = 0; ///< native size of all values that its instructions make, each counted
   std::uint64_t bodyBytes = 0;  ///< with the declarations of locals
   /// The compiler's work; see limits::moduleWorkMax.
   std::uint64_t work() const {
      constexpr std::uint64_t keptBytes = 12; // of code, for each local kept
      return 256 * (bodyBytes + keptBytes * kept.size()) +
             std::uint64_t{branches} * (branches + params + declaredLocals);
   }
   std::vector<Segment> segments; ///< by offset; the first one starts at codeBegin
   std::vector<KeptLocal> kept;   ///< loop by loop
};

/// Work areas that are kept from one function to the next.
struct CheckScratch {
   struct Frame {
      std::uint8_t opcode = 0;
      std::uint8_t result = 0; ///< value type; 0: none
      bool unreachable = false;
      bool dead = false;     ///< lies within unreachable code
      bool targeted = false; ///< some branch goes to its end
      std::size_t height = 0;
   };
   std::vector<Frame> frames;
   std::vector<std::uint8_t> operands; ///< value types; 0: any
   std::vector<std::uint8_t> locals;
};

/// index: among the functions defined.
[[nodiscard]] std::expected<FunctionFacts, Rejection> checkFunction(const ParsedModule& module, ByteView code,
                                                                    std::size_t index, CheckScratch& scratch);

} // namespace polis::vm
