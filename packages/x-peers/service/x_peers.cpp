#include "x_peers.hpp"

#include "x-admin/service/x_admin.hpp"
#include "x-http/service/x_http.hpp"
#include "x-timer/service/x_timer.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

#include <algorithm>

namespace polis::services {

namespace {

constexpr MethodNumber answeredMethod{"answered"}, messageMethod{"message"}, goneMethod{"gone"}, timerMethod{"onTimer"};
constexpr std::int64_t second = 1'000'000;
/// A neighbour that was away is found again so soon after its return; finality may be waiting for it.
constexpr std::int64_t retryMax = 4 * second;
/// Whoever connects says who it is within this time.
constexpr std::int64_t patience = 10 * second;
constexpr std::uint32_t binary = 2;
/// Type byte of the first message of each side.
constexpr std::uint8_t idType = 64;

struct IdMessage {
   std::uint64_t nodeId = 0;
   std::int32_t connectionId = 0;
};

std::int64_t nowUs() {
   std::uint64_t ns = 0;
   env::polis_clockTimeGet(1, &ns);
   return static_cast<std::int64_t>(ns / 1000);
}

/// This node's number, new with each start. Within a subjective transaction.
std::uint64_t nodeId() {
   auto table = open<XPeers::Self>(Mode::readWrite);
   if (const auto row = table.get())
      return row->id;
   PeerNodeId row;
   while (row.id == 0)
      env::polis_getRandom(&row.id, sizeof row.id);
   table.put(row);
   return row.id;
}

/// Where a neighbour's URL leads.
struct Target {
   std::string host;
   std::optional<TLSInfo> tls;
   std::optional<SocketEndpoint> endpoint;
};

std::optional<Target> targetOf(std::string_view url) {
   if (url.empty() || url.size() > XPeers::urlBytesMax ||
       std::ranges::any_of(url, [](char c) { return c <= ' ' || c == 0x7F || c == '@' || c == '?' || c == '#'; }))
      return std::nullopt;
   Target out;
   if (url.front() == '/') {
      out.host = "x-peers.psibase.localhost";
      out.endpoint = SocketEndpoint{LocalEndpoint{std::string(url)}};
      return out;
   }
   const auto scheme = url.find("://");
   if (scheme != url.npos) {
      const auto name = url.substr(0, scheme);
      if (name == "https" || name == "wss")
         out.tls = TLSInfo{};
      else if (name != "http" && name != "ws")
         return std::nullopt;
      url.remove_prefix(scheme + 3);
   }
   const auto host = url.substr(0, url.find('/'));
   if (host.empty())
      return std::nullopt;
   out.host = host.starts_with("x-peers.") ? std::string(host) : "x-peers." + std::string(host);
   return out;
}

HttpRequest handshake(const Target& target) {
   HttpRequest out;
   out.host = target.host;
   out.method = "GET";
   out.target = "/p2p";
   out.headers = {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}};
   return out;
}

/// Asks for the neighbours whose time has come, and to be called when the next one's does.
void connectDue() {
   const std::int64_t now = nowUs();
   struct Plan {
      std::vector<std::string> due;
      std::int64_t next = INT64_MAX;
   };
   const auto plan = subjectively([&] {
      Plan out;
      std::vector<PeerUrl> tried;
      auto urls = open<XPeers::Urls>(Mode::readWrite);
      for (PeerUrl row : urls) {
         if (row.socket >= 0)
            continue;
         if (row.nextTry <= now) {
            row.nextTry = now + std::min(second << row.failures, retryMax);
            row.failures = std::min<std::uint32_t>(row.failures + 1, 16);
            out.due.push_back(row.url);
            tried.push_back(row);
         }
         out.next = std::min(out.next, row.nextTry);
      }
      for (const auto& row : tried)
         urls.put(row);
      return out;
   });
   for (const auto& url : plan.due) {
      auto target = targetOf(url);
      if (!target)
         continue;
      const auto socket = to<XHttp>().sendRequest(handshake(*target), target->tls, target->endpoint);
      to<XHttp>().setCallback(socket, answeredMethod, goneMethod);
      subjectively([&] {
         auto urls = open<XPeers::Urls>(Mode::readWrite);
         if (auto row = urls.get(url)) {
            row->socket = socket;
            urls.put(*row);
         }
         open<XPeers::Connections>(Mode::readWrite).put({.socket = socket, .url = url});
      });
   }
   if (plan.next != INT64_MAX)
      to<XTimer>().runAt(plan.next, timerMethod);
}

/// Forgets the connection; a neighbour of ours is tried again.
void forget(std::int32_t socket) {
   const auto next = subjectively([&]() -> std::optional<std::int64_t> {
      auto connections = open<XPeers::Connections>(Mode::readWrite);
      const auto row = connections.get(socket);
      if (!row)
         return std::nullopt;
      connections.erase(socket);
      auto urls = open<XPeers::Urls>(Mode::readWrite);
      auto url = urls.get(row->url);
      if (!url || url->socket != socket)
         return std::nullopt;
      url->socket = -1;
      const std::int64_t now = nowUs();
      if (row->open && now - row->since > retryMax) {
         url->failures = 0;
         url->nextTry = 0;
      }
      url->nextTry = std::max(url->nextTry, now + second);
      urls.put(*url);
      return url->nextTry;
   });
   if (next)
      to<XTimer>().runAt(*next, timerMethod);
}

/// From here on the node speaks with the other side.
void giveToNode(std::int32_t socket) {
   subjectively([&] {
      auto connections = open<XPeers::Connections>(Mode::readWrite);
      auto row = connections.get(socket);
      auto native = native::get<SocketRow>(Db::nativeSession, native::socketTable, socket);
      const auto* info = native ? std::get_if<WebSocketInfo>(&native->info) : nullptr;
      if (!row || !info)
         return;
      native::put(Db::nativeSession, native::socketTable, SocketRow{socket, P2PSocketInfo{info->endpoint, info->tls}},
                  socket);
      row->open = true;
      row->since = nowUs();
      connections.put(*row);
   });
}

void sayId(std::int32_t socket) {
   const auto id = subjectively([] { return nodeId(); });
   const auto packed = pack(IdMessage{id, socket});
   Bytes frame{idType};
   const auto size = static_cast<std::uint32_t>(packed.size());
   for (int shift = 0; shift < 32; shift += 8)
      frame.push_back(static_cast<std::uint8_t>(size >> shift));
   append(frame, packed);
   to<XHttp>().send(socket, frame, binary);
}

bool isSecure(std::int32_t socket) {
   const auto row = native::get<SocketRow>(Db::nativeSession, native::socketTable, socket);
   const auto* info = row ? std::get_if<P2PSocketInfo>(&row->info) : nullptr;
   return info && info->tls;
}

/// Two nodes that connected to each other need one connection. Both know both, so that exactly one of them ends the one
/// that it opened: the one that is less secure, or else that of the greater number. The URL goes over to the other
/// connection, and is tried again when that ends.
void dropDuplicate(std::int32_t socket) {
   const auto surplus = subjectively([&]() -> std::optional<std::int32_t> {
      auto connections = open<XPeers::Connections>(Mode::readWrite);
      const auto row = connections.get(socket);
      if (!row || !row->open || row->nodeId == 0)
         return std::nullopt;
      std::optional<PeerConnection> other;
      for (const auto& candidate : connections)
         if (candidate.open && candidate.nodeId == row->nodeId && candidate.incoming != row->incoming)
            other = candidate;
      if (!other)
         return std::nullopt;
      const auto& outgoing = row->incoming ? *other : *row;
      auto incoming = row->incoming ? *row : *other;
      const bool ours = isSecure(outgoing.socket), theirs = isSecure(incoming.socket);
      if (ours != theirs ? ours : row->nodeId > nodeId())
         return std::nullopt;
      auto urls = open<XPeers::Urls>(Mode::readWrite);
      if (auto url = urls.get(outgoing.url); url && incoming.url.empty()) {
         url->socket = incoming.socket;
         urls.put(*url);
         incoming.url = outgoing.url;
         connections.put(incoming);
      }
      return outgoing.socket;
   });
   if (surplus)
      to<XHttp>().asyncClose(*surplus);
}

bool addUrl(const std::string& url) {
   return subjectively([&] {
      auto urls = open<XPeers::Urls>(Mode::readWrite);
      if (urls.contains(url))
         return true;
      std::size_t count = 0;
      for (auto it = urls.begin(); it != urls.end(); ++it)
         ++count;
      if (count >= XPeers::urlsMax)
         return false;
      urls.put({.url = url});
      return true;
   });
}

struct Silent {
   std::vector<std::int32_t> late;
   std::optional<std::int64_t> next; ///< when the next one's time is over
};

/// Whose other side has not said yet who it is. Within a subjective transaction.
Silent silentOnes() {
   const std::int64_t now = nowUs();
   Silent out;
   for (const auto& row : open<XPeers::Connections>(Mode::readWrite)) {
      if (!row.incoming || row.open)
         continue;
      if (now - row.since >= patience)
         out.late.push_back(row.socket);
      else
         out.next = std::min(out.next.value_or(INT64_MAX), row.since + patience);
   }
   return out;
}

void dropSilent() {
   const auto silent = subjectively([] { return silentOnes(); });
   for (const auto socket : silent.late)
      to<XHttp>().asyncClose(socket);
   if (silent.next)
      to<XTimer>().runAt(*silent.next, timerMethod);
}

std::optional<HttpReply> accept(const HttpRequest& request, std::int32_t socket) {
   if (request.method != "GET")
      return methodNotAllowed("GET");
   if (headerOf(request, "Origin"))
      return httpReply(400, "text/html", "nodes connect here, not pages\n");
   const auto upgrade = headerOf(request, "Upgrade");
   if (!upgrade) {
      auto reply = httpReply(426, "text/html", "other nodes connect here, by WebSocket\n");
      reply.headers.push_back({"Upgrade", "websocket"});
      return reply;
   }
   if (!to<XAdmin>().options().p2p)
      return httpReply(403, "text/html", "this node takes no other nodes in: its option p2p is off\n");
   // before the other side can say anything
   const bool first = subjectively([&] {
      const auto silent = silentOnes();
      open<XPeers::Connections>(Mode::readWrite).put({.socket = socket, .incoming = true, .since = nowUs()});
      return !silent.next && silent.late.empty();
   });
   if (first)
      to<XTimer>().runAt(nowUs() + patience, timerMethod);
   to<XHttp>().accept(socket, httpReply(101, "", "", {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}}),
                      messageMethod);
   to<XHttp>().setCallback(socket, messageMethod, goneMethod);
   return std::nullopt;
}

