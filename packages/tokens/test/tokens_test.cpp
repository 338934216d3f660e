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
   f.bob.to<Tokens>().mint(f.token, Quantity{1}, "").fails("only the token's owner may do this");
   f.alice.to<Tokens>().mint(f.token, Quantity{501}, "").fails("max issued supply exceeded");
   f.alice.to<Tokens>().mint(f.token, Quantity{UINT64_MAX}, "").fails("max issued supply exceeded");
   f.alice.to<Tokens>().mint(f.token, Quantity{0}, "").fails("quantity must be greater than 0");
   f.alice.to<Tokens>().mint(f.token, Quantity{500}, "").succeeds();
   expectEqual(f.balance(f.alice), 1500u);
   f.alice.to<Tokens>().create(9, Quantity{1}).fails("precision must be at most 8");
   f.alice.to<Tokens>().create(0, Quantity{0}).fails("max issued supply must be greater than 0");
}

POLIS_TEST(tokens_a_credit_waits_until_it_is_debited) {
   Fixture f;
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{300}, "rent").succeeds();
   expectEqual(f.balance(f.alice), 700u);
   expectEqual(f.balance(f.bob), 0u);
   expectEqual(f.waiting(f.alice, f.bob), 300u);
   f.bob.to<Tokens>().debit(f.token, f.alice, Quantity{301}, "").fails("insufficient token balance waits between");
   f.bob.to<Tokens>().debit(f.token, f.alice, Quantity{100}, "").succeeds();
   f.alice.to<Tokens>().uncredit(f.token, f.bob, Quantity{50}, "").succeeds();
   f.bob.to<Tokens>().reject(f.token, f.alice, "").succeeds();
   expectEqual(f.balance(f.bob), 100u);
   expectEqual(f.balance(f.alice), 900u);
   f.bob.to<Tokens>().reject(f.token, f.alice, "").fails("nothing is waiting from");
}

POLIS_TEST(tokens_a_credit_that_cannot_be_changes_nothing) {
   Fixture f;
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{1001}, "").fails("insufficient token balance");
   f.alice.to<Tokens>().credit(f.token, f.alice, Quantity{1}, "").fails("sender cannot credit itself");
   f.alice.to<Tokens>().credit(f.token, "nobody"_a, Quantity{1}, "").fails("debitor account does not exist");
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{0}, "").fails("quantity must be greater than 0");
   f.alice.to<Tokens>().credit(f.token + 1, f.bob, Quantity{1}, "").fails("token does not exist");
   f.alice.to<Tokens>().credit(f.token, f.bob, Quantity{1}, std::string(81, 'm')).fails("");
   expectEqual(f.balance(f.alice), 1000u);
}

POLIS_TEST(tokens_one_failing_action_undoes_its_whole_transaction) {
   Fixture f;
   f.chain
       .push({action<Tokens>(f.alice).credit(f.token, f.bob, Quantity{10}, Memo{"kept?"}),
              action<Tokens>(f.alice).credit(f.token, f.bob, Quantity{5000}, Memo{""})})
       .fails("insufficient token balance");
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
   f.bob.to<Tokens>().recall(f.token, f.alice, Quantity{1}, "").fails("only the token's owner may do this");
   f.alice.to<Tokens>().recall(f.token, f.bob, Quantity{40}, "").succeeds();
   expectEqual(f.balance(f.bob), 60u);
   f.alice.to<Tokens>().setTokenConf(f.token, 0, true).succeeds();
   f.alice.to<Tokens>().setTokenConf(f.token, 1, true).succeeds();
   f.bob.to<Tokens>().credit(f.token, f.alice, Quantity{1}, "").fails("token is untransferable");
   f.alice.to<Tokens>().recall(f.token, f.bob, Quantity{1}, "").fails("token is unrecallable");
   f.alice.to<Tokens>().setTokenConf(f.token, 1, false).fails("unrecallable cannot be cleared");
}

POLIS_TEST(tokens_sub_accounts) {
   Fixture f;
   f.alice.to<Tokens>().toSub(f.token, "rent", Quantity{100}).succeeds();
   f.alice.to<Tokens>().fromSub(f.token, "rent", Quantity{101}).fails("insufficient balance in the sub-account");
   f.alice.to<Tokens>().createSub("kept").succeeds();
   f.alice.to<Tokens>().createSub("kept").fails("sub-account exists already");
   f.alice.to<Tokens>().createSub("").fails("a sub-account's name has 1 to 80 bytes");
   f.alice.to<Tokens>().toSub(f.token, "kept", Quantity{1}).succeeds();
   f.alice.to<Tokens>().deleteSub("kept").fails("sub-account is not empty");
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

POLIS_TEST_MAIN()
