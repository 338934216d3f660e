// HTTP of dyn-ld: GraphQL.
#include "dyn-ld/service/dyn_ld.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(DynLdQuery, DynLd::account)

namespace {

struct Query {
   std::optional<DynDeps> depsFor(AccountNumber service) const {
      return openOf<DynLd::DynDepsTable>(DynLd::account).get(service);
   }
};
POLIS_GRAPHQL(Query, field(depsFor, service))

} // namespace

std::optional<HttpReply> DynLdQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                              std::optional<AccountNumber>) {
   return serveGraphql(Query{}, request);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::DynLdQuery)
