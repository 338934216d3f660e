// Events in, effects out, and promises kept: nothing leaves before what it rests on is durable.
#include "consensus/replica_state.hpp"

#include "base/assert.hpp"
#include "format/ids.hpp"

#include <algorithm>

namespace polis::consensus {
namespace {

ForkBlock rootOf(const Restored& restored) {
   ForkBlock root;
   root.id = restored.root;
   root.num = restored.rootHeader.blockNum;
   root.term = restored.rootHeader.term;
   root.commitNum = restored.rootHeader.commitNum;
   root.timeUs = restored.rootHeader.time.microseconds;
   root.producer = restored.rootHeader.producer;
   root.end = root.start = std::make_shared<ChainConsensus>(restored.rootConsensus);
   root.after = consensusForChild(root.end, root.commitNum);
   root.state = BlockState::executed;
   root.vouched = true;
   return root;
}

} // namespace

ReplicaState::ReplicaState(Options given, Signatures& signer, Restored restored)
   : options(given), signatures(signer), tree(rootOf(restored)), head(&tree.root()), term(tree.root().term),
     hasMemory_(restored.record || restored.fresh),
     forgotten_(restored.record ? restored.record->forgotten : restored.forgotten), viewTimeout_(given.viewTimeoutUs),
     electionTimeout_(given.electionTimeoutUs) {
   if (restored.record) {
      const SafetyRecord& record = *restored.record;
      if (term > record.term) {
         viewBase_ = record.bestPrepared; // as entering the term would have it
      } else {
         term = record.term;
         votedFor_ = record.votedFor;
         viewBase_ = record.viewBase;
      }
      bestConfirm_ = record.bestConfirm;
      confirmedByCft_ = record.confirmedByCft;
      bestPrepared_ = record.bestPrepared;
      if (record.committed.id == tree.root().id)
         commitProof_ = record.commitProof;
   }
   for (const BlockPtr& block : restored.blocks) {
      ForkBlock* parent = tree.find(block->block.header.previous);
      if (!parent || parent->state != BlockState::executed || tree.find(format::blockId(block->block.header)))
         continue;
      ForkBlock& added = tree.insert(describe(block, *parent), *parent);
      added.state = BlockState::executed;
      added.own = added.producer == options.producer;
      // It may have left before the record of it was durable, and binds all the same.
      if (added.own && !forbiddenFork(added))
         lock(added, !added.sets().current.bft());
      if (added.id == bestPrepared_.block.id) {
         for (const ProducerConfirm& entry : bestPrepared_.prepares)
            added.prepares.of[0].emplace(entry.producer, entry.signature);
         for (const ProducerConfirm& entry : bestPrepared_.nextPrepares.value_or(std::vector<ProducerConfirm>()))
            added.prepares.of[1].emplace(entry.producer, entry.signature);
         added.preparedStep = 1;
         for (ForkBlock* at = &added; at && !at->vouched; at = at->parent)
            at->vouched = true;
      }
   }
}

void ReplicaState::multicast(const ProducerSets& sets, Bytes frame, std::optional<BlockId> about) {
   std::set<AccountNumber> to;
   for (const format::Producer& producer : sets.current.producers())
      to.insert(producer.name);
   if (sets.next)
      for (const format::Producer& producer : sets.next->producers())
         to.insert(producer.name);
   to.erase(options.producer);
   promise(Multicast{{to.begin(), to.end()}, std::move(frame), about});
}

Effects ReplicaState::start(Now now) {
   now_ = now;
   started_ = true;
   resendAt_ = now.monotonic + options.resendUs;
   if (forgotten_)
      remember();
   act(SetHead{head->id, head->num});
   for (ForkBlock* block : uncommitted())
      inserted(*block);
   settle();
   finish();
   return std::exchange(effects_, {});
}

Effects ReplicaState::step(const Event& event, Now now) {
   ASSERT(started_);
   now_ = now;
   ++steps_;
   if (halted_)
      return {};
   std::visit([this](const auto& e) { on(e); }, event);
   settle();
   finish();
   return std::exchange(effects_, {});
}

void ReplicaState::settle() {
   // Each round moves something forward: a term, a head, a vote, the irreversible block.
   constexpr unsigned roundsMax = 10'000;
   unsigned rounds = 0;
   do {
      changed_ = false;
      // Never seen. Whoever goes on all the same is better than one who is never heard of again.
      if (++rounds > roundsMax) {
         ++counters.unsettled;
         break;
      }
      chooseHead();
      commitCertified();
      const ChainConsensusPtr consensus = active();
      if (viewsUnder_ != consensus) {
         if (viewsUnder_ && !options.guards.viewsSurviveSetChange)
            views_.clear();
         // B13: members of a new set may not have listened before.
         if (viewsUnder_ && consensus->sets.current.bft()) {
            if (const auto own = views_.find(options.producer); own != views_.end() && own->second.change)
               promise(Flood{own->second.frame, std::nullopt});
            act(Flood{encode(RequestViewMessage{}), std::nullopt});
         }
         viewsUnder_ = consensus;
         changed_ = true;
      }
      if (consensus->sets.current.bft()) {
         if (role == Role::candidate)
            role = Role::follower;
         electionAt_.reset();
         announceView();
         followViews();
         viewTimer();
      } else {
         viewAt_.reset();
         cftRole();
         confirmHead();
         countConfirms();
      }
      voteForBlocks();
   } while (changed_ && !halted_);
   lead();
}

void ReplicaState::finish() {
   if (dirty_) {
      dirty_ = false;
      ++sequence_;
      act(Persist{sequence_, SafetyRecord{term, votedFor_, bestConfirm_, confirmedByCft_, bestPrepared_, viewBase_,
                                          tree.root().order(), commitProof_, forgotten_}});
   }
   for (Effect& effect : promised_) {
      if (durable_ >= sequence_ || !options.guards.persistBeforeSend)
         act(std::move(effect));
      else
         held_.emplace_back(sequence_, std::move(effect));
   }
   promised_.clear();
}

void ReplicaState::on(const Persisted& persisted) {
   durable_ = std::max(durable_, persisted.sequence);
   while (!held_.empty() && held_.front().first <= durable_) {
      act(std::move(held_.front().second));
      held_.pop_front();
   }
}

void ReplicaState::on(const BlockReceived& received) { admit(received.from, received.block); }
void ReplicaState::on(const BlockSealed& sealed) { admitOwn(sealed.block); }

void ReplicaState::on(const MessageReceived& received) {
   std::visit(
       [&]<class M>(const M& message) {
          if constexpr (requires { message.packed; }) {
             // D7: other bytes than the canonical ones could not be part of a certificate.
             if (options.guards.canonicalMessages && !isCanonical(message)) {
                ++counters.ignoredMessages;
                return;
             }
             take(received.from, message);
          } else {
             sendViews(received.from);
          }
       },
       received.message);
}

void ReplicaState::on(const BlockExecuted& executed) {
   if (executing_ == executed.id) {
      executing_.reset();
      cancelling_ = false;
   }
   ForkBlock* block = tree.find(executed.id);
   if (!block || block->state != BlockState::known)
      return;
   switch (executed.verdict) {
   case Verdict::valid:
      block->state = BlockState::executed;
      break;
   case Verdict::cancelled:
      break; // for a better one, or already marked as too slow
   case Verdict::invalid:
      tree.condemn(*block);
      if (block->certified || (target_ && ForkTree::isAncestor(*block, *target_))) {
         halted_ = true;
         act(Halt{"a block that a quorum made irreversible is invalid here"});
      }
   }
}

void ReplicaState::on(const ProductionFailed& failed) {
   if (producing_ && producing_->parent == failed.parent) {
      producing_.reset();
      retryProduceAt_ = now_.monotonic + options.resendUs;
   }
}

void ReplicaState::on(const PeerConnected& connected) {
   sendViews(connected.peer);
   if (active()->sets.current.bft())
      act(SendToPeer{connected.peer, encode(RequestViewMessage{})});
}

void ReplicaState::sendViews(PeerId to) {
   for (const auto& [name, view] : views_)
      if (view.change)
         promise(SendToPeer{to, view.frame});
}

void ReplicaState::on(const KeysChanged&) {}

void ReplicaState::on(const Tick&) {
   if (executing_ && !cancelling_ && options.guards.boundedExecution && now_.monotonic >= executingUntil_) {
      ForkBlock* block = tree.find(*executing_);
      if (!block || (!block->vouched && block->sets().current.bft())) {
         cancelling_ = true;
         if (block) {
            block->tooSlowUntil = now_.monotonic + 10 * patienceWith(*block);
            ++block->givenUp;
         }
         act(CancelExecution{*executing_});
      }
   }
   if (now_.monotonic >= resendAt_) {
      resendAt_ = now_.monotonic + options.resendUs;
      resend();
   }
}

std::optional<std::int64_t> ReplicaState::wakeAt() const {
   std::int64_t at = resendAt_;
   if (viewAt_)
      at = std::min(at, *viewAt_);
   if (electionAt_)
      at = std::min(at, *electionAt_);
   if (executing_ && !cancelling_ && executingUntil_ > now_.monotonic)
      at = std::min(at, executingUntil_);
   if (suspicionEndsAt_)
      at = std::min(at, *suspicionEndsAt_);
   return at;
}

void ReplicaState::enterTerm(TermNum next) {
   ASSERT(next > term);
   term = next;
   votedFor_ = {};
   ballots_.clear();
   elected_ = false;
   confirmed_.clear();
   viewAt_.reset();
   // A view change for this term speaks of earlier terms: what they prepared is frozen here.
   if (bestPrepared_.block.term < next)
      viewBase_ = bestPrepared_;
   if (role == Role::leader || role == Role::candidate)
      role = Role::follower;
   ++counters.termsEntered;
   remember();
   changed_ = true;
}

/// While nothing becomes irreversible, this node says again what it said: a message may have been lost on its way.
void ReplicaState::resend() {
   const ChainConsensusPtr consensus = active();
   std::vector<ForkBlock*> blocks = uncommitted();
   // Votes count in the term of their block, so those of the newest blocks matter as much as those of the oldest; and
   // of the irreversible block too, while nothing follows it: somebody may lack only this node's Commit.
   constexpr std::size_t most = 4;
   if (blocks.size() > 2 * most)
      blocks.erase(blocks.begin() + most, blocks.end() - most);
   const bool waiting = !blocks.empty();
   const bool stands = resentRoot_ == tree.root().id;
   if (tree.root().block && stands)
      blocks.insert(blocks.begin(), &tree.root());
   resentRoot_ = tree.root().id;
   // Those whose Prepares these are may be down or elsewhere by now, and others lack them.
   if (const ForkBlock* prepared = tree.find(bestPrepared_.block.id);
       prepared && prepared->parent && resentPrepared_ == prepared->id)
      for (unsigned set = 0; set < (prepared->sets().next ? 2u : 1u); ++set)
         for (const auto& [name, signature] : prepared->prepares.of[set])
            if (const format::Producer* signer = (set ? *prepared->sets().next : prepared->sets().current).find(name);
                signer && name != options.producer)
               multicast(prepared->sets(), encode(PrepareMessage{prepared->id, name, signer->auth}, signature),
                         prepared->id);
   resentPrepared_ = bestPrepared_.block.id;
   for (ForkBlock* at : blocks) {
      ForkBlock& block = *at;
      for (unsigned set = 0; set < (block.sets().next ? 2u : 1u); ++set) {
         const ProducerSet& members = set ? *block.sets().next : block.sets().current;
         const format::Producer* self = members.find(options.producer);
         if (!self)
            continue;
         if (const auto at = block.prepares.of[set].find(self->name); at != block.prepares.of[set].end())
            multicast(block.sets(), encode(PrepareMessage{block.id, self->name, self->auth}, at->second), block.id);
         if (const auto at = block.commits.of[set].find(self->name); at != block.commits.of[set].end())
            multicast(block.sets(), encode(CommitMessage{block.id, self->name, self->auth}, at->second), block.id);
      }
   }
   if (consensus->sets.current.bft()) {
      if (waiting || stands || !termReady(consensus->sets).ready) {
         if (const auto own = views_.find(options.producer); own != views_.end() && own->second.change)
            promise(Flood{own->second.frame, std::nullopt});
         act(Flood{encode(RequestViewMessage{}), std::nullopt});
      }
   } else if ((waiting || stands) && head->term == term && head->producer != options.producer) {
      sendConfirm(*head);
   }
}

std::vector<Claim> ReplicaState::claims(const ProducerSets& sets) const {
   std::vector<Claim> out;
   if (const auto claim = claimIn(sets.current))
      out.push_back(*claim);
   if (sets.next)
      if (const auto claim = claimIn(*sets.next); claim && (out.empty() || out[0] != *claim))
         out.push_back(*claim);
   return out;
}

std::optional<Claim> ReplicaState::claimIn(const ProducerSet& set) const {
   const format::Producer* self = set.find(options.producer);
   if (!mayVote() || !self || (self->auth.service && !signatures.canSign(self->auth)))
      return std::nullopt;
   return self->auth;
}

void ReplicaState::lead() {
   std::optional<Produce> next = halted_ ? std::nullopt : production();
   if (next == producing_)
      return;
   producing_ = std::move(next);
   if (producing_)
      act(*producing_);
   else
      act(StopProducing{});
}

/// What this node builds next, if it leads and nothing better is on its way.
std::optional<Produce> ReplicaState::production() {
   const ChainConsensusPtr consensus = active();
   const ProducerSets& sets = consensus->sets;
   if (executing_ || isOpenEnd(*head) || !mayBuildOn(*head) || sets.current.empty() ||
       now_.monotonic < retryProduceAt_ || head->num - tree.root().num >= options.blocksAheadMax)
      return std::nullopt;
   Produce out{head->id, options.producer, {}, term, tree.root().num, std::nullopt, false};
   if (sets.current.bft()) {
      const format::Producer& leader = sets.current.leader(term);
      const auto claim = claimIn(sets.current);
      const bool leads = claim && leader.name == options.producer && hasBegun(sets, *head);
      role = leads ? Role::leader : claims(sets).empty() ? Role::observer : Role::follower;
      if (!leads)
         return std::nullopt;
      out.claim = *claim;
      if (!sets.single()) {
         if (!commitProof_.empty())
            out.aux = commitProof_;
         else if (sets.next)
            // Joint consensus ends with a proof, or not yet.
            out.commitNum = std::min(out.commitNum, consensus->joint.next->blockNum - 1);
      }
      return out;
   }
   if (role != Role::leader)
      return std::nullopt;
   auto claim = claimIn(sets.current);
   if (!claim && sets.next && !sets.next->bft())
      claim = claimIn(*sets.next);
   if (!claim)
      return std::nullopt;
   out.claim = *claim;
   // C7: its followers know no more than a header says.
   out.news = !sets.single() && head->commitNum < worthTelling_;
   return out;
}

std::vector<Bytes> ReplicaState::votesFor(const BlockId& id) const {
   std::vector<Bytes> out;
   const ForkBlock* block = tree.find(id);
   if (!block)
      return out;
   for (unsigned set = 0; set < (block->sets().next ? 2u : 1u); ++set) {
      const ProducerSet& members = set ? *block->sets().next : block->sets().current;
      for (const format::Producer& member : members.producers()) {
         // Its own votes have left already when they were allowed to.
         if (member.name == options.producer && durable_ < sequence_)
            continue;
         if (const auto at = block->prepares.of[set].find(member.name); at != block->prepares.of[set].end())
            out.push_back(encode(PrepareMessage{id, member.name, member.auth}, at->second));
         if (const auto at = block->commits.of[set].find(member.name); at != block->commits.of[set].end())
            out.push_back(encode(CommitMessage{id, member.name, member.auth}, at->second));
      }
   }
   return out;
}

// --- Replica ---------------------------------------------------------------------------------------------------------

Replica::Replica(Options options, Signatures& signatures, Restored restored)
   : state_(std::make_unique<ReplicaState>(options, signatures, std::move(restored))) {}
Replica::~Replica() = default;
Replica::Replica(Replica&&) noexcept = default;
Replica& Replica::operator=(Replica&&) noexcept = default;

Effects Replica::start(Now now) { return state_->start(now); }
Effects Replica::step(const Event& event, Now now) { return state_->step(event, now); }
std::optional<std::int64_t> Replica::wakeAt() const { return state_->wakeAt(); }
BlockId Replica::head() const { return state_->head->id; }
BlockNum Replica::headNum() const { return state_->head->num; }
BlockId Replica::irreversible() const { return state_->tree.root().id; }
BlockNum Replica::irreversibleNum() const { return state_->tree.root().num; }
TermNum Replica::term() const { return state_->term; }
Role Replica::role() const { return state_->role; }
bool Replica::keepsFromVoting() const { return state_->keepsFromVoting(); }

const ProducerSets& Replica::sets() const {
   // Held by a block of the tree or, for a set that begins, by the producers who ask: keep it alive here.
   state_->activeKept = state_->active();
   return state_->activeKept->sets;
}

bool Replica::knows(const BlockId& id) const {
   const ForkBlock* block = state_->tree.find(id);
   return block && block->state != BlockState::invalid;
}

BlockPtr Replica::block(const BlockId& id) const {
   const ForkBlock* block = state_->tree.find(id);
   return block ? block->block : nullptr;
}

std::optional<BlockId> Replica::blockOnChain(BlockNum num) const {
   const ForkBlock* block = ForkTree::ancestorAt(*state_->head, num);
   return block ? std::optional(block->id) : std::nullopt;
}

template <SignedContent M>
bool Replica::isSigned(const Signed<M>& message) {
   return state_->isSigned(message, *state_->active());
}
template bool Replica::isSigned(const Signed<ConfirmMessage>&);
template bool Replica::isSigned(const Signed<RequestVoteMessage>&);
template bool Replica::isSigned(const Signed<VoteMessage>&);
template bool Replica::isSigned(const Signed<PrepareMessage>&);
template bool Replica::isSigned(const Signed<CommitMessage>&);
template bool Replica::isSigned(const Signed<ViewChangeMessage>&);

std::optional<std::string> Replica::authorProblem(const format::BlockHeader& header, ByteView signature) {
   return state_->authorProblem(header, signature);
}

std::vector<Bytes> Replica::votesFor(const BlockId& id) const { return state_->votesFor(id); }

Replica::Counters Replica::counters() const {
   Counters out = state_->counters;
   out.blocksInMemory = state_->tree.size();
   return out;
}

} // namespace polis::consensus
