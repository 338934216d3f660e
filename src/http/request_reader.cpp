#include "http/request_reader.hpp"
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/vector_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <optional>

namespace polis::http {

namespace bhttp = boost::beast::http;

namespace {

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

bool isHostCharacter(char c) {
   return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

BadRequest explain(boost::beast::error_code ec, const Limits& limits) {
   using E = bhttp::error;
   if (ec == E::header_limit)
      return {431, "The request header is longer than " + std::to_string(limits.headerBytesMax) + " bytes."};
   if (ec == E::body_limit)
      return {413, "The request body is longer than " + std::to_string(limits.bodyBytesMax) + " bytes."};
   if (ec == E::bad_version)
      return {505, "Only HTTP/1.1 and HTTP/1.0 are spoken here."};
   return {400, "This is not a valid HTTP request: " + ec.message() + "."};
}

} // namespace

std::string hostWithoutPort(std::string_view text) {
   std::string host;
   if (!text.empty() && text.front() == '[') {
      const auto end = text.find(']');
      if (end == std::string_view::npos || end < 2)
         return {};
      for (char c : text.substr(1, end - 1))
         if (!isHostCharacter(static_cast<char>(c | 0x20)) && c != ':' && c != '%')
            return {};
      host = text.substr(0, end + 1);
      text.remove_prefix(end + 1);
   } else {
      const auto end = std::min(text.find(':'), text.size());
      for (char c : text.substr(0, end)) {
         const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
         if (!isHostCharacter(lower))
            return {};
         host += lower;
      }
      text.remove_prefix(end);
   }
   if (text.empty())
      return host;
   if (text.front() != ':' || text.size() > 6)
      return {};
   for (char c : text.substr(1))
      if (c < '0' || c > '9')
         return {};
   return host;
}

struct RequestReader::Impl {
   using Parser = bhttp::request_parser<bhttp::vector_body<std::uint8_t>>;

   explicit Impl(const Limits& l) : limits(l) { reset(); }

   void reset() {
      parser.emplace(); // stops behind the header, so that trailers are not in it yet when it is looked at
      parser->header_limit(static_cast<std::uint32_t>(limits.headerBytesMax));
      parser->body_limit(limits.bodyBytesMax);
      headerChecked = false;
      expects = false;
   }

   /// Fills `incoming` from the header; the body follows.
   std::optional<BadRequest> checkHeader() {
      const auto& header = parser->get();
      incoming = {};
      auto& request = incoming.request;
      switch (header.method()) {
      case bhttp::verb::get:
      case bhttp::verb::post:
      case bhttp::verb::head:
      case bhttp::verb::put:
      case bhttp::verb::delete_:
      case bhttp::verb::options:
         break;
      default:
         return BadRequest{405, "The method " + std::string(view(header.method_string())) + " is not known here."};
      }
      request.method = view(header.method_string());
      incoming.head = header.method() == bhttp::verb::head;
      incoming.http10 = header.version() < 11;
      incoming.keepAlive = header.keep_alive();
      if (header.count(bhttp::field::host) > 1)
         return BadRequest{400, "The request has more than one Host header."};
      std::string_view authority;
      if (auto it = header.find(bhttp::field::host); it != header.end())
         authority = view(it->value());
      else if (!incoming.http10)
         return BadRequest{400, "The request has no Host header."};
      if (header.count(bhttp::field::transfer_encoding) > 0) {
         if (incoming.http10)
            return BadRequest{400, "HTTP/1.0 knows no Transfer-Encoding."};
         if (!boost::beast::iequals(header[bhttp::field::transfer_encoding], "chunked"))
            return BadRequest{501, "The only transfer encoding known here is chunked."};
      }
      if (auto problem = splitTarget(view(header.target()), authority))
         return problem;
      request.host = hostWithoutPort(authority);
      if (request.host.empty())
         return BadRequest{400, "The Host header does not name a host."};
      request.contentType = view(header[bhttp::field::content_type]);
      request.headers.reserve(16);
      for (const auto& field : header) {
         if (field.name() == bhttp::field::proxy_authorization ||
             field.name() == bhttp::field::sec_websocket_extensions)
            continue;
         // The target's authority stands in for what the header says (RFC 9112, 3.2.2).
         const auto value = field.name() == bhttp::field::host ? authority : view(field.value());
         request.headers.push_back({std::string(view(field.name_string())), std::string(value)});
      }
      if (boost::beast::websocket::is_upgrade(header) && view(header[bhttp::field::sec_websocket_version]) == "13")
         incoming.webSocketKey = view(header[bhttp::field::sec_websocket_key]);
      if (auto it = header.find(bhttp::field::expect); it != header.end()) {
         if (!boost::beast::iequals(it->value(), "100-continue"))
            return BadRequest{417, "The only expectation known here is 100-continue."};
         expects = !parser->is_done() && !incoming.http10;
      }
      return std::nullopt;
   }

