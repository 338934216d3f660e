// `polis test`: runs a test program against chains of its own.
#include "base/clock.hpp"
#include "base/fault.hpp"
#include "base/temporary_folder.hpp"
#include "cli/commands.hpp"
#include "cli/source_lines.hpp"
#include "cli/test_boot.hpp"
#include "kernel/tester_program.hpp"
#include "node/boot.hpp"
#include "vm/execution_thread.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

extern char** environ;

namespace polis::cli {

namespace {

struct Options {
   std::string file;
   std::vector<std::string> args;
   std::string packages;
   std::vector<std::string> with;
   std::string coverage;
   std::string filter = "error";
   bool packaged = false;
   bool confined = false;
   bool verbose = false;
   bool timing = false;
};

constexpr const char* severities[] = {"trace", "debug", "info", "warning", "error", "critical"};

kernel::Severity severityOf(const std::string& name) {
   for (std::uint32_t i = 0; i < std::size(severities); ++i)
      if (name == severities[i])
         return static_cast<kernel::Severity>(i);
   return kernel::Severity::error;
}

/// Module `polis`: what our own test library asks for beside the protocol's interface.
class OwnImports {
public:
   OwnImports(kernel::TesterCalls& calls, std::filesystem::path folder, std::vector<std::string> with,
              SourceLines& lines)
      : calls_(calls), folder_(std::move(folder)), with_(std::move(with)), lines_(lines) {}

   /// A chain with these packages (names separated by commas; none: the default set), made once and cloned.
   std::uint32_t boot(const std::string& names) {
      if (!booted_.contains(names)) {
         if (!packages_)
            packages_ = openFolder();
         TestBoot boot;
         std::istringstream list(names);
         for (std::string name; std::getline(list, name, ',');)
            boot.packages.push_back(name);
         if (boot.packages.empty())
            boot.packages = node::defaultBootPackages(*packages_);
         else // without these there is no chain; the protocol's set Minimal
            boot.packages.insert(boot.packages.end(),
                                 {"Accounts", "AuthAny", "AuthDelegate", "CommonApi", "CpuLimit", "Db", "HttpServer",
                                  "Packages", "Producers", "SetCode", "Sites", "Transact"});
         const std::uint32_t number = calls_.createChain(0, 0, 0, 0);
         bootTestChain(calls_.chain(number), *packages_, boot);
         booted_[names] = number;
      }
      return clone(booted_[names]);
   }

   /// A copy whose web server is up, too.
   std::uint32_t clone(std::uint32_t chain) {
      const std::uint32_t copy = calls_.cloneChain(chain);
      startTestSession(calls_.chain(copy), {});
      return copy;
   }

   std::uint32_t failures() const { return lines_.failures(); }
   std::string linesOf(std::uint32_t failure) { return lines_.text(failure); }

private:
   /// The folder of packages and, if more were named, one that holds them, too.
   node::PackageFolder openFolder() {
      if (with_.empty())
         return node::PackageFolder::open(folder_);
      scratch_.emplace("test");
      for (const auto& entry : std::filesystem::directory_iterator(folder_))
         if (entry.path().extension() == ".psi")
            std::filesystem::create_symlink(std::filesystem::absolute(entry.path()),
                                            scratch_->path() / entry.path().filename());
      for (const std::string& file : with_) {
         const auto link = scratch_->path() / std::filesystem::path(file).filename();
         std::filesystem::remove(link);
         std::filesystem::create_symlink(std::filesystem::absolute(file), link);
      }
      return node::PackageFolder::open(scratch_->path());
   }

