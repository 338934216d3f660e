// HTTP of invite: what an invitation is good for.
#include "credential/service/credential.hpp"
#include "invite/service/invite.hpp"
#include "tokens/service/tokens.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(InvitesQuery, Invites::account)

namespace {

struct InviteReply {
   static constexpr std::string_view typeName = "Invite";
   std::uint32_t id = 0;
   AccountNumber inviter;
   std::uint16_t numAccounts = 0;
   bool useHooks = false;
   std::optional<std::string> secret;
   std::uint32_t cid = 0;
   std::optional<TimePointSec> expires;
   std::string state;
};

struct InvitesReply {
   std::vector<InviteReply> invites;
   std::optional<std::uint32_t> next;
};

struct CostReply {
   std::uint64_t cost = 0;
};

InviteReply describe(const Invite& invite, bool withSecret) {
   InviteReply reply{.id = invite.id,
                     .inviter = invite.inviter,
                     .numAccounts = invite.numAccounts,
                     .useHooks = invite.useHooks,
                     .secret = std::nullopt,
                     .cid = invite.cid,
                     .expires = std::nullopt,
                     .state = "expired"};
   if (withSecret)
      reply.secret = invite.secret;
   // An expired credential may have been cleared away; its invitation has then expired too.
   const auto credential = to<Credentials>().find(invite.cid);
   if (credential)
      reply.expires = credential->expiry_date;
   if (credential &&
       (!credential->expiry_date || credential->expiry_date->seconds > currentBlockTime().microseconds / 1'000'000))
      reply.state = invite.numAccounts ? "open" : "used";
   return reply;
}

struct EventInfo {
   static constexpr std::string_view typeName = "InviteEvent";
   std::uint32_t inviteId = 0;
   AccountNumber actor;
   /// "created", "accountRedeemed", "accepted" or "deleted".
   std::string event;
   EventBlock block;
};

struct Query {
   std::optional<InviteReply> inviteById(std::uint32_t inviteId) const {
      const auto invite = openOf<Invites::Records>(Invites::account).get(inviteId);
      return invite ? std::optional(describe(*invite, true)) : std::nullopt;
   }
   Connection<InviteReply> invitesByInviter(AccountNumber inviter, Page<std::uint32_t> page) const {
      return connectionOf(
          openOf<Invites::Records>(Invites::account).index<1>(), page,
          [](const Invite& invite) { return describe(invite, false); }, inviter);
   }
   /// What an invitation to so many accounts costs, in the system's token.
   std::string getInviteCost(std::uint16_t numAccounts) const {
      const auto cost = to<Invites>().getInvCost(numAccounts);
      const auto token = cost.value > 0 ? to<Tokens>().getSysToken() : std::nullopt;
      return decimalText(cost, token ? token->precision : 0);
   }
   /// What became of one invitation, also after it was used up or withdrawn.
   Connection<EventInfo> history(std::uint32_t inviteId, Page<std::uint64_t> page) const {
      const auto info = [](const EventLine<InviteUpdated>& line) {
         const auto& event = line.event;
         return EventInfo{event.inviteId, event.actor, event.event, line.block()};
      };
      return connectionOf(openOf<Invites::HistoryTable>(Invites::account).index<1>(), page, info, inviteId);
   }
};
POLIS_GRAPHQL(Query, field(inviteById, inviteId), field(invitesByInviter, inviter, page),
              field(getInviteCost, numAccounts), field(history, inviteId, page))

} // namespace

std::optional<HttpReply> InvitesQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                std::optional<AccountNumber>) {
   if (auto reply = serveGraphql(Query{}, request, graphql::ErrorForm::list))
      return reply;
   const auto path = pathOf(request);
   if (path != "/api/invite" && path != "/api/invites" && path != "/api/cost")
      return std::nullopt;
   if (request.method == "OPTIONS")
      return std::nullopt; // http answers a preflight
   if (request.method != "GET")
      return methodNotAllowed("GET");
   if (path == "/api/cost") {
      const auto accounts = numberParameter<std::uint16_t>(request, "accounts");
      return accounts ? jsonReply(CostReply{to<Invites>().getInvCost(*accounts).value})
                      : apiError(400, "parameter accounts: how many");
   }
   const auto records = openOf<Invites::Records>(Invites::account);
   if (path == "/api/invite") {
      const auto id = numberParameter<std::uint32_t>(request, "id");
      if (!id)
         return apiError(400, "parameter id: the invitation's number");
      const auto invite = records.get(*id);
      return invite ? jsonReply(describe(*invite, true)) : apiError(404, "no such invitation");
   }
   const auto inviter = accountParameter(request, "inviter");
   if (!inviter)
      return apiError(400, "parameter inviter: an account name");
   const auto limit = limitParameter(request);
   const auto after = numberParameter<std::uint32_t>(request, "after");
   InvitesReply reply;
   const auto all = records.index<1>().range(*inviter);
   for (const auto& invite : after && *after != UINT32_MAX ? all.from(*inviter, *after + 1) : all) {
      if (reply.invites.size() == limit) {
         reply.next = reply.invites.back().id;
         break;
      }
      reply.invites.push_back(describe(invite, false));
   }
   return jsonReply(reply);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::InvitesQuery)