   /// Sets the request's target; an absolute target brings its own authority.
   std::optional<BadRequest> splitTarget(std::string_view target, std::string_view& authority) {
      auto& request = incoming.request;
      if (target == "*" && request.method == "OPTIONS") {
         request.target = target;
         return std::nullopt;
      }
      for (std::string_view scheme : {"http://", "https://"}) {
         if (!target.starts_with(scheme))
            continue;
         target.remove_prefix(scheme.size());
         const auto end = std::min(target.find_first_of("/?"), target.size());
         authority = target.substr(0, end);
         request.target = target.substr(end);
         if (request.target.empty() || request.target.front() == '?')
            request.target.insert(0, 1, '/');
         return std::nullopt;
      }
      if (target.empty() || target.front() != '/')
         return BadRequest{400, "The request target must be a path."};
      request.target = target;
      return std::nullopt;
   }

   Limits limits;
   std::optional<Parser> parser;
   Incoming incoming;
   bool headerChecked = false;
   bool expects = false;
};

RequestReader::RequestReader(const Limits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestReader::~RequestReader() = default;

std::expected<std::size_t, BadRequest> RequestReader::put(ByteView input) {
   auto& parser = *impl_->parser;
   std::size_t taken = 0;
   if (!impl_->headerChecked && !parser.got_some()) {
      // Old clients send an empty line after a body (RFC 9112, 2.2).
      while (taken < input.size() && taken < 4 && (input[taken] == '\r' || input[taken] == '\n'))
         ++taken;
   }
   while (taken < input.size() && !parser.is_done()) {
      boost::beast::error_code ec;
      const std::size_t n = parser.put(boost::asio::buffer(input.data() + taken, input.size() - taken), ec);
      taken += n;
      if (ec == bhttp::error::need_more) {
         ec = {};
         if (n == 0)
            break;
      }
      if (parser.is_header_done() && !impl_->headerChecked) {
         impl_->headerChecked = true;
         if (auto problem = impl_->checkHeader())
            return std::unexpected(std::move(*problem));
         parser.eager(true);
      }
      if (ec)
         return std::unexpected(explain(ec, impl_->limits));
      if (n == 0)
         break;
   }
   // A chunk's extension, and the trailers, are read in one piece.
   if (!parser.is_done() && input.size() - taken > impl_->limits.headerBytesMax)
      return std::unexpected(BadRequest{431, "A part of the request that is no body is longer than " +
                                                 std::to_string(impl_->limits.headerBytesMax) + " bytes."});
   return taken;
}

bool RequestReader::headerDone() const { return impl_->headerChecked; }
bool RequestReader::done() const { return impl_->parser->is_done(); }
bool RequestReader::takeExpectation() { return std::exchange(impl_->expects, false); }
std::size_t RequestReader::bodyBytes() const { return impl_->parser->get().body().size(); }

Incoming RequestReader::take() {
   impl_->incoming.request.body = std::move(impl_->parser->get().body());
   Incoming result = std::move(impl_->incoming);
   impl_->reset();
   return result;
}

} // namespace polis::http
