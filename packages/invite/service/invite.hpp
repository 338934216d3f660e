// Invitations: how somebody who has no account makes one.
#pragma once

#include "tokens/service/quantity.hpp"

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

/// What createInvite's payload unpacks to.
struct InvitePayload {
   /// sha256 of the invitation key's SubjectPublicKeyInfo, DER; 32 bytes.
   Bytes fingerprint;
   /// The invitation key, encrypted for whoever holds the link.
   std::string secret;
};

struct Invite {
   std::uint32_t id = 0;
   /// The credential behind it.
   std::uint32_t cid = 0;
   AccountNumber inviter;
   /// Accounts that can still be made with it.
   std::uint16_t numAccounts = 0;
   bool useHooks = false;
   std::string secret;
};

/// History event.
struct InviteUpdated {
   static constexpr std::string_view eventName = "updated";
   std::uint32_t inviteId = 0;
   AccountNumber actor;
   std::string event;
};

/// What an inviter with hooks implements.
class InviteHooks : public Service {
public:
   void onInvAccept(std::uint32_t inviteId, AccountNumber accepter);
};
POLIS_SERVICE(InviteHooks, action(onInvAccept, inviteId, accepter))

class Invites : public Service {
public:
   static constexpr auto account = "invite"_a;
   static constexpr std::uint32_t lifetimeS = 7 * 24 * 3600;
   static constexpr std::size_t secretBytesMax = 2048;
   using Records = Table<0, Invite, &Invite::id, Index<&Invite::inviter, &Invite::id>, Index<&Invite::cid>>;
   using HistoryTable = EventTable<0, InviteUpdated, By<&InviteUpdated::inviteId>>;
   using Tables = std::tuple<Records>;
   using HistoryEvents = std::tuple<InviteUpdated>;

   /// Nothing to do here: for installers of the protocol.
   void init();
   /// Makes an invitation of the sender, valid for one week, and returns its id. payload: a packed InvitePayload.
   /// numAccounts: 0 for an invitation of somebody who has an account. resources: what the sender has credited to this
   /// service for it, at least getInvCost; none where that is nothing.
   /// Refuses: an id that is in use; hooks of an inviter without code; a payload that is malformed.
   std::uint32_t createInvite(std::uint32_t inviteId, Bytes payload, std::uint16_t numAccounts, bool useHooks,
                              Quantity resources);
   /// Makes an account with the invitation whose key signed, and fills its reserve as far as the invitation's resources
   /// go; what the last account leaves goes back to the inviter. Sender: cred-sys. Refuses: a name that is taken; the
   /// invitation's own key; an invitation that is used up.
   void createAccount(AccountNumber account, Bytes accountKey);
   /// The sender takes note of the invitation whose key also signed.
   void accept(std::uint32_t inviteId);
   /// Withdraws an invitation and returns what was left of its resources, which go to its inviter. Sender: its inviter.
   Quantity delInvite(std::uint32_t inviteId);
   std::optional<Invite> getInvite(std::uint32_t inviteId);
   /// Fails if there is no such invitation.
   TimePointSec getExpDate(std::uint32_t inviteId);
   /// For each account a reserve of usual size, and what making it takes at most; nothing where nothing is billed.
   Quantity getInvCost(std::uint16_t numAccounts);
};
POLIS_SERVICE(Invites, action(init), action(createInvite, inviteId, payload, numAccounts, useHooks, resources),
              action(createAccount, account, accountKey), action(accept, inviteId), action(delInvite, inviteId),
              action(getInvite, inviteId), action(getExpDate, inviteId), action(getInvCost, numAccounts))

} // namespace polis::services
