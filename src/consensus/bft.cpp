// BFT: prepares, commits and view changes. Rules B1 to B13 of spec, consensus §3, each beside its name.
#include "consensus/replica_state.hpp"

#include "base/assert.hpp"
#include "format/ids.hpp"

#include <algorithm>

namespace polis::consensus {
namespace {

constexpr TermNum termMax = std::numeric_limits<TermNum>::max() - 1;

} // namespace

// --- Votes for blocks ------------------------------------------------------------------------------------------------

void ReplicaState::keepEarly(const BlockId& block, MessageReceived vote) {
   if (earlyCount_ >= earlyMax) {
      const auto most = std::ranges::max_element(early_, {}, [](const auto& of) { return of.second.size(); });
      most->second.pop_front();
      --earlyCount_;
   }
   early_[vote.from].emplace_back(block, std::move(vote));
   ++earlyCount_;
}

std::vector<MessageReceived> ReplicaState::earlyVotes(const std::function<bool(const BlockId&)>& of) {
   std::vector<MessageReceived> out;
   for (auto& [from, votes] : early_)
      std::erase_if(votes, [&](auto& vote) {
         if (!of(vote.first))
            return false;
         out.push_back(std::move(vote.second));
         return true;
      });
   std::erase_if(early_, [](const auto& from) { return from.second.empty(); });
   earlyCount_ -= out.size();
   return out;
}

template <class M>
void ReplicaState::onVoteForBlock(PeerId from, const Signed<M>& vote, Votes ForkBlock::* votes) {
   const M& message = vote.message;
   ForkBlock* block = tree.find(message.block_id);
   if (!block) {
      const BlockNum num = format::blockNumOf(message.block_id);
      const bool soon = num > tree.root().num && num - tree.root().num < 4096;
      const bool small = vote.packed.size() + vote.signature.size() < 4096;
      if (soon && small && (active()->sets.has(message.producer) || head->sets().has(message.producer)))
         keepEarly(message.block_id, {from, vote});
      return;
   }
   if (block == &tree.root() || !block->sets().current.bft())
      return;
   const bool counts0 = block->sets().current.has(message.producer, message.signer);
   const bool counts1 = block->sets().next && block->sets().next->has(message.producer, message.signer);
   const auto known = [&](unsigned set) {
      const auto at = (block->*votes).of[set].find(message.producer);
      return at == (block->*votes).of[set].end() ? nullptr : &at->second;
   };
   if ((counts0 || counts1) && (!counts0 || known(0)) && (!counts1 || known(1))) {
      if (*known(counts0 ? 0 : 1) == vote.signature)
         heardOf(message.producer);
      return;
   }
   if (!verified(from, vote, *block->end))
      return;
   if (counts0)
      (block->*votes).of[0].emplace(message.producer, vote.signature);
   if (counts1)
      (block->*votes).of[1].emplace(message.producer, vote.signature);
   heardOf(message.producer);
   // A vote for a block of a later term shows that its producer is there (B8).
   if (const auto view = views_.find(message.producer); view != views_.end() && block->term > view->second.term)
      view->second.term = block->term;
   countVotes(*block);
   changed_ = true;
}

template void ReplicaState::onVoteForBlock(PeerId, const Signed<PrepareMessage>&, Votes ForkBlock::*);
template void ReplicaState::onVoteForBlock(PeerId, const Signed<CommitMessage>&, Votes ForkBlock::*);

void ReplicaState::countVotes(ForkBlock& block) {
   if (block.preparedStep == 0 && isPrepared(block, block.prepares))
      becamePrepared(block);
   // B5
   if (!block.certified && isIrreversible(block, block.commits))
      certify(block, format::pack(commitCertificate(block)));
}

void ReplicaState::becamePrepared(ForkBlock& block) {
   block.preparedStep = steps_ + 1;
   vouch(block);
   changed_ = true;
   if (block.order() <= bestPrepared_.block)
      return;
   if (block.term > term)
      enterTerm(block.term);
   bestPrepared_ = prepareCertificate(block);
   remember();
}

void ReplicaState::voteForBlocks() {
   if (!mayVote())
      return;
   for (ForkBlock* block : uncommitted()) {
      if (block->state != BlockState::executed)
         return;
      if (!block->sets().current.bft() || block->sets().single() || block->term != term ||
          (block->preparedHere && block->committedHere))
         continue;
      // Whoever has no vote is bound by none.
      if (claims(block->sets()).empty())
         continue;
      if (!hasBegun(block->sets(), *block) || forbiddenFork(*block))
         continue;
      if (!block->preparedHere && !suspicious(*block))
         prepare(*block);
      // D10: the vote is considered again whenever something changes, not only as the quorum forms.
      const bool inTime = options.guards.votesAreReconsidered || block->preparedStep == steps_ + 1;
      if (!block->committedHere && inTime && isPrepared(*block, block->prepares))
         commitVote(*block);
   }
}

/// B2
void ReplicaState::prepare(ForkBlock& block) {
   const ProducerSets& sets = block.sets();
   // From BFT to CFT the new members do not prepare, and are not bound.
   const bool nextPrepares = sets.next && sets.next->bft();
   if (!claimIn(sets.current) && !(nextPrepares && claimIn(*sets.next)))
      return;
   block.preparedHere = true;
   lock(block, false);
   std::optional<Claim> sent;
   for (unsigned set = 0; set < (nextPrepares ? 2u : 1u); ++set) {
      const auto claim = claimIn(set ? *sets.next : sets.current);
      if (!claim)
         continue;
      const PrepareMessage message{block.id, options.producer, *claim};
      Bytes signature;
      const auto frame = sign(message, &signature);
      if (!frame)
         continue;
      block.prepares.of[set].emplace(options.producer, signature);
      if (sent != claim)
         multicast(sets, *frame, block.id);
      sent = claim;
   }
   countVotes(block);
   changed_ = true;
}

/// B3
void ReplicaState::commitVote(ForkBlock& block) {
   const ProducerSets& sets = block.sets();
   block.committedHere = true;
   lock(block, false);
   std::optional<Claim> sent;
   for (unsigned set = 0; set < (sets.next ? 2u : 1u); ++set) {
      const auto claim = claimIn(set ? *sets.next : sets.current);
      if (!claim)
         continue;
      const CommitMessage message{block.id, options.producer, *claim};
      Bytes signature;
      const auto frame = sign(message, &signature);
      if (!frame)
         continue;
      block.commits.of[set].emplace(options.producer, signature);
      if (sent != claim)
         multicast(sets, *frame, block.id);
      sent = claim;
   }
   countVotes(block);
   changed_ = true;
}

// --- Terms -----------------------------------------------------------------------------------------------------------

/// The block that a view change names, as far as it matters here: one that is irreversible here ties nobody any more,
/// nor one of an earlier term than what is: if it is higher, it is not built on that, and can never be irreversible.
BlockOrder ReplicaState::namedBy(const ViewChangeMessage& change) const {
   if (format::blockNumOf(change.best_prepared) <= tree.root().num || change.best_prepared_term < tree.root().term)
      return {};
   return {change.best_prepared_term, change.best_prepared};
}

/// B1
ReplicaState::Readiness ReplicaState::termReady(const ProducerSets& sets) const {
   // A view change counts only for the term that it was made for (D2).
   const auto changeOf = [&](AccountNumber name) -> const ViewChangeMessage* {
      const auto view = views_.find(name);
      if (view == views_.end() || !view->second.change || view->second.term != term)
         return nullptr;
      const ViewChangeMessage& change = *view->second.change;
      if (!sets.has(name, change.signer))
         return nullptr;
      return change.term == term || !options.guards.viewChangeOfThisTerm ? &change : nullptr;
   };
   if (sets.current.empty())
      return {};
   const ViewChangeMessage* leader = changeOf(sets.current.leader(term).name);
   if (!leader)
      return {};
   const BlockOrder named = namedBy(*leader);
   ForkBlock* root = nullptr;
   if (!named.none()) {
      root = tree.find(named.id);
      // Its certificate was checked when the block and the view change had both arrived.
      if (!root || root->term != named.term || root->term > term)
         return {};
   }
   const auto enough = [&](const ProducerSet& set) {
      std::size_t count = 0;
      for (const format::Producer& member : set.producers())
         if (const ViewChangeMessage* change = changeOf(member.name); change && namedBy(*change) <= named)
            ++count;
      return count >= set.strong();
   };
   return {enough(sets.current) && (!sets.next || enough(*sets.next)), root};
}

bool ReplicaState::hasBegun(const ProducerSets& sets, const ForkBlock& block) const {
   const Readiness readiness = termReady(sets);
   return readiness.ready && (!readiness.root || ForkTree::isAncestor(*readiness.root, block));
}

/// Whether the block that a view change names is proven by it. A block that is not here yet is proven when it comes.
bool ReplicaState::acceptNamed(const ViewChangeMessage& change) {
   ForkBlock* block = tree.find(change.best_prepared);
   if (!block || block == &tree.root())
      return true;
   if (block->term != change.best_prepared_term)
      return false;
   const auto votes = checkedPrepares(*block, change.prepares, change.nextPrepares, signatures, options.guards);
   if (!votes)
      return false;
   for (unsigned set = 0; set < 2; ++set)
      block->prepares.of[set].insert(votes->of[set].begin(), votes->of[set].end());
   if (!options.guards.distinctSigners && block->preparedStep == 0)
      becamePrepared(*block);
   countVotes(*block);
   return true;
}

void ReplicaState::learnFromViews(ForkBlock& block) {
   for (auto& [name, view] : views_)
      if (view.change && view.change->best_prepared == block.id && !acceptNamed(ViewChangeMessage(*view.change))) {
         view.change.reset();
         view.frame.clear();
      }
}

void ReplicaState::take(PeerId from, const Signed<ViewChangeMessage>& signedChange) {
   const ViewChangeMessage& change = signedChange.message;
   if (change.producer == options.producer || change.term > termMax)
      return;
   ChainConsensusPtr consensus = active();
   if (!consensus->sets.has(change.producer, change.signer))
      consensus = head->end;
   if (!consensus->sets.has(change.producer, change.signer) && options.guards.membersBeforeSignatures)
      return;
   View& view = views_.try_emplace(change.producer).first->second;
   // B10: the leader's newer block is better, everybody else's older one.
   const auto better = [&] {
      if (!view.change || change.term != view.change->term)
         return !view.change || change.term > view.change->term;
      if (!consensus->sets.has(change.producer, view.change->signer))
         return true; // signed with a key of a set that is gone
      constexpr unsigned improvementsMax = 8;
      if (view.improvements >= improvementsMax)
         return false;
      const BlockOrder ours{view.change->best_prepared_term, view.change->best_prepared};
      const BlockOrder theirs{change.best_prepared_term, change.best_prepared};
      const ProducerSets& sets = consensus->sets;
      const bool leads = sets.current.bft() && sets.current.leader(change.term).name == change.producer;
      return leads ? theirs > ours : theirs < ours;
   };
   if (!better()) {
      if (view.frame == encode(signedChange))
         heardOf(change.producer);
      return;
   }
   // Everybody passes them on, so that one who goes through the terms as fast as it can would be heard by nobody else.
   constexpr std::int64_t paceUs = 250'000, aheadUs = 16 * paceUs;
   if (view.pacedTo - now_.monotonic > aheadUs)
      return;
   const bool genuine = verified(from, signedChange, *consensus);
   if (genuine)
      view.pacedTo = std::max(view.pacedTo, now_.monotonic) + paceUs;
   if (!genuine || !acceptNamed(change)) {
      if (!genuine && !view.change && view.term == 0 && view.pacedTo == 0)
         views_.erase(change.producer);
      return;
   }
   view.improvements = view.change && view.change->term == change.term ? view.improvements + 1 : 0;
   view.term = std::max(view.term, change.term);
   view.change = change;
   view.frame = encode(signedChange);
   heardOf(change.producer);
   act(Flood{view.frame, from});
   changed_ = true;
}

/// B9: for every term and every set that it is in, this node says which block it knows to be prepared.
void ReplicaState::announceView() {
   const ChainConsensusPtr consensus = active();
   const std::vector<Claim> own = claims(consensus->sets);
   if (own.empty())
      return;
   View& view = views_[options.producer];
   const ProducerSet& leading = consensus->sets.current;
   // B11: a leader whose term is not ready takes up what the others know, once they are there: until then they may go
   // on without it and prepare any number of blocks. Unless it has voted in this term for what began elsewhere: after a
   // restart the others have yet to repeat that they agreed.
   const auto fitsVotes = [&] {
      const ForkBlock* locked = tree.find(bestConfirm_.id);
      const ForkBlock* prepared = tree.find(bestPrepared_.block.id);
      return bestConfirm_.term < term || (locked && prepared && ForkTree::onOneChain(*locked, *prepared));
   };
   if (leading.leader(term).name == options.producer && view.change && view.change->term == term && fitsVotes() &&
       bestPrepared_.block > viewBase_.block && bestPrepared_.block.term <= term && quorumInTerm(leading) &&
       !termReady(consensus->sets).ready) {
      viewBase_ = bestPrepared_;
      remember();
   }
   if (view.change && view.change->term == term && view.change->best_prepared == viewBase_.block.id &&
       std::ranges::find(own, view.change->signer) != own.end())
      return;
   const ViewChangeMessage message{term,
                                   options.producer,
                                   own[0],
                                   viewBase_.block.id,
                                   viewBase_.block.term,
                                   viewBase_.prepares,
                                   viewBase_.nextPrepares};
   auto frame = sign(message);
   if (!frame)
      return;
   view.term = std::max(view.term, term);
   view.change = message;
   view.frame = *frame;
   remember();
   promise(Flood{std::move(*frame), std::nullopt});
   changed_ = true;
}

void ReplicaState::heardOf(AccountNumber name) {
   if (const auto view = views_.find(name); view != views_.end())
      view->second.heardAt = now_.monotonic;
}

bool ReplicaState::quorumInTerm(const ProducerSet& set) const {
   const auto isHere = [&](const format::Producer& member) {
      const auto view = views_.find(member.name);
      return view != views_.end() && view->second.term >= term &&
             (member.name == options.producer || now_.monotonic - view->second.heardAt <= options.viewTimeoutUs);
   };
   return static_cast<std::size_t>(std::ranges::count_if(set.producers(), isHere)) >= set.strong();
}

/// The term whose leader has not left it behind already.
TermNum ReplicaState::skipAdvancedLeaders(TermNum from, const ProducerSet& set) const {
   for (std::size_t i = 0; i < set.size() && from < termMax; ++i, ++from) {
      const auto view = views_.find(set.leader(from).name);
      if (view == views_.end() || view->second.term <= from)
         return from;
   }
   return from;
}

/// B8: where enough producers to contain an honest one have gone, this node goes too.
void ReplicaState::followViews() {
   const ChainConsensusPtr consensus = active();
   TermNum furthest = term;
   const auto look = [&](const ProducerSet& set) {
      std::vector<TermNum> terms;
      for (const format::Producer& member : set.producers())
         if (const auto view = views_.find(member.name); view != views_.end())
            terms.push_back(view->second.term);
      const std::size_t needed = set.size() - set.size() * 2 / 3;
      if (terms.size() < needed || needed == 0)
         return;
      std::ranges::sort(terms, std::greater<>());
      furthest = std::max(furthest, terms[needed - 1]);
   };
   look(consensus->sets.current);
   if (consensus->sets.next)
      look(*consensus->sets.next);
   if (furthest > term && furthest < termMax)
      enterTerm(skipAdvancedLeaders(furthest, consensus->sets.current));
}

/// B7. The timer runs only while a quorum is there and heard of: who stood still, or was cut off, does not know what
/// the leader did meanwhile, and would be alone in the next term, and mute in this one. A leader has half the time to
/// appear, and from then on all of it.
void ReplicaState::viewTimer() {
   const ChainConsensusPtr consensus = active();
   const ProducerSet& set = consensus->sets.current;
   if (claims(consensus->sets).empty() || consensus->sets.single() || !quorumInTerm(set)) {
      viewAt_.reset();
      return;
   }
   const bool ready = termReady(consensus->sets).ready;
   if (!viewAt_ || (ready && !leaderAppeared_))
      viewAt_ = now_.monotonic + (ready ? viewTimeout_ : viewTimeout_ / 2);
   leaderAppeared_ = ready;
   if (now_.monotonic < *viewAt_)
      return;
   viewAt_.reset();
   if (tree.root().term < term)
      viewTimeout_ = std::min(viewTimeout_ * 3 / 2, options.viewTimeoutMaxUs);
   if (term < termMax)
      enterTerm(skipAdvancedLeaders(term + 1, set));
}

} // namespace polis::consensus
