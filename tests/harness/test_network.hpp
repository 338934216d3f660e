#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace polis::harness {

/// What becomes of what one node sends to another, one way.
struct Link {
   /// From the sender to the receiver, beside what this machine needs.
   std::chrono::microseconds delay{0};
   /// Share of packets that are lost and have to be sent again.
   double loss = 0;
   /// Nothing arrives until this is over.
   bool cut = false;
};

/// What went from one node to another so far.
struct Traffic {
   std::uint64_t bytes = 0;
};

/// The network between the nodes of one test, numbered from 0, and the only way from one to another: what a link does
/// can be set for each pair and direction at any moment. Nodes are started within it; what it has made goes with it.
class TestNetwork {
public:
   enum class Kind : std::uint8_t {
      automatic, ///< packets where this machine allows it
      packets,   ///< a network namespace for each node; packets are delayed and lost, and TCP deals with it
      proxy      ///< connections through a proxy, which delays what goes through them; loss is the time to send again
   };
   /// Throws std::runtime_error when this machine cannot do it.
   static std::unique_ptr<TestNetwork> make(std::size_t nodes, Kind kind = Kind::automatic);
   virtual ~TestNetwork() = default;

   virtual std::string_view name() const = 0;

   // ---- starting a node ----

   /// Within the forked process that becomes the node.
   virtual void enter(std::size_t node) = 0;
   /// Further arguments of `polis node`: where it can be reached beside its own loopback.
   virtual std::vector<std::string> arguments(std::size_t node) const = 0;
   /// The port on its loopback that the node got, once it is known.
   virtual void nodeListens(std::size_t node, std::uint16_t port) = 0;
   /// What `from` is told to reach `to`.
   virtual std::string peerUrl(std::size_t from, std::size_t to) const = 0;
   /// The port of this process's loopback that leads to the node without any delay.
   virtual std::uint16_t clientPort(std::size_t node) const = 0;

   // ---- what happens to links, any thread ----

   virtual void set(std::size_t from, std::size_t to, Link link) = 0;
   virtual Link link(std::size_t from, std::size_t to) const = 0;
   virtual Traffic traffic(std::size_t from, std::size_t to) const = 0;
};

} // namespace polis::harness
