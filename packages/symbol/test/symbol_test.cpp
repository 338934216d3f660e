#include "diff-adj/service/diff_adj.hpp"
#include "nft/service/nft.hpp"
#include "symbol/service/symbol.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::DiffAdj;
using polis::services::Memo;
using polis::services::Nfts;
using polis::services::Quantity;
using polis::services::Symbols;
using polis::services::Tokens;

namespace {

constexpr auto symbolService = Symbols::account;

/// A system token, a thousand of it in alice's hands, and symbols of three letters for 100 each.
struct Fixture {
   TestChain chain{"Symbol"};
   TestAccount bank = chain.account("bank"), alice = chain.account("alice"), bob = chain.account("bob");
   TestAccount self = chain.as(symbolService);
   std::uint32_t money = 0;

   Fixture() {
      money = token(bank);
      chain.as(Tokens::account).to<Tokens>().setSysToken(money).succeeds();
      bank.to<Tokens>().mint(money, Quantity{1000}, "").succeeds();
      alice.to<Tokens>().setUserConf(0, true).succeeds();
      alice.to<Nfts>().setUserConf(Nfts::autoDebit, true).succeeds();
      bank.to<Tokens>().credit(money, alice, Quantity{1000}, "").succeeds();
      self.to<Symbols>().sellLength(std::uint8_t{3}, Quantity{100}, 1u, Quantity{50}).succeeds();
   }
   /// A token of somebody's.
   std::uint32_t token(TestAccount owner) {
      owner.to<Nfts>().setUserConf(Nfts::autoDebit, true).succeeds();
      return owner.to<Tokens>().create(std::uint8_t{2}, Quantity{1'000'000}).value();
   }
   std::uint64_t money_of(AccountNumber account) { return bank.to<Tokens>().getBalance(money, account).value().value; }
   std::uint64_t waiting() { return bank.to<Tokens>().getSharedBal(money, alice, symbolService).value().value; }
   Outcome buy(std::string_view symbol, std::uint64_t with) {
      alice.to<Tokens>().credit(money, symbolService, Quantity{with}, "").succeeds();
      return alice.to<Symbols>().create(AccountNumber{symbol});
   }
   std::uint32_t nft(std::string_view symbol) {
      return alice.to<Symbols>().getSymbol(AccountNumber{symbol}).value().ownerNft;
   }
   /// Gives alice's symbol to alice's token.
   Outcome map(std::uint32_t token, std::string_view symbol) {
      alice.to<Nfts>().credit(nft(symbol), symbolService, "").succeeds();
      return alice.to<Symbols>().mapSymbol(token, AccountNumber{symbol});
   }
};

} // namespace

POLIS_TEST(symbol_lengths_are_sold_by_the_service_alone) {
   Fixture f;
   const auto sell = [&](const TestAccount& who, std::uint8_t length) {
      return who.to<Symbols>().sellLength(length, Quantity{10}, 5u, Quantity{1});
   };
   sell(f.alice, 4).fails("only symbol itself may do this");
   f.alice.to<Symbols>().delLength(std::uint8_t{3}).fails("only symbol itself may do this");
   f.alice.to<Symbols>().admin_create("abc"_a, f.alice).fails("only symbol itself may do this");
   sell(f.self, 2).fails("symbol length must be between 3 - 7 chars");
   sell(f.self, 8).fails("symbol length must be between 3 - 7 chars");
   sell(f.self, 3).fails("sale of symbol length already exists");
   sell(f.self, 7).succeeds();
   sell(f.self, 7).succeeds(); // nothing changes
   f.self.to<Symbols>()
       .sellLength(std::uint8_t{7}, Quantity{10}, 6u, Quantity{1})
       .fails("sale of symbol length already exists");
   expectEqual(f.alice.to<Symbols>().getPrice(std::uint8_t{7}).value().value, 10u);
   f.alice.to<Symbols>().getPrice(std::uint8_t{4}).fails("symbol length of 4 not supported");
   f.self.to<Symbols>().delLength(std::uint8_t{4}).fails("symbol length of 4 not supported");
   const auto row = f.alice.to<Symbols>().getSymbolType(std::uint8_t{7}).value();
   expectEqual(f.alice.to<Nfts>().getNft(row.nftId).value().owner, symbolService);
   f.self.to<Symbols>().delLength(std::uint8_t{7}).succeeds();
   f.alice.to<Symbols>().getPrice(std::uint8_t{7}).fails("symbol length of 7 not supported");
   f.alice.to<DiffAdj>().get_diff(row.nftId).fails("no difficulty belongs to this NFT");
}

