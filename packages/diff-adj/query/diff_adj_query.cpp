// HTTP of diff-adj: GraphQL.
#include "diff-adj/service/diff_adj.hpp"
#include "nft/service/nft.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(DiffAdjQuery, DiffAdj::account)

namespace {

/// As it is now, by names of GraphQL.
struct Difficulty {
   static constexpr std::string_view typeName = "RateLimit";
   std::uint32_t nftId = 0;
   std::uint32_t windowSeconds = 0;
   std::uint32_t activityCount = 0;
   std::uint32_t targetMin = 0;
   std::uint32_t targetMax = 0;
   std::uint64_t floorDifficulty = 0;
   std::uint64_t activeDifficulty = 0;
   TimePointSec lastUpdate;
   std::uint32_t increasePpm = 0;
   std::uint32_t decreasePpm = 0;
   AccountNumber consumer;
   /// Who holds the NFT; nobody after it was burned.
   std::optional<AccountNumber> admin() const {
      return to<Nfts>().exists(nftId) ? std::optional(to<Nfts>().getNft(nftId).owner) : std::nullopt;
   }
};
POLIS_GRAPHQL(Difficulty, field(admin))

struct Query {
   std::optional<Difficulty> rateLimit(std::uint32_t nftId) const {
      auto limit = openOf<DiffAdj::Limits>(DiffAdj::account).get(nftId);
      if (!limit)
         return std::nullopt;
      limit->passTime(floorToSec(currentBlockTime()));
      return Difficulty{.nftId = limit->nft_id,
                        .windowSeconds = limit->window_seconds,
                        .activityCount = limit->activity_count,
                        .targetMin = limit->target_min,
                        .targetMax = limit->target_max,
                        .floorDifficulty = limit->floor_difficulty,
                        .activeDifficulty = limit->active_difficulty,
                        .lastUpdate = limit->last_update,
                        .increasePpm = limit->increase_ppm,
                        .decreasePpm = limit->decrease_ppm,
                        .consumer = limit->consumer};
   }
};
POLIS_GRAPHQL(Query, field(rateLimit, nftId))

} // namespace

std::optional<HttpReply> DiffAdjQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                std::optional<AccountNumber>) {
   return serveGraphql(Query{}, request, graphql::ErrorForm::list);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::DiffAdjQuery)
