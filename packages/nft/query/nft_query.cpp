// HTTP of nft: GraphQL.
#include "nft/service/nft.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(NftQuery, Nfts::account)

namespace {

template <class T>
auto table() {
   return openOf<T>(Nfts::account);
}

/// How an account takes what it is offered.
struct UserConf {
   AccountNumber account;
   bool autoDebit = false;
};

struct Query {
   Connection<Nft> allNfts(Page<std::uint32_t> page) const {
      return connection(table<Nfts::NftTable>().index<0>(), page);
   }
   std::optional<Nft> nftDetails(std::uint32_t nftId) const { return table<Nfts::NftTable>().get(nftId); }
   Connection<Nft> userNfts(AccountNumber user, Page<std::uint32_t> page) const {
      return connection(table<Nfts::NftTable>().index<1>(), page, user);
   }
   Connection<Nft> issuerNfts(AccountNumber issuer, Page<std::uint32_t> page) const {
      return connection(table<Nfts::NftTable>().index<2>(), page, issuer);
   }
   /// What the account offered.
   Connection<NftCredit> userCredits(AccountNumber user, Page<std::uint32_t> page) const {
      return connection(table<Nfts::CreditTable>().index<1>(), page, user);
   }
   /// What the account was offered.
   Connection<NftCredit> userDebits(AccountNumber user, Page<std::uint32_t> page) const {
      return connection(table<Nfts::CreditTable>().index<2>(), page, user);
   }
   UserConf userConf(AccountNumber user) const {
      const auto row = table<Nfts::HolderTable>().get(user);
      return {user, row && (row->config >> Nfts::autoDebit & 1)};
   }
};
POLIS_GRAPHQL(Query, field(allNfts, page), field(nftDetails, nftId), field(userNfts, user, page),
              field(issuerNfts, issuer, page), field(userCredits, user, page), field(userDebits, user, page),
              field(userConf, user))

} // namespace

std::optional<HttpReply> NftQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                            std::optional<AccountNumber>) {
   return serveGraphql(Query{}, request, graphql::ErrorForm::list);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::NftQuery)
