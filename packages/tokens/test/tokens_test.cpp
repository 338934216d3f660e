#include "nft/service/nft.hpp"
#include "tokens/service/tokens.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::Memo;
using polis::services::Nfts;
using polis::services::Quantity;
using polis::services::Tokens;

namespace {

/// A token of alice's, with a thousand of it in her hands.
struct Fixture {
   TestChain chain{"Tokens"};
   TestAccount alice = chain.account("alice"), bob = chain.account("bob");
   std::uint32_t token = 0;

   explicit Fixture(std::uint64_t most = 1'000'000, std::uint64_t minted = 1000) {
      token = alice.to<Tokens>().create(2, Quantity{most}).value();
      const auto row = chain.row<Tokens::TokenTable>(Tokens::account, token);
      if (expect(row.has_value(), "the token exists"))
         alice.to<Nfts>().debit(row->nft_id, "").succeeds();
      if (minted)
         alice.to<Tokens>().mint(token, Quantity{minted}, "start").succeeds();
   }
   std::uint64_t balance(AccountNumber of) { return alice.to<Tokens>().getBalance(token, of).value().value; }
   std::uint64_t waiting(AccountNumber from, AccountNumber to) {
      return alice.to<Tokens>().getSharedBal(token, from, to).value().value;
   }
};

} // namespace

POLIS_TEST(tokens_only_the_owner_mints_and_never_more_than_the_maximum) {
   Fixture f(1500);
   f.bob.to<Tokens>().mint(f.token, Quantity{1}, "").fails("Missing required authority");
   f.alice.to<Tokens>().mint(f.token, Quantity{501}, "").fails("Max issued supply exceeded");
   f.alice.to<Tokens>().mint(f.token, Quantity{UINT64_MAX}, "").fails("Max issued supply exceeded");
   f.alice.to<Tokens>().mint(f.token, Quantity{0}, "").fails("mint quantity must be greater than 0");
   f.alice.to<Tokens>().mint(f.token, Quantity{500}, "").succeeds();
   expectEqual(f.balance(f.alice), 1500u);
   f.alice.to<Tokens>().create(9, Quantity{1}).fails("precision must be at most 8");
   f.alice.to<Tokens>().create(0, Quantity{0}).fails("Max issued supply must be greater than 0");
}

POLIS_TEST(tokens_a_credit_waits_until_it_is_debited) {
   Fixture f;
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{300}, "rent").succeeds();
   expectEqual(f.balance(f.alice), 700u);
   expectEqual(f.balance(f.bob), 0u);
   expectEqual(f.waiting(f.alice, f.bob), 300u);
   f.bob.to<Tokens>()
       .debit(f.token, f.alice, Quantity{301}, "")
       .fails("Insufficient shared balance (tid 1) between alice and bob");
   f.bob.to<Tokens>().debit(f.token, f.alice, Quantity{100}, "").succeeds();
   f.alice.to<Tokens>().uncredit(f.token, f.bob, Quantity{50}, "").succeeds();
   f.bob.to<Tokens>().reject(f.token, f.alice, "").succeeds();
   expectEqual(f.balance(f.bob), 100u);
   expectEqual(f.balance(f.alice), 900u);
   f.bob.to<Tokens>().reject(f.token, f.alice, "").succeeds(); // nothing is left to give back
}

POLIS_TEST(tokens_a_credit_that_cannot_be_changes_nothing) {
   Fixture f;
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{1001}, "").fails("alice has insufficient balance (tid 1)");
   f.alice.to<Tokens>().credit(f.token, f.alice, Quantity{1}, "").fails("Sender alice cannot also be receiver");
   f.alice.to<Tokens>().credit(f.token, "nobody"_a, Quantity{1}, "").fails("debitor account does not exist");
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{0}, "").fails("credit quantity must be greater than 0");
   f.alice.to<Tokens>().credit(f.token + 1, f.bob, Quantity{1}, "").fails("Token DNE");
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{1}, std::string(81, 'm')).fails("");
   expectEqual(f.balance(f.alice), 1000u);
}

POLIS_TEST(tokens_one_failing_action_undoes_its_whole_transaction) {
   Fixture f;
   f.chain
       .push({action<Tokens>(f.alice).credit(f.token, f.bob, Quantity{10}, Memo{"kept?"}),
              action<Tokens>(f.alice).credit(f.token, f.bob, Quantity{5000}, Memo{""})})
       .fails("has insufficient balance");
   expectEqual(f.waiting(f.alice, f.bob), 0u);
   expectEqual(f.balance(f.alice), 1000u);
}

