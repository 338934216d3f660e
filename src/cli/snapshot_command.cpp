// `polis snapshot`: a chain's state in a file, for another machine to go on from.
#include "base/fault.hpp"
#include "cli/chain_client.hpp"
#include "format/json.hpp"
#include "kernel/quiet_host.hpp"
#include "node/config.hpp"
#include "node/keyring.hpp"
#include "node/package.hpp"
#include "node/snapshot.hpp"
#include "store/journal.hpp"
#include "vm/execution_thread.hpp"

#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <memory>
#include <sys/file.h>
#include <unistd.h>

namespace polis::cli {

namespace {

namespace fs = std::filesystem;

struct Arguments {
   Common common;
   std::string folder, file, chain, block, work;
   std::vector<std::string> sign;
   std::uint32_t blockNum = 0;
   bool compress = false, json = false;
};

/// JSON of --json.
struct Printed {
   std::string chainId{};
   std::uint32_t blockNum = 0;
   std::string blockId{}, time{}, serviceRoot{}, nativeRoot{};
   std::vector<std::string> signers{};
   std::uint32_t signersNeeded = 0;
   std::uint64_t rows = 0;
};

/// What is asked of a node.
struct Wanted {
   std::optional<std::uint32_t> block{};
   bool compress = false;
};

struct Made {
   std::string file{};
   std::uint32_t blockNum = 0;
   std::string blockId{}, chainId{};
};

void print(const node::SnapshotFacts& facts, const Arguments& args) {
   Printed out{toHex(facts.chainId),
               facts.blockNum,
               toHex(facts.blockId),
               format::timeText(facts.time),
               toHex(facts.state.serviceRoot),
               toHex(facts.state.nativeRoot),
               {},
               facts.signersNeeded,
               facts.rows};
   std::string names;
   for (const auto signer : facts.signers) {
      out.signers.push_back(signer.str());
      names += (names.empty() ? "" : ", ") + signer.str();
   }
   if (args.json) {
      std::cout << format::toJson(out) << "\n";
      return;
   }
   std::cout << "   chain            " << out.chainId << "\n"
             << "   block            " << out.blockNum << ", " << out.time << "\n"
             << "   block id         " << out.blockId << "\n"
             << "   state, services  " << out.serviceRoot << "\n"
             << "   state, native    " << out.nativeRoot << "\n"
             << "   vouched for by   " << (names.empty() ? "nobody" : names) << "\n";
   if (facts.signers.size() < facts.signersNeeded)
      std::cout << "Nobody takes it before "
                << (facts.signersNeeded == 1 ? "a producer vouches"
                                             : std::to_string(facts.signersNeeded) + " producers vouch")
                << " for it: each adds its signature with `polis snapshot sign FILE --sign KEY`.\n";
}

format::Checksum256 idOf(const std::string& text, const char* option) {
   format::Checksum256 out;
   const auto bytes = fromHex(text);
   if (!bytes || bytes->size() != out.size())
      throw Fault(std::string(option) + " takes an id of 64 hexadecimal digits");
   std::ranges::copy(*bytes, out.begin());
   return out;
}

node::SnapshotTrust trustOf(const Arguments& args) {
   node::SnapshotTrust out;
   if (!args.chain.empty())
      out.chain = idOf(args.chain, "--chain");
   if (!args.block.empty())
      out.block = idOf(args.block, "--block");
   return out;
}

/// Runs what executes services, on a stack of the size that this takes.
void onStack(const std::function<void()>& work) {
   std::exception_ptr failure;
   vm::onExecutionStack([&] {
      try {
         work();
      } catch (...) {
         failure = std::current_exception();
      }
   });
   if (failure)
      std::rethrow_exception(failure);
}

fs::path workOf(const Arguments& args, const fs::path& other) {
   return args.work.empty() ? other : fs::path(args.work);
}

node::SnapshotFacts read(const Arguments& args, const node::SnapshotTrust& trust, const fs::path& work,
                         const std::optional<fs::path>& folder) {
   std::expected<node::SnapshotFacts, std::string> facts;
   onStack([&] {
      vm::Engine engine(kernel::hostFunctions(), vm::EngineOptions{});
      facts = node::readSnapshot(args.file, trust, engine, work, folder);
   });
   if (!facts)
      throw Fault(args.file + " is refused: " + facts.error());
   return std::move(*facts);
}

/// Whether a node has the folder open.
bool inUse(const fs::path& folder) {
   const int fd = ::open((folder / "lock").c_str(), O_RDWR | O_CLOEXEC);
   const bool used = fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) != 0;
   if (fd >= 0)
      ::close(fd);
   return used;
}

/// The node that has the folder open writes the file into it; from there it goes where it is wanted.
format::Checksum256 askNode(const Arguments& args) {
   ChainClient client(args.common);
   format::HttpRequest request;
   request.method = "POST";
   request.contentType = "application/json";
   request.body =
       toBytes(format::toJson(Wanted{args.blockNum ? std::optional(args.blockNum) : std::nullopt, args.compress}));
   const auto reply = client.send("x-admin", "/native/admin/snapshot", std::move(request));
   if (reply.status != 200)
      throw Fault("The node does not make a snapshot: " + replyText(reply));
   const auto made = format::fromJson<Made>(asText(reply.body));
   if (!made)
      throw Fault("The node's answer cannot be read: " + made.error().message);
   const fs::path from = made->file;
   std::error_code failed;
   if (!fs::equivalent(from.parent_path().parent_path(), args.folder, failed))
      throw Fault("The node at " + args.common.url + " has another folder, " +
                  from.parent_path().parent_path().string() + ". Name the address of the one that has " + args.folder +
                  " with --url.");
   fs::rename(from, args.file, failed);
   if (failed) { // another file system
      failed.clear();
      fs::copy_file(from, args.file, fs::copy_options::overwrite_existing, failed);
      if (failed)
         throw Fault(args.file + " cannot be written: " + failed.message());
      fs::remove(from, failed);
   }
   return idOf(made->chainId, "chainId");
}

/// Of a folder that no node has open.
format::Checksum256 readFolder(const Arguments& args) {
   const fs::path folder = args.folder;
   if (args.blockNum)
      throw Fault("Earlier states are kept by a node that runs; in its folder there is but the newest");
   if (!fs::exists(folder / "journal"))
      throw Fault(args.folder + " is not the folder of a chain");
   node::Keyring keys(folder / "keys");
   const auto config = node::loadConfig(folder / "config");
   constexpr std::uint64_t keyBytesMax = 64 * 1024;
   if (!config.key.empty() && fs::exists(config.key))
      if (const auto key = format::PrivateKey::fromPem(asText(node::readFile(config.key, keyBytesMax))))
         keys.add(*key);
   node::SnapshotFacts facts;
   onStack([&] {
      vm::Engine engine(kernel::hostFunctions(), vm::EngineOptions{});
      kernel::QuietHost host;
      const auto store = store::Store::open(folder);
      const auto journal = store::Journal::open(folder / "journal");
      const kernel::Kernel kernel(*store, *journal, engine, host, {});
      facts = node::createSnapshot(
          kernel, *kernel.irreversible(), args.file, args.compress,
          [&](const format::Claim& claim, const format::Checksum256& digest) -> std::optional<Bytes> {
             const auto key = keys.find(claim);
             if (!key)
                return std::nullopt;
             const auto signature = key->sign(digest);
             return Bytes(signature.begin(), signature.end());
          });
   });
   return facts.chainId;
}

void create(const Arguments& args) {
   node::SnapshotTrust trust;
   trust.chain = inUse(args.folder) ? askNode(args) : readFolder(args);
   if (!args.sign.empty())
      node::signSnapshot(args.file, readKeys(args.sign));
   // What was written is what others will read.
   trust.draft = true;
   const auto facts = read(args, trust, workOf(args, fs::temp_directory_path()), std::nullopt);
   if (!args.json)
      std::cout << "The snapshot is in " << args.file << ", " << fs::file_size(args.file) / 1024 << " KiB:\n";
   print(facts, args);
}

void verify(const Arguments& args) {
   const auto trust = trustOf(args);
   const auto facts = read(args, trust, workOf(args, fs::temp_directory_path()), std::nullopt);
   if (!args.json) {
      if (trust.chain || trust.block)
         std::cout << "The snapshot verifies:\n";
      else
         std::cout
             << "The snapshot agrees with itself. Whether it is of the chain that you mean, its ids tell: compare "
                "them, or name them with --chain or --block.\n";
   }
   print(facts, args);
}

void load(const Arguments& args) {
   const auto trust = trustOf(args);
   if (!trust.chain && !trust.block)
      throw Fault("Name what you know of the chain from elsewhere, with --chain or --block: a file can say anything. "
                  "`polis status` of a node that you trust tells the chain's id.");
   const fs::path folder = fs::absolute(args.folder).lexically_normal();
   const fs::path parent = (folder.has_filename() ? folder : folder.parent_path()).parent_path();
   if (!fs::is_directory(parent))
      throw Fault(parent.string() + " is not there");
   // Renamed at the end, so within the same file system.
   const auto facts = read(args, trust, parent, folder.has_filename() ? folder : folder.parent_path());
   if (!args.json)
      std::cout << "A node can go on from here: polis node " << args.folder << " --peer URL …\n";
   print(facts, args);
}

void sign(const Arguments& args) {
   node::signSnapshot(args.file, readKeys(args.sign));
   const auto facts = read(args, {{}, {}, true}, workOf(args, fs::temp_directory_path()), std::nullopt);
   print(facts, args);
}

void addTrust(CLI::App& command, Arguments& args) {
   command.add_option("--chain", args.chain, "Id of the chain, as `polis status` of a node that you trust tells it")
       ->type_name("ID");
   command
       .add_option(
           "--block", args.block,
           "Id of the snapshot's block, from a node that you trust: then those who made blocks once, and no longer "
           "do, cannot deceive you")
       ->type_name("ID");
}

void addWork(CLI::App& command, Arguments& args) {
   command.add_option("--work", args.work, "Where the state goes meanwhile; by default the system's folder")
       ->check(CLI::ExistingDirectory)
       ->type_name("DIR");
}

CLI::Option* addFile(CLI::App& command, Arguments& args) {
   return command.add_option("file", args.file, "The snapshot")->required()->type_name("FILE");
}

} // namespace

