// What the parts of `bench/run vm` share.
#pragma once

#include "bench/figures.hpp"
#include "vm/module_body.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace polis::vm {

/// Few rounds.
extern bool quick;

inline double nowNs() {
   return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline void figure(const char* name, const char* engine, const char* metric, double value, const char* unit) {
   bench::printJson("vm", name, engine, metric, value, unit);
}

/// Median over rounds of the time of one of `count` repetitions, in ns.
template <class F>
double median(int count, double perCall, F&& f) {
   std::vector<double> times;
   for (int round = 0; round < (quick ? 3 : 15); ++round) {
      const double start = nowNs();
      for (int i = 0; i < count; ++i)
         f();
      times.push_back((nowNs() - start) / count / perCall);
   }
   std::sort(times.begin(), times.end());
   return times[times.size() / 2];
}

inline void must(const std::expected<void, Trap>& result) {
   if (!result) {
      std::fprintf(stderr, "trap: %s\n", std::string(result.error().text()).c_str());
      std::abort();
   }
}

/// The engine alone, with the settings that decide speed and results like Polis's.
class PlainEngine {
public:
   PlainEngine() {
      wasm_config_t* config = wasm_config_new();
      wasmtime_config_cranelift_nan_canonicalization_set(config, true);
      wasmtime_config_memory_reservation_set(config, std::uint64_t{1} << 32);
      engine_.reset(wasm_engine_new_with_config(config));
   }

   template <class F>
   void with(ByteView code, F&& f) {
      wasmtime_module_t* made = nullptr;
      if (wasmtime_module_new(engine_.get(), code.data(), code.size(), &made))
         std::abort();
      const Owned<wasmtime_module_t> module(made);
      const Owned<wasmtime_store_t> store(wasmtime_store_new(engine_.get(), nullptr, nullptr));
      wasmtime_context_t* context = wasmtime_store_context(store.get());
      wasmtime_instance_t instance;
      wasm_trap_t* trap = nullptr;
      wasmtime_extern_t item;
      if (wasmtime_instance_new(context, made, nullptr, 0, &instance, &trap) ||
          !wasmtime_instance_export_get(context, &instance, "run", 3, &item))
         std::abort();
      f([&](std::uint32_t rounds) {
         wasmtime_val_raw_t value{};
         value.i32 = static_cast<std::int32_t>(rounds);
         if (wasmtime_func_call_unchecked(context, &item.of.func, &value, 1, &trap) || trap)
            std::abort();
         return static_cast<std::uint64_t>(value.i64);
      });
   }

   wasm_engine_t* get() const { return engine_.get(); }

private:
   Owned<wasm_engine_t> engine_;
};

/// The kernels measured so far.
class Tally {
public:
   /// Says the times of one, of the engine metered, alone, and of V8, in ns; the last is 0 where there is no node.
   void kernel(const char* name, double meteredNs, double plainNs, double v8Ns);
   /// Says the figures of all of them.
   void sum() const;

private:
   double logs_ = 0; ///< of the metering's ratios
   int kernels_ = 0, ofV8_ = 0, asFastAsV8_ = 0;
};

/// Actions of services.
void benchServices(Tally& tally);

} // namespace polis::vm
