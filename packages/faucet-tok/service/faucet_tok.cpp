#include "faucet-tok/service/faucet_tok.hpp"

#include "nft/service/nft.hpp"
#include "symbol/service/symbol.hpp"

#include <polis/api.hpp>

namespace polis::services {

namespace {

struct TokenReply {
   TokenId tokenId = 0;
   std::uint64_t amount = FaucetTok::drip.value;
};

} // namespace

void FaucetTok::create_token() {
   check(getSender() == Tokens::account, "only tokens may start the faucet");
   const auto table = open<TokenTable>(Mode::readWrite);
   if (table.get())
      return; // the package is installed again
   to<Nfts>().setUserConf(Nfts::autoDebit, true);
   const auto id = to<Tokens>().create(precision, maxSupply);
   // The installation makes it the system token by this number.
   check(id == firstToken, "the faucet is for a new chain, without tokens");
   table.put({.token_id = id});
}

void FaucetTok::set_symbol(AccountNumber symbol) {
   check(getSender() == Symbols::account, "only symbol may give the faucet's token its symbol");
   const auto token = open<TokenTable>().get();
   check(token.has_value(), "the faucet has no token");
   if (const auto mapping = to<Symbols>().getByToken(token->token_id); mapping && mapping->symbolId == symbol)
      return; // the package is installed again
   to<Nfts>().credit(to<Symbols>().getSymbol(symbol).ownerNft, Symbols::account, Memo{"Symbol of the faucet's token"});
   to<Symbols>().mapSymbol(token->token_id, symbol);
}

void FaucetTok::dispense(AccountNumber account) {
   const auto token = open<TokenTable>().get();
   check(token.has_value(), "the faucet has no token");
   to<Tokens>().mint(token->token_id, drip, Memo{"Faucet drip"});
   to<Tokens>().credit(token->token_id, account, drip, Memo{"Faucet drip"});
}

std::optional<HttpReply> FaucetTok::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                             std::optional<AccountNumber>) {
   if (pathOf(request) != "/api/token")
      return std::nullopt;
   if (request.method == "OPTIONS")
      return std::nullopt; // http answers a preflight
   if (request.method != "GET")
      return methodNotAllowed("GET");
   const auto token = open<TokenTable>().get();
   return token ? jsonReply(TokenReply{.tokenId = token->token_id}) : apiError(404, "the faucet has no token");
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::FaucetTok)
