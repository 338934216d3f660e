// HTTP of auth-sig: whose key is which.
#include "auth-sig/service/auth_sig.hpp"

#include "format/text_encoding.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

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

constexpr std::string_view pemLabel = "PUBLIC KEY";

std::string pem(const Bytes& der) { return format::toPem(pemLabel, der); }

auto records() { return openOf<AuthSig::Records>(AuthSig::account); }

struct AuthRecord {
   AccountNumber account;
   /// PEM.
   std::string pubkey;
};

struct Query {
   Connection<AuthRecord> accWithKey(std::string pubkeyPem, Page<AccountNumber> page) const {
      const auto der = format::fromPem(pemLabel, pubkeyPem);
      if (!der) {
         graphql::current->fail("pubkeyPem is no PEM of a PUBLIC KEY");
         return {};
      }
      return connectionOf(
          records().index<1>(), page, [](const KeyRecord& row) { return AuthRecord{row.account, pem(row.pubkey)}; },
          sha256(ByteView(*der)));
   }
   std::optional<AuthRecord> account(AccountNumber name) const {
      const auto row = records().get(name);
      return row ? std::optional(AuthRecord{row->account, pem(row->pubkey)}) : std::nullopt;
   }
};
POLIS_GRAPHQL(Query, field(accWithKey, pubkeyPem, page), field(account, name))

} // namespace

std::optional<HttpReply> AuthSigQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                std::optional<AccountNumber>) {
   if (auto reply = serveGraphql(Query{}, request))
      return reply;
   const auto path = pathOf(request);
   if (path != "/api/key" && path != "/api/accounts")
      return std::nullopt;
   if (request.method == "OPTIONS")
      return std::nullopt; // http answers a preflight
   if (request.method != "GET")
      return methodNotAllowed("GET");
   if (path == "/api/key") {
      const auto name = accountParameter(request, "account");
      if (!name)
         return apiError(400, "parameter account: an account name");
      const auto record = records().get(*name);
      if (!record)
         return apiError(404, "this account has no key");
      return jsonReply(KeyReply{*name, pem(record->pubkey), record->pubkey, record->fingerprint()});
   }
   const auto fingerprint = hashParameter(request, "fingerprint");
   if (!fingerprint)
      return apiError(400, "parameter fingerprint: 64 hexadecimal digits");
   AccountsReply reply;
   for (const auto& record : records().index<1>().range(*fingerprint)) {
      reply.accounts.push_back(record.account);
      if (reply.accounts.size() == apiRowsMax)
         break;
   }
   return jsonReply(reply);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::AuthSigQuery)
