#include "accounts/service/accounts.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::Accounts;

POLIS_TEST(accounts_names) {
   TestChain chain;
   const auto alice = chain.account("alice");
   alice.to<Accounts>().newAccount("shorter"_a, "auth-any"_a, true).fails("account name must be at least 8 characters");
   alice.to<Accounts>().newAccount("x-longname"_a, "auth-any"_a, true).fails("The 'x-' account prefix is reserved");
   alice.to<Accounts>().newAccount(AccountNumber{}, "auth-any"_a, true).fails("invalid account name");
   alice.to<Accounts>().newAccount("longenough"_a, "nobody"_a, true).fails("unknown auth service");
   alice.to<Accounts>()
       .newAccount("bob+1"_a, "auth-any"_a, true)
       .fails("Subaccounts can only be created by the primary");
   expect(alice.to<Accounts>().newAccount("longenough"_a, "auth-any"_a, true).value(), "it was made");
}

POLIS_TEST(accounts_a_name_that_is_taken_is_told_without_failing) {
   TestChain chain;
   const auto alice = chain.account("alice");
   expect(alice.to<Accounts>().newAccount("longenough"_a, "auth-any"_a, true).value(), "it was made");
   expect(!alice.to<Accounts>().newAccount("longenough"_a, "auth-any"_a, true).value(), "same auth service: false");
   expect(!alice.to<Accounts>().newAccount("longenough"_a, "auth-delg"_a, false).value(), "not required to match");
   alice.to<Accounts>().newAccount("longenough"_a, "auth-delg"_a, true).fails("");
}

POLIS_TEST(accounts_the_new_auth_service_has_to_agree) {
   TestChain chain;
   const auto alice = chain.account("alice");
   alice.to<Accounts>().setAuthServ("auth-sig"_a).fails("set a public key with auth-sig::setKey first");
   const auto before = alice.to<Accounts>().getAccount(alice).value();
   alice.to<Accounts>().setAuthServ("auth-any"_a).succeeds();
   const auto after = alice.to<Accounts>().getAccount(alice).value();
   if (expect(before && after, "alice exists"))
      expectEqual(after->authSequence, before->authSequence + 1);
   // Only the auth service itself counts it up; from others it does nothing.
   alice.to<Accounts>().incAuthSeq(alice).succeeds();
   const auto still = alice.to<Accounts>().getAccount(alice).value();
   expectEqual(still ? still->authSequence : 0, after ? after->authSequence : 1);
}

POLIS_TEST(accounts_graphql_tells_who_exists) {
   TestChain chain("Accounts,AuthSig");
   chain.account("alice");
   expectEqual(
       chain.graphql("accounts", R"({ getAccount(accountName: "alice") { accountNum authService authSequence }
                                              none: getAccount(accountName: "nobody") { accountNum } })"),
       R"({"data":{"getAccount":{"accountNum":"alice","authService":"auth-any","authSequence":"0"},"none":null}})");
   expectEqual(
       chain.graphql("accounts",
                     R"({ getAccounts(accountNames: ["alice", "nobody", "accounts"]) { accountNum authService } })"),
       R"({"data":{"getAccounts":[{"accountNum":"alice","authService":"auth-any"},null,)"
       R"({"accountNum":"accounts","authService":"auth-delg"}]}})");
}

POLIS_TEST_MAIN()
