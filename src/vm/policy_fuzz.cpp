// Any bytes: the policy ends, and what it accepts is, metered, a module that the engine accepts too.
#include "base/assert.hpp"
#include "vm/checked_module.hpp"
#include "vm/metering.hpp"
#include "vm/module_body.hpp"

#include <cstdio>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   using namespace polis::vm;
   static wasm_engine_t* engine = [] {
      wasm_config_t* config = wasm_config_new();
      wasmtime_config_wasm_multi_value_set(config, true);
      return wasm_engine_new_with_config(config);
   }();
   const polis::ByteView code(data, size);
   const Options options;
   const auto checked = checkModule(code, options);
   if (!checked)
      return 0;
   static_cast<void>(factsOf(*checked));
   const auto metered = meter(*checked, code, options);
   if (!metered)
      return 0;
   wasmtime_error_t* const meteredModuleIsInvalid = wasmtime_module_validate(engine, metered->data(), metered->size());
   if (meteredModuleIsInvalid)
      std::fprintf(stderr, "%s\n", takeMessage(meteredModuleIsInvalid).c_str());
   ASSERT(!meteredModuleIsInvalid);
   return 0;
}
