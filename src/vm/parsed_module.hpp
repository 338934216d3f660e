// A module taken apart: sections read and checked, function bodies not yet.
#pragma once

#include "vm/binary.hpp"
#include "vm/policy.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace polis::vm {

/// Bytes [begin, end) of the module.
struct Range {
   std::size_t begin = 0, end = 0;
};

struct ParsedImport {
   std::string_view module, name;
   std::uint32_t type = 0;
   std::size_t offset = 0;
};

struct ParsedGlobal {
   ValueType type{};
   bool isMutable = false;
   Range initial; ///< constant expression, `end` included
};

struct ParsedExport {
   std::string_view name;
   std::uint32_t function = 0;
};

struct ParsedElements {
   enum class Mode { active, passive, declared } mode{};
   std::uint32_t offset = 0;                            ///< of an active segment
   std::vector<std::optional<std::uint32_t>> functions; ///< none: null
   std::size_t at = 0;
};

struct ParsedData {
   bool active = false;
   std::uint32_t offset = 0;
   Range bytes;
};

/// Limits of a table or memory.
struct ParsedLimits {
   std::uint32_t initial = 0;
   std::optional<std::uint32_t> maximum;
};

/// Views point into the module's bytes.
struct ParsedModule {
   std::vector<FunctionType> types;
   std::vector<ParsedImport> imports;
   std::vector<std::uint32_t> functions; ///< type of each function, imported ones first
   std::optional<ParsedLimits> table, memory;
   std::vector<ParsedGlobal> globals;
   std::vector<ParsedExport> exports; ///< functions only
   std::optional<std::uint32_t> start;
   std::vector<ParsedElements> elements;
   std::optional<std::uint32_t> dataCount;
   std::vector<Range> bodies; ///< of the functions defined, in order: locals and code
   std::vector<ParsedData> data;

   const FunctionType& typeOf(std::uint32_t function) const { return types[functions[function]]; }
};

[[nodiscard]] std::expected<ParsedModule, Rejection> parse(ByteView code, const Options& options);

} // namespace polis::vm
