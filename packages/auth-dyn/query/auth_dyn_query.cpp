// HTTP of auth-dyn: GraphQL.
#include "auth-dyn/service/auth_dyn.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(AuthDynamicQuery, AuthDynamic::account)

namespace {

auto managements() { return openOf<AuthDynamic::Managements>(AuthDynamic::account); }

struct Query {
   /// Who manages the account.
   std::optional<Management> getManagement(AccountNumber account) const { return managements().get(account); }
   /// What the account manages.
   Connection<Management> getManaged(AccountNumber manager, Page<AccountNumber> page) const {
      return connection(managements().index<1>(), page, manager);
   }
};
POLIS_GRAPHQL(Query, field(getManagement, account), field(getManaged, manager, page))

} // namespace

std::optional<HttpReply> AuthDynamicQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                    std::optional<AccountNumber>) {
   return serveGraphql(Query{}, request, graphql::ErrorForm::list);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::AuthDynamicQuery)
