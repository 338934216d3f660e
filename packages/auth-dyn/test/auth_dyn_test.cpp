#include "accounts/service/accounts.hpp"
#include "auth-dyn/service/auth_dyn.hpp"
#include "auth-dyn/test/manager.hpp"
#include "hello/service/hello.hpp"
#include "setcode/service/setcode.hpp"
#include "staged-tx/service/staged_tx.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using hello::Hello;
using polis::services::Accounts;
using polis::services::AuthDynamic;
using polis::services::DynamicAuthPolicy;
using polis::services::Manager;
using polis::services::SetCode;
using polis::services::StagedTxService;

namespace {

/// A chain with a manager, whose code lies beside this program.
struct Managed {
   TestChain chain{"AuthDyn,StagedTx,Hello"};
   TestAccount alice = chain.account("alice"), bob = chain.account("bob"), eve = chain.account("eve");
   TestAccount manager = chain.account("manager");

   Managed() {
      Bytes code;
      if (std::FILE* file = std::fopen(MANAGER_WASM, "rb")) {
         for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file))
            code.push_back(static_cast<std::uint8_t>(c));
         std::fclose(file);
      }
      expect(!code.empty(), "the manager's code is there");
      manager.to<SetCode>().setCode(manager.name(), std::uint8_t{0}, std::uint8_t{0}, code).succeeds();
   }
   void policy(AccountNumber account, DynamicAuthPolicy policy,
               std::optional<DynamicAuthPolicy> forGreetings = std::nullopt) {
      manager.to<Manager>().set(account, std::move(policy), std::move(forGreetings)).succeeds();
   }
   bool isAuth(AccountNumber account, std::vector<AccountNumber> voices) {
      return alice.to<AuthDynamic>().isAuthSys(account, std::move(voices), std::optional<ServiceMethod>()).value();
   }
   bool isReject(AccountNumber account, std::vector<AccountNumber> voices) {
      return alice.to<AuthDynamic>().isRejectSys(account, std::move(voices), std::optional<ServiceMethod>()).value();
   }
};

const DynamicAuthPolicy twoOfThree{2, {{"alice"_a, 1}, {"bob"_a, 1}, {"eve"_a, 1}}};

} // namespace

POLIS_TEST(auth_dyn_weights_decide) {
   Managed f;
   f.manager.to<AuthDynamic>().newAccount("governed1"_a).succeeds();
   f.manager.to<AuthDynamic>().newAccount("governed1"_a).succeeds(); // again: nothing
   const auto account = "governed1"_a;
   f.policy(account, twoOfThree);
   expect(!f.isAuth(account, {"alice"_a}) && f.isAuth(account, {"alice"_a, "eve"_a}), "two of three agree");
   expect(!f.isAuth(account, {"alice"_a, "alice"_a, "manager"_a}), "a voice counts once");
   expect(!f.isReject(account, {"bob"_a}) && f.isReject(account, {"alice"_a, "bob"_a}), "two of three refuse");
   f.policy(account, {0, {{"alice"_a, 1}}});
   expect(!f.isAuth(account, {"alice"_a}), "threshold 0: nobody decides");
   f.policy(account, {5, {{"alice"_a, 4}}});
   expect(!f.isAuth(account, {"alice"_a}) && f.isReject(account, {}), "out of reach: refused by itself");
   f.policy(account, {200, {{"alice"_a, 150}, {"bob"_a, 150}}});
   expect(f.isAuth(account, {"alice"_a, "bob"_a}) && !f.isReject(account, {}) && f.isReject(account, {"alice"_a}),
          "weights of more than 255 together");
}

POLIS_TEST(auth_dyn_who_manages_and_who_does_not) {
   Managed f;
   f.manager.to<AuthDynamic>().newAccount("governed1"_a).succeeds();
   f.eve.to<AuthDynamic>().newAccount("governed1"_a).fails("account is managed by another");
   // SEC-1: an account that is there is taken by nobody, even one that has no manager yet.
   f.eve.to<Accounts>().newAccount("governed2"_a, AuthDynamic::account, true).succeeds();
   f.eve.to<AuthDynamic>().newAccount("governed2"_a).fails("account already exists");
   f.eve.to<AuthDynamic>().set_mgmt("governed2"_a, f.manager.name()).fails("only its manager");
   // An account that goes over to it names its manager first.
   f.alice.to<Accounts>().setAuthServ(AuthDynamic::account).fails("account alice has no manager");
   f.alice.to<AuthDynamic>().set_mgmt(f.alice.name(), "nobody"_a).fails("manager does not exist");
   f.alice.to<AuthDynamic>().set_mgmt("nobody"_a, f.manager.name()).fails("account does not exist");
   f.alice.to<AuthDynamic>().set_mgmt(f.alice.name(), f.manager.name()).fails("the manager has no policy for alice");
   f.policy(f.alice.name(), twoOfThree);
   f.alice.to<AuthDynamic>().set_mgmt(f.alice.name(), f.manager.name()).succeeds();
   f.alice.to<AuthDynamic>().set_mgmt(f.alice.name(), f.manager.name()).fails("only its manager");
   f.manager.to<AuthDynamic>().set_mgmt(f.alice.name(), f.manager.name()).succeeds();
   f.alice.to<Accounts>().setAuthServ(AuthDynamic::account).succeeds();
   f.alice.to<Hello>().greet("by herself").fails("only staged transactions act for alice");
   expectEqual(f.chain.graphql("auth-dyn", R"({ getManagement(account: "alice") { manager }
                                               none: getManagement(account: "bob") { manager }
                                               getManaged(manager: "manager") { nodes { account } } })"),
               R"({"data":{"getManagement":{"manager":"manager"},"none":null,)"
               R"("getManaged":{"nodes":[{"account":"alice"},{"account":"governed1"}]}}})");
}

POLIS_TEST(auth_dyn_proposals_act_for_the_governed) {
   Managed f;
   f.manager.to<AuthDynamic>().newAccount("governed1"_a).succeeds();
   f.policy("governed1"_a, twoOfThree, DynamicAuthPolicy{1, {{"eve"_a, 1}}});
   const Action greeting{"governed1"_a, Hello::account, "greet"_m, pack(std::tuple(std::string("governed")))};
   const auto id = f.alice.to<StagedTxService>().propose(std::vector{greeting}, true).value();
   const auto row = f.chain.row<StagedTxService::Proposals>(StagedTxService::account, id);
   if (!expect(row.has_value(), "alice alone does not decide"))
      return;
   f.bob.to<StagedTxService>().accept(id, row->txid).succeeds();
   expect(f.chain.row<StagedTxService::Proposals>(StagedTxService::account, id).has_value(),
          "for this method another policy holds");
   f.eve.to<StagedTxService>().accept(id, row->txid).succeeds();
   expectContains(std::string(asText(f.chain.get("hello", "/api/greetings").body)), "governed");
}

POLIS_TEST_MAIN()
