// CFT: elections and confirms. Rules C1 to C8 of spec, consensus §2, each beside its name.
#include "consensus/replica_state.hpp"

#include "format/ids.hpp"

#include <algorithm>

namespace polis::consensus {
namespace {

std::uint64_t mixed(std::uint64_t x) {
   x += 0x9E3779B97F4A7C15;
   x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
   x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
   return x ^ (x >> 31);
}

} // namespace

/// Spread over [T, 2T], so that candidates do not collide for ever.
void ReplicaState::restartElectionTimer() {
   const auto spread = static_cast<std::int64_t>(mixed(options.seed * 1'000'003 + draws_++) %
                                                 static_cast<std::uint64_t>(electionTimeout_ + 1));
   electionAt_ = now_.monotonic + electionTimeout_ + spread;
}

/// A leader that was heard of lately is not deposed by a node that missed it.
bool ReplicaState::leaderIsAlive() const {
   return leaderSeen_ != std::numeric_limits<std::int64_t>::min() &&
          now_.monotonic - leaderSeen_ < options.electionTimeoutUs / 2;
}

/// From CFT to BFT only the old set leads.
bool ReplicaState::mayStand(const ProducerSets& sets) const {
   return claimIn(sets.current) || (sets.next && !sets.next->bft() && claimIn(*sets.next));
}

/// C2, C8
void ReplicaState::cftRole() {
   const ChainConsensusPtr consensus = active();
   const ProducerSets& sets = consensus->sets;
   if (!mayStand(sets)) {
      electionAt_.reset();
      role = claims(sets).empty() ? Role::observer : Role::follower;
      return;
   }
   // Who led under BFT goes on with what it has made itself, and not elsewhere: there the term may be another's.
   const bool leads = elected_ || (head->own && head->term == term);
   if (role == Role::observer || (role == Role::leader && !leads))
      role = Role::follower;
   if (sets.single()) {
      electionAt_.reset();
      if (role != Role::leader)
         startElection(term);
      return;
   }
   if (!electionAt_)
      restartElectionTimer();
   if (now_.monotonic < *electionAt_)
      return;
   electionTimeout_ = std::min(electionTimeout_ * 3 / 2, options.electionTimeoutMaxUs);
   startElection(term);
}

void ReplicaState::startElection(TermNum after) {
   const ChainConsensusPtr consensus = active();
   const ProducerSets& sets = consensus->sets;
   if (after == std::numeric_limits<TermNum>::max())
      return;
   enterTerm(after + 1);
   ++counters.elections;
   role = Role::candidate;
   votedFor_ = options.producer;
   for (const Claim& claim : claims(sets)) {
      ballots_.insert(keyOf(options.producer, claim));
      const RequestVoteMessage message{term, options.producer, head->num, head->term, claim};
      if (auto frame = sign(message))
         multicast(sets, std::move(*frame), std::nullopt);
   }
   restartElectionTimer();
   countElection();
}

/// C4
void ReplicaState::countElection() {
   const ChainConsensusPtr consensus = active();
   const auto votes = [&](const ProducerSet& set) {
      return static_cast<std::size_t>(std::ranges::count_if(
          set.producers(), [&](const format::Producer& p) { return ballots_.contains(keyOf(p.name, p.auth)); }));
   };
   const ProducerSets& sets = consensus->sets;
   if (role != Role::candidate || votes(sets.current) < sets.current.strong() ||
       (sets.next && votes(*sets.next) < sets.next->strong()))
      return;
   role = Role::leader;
   elected_ = true;
   leaderSeen_ = now_.monotonic;
   restartElectionTimer();
   changed_ = true;
}

/// C3
void ReplicaState::take(PeerId from, const Signed<RequestVoteMessage>& request) {
   const ChainConsensusPtr consensus = active();
   const ProducerSets& sets = consensus->sets;
   const RequestVoteMessage& message = request.message;
   if (sets.current.bft() || message.candidate_id == options.producer)
      return;
   if (!sets.current.has(message.candidate_id, message.signer) &&
       !(sets.next && !sets.next->bft() && sets.next->has(message.candidate_id, message.signer)))
      return;
   if (!verified(from, request, *consensus))
      return;
   if (message.term > term) {
      // One that is alive is not deposed. But who is ahead of it in term confirms none of its blocks: it comes along,
      // and stands itself. Nobody protects it from that.
      if (leaderIsAlive() && role == Role::leader)
         return startElection(message.term);
      if (leaderIsAlive() && head->producer != message.candidate_id)
         return;
      enterTerm(message.term);
   }
   const std::vector<Claim> own = claims(sets);
   if (own.empty() || role == Role::leader || role == Role::candidate)
      return;
   // No older than this node's head, nor than anything that it ever vouched for. From BFT to CFT nothing is
   // irreversible without the Commits of a majority of the new set, and who sent one knows the block to be prepared:
   // somebody like that is in every majority that elects, so that a Prepare alone need not bind here.
   const ForkBlock* locked = tree.find(bestConfirm_.id);
   const bool beforeCft = locked && locked->sets().next && !locked->sets().next->bft();
   const BlockOrder& bound = beforeCft && !confirmedByCft_ ? bestPrepared_.block : bestConfirm_;
   const auto log = std::pair(message.last_log_term, message.last_log_index);
   bool upToDate =
       log >= std::pair(head->term, head->num) && log >= std::pair(bound.term, format::blockNumOf(bound.id));
   // A lock of BFT may be on a block of the same term as an election's, and heights of two forks do not compare. Before
   // a set of CFT takes over they do: it waits for the end to be prepared, and there is one such in a term.
   if (!confirmedByCft_ && !lockIsSettled() && !beforeCft)
      upToDate = upToDate && message.last_log_term > bestConfirm_.term;
   const bool granted = message.term == term && (!votedFor_ || votedFor_ == message.candidate_id) && upToDate;
   if (granted) {
      if (!votedFor_)
         remember();
      votedFor_ = message.candidate_id;
      restartElectionTimer();
   }
   for (const Claim& claim : own) {
      const VoteMessage vote{term, message.candidate_id, options.producer, granted, claim};
      if (auto frame = sign(vote))
         promise(SendToProducer{message.candidate_id, std::move(*frame), std::nullopt});
   }
   changed_ = true;
}

void ReplicaState::take(PeerId from, const Signed<VoteMessage>& vote) {
   const ChainConsensusPtr consensus = active();
   const VoteMessage& message = vote.message;
   if (consensus->sets.current.bft() || message.term < term)
      return;
   // No signature is checked that could change nothing.
   const bool helps = role == Role::candidate && message.candidate_id == options.producer && message.vote_granted &&
                      !ballots_.contains(keyOf(message.voter_id, message.signer));
   if ((message.term == term && !helps) || !verified(from, vote, *consensus))
      return;
   if (message.term > term)
      return enterTerm(message.term);
   ballots_.insert(keyOf(message.voter_id, message.signer));
   countElection();
}

/// C5
void ReplicaState::confirmHead() {
   if (!mayVote() || head->preparedHere || head->own || head->term != term || head == &tree.root() ||
       head->sets().current.bft() || head->sets().single())
      return;
   if (suspicious(*head) || forbiddenFork(*head))
      return;
   head->preparedHere = true;
   lock(*head, true);
   sendConfirm(*head);
}

void ReplicaState::sendConfirm(const ForkBlock& block) {
   if (!block.preparedHere)
      return;
   for (const Claim& claim : claims(block.sets())) {
      const ConfirmMessage message{block.term, options.producer, block.num, claim};
      if (auto frame = sign(message))
         promise(SendToProducer{block.producer, std::move(*frame), block.id});
   }
}

/// C6
void ReplicaState::take(PeerId from, const Signed<ConfirmMessage>& confirm) {
   const ConfirmMessage& message = confirm.message;
   if (head->sets().current.bft() || message.term < term)
      return;
   const Key key = keyOf(message.follower_id, message.signer);
   const auto known = confirmed_.find(key);
   const ForkBlock* block = ForkTree::ancestorAt(*head, message.head_num);
   // As author of the chain, even when its last block has ended this node's lead.
   const bool helps =
       head->own && block && block->term == term && (known == confirmed_.end() || known->second < message.head_num);
   // Of somebody who produces no more, perhaps, and does not know it yet: no reason to close a link.
   if ((message.term == term && !helps) || !verified(from, confirm, *head->end))
      return;
   if (message.term > term)
      return enterTerm(message.term);
   confirmed_[key] = message.head_num;
   changed_ = true;
}

/// Only the author counts: Confirms say not which chain of the term they mean, and whether the author has gone on to
/// another term, where it may have voted for somebody who lacks the block, nobody else knows. Each counts in a set by
/// the key that it has there.
void ReplicaState::countConfirms() {
   if (!head->own || head->term != term || head->sets().current.bft())
      return;
   const auto reached = [&](const ProducerSet& set, BlockNum num) {
      const auto members = std::ranges::count_if(set.producers(), [&](const format::Producer& member) {
         if (member.name == options.producer)
            return claimIn(set).has_value();
         const auto at = confirmed_.find(keyOf(member.name, member.auth));
         return at != confirmed_.end() && at->second >= num;
      });
      return static_cast<std::size_t>(members) >= set.strong();
   };
   for (ForkBlock* block = head; block != &tree.root() && block->term == term; block = block->parent) {
      if (block->sets().current.bft())
         return;
      if (reached(block->sets().current, block->num) &&
          (!block->sets().next || reached(*block->sets().next, block->num))) {
         if (!block->certified)
            certify(*block, {});
         return;
      }
   }
}

} // namespace polis::consensus
