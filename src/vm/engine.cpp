#include "vm/engine.hpp"

#include "base/assert.hpp"
#include "base/fault.hpp"
#include "base/mutex.hpp"
#include "vm/checked_module.hpp"
#include "vm/code_cache.hpp"
#include "vm/module_body.hpp"
#include "vm/native_stack.hpp"

#include <algorithm>
#include <atomic>
#include <future>
#include <limits>
#include <list>
#include <map>
#include <unordered_map>

extern "C" void polis_wasmtime_configure(wasm_config_t* config, std::size_t stackBytes);
extern "C" void polis_wasmtime_backtraces(wasm_config_t* config, std::size_t frames);
extern "C" void polis_wasmtime_scan_pages(wasmtime_pooling_allocation_config_t* pool);

namespace polis::vm {
namespace {

/// Tables larger than this fit no instance, whatever a chain's options say.
constexpr std::size_t tableElementsMax = 1u << 20;
/// Written pages of a memory are cleared in place up to this size when an instance is given back, and unmapped beyond.
constexpr std::size_t residentBytes = std::size_t{4} << 20;
constexpr std::size_t instanceBytesMax = std::size_t{64} << 20;
/// Calls shown of code that stops, where it is looked into.
constexpr std::size_t twinFramesMax = 64;

Owned<wasm_engine_t> makeEngine(const EngineOptions& options, bool optimise) {
   wasm_config_t* config = wasm_config_new();
   polis_wasmtime_configure(config, nativeGuestStackBytes);
   if (options.twin)
      polis_wasmtime_backtraces(config, twinFramesMax);
   // The same results everywhere.
   wasmtime_config_cranelift_nan_canonicalization_set(config, true);
   wasmtime_config_wasm_simd_set(config, true);
   wasmtime_config_wasm_relaxed_simd_set(config, false);
   wasmtime_config_wasm_bulk_memory_set(config, true);
   wasmtime_config_wasm_multi_value_set(config, true); // metered functions return two values; modules may not
   wasmtime_config_wasm_multi_memory_set(config, false);
   wasmtime_config_wasm_memory64_set(config, false);
   wasmtime_config_wasm_tail_call_set(config, false);
   wasmtime_config_wasm_branch_hinting_set(config, true); // metering says which of its branches are unlikely
   wasmtime_config_native_unwind_info_set(config, false);
   wasmtime_config_cranelift_opt_level_set(config, optimise ? WASMTIME_OPT_LEVEL_SPEED : WASMTIME_OPT_LEVEL_NONE);
   if (options.interpret)
      ASSERT(!wasmtime_config_target_set(config, "pulley64")); // the engine's name for it
   else
      for (const std::string& feature : options.withoutFeatures)
         wasmtime_config_cranelift_flag_set(config, feature.c_str(), "false");
   wasmtime_config_memory_may_move_set(config, false);
   wasmtime_config_memory_reservation_set(config, std::uint64_t{1} << 32);
   wasmtime_config_memory_guard_size_set(config, std::uint64_t{32} << 20);

   wasmtime_pooling_allocation_config_t* pool = wasmtime_pooling_allocation_config_new();
   wasmtime_pooling_allocation_config_total_core_instances_set(pool, options.instancesMax);
   wasmtime_pooling_allocation_config_total_memories_set(pool, options.instancesMax);
   wasmtime_pooling_allocation_config_total_tables_set(pool, options.instancesMax);
   wasmtime_pooling_allocation_config_max_unused_warm_slots_set(pool, options.instancesMax);
   wasmtime_pooling_allocation_config_max_core_instance_size_set(pool, instanceBytesMax);
   wasmtime_pooling_allocation_config_max_memory_size_set(pool, std::size_t{1} << 32);
   wasmtime_pooling_allocation_config_table_elements_set(pool, tableElementsMax);
   wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool, residentBytes);
   wasmtime_pooling_allocation_config_table_keep_resident_set(pool, 64 << 10);
   polis_wasmtime_scan_pages(pool);
   wasmtime_pooling_allocation_strategy_set(config, pool);
   wasmtime_pooling_allocation_config_delete(pool);
   Owned<wasm_engine_t> engine(wasm_engine_new_with_config(config));
   if (!engine)
      throw Fault("cannot start the WebAssembly engine");
   WrittenPages::installHandler();
   return engine;
}

wasm_valtype_t* valtype(ValueType type) {
   switch (type) {
   case ValueType::i32:
      return wasm_valtype_new(WASM_I32);
   case ValueType::i64:
      return wasm_valtype_new(WASM_I64);
   case ValueType::f32:
      return wasm_valtype_new(WASM_F32);
   case ValueType::f64:
      return wasm_valtype_new(WASM_F64);
   case ValueType::v128:
      break;
   }
   throw Fault("host functions take no vectors");
}

/// params + (i32, i64) → result + (i64), unless `plain`.
wasm_functype_t* functype(const FunctionType& type, bool plain) {
   std::vector<wasm_valtype_t*> params, results;
   for (const ValueType param : type.params)
      params.push_back(valtype(param));
   if (type.result)
      results.push_back(valtype(*type.result));
   if (!plain) {
      params.push_back(valtype(ValueType::i32));
      params.push_back(valtype(ValueType::i64));
      results.push_back(valtype(ValueType::i64));
   }
   wasm_valtype_vec_t paramVec, resultVec;
   wasm_valtype_vec_new(&paramVec, params.size(), params.data());
   wasm_valtype_vec_new(&resultVec, results.size(), results.data());
   return wasm_functype_new(&paramVec, &resultVec);
}

struct ModuleKey {
   CodeHash hash;
   Options options;
   auto operator<=>(const ModuleKey&) const = default;
};

} // namespace

