// `polis replay --verify`: executes a chain's whole block log again, from nothing.
#include "base/clock.hpp"
#include "base/fault.hpp"
#include "base/temporary_folder.hpp"
#include "cli/commands.hpp"
#include "format/json.hpp"
#include "kernel/kernel.hpp"
#include "kernel/quiet_host.hpp"
#include "vm/execution_thread.hpp"

#include <filesystem>
#include <iostream>
#include <memory>

namespace polis::cli {

namespace {

struct Options {
   std::string folder;
   std::string work;
   bool verify = false;
   bool json = false;
};

/// What was found; JSON of --json.
struct Outcome {
   std::string chainId{};
   std::uint32_t blocks = 0;
   std::uint64_t transactions = 0;
   double seconds = 0;
   std::string headId{};
   std::string serviceRoot{};
   std::string nativeRoot{};
};

/// A kernel over the files of a folder.
struct Opened {
   Opened(const std::filesystem::path& folder, vm::Engine& engine)
      : store(store::Store::open(folder)), journal(store::Journal::open(folder / "journal")),
        kernel(*store, *journal, engine, host, {}) {}
   kernel::QuietHost host;
   std::unique_ptr<store::Store> store;
   std::unique_ptr<store::Journal> journal;
   kernel::Kernel kernel;
};

Outcome verify(const Options& options) {
   vm::Engine engine(kernel::hostFunctions(), vm::EngineOptions{});
   Opened kept(options.folder, engine);
   if (!kept.kernel.hasChain())
      throw Fault(options.folder + " holds no chain yet: there is nothing to replay");
   if (kept.kernel.logStart() > 0)
      throw Fault("the chain in " + options.folder + " was begun from a snapshot of block " +
                  std::to_string(kept.kernel.logStart()) + ": the blocks before it are not there");
   const auto head = kept.kernel.head();
   const TemporaryFolder scratch("replay", options.work.empty() ? std::filesystem::temp_directory_path()
                                                                : std::filesystem::path(options.work));
   Opened fresh(scratch.path(), engine);
   Outcome out;
   SystemClock clock;
   const std::int64_t start = clock.monotonicNs();
   std::int64_t told = start;
   for (std::uint32_t num = 2; num <= head->num; ++num) {
      const auto block = kept.kernel.block(num);
      const std::string name = "block " + std::to_string(num);
      if (!block)
         throw Fault(name + " is not in the block log: the chain was begun from a snapshot, or the log was pruned");
      // Its id binds header, transactions and results; the kernel refuses a block whose execution gives another.
      const auto applied = fresh.kernel.applyBlock(std::make_shared<format::SignedBlock>(*block));
      if (!applied)
         throw Fault(name + " cannot be replayed: " + applied.error().reason);
      out.transactions += block->block.transactions.size();
      if (const std::int64_t now = clock.monotonicNs(); now - told > 1'000'000'000) {
         told = now;
         fresh.kernel.flush();
         fresh.kernel.checkpointIfDue();
         std::cerr << "   " << num << " of " << head->num << " blocks, " << out.transactions << " transactions"
                   << (::isatty(2) ? "\r" : "\n") << std::flush;
      }
   }
   out.seconds = static_cast<double>(clock.monotonicNs() - start) / 1e9;
   const auto again = fresh.kernel.head();
   if (again->id != head->id)
      throw Fault("the replayed chain ends in block " + toHex(again->id) + ", the kept one in " + toHex(head->id));
   const format::StateChecksum expected = stateChecksum(*head), found = stateChecksum(*again);
   if (expected != found)
      throw Fault(std::string("the states differ in the databases of ") +
                  (expected.serviceRoot != found.serviceRoot ? "services" : "the chain itself") +
                  ": the files were changed outside of blocks, or this program executes them otherwise");
   out.chainId = toHex(fresh.kernel.chainId());
   out.blocks = head->num - 1;
   out.headId = toHex(head->id);
   out.serviceRoot = toHex(found.serviceRoot);
   out.nativeRoot = toHex(found.nativeRoot);
   return out;
}

void print(const Outcome& outcome) {
   char rate[64];
   std::snprintf(rate, sizeof rate, "%.1f s, %.0f transactions a second", outcome.seconds,
                 static_cast<double>(outcome.transactions) / std::max(outcome.seconds, 1e-9));
   std::cout << "The chain verifies: " << outcome.blocks << " blocks with " << outcome.transactions
             << " transactions give the same ids and the same state (" << rate << ").\n"
             << "   chain           " << outcome.chainId << "\n"
             << "   head            " << outcome.headId << "\n"
             << "   state, services " << outcome.serviceRoot << "\n"
             << "   state, native   " << outcome.nativeRoot << "\n";
}

} // namespace

void addReplayCommand(CLI::App& app, int& exitCode) {
   auto options = std::make_shared<Options>();
   auto* command = app.add_subcommand(
       "replay",
       "Execute a chain again from its first block\n"
       "\n"
       "Reads the block log in the folder of a node that is stopped, checks every signature, executes every\n"
       "transaction on an empty state, and compares block ids and the state hash with what the folder holds:\n"
       "   polis replay --verify ./data\n"
       "Two machines that hold the same chain print the same lines. The folder is not changed.\n"
       "Exit code 0: it verifies; 1: it does not, and where.");
   command->add_option("dir", options->folder, "Folder of the chain")
       ->required()
       ->check(CLI::ExistingDirectory)
       ->type_name("DIR");
   command->add_flag("--verify", options->verify, "Compare ids and state")->required();
   command
       ->add_option("--work", options->work, "Where the replayed state goes meanwhile; by default the system's folder")
       ->check(CLI::ExistingDirectory)
       ->type_name("DIR");
   command->add_flag("--json", options->json, "Print the result as JSON");
   command->callback([options, &exitCode] {
      if (!std::filesystem::exists(std::filesystem::path(options->folder) / "journal"))
         throw Fault(options->folder + " is not the folder of a chain");
      Outcome outcome;
      std::exception_ptr failure;
      vm::onExecutionStack([&] {
         try {
            outcome = verify(*options);
         } catch (...) {
            failure = std::current_exception();
         }
      });
      if (failure)
         std::rethrow_exception(failure);
      if (options->json)
         std::cout << format::toJson(outcome) << "\n";
      else
         print(outcome);
      exitCode = 0;
   });
}

} // namespace polis::cli
