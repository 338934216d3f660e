#include "http/server.hpp"
#include "base/fault.hpp"
#include "base/log.hpp"
#include "base/thread_name.hpp"
#include "http/connection.hpp"
#include "http/outgoing.hpp"
#include <boost/asio/connect.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <ctime>
#include <thread>
#include <unistd.h>

namespace polis::http {

namespace {

using Tcp = asio::ip::tcp;
using Local = asio::local::stream_protocol;

/// The exchange of one accepted request. Owns a share of its connection, never the other way round.
class ServerExchange final : public Exchange, public std::enable_shared_from_this<ServerExchange> {
public:
   ServerExchange(std::shared_ptr<Net> net, std::shared_ptr<Link> link, std::uint64_t serial,
                  std::shared_ptr<const Peer> peer, const Incoming& incoming)
      : net_(std::move(net)), link_(std::move(link)), serial_(serial), peer_(std::move(peer)),
        webSocketKey_(incoming.webSocketKey), head_(incoming.head), http10_(incoming.http10),
        keepAlive_(incoming.keepAlive) {}

   ~ServerExchange() override {
      if (webSocket_.load())
         net_->post([link = link_] { link->close(); });
      else if (!answered_.load())
         answerWith(textReply(500, "The request was dropped without a reply."));
   }

   const Peer& peer() const override { return *peer_; }

   void setEvents(std::shared_ptr<ExchangeEvents> events) override {
      net_->dispatch([link = link_, serial = serial_, events = std::move(events)] { link->setEvents(serial, events); });
   }

   std::expected<void, std::string> reply(format::HttpReply&& reply) override {
      auto problem = replyProblem(reply, webSocketKey_);
      if (answered_.exchange(true))
         return {};
      if (problem) {
         answerWith(textReply(500, *problem));
         return std::unexpected(std::move(*problem));
      }
      if (reply.status == 101) {
         webSocket_.store(true);
         net_->post([self = shared_from_this(), reply = std::move(reply)]() mutable {
            std::shared_ptr<Link> becomes;
            self->link_->upgrade(self->serial_, std::move(reply), becomes);
            if (becomes)
               self->link_ = std::move(becomes);
         });
      } else {
         answerWith(std::move(reply));
      }
      return {};
   }

   bool send(Bytes&& data, MessageKind kind) override {
      if (!webSocket_.load())
         return false;
      net_->post([self = shared_from_this(), data = std::move(data), kind]() mutable {
         self->link_->send(std::move(data), kind);
      });
      return true;
   }

   void receive() override {
      if (webSocket_.load())
         net_->post([self = shared_from_this()] { self->link_->receive(); });
   }

   void close() override {
      if (webSocket_.load())
         net_->post([self = shared_from_this()] { self->link_->close(); });
      else if (!answered_.exchange(true))
         answerWith(textReply(500, "The request was closed without a reply."));
   }

private:
   void answerWith(format::HttpReply&& reply) {
      net_->dispatch([link = link_, serial = serial_,
                      output = makeOutput(std::move(reply), head_, http10_, keepAlive_)]() mutable {
         link->answer(serial, std::move(output));
      });
   }

