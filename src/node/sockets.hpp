#pragma once
#include "base/mutex.hpp"
#include "http/exchange.hpp"
#include "kernel/kernel.hpp"
#include "node/held_replies.hpp"
#include "node/log_allowance.hpp"
#include "node/metrics.hpp"
#include "node/peer_thread.hpp"
#include "node/query_pool.hpp"
#include "node/told_lately.hpp"
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

namespace polis::node {

/// Answers a request that the services left to the node (spec, kernel §8.2). Runs on a query thread.
using NativeHandler = std::function<void(const std::shared_ptr<http::Exchange>&, const format::HttpRequest&)>;

/// What sockets need of the node. Outlives them.
struct SocketContext {
   kernel::Kernel* kernel = nullptr;
   QueryPool* pool = nullptr;
   /// Speaks the peer protocol on connections that became peers; null while the node starts and ends.
   PeerThread* peers = nullptr;
   NativeHandler native;
   Measures* measures = nullptr;
   HeldReplies* held = nullptr;
   ToldLately unreachable{3'600'000'000};
};

std::optional<format::SocketEndpoint> endpointOf(const http::Peer& peer);
http::Peer peerOf(const format::SocketEndpoint& endpoint);

/// One HTTP request, and the WebSocket that it may become; also an outgoing request, which a service opened.
/// What arrives on it is handled one after the other, in its order.
class HttpSocket final : public kernel::Socket,
                         public http::ExchangeEvents,
                         public PeerLink,
                         public std::enable_shared_from_this<HttpSocket> {
public:
   /// An accepted request.
   HttpSocket(SocketContext& context, std::shared_ptr<http::Exchange> exchange, format::HttpRequest&& request);
   /// An outgoing request; `open` starts it.
   using Open = std::function<std::shared_ptr<http::Exchange>(std::shared_ptr<http::ExchangeEvents>)>;
   HttpSocket(SocketContext& context, std::string host, std::optional<format::SocketEndpoint> endpoint, bool tls,
              Open open);

   const format::HttpRequest& request() const { return request_; }
   /// Whose turn it is by this request: the connection's source, or whom a proxy on this machine speaks for.
   QueryPool::Source source() const;
   bool peerGone() const { return gone_.load(); }
   /// Hears the client from now on. On the net thread, before anything else.
   void listen() { exchange()->setEvents(shared_from_this()); }
   /// Too much to do: the client is told to come again.
   void refuse();
   /// The services have the request: its body is not needed any more, unless the node answers itself.
   void served();

   // kernel::Socket
   format::SocketInfo info() const override;
   kernel::SendOutcome send(ByteView data, std::uint32_t flags) override { return sendAfter(0, data, flags); }
   kernel::SendOutcome sendAfter(store::JournalPosition after, ByteView data, std::uint32_t flags) override;
   void attached(std::int32_t fd) override;
   void readyToReceive() override;
   void close(const kernel::CloseReason& reason) override;
   void becamePeer() override;

   // http::ExchangeEvents
   void answered(format::HttpReply&& reply) override;
   void opened() override;
   void message(Bytes&& data, http::MessageKind kind) override;
   void written() override;
   void failed(const std::string& why) override;
   void gone() override;

   // PeerLink
   void sendFrame(Bytes&& frame) override;
   void readFrame() override;
   void drop() override;
   std::string where() const override;
   std::optional<peer::Source> comesFrom() const override;

private:
   /// `flags` as the services are told; none: the connection became a WebSocket.
   struct Message {
      Bytes data;
      std::optional<std::uint32_t> flags;
   };
   bool isNative() const { return request_.target.starts_with("/native/"); }
   /// Null for an outgoing request that is not attached yet.
   std::shared_ptr<http::Exchange> exchange();
   void deliver(Message&& message);
   void handAll();
   bool hand(Message& message);
   void overrun();
   void tellClosed();

   SocketContext& context_;
   format::HttpRequest request_;
   std::optional<format::SocketEndpoint> endpoint_;
   bool tls_ = false;
   const bool client_;
   const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
   DurationCounts* answerTime_ = nullptr; ///< where a good answer's time is counted
   Open open_;
   std::atomic<std::int32_t> fd_ = -1;
   std::atomic<PeerId> peer_ = 0; ///< 0: not a peer
   std::atomic<bool> replied_ = false, webSocket_ = false, gone_ = false, closedTold_ = false, forgotten_ = false;
   Mutex mutex_;
   std::shared_ptr<http::Exchange> exchange_ GUARDED_BY(mutex_); ///< set once: by the constructor, or when attached
   std::deque<Message> arrived_ GUARDED_BY(mutex_);              ///< in order; the first may be at work
   bool handing_ GUARDED_BY(mutex_) = false;                     ///< a thread is at them
   bool wanted_ GUARDED_BY(mutex_) = false;                      ///< asked for before there was a connection to ask
   std::uint64_t asked_ GUARDED_BY(mutex_) = 0;                  ///< how often readyToReceive was called
};

/// fd 0: messages to all producers.
class MulticastSocket final : public kernel::Socket {
public:
   explicit MulticastSocket(SocketContext& context) : context_(context) {}
   format::SocketInfo info() const override { return format::ProducerMulticastSocketInfo{}; }
   kernel::SendOutcome send(ByteView data, std::uint32_t) override;
   void close(const kernel::CloseReason&) override {}

private:
   SocketContext& context_;
};

/// fd 1: log records of services.
class LogSocket final : public kernel::Socket {
public:
   format::SocketInfo info() const override { return format::LogSocketInfo{}; }
   kernel::SendOutcome send(ByteView data, std::uint32_t flags) override;
   void close(const kernel::CloseReason&) override {}

private:
   LogAllowance allowance_;
};

/// Writes one line of a service, or of the kernel about one, unless there are too many.
void writeLog(LogAllowance& allowance, std::uint32_t severity, std::string_view message,
              std::optional<format::AccountNumber> service);

} // namespace polis::node
