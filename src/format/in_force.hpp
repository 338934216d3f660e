// Which producers are in force where. Source: spec, consensus §1.4 (H2, H9) and §4.
#pragma once

#include "format/native_tables.hpp"

#include <algorithm>

namespace polis::format {

/// In the order of the list, and as often as they are listed.
inline const std::vector<Producer>& producersOf(const Consensus& consensus) {
   return std::visit([](const auto& data) -> const std::vector<Producer>& { return data.producers; }, consensus.data);
}

/// Whether joint consensus is over for what is built on a block: its commitNum has reached the change.
/// end: the consensus at the end of the block.
inline bool jointIsOver(const JointConsensus& end, BlockNum commitNum) {
   return end.next && end.next->blockNum <= commitNum;
}

/// The consensus in which the next block on a block starts. end, commitNum: of that block.
inline JointConsensus inForceAfter(JointConsensus end, BlockNum commitNum) {
   if (!jointIsOver(end, commitNum))
      return end;
   return {std::move(end.next->consensus), std::nullopt};
}

/// ... on the head of a chain. Before genesis there are no producers.
inline JointConsensus inForceAfter(const StatusRow& status) {
   return inForceAfter(status.consensus, status.head ? status.head->header.commitNum : 0);
}

/// Whether one producer's word makes a block irreversible (H9): no other is in force, and none is to come; or there
/// are none yet.
inline bool isSingleProducer(const JointConsensus& consensus) {
   const std::size_t listed = producersOf(consensus.current).size();
   return listed == 0 || (listed == 1 && !consensus.next);
}

/// What the signature of a block answers (H2); the empty claim is answered by an empty signature. None: `author` may
/// not produce here. start: the consensus in which the block starts.
inline std::optional<Claim> authorClaim(const JointConsensus& start, AccountNumber author) {
   const auto of = [&](const Consensus& consensus) -> std::optional<Claim> {
      const auto& producers = producersOf(consensus);
      const auto at = std::ranges::find(producers, author, &Producer::name);
      return at == producers.end() ? std::nullopt : std::optional(at->auth);
   };
   if (!start.next && producersOf(start.current).empty())
      return Claim{};
   auto claim = of(start.current);
   if (!claim && start.next)
      claim = of(start.next->consensus);
   return claim;
}

} // namespace polis::format