POLIS_TEST(tokens_auto_debit_takes_at_once_per_account_or_per_token) {
   Fixture f;
   f.bob.to<Tokens>().setUserConf(0, true).succeeds();
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{10}, "").succeeds();
   expectEqual(f.balance(f.bob), 10u);
   f.bob.to<Tokens>().setBalConf(f.token, 0, false).succeeds();
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{10}, "").succeeds();
   expectEqual(f.balance(f.bob), 10u);
   f.bob.to<Tokens>().delBalConf(f.token).succeeds();
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{10}, "").succeeds();
   expectEqual(f.balance(f.bob), 20u); // what waited before still waits
   expectEqual(f.waiting(f.alice, f.bob), 10u);
}

POLIS_TEST(tokens_recall_and_untransferable) {
   Fixture f;
   f.bob.to<Tokens>().setUserConf(0, true).succeeds();
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{100}, "").succeeds();
   const std::optional<std::string> whole;
   f.bob.to<Tokens>().recall(f.token, f.alice, Quantity{1}, "", whole).fails("Missing required authority");
   f.alice.to<Tokens>().recall(f.token, f.bob, Quantity{40}, "", whole).succeeds();
   expectEqual(f.balance(f.bob), 60u);
   // From a sub-account, which vanishes when it is empty, and of what waits to be debited.
   const std::optional<std::string> rent = "rent";
   f.bob.to<Tokens>().toSub(f.token, *rent, Quantity{20}).succeeds();
   f.alice.to<Tokens>().recall(f.token, f.bob, Quantity{21}, "", rent).fails("Insufficient sub-account balance");
   f.alice.to<Tokens>().recall(f.token, f.bob, Quantity{20}, "", rent).succeeds();
   expect(!f.bob.to<Tokens>().getSubBal(f.token, *rent).value(), "the sub-account is gone");
   expectEqual(f.balance(f.bob), 40u);
   f.bob.to<Tokens>().credit(f.token, f.alice, Quantity{30}, "").succeeds();
   f.bob.to<Tokens>().recallShared(f.token, f.bob, f.alice, Quantity{1}, "").fails("Missing required authority");
   f.alice.to<Tokens>().recallShared(f.token, f.bob, f.alice, Quantity{31}, "").fails("Insufficient shared balance");
   f.alice.to<Tokens>().recallShared(f.token, f.bob, f.alice, Quantity{30}, "").succeeds();
   expectEqual(f.waiting(f.bob, f.alice), 0u);
   expectEqual(f.alice.to<Tokens>().getToken(f.token).value().burned_supply.value, 90u);
   f.alice.to<Tokens>().setTokenConf(f.token, 0, true).succeeds();
   f.alice.to<Tokens>().setTokenConf(f.token, 1, true).succeeds();
   f.bob.to<Tokens>().credit(f.token, f.alice, Quantity{1}, "").fails("Token untradeable");
   f.alice.to<Tokens>().recall(f.token, f.bob, Quantity{1}, "", whole).fails("Token unrecallable");
   f.alice.to<Tokens>().setTokenConf(f.token, 1, false).fails("Invalid configuration update");
}

POLIS_TEST(tokens_sub_accounts) {
   Fixture f;
   f.alice.to<Tokens>().toSub(f.token, "rent", Quantity{100}).succeeds();
   f.alice.to<Tokens>().fromSub(f.token, "rent", Quantity{101}).fails("Insufficient sub-account balance");
   f.alice.to<Tokens>().createSub("kept").succeeds();
   f.alice.to<Tokens>().createSub("kept").fails("Sub-account was 'created' twice");
   f.alice.to<Tokens>().createSub("").fails("not empty");
   f.alice.to<Tokens>().toSub(f.token, "kept", Quantity{1}).succeeds();
   f.alice.to<Tokens>().deleteSub("kept").fails("Sub-account with non-zero balances cannot be deleted");
   f.alice.to<Tokens>().fromSub(f.token, "rent", Quantity{100}).succeeds();
   expect(!f.alice.to<Tokens>().getSubBal(f.token, "rent").value(), "made on demand, it vanishes when emptied");
   expectEqual(f.balance(f.alice), 999u);
}

POLIS_TEST(tokens_queries_show_balances) {
   Fixture f;
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{300}, "").succeeds();
   const auto reply = f.chain.get("tokens", "/api/balances?account=alice");
   expectEqual(reply.status, 200);
   expectContains(asText(reply.body), R"("balance":"700")");
   expectEqual(f.chain.get("tokens", "/api/pending?account=bob").status, 401);
}

