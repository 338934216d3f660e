#pragma once
#include "format/chain.hpp"
#include <optional>
#include <string>
#include <string_view>

namespace polis::http {

/// What the answer's form depends on besides the reply.
struct ReplyForm {
   bool head = false;
   bool keepAlive = true;
   bool http10 = false;
   std::string_view date;
};

/// Why `reply` may not be sent; `webSocketKey` is the request's, empty where it was no handshake.
std::optional<std::string> replyProblem(const format::HttpReply& reply, std::string_view webSocketKey);

/// Appends status line and headers. Headers that belong to the connection are ours and skipped in the reply.
void appendHead(std::string& out, const format::HttpReply& reply, const ReplyForm& form);

/// The Sec-WebSocket-Accept that answers `key`.
std::string webSocketAccept(std::string_view key);

bool equalsIgnoringCase(std::string_view a, std::string_view b);

/// Headers of one connection (Connection, Content-Length, Transfer-Encoding, …), which no service decides.
bool isConnectionHeader(std::string_view name);

/// A plain text reply.
format::HttpReply textReply(std::uint16_t status, std::string_view text);

/// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string httpDate(std::int64_t unixSeconds);

} // namespace polis::http
