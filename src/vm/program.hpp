// A WebAssembly program that the machine's owner runs on purpose, such as a test: any feature the engine knows,
// unmetered, with imports of the caller's choice. Never for code of a chain: that is Engine's.
#pragma once

#include "base/bytes.hpp"
#include "vm/host_function.hpp"
#include "vm/policy.hpp"

#include <cstdint>
#include <expected>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace polis::vm {

/// The program's memory 0, exported or not, during one call of an import.
class ProgramMemory {
public:
   ProgramMemory(std::uint8_t* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
   /// Throws ProgramError when the span does not lie in memory.
   std::span<std::uint8_t> span(std::uint32_t pointer, std::uint64_t bytes) const;

private:
   std::uint8_t* data_;
   std::size_t bytes_;
};

/// Thrown by an import: stops the program, which has failed with this text.
struct ProgramError {
   std::string text;
};

/// Thrown by an import: stops the program, which ends with this code.
struct ProgramExit {
   int code = 0;
};

/// One function that a program may import.
struct ProgramFunction {
   std::string module;
   std::string name;
   FunctionType type;
   /// result: to be set if the type has one. May throw ProgramError and ProgramExit, and Fault.
   std::function<void(const ProgramMemory& memory, const Value* args, Value* result)> body;
};

/// Compiles the program, runs its export `_start` and returns the exit code. Call it on an ExecutionThread.
/// Errors: text that says why it could not be run, or where it failed, with the calls that led there.
/// Throws: what an import threw, the two above excepted.
[[nodiscard]] std::expected<int, std::string> runProgram(ByteView code, std::vector<ProgramFunction> functions);

} // namespace polis::vm
