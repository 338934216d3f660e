// A module with its own memory, globals and table, ready to be called.
#pragma once

#include "vm/budget.hpp"
#include "vm/host_function.hpp"
#include "vm/module.hpp"
#include "vm/trap.hpp"

#include <expected>
#include <span>
#include <string_view>
#include <utility>

namespace polis::vm {

/// Owns one instance from the engine's pool; gives it back when destroyed. Movable. One thread at a time; use it
/// on threads with a large native stack only (ExecutionThread).
class Instance {
public:
   Instance() = default;
   explicit Instance(InstanceBody* body) : body_(body) {}
   Instance(Instance&& other) noexcept : body_(std::exchange(other.body_, nullptr)) {}
   Instance& operator=(Instance&& other) noexcept {
      std::swap(body_, other.body_);
      return *this;
   }
   ~Instance();

   explicit operator bool() const { return body_ != nullptr; }
   const Module& module() const;

   /// Runs the module's start section, if it has one. Call it once, before anything else (the protocol runs it, then
   /// the export `start`). Errors and exceptions as `call`.
   [[nodiscard]] std::expected<void, Trap> runStartSection();

   /// Calls an exported function; its result, if any, is dropped. Parameter types are checked exactly: `Value`s are
   /// taken in the order of `types`. Re-entrant: host functions may call this or other instances. Errors: the guest's
   /// trap; missingExport; wrongExportType. Throws: whatever a host function threw below (TrapException excepted),
   /// unchanged. Fault when this thread's native stack is not fit for guest code.
   [[nodiscard]] std::expected<void, Trap> call(std::string_view name, std::span<const ValueType> types,
                                                std::span<const Value> args, Value* result = nullptr);

   /// As above, for parameters that are all i64: `start(service)`, `called(service, sender)`; or none.
   [[nodiscard]] std::expected<void, Trap> call(std::string_view name, std::initializer_list<std::uint64_t> args = {});

   /// The instance's memory 0; empty if it has none.
   GuestMemory memory() const { return GuestMemory(*body_); }

   /// For vm itself.
   InstanceBody& body() const { return *body_; }

private:
   InstanceBody* body_ = nullptr;
};

} // namespace polis::vm
