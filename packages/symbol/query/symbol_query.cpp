// HTTP of symbol: GraphQL.
#include "diff-adj/service/diff_adj.hpp"
#include "nft/service/nft.hpp"
#include "symbol/service/symbol.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(SymbolQuery, Symbols::account)

namespace {

template <class T>
auto table() {
   return openOf<T>(Symbols::account);
}

/// What symbols are paid with.
struct BillingToken {
   TokenId id = 0;
   std::uint8_t precision = 0;
   std::optional<AccountNumber> symbol;
};

std::optional<BillingToken> systemToken() {
   const auto token = to<Tokens>().getSysToken();
   if (!token)
      return std::nullopt;
   const auto mapping = table<Symbols::MappingTable>().get(token->id);
   return BillingToken{token->id, token->precision, mapping ? std::optional(mapping->symbolId) : std::nullopt};
}

struct LengthInfo {
   static constexpr std::string_view typeName = "SymbolLength";
   std::uint8_t symbolLength = 0;
   /// Whoever holds it changes how the price behaves.
   std::uint32_t priceNftId = 0;

   /// With the billing token's decimal point.
   std::string currentPrice() const {
      const auto token = systemToken();
      return decimalText({to<DiffAdj>().get_diff(priceNftId)}, token ? token->precision : 0);
   }
   std::optional<BillingToken> billingToken() const { return systemToken(); }
};
POLIS_GRAPHQL(LengthInfo, field(currentPrice), field(billingToken))

struct SymbolInfo {
   static constexpr std::string_view typeName = "Symbol";
   AccountNumber symbolId;
   std::uint32_t ownerNftId = 0;

   /// Nothing once the symbol is mapped: its NFT is burned.
   std::optional<Nft> ownerNft() const {
      return to<Nfts>().exists(ownerNftId) ? std::optional<Nft>(to<Nfts>().getNft(ownerNftId)) : std::nullopt;
   }
   std::optional<SymbolMapping> mapping() const { return table<Symbols::MappingTable>().index<1>().get(symbolId); }
};
POLIS_GRAPHQL(SymbolInfo, field(ownerNft), field(mapping))

struct EventInfo {
   static constexpr std::string_view typeName = "SymbolEvent";
   AccountNumber symbol;
   AccountNumber actor;
   /// "created" or "mapped".
   std::string action;
   EventBlock block;
};

struct Query {
   std::optional<LengthInfo> symbolLength(std::uint8_t length) const {
      const auto row = table<Symbols::LengthTable>().get(length);
      return row ? std::optional(LengthInfo{row->symbolLength, row->nftId}) : std::nullopt;
   }
   std::optional<SymbolInfo> symbol(AccountNumber symbol) const {
      const auto row = table<Symbols::SymbolTable>().get(symbol);
      return row ? std::optional(SymbolInfo{row->symbolId, row->ownerNft}) : std::nullopt;
   }
   std::optional<SymbolMapping> mapping(TokenId tokenId) const { return table<Symbols::MappingTable>().get(tokenId); }
   Connection<EventInfo> symbolEvents(Page<std::uint64_t> page) const {
      const auto describe = [](const EventLine<SymbolEvent>& line) {
         const bool created = line.event.action == static_cast<std::uint8_t>(SymbolAction::created);
         return EventInfo{line.event.symbol, line.event.actor, created ? "created" : "mapped", line.block()};
      };
      return connectionOf(table<Symbols::EventTable>().index<0>(), page, describe);
   }
};
POLIS_GRAPHQL(Query, field(symbolLength, length), field(symbol, symbol), field(mapping, tokenId),
              field(symbolEvents, page))

} // namespace

std::optional<HttpReply> SymbolQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                               std::optional<AccountNumber>) {
   return serveGraphql(Query{}, request, graphql::ErrorForm::list);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::SymbolQuery)
