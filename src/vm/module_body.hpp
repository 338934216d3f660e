// What stands behind Module and Instance. Included by vm only.
#pragma once

#include "base/mutex.hpp"
#include "vm/budget.hpp"
#include "vm/host_function.hpp"
#include "vm/metering.hpp"
#include "vm/module.hpp"
#include "vm/written_pages.hpp"

#include <wasm.h>
#include <wasmtime.h>

#include <array>
#include <atomic>
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

class InstanceBody;

class ModuleBody {
public:
   ModuleBody();
   ~ModuleBody();

   CodeHash hash{};
   Options options;
   ModuleFacts facts;
   std::unordered_map<std::string_view, std::uint32_t> exportPlace; ///< among facts.exports, whose names it views
   std::shared_ptr<Twin> twin; ///< what runs in the module's place, if anything does
   Owned<wasmtime_module_t> module;
   Owned<wasmtime_instance_pre_t> prepared;
   wasm_engine_t* engine = nullptr;
   bool hasReset = false;         ///< exports metered::resetExport
   bool changesTables = false;    ///< instances cannot be made fresh again
   std::uint32_t startExport = 0; ///< place of the start function
   std::uint32_t firstFunctionExport = 0;
   Bytes image; ///< initial memory from byte imageAt on, whole pages of WrittenPages; zero elsewhere
   std::size_t imageAt = 0;

   /// Place among facts.exports.
   std::optional<std::uint32_t> findExport(std::string_view name) const;

   /// An idle instance, fresh; null if there is none. Any thread.
   std::unique_ptr<InstanceBody> takeIdle() EXCLUDES(mutex_);
   /// Keeps a fresh instance for later. False if there are enough.
   bool keepIdle(std::unique_ptr<InstanceBody>& instance) EXCLUDES(mutex_);
   void dropIdle() EXCLUDES(mutex_);

   /// Pages that instances of this module were seen to write, ascending. Empty while it does not pay to watch them.
   std::vector<std::uint32_t> expectedPages() const EXCLUDES(mutex_);
   /// False for modules most of whose instances could not be made fresh of late; asks again now and then.
   bool worthWatching() const {
      return !changesTables && (spoiled_.load(std::memory_order_relaxed) < spoiledMax ||
                                asked_.fetch_add(1, std::memory_order_relaxed) % 64 == 0);
   }
   void sawPages(std::span<const std::uint32_t> pages) EXCLUDES(mutex_);
   /// Tells whether an instance could be made fresh; if not, it grew its memory or wrote all over it.
   void sawFresh(bool fresh);

private:
   static constexpr std::size_t idleMax = 48;
   static constexpr int spoiledMax = 64;

   std::atomic<int> spoiled_{0}; ///< up by 8 for each that was spoiled, down by 1 for each that was not
   mutable std::atomic<unsigned> asked_{0};
   mutable Mutex mutex_;
   std::vector<std::unique_ptr<InstanceBody>> idle_ GUARDED_BY(mutex_);
   std::vector<std::uint32_t> expected_ GUARDED_BY(mutex_);
};

class InstanceBody {
public:
   /// Throws Fault.
   explicit InstanceBody(const ModuleBody& module);
   ~InstanceBody();

   /// Gets it ready for one user; back to null by makeFresh.
   void lend(std::shared_ptr<const Module> owner, Budget& budgetOfContext, void* userOfContext);

   /// As it was when made. False if it cannot be: then it is of no more use.
   bool makeFresh();

   /// Runs the metered export at place `exported` of the metered module.
   /// values: the arguments, and room for two more; the result is left in the first.
   std::expected<void, Trap> run(std::uint32_t exported, std::span<wasmtime_val_raw_t> values, bool hasResult);

   /// The bytes of memory 0 if the span lies within; throws TrapException otherwise.
   std::uint8_t* span(std::uint32_t pointer, std::uint32_t bytes);
   std::uint8_t* writableSpan(std::uint32_t pointer, std::uint32_t bytes);
   std::uint64_t memoryBytes();

   wasm_trap_t* stop(TrapKind kind);

   std::shared_ptr<const Module> module; ///< while lent
   Budget* budget = nullptr;             ///< likewise
   void* user = nullptr;
   std::exception_ptr thrown;        ///< by a host function, on its way through the guest
   std::optional<TrapKind> hostTrap; ///< likewise

private:
   struct CachedFunction {
      std::uint32_t exported = 0;
      wasmtime_func_t function{};
   };
   const wasmtime_func_t& function(std::uint32_t exported);
   void tellStopped(const Twin& twin, const wasm_trap_t* trap) const;

   Owned<wasmtime_store_t> store_;
   wasmtime_context_t* context_ = nullptr;
   wasmtime_instance_t instance_{};
   wasmtime_memory_t memory_{};
   std::uint8_t* memoryData_ = nullptr; ///< never moves
   std::uint64_t memoryBytes_ = 0;      ///< as last seen; never shrinks
   bool watched_ = false;
   WrittenPages written_;
   std::vector<CachedFunction> functions_; ///< those called so far
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
wasm_trap_t* enterMark(void*, wasmtime_caller_t* caller, wasmtime_val_raw_t* values, std::size_t count);

} // namespace polis::vm
