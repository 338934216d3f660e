// HTTP of auth-sig: whose key is which.
#include "auth-sig/service/auth_sig.hpp"

#include <polis/api.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(AuthSigQuery, AuthSig::account)

namespace {

struct KeyReply {
   AccountNumber account;
   std::string pubkey;
   Bytes spki;
   Checksum256 fingerprint{};
};

struct AccountsReply {
   std::vector<AccountNumber> accounts;
};

std::string pem(const Bytes& der) {
   static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
   std::string base64;
   for (std::size_t i = 0; i < der.size(); i += 3) {
      const auto left = der.size() - i;
      const std::uint32_t bits = static_cast<std::uint32_t>(der[i]) << 16 |
                                 (left > 1 ? static_cast<std::uint32_t>(der[i + 1]) << 8 : 0) |
                                 (left > 2 ? der[i + 2] : 0);
      base64 += digits[bits >> 18];
      base64 += digits[bits >> 12 & 63];
      base64 += left > 1 ? digits[bits >> 6 & 63] : '=';
      base64 += left > 2 ? digits[bits & 63] : '=';
   }
   std::string text = "-----BEGIN PUBLIC KEY-----\n";
   for (std::size_t i = 0; i < base64.size(); i += 64)
      text += base64.substr(i, 64) + "\n";
   return text + "-----END PUBLIC KEY-----\n";
}

} // namespace

std::optional<HttpReply> AuthSigQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                std::optional<AccountNumber>) {
   const auto path = pathOf(request);
   if (path != "/api/key" && path != "/api/accounts")
      return std::nullopt;
   if (request.method == "OPTIONS")
      return std::nullopt; // http answers a preflight
   if (request.method != "GET")
      return methodNotAllowed("GET");
   const auto records = openOf<AuthSig::Records>(AuthSig::account);
   if (path == "/api/key") {
      const auto name = accountParameter(request, "account");
      if (!name)
         return apiError(400, "parameter account: an account name");
      const auto record = records.get(*name);
      if (!record)
         return apiError(404, "this account has no key");
      return jsonReply(KeyReply{*name, pem(record->pubkey), record->pubkey, record->fingerprint()});
   }
   const auto fingerprint = hashParameter(request, "fingerprint");
   if (!fingerprint)
      return apiError(400, "parameter fingerprint: 64 hexadecimal digits");
   AccountsReply reply;
   for (const auto& record : records.index<1>().range(*fingerprint)) {
      reply.accounts.push_back(record.account);
      if (reply.accounts.size() == apiRowsMax)
         break;
   }
   return jsonReply(reply);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::AuthSigQuery)
