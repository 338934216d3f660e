#include "sim/checker.hpp"

#include "consensus/certificate.hpp"

#include <algorithm>

namespace polis::sim {
namespace {

std::string show(const BlockId& id) {
   static constexpr char digits[] = "0123456789abcdef";
   std::string out = std::to_string(format::blockNumOf(id)) + ":";
   for (std::size_t i = 4; i < 8; ++i) {
      out += digits[id[i] >> 4];
      out += digits[id[i] & 15];
   }
   return out;
}

std::string show(AccountNumber name) { return name.str(); }

bool ascending(const std::vector<ProducerConfirm>& list) {
   return std::ranges::adjacent_find(list, [](const auto& a, const auto& b) { return a.producer >= b.producer; }) ==
          list.end();
}

} // namespace

void Checker::fail(std::string what) {
   if (!violation_)
      violation_ = std::move(what);
}

void Checker::made(const BlockPtr& block) {
   if (!blocks_.emplace(format::blockId(block->block.header), block).second)
      return;
   order_.push_back(block);
   const StatePtr state = chain_.find(format::blockId(block->block.header));
   if (!state)
      return;
   if (block->auxConsensusData)
      proven(*state, *block->auxConsensusData);
   // A sole producer's word is enough for its block, or for the parent where it hands over itself (H9).
   if (state->spot.end->sets.single())
      certify(state);
   else if (state->parent->spot.after()->sets.single() && state->parent->parent)
      certify(state->parent);
   if (state->spot.end->sets.current.bft())
      return;
   const auto& header = block->block.header;
   if (cftBlocks_.try_emplace({header.term, header.blockNum}, state->spot.id).first->second != state->spot.id)
      fail("I2: two blocks of CFT at height " + std::to_string(header.blockNum) + " in term " +
           std::to_string(header.term));
   countConfirms(header.term, header.blockNum);
}

/// Commits may leave in a proof alone: their producer was down before it could send them.
void Checker::proven(const ChainState& in, ByteView aux) {
   const auto confirm = format::unpack<format::BlockConfirm>(aux);
   if (!confirm)
      return;
   const ChainState* at = &in;
   while (at && at->spot.header.blockNum > confirm->blockNum)
      at = at->parent.get();
   if (!at || !at->parent)
      return;
   const ProducerSets& sets = at->spot.end->sets;
   const auto look = [&](const std::vector<ProducerConfirm>& list, const ProducerSet& set) {
      for (const ProducerConfirm& entry : list)
         if (const format::Producer* member = set.find(entry.producer)) {
            const CommitMessage message{at->spot.id, member->name, member->auth};
            if (entry.signature == TestSignatures::signatureOf(member->auth, digestOf(message)))
               letOut(message);
         }
   };
   look(confirm->commits, sets.current);
   if (sets.next && confirm->nextCommits)
      look(*confirm->nextCommits, *sets.next);
}

bool Checker::isCertified(const ChainState& state) const { return certified_ && isAncestor(state, *certified_); }

void Checker::certify(const StatePtr& state) {
   if (!certified_ || isAncestor(*certified_, *state)) {
      certified_ = state;
   } else if (!isAncestor(*state, *certified_)) {
      fail("I1: quorums stand behind both " + show(certified_->spot.id) + " and " + show(state->spot.id));
   }
}

void Checker::letOut(const CommitMessage& message) {
   if (liars_.contains(message.producer))
      return;
   voted(message.producer, message.block_id);
   if (const StatePtr state = chain_.find(message.block_id)) {
      BlockOrder& best = commits_[message.producer][state->spot.header.term];
      best = std::max(best, BlockOrder{state->spot.header.term, state->spot.id});
   }
   count(message);
}

void Checker::count(const CommitMessage& message) {
   auto& signers = signers_[message.block_id];
   if (!signers.emplace(message.producer, format::pack(message.signer)).second)
      return;
   const StatePtr state = chain_.find(message.block_id);
   if (!state || !state->spot.end->sets.current.bft())
      return;
   const auto enough = [&](const ProducerSet& set) {
      const auto votes = std::ranges::count_if(set.producers(), [&](const format::Producer& p) {
         return liars_.contains(p.name) || signers.contains({p.name, format::pack(p.auth)});
      });
      return static_cast<std::size_t>(votes) >= set.strong();
   };
   const ProducerSets& sets = state->spot.end->sets;
   if (enough(sets.current) && (!sets.next || enough(*sets.next)))
      certify(state);
}

void Checker::count(const ConfirmMessage& message) {
   BlockNum& highest = confirms_[{message.term, format::pack(message.signer)}];
   highest = std::max(highest, message.head_num);
   countConfirms(message.term, message.head_num);
}

/// Finds the greatest block of a term, no higher than a height, that enough have confirmed; its author has it too, and
/// may be enough.
void Checker::countConfirms(TermNum term, BlockNum from) {
   for (BlockNum num = from; num > chain_.genesis()->spot.header.blockNum; --num) {
      const auto at = cftBlocks_.find({term, num});
      if (at == cftBlocks_.end())
         return;
      const StatePtr state = chain_.find(at->second);
      if (!state)
         return;
      const ProducerSets& sets = state->spot.end->sets;
      const auto enough = [&](const ProducerSet& set) {
         const auto votes = std::ranges::count_if(set.producers(), [&](const format::Producer& p) {
            const auto confirm = confirms_.find({term, format::pack(p.auth)});
            return p.name == state->spot.header.producer || (confirm != confirms_.end() && confirm->second >= num);
         });
         return static_cast<std::size_t>(votes) >= set.strong();
      };
      if (enough(sets.current) && (!sets.next || enough(*sets.next)))
         return certify(state);
   }
}

void Checker::voted(AccountNumber who, const BlockId& id) {
   const StatePtr state = chain_.find(id);
   if (!state)
      return fail("a vote of " + show(who) + " for " + show(id) + ", which nobody has executed");
   spokeOf(who, state->spot.header.term);
   BlockId& best = votes_.try_emplace({who, state->spot.header.term}, id).first->second;
   const StatePtr before = chain_.find(best);
   if (!onOneChain(*before, *state))
      return fail("I2: " + show(who) + " voted for " + show(best) + " and for " + show(id) + " in term " +
                  std::to_string(state->spot.header.term));
   if (state->spot.header.blockNum > before->spot.header.blockNum)
      best = id;
   // The first block of a new set, on an end whose proof is of a block that is not irreversible at all.
   const ChainState& parent = *state->parent;
   if (parent.spot.after() == parent.spot.end || !parent.spot.end->sets.current.bft())
      return;
   const ChainState* change = &parent;
   while (change->spot.header.blockNum > parent.spot.end->joint.next->blockNum)
      change = change->parent.get();
   if (!isCertified(*change))
      fail("I6: " + show(who) + " voted for " + show(id) + " of a new set, whose beginning is not irreversible");
}

void Checker::sent(AccountNumber who, ByteView frame) {
   switch (*typeOf(frame)) {
   case MessageType::prepare:
      if (const auto vote = decode<PrepareMessage>(frame); vote && vote->message.producer == who)
         voted(who, vote->message.block_id);
      return;
   case MessageType::commit:
      if (const auto vote = decode<CommitMessage>(frame); vote && vote->message.producer == who)
         letOut(vote->message);
      return;
   case MessageType::confirm:
      if (const auto vote = decode<ConfirmMessage>(frame); vote && vote->message.follower_id == who) {
         if (const auto at = cftBlocks_.find({vote->message.term, vote->message.head_num}); at != cftBlocks_.end())
            voted(who, at->second);
         count(vote->message);
      }
      return;
   case MessageType::vote:
      if (const auto vote = decode<VoteMessage>(frame); vote && vote->message.vote_granted) {
         spokeOf(who, vote->message.term);
         const AccountNumber candidate = vote->message.candidate_id;
         if (ballots_.try_emplace({who, vote->message.term}, candidate).first->second != candidate)
            fail("I2: " + show(who) + " voted twice in term " + std::to_string(vote->message.term));
      }
      return;
   case MessageType::requestVote:
      if (const auto request = decode<RequestVoteMessage>(frame); request && request->message.candidate_id == who) {
         spokeOf(who, request->message.term);
         if (ballots_.try_emplace({who, request->message.term}, who).first->second != who)
            fail("I2: " + show(who) + " stands in term " + std::to_string(request->message.term) +
                 ", where it has voted for another");
      }
      return;
   case MessageType::viewChange: {
      const auto change = decode<ViewChangeMessage>(frame);
      if (!change || change->message.producer != who)
         return; // another's, passed on
      const ViewChangeMessage& message = change->message;
      spokeOf(who, message.term);
      const BlockOrder named{message.best_prepared_term, message.best_prepared};
      for (const auto& [earlier, best] : commits_[who])
         if (earlier < message.term && named < best)
            fail("I4: " + show(who) + " names " + show(named.id) + " in term " + std::to_string(message.term) +
                 " and has sent a Commit for " + show(best.id));
      const StatePtr state = chain_.find(message.best_prepared);
      if (!state || named.none())
         return;
      ForkBlock block;
      block.id = named.id;
      block.num = state->spot.header.blockNum;
      block.end = state->spot.end;
      TestSignatures signatures;
      if (!ascending(message.prepares) || (message.nextPrepares && !ascending(*message.nextPrepares)) ||
          !checkedPrepares(block, message.prepares, message.nextPrepares, signatures, Guards{}))
         fail("I5: the certificate of " + show(who) + " for " + show(named.id) + " proves nothing");
      return;
   }
   default:
      return;
   }
}

void Checker::committed(std::size_t node, const CommitBlock& commit) {
   const StatePtr state = chain_.find(commit.id);
   if (!state)
      return fail("a block is irreversible that nobody has executed");
   BlockNum& highest = committed_[node];
   if (commit.num <= highest)
      fail("I3: node " + std::to_string(node) + " goes back from " + std::to_string(highest) + " to " +
           std::to_string(commit.num));
   for (const ChainState* at = state.get(); at->parent && at->spot.header.blockNum > highest; at = at->parent.get()) {
      const auto known = canonical_.try_emplace(at->spot.header.blockNum, at->spot.id);
      if (known.first->second != at->spot.id)
         return fail("I1: node " + std::to_string(node) + " has " + show(at->spot.id) + " where another has " +
                     show(known.first->second));
      if (!known.second)
         break;
   }
   highest = std::max(highest, commit.num);
   const ProducerSets& sets = state->spot.end->sets;
   if (!sets.single() && !isCertified(*state))
      fail("I6: node " + std::to_string(node) + " takes " + show(commit.id) +
           " for irreversible without a quorum of every set");
   if (!commit.proof.empty()) {
      const auto confirm = format::unpack<format::BlockConfirm>(commit.proof);
      ForkBlock block;
      block.id = commit.id;
      block.num = commit.num;
      block.end = state->spot.end;
      TestSignatures signatures;
      if (!confirm || !ascending(confirm->commits) || (confirm->nextCommits && !ascending(*confirm->nextCommits)) ||
          !checkedCommits(block, *confirm, signatures, Guards{}))
         fail("I5: the proof of " + show(commit.id) + " proves nothing");
   }
}

void Checker::stateIs(std::size_t node, const BlockId& id, const Bytes& state) {
   if (computed_.try_emplace(id, state).first->second != state)
      fail("I7: node " + std::to_string(node) + " has another state after " + show(id));
}

void Checker::booted(std::size_t node, AccountNumber who, const Replica& replica, ByteView proof) {
   // It was down before its last Commit could leave, and not before that was durable: it acts on it from now on.
   if (const StatePtr root = chain_.find(replica.irreversible()); root && !proof.empty())
      proven(*root, proof);
   // And under CFT before its Confirm could.
   else if (root && root->parent && !root->spot.end->sets.current.bft())
      for (const ProducerSet* set :
           {&root->spot.end->sets.current, root->spot.end->sets.next ? &*root->spot.end->sets.next : nullptr})
         if (const format::Producer* member = set ? set->find(who) : nullptr)
            count(ConfirmMessage{root->spot.header.term, who, root->spot.header.blockNum, member->auth});
   if (const auto at = terms_.find(who); at != terms_.end() && replica.term() < at->second)
      fail("I3: " + show(who) + " is back in term " + std::to_string(replica.term()) + " after " +
           std::to_string(at->second));
   if (const auto at = committed_.find(node); at != committed_.end() && replica.irreversibleNum() < at->second)
      fail("I3: node " + std::to_string(node) + " forgot what was irreversible");
}

} // namespace polis::sim
