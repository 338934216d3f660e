// Blocks above the irreversible one, as a tree. Source: spec, consensus §1.5.
#pragma once

#include "consensus/consensus.hpp"

#include <array>
#include <limits>
#include <map>
#include <memory>

namespace polis::consensus {

/// Signatures for one block by producer, in ascending order; one list for the current set and one for the next.
/// A producer counts once in a set, however often it votes.
struct Votes {
   std::array<std::map<AccountNumber, Bytes>, 2> of;
};

enum class BlockState : std::uint8_t { known, executed, invalid };

struct ForkBlock {
   BlockId id{};
   BlockNum num = 0;
   TermNum term = 0;
   BlockNum commitNum = 0;
   std::int64_t timeUs = 0;
   AccountNumber producer{};
   BlockPtr block;        ///< null for the first irreversible block that a replica begins with
   std::size_t bytes = 0; ///< of the block, packed
   ForkBlock* parent = nullptr;
   std::vector<ForkBlock*> children;
   ChainConsensusPtr start; ///< the consensus in which the block began
   ChainConsensusPtr end;   ///< and ended: votes for the block go by it
   ChainConsensusPtr after; ///< and the one in which every child begins
   BlockState state = BlockState::known;
   bool own = false;
   unsigned givenUp = 0;                                                 ///< how often its execution took too long
   std::int64_t tooSlowUntil = std::numeric_limits<std::int64_t>::min(); ///< monotonic; not tried again before that
   bool vouched = false;   ///< a quorum wants it, or something built on it
   bool certified = false; ///< proven irreversible
   Bytes proof;            ///< packed BlockConfirm, if that is how
   Votes prepares, commits;
   bool preparedHere = false, committedHere = false; ///< voted for by this node
   std::uint64_t preparedStep = 0;                   ///< when its prepares became a quorum

   BlockOrder order() const { return {term, id}; }
   const ProducerSets& sets() const { return end->sets; }
};

class ForkTree {
public:
   explicit ForkTree(ForkBlock root);

   ForkBlock& root() { return *root_; }
   const ForkBlock& root() const { return *root_; }
   ForkBlock* find(const BlockId& id) const;
   std::size_t size() const { return blocks_.size(); }

   /// parent is in the tree, and the id is not.
   ForkBlock& insert(ForkBlock block, ForkBlock& parent);
   /// Takes out a block, which is not the root, and what is built on it.
   void erase(ForkBlock& block);
   /// Everything that does not descend from `root` goes.
   void setRoot(ForkBlock& root);
   /// Condemns a block and what is built on it.
   void condemn(ForkBlock& block);

   /// Whether `ancestor` is `block` or below it.
   static bool isAncestor(const ForkBlock& ancestor, const ForkBlock& block);
   static bool onOneChain(const ForkBlock& a, const ForkBlock& b) { return isAncestor(a, b) || isAncestor(b, a); }
   /// The ancestor at a height, or the block itself; null below the root.
   static ForkBlock* ancestorAt(ForkBlock& block, BlockNum num);

   /// Blocks of one author.
   std::vector<ForkBlock*> by(AccountNumber producer) const;

private:
   std::map<BlockId, std::unique_ptr<ForkBlock>> blocks_;
   ForkBlock* root_;
};

} // namespace polis::consensus
