#include "common_api.hpp"

#include "http/service/http.hpp"
#include "sites/service/sites.hpp"

namespace polis::services {

namespace {

struct AuthCookie {
   std::string accessToken;
};

/// A Transaction as client tools write it: nested objects instead of packed bytes.
struct PlainSignedTransaction {
   Transaction transaction;
   std::vector<Bytes> proofs;
   std::optional<std::vector<Bytes>> subjectiveData;
};

template <class T>
std::optional<T> readJsonBody(const HttpRequest& request) {
   auto value = fromJson<T>(asText(request.body));
   return value ? std::optional(std::move(*value)) : std::nullopt;
}

HttpReply packed(const Bytes& bytes) { return httpReply(200, "application/octet-stream", asText(bytes), allowCors()); }

HttpReply badJson() { return httpReply(400, "text/html", "malformed JSON\n", allowCors()); }

/// Pages of the supervisor, and of nobody else, may log in and out with cookies.
std::vector<HttpHeader> supervisorCors(const HttpRequest& request, std::optional<std::int32_t> socket) {
   return {{"Access-Control-Allow-Origin", to<Http>().getSiblingUrl(request, socket, "supervisor"_a, false)},
           {"Access-Control-Allow-Methods", "POST, OPTIONS"},
           {"Access-Control-Allow-Headers", "Content-Type"},
           {"Access-Control-Allow-Credentials", "true"}};
}

/// A token is one word; anything else could smuggle attributes into the cookie.
bool isToken(std::string_view text) {
   for (const char c : text)
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
            c == '.'))
         return false;
   return !text.empty();
}

HttpReply setCookie(const HttpRequest& request, std::optional<std::int32_t> socket, std::string_view token, bool keep) {
   const auto root = to<Http>().rootHost(request.host);
   const bool isLocal = root == "localhost" || root.ends_with(".localhost");
   std::string cookie(isLocal ? "SESSION=" : "__Host-SESSION=");
   cookie += token;
   cookie += "; Path=/; HttpOnly; SameSite=Strict; Max-Age=";
   cookie += keep ? "2592000" : "0";
   if (!isLocal)
      cookie += "; Secure";
   auto headers = supervisorCors(request, socket);
   headers.push_back({"Set-Cookie", std::move(cookie)});
   return httpReply(200, "text/html", "", std::move(headers));
}

} // namespace

std::optional<HttpReply> CommonApi::serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                             std::optional<AccountNumber> user) {
   check(getSender() == Http::account, "requests come from http");
   const auto path = pathOf(request);
   if (request.method == "GET" || request.method == "HEAD") {
      if (path == "/common/chainid") {
         const auto status = native::status();
         return jsonReply(status ? status->chainId : Checksum256{});
      }
      if (path == "/common/thisservice") {
         const auto root = to<Http>().rootHost(request.host);
         check(request.host.size() > root.size() + 1, "the root host is no service");
         return jsonReply(request.host.substr(0, request.host.size() - root.size() - 1));
      }
      if (path == "/common/rootdomain")
         return jsonReply(to<Http>().rootHost(request.host));
      if (path == "/common/tapos/head") {
         const StatusView status;
         struct Tapos {
            std::uint8_t refBlockIndex = 0;
            std::uint32_t refBlockSuffix = 0;
         } tapos;
         if (status.hasHead())
            tapos = {static_cast<std::uint8_t>(status.headNum() & 0x7f), refBlockSuffix(status.headId())};
         std::string body;
         JsonWriter writer(body);
         writer.beginObject();
         writer.key("refBlockIndex");
         writer.integer(tapos.refBlockIndex);
         writer.key("refBlockSuffix");
         writer.integer(tapos.refBlockSuffix);
         writer.endObject();
         return jsonTextReply(body);
      }
      // libraries that every subdomain offers are files of this one's site
      request.host = account.str() + "." + to<Http>().rootHost(request.host);
      return to<Sites>().serveSys(std::move(request), socket, user);
   }
   const bool isCookie = path == "/common/set-auth-cookie" || path == "/common/remove-auth-cookie";
   if (request.method == "OPTIONS" && isCookie)
      return httpReply(200, "", "", supervisorCors(request, socket));
   if (request.method != "POST")
      return std::nullopt;
   if (path == "/common/pack/Transaction") {
      const auto trx = readJsonBody<Transaction>(request);
      return trx ? packed(pack(*trx)) : badJson();
   }
   if (path == "/common/pack/SignedTransaction") {
      if (const auto trx = readJsonBody<SignedTransaction>(request))
         return packed(pack(*trx));
      const auto plain = readJsonBody<PlainSignedTransaction>(request);
      if (!plain)
         return badJson();
      return packed(
          pack(SignedTransaction{Nested<Transaction>(plain->transaction), plain->proofs, plain->subjectiveData}));
   }
   if (isCookie) {
      // a page of another origin could otherwise log the visitor in or out
      const auto origin = headerOf(request, "Origin");
      if (origin && *origin != to<Http>().getSiblingUrl(request, socket, "supervisor"_a, false))
         return httpReply(403, "text/html", "only the supervisor sets this cookie\n");
      if (path == "/common/remove-auth-cookie")
         return setCookie(request, socket, "", false);
      const auto cookie = readJsonBody<AuthCookie>(request);
      if (!cookie || !isToken(cookie->accessToken))
         return badJson();
      return setCookie(request, socket, cookie->accessToken, true);
   }
   return std::nullopt;
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::CommonApi)