   std::shared_ptr<Net> net_;
   std::shared_ptr<Link> link_; ///< replaced once, on the net thread, by the WebSocket
   std::uint64_t serial_;
   std::shared_ptr<const Peer> peer_;
   std::string webSocketKey_;
   bool head_, http10_, keepAlive_;
   std::atomic<bool> answered_ = false, webSocket_ = false;
};

std::shared_ptr<const Peer> peerOf(const Tcp::endpoint& endpoint, bool tls) {
   auto peer = std::make_shared<Peer>();
   const auto address = endpoint.address();
   if (address.is_v4() || address.to_v6().is_v4_mapped()) {
      const auto bytes = address.is_v4() ? address.to_v4().to_bytes()
                                         : asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_bytes();
      std::copy(bytes.begin(), bytes.end(), peer->address.begin());
      peer->addressBytes = 4;
   } else {
      const auto bytes = address.to_v6().to_bytes();
      std::copy(bytes.begin(), bytes.end(), peer->address.begin());
      peer->addressBytes = 16;
      peer->zone = static_cast<std::uint32_t>(address.to_v6().scope_id());
   }
   peer->port = endpoint.port();
   peer->tls = tls;
   return peer;
}

} // namespace

std::shared_ptr<Exchange> makeExchange(Net& net, std::shared_ptr<Link> link, std::uint64_t serial,
                                       std::shared_ptr<const Peer> peer, const Incoming& incoming) {
   return std::make_shared<ServerExchange>(net.shared_from_this(), std::move(link), serial, std::move(peer), incoming);
}

Output makeOutput(format::HttpReply&& reply, bool head, bool http10, bool keepAlive) {
   // One formatted date a second and thread.
   thread_local std::int64_t dateSecond = -1;
   thread_local std::string date;
   if (const std::int64_t second = std::time(nullptr); second != dateSecond) {
      date = httpDate(second);
      dateSecond = second;
   }
   static constexpr std::size_t joinedBytes = 8 * 1024;
   const bool bodiless = head || reply.status == 204 || reply.status == 304;
   Output out;
   out.closesAfter = !keepAlive;
   out.head.reserve(512 + (reply.body.size() <= joinedBytes ? reply.body.size() : 0));
   appendHead(out.head, reply, {.head = head, .keepAlive = keepAlive, .http10 = http10, .date = date});
   if (bodiless)
      return out;
   if (reply.body.size() <= joinedBytes)
      out.head += asText(reply.body);
   else
      out.body = std::move(reply.body);
   return out;
}

void Net::makeRoom(Link& link) {
   while (crowded(link)) {
      const bool own = isShared(link.source) && shares.of(link.source).bytes > limits.heldBytesMax / limits.sourceShare;
      const Source from = own ? link.source : shares.heaviest();
      std::shared_ptr<Link> first;
      for (const auto& other : links)
         if (other->source == from && other->held > limits.smallBytes && (!first || other->deadline < first->deadline))
            first = other;
      if (!first)
         return;
      timeouts.fetch_add(1, std::memory_order_relaxed);
      first->abort();
   }
}

bool Net::evict(Source source) {
   std::shared_ptr<Link> first;
   const auto look = [&](auto&& may) {
      for (const auto& link : links)
         if (may(*link) && (!first || link->deadline < first->deadline))
            first = link;
   };
   if (overConnected(source))
      look([&](const Link& link) { return link.source == source && link.idle(); });
   else {
      look([](const Link& link) { return link.idle(); });
      // Who has most gives way to who has fewer, as long as nothing was promised; a crowd even then, for WebSockets and
      // replies that are not read would hold their places for as long as they like.
      const Source most = shares.mostConnected();
      const std::size_t theirs = shares.of(most).connections, ours = shares.of(source).connections + 1;
      if (!first && theirs > ours)
         look([&](const Link& link) { return link.source == most && link.arriving(); });
      // On this machine a proxy stands for many: who has not even asked yet gives way to the next.
      if (!first && !isShared(source))
         look([&](const Link& link) { return link.source == source && link.arriving(); });
      if (!first && isShared(most) && theirs > 2 * ours && theirs > limits.connectionsMax / limits.sourceShare / 4)
         look([&](const Link& link) { return link.source == most; });
   }
   if (first)
      first->abort();
   return first != nullptr;
}

struct Server::Impl {
   /// Connections beyond the limit that hear why they are refused.
   static constexpr std::size_t refusedMax = 256;

   Impl(Options&& options, Handler& handler)
      : shared(std::make_shared<Net>(std::move(options), handler)), net(*shared) {}

   /// One listening address: accepts until it is closed.
   struct Acceptor {
      virtual ~Acceptor() = default;
      virtual void accept() = 0;
      virtual void close() = 0;
   };