POLIS_TEST(tokens_graphql_tells_what_is_public) {
   Fixture f;
   f.alice.to<Tokens>().setTokenConf(f.token, std::uint8_t{0}, true).succeeds();
   f.alice.to<Tokens>().setUserConf(std::uint8_t{1}, true).succeeds();
   f.alice.to<Tokens>().burn(f.token, Quantity{250}, "old").succeeds();
   const auto ask = [&](std::string_view query) { return f.chain.graphql("tokens", query); };
   expectEqual(ask("{ config { sysTid sysToken { id } } }"), R"({"data":{"config":{"sysTid":null,"sysToken":null}}})");
   f.chain.as(Tokens::account).to<Tokens>().setSysToken(f.token).succeeds();
   f.chain.as(Tokens::account).to<Tokens>().setSysToken(f.token).succeeds(); // nothing changes
   expectEqual(ask("{ config { sysTid sysToken { symbol } } }"),
               R"({"data":{"config":{"sysTid":1,"sysToken":{"symbol":null}}}})");
   expectEqual(ask(R"({ token(tokenId: "1") { id precision issuedSupply burnedSupply maxIssuedSupply untransferable
                        unrecallable owner } none: token(tokenId: "2") { id } other: token(tokenId: "abc") { id } })"),
               R"({"data":{"token":{"id":1,"precision":2,"issuedSupply":"10.00","burnedSupply":"2.50",)"
               R"("maxIssuedSupply":"10000.00","untransferable":true,"unrecallable":false,"owner":"alice"},)"
               R"("none":null,"other":null}})");
   expectEqual(ask(R"({ userSettings(user: "alice") { autoDebit keepZero } })"),
               R"({"data":{"userSettings":{"autoDebit":false,"keepZero":true}}})");
   expectEqual(ask(R"({ a: userTokens(user: "alice") { id } b: userTokens(user: "bob") { id } })"),
               R"({"data":{"a":[{"id":1}],"b":[]}})");
   expectEqual(ask("{ configurations(tokenId: 1) { edges { node { action memo } } } }"),
               R"({"data":{"configurations":{"edges":[{"node":{"action":"created","memo":"max supply 10000.00"}},)"
               R"({"node":{"action":"configured","memo":"untransferable: on"}}]}}})");
   expectEqual(ask("{ supplyChanges(tokenId: 1, last: 1) { edges { node { actor action amount memo } } } }"),
               R"({"data":{"supplyChanges":{"edges":[{"node":{"actor":"alice","action":"burned","amount":"2.50",)"
               R"("memo":"old"}}]}}})");
   expectEqual(
       ask(R"({ supplyChanges(tokenId: 1, actor: "alice", first: 1) { pageInfo { hasNextPage } edges { node { action } } }
                        none: supplyChanges(tokenId: 1, actor: "bob") { edges { cursor } } })"),
       R"({"data":{"supplyChanges":{"pageInfo":{"hasNextPage":true},"edges":[{"node":{"action":"minted"}}]},)"
       R"("none":{"edges":[]}}})");
   expectEqual(ask("{ supplyChanges(tokenId: 2) { edges { cursor } } }"), R"({"data":{"supplyChanges":{"edges":[]}}})");
}

POLIS_TEST(tokens_graphql_tells_private_things_to_the_account_itself) {
   Fixture f;
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{300}, "").succeeds();
   f.alice.to<Tokens>().toSub(f.token, "rent", Quantity{25}).succeeds();
   f.alice.to<Tokens>().createSub("spare").succeeds();
   const auto alice = f.chain.login(f.alice), bob = f.chain.login(f.bob);
   for (const auto* query :
        {R"({ userPending(user: "alice") { creditor } })", R"({ userBalances(user: "alice") { edges { cursor } } })",
         R"({ userBalance(user: "alice", tokenId: "1") { balance } })",
         R"({ userSubaccounts(user: "alice") { edges { cursor } } })",
         R"({ subaccountBalance(user: "alice", subAccount: "rent", tokenId: 1) { balance } })",
         R"({ subaccountBalances(user: "alice", subAccount: "rent") { edges { cursor } } })"}) {
      expectContains(f.chain.graphql("tokens", query), "log in to see this");
      expectContains(f.chain.graphql("tokens", query, bob), "only the account itself sees this");
   }
   expectEqual(
       f.chain.graphql("tokens", R"({
      userPending(user: "alice") { creditor debitor tokenId balance }
      userBalances(user: "alice") { edges { node { tokenId balance } } }
      userBalance(user: "alice", tokenId: "1") { balance precision symbol }
      none: userBalance(user: "alice", tokenId: "9") { balance }
      userSubaccounts(user: "alice") { edges { node { subAccount kept } } }
      subaccountBalance(user: "alice", subAccount: "rent", tokenId: 1) { balance }
      empty: subaccountBalance(user: "alice", subAccount: "spare", tokenId: 1) { balance }
      subaccountBalances(user: "alice", subAccount: "spare") { edges { node { balance } } } })",
                       alice),
       R"({"data":{"userPending":[{"creditor":"alice","debitor":"bob","tokenId":1,"balance":"3.00"}],)"
       R"("userBalances":{"edges":[{"node":{"tokenId":1,"balance":"6.75"}}]},)"
       R"("userBalance":{"balance":"6.75","precision":2,"symbol":null},"none":null,)"
       R"("userSubaccounts":{"edges":[{"node":{"subAccount":"rent","kept":false}},)"
       R"({"node":{"subAccount":"spare","kept":true}}]},)"
       R"("subaccountBalance":{"balance":"0.25"},"empty":{"balance":"0.00"},"subaccountBalances":{"edges":[]}}})");
   expectContains(f.chain.graphql("tokens",
                                  R"({ subaccountBalance(user: "alice", subAccount: "none", tokenId: 1) { balance } })",
                                  alice),
                  R"({"errors":[{"message":"Sub-account 'none' not found)");
   expectEqual(f.chain.graphql("tokens", R"({ userPending(user: "bob") { creditor balance }
                                              userBalance(user: "bob", tokenId: "1") { balance } })",
                               bob),
               R"({"data":{"userPending":[{"creditor":"alice","balance":"3.00"}],"userBalance":{"balance":"0.00"}}})");
}

