// Scripts of the WebAssembly specification's test suite, as `wast2json` writes them, through policy, metering and
// engine. For tests and for people who want to know what the VM refuses; a node never runs one.
#pragma once

#include "vm/engine.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace polis::vm {

/// How the commands of scripts went. Commands that ask nothing of the VM (modules in text form, `register`) are in
/// none.
struct SpecTally {
   std::uint64_t passed = 0;
   std::uint64_t failed = 0;
   std::uint64_t refused = 0; ///< modules that the policy refuses on purpose, and what would have used them
   SpecTally& operator+=(const SpecTally& other);
};

class SpecRunner {
public:
   /// onFailure: gets one line for each command that failed: script, line, what was expected.
   explicit SpecRunner(std::function<void(const std::string&)> onFailure);

   /// Runs one script; the modules it names lie beside it. Call it on an ExecutionThread.
   /// Throws Fault when the script or a module cannot be read, or the script is not one.
   SpecTally runScript(const std::filesystem::path& script);

   /// Every `.json` beneath the folder, in the order of their paths. Throws Fault when there is none.
   SpecTally runFolder(const std::filesystem::path& folder);

private:
   std::function<void(const std::string&)> onFailure_;
   Engine engine_;
   std::uint64_t modules_ = 0; ///< compiled so far
};

} // namespace polis::vm