   kernel::TesterCalls& calls_;
   std::filesystem::path folder_;
   std::vector<std::string> with_;
   SourceLines& lines_;
   std::optional<TemporaryFolder> scratch_;
   std::optional<node::PackageFolder> packages_;
   std::map<std::string, std::uint32_t> booted_;
};

std::vector<vm::ProgramFunction> ownImports(kernel::TesterCalls& calls, const std::filesystem::path& folder,
                                            const std::vector<std::string>& with, SourceLines& lines) {
   using vm::ValueType;
   const vm::FunctionType textType{{ValueType::i32, ValueType::i32}, std::nullopt};
   const auto textOf = [](const vm::ProgramMemory& memory, const vm::Value* a) {
      const auto span = memory.span(a[0].i32, a[1].i32);
      return std::string(reinterpret_cast<const char*>(span.data()), span.size());
   };
   std::vector<vm::ProgramFunction> out;
   const auto own = std::make_shared<OwnImports>(calls, folder, with, lines);
   const auto add = [&out](const char* name, std::size_t params, auto body) {
      out.push_back({"polis",
                     name,
                     {std::vector(params, ValueType::i32), ValueType::i32},
                     [body](const vm::ProgramMemory& memory, const vm::Value* a, vm::Value* result) {
                        try {
                           *result = vm::Value::of(body(memory, a));
                        } catch (const kernel::TesterError& error) {
                           throw vm::ProgramError{error.text};
                        }
                     }});
   };
   add("boot", 2, [own, textOf](const vm::ProgramMemory& m, const vm::Value* a) { return own->boot(textOf(m, a)); });
   add("clone", 1, [own](const vm::ProgramMemory&, const vm::Value* a) { return own->clone(a[0].i32); });
   add("failures", 0, [own](const vm::ProgramMemory&, const vm::Value*) { return own->failures(); });
   add("sourceLines", 1, [own, &calls](const vm::ProgramMemory&, const vm::Value* a) {
      return calls.setResult(toBytes(own->linesOf(a[0].i32)));
   });
   // What service headers use when a test is linked with them.
   out.push_back(
       {"env", "abortMessage", textType, [textOf](const vm::ProgramMemory& m, const vm::Value* a, vm::Value*) {
           throw vm::ProgramError{textOf(m, a)};
        }});
   out.push_back(
       {"env", "writeConsole", textType, [textOf](const vm::ProgramMemory& m, const vm::Value* a, vm::Value*) {
           std::cout << textOf(m, a) << std::flush;
        }});
   return out;
}

/// Those that packages are taken from.
std::vector<std::filesystem::path> foldersOf(const std::filesystem::path& packages,
                                             const std::vector<std::string>& with) {
   std::vector<std::filesystem::path> out{packages};
   for (const std::string& file : with)
      out.push_back(std::filesystem::absolute(file).parent_path());
   return out;
}

/// As lcov and its kin read it. Source: the manual page of geninfo.
void writeCoverage(const SourceLines::Coverage& coverage, const std::string& file) {
   std::ofstream out(file);
   std::size_t all = 0, run = 0;
   for (const auto& [source, lines] : coverage) {
      const auto hit = std::ranges::count_if(lines, [](const auto& line) { return line.second != 0; });
      out << "TN:\nSF:" << source << "\n";
      for (const auto& [line, runs] : lines)
         out << "DA:" << line << "," << runs << "\n";
      out << "LF:" << lines.size() << "\nLH:" << hit << "\nend_of_record\n";
      all += lines.size();
      run += static_cast<std::size_t>(hit);
   }
   if (!out.flush())
      throw Fault("cannot write " + file);
   std::cerr << run << " of " << all << " lines of services were run: " << file << "\n";
}

int run(const Options& options) {
   const std::filesystem::path packages =
       options.packages.empty() ? node::defaultPackageFolder() : std::filesystem::path(options.packages);
   kernel::TestProgram program;
   program.code = node::readFile(options.file, std::uint64_t{512} << 20);
   program.args = options.args;
   program.args.insert(program.args.begin(), options.file);
   program.confined = options.confined;
   for (char** item = environ; *item && !options.confined; ++item)
      if (!std::string_view(*item).starts_with("PSIBASE_DATADIR="))
         program.environment.push_back(*item);
   program.environment.push_back("PSIBASE_DATADIR=" + std::filesystem::absolute(packages).parent_path().string());
   SourceLines lines(options.packaged ? std::vector<std::filesystem::path>() : foldersOf(packages, options.with),
                     !options.coverage.empty());
   program.more = [&](kernel::TesterCalls& calls) { return ownImports(calls, packages, options.with, lines); };

   kernel::TesterOptions tester;
   tester.ran = [&lines](bool failed) { lines.ran(failed); };
   const auto least = options.verbose ? kernel::Severity::debug : severityOf(options.filter);
   tester.log = [least](kernel::Severity severity, std::string_view message,
                        std::optional<format::AccountNumber> service) {
      if (severity >= least)
         std::cerr << severities[static_cast<std::uint32_t>(severity)] << ": " << (service ? service->str() + ": " : "")
                   << message << "\n";
   };

   const TemporaryFolder scratch("test");
   const char* home = std::getenv("XDG_CACHE_HOME");
   vm::EngineOptions engineOptions;
   engineOptions.instancesMax = 256;
   if (!options.packaged)
      engineOptions.twin = [&lines](const vm::CodeHash& hash) { return lines.twinOf(hash); };
   if (home && *home)
      engineOptions.cacheDir = std::filesystem::path(home) / "polis/code";
   else if (const char* user = std::getenv("HOME"); user && *user)
      engineOptions.cacheDir = std::filesystem::path(user) / ".cache/polis/code";
   int code = 1;
   SystemClock clock;
   const std::int64_t began = clock.monotonicNs();
   std::exception_ptr failure;
   vm::onExecutionStack([&] {
      try {
         vm::Engine engine(kernel::hostFunctions(), engineOptions);
         std::shared_ptr<store::Store> store = store::Store::open(scratch.path() / "store");
         const auto done = kernel::runTestProgram(std::move(program), store, engine, tester);
         std::cout.flush();
         if (done)
            code = *done;
         else
            std::cerr << options.file << ": " << done.error() << "\n" << lines.text(lines.failures());
         if (!options.coverage.empty())
            writeCoverage(lines.coverage(), options.coverage);
      } catch (...) {
         failure = std::current_exception();
      }
   });
   if (failure)
      std::rethrow_exception(failure);
   if (options.timing)
      std::cerr << (clock.monotonicNs() - began) / 1'000'000 << " ms\n";
   return code;
}

} // namespace

void addTestCommand(CLI::App& app, int& exitCode) {
   auto* command = app.add_subcommand(
       "test", "Run a test program (WebAssembly) against chains of its own\n"
               "\n"
               "   polis test build/tests/guestbook_test.wasm --with build/packages/Guestbook.psi\n"
               "What follows the program's name is for the program, such as the names of tests to run.");
   auto options = std::make_shared<Options>();
   command->add_option("file", options->file, "The program, a .wasm file")->required()->check(CLI::ExistingFile);
   command->add_option("args", options->args, "What the program is given");
   command->add_option("--packages", options->packages, "Where packages are taken from");
   command->add_option("--with", options->with, "A package file to take beside those, or instead")
       ->type_name("FILE")
       ->check(CLI::ExistingFile)
       ->allow_extra_args(false);
   command->add_option("--coverage", options->coverage, "Write which lines of services were run, for lcov and its kin")
       ->type_name("FILE");
   command->add_flag("--packaged", options->packaged, "Run services exactly as packaged: no source lines")
       ->excludes("--coverage");
   command->add_flag("--confined", options->confined,
                     "Let the program reach no files, commands or environment of this machine: for one of others");
   command->add_flag("-v,--verbose", options->verbose, "Show what the chains log");
   command->add_option("--log-filter", options->filter, "Least severity of log lines to show")
       ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "critical"}));
   command->add_flag("--timing", options->timing, "Say how long it took");
   command->prefix_command();
   command->callback([command, options, &exitCode] {
      for (const auto& more : command->remaining())
         options->args.push_back(more);
      exitCode = run(*options);
   });
}

} // namespace polis::cli
