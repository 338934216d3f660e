#pragma once
#include "node/config.hpp"
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace polis::node {

struct NodeOptions {
   std::filesystem::path folder;
   Config config;                  ///< from the command line; the folder's file is added
   std::filesystem::path packages; ///< folder of .psi files; empty: defaultPackageFolder()
   bool boot = false;              ///< make a chain when there is none
   std::vector<std::string> bootPackages;
   bool fastPaths = true;
   bool nothingForgotten = false; ///< the operator says that no vote of this node's producer can be lost
   bool quiet = false;            ///< no lines on standard output
};

/// One running node: opens the folder, starts every thread, and stops them in order.
class Node {
public:
   /// Opens and, where asked, boots. Throws Fault.
   explicit Node(NodeOptions options);
   ~Node();

   /// Serves until stop() or a fault. Returns the process's exit code.
   int run();
   /// Ends run(). Any thread, and safe in a signal-waiting thread.
   void stop();
   /// Whether a chain is being made here. What is half made is worth nothing.
   bool makesChain() const;
   /// Ports that were bound, in the order of the configuration.
   const std::vector<std::uint16_t>& ports() const;

private:
   struct Impl;
   std::unique_ptr<Impl> impl_;
};

/// Exit code of a node that an administrator told to start again.
inline constexpr int restartCode = 75;

/// Blocks SIGINT and SIGTERM in all threads and runs the node until one of them comes. For main.
int runUntilSignal(NodeOptions options);

} // namespace polis::node
