// Any module that passes the policy does the same metered and optimised, metered and not optimised, and not metered at
// all: results, traps, what it tells the host and what it leaves in memory; and the two metered ones count the same.
//
// Corpus: head -c N /dev/urandom > r; wasm-opt -ttf r -S, with the module "fuzzing-support" renamed to "env".
#include "base/assert.hpp"
#include "vm/engine.hpp"
#include "vm/execution_thread.hpp"
#include "vm/module_body.hpp"

#include <cstdio>

namespace polis::vm {
namespace {

constexpr std::uint64_t instructionLimit = 3'000'000;

using Log = std::vector<std::uint64_t>;

template <int which>
void logBody(CallContext& context, const Value* args, Value*) {
   Log& log = context.user<Log>();
   log.push_back(which);
   log.push_back(which == 1 || which == 3 ? args[0].i64 : args[0].i32);
}

std::vector<HostFunction> functions() {
   using enum ValueType;
   return {{"log-i32", {{i32}, {}}, logBody<0>},
           {"log-i64", {{i64}, {}}, logBody<1>},
           {"log-f32", {{f32}, {}}, logBody<2>},
           {"log-f64", {{f64}, {}}, logBody<3>}};
}

struct Outcome {
   std::string trap; ///< empty: none
   std::vector<std::uint64_t> result;
   Log log;
   std::uint64_t count = 0;
   std::uint64_t memory = 0;
   bool comparable = true;
   bool same(const Outcome& other) const {
      return trap == other.trap && result == other.result && log == other.log && memory == other.memory;
   }
};

std::uint64_t hash(const std::uint8_t* at, std::size_t bytes) {
   std::uint64_t h = bytes;
   for (std::size_t i = 0; i < bytes; ++i)
      h = (h ^ at[i]) * 1099511628211u;
   return h;
}

/// Values given for parameters: small, so that they are often addresses.
wasmtime_val_raw_t argument(std::size_t i) {
   wasmtime_val_raw_t out{};
   out.i64 = static_cast<std::int64_t>(i * 7 + 1);
   return out;
}

std::vector<std::uint64_t> resultOf(const FunctionType& type, const wasmtime_val_raw_t& value) {
   if (!type.result)
      return {};
   std::uint64_t words[2] = {};
   std::memcpy(words, &value, sizeBytes(*type.result));
   return {words[0], words[1]};
}

std::vector<Outcome> metered(Engine& engine, ByteView code) {
   static std::uint64_t serial = 0;
   CodeHash key{};
   ++serial;
   std::memcpy(key.data(), &serial, sizeof serial);
   const auto module = engine.compile(code, key, {});
   if (!module)
      return {};
   std::vector<Outcome> out;
   Budget budget;
   Log log;
   budget.instructionLimit = instructionLimit;
   Instance instance = engine.instantiate(*module, budget, &log);
   const ModuleFacts& facts = (*module)->facts();
   auto one = [&](std::uint32_t exported, const FunctionType& type) {
      std::vector<wasmtime_val_raw_t> values;
      for (std::size_t i = 0; i < type.params.size(); ++i)
         values.push_back(argument(i));
      values.resize(values.size() + 2);
      const auto done = instance.body().run(exported, values, type.result.has_value());
      Outcome o;
      if (done) {
         o.result = resultOf(type, values[0]);
      } else {
         o.trap = done.error().text();
         o.comparable = done.error().kind != TrapKind::instructionLimit && done.error().kind != TrapKind::stackOverflow;
      }
      o.log = log;
      o.count = budget.instructions;
      const GuestSpan memory = instance.memory().read(0, static_cast<std::uint32_t>(instance.memory().sizeBytes()));
      o.memory = hash(memory.data(), memory.size());
      out.push_back(std::move(o));
      return out.back().comparable;
   };
   if (facts.hasStart && !one((*module)->body().startExport, {}))
      return out;
   for (std::uint32_t i = 0; i < facts.exports.size(); ++i)
      if (!one((*module)->body().firstFunctionExport + i, facts.exports[i].type))
         break;
   return out;
}

template <int which>
wasm_trap_t* plainLog(void*, wasmtime_caller_t* caller, wasmtime_val_raw_t* args, std::size_t) {
   Log& log = *static_cast<Log*>(wasmtime_context_get_data(wasmtime_caller_context(caller)));
   log.push_back(which);
   log.push_back(which == 1 || which == 3 ? static_cast<std::uint64_t>(args[0].i64)
                                          : static_cast<std::uint32_t>(args[0].i32));
   return nullptr;
}

/// The engine alone. Compares as it goes.
void plain(ByteView code, const ModuleFacts& facts, const std::vector<Outcome>& expected) {
   static wasm_engine_t* engine = [] {
      wasm_config_t* config = wasm_config_new();
      wasmtime_config_cranelift_nan_canonicalization_set(config, true);
      return wasm_engine_new_with_config(config);
   }();
   static wasmtime_linker_t* linker = [] {
      wasmtime_linker_t* l = wasmtime_linker_new(engine);
      auto add = [&](std::string_view name, wasm_valkind_t kind, wasmtime_func_unchecked_callback_t callback) {
         wasm_functype_t* type = wasm_functype_new_1_0(wasm_valtype_new(kind));
         ASSERT(!wasmtime_linker_define_func_unchecked(l, "env", 3, name.data(), name.size(), type, callback, nullptr,
                                                       nullptr));
         wasm_functype_delete(type);
      };
      add("log-i32", WASM_I32, plainLog<0>);
      add("log-i64", WASM_I64, plainLog<1>);
      add("log-f32", WASM_F32, plainLog<2>);
      add("log-f64", WASM_F64, plainLog<3>);
      return l;
   }();
   // The start section runs with the instance here; so it is compared with what came after it there, or left out.
   if (facts.hasStart)
      return;
   wasmtime_module_t* rawModule = nullptr;
   wasmtime_error_t* error = wasmtime_module_new(engine, code.data(), code.size(), &rawModule);
   if (error)
      std::fprintf(stderr, "%s\n", takeMessage(error).c_str());
   ASSERT(!error);
   const Owned<wasmtime_module_t> module(rawModule);
   Log log;
   const Owned<wasmtime_store_t> store(wasmtime_store_new(engine, &log, nullptr));
   wasmtime_context_t* context = wasmtime_store_context(store.get());
   wasmtime_store_limiter(store.get(), 512 << 16, -1, -1, -1, -1);
   wasmtime_instance_t instance;
   wasm_trap_t* trap = nullptr;
   ASSERT(!wasmtime_linker_instantiate(linker, context, module.get(), &instance, &trap) && !trap);
   for (std::size_t i = 0; i < expected.size() && expected[i].comparable; ++i) {
      const FunctionType& type = facts.exports[i].type;
      wasmtime_extern_t item;
      ASSERT(wasmtime_instance_export_get(context, &instance, facts.exports[i].name.data(),
                                          facts.exports[i].name.size(), &item));
      std::vector<wasmtime_val_raw_t> values;
      for (std::size_t p = 0; p < type.params.size(); ++p)
         values.push_back(argument(p));
      values.resize(std::max<std::size_t>(values.size(), 1));
      ASSERT(!wasmtime_func_call_unchecked(context, &item.of.func, values.data(), values.size(), &trap));
      Outcome o;
      const bool trapped = trap;
      if (trap)
         wasm_trap_delete(std::exchange(trap, nullptr));
      else
         o.result = resultOf(type, values[0]);
      const Outcome& want = expected[i];
      ASSERT(want.trap.empty() != trapped);
      ASSERT(o.result == want.result);
      ASSERT(log == want.log);
   }
}

void one(ByteView code) {
   static Engine optimised(functions(), {.cacheDir = {}, .instancesMax = 8, .modulesMax = 1});
   static Engine simple(functions(), {.cacheDir = {}, .instancesMax = 8, .modulesMax = 1, .optimise = false});
   const auto facts = check(code, {});
   if (!facts)
      return;
   const auto a = metered(optimised, code), b = metered(simple, code);
   ASSERT(a.size() == b.size());
   for (std::size_t i = 0; i < a.size(); ++i) {
      if (!a[i].same(b[i]) || a[i].count != b[i].count)
         std::fprintf(stderr, "%s: %s / %s\n", facts->exports[i].name.c_str(), a[i].trap.c_str(), b[i].trap.c_str());
      ASSERT(a[i].same(b[i]));
      ASSERT(a[i].count == b[i].count);
   }
   if (!a.empty()) // none: an import that there is not
      plain(code, *facts, a);
}

} // namespace
} // namespace polis::vm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   polis::vm::onExecutionStack([&] { polis::vm::one({data, size}); });
   return 0;
}
