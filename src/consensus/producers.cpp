#include "consensus/producers.hpp"

#include "format/ids.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

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

bool codeIsOfHeader(const format::BlockHeader& header, const format::JointConsensus& before) {
   const format::Consensus& latest = before.next ? before.next->consensus : before.current;
   const format::Consensus* next = header.newConsensus ? &*header.newConsensus : &latest;
   const bool changes = next->services != latest.services || next->wasmConfig != latest.wasmConfig;
   if (changes != header.authCode.has_value())
      return false;
   if (!changes)
      return true;
   using Code = std::tuple<std::uint8_t, std::uint8_t, format::Checksum256>;
   std::set<Code> listed, present;
   for (const auto& service : next->services)
      listed.emplace(service.vmType, service.vmVersion, service.codeHash);
   for (const auto& service : latest.services)
      present.emplace(service.vmType, service.vmVersion, service.codeHash);
   for (const auto& code : *header.authCode) {
      const Code found{code.vmType, code.vmVersion, format::sha256(ByteView(code.code))};
      if (!listed.contains(found))
         return false;
      present.insert(found);
   }
   return std::ranges::includes(present, listed);
}

} // namespace polis::consensus
