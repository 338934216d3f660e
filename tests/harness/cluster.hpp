#pragma once

#include "base/temporary_folder.hpp"
#include "harness/chain_client.hpp"
#include "harness/node_process.hpp"
#include "harness/open_metrics.hpp"
#include "harness/test_network.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace polis::harness {

/// Waits until the condition holds; false when it does not within the time.
bool within(std::chrono::milliseconds time, const std::function<bool()>& condition);

/// Where a node stands, as it says itself.
struct Standing {
   std::uint32_t head = 0, irreversible = 0;
};

/// Several real nodes of one chain on a network of their own. The first boots the chain; the others follow it, and
/// become producers with it.
class Cluster {
public:
   struct Options {
      std::size_t producers = 4;
      /// Nodes that produce nothing for now, numbered after the producers. They too have a name and a key.
      std::size_t followers = 0;
      /// So many of these, the last ones, are not started yet.
      std::size_t absent = 0;
      bool cft = false;
      TestNetwork::Kind network = TestNetwork::Kind::automatic;
      /// Every link, from the beginning.
      Link link{};
      /// Further arguments of every node.
      std::vector<std::string> arguments{};
      /// The folder of a node, made before; nothing: a temporary one.
      std::function<std::filesystem::path(std::size_t node)> folder{};
   };

   /// Returns when all producers produce. Throws std::runtime_error with what went wrong.
   explicit Cluster(Options options);
   ~Cluster();

   /// Those that were started.
   std::size_t size() const { return started_; }
   std::size_t producers() const { return options_.producers; }
   /// Producers that may be missing without stopping the chain.
   std::size_t spare() const;
   NodeProcess& node(std::size_t number) { return *nodes_.at(number); }
   TestNetwork& network() { return *network_; }
   ChainClient client(std::size_t number, std::chrono::milliseconds patience = {}) const;
   /// Nothing when the node does not answer within the time.
   std::optional<Standing> standing(std::size_t number,
                                    std::chrono::milliseconds patience = std::chrono::seconds(2)) const;

   Metrics metrics(std::size_t number) const;
   /// The node that makes the blocks, as it says itself; nothing when none does.
   std::optional<std::size_t> leader() const;

   /// Starts a node that is absent, or was stopped or killed, and tells the network where it is.
   void start(std::size_t number);
   /// Every link between two groups of nodes, both ways or from the first to the second only.
   void cut(const std::vector<bool>& first, bool bothWays, bool on);
   /// Links as they were at the beginning.
   void heal();
   void setLinks(Link link);

   /// A change of the producers, as the chain has it.
   struct Change {
      std::uint32_t blocks = 0; ///< from the one that holds the decision to the first of the new producers
      double seconds = 0;       ///< between their times
   };
   /// Has the producers so far make these nodes the producers, and waits until they are. Throws std::runtime_error.
   Change setProducers(const std::vector<std::size_t>& numbers, bool cft);
   /// Does what the producers may do when all of them sign. Throws std::runtime_error.
   void decide(format::Action act);
   /// A block as a node tells it. Throws std::runtime_error when it does not.
   std::string block(std::size_t number, std::uint32_t num) const;
   /// Of a node; the account of the first owns what it makes.
   const format::PrivateKey& key(std::size_t number) const { return secrets_.at(number); }
   std::string keyFile(std::size_t number) const;
   /// The end of each node's log, for whoever reads a failure.
   std::string logs() const;

   static std::string producerName(std::size_t number);

private:
   format::Claim claimOf(std::size_t number) const;
   /// Waits until the producers that a block after `after` decides on are in force, as a node sees it: until then those
   /// before are needed too. Throws std::runtime_error.
   Change awaitProducers(std::uint32_t after, std::size_t number) const;

   Options options_;
   std::unique_ptr<TestNetwork> network_;
   TemporaryFolder keys_{"keys"};
   std::vector<format::PrivateKey> secrets_;
   std::vector<std::size_t> current_{0}; ///< who produces
   std::vector<std::unique_ptr<NodeProcess>> nodes_;
   std::size_t started_ = 0;
};

} // namespace polis::harness
