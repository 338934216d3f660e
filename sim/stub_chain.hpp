// What blocks do, without services: enough of the protocol's execution for consensus to be right or wrong about.
#pragma once

#include "consensus/test_chain.hpp"

#include <map>

namespace polis::sim {

using namespace consensus;

/// The state after a block.
struct ChainState {
   Spot spot;
   std::shared_ptr<const ChainState> parent;
   Checksum256 startBlock{}; ///< id of the block's startBlock; zero: it had none
   std::size_t changes = 0;  ///< of the producer set, so far
   bool dead = false;        ///< startBlock was left out once, and no transaction can run any more (D4)
};
using StatePtr = std::shared_ptr<const ChainState>;

class StubChain {
public:
   explicit StubChain(Spot genesis);

   const StatePtr& genesis() const { return genesis_; }
   /// The state after a block, for whoever has executed it; null if nobody has.
   StatePtr find(const BlockId& id) const;
   /// Null: the block is invalid. Its parent has been executed by somebody.
   StatePtr execute(const BlockPtr& block);
   /// A block that somebody executed elsewhere: its state follows from its header.
   void adopt(const BlockPtr& block);
   /// As execute, with nothing remembered.
   StatePtr replay(const StatePtr& parent, const format::SignedBlock& block) const;
   /// Whether execution never ends.
   static bool endless(const format::SignedBlock& block);

   struct Order {
      AccountNumber producer{};
      TermNum term = 0;
      BlockNum commitNum = 0;
      std::int64_t timeUs = 0;
      std::optional<Bytes> aux{};
      std::optional<format::Consensus> change{};
      bool uniqueStartBlock = true;
      // What no honest producer does:
      bool empty = false;
      bool falseState = false;
      bool spins = false;
      std::uint64_t mark = 0;
   };
   /// None if the chain cannot start a block here.
   BlockPtr build(const StatePtr& parent, const Order& order) const;

private:
   StatePtr genesis_;
   std::map<BlockId, StatePtr> states_;
   std::map<BlockId, bool> invalid_;
};

bool isAncestor(const ChainState& ancestor, const ChainState& state);
inline bool onOneChain(const ChainState& a, const ChainState& b) { return isAncestor(a, b) || isAncestor(b, a); }

} // namespace polis::sim