void addSnapshotCommand(CLI::App& app, int& exitCode) {
   auto* snapshot = app.add_subcommand(
       "snapshot",
       "A chain's state in a file, for another machine to go on from\n"
       "\n"
       "   polis snapshot create ./data chain.snapshot\n"
       "   polis snapshot verify chain.snapshot --chain ID\n"
       "   polis snapshot load ./new chain.snapshot --chain ID\n"
       "   polis node ./new --peer https://community.org\n"
       "It holds the state after one irreversible block, headers that show who the producers were there, and\n"
       "their signatures. Earlier blocks are not in it.");
   snapshot->require_subcommand(1);
   const auto command = [&](const char* name, const char* about, void (*work)(const Arguments&), bool dir) {
      auto args = std::make_shared<Arguments>();
      auto* out = snapshot->add_subcommand(name, about);
      if (dir)
         out->add_option("dir", args->folder, "Folder of the chain")->required()->type_name("DIR");
      addFile(*out, *args);
      out->add_flag("--json", args->json, "Print the result as JSON");
      out->callback([args, work, &exitCode] {
         work(*args);
         exitCode = 0;
      });
      return std::pair(out, args);
   };
   const auto addSign = [](CLI::App& to, Arguments& args, const char* about) {
      return to.add_option("-s,--sign", args.sign, about)->allow_extra_args(false)->type_name("FILE");
   };
   {
      auto [out, args] = command("create",
                                 "Write the newest irreversible state of a folder, whose node may run\n"
                                 "\n"
                                 "The node signs it with its own keys. Others do with `polis snapshot sign`.",
                                 create, true);
      out->get_option("dir")->check(CLI::ExistingDirectory);
      out->add_option("-u,--url", args->common.url, "Address of the node, if it runs (also POLIS_URL)")
          ->default_str(defaultUrl())
          ->default_val(defaultUrl())
          ->type_name("URL");
      out->add_option("--num", args->blockNum,
                      "State after this block instead, of the last hundred or so: as for comparing what two nodes say")
          ->type_name("N");
      out->add_flag("--gzip", args->compress, "Compress it");
      addSign(*out, *args, "Key file of a producer, to sign with it too. Repeatable");
      addWork(*out, *args);
   }
   {
      auto [out, args] = command("verify",
                                 "Check a snapshot: its state, its headers, its signatures\n"
                                 "\n"
                                 "Needs the file, and what you know of the chain from elsewhere.\n"
                                 "Exit code 0: it verifies; 1: it does not, and why.",
                                 verify, false);
      addTrust(*out, *args);
      addWork(*out, *args);
   }
   {
      auto [out, args] = command("load",
                                 "Make a new folder, from which a node goes on\n"
                                 "\n"
                                 "The folder is there when all has been checked, and not before.",
                                 load, true);
      addTrust(*out, *args);
   }
   {
      auto [out, args] = command("sign",
                                 "Add the signature of a producer\n"
                                 "\n"
                                 "Who signs vouches for the state. Compare first what your own node says of the block.",
                                 sign, false);
      addSign(*out, *args, "Key file of a producer. Repeatable")->required();
      addWork(*out, *args);
   }
}

} // namespace polis::cli