/// The history of transfers, by pages, of all or of those that are asked for.
POLIS_TEST(tokens_graphql_tells_how_balances_changed) {
   Fixture f;
   const auto carol = f.chain.account("carol");
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{300}, "rent").succeeds();
   f.alice.to<Tokens>().credit(f.token, carol, Quantity{20}, "tea").succeeds();
   f.bob.to<Tokens>().debit(f.token, f.alice, Quantity{100}, "").succeeds();
   f.alice.to<Tokens>().uncredit(f.token, f.bob, Quantity{50}, "too much").succeeds();
   const auto alice = f.chain.login(f.alice);
   const auto ask = [&](const std::string& arguments, const std::string& fields) {
      return f.chain.graphql("tokens", "{ balChanges(account: \"alice\"" + arguments + ") { " + fields + " } }", alice);
   };
   const auto answer = [](const std::string& text) { return "{\"data\":{\"balChanges\":{" + text + "}}}"; };
   expectContains(f.chain.graphql("tokens", "{ balChanges(account: \"alice\") { edges { cursor } } }"), "log in");
   expectEqual(ask("", "edges { node { action counterParty amount memo } }"),
               answer(R"("edges":[{"node":{"action":"minted","counterParty":"alice","amount":"10.00","memo":"start"}},)"
                      R"({"node":{"action":"credited","counterParty":"bob","amount":"3.00","memo":"rent"}},)"
                      R"({"node":{"action":"credited","counterParty":"carol","amount":"0.20","memo":"tea"}},)"
                      R"({"node":{"action":"uncredited","counterParty":"bob","amount":"0.50","memo":"too much"}}])"));
   // Pages of what passes the filter: the row between is as if it were not there.
   const auto first =
       ask(R"(, counterParty: "bob", first: 1)", "edges { node { memo } } pageInfo { hasNextPage endCursor }");
   expectContains(first, R"("edges":[{"node":{"memo":"rent"}}],"pageInfo":{"hasNextPage":true,"endCursor":")");
   const auto at = first.find("endCursor\":\"") + 12;
   const auto cursor = first.substr(at, first.find('"', at) - at);
   expectEqual(
       ask(", counterParty: \"bob\", first: 1, after: \"" + cursor + "\"",
           "edges { node { memo } } pageInfo { hasNextPage hasPreviousPage }"),
       answer(R"("edges":[{"node":{"memo":"too much"}}],"pageInfo":{"hasNextPage":false,"hasPreviousPage":true})"));
   expectEqual(ask(R"(, action: "minted", last: 1)", "edges { node { memo } } pageInfo { hasPreviousPage }"),
               answer(R"("edges":[{"node":{"memo":"start"}}],"pageInfo":{"hasPreviousPage":false})"));
   expectEqual(ask(", tokenId: 9", "edges { cursor }"), answer(R"("edges":[])"));
   expectEqual(ask(R"(, counterParty: "bob", before: ")" + cursor + "\"", "edges { cursor } pageInfo { hasNextPage }"),
               answer(R"("edges":[],"pageInfo":{"hasNextPage":false})"));
}

POLIS_TEST_MAIN()
