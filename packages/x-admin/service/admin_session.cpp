#include "x_admin.hpp"

#include "x-http/service/x_http.hpp"

namespace polis::services::admin {

namespace {

constexpr std::int64_t sessionSeconds = 30 * 86'400;
constexpr std::size_t sessionsMax = 64;
/// Over TLS a cookie that no other host can set, otherwise a plain one.
constexpr std::string_view secureName = "__Host-ADMIN", plainName = "ADMIN";

struct TokenHash {
   Checksum256 sha256{};
};
struct Claim {
   std::string token;
};

HttpReply text(std::uint16_t status, std::string_view message) { return httpReply(status, "text/html", message); }

std::int64_t nowSeconds() {
   std::uint64_t ns = 0;
   env::polis_clockTimeGet(0, &ns);
   return static_cast<std::int64_t>(ns / 1'000'000'000);
}

std::string randomHex() {
   std::uint8_t bytes[32];
   env::polis_getRandom(bytes, sizeof bytes);
   static constexpr char digits[] = "0123456789abcdef";
   std::string out;
   for (const auto byte : bytes) {
      out += digits[byte >> 4];
      out += digits[byte & 15];
   }
   return out;
}

/// The session secrets that the request presents.
std::vector<std::string_view> secretsOf(const HttpRequest& request) {
   auto secrets = cookiesOf(request, secureName);
   secrets.append_range(cookiesOf(request, plainName));
   return secrets;
}

bool isSecure(const HttpRequest& request, std::optional<std::int32_t> socket) {
   if (const auto proto = headerOf(request, "X-Forwarded-Proto"))
      return *proto == "https";
   return socket && to<XHttp>().isSecure(*socket);
}

HttpReply withCookie(const HttpRequest& request, std::optional<std::int32_t> socket, std::string_view secret,
                     std::int64_t seconds) {
   const bool secure = isSecure(request, socket);
   std::string cookie(secure ? secureName : plainName);
   ((cookie += '=') += secret) += "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(seconds);
   if (secure)
      cookie += "; Secure";
   auto reply = httpReply(200, "application/json", "{}");
   reply.headers.push_back({"Set-Cookie", std::move(cookie)});
   return reply;
}

} // namespace

HttpReply putToken(const HttpRequest& request) {
   if (mediaTypeOf(request) != "application/json")
      return text(415, "Content-Type must be application/json\n");
   const auto row = fromJson<TokenHash>(asText(request.body));
   if (!row || row->sha256 == Checksum256{})
      return text(400, "expected {\"sha256\"}\n");
   subjectively([&] { open<XAdmin::Token>(Mode::readWrite).put({row->sha256}); });
   return text(200, "");
}

HttpReply claim(const HttpRequest& request, std::optional<std::int32_t> socket) {
   if (mediaTypeOf(request) != "application/json")
      return text(415, "Content-Type must be application/json\n");
   const auto wish = fromJson<Claim>(asText(request.body));
   if (!wish || wish->token.empty())
      return text(400, "expected {\"token\"}\n");
   const auto hash = sha256(asBytes(wish->token));
   const auto secret = randomHex();
   const auto now = nowSeconds();
   const bool accepted = subjectively([&] {
      auto tokens = open<XAdmin::Token>(Mode::readWrite);
      const auto row = tokens.get();
      if (!row || row->sha256 != hash)
         return false;
      tokens.erase();
      auto sessions = open<XAdmin::Sessions>(Mode::readWrite);
      std::vector<AdminSession> all;
      for (const auto& session : sessions)
         all.push_back(session);
      std::size_t live = 0;
      std::optional<AdminSession> oldest;
      for (const auto& session : all) {
         if (session.expires <= now) {
            sessions.erase(session.sha256);
            continue;
         }
         ++live;
         if (!oldest || session.expires < oldest->expires)
            oldest = session;
      }
      if (live >= sessionsMax)
         sessions.erase(oldest->sha256);
      sessions.put({sha256(asBytes(secret)), now + sessionSeconds});
      return true;
   });
   if (!accepted)
      return text(403, "This link was used already, or is not of this node.\n");
   return withCookie(request, socket, secret, sessionSeconds);
}

HttpReply leave(const HttpRequest& request, std::optional<std::int32_t> socket) {
   if (mediaTypeOf(request) != "application/json")
      return text(415, "Content-Type must be application/json\n");
   for (const auto secret : secretsOf(request)) {
      const auto hash = sha256(asBytes(secret));
      subjectively([&] { open<XAdmin::Sessions>(Mode::readWrite).erase(hash); });
   }
   return withCookie(request, socket, "", 0);
}

bool hasSession(const HttpRequest& request) {
   for (const auto secret : secretsOf(request)) {
      const auto hash = sha256(asBytes(secret));
      const auto row = subjectively([&] { return open<XAdmin::Sessions>().get(hash); });
      if (row && row->expires > nowSeconds())
         return true;
   }
   return false;
}

} // namespace polis::services::admin
