// What an auth service answers: whether an action may run for an account, and whose word counts for that account.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

/// Implemented by every auth service; called by transact, accounts, and auth services that pass the question on.
/// Source: spec, services, auth interface.
class AuthInterface : public Service {
public:
   static constexpr std::uint32_t readOnlyFlag = 0x80000000;  ///< a question only: writes are impossible
   static constexpr std::uint32_t firstAuthFlag = 0x40000000; ///< the first action, whose sender pays
   static constexpr std::uint32_t requestMask = 0xFF;

   // Requests, the low byte of the flags.
   static constexpr std::uint32_t topActionReq = 1;
   static constexpr std::uint32_t runAsRequesterReq = 2;
   static constexpr std::uint32_t runAsMatchedReq = 3;
   static constexpr std::uint32_t runAsMatchedExpandedReq = 4;
   static constexpr std::uint32_t runAsOtherReq = 5;

   /// Whether `action` may run as `sender`. Fails, or answers false, when not.
   bool checkAuthSys(std::uint32_t flags, AccountNumber requester, AccountNumber sender, ServiceMethod action,
                     std::vector<ServiceMethod> allowedActions, std::vector<Claim> claims);
   /// Fails unless `user` is ready to be governed by this auth service.
   void canAuthUserSys(AccountNumber user);
   /// Accounts that may decide for `sender`.
   std::vector<AccountNumber> getDlgsSys(AccountNumber sender, std::optional<ServiceMethod> method);
   /// Whether these authorizers together decide for `sender`.
   bool isAuthSys(AccountNumber sender, std::vector<AccountNumber> authorizers, std::optional<ServiceMethod> method);
   /// Whether these rejecters together can stop an action of `sender`.
   bool isRejectSys(AccountNumber sender, std::vector<AccountNumber> rejecters, std::optional<ServiceMethod> method);
};
POLIS_SERVICE(AuthInterface, action(checkAuthSys, flags, requester, sender, action, allowedActions, claims),
              action(canAuthUserSys, user), action(getDlgsSys, sender, method),
              action(isAuthSys, sender, authorizers, method), action(isRejectSys, sender, rejecters, method))

} // namespace polis::services
