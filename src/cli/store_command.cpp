#include "cli/store_command.hpp"

#include "base/fault.hpp"
#include "store/store.hpp"

#include <iostream>
#include <limits>
#include <memory>
#include <string>

namespace polis::cli {
namespace {

struct StoreOptions {
   std::string folder, name, prefix;
   std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
};

/// Opens what is there; that proves every checksum of the checkpoint.
std::unique_ptr<store::Store> open(const StoreOptions& options) {
   return store::Store::open(options.folder, {.mustExist = true});
}

store::Checkpoint checkpointOf(store::Store& store, const StoreOptions& options) {
   auto checkpoint = store.lastCheckpoint();
   if (!checkpoint)
      throw Fault(options.folder + ": no checkpoint was ever made here");
   return std::move(*checkpoint);
}

void stat(const StoreOptions& options) {
   const auto store = open(options);
   const store::Stat stat = store->stat();
   std::cout << "file: " << stat.fileBytes << " bytes, " << stat.usedBytes << " of them in use by " << stat.nodes
             << " nodes\n";
   const auto checkpoint = store->lastCheckpoint();
   if (!checkpoint) {
      std::cout << "checkpoint: none\n";
      return;
   }
   std::cout << "checkpoint: number " << stat.checkpoint << ", journal from position " << checkpoint->journal << ", "
             << checkpoint->user.size() << " bytes of its user\n";
   for (const auto& [name, version] : checkpoint->versions)
      std::cout << "version " << name << ": " << version.size() << " entries\n";
}

void verify(const StoreOptions& options) {
   const auto store = open(options);
   store->verify();
   std::uint64_t entries = 0;
   if (const auto checkpoint = store->lastCheckpoint())
      for (const auto& [name, version] : checkpoint->versions) {
         version.verify();
         entries += version.size();
      }
   std::cout << "whole: " << store->stat().nodes << " nodes, " << entries << " entries\n";
}

void dump(const StoreOptions& options) {
   const auto prefix = fromHex(options.prefix);
   if (!prefix)
      throw Fault("'" + options.prefix + "' is not an even count of hexadecimal digits");
   const auto store = open(options);
   const store::Checkpoint checkpoint = checkpointOf(*store, options);
   if (!options.name.empty() && !checkpoint.versions.contains(options.name))
      throw Fault("the checkpoint has no version '" + options.name + "'");
   for (const auto& [name, version] : checkpoint.versions) {
      if (!options.name.empty() && name != options.name)
         continue;
      std::uint64_t left = options.limit;
      auto cursor = version.cursor();
      for (bool more = cursor.seek(*prefix); more && left > 0; more = cursor.next(), --left) {
         const store::Entry entry = cursor.entry();
         if (entry.key.size() < prefix->size() || toBytes(entry.key.first(prefix->size())) != *prefix)
            break;
         std::cout << name << " " << toHex(entry.key) << " " << toHex(entry.value) << "\n";
      }
   }
}

} // namespace

void addStoreCommand(CLI::App& app, int& exitCode) {
   CLI::App* command = app.add_subcommand("store", "What lies in the folder of a store that no node has open");
   command->require_subcommand(1);
   const auto options = std::make_shared<StoreOptions>();
   const auto add = [&](const char* name, const char* help, void (*run)(const StoreOptions&)) {
      CLI::App* sub = command->add_subcommand(name, help);
      sub->add_option("folder", options->folder, "A node's data folder, or any folder of a store")->required();
      sub->callback([options, run, &exitCode] {
         run(*options);
         exitCode = 0;
      });
      return sub;
   };
   add("stat", "Tells sizes, and which versions the checkpoint names", stat);
   add("verify", "Checks every checksum and every rule of the trees; says what is damaged and where", verify);
   CLI::App* dumping = add("dump", "Writes a line for each entry: version, key, value, the latter two as digits", dump);
   dumping->add_option("--name", options->name, "Only this version");
   dumping->add_option("--prefix", options->prefix, "Only keys that begin so, in hexadecimal digits");
   dumping->add_option("--limit", options->limit, "At most so many entries of each version");
}

} // namespace polis::cli
