#pragma once
#include "http/server.hpp"
#include "http/shares.hpp"
#include <algorithm>
#include <atomic>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <chrono>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unordered_set>

/// Inside of the room: what connections share. Everything here belongs to the net thread.
namespace polis::http {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
using PlainStream = asio::generic::stream_protocol::socket;
using TlsStream = asio::ssl::stream<PlainStream>;

/// Milliseconds of a steady clock.
using Millis = std::int64_t;
inline constexpr Millis never = INT64_MAX;
inline Millis nowMs() {
   return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
       .count();
}

inline PlainStream& lowest(PlainStream& stream) { return stream; }
inline PlainStream& lowest(TlsStream& stream) { return stream.next_layer(); }

/// For a connection that stays: after a cut it goes on within about a second of the network's return, where the system
/// can do that, rather than at the end of a pause that doubles each time; and it ends when nothing of what was sent
/// gets through for `silenceMs`.
inline void keepAlert(PlainStream& socket, std::uint32_t silenceMs) {
   constexpr int thinLinearTimeouts = 16, rtoMaxMs = 44; // as Linux numbers them; Debian's headers lack the second
   const int on = 1, pauseMs = 1000;
   const int fd = socket.native_handle();
   // Not there for a Unix socket, nor in every kernel: then it is as it was.
   ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silenceMs, sizeof silenceMs);
   ::setsockopt(fd, IPPROTO_TCP, thinLinearTimeouts, &on, sizeof on);
   ::setsockopt(fd, IPPROTO_TCP, rtoMaxMs, &pauseMs, sizeof pauseMs);
}

/// The wire form of one answer.
struct Output {
   std::string head;
   Bytes body;
   bool endsExchange = true;
   bool closesAfter = false;
};

/// What an exchange asks of its connection, by the serial number of its request.
class Link {
public:
   virtual ~Link() = default;
   virtual void setEvents(std::uint64_t, std::weak_ptr<ExchangeEvents>) {}
   virtual void answer(std::uint64_t, Output&&) {}
   virtual void upgrade(std::uint64_t, format::HttpReply&&, std::shared_ptr<Link>& /*becomes*/) {}
   virtual void send(Bytes&&, MessageKind) {}
   virtual void receive() {}
   virtual void close() {}

   /// Called by the sweep once `deadline` has passed.
   virtual void expire() = 0;
   /// The server stops: close now if nothing is under way, else when it is done.
   virtual void stop() = 0;
   virtual void abort() = 0;
   /// No request under way.
   virtual bool idle() const { return false; }
   /// A request is under way and not whole yet.
   virtual bool arriving() const { return false; }

   Millis deadline = never;
   Source source = 0;    ///< not changed once added
   std::size_t held = 0; ///< bytes in memory; see Net::hold
};

struct Net : std::enable_shared_from_this<Net> {
   Net(Server::Options&& options, Handler& h) : limits(options.limits), handler(h) {}

   void add(std::shared_ptr<Link> link) {
      shares.connected(link->source);
      links.insert(std::move(link));
      connections.store(links.size(), std::memory_order_relaxed);
   }
   /// From any thread. Nothing runs any more once the server has stopped.
   template <class F>
   void post(F&& work) {
      if (!stopped.load())
         asio::post(io, std::forward<F>(work));
   }
   template <class F>
   void dispatch(F&& work) {
      if (!stopped.load())
         asio::dispatch(io, std::forward<F>(work));
   }

   void remove(const std::shared_ptr<Link>& link) {
      release(*link, link->held);
      if (links.erase(link) == 0)
         return;
      shares.gone(link->source);
      connections.store(links.size(), std::memory_order_relaxed);
   }

   /// Counts bytes that a connection keeps in memory, until they are released or it is removed.
   void hold(Link& link, std::size_t bytes) {
      link.held += bytes;
      shares.hold(link.source, bytes);
   }
   void release(Link& link, std::size_t bytes) {
      bytes = std::min(bytes, link.held);
      link.held -= bytes;
      shares.release(link.source, bytes);
   }
   /// Whether a connection keeps more than it may while others, or its source, keep so much.
   bool crowded(const Link& link) const {
      return link.held > limits.smallBytes &&
             (shares.bytes() > limits.heldBytesMax ||
              (isShared(link.source) && shares.of(link.source).bytes > limits.heldBytesMax / limits.sourceShare));
   }
   /// Cuts off those whose time to write or read ends first, of the source that has too much, until `link` is not
   /// crowded any more. May abort `link` itself.
   void makeRoom(Link& link);
   /// Whether one more connection of the source is too many.
   bool full(Source source) const { return links.size() >= limits.connectionsMax || overConnected(source); }
   /// Ends a connection so that one of `source` has a place. False: none may be ended.
   bool evict(Source source);

   bool isShared(Source source) const { return !isOwnMachine(source) || limits.shareOwnMachine; }
   bool overConnected(Source source) const {
      return isShared(source) && shares.of(source).connections >= limits.connectionsMax / limits.sourceShare;
   }

   Limits limits;
   Handler& handler;
   asio::io_context io{1};
   std::optional<asio::ssl::context> tls;
   std::optional<asio::ssl::context> clientTls;
   std::unordered_set<std::shared_ptr<Link>> links;
   Shares shares;
   bool stopping = false;
   std::atomic<bool> stopped = false;

   std::atomic<std::uint64_t> accepted = 0, requests = 0, badRequests = 0, timeouts = 0, connections = 0,
                              webSockets = 0;
};

} // namespace polis::http