   template <class Protocol>
   struct AcceptorOf final : Acceptor {
      AcceptorOf(Impl& owner, bool isTls) : impl(owner), tls(isTls), acceptor(owner.net.io), pause(owner.net.io) {}

      void accept() override {
         acceptor.async_accept([this](ErrorCode ec, typename Protocol::socket socket) {
            if (ec == asio::error::operation_aborted || impl.net.stopping)
               return;
            if (ec) {
               // Out of descriptors or memory: others must end first.
               log::warning("A connection could not be accepted: ", ec.message());
               pause.expires_after(std::chrono::milliseconds(100));
               pause.async_wait([this](ErrorCode stopped) {
                  if (!stopped)
                     accept();
               });
               return;
            }
            impl.welcome(std::move(socket), tls);
            accept();
         });
      }

      void close() override {
         ErrorCode ignored;
         acceptor.close(ignored);
         pause.cancel();
         if (!path.empty())
            ::unlink(path.c_str());
      }

      Impl& impl;
      bool tls;
      std::string path;
      typename Protocol::acceptor acceptor;
      asio::steady_timer pause;
   };

   template <class Protocol>
   std::uint16_t bind(const typename Protocol::endpoint& endpoint, bool tls, const std::string& path) {
      auto acceptor = std::make_unique<AcceptorOf<Protocol>>(*this, tls);
      acceptor->acceptor.open(endpoint.protocol());
      if constexpr (std::is_same_v<Protocol, Tcp>) {
         acceptor->acceptor.set_option(asio::socket_base::reuse_address(true));
         if (endpoint.address().is_v6())
            acceptor->acceptor.set_option(asio::ip::v6_only(false));
      }
      acceptor->acceptor.bind(endpoint);
      acceptor->acceptor.listen(1024);
      acceptor->path = path;
      std::uint16_t port = 0;
      if constexpr (std::is_same_v<Protocol, Tcp>)
         port = acceptor->acceptor.local_endpoint().port();
      acceptors.push_back(std::move(acceptor));
      return port;
   }

   template <class Socket>
   void welcome(Socket&& socket, bool tls) {
      net.accepted.fetch_add(1, std::memory_order_relaxed);
      ErrorCode ec;
      std::shared_ptr<const Peer> peer;
      if constexpr (std::is_same_v<std::decay_t<Socket>, Tcp::socket>) {
         const auto endpoint = socket.remote_endpoint(ec);
         if (ec)
            return; // gone already
         socket.set_option(Tcp::no_delay(true), ec);
         peer = peerOf(endpoint, tls);
      } else {
         auto local = std::make_shared<Peer>();
         local->path = socket.local_endpoint(ec).path();
         peer = std::move(local);
      }
      const Source source = sourceOf(*peer);
      const bool full = net.full(source) && !net.evict(source);
      // Those who are told so take places too, for a while.
      if (full && net.links.size() >= net.limits.connectionsMax + refusedMax)
         return;
      if (tls)
         begin(TlsStream(PlainStream(std::move(socket)), *net.tls), std::move(peer), full);
      else
         begin(PlainStream(std::move(socket)), std::move(peer), full);
   }

   template <class Stream>
   void begin(Stream&& stream, std::shared_ptr<const Peer> peer, bool full) {
      auto connection = std::make_shared<Connection<std::decay_t<Stream>>>(net, std::move(stream), std::move(peer));
      full ? connection->startBusy() : connection->start();
   }

   void sweep() {
      sweepTimer.expires_after(std::chrono::milliseconds(net.limits.sweepMs));
      sweepTimer.async_wait([this](ErrorCode ec) {
         if (ec)
            return;
         const Millis now = nowMs();
         std::vector<std::shared_ptr<Link>> late;
         for (const auto& link : net.links)
            if (link->deadline < now)
               late.push_back(link);
         for (const auto& link : late)
            link->expire();
         if (net.stopping && (net.links.empty() || now >= stopAt))
            return finish();
         sweep();
      });
   }