using Compiled = std::expected<std::shared_ptr<const Module>, Rejection>;

class Engine::Body {
public:
   Body(std::vector<HostFunction> functions, EngineOptions options) : options_(std::move(options)) {
      for (HostFunction& function : functions) {
         ASSERT(function.body && function.type.params.size() <= hostParamsMax);
         const std::string name = function.name;
         auto [at, fresh] = functions_.emplace(name, BoundFunction{});
         ASSERT(fresh);
         at->second = {std::move(function), 0};
         at->second.params = static_cast<std::uint32_t>(at->second.function.type.params.size());
      }
      if (options_.optimise)
         compilers_[0] = makeCompiler(true);
   }

   std::shared_ptr<const Module> find(const ModuleKey& key) EXCLUDES(mutex_) {
      Lock lock(mutex_);
      return findLocked(key);
   }

   Compiled compile(ByteView code, const ModuleKey& key) EXCLUDES(mutex_) {
      std::promise<Compiled> promise;
      std::shared_future<Compiled> other;
      {
         Lock lock(mutex_);
         if (auto found = findLocked(key))
            return found;
         if (auto at = underWay_.find(key); at != underWay_.end())
            other = at->second;
         else
            underWay_.emplace(key, promise.get_future().share());
      }
      if (other.valid())
         return other.get();
      try {
         Compiled made = make(code, key);
         {
            Lock lock(mutex_);
            underWay_.erase(key);
            if (made)
               keepLocked(key, *made);
         }
         promise.set_value(made);
         return made;
      } catch (...) {
         {
            Lock lock(mutex_);
            underWay_.erase(key);
         }
         promise.set_exception(std::current_exception());
         throw;
      }
   }

   EngineStats stats() const {
      return {compiled_.load(), plain_.load(), loaded_.load(), instancesMade.load(), instancesReused.load()};
   }

   /// From nothing. When all are in use, those that lie idle give way.
   std::unique_ptr<InstanceBody> makeInstance(const ModuleBody& module) EXCLUDES(mutex_) {
      try {
         return std::make_unique<InstanceBody>(module);
      } catch (const Fault&) {
         std::vector<std::shared_ptr<const Module>> modules;
         {
            Lock lock(mutex_);
            for (const auto& [key, kept] : modules_)
               modules.push_back(kept.module);
         }
         for (const auto& other : modules)
            other->body().dropIdle();
         return std::make_unique<InstanceBody>(module);
      }
   }

   std::atomic<std::uint64_t> instancesMade{0}, instancesReused{0};

private:
   static constexpr std::string_view hostModule = "env";
   /// No bound on frames.
   static constexpr std::uint64_t unbounded = std::numeric_limits<std::uint64_t>::max();

   /// One way to compile, and what its modules are linked with.
   struct Compiler {
      Owned<wasm_engine_t> engine;
      Owned<wasmtime_linker_t> linker;
      CodeCache cache;
   };

