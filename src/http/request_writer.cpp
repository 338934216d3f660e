#include "http/request_writer.hpp"
#include "base/bytes.hpp"
#include "http/reply_writer.hpp"
#include <algorithm>
#include <array>

namespace polis::http {

namespace {

bool isPrintable(std::string_view text) {
   return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

} // namespace

void appendRequestHead(std::string& out, const format::HttpRequest& request, std::string_view authority,
                       bool keepAlive) {
   out += request.method;
   out += ' ';
   out += request.target;
   out += " HTTP/1.1\r\nHost: ";
   out += authority;
   out += "\r\n";
   if (!request.contentType.empty()) {
      out += "Content-Type: ";
      out += request.contentType;
      out += "\r\n";
   }
   for (const auto& header : request.headers) {
      if (isConnectionHeader(header.name) || equalsIgnoringCase(header.name, "Host") ||
          (equalsIgnoringCase(header.name, "Content-Type") && !request.contentType.empty()))
         continue;
      out += header.name;
      out += ": ";
      out += header.value;
      out += "\r\n";
   }
   if (!request.body.empty() || request.method == "POST" || request.method == "PUT")
      out += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
   if (!keepAlive)
      out += "Connection: close\r\n";
   out += "\r\n";
}

bool isSendable(const format::HttpRequest& request) {
   static constexpr std::array<std::string_view, 6> methods = {"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"};
   if (std::ranges::find(methods, request.method) == methods.end())
      return false;
   if (request.target.empty() || request.target.front() != '/' || request.target.find(' ') != std::string::npos)
      return false;
   if (!isPrintable(request.target) || !isPrintable(request.host) || !isPrintable(request.contentType))
      return false;
   return std::ranges::all_of(request.headers, [](const auto& h) {
      return !h.name.empty() && isPrintable(h.name) && h.name.find_first_of(": ") == std::string::npos &&
             isPrintable(h.value);
   });
}

bool asksWebSocket(const format::HttpRequest& request) {
   return request.method == "GET" && std::ranges::any_of(request.headers, [](const auto& h) {
             return equalsIgnoringCase(h.name, "Upgrade") && equalsIgnoringCase(h.value, "websocket");
          });
}

bool isLocalhostName(std::string_view host) {
   static constexpr std::string_view suffix = "localhost";
   if (host.size() < suffix.size() || !equalsIgnoringCase(host.substr(host.size() - suffix.size()), suffix))
      return false;
   return host.size() == suffix.size() || host[host.size() - suffix.size() - 1] == '.';
}

} // namespace polis::http
