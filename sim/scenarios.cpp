#include "sim/scenarios.hpp"

#include "consensus/certificate.hpp"
#include "consensus/test_replica.hpp"
#include "sim/world.hpp"

#include <algorithm>

namespace polis::sim {
namespace {

using Failure = std::optional<std::string>;
using Content = TestReplica::Content;
using Who = std::vector<std::size_t>;

/// Four BFT producers, one of them real.
struct Four : TestReplica {
   explicit Four(std::size_t me, Guards guards) : TestReplica(7) {
      be(me);
      options.guards = guards;
      begin(testConsensus(Algorithm::bft, some(0, 4)));
      views(0);
   }
   void views(TermNum term) {
      for (std::size_t i = 0; i < 4; ++i)
         if (people[i].name != options.producer)
            receive(viewChange(term, i));
   }
   Spot grow(const Spot& parent, Content content = {}) {
      content.author = content.term % 4;
      const BlockPtr block = build(parent, content);
      receive(block);
      return Spot::of(block, parent);
   }
   bool prepared(const Spot& block) {
      return std::ranges::any_of(sent<PrepareMessage>(), [&](const auto& m) { return m.block_id == block.id; });
   }
   bool hasCommitted(const Spot& block) {
      return std::ranges::any_of(sent<CommitMessage>(), [&](const auto& m) { return m.block_id == block.id; });
   }
};

Failure failIf(bool wrong, const char* what) { return wrong ? Failure(what) : std::nullopt; }

Failure d1(bool guarded) {
   Four node(1, {.distinctSigners = guarded});
   const Spot block = node.grow(node.genesis);
   node.grow(block, {.commitNum = 10, .aux = node.proof(block, {0, 0, 0})});
   return failIf(node.replica->irreversible() == block.id, "a leader made its own block irreversible");
}

Failure d2(bool guarded) {
   Four node(3, {.viewChangeOfThisTerm = guarded});
   const Spot block = node.grow(node.genesis);
   node.views(4);
   node.receive(node.viewChange(5, 1));
   const Spot ahead = node.grow(block, {.term = 5});
   node.prepare(ahead.id, 2);
   node.prepare(ahead.id, 0);
   return failIf(node.prepared(ahead), "view changes of an earlier term made this one ready");
}

Failure d3(bool guarded) {
   const Guards guards{.persistBeforeSend = guarded};
   Four node(1, guards);
   const auto record = node.records.back();
   node.diskWorks = false;
   const Spot first = node.grow(node.genesis);
   const bool said = node.prepared(first);
   // The power goes; what the disk has is the record from before.
   TestReplica again(7);
   again.be(1);
   again.begin(testConsensus(Algorithm::bft, again.some(0, 4)), record);
   for (const std::size_t i : Who{0, 2, 3})
      again.receive(again.viewChange(0, i));
   const BlockPtr other = again.build(again.genesis, {.mark = 1});
   again.receive(other);
   const bool saidOther = !again.sent<PrepareMessage>().empty();
   return failIf(said && saidOther, "two blocks of one term were voted for");
}

Failure d4(bool guarded) {
   Four node(1, {.prudentAboutEmpty = guarded});
   const Spot block = node.grow(node.genesis, {.empty = true});
   return failIf(node.prepared(block), "a vote for a block after which no transaction can run");
}

Failure d5(bool guarded) {
   Four node(1, {.prudentAboutTime = guarded});
   const Spot block = node.grow(node.genesis, {.afterUs = 3'600'000'000});
   return failIf(node.prepared(block), "a vote for a block an hour ahead");
}

Failure d6(bool guarded) {
   Four node(1, {.boundedExecution = guarded});
   const BlockPtr block = node.build(node.genesis, {});
   (void)node.replica->step(BlockReceived{1, block}, node.now);
   node.now.monotonic += 10 * node.options.executionMaxUs;
   const Effects effects = node.replica->step(Tick{}, node.now);
   const bool stopped =
       std::ranges::any_of(effects, [](const Effect& e) { return std::holds_alternative<CancelExecution>(e); });
   return failIf(!stopped, "an endless block is executed for ever");
}

Failure d8(bool guarded) {
   Four node(1, {.timersShrink = guarded});
   for (TermNum term = 1; term < 12; ++term) {
      for (node.views(term); node.replica->term() == term; node.views(term))
         node.wait(250'000);
      node.views(++term);
   }
   const TermNum term = node.replica->term();
   node.views(term);
   Spot at = node.genesis;
   for (unsigned i = 0; i < 12; ++i) {
      at = node.grow(at, {.term = term});
      for (const std::size_t who : Who{0, 2, 3}) {
         node.prepare(at.id, who);
         node.commit(at.id, who);
      }
   }
   const std::int64_t before = node.now.monotonic;
   for (; node.replica->term() == term; node.views(term))
      node.wait(250'000);
   return failIf(node.now.monotonic - before > 2 * node.options.viewTimeoutUs,
                 "long after the trouble a dead leader is waited for as if in it");
}

Failure d9(bool guarded) {
   Four node(1, {.oldLockIsSettled = guarded});
   const Spot first = node.grow(node.genesis);
   // The others go on without it: what they find prudent it does not, until their proof comes.
   const BlockPtr second = node.build(first, {.afterUs = 100'000, .empty = true});
   const Spot two = Spot::of(second, first);
   const BlockPtr third = node.build(two, {.commitNum = 12, .afterUs = 100'000, .aux = node.proof(two, {0, 2, 3})});
   const Spot three = Spot::of(third, two);
   node.receive(second);
   node.receive(third);
   const Spot four = node.grow(three, {.afterUs = 100'000});
   node.records.clear();
   return failIf(node.replica->irreversible() != two.id || !node.prepared(four),
                 "mute for the rest of the term, by a lock below what is irreversible");
}

Failure d10(bool guarded) {
   TestReplica node(7);
   node.be(1);
   node.options.guards.votesAreReconsidered = guarded;
   node.begin(testConsensus(Algorithm::bft, node.some(0, 4)));
   const BlockPtr block = node.build(node.genesis, {});
   const BlockId id = format::blockId(block->block.header);
   node.receive(block);
   for (const std::size_t who : Who{0, 2, 3})
      node.prepare(id, who);
   // Only now the term is ready.
   for (const std::size_t who : Who{0, 2, 3})
      node.receive(node.viewChange(0, who));
   return failIf(node.sent<CommitMessage>().empty(), "a Commit is never sent, for its quorum came too early");
}

Failure d11(bool guarded) {
   Four node(3, {.viewsSurviveSetChange = guarded});
   const Spot start = node.grow(node.genesis, {.newConsensus = testConsensus(Algorithm::bft, node.some(0, 4))});
   return failIf(!node.prepared(start), "views were dropped with the old set, and the term is not ready any more");
}

Failure d12(bool guarded) {
   Four node(1, {.viewNamesProvable = guarded});
   const Spot first = node.grow(node.genesis);
   node.grow(first, {.commitNum = 10, .aux = node.proof(first, {0, 2, 3})});
   node.effects.clear();
   node.views(1);
   bool bare = false;
   for (const auto& change : node.sent<ViewChangeMessage>())
      bare |= change.producer == node.people[1].name && change.term == 1 && change.best_prepared != BlockId{} &&
              change.prepares.size() < 3;
   return failIf(bare, "a view change names a block without proof");
}

Failure d13(bool guarded) {
   Four node(2, {.boundedForks = guarded});
   node.views(1);
   for (unsigned i = 0; i < 100; ++i)
      node.receive(node.build(node.genesis, {.author = 1, .term = 1, .mark = i + 1}));
   return failIf(node.replica->counters().blocksInMemory > 10, "equivocations fill the memory");
}

Failure d14(bool guarded) {
   Four node(1, {.membersBeforeSignatures = guarded});
   const Spot block = node.grow(node.genesis);
   const auto before = node.signatures.checks;
   for (unsigned i = 0; i < 20; ++i)
      node.prepare(block.id, 6);
   return failIf(node.signatures.checks != before, "strangers have signatures checked");
}

Failure d7(bool guarded) {
   Four node(1, {.canonicalMessages = guarded});
   const Spot block = node.grow(node.genesis);
   // Signed over other bytes than a certificate would be rebuilt from: an extension behind the known members.
   const PrepareMessage message{block.id, node.people[0].name, node.people[0].auth};
   Bytes packed = format::pack(message);
   const auto fixed = static_cast<std::uint16_t>(packed[0] | packed[1] << 8);
   packed[0] = static_cast<std::uint8_t>(fixed + 4);
   packed[2 + 32 + 8] = static_cast<std::uint8_t>(packed[2 + 32 + 8] + 4);
   packed.insert(packed.begin() + 2 + fixed, 4, std::uint8_t{0});
   const Bytes signature =
       TestSignatures::signatureOf(message.signer, detail::signedDigest(MessageType::prepare, packed));
   node.step(MessageReceived{1, Signed<PrepareMessage>{message, std::move(packed), signature}});
   node.prepare(block.id, 2);
   node.effects.clear();
   for (const std::size_t i : Who{2, 3})
      node.receive(node.viewChange(1, i));
   for (const auto& change : node.sent<ViewChangeMessage>())
      for (const ProducerConfirm& entry : change.prepares)
         if (change.best_prepared == block.id && entry.producer == node.people[0].name &&
             entry != node.confirmOf<PrepareMessage>(block.id, 0))
            return "a certificate of this node proves nothing to others";
   return std::nullopt;
}

Failure d15(bool guarded) {
   TestReplica node(7);
   const ChainConsensus consensus(format::JointConsensus{testConsensus(Algorithm::bft, node.some(0, 4)), std::nullopt});
   const WasmProducerMessage stranger{{1}, node.people[5].name, {}};
   return failIf(checkedRelay(encode(stranger, {}), consensus, node.signatures, guarded).has_value(),
                 "a stranger hands in transactions in a producer's name");
}

Failure d25(bool guarded) {
   Plan plan;
   plan.seed = 25;
   plan.intervalUs = 100'000;
   plan.healUs = 5'000'000;
   plan.endUs = 20'000'000;
   plan.loss = plan.twice = 0;
   plan.uniqueStartBlock = guarded;
   const Outcome outcome = simulate(plan);
   if (outcome.violation)
      return outcome.violation;
   return failIf(outcome.blocks < 30, "no more than a block a second, for startBlock repeats");
}

} // namespace

const std::vector<Scenario>& scenarios() {
   static const std::vector<Scenario> all{
       {"D1", "one producer's signature, repeated, is no quorum", d1},
       {"D2", "a view change counts for its own term only", d2},
       {"D3", "a vote that left is remembered after a crash", d3},
       {"D4", "no vote for a block without startBlock", d4},
       {"D5", "no vote for a block from the future", d5},
       {"D6", "an endless block is given up", d6},
       {"D7", "votes in odd bytes poison no certificate", d7},
       {"D8", "timers shrink when things go well again", d8},
       {"D9", "a lock below the irreversible block binds nobody", d9},
       {"D10", "votes are considered again when the term becomes ready", d10},
       {"D11", "views outlive a change of the set", d11},
       {"D12", "a view change names what it can prove", d12},
       {"D13", "equivocations are not kept without end", d13},
       {"D14", "strangers cost no signature check", d14},
       {"D15", "only producers relay transactions", d15},
       {"D25", "several blocks a second each have a startBlock of their own", d25},
   };
   return all;
}

} // namespace polis::sim
