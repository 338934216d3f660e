// The WebAssembly engine: compiles modules, keeps them, and hands out instances.
#pragma once

#include "base/bytes.hpp"
#include "vm/host_function.hpp"
#include "vm/instance.hpp"
#include "vm/module.hpp"
#include "vm/policy.hpp"
#include "vm/twin.hpp"

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace polis::vm {

struct EngineOptions {
   /// Where compiled code is kept between runs; empty: nowhere. Created if missing. Files that are corrupt, of another
   /// version or of another machine are ignored and replaced.
   std::filesystem::path cacheDir;
   /// Instances alive at once, those idle in the pool included (they give way when needed). Each takes address space,
   /// not memory, until used.
   std::uint32_t instancesMax = 1024;
   /// Compiled modules kept in memory; those in use are held by their users.
   std::uint32_t modulesMax = 512;
   /// For comparison in tests: compile without optimisation.
   bool optimise = true;
   /// Likewise: let the engine's interpreter run the code; `withoutFeatures` means nothing to it.
   bool interpret = false;
   /// Likewise: features of the processor that compiled code must not use, by the engine's names ("has_avx", …).
   std::vector<std::string> withoutFeatures = {};
   /// For testers: what runs in place of the code of this hash; null: the code itself. Asked once for each.
   std::function<std::shared_ptr<Twin>(const CodeHash&)> twin = nullptr;
};

struct EngineStats {
   std::uint64_t compiled = 0;        ///< modules compiled from wasm
   std::uint64_t plain = 0;           ///< of these, without optimisation: see Engine::compile
   std::uint64_t loaded = 0;          ///< modules taken from cacheDir
   std::uint64_t instancesMade = 0;   ///< instances built from nothing
   std::uint64_t instancesReused = 0; ///< instances taken from the pool
};

/// Thread-safe. Must outlive its modules and instances.
/// The first engine of a process installs handlers for SIGSEGV, SIGBUS, SIGILL and SIGFPE (traps of guest code, and
/// first writes to pages of guest memory), which hand on what is not theirs. Whoever else handles these signals does so
/// before, or chains.
class Engine {
public:
   /// functions: everything a module may import, in module "env".
   /// Throws Fault if the machine cannot provide what is needed.
   explicit Engine(std::vector<HostFunction> functions, EngineOptions options = {});
   ~Engine();
   Engine(const Engine&) = delete;
   Engine& operator=(const Engine&) = delete;

   /// Checks, meters and compiles; answers from the caches (memory, then disk) when it can. Two threads asking for the
   /// same code compile it once. Takes milliseconds to seconds per MiB when it has to compile: do it ahead of use. Any
   /// thread may, while others run guest code; `find` then tells whether it is done.
   /// Code whose optimised form would need too much native stack is compiled without optimisation.
   /// hash: SHA-256 of the code.
   /// Errors: a rule of the policy broken, or an import that is not in the table with exactly this type.
   [[nodiscard]] std::expected<std::shared_ptr<const Module>, Rejection> compile(ByteView code, const CodeHash& hash,
                                                                                 const Options& options);

   /// The module if it is in memory; null otherwise. Never compiles or reads files. `compile` needs the code bytes,
   /// this does not.
   std::shared_ptr<const Module> find(const CodeHash& hash, const Options& options);

   /// A fresh instance: memory zero but for the data segments, globals and table initial; no guest code was run.
   /// budget, user: must outlive the instance; `user` is what host functions find in CallContext.
   /// Throws Fault when instancesMax are in use.
   Instance instantiate(std::shared_ptr<const Module> module, Budget& budget, void* user);

   EngineStats stats() const;

   class Body;

private:
   std::unique_ptr<Body> body_;
};

} // namespace polis::vm
