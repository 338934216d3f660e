// The state of a Replica, and its parts by file: replica.cpp takes events and keeps promises, blocks.cpp admits blocks
// and chooses among them, bft.cpp and cft.cpp hold the rules of the two algorithms.
#pragma once

#include "consensus/certificate.hpp"
#include "consensus/fork_tree.hpp"

#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>

namespace polis::consensus {

class ReplicaState {
public:
   ReplicaState(Options options, Signatures& signatures, Restored restored);

   Effects start(Now now);
   Effects step(const Event& event, Now now);
   std::optional<std::int64_t> wakeAt() const;
   std::vector<Bytes> votesFor(const BlockId& id) const;

   Options options;
   Signatures& signatures;
   ForkTree tree;
   ForkBlock* head;
   TermNum term = 0;
   Role role = Role::observer;
   Replica::Counters counters;

   /// The consensus for the next block on head.
   ChainConsensusPtr active() const { return activeOn(*head); }
   ChainConsensusPtr activeOn(const ForkBlock& block) const { return isOpenEnd(block) ? block.end : block.after; }
   bool keepsFromVoting() const { return forgotten_.has_value(); }
   ChainConsensusPtr activeKept; ///< what Replica::sets refers to
   template <SignedContent M>
   bool isSigned(const Signed<M>& message, const ChainConsensus& consensus);
   std::optional<std::string> authorProblem(const format::BlockHeader& header, ByteView signature);

private:
   // ---- replica.cpp ----
   void on(const BlockReceived&);
   void on(const MessageReceived&);
   void on(const BlockExecuted&);
   void on(const BlockSealed&);
   void on(const ProductionFailed&);
   void on(const Persisted&);
   void on(const PeerConnected&);
   void on(const KeysChanged&);
   void on(const Tick&);
   /// Applies every rule until nothing changes any more.
   void settle();
   void finish();
   void act(Effect effect) { effects_.push_back(std::move(effect)); }
   /// An effect that rests on what this step remembers: it leaves when that is durable (D3).
   void promise(Effect effect) { promised_.push_back(std::move(effect)); }
   void remember() { dirty_ = true; }
   void enterTerm(TermNum next);
   void sendViews(PeerId to);
   void resend();
   void multicast(const ProducerSets& to, Bytes frame, std::optional<BlockId> about);
   void lead();
   std::optional<Produce> production();
   /// This node's claims in the sets whose keys are at hand, each once. Empty for a node that may not vote.
   std::vector<Claim> claims(const ProducerSets& sets) const;
   std::optional<Claim> claimIn(const ProducerSet& set) const;
   template <SignedContent M>
   std::optional<Bytes> sign(const M& message, Bytes* signature = nullptr);
   /// from: who is to blame.
   template <SignedContent M>
   bool verified(PeerId from, const Signed<M>& message, const ChainConsensus& consensus);
   bool mayVote() const { return hasMemory_ && !forgotten_ && options.producer; }

   // ---- blocks.cpp ----
   void consider(const ForkBlock& irreversible);
   void admit(PeerId from, const BlockPtr& block);
   void admitOwn(const BlockPtr& block);
   ForkBlock describe(const BlockPtr& block, ForkBlock& parent) const;
   bool makeRoom(PeerId from, const ForkBlock& block, const ForkBlock& parent);
   void inserted(ForkBlock& block);
   std::optional<std::string> authorProblem(const format::BlockHeader& header, ByteView signature,
                                            const ForkBlock& parent);
   bool aux(ForkBlock& block, const format::BlockConfirm& confirm);
   bool suspicious(const ForkBlock& block) const;
   std::int64_t patienceWith(const ForkBlock& block) const;
   void vouch(ForkBlock& block);
   /// The block is proven irreversible, executed or not.
   void certify(ForkBlock& block, Bytes proof);
   /// Head is one of these or descends from one. Never empty.
   std::vector<ForkBlock*> chooseRoots();
   std::vector<ForkBlock*> beginnings();
   bool isReachable(const ForkBlock& block);
   bool mayBeHead(const ForkBlock& block) const;
   void chooseHead();
   void commitCertified();
   void commit(ForkBlock& block);
   std::vector<ForkBlock*> uncommitted() const;
   void lock(const ForkBlock& block, bool byCft);
   bool forbiddenFork(const ForkBlock& block) const;
   bool mayBuildOn(const ForkBlock& parent) const;
   /// Whether a vote in a term on `tip` breaks the lock. goesWith: whether a block is on the chain that is voted for.
   bool breaksLock(const ForkBlock& tip, TermNum in, const ProducerSets& sets,
                   const std::function<bool(const ForkBlock&)>& goesWith) const;
   /// The last block of a BFT set before a CFT set, not known to be prepared: what follows could not be carried to
   /// those who are still in the joint set, so that it is not the new set's turn yet.
   bool isOpenEnd(const ForkBlock& block) const;
   /// What the lock stands for is irreversible, or can never be.
   bool lockIsSettled() const;

