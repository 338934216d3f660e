// chaos: real nodes under load, to which things happen; then what clients and nodes have seen is compared.
#include "harness/chaos.hpp"

#include <sched.h>
#include <sys/mount.h>

#include <charconv>
#include <cstring>
#include <iostream>
#include <random>
#include <stdexcept>

namespace {

using namespace polis::harness;

constexpr const char* usage =
    "scripts/chaos [--minutes N | --seconds N] [--nodes N] [--followers N] [--cft] [--seed N] [--load "
    "TRANSFERS-PER-SECOND]\n"
    "              [--delay MS] [--network packets|proxy] [--disk MIB] [--spare-only] [--logs FOLDER]\n"
    "Runs N producers (4), does things to them for so long (1 minute) and checks that what was reported irreversible\n"
    "stays, in one order, on all nodes. The same seed does the same things.\n"
    "  --delay       one-way delay of every link\n"
    "  --network     namespaces whose packets are delayed and lost, or a proxy; otherwise what this machine allows\n"
    "  --disk        a file system of so many MiB for each node (300; 0: none), which is filled now and then\n"
    "  --spare-only  never more at a time than the chain must get over without a pause\n"
    "  --logs        where the nodes' logs are left\n";

long number(const char* text) {
   long value = 0;
   const char* end = text + std::strlen(text);
   if (std::from_chars(text, end, value).ptr != end || value < 0)
      throw std::invalid_argument(std::string("not a number: ") + text);
   return value;
}

int run(int argc, char** argv) {
   ChaosOptions options;
   options.seed = std::random_device()();
   options.tell = true;
   std::size_t diskMiB = 300;
   for (int i = 1; i < argc; ++i) {
      const std::string_view name = argv[i];
      const auto value = [&] {
         if (i + 1 >= argc)
            throw std::invalid_argument(std::string(name) + " needs a value");
         return argv[++i];
      };
      if (name == "--help" || name == "-h") {
         std::cout << usage;
         return 0;
      }
      if (name == "--minutes")
         options.duration = std::chrono::minutes(number(value()));
      else if (name == "--seconds")
         options.duration = std::chrono::seconds(number(value()));
      else if (name == "--nodes")
         options.cluster.producers = static_cast<std::size_t>(number(value()));
      else if (name == "--followers")
         options.cluster.followers = static_cast<std::size_t>(number(value()));
      else if (name == "--cft")
         options.cluster.cft = true;
      else if (name == "--seed")
         options.seed = static_cast<std::uint64_t>(number(value()));
      else if (name == "--load")
         options.transfersPerSecond = static_cast<double>(number(value()));
      else if (name == "--delay")
         options.cluster.link.delay = std::chrono::milliseconds(number(value()));
      else if (name == "--disk")
         diskMiB = static_cast<std::size_t>(number(value()));
      else if (name == "--logs")
         options.logs = value();
      else if (name == "--spare-only")
         options.beyondSpare = false;
      else if (name == "--network") {
         const std::string_view kind = value();
         if (kind != "packets" && kind != "proxy")
            throw std::invalid_argument("--network takes packets or proxy");
         options.cluster.network = kind == "proxy" ? TestNetwork::Kind::proxy : TestNetwork::Kind::packets;
      } else
         throw std::invalid_argument("unknown option " + std::string(name));
   }
   if (options.cluster.producers < 1 || options.cluster.producers > 13)
      throw std::invalid_argument("--nodes takes 1 to 13");
   // What is mounted here is nobody else's, and goes when this ends.
   if (diskMiB > 0) {
      if (::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0)
         options.diskBytes = diskMiB << 20;
      else
         std::cout << "no file systems can be made here: no disk is filled\n";
   }
   const auto report = runChaos(options);
   std::cout << "seed " << options.seed << "\n" << report.text();
   return report.problems.empty() ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
   try {
      return run(argc, argv);
   } catch (const std::invalid_argument& error) {
      std::cerr << "chaos: " << error.what() << "\n" << usage;
      return 2;
   } catch (const std::exception& error) {
      std::cerr << "chaos: " << error.what() << "\n";
      return 1;
   }
}
