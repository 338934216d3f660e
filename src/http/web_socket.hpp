#pragma once
#include "http/net.hpp"
#include "http/reply_writer.hpp"
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <deque>

namespace polis::http {

namespace ws = boost::beast::websocket;

/// One WebSocket, of either side. Reads one message ahead, so that a peer's farewell is noticed while nobody reads.
template <class Stream>
class WebSocket final : public Link, public std::enable_shared_from_this<WebSocket<Stream>> {
public:
   WebSocket(Net& net, std::weak_ptr<ExchangeEvents> events) : net_(net), events_(std::move(events)) {
      net_.webSockets.fetch_add(1, std::memory_order_relaxed);
   }
   ~WebSocket() override { net_.webSockets.fetch_sub(1, std::memory_order_relaxed); }

   /// Server side: answers the handshake that `key` began.
   void accept(Stream&& stream, const std::string& host, const std::string& key, format::HttpReply&& reply) {
      if (closed_)
         return;
      net_.add(this->shared_from_this());
      prepare(std::move(stream), boost::beast::role_type::server);
      stream_->set_option(ws::stream_base::decorator([reply = std::move(reply)](ws::response_type& response) {
         for (const auto& header : reply.headers)
            if (!isConnectionHeader(header.name) && !equalsIgnoringCase(header.name, "Sec-WebSocket-Accept") &&
                !equalsIgnoringCase(header.name, "Sec-WebSocket-Extensions"))
               response.insert(header.name, header.value);
      }));
      handshake_.version(11);
      handshake_.method(boost::beast::http::verb::get);
      handshake_.target("/");
      handshake_.set(boost::beast::http::field::host, host);
      handshake_.set(boost::beast::http::field::connection, "Upgrade");
      handshake_.set(boost::beast::http::field::upgrade, "websocket");
      handshake_.set(boost::beast::http::field::sec_websocket_version, "13");
      handshake_.set(boost::beast::http::field::sec_websocket_key, key);
      stream_->async_accept(handshake_, [self = this->shared_from_this()](ErrorCode ec) { self->onOpen(ec); });
   }

   /// Client side: the stream is connected; `answered` hears the reply.
   void connect(Stream&& stream, const format::HttpRequest& request) {
      if (closed_)
         return;
      net_.add(this->shared_from_this());
      prepare(std::move(stream), boost::beast::role_type::client);
      stream_->set_option(ws::stream_base::decorator([headers = request.headers](ws::request_type& out) {
         for (const auto& header : headers)
            if (!isConnectionHeader(header.name) && !equalsIgnoringCase(header.name, "Host") &&
                !header.name.starts_with("Sec-WebSocket-"))
               out.insert(header.name, header.value);
      }));
      stream_->async_handshake(
          response_, request.host, request.target, [self = this->shared_from_this()](ErrorCode ec) {
             if (auto events = self->events_.lock(); events && (!ec || ec == ws::error::upgrade_declined)) {
                format::HttpReply reply;
                reply.status = static_cast<std::uint16_t>(self->response_.result_int());
                for (const auto& field : self->response_)
                   reply.headers.push_back({std::string(field.name_string()), std::string(field.value())});
                reply.contentType = self->response_[boost::beast::http::field::content_type];
                reply.body.assign(self->response_.body().begin(), self->response_.body().end());
                events->answered(std::move(reply));
             }
             self->onOpen(ec);
          });
   }

   void send(Bytes&& data, MessageKind kind) override {
      if (closed_ || closing_)
         return;
      queuedBytes_ += data.size();
      net_.hold(*this, data.size());
      if (queuedBytes_ > net_.limits.webSocketQueueBytesMax) {
         lose();
         return;
      }
      queue_.push_back({std::move(data), kind});
      write();
      net_.makeRoom(*this);
   }

   void receive() override {
      if (closed_)
         return;
      if (held_) {
         auto message = std::move(*held_);
         held_.reset();
         net_.release(*this, message.data.size());
         read();
         if (auto events = events_.lock())
            events->message(std::move(message.data), message.kind);
         return;
      }
      allowed_ = true;
   }

   void close() override {
      events_.reset();
      shut(ws::close_code::normal);
   }
   void stop() override { shut(ws::close_code::going_away); }
   /// Looks from time to time whether the stream has failed: its farewell waits for the peer without a limit.
   void expire() override {
      if (closing_ || (open_ && failed_))
         return lose();
      failed_ = open_ && !stream_->is_open();
      deadline = nowMs() + net_.limits.lingerMs;
   }
   void abort() override { lose(); }

private:
   struct Message {
      Bytes data;
      MessageKind kind;
   };

