// Where every HTTP request of this node arrives: picks the service that answers it, and keeps the books of sockets.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

/// A local service that answers HTTP on its own subdomain.
struct LocalServer {
   AccountNumber service;
   AccountNumber server;
};

/// A request that waits for its reply. In the session database it outlives the context that brought it.
struct SocketOwnership {
   std::int32_t socket = 0;
   AccountNumber owner;
};

/// Who handles the messages of an open socket.
struct SocketHandler {
   std::int32_t socket = 0;
   AccountNumber service;
   MethodNumber method;
   MethodNumber onClose;
};

class XHttp : public Service {
public:
   static constexpr auto account = "x-http"_a;

   using LocalServers = SubjectiveTable<0, LocalServer, &LocalServer::service>;
   using PendingRequests = SessionTable<0, SocketOwnership, &SocketOwnership::socket>;
   using Handlers = SessionTable<1, SocketHandler, &SocketHandler::socket>;
   using RequestsHere = TemporaryTable<0, SocketOwnership, &SocketOwnership::socket>;
   /// Connections that services have opened in this context.
   using OpenedHere = TemporaryTable<1, SocketOwnership, &SocketOwnership::socket>;

   /// Runs once a start, before any request.
   void startSession();
   /// Sends a message on a WebSocket that the sender handles. flags: 1 text, 2 binary. Requests are answered by
   /// sendReply. Socket 0, from http: to the producers.
   void send(std::int32_t socket, Bytes data, std::uint32_t flags);
   /// Sends a request to another host; `callback(socket, reply)` runs on the sender.
   std::int32_t sendRequest(HttpRequest request, std::optional<TLSInfo> tls, std::optional<SocketEndpoint> endpoint);
   /// Names the sender's actions for the messages and the end of a socket that it has opened in this context, or
   /// handles already.
   void setCallback(std::int32_t socket, MethodNumber callback, MethodNumber onClose);
   /// enable = false keeps the request open after this context; true takes it back into this context, to answer it.
   /// False: the socket is gone, or no longer the sender's.
   bool autoClose(std::int32_t socket, bool enable);
   /// Hands a request of this context to another service.
   void giveSocket(std::int32_t socket, AccountNumber service);
   /// Takes a kept request of the sender into this context.
   bool takeSocket(std::int32_t socket);
   /// Answers a request that the sender owns in this context.
   void sendReply(std::int32_t socket, HttpReply reply);
   /// Accepts a WebSocket handshake; the socket then delivers messages to `callback`.
   void accept(std::int32_t socket, HttpReply reply, MethodNumber callback);
   /// Closes a kept socket of the sender.
   void asyncClose(std::int32_t socket);
   /// Writes to the node's log. severity 0 (trace) to 5 (fatal).
   void log(std::uint32_t severity, std::string message);
   /// The configured host that `host` lies in; the first one otherwise; empty when there is none.
   std::string rootHost(std::string host);
   /// Whether the socket's connection is encrypted.
   bool isSecure(std::int32_t socket);
};
POLIS_SERVICE(XHttp, action(startSession), action(send, socket, data, flags),
              action(sendRequest, request, tls, endpoint), action(setCallback, socket, callback, onClose),
              action(autoClose, socket, enable), action(giveSocket, socket, service), action(takeSocket, socket),
              action(sendReply, socket, reply), action(accept, socket, reply, callback), action(asyncClose, socket),
              action(log, severity, message), action(rootHost, host), action(isSecure, socket))

} // namespace polis::services