POLIS_TEST(symbol_nothing_is_sold_without_a_system_token) {
   TestChain chain("Symbol");
   chain.as(symbolService)
       .to<Symbols>()
       .sellLength(std::uint8_t{3}, Quantity{1}, 1u, Quantity{1})
       .fails("system token must be defined");
}

POLIS_TEST(symbol_is_paid_for_and_the_rest_comes_back) {
   Fixture f;
   f.buy("abc", 99).fails("Insufficient shared balance");
   expectEqual(f.waiting(), 99u); // a failed purchase takes nothing
   f.buy("abc", 51).succeeds();
   expectEqual(f.waiting(), 0u);
   expectEqual(f.money_of(symbolService), 100u);
   expectEqual(f.money_of(f.alice), 900u);
   expectEqual(f.alice.to<Nfts>().getNft(f.nft("abc")).value().owner, f.alice.name());
   expect(f.alice.to<Symbols>().exists("abc"_a).value(), "it exists");
   expect(!f.alice.to<Symbols>().exists("abd"_a).value(), "this one does not");
   f.alice.to<Symbols>().getSymbol("abd"_a).fails("Symbol does not exist");
}

POLIS_TEST(symbol_price_rises_with_demand_and_falls_with_time) {
   Fixture f;
   f.buy("aaa", 100).succeeds();
   expectEqual(f.alice.to<Symbols>().getPrice(std::uint8_t{3}).value().value, 100u);
   f.buy("aab", 100).succeeds(); // the second of a day is above the target of one
   expectEqual(f.alice.to<Symbols>().getPrice(std::uint8_t{3}).value().value, 105u);
   f.buy("aac", 100).fails("Insufficient shared balance");
   f.chain.advance(3 * 24 * 60 * 60 + 2);
   expectEqual(f.alice.to<Symbols>().getPrice(std::uint8_t{3}).value().value, 89u); // 99.75, 94.05, 89.3
   f.chain.advance(100 * 24 * 60 * 60);
   expectEqual(f.alice.to<Symbols>().getPrice(std::uint8_t{3}).value().value, 50u);
}

POLIS_TEST(symbol_names_are_checked) {
   Fixture f;
   f.buy("abc", 100).succeeds();
   f.buy("abc", 100).fails("Symbol already exists");
   f.alice.to<Symbols>().create("ab1"_a).fails("Symbol may only contain lowercase alphabetic characters");
   f.alice.to<Symbols>().create("a-b"_a).fails("Symbol may only contain lowercase alphabetic characters");
   f.alice.to<Symbols>()
       .create(AccountNumber{"abd"}.sub(1))
       .fails("Symbol may only contain lowercase alphabetic characters");
   f.alice.to<Symbols>().create(AccountNumber{}).fails("Symbol may only contain lowercase alphabetic characters");
   f.alice.to<Symbols>().create("abcd"_a).fails("Symbol length is not for sale");
   f.self.to<Symbols>().admin_create("abc"_a, f.bob).fails("Symbol already exists");
}

POLIS_TEST(symbol_may_be_given_away_by_the_service) {
   Fixture f;
   f.self.to<Symbols>().admin_create("xy"_a, f.bob).succeeds();
   f.bob.to<Nfts>().debit(f.nft("xy"), "").succeeds();
   expectEqual(f.money_of(symbolService), 0u);
   f.self.to<Symbols>().admin_create("own"_a, symbolService).succeeds();
   expectEqual(f.alice.to<Nfts>().getNft(f.nft("own")).value().owner, symbolService);
   // The installation of a package may be repeated.
   const auto other = f.token(f.alice);
   f.chain.as(Tokens::account).to<Tokens>().setSysToken(f.money).succeeds();
   f.chain.as(Tokens::account).to<Tokens>().setSysToken(other).fails("the system token is set already");
   f.self.to<Symbols>().admin_create("xy"_a, f.bob).succeeds();
   f.self.to<Symbols>().admin_create("xy"_a, f.alice).fails("Symbol already exists");
   f.self.to<Symbols>().admin_create("lost"_a, "nobody"_a).fails("Receiver DNE");
}

