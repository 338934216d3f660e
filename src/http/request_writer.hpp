#pragma once
#include "format/chain.hpp"
#include <string>
#include <string_view>

namespace polis::http {

/// Appends request line and headers; the body follows as it is. `authority` is the Host header.
void appendRequestHead(std::string& out, const format::HttpRequest& request, std::string_view authority,
                       bool keepAlive);

/// True when the request may be sent: known method, a path as target, no control characters in headers.
bool isSendable(const format::HttpRequest& request);

/// True when the request asks for a WebSocket.
bool asksWebSocket(const format::HttpRequest& request);

/// True for localhost and names under it, which are always this machine.
bool isLocalhostName(std::string_view host);

} // namespace polis::http
