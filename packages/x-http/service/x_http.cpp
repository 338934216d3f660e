#include "x_http.hpp"

#include "http/service/html.hpp"
#include "http/service/http.hpp"
#include "x-admin/service/x_admin.hpp"
#include "x-peers/service/x_peers.hpp"

namespace polis::services {

namespace {

constexpr std::uint32_t flagNotifyClose = 1;
constexpr std::uint32_t flagAutoClose = 2;
constexpr std::uint32_t flagReceive = 4;
constexpr std::uint32_t flagLockClose = 8;

/// Requests that the node makes to itself use this host.
constexpr std::string_view ownHost("\0", 1);

constexpr AccountNumber httpService{"http"};
constexpr AccountNumber sitesService{"x-sites"};
constexpr AccountNumber adminService{"x-admin"};

bool isWithin(std::string_view host, std::string_view root) {
   if (host.size() == root.size())
      return equalIgnoringCase(host, root);
   return host.size() > root.size() && host[host.size() - root.size() - 1] == '.' &&
          equalIgnoringCase(host.substr(host.size() - root.size()), root);
}

AdminOptions readOptions() {
   auto row = openOf<XAdmin::Options>(adminService).get();
   return row ? std::move(*row) : AdminOptions{};
}

/// Empty when no host is configured.
std::string_view findRoot(const std::vector<std::string>& hosts, std::string_view host) {
   if (isWithin(host, ownHost))
      return ownHost;
   std::string_view best;
   for (const auto& candidate : hosts)
      if (isWithin(host, candidate) && candidate.size() > best.size())
         best = candidate;
   if (best.empty() && !hosts.empty())
      best = hosts.front();
   return best;
}

bool chainBooted() {
   // StatusRow: fixed-area size, chainId, offset of `current`, offset of `head` (1 = none)
   const auto size = native::space().find(native::rowKey(native::statusTable));
   if (size == env::none || size < 42)
      return false;
   std::uint8_t word[4];
   env::polis_getResult(word, 4, 2 + 32 + 4);
   return polis::sdk::detail::loadU32(word) > 1;
}

void own(std::int32_t socket, AccountNumber owner) { open<XHttp::RequestsHere>(Mode::readWrite).put({socket, owner}); }

void reply(std::int32_t socket, const HttpReply& response) {
   open<XHttp::RequestsHere>(Mode::readWrite).erase(socket);
   const auto packed = pack(response);
   env::polis_socketSend(socket, packed.data(), static_cast<std::uint32_t>(packed.size()), 0);
}

HttpReply redirect(std::uint16_t status, std::string url) {
   auto response = httpReply(status, "text/html", "", allowCors());
   response.headers.push_back({"Location", std::move(url)});
   return response;
}

/// URL of a host as the client has to write it: scheme by what is known of the connection, port as the client gave it.
std::string urlOf(const RequestView& request, std::int32_t socket, std::string_view host) {
   std::string_view scheme;
   if (const auto proto = request.header("X-Forwarded-Proto"))
      scheme = *proto == "https" ? "https" : "http";
   else {
      const auto row =
          subjectively([&] { return native::get<SocketRow>(Db::nativeSession, native::socketTable, socket); });
      const auto* info = row ? std::get_if<HttpSocketInfo>(&row->info) : nullptr;
      scheme = info && info->tls ? "https" : "http";
   }
   std::string url(scheme);
   url += "://";
   url += host;
   if (const auto given = request.header("Host"))
      if (const auto colon = given->rfind(':');
          colon != std::string_view::npos && given->find(']', colon) == std::string_view::npos)
         url += given->substr(colon);
   return url;
}

struct Route {
   enum Kind { local, sites, chain, notFound, noHost, toRoot, notBooted } kind = chain;
   AccountNumber server;
   AccountNumber service;
   std::string root;
};

Route route(const RequestView& request) {
   const auto host = request.host();
   return subjectively([&] {
      Route result;
      const auto options = readOptions();
      const auto root = findRoot(options.hosts, host);
      if (root.empty()) {
         result.kind = Route::noHost;
         return result;
      }
      result.root = root;
      if (!isWithin(host, root)) {
         result.kind = Route::toRoot;
         return result;
      }
      if (host.size() > root.size()) {
         result.service = AccountNumber{host.substr(0, host.size() - root.size() - 1)};
         // local names, and chain services that a local one stands in for
         if (result.service.value) {
            if (const auto server = open<XHttp::LocalServers>().get(result.service)) {
               result.server = server->server;
               result.kind = Route::local;
               return result;
            }
            const auto code = native::get<CodeRow>(Db::nativeSubjective, native::codeTable, result.service);
            if (code && code->codeHash != Checksum256{} && !(code->flags & CodeRow::isReplacement)) {
               result.kind = Route::sites;
               return result;
            }
         }
      }
      if (isWithin(host, ownHost))
         result.kind = Route::notFound;
      return result;
   });
}

std::optional<HttpReply> serveLocally(AccountNumber server, const HttpRequest& request, std::int32_t socket) {
   return to<ServerInterface>(server).serveSys(request, std::optional(socket), std::optional<AccountNumber>());
}

struct ServiceText {
   std::string service;
   std::string server;
};

std::optional<HttpReply> serveOwn(const HttpRequest& request, std::int32_t socket) {
   const auto path = pathOf(request);
   if (path != "/register_server" && path != "/unregister_server")
      return std::nullopt;
   if (request.method != "POST")
      return methodNotAllowed("POST");
   if (auto refused = to<XAdmin>().checkAuth(request, std::optional(socket)))
      return refused;
   if (mediaTypeOf(request) != "application/json")
      return httpReply(415, "text/html", "Content-Type must be application/json\n");
   const auto body = asText(request.body);
   if (path == "/register_server") {
      const auto row = fromJson<LocalServer>(body);
      if (!row || !row->service.value)
         return httpReply(400, "text/html", "expected {\"service\", \"server\"}\n");
      subjectively([&] { open<XHttp::LocalServers>(Mode::readWrite).put(*row); });
      return httpReply(200, "text/html", "");
   }
   const auto service = fromJson<AccountNumber>(body);
   if (!service)
      return httpReply(400, "text/html", "expected the name of a service\n");
   const bool known = subjectively([&] {
      auto servers = open<XHttp::LocalServers>(Mode::readWrite);
      if (!servers.contains(*service))
         return false;
      servers.erase(*service);
      return true;
   });
   return known ? httpReply(200, "text/html", "") : httpReply(404, "text/html", "no such server\n");
}

/// Calls http::serve(socket, request, root) with the request's bytes as they came, and the root host so that it need
/// not ask.
void serveByChain(std::int32_t socket, ByteView request, std::string_view root) {
   constexpr MethodNumber serve{"serve"};
   constexpr std::uint32_t fixedSize = 12;
   Bytes args;
   args.reserve(2 + fixedSize + request.size() + 4 + root.size());
   auto word = [&](auto value) {
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
      args.insert(args.end(), bytes, bytes + sizeof value);
   };
   word(static_cast<std::uint16_t>(fixedSize));
   word(socket);
   word(std::uint32_t{8});
   word(static_cast<std::uint32_t>(4 + request.size()));
   append(args, request);
   word(static_cast<std::uint32_t>(root.size()));
   append(args, asBytes(root));
   callPacked(polis::sdk::detail::packAction(XHttp::account, httpService, serve, args));
}

void serveRequest(std::int32_t socket, ByteView packedRequest) {
   const RequestView request(packedRequest);
   own(socket, AccountNumber{"x-http"});
   const auto way = route(request);
   const bool isNative = request.path().starts_with("/native/");
   switch (way.kind) {
   case Route::noHost:
      return reply(
          socket,
          httpReply(404, "text/html",
                    "This node serves no host yet. Its operator names one: polis node … --host community.org\n"));
   case Route::notFound:
   case Route::local: {
      const auto full = unpackOrAbort<HttpRequest>(packedRequest);
      std::optional<HttpReply> response;
      if (way.kind == Route::local) {
         if (isNative && way.service != adminService)
            break;
         own(socket, way.server);
         response = serveLocally(way.server, full, socket);
         // a WebSocket by now, or kept for later
         if (!response && !open<XHttp::RequestsHere>(Mode::readWrite).contains(socket))
            return;
         // the administration has let the request through: the node itself answers it
         if (!response && isNative)
            return;
      } else if (way.service == AccountNumber{"x-http"})
         response = serveOwn(full, socket);
      if (!response && !isNative)
         response = serveLocally(sitesService, full, socket);
      if (response)
         return reply(socket, *response);
      break;
   }
   case Route::sites: {
      if (isNative)
         break;
      const auto full = unpackOrAbort<HttpRequest>(packedRequest);
      std::optional<HttpReply> response;
      if (way.service == AccountNumber{"x-http"})
         response = serveOwn(full, socket);
      if (!response)
         response = serveLocally(sitesService, full, socket);
      if (response)
         return reply(socket, *response);
      break;
   }
   case Route::toRoot:
      return reply(socket, redirect(302, urlOf(request, socket, way.root) + std::string(request.target())));
   default:
      if (isNative)
         break;
      if (!chainBooted()) {
         if (request.method() == "GET" || request.method() == "HEAD")
            return reply(socket, redirect(302, urlOf(request, socket, "x-admin." + way.root) + "/"));
         return reply(socket, httpReply(503, "text/html", "Node is not connected to any psibase network."));
      }
      own(socket, httpService);
      serveByChain(socket, packedRequest, way.root);
      return;
   }
   std::string text("The resource '");
   text += escapedHtml(request.target());
   text += "' was not found.\n";
   reply(socket, httpReply(404, "text/html", text, allowCors()));
}

/// The sender's request of this context; fails when it is not.
SocketOwnership ownedHere(std::int32_t socket) {
   const auto row = open<XHttp::RequestsHere>(Mode::readWrite).get(socket);
   check(row && row->owner == getSender(), "the sender does not own this socket");
   return *row;
}

} // namespace

void XHttp::startSession() {
   onlyFrom({AccountNumber{}});
   to<XAdmin>().startSession();
   if (isLocal(XPeers::account))
      to<XPeers>().startSession();
}

void XHttp::send(std::int32_t socket, Bytes data, std::uint32_t flags) {
   // the multicast socket is the chain's; others belong to who handles them
   if (socket == SocketRow::producerMulticast)
      onlyFrom({httpService});
   else
      subjectively([&] {
         const auto row = open<Handlers>(Mode::readWrite).get(socket);
         check(row && row->service == getSender(), "the sender does not own this socket");
         // requests are answered by `sendReply`, by whoever was asked
         const auto kind = native::get<SocketRow>(Db::nativeSession, native::socketTable, socket);
         check(kind && (std::holds_alternative<WebSocketInfo>(kind->info) ||
                        std::holds_alternative<P2PSocketInfo>(kind->info)),
               "no messages are sent on this socket");
      });
   env::polis_socketSend(socket, data.data(), static_cast<std::uint32_t>(data.size()), flags);
}

std::int32_t XHttp::sendRequest(HttpRequest request, std::optional<TLSInfo> tls,
                                std::optional<SocketEndpoint> endpoint) {
   onlyFromLocal();
   const auto packed = pack(std::tuple(std::move(request), tls, endpoint));
   const auto socket = env::polis_socketOpen(packed.data(), static_cast<std::uint32_t>(packed.size()));
   check(socket >= 0, "cannot open a connection");
   open<OpenedHere>(Mode::readWrite).put({socket, getSender()});
   return socket;
}

void XHttp::setCallback(std::int32_t socket, MethodNumber callback, MethodNumber onClose) {
   const auto sender = getSender();
   subjectively([&] {
      auto handlers = open<Handlers>(Mode::readWrite);
      const auto row = handlers.get(socket);
      const auto opened = open<OpenedHere>(Mode::readWrite).get(socket);
      check(row ? row->service == sender : opened && opened->owner == sender, "the sender does not own this socket");
      handlers.put({socket, sender, callback, onClose});
      // from now on it outlives this context
      check(env::polis_socketSetFlags(socket, flagReceive | flagNotifyClose | flagAutoClose,
                                      flagReceive | flagNotifyClose) == 0,
            "the socket is closing");
   });
}

bool XHttp::autoClose(std::int32_t socket, bool enable) {
   const auto sender = getSender();
   if (enable)
      return subjectively([&] {
         auto pending = open<PendingRequests>(Mode::readWrite);
         const auto row = pending.get(socket);
         if (!row || row->owner != sender)
            return false;
         pending.erase(socket);
         // owned by this context from now on, and closed at its end at the latest
         const auto flags = flagAutoClose | flagLockClose;
         if (env::polis_socketSetFlags(socket, flags | flagNotifyClose, flags) != 0)
            return false;
         own(socket, sender);
         return true;
      });
   return subjectively([&] {
      ownedHere(socket);
      if (env::polis_socketSetFlags(socket, flagAutoClose | flagNotifyClose, flagNotifyClose) != 0)
         return false;
      open<RequestsHere>(Mode::readWrite).erase(socket);
      open<PendingRequests>(Mode::readWrite).put({socket, sender});
      return true;
   });
}

void XHttp::giveSocket(std::int32_t socket, AccountNumber service) {
   ownedHere(socket);
   own(socket, service);
}

bool XHttp::takeSocket(std::int32_t socket) {
   const auto row = open<RequestsHere>(Mode::readWrite).get(socket);
   if (row)
      return row->owner == getSender();
   return autoClose(socket, true);
}

void XHttp::sendReply(std::int32_t socket, HttpReply response) {
   ownedHere(socket);
   reply(socket, response);
}

void XHttp::accept(std::int32_t socket, HttpReply response, MethodNumber callback) {
   ownedHere(socket);
   check(response.status == 101, "a handshake is accepted with status 101");
   const auto sender = getSender();
   reply(socket, response);
   subjectively([&] {
      const auto mask = flagReceive | flagNotifyClose | flagAutoClose;
      // Without its notification nothing would remove the row, and whoever comes next by this number would be the
      // sender's.
      if (env::polis_socketSetFlags(socket, mask, flagReceive | flagNotifyClose) == 0)
         open<Handlers>(Mode::readWrite).put({socket, sender, callback, MethodNumber{}});
   });
}

void XHttp::asyncClose(std::int32_t socket) {
   const auto sender = getSender();
   subjectively([&] {
      const auto handler = open<Handlers>(Mode::readWrite).get(socket);
      const auto pending = open<PendingRequests>(Mode::readWrite).get(socket);
      check((handler && handler->service == sender) || (pending && pending->owner == sender),
            "the sender does not own this socket");
      env::polis_socketSetFlags(socket, flagAutoClose, flagAutoClose);
   });
}

void XHttp::log(std::uint32_t severity, std::string message) {
   check(severity <= 5, "unknown severity");
   const auto packed = pack(LogMessage{severity, std::move(message), getSender()});
   env::polis_socketSend(SocketRow::log, packed.data(), static_cast<std::uint32_t>(packed.size()), 0);
}

std::string XHttp::rootHost(std::string host) {
   return subjectively([&] { return std::string(findRoot(readOptions().hosts, host)); });
}

bool XHttp::isSecure(std::int32_t socket) {
   return subjectively([&] {
      const auto row = native::get<SocketRow>(Db::nativeSession, native::socketTable, socket);
      if (!row)
         return false;
      if (const auto* info = std::get_if<HttpSocketInfo>(&row->info))
         return info->tls.has_value();
      if (const auto* info = std::get_if<WebSocketInfo>(&row->info))
         return info->tls.has_value();
      return false;
   });
}

} // namespace polis::services

