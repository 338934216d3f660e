#include "auth-delg/service/auth_delg.hpp"

#include "accounts/service/accounts.hpp"

#include <algorithm>

namespace polis::services {

namespace {

AccountNumber ownerOf(AccountNumber account) {
   const auto record = open<AuthDelegate::Records>().get(account);
   check(record.has_value(), "account does not have an owning account");
   return record->owner;
}

} // namespace

bool AuthDelegate::checkAuthSys(std::uint32_t flags, AccountNumber requester, AccountNumber sender,
                                ServiceMethod action, std::vector<ServiceMethod> allowedActions,
                                std::vector<Claim> claims) {
   const auto owner = ownerOf(sender);
   const auto request = flags & AuthInterface::requestMask;
   if (request != AuthInterface::topActionReq && requester == owner)
      flags = (flags & ~AuthInterface::requestMask) | AuthInterface::runAsRequesterReq;
   return to<AuthInterface>(to<Accounts>().getAuthOf(owner))
       .checkAuthSys(flags, requester, owner, action, std::move(allowedActions), std::move(claims));
}

void AuthDelegate::canAuthUserSys(AccountNumber user) { ownerOf(user); }

std::vector<AccountNumber> AuthDelegate::getDlgsSys(AccountNumber sender, std::optional<ServiceMethod>) {
   return {ownerOf(sender)};
}

bool AuthDelegate::isAuthSys(AccountNumber sender, std::vector<AccountNumber> authorizers,
                             std::optional<ServiceMethod>) {
   return std::ranges::contains(authorizers, ownerOf(sender));
}

bool AuthDelegate::isRejectSys(AccountNumber sender, std::vector<AccountNumber> rejecters,
                               std::optional<ServiceMethod>) {
   return std::ranges::contains(rejecters, ownerOf(sender));
}

void AuthDelegate::setOwner(AccountNumber owner) {
   const auto sender = getSender();
   check(owner != sender, "circular ownership");
   const auto records = open<Records>(Mode::readWrite);
   const auto ownersOwner = records.get(owner);
   check(!ownersOwner || ownersOwner->owner != sender, "circular ownership");
   records.put({.account = sender, .owner = owner});
   to<Accounts>().incAuthSeq(sender);
}

bool AuthDelegate::newAccount(AccountNumber name, AccountNumber owner, bool requireMatch) {
   check(to<Accounts>().exists(owner), "owner account does not exist");
   check(owner != name, "an account cannot own itself");
   const auto records = open<Records>(Mode::readWrite);
   if (!to<Accounts>().newAccount(name, account, requireMatch)) {
      const auto record = records.get(name);
      check(!requireMatch || (record && record->owner == owner), "account already exists");
      return false;
   }
   records.put({.account = name, .owner = owner});
   return true;
}

AccountNumber AuthDelegate::getOwner(AccountNumber account) { return ownerOf(account); }

} // namespace polis::services

POLIS_DISPATCH(polis::services::AuthDelegate)