   // ---- bft.cpp ----
   struct View {
      TermNum term = 0; ///< the producer is known to be here
      std::optional<ViewChangeMessage> change;
      Bytes frame;
      unsigned improvements = 0;
      std::int64_t pacedTo = 0; ///< monotonic; where its view changes are, at their pace
      std::int64_t heardAt = 0; ///< monotonic; something that it signed, said for the first time or again
   };
   struct Readiness {
      bool ready = false;
      ForkBlock* root = nullptr; ///< the block that the leader named, if it is above the irreversible one
   };
   void take(PeerId from, const Signed<PrepareMessage>& vote) { onVoteForBlock(from, vote, &ForkBlock::prepares); }
   void take(PeerId from, const Signed<CommitMessage>& vote) { onVoteForBlock(from, vote, &ForkBlock::commits); }
   void take(PeerId from, const Signed<ViewChangeMessage>& signedChange);
   template <class M>
   void onVoteForBlock(PeerId from, const Signed<M>& vote, Votes ForkBlock::* votes);
   void keepEarly(const BlockId& block, MessageReceived vote);
   /// Takes out those for some blocks.
   std::vector<MessageReceived> earlyVotes(const std::function<bool(const BlockId&)>& of);
   void countVotes(ForkBlock& block);
   void becamePrepared(ForkBlock& block);
   /// B1
   Readiness termReady(const ProducerSets& sets) const;
   /// Whether the term is ready, and began with this block or an ancestor of it.
   bool hasBegun(const ProducerSets& sets, const ForkBlock& block) const;
   BlockOrder namedBy(const ViewChangeMessage& change) const;
   /// B2, B3
   void voteForBlocks();
   void prepare(ForkBlock& block);
   void commitVote(ForkBlock& block);
   /// B9
   void announceView();
   bool acceptNamed(const ViewChangeMessage& change);
   void learnFromViews(ForkBlock& block);
   /// B7, B8
   void followViews();
   void viewTimer();
   void heardOf(AccountNumber name);
   /// Whether enough to decide are in this term or a later one, and were heard of lately.
   bool quorumInTerm(const ProducerSet& set) const;
   TermNum skipAdvancedLeaders(TermNum from, const ProducerSet& set) const;

   // ---- cft.cpp ----
   void take(PeerId from, const Signed<RequestVoteMessage>& request);
   void take(PeerId from, const Signed<VoteMessage>& vote);
   void take(PeerId from, const Signed<ConfirmMessage>& confirm);
   void cftRole();
   /// In the term after that one, which is this node's or a later one.
   void startElection(TermNum after);
   void countElection();
   void confirmHead();
   void sendConfirm(const ForkBlock& block);
   void countConfirms();
   void restartElectionTimer();
   bool leaderIsAlive() const;
   bool mayStand(const ProducerSets& sets) const;

   Now now_;
   Effects effects_;
   Effects promised_;
   bool changed_ = false, started_ = false, halted_ = false;
   std::uint64_t steps_ = 0;

