#include "auth-dyn/service/auth_dyn.hpp"

#include "accounts/service/accounts.hpp"

#include <algorithm>

namespace polis::services {

namespace {

AccountNumber managerOf(AccountNumber account) {
   const auto row = open<AuthDynamic::Managements>().get(account);
   check(row.has_value(), "account " + account.str() + " has no manager");
   return row->manager;
}

DynamicAuthPolicy policyOf(AccountNumber account, std::optional<ServiceMethod> method) {
   return to<PolicyInterface>(managerOf(account)).get_policy(account, std::move(method));
}

struct Weights {
   std::uint64_t present = 0, all = 0;
};

/// Whoever is named several times counts so often.
Weights weigh(const DynamicAuthPolicy& policy, const std::vector<AccountNumber>& present) {
   Weights weights;
   for (const auto& [account, weight] : policy.authorizers) {
      weights.all += weight;
      if (std::ranges::contains(present, account))
         weights.present += weight;
   }
   return weights;
}

} // namespace

void AuthDynamic::newAccount(AccountNumber name) {
   const auto sender = getSender();
   const auto managements = open<Managements>(Mode::readWrite);
   if (const auto row = managements.get(name)) {
      check(row->manager == sender, "account is managed by another");
      return;
   }
   // SEC-1: whose account is there already keeps it.
   check(to<Accounts>().newAccount(name, account, true), "account already exists");
   managements.put({name, sender});
}

bool AuthDynamic::checkAuthSys(std::uint32_t, AccountNumber, AccountNumber sender, ServiceMethod,
                               std::vector<ServiceMethod>, std::vector<Claim>) {
   abortMessage("only staged transactions act for " + sender.str());
}

void AuthDynamic::canAuthUserSys(AccountNumber user) {
   check(to<PolicyInterface>(managerOf(user)).has_policy(user), "the manager has no policy for " + user.str());
}

std::vector<AccountNumber> AuthDynamic::getDlgsSys(AccountNumber sender, std::optional<ServiceMethod> method) {
   std::vector<AccountNumber> accounts;
   for (const auto& authorizer : policyOf(sender, std::move(method)).authorizers)
      accounts.push_back(authorizer.account);
   return accounts;
}

bool AuthDynamic::isAuthSys(AccountNumber sender, std::vector<AccountNumber> authorizers,
                            std::optional<ServiceMethod> method) {
   const auto policy = policyOf(sender, std::move(method));
   return policy.threshold != 0 && weigh(policy, authorizers).present >= policy.threshold;
}

bool AuthDynamic::isRejectSys(AccountNumber sender, std::vector<AccountNumber> rejecters,
                              std::optional<ServiceMethod> method) {
   const auto policy = policyOf(sender, std::move(method));
   const auto weights = weigh(policy, rejecters);
   return weights.present + policy.threshold > weights.all; // the others cannot reach it
}

void AuthDynamic::set_mgmt(AccountNumber name, AccountNumber manager) {
   const auto sender = getSender();
   const auto managements = open<Managements>(Mode::readWrite);
   const auto row = managements.get(name);
   check(to<Accounts>().exists(name), "account does not exist");
   check(sender == (row ? row->manager : name), "only its manager, or the account while it has none, may do this");
   check(to<Accounts>().exists(manager), "manager does not exist");
   check(to<PolicyInterface>(manager).has_policy(name), "the manager has no policy for " + name.str());
   managements.put({name, manager});
   to<Accounts>().incAuthSeq(name);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::AuthDynamic)
