#pragma once

#include "harness/cluster.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace polis::harness {

struct ChaosOptions {
   Cluster::Options cluster{};
   std::chrono::seconds duration{60};
   /// What happens, and when, follows from it; what the nodes make of it does not.
   std::uint64_t seed = 1;
   double transfersPerSecond = 20;
   /// Also faults of more producers than the chain can spare; it may stop meanwhile, and must go on afterwards.
   bool beyondSpare = true;
   /// A file system of its own for each node's folder, so that it can be filled; 0: none.
   std::size_t diskBytes = 0;
   /// Where the nodes' logs are left; empty: nowhere.
   std::filesystem::path logs{};
   /// Tells what happens as it happens.
   bool tell = false;
};

struct ChaosReport {
   /// Rules that were broken, and nodes that did not come back. Empty: all is well.
   std::vector<std::string> problems;
   std::map<std::string, std::size_t> faults; ///< how often each
   std::uint64_t sent = 0, reportedFinal = 0, refused = 0, inChain = 0;
   std::string firstRefusal;
   std::uint32_t firstBlock = 0, lastBlock = 0;
   /// Longest time without a new irreversible block anywhere, seconds: while enough producers were well, and otherwise.
   double longestGap = 0, longestGapBeyond = 0;
   /// Gaps of the first kind over a second, in order.
   std::vector<double> gaps;
   double finalP50Ms = 0, finalP99Ms = 0;
   std::string text() const;
};

/// Runs real nodes under load, does things to them, and checks what clients saw. Throws std::runtime_error when the
/// nodes do not even start.
ChaosReport runChaos(const ChaosOptions& options);

} // namespace polis::harness
