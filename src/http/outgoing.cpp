#include "http/outgoing.hpp"
#include "http/request_writer.hpp"
#include "http/web_socket.hpp"
#include <boost/asio/connect.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/vector_body.hpp>

namespace polis::http {

namespace {

namespace bhttp = boost::beast::http;
using Tcp = asio::ip::tcp;

/// One request and its reply over a connected stream.
template <class Stream>
class Fetch final : public Link, public std::enable_shared_from_this<Fetch<Stream>> {
public:
   Fetch(Net& net, Stream&& stream, std::weak_ptr<ExchangeEvents> events)
      : net_(net), stream_(std::move(stream)), events_(std::move(events)) {
      parser_.body_limit(net.limits.bodyBytesMax);
      parser_.header_limit(static_cast<std::uint32_t>(net.limits.headerBytesMax));
   }

   void start(const format::HttpRequest& request, std::string_view authority) {
      net_.add(this->shared_from_this());
      deadline = nowMs() + net_.limits.replyMs;
      appendRequestHead(out_, request, authority, false);
      out_ += asText(request.body);
      parser_.skip(request.method == "HEAD");
      asio::async_write(stream_, asio::buffer(out_), [self = this->shared_from_this()](ErrorCode ec, std::size_t) {
         if (ec)
            return self->abort();
         bhttp::async_read(self->stream_, self->buffer_, self->parser_,
                           [self](ErrorCode readEc, std::size_t) { self->onReply(readEc); });
      });
   }

   void close() override {
      events_.reset();
      abort();
   }
   void expire() override { abort(); }
   void stop() override { abort(); }
   void abort() override {
      if (std::exchange(closed_, true))
         return;
      auto self = this->shared_from_this();
      net_.remove(self);
      ErrorCode ignored;
      lowest(stream_).close(ignored);
      if (auto events = std::exchange(events_, {}).lock())
         events->gone();
   }

private:
   void onReply(ErrorCode ec) {
      if (ec || closed_)
         return abort();
      auto& message = parser_.get();
      format::HttpReply reply;
      reply.status = static_cast<std::uint16_t>(message.result_int());
      reply.contentType = message[bhttp::field::content_type];
      for (const auto& field : message)
         reply.headers.push_back({std::string(field.name_string()), std::string(field.value())});
      reply.body = std::move(message.body());
      auto events = std::exchange(events_, {}).lock();
      abort();
      if (events)
         events->answered(std::move(reply));
   }

   Net& net_;
   Stream stream_;
   std::weak_ptr<ExchangeEvents> events_;
   std::string out_;
   boost::beast::flat_buffer buffer_;
   bhttp::response_parser<bhttp::vector_body<std::uint8_t>> parser_;
   bool closed_ = false;
};

/// Looks the host up and connects, then hands the stream to what follows.
class Connecting final : public Link, public std::enable_shared_from_this<Connecting> {
public:
   Connecting(Net& net, format::HttpRequest&& request, bool tls, std::weak_ptr<ExchangeEvents> events)
      : net_(net), request_(std::move(request)), tls_(tls), events_(std::move(events)), resolver_(net.io),
        socket_(net.io) {}

   void start(const std::optional<Peer>& peer) {
      net_.add(shared_from_this());
      deadline = nowMs() + net_.limits.connectMs;
      if (peer && peer->addressBytes == 0) {
         PlainStream stream(net_.io);
         ErrorCode ec;
         const asio::local::stream_protocol::endpoint endpoint(peer->path);
         stream.open(endpoint.protocol(), ec);
         if (!ec)
            stream.connect(endpoint, ec);
         return ec ? fail(ec.message()) : connected(std::move(stream));
      }
      if (peer) {
         asio::ip::address address;
         if (peer->addressBytes == 4) {
            asio::ip::address_v4::bytes_type bytes;
            std::copy_n(peer->address.begin(), bytes.size(), bytes.begin());
            address = asio::ip::address_v4(bytes);
         } else {
            asio::ip::address_v6::bytes_type bytes;
            std::copy_n(peer->address.begin(), bytes.size(), bytes.begin());
            address = asio::ip::address_v6(bytes, peer->zone);
         }
         return connectTo({Tcp::endpoint(address, peer->port)});
      }
      std::string host = request_.host;
      std::string port = tls_ ? "443" : "80";
      if (const auto colon = host.rfind(':');
          colon != std::string::npos && host.find(']', colon) == std::string::npos) {
         port = host.substr(colon + 1);
         host.resize(colon);
      }
      if (host.size() > 2 && host.front() == '[')
         host = host.substr(1, host.size() - 2);
      if (isLocalhostName(host))
         host = "127.0.0.1";
      resolver_.async_resolve(host, port,
                              [self = shared_from_this()](ErrorCode ec, const Tcp::resolver::results_type& results) {
                                 if (ec || self->closed_)
                                    return self->fail("the name leads nowhere: " + ec.message());
                                 std::vector<Tcp::endpoint> endpoints;
                                 for (const auto& entry : results)
                                    endpoints.push_back(entry.endpoint());
                                 self->connectTo(std::move(endpoints));
                              });
   }

   std::shared_ptr<Link> next() const { return next_; }

