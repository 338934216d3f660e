// What pages ask of @app@: GraphQL at /graphql, a page to try it on at /graphiql.
#include "../service/@ident@.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace @ident@ {

POLIS_QUERY_SERVICE(@App@Query, @App@::account)

namespace {

auto entries() { return openOf<@App@::Entries>(@App@::account); }

struct Query {
   std::optional<Entry> entry(std::uint32_t id) const { return ::@ident@::entries().get(id); }
   Connection<Entry> entries(Page<std::uint32_t> page) const {
      return connection(::@ident@::entries().index<0>(), page);
   }
   Connection<Entry> entriesBy(AccountNumber author, Page<std::uint32_t> page) const {
      return connection(::@ident@::entries().index<1>(), page, author);
   }
};
POLIS_GRAPHQL(Query, field(entry, id), field(entries, page), field(entriesBy, author, page))

} // namespace

std::optional<HttpReply> @App@Query::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                              std::optional<AccountNumber>) {
   return serveGraphql(Query{}, request); // what it declines is looked for among the files of ui/
}

} // namespace @ident@

POLIS_DISPATCH(@ident@::@App@Query)
