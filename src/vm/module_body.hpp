// What stands behind Module and Instance. Included by vm only.
#pragma once

#include "vm/budget.hpp"
#include "vm/host_function.hpp"
#include "vm/metering.hpp"
#include "vm/module.hpp"

#include <wasm.h>
#include <wasmtime.h>

#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace polis::vm {

struct Deleter {
   void operator()(wasm_engine_t* p) const { wasm_engine_delete(p); }
   void operator()(wasmtime_linker_t* p) const { wasmtime_linker_delete(p); }
   void operator()(wasmtime_module_t* p) const { wasmtime_module_delete(p); }
   void operator()(wasmtime_instance_pre_t* p) const { wasmtime_instance_pre_delete(p); }
   void operator()(wasmtime_store_t* p) const { wasmtime_store_delete(p); }
   void operator()(wasmtime_error_t* p) const { wasmtime_error_delete(p); }
   void operator()(wasm_trap_t* p) const { wasm_trap_delete(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Deleter>;

/// Text of an error of the engine; deletes it.
std::string takeMessage(wasmtime_error_t* error);

/// A host function as the engine calls it.
struct BoundFunction {
   HostFunction function;
   std::uint32_t params = 0;
};
constexpr std::size_t hostParamsMax = 12;

class ModuleBody {
public:
   CodeHash hash{};
   Options options;
   ModuleFacts facts;
   std::unordered_map<std::string_view, std::uint32_t> exportPlace; ///< among facts.exports, whose names it views
   Owned<wasmtime_module_t> module;
   Owned<wasmtime_instance_pre_t> prepared;
   wasm_engine_t* engine = nullptr;
   std::uint32_t firstFunctionExport = 0;

   /// Place among facts.exports.
   std::optional<std::uint32_t> findExport(std::string_view name) const;
};

class InstanceBody {
public:
   InstanceBody(std::shared_ptr<const Module> owner, Budget& budget, void* user);

   /// Runs the metered export at place `exported` of the metered module.
   /// values: the arguments, and room for two more; the result is left in the first.
   std::expected<void, Trap> run(std::uint32_t exported, std::span<wasmtime_val_raw_t> values, bool hasResult);

   /// The bytes of memory 0 if the span lies within; throws TrapException otherwise.
   std::uint8_t* span(std::uint32_t pointer, std::uint32_t bytes);
   std::uint64_t memoryBytes();

   wasm_trap_t* stop(TrapKind kind);

   std::shared_ptr<const Module> module;
   Budget& budget;
   void* user;
   std::exception_ptr thrown;        ///< by a host function, on its way through the guest
   std::optional<TrapKind> hostTrap; ///< likewise

private:
   struct CachedFunction {
      std::uint32_t exported = ~0u;
      wasmtime_func_t function{};
   };
   const wasmtime_func_t& function(std::uint32_t exported);

   Owned<wasmtime_store_t> store_;
   wasmtime_context_t* context_ = nullptr;
   wasmtime_instance_t instance_{};
   wasmtime_memory_t memory_{};
   std::uint8_t* memoryData_ = nullptr; ///< never moves
   std::uint64_t memoryBytes_ = 0;      ///< as last seen; never shrinks
   std::array<CachedFunction, 8> functions_{};
};

/// Opens the next slice: how many instructions the guest may do before it looks again.
std::int64_t openSlice(Budget& budget);

/// Puts what the slice has used into the budget's count.
inline void closeSlice(Budget& budget, std::int64_t left) {
   budget.instructions = budget.sliceEnd - static_cast<std::uint64_t>(left);
}

/// Callbacks of the engine.
wasm_trap_t* enterHost(void* bound, wasmtime_caller_t* caller, wasmtime_val_raw_t* values, std::size_t count);
wasm_trap_t* enterTick(void*, wasmtime_caller_t* caller, wasmtime_val_raw_t* values, std::size_t count);
wasm_trap_t* enterOverflow(void*, wasmtime_caller_t* caller, wasmtime_val_raw_t* values, std::size_t count);
wasm_trap_t* enterNoMemory(void*, wasmtime_caller_t* caller, wasmtime_val_raw_t* values, std::size_t count);

/// Native stack that guest code of one instance may use below the point where it was entered.
constexpr std::size_t nativeGuestStackBytes = std::size_t{64} << 20;

} // namespace polis::vm
