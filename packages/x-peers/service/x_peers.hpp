// Connections to other nodes. Source: spec, consensus §5.1 and §5.4.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

/// A neighbour that this node connects to by itself.
struct PeerUrl {
   std::string url;
   /// Attempts in a row that came to nothing.
   std::uint32_t failures = 0;
   /// Next attempt, microseconds of the monotonic clock; meaningless while there is a socket.
   std::int64_t nextTry = 0;
   /// -1: none.
   std::int32_t socket = -1;
   /// What it has answered instead of taking this node in; empty: nothing since it did.
   std::string refusal;
};

struct PeerConnection {
   std::int32_t socket = 0;
   bool incoming = false;
   /// Empty when incoming.
   std::string url;
   /// As the other side says; 0: it has not said.
   std::uint64_t nodeId = 0;
   /// The node speaks with it.
   bool open = false;
   /// Since when it is open, or was taken in: microseconds of the monotonic clock.
   std::int64_t since = 0;
};

struct PeerNodeId {
   std::uint64_t id = 0;
};

class XPeers : public Service {
public:
   static constexpr auto account = "x-peers"_a;
   static constexpr std::size_t urlsMax = 64;
   static constexpr std::size_t urlBytesMax = 512;

   using Self = BasicTable<Db::session, 0, PeerNodeId, key<>>;
   using Urls = SessionTable<1, PeerUrl, &PeerUrl::url>;
   using Connections = SessionTable<2, PeerConnection, &PeerConnection::socket>;

   /// Connects the configured neighbours. From x-http, once a start.
   void startSession();
   /// A call of x-timer.
   void onTimer(std::uint64_t id);
   /// The answer to a connection that this service asked for. From x-http, as the next two.
   void answered(std::int32_t socket, Bytes data, std::uint32_t flags);
   void message(std::int32_t socket, Bytes data, std::uint32_t flags);
   void gone(std::int32_t socket);
   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};
POLIS_SERVICE(XPeers, action(startSession), action(onTimer, id), action(answered, socket, data, flags),
              action(message, socket, data, flags), action(gone, socket), action(serveSys, request, socket, user))

} // namespace polis::services