   std::unique_ptr<Compiler> makeCompiler(bool optimise) const {
      std::string version = std::string("wasmtime " WASMTIME_VERSION) + (optimise ? "" : " plain") +
                            (options_.interpret ? " interpreted" : "");
      for (const std::string& feature : options_.withoutFeatures)
         version += " -" + feature;
      Owned<wasm_engine_t> engine = makeEngine(options_, optimise);
      Owned<wasmtime_linker_t> linker(wasmtime_linker_new(engine.get()));
      auto define = [&](std::string_view module, std::string_view name, wasm_functype_t* type,
                        wasmtime_func_unchecked_callback_t callback, const void* data) {
         wasmtime_error_t* error =
             wasmtime_linker_define_func_unchecked(linker.get(), module.data(), module.size(), name.data(), name.size(),
                                                   type, callback, const_cast<void*>(data), nullptr);
         wasm_functype_delete(type);
         if (error)
            throw Fault("cannot define a host function: " + takeMessage(error));
      };
      for (const auto& [name, bound] : functions_)
         define(hostModule, name, functype(bound.function.type, false), enterHost, &bound);
      define(metered::hostModule, metered::tick, functype({{ValueType::i64}, ValueType::i64}, true), enterTick,
             nullptr);
      define(metered::hostModule, metered::overflow, functype({}, true), enterOverflow, nullptr);
      define(metered::hostModule, metered::noMemory, functype({}, true), enterNoMemory, nullptr);
      define(metered::hostModule, metered::mark, functype({{ValueType::i32}, std::nullopt}, true), enterMark, nullptr);
      return std::make_unique<Compiler>(std::move(engine), std::move(linker), CodeCache(options_.cacheDir, version));
   }

   /// Made when first needed: hardly ever.
   const Compiler& plainCompiler() EXCLUDES(mutex_) {
      Lock lock(mutex_);
      if (!compilers_[1])
         compilers_[1] = makeCompiler(false);
      return *compilers_[1];
   }

   /// The code as kept on disk; null if there is none that fits.
   Owned<wasmtime_module_t> load(const Compiler& compiler, const ModuleKey& key) {
      const auto kept = compiler.cache.load(key.hash, key.options);
      if (!kept)
         return nullptr;
      wasmtime_module_t* module = nullptr;
      if (wasmtime_error_t* error =
              wasmtime_module_deserialize(compiler.engine.get(), kept->data(), kept->size(), &module)) {
         takeMessage(error); // of another machine or version: compiled anew
         return nullptr;
      }
      ++loaded_;
      return Owned<wasmtime_module_t>(module);
   }

   /// Null, and nothing kept, if the code makes frames above frameBytesMax.
   Owned<wasmtime_module_t> translate(const Compiler& compiler, const ModuleKey& key, ByteView metered,
                                      std::uint64_t frameBytesMax) {
      wasmtime_module_t* made = nullptr;
      if (wasmtime_error_t* error = wasmtime_module_new(compiler.engine.get(), metered.data(), metered.size(), &made))
         throw Fault("the engine refuses a module that passed the policy: " + takeMessage(error));
      Owned<wasmtime_module_t> module(made);
      wasm_byte_vec_t serialized;
      if (wasmtime_error_t* error = wasmtime_module_serialize(made, &serialized))
         throw Fault("cannot keep compiled code: " + takeMessage(error));
      const ByteView compiled(reinterpret_cast<const std::uint8_t*>(serialized.data), serialized.size);
      if (frameBytesMax < unbounded && largestNativeFrame(compiled) > frameBytesMax)
         module.reset();
      else
         compiler.cache.save(key.hash, key.options, compiled);
      wasm_byte_vec_delete(&serialized);
      return module;
   }

   /// With `compiler`, or plainly if that makes frames that are too large for the least doubtful one. Returns which.
   const Compiler* translateSafely(ModuleBody& body, const Compiler& compiler, const ModuleKey& key, ByteView metered,
                                   std::uint64_t doubtful) {
      const bool safe = doubtful == unbounded || !options_.optimise;
      body.module = translate(compiler, key, metered, safe ? unbounded : doubtful * nativePerAccounted);
      if (body.module)
         return &compiler;
      body.module = translate(plainCompiler(), key, metered, unbounded);
      ++plain_;
      return &plainCompiler();
   }

