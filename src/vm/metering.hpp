// Rewrites a checked module so that it counts its stack and its instructions. Source: docs/metering.md.
#pragma once

#include "vm/checked_module.hpp"
#include "vm/twin.hpp"

#include <expected>

namespace polis::vm {

/// Changes with every change of policy, metering or layout of the metered module: compiled code of another version is
/// ignored.
constexpr std::uint32_t meteringVersion = 5;

/// Every function of the metered module, imports included, takes two more parameters at the end, the accounted stack
/// that remains (i32) and the instructions left in the slice (i64, negative when overdrawn), and returns the latter as
/// one more result at the end. Start section, custom sections and exports other than functions are gone.
namespace metered {
/// After the module's own imports come, from module `hostModule`:
constexpr std::string_view hostModule = "polis";
constexpr std::string_view tick = "tick";         ///< (i64 left) → i64 left: the slice is used up
constexpr std::string_view overflow = "overflow"; ///< () → (): traps, the accounted stack is used up
constexpr std::string_view noMemory = "noMemory"; ///< () → (): stops, this machine cannot grow a memory as it should
constexpr std::uint32_t hostFunctions = 3;
constexpr std::string_view mark = "mark"; ///< (i32 which) → (): only in twins with marks, which have one function more
/// Exports: memory 0 if there is one, a function () → () that gives mutable globals their initial values if there are
/// any, the start function if there is one, then each exported function, in order.
constexpr std::string_view memoryExport = "m";
constexpr std::string_view resetExport = "r";
constexpr std::string_view startExport = "s";
constexpr std::string_view functionPrefix = "f:";
} // namespace metered

/// twin: the one whose code this is; its `places` are filled, and its marks are counted.
/// Errors: a function too large once metered.
[[nodiscard]] std::expected<Bytes, Rejection> meter(const CheckedModule& checked, ByteView code, const Options& options,
                                                    Twin* twin = nullptr);

} // namespace polis::vm
