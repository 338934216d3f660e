// HTTP of auth-delg: GraphQL.
#include "auth-delg/service/auth_delg.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(AuthDelegateQuery, AuthDelegate::account)

namespace {

auto records() { return openOf<AuthDelegate::Records>(AuthDelegate::account); }

struct Query {
   /// What the account owns.
   Connection<DelegateRecord> owned(AccountNumber account, Page<AccountNumber> page) const {
      return connection(records().index<1>(), page, account);
   }
   /// Who owns the account.
   std::optional<DelegateRecord> owner(AccountNumber account) const { return records().get(account); }
};
POLIS_GRAPHQL(Query, field(owned, account, page), field(owner, account))

} // namespace

std::optional<HttpReply> AuthDelegateQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                     std::optional<AccountNumber>) {
   return serveGraphql(Query{}, request);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::AuthDelegateQuery)
