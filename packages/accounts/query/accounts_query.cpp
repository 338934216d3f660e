// HTTP of accounts: who exists.
#include "accounts/service/accounts.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(AccountsQuery, Accounts::account)

namespace {

struct AccountReply {
   AccountNumber name;
   AccountNumber authService;
   std::uint64_t authSequence = 0;
};

struct AccountsReply {
   std::vector<AccountReply> accounts;
   std::optional<AccountNumber> next;
};

struct Query {
   std::optional<Account> getAccount(AccountNumber accountName) const {
      return openOf<AccountTable>(Accounts::account).get(accountName);
   }
   /// In the order of the names; null where there is no such account.
   std::vector<std::optional<Account>> getAccounts(std::vector<AccountNumber> accountNames) const {
      std::vector<std::optional<Account>> found;
      for (const auto name : accountNames)
         if (graphql::current->charge(1))
            found.push_back(getAccount(name));
      return found;
   }
};
POLIS_GRAPHQL(Query, field(getAccount, accountName), field(getAccounts, accountNames))

AccountReply describe(const Account& row) { return {row.accountNum, row.authService, row.authSequence}; }

} // namespace

std::optional<HttpReply> AccountsQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                 std::optional<AccountNumber>) {
   if (auto reply = serveGraphql(Query{}, request))
      return reply;
   const auto path = pathOf(request);
   if (path != "/api/account" && path != "/api/accounts" && path != "/api/status")
      return std::nullopt;
   if (request.method == "OPTIONS")
      return std::nullopt; // http answers a preflight
   if (request.method != "GET")
      return methodNotAllowed("GET");
   if (path == "/api/status")
      return jsonReply(openOf<AccountsStatusTable>(Accounts::account).get().value_or(AccountsStatus{}));
   const auto accounts = openOf<AccountTable>(Accounts::account);
   if (path == "/api/account") {
      const auto name = accountParameter(request, "name");
      if (!name)
         return apiError(400, "parameter name: an account name");
      const auto row = accounts.get(*name);
      return row ? jsonReply(describe(*row)) : apiError(404, "no such account");
   }
   const auto limit = limitParameter(request, 50);
   const auto after = accountParameter(request, "after");
   if (!after && queryParameter(request, "after"))
      return apiError(400, "parameter after: an account name");
   AccountsReply reply;
   const auto all = accounts.range();
   for (const auto& row : after ? all.from(AccountNumber{after->value + 1}) : all) {
      if (reply.accounts.size() == limit) {
         reply.next = reply.accounts.back().name;
         break;
      }
      reply.accounts.push_back(describe(row));
   }
   return jsonReply(reply);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::AccountsQuery)
