// Login tokens: JSON Web Tokens under HMAC-SHA256. Source: spec, formats §7.5.
#pragma once

#include "base/bytes.hpp"
#include "format/names.hpp"
#include "format/types.hpp"

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace polis::format {

/// A token over any JSON text.
std::string encodeJwt(ByteView key, std::string_view payload);
/// The payload, if the MAC and then the header are right.
std::optional<std::string> decodeJwt(ByteView key, std::string_view token);

/// Members are named and ordered as in the token.
struct LoginClaims {
   AccountNumber sub{};
   std::string aud{};    ///< root host of the node
   std::int64_t exp = 0; ///< unix seconds
   friend bool operator==(const LoginClaims&, const LoginClaims&) = default;
};

inline constexpr std::int64_t loginLifetimeSec = 30 * 86400;

enum class LoginRefusal : std::uint8_t { badToken, otherHost, expired };

std::string makeLoginToken(ByteView key, const LoginClaims& claims);
[[nodiscard]] std::expected<LoginClaims, LoginRefusal> checkLoginToken(ByteView key, std::string_view token,
                                                                       std::string_view rootHost, TimePointSec now);

} // namespace polis::format
