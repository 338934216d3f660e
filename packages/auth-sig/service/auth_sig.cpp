#include "auth-sig/service/auth_sig.hpp"

#include "accounts/service/accounts.hpp"
#include "crypto/verify.hpp"

#include <algorithm>

namespace polis::services {

namespace {

void store(AccountNumber account, Bytes key) {
   check(crypto::isPublicKey(key), "not a public key of P-256 or secp256k1 (SubjectPublicKeyInfo, DER)");
   open<AuthSig::Records>(Mode::readWrite).put({.account = account, .pubkey = std::move(key)});
}

} // namespace

bool AuthSig::checkAuthSys(std::uint32_t flags, AccountNumber, AccountNumber sender, ServiceMethod,
                           std::vector<ServiceMethod>, std::vector<Claim> claims) {
   switch (flags & AuthInterface::requestMask) {
   case AuthInterface::topActionReq:
      break;
   case AuthInterface::runAsRequesterReq:
   case AuthInterface::runAsMatchedReq:
      return true;
   case AuthInterface::runAsMatchedExpandedReq:
      abortMessage("runAs: the caller has attempted to expand its authority");
   case AuthInterface::runAsOtherReq:
      abortMessage("runAs: the caller is not authorized");
   default:
      abortMessage("unsupported auth type");
   }
   const auto record = open<Records>().get(sender);
   if (!record)
      abortMessage("account " + sender.str() + " does not have a key");
   auto matches = [&](const Claim& claim) { return claim.service == verifyService && claim.rawData == record->pubkey; };
   if (flags & AuthInterface::firstAuthFlag) {
      check(!claims.empty() && matches(claims.front()), "the first sender's key is not the first claim");
      return true;
   }
   check(std::ranges::any_of(claims, matches), "transaction is not signed with the key of " + sender.str());
   return true;
}

void AuthSig::canAuthUserSys(AccountNumber user) {
   check(open<Records>().contains(user), "set a public key with auth-sig::setKey first");
}

std::vector<AccountNumber> AuthSig::getDlgsSys(AccountNumber, std::optional<ServiceMethod>) { return {}; }

bool AuthSig::isAuthSys(AccountNumber sender, std::vector<AccountNumber> authorizers, std::optional<ServiceMethod>) {
   return std::ranges::contains(authorizers, sender);
}

bool AuthSig::isRejectSys(AccountNumber sender, std::vector<AccountNumber> rejecters, std::optional<ServiceMethod>) {
   return std::ranges::contains(rejecters, sender);
}

void AuthSig::setKey(Bytes key) { store(getSender(), std::move(key)); }

void AuthSig::newAccount(AccountNumber name, Bytes key) {
   // The row of somebody who already has the name must never be touched.
   check(to<Accounts>().newAccount(name, account, true), "account already exists");
   store(name, std::move(key));
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::AuthSig)
