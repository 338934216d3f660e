#include "base/fault.hpp"
#include "base/log.hpp"
#include "cli/commands.hpp"
#include "node/node.hpp"
#include <fstream>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace polis::cli {

namespace {

struct NodeArguments {
   node::NodeOptions options;
   std::string folder, packages, logLevel = "info";
   std::uint32_t minInterval = 0, serviceThreads = 0, keepBlocks = 0;
   bool wasmOnly = false;
};

/// The same program with the same arguments in this process. Returns only when that fails.
void startAgain() {
   std::ifstream in("/proc/self/cmdline", std::ios::binary);
   std::vector<std::string> words;
   for (std::string word; std::getline(in, word, '\0');)
      words.push_back(word);
   std::vector<char*> argv;
   for (auto& word : words)
      argv.push_back(word.data());
   argv.push_back(nullptr);
   ::execv("/proc/self/exe", argv.data());
   throwErrno("start again");
}

} // namespace

void addNodeCommand(CLI::App& app, int& exitCode) {
   auto args = std::make_shared<NodeArguments>();
   auto& config = args->options.config;
   auto* command = app.add_subcommand(
       "node", "Run a node\n"
               "\n"
               "Serves the chain that lives in DIR, and makes it when there is none and --boot is given:\n"
               "   polis node ./data --boot --producer prod --host polis.localhost --listen 127.0.0.1:8080\n"
               "Without --boot an empty node shows its administration page, where a chain is started.\n"
               "Settings may stand in DIR/config as lines `name = value`; options come before them.\n"
               "Ctrl-C stops it cleanly; it may also be killed at any moment.");
   command->add_option("dir", args->folder, "Folder of the chain; made if it is not there")
       ->required()
       ->type_name("DIR");
   command->add_option("-p,--producer", config.producer, "Account under which this node makes blocks")
       ->type_name("NAME");
   command->add_option("-k,--key", config.key, "File with the producer's private key (PEM); make one with `polis key`")
       ->type_name("FILE");
   command->add_option("-o,--host", config.hosts, "Root host name; apps are served below it. Repeatable")
       ->allow_extra_args(false)
       ->type_name("HOST");
   command
       ->add_option("-l,--listen", config.listen,
                    "Where to serve: 127.0.0.1:8080, https://0.0.0.0:8443, or /path/of/socket. Repeatable")
       ->allow_extra_args(false)
       ->type_name("ADDRESS");
   command
       ->add_option("--tls-cert", config.tlsCertificate,
                    "Certificate chain (PEM) for https://; a wildcard one, for apps are subdomains")
       ->type_name("FILE");
   command->add_option("--tls-key", config.tlsKey, "Its private key (PEM)")->type_name("FILE");
   command
       ->add_option("--peer", config.peers,
                    "Another node of the network, as https://community.org: its chain is followed. Repeatable")
       ->allow_extra_args(false)
       ->type_name("URL");
   command
       ->add_option("--chain", config.chain,
                    "Id of the chain to follow, as `polis status` of a node that you trust tells it; no other is taken")
       ->type_name("ID");
   command->add_flag("--p2p", config.p2p, "Let other nodes connect to this one");
   command->add_flag("--boot", args->options.boot, "Make a chain when there is none");
   command->add_option("--boot-packages", args->options.bootPackages, "Packages to make it of (default: DevDefault)")
       ->allow_extra_args(false)
       ->type_name("NAME");
   command
       ->add_option("--packages", args->packages,
                    "Folder of package files (default: share/polis/packages beside the program)")
       ->type_name("DIR");
   command
       ->add_option("--min-interval", args->minInterval, "Shortest time between two blocks, milliseconds (default 250)")
       ->check(CLI::Range(100, 1000))
       ->type_name("MS");
   command
       ->add_option(
           "--keep-blocks", args->keepBlocks,
           "Drop blocks but the newest N, as far as others can begin from a snapshot instead (default: keep all)")
       ->check(CLI::Range(node::keepBlocksMin, UINT32_MAX))
       ->type_name("N");
   command
       ->add_option("--service-threads", args->serviceThreads, "Threads that verify signatures and run background work")
       ->check(CLI::Range(1, 256))
       ->type_name("N");
   command->add_option("--mount", config.mounts, "Folder whose files services of this node may read. Repeatable")
       ->allow_extra_args(false)
       ->type_name("DIR");
   command->add_flag("--nothing-forgotten", args->options.nothingForgotten,
                     "Vote at once in a new folder, although the producer may have voted before: only if you know that "
                     "whatever it said is in the chain that comes, as for a sole producer");
   command->add_flag("--wasm-only", args->wasmOnly, "No native shortcut for any service, as for comparing");
   command->add_option("--log", args->logLevel, "How much to tell: debug, info, warning, error")
       ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
   command->callback([args, &exitCode] {
      log::Level level{};
      if (log::parseLevel(args->logLevel, level))
         log::setLevel(level);
      args->options.folder = args->folder;
      args->options.packages = args->packages;
      args->options.fastPaths = !args->wasmOnly;
      if (args->minInterval)
         args->options.config.minIntervalMs = args->minInterval;
      if (args->keepBlocks)
         args->options.config.keepBlocks = args->keepBlocks;
      if (args->serviceThreads)
         args->options.config.serviceThreads = args->serviceThreads;
      exitCode = node::runUntilSignal(std::move(args->options));
      if (exitCode == node::restartCode)
         startAgain();
   });
}

} // namespace polis::cli