std::string firstLine(std::string_view text) {
   return std::string(text.substr(0, std::min<std::size_t>(text.find('\n'), 200)));
}

/// The neighbour's URL, where that is news.
std::optional<std::string> noteRefusal(std::int32_t socket, const std::string& answer) {
   return subjectively([&]() -> std::optional<std::string> {
      const auto connection = open<XPeers::Connections>(Mode::readWrite).get(socket);
      auto urls = open<XPeers::Urls>(Mode::readWrite);
      auto url = connection ? urls.get(connection->url) : std::nullopt;
      if (!url || url->refusal == answer)
         return std::nullopt;
      url->refusal = answer;
      urls.put(*url);
      return url->url;
   });
}

struct UrlText {
   std::string url;
};
struct Number {
   std::int32_t id = 0;
};

template <class T>
std::vector<typename T::Row> allRows() {
   return subjectively([] {
      std::vector<typename T::Row> rows;
      for (const auto& row : open<T>())
         rows.push_back(row);
      return rows;
   });
}

} // namespace

void XPeers::startSession() {
   onlyFrom({XHttp::account});
   for (const auto& url : to<XAdmin>().options().peers) {
      if (!targetOf(url))
         to<XHttp>().log(3u, "a neighbour's URL makes no sense: " + url);
      else
         addUrl(url);
   }
   connectDue();
}

