// Which blocks are admitted, which are preferred, and when they are irreversible. Source: spec, consensus §1.4, §1.5.
#include "consensus/replica_state.hpp"

#include "base/assert.hpp"
#include "format/ids.hpp"
#include "format/merkle.hpp"

#include <algorithm>

namespace polis::consensus {
namespace {

/// Whether everything that a block carries is what its id stands for. H7: every transaction has subjective data.
bool bodyIsOfHeader(const format::Block& block, const ForkBlock& parent) {
   format::Merkle tree;
   for (const format::SignedTransaction& transaction : block.transactions) {
      if (!transaction.subjectiveData)
         return false;
      tree.push(format::merkleLeaf(format::transactionInfo(transaction)));
   }
   if (tree.root() != block.header.trxMerkleRoot)
      return false;
   // Before genesis there are no services to compare with.
   return parent.num < 2 || codeIsOfHeader(block.header, parent.after->joint);
}

} // namespace

ForkBlock ReplicaState::describe(const BlockPtr& block, ForkBlock& parent) const {
   const format::BlockHeader& header = block->block.header;
   ForkBlock out;
   out.id = format::blockId(header);
   out.num = header.blockNum;
   out.term = header.term;
   out.commitNum = header.commitNum;
   out.timeUs = header.time.microseconds;
   out.producer = header.producer;
   out.block = block;
   out.bytes = format::packedSize(*block);
   out.start = parent.after;
   out.end = consensusAfter(out.start, header);
   out.after = consensusForChild(out.end, out.commitNum);
   return out;
}

/// H2, H3
std::optional<std::string> ReplicaState::authorProblem(const format::BlockHeader& header, ByteView signature,
                                                       const ForkBlock& parent) {
   const ChainConsensusPtr& start = parent.after;
   const ProducerSets& sets = start->sets;
   const auto claim = format::authorClaim(start->joint, header.producer);
   if (!claim)
      return "the block's author is no producer";
   if (sets.current.bft() && !sets.current.empty() && sets.current.leader(header.term).name != header.producer)
      return "the block's author does not lead its term";
   // By the old services, until the first block of the new set is executed.
   const format::Consensus& under = parent.end->joint.next ? parent.end->joint.current : start->joint.current;
   ++counters.signatureChecks;
   if (answers(signatures, under, *claim, format::blockSignatureDigest(format::blockId(header)), signature))
      return std::nullopt;
   ++counters.badSignatures;
   return "the block's signature is invalid";
}

std::optional<std::string> ReplicaState::authorProblem(const format::BlockHeader& header, ByteView signature) {
   const ForkBlock* parent = tree.find(header.previous);
   return parent ? authorProblem(header, signature, *parent) : std::nullopt;
}

/// The header stage, H1 to H6. What breaks a rule closes the link that it came on.
void ReplicaState::admit(PeerId from, const BlockPtr& block) {
   const format::BlockHeader& header = block->block.header;
   ForkBlock* parent = tree.find(header.previous);
   if (header.blockNum <= tree.root().num || !parent || parent->state == BlockState::invalid)
      return;
   // Height and term are tied to the parent before anything is kept (D13).
   if (options.guards.boundedForks && (header.blockNum != parent->num + 1 || header.term < parent->term))
      return act(Disconnect{from, "the block's height or term does not follow its parent's"});
   const BlockId id = format::blockId(header);
   std::optional<format::BlockConfirm> confirm;
   if (block->auxConsensusData) {
      auto unpacked = format::unpack<format::BlockConfirm>(*block->auxConsensusData);
      if (!unpacked)
         return act(Disconnect{from, "the block's auxiliary data is malformed"});
      confirm = std::move(*unpacked);
   }
   if (ForkBlock* known = tree.find(id)) {
      if (confirm && known->start->sets.current.bft() && !aux(*known, *confirm))
         act(Forged{from});
      return;
   }

   if (auto problem = authorProblem(header, block->signature, *parent))
      return act(Disconnect{from, std::move(*problem)});
   // A header is as good with any body: a wrong one must not be taken for the block and condemn it.
   if (!bodyIsOfHeader(block->block, *parent))
      return act(Disconnect{from, "the block's contents are not those of its header"});

   ForkBlock described = describe(block, *parent);
   const ProducerSets& sets = described.start->sets;
   if (parent->block && described.end->hash != header.consensusState)
      return act(Disconnect{from, "the block's consensus state is not what follows from its header"});

   if (sets.current.bft() && !sets.single()) {
      const bool ends = format::jointIsOver(described.end->joint, header.commitNum);
      if (!confirm && ends)
         return act(Disconnect{from, "joint consensus ends without proof"});
      if (confirm) {
         if (confirm->blockNum < header.commitNum || confirm->blockNum > header.blockNum)
            return act(Disconnect{from, "the block's proof is for another height"});
         // An ancestor, for the block itself is not in the tree yet.
         const ForkBlock* ancestor = &described;
         if (confirm->blockNum < described.num) {
            ancestor = ForkTree::ancestorAt(*parent, confirm->blockNum);
            if (const auto past = past_.find(confirm->blockNum); !ancestor && past != past_.end())
               ancestor = &past->second;
         }
         if (ancestor && !checkedCommits(*ancestor, *confirm, signatures, options.guards))
            return act(Disconnect{from, "the block's proof proves nothing"});
         // What cannot be checked here is not passed on either: others can, and would blame this node.
         if (!ancestor && !ends) {
            auto bare = std::make_shared<format::SignedBlock>(*block);
            bare->auxConsensusData.reset();
            described.block = std::move(bare);
         }
      }
   }
   if (!makeRoom(from, described, *parent))
      return;
   ForkBlock& added = tree.insert(std::move(described), *parent);
   if (confirm && sets.current.bft())
      (void)aux(added, *confirm);
   inserted(added);
}

/// A producer that lies fills no memory, be it with equal blocks, with ever new terms or with a long chain (D13): for
/// what it made and nobody is known to want there is so much room, which takes none from others. A newcomer is never
/// just refused, for it may be the one that the others have chosen. It replaces the one that is least so, with all that
/// is built on it if they are equals, and otherwise one on which nothing is built.
bool ReplicaState::makeRoom(PeerId from, const ForkBlock& block, const ForkBlock& parent) {
   constexpr std::size_t equalsMax = 4;
   constexpr std::size_t looseMax = 1024; ///< twice what a link brings ahead of execution (src/peer/network.hpp)
   constexpr std::size_t looseBytesMax = std::size_t{64} << 20;
   if (!options.guards.boundedForks)
      return true;
   std::vector<ForkBlock*> loose = tree.by(block.producer);
   const auto isEqual = [&](const ForkBlock* other) { return other->term == block.term && other->num == block.num; };
   const bool tooManyEquals = std::ranges::count_if(loose, isEqual) >= static_cast<std::ptrdiff_t>(equalsMax);
   std::size_t bytes = block.bytes;
   for (const ForkBlock* other : loose)
      bytes += other->bytes;
   if (!tooManyEquals && loose.size() < looseMax && bytes <= looseBytesMax)
      return true;

   const std::vector<ForkBlock*> line = uncommitted();
   std::erase_if(loose, [&](const ForkBlock* other) {
      const std::size_t at = other->num - tree.root().num;
      const bool needed = other->own || other->vouched || (at > 0 && at <= line.size() && line[at - 1] == other);
      if (needed)
         bytes -= other->bytes;
      return needed;
   });
   // Its author's own vote says nothing. A block of a later term than this node's may be of one that never comes.
   const auto worth = [&](const ForkBlock* other) {
      const auto votes =
          std::ranges::count_if(other->prepares.of[0], [&](const auto& vote) { return vote.first != other->producer; });
      return std::tuple(other->state != BlockState::invalid, votes, other->term <= term, other->order());
   };
   const auto takeLeast = [&](auto&& among) {
      const auto may = [&](const ForkBlock* a, const ForkBlock* b) {
         return among(a) && (!among(b) || worth(a) < worth(b));
      };
      const auto least = std::ranges::min_element(loose, may);
      if (least == loose.end() || !among(*least))
         return false;
      bytes -= (*least)->bytes;
      tree.erase(**least);
      loose.erase(least);
      return true;
   };
   if (tooManyEquals)
      return takeLeast(isEqual) && makeRoom(from, block, parent);
   const auto isLeaf = [&](const ForkBlock* other) { return other->children.empty() && other != &parent; };
   while (loose.size() >= looseMax || bytes > looseBytesMax)
      if (!takeLeast(isLeaf)) {
         act(Disconnect{from, "the block's author has made more blocks than can be kept"});
         return false;
      }
   return true;
}

void ReplicaState::admitOwn(const BlockPtr& block) {
   producing_.reset();
   ForkBlock* parent = tree.find(block->block.header.previous);
   if (!parent || parent->state != BlockState::executed || tree.find(format::blockId(block->block.header)))
      return;
   ForkBlock described = describe(block, *parent);
   described.state = BlockState::executed;
   described.own = true;
   // C1: who has gone on to another term leads the former no more, and may have voted for somebody who lacks this.
   const ProducerSets& sets = described.start->sets;
   if (described.term != term && !sets.current.bft() && !sets.single())
      return act(SetHead{head->id, head->num});
   ForkBlock& added = tree.insert(std::move(described), *parent);
   // Since it was begun this node may have voted for another chain: then it stays where it is.
   if (!forbiddenFork(added))
      lock(added, !added.sets().current.bft());
   inserted(added);
}

/// What a new block tells by its header alone.
void ReplicaState::inserted(ForkBlock& block) {
   changed_ = true;
   const bool byCft = !block.sets().current.bft();
   if (byCft && !block.sets().single()) {
      // C1: the leader of a term speaks by its headers.
      if (block.term > term)
         enterTerm(block.term);
      if (block.term == term && !block.own) {
         leaderSeen_ = now_.monotonic;
         if (role != Role::leader)
            restartElectionTimer();
         if (role == Role::candidate)
            role = Role::follower;
      }
      if (block.parent && block.parent->parent)
         vouch(*block.parent); // as far as an honest leader knows
   }
   // C7; H9: a sole producer decides alone, also when it hands over, and also about what came before it.
   if (byCft || block.start->sets.single())
      if (ForkBlock* told = ForkTree::ancestorAt(block, block.commitNum))
         certify(*told, {});
   learnFromViews(block);
   for (const MessageReceived& vote : earlyVotes([&](const BlockId& id) { return id == block.id; }))
      on(vote);
}

/// B12: commits of an ancestor that travel with a block. False: they prove nothing.
bool ReplicaState::aux(ForkBlock& block, const format::BlockConfirm& confirm) {
   ForkBlock* proven = confirm.blockNum > tree.root().num ? ForkTree::ancestorAt(block, confirm.blockNum) : nullptr;
   if (!proven || proven->certified)
      return true;
   const auto votes = checkedCommits(*proven, confirm, signatures, options.guards);
   if (!votes)
      return false;
   for (unsigned set = 0; set < 2; ++set)
      proven->commits.of[set].insert(votes->of[set].begin(), votes->of[set].end());
   certify(*proven, format::pack(commitCertificate(*proven)));
   return true;
}

/// Prudence is no rule of validity: a block that this node would not vote for is left alone until a quorum wants it.
bool ReplicaState::suspicious(const ForkBlock& block) const {
   if (block.vouched || block.own || block.preparedHere)
      return false;
   const format::Block& content = block.block->block;
   // After a block without startBlock no later one can run it (D4).
   if (options.guards.prudentAboutEmpty && block.num > 2 && content.transactions.empty())
      return true;
   if (options.guards.prudentAboutTime && block.timeUs > now_.real + options.futureMaxUs)
      return true;
   return now_.monotonic < block.tooSlowUntil;
}

/// How long its execution may take. What was given up is tried again after a while, and for twice as long: this node
/// may have been slow, or stood still, and a set that begins after the block waits for it.
std::int64_t ReplicaState::patienceWith(const ForkBlock& block) const {
   return options.executionMaxUs << std::min(block.givenUp, 5u);
}

void ReplicaState::vouch(ForkBlock& block) {
   for (ForkBlock* at = &block; at && !at->vouched; at = at->parent) {
      at->vouched = true;
      changed_ = true;
   }
}

void ReplicaState::certify(ForkBlock& block, Bytes proof) {
   if (block.num <= tree.root().num)
      return;
   if (block.state == BlockState::invalid) {
      halted_ = true;
      return act(Halt{"a block that a quorum made irreversible is invalid here"});
   }
   vouch(block);
   if (block.certified) {
      if (block.proof.empty())
         block.proof = std::move(proof);
      return;
   }
   block.certified = true;
   block.proof = std::move(proof);
   changed_ = true;
   if (block.term > term)
      enterTerm(block.term);
   if (!target_) {
      target_ = &block;
   } else if (!ForkTree::onOneChain(*target_, block)) {
      halted_ = true;
      act(Halt{"two quorums made conflicting blocks irreversible"});
   } else if (block.num > target_->num) {
      target_ = &block;
   }
}

/// Whether head may descend from a block. What a quorum wants is not asked.
bool ReplicaState::isReachable(const ForkBlock& block) {
   if (block.state == BlockState::invalid || block.term > term)
      return false;
   if (suspicious(block)) {
      const std::int64_t wait = block.timeUs - options.futureMaxUs - now_.real;
      if (wait > 0 && wait < 60'000'000)
         suspicionEndsAt_ = std::min(suspicionEndsAt_.value_or(now_.monotonic + wait), now_.monotonic + wait);
      return false;
   }
   // Nobody can vote for it any more, and nobody build on it.
   return block.term >= term || !isOpenEnd(block);
}

/// Where the term begins, by the sets that are in force there, whatever is head now: a head that decided which sets are
/// asked, and these which head, could want each other for ever.
std::vector<ForkBlock*> ReplicaState::beginnings() {
   std::vector<ForkBlock*> out;
   std::map<const ChainConsensus*, Readiness> known;
   std::vector<ForkBlock*> todo{&tree.root()};
   while (!todo.empty()) {
      ForkBlock* block = todo.back();
      todo.pop_back();
      const ChainConsensusPtr consensus = activeOn(*block);
      const ProducerSets& sets = consensus->sets;
      const auto [at, fresh] = known.try_emplace(consensus.get());
      if (fresh && sets.current.bft() && !sets.single())
         at->second = termReady(sets);
      const Readiness& readiness = at->second;
      const bool wanted = block == &tree.root() || block == readiness.root;
      if (!wanted && !isReachable(*block))
         continue;
      if (readiness.ready && (!readiness.root || ForkTree::isAncestor(*readiness.root, *block)) &&
          (wanted || mayBeHead(*block)))
         out.push_back(block); // and all that is built on it
      else
         todo.insert(todo.end(), block->children.begin(), block->children.end());
   }
   return out;
}

/// F2, B11: below these blocks nothing is chosen any more.
std::vector<ForkBlock*> ReplicaState::chooseRoots() {
   ForkBlock* prepared = tree.find(bestPrepared_.block.id);
   std::vector<ForkBlock*> roots;
   // Once something is prepared in a term nothing beside it can be any more. Before, a term may begin below or beside
   // what was prepared in earlier ones; without any such agreement, that binds this node.
   if (prepared && prepared->term == term && prepared->state != BlockState::invalid)
      roots = {prepared};
   else if (roots = beginnings(); roots.empty())
      roots = {prepared ? prepared : &tree.root()};
   if (target_) {
      std::erase_if(roots, [&](const ForkBlock* root) { return !ForkTree::isAncestor(*target_, *root); });
      if (roots.empty())
         roots = {target_};
   }
   return roots;
}

/// F1: the greatest of (term, height, id) among what may be chosen.
void ReplicaState::chooseHead() {
   suspicionEndsAt_.reset();
   std::vector<ForkBlock*> roots = chooseRoots();
   if (std::erase_if(roots, [](const ForkBlock* root) { return root->state == BlockState::invalid; }); roots.empty()) {
      halted_ = true;
      return act(Halt{"a block that a quorum wants is invalid here"});
   }
   ForkBlock* best = nullptr;
   ForkBlock* bestExecuted = nullptr;
   const auto better = [](const ForkBlock* a, const ForkBlock* b) {
      return !b || std::tuple(a->term, a->num, a->id) > std::tuple(b->term, b->num, b->id);
   };
   const auto consider = [&](ForkBlock* block) {
      if (better(block, best))
         best = block;
      if (block->state == BlockState::executed && better(block, bestExecuted))
         bestExecuted = block;
   };
   std::vector<ForkBlock*> todo;
   for (ForkBlock* root : roots) {
      consider(root);
      todo.insert(todo.end(), root->children.begin(), root->children.end());
   }
   while (!todo.empty()) {
      ForkBlock* block = todo.back();
      todo.pop_back();
      if (!isReachable(*block))
         continue;
      todo.insert(todo.end(), block->children.begin(), block->children.end());
      if (mayBeHead(*block))
         consider(block);
   }

   ForkBlock* next = nullptr; // to execute on the way to best
   ForkBlock* executed = best;
   while (executed->state != BlockState::executed) {
      next = executed;
      executed = executed->parent;
   }
   ForkBlock* chosen = bestExecuted ? bestExecuted : executed;
   if (chosen != head) {
      head = chosen;
      changed_ = true;
      act(SetHead{head->id, head->num});
   }
   if (executing_) {
      const ForkBlock* current = tree.find(*executing_);
      const bool wanted = current && ForkTree::isAncestor(*current, *best);
      if (!wanted && !cancelling_) {
         cancelling_ = true;
         act(CancelExecution{*executing_});
      }
   } else if (next) {
      executing_ = next->id;
      executingUntil_ = now_.monotonic + patienceWith(*next);
      act(Execute{next->id, next->block});
   }
}

void ReplicaState::commitCertified() {
   ForkBlock* block = target_;
   while (block && block->state != BlockState::executed)
      block = block->parent;
   if (!block || block->num <= tree.root().num || !ForkTree::isAncestor(*block, *head))
      return;
   commit(*block);
}

/// Whether it settles what this node may have forgotten. Whoever voted in a term had entered it with a quorum, so that
/// the quorum of a block that was made later is in no earlier one; a term after that has none of the old votes.
void ReplicaState::consider(const ForkBlock& block) {
   constexpr std::int64_t clocksUs = 10'000'000; ///< how far clocks may be apart
   if (!forgotten_ || block.timeUs <= forgotten_->beforeUs)
      return;
   const auto signsIn = [&](const ProducerSet& set) {
      const format::Producer* self = set.find(options.producer);
      return self && (!self->auth.service || signatures.canSign(self->auth));
   };
   const ProducerSets& sets = block.start->sets;
   if ((!signsIn(sets.current) && !(sets.next && signsIn(*sets.next))) ||
       (forgotten_->term && block.term > *forgotten_->term))
      forgotten_.reset();
   else if (!forgotten_->term && block.timeUs > forgotten_->beforeUs + clocksUs)
      forgotten_->term = block.term;
}

void ReplicaState::commit(ForkBlock& block) {
   std::vector<const ForkBlock*> line;
   for (const ForkBlock* at = &block; at != &tree.root(); at = at->parent)
      line.push_back(at);
   for (auto at = line.rbegin(); at != line.rend(); ++at) {
      consider(**at);
      // The first transaction is the block's own.
      if ((*at)->block->block.transactions.size() > 1)
         worthTelling_ = (*at)->num;
   }
   ASSERT(block.num > tree.root().num && ForkTree::isAncestor(tree.root(), block));
   const ForkBlock* locked = tree.find(bestConfirm_.id);
   if (locked ? !ForkTree::onOneChain(*locked, block) : format::blockNumOf(bestConfirm_.id) <= block.num)
      lockIsDead_ = true;
   commitProof_ = block.proof;
   // The irreversible block holds every lock on what is below it, or the node would be mute until the next term (D9).
   if (options.guards.oldLockIsSettled && locked && ForkTree::isAncestor(*locked, block))
      bestConfirm_.id = block.id;
   // To name a block without its prepares is of no use to anybody (D12).
   if (!options.guards.viewNamesProvable && block.order() > bestPrepared_.block)
      bestPrepared_ = {block.order(), {}, std::nullopt};
   promise(CommitBlock{block.id, block.num, block.proof});
   if (&block == target_)
      target_ = nullptr;
   for (const ForkBlock* at = &block; at; at = at->parent) {
      ForkBlock& past = past_[at->num];
      past.id = at->id;
      past.num = at->num;
      past.end = at->end;
   }
   while (past_.size() > pastMax)
      past_.erase(past_.begin());
   tree.setRoot(block);
   const ProducerSets* sets = &block.sets();
   (void)earlyVotes([&](const BlockId& id) { return format::blockNumOf(id) <= block.num; });
   std::erase_if(views_,
                 [&](const auto& entry) { return !sets->has(entry.first) && !active()->sets.has(entry.first); });
   // D8
   if (options.guards.timersShrink) {
      viewTimeout_ = std::max(options.viewTimeoutUs, viewTimeout_ * 2 / 3);
      electionTimeout_ = std::max(options.electionTimeoutUs, electionTimeout_ * 2 / 3);
   }
   if (viewAt_)
      viewAt_ = now_.monotonic + viewTimeout_;
   leaderSeen_ = now_.monotonic;
   // Who hears, at this time, a leader of an earlier term than its own lets it know by standing.
   const bool behind = block.term < term && block.timeUs > now_.real - options.electionTimeoutUs;
   if (electionAt_ && !behind)
      restartElectionTimer();
   remember();
   changed_ = true;
}

/// The chain of head above the irreversible block, lowest first.
std::vector<ForkBlock*> ReplicaState::uncommitted() const {
   std::vector<ForkBlock*> out;
   for (ForkBlock* at = head; at != &tree.root(); at = at->parent)
      out.push_back(at);
   std::ranges::reverse(out);
   return out;
}

bool ReplicaState::isOpenEnd(const ForkBlock& block) const {
   if (block.after == block.end || !block.parent || block.vouched || !block.sets().current.bft() ||
       block.sets().next->bft())
      return false;
   const ForkBlock* prepared = tree.find(bestPrepared_.block.id);
   return !prepared || !ForkTree::isAncestor(block, *prepared);
}

void ReplicaState::lock(const ForkBlock& block, bool byCft) {
   if (block.order() <= bestConfirm_)
      return;
   lockIsDead_ = false;
   bestConfirm_ = block.order();
   confirmedByCft_ = byCft;
   remember();
}

bool ReplicaState::lockIsSettled() const {
   const ForkBlock* locked = tree.find(bestConfirm_.id);
   return bestConfirm_.none() || lockIsDead_ || locked == &tree.root() ||
          (!locked && format::blockNumOf(bestConfirm_.id) <= tree.root().num);
}

/// B4: in a term this node votes for one chain only.
bool ReplicaState::forbiddenFork(const ForkBlock& block) const {
   return breaksLock(block, block.term, block.sets(),
                     [&](const ForkBlock& other) { return ForkTree::onOneChain(other, block); });
}

/// What this node may not vote for it does not build on either, until a quorum has decided otherwise. A later term may
/// have built on it all the same. A vote for what can never be irreversible, and is gone therefore, forbids others in
/// its term, and hides nothing. Nor does one of an earlier term of BFT, where nobody votes any more: who has the same
/// blocks is to have the same head, or may stand where it is no member, and be missed in the sets of the others.
bool ReplicaState::mayBeHead(const ForkBlock& block) const {
   const auto onlyBft = [](const ProducerSets& sets) { return sets.current.bft() && (!sets.next || sets.next->bft()); };
   const bool byBft = !confirmedByCft_ && onlyBft(block.sets()) && onlyBft(activeOn(block)->sets);
   if (block.vouched || !mayVote() || !tree.find(bestConfirm_.id) || (byBft && bestConfirm_.term < term))
      return true;
   return !forbiddenFork(block);
}

/// A block is its author's first vote for it.
bool ReplicaState::mayBuildOn(const ForkBlock& parent) const {
   const ProducerSets& sets = active()->sets;
   return sets.single() ||
          !breaksLock(parent, term, sets, [&](const ForkBlock& other) { return ForkTree::isAncestor(other, parent); });
}

bool ReplicaState::breaksLock(const ForkBlock& tip, TermNum in, const ProducerSets& sets,
                              const std::function<bool(const ForkBlock&)>& goesWith) const {
   if (bestConfirm_.none())
      return false;
   const ForkBlock* locked = tree.find(bestConfirm_.id);
   if (locked && goesWith(*locked))
      return false;
   if (bestConfirm_.term >= in)
      return true;
   if (!confirmedByCft_ || lockIsSettled() || !sets.current.bft())
      return false;
   // A Confirm is no certificate that a view change could carry to others, so this lock holds across terms until an
   // election has chosen the other chain since, or the set that confirmed has prepared something on it. From BFT to CFT
   // that set prepares nothing.
   if (sets.next && !sets.next->bft())
      return true;
   const ForkBlock* elected = &tip;
   while (elected && elected->sets().current.bft())
      elected = elected->parent;
   if (elected && elected->term > bestConfirm_.term)
      return false;
   const ForkBlock* prepared = tree.find(bestPrepared_.block.id);
   return !(prepared && bestPrepared_.block > bestConfirm_ && goesWith(*prepared));
}

} // namespace polis::consensus
