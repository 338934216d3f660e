#include "cli/store_command.hpp"

#include "base/fault.hpp"
#include "store/store.hpp"
#include "store/stream.hpp"

#include <chrono>
#include <fstream>
#include <iostream>
#include <limits>
#include <memory>
#include <random>
#include <string>

namespace polis::cli {
namespace {

struct StoreOptions {
   std::string folder, name, prefix, before, file;
   std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();
};

/// Opens what is there, to look at it only; that proves every checksum of the checkpoint.
std::unique_ptr<store::Store> open(const StoreOptions& options) {
   return store::Store::open(options.folder, {.readOnly = true});
}

void tellNotice(store::Store& store) {
   if (const store::Stat stat = store.stat(); !stat.notice.empty())
      std::cout << "notice: " << stat.notice << "\n";
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
   tellNotice(*store);
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
   tellNotice(*store);
   std::cout << "whole: " << store->stat().nodes << " nodes, " << entries << " entries\n";
}

Bytes prefixOf(const StoreOptions& options) {
   const auto prefix = fromHex(options.prefix);
   if (!prefix)
      throw Fault("'" + options.prefix + "' is not an even count of hexadecimal digits");
   return *prefix;
}

const store::Version& versionOf(const store::Checkpoint& checkpoint, const std::string& name) {
   const auto at = checkpoint.versions.find(name);
   if (at == checkpoint.versions.end())
      throw Fault("the checkpoint has no version '" + name + "'");
   return at->second;
}

void dump(const StoreOptions& options) {
   const store::KeyRange range = store::KeyRange::withPrefix(prefixOf(options));
   const auto store = open(options);
   store::Checkpoint checkpoint = checkpointOf(*store, options);
   if (!options.name.empty())
      checkpoint.versions = {{options.name, versionOf(checkpoint, options.name)}};
   for (const auto& [name, version] : checkpoint.versions) {
      std::uint64_t left = options.limit;
      auto cursor = version.cursor();
      for (bool more = cursor.seek(range.low); more && left > 0; more = cursor.next(), --left) {
         const store::Entry entry = cursor.entry();
         if (!range.contains(entry.key))
            break;
         std::cout << name << " " << toHex(entry.key) << " " << toHex(entry.value) << "\n";
      }
   }
}

void hash(const StoreOptions& options) {
   const Bytes prefix = prefixOf(options);
   const auto store = open(options);
   const store::Checkpoint checkpoint = checkpointOf(*store, options);
   for (const auto& [name, version] : checkpoint.versions)
      if (options.name.empty() || name == options.name)
         std::cout << name << " " << toHex(version.merkle(prefix)) << "\n";
}

void diff(const StoreOptions& options) {
   const store::KeyRange range = store::KeyRange::withPrefix(prefixOf(options));
   const auto store = open(options);
   const store::Checkpoint checkpoint = checkpointOf(*store, options);
   std::uint64_t left = options.limit;
   versionOf(checkpoint, options.name)
       .changesSince(versionOf(checkpoint, options.before), range, [&](const store::Change& change) {
          if (left-- == 0)
             return false;
          if (change.before)
             std::cout << "- " << toHex(change.key) << " " << toHex(*change.before) << "\n";
          if (change.after)
             std::cout << "+ " << toHex(change.key) << " " << toHex(*change.after) << "\n";
          return true;
       });
}

constexpr std::size_t chunkBytes = std::size_t{1} << 20;

/// The file: each chunk behind its length (4 bytes).
void exportTo(const StoreOptions& options) {
   const store::KeyRange range = store::KeyRange::withPrefix(prefixOf(options));
   const auto store = open(options);
   const store::Checkpoint checkpoint = checkpointOf(*store, options);
   std::ofstream out(options.file, std::ios::binary);
   store::Exporter exporter(versionOf(checkpoint, options.name), {range}, chunkBytes);
   while (!exporter.done()) {
      const Bytes chunk = exporter.next();
      const auto length = static_cast<std::uint32_t>(chunk.size());
      out.write(reinterpret_cast<const char*>(&length), sizeof length);
      out.write(reinterpret_cast<const char*>(chunk.data()), static_cast<std::streamsize>(chunk.size()));
   }
   out.close();
   if (!out)
      throw Fault("write " + options.file + " failed");
   std::cout << "root " << toHex(versionOf(checkpoint, options.name).merkle(range.low)) << "\n";
}

void importFrom(const StoreOptions& options) {
   const Bytes prefix = prefixOf(options);
   std::ifstream in(options.file, std::ios::binary);
   if (!in)
      throw Fault("cannot read " + options.file);
   const auto store = store::Store::open(options.folder);
   if (store->lastCheckpoint())
      throw Fault(options.folder + ": there is a checkpoint already");
   store::Writer writer(store->empty());
   store::Importer importer(writer, {store::KeyRange::withPrefix(prefix)});
   while (!importer.done()) {
      std::uint32_t length = 0;
      in.read(reinterpret_cast<char*>(&length), sizeof length);
      if (length > store::chunkBytesMax)
         throw Fault(options.file + ": chunk too long");
      Bytes chunk(length);
      in.read(reinterpret_cast<char*>(chunk.data()), static_cast<std::streamsize>(chunk.size()));
      if (!in)
         throw Fault(options.file + ": ends within the stream");
      if (const auto added = importer.add(chunk); !added)
         throw Fault(options.file + ": " + added.error().reason);
   }
   const store::Version version = writer.snapshot();
   store->checkpoint({{{options.name, version}}, 0, {}});
   std::cout << importer.count() << " entries, root " << toHex(version.merkle(prefix)) << "\n";
}

void compact(const StoreOptions& options) {
   const std::uint64_t before = open(options)->stat().fileBytes;
   store::Store::compact(options.folder);
   std::cout << "file: " << before << " bytes before, " << open(options)->stat().fileBytes << " now\n";
}

/// What reading this store costs on this machine.
void bench(const StoreOptions& options) {
   const auto now = [] { return std::chrono::steady_clock::now(); };
   const auto seconds = [](auto from, auto to) { return std::chrono::duration<double>(to - from).count(); };
   auto from = now();
   const auto store = open(options);
   std::cout << "open: " << 1000 * seconds(from, now()) << " ms\n";
   constexpr std::size_t keysMax = 200'000, scanEntries = 100;
   for (const auto& [name, version] : checkpointOf(*store, options).versions) {
      if (version.empty() || (!options.name.empty() && name != options.name))
         continue;
      std::vector<Bytes> keys;
      const std::uint64_t step = version.size() / keysMax + 1;
      std::uint64_t count = 0;
      auto cursor = version.cursor();
      from = now();
      for (bool more = cursor.first(); more; more = cursor.next())
         if (count++ % step == 0)
            keys.push_back(toBytes(cursor.entry().key));
      const double all = seconds(from, now());
      std::shuffle(keys.begin(), keys.end(), std::mt19937_64(1));
      from = now();
      std::size_t bytes = 0;
      for (const Bytes& key : keys)
         bytes += version.get(key)->size();
      const double gets = seconds(from, now());
      from = now();
      std::size_t scanned = 0;
      for (std::size_t i = 0; i < std::min<std::size_t>(keys.size(), 10'000); ++i) {
         bool more = cursor.seek(keys[i]);
         for (std::size_t n = 0; more && n < scanEntries; more = cursor.next(), ++n, ++scanned)
            bytes += cursor.entry().value.size();
      }
      const double scans = seconds(from, now());
      from = now();
      version.merkle({});
      const double hashing = seconds(from, now());
      const auto rate = [](double operations, double took) { return static_cast<std::uint64_t>(operations / took); };
      std::cout << name << ": " << count << " entries; a second: " << rate(double(keys.size()), gets) << " gets, "
                << rate(double(scanned), scans) << " entries scanned by 100, " << rate(double(count), all)
                << " in order, " << rate(double(count), hashing) << " hashed; " << bytes << " bytes read\n";
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
   CLI::App* hashing = add("hash", "Writes the Merkle root of each version", hash);
   CLI::App* diffing = add("diff", "Writes what differs: - key and value before, + key and value now", diff);
   CLI::App* exporting = add("export", "Writes a version to a file, and tells its Merkle root", exportTo);
   CLI::App* importing = add("import", "Makes a new store of such a file, and tells the Merkle root", importFrom);
   add("compact", "Writes the checkpoint afresh, dense, in place of the file. Needs room for both", compact);
   CLI::App* benching = add("bench", "Measures what reading this store costs here", bench);
   for (CLI::App* sub : {dumping, hashing, benching})
      sub->add_option("--name", options->name, "Only this version");
   for (CLI::App* sub : {diffing, exporting, importing})
      sub->add_option("--name", options->name, "The version")->required();
   diffing->add_option("--before", options->before, "The version to compare with")->required();
   exporting->add_option("file", options->file, "The file to write")->required();
   importing->add_option("file", options->file, "The file to read")->required();
   for (CLI::App* sub : {dumping, hashing, diffing, exporting, importing})
      sub->add_option("--prefix", options->prefix, "Only keys that begin so, in hexadecimal digits");
   dumping->add_option("--limit", options->limit, "At most so many entries of each version");
   diffing->add_option("--limit", options->limit, "At most so many changes");
}

} // namespace polis::cli