   std::optional<Rejection> checkImports(const ParsedModule& module) const {
      for (const ParsedImport& import : module.imports) {
         const std::string where = std::string(import.module) + "." + std::string(import.name);
         const auto at = import.module == hostModule ? functions_.find(std::string(import.name)) : functions_.end();
         if (at == functions_.end())
            return Rejection{import.offset, "unknown import " + where};
         if (at->second.function.type != module.types[import.type])
            return Rejection{import.offset, "import " + where + " has the wrong type"};
      }
      return std::nullopt;
   }

   Compiled make(ByteView code, const ModuleKey& asked) {
      const std::shared_ptr<Twin> twin = options_.twin ? options_.twin(asked.hash) : nullptr;
      ModuleKey key = asked; // under which compiled code is kept on disk
      if (twin) {
         code = twin->code;
         key.hash = twin->hash;
      }
      auto checked = checkModule(code, key.options);
      if (!checked)
         return std::unexpected(checked.error());
      if (auto rejected = checkImports(checked->module))
         return std::unexpected(*rejected);
      auto body = std::make_unique<ModuleBody>();
      body->hash = asked.hash;
      body->twin = twin;
      body->options = key.options;
      body->facts = factsOf(*checked);
      for (const ExportedFunction& exported : body->facts.exports)
         body->exportPlace.emplace(exported.name, static_cast<std::uint32_t>(body->exportPlace.size()));
      body->hasReset = body->facts.mutableGlobalBytes != 0;
      body->startExport = body->facts.hasMemory + body->hasReset;
      body->firstFunctionExport = body->startExport + body->facts.hasStart;
      body->changesTables = std::ranges::any_of(checked->functions, &FunctionFacts::changesTables);
      makeImage(checked->module, code, *body);

      // The interpreter's frames are not looked at: no node runs it.
      const std::uint64_t doubtful = options_.interpret ? unbounded : leastDoubtfulFrame(*checked);
      const Compiler* compiler = options_.optimise ? compilers_[0].get() : &plainCompiler();
      body->module = load(*compiler, key);
      if (!body->module && doubtful < unbounded && options_.optimise) {
         if (auto plain = load(plainCompiler(), key)) {
            compiler = &plainCompiler();
            body->module = std::move(plain);
         }
      }
      if (!body->module || twin) {
         const auto metered = meter(*checked, code, key.options, twin.get());
         if (!metered)
            return std::unexpected(metered.error());
         if (!body->module) {
            compiler = translateSafely(*body, *compiler, key, *metered, doubtful);
            ++compiled_;
         }
      }
      body->engine = compiler->engine.get();
      wasmtime_instance_pre_t* prepared = nullptr;
      if (wasmtime_error_t* error =
              wasmtime_linker_instantiate_pre(compiler->linker.get(), body->module.get(), &prepared))
         throw Fault("cannot link a module that passed the policy: " + takeMessage(error));
      body->prepared.reset(prepared);
      return std::make_shared<const Module>(std::move(body));
   }

   /// Initial contents of the memory, for instances to be made fresh with.
   static void makeImage(const ParsedModule& module, ByteView code, ModuleBody& body) {
      std::size_t begin = ~std::size_t{0}, end = 0;
      for (const ParsedData& segment : module.data) {
         if (!segment.active || segment.bytes.begin == segment.bytes.end)
            continue;
         begin = std::min<std::size_t>(begin, segment.offset);
         end = std::max(end, segment.offset + (segment.bytes.end - segment.bytes.begin));
      }
      if (begin >= end)
         return;
      constexpr std::size_t page = WrittenPages::pageBytes;
      body.imageAt = begin / page * page;
      body.image.resize((end + page - 1) / page * page - body.imageAt);
      for (const ParsedData& segment : module.data)
         if (segment.active)
            std::copy(code.begin() + static_cast<std::ptrdiff_t>(segment.bytes.begin),
                      code.begin() + static_cast<std::ptrdiff_t>(segment.bytes.end),
                      body.image.begin() + static_cast<std::ptrdiff_t>(segment.offset - body.imageAt));
   }

   std::shared_ptr<const Module> findLocked(const ModuleKey& key) REQUIRES(mutex_) {
      const auto at = modules_.find(key);
      if (at == modules_.end())
         return nullptr;
      recent_.splice(recent_.begin(), recent_, at->second.place);
      return at->second.module;
   }

