#include "http.hpp"

#include "accounts/service/accounts.hpp"
#include "missing.hpp"
#include "sites/service/sites.hpp"
#include "transact/query/transact_query.hpp"
#include "x-http/service/x_http.hpp"

#include <algorithm>

namespace polis::services {

namespace {

using polis::sdk::detail::ActionView;
using polis::sdk::detail::loadU16;
using polis::sdk::detail::loadU32;

constexpr AccountNumber sitesService{"sites"};
constexpr AccountNumber commonService{"common-api"};
constexpr AccountNumber homepageService{"homepage"};

constexpr std::array<std::string_view, 12> replyHeaders{"Access-Control-Allow-Credentials",
                                                        "Access-Control-Allow-Headers",
                                                        "Access-Control-Allow-Methods",
                                                        "Access-Control-Allow-Origin",
                                                        "Allow",
                                                        "Cache-Control",
                                                        "Content-Encoding",
                                                        "Content-Security-Policy",
                                                        "ETag",
                                                        "Location",
                                                        "Set-Cookie",
                                                        "X-Content-Type-Options"};

/// A cookie without its Domain: one for the whole network would reach every other app, and stand before their own.
std::string hostOnly(std::string_view cookie) {
   std::string kept(cookie.substr(0, cookie.find(';')));
   cookie.remove_prefix(kept.size());
   while (!cookie.empty()) {
      const auto attribute = cookie.substr(0, std::min(cookie.find(';', 1), cookie.size()));
      cookie.remove_prefix(attribute.size());
      auto name = attribute.substr(1, std::min(attribute.find('='), attribute.size()) - 1);
      while (!name.empty() && (name.front() == ' ' || name.front() == '\t'))
         name.remove_prefix(1);
      while (!name.empty() && (name.back() == ' ' || name.back() == '\t'))
         name.remove_suffix(1);
      if (!equalIgnoringCase(name, "Domain"))
         kept += attribute;
   }
   return kept;
}

/// Refuses headers that a service may not set.
void checkHeaders(HttpReply& reply, AccountNumber service) {
   for (auto& header : reply.headers) {
      if (equalIgnoringCase(header.name, "Set-Cookie"))
         header.value = hostOnly(header.value);
      const bool known = std::any_of(replyHeaders.begin(), replyHeaders.end(),
                                     [&](std::string_view name) { return equalIgnoringCase(name, header.name); });
      if (!known)
         abortMessage("service " + service.str() + " attempted to set http header " + header.name);
   }
}

HttpReply permanentRedirect(std::string url) {
   auto reply = httpReply(308, "text/html", "", allowCors());
   reply.headers.push_back({"Location", std::move(url)});
   return reply;
}

/// Names that are kept for services of the node itself. They answer on their own subdomains, through x-http, and never
/// for an account of the chain: its pages would share an origin with what the node trusts.
bool isNodeName(AccountNumber account) { return account.str().starts_with("x-"); }

bool isLocalHost(std::string_view host) { return host == "localhost" || host.ends_with(".localhost"); }

/// Host and port of the client's Host header; the request's host without one.
std::string_view portOf(const HttpRequest& request) {
   const auto given = headerOf(request, "Host");
   if (!given)
      return {};
   const auto colon = given->rfind(':');
   if (colon == std::string_view::npos || given->find(']', colon) != std::string_view::npos)
      return {};
   return given->substr(colon);
}

std::string_view schemeOf(const HttpRequest& request, std::optional<std::int32_t> socket, std::string_view root) {
   if (const auto forwarded = headerOf(request, "X-Forwarded-Proto"))
      return *forwarded == "https" ? "https" : "http";
   if (socket)
      return to<XHttp>().isSecure(*socket) ? "https" : "http";
   return isLocalHost(root) ? "http" : "https";
}

std::string siblingUrl(const HttpRequest& request, std::optional<std::int32_t> socket, AccountNumber destination,
                       bool keepTarget, std::string_view root) {
   std::string url(schemeOf(request, socket, root));
   url += "://";
   if (destination.value) {
      url += destination.str();
      url += '.';
   }
   url += root;
   url += portOf(request);
   if (keepTarget)
      url += request.target;
   return url;
}

/// What identifies the user to this node stays between them.
void stripIdentity(HttpRequest& request) {
   std::erase_if(request.headers,
                 [](const HttpHeader& header) { return equalIgnoringCase(header.name, "Authorization"); });
   for (auto& header : request.headers) {
      if (!equalIgnoringCase(header.name, "Cookie"))
         continue;
      std::string kept;
      std::string_view rest = header.value;
      while (!rest.empty()) {
         auto item = rest.substr(0, rest.find(';'));
         rest.remove_prefix(std::min(rest.size(), item.size() + 1));
         while (!item.empty() && item.front() == ' ')
            item.remove_prefix(1);
         const auto name = item.substr(0, item.find('='));
         if (equalIgnoringCase(name, "SESSION") || equalIgnoringCase(name, "__Host-SESSION") || item.empty())
            continue;
         if (!kept.empty())
            kept += "; ";
         kept += item;
      }
      header.value = std::move(kept);
   }
   std::erase_if(request.headers, [](const HttpHeader& header) {
      return equalIgnoringCase(header.name, "Cookie") && header.value.empty();
   });
}

void own(std::int32_t socket, AccountNumber owner, std::vector<AccountNumber> previous = {}) {
   open<Http::RequestsHere>(Mode::readWrite).put({socket, owner, std::move(previous)});
}

std::optional<HttpRequestHere> requestHere(std::int32_t socket) {
   return open<Http::RequestsHere>(Mode::readWrite).get(socket);
}

/// Fails unless the sender owns the request in this context.
HttpRequestHere ownedHere(std::int32_t socket) {
   auto row = requestHere(socket);
   check(row && row->owner == getSender(), "the sender does not own this socket");
   return std::move(*row);
}

void reply(std::int32_t socket, HttpReply response) {
   open<Http::RequestsHere>(Mode::readWrite).erase(socket);
   to<XHttp>().sendReply(socket, std::move(response));
}

/// The rest of the host before the root, if it is one label.
std::string_view subdomainOf(std::string_view host, std::string_view root) {
   if (host.size() <= root.size() + 1)
      return {};
   return host.substr(0, host.size() - root.size() - 1);
}

/// Asks one service: serveSys(request, socket, user), the request's bytes as they are.
std::optional<HttpReply> ask(AccountNumber server, ByteView request, std::int32_t socket,
                             std::optional<AccountNumber> user) {
   own(socket, server);
   constexpr MethodNumber serveSys{"serveSys"};
   Bytes args;
   args.reserve(32 + request.size());
   auto word = [&](auto value) {
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
      args.insert(args.end(), bytes, bytes + sizeof value);
   };
   const auto size = static_cast<std::uint32_t>(request.size());
   const std::uint32_t fixedSize = user ? 12 : 8; // an absent user at the end is left out
   word(static_cast<std::uint16_t>(fixedSize));
   word(fixedSize);
   word(fixedSize - 4 + size);
   if (user)
      word(std::uint32_t{4} + size + 4);
   append(args, request);
   word(socket);
   if (user)
      word(user->value);
   polis::sdk::detail::ResultBuffer<1024> result(
       callPacked(polis::sdk::detail::packAction(Http::account, server, serveSys, args)));
   return unpackOrAbort<std::optional<HttpReply>>(result.view(), "malformed reply");
}

void serveRequest(std::int32_t socket, ByteView packed, std::string_view root) {
   RequestView view(packed);
   Bytes stripped;
   std::optional<AccountNumber> user;
   const auto name = subdomainOf(view.host(), root);
   auto redirectTo = [&](AccountNumber destination) {
      const auto request = unpackOrAbort<HttpRequest>(packed);
      reply(socket, permanentRedirect(siblingUrl(request, socket, destination, true, root)));
   };
   if (name.empty())
      return redirectTo(homepageService);
   const AccountNumber service{name};
   auto notFound = [&] {
      MissingPage missing{.host = view.host(), .name = name, .path = view.path(), .rootUrl = {}};
      if (!service.value || (service.value & 0xFF))
         missing.what = Missing::name;
      else if (!open<Http::Servers>().contains(service) && !to<Sites>().isValidPath(service, "/"))
         missing.what = to<Accounts>().exists(service) ? Missing::app : Missing::account;
      missing.rootUrl = siblingUrl(unpackOrAbort<HttpRequest>(packed), socket, {}, false, root) + "/";
      return missingReply(missing, view.header("Accept").value_or(""));
   };
   // names with a dot or a plus are nobody's domain
   if (!service.value || (service.value & 0xFF))
      return reply(socket, notFound());
   if (const auto redirect = open<Http::Redirects>().get(service))
      return redirectTo(redirect->destination);
   if (view.header("Authorization") || view.header("Cookie")) {
      auto request = unpackOrAbort<HttpRequest>(packed);
      HttpRequest head = request;
      head.body.clear();
      user = to<TransactQuery>().getUser(std::move(head));
      stripIdentity(request);
      stripped = pack(request);
      view = RequestView(stripped);
   }

   std::array<AccountNumber, 2> servers{};
   if (view.path().starts_with("/common/"))
      servers[0] = commonService;
   else if (const auto row = open<Http::Servers>().get(service); row && !isNodeName(row->server))
      servers[0] = row->server;
   servers[1] = sitesService;
   for (std::size_t i = 0; i < servers.size(); ++i) {
      if (!servers[i].value || (i == 1 && servers[0] == servers[1]))
         continue;
      auto response = ask(servers[i], view.packed(), socket, user);
      if (response && response->status == 405 && view.method() == "HEAD") {
         // A service that knows GET only: its answer, from which the node leaves the body away.
         auto request = unpackOrAbort<HttpRequest>(view.packed());
         request.method = "GET";
         response = ask(servers[i], pack(request), socket, user);
      }
      if (response) {
         checkHeaders(*response, servers[i]);
         return reply(socket, std::move(*response));
      }
      // deferred, given away or answered already
      const auto row = requestHere(socket);
      if (!row || row->owner != servers[i])
         return;
   }
   if (view.method() == "OPTIONS")
      return reply(socket, httpReply(200, "", "", allowCors()));
   reply(socket, notFound());
}

} // namespace

void Http::registerServer(AccountNumber server) {
   check((getSender().value & 0xFF) == 0, "a subaccount has no domain");
   check(!isNodeName(server), "a service of the node does not answer for accounts of the chain");
   open<Servers>(Mode::readWrite).put({getSender(), server});
}

std::optional<AccountNumber> Http::getServer(AccountNumber service) {
   const auto row = open<Servers>().get(service);
   return row ? std::optional(row->server) : std::nullopt;
}

void Http::setRedirect(AccountNumber destination) {
   check(destination != getSender(), "a redirect to itself would never end");
   open<Redirects>(Mode::readWrite).put({getSender(), destination});
}

void Http::clearRedirect() { open<Redirects>(Mode::readWrite).erase(getSender()); }

void Http::serve(std::int32_t socket, HttpRequest req, std::optional<std::string> root) {
   check(getSender() == XHttp::account, "requests come from x-http");
   const auto packed = pack(req);
   serveRequest(socket, packed, root ? *root : to<XHttp>().rootHost(req.host));
}

void Http::recv(std::int32_t socket, Bytes data, std::uint32_t) {
   check(getSender() == XHttp::account, "messages come from x-http");
   if (socket != SocketRow::producerMulticast)
      return;
   constexpr MethodNumber recvMethod{"recv"};
   const auto message = unpack<Action>(data);
   check(message && message->service == TransactQuery::account && message->method == recvMethod,
         "unknown message from a producer");
   callRaw(getReceiver(), message->service, message->method, message->rawData);
}

void Http::closed(std::int32_t socket) {
   check(getSender() == XHttp::account, "only x-http tells of sockets");
   subjectively([&] { open<PendingRequests>(Mode::readWrite).erase(socket); });
}

void Http::sendProds(Action action) {
   constexpr MethodNumber recvMethod{"recv"};
   check(getSender() == TransactQuery::account && action.sender == getSender(),
         "only transact+1 may send to the producers");
   check(action.service == TransactQuery::account && action.method == recvMethod,
         "only transactions are sent to the producers");
   to<XHttp>().send(SocketRow::producerMulticast, pack(action), 0u);
}

void Http::deferReply(std::int32_t socket) {
   ownedHere(socket);
   const auto sender = getSender();
   subjectively([&] {
      open<RequestsHere>(Mode::readWrite).erase(socket);
      // When the client has gone already nobody would tell that, and the row would name the next one's socket.
      if (to<XHttp>().autoClose(socket, false))
         open<PendingRequests>(Mode::readWrite).put({socket, sender});
   });
}

bool Http::claimReply(std::int32_t socket) {
   const auto sender = getSender();
   return subjectively([&] {
      auto pending = open<PendingRequests>(Mode::readWrite);
      const auto row = pending.get(socket);
      if (!row || row->owner != sender)
         return false;
      pending.erase(socket);
      if (!to<XHttp>().autoClose(socket, true))
         return false;
      own(socket, sender);
      return true;
   });
}

void Http::sendReply(std::int32_t socket, HttpReply response) {
   ownedHere(socket);
   checkHeaders(response, getSender());
   reply(socket, std::move(response));
}

void Http::giveSocket(std::int32_t socket, AccountNumber service) {
   auto row = ownedHere(socket);
   check(std::find(row.prevOwners.begin(), row.prevOwners.end(), service) == row.prevOwners.end() &&
             service != row.owner,
         "a socket is not given back");
   row.prevOwners.push_back(row.owner);
   own(socket, service, std::move(row.prevOwners));
}

bool Http::takeSocket(std::int32_t socket) {
   const auto row = requestHere(socket);
   if (row)
      return row->owner == getSender();
   return claimReply(socket);
}

std::string Http::rootHost(std::string host) { return to<XHttp>().rootHost(std::move(host)); }

std::string Http::getSiblingUrl(HttpRequest req, std::optional<std::int32_t> socket, AccountNumber destination,
                                bool keepTarget) {
   const auto root = to<XHttp>().rootHost(req.host);
   check(req.host == root || std::string_view(req.host).ends_with("." + root), "the request is for another host");
   return siblingUrl(req, socket, destination, keepTarget, root);
}

namespace {

/// http::serve(socket, request, root) on its packed arguments, the request uncopied. False: not in this form.
bool servePacked(ByteView args) {
   if (args.size() < 20 || loadU16(args.data()) != 12 || loadU32(args.data() + 6) != 8)
      return false;
   const auto rootOffset = loadU32(args.data() + 10);
   if (rootOffset < 4 || rootOffset > args.size() - 14)
      return false;
   const auto rootAt = 10 + std::size_t{rootOffset};
   const auto rootSize = loadU32(args.data() + rootAt);
   if (rootSize != args.size() - rootAt - 4)
      return false;
   serveRequest(static_cast<std::int32_t>(loadU32(args.data() + 2)), args.subspan(14, rootAt - 14),
                asText(args.subspan(rootAt + 4)));
   return true;
}

} // namespace

} // namespace polis::services

#ifdef __wasm__
POLIS_EXPORT(start) void polisStart(std::uint64_t) { __wasm_call_ctors(); }

POLIS_EXPORT(called) void polisCalled(std::uint64_t receiver, std::uint64_t sender) {
   using namespace polis::sdk;
   polis::sdk::detail::FrameScope scope(AccountNumber{receiver}, AccountNumber{sender});
   polis::sdk::detail::ResultBuffer<2048> buffer(env::polis_getCurrentAction());
   const auto action = polis::sdk::detail::ActionView::of(buffer.view());
   constexpr MethodNumber serve{"serve"};
   if (action.method == serve && AccountNumber{sender} == polis::services::XHttp::account &&
       polis::services::servePacked(action.rawData))
      return;
   if (!polis::sdk::detail::dispatch<polis::services::Http>(action.method, action.rawData))
      abortMessage("unknown action: " + action.method.str());
}
#endif
