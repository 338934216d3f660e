// A module that passed the policy, with what metering needs to know of each function.
#pragma once

#include "vm/function_check.hpp"
#include "vm/parsed_module.hpp"

namespace polis::vm {

struct CheckedModule {
   ParsedModule module;
   std::vector<FunctionFacts> functions; ///< those defined, in order
};

/// Views in the result point into `code`.
[[nodiscard]] std::expected<CheckedModule, Rejection> checkModule(ByteView code, const Options& options);

ModuleFacts factsOf(const CheckedModule& checked);

} // namespace polis::vm