   void prepare(Stream&& stream, boost::beast::role_type role) {
      keepAlert(lowest(stream), net_.limits.webSocketSilenceMs);
      stream_.emplace(std::move(stream));
      setTimeouts(role == boost::beast::role_type::client ? net_.limits.connectMs : net_.limits.headerMs);
      stream_->read_message_max(net_.limits.webSocketMessageBytesMax);
      stream_->auto_fragment(false);
   }

   void setTimeouts(std::uint32_t handshakeMs) {
      stream_->set_option(
          ws::stream_base::timeout{.handshake_timeout = std::chrono::milliseconds(handshakeMs),
                                   .idle_timeout = std::chrono::milliseconds(net_.limits.webSocketIdleMs),
                                   .keep_alive_pings = true});
   }

   void onOpen(ErrorCode ec) {
      if (ec || closed_) {
         lose();
         return;
      }
      open_ = true;
      deadline = nowMs() + net_.limits.lingerMs;
      setTimeouts(net_.limits.lingerMs); // from here on it limits the closing handshake
      if (auto events = events_.lock())
         events->opened();
      if (closing_) {
         closing_ = false;
         shut(ws::close_code::normal);
         return;
      }
      read();
      write();
   }

   void read() {
      if (reading_ || closed_)
         return;
      reading_ = true;
      constexpr std::size_t pieceBytes = 64 * 1024;
      stream_->async_read_some(buffer_, pieceBytes, [self = this->shared_from_this()](ErrorCode ec, std::size_t bytes) {
         self->onRead(ec, bytes);
      });
   }

   void onRead(ErrorCode ec, std::size_t bytes) {
      reading_ = false;
      if (ec || closed_) {
         lose();
         return;
      }
      net_.hold(*this, bytes);
      if (net_.crowded(*this)) {
         lose();
         return;
      }
      if (!stream_->is_message_done()) {
         read();
         return;
      }
      const auto* data = static_cast<const std::uint8_t*>(buffer_.data().data());
      Message message{Bytes(data, data + buffer_.size()),
                      stream_->got_text() ? MessageKind::text : MessageKind::binary};
      buffer_ = {};
      if (!allowed_) {
         held_ = std::move(message);
         return;
      }
      allowed_ = false;
      net_.release(*this, message.data.size());
      read();
      if (auto events = events_.lock())
         events->message(std::move(message.data), message.kind);
   }

   void write() {
      if (writing_ || !open_ || closed_ || queue_.empty())
         return;
      writing_ = true;
      stream_->text(queue_.front().kind == MessageKind::text);
      stream_->async_write(asio::buffer(queue_.front().data),
                           [self = this->shared_from_this()](ErrorCode ec, std::size_t) {
                              self->writing_ = false;
                              if (ec || self->closed_) {
                                 self->lose();
                                 return;
                              }
                              self->queuedBytes_ -= self->queue_.front().data.size();
                              self->net_.release(*self, self->queue_.front().data.size());
                              self->queue_.pop_front();
                              if (self->queue_.empty() && self->closing_)
                                 return self->farewell();
                              self->write();
                              if (self->queue_.empty())
                                 if (auto events = self->events_.lock())
                                    events->written();
                           });
   }

   void shut(ws::close_code code) {
      if (closed_ || closing_)
         return;
      closing_ = true;
      code_ = code;
      deadline = nowMs() + net_.limits.lingerMs;
      if (open_ && !writing_)
         farewell();
   }

   void farewell() {
      open_ = false;
      held_.reset();
      read(); // the peer's close frame arrives by reading
      stream_->async_close(code_, [self = this->shared_from_this()](ErrorCode) { self->lose(); });
   }

   /// The end, by whatever cause.
   void lose() {
      if (closed_)
         return;
      closed_ = true;
      auto self = this->shared_from_this();
      net_.remove(self);
      if (stream_) {
         ErrorCode ignored;
         lowest(stream_->next_layer()).close(ignored);
      }
      queue_.clear();
      if (auto events = events_.lock())
         events->gone();
      events_.reset();
   }

   Net& net_;
   std::weak_ptr<ExchangeEvents> events_;
   std::optional<ws::stream<Stream>> stream_;
   ws::request_type handshake_;
   ws::response_type response_;
   boost::beast::flat_buffer buffer_;
   std::deque<Message> queue_;
   std::size_t queuedBytes_ = 0;
   std::optional<Message> held_;
   ws::close_code code_ = ws::close_code::normal;
   bool open_ = false, reading_ = false, writing_ = false, allowed_ = false, closing_ = false, failed_ = false,
        closed_ = false;
};

} // namespace polis::http