   void keepLocked(const ModuleKey& key, std::shared_ptr<const Module> module) REQUIRES(mutex_) {
      recent_.push_front(key);
      modules_.insert_or_assign(key, Kept{std::move(module), recent_.begin()});
      while (recent_.size() > options_.modulesMax) {
         modules_.erase(recent_.back());
         recent_.pop_back();
      }
   }

   struct Kept {
      std::shared_ptr<const Module> module;
      std::list<ModuleKey>::iterator place;
   };

   const EngineOptions options_;
   std::unordered_map<std::string, BoundFunction> functions_; ///< nodes do not move
   std::unique_ptr<Compiler> compilers_[2];                   ///< optimising; plain. Once made, they stay
   std::atomic<std::uint64_t> compiled_{0}, plain_{0}, loaded_{0};
   Mutex mutex_;
   std::map<ModuleKey, Kept> modules_ GUARDED_BY(mutex_);
   std::list<ModuleKey> recent_ GUARDED_BY(mutex_); ///< newest first
   std::map<ModuleKey, std::shared_future<Compiled>> underWay_ GUARDED_BY(mutex_);
};

Engine::Engine(std::vector<HostFunction> functions, EngineOptions options)
   : body_(std::make_unique<Body>(std::move(functions), std::move(options))) {}

Engine::~Engine() = default;

std::expected<std::shared_ptr<const Module>, Rejection> Engine::compile(ByteView code, const CodeHash& hash,
                                                                        const Options& options) {
   return body_->compile(code, {hash, options});
}

std::shared_ptr<const Module> Engine::find(const CodeHash& hash, const Options& options) {
   return body_->find({hash, options});
}

Instance Engine::instantiate(std::shared_ptr<const Module> module, Budget& budget, void* user) {
   std::unique_ptr<InstanceBody> instance = module->body().takeIdle();
   if (instance) {
      ++body_->instancesReused;
   } else {
      instance = body_->makeInstance(module->body());
      ++body_->instancesMade;
   }
   instance->lend(std::move(module), budget, user);
   return Instance(instance.release());
}

EngineStats Engine::stats() const { return body_->stats(); }

// Modules.

Module::Module(std::unique_ptr<ModuleBody> body) : body_(std::move(body)) {}
Module::~Module() = default;

const ModuleFacts& Module::facts() const { return body_->facts; }
const CodeHash& Module::codeHash() const { return body_->hash; }
const Options& Module::options() const { return body_->options; }
bool Module::exports(std::string_view name) const { return body_->findExport(name).has_value(); }

std::optional<std::uint32_t> ModuleBody::findExport(std::string_view name) const {
   const auto at = exportPlace.find(name);
   return at == exportPlace.end() ? std::nullopt : std::optional(at->second);
}

ModuleBody::ModuleBody() = default;
ModuleBody::~ModuleBody() = default;

std::unique_ptr<InstanceBody> ModuleBody::takeIdle() {
   Lock lock(mutex_);
   if (idle_.empty())
      return nullptr;
   auto out = std::move(idle_.back());
   idle_.pop_back();
   return out;
}

bool ModuleBody::keepIdle(std::unique_ptr<InstanceBody>& instance) {
   Lock lock(mutex_);
   if (idle_.size() >= idleMax)
      return false;
   idle_.push_back(std::move(instance));
   return true;
}

void ModuleBody::dropIdle() {
   std::vector<std::unique_ptr<InstanceBody>> dropped;
   Lock lock(mutex_);
   dropped.swap(idle_);
}

void ModuleBody::sawFresh(bool fresh) {
   const int spoiled = spoiled_.load(std::memory_order_relaxed); // a lost update does no harm
   if (!fresh)
      spoiled_.store(std::min(spoiled + 8, 2 * spoiledMax), std::memory_order_relaxed);
   else if (spoiled > 0)
      spoiled_.store(spoiled - 1, std::memory_order_relaxed);
}

std::vector<std::uint32_t> ModuleBody::expectedPages() const {
   Lock lock(mutex_);
   return expected_;
}

void ModuleBody::sawPages(std::span<const std::uint32_t> pages) {
   Lock lock(mutex_);
   if (pages.size() <= expected_.size())
      return;
   expected_.assign(pages.begin(), pages.end());
   std::ranges::sort(expected_);
}

} // namespace polis::vm
