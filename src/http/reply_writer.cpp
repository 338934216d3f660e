#include "http/reply_writer.hpp"
#include "base/bytes.hpp"
#include <algorithm>
#include <array>
#include <boost/beast/http/status.hpp>
#include <charconv>
#include <ctime>
#include <openssl/evp.h>

namespace polis::http {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool isTokenCharacter(char c) {
   static constexpr std::string_view extra = "!#$%&'*+-.^_`|~";
   return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || extra.find(c) != std::string_view::npos;
}

bool isValue(std::string_view text) {
   return std::ranges::none_of(text,
                               [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; });
}

bool hasWord(std::string_view list, std::string_view word) {
   while (!list.empty()) {
      const auto end = std::min(list.find(','), list.size());
      std::string_view item = list.substr(0, end);
      while (!item.empty() && item.front() == ' ')
         item.remove_prefix(1);
      while (!item.empty() && item.back() == ' ')
         item.remove_suffix(1);
      if (equalsIgnoringCase(item, word))
         return true;
      list.remove_prefix(std::min(end + 1, list.size()));
   }
   return false;
}

const std::string* find(const format::HttpReply& reply, std::string_view name) {
   for (const auto& header : reply.headers)
      if (equalsIgnoringCase(header.name, name))
         return &header.value;
   return nullptr;
}

void appendNumber(std::string& out, std::size_t number) {
   std::array<char, 24> text;
   const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
   out.append(text.data(), end);
}

} // namespace

bool equalsIgnoringCase(std::string_view a, std::string_view b) {
   return a.size() == b.size() &&
          std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

bool isConnectionHeader(std::string_view name) {
   static constexpr std::array<std::string_view, 7> ours = {
       "Connection", "Content-Length", "Transfer-Encoding", "Keep-Alive", "Upgrade", "Proxy-Connection", "Trailer"};
   return std::ranges::any_of(ours, [&](std::string_view x) { return equalsIgnoringCase(x, name); });
}

std::string webSocketAccept(std::string_view key) {
   std::string text(key);
   text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
   std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
   unsigned int digestBytes = 0;
   EVP_Digest(text.data(), text.size(), digest.data(), &digestBytes, EVP_sha1(), nullptr);
   std::array<unsigned char, 64> encoded;
   const int n = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digestBytes));
   return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(n)};
}

std::optional<std::string> replyProblem(const format::HttpReply& reply, std::string_view webSocketKey) {
   const auto status = reply.status;
   if (status != 101 && (status < 200 || status > 599))
      return "The service replied with status " + std::to_string(status) + ", which is not one of 200 to 599.";
   if (!isValue(reply.contentType))
      return "The service's content type has a control character.";
   for (const auto& header : reply.headers) {
      if (header.name.empty() || !std::ranges::all_of(header.name, isTokenCharacter))
         return "The service replied with an invalid header name.";
      if (!isValue(header.value))
         return "The service's header " + header.name + " has a control character.";
   }
   if (status != 101)
      return std::nullopt;
   if (webSocketKey.empty())
      return "The service accepted a WebSocket, but the request did not ask for one.";
   const std::string* upgrade = find(reply, "Upgrade");
   const std::string* connection = find(reply, "Connection");
   const std::string* accept = find(reply, "Sec-WebSocket-Accept");
   if (!upgrade || !equalsIgnoringCase(*upgrade, "websocket") || !connection || !hasWord(*connection, "upgrade") ||
       (accept && *accept != webSocketAccept(webSocketKey))) // left out, the node computes it
      return "The service's 101 reply is not a valid WebSocket handshake.";
   return std::nullopt;
}

void appendHead(std::string& out, const format::HttpReply& reply, const ReplyForm& form) {
   out += form.http10 ? "HTTP/1.0 " : "HTTP/1.1 ";
   appendNumber(out, reply.status);
   out += ' ';
   const auto reason = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(reply.status));
   out.append(reason.data(), reason.size());
   out += "\r\n";
   if (!form.date.empty()) {
      out += "Date: ";
      out += form.date;
      out += "\r\n";
   }
   if (!reply.contentType.empty()) {
      out += "Content-Type: ";
      out += reply.contentType;
      out += "\r\n";
   }
   for (const auto& header : reply.headers) {
      if (isConnectionHeader(header.name))
         continue;
      out += header.name;
      out += ": ";
      out += header.value;
      out += "\r\n";
   }
   const bool bodiless = reply.status == 204 || reply.status == 304;
   if (!bodiless && !(form.head && reply.body.empty())) {
      out += "Content-Length: ";
      appendNumber(out, reply.body.size());
      out += "\r\n";
   }
   if (!form.keepAlive)
      out += "Connection: close\r\n";
   else if (form.http10)
      out += "Connection: keep-alive\r\n";
   out += "\r\n";
}

format::HttpReply textReply(std::uint16_t status, std::string_view text) {
   format::HttpReply reply;
   reply.status = status;
   reply.contentType = "text/plain; charset=utf-8";
   reply.body.assign(text.begin(), text.end());
   reply.body.push_back('\n');
   return reply;
}

std::string httpDate(std::int64_t unixSeconds) {
   static constexpr std::array<const char*, 7> days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
   static constexpr std::array<const char*, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
   const std::time_t t = unixSeconds;
   std::tm tm{};
   gmtime_r(&t, &tm);
   std::array<char, 48> text;
   const int n = std::snprintf(
       text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[static_cast<std::size_t>(tm.tm_wday)],
       tm.tm_mday, months[static_cast<std::size_t>(tm.tm_mon)], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
   return {text.data(), static_cast<std::size_t>(n)};
}

} // namespace polis::http
