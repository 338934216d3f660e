// A manager for tests: keeps one policy an account, and another for the method greet.
#pragma once

#include "auth-dyn/service/auth_dyn.hpp"

namespace polis::services {

struct KeptPolicy {
   AccountNumber account;
   DynamicAuthPolicy policy;
   std::optional<DynamicAuthPolicy> forGreetings;
};

class Manager : public Service {
public:
   static constexpr auto account = "manager"_a;
   using Policies = Table<0, KeptPolicy, &KeptPolicy::account>;
   using Tables = std::tuple<Policies>;

   void set(AccountNumber account, DynamicAuthPolicy policy, std::optional<DynamicAuthPolicy> forGreetings);
   DynamicAuthPolicy get_policy(AccountNumber account, std::optional<ServiceMethod> method);
   bool has_policy(AccountNumber account);
};
POLIS_SERVICE(Manager, action(set, account, policy, forGreetings), action(get_policy, account, method),
              action(has_policy, account))

} // namespace polis::services
