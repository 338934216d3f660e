#include "http/client.hpp"
#include "base/fault.hpp"
#include "http/request_writer.hpp"
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/vector_body.hpp>
#include <charconv>
#include <functional>
#include <map>

namespace polis::http {

namespace asio = boost::asio;
namespace bhttp = boost::beast::http;
using ErrorCode = boost::system::error_code;
using Tcp = asio::ip::tcp;

std::string Url::authority() const { return port == (tls ? 443 : 80) ? host : host + ":" + std::to_string(port); }

std::string Url::origin() const { return (tls ? "https://" : "http://") + authority(); }

Url Url::subdomain(std::string_view label) const {
   Url result = *this;
   result.host = std::string(label) + "." + host;
   return result;
}

std::optional<Url> parseUrl(std::string_view text) {
   Url url;
   if (text.starts_with("http://")) {
      text.remove_prefix(7);
   } else if (text.starts_with("https://")) {
      text.remove_prefix(8);
      url.tls = true;
      url.port = 443;
   } else if (text.find("://") != std::string_view::npos) {
      return std::nullopt;
   }
   const auto end = std::min(text.find_first_of("/?"), text.size());
   std::string_view authority = text.substr(0, end);
   if (end < text.size())
      url.target = text[end] == '/' ? std::string(text.substr(end)) : "/" + std::string(text.substr(end));
   std::size_t hostEnd = authority.find(':');
   if (authority.starts_with('[')) {
      hostEnd = authority.find(']');
      if (hostEnd == std::string_view::npos)
         return std::nullopt;
      ++hostEnd;
   }
   hostEnd = std::min(hostEnd, authority.size());
   url.host = authority.substr(0, hostEnd);
   authority.remove_prefix(hostEnd);
   if (!authority.empty()) {
      const char* last = authority.data() + authority.size();
      const auto [p, ec] = std::from_chars(authority.data() + 1, last, url.port);
      if (authority.front() != ':' || ec != std::errc() || p != last || url.port == 0)
         return std::nullopt;
   }
   if (url.host.empty() || url.host.find_first_of(" @\t\r\n") != std::string::npos)
      return std::nullopt;
   return url;
}

struct Client::Impl {
   using Tls = asio::ssl::stream<Tcp::socket&>;

   struct Connection {
      explicit Connection(asio::io_context& io) : socket(io) {}
      Tcp::socket socket;
      std::unique_ptr<Tls> tls;
      boost::beast::flat_buffer buffer;
   };

   explicit Impl(Options o) : options(std::move(o)) {}

   /// Runs what was started until `done` or the time is over.
   void run(const bool& done, const std::string& what) {
      io.restart();
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(options.timeoutMs);
      while (!done && io.run_one_until(end) > 0) {
      }
      if (!done)
         throw Fault(what + ": no answer within " + std::to_string(options.timeoutMs / 1000) + " s");
   }

   template <class Start>
   ErrorCode wait(Start&& start, const std::string& what) {
      bool done = false;
      ErrorCode result;
      start([&done, &result](ErrorCode ec, const auto&...) {
         result = ec;
         done = true;
      });
      run(done, what);
      return result;
   }

   std::unique_ptr<Connection> connect(const Url& url) {
      auto connection = std::make_unique<Connection>(io);
      std::string host = url.host;
      if (host.starts_with('['))
         host = host.substr(1, host.size() - 2);
      if (isLocalhostName(host))
         host = "127.0.0.1";
      Tcp::resolver resolver(io);
      ErrorCode ec;
      const auto found = resolver.resolve(host, std::to_string(url.port), ec);
      if (ec)
         throw Fault("The name " + url.host + " cannot be looked up: " + ec.message());
      ec = wait([&](auto done) { asio::async_connect(connection->socket, found, std::move(done)); }, url.origin());
      if (ec)
         throw Fault("Cannot reach " + url.origin() + ": " + ec.message());
      connection->socket.set_option(Tcp::no_delay(true), ec);
      if (url.tls) {
         connection->tls = std::make_unique<Tls>(connection->socket, context());
         SSL_set_tlsext_host_name(connection->tls->native_handle(), url.host.c_str());
         connection->tls->set_verify_callback(asio::ssl::host_name_verification(url.host));
         ec =
             wait([&](auto done) { connection->tls->async_handshake(asio::ssl::stream_base::client, std::move(done)); },
                  url.origin());
         if (ec)
            throw Fault("No secure connection to " + url.origin() + ": " + ec.message());
      }
      return connection;
   }

