#include "invite/service/invite.hpp"

#include "accounts/service/accounts.hpp"
#include "auth-sig/service/auth_sig.hpp"
#include "credential/service/credential.hpp"

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

} // namespace

void Invites::init() {}

std::uint32_t Invites::createInvite(std::uint32_t inviteId, Bytes payload, std::uint16_t numAccounts, bool useHooks,
                                    Quantity resources) {
   check(resources.value == 0, "resources are not billed on this network");
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
   tell(inviteId, invite.inviter, "deleted");
   return {};
}

std::optional<Invite> Invites::getInvite(std::uint32_t inviteId) { return open<Records>().get(inviteId); }

TimePointSec Invites::getExpDate(std::uint32_t inviteId) {
   const auto expires = to<Credentials>().get_expiry_date(inviteOf(inviteId).cid);
   check(expires.has_value(), "this invite does not expire");
   return *expires;
}

Quantity Invites::getInvCost(std::uint16_t) { return {}; }

} // namespace polis::services

POLIS_DISPATCH(polis::services::Invites)
