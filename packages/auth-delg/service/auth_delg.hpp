// Accounts that are owned by another account.
#pragma once

#include "accounts/service/auth_interface.hpp"

namespace polis::services {

struct DelegateRecord {
   AccountNumber account;
   AccountNumber owner;
};

class AuthDelegate : public Service {
public:
   static constexpr auto account = "auth-delg"_a;
   using Records =
       Table<0, DelegateRecord, &DelegateRecord::account, Index<&DelegateRecord::owner, &DelegateRecord::account>>;
   using Tables = std::tuple<Records>;

   /// Passes the question on to the owner's auth service, with the owner as sender. A request by the owner itself
   /// counts as one by the sender.
   bool checkAuthSys(std::uint32_t flags, AccountNumber requester, AccountNumber sender, ServiceMethod action,
                     std::vector<ServiceMethod> allowedActions, std::vector<Claim> claims);
   void canAuthUserSys(AccountNumber user);
   std::vector<AccountNumber> getDlgsSys(AccountNumber sender, std::optional<ServiceMethod> method);
   bool isAuthSys(AccountNumber sender, std::vector<AccountNumber> authorizers, std::optional<ServiceMethod> method);
   bool isRejectSys(AccountNumber sender, std::vector<AccountNumber> rejecters, std::optional<ServiceMethod> method);

   /// Gives the sender an owner. Refuses: the sender itself; an owner that is owned by the sender.
   void setOwner(AccountNumber owner);
   /// Creates an account with an owner, which must exist. Returns false, having changed nothing, if the account is
   /// there already; with requireMatch, fails instead unless it has this owner.
   bool newAccount(AccountNumber name, AccountNumber owner, bool requireMatch);
   AccountNumber getOwner(AccountNumber account);
};
POLIS_SERVICE(AuthDelegate, action(checkAuthSys, flags, requester, sender, action, allowedActions, claims),
              action(canAuthUserSys, user), action(getDlgsSys, sender, method),
              action(isAuthSys, sender, authorizers, method), action(isRejectSys, sender, rejecters, method),
              action(setOwner, owner), action(newAccount, name, owner, requireMatch), action(getOwner, account))

} // namespace polis::services
