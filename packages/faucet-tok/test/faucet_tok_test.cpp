#include "faucet-tok/service/faucet_tok.hpp"
#include "symbol/service/symbol.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::FaucetTok;
using polis::services::Quantity;
using polis::services::Symbols;
using polis::services::Tokens;

POLIS_TEST(faucet_token_is_psi_everywhere) {
   TestChain chain("FaucetTok");
   const auto alice = chain.account("alice");
   expectEqual(alice.to<Symbols>().getTokenSym(FaucetTok::firstToken).value(), "psi"_a);
   expectEqual(alice.to<Tokens>().getSysToken().value().value().id, FaucetTok::firstToken);
   alice.to<Tokens>().setUserConf(0, true).succeeds();
   alice.to<FaucetTok>().dispense(alice).succeeds();
   expectContains(asText(chain.get("tokens", "/api/balances?account=alice").body),
                  R"("symbol":"psi","precision":4,"balance":"1000000000")");
   for (const char* id : {"1", "psi", "PSI"})
      expectContains(asText(chain.get("tokens", std::string("/api/token?id=") + id).body), R"({"id":1,"symbol":"psi")");
   for (const char* id : {"2", "abc", "", "-1", "psi%00"})
      expectEqual(chain.get("tokens", std::string("/api/token?id=") + id).status, 404);
   expectEqual(chain.get("tokens", "/api/token").status, 400);
   alice.to<FaucetTok>().set_symbol("psi"_a).fails("only symbol may give the faucet's token its symbol");
   alice.to<FaucetTok>().create_token().fails("only tokens may start the faucet");
}

/// What its package does after it is installed may be done again: nothing changes.
POLIS_TEST(faucet_is_installed_over_itself) {
   TestChain chain("FaucetTok");
   const auto tokens = chain.as(Tokens::account), symbol = chain.as(Symbols::account);
   const auto alice = chain.account("alice");
   const auto price = alice.to<Symbols>().getPrice(std::uint8_t{3}).value().value;
   tokens.to<FaucetTok>().create_token().succeeds();
   tokens.to<Tokens>().setSysToken(FaucetTok::firstToken).succeeds();
   symbol.to<Symbols>().admin_create("psi"_a, FaucetTok::account).succeeds();
   symbol.to<FaucetTok>().set_symbol("psi"_a).succeeds();
   symbol.to<Symbols>().sellLength(std::uint8_t{3}, Quantity{100'000'000}, 24u, Quantity{10'000}).succeeds();
   expectEqual(alice.to<Symbols>().getPrice(std::uint8_t{3}).value().value, price);
   expectEqual(alice.to<Symbols>().getTokenSym(FaucetTok::firstToken).value(), "psi"_a);
}

POLIS_TEST(faucet_tokens_buy_symbols) {
   TestChain chain("FaucetTok");
   const auto alice = chain.account("alice");
   alice.to<Tokens>().setUserConf(0, true).succeeds();
   alice.to<FaucetTok>().dispense(alice).succeeds();
   const auto price = alice.to<Symbols>().getPrice(std::uint8_t{3}).value();
   alice.to<Tokens>().credit(FaucetTok::firstToken, Symbols::account, price, "").succeeds();
   alice.to<Symbols>().create("abc"_a).succeeds();
   expect(alice.to<Symbols>().exists("abc"_a).value(), "alice has a symbol");
}

POLIS_TEST_MAIN()
