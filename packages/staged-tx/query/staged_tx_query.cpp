// HTTP of staged-tx: GraphQL.
#include "staged-tx/service/staged_tx.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(StagedTxQuery, StagedTxService::account)

namespace {

template <class T>
auto table() {
   return openOf<T>(StagedTxService::account);
}

struct Proposal {
   static constexpr std::string_view typeName = "StagedTx";
   std::uint32_t id = 0;
   Checksum256 txid{};
   std::uint32_t proposeBlock = 0;
   TimePointUSec proposeDate;
   AccountNumber proposer;
   ActionList actionList;
   bool autoExec = false;
};

Proposal describe(const StagedTx& row) {
   return {row.id, row.txid, row.propose_block, row.propose_date, row.proposer, row.action_list, row.auto_exec};
}

struct Update {
   EventBlock block;
   Checksum256 txid{};
   AccountNumber actor;
   TimePointUSec datetime;
   std::string eventType;
};

Update describeEvent(const EventLine<StagedTxUpdated>& line) {
   return {line.block(), line.event.txid, line.event.actor, line.event.datetime, line.event.event_type};
}

struct Query {
   std::optional<Proposal> details(std::uint32_t id) const {
      const auto row = table<StagedTxService::Proposals>().get(id);
      return row ? std::optional(describe(*row)) : std::nullopt;
   }
   Connection<StagedTxResponse> responses(std::uint32_t id, Page<AccountNumber> page) const {
      return connection(table<StagedTxService::Responses>().index<0>(), page, id);
   }
   Connection<Proposal> getStaged(Page<std::uint32_t> page) const {
      return connectionOf(table<StagedTxService::Proposals>().index<0>(), page, describe);
   }
   Connection<Proposal> getStagedByProposer(AccountNumber proposer, Page<std::uint32_t> page) const {
      return connectionOf(table<StagedTxService::Proposals>().index<1>(), page, describe, proposer);
   }
   /// Proposals that act for the account.
   Connection<StagedTxParty> getIdsForParty(AccountNumber party, Page<std::uint32_t> page) const {
      return connection(table<StagedTxService::Parties>().index<1>(), page, party);
   }
   /// What the account did, to any proposal.
   Connection<Update> actorHistory(AccountNumber actor, Page<std::uint64_t> page) const {
      return connectionOf(table<StagedTxService::HistoryTable>().index<1>(), page, describeEvent, actor);
   }
   /// What was done to a proposal.
   Connection<Update> txidHistory(Checksum256 txid, Page<std::uint64_t> page) const {
      return connectionOf(table<StagedTxService::HistoryTable>().index<2>(), page, describeEvent, txid);
   }
};
POLIS_GRAPHQL(Query, field(details, id), field(responses, id, page), field(getStaged, page),
              field(getStagedByProposer, proposer, page), field(getIdsForParty, party, page),
              field(actorHistory, actor, page), field(txidHistory, txid, page))

} // namespace

std::optional<HttpReply> StagedTxQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                 std::optional<AccountNumber>) {
   return serveGraphql(Query{}, request, graphql::ErrorForm::list);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::StagedTxQuery)
