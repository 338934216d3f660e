#pragma once
#include "http/net.hpp"
#include "http/request_reader.hpp"
#include "http/web_socket.hpp"
#include <boost/asio/write.hpp>
#include <deque>

namespace polis::http {

/// Makes the exchange of one request; in server.cpp.
std::shared_ptr<Exchange> makeExchange(Net& net, std::shared_ptr<Link> link, std::uint64_t serial,
                                       std::shared_ptr<const Peer> peer, const Incoming& incoming);
Output makeOutput(format::HttpReply&& reply, bool head, bool http10, bool keepAlive);

/// One accepted connection: requests one after the other, each answered before the next is looked at.
template <class Stream>
class Connection final : public Link, public std::enable_shared_from_this<Connection<Stream>> {
public:
   Connection(Net& net, Stream&& stream, std::shared_ptr<const Peer> peer)
      : net_(net), stream_(std::move(stream)), peer_(std::move(peer)), reader_(net.limits), buffer_(smallBuffer) {
      source = sourceOf(*peer_);
   }

   void start() {
      net_.add(this->shared_from_this());
      deadline = nowMs() + net_.limits.headerMs;
      if constexpr (std::is_same_v<Stream, TlsStream>) {
         stage_ = Stage::greeting;
         stream_.async_handshake(asio::ssl::stream_base::server, [self = this->shared_from_this()](ErrorCode ec) {
            if (self->stage_ == Stage::closed)
               return;
            if (ec)
               return self->abort();
            self->stage_ = Stage::reading;
            self->read();
         });
      } else {
         read();
      }
   }

   /// Too many connections: says so and ends.
   void startBusy() {
      net_.add(this->shared_from_this());
      if constexpr (std::is_same_v<Stream, TlsStream>)
         abort();
      else
         refuse({503, "Too many connections. Try again soon."});
   }

   void setEvents(std::uint64_t serial, std::weak_ptr<ExchangeEvents> events) override {
      if (serial == serial_ && stage_ == Stage::serving && !peerClosed_)
         events_ = std::move(events);
      else if (const auto late = events.lock())
         late->gone();
   }

   void answer(std::uint64_t serial, Output&& output) override {
      if (serial != serial_ || stage_ != Stage::serving)
         return;
      stage_ = Stage::writing;
      events_.reset();
      if (net_.stopping)
         output.closesAfter = true;
      enqueue(std::move(output));
   }

   void upgrade(std::uint64_t serial, format::HttpReply&& reply, std::shared_ptr<Link>& becomes) override {
      if (serial != serial_ || stage_ != Stage::serving)
         return;
      stage_ = Stage::upgrading;
      releaseBody();
      upgraded_ = std::make_shared<WebSocket<Stream>>(net_, events_);
      upgraded_->source = source;
      upgradeReply_ = std::move(reply);
      becomes = upgraded_;
      deadline = nowMs() + net_.limits.headerMs;
      if (reading_) {
         ErrorCode ignored;
         lowest(stream_).cancel(ignored);
      } else {
         finishUpgrade();
      }
   }

   void expire() override {
      net_.timeouts.fetch_add(1, std::memory_order_relaxed);
      if (stage_ == Stage::reading && !idle())
         return refuse({408, "The request took too long to arrive."});
      abort();
   }

   void stop() override {
      if (stage_ == Stage::greeting || stage_ == Stage::lingering || idle())
         abort();
   }

   bool idle() const override { return stage_ == Stage::reading && begin_ == end_ && !requestBegun_; }
   bool arriving() const override { return stage_ == Stage::greeting || stage_ == Stage::reading; }

   void abort() override {
      if (stage_ == Stage::closed)
         return;
      const bool wasServing = stage_ == Stage::serving;
      stage_ = Stage::closed;
      releaseBody();
      auto self = this->shared_from_this();
      net_.remove(self);
      ErrorCode ignored;
      lowest(stream_).close(ignored);
      if (auto events = events_.lock(); events && wasServing)
         events->gone();
      events_.reset();
      if (upgraded_)
         upgraded_->abort();
   }

private:
   enum class Stage { greeting, reading, serving, writing, lingering, upgrading, closed };
   static constexpr std::size_t smallBuffer = 8 * 1024;
   static constexpr std::size_t largeBuffer = 64 * 1024;

