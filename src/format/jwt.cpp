#include "format/jwt.hpp"

#include "format/hash.hpp"
#include "format/json.hpp"
#include "format/text_encoding.hpp"

namespace polis::format {
namespace {

struct JwtHeader {
   std::string typ;
   std::string alg;
};

/// Takes as long for equal as for different bytes.
bool equalInConstantTime(ByteView a, ByteView b) {
   if (a.size() != b.size())
      return false;
   unsigned difference = 0;
   for (std::size_t i = 0; i < a.size(); ++i)
      difference |= static_cast<unsigned>(a[i] ^ b[i]);
   return difference == 0;
}

} // namespace

std::string encodeJwt(ByteView key, std::string_view payload) {
   std::string token = toBase64Url(asBytes(R"({"typ":"JWT","alg":"HS256"})")) + '.' + toBase64Url(asBytes(payload));
   const Checksum256 mac = hmacSha256(key, asBytes(token));
   return token + '.' + toBase64Url(mac);
}

std::optional<std::string> decodeJwt(ByteView key, std::string_view token) {
   const std::size_t last = token.rfind('.');
   if (last == std::string_view::npos)
      return std::nullopt;
   const std::string_view covered = token.substr(0, last);
   const std::size_t first = covered.find('.');
   if (first == std::string_view::npos || covered.find('.', first + 1) != std::string_view::npos)
      return std::nullopt;
   const auto mac = fromBase64Url(token.substr(last + 1));
   if (!mac || !equalInConstantTime(*mac, hmacSha256(key, asBytes(covered))))
      return std::nullopt;
   const auto headerText = fromBase64Url(covered.substr(0, first));
   const auto payload = fromBase64Url(covered.substr(first + 1));
   if (!headerText || !payload)
      return std::nullopt;
   const auto header = fromJson<JwtHeader>(asText(*headerText));
   if (!header || header->typ != "JWT" || header->alg != "HS256")
      return std::nullopt;
   return toText(*payload);
}

std::string makeLoginToken(ByteView key, const LoginClaims& claims) { return encodeJwt(key, toJson(claims)); }

std::expected<LoginClaims, LoginRefusal> checkLoginToken(ByteView key, std::string_view token,
                                                         std::string_view rootHost, TimePointSec now) {
   const auto payload = decodeJwt(key, token);
   if (!payload)
      return std::unexpected(LoginRefusal::badToken);
   auto claims = fromJson<LoginClaims>(*payload);
   if (!claims)
      return std::unexpected(LoginRefusal::badToken);
   if (claims->aud != rootHost)
      return std::unexpected(LoginRefusal::otherHost);
   if (now.seconds > claims->exp)
      return std::unexpected(LoginRefusal::expired);
   return *claims;
}

} // namespace polis::format
