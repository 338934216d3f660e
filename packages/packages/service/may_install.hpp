// Whose accounts a package may bring code and files to.
#pragma once

#include "packages.hpp"

#include "accounts/service/accounts.hpp"
#include "auth-delg/service/auth_delg.hpp"

#include <algorithm>

namespace polis::services {

/// Why `owner` may not install a package with `accounts` on one of them; nothing: it may.
/// account: as it is entered. It is `owner`'s, `owner` itself, or answers for itself inside the package.
inline std::optional<std::string> whyNotInstall(const Account& account, AccountNumber owner,
                                                const std::vector<AccountNumber>& accounts) {
   const bool may = account.authService == AuthDelegate::account
                        ? to<AuthDelegate>().getOwner(account.accountNum) == owner
                        : account.accountNum == owner || std::ranges::contains(accounts, account.authService);
   if (may)
      return std::nullopt;
   return "account is not owned by " + owner.str() + ": " + account.accountNum.str();
}

} // namespace polis::services
