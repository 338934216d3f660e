// Who produces, who leads, and how many of them are enough. Source: spec, consensus §1.1, §1.4 H2, §4.
#pragma once

#include "format/in_force.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace polis::consensus {

using format::AccountNumber;
using format::BlockNum;
using format::Claim;
using format::TermNum;

enum class Algorithm : std::uint8_t { cft, bft };

/// The producers of one algorithm, each once, in ascending numeric order of their accounts.
class ProducerSet {
public:
   ProducerSet() = default;
   explicit ProducerSet(const format::ConsensusData& data);

   Algorithm algorithm() const { return algorithm_; }
   bool bft() const { return algorithm_ == Algorithm::bft; }
   std::size_t size() const { return producers_.size(); }
   bool empty() const { return producers_.empty(); }
   const std::vector<format::Producer>& producers() const { return producers_; }

   /// Enough to decide. CFT ⌊n/2⌋+1, BFT ⌊2n/3⌋+1. Of an empty set: one that nobody reaches.
   std::size_t strong() const;
   /// Enough to contain one honest producer. CFT 1, BFT ⌈n/3⌉.
   std::size_t weak() const;

   const format::Producer* find(AccountNumber name) const;
   bool has(AccountNumber name) const { return find(name); }
   bool has(AccountNumber name, const Claim& claim) const;
   /// The leader of a term under BFT. Needs a non-empty set.
   const format::Producer& leader(TermNum term) const { return producers_[term % producers_.size()]; }

   friend bool operator==(const ProducerSet&, const ProducerSet&) = default;

private:
   Algorithm algorithm_ = Algorithm::cft;
   std::vector<format::Producer> producers_;
};

/// The set in force and, during joint consensus, the one to come. Immutable once shared.
struct ProducerSets {
   ProducerSet current;
   std::optional<ProducerSet> next;
   bool alone = true; ///< format::isSingleProducer, for it counts a name as often as it is listed

   bool joint() const { return next.has_value(); }
   /// What one producer seals is irreversible by itself (H9).
   bool single() const { return alone; }
   bool has(AccountNumber name) const { return current.has(name) || (next && next->has(name)); }
   bool has(AccountNumber name, const Claim& claim) const {
      return current.has(name, claim) || (next && next->has(name, claim));
   }
   friend bool operator==(const ProducerSets&, const ProducerSets&) = default;
};

/// The consensus state of a block, and the sets within it.
struct ChainConsensus {
   format::JointConsensus joint;
   ProducerSets sets;
   format::Checksum256 hash{}; ///< what a header's consensusState says of it

   ChainConsensus() = default;
   explicit ChainConsensus(format::JointConsensus joint);
};
using ChainConsensusPtr = std::shared_ptr<const ChainConsensus>;

/// The state in which a child of a block starts: joint consensus is over when the block's commitNum has reached the
/// height of the change.
ChainConsensusPtr consensusForChild(const ChainConsensusPtr& state, BlockNum commitNum);

/// The state at the end of a block, from the one in which it started.
ChainConsensusPtr consensusAfter(const ChainConsensusPtr& start, const format::BlockHeader& header);

/// H6, A2: whether a header carries the code of verify services that are new in it, and nothing else. The id does not
/// cover the code. before: as of its parent.
bool codeIsOfHeader(const format::BlockHeader& header, const format::JointConsensus& before);

/// Before genesis: no producers, CFT.
ChainConsensusPtr consensusBeforeGenesis();

} // namespace polis::consensus
