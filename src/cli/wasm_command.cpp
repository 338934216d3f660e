#include "cli/wasm_command.hpp"

#include "base/fault.hpp"
#include "base/read_all.hpp"
#include "vm/engine.hpp"
#include "vm/execution_thread.hpp"
#include "vm/spec_script.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace polis::cli {
namespace {

struct WasmOptions {
   std::string file, function;
   std::vector<std::string> args;
   std::vector<std::string> folders;
   std::uint64_t instructions = vm::Budget::unlimited;
   vm::Options limits;
};

Bytes readFile(const std::string& name) {
   std::ifstream in(name, std::ios::binary);
   const auto all = in ? readAll(in) : std::nullopt;
   if (!all)
      throw Fault("cannot read " + name);
   return toBytes(*all);
}

std::string text(const vm::FunctionType& type) {
   std::string out = "(";
   for (const vm::ValueType param : type.params)
      out += (out.size() > 1 ? " " : "") + std::string(vm::name(param));
   return out + ")" + (type.result ? " -> " + std::string(vm::name(*type.result)) : "");
}

int checkModule(const WasmOptions& options) {
   const Bytes code = readFile(options.file);
   const auto facts = vm::check(code, options.limits);
   if (!facts) {
      std::cout << "refused: " << facts.error().text() << "\n";
      return 1;
   }
   std::cout << "accepted: " << code.size() << " bytes, " << facts->functions << " functions of " << facts->codeBytes
             << " bytes\n";
   std::cout << "memory: ";
   if (facts->hasMemory)
      std::cout << facts->initialPages << " pages of " << options.limits.maxPages << "\n";
   else
      std::cout << "none\n";
   std::cout << "table: " << facts->tableElements << " elements of " << options.limits.maxTableElements
             << "\nmutable globals: " << facts->mutableGlobalBytes << " bytes of "
             << options.limits.maxMutableGlobalBytes << "\nlargest stack frame: " << facts->largestFrameBytes
             << " bytes, so that " << vm::Budget().stackBytes / std::max<std::uint64_t>(facts->largestFrameBytes, 1)
             << " calls of it fit a context\ninstructions: " << facts->passCost << " for one pass over all code, "
             << facts->largestPassCost
             << " over the costliest function; loops and calls repeat them\ncompiler's work: " << facts->work << " of "
             << vm::limits::moduleWorkMax << "\nstart section: " << (facts->hasStart ? "yes" : "no") << "\nimports:\n";
   for (const vm::Import& import : facts->imports)
      std::cout << "   " << import.module << "." << import.name << " " << text(import.type) << "\n";
   std::cout << "exports:\n";
   for (const vm::ExportedFunction& exported : facts->exports)
      std::cout << "   " << exported.name << " " << text(exported.type) << "\n";
   return 0;
}

/// The bytes of the argument as its type says. Throws Fault when it does not fit.
vm::Value valueOf(const std::string& arg, vm::ValueType type) {
   vm::Value out;
   out.i64 = 0;
   try {
      std::size_t used = 0;
      switch (type) {
      case vm::ValueType::f32:
         out.f32 = std::stof(arg, &used);
         break;
      case vm::ValueType::f64:
         out.f64 = std::stod(arg, &used);
         break;
      default:
         out.i64 =
             arg.starts_with('-') ? static_cast<std::uint64_t>(std::stoll(arg, &used, 0)) : std::stoull(arg, &used, 0);
         if (type == vm::ValueType::i32) {
            const auto whole = static_cast<std::int64_t>(out.i64);
            if (whole < std::numeric_limits<std::int32_t>::min() || whole > std::numeric_limits<std::uint32_t>::max())
               used = 0;
            out = vm::Value::of(static_cast<std::uint32_t>(out.i64));
         }
      }
      if (used == arg.size())
         return out;
   } catch (const std::logic_error&) { // what std::stoull and its kin throw
   }
   throw Fault("'" + arg + "' is not a value of type " + std::string(vm::name(type)));
}

int runFunction(const WasmOptions& options) {
   const Bytes code = readFile(options.file);
   vm::Engine engine({}, {.cacheDir = {}, .instancesMax = 4});
   const auto start = std::chrono::steady_clock::now();
   const auto module = engine.compile(code, vm::CodeHash{}, options.limits);
   if (!module) {
      std::cout << "refused: " << module.error().text() << "\n";
      return 1;
   }
   const auto compiled = std::chrono::steady_clock::now();
   const vm::FunctionType* type = nullptr;
   for (const vm::ExportedFunction& exported : (*module)->facts().exports)
      if (exported.name == options.function)
         type = &exported.type;
   if (!type)
      throw Fault("the module exports no function '" + options.function + "'");
   if (type->params.size() != options.args.size())
      throw Fault(options.function + " takes " + text(*type));
   if (std::ranges::count(type->params, vm::ValueType::v128) != 0 || type->result == vm::ValueType::v128)
      throw Fault("vectors cannot be given or shown: " + options.function + " takes " + text(*type));
   std::vector<vm::Value> args;
   for (std::size_t i = 0; i < options.args.size(); ++i)
      args.push_back(valueOf(options.args[i], type->params[i]));
   vm::Budget budget;
   budget.instructionLimit = options.instructions;
   vm::Instance instance = engine.instantiate(*module, budget, nullptr);
   vm::Value result;
   result.i64 = 0;
   auto done = instance.runStartSection();
   const auto begun = std::chrono::steady_clock::now();
   if (done)
      done = instance.call(options.function, type->params, args, &result);
   const auto ended = std::chrono::steady_clock::now();
   if (!done)
      std::cout << "trap: " << done.error().text() << "\n";
   else if (!type->result)
      std::cout << "done\n";
   else if (*type->result == vm::ValueType::f32)
      std::cout << result.f32 << "\n";
   else if (*type->result == vm::ValueType::f64)
      std::cout << result.f64 << "\n";
   else if (*type->result == vm::ValueType::i32)
      std::cout << result.i32 << "\n";
   else
      std::cout << result.i64 << "\n";
   auto ms = [](auto span) { return std::chrono::duration<double, std::milli>(span).count(); };
   std::cerr << budget.instructions << " instructions, " << ms(ended - begun) << " ms; compiled in "
             << ms(compiled - start) << " ms\n";
   return done ? 0 : 1;
}

int specTest(const WasmOptions& options) {
   vm::SpecRunner runner([](const std::string& failure) { std::cout << failure << "\n"; });
   vm::SpecTally tally;
   for (const std::string& folder : options.folders)
      tally += runner.runFolder(folder);
   std::cout << tally.passed << " passed, " << tally.failed << " failed, " << tally.refused << " refused\n";
   return tally.failed == 0 ? 0 : 1;
}

void addLimits(CLI::App& command, WasmOptions& options) {
   command.add_option("file", options.file, "A binary module")->required();
   command.add_option("--max-pages", options.limits.maxPages, "Pages of memory that the chain allows")
       ->capture_default_str();
   command.add_option("--max-table-elements", options.limits.maxTableElements)->capture_default_str();
   command.add_option("--max-global-bytes", options.limits.maxMutableGlobalBytes)->capture_default_str();
}

} // namespace

