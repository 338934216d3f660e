#include "consensus/producers.hpp"

#include "format/ids.hpp"

#include <algorithm>
#include <limits>

namespace polis::consensus {

ProducerSet::ProducerSet(const format::ConsensusData& data)
   : algorithm_(std::holds_alternative<format::BftConsensus>(data) ? Algorithm::bft : Algorithm::cft) {
   for (const format::Producer& producer : std::visit([](const auto& set) -> auto& { return set.producers; }, data)) {
      const auto at = std::ranges::lower_bound(producers_, producer.name, {}, &format::Producer::name);
      if (at == producers_.end() || at->name != producer.name)
         producers_.insert(at, producer);
   }
}

std::size_t ProducerSet::strong() const {
   if (empty())
      return std::numeric_limits<std::size_t>::max();
   return bft() ? size() * 2 / 3 + 1 : size() / 2 + 1;
}

std::size_t ProducerSet::weak() const {
   if (empty())
      return std::numeric_limits<std::size_t>::max();
   return bft() ? (size() + 2) / 3 : 1;
}

const format::Producer* ProducerSet::find(AccountNumber name) const {
   const auto at = std::ranges::lower_bound(producers_, name, {}, &format::Producer::name);
   return at != producers_.end() && at->name == name ? &*at : nullptr;
}

bool ProducerSet::has(AccountNumber name, const Claim& claim) const {
   const format::Producer* found = find(name);
   return found && found->auth == claim;
}

ChainConsensus::ChainConsensus(format::JointConsensus from) : joint(std::move(from)) {
   sets.current = ProducerSet(joint.current.data);
   if (joint.next)
      sets.next = ProducerSet(joint.next->consensus.data);
   sets.alone = format::isSingleProducer(joint);
   hash = format::sha256Of(joint);
}

ChainConsensusPtr consensusForChild(const ChainConsensusPtr& state, BlockNum commitNum) {
   if (!format::jointIsOver(state->joint, commitNum))
      return state;
   return std::make_shared<ChainConsensus>(format::inForceAfter(state->joint, commitNum));
}

ChainConsensusPtr consensusAfter(const ChainConsensusPtr& start, const format::BlockHeader& header) {
   if (!header.newConsensus)
      return start;
   format::JointConsensus joint = start->joint;
   joint.next = format::PendingConsensus{*header.newConsensus, header.blockNum};
   return std::make_shared<ChainConsensus>(std::move(joint));
}

ChainConsensusPtr consensusBeforeGenesis() {
   static const ChainConsensusPtr none = std::make_shared<ChainConsensus>(format::JointConsensus{});
   return none;
}

} // namespace polis::consensus
