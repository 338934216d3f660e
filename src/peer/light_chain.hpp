// Which producers are in force at a block, shown by headers alone: those with which a change begins, is irreversible
// and ends. Source: spec, consensus §1.7 A4, §6 Y5.
#pragma once

#include "consensus/consensus.hpp"
#include "consensus/fork_tree.hpp"

#include <expected>
#include <map>
#include <string>

namespace polis::peer {

/// Pure. Begins with the header of genesis, which the user knows by its id. Stricter than the protocol asks: headers at
/// consecutive heights are each other's parents, and every header is signed by a producer in force.
class LightChain {
public:
   /// Headers of one change that are kept until it has ended.
   static constexpr std::size_t jointHeadersMax = 100'000;

   /// signatures outlives it.
   explicit LightChain(consensus::Signatures& signatures) : signatures_(&signatures) {}

   /// The next header, heights ascending. Transactions are not looked at. Errors: it does not follow from those before;
   /// nothing has changed then.
   [[nodiscard]] std::expected<void, std::string> add(const format::SignedBlock& header);

   /// At the end of the newest header's block. Null before the first.
   const consensus::ChainConsensusPtr& end() const { return end_; }
   /// In which the next block begins.
   const consensus::ChainConsensusPtr& after() const { return after_; }
   consensus::BlockId id() const { return id_; }
   consensus::BlockNum num() const { return num_; }

private:
   std::expected<void, std::string> checkEnd(const consensus::ForkBlock& last, const format::SignedBlock& header) const;

   consensus::Signatures* signatures_;
   consensus::BlockId id_{};
   consensus::BlockNum num_ = 1;
   std::int64_t timeUs_ = INT64_MIN;
   consensus::ChainConsensusPtr end_;
   consensus::ChainConsensusPtr after_ = consensus::consensusBeforeGenesis();
   /// Of the change that has not ended.
   std::map<consensus::BlockNum, consensus::ForkBlock> joint_;
};

} // namespace polis::peer
