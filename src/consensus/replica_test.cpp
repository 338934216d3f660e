// What a replica does with events, rule by rule. The numbers are those of spec, consensus.
#include "consensus/test_replica.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <limits>

namespace polis::consensus {

namespace {

constexpr std::int64_t second = 1'000'000;
using Content = TestReplica::Content;
using Who = std::vector<std::size_t>;

/// Four BFT producers; this node is people[me].
struct BftTest : testing::Test {
   TestReplica node{7};

   void begin(std::size_t me = 0) {
      node.be(me);
      node.begin(testConsensus(Algorithm::bft, node.some(0, 4)));
      views(0);
   }
   /// Everybody enters a term, and knows nothing to be prepared.
   void views(TermNum term) {
      for (std::size_t i = 0; i < 4; ++i)
         if (node.people[i].name != node.options.producer)
            node.receive(node.viewChange(term, i));
   }
   Spot grow(const Spot& parent, Content content = {}) {
      content.author = content.term % 4;
      return node.grow(parent, content);
   }
   bool voted(const BlockId& id) {
      for (const auto& message : node.sent<PrepareMessage>())
         if (message.block_id == id)
            return true;
      return false;
   }
   bool committed(const BlockId& id) {
      for (const auto& message : node.sent<CommitMessage>())
         if (message.block_id == id)
            return true;
      return false;
   }
};

} // namespace

// ---- votes ----------------------------------------------------------------------------------------------------------

TEST_F(BftTest, preparesThenCommitsThenIsIrreversible) {
   begin(1);
   const Spot block = grow(node.genesis);
   EXPECT_TRUE(voted(block.id));
   EXPECT_FALSE(committed(block.id));
   node.prepare(block.id, 0);
   EXPECT_FALSE(committed(block.id));
   node.prepare(block.id, 2);
   EXPECT_TRUE(committed(block.id));
   node.commit(block.id, 0);
   node.commit(block.id, 0); // once is once
   EXPECT_EQ(node.replica->irreversible(), node.genesis.id);
   node.commit(block.id, 2);
   EXPECT_EQ(node.replica->irreversible(), block.id);
   const auto commits = node.taken<CommitBlock>();
   ASSERT_EQ(commits.size(), 1u);
   const auto proof = format::unpack<format::BlockConfirm>(commits[0].proof);
   ASSERT_TRUE(proof);
   EXPECT_EQ(proof->commits.size(), 3u);
}

TEST_F(BftTest, nothingLeavesBeforeItIsDurable) { // D3
   begin(1);
   node.diskWorks = false;
   const Spot block = grow(node.genesis);
   node.prepare(block.id, 0);
   node.prepare(block.id, 2);
   node.commit(block.id, 0);
   node.commit(block.id, 2);
   EXPECT_FALSE(voted(block.id));
   EXPECT_FALSE(committed(block.id));
   EXPECT_TRUE(node.taken<CommitBlock>().empty());
   EXPECT_EQ(node.replica->votesFor(block.id).size(), 4u); // those of others
   node.sync();
   EXPECT_TRUE(voted(block.id));
   EXPECT_TRUE(committed(block.id));
   EXPECT_EQ(node.taken<CommitBlock>().size(), 1u);
   EXPECT_EQ(node.records.back().committed.id, block.id);
}

TEST_F(BftTest, votesForOneChainInATerm) { // B4, I2
   begin(1);
   const Spot block = grow(node.genesis);
   const Spot other = grow(node.genesis, {.mark = 1});
   const Spot longer = grow(other, {.mark = 2});
   EXPECT_TRUE(voted(block.id));
   EXPECT_FALSE(voted(other.id) || voted(longer.id));
   // ... and stays on it, until a quorum has chosen the other one.
   EXPECT_EQ(node.replica->head(), block.id);
   for (const std::size_t who : Who{0, 2, 3})
      node.prepare(longer.id, who);
   EXPECT_EQ(node.replica->head(), longer.id);
   EXPECT_FALSE(committed(longer.id));
}

TEST_F(BftTest, aLockOnOneForkBindsInItsTermOnly) { // B4
   begin(3);
   const Spot lost = grow(node.genesis);
   const Spot won = grow(node.genesis, {.mark = 1});
   ASSERT_TRUE(voted(lost.id));
   for (const std::size_t who : Who{0, 1, 2}) {
      node.prepare(won.id, who);
      node.commit(won.id, who);
   }
   ASSERT_EQ(node.replica->irreversible(), won.id);
   const Spot between = grow(won, {.mark = 2});
   EXPECT_FALSE(voted(between.id));
   // What the first term left behind without a quorum keeps nobody from what the next one builds on it.
   views(1);
   const Spot later = grow(between, {.term = 1});
   EXPECT_EQ(node.replica->head(), later.id);
   EXPECT_TRUE(voted(later.id));
   EXPECT_FALSE(voted(between.id));
}

TEST_F(BftTest, whoIsNoMemberIsBoundToNoFork) { // B4
   begin(5);
   grow(node.genesis);
   const Spot won = grow(node.genesis, {.mark = 1});
   EXPECT_TRUE(node.records.empty() || node.records.back().bestConfirm.none());
   for (const std::size_t who : Who{0, 1, 2})
      node.commit(won.id, who);
   ASSERT_EQ(node.replica->irreversible(), won.id);
   const Spot next = grow(won);
   EXPECT_EQ(node.replica->head(), next.id);
   EXPECT_TRUE(node.sent<PrepareMessage>().empty());
}

TEST_F(BftTest, aRestartForgetsNoVote) { // D3
   begin(1);
   const Spot block = grow(node.genesis);
   node.prepare(block.id, 0);
   node.prepare(block.id, 2);
   ASSERT_TRUE(committed(block.id));
   const SafetyRecord record = node.records.back();

   TestReplica again(7);
   again.be(1);
   again.begin(testConsensus(Algorithm::bft, again.some(0, 4)), record, {node.replica->block(block.id)});
   for (const std::size_t i : Who{0, 2, 3})
      again.receive(again.viewChange(0, i));
   again.receive(node.build(node.genesis, {.mark = 1}));
   for (const auto& message : again.sent<PrepareMessage>())
      EXPECT_EQ(message.block_id, block.id);
   // I4: in the next term it names the block that it helped to commit.
   again.effects.clear();
   for (const std::size_t i : Who{2, 3})
      again.receive(again.viewChange(1, i));
   const auto changes = again.sent<ViewChangeMessage>();
   bool named = false;
   for (const auto& change : changes)
      named |= change.producer == again.people[1].name && change.term == 1 && change.best_prepared == block.id &&
               change.prepares.size() >= 3;
   EXPECT_TRUE(named);
}

TEST_F(BftTest, aLeaderThatIsBackKeepsToTheBeginningOfItsTerm) { // B4, B11, I2
   begin(1);
   views(1); // nobody knows of anything: the term begins at genesis
   ASSERT_EQ(node.replica->term(), 1u);
   // Late, the leader learns what was prepared before.
   const Spot prepared = grow(node.genesis, {.mark = 1});
   for (const std::size_t who : Who{0, 2, 3})
      node.prepare(prepared.id, who);
   const SafetyRecord before = node.records.back();
   ASSERT_EQ(before.bestPrepared.block.id, prepared.id);
   const BlockPtr own = node.build(node.genesis, {.author = 1, .term = 1});
   node.step(BlockSealed{own});
   const Spot spot = Spot::of(own, node.genesis);
   ASSERT_TRUE(voted(spot.id));
   const SafetyRecord after = node.records.back();

   const BlockPtr other = node.replica->block(prepared.id);
   const auto begins = [&](const SafetyRecord& record, std::vector<BlockPtr> journal) {
      node.effects.clear();
      node.begin(testConsensus(Algorithm::bft, node.some(0, 4)), record, std::move(journal));
      // The others have yet to say again that they agreed.
      for (const ViewChangeMessage& change : node.sent<ViewChangeMessage>())
         EXPECT_EQ(change.best_prepared, BlockId{});
      EXPECT_TRUE(node.taken<Produce>().empty());
      views(1);
   };
   // The block may have left before its record was durable.
   for (const SafetyRecord& record : {after, before}) {
      begins(record, {other, own});
      EXPECT_EQ(node.replica->head(), spot.id);
      ASSERT_FALSE(node.taken<Produce>().empty());
      EXPECT_EQ(node.taken<Produce>().back().parent, spot.id);
   }
   // And whoever has lost the block makes no other in its place.
   begins(after, {other});
   EXPECT_TRUE(node.taken<Produce>().empty());
}

TEST_F(BftTest, aBlockThatIsFinishedTooLateIsNoVote) { // B4
   begin(1);
   views(1);
   ASSERT_FALSE(node.taken<Produce>().empty());
   const BlockPtr late = node.build(node.genesis, {.author = 1, .term = 1});
   const Spot other = grow(node.genesis, {.term = 1, .mark = 1});
   ASSERT_TRUE(voted(other.id));
   node.step(BlockSealed{late});
   const Spot spot = Spot::of(late, node.genesis);
   EXPECT_FALSE(voted(spot.id));
   EXPECT_EQ(node.replica->head(), other.id);
   // Nor is it after a restart.
   const SafetyRecord record = node.records.back();
   EXPECT_EQ(record.bestConfirm.id, other.id);
   const BlockPtr there = node.replica->block(other.id);
   node.records.clear();
   node.begin(testConsensus(Algorithm::bft, node.some(0, 4)), record, {late, there});
   views(1);
   EXPECT_EQ(node.replica->head(), other.id);
   for (const SafetyRecord& each : node.records)
      EXPECT_EQ(each.bestConfirm.id, other.id);
}

TEST_F(BftTest, aClockThatStepsBackDoubtsNoBlockThatWasVotedFor) { // D5
   begin(1);
   const Spot block = grow(node.genesis);
   ASSERT_TRUE(voted(block.id));
   node.now.real -= 60 * second;
   node.wait(second / 10);
   EXPECT_EQ(node.replica->head(), block.id);
}

TEST_F(BftTest, whoLostItsMemoryDoesNotVote) {
   node.be(1);
   node.options.producer = node.people[1].name;
   Restored restored{{}, {}, {testConsensus(Algorithm::bft, node.some(0, 4)), std::nullopt}, {}, std::nullopt, false};
   restored.rootHeader.blockNum = 10;
   restored.root = format::blockId(restored.rootHeader);
   node.genesis = {restored.root, restored.rootHeader, std::make_shared<ChainConsensus>(restored.rootConsensus)};
   node.replica.emplace(node.options, node.signatures, restored);
   node.take(node.replica->start(node.now));
   for (const std::size_t i : Who{0, 2, 3})
      node.receive(node.viewChange(0, i));
   const Spot block = grow(node.genesis);
   node.wait(30 * second);
   EXPECT_EQ(node.replica->head(), block.id);
   EXPECT_TRUE(node.sent<PrepareMessage>().empty());
   EXPECT_TRUE(node.sent<ViewChangeMessage>().empty() ||
               node.sent<ViewChangeMessage>()[0].producer != node.people[1].name);
}

TEST_F(BftTest, whoMayHaveVotedBeforeWaitsForALaterTerm) {
   node.forgotten = ForgottenVotes{node.now.real - 60 * second, {}};
   begin(1);
   const auto byTheOthers = [&](const Spot& block) {
      for (const std::size_t who : Who{0, 2, 3})
         node.prepare(block.id, who);
      for (const std::size_t who : Who{0, 2, 3})
         node.commit(block.id, who);
      EXPECT_EQ(node.replica->irreversible(), block.id);
      EXPECT_FALSE(voted(block.id) || committed(block.id));
   };
   // Two blocks of one term: the old votes may be of that term.
   const Spot first = grow(node.genesis), second = grow(first);
   byTheOthers(first);
   byTheOthers(second);
   EXPECT_TRUE(node.replica->keepsFromVoting());
   EXPECT_EQ(node.records.back().forgotten->term, 0u);
   // One that is irreversible in a later term: these have passed.
   for (const std::size_t who : Who{0, 2, 3})
      node.receive(node.viewChange(2, who, &second, {0, 2, 3}));
   for (const auto& passedOn : node.sent<ViewChangeMessage>())
      EXPECT_NE(passedOn.producer, node.options.producer);
   const Spot third = grow(second, {.term = 2});
   byTheOthers(third);
   EXPECT_FALSE(node.replica->keepsFromVoting());
   EXPECT_FALSE(node.records.back().forgotten);
   const Spot fourth = grow(third, {.term = 2});
   EXPECT_TRUE(voted(fourth.id));
}

TEST_F(BftTest, whoBecomesAProducerLaterHasForgottenNothing) {
   node.forgotten = ForgottenVotes{node.now.real - 60 * second, {}};
   node.be(5); // not one of the four
   node.begin(testConsensus(Algorithm::bft, node.some(0, 4)));
   for (std::size_t i = 0; i < 4; ++i)
      node.receive(node.viewChange(0, i));
   EXPECT_TRUE(node.replica->keepsFromVoting());
   const Spot block = grow(node.genesis);
   for (const std::size_t who : Who{0, 1, 2})
      node.commit(block.id, who);
   EXPECT_EQ(node.replica->irreversible(), block.id);
   EXPECT_FALSE(node.replica->keepsFromVoting());
}

TEST_F(BftTest, aBlockOlderThanTheNodeSettlesNothing) {
   node.forgotten = ForgottenVotes{node.now.real + 60 * second, {}};
   begin(1);
   const Spot block = grow(node.genesis);
   for (const std::size_t who : Who{0, 2, 3})
      node.commit(block.id, who);
   EXPECT_TRUE(node.replica->keepsFromVoting());
   EXPECT_FALSE(node.records.back().forgotten->term);
}

TEST_F(BftTest, votesAreRepeatedWhileNothingMoves) {
   begin(2);
   // Blocks of an older term that nobody may vote for any more, then one of this term: its votes count.
   Spot at = node.genesis;
   for (int i = 0; i < 12; ++i)
      at = grow(at, {.afterUs = 1000});
   views(1);
   const Spot block = grow(at, {.term = 1, .afterUs = 1000});
   ASSERT_TRUE(voted(block.id));
   node.effects.clear();
   node.wait(node.options.resendUs);
   EXPECT_TRUE(voted(block.id));
   for (const std::size_t who : Who{0, 1})
      node.prepare(block.id, who);
   node.effects.clear();
   node.wait(node.options.resendUs);
   EXPECT_TRUE(committed(block.id));
   // Somebody may lack only this node's Commit for what is irreversible here.
   for (const std::size_t who : Who{0, 1})
      node.commit(block.id, who);
   ASSERT_EQ(node.replica->irreversible(), block.id);
   node.wait(node.options.resendUs);
   node.effects.clear();
   node.wait(node.options.resendUs);
   EXPECT_TRUE(committed(block.id));
}

TEST_F(BftTest, votesThatComeBeforeTheirBlockAreKept) {
   begin(1);
   const BlockPtr block = node.build(node.genesis, {});
   const BlockId id = format::blockId(block->block.header);
   for (const std::size_t who : Who{0, 2, 3}) {
      node.prepare(id, who);
      node.commit(id, who);
   }
   node.receive(block);
   EXPECT_EQ(node.replica->irreversible(), id);
}

TEST_F(BftTest, aVoteInOtherBytesIsNoVote) { // D7
   begin(1);
   const Spot block = grow(node.genesis);
   const auto before = node.replica->counters();
   const PrepareMessage vote{block.id, node.people[0].name, node.people[0].auth};
   auto message = std::get<Signed<PrepareMessage>>(*decodeMessage(testFrame(vote)));
   message.packed.push_back(0);
   node.step(MessageReceived{1, message});
   EXPECT_EQ(node.replica->counters().ignoredMessages, before.ignoredMessages + 1);
   EXPECT_EQ(node.replica->counters().signatureChecks, before.signatureChecks);
   Bytes frame = testFrame(vote);
   frame.push_back(0);
   EXPECT_FALSE(decodeMessage(frame));
}

TEST_F(BftTest, whoRunsThroughTheTermsIsHeardAtAPace) {
   begin(1);
   const auto before = node.signatures.checks;
   const auto taken = [&](TermNum from) {
      node.effects.clear();
      for (TermNum term = from; term < from + 1000; ++term)
         node.receive(node.viewChange(term, 3));
      return node.taken<Flood>().size();
   };
   EXPECT_LT(taken(10), 20u);
   EXPECT_LT(node.signatures.checks - before, 20u);
   // What somebody else forges in its name does not count.
   node.wait(10 * second);
   for (TermNum term = 5000; term < 5100; ++term)
      node.step(MessageReceived{1, *decodeMessage(encode(node.viewChange(term, 3), Bytes(8)))});
   const auto again = taken(10'000);
   EXPECT_GT(again, 10u);
   EXPECT_LT(again, 20u);
}

TEST_F(BftTest, whoFillsTheRoomForEarlyVotesLosesItsOwn) {
   begin(1);
   const BlockPtr block = node.build(node.genesis, {});
   const BlockId id = format::blockId(block->block.header);
   for (const std::size_t who : Who{0, 2, 3}) {
      node.prepare(id, who);
      node.commit(id, who);
   }
   // More than there is room for, of blocks that will never be.
   for (std::uint32_t i = 0; i < 2000; ++i) {
      BlockId nowhere = id;
      std::memcpy(nowhere.data() + 8, &i, sizeof i);
      const PrepareMessage vote{nowhere, node.people[0].name, node.people[0].auth};
      node.step(MessageReceived{2 + i % 3, *decodeMessage(encode(vote, Bytes(64)))});
   }
   node.receive(block);
   EXPECT_EQ(node.replica->irreversible(), id);
}

TEST_F(BftTest, whoBringsAForgedMessageIsNamed) {
   begin(1);
   const BlockPtr block = node.build(node.genesis, {});
   const BlockId id = format::blockId(block->block.header);
   const auto forged = [&](PeerId from, const auto& message) {
      node.step(MessageReceived{from, *decodeMessage(encode(message, Bytes(8)))});
   };
   const auto named = [&] {
      std::vector<PeerId> out;
      for (const Forged& effect : node.taken<Forged>())
         out.push_back(effect.from);
      node.effects.clear();
      return out;
   };
   using Peers = std::vector<PeerId>;
   // Of a block that is not here yet: when that comes, from whomever.
   forged(7, PrepareMessage{id, node.people[0].name, node.people[0].auth});
   EXPECT_EQ(named(), Peers());
   node.receive(block);
   EXPECT_EQ(named(), Peers{7});
   forged(8, CommitMessage{id, node.people[2].name, node.people[2].auth});
   forged(9, node.viewChange(3, 2));
   EXPECT_EQ(named(), (Peers{8, 9}));
   // Where it is known what somebody has said, and of strangers, nothing is checked.
   node.prepare(id, 2);
   forged(8, PrepareMessage{id, node.people[2].name, node.people[2].auth});
   forged(8, PrepareMessage{id, node.people[6].name, node.people[6].auth});
   EXPECT_EQ(named(), Peers());
}

TEST_F(BftTest, strangersCostNoSignatureCheck) { // D14
   begin(1);
   const Spot block = grow(node.genesis);
   const auto before = node.signatures.checks;
   node.prepare(block.id, 6);
   node.receive(node.viewChange(3, 6));
   node.receive(PrepareMessage{block.id, node.people[0].name, node.people[6].auth});
   EXPECT_EQ(node.signatures.checks, before);
   node.prepare(block.id, 0);
   node.prepare(block.id, 0);
   EXPECT_EQ(node.signatures.checks, before + 1);
}

TEST_F(BftTest, aPrudentNodeAbstainsAndFollowsAQuorum) { // D4, D5
   begin(1);
   const Spot empty = grow(node.genesis, {.empty = true});
   EXPECT_EQ(node.replica->head(), node.genesis.id);
   EXPECT_FALSE(voted(empty.id));
   const Spot future = grow(node.genesis, {.afterUs = 60 * second});
   EXPECT_FALSE(voted(future.id));
   // It waits for the time of the block, and then for nothing more.
   const auto wake = node.replica->wakeAt();
   ASSERT_TRUE(wake);
   node.wait(56 * second);
   EXPECT_EQ(node.replica->head(), future.id);
   for (const std::size_t who : Who{0, 2, 3})
      node.prepare(empty.id, who);
   EXPECT_EQ(node.replica->head(), empty.id);
   EXPECT_EQ(node.disconnects(), 0u);
}

TEST_F(BftTest, anEndlessBlockIsCancelledAndAbstainedFrom) { // D6
   begin(1);
   const BlockPtr block = node.build(node.genesis, {});
   const BlockId id = format::blockId(block->block.header);
   // Held back: the harness does not answer for this one.
   Effects first = node.replica->step(BlockReceived{1, block}, node.now);
   node.now.monotonic += node.options.executionMaxUs;
   Effects then = node.replica->step(Tick{}, node.now);
   EXPECT_TRUE(std::ranges::any_of(then, [](const Effect& e) { return std::holds_alternative<CancelExecution>(e); }));
   node.step(BlockExecuted{id, Verdict::cancelled});
   EXPECT_TRUE(node.executed.empty());
   for (const std::size_t who : Who{0, 2, 3})
      node.prepare(id, who);
   EXPECT_EQ(node.executed, std::vector{id});
   EXPECT_EQ(node.replica->head(), id);
}

TEST_F(BftTest, whatWasGivenUpIsTriedAgainForTwiceAsLong) { // D6
   begin(1);
   const BlockPtr block = node.build(node.genesis, {});
   const BlockId id = format::blockId(block->block.header);
   const auto after = [&](std::int64_t us, auto effect) {
      node.now.monotonic += us;
      const Effects effects = node.replica->step(Tick{}, node.now);
      return std::ranges::any_of(effects, [](const Effect& e) { return std::holds_alternative<decltype(effect)>(e); });
   };
   const std::int64_t patience = node.options.executionMaxUs;
   (void)node.replica->step(BlockReceived{1, block}, node.now);
   ASSERT_TRUE(after(patience, CancelExecution{}));
   (void)node.replica->step(BlockExecuted{id, Verdict::cancelled}, node.now);
   EXPECT_FALSE(after(10 * patience - 1, Execute{}));
   EXPECT_TRUE(after(1, Execute{}));
   EXPECT_FALSE(after(2 * patience - 1, CancelExecution{}));
   node.step(BlockExecuted{id, Verdict::valid});
   EXPECT_EQ(node.replica->head(), id);
   EXPECT_TRUE(voted(id));
}

TEST_F(BftTest, whatWasCancelledForABetterForkIsTakenUpAgain) {
   begin(2);
   const BlockPtr block = node.build(node.genesis, {});
   const BlockId id = format::blockId(block->block.header);
   (void)node.replica->step(BlockReceived{1, block}, node.now); // executing
   views(1);
   const BlockPtr better = node.build(node.genesis, {.author = 1, .term = 1});
   Effects effects = node.replica->step(BlockReceived{1, better}, node.now);
   EXPECT_TRUE(
       std::ranges::any_of(effects, [](const Effect& e) { return std::holds_alternative<CancelExecution>(e); }));
   node.verdicts[format::blockId(better->block.header)] = Verdict::invalid;
   node.step(BlockExecuted{id, Verdict::cancelled});
   EXPECT_EQ(node.replica->head(), id);
}

// ---- blocks ---------------------------------------------------------------------------------------------------------

TEST_F(BftTest, aBodyThatIsNotOfItsHeaderIsRefusedAndTheBlockIsNot) {
   begin(1);
   const BlockPtr block = node.build(node.genesis, {});
   const auto refused = [&](auto&& change) {
      node.effects.clear();
      format::SignedBlock changed = *block;
      change(changed);
      node.receive(std::make_shared<const format::SignedBlock>(changed));
      EXPECT_FALSE(node.replica->knows(format::blockId(block->block.header)));
      return node.disconnects() == 1;
   };
   EXPECT_TRUE(refused([](auto& b) { b.block.transactions.clear(); }));
   EXPECT_TRUE(refused([](auto& b) { b.block.transactions.push_back(b.block.transactions[0]); }));
   EXPECT_TRUE(refused([](auto& b) { b.block.transactions[0] = testTransaction("other", {}, 1); }));
   EXPECT_TRUE(refused([](auto& b) { b.block.transactions[0].proofs.push_back({1}); }));
   EXPECT_TRUE(refused([](auto& b) { b.block.transactions[0].subjectiveData.reset(); }));
   EXPECT_TRUE(refused([](auto& b) { b.block.header.authCode.emplace(); }));
   EXPECT_TRUE(refused([](auto& b) { b.signature[0] ^= 1; }));
   node.receive(block);
   EXPECT_EQ(node.replica->head(), format::blockId(block->block.header));
}

TEST_F(BftTest, newVerifyServicesComeWithTheirCode) { // H6
   begin(1);
   const Bytes code{1, 2, 3};
   format::Consensus next = testConsensus(Algorithm::bft, node.some(0, 4));
   next.services.push_back({AccountNumber("verify-sig"), format::sha256(ByteView(code)), 0, 0});
   const BlockPtr bare = node.build(node.genesis, {.newConsensus = next});
   const auto with = [&](std::vector<format::BlockHeaderCode> carried) {
      format::SignedBlock block = *bare;
      block.block.header.authCode = std::move(carried);
      return std::make_shared<const format::SignedBlock>(block);
   };
   node.receive(bare);
   node.receive(with({}));
   node.receive(with({{0, 0, {9}}}));
   node.receive(with({{0, 0, code}, {0, 0, {9}}}));
   EXPECT_EQ(node.disconnects(), 4u);
   node.receive(with({{0, 0, code}}));
   EXPECT_EQ(node.disconnects(), 4u);
   EXPECT_TRUE(node.replica->knows(format::blockId(bare->block.header)));
}

TEST_F(BftTest, onlyTheLeaderOfItsTermMakesABlock) { // H4
   begin(1);
   node.receive(node.build(node.genesis, {.author = 2}));
   EXPECT_EQ(node.disconnects(), 1u);
   node.receive(node.build(node.genesis, {.author = 6}));
   EXPECT_EQ(node.disconnects(), 2u);
   EXPECT_EQ(node.replica->counters().blocksInMemory, 1u);
}

TEST_F(BftTest, heightAndTermFollowTheParents) { // D13
   begin(2);
   views(1);
   const Spot block = grow(node.genesis, {.term = 1});
   const BlockPtr backwards = node.build(block, {.author = 0, .term = 0});
   node.receive(backwards);
   EXPECT_EQ(node.disconnects(), 1u);
   for (unsigned i = 0; i < 40; ++i)
      node.receive(node.build(node.genesis, {.author = 1, .term = 1, .mark = i + 1}));
   EXPECT_LE(node.replica->counters().blocksInMemory, 6u);
}

TEST_F(BftTest, whoeverEquivocatesCannotKeepOutWhatTheOthersChose) { // D13
   begin(2);
   views(1);
   for (unsigned i = 0; i < 6; ++i) {
      const Spot one = grow(node.genesis, {.term = 1, .mark = i + 1});
      grow(one, {.term = 1});
      node.prepare(one.id, 1); // its own vote for each
   }
   const Spot chosen = grow(node.genesis, {.term = 1, .mark = 99});
   EXPECT_TRUE(node.replica->knows(chosen.id));
   for (const std::size_t who : Who{0, 1, 3})
      node.commit(chosen.id, who);
   EXPECT_EQ(node.replica->irreversible(), chosen.id);
}

TEST_F(BftTest, aProducerCannotFillMemoryWithEverNewTerms) { // D13
   // An observer, bound by no vote.
   node.be(6);
   node.begin(testConsensus(Algorithm::bft, node.some(0, 4)));
   views(2);
   grow(node.genesis, {.term = 2});
   const Spot chosen = grow(node.genesis, {.term = 1}); // beside head, and nobody here knows yet by whom
   for (TermNum term = 5; term < 6'000; term += 4)
      grow(node.genesis, {.term = term});
   EXPECT_LE(node.replica->counters().blocksInMemory, 1100u);
   EXPECT_EQ(node.disconnects(), 0u);
   // No room was made at the cost of what others may have chosen.
   const Spot others = grow(node.genesis, {.term = 4});
   EXPECT_TRUE(node.replica->knows(others.id));
   for (const std::size_t who : Who{0, 2, 3})
      node.commit(chosen.id, who);
   EXPECT_EQ(node.replica->irreversible(), chosen.id);
}

TEST_F(BftTest, whatOthersVotedForIsTheLastToMakeRoom) { // D13
   begin(2);
   views(1601);
   const Spot chosen = grow(node.genesis, {.term = 1});
   node.prepare(chosen.id, 3);
   for (TermNum term = 1601; term > 1; term -= 4)
      for (unsigned i = 1; i <= 3; ++i)
         node.prepare(grow(node.genesis, {.term = term, .mark = i}).id, 1); // its own vote for each
   EXPECT_LE(node.replica->counters().blocksInMemory, 1100u);
   EXPECT_TRUE(node.replica->knows(chosen.id));
}

TEST_F(BftTest, aProducerCannotFillMemoryWithALongChain) { // D13
   begin(2);
   Spot tip = node.genesis;
   for (int i = 0; i < 1200; ++i)
      tip = grow(tip, {.term = 5});
   EXPECT_LE(node.replica->counters().blocksInMemory, 1100u);
   EXPECT_GT(node.disconnects(), 0u);
   // Nobody else has less room for that.
   EXPECT_TRUE(node.replica->knows(grow(node.genesis, {.term = 6}).id));
}

TEST_F(BftTest, aProducerCannotFillMemoryWithLargeBlocks) { // D13
   begin(2);
   for (TermNum term = 5; term < 25; term += 4)
      for (unsigned i = 0; i < 4; ++i)
         grow(node.genesis, {.term = term, .mark = i});
   // In place of equal ones as well.
   std::vector<BlockId> large;
   for (TermNum term = 5; term < 25; term += 4)
      for (unsigned i = 4; i < 8; ++i)
         large.push_back(grow(node.genesis, {.term = term, .transactions = 1, .bytes = 4 << 20, .mark = i}).id);
   EXPECT_LT(std::ranges::count_if(large, [&](const BlockId& id) { return node.replica->knows(id); }), 16);
   EXPECT_TRUE(node.replica->knows(large.back()));
   EXPECT_EQ(node.disconnects(), 0u);
}

TEST_F(BftTest, theGreatestTermThenHeightThenIdIsHead) { // F1
   // An observer, bound by no vote.
   node.be(6);
   node.begin(testConsensus(Algorithm::bft, node.some(0, 4)));
   views(2);
   const Spot a = grow(node.genesis, {.term = 1});
   const Spot b = grow(node.genesis, {.term = 1, .mark = 1});
   const Spot& greater = a.id > b.id ? a : b;
   const Spot& lesser = a.id > b.id ? b : a;
   EXPECT_EQ(node.replica->head(), greater.id);
   const Spot longer = grow(lesser, {.term = 1});
   EXPECT_EQ(node.replica->head(), longer.id);
   const Spot later = grow(node.genesis, {.term = 2});
   EXPECT_EQ(node.replica->head(), later.id);
   // Not one of a term that this node has not reached.
   grow(later, {.term = 3});
   EXPECT_EQ(node.replica->head(), later.id);
}

TEST_F(BftTest, aProofThatTravelsWithABlockCommits) { // B12
   begin(1);
   const Spot first = grow(node.genesis);
   const Spot second = grow(first, {.commitNum = 10, .aux = node.proof(first, {0, 2, 3})});
   EXPECT_EQ(node.replica->irreversible(), first.id);
   const Spot third = grow(second, {.commitNum = 11, .aux = node.proof(second, {0, 0, 0})});
   EXPECT_EQ(node.disconnects(), 1u);
   EXPECT_FALSE(node.replica->knows(third.id));
}

TEST_F(BftTest, aQuorumForAnInvalidBlockStopsTheNode) { // F4
   begin(1);
   const BlockPtr block = node.build(node.genesis, {});
   const BlockId id = format::blockId(block->block.header);
   node.verdicts[id] = Verdict::invalid;
   node.receive(block);
   EXPECT_FALSE(node.halted());
   for (const std::size_t who : Who{0, 2, 3})
      node.prepare(id, who);
   EXPECT_FALSE(node.halted());
   for (const std::size_t who : Who{0, 2, 3})
      node.commit(id, who);
   EXPECT_TRUE(node.halted());
}

// ---- terms ----------------------------------------------------------------------------------------------------------

TEST_F(BftTest, noVoteBeforeTheTermIsReady) { // B1
   node.be(1);
   node.begin(testConsensus(Algorithm::bft, node.some(0, 4)));
   const Spot block = grow(node.genesis);
   EXPECT_FALSE(voted(block.id));
   node.receive(node.viewChange(0, 2));
   node.receive(node.viewChange(0, 3));
   EXPECT_FALSE(voted(block.id)); // three of them, but not the leader's
   node.receive(node.viewChange(0, 0));
   EXPECT_TRUE(voted(block.id));
}

TEST_F(BftTest, theTimerGoesToTheNextTermAndEnoughOthersTakeItAlong) { // B7, B8
   begin(1);
   node.wait(node.options.viewTimeoutUs);
   EXPECT_EQ(node.replica->term(), 1u);
   node.wait(10 * node.options.viewTimeoutUs);
   EXPECT_EQ(node.replica->term(), 1u); // nobody came along
   node.receive(node.viewChange(5, 2));
   EXPECT_EQ(node.replica->term(), 1u); // one may lie
   node.receive(node.viewChange(6, 3));
   EXPECT_EQ(node.replica->term(), 5u);
}

TEST_F(BftTest, whoHeardOfNobodyDoesNotBlameTheLeader) { // B7
   begin(1);
   node.wait(node.options.viewTimeoutUs + second); // as after SIGSTOP: what came meanwhile is still to be read
   views(0);
   EXPECT_EQ(node.replica->term(), 0u);
   for (unsigned i = 0; i < 10; ++i)
      node.wait(second); // cut off
   views(0);
   node.wait(node.options.viewTimeoutUs - 1);
   EXPECT_EQ(node.replica->term(), 0u);
   node.wait(1);
   EXPECT_EQ(node.replica->term(), 1u);
}

TEST_F(BftTest, aLeaderThatDoesNotAppearHasHalfTheTime) { // B7
   for (const bool appears : {false, true}) {
      begin(1);
      for (const std::size_t who : Who{0, 3})
         node.receive(node.viewChange(2, who));
      ASSERT_EQ(node.replica->term(), 2u);
      if (appears)
         node.receive(node.viewChange(2, 2));
      node.wait(node.options.viewTimeoutUs / 2);
      EXPECT_EQ(node.replica->term(), appears ? 2u : 3u);
      for (const std::size_t who : Who{0, 3})
         node.receive(node.viewChange(2, who));
      node.wait(node.options.viewTimeoutUs / 2);
      EXPECT_EQ(node.replica->term(), 3u);
   }
}

TEST_F(BftTest, aLeaderThatIsAheadAloneNamesItsBlockWhenTheOthersCome) { // B10, B11
   begin(1);
   node.wait(node.options.viewTimeoutUs);
   ASSERT_EQ(node.replica->term(), 1u);
   node.effects.clear();
   // The others go on in term 0 for long: were each block named, they would not listen any more in the end.
   Spot at = node.genesis;
   for (unsigned i = 0; i < 20; ++i) {
      at = grow(at);
      for (const std::size_t who : Who{0, 2, 3})
         node.prepare(at.id, who);
   }
   EXPECT_TRUE(node.sent<ViewChangeMessage>().empty());
   for (const std::size_t who : Who{2, 3})
      node.receive(node.viewChange(1, who, &at, {0, 2, 3}));
   ASSERT_FALSE(node.sent<ViewChangeMessage>().empty());
   EXPECT_EQ(node.sent<ViewChangeMessage>().back().best_prepared, at.id);
   EXPECT_FALSE(node.taken<Produce>().empty()); // it leads
}

TEST_F(BftTest, theLeaderNamesABlockAndIsBoundByThoseWhoKnowBetter) { // B1, B11
   begin(1);
   const Spot low = grow(node.genesis);
   const Spot high = grow(low);
   node.effects.clear();
   // Term 2 is led by people[2], who names nothing, while two others know of prepared blocks.
   node.receive(node.viewChange(2, 2));
   node.receive(node.viewChange(2, 3, &high, {0, 2, 3}));
   node.receive(node.viewChange(2, 0, &low, {0, 2, 3}));
   EXPECT_EQ(node.replica->term(), 2u);
   const Spot fork = grow(node.genesis, {.term = 2});
   EXPECT_FALSE(voted(fork.id));
   EXPECT_EQ(node.replica->head(), high.id);
   // Now it names the higher one, and may build on that alone.
   node.receive(node.viewChange(2, 2, &high, {0, 2, 3}));
   const Spot next = grow(high, {.term = 2});
   EXPECT_EQ(node.replica->head(), next.id);
   EXPECT_TRUE(voted(next.id));
   EXPECT_FALSE(voted(fork.id));
}

TEST_F(BftTest, whatLostAgainstAnIrreversibleBlockTiesNobody) { // B1
   begin(2);
   const Spot lost = grow(grow(node.genesis, {.mark = 1}), {.mark = 1});
   views(1);
   const Spot won = grow(node.genesis, {.term = 1});
   for (const std::size_t who : Who{0, 1, 3})
      node.commit(won.id, who);
   ASSERT_EQ(node.replica->irreversible(), won.id);
   // It is higher, and of an earlier term: not below what is irreversible, nor built on it.
   node.receive(node.viewChange(5, 1, &lost, {0, 1, 3}));
   node.receive(node.viewChange(5, 0, &lost, {0, 1, 3}));
   node.receive(node.viewChange(5, 3));
   EXPECT_TRUE(voted(grow(won, {.term = 5}).id));
}

TEST_F(BftTest, aViewChangeOfAnEarlierTermDoesNotCountForThisOne) { // D2
   for (const bool guard : {true, false}) {
      node.options.guards.viewChangeOfThisTerm = guard;
      node.effects.clear();
      begin(3);
      const Spot block = grow(node.genesis);
      // people[2] is in term 1 by a vote for a block of it; its view change is still the one of term 0.
      node.receive(node.viewChange(1, 1));
      node.receive(node.viewChange(1, 0));
      ASSERT_EQ(node.replica->term(), 1u);
      const Spot later = grow(block, {.term = 1});
      EXPECT_TRUE(voted(later.id)); // three of term 1: 0, 1 and this node
      views(4);
      node.effects.clear();
      ASSERT_EQ(node.replica->term(), 4u);
      node.receive(node.viewChange(5, 1));
      const Spot ahead = grow(later, {.term = 5});
      node.prepare(ahead.id, 2);
      node.prepare(ahead.id, 0);
      ASSERT_EQ(node.replica->term(), 5u);
      // In term 5 by their own view changes: people[1] and this node. One short.
      EXPECT_EQ(voted(ahead.id), !guard);
   }
}

TEST_F(BftTest, aFalseCertificateIsNoViewChange) { // D1
   begin(1);
   const Spot block = grow(node.genesis);
   node.receive(node.viewChange(2, 2, &block, {2, 2, 2}));
   node.receive(node.viewChange(2, 3, &block, {2, 3}));
   EXPECT_EQ(node.replica->term(), 0u);
   node.receive(node.viewChange(2, 2, &block, {2, 0, 3}));
   node.receive(node.viewChange(2, 3));
   EXPECT_EQ(node.replica->term(), 2u);
}

TEST_F(BftTest, aCertificateForABlockThatIsNotHereIsCheckedWhenItComes) {
   begin(1);
   const BlockPtr block = node.build(node.genesis, {});
   const Spot spot = Spot::of(block, node.genesis);
   node.receive(node.viewChange(2, 2, &spot, {2, 2, 2}));
   node.receive(node.viewChange(2, 3));
   node.receive(node.viewChange(2, 0));
   node.receive(block);
   node.effects.clear();
   const Spot next = grow(spot, {.term = 2});
   EXPECT_FALSE(voted(next.id));
}

TEST_F(BftTest, theLeaderBuildsWhenItsTermIsReady) { // B13
   begin(0);
   auto made = node.taken<Produce>();
   ASSERT_FALSE(made.empty());
   EXPECT_EQ(made.back().parent, node.genesis.id);
   EXPECT_EQ(made.back().commitNum, 10u);
   const BlockPtr own = node.build(node.genesis, {});
   node.step(BlockSealed{own});
   const Spot spot = Spot::of(own, node.genesis);
   EXPECT_TRUE(voted(spot.id));
   made = node.taken<Produce>();
   EXPECT_EQ(made.back().parent, spot.id);
   node.effects.clear();
   views(1);
   EXPECT_FALSE(node.taken<StopProducing>().empty());
   EXPECT_TRUE(node.taken<Produce>().empty());
}

TEST_F(BftTest, theTimerGrowsAndShrinksAgain) { // D8
   begin(1);
   std::int64_t longest = 0;
   for (TermNum term = 1; term < 12; ++term) {
      views(term);
      const std::int64_t before = node.now.monotonic;
      for (; node.replica->term() == term; views(term))
         node.wait(second / 4);
      longest = std::max(longest, node.now.monotonic - before);
      views(++term);
   }
   EXPECT_GT(longest, 2 * node.options.viewTimeoutUs);
   EXPECT_LE(longest, node.options.viewTimeoutMaxUs + second);
   Spot at = node.genesis;
   TermNum term = node.replica->term();
   views(term);
   for (unsigned i = 0; i < 12; ++i) {
      at = grow(at, {.term = term});
      for (const std::size_t who : Who{0, 2, 3}) {
         node.prepare(at.id, who);
         node.commit(at.id, who);
      }
   }
   ASSERT_EQ(node.replica->irreversible(), at.id);
   const std::int64_t before = node.now.monotonic;
   for (; node.replica->term() == term; views(term))
      node.wait(second / 4);
   EXPECT_LE(node.now.monotonic - before, node.options.viewTimeoutUs + second);
}

// ---- set changes ----------------------------------------------------------------------------------------------------

namespace {

/// S changes the set, S+1 follows, E proves S.
struct Handover {
   Spot start, middle, end;
};

} // namespace

struct HandoverTest : BftTest {
   std::vector<std::size_t> next;
   bool nextBft = true;

   Handover change(std::size_t me, std::size_t from, std::size_t to, Algorithm algorithm) {
      begin(me);
      nextBft = algorithm == Algorithm::bft;
      for (std::size_t i = from; i < to; ++i)
         next.push_back(i);
      Handover out;
      out.start = grow(node.genesis, {.newConsensus = testConsensus(algorithm, node.some(from, to))});
      for (const std::size_t i : next)
         if (nextBft && node.people[i].name != node.options.producer)
            node.receive(node.viewChange(0, i));
      out.middle = grow(out.start);
      out.end = grow(out.middle, {.commitNum = 11, .aux = node.proof(out.start, {0, 1, 2}, next)});
      return out;
   }
   /// Joint consensus begins with a set of CFT to come, of which this node is one.
   Spot changeToCft() {
      begin(5);
      const Spot start = grow(node.genesis, {.newConsensus = testConsensus(Algorithm::cft, node.some(4, 7))});
      // The new members take part in the view: a majority of them, this one included.
      node.receive(node.viewChange(0, 4));
      return start;
   }
   void votes(const Spot& block, const std::vector<std::size_t>& who) {
      for (const std::size_t i : who)
         node.prepare(block.id, i);
      for (const std::size_t i : who)
         node.commit(block.id, i);
   }
};

TEST_F(HandoverTest, theOldSetAloneCommitsNothingAndTheNewOneTakesOver) { // I6
   const Handover h = change(3, 3, 7, Algorithm::bft);
   EXPECT_EQ(node.replica->irreversible(), h.start.id);
   ASSERT_EQ(node.replica->head(), h.end.id);
   EXPECT_FALSE(node.replica->sets().joint());
   EXPECT_EQ(node.replica->sets().current.size(), 4u);
   votes(h.end, {0, 1, 2});
   EXPECT_EQ(node.replica->irreversible(), h.start.id);
   votes(h.end, {4, 5});
   EXPECT_EQ(node.replica->irreversible(), h.end.id);
}

TEST_F(HandoverTest, aBlockOfTheNewSetMakesTheLastOfTheOldOneIrreversible) {
   const Handover h = change(4, 3, 7, Algorithm::bft);
   const Spot first = node.grow(h.end, {.author = 3, .commitNum = 11});
   EXPECT_TRUE(voted(first.id));
   votes(first, {0, 1, 2}); // no members any more
   EXPECT_EQ(node.replica->irreversible(), h.start.id);
   votes(first, {3, 5});
   EXPECT_EQ(node.replica->irreversible(), first.id);
}

TEST_F(HandoverTest, theNewLeaderBuildsOnTheLastBlockOfTheOldSet) {
   const Handover h = change(3, 3, 7, Algorithm::bft);
   const auto made = node.taken<Produce>();
   ASSERT_FALSE(made.empty());
   EXPECT_EQ(made.back().parent, h.end.id);
   EXPECT_EQ(made.back().producer, node.people[3].name);
   EXPECT_EQ(made.back().commitNum, h.start.header.blockNum);
   EXPECT_TRUE(made.back().aux);
   // And it comes to rest: what is asked for again is not asked for anew.
   node.effects.clear();
   node.wait(1000);
   EXPECT_TRUE(node.taken<Produce>().empty());
}

TEST_F(HandoverTest, jointConsensusEndsWithAProof) { // H5
   begin(1);
   const Spot start = grow(node.genesis, {.newConsensus = testConsensus(Algorithm::bft, node.some(3, 7))});
   const Spot middle = grow(start);
   grow(middle, {.commitNum = 11});
   EXPECT_EQ(node.disconnects(), 1u);
   grow(middle, {.commitNum = 11, .aux = node.proof(start, {0, 1, 2})});
   EXPECT_EQ(node.disconnects(), 2u);
   const Spot end =
       grow(middle, {.commitNum = 11, .aux = node.proof(start, {0, 1, 2}, std::vector<std::size_t>{3, 4, 5})});
   EXPECT_EQ(node.disconnects(), 2u);
   EXPECT_EQ(node.replica->head(), end.id);
}

TEST_F(HandoverTest, aTermBeginsWhereItDidWhileTheSetToComeIsSilent) { // B1, B11
   begin(2);
   const Spot prepared = grow(node.genesis, {.mark = 1});
   for (const std::size_t who : Who{0, 1, 3})
      node.prepare(prepared.id, who);
   views(1); // of which those who lead the next term do not know
   ASSERT_EQ(node.replica->term(), 1u);
   const Spot first = grow(node.genesis, {.term = 1});
   ASSERT_EQ(node.replica->head(), first.id);
   const Spot start = grow(first, {.term = 1, .newConsensus = testConsensus(Algorithm::bft, node.some(3, 7))});
   // Members of the set to come have not entered the term: no reason to go back to what was prepared before it.
   EXPECT_EQ(node.replica->head(), start.id);
   EXPECT_FALSE(voted(start.id));
   EXPECT_EQ(node.replica->counters().unsettled, 0u);
   for (const std::size_t i : Who{4, 5, 6})
      node.receive(node.viewChange(1, i));
   EXPECT_TRUE(voted(start.id));
}

TEST_F(HandoverTest, aVoteOfAnEarlierTermKeepsNobodyFromWhereItIsNeeded) { // B4, F1
   // In term 1 two leaders end joint consensus, each by the sets on its own fork. This node has voted where it is no
   // member any more; the other fork has gone on to a set that decides nothing without it.
   begin(3);
   const std::vector<format::Producer> next{node.people[0], node.people[2], node.people[4]};
   const Spot start = grow(node.genesis, {.newConsensus = testConsensus(Algorithm::bft, next)});
   const Bytes proof = node.proof(start, {0, 1, 2}, Who{0, 2, 4});
   views(1);
   node.receive(node.viewChange(1, 4));
   ASSERT_EQ(node.replica->term(), 1u);
   const Spot middle = grow(start, {.term = 1});
   ASSERT_TRUE(voted(middle.id));
   const Spot end = grow(middle, {.term = 1, .commitNum = 11, .aux = proof});
   ASSERT_EQ(node.replica->irreversible(), start.id);
   const Spot other = grow(start, {.mark = 1});
   const Spot otherEnd = grow(other, {.commitNum = 11, .aux = proof});
   const Spot again = grow(otherEnd, {.commitNum = 11, .newConsensus = testConsensus(Algorithm::bft, node.some(3, 5))});
   const Spot last = node.grow(again, {.author = 2, .term = 1, .commitNum = 11});
   EXPECT_EQ(node.disconnects(), 0u);
   EXPECT_EQ(node.replica->head(), end.id);
   node.effects.clear();
   for (const std::size_t who : Who{0, 2, 4})
      node.receive(node.viewChange(2, who));
   ASSERT_EQ(node.replica->term(), 2u);
   EXPECT_EQ(node.replica->head(), last.id);
   const auto views = node.sent<ViewChangeMessage>();
   EXPECT_TRUE(std::ranges::any_of(
       views, [&](const auto& view) { return view.producer == node.options.producer && view.term == 2; }));
   EXPECT_FALSE(voted(last.id));
   const Spot later = node.grow(last, {.author = 4, .term = 2, .commitNum = 11});
   EXPECT_TRUE(voted(later.id));
}

TEST_F(HandoverTest, aCftSetToComeCommitsButDoesNotPrepare) {
   node.options.viewTimeoutUs = 100 * second;
   const Spot start = changeToCft();
   EXPECT_TRUE(node.sent<PrepareMessage>().empty());
   for (const std::size_t who : Who{0, 1, 2})
      node.prepare(start.id, who);
   EXPECT_TRUE(committed(start.id));
   EXPECT_TRUE(node.sent<PrepareMessage>().empty());
}

TEST_F(HandoverTest, fromBftToCftAnElectionIsBoundByCommitsNotByPrepares) { // C3
   for (const bool commits : {false, true}) {
      node = TestReplica(7);
      begin(2);
      const Spot start = grow(node.genesis, {.newConsensus = testConsensus(Algorithm::cft, node.some(1, 4))});
      const Spot middle = grow(start);
      const Bytes proof = node.proof(start, {0, 1, 3}, Who{1, 3});
      const Spot end = grow(middle, {.commitNum = 11, .aux = proof});
      views(1);
      const Spot other = grow(middle, {.term = 1, .commitNum = 11, .aux = proof});
      ASSERT_TRUE(voted(other.id));
      if (commits)
         for (const std::size_t who : Who{0, 1})
            node.prepare(other.id, who);
      EXPECT_EQ(committed(other.id), commits);
      // The first end turns out to be prepared, and those who know of it elect.
      views(2);
      for (const std::size_t who : Who{0, 1, 3})
         node.prepare(end.id, who);
      ASSERT_EQ(node.replica->head(), commits ? other.id : end.id);
      ASSERT_FALSE(node.replica->sets().current.bft());
      node.effects.clear();
      node.wait(2 * second);
      node.receive(
          RequestVoteMessage{3, node.people[3].name, end.header.blockNum, end.header.term, node.people[3].auth});
      const auto votes = node.sent<VoteMessage>();
      ASSERT_EQ(votes.size(), 1u);
      EXPECT_EQ(votes[0].vote_granted, !commits);
   }
}

TEST_F(HandoverTest, whoDoesNotPrepareIsNotBound) { // B4
   const Spot start = changeToCft();
   ASSERT_EQ(node.replica->head(), start.id);
   EXPECT_TRUE(node.records.back().bestConfirm.none());
}

TEST_F(HandoverTest, aViewChangeIsSignedAnewWithTheKeyOfTheNewSet) {
   // people[3] stays, with another key.
   std::vector<format::Producer> later = node.some(3, 7);
   later[0].auth = testClaim(33);
   begin(3);
   node.signatures.keys.insert(testClaim(33).rawData);
   const Spot start = grow(node.genesis, {.newConsensus = testConsensus(Algorithm::bft, later)});
   node.people[3].auth = testClaim(33);
   for (const std::size_t i : Who{4, 5, 6})
      node.receive(node.viewChange(0, i));
   const Spot middle = grow(start);
   node.effects.clear();
   grow(middle, {.commitNum = 11, .aux = node.proof(start, {0, 1, 2}, std::vector<std::size_t>{4, 5, 6})});
   bool fresh = false;
   for (const auto& change : node.sent<ViewChangeMessage>())
      fresh |= change.producer == node.people[3].name && change.signer == testClaim(33);
   EXPECT_TRUE(fresh);
}

// ---- CFT ------------------------------------------------------------------------------------------------------------

namespace {

struct CftTest : testing::Test {
   TestReplica node{5};

   void begin(std::size_t me = 0, std::size_t count = 3) {
      node.be(me);
      node.begin(testConsensus(Algorithm::cft, node.some(0, count)));
   }
   RequestVoteMessage request(TermNum term, std::size_t who, const Spot& head) const {
      return {term, node.people[who].name, head.header.blockNum, head.header.term, node.people[who].auth};
   }
   VoteMessage vote(TermNum term, std::size_t candidate, std::size_t who, bool granted = true) const {
      return {term, node.people[candidate].name, node.people[who].name, granted, node.people[who].auth};
   }
   ConfirmMessage confirm(TermNum term, std::size_t who, const Spot& head) const {
      return {term, node.people[who].name, head.header.blockNum, node.people[who].auth};
   }
   bool granted() {
      for (const auto& message : node.sent<VoteMessage>())
         if (message.vote_granted)
            return true;
      return false;
   }
   void lead(std::size_t me = 0, std::size_t voter = 1) {
      while (node.replica->role() != Role::candidate)
         node.wait(second);
      node.receive(vote(node.replica->term(), me, voter));
      ASSERT_EQ(node.replica->role(), Role::leader);
   }
   /// people[0..3) hand over to others in term 2. This node, people[1], confirms what was made beside the end of that,
   /// and elected, in term 3.
   struct Fork {
      Spot end, mine;
   };
   Fork handOver(format::Consensus next) {
      begin(1, 3);
      const Spot start = node.grow(node.genesis, {.author = 0, .term = 2, .newConsensus = std::move(next)});
      Fork out;
      out.mine = node.grow(start, {.author = 2, .term = 3});
      out.end = node.grow(start, {.author = 0, .term = 2, .commitNum = 11});
      EXPECT_EQ(node.replica->head(), out.mine.id);
      return out;
   }
   Spot seal(const Spot& parent, Content content = {}) {
      content.term = node.replica->term();
      const BlockPtr block = node.build(parent, content);
      node.step(BlockSealed{block});
      return Spot::of(block, parent);
   }
};

} // namespace

TEST_F(CftTest, standsWhenItHearsNothing) { // C2, C4
   begin();
   node.wait(node.options.electionTimeoutUs - 1);
   EXPECT_EQ(node.replica->role(), Role::follower);
   node.wait(node.options.electionTimeoutUs + 1);
   EXPECT_EQ(node.replica->role(), Role::candidate);
   ASSERT_EQ(node.sent<RequestVoteMessage>().size(), 1u);
   node.receive(vote(1, 0, 1, false));
   node.receive(vote(1, 2, 1)); // for somebody else
   node.receive(vote(0, 0, 1)); // of another term
   EXPECT_EQ(node.replica->role(), Role::candidate);
   node.receive(vote(1, 0, 2));
   EXPECT_EQ(node.replica->role(), Role::leader);
   EXPECT_EQ(node.taken<Produce>().back().parent, node.genesis.id);
}

TEST_F(CftTest, votesOnceInATermAndRemembersIt) { // C3, D3
   begin();
   node.receive(request(4, 1, node.genesis));
   EXPECT_TRUE(granted());
   node.effects.clear();
   node.receive(request(4, 2, node.genesis));
   EXPECT_FALSE(granted());
   node.receive(request(4, 1, node.genesis)); // its answer may have been lost
   EXPECT_TRUE(granted());
   const SafetyRecord record = node.records.back();
   EXPECT_EQ(record.votedFor, node.people[1].name);

   TestReplica again(5);
   again.begin(testConsensus(Algorithm::cft, again.some(0, 3)), record);
   again.receive(request(4, 2, node.genesis));
   for (const auto& message : again.sent<VoteMessage>())
      EXPECT_FALSE(message.vote_granted);
}

TEST_F(CftTest, aVoteLeavesWhenItIsDurable) {
   begin();
   node.diskWorks = false;
   node.receive(request(4, 1, node.genesis));
   EXPECT_TRUE(node.sent<VoteMessage>().empty());
   node.sync();
   EXPECT_TRUE(granted());
}

TEST_F(CftTest, doesNotVoteForAnOlderLog) { // C3
   begin();
   const BlockPtr block = node.build(node.genesis, {.author = 1, .term = 2});
   node.receive(block);
   ASSERT_EQ(node.replica->term(), 2u);
   node.wait(2 * second);
   node.receive(request(3, 2, node.genesis));
   EXPECT_EQ(node.replica->term(), 3u);
   EXPECT_FALSE(granted());
   node.receive(request(3, 1, Spot::of(block, node.genesis)));
   EXPECT_TRUE(granted());
}

TEST_F(CftTest, aLeaderThatIsHeardIsNotDeposed) { // D23
   begin();
   node.receive(node.build(node.genesis, {.author = 1, .term = 2}));
   node.receive(request(9, 2, node.genesis));
   EXPECT_EQ(node.replica->term(), 2u);
}

TEST_F(CftTest, whoFollowsALeaderOfAnEarlierTermStands) { // C1, C2
   begin();
   while (node.replica->term() < 3) // alone
      node.wait(second);
   // What it missed keeps it still. What is made now does not: it confirms none of that, and might be needed.
   node.now.real += 60 * second;
   Spot head = node.genesis;
   const auto follow = [&](std::int64_t afterUs) {
      head = node.grow(head, {.author = 1, .term = 1, .afterUs = afterUs});
      node.wait(second);
   };
   for (int i = 0; i < 40; ++i)
      follow(second);
   EXPECT_EQ(node.replica->irreversibleNum(), head.header.commitNum);
   EXPECT_EQ(node.replica->term(), 3u);
   follow(node.now.real - head.header.time.microseconds);
   for (std::int64_t waited = 0; waited < 2 * node.options.electionTimeoutUs; waited += second)
      follow(second);
   EXPECT_EQ(node.replica->term(), 4u);
   EXPECT_TRUE(node.sent<ConfirmMessage>().empty());
   // The leader came along.
   node.receive(request(5, 1, head));
   EXPECT_TRUE(granted());
}

TEST_F(CftTest, aLeaderComesAlongToALaterTermAndLeadsOn) { // C1, D23
   begin();
   lead();
   node.effects.clear();
   node.receive(request(9, 2, node.genesis));
   ASSERT_EQ(node.sent<RequestVoteMessage>().size(), 1u);
   EXPECT_EQ(node.sent<RequestVoteMessage>()[0].term, 10u);
   node.receive(vote(10, 0, 2));
   EXPECT_EQ(node.replica->role(), Role::leader);
   // There is no later one than the last.
   node.receive(request(std::numeric_limits<TermNum>::max(), 2, node.genesis));
   EXPECT_EQ(node.replica->term(), 10u);
   EXPECT_EQ(node.replica->role(), Role::leader);
}

TEST_F(CftTest, aLeaderIsNotProtectedFromItself) { // C3, D23
   begin();
   const Spot head = node.grow(node.genesis, {.author = 1, .term = 2});
   node.receive(request(10, 1, head));
   EXPECT_TRUE(granted());
}

TEST_F(CftTest, confirmsWhatItExecutedToItsAuthor) { // C5
   begin();
   node.diskWorks = false;
   const BlockPtr block = node.build(node.genesis, {.author = 1, .term = 2});
   node.receive(block);
   EXPECT_TRUE(node.sent<ConfirmMessage>().empty());
   node.sync();
   const auto sent = node.taken<SendToProducer>();
   ASSERT_EQ(sent.size(), 1u);
   EXPECT_EQ(sent[0].producer, node.people[1].name);
   ASSERT_EQ(node.sent<ConfirmMessage>().size(), 1u);
   EXPECT_EQ(node.sent<ConfirmMessage>()[0].head_num, 11u);
   // And again, for it may have been lost.
   ASSERT_EQ(node.replica->irreversible(), node.genesis.id);
   node.effects.clear();
   node.wait(node.options.resendUs);
   EXPECT_EQ(node.sent<ConfirmMessage>().size(), 1u);
}

TEST_F(CftTest, theLeaderCommitsWhatAMajorityHas) { // C6
   begin(0, 5);
   while (node.replica->role() != Role::candidate)
      node.wait(second);
   const TermNum term = node.replica->term();
   node.receive(vote(term, 0, 1));
   node.receive(vote(term, 0, 2));
   const Spot first = seal(node.genesis);
   const Spot second = seal(first);
   node.receive(confirm(term, 1, second));
   node.receive(confirm(term, 1, second));
   EXPECT_EQ(node.replica->irreversible(), node.genesis.id);
   node.receive(confirm(term - 1, 2, second));
   EXPECT_EQ(node.replica->irreversible(), node.genesis.id);
   node.receive(confirm(term, 2, first));
   EXPECT_EQ(node.replica->irreversible(), first.id);
   node.receive(confirm(term, 3, second));
   EXPECT_EQ(node.replica->irreversible(), second.id);
   node.receive(confirm(term + 1, 1, second)); // C1
   EXPECT_EQ(node.replica->role(), Role::follower);
}

TEST_F(CftTest, theLeaderTellsAtOnceWhatBecameIrreversibleOfTransactions) { // C7
   begin();
   lead();
   const TermNum term = node.replica->term();
   const auto order = [&] { return node.taken<Produce>().back(); };
   // Nobody waits for an empty block.
   const Spot empty = seal(node.genesis, {.commitNum = 10});
   node.receive(confirm(term, 1, empty));
   ASSERT_EQ(node.replica->irreversible(), empty.id);
   EXPECT_FALSE(order().news);

   const Spot work = seal(empty, {.commitNum = 11, .transactions = 1});
   EXPECT_FALSE(order().news);
   node.receive(confirm(term, 1, work));
   ASSERT_EQ(node.replica->irreversible(), work.id);
   EXPECT_TRUE(order().news);
   EXPECT_EQ(order().commitNum, work.header.blockNum);
   // A block that was open already does not say it.
   const Spot silent = seal(work, {.commitNum = 11});
   EXPECT_TRUE(order().news);
   const Spot telling = seal(silent, {.commitNum = work.header.blockNum});
   EXPECT_FALSE(order().news);
   node.receive(confirm(term, 1, telling));
   ASSERT_EQ(node.replica->irreversible(), telling.id);
   EXPECT_FALSE(order().news);
}

TEST_F(CftTest, whoProducesAloneHasNobodyToTell) {
   begin(0, 1);
   const Spot work = seal(node.genesis, {.commitNum = 10, .transactions = 1});
   ASSERT_EQ(node.replica->irreversible(), work.id);
   EXPECT_FALSE(node.taken<Produce>().back().news);
}

TEST_F(CftTest, whatCanChangeNothingCostsNoSignatureCheck) {
   begin();
   lead();
   const TermNum term = node.replica->term();
   const Spot first = seal(node.genesis), second = seal(first);
   node.receive(confirm(term, 1, first));
   const auto before = node.signatures.checks;
   node.receive(vote(term - 1, 0, 2));        // of a term that is over
   node.receive(vote(term, 1, 2));            // for another
   node.receive(vote(term, 0, 2));            // for one that leads already
   node.receive(confirm(term - 1, 2, first)); // of a term that is over
   node.receive(confirm(term, 1, first));     // said before
   node.receive(ConfirmMessage{term, node.people[2].name, 90, node.people[2].auth});
   EXPECT_EQ(node.signatures.checks, before);
   node.receive(confirm(term, 1, second));
   EXPECT_EQ(node.signatures.checks, before + 1);
   EXPECT_EQ(node.replica->irreversible(), second.id);
}

TEST_F(CftTest, aConfirmOfAStrangerIsIgnored) {
   begin();
   lead();
   const Spot block = seal(node.genesis);
   node.receive(confirm(node.replica->term(), 4, block));
   EXPECT_EQ(node.disconnects(), 0u);
   EXPECT_EQ(node.replica->irreversible(), node.genesis.id);
}

TEST_F(CftTest, whoVotesCountsInASetByItsKeyThere) { // C6
   // Both sets have the same names; this node does not have the key by which the next knows it.
   begin(0, 3);
   lead();
   auto next = node.some(0, 3);
   next[0].auth = node.people[4].auth;
   const Spot start = seal(node.genesis, {.newConsensus = testConsensus(Algorithm::cft, std::move(next))});
   const Spot second = seal(start);
   node.receive(confirm(node.replica->term(), 1, second));
   EXPECT_LT(node.replica->irreversibleNum(), second.header.blockNum);
   node.receive(confirm(node.replica->term(), 2, second));
   EXPECT_EQ(node.replica->irreversible(), second.id);
}

TEST_F(CftTest, aBlockThatIsFinishedAfterItsTermStaysHere) { // C1
   begin(0, 3);
   lead();
   const BlockPtr late = node.build(node.genesis, {.term = node.replica->term()});
   node.receive(vote(node.replica->term() + 1, 1, 2));
   node.effects.clear();
   node.step(BlockSealed{late});
   EXPECT_FALSE(node.replica->block(format::blockId(late->block.header)));
   ASSERT_EQ(node.taken<SetHead>().size(), 1u);
   EXPECT_EQ(node.taken<SetHead>()[0].id, node.genesis.id);
}

TEST_F(CftTest, followersCommitWhatTheHeaderSays) { // C7
   begin(0, 5);
   const BlockPtr first = node.build(node.genesis, {.author = 1, .term = 2});
   const Spot spot = Spot::of(first, node.genesis);
   node.receive(first);
   EXPECT_EQ(node.replica->irreversible(), node.genesis.id);
   node.receive(node.build(spot, {.author = 1, .term = 2, .commitNum = 11}));
   EXPECT_EQ(node.replica->irreversible(), spot.id);
}

TEST_F(CftTest, jointConsensusNeedsAMajorityOfBoth) { // C4, C6
   begin(0, 3);
   lead();
   const TermNum term = node.replica->term();
   const Spot start = seal(node.genesis, {.newConsensus = testConsensus(Algorithm::cft, node.some(2, 5))});
   node.receive(confirm(term, 1, start));
   EXPECT_EQ(node.replica->irreversible(), node.genesis.id);
   node.receive(confirm(term, 3, start));
   EXPECT_EQ(node.replica->irreversible(), node.genesis.id);
   node.receive(confirm(term, 4, start));
   EXPECT_EQ(node.replica->irreversible(), start.id);
}

TEST_F(CftTest, aSoleProducerLeadsAtOnce) { // C8
   begin(0, 1);
   EXPECT_EQ(node.replica->role(), Role::leader);
   const auto made = node.taken<Produce>();
   ASSERT_FALSE(made.empty());
   const BlockPtr block = node.build(node.genesis, {.term = node.replica->term(), .commitNum = 11});
   node.step(BlockSealed{block});
   EXPECT_EQ(node.replica->irreversibleNum(), 11u);
}

TEST_F(CftTest, aSoleProducerThatHandsOverDecidesWhatCameBeforeIt) { // H9
   // What this node confirmed can never be irreversible once people[3], alone, has built on the end; and people[3]
   // hands over at once.
   const Fork fork = handOver(testConsensus(Algorithm::bft, node.some(3, 4)));
   const Spot handover = node.grow(
       fork.end,
       {.author = 3, .term = 3, .commitNum = 12, .newConsensus = testConsensus(Algorithm::cft, node.some(0, 3))});
   EXPECT_EQ(node.replica->irreversible(), fork.end.id);
   EXPECT_FALSE(node.halted());
   // It gives no vote to that in the term of its Confirm, and is there for the next.
   EXPECT_EQ(node.replica->head(), handover.id);
   EXPECT_TRUE(node.sent<CommitMessage>().empty());
   EXPECT_FALSE(node.sent<ViewChangeMessage>().empty());
   // Also after a restart, when its vote is all that it remembers of the other chain.
   TestReplica again(5);
   again.be(1);
   again.begin(testConsensus(Algorithm::bft, again.some(3, 4)), node.records.back());
   const Spot other = again.grow(
       again.genesis, {.author = 3, .term = 3, .newConsensus = testConsensus(Algorithm::cft, again.some(0, 3))});
   EXPECT_EQ(again.replica->head(), other.id);
   EXPECT_TRUE(again.sent<CommitMessage>().empty());
}

TEST_F(CftTest, fromCftToBftALockHoldsAcrossTerms) {
   // The new set goes on from the other end.
   const Fork fork = handOver(testConsensus(Algorithm::bft, node.some(1, 5)));
   // By the names of the new set, people[1] leads term 4.
   const Spot later = node.grow(fork.end, {.author = 1, .term = 4, .commitNum = 11});
   EXPECT_EQ(node.replica->head(), fork.mine.id);
   for (const std::size_t who : Who{2, 3, 4})
      node.prepare(later.id, who);
   EXPECT_EQ(node.replica->head(), later.id);
}

} // namespace polis::consensus
