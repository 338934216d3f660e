#include "invite/service/invite.hpp"

#include "accounts/service/accounts.hpp"
#include "auth-sig/service/auth_sig.hpp"
#include "credential/service/credential.hpp"
#include "transact/service/transact.hpp"
#include "vserver/service/vserver.hpp"

#include <algorithm>

namespace polis::services {

namespace {

Invite inviteOf(std::uint32_t id) {
   auto invite = open<Invites::Records>().get(id);
   check(invite.has_value(), "this invite does not exist");
   return std::move(*invite);
}

void tell(std::uint32_t inviteId, AccountNumber actor, std::string event) {
   keepHistory<Invites::HistoryTable>(InviteUpdated{inviteId, actor, std::move(event)});
}

/// What each account of an invitation takes: its reserve, and the transaction that makes it.
struct Share {
   std::uint64_t reserve = 0;
   std::uint64_t making = 0;
};
Share shareNow() {
   if (!to<Transact>().isResMonitoring())
      return {};
   const auto usual = to<VirtualServer>().std_buffer_cost().value;
   return {usual, usual / 5};
}

/// The tokens of an invitation lie in a sub-account of its own.
std::string nameOf(std::uint32_t inviteId) { return std::to_string(inviteId); }

TokenId systemToken() {
   const auto token = to<Tokens>().getSysToken();
   check(token.has_value(), "there is no system token yet");
   return token->id;
}

/// Takes at most so much of what an invitation has left; it is in this service's own hands then.
Quantity take(std::uint32_t inviteId, std::uint64_t most = UINT64_MAX) {
   const auto token = to<Tokens>().getSysToken();
   const auto left = token ? to<Tokens>().getSubBal(token->id, nameOf(inviteId)) : std::nullopt;
   const Quantity taken{left ? std::min(left->value, most) : 0};
   if (taken.value > 0)
      to<Tokens>().fromSub(token->id, nameOf(inviteId), taken);
   return taken;
}

void give(AccountNumber receiver, Quantity amount, Memo memo) {
   if (amount.value > 0)
      to<Tokens>().credit(systemToken(), receiver, amount, memo);
}

} // namespace

void Invites::init() {}

std::uint32_t Invites::createInvite(std::uint32_t inviteId, Bytes payload, std::uint16_t numAccounts, bool useHooks,
                                    Quantity resources) {
   auto content = unpack<InvitePayload>(payload);
   check(content.has_value(), "malformed invite payload");
   check(content->secret.size() <= secretBytesMax, "the invite's secret is too long");
   Checksum256 fingerprint{};
   check(content->fingerprint.size() == fingerprint.size(), "a fingerprint has 32 bytes");
   std::copy(content->fingerprint.begin(), content->fingerprint.end(), fingerprint.begin());
   const auto sender = getSender();
   check(!useHooks || native::code(sender).has_value(), "an inviter with hooks must be a service");

   const auto records = open<Records>(Mode::readWrite);
   check(!records.contains(inviteId), "invite id is in use");
   const auto cid = to<Credentials>().issue(fingerprint, lifetimeS, std::vector{"createAccount"_m});
   if (numAccounts > 0 && to<Transact>().isResMonitoring()) {
      check(resources >= getInvCost(numAccounts), "the invite costs more than these resources");
      const auto token = systemToken();
      to<Tokens>().debit(token, sender, resources, Memo{"Resources of an invite"});
      const Quantity making{shareNow().making * numAccounts};
      give(Credentials::account, making, Memo{});
      to<Credentials>().resource(cid, making);
      to<Tokens>().toSub(token, nameOf(inviteId), Quantity{resources.value - making.value});
   } else
      check(resources.value == 0, "this invite costs no resources");
   records.put({.id = inviteId,
                .cid = cid,
                .inviter = sender,
                .numAccounts = numAccounts,
                .useHooks = useHooks,
                .secret = std::move(content->secret)});
   tell(inviteId, sender, "created");
   return inviteId;
}

void Invites::createAccount(AccountNumber account, Bytes accountKey) {
   check(getSender() == Credentials::bearer, "only " + Credentials::bearer.str() + " may create accounts by invite");
   const auto active = to<Credentials>().get_active();
   check(active.has_value(), "no credential is active");
   const auto records = open<Records>(Mode::readWrite);
   auto invite = records.index<2>().get(*active);
   check(invite.has_value(), "the active credential is not an invite");
   check(invite->numAccounts > 0, "this invite has no accounts left");
   check(sha256(ByteView(accountKey)) != to<Credentials>().getFingerprint(*active),
         "the account's key must differ from the invite's");
   --invite->numAccounts;
   records.put(*invite);
   to<AuthSig>().newAccount(account, std::move(accountKey));
   if (const auto filled = take(invite->id, shareNow().reserve); filled.value > 0) {
      give(VirtualServer::account, filled, Memo{});
      to<VirtualServer>().buy_res_for(filled, account, std::optional<Memo>());
   }
   if (invite->numAccounts == 0)
      give(invite->inviter, take(invite->id), Memo{"What an invite left"});
   tell(invite->id, account, "accountRedeemed");
}

void Invites::accept(std::uint32_t inviteId) {
   const auto invite = inviteOf(inviteId);
   const auto active = to<Credentials>().get_active();
   check(active == invite.cid, "the invite's credential is not active");
   const auto accepter = getSender();
   tell(inviteId, accepter, "accepted");
   if (invite.useHooks)
      to<InviteHooks>(invite.inviter).onInvAccept(inviteId, accepter);
}

Quantity Invites::delInvite(std::uint32_t inviteId) {
   const auto invite = inviteOf(inviteId);
   check(invite.inviter == getSender(), "only its inviter may delete an invite");
   open<Records>(Mode::readWrite).remove(invite);
   // An expired credential may have been cleared away.
   if (to<Credentials>().find(invite.cid))
      to<Credentials>().consume(invite.cid);
   const auto left = take(inviteId);
   give(invite.inviter, left, Memo{"What an invite left"});
   tell(inviteId, invite.inviter, "deleted");
   return left;
}

std::optional<Invite> Invites::getInvite(std::uint32_t inviteId) { return open<Records>().get(inviteId); }

TimePointSec Invites::getExpDate(std::uint32_t inviteId) {
   const auto expires = to<Credentials>().get_expiry_date(inviteOf(inviteId).cid);
   check(expires.has_value(), "this invite does not expire");
   return *expires;
}

Quantity Invites::getInvCost(std::uint16_t numAccounts) {
   const auto share = shareNow();
   std::uint64_t cost = 0;
   check(!__builtin_mul_overflow(share.reserve + share.making, std::uint64_t{numAccounts}, &cost),
         "nobody can pay for this invite");
   return {cost};
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::Invites)