POLIS_TEST(symbol_free_ones_cost_nothing) {
   Fixture f;
   f.self.to<Symbols>().sellLength(std::uint8_t{5}, Quantity{0}, 5u, Quantity{0}).succeeds();
   f.alice.to<Symbols>().create("gratis"_a).fails("Symbol length is not for sale");
   f.alice.to<Symbols>().create("freed"_a).succeeds();
   f.buy("given", 7).succeeds();
   expectEqual(f.money_of(f.alice), 1000u);
}

POLIS_TEST(symbol_maps_to_one_token_for_good) {
   Fixture f;
   const auto token = f.token(f.alice), other = f.token(f.alice);
   f.buy("abc", 100).succeeds();
   f.buy("abd", 100).succeeds();
   f.alice.to<Symbols>().getTokenSym(token).fails("mapping does not exist");
   expect(!f.alice.to<Symbols>().getByToken(token).value(), "no mapping");
   f.alice.to<Symbols>().mapSymbol(token, "abc"_a).fails("has no pending nft");
   f.map(token, "abc").succeeds();
   expectEqual(f.alice.to<Symbols>().getTokenSym(token).value(), "abc"_a);
   expectEqual(f.alice.to<Symbols>().getByToken(token).value().value().symbolId, "abc"_a);
   expectEqual(f.alice.to<Symbols>().getMapBySym("abc"_a).value().value().tokenId, token);
   expect(!f.alice.to<Symbols>().getMapBySym("abd"_a).value(), "no mapping of another");
   f.alice.to<Nfts>().getNft(f.nft("abc")).fails("NFT was burned");
   f.alice.to<Symbols>().mapSymbol(other, "abc"_a).fails("Symbol is already mapped to a token");
   f.map(token, "abd").fails("the token has a symbol already");
   f.alice.to<Symbols>().mapSymbol(other, "abd"_a).succeeds();
   expectEqual(f.alice.to<Symbols>().getTokenSym(other).value(), "abd"_a);
}

POLIS_TEST(symbol_is_mapped_by_the_owner_of_both) {
   Fixture f;
   const auto token = f.token(f.bob);
   f.buy("abc", 100).succeeds();
   f.alice.to<Symbols>().mapSymbol(token, "xyz"_a).fails("Symbol does not exist");
   f.alice.to<Symbols>().mapSymbol(99u, "abc"_a).fails("Token DNE");
   f.map(token, "abc").fails("Missing required authority");
   f.bob.to<Symbols>().mapSymbol(token, "abc"_a).fails("Missing required authority");
}

POLIS_TEST(symbol_queries) {
   Fixture f;
   const auto token = f.token(f.alice);
   f.buy("abc", 100).succeeds();
   expectEqual(f.chain.graphql("symbol", "{ symbolLength(length: 3) { symbolLength currentPrice billingToken { id "
                                         "precision symbol } } none: symbolLength(length: 4) { symbolLength } }"),
               R"({"data":{"symbolLength":{"symbolLength":3,"currentPrice":"1.00","billingToken":{"id":1,)"
               R"("precision":2,"symbol":null}},"none":null}})");
   expectEqual(f.chain.graphql("symbol", R"({ symbol(symbol: "abc") { symbolId ownerNft { owner } mapping { tokenId } }
                                              none: symbol(symbol: "abd") { symbolId } })"),
               R"({"data":{"symbol":{"symbolId":"abc","ownerNft":{"owner":"alice"},"mapping":null},"none":null}})");
   f.map(token, "abc").succeeds();
   expectEqual(f.chain.graphql("symbol", "{ mapping(tokenId: " + std::to_string(token) + ") { symbolId tokenId } }"),
               R"({"data":{"mapping":{"symbolId":"abc","tokenId":)" + std::to_string(token) + "}}}");
   expectEqual(f.chain.graphql("symbol", R"({ symbol(symbol: "abc") { ownerNft { owner } mapping { tokenId } } })"),
               R"({"data":{"symbol":{"ownerNft":null,"mapping":{"tokenId":)" + std::to_string(token) + "}}}}");
   expectEqual(f.chain.graphql("symbol", "{ symbolEvents(last: 2) { edges { node { symbol actor action } } } }"),
               R"({"data":{"symbolEvents":{"edges":[{"node":{"symbol":"abc","actor":"alice","action":"created"}},)"
               R"({"node":{"symbol":"abc","actor":"alice","action":"mapped"}}]}}})");
}

POLIS_TEST_MAIN()
