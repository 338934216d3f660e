// A compiled module: immutable, shared between threads.
#pragma once

#include "vm/policy.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace polis::vm {

/// SHA-256 of the code, computed by the caller; the engine trusts it.
using CodeHash = std::array<std::uint8_t, 32>;

class ModuleBody;

/// Code that passed the policy, metered and compiled for one Options value. Made by Engine::compile.
/// Keep it as std::shared_ptr<const Module>; must not outlive its Engine.
class Module {
public:
   explicit Module(std::unique_ptr<ModuleBody> body);
   ~Module();
   Module(const Module&) = delete;
   Module& operator=(const Module&) = delete;

   const ModuleFacts& facts() const;
   const CodeHash& codeHash() const;
   const Options& options() const;

   /// True if a function of this name is exported, whatever its type.
   bool exports(std::string_view name) const;

   /// For vm itself.
   ModuleBody& body() const { return *body_; }

private:
   std::unique_ptr<ModuleBody> body_;
};

} // namespace polis::vm