   // What survives a restart.
   AccountNumber votedFor_{};
   BlockOrder bestConfirm_{};
   bool confirmedByCft_ = false;
   bool lockIsDead_ = false; ///< something else became irreversible in its place
   PrepareCertificate bestPrepared_{};
   PrepareCertificate viewBase_{};
   Bytes commitProof_{};
   bool hasMemory_ = true;
   std::optional<ForgottenVotes> forgotten_;

   bool dirty_ = false;
   std::uint64_t sequence_ = 0, durable_ = 0;
   std::deque<std::pair<std::uint64_t, Effect>> held_;

   /// The newest irreversible blocks by height, without their contents: proofs of them still travel.
   std::map<BlockNum, ForkBlock> past_;
   static constexpr std::size_t pastMax = 128;

   ForkBlock* target_ = nullptr; ///< highest block proven irreversible
   BlockNum worthTelling_ = 0;   ///< the newest irreversible block with transactions of anybody's
   std::optional<BlockId> executing_;
   bool cancelling_ = false;
   std::int64_t executingUntil_ = 0;
   std::optional<Produce> producing_;
   std::int64_t retryProduceAt_ = 0;
   std::int64_t resendAt_ = 0;
   BlockId resentRoot_{}, resentPrepared_{}; ///< irreversible and best prepared block at the last resending
   /// Votes for blocks that have not arrived, by who sent them, oldest first. Of whoever has most the oldest gives way.
   std::map<PeerId, std::deque<std::pair<BlockId, MessageReceived>>> early_;
   std::size_t earlyCount_ = 0;
   static constexpr std::size_t earlyMax = 512;
   std::optional<std::int64_t> suspicionEndsAt_;

   std::map<AccountNumber, View> views_;
   ChainConsensusPtr viewsUnder_;
   std::optional<std::int64_t> viewAt_;
   bool leaderAppeared_ = false; ///< the term was ready when the timer was last looked at
   std::int64_t viewTimeout_;

   using Key = std::pair<AccountNumber, Bytes>; ///< account and packed claim
   static Key keyOf(AccountNumber name, const Claim& claim) { return {name, format::pack(claim)}; }
   std::set<Key> ballots_;
   bool elected_ = false; ///< in this term
   std::map<Key, BlockNum> confirmed_;
   std::optional<std::int64_t> electionAt_;
   std::int64_t electionTimeout_;
   std::int64_t leaderSeen_ = std::numeric_limits<std::int64_t>::min();
   std::uint64_t draws_ = 0;
};

template <SignedContent M>
std::optional<Bytes> ReplicaState::sign(const M& message, Bytes* signature) {
   std::optional<Bytes> made = message.signer.service ? signatures.sign(message.signer, digestOf(message)) : Bytes();
   if (!made)
      return std::nullopt;
   if (signature)
      *signature = *made;
   return encode(message, std::move(*made));
}

template <SignedContent M>
bool ReplicaState::isSigned(const Signed<M>& message, const ChainConsensus& consensus) {
   const AccountNumber who = speakerOf(message.message);
   const Claim& claim = message.message.signer;
   const auto check = [&](const format::Consensus& under) {
      ++counters.signatureChecks;
      return answers(signatures, under, claim, detail::signedDigest(messageTypeOf<M>, message.packed),
                     message.signature);
   };
   const bool current = consensus.sets.current.has(who, claim);
   if (!current && !(consensus.sets.next && consensus.sets.next->has(who, claim))) {
      // Work for strangers is what D14 warns of.
      if (!options.guards.membersBeforeSignatures)
         check(consensus.joint.current);
      ++counters.ignoredMessages;
      return false;
   }
   if (check(current ? consensus.joint.current : consensus.joint.next->consensus))
      return true;
   ++counters.badSignatures;
   return false;
}

template <SignedContent M>
bool ReplicaState::verified(PeerId from, const Signed<M>& message, const ChainConsensus& consensus) {
   if (isSigned(message, consensus))
      return true;
   if (consensus.sets.has(speakerOf(message.message), message.message.signer))
      act(Forged{from});
   return false;
}

} // namespace polis::consensus
