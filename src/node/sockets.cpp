#include "node/sockets.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "format/fracpack.hpp"
#include "http/reply_writer.hpp"
#include "http/shares.hpp"
#include <algorithm>

namespace polis::node {

namespace {

/// host: the request's. What a service on chain says may be read by pages of its siblings, as all that it replies;
/// a local one (x-…) tells pages of other origins nothing.
format::HttpReply errorPage(std::string_view text, std::string_view host) {
   auto reply = http::textReply(500, text);
   reply.contentType = "text/html";
   if (!host.starts_with("x-"))
      reply.headers.push_back({"Access-Control-Allow-Origin", "*"});
   std::string page;
   for (char c : text) {
      switch (c) {
      case '<':
         page += "&lt;";
         break;
      case '&':
         page += "&amp;";
         break;
      default:
         page += c;
      }
   }
   reply.body = toBytes(page);
   return reply;
}

/// What the sender of a transaction waits for: `applied` or `final`. Nothing: this is another request.
std::optional<std::string_view> pushWaitsFor(const format::HttpRequest& request) {
   static constexpr std::string_view path = "/push_transaction", wait = "wait_for=";
   const std::string_view target = request.target;
   if (request.method != "POST" || !target.starts_with(path) || !request.host.starts_with("transact."))
      return std::nullopt;
   const auto query = target.substr(path.size());
   if (query.empty())
      return "final";
   const auto at = query.find(wait);
   const auto word = at == query.npos ? "final" : query.substr(at + wait.size());
   return query[0] == '?' && (word == "final" || word == "applied") ? std::optional(word) : std::nullopt;
}

} // namespace

std::optional<format::SocketEndpoint> endpointOf(const http::Peer& peer) {
   if (peer.addressBytes == 4) {
      format::IPV4Endpoint result;
      std::copy_n(peer.address.begin(), 4, result.address.bytes.begin());
      result.port = peer.port;
      return result;
   }
   if (peer.addressBytes == 16) {
      format::IPV6Endpoint result;
      result.address.bytes = peer.address;
      result.address.zone = peer.zone;
      result.port = peer.port;
      return result;
   }
   return format::LocalEndpoint{peer.path};
}

http::Peer peerOf(const format::SocketEndpoint& endpoint) {
   http::Peer peer;
   if (const auto* v4 = std::get_if<format::IPV4Endpoint>(&endpoint)) {
      std::copy_n(v4->address.bytes.begin(), 4, peer.address.begin());
      peer.addressBytes = 4;
      peer.port = v4->port;
   } else if (const auto* v6 = std::get_if<format::IPV6Endpoint>(&endpoint)) {
      peer.address = v6->address.bytes;
      peer.addressBytes = 16;
      peer.zone = v6->address.zone;
      peer.port = v6->port;
   } else if (const auto* local = std::get_if<format::LocalEndpoint>(&endpoint)) {
      peer.path = local->path;
   }
   return peer;
}

HttpSocket::HttpSocket(SocketContext& context, std::shared_ptr<http::Exchange> exchange, format::HttpRequest&& request)
   : context_(context), request_(std::move(request)), endpoint_(endpointOf(exchange->peer())),
     tls_(exchange->peer().tls), client_(false), exchange_(std::move(exchange)) {
   if (const auto wait = pushWaitsFor(request_))
      answerTime_ = *wait == "applied" ? &context_.measures->pushApplied : &context_.measures->pushFinal;
}

HttpSocket::HttpSocket(SocketContext& context, std::string host, std::optional<format::SocketEndpoint> endpoint,
                       bool tls, Open open)
   : context_(context), endpoint_(std::move(endpoint)), tls_(tls), client_(true), open_(std::move(open)) {
   request_.host = std::move(host);
}

std::shared_ptr<http::Exchange> HttpSocket::exchange() {
   Lock lock(mutex_);
   return exchange_;
}

QueryPool::Source HttpSocket::source() const {
   http::Peer peer;
   if (endpoint_)
      peer = peerOf(*endpoint_);
   const auto source = http::sourceOf(peer);
   if (!http::isOwnMachine(source))
      return source;
   // The last hop is the one that the proxy itself has seen.
   for (auto at = request_.headers.rbegin(); at != request_.headers.rend(); ++at)
      if (http::equalsIgnoringCase(at->name, "X-Forwarded-For")) {
         const auto comma = at->value.rfind(',');
         return std::hash<std::string_view>()(
                    std::string_view(at->value).substr(comma == std::string::npos ? 0 : comma + 1)) >>
                1;
      }
   return source;
}

void HttpSocket::refuse() {
   replied_.store(true);
   auto reply = http::textReply(503, "The node is busy. Try again soon.");
   reply.headers.push_back({"Retry-After", "1"});
   (void)exchange()->reply(std::move(reply));
}

void HttpSocket::served() {
   if (!isNative())
      Bytes().swap(request_.body);
}

format::SocketInfo HttpSocket::info() const {
   const auto tls = tls_ ? std::optional(format::TLSInfo{}) : std::nullopt;
   if (webSocket_.load())
      return format::WebSocketInfo{endpoint_, tls};
   if (client_)
      return format::HttpClientSocketInfo{endpoint_, tls};
   return format::HttpSocketInfo{endpoint_, tls};
}

kernel::SendOutcome HttpSocket::sendAfter(store::JournalPosition after, ByteView data, std::uint32_t flags) {
   if (webSocket_.load()) {
      if (flags != 1 && flags != 2)
         return {.abort = "A WebSocket message must be text (1) or binary (2)"};
      if (const auto open = exchange())
         open->send(Bytes(data.begin(), data.end()), static_cast<http::MessageKind>(flags));
      return {};
   }
   if (client_)
      return {.abort = "Nothing can be sent on a request of our own"};
   if (flags != 0)
      return {.abort = "Flags of an HTTP reply must be 0"};
   auto reply = format::unpack<format::HttpReply>(data);
   if (!reply)
      return {.abort = "Malformed HTTP reply"};
   if (replied_.exchange(true))
      return {};
   if (answerTime_ && reply->status == 200)
      answerTime_->add(std::chrono::steady_clock::now() - began_);
   const bool upgrade = reply->status == 101;
   if (after && !upgrade) {
      context_.held->hold(after, [exchange = exchange(), reply = std::move(*reply), host = request_.host]() mutable {
         if (const auto sent = exchange->reply(std::move(reply)); !sent)
            (void)exchange->reply(errorPage(sent.error(), host));
      });
      return {};
   }
   if (auto sent = exchange()->reply(std::move(*reply)); !sent)
      return {.abort = std::move(sent.error())};
   if (upgrade) {
      webSocket_.store(true);
      deliver({});
   }
   return {};
}

void HttpSocket::attached(std::int32_t fd) {
   fd_.store(fd);
   if (client_) {
      auto opened = open_(shared_from_this());
      bool wanted = false;
      {
         Lock lock(mutex_);
         exchange_ = opened;
         wanted = webSocket_.load() && std::exchange(wanted_, false);
      }
      if (wanted)
         opened->receive();
   }
   if (gone_.load())
      tellClosed();
}

void HttpSocket::readyToReceive() {
   std::shared_ptr<http::Exchange> reading;
   bool more = false;
   {
      Lock lock(mutex_);
      ++asked_;
      if (std::ranges::any_of(arrived_, [](const Message& message) { return message.flags.has_value(); }))
         more = true;
      else if (!webSocket_.load() || !exchange_)
         wanted_ = true;
      else
         reading = exchange_;
   }
   if (more)
      handAll();
   else if (reading)
      reading->receive();
}

void HttpSocket::close(const kernel::CloseReason& reason) {
   // The descriptor may soon be another's.
   forgotten_.store(true);
   if (client_ || webSocket_.load()) {
      if (const auto open = exchange())
         open->close();
      return;
   }
   if (replied_.exchange(true))
      return;
   if (reason.error) {
      (void)exchange()->reply(errorPage(*reason.error, request_.host));
   } else if (isNative()) {
      if (!context_.pool->submit(
              [self = shared_from_this()] { self->context_.native(self->exchange(), self->request_); }))
         (void)exchange()->reply(http::textReply(503, "The node is busy. Try again soon."));
   } else {
      (void)exchange()->reply(errorPage("service did not send a response", request_.host));
   }
}

void HttpSocket::answered(format::HttpReply&& reply) {
   if (reply.status == 101) {
      webSocket_.store(true);
      deliver({});
   }
   deliver({format::pack(reply), 0});
}

void HttpSocket::opened() {
   std::shared_ptr<http::Exchange> wanting;
   {
      Lock lock(mutex_);
      if (exchange_ && std::exchange(wanted_, false))
         wanting = exchange_;
   }
   if (wanting)
      wanting->receive();
}

void HttpSocket::message(Bytes&& data, http::MessageKind kind) {
   deliver({std::move(data), static_cast<std::uint32_t>(kind)});
}

void HttpSocket::failed(const std::string& why) {
   const std::string text = (endpoint_ ? where() : request_.host) + " cannot be reached: " + why;
   if (context_.unreachable.isNew(text, SystemClock().monotonicNs() / 1000))
      log::warning(text);
}

void HttpSocket::gone() {
   gone_.store(true);
   if (const PeerId peer = peer_.load())
      context_.peers->closed(peer);
   if (fd_.load() >= 0)
      tellClosed();
}

void HttpSocket::written() {
   if (const PeerId peer = peer_.load())
      context_.peers->written(peer);
}

void HttpSocket::deliver(Message&& message) {
   {
      Lock lock(mutex_);
      arrived_.push_back(std::move(message));
   }
   handAll();
}

/// Gets a thread to hand over what has arrived, unless one is at it.
void HttpSocket::handAll() {
   {
      Lock lock(mutex_);
      if (std::exchange(handing_, true))
         return;
   }
   const auto work = [self = shared_from_this()] {
      while (true) {
         Message message;
         std::uint64_t asked = 0;
         {
            Lock lock(self->mutex_);
            if (self->arrived_.empty()) {
               self->handing_ = false;
               return;
            }
            message = std::move(self->arrived_.front());
            self->arrived_.pop_front();
            asked = self->asked_;
         }
         if (self->hand(message))
            continue;
         // Nobody wants it yet; unless somebody has asked meanwhile, it waits until readyToReceive.
         Lock lock(self->mutex_);
         self->arrived_.push_front(std::move(message));
         if (asked != self->asked_)
            continue;
         self->handing_ = false;
         return;
      }
   };
   if (!context_.pool->submit(work))
      overrun();
}

/// One message to whom it is for. False: the services want none now.
bool HttpSocket::hand(Message& message) {
   if (!message.flags) {
      context_.kernel->socketUpgraded(fd_.load());
      return true;
   }
   if (const PeerId peer = peer_.load(); peer && !message.data.empty() && message.data[0] < peerFramesEnd) {
      context_.measures->framesReceived.fetch_add(1, std::memory_order_relaxed);
      context_.measures->frameBytesReceived.fetch_add(message.data.size(), std::memory_order_relaxed);
      context_.peers->frame(peer, std::move(message.data));
      return true;
   }
   return context_.kernel->recv(fd_.load(), message.data, *message.flags);
}

void HttpSocket::overrun() {
   log::warning("A message on a socket was dropped, and with it the connection: the node is busy");
   if (const auto open = exchange())
      open->close();
   gone();
}

void HttpSocket::becamePeer() {
   if (!context_.peers || peer_.load())
      return;
   peer_.store(context_.peers->opened(shared_from_this()));
   if (gone_.load())
      context_.peers->closed(peer_.load());
}

void HttpSocket::sendFrame(Bytes&& frame) {
   context_.measures->framesSent.fetch_add(1, std::memory_order_relaxed);
   context_.measures->frameBytesSent.fetch_add(frame.size(), std::memory_order_relaxed);
   if (const auto open = exchange())
      open->send(std::move(frame), http::MessageKind::binary);
}

void HttpSocket::readFrame() {
   if (const auto open = exchange())
      open->receive();
}

void HttpSocket::drop() {
   // The services hear of it as when the other side goes.
   if (const auto open = exchange())
      open->close();
   gone();
}

std::optional<peer::Source> HttpSocket::comesFrom() const {
   return client_ ? std::nullopt : std::optional<peer::Source>(source());
}

std::string HttpSocket::where() const {
   // Other nodes are known by their root host.
   constexpr std::string_view peers = "x-peers.";
   if (!endpoint_)
      return request_.host.substr(request_.host.starts_with(peers) ? peers.size() : 0);
   return std::visit(
       [](const auto& at) -> std::string {
          using At = std::decay_t<decltype(at)>;
          if constexpr (std::is_same_v<At, format::IPV4Endpoint>) {
             const auto& b = at.address.bytes;
             return std::to_string(b[0]) + "." + std::to_string(b[1]) + "." + std::to_string(b[2]) + "." +
                    std::to_string(b[3]) + ":" + std::to_string(at.port);
          } else if constexpr (std::is_same_v<At, format::IPV6Endpoint>) {
             return "[" + toHex(at.address.bytes) + "]:" + std::to_string(at.port);
          } else {
             return at.path;
          }
       },
       *endpoint_);
}

void HttpSocket::tellClosed() {
   if (closedTold_.exchange(true))
      return;
   const auto tell = [self = shared_from_this()] {
      if (!self->forgotten_.load())
         self->context_.kernel->closed(self->fd_.load());
   };
   if (!context_.pool->submit(tell))
      log::warning("The end of connection ", fd_.load(), " could not be told: the node is busy");
}

kernel::SendOutcome MulticastSocket::send(ByteView data, std::uint32_t) {
   if (context_.peers)
      context_.peers->toProducers(toBytes(data));
   return {};
}

kernel::SendOutcome LogSocket::send(ByteView data, std::uint32_t) {
   const auto message = format::unpack<format::LogMessage>(data);
   if (!message)
      return {.abort = "Malformed log message"};
   writeLog(allowance_, message->severity, message->message, message->service);
   return {};
}

void writeLog(LogAllowance& allowance, std::uint32_t severity, std::string_view message,
              std::optional<format::AccountNumber> service) {
   const auto leftOut =
       allowance.take(service.value_or(format::AccountNumber()), SystemClock().monotonicNs() / 1'000'000);
   if (!leftOut)
      return;
   if (*leftOut > 0)
      log::write(log::Level::warning, std::to_string(*leftOut) + " lines were left out: it writes too many",
                 service ? service->str() : std::string());
   constexpr std::size_t textMax = 4096;
   const auto level = severity < 2    ? log::Level::debug
                      : severity == 2 ? log::Level::info
                      : severity == 3 ? log::Level::warning
                                      : log::Level::error;
   if (!log::enabled(level))
      return;
   // One line a message, whatever a service writes.
   std::string line;
   for (char c : message.substr(0, textMax))
      line += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
   log::write(level, line, service ? service->str() : std::string());
}

} // namespace polis::node