   asio::ssl::context& context() {
      if (!tlsContext) {
         tlsContext.emplace(asio::ssl::context::tls_client);
         tlsContext->set_default_verify_paths();
         tlsContext->set_verify_mode(asio::ssl::verify_peer);
         if (!options.trustFile.empty()) {
            ErrorCode ec;
            tlsContext->load_verify_file(options.trustFile, ec);
            if (ec)
               throw Fault("The certificates in " + options.trustFile + " cannot be read: " + ec.message());
         }
      }
      return *tlsContext;
   }

   /// Sends and reads one answer; nothing when the connection was dead before any of the answer came.
   template <class Stream>
   std::optional<format::HttpReply> exchange(Connection& connection, Stream& stream, const std::string& out, bool head,
                                             const std::string& what, bool& keep) {
      ErrorCode ec = wait([&](auto done) { asio::async_write(stream, asio::buffer(out), std::move(done)); }, what);
      // A server may answer and close before it has read everything: look for the answer in any case.
      bhttp::response_parser<bhttp::vector_body<std::uint8_t>> parser;
      parser.body_limit(std::uint64_t{256} << 20);
      parser.skip(head);
      const ErrorCode readEc =
          wait([&](auto done) { bhttp::async_read(stream, connection.buffer, parser, std::move(done)); }, what);
      if (readEc && !(parser.is_header_done() && parser.is_done())) {
         if (!parser.got_some())
            return std::nullopt;
         throw Fault(what + ": the answer broke off: " + readEc.message());
      }
      keep = !ec && parser.keep_alive();
      auto& message = parser.get();
      format::HttpReply reply;
      reply.status = static_cast<std::uint16_t>(message.result_int());
      reply.contentType = message[bhttp::field::content_type];
      for (const auto& field : message)
         reply.headers.push_back({std::string(field.name_string()), std::string(field.value())});
      reply.body = std::move(message.body());
      return reply;
   }

   format::HttpReply send(const Url& url, const format::HttpRequest& request) {
      const std::string what = request.method + " " + url.origin() + url.target;
      if (!isSendable(request))
         throw Fault(what + ": this request cannot be sent");
      std::string out;
      appendRequestHead(out, request, url.authority(), true);
      out += asText(request.body);
      while (true) {
         auto& slot = connections[url.origin()];
         const bool fresh = !slot;
         if (fresh)
            slot = connect(url);
         bool keep = false;
         std::optional<format::HttpReply> reply;
         try {
            reply = slot->tls ? exchange(*slot, *slot->tls, out, request.method == "HEAD", what, keep)
                              : exchange(*slot, slot->socket, out, request.method == "HEAD", what, keep);
         } catch (...) {
            connections.erase(url.origin());
            throw;
         }
         if (!keep)
            connections.erase(url.origin());
         if (reply)
            return std::move(*reply);
         if (fresh)
            throw Fault(what + ": the server closed the connection without an answer");
      }
   }

   Options options;
   asio::io_context io{1};
   std::optional<asio::ssl::context> tlsContext;
   std::map<std::string, std::unique_ptr<Connection>> connections;
};

Client::Client() : Client(Options{}) {}
Client::Client(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

format::HttpReply Client::send(const Url& url, format::HttpRequest request) {
   request.host = url.host;
   request.target = url.target;
   return impl_->send(url, request);
}

format::HttpReply Client::get(const Url& url) {
   format::HttpRequest request;
   request.method = "GET";
   return send(url, std::move(request));
}

format::HttpReply Client::post(const Url& url, std::string_view contentType, Bytes body) {
   format::HttpRequest request;
   request.method = "POST";
   request.contentType = contentType;
   request.body = std::move(body);
   return send(url, std::move(request));
}

} // namespace polis::http
