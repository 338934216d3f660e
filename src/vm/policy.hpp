// Which WebAssembly modules may run: features, limits, imports; and what a module costs.
#pragma once

#include "base/bytes.hpp"

#include <compare>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace polis::vm {

/// Number types of WebAssembly; values are those of the binary format.
enum class ValueType : std::uint8_t { v128 = 0x7b, f64 = 0x7c, f32 = 0x7d, i64 = 0x7e, i32 = 0x7f };

/// "i32", "i64", …
std::string_view name(ValueType type);

/// 4, 8 or 16.
std::uint32_t sizeBytes(ValueType type);

struct FunctionType {
   std::vector<ValueType> params;
   std::optional<ValueType> result;
   bool operator==(const FunctionType&) const = default;
};

/// The limits a chain sets that concern one module. (`max_stack_bytes` is a property of the Budget.)
/// Source: spec, kernel §4.7, VMOptions.
struct Options {
   std::uint32_t maxMutableGlobalBytes = 1024;
   std::uint32_t maxPages = 512;
   std::uint32_t maxTableElements = 8192;
   auto operator<=>(const Options&) const = default;
};

/// Why a module may not run; the same on every node.
struct Rejection {
   std::size_t offset = 0; ///< byte of the module at which the rule was broken
   std::string rule;       ///< one sentence without a full stop

   /// "<rule> (at byte <offset>)".
   std::string text() const;
};

/// What a module asks its host for.
struct Import {
   std::string module, name;
   FunctionType type;
};

struct ExportedFunction {
   std::string name;
   FunctionType type;
};

/// Facts about a module that passed the policy.
struct ModuleFacts {
   std::vector<Import> imports;
   std::vector<ExportedFunction> exports;
   std::uint32_t functions = 0; ///< defined, not imported
   std::uint32_t initialPages = 0;
   std::uint32_t tableElements = 0;
   std::uint32_t mutableGlobalBytes = 0;
   std::uint64_t codeBytes = 0;         ///< size of all function bodies
   std::uint64_t largestFrameBytes = 0; ///< greatest stack charge of one function, spec kernel §4.7
   std::uint64_t passCost = 0;          ///< instructions charged if every segment of every function runs once
   std::uint64_t largestPassCost = 0;   ///< the same of the costliest function
   std::uint64_t work = 0;              ///< see limits::moduleWorkMax
   bool hasMemory = false;
   bool hasStart = false;
};

/// Named limits of the policy beside those of Options.
namespace limits {
constexpr std::size_t moduleBytesMax = 64u << 20;
constexpr std::size_t frameBytesMax = 128u << 20; ///< a function's locals and operands; spec kernel §4.7
constexpr std::size_t functionsMax = 50'000;
constexpr std::size_t functionBytesMax = 2u << 20;
constexpr std::size_t localsMax = 40'000; ///< of one function, parameters included
constexpr std::size_t paramsMax = 900;
/// Blocks, branches and calls of one function, each target of a branch table counted: the compiler's work grows with
/// their square, and with their product with the locals.
constexpr std::size_t branchesMax = 16384;
constexpr std::size_t localsTimesBranchesMax = std::size_t{1} << 26;
/// The same for a whole module, which a node must be able to compile within seconds: the sum over its functions of
/// 256 a byte, 12 bytes more for each local that metering keeps for a loop, and, for each block, branch or call, the
/// number of these and of locals. Eight MiB of code, or less where functions are long. The largest service of the
/// standard packages has 60 million; what queries of Rust services link with, some 700 million.
constexpr std::uint64_t moduleWorkMax = std::uint64_t{1} << 31;
constexpr std::size_t nestingMax = 10'000; ///< blocks within blocks
constexpr std::size_t itemsMax =
    100'000; ///< types, imports, exports, globals, segments, elements of one segment: of each
constexpr std::size_t nameBytesMax = 65536;
constexpr std::size_t branchTableMax = 65520;
constexpr std::size_t meteredFunctionBytesMax = 7654321; ///< of one function, metering included
} // namespace limits

/// Checks features, limits and types of a whole module, without compiling it. Bounded work for any bytes.
/// Errors: the first rule broken, with its offset.
/// Source: spec, kernel §4.7, §4.8.
[[nodiscard]] std::expected<ModuleFacts, Rejection> check(ByteView code, const Options& options);

} // namespace polis::vm