using polis::services::XHttp;
POLIS_DISPATCH(polis::services::XHttp)

POLIS_EXPORT(serve) void polisServe() {
   using namespace polis::sdk;
   withEntryAction(XHttp::account, [](ByteView args) {
      // (i32 socket, HttpRequest): fixed area of 8 bytes, the request right behind it
      check(args.size() > 10 && polis::sdk::detail::loadU16(args.data()) == 8, "malformed request");
      const auto socket = static_cast<std::int32_t>(polis::sdk::detail::loadU32(args.data() + 2));
      const auto offset = polis::sdk::detail::loadU32(args.data() + 6);
      check(offset >= 4 && offset < args.size() - 6, "malformed request");
      polis::services::serveRequest(socket, args.subspan(6 + offset));
   });
}

POLIS_EXPORT(recv) void polisRecv() {
   using namespace polis::sdk;
   withEntryAction(XHttp::account, [](ByteView args) {
      auto [socket, data, flags] = unpackOrAbort<std::tuple<std::int32_t, Bytes, std::uint32_t>>(args);
      if (socket == SocketRow::producerMulticast) {
         to<polis::services::Http>().recv(socket, data, flags);
         return;
      }
      const auto handler = subjectively([&] {
         auto row = open<XHttp::Handlers>(Mode::readWrite).get(socket);
         if (row)
            env::polis_socketSetFlags(socket, 4, 4); // one flag, one message
         return row;
      });
      if (handler)
         callRaw(XHttp::account, handler->service, handler->method, pack(std::tuple(socket, data, flags)));
   });
}

POLIS_EXPORT(close) void polisClose() {
   using namespace polis::sdk;
   withEntryAction(XHttp::account, [](ByteView args) {
      const auto socket = std::get<0>(unpackOrAbort<std::tuple<std::int32_t>>(args));
      struct Gone {
         std::optional<polis::services::SocketHandler> handler;
         bool deferred = false;
      };
      const auto gone = subjectively([&] {
         auto handlers = open<XHttp::Handlers>(Mode::readWrite);
         auto pending = open<XHttp::PendingRequests>(Mode::readWrite);
         Gone result{handlers.get(socket), false};
         if (result.handler)
            handlers.erase(socket);
         if (const auto row = pending.get(socket)) {
            result.deferred = row->owner == AccountNumber{"http"};
            pending.erase(socket);
         }
         return result;
      });
      if (gone.deferred)
         to<polis::services::Http>().closed(socket);
      if (gone.handler && gone.handler->onClose.value)
         callRaw(XHttp::account, gone.handler->service, gone.handler->onClose, pack(std::tuple(socket)));
   });
}
