#pragma once
// For services that answer HTTP: `std::optional<HttpReply> serveSys(HttpRequest, std::optional<std::int32_t> socket,
// std::optional<AccountNumber> user)`.

#include <polis/action.hpp>

#if __has_include("format/json.hpp")
#include "format/json.hpp"
#endif

#include <string>
#include <string_view>
#include <vector>

namespace polis::sdk {

/// Path of a request's target: without the query.
inline std::string_view pathOf(const HttpRequest& request)
{
   return std::string_view(request.target).substr(0, request.target.find('?'));
}

/// Query text of a request's target, without the question mark.
inline std::string_view queryOf(const HttpRequest& request)
{
   const auto at = request.target.find('?');
   return at == std::string::npos ? std::string_view() : std::string_view(request.target).substr(at + 1);
}

/// Decodes %XX and, in queries, `+`. Malformed escapes stay as they are.
inline std::string urlDecode(std::string_view text, bool plusIsSpace = true)
{
   std::string out;
   out.reserve(text.size());
   for (std::size_t i = 0; i < text.size(); ++i)
   {
      if (text[i] == '%' && i + 2 < text.size())
      {
         const int high = hexDigit(text[i + 1]), low = hexDigit(text[i + 2]);
         if ((high | low) >= 0)
         {
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
inline std::optional<std::string> queryParameter(const HttpRequest& request, std::string_view name)
{
   auto rest = queryOf(request);
   while (!rest.empty())
   {
      const auto item = rest.substr(0, rest.find('&'));
      rest.remove_prefix(std::min(item.size() + 1, rest.size()));
      const auto equals = item.find('=');
      if (urlDecode(item.substr(0, equals)) == name)
         return equals == std::string_view::npos ? std::string() : urlDecode(item.substr(equals + 1));
   }
   return std::nullopt;
}

inline bool equalIgnoringCase(std::string_view a, std::string_view b)
{
   auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
   if (a.size() != b.size())
      return false;
   for (std::size_t i = 0; i < a.size(); ++i)
      if (lower(a[i]) != lower(b[i]))
         return false;
   return true;
}

/// First header of this name, in any letter case.
inline std::optional<std::string_view> headerOf(const HttpRequest& request, std::string_view name)
{
   for (const auto& header : request.headers)
      if (equalIgnoringCase(header.name, name))
         return header.value;
   return std::nullopt;
}

/// Media type of the request body, without parameters, as sent.
inline std::string_view mediaTypeOf(const HttpRequest& request)
{
   std::string_view type = request.contentType;
   type = type.substr(0, type.find(';'));
   while (!type.empty() && type.back() == ' ')
      type.remove_suffix(1);
   return type;
}

/// Lets pages of every origin read the reply.
inline std::vector<HttpHeader> allowCors()
{
   return {{"Access-Control-Allow-Origin", "*"},
           {"Access-Control-Allow-Methods", "POST, GET, OPTIONS, HEAD, PUT, DELETE"},
           {"Access-Control-Allow-Headers", "*"}};
}

inline HttpReply httpReply(std::uint16_t status, std::string_view contentType, std::string_view body,
                           std::vector<HttpHeader> headers = {})
{
   HttpReply reply;
   reply.status = status;
   reply.contentType = contentType;
   reply.body = toBytes(body);
   reply.headers = std::move(headers);
   return reply;
}

/// 200 with JSON text, readable from every origin.
inline HttpReply jsonTextReply(std::string_view json)
{
   return httpReply(200, "application/json", json, allowCors());
}

/// 200 with the value as JSON, readable from every origin.
template <class T>
HttpReply jsonReply(const T& value)
{
   return jsonTextReply(toJson(value));
}

inline HttpReply textReply(std::uint16_t status, std::string_view text)
{
   return httpReply(status, "text/html", text, allowCors());
}

/// 405 that names what is allowed.
inline HttpReply methodNotAllowed(std::string_view allowed)
{
   return httpReply(405, "text/html", "Method not allowed", {{"Allow", std::string(allowed)}});
}

/// Splits a path into its parts: "/api/balance/alice" → {"api", "balance", "alice"}, each decoded.
inline std::vector<std::string> pathParts(const HttpRequest& request)
{
   std::vector<std::string> parts;
   auto rest = pathOf(request);
   while (!rest.empty())
   {
      if (rest.front() == '/')
      {
         rest.remove_prefix(1);
         continue;
      }
      const auto part = rest.substr(0, rest.find('/'));
      parts.push_back(urlDecode(part, false));
      rest.remove_prefix(part.size());
   }
   return parts;
}

}  // namespace polis::sdk