void XPeers::onTimer(std::uint64_t) {
   onlyFrom({XTimer::account});
   dropSilent();
   connectDue();
}

void XPeers::answered(std::int32_t socket, Bytes data, std::uint32_t flags) {
   onlyFrom({XHttp::account});
   if (flags != 0)
      return message(socket, std::move(data), flags);
   const auto reply = unpackOrAbort<HttpReply>(data);
   if (reply.status != 101) {
      const auto answer = std::to_string(reply.status) + ": " + firstLine(asText(reply.body));
      if (const auto url = noteRefusal(socket, answer))
         to<XHttp>().log(3u, "the neighbour " + *url + " answers " + answer);
      to<XHttp>().asyncClose(socket);
      return;
   }
   (void)noteRefusal(socket, {});
   sayId(socket);
   giveToNode(socket);
}

void XPeers::message(std::int32_t socket, Bytes data, std::uint32_t) {
   onlyFrom({XHttp::account});
   const auto row = subjectively([&] { return open<Connections>(Mode::readWrite).get(socket); });
   if (!row || data.size() < 5 || data[0] != idType)
      return; // of a later version
   const auto id = unpack<IdMessage>(ByteView(data).subspan(5));
   if (!id)
      return;
   const bool own = subjectively([&] {
      auto connections = open<Connections>(Mode::readWrite);
      if (auto now = connections.get(socket)) {
         now->nodeId = id->nodeId;
         connections.put(*now);
      }
      return id->nodeId == nodeId();
   });
   if (own) { // this node itself, by another name
      to<XHttp>().asyncClose(socket);
      return;
   }
   if (row->incoming && !row->open) {
      sayId(socket);
      giveToNode(socket);
   }
   dropDuplicate(socket);
}