   void read() {
      if (reading_ || peerClosed_ || stage_ == Stage::closed || stage_ == Stage::upgrading)
         return;
      if (begin_ > 0) {
         std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
                   buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
         end_ -= begin_;
         begin_ = 0;
      }
      if (stage_ == Stage::reading && reader_.headerDone() && buffer_.size() < largeBuffer)
         buffer_.resize(largeBuffer);
      if (end_ == 0 && stage_ != Stage::reading && buffer_.size() > smallBuffer) {
         buffer_.resize(smallBuffer);
         buffer_.shrink_to_fit();
      }
      if (end_ == buffer_.size()) {
         if (stage_ != Stage::reading)
            return; // enough pipelined; the rest waits in the network
         buffer_.resize(buffer_.size() * 2);
      }
      reading_ = true;
      stream_.async_read_some(asio::buffer(buffer_.data() + end_, buffer_.size() - end_),
                              [self = this->shared_from_this()](ErrorCode ec, std::size_t n) { self->onRead(ec, n); });
   }

   void onRead(ErrorCode ec, std::size_t n) {
      reading_ = false;
      if (stage_ == Stage::closed)
         return;
      end_ += n;
      if (stage_ == Stage::upgrading)
         return ec && ec != asio::error::operation_aborted ? abort() : finishUpgrade();
      if (ec)
         return onReadEnd(ec);
      if (stage_ == Stage::reading)
         parse();
      else if (stage_ == Stage::lingering)
         begin_ = end_ = 0;
      read();
   }

   void onReadEnd(ErrorCode ec) {
      peerClosed_ = true;
      const bool orderly = ec == asio::error::eof || ec == asio::ssl::error::stream_truncated;
      if (!orderly || stage_ == Stage::reading || stage_ == Stage::lingering)
         return abort();
      // The peer may only have finished sending: whoever answers at once still reaches it.
      if (stage_ == Stage::serving)
         if (auto events = std::exchange(events_, {}).lock())
            events->gone();
   }

   void parse() {
      if (begin_ == end_)
         return;
      if (!requestBegun_) {
         requestBegun_ = true;
         begunMs_ = nowMs();
         deadline = begunMs_ + net_.limits.headerMs;
      }
      const bool hadHeader = reader_.headerDone();
      const auto taken = reader_.put(ByteView(buffer_.data() + begin_, end_ - begin_));
      if (!taken)
         return refuse(taken.error());
      begin_ += *taken;
      if (!reader_.headerDone())
         return;
      if (!hadHeader)
         begunMs_ = nowMs();
      const std::size_t bodyBytes = reader_.bodyBytes();
      net_.hold(*this, bodyBytes - bodyBytes_);
      bodyBytes_ = bodyBytes;
      if (net_.crowded(*this))
         return refuse({503, "Too many large requests at once. Try again soon."});
      deadline = begunMs_ + net_.limits.transferMs + static_cast<Millis>(bodyBytes / net_.limits.transferBytesPerMs);
      if (reader_.done())
         return serve();
      if (reader_.takeExpectation())
         enqueue({.head = "HTTP/1.1 100 Continue\r\n\r\n", .body = {}, .endsExchange = false});
   }

   void serve() {
      Incoming incoming = reader_.take();
      requestBegun_ = false;
      stage_ = Stage::serving;
      deadline = never;
      ++serial_;
      webSocketKey_ = incoming.webSocketKey;
      host_ = incoming.request.host;
      net_.requests.fetch_add(1, std::memory_order_relaxed);
      auto exchange = makeExchange(net_, this->shared_from_this(), serial_, peer_, incoming);
      net_.handler.request(std::move(exchange), std::move(incoming.request));
   }

