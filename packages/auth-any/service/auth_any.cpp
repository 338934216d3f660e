#include "auth-any/service/auth_any.hpp"

#include <algorithm>

namespace polis::services {

bool AuthAny::checkAuthSys(std::uint32_t, AccountNumber, AccountNumber, ServiceMethod, std::vector<ServiceMethod>,
                           std::vector<Claim>) {
   return true;
}

void AuthAny::canAuthUserSys(AccountNumber) {}

std::vector<AccountNumber> AuthAny::getDlgsSys(AccountNumber, std::optional<ServiceMethod>) { return {}; }

bool AuthAny::isAuthSys(AccountNumber sender, std::vector<AccountNumber> authorizers, std::optional<ServiceMethod>) {
   return std::ranges::contains(authorizers, sender);
}

bool AuthAny::isRejectSys(AccountNumber sender, std::vector<AccountNumber> rejecters, std::optional<ServiceMethod>) {
   return std::ranges::contains(rejecters, sender);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::AuthAny)
