// The invariants, over everything that honest nodes let out. Source: spec, consensus, part 2 b.
#pragma once

#include "sim/plan.hpp"
#include "sim/stub_chain.hpp"

#include <map>

namespace polis::sim {

class Checker {
public:
   /// liars: of them every signature is taken as given, for nothing may depend on what they have not signed yet.
   Checker(const StubChain& chain, std::set<AccountNumber> liars) : chain_(chain), liars_(std::move(liars)) {}

   /// A block became known to somebody.
   void made(const BlockPtr& block);
   /// An honest producer let a message out, its own or another's.
   void sent(AccountNumber who, ByteView frame);
   void committed(std::size_t node, const CommitBlock& commit);
   /// What an honest node has computed by the time that a block is irreversible there.
   void stateIs(std::size_t node, const BlockId& id, const Bytes& state);
   /// A node is back; what it let out before binds it. proof: of its irreversible block, as it has read it; may be
   /// empty.
   void booted(std::size_t node, AccountNumber who, const Replica& replica, ByteView proof);
   void fail(std::string what);

   const std::optional<std::string>& violation() const { return violation_; }
   BlockNum highest() const { return canonical_.empty() ? 0 : canonical_.rbegin()->first; }
   const std::map<BlockNum, BlockId>& canonical() const { return canonical_; }
   BlockPtr block(const BlockId& id) const {
      const auto at = blocks_.find(id);
      return at == blocks_.end() ? nullptr : at->second;
   }
   /// Null: nobody has told.
   const Bytes* stateAt(const BlockId& id) const {
      const auto at = computed_.find(id);
      return at == computed_.end() ? nullptr : &at->second;
   }
   /// Everything made so far, in order.
   const std::vector<BlockPtr>& all() const { return order_; }

private:
   void voted(AccountNumber who, const BlockId& id);
   void spokeOf(AccountNumber who, TermNum term) { terms_[who] = std::max(terms_[who], term); }
   /// A Commit, by whatever way it left.
   void letOut(const CommitMessage& message);
   void proven(const ChainState& in, ByteView aux);
   void count(const CommitMessage& message);
   void count(const ConfirmMessage& message);
   void countConfirms(TermNum term, BlockNum from);
   void certify(const StatePtr& state);
   bool isCertified(const ChainState& state) const;

   const StubChain& chain_;
   const std::set<AccountNumber> liars_;
   std::optional<std::string> violation_;
   std::map<BlockId, BlockPtr> blocks_;
   std::vector<BlockPtr> order_;
   std::map<BlockNum, BlockId> canonical_;                                // I1
   std::map<std::pair<AccountNumber, TermNum>, BlockId> votes_;           // I2
   std::map<std::pair<AccountNumber, TermNum>, AccountNumber> ballots_;   // I2
   std::map<AccountNumber, std::map<TermNum, BlockOrder>> commits_;       // I4
   std::map<AccountNumber, TermNum> terms_;                               // I3
   std::map<std::size_t, BlockNum> committed_;                            // I3
   std::map<BlockId, std::set<std::pair<AccountNumber, Bytes>>> signers_; // I6, by name and claim
   std::map<BlockId, Bytes> computed_;                                    // I7
   std::map<std::pair<TermNum, BlockNum>, BlockId> cftBlocks_;
   std::map<std::pair<TermNum, Bytes>, BlockNum> confirms_;
   StatePtr certified_; ///< highest block that a quorum of every set stands behind
};

} // namespace polis::sim
