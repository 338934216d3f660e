#pragma once
// For services that answer HTTP: `std::optional<HttpReply> serveSys(HttpRequest, std::optional<std::int32_t> socket,
// std::optional<AccountNumber> user)`.

#include <polis/action.hpp>

#include "format/json.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace polis::sdk {

/// Path of a request's target: without the query.
inline std::string_view pathOf(const HttpRequest& request) {
   return std::string_view(request.target).substr(0, request.target.find('?'));
}

/// Query text of a request's target, without the question mark.
inline std::string_view queryOf(const HttpRequest& request) {
   const auto at = request.target.find('?');
   return at == std::string::npos ? std::string_view() : std::string_view(request.target).substr(at + 1);
}

/// Decodes %XX and, in queries, `+`. Malformed escapes stay as they are.
inline std::string urlDecode(std::string_view text, bool plusIsSpace = true) {
   std::string out;
   out.reserve(text.size());
   for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '%' && i + 2 < text.size()) {
         const int high = hexDigit(text[i + 1]), low = hexDigit(text[i + 2]);
         if ((high | low) >= 0) {
            out.push_back(static_cast<char>(high << 4 | low));
            i += 2;
            continue;
         }
      }
      out.push_back(text[i] == '+' && plusIsSpace ? ' ' : text[i]);
   }
   return out;
}

/// Value of a query parameter, decoded; nothing when absent.
inline std::optional<std::string> queryParameter(const HttpRequest& request, std::string_view name) {
   auto rest = queryOf(request);
   while (!rest.empty()) {
      const auto item = rest.substr(0, rest.find('&'));
      rest.remove_prefix(std::min(item.size() + 1, rest.size()));
      const auto equals = item.find('=');
      if (urlDecode(item.substr(0, equals)) == name)
         return equals == std::string_view::npos ? std::string() : urlDecode(item.substr(equals + 1));
   }
   return std::nullopt;
}

inline bool equalIgnoringCase(std::string_view a, std::string_view b) {
   auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
   if (a.size() != b.size())
      return false;
   for (std::size_t i = 0; i < a.size(); ++i)
      if (lower(a[i]) != lower(b[i]))
         return false;
   return true;
}

/// First header of this name, in any letter case.
inline std::optional<std::string_view> headerOf(const HttpRequest& request, std::string_view name) {
   for (const auto& header : request.headers)
      if (equalIgnoringCase(header.name, name))
         return header.value;
   return std::nullopt;
}

/// Values of all cookies of this name, in the order sent. They live as long as the request.
inline std::vector<std::string_view> cookiesOf(const HttpRequest& request, std::string_view name) {
   std::vector<std::string_view> values;
   for (const auto& header : request.headers) {
      if (!equalIgnoringCase(header.name, "Cookie"))
         continue;
      std::string_view rest = header.value;
      while (!rest.empty()) {
         auto item = rest.substr(0, rest.find(';'));
         rest.remove_prefix(std::min(rest.size(), item.size() + 1));
         item.remove_prefix(std::min(item.find_first_not_of(' '), item.size()));
         if (item.size() > name.size() && item.starts_with(name) && item[name.size()] == '=')
            values.push_back(item.substr(name.size() + 1));
      }
   }
   return values;
}

/// Media type of the request body, without parameters, as sent.
inline std::string_view mediaTypeOf(const HttpRequest& request) {
   std::string_view type = request.contentType;
   type = type.substr(0, type.find(';'));
   while (!type.empty() && type.back() == ' ')
      type.remove_suffix(1);
   return type;
}

/// Lets pages of every origin read the reply.
inline std::vector<HttpHeader> allowCors() {
   return {{"Access-Control-Allow-Origin", "*"},
           {"Access-Control-Allow-Methods", "POST, GET, OPTIONS, HEAD, PUT, DELETE"},
           {"Access-Control-Allow-Headers", "*"}};
}

inline HttpReply httpReply(std::uint16_t status, std::string_view contentType, std::string_view body,
                           std::vector<HttpHeader> headers = {}) {
   HttpReply reply;
   reply.status = status;
   reply.contentType = contentType;
   reply.body = toBytes(body);
   reply.headers = std::move(headers);
   return reply;
}

/// 200 with JSON text, readable from every origin.
inline HttpReply jsonTextReply(std::string_view json) { return httpReply(200, "application/json", json, allowCors()); }

/// 200 with the value as JSON, readable from every origin.
template <class T>
HttpReply jsonReply(const T& value) {
   return jsonTextReply(toJson(value));
}

inline HttpReply textReply(std::uint16_t status, std::string_view text) {
   return httpReply(status, "text/html", text, allowCors());
}

/// 405 that names what is allowed.
inline HttpReply methodNotAllowed(std::string_view allowed) {
   return httpReply(405, "text/html", "Method not allowed", {{"Allow", std::string(allowed)}});
}

/// Splits a path into its parts: "/api/balance/alice" → {"api", "balance", "alice"}, each decoded.
inline std::vector<std::string> pathParts(const HttpRequest& request) {
   std::vector<std::string> parts;
   auto rest = pathOf(request);
   while (!rest.empty()) {
      if (rest.front() == '/') {
         rest.remove_prefix(1);
         continue;
      }
      const auto part = rest.substr(0, rest.find('/'));
      parts.push_back(urlDecode(part, false));
      rest.remove_prefix(part.size());
   }
   return parts;
}

/// Views into a packed HttpRequest that the kernel or a service of the pipeline made; nothing is copied.
class RequestView {
public:
   explicit RequestView(ByteView packed) : packed_(packed) {}

   std::string_view host() const { return text(2); }
   std::string_view method() const { return text(6); }
   std::string_view target() const { return text(10); }
   std::string_view contentType() const { return text(14); }
   std::string_view path() const { return target().substr(0, target().find('?')); }

   /// First header of this name, in any letter case.
   std::optional<std::string_view> header(std::string_view name) const {
      const auto list = body(18);
      if (list.size() < 4)
         return std::nullopt;
      const auto count = detail::loadU32(list.data()) / 4;
      for (std::uint32_t i = 0; i < count; ++i) {
         // each header is a fixed struct of two offsets
         const auto slot = 4 + std::size_t{i} * 4;
         if (list.size() < slot + 4)
            break;
         const auto at = slot + detail::loadU32(list.data() + slot);
         if (list.size() < 8 || at > list.size() - 8)
            break;
         if (equalIgnoringCase(asText(listAt(list, at)), name))
            return asText(listAt(list, at + 4));
      }
      return std::nullopt;
   }

   ByteView packed() const { return packed_; }

private:
   /// The rest of the buffer from the body that the offset word at `slot` points to; empty for an empty list.
   ByteView body(std::size_t slot) const {
      if (packed_.size() < slot + 4)
         return {};
      const auto offset = detail::loadU32(packed_.data() + slot);
      if (offset < 4 || offset > packed_.size() - slot)
         return {};
      return packed_.subspan(slot + offset);
   }
   static ByteView listAt(ByteView buffer, std::size_t slot) {
      if (buffer.size() < slot + 4)
         return {};
      const auto offset = detail::loadU32(buffer.data() + slot);
      if (offset < 4 || slot + offset + 4 > buffer.size())
         return {};
      const auto size = detail::loadU32(buffer.data() + slot + offset);
      if (size > buffer.size() - slot - offset - 4)
         return {};
      return buffer.subspan(slot + offset + 4, size);
   }
   std::string_view text(std::size_t slot) const { return asText(listAt(packed_, slot)); }

   ByteView packed_;
};

} // namespace polis::sdk