void addWasmCommand(CLI::App& app, int& exitCode) {
   CLI::App* wasm = app.add_subcommand("wasm", "What the VM thinks of WebAssembly code\n"
                                               "\n"
                                               "   polis wasm check service.wasm");
   wasm->require_subcommand(1);
   const auto options = std::make_shared<WasmOptions>();
   CLI::App* check = wasm->add_subcommand("check", "Tells whether code may be deployed, and what it holds");
   addLimits(*check, *options);
   check->callback([options, &exitCode] { exitCode = checkModule(*options); });
   CLI::App* run = wasm->add_subcommand("run", "Runs an exported function of a module without imports");
   addLimits(*run, *options);
   run->add_option("function", options->function, "Its name")->required();
   run->add_option("args", options->args, "Numbers");
   run->add_option("--instructions", options->instructions, "Stop beyond this count");
   run->callback([options, &exitCode] { vm::onExecutionStack([&] { exitCode = runFunction(*options); }); });
   CLI::App* spec = wasm->add_subcommand("spec-test", "Runs scripts of the WebAssembly specification's test suite");
   spec->add_option("folders", options->folders, "Where scripts (.json, as wast2json writes them) and modules lie")
       ->required();
   spec->callback([options, &exitCode] { vm::onExecutionStack([&] { exitCode = specTest(*options); }); });
}

} // namespace polis::cli