   void refuse(const BadRequest& problem) {
      net_.badRequests.fetch_add(1, std::memory_order_relaxed);
      auto reply = textReply(problem.status, problem.text);
      if (problem.status == 405)
         reply.headers.push_back({"Allow", "GET, POST, HEAD, PUT, DELETE, OPTIONS"});
      stage_ = Stage::writing;
      releaseBody();
      (void)reader_.take(); // what has come of the request
      enqueue(makeOutput(std::move(reply), false, false, false));
   }

   void enqueue(Output&& output) {
      net_.hold(*this, output.head.size() + output.body.size());
      if (output.endsExchange)
         deadline = nowMs() + net_.limits.transferMs +
                    static_cast<Millis>((output.head.size() + output.body.size()) / net_.limits.transferBytesPerMs);
      queue_.push_back(std::move(output));
      if (queue_.size() == 1)
         write();
      net_.makeRoom(*this);
   }

   void write() {
      const Output& out = queue_.front();
      auto done = [self = this->shared_from_this()](ErrorCode ec, std::size_t) { self->onWritten(ec); };
      if (out.body.empty())
         asio::async_write(stream_, asio::buffer(out.head), std::move(done));
      else
         asio::async_write(stream_, std::array<asio::const_buffer, 2>{asio::buffer(out.head), asio::buffer(out.body)},
                           std::move(done));
   }

   void onWritten(ErrorCode ec) {
      if (stage_ == Stage::closed)
         return;
      if (ec)
         return abort();
      const Output out = std::move(queue_.front());
      queue_.pop_front();
      net_.release(*this, out.head.size() + out.body.size());
      if (!queue_.empty())
         write();
      if (!out.endsExchange)
         return;
      releaseBody();
      if (peerClosed_ && begin_ == end_)
         return abort();
      if (out.closesAfter || net_.stopping)
         return linger();
      stage_ = Stage::reading;
      deadline = nowMs() + net_.limits.idleMs;
      parse();
      if (peerClosed_ && stage_ == Stage::reading)
         return abort();
      read();
   }

   /// Says that nothing more comes, and reads on for a while: closing with unread bytes would destroy what was sent.
   void linger() {
      stage_ = Stage::lingering;
      deadline = nowMs() + net_.limits.lingerMs;
      begin_ = end_ = 0;
      if constexpr (std::is_same_v<Stream, TlsStream>) {
         stream_.async_shutdown([self = this->shared_from_this()](ErrorCode) { self->abort(); });
      } else {
         ErrorCode ignored;
         stream_.shutdown(asio::socket_base::shutdown_send, ignored);
         if (peerClosed_)
            return abort();
         read();
      }
   }

   void finishUpgrade() {
      // A client that sends before it has the 101 breaks the protocol.
      if (begin_ != end_ || peerClosed_)
         return abort();
      stage_ = Stage::closed;
      auto self = this->shared_from_this();
      net_.remove(self);
      auto webSocket = std::move(upgraded_);
      webSocket->accept(std::move(stream_), host_, webSocketKey_, std::move(upgradeReply_));
   }

   void releaseBody() { net_.release(*this, std::exchange(bodyBytes_, 0)); }

   Net& net_;
   Stream stream_;
   std::shared_ptr<const Peer> peer_;
   RequestReader reader_;
   std::vector<std::uint8_t> buffer_; ///< [begin_, end_) is not parsed yet
   std::size_t begin_ = 0, end_ = 0;
   std::deque<Output> queue_;
   std::weak_ptr<ExchangeEvents> events_;
   std::shared_ptr<WebSocket<Stream>> upgraded_;
   format::HttpReply upgradeReply_;
   std::string webSocketKey_, host_;
   std::uint64_t serial_ = 0;
   std::size_t bodyBytes_ = 0;
   Millis begunMs_ = 0;
   Stage stage_ = Stage::reading;
   bool reading_ = false, peerClosed_ = false, requestBegun_ = false;
};

} // namespace polis::http