void XPeers::gone(std::int32_t socket) {
   onlyFrom({XHttp::account});
   forget(socket);
}

namespace {

struct Query {
   /// Connections to other nodes.
   Connection<PeerConnection> peers(Page<std::int32_t> page) const {
      return connection(open<XPeers::Connections>().index<0>(), page);
   }
   /// Neighbours to be connected.
   Connection<PeerUrl> urls(Page<std::string> page) const { return connection(open<XPeers::Urls>().index<0>(), page); }
};
POLIS_GRAPHQL(Query, field(peers, page), field(urls, page))

} // namespace

std::optional<HttpReply> XPeers::serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                          std::optional<AccountNumber>) {
   onlyFrom({XHttp::account});
   const auto path = pathOf(request);
   if (path == "/p2p" && socket)
      return accept(request, *socket);
   const bool reads = path == "/peers" || path == "/urls";
   const bool isGraphql = path == "/graphql" || path == "/graphiql";
   if (!reads && !isGraphql && path != "/connect" && path != "/disconnect")
      return std::nullopt;
   if (!isGraphql && request.method != (reads ? "GET" : "POST"))
      return methodNotAllowed(reads ? "GET" : "POST");
   if (auto refused = to<XAdmin>().checkAuth(request, socket))
      return refused;
   if (isGraphql)
      return subjectively([&] { return serveGraphql(Query{}, request); });
   if (path == "/peers")
      return jsonReply(allRows<Connections>());
   if (path == "/urls")
      return jsonReply(allRows<Urls>());
   if (mediaTypeOf(request) != "application/json")
      return httpReply(415, "text/html", "Content-Type must be application/json\n");
   if (path == "/connect") {
      const auto body = fromJson<UrlText>(asText(request.body));
      if (!body || !targetOf(body->url))
         return httpReply(400, "text/html", "expected {\"url\": \"https://community.org\"}\n");
      if (!addUrl(body->url))
         return httpReply(409, "text/html", "there are too many neighbours already\n");
      connectDue();
      return httpReply(200, "text/html", "");
   }
   const auto body = fromJson<Number>(asText(request.body));
   if (!body)
      return httpReply(400, "text/html", "expected {\"id\": 7}\n");
   const bool known = subjectively([&] {
      const auto row = open<Connections>(Mode::readWrite).get(body->id);
      if (row)
         open<Urls>(Mode::readWrite).erase(row->url);
      return row.has_value();
   });
   if (!known)
      return httpReply(404, "text/html", "there is no such connection\n");
   to<XHttp>().asyncClose(body->id);
   return httpReply(200, "text/html", "");
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::XPeers)
