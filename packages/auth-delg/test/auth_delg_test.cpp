#include "accounts/service/accounts.hpp"
#include "auth-delg/service/auth_delg.hpp"
#include "hello/service/hello.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using hello::Hello;
using polis::services::Accounts;
using polis::services::AuthDelegate;

POLIS_TEST(auth_delg_the_owner_acts_for_the_owned) {
   TestChain chain("AuthDelegate,Hello");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   expect(alice.to<AuthDelegate>().newAccount("owned-one"_a, alice, true).value(), "it was made");
   expect(!bob.to<AuthDelegate>().newAccount("owned-one"_a, alice, true).value(), "it is there, and so owned: false");
   bob.to<AuthDelegate>().newAccount("owned-one"_a, bob, true).fails("account already exists");
   expect(!bob.to<AuthDelegate>().newAccount("owned-one"_a, bob, false).value(), "no match required: false");
   expectEqual(alice.to<AuthDelegate>().getOwner("owned-one"_a).value().str(), "alice");
   chain.as("owned-one"_a).to<Hello>().greet("by its owner, for whom anybody acts").succeeds();
   alice.to<AuthDelegate>().newAccount("otherwise"_a, "nobody"_a, true).fails("owner account does not exist");
}

POLIS_TEST(auth_delg_nobody_owns_himself_nor_his_owner) {
   TestChain chain("AuthDelegate");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   alice.to<AuthDelegate>().setOwner(alice).fails("circular ownership");
   const auto before = alice.to<Accounts>().getAccount(alice).value();
   alice.to<AuthDelegate>().setOwner(bob).succeeds();
   const auto after = alice.to<Accounts>().getAccount(alice).value();
   if (expect(before && after, "alice exists"))
      expectEqual(after->authSequence, before->authSequence); // auth-any is her auth service, not auth-delg
   bob.to<AuthDelegate>().setOwner(alice).fails("circular ownership");
}

// Callers of the protocol pass fewer arguments here, or some day more.
POLIS_TEST(auth_delg_trailing_optional_arguments_may_be_missing_and_unknown_ones_are_passed_over) {
   TestChain chain("AuthDelegate");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   alice.to<AuthDelegate>().setOwner(bob).succeeds();
   const auto ask = [&](const auto&... arguments) {
      const auto packed = pack(std::tuple(AccountNumber(alice), arguments...));
      return chain.push(Action{alice, AuthDelegate::account, MethodNumber{"getDlgsSys"}, packed});
   };
   using polis::services::ServiceMethod;
   const std::optional<ServiceMethod> none, one(ServiceMethod{"nft"_a, MethodNumber{"mint"}});
   const std::optional<std::string> later("later"), nothing;
   for (const auto& outcome :
        {ask(), ask(none), ask(one), ask(none, later), ask(one, later), ask(one, nothing, later)}) {
      outcome.succeeds();
      expectEqual(unpack<std::vector<AccountNumber>>(outcome.result()).value(), std::vector<AccountNumber>{bob});
   }
   ask(one, std::uint16_t{7}).fails("malformed arguments"); // unknown, but not optional
}

POLIS_TEST(auth_delg_graphql_tells_owners_and_what_they_own) {
   TestChain chain("AuthDelegate");
   const auto alice = chain.account("alice");
   for (const auto name : {"owned-one"_a, "owned-two"_a, "owned-six"_a})
      alice.to<AuthDelegate>().newAccount(name, alice, true).succeeds();
   expectEqual(chain.graphql("auth-delg",
                             R"({ owner(account: "owned-two") { owner } none: owner(account: "alice") { owner } })"),
               R"({"data":{"owner":{"owner":"alice"},"none":null}})");
   const std::string all = chain.graphql("auth-delg", R"({ owned(account: "alice") { nodes { account owner } } })");
   for (const std::string_view name : {"owned-one", "owned-two", "owned-six"})
      expectContains(all, R"({"account":")" + std::string(name) + R"(","owner":"alice"})");
   expectContains(chain.graphql("auth-delg", R"({ owned(account: "alice", first: 2) { pageInfo { hasNextPage } } })"),
                  R"("hasNextPage":true)");
   expectEqual(chain.graphql("auth-delg", R"({ owned(account: "owned-one") { nodes { account } } })"),
               R"({"data":{"owned":{"nodes":[]}}})");
}

POLIS_TEST_MAIN()
