// Routes the requests of a booted chain to the services that answer them, and lets those answer later.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

struct RegisteredServer {
   AccountNumber service;
   AccountNumber server;
};

struct HttpRedirect {
   AccountNumber account;
   AccountNumber destination;
};

struct HttpPendingRequest {
   std::int32_t socket = 0;
   AccountNumber owner;
};

struct HttpRequestHere {
   std::int32_t socket = 0;
   AccountNumber owner;
   std::vector<AccountNumber> prevOwners;
};

/// What a service that answers HTTP implements.
class ServerInterface : public Service {
public:
   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};
POLIS_SERVICE(ServerInterface, action(serveSys, request, socket, user))

class Http : public Service {
public:
   static constexpr auto account = "http"_a;

   using Servers = Table<0, RegisteredServer, &RegisteredServer::service>;
   using Redirects = Table<1, HttpRedirect, &HttpRedirect::account>;
   using PendingRequests = SessionTable<0, HttpPendingRequest, &HttpPendingRequest::socket>;
   using RequestsHere = TemporaryTable<0, HttpRequestHere, &HttpRequestHere::socket>;
   using Tables = std::tuple<Servers, Redirects>;

   /// Names the service that answers HTTP for the sender. Refuses subaccounts as the sender, and `x-…` as the server.
   void registerServer(AccountNumber server);
   /// Who answers for the service; nothing: nobody, then it is sites.
   std::optional<AccountNumber> getServer(AccountNumber service);
   /// Sends visitors of the sender's subdomain to another one. Refuses the sender itself.
   void setRedirect(AccountNumber destination);
   void clearRedirect();

   /// From x-http: answers one request. root: the configured host that the request's host lies in, if x-http says so.
   void serve(std::int32_t socket, HttpRequest req, std::optional<std::string> root);
   /// From x-http: a message on a socket; today transactions that other producers send.
   void recv(std::int32_t socket, Bytes data, std::uint32_t flags);
   /// From x-http: the connection behind a deferred request has gone.
   void closed(std::int32_t socket);
   /// Sends an action of transact+1 (its `recv`) to all producers.
   void sendProds(Action action);

   /// Keeps the sender's request open after this context.
   void deferReply(std::int32_t socket);
   /// Takes a deferred request of the sender into this context, to answer it. False: there is none any more.
   bool claimReply(std::int32_t socket);
   /// Answers a request that the sender owns in this context. Refuses headers outside the list of HT-1.
   void sendReply(std::int32_t socket, HttpReply response);
   /// Hands a request of this context to another service.
   void giveSocket(std::int32_t socket, AccountNumber service);
   /// Takes over a request that was given to the sender.
   bool takeSocket(std::int32_t socket);

   /// The configured host that `host` lies in.
   std::string rootHost(std::string host);
   /// The URL of a sibling service, as the client of this request has to write it.
   std::string getSiblingUrl(HttpRequest req, std::optional<std::int32_t> socket, AccountNumber destination,
                             bool keepTarget);
};
POLIS_SERVICE(Http, action(registerServer, server), action(getServer, service), action(setRedirect, destination),
              action(clearRedirect), action(serve, socket, req, root), action(recv, socket, data, flags),
              action(closed, socket), action(sendProds, action), action(deferReply, socket), action(claimReply, socket),
              action(sendReply, socket, response), action(giveSocket, socket, service), action(takeSocket, socket),
              action(rootHost, host), action(getSiblingUrl, req, socket, destination, keepTarget))

} // namespace polis::services
