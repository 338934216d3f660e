// Accounts whose authority is a policy: weighted authorizers, told by a service that manages them.
#pragma once

#include "accounts/service/auth_interface.hpp"

namespace polis::services {

struct Management {
   AccountNumber account;
   AccountNumber manager;
};

struct WeightedAuthorizer {
   AccountNumber account;
   std::uint8_t weight = 0;
};

struct DynamicAuthPolicy {
   /// Weight that authorizers need together; 0: nobody decides.
   std::uint8_t threshold = 0;
   std::vector<WeightedAuthorizer> authorizers;
};

/// What a manager implements.
class PolicyInterface : public Service {
public:
   DynamicAuthPolicy get_policy(AccountNumber account, std::optional<ServiceMethod> method);
   /// Whether it has one for this account.
   bool has_policy(AccountNumber account);
};
POLIS_SERVICE(PolicyInterface, action(get_policy, account, method), action(has_policy, account))

class AuthDynamic : public Service {
public:
   static constexpr auto account = "auth-dyn"_a;
   using Managements = Table<0, Management, &Management::account, Index<&Management::manager, &Management::account>>;
   using Tables = std::tuple<Managements>;

   /// Creates an account that the sender manages. Does nothing when the sender manages it already; fails, having
   /// changed nothing, when the name is otherwise taken.
   void newAccount(AccountNumber account);
   /// Never: such accounts act in staged transactions only.
   bool checkAuthSys(std::uint32_t flags, AccountNumber requester, AccountNumber sender, ServiceMethod action,
                     std::vector<ServiceMethod> allowedActions, std::vector<Claim> claims);
   /// Fails unless the account has a manager, and that a policy for it.
   void canAuthUserSys(AccountNumber user);
   std::vector<AccountNumber> getDlgsSys(AccountNumber sender, std::optional<ServiceMethod> method);
   bool isAuthSys(AccountNumber sender, std::vector<AccountNumber> authorizers, std::optional<ServiceMethod> method);
   bool isRejectSys(AccountNumber sender, std::vector<AccountNumber> rejecters, std::optional<ServiceMethod> method);
   /// Sender: the manager, or the account itself while it has none. Refuses: an unknown account or manager; a manager
   /// without a policy for the account.
   void set_mgmt(AccountNumber account, AccountNumber manager);
};
POLIS_SERVICE(AuthDynamic, action(newAccount, account),
              action(checkAuthSys, flags, requester, sender, action, allowedActions, claims),
              action(canAuthUserSys, user), action(getDlgsSys, sender, method),
              action(isAuthSys, sender, authorizers, method), action(isRejectSys, sender, rejecters, method),
              action(set_mgmt, account, manager))

} // namespace polis::services