   void beginStop(std::uint32_t graceMs) {
      net.stopping = true;
      stopAt = nowMs() + graceMs;
      for (auto& acceptor : acceptors)
         acceptor->close();
      const std::vector<std::shared_ptr<Link>> links(net.links.begin(), net.links.end());
      for (const auto& link : links)
         link->stop();
      net.limits.sweepMs = std::min<std::uint32_t>(net.limits.sweepMs, 20);
      sweepTimer.cancel();
      sweep();
   }

   void finish() {
      const std::vector<std::shared_ptr<Link>> links(net.links.begin(), net.links.end());
      for (const auto& link : links)
         link->abort();
      work.reset();
      net.io.stop();
   }

   std::shared_ptr<Net> shared;
   Net& net;
   std::vector<std::unique_ptr<Acceptor>> acceptors;
   asio::steady_timer sweepTimer{net.io};
   std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work;
   Millis stopAt = never;
   std::thread thread;
};

Server::Server(Options options, Handler& handler) {
   const auto tlsFiles = options.tls;
   impl_ = std::make_unique<Impl>(std::move(options), handler);
   if (!tlsFiles)
      return;
   try {
      auto& context = impl_->net.tls.emplace(asio::ssl::context::tls_server);
      context.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                          asio::ssl::context::no_tlsv1_1 | asio::ssl::context::single_dh_use);
      context.use_certificate_chain_file(tlsFiles->certificate);
      context.use_private_key_file(tlsFiles->key, asio::ssl::context::pem);
   } catch (const boost::system::system_error& e) {
      throw Fault("The TLS certificate " + tlsFiles->certificate + " with the key " + tlsFiles->key +
                  " cannot be used: " + e.code().message());
   }
}

Server::~Server() { stop(0); }

std::uint16_t Server::listen(const ListenAddress& address) {
   using Kind = ListenAddress::Kind;
   const std::string name =
       address.kind == Kind::local ? address.address : address.address + " port " + std::to_string(address.port);
   if (address.kind == Kind::https && !impl_->net.tls)
      throw Fault("Listening for HTTPS on " + name + " needs a certificate and a key.");
   try {
      if (address.kind == Kind::local) {
         ::unlink(address.address.c_str());
         return impl_->bind<Local>(Local::endpoint(address.address), false, address.address);
      }
      return impl_->bind<Tcp>(Tcp::endpoint(asio::ip::make_address(address.address), address.port),
                              address.kind == Kind::https, {});
   } catch (const boost::system::system_error& e) {
      throw Fault("Cannot listen on " + name + ": " + e.code().message());
   }
}

void Server::start() {
   impl_->work.emplace(impl_->net.io.get_executor());
   for (auto& acceptor : impl_->acceptors)
      acceptor->accept();
   impl_->sweep();
   impl_->thread = std::thread([this] {
      nameThread("net");
      impl_->net.io.run();
   });
}

void Server::stop(std::uint32_t graceMs) {
   if (!impl_->thread.joinable())
      return;
   asio::post(impl_->net.io, [this, graceMs] { impl_->beginStop(graceMs); });
   impl_->thread.join();
   // What was aborted still has its completions to come; they hold the connections.
   impl_->net.stopped.store(true);
   impl_->net.io.restart();
   impl_->net.io.poll();
}

std::shared_ptr<Exchange> Server::open(format::HttpRequest&& request, const Peer* peer, bool tls,
                                       std::shared_ptr<ExchangeEvents> events) {
   return openOutgoing(impl_->net, std::move(request), peer, tls, std::move(events));
}

ServerStats Server::stats() const {
   const Net& net = impl_->net;
   return {.connections = net.connections.load(),
           .accepted = net.accepted.load(),
           .requests = net.requests.load(),
           .badRequests = net.badRequests.load(),
           .timeouts = net.timeouts.load(),
           .webSockets = net.webSockets.load()};
}

} // namespace polis::http