   void close() override {
      events_.reset();
      next_ ? next_->close() : abort();
   }
   void send(Bytes&& data, MessageKind kind) override {
      if (next_)
         next_->send(std::move(data), kind);
   }
   void receive() override {
      if (next_)
         next_->receive();
      else
         receiveLater_ = true;
   }
   void expire() override { fail("nobody answers"); }
   void stop() override { abort(); }
   void fail(const std::string& why) {
      if (const auto events = closed_ ? nullptr : events_.lock())
         events->failed(why);
      abort();
   }
   void abort() override {
      if (std::exchange(closed_, true))
         return;
      auto self = shared_from_this();
      net_.remove(self);
      resolver_.cancel();
      ErrorCode ignored;
      socket_.close(ignored);
      if (tlsStream_)
         lowest(*tlsStream_).close(ignored);
      if (auto events = std::exchange(events_, {}).lock())
         events->gone();
   }

private:
   void connectTo(std::vector<Tcp::endpoint> endpoints) {
      endpoints_ = std::move(endpoints);
      asio::async_connect(socket_, endpoints_, [self = shared_from_this()](ErrorCode ec, const Tcp::endpoint&) {
         if (ec || self->closed_)
            return self->fail(ec.message());
         ErrorCode ignored;
         self->socket_.set_option(Tcp::no_delay(true), ignored);
         self->connected(PlainStream(std::move(self->socket_)));
      });
   }

   void connected(PlainStream&& stream) {
      if (!tls_)
         return proceed(std::move(stream));
      if (!net_.clientTls) {
         net_.clientTls.emplace(asio::ssl::context::tls_client);
         net_.clientTls->set_default_verify_paths();
         net_.clientTls->set_verify_mode(asio::ssl::verify_peer);
      }
      const std::string host = request_.host.substr(0, request_.host.rfind(':'));
      tlsStream_.emplace(std::move(stream), *net_.clientTls);
      SSL_set_tlsext_host_name(tlsStream_->native_handle(), host.c_str());
      tlsStream_->set_verify_callback(
          [this, named = asio::ssl::host_name_verification(host)](bool trusted, asio::ssl::verify_context& context) {
             const bool fine = named(trusted, context);
             otherName_ = trusted && !fine;
             return fine;
          });
      tlsStream_->async_handshake(asio::ssl::stream_base::client, [self = shared_from_this()](ErrorCode ec) {
         if (ec || self->closed_)
            return self->fail(self->tlsProblem(ec));
         self->proceed(std::move(*self->tlsStream_));
      });
   }

   std::string tlsProblem(ErrorCode ec) {
      if (otherName_)
         return "its certificate is not for this name";
      if (const long result = SSL_get_verify_result(tlsStream_->native_handle()); result != X509_V_OK)
         return std::string("its certificate is not accepted: ") + X509_verify_cert_error_string(result);
      return "it does not speak TLS as it should: " + ec.message();
   }

   template <class Stream>
   void proceed(Stream&& stream) {
      using S = std::decay_t<Stream>;
      closed_ = true;
      net_.remove(shared_from_this());
      if (asksWebSocket(request_)) {
         auto webSocket = std::make_shared<WebSocket<S>>(net_, events_);
         webSocket->connect(std::move(stream), request_);
         next_ = webSocket;
         if (receiveLater_)
            next_->receive();
      } else {
         auto fetch = std::make_shared<Fetch<S>>(net_, std::move(stream), events_);
         fetch->start(request_, request_.host);
         next_ = fetch;
      }
   }

   Net& net_;
   format::HttpRequest request_;
   bool tls_;
   std::weak_ptr<ExchangeEvents> events_;
   Tcp::resolver resolver_;
   Tcp::socket socket_;
   std::vector<Tcp::endpoint> endpoints_;
   std::optional<TlsStream> tlsStream_;
   std::shared_ptr<Link> next_;
   bool receiveLater_ = false;
   bool otherName_ = false; ///< the certificate is trusted, and somebody else's
   bool closed_ = false;
};

class OutgoingExchange final : public Exchange, public std::enable_shared_from_this<OutgoingExchange> {
public:
   OutgoingExchange(std::shared_ptr<Net> net, const Peer& peer, std::shared_ptr<Connecting> link)
      : net_(std::move(net)), peer_(peer), link_(std::move(link)) {}
   ~OutgoingExchange() override {
      net_->post([link = link_] { link->close(); });
   }

   const Peer& peer() const override { return peer_; }
   void setEvents(std::shared_ptr<ExchangeEvents>) override {}
   std::expected<void, std::string> reply(format::HttpReply&&) override {
      return std::unexpected("An outgoing request takes no reply.");
   }
   bool send(Bytes&& data, MessageKind kind) override {
      net_->post([link = link_, data = std::move(data), kind]() mutable { link->send(std::move(data), kind); });
      return true;
   }
   void receive() override {
      net_->post([link = link_] { link->receive(); });
   }
   void close() override {
      net_->post([link = link_] { link->close(); });
   }

private:
   std::shared_ptr<Net> net_;
   Peer peer_;
   std::shared_ptr<Connecting> link_;
};

} // namespace

std::shared_ptr<Exchange> openOutgoing(Net& net, format::HttpRequest&& request, const Peer* peer, bool tls,
                                       std::shared_ptr<ExchangeEvents> events) {
   const bool sendable = isSendable(request);
   std::optional<Peer> target;
   if (peer)
      target = *peer;
   auto connecting = std::make_shared<Connecting>(net, std::move(request), tls, events);
   net.post([connecting, target = std::move(target), sendable] {
      sendable ? connecting->start(target) : connecting->abort();
   });
   return std::make_shared<OutgoingExchange>(net.shared_from_this(), peer ? *peer : Peer{}, std::move(connecting));
}

} // namespace polis::http
