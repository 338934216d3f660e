// The one-time token with which whoever started the node administers it from another device, and what it opens.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

/// The token that is still to be used; the token itself is known only to whom it was shown.
struct AdminToken {
   Checksum256 sha256{};
};

/// A browser that presented the token. Its secret is in its cookie only.
struct AdminSession {
   Checksum256 sha256{};
   std::int64_t expires = 0; ///< seconds since 1970
};

namespace admin {

/// Made by the service, whose tables these are: POST /admin_token {"sha256"}, by an administrator. Replaces a token
/// that was not used yet.
HttpReply putToken(const HttpRequest& request);
/// POST /admin_claim {"token"}, by anybody who has it: the token is used up, and the caller's browser administers this
/// node until the cookie expires or POST /admin_leave.
HttpReply claim(const HttpRequest& request, std::optional<std::int32_t> socket);
HttpReply leave(const HttpRequest& request, std::optional<std::int32_t> socket);
/// Whether the request comes from a browser that did.
bool hasSession(const HttpRequest& request);

} // namespace admin

} // namespace polis::services
