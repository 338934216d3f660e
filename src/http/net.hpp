#pragma once
#include "http/server.hpp"
#include <atomic>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <chrono>
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

   Millis deadline = never;
};

struct Net : std::enable_shared_from_this<Net> {
   Net(Server::Options&& options, Handler& h) : limits(options.limits), handler(h) {}

   void add(std::shared_ptr<Link> link) {
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
      links.erase(link);
      connections.store(links.size(), std::memory_order_relaxed);
   }

   Limits limits;
   Handler& handler;
   asio::io_context io{1};
   std::optional<asio::ssl::context> tls;
   std::optional<asio::ssl::context> clientTls;
   std::unordered_set<std::shared_ptr<Link>> links;
   std::size_t bodyBytes = 0;
   bool stopping = false;
   std::atomic<bool> stopped = false;

   std::atomic<std::uint64_t> accepted = 0, requests = 0, badRequests = 0, timeouts = 0, connections = 0,
                              webSockets = 0;
};

} // namespace polis::http
