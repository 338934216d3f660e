#include "credential/service/credential.hpp"

#include "accounts/service/accounts.hpp"
#include "tokens/service/tokens.hpp"
#include "transact/service/transact.hpp"
#include "vserver/service/vserver.hpp"

#include <algorithm>

namespace polis::services {

namespace {

/// Expired credentials erased by each issue, at most: more than it adds.
constexpr int expiredPerIssue = 2;

TimePointSec now() { return {currentBlockTime().microseconds / 1'000'000}; }

bool expired(const Credential& credential) {
   return credential.expiry_date && credential.expiry_date->seconds <= now().seconds;
}

Credential credentialOf(std::uint32_t id) {
   auto credential = open<Credentials::Records>().get(id);
   check(credential.has_value(), "credential does not exist");
   return std::move(*credential);
}

std::optional<Credential> byClaim(const Claim& claim) {
   if (claim.service != Credentials::verifyService)
      return std::nullopt;
   return open<Credentials::Records>().index<1>().get(sha256(ByteView(claim.rawData)));
}

/// Runs an action of cred-sys, whose auth service this is.
void asBearer(const Action& action) { to<Transact>().runAs(action, std::vector<ServiceMethod>()); }

/// The part of cred-sys's reserve that pays for the credential's transactions.
std::string reserveOf(std::uint32_t id) { return std::to_string(id); }

} // namespace

void Credentials::init() {
   const auto table = open<InitTable>(Mode::readWrite);
   if (table.get())
      return;
   table.put({});
   to<Accounts>().newAccount(bearer, account, true);
}

std::uint32_t Credentials::issue(Checksum256 pubkey_fingerprint, std::optional<std::uint32_t> expires,
                                 std::vector<MethodNumber> allowed_actions) {
   const auto records = open<Records>(Mode::readWrite);
   for (int i = 0; i < expiredPerIssue; ++i)
      if (const auto first = records.index<2>().first(); first && expired(*first))
         records.remove(*first);
   check(!records.index<1>().get(pubkey_fingerprint), "a credential with this key exists");
   const auto lastId = open<LastId>(Mode::readWrite);
   const auto id = lastId.get().value_or(LastCredential{}).id + 1;
   check(id != 0, "no more credential ids");
   lastId.put({id});
   Credential credential{.id = id,
                         .pubkey_fingerprint = pubkey_fingerprint,
                         .creation_date = now(),
                         .issuer = getSender(),
                         .expiry_date = std::nullopt,
                         .allowed_actions = std::move(allowed_actions)};
   if (expires)
      credential.expiry_date = TimePointSec{now().seconds + *expires};
   records.put(credential);
   return id;
}

Checksum256 Credentials::getFingerprint(std::uint32_t id) { return credentialOf(id).pubkey_fingerprint; }

std::optional<TimePointSec> Credentials::get_expiry_date(std::uint32_t id) { return credentialOf(id).expiry_date; }

std::optional<Credential> Credentials::find(std::uint32_t id) { return open<Records>().get(id); }

std::optional<std::uint32_t> Credentials::get_active() {
   std::optional<Credential> active;
   for (const auto& claim : to<Transact>().getTransaction().claims) {
      auto found = byClaim(claim);
      if (!found)
         continue;
      check(!active, "only one credential may be used in a transaction");
      active = std::move(found);
   }
   if (!active)
      return std::nullopt;
   check(!expired(*active), "credential has expired");
   return active->id;
}

void Credentials::resource(std::uint32_t id, Quantity amount) {
   check(credentialOf(id).issuer == getSender(), "only the issuer may do this");
   if (amount.value == 0)
      return;
   const auto token = to<Tokens>().getSysToken();
   check(token.has_value(), "there is no system token yet");
   to<Tokens>().debit(token->id, getSender(), amount, Memo{});
   to<Tokens>().credit(token->id, bearer, amount, Memo{});
   asBearer(action<Tokens>(bearer).debit(token->id, account, amount, Memo{}));
   asBearer(action<Tokens>(bearer).credit(token->id, VirtualServer::account, amount, Memo{}));
   asBearer(action<VirtualServer>(bearer).buy_res_sub(amount, reserveOf(id)));
}

void Credentials::consume(std::uint32_t id) {
   const auto credential = credentialOf(id);
   check(credential.issuer == getSender(), "only the issuer may consume a credential");
   open<Records>(Mode::readWrite).remove(credential);
   asBearer(action<VirtualServer>(bearer).del_res_sub(reserveOf(id)));
}

bool Credentials::checkAuthSys(std::uint32_t flags, AccountNumber requester, AccountNumber sender, ServiceMethod action,
                               std::vector<ServiceMethod>, std::vector<Claim> claims) {
   check(sender == bearer, "sender must be " + bearer.str());
   switch (flags & AuthInterface::requestMask) {
   case AuthInterface::topActionReq:
      break;
   case AuthInterface::runAsRequesterReq:
   case AuthInterface::runAsMatchedReq:
      return true;
   case AuthInterface::runAsOtherReq:
      check(requester == account, "runAs: the caller is not authorized");
      return true;
   case AuthInterface::runAsMatchedExpandedReq:
      abortMessage("runAs: the caller has attempted to expand its authority");
   default:
      abortMessage("unsupported auth type");
   }
   check(claims.size() == 1, "a credential must be the only claim");
   check(claims.front().service == verifyService, "a credential is claimed through verify-sig");
   const auto credential = byClaim(claims.front());
   check(credential.has_value(), "claim is not a known credential");
   check(!expired(*credential), "credential has expired");
   check(action.service == credential->issuer, "a credential may only call its issuer");
   check(std::ranges::contains(credential->allowed_actions, action.method),
         "this credential does not allow that action");
   if ((flags & AuthInterface::firstAuthFlag) && !(flags & AuthInterface::readOnlyFlag) &&
       to<Transact>().isResMonitoring())
      asBearer(sdk::action<VirtualServer>(bearer).bill_to_sub(reserveOf(credential->id)));
   return true;
}

void Credentials::canAuthUserSys(AccountNumber user) {
   check(user == bearer, "only " + bearer.str() + " may be under this auth service");
}

std::vector<AccountNumber> Credentials::getDlgsSys(AccountNumber, std::optional<ServiceMethod>) { return {}; }

bool Credentials::isAuthSys(AccountNumber, std::vector<AccountNumber>, std::optional<ServiceMethod>) {
   abortMessage(bearer.str() + " cannot authorize staged transactions");
}

bool Credentials::isRejectSys(AccountNumber, std::vector<AccountNumber>, std::optional<ServiceMethod>) {
   abortMessage(bearer.str() + " cannot reject staged transactions");
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::Credentials)
