// Runs files of conformance vectors. The form of a file is told from its content. For tools and tests; within wasm a
// file of signatures runs no case.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace polis::format {

struct VectorReport {
   std::string form; ///< such as "fracpack values"; empty when the file is of no known form
   unsigned passed = 0;
   std::vector<std::string> failures; ///< one line for each case that fails: which, and how
};

VectorReport checkVectors(std::string_view json);

} // namespace polis::format
