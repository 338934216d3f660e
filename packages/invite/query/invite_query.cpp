// HTTP of invite: what an invitation is good for.
#include "credential/service/credential.hpp"
#include "invite/service/invite.hpp"

#include <polis/api.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(InvitesQuery, Invites::account)

namespace {

struct InviteReply {
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
   std::string cost = "0";
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

} // namespace

std::optional<HttpReply> InvitesQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                std::optional<AccountNumber>) {
   const auto path = pathOf(request);
   if (path != "/api/invite" && path != "/api/invites" && path != "/api/cost")
      return std::nullopt;
   if (request.method == "OPTIONS")
      return std::nullopt; // http answers a preflight
   if (request.method != "GET")
      return methodNotAllowed("GET");
   if (path == "/api/cost")
      return numberParameter<std::uint16_t>(request, "accounts") ? jsonReply(CostReply{})
                                                                 : apiError(400, "parameter accounts: how many");
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
