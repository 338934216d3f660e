// HTTP of producers: GraphQL.
#include "producers/service/producers.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(ProducersQuery, Producers::account)

namespace {

auto candidates() { return openOf<Producers::Candidates>(Producers::account); }

std::vector<Producer> producersOf(const ConsensusData& data) {
   return std::visit([](const auto& kind) { return kind.producers; }, data);
}

struct Query {
   /// Of these accounts, those that offer themselves.
   std::vector<CandidateInfo> candidatesInfo(std::vector<AccountNumber> names) const {
      std::vector<CandidateInfo> found;
      for (const auto name : names)
         if (auto row = candidates().get(name); graphql::current->charge(1) && row)
            found.push_back(std::move(*row));
      return found;
   }
   Connection<CandidateInfo> allCandidates(Page<AccountNumber> page) const {
      return connection(candidates().index<0>(), page);
   }
   std::vector<Producer> producers() const { return producersOf(consensus()); }
   /// Of the change that is scheduled; none without one.
   std::vector<Producer> nextProducers() const {
      const auto next = nextConsensus();
      return next ? producersOf(*next) : std::vector<Producer>{};
   }
   ConsensusData consensus() const {
      auto status = native::status();
      return status ? std::move(status->consensus.current.data) : ConsensusData{};
   }
   std::optional<ConsensusData> nextConsensus() const {
      auto status = native::status();
      if (!status || !status->consensus.next)
         return std::nullopt;
      return std::move(status->consensus.next->consensus.data);
   }
   /// The block that asked for the change that is scheduled.
   std::optional<BlockNum> jointStart() const {
      const auto status = native::status();
      return status && status->consensus.next ? std::optional(status->consensus.next->blockNum) : std::nullopt;
   }
};
POLIS_GRAPHQL(Query, field(candidatesInfo, names), field(allCandidates, page), field(producers), field(nextProducers),
              field(consensus), field(nextConsensus), field(jointStart))

} // namespace

std::optional<HttpReply> ProducersQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                  std::optional<AccountNumber>) {
   return serveGraphql(Query{}, request);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::ProducersQuery)
