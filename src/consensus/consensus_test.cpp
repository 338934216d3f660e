// The rules one by one: sets and quorums, certificates, messages, the tree of forks. What a replica makes of them:
// replica_test.cpp.
#include "consensus/certificate.hpp"
#include "consensus/test_replica.hpp"

#include <gtest/gtest.h>

namespace polis::consensus {

namespace {

using Numbers = std::vector<std::size_t>;

format::Producer producer(std::uint64_t account, std::uint64_t key) { return {AccountNumber(account), testClaim(key)}; }

std::vector<format::Producer> producers(std::size_t count) {
   std::vector<format::Producer> out;
   for (std::size_t i = 0; i < count; ++i)
      out.push_back(producer(100 + i, i));
   return out;
}

} // namespace

// ---- sets -----------------------------------------------------------------------------------------------------------

TEST(ProducerSet, quorums) {
   const auto bft = [](std::size_t n) { return ProducerSet(testConsensus(Algorithm::bft, producers(n)).data); };
   const auto cft = [](std::size_t n) { return ProducerSet(testConsensus(Algorithm::cft, producers(n)).data); };
   Numbers strong, weak;
   for (std::size_t n = 1; n <= 7; ++n) {
      strong.push_back(bft(n).strong());
      weak.push_back(bft(n).weak());
      EXPECT_EQ(cft(n).strong(), n / 2 + 1);
      EXPECT_EQ(cft(n).weak(), 1u);
      // Two quorums share an honest one.
      EXPECT_GE(2 * bft(n).strong() - n, n - bft(n).strong() + 1);
   }
   EXPECT_EQ(strong, (Numbers{1, 2, 3, 3, 4, 5, 5}));
   EXPECT_EQ(weak, (Numbers{1, 1, 1, 2, 2, 2, 3}));
   EXPECT_GT(bft(0).strong(), std::size_t{1} << 40);
   EXPECT_GT(cft(0).weak(), std::size_t{1} << 40);
}

TEST(ProducerSet, membersAreInNumericOrderAndCountOnce) {
   const ProducerSet set(
       testConsensus(Algorithm::bft, {producer(9, 1), producer(3, 2), producer(9, 3), producer(5, 4)}).data);
   ASSERT_EQ(set.size(), 3u);
   EXPECT_EQ(set.producers()[0].name, AccountNumber(3));
   EXPECT_EQ(set.producers()[2].name, AccountNumber(9));
   EXPECT_EQ(set.leader(4).name, AccountNumber(5)); // 4 mod 3
   EXPECT_TRUE(set.has(AccountNumber(9), testClaim(1)));
   EXPECT_FALSE(set.has(AccountNumber(9), testClaim(3)));
}

TEST(JointConsensus, beginsWithTheChangeAndEndsWhenItIsIrreversible) {
   const auto before = std::make_shared<ChainConsensus>(
       format::JointConsensus{testConsensus(Algorithm::bft, producers(4)), std::nullopt});
   format::BlockHeader start;
   start.blockNum = 20;
   start.commitNum = 18;
   start.newConsensus = testConsensus(Algorithm::cft, producers(3));
   const auto joint = consensusAfter(before, start);
   ASSERT_TRUE(joint->sets.next);
   EXPECT_FALSE(joint->sets.next->bft());
   EXPECT_NE(joint->hash, before->hash);
   EXPECT_EQ(consensusForChild(joint, 19), joint);
   const auto after = consensusForChild(joint, 20);
   EXPECT_FALSE(after->sets.joint());
   EXPECT_FALSE(after->sets.current.bft());
   // A second change in the same block replaces the first.
   start.newConsensus = testConsensus(Algorithm::bft, producers(7));
   EXPECT_EQ(consensusAfter(joint, start)->sets.next->size(), 7u);
   EXPECT_EQ(consensusAfter(joint, start)->sets.current.size(), 4u);
}

/// As the kernel counts them, so that a header's commitNum is what both expect (H9).
TEST(ProducerSets, aNameThatIsListedTwiceIsNotAlone) {
   const auto single = [](std::vector<format::Producer> list) {
      return ChainConsensus(format::JointConsensus{testConsensus(Algorithm::bft, std::move(list)), std::nullopt})
          .sets.single();
   };
   EXPECT_TRUE(single(producers(1)));
   EXPECT_FALSE(single({producers(1)[0], producers(1)[0]}));
   EXPECT_FALSE(single(producers(2)));
}

// ---- certificates ---------------------------------------------------------------------------------------------------

namespace {

struct CertificateTest : testing::Test {
   TestReplica world{7};
   ForkBlock block;
   Guards guards;

   void SetUp() override { under(world.some(0, 4)); }
   void under(std::vector<format::Producer> current, std::optional<format::Consensus> next = {}) {
      format::JointConsensus joint{testConsensus(Algorithm::bft, std::move(current)), std::nullopt};
      if (next)
         joint.next = format::PendingConsensus{*next, 40};
      block.num = 42;
      block.id = BlockId{0, 0, 0, 42, 7};
      block.end = block.start = block.after = std::make_shared<ChainConsensus>(joint);
   }
   format::BlockConfirm commits(const Numbers& who, std::optional<Numbers> next = {}) const {
      format::BlockConfirm out{42, world.confirmsOf<CommitMessage>(block.id, who), std::nullopt};
      if (next)
         out.nextCommits = world.confirmsOf<CommitMessage>(block.id, *next);
      return out;
   }
   bool proves(const format::BlockConfirm& confirm) {
      return checkedCommits(block, confirm, world.signatures, guards).has_value();
   }
   bool prepared(const Numbers& who, std::optional<Numbers> next = {}) {
      std::optional<std::vector<ProducerConfirm>> second;
      if (next)
         second = world.confirmsOf<PrepareMessage>(block.id, *next);
      return checkedPrepares(block, world.confirmsOf<PrepareMessage>(block.id, who), second, world.signatures, guards)
          .has_value();
   }
};

} // namespace

TEST_F(CertificateTest, aQuorumOfDistinctSignersProves) {
   EXPECT_TRUE(proves(commits({0, 1, 2})));
   EXPECT_FALSE(proves(commits({0, 1})));
   EXPECT_TRUE(prepared({3, 1, 2}));
   EXPECT_FALSE(prepared({3, 1}));
}

TEST_F(CertificateTest, oneSignerRepeatedIsOneSigner) { // D1
   EXPECT_FALSE(proves(commits({1, 1, 1})));
   EXPECT_FALSE(proves(commits({0, 1, 1, 0, 1, 1})));
   EXPECT_FALSE(prepared({2, 2, 2, 2}));
   guards.distinctSigners = false;
   EXPECT_TRUE(proves(commits({1, 1, 1})));
   EXPECT_TRUE(prepared({2, 2, 2, 2}));
}

TEST_F(CertificateTest, honestListsMayRepeatEntriesInAnyOrder) {
   EXPECT_TRUE(proves(commits({2, 0, 1})));
   EXPECT_TRUE(proves(commits({2, 2, 0, 2, 1, 0})));
   // Every repetition of a vote may have been written down by the node that sends the list.
   Numbers many;
   for (std::size_t i = 0; i < 300; ++i)
      many.push_back(i % 3);
   EXPECT_TRUE(prepared(many));
   EXPECT_EQ(world.signatures.checks, 3u + 3u + 3u); // not one an entry
}

TEST_F(CertificateTest, otherValidSignaturesOfOneSignerAddNeitherVotesNorWork) {
   format::BlockConfirm confirm = commits({0, 1, 1, 1});
   confirm.commits[2].signature.push_back(1);
   confirm.commits[3].signature.push_back(2);
   EXPECT_FALSE(proves(confirm));
   EXPECT_EQ(world.signatures.checks, 2u);
}

TEST_F(CertificateTest, aStrangerOrAFalseSignatureSpoilsTheList) {
   EXPECT_FALSE(proves(commits({0, 1, 2, 5})));
   format::BlockConfirm confirm = commits({0, 1, 2, 3});
   confirm.commits[3].signature[0] ^= 1;
   EXPECT_FALSE(proves(confirm));
   // Prepares are no commits.
   confirm.commits = world.confirmsOf<PrepareMessage>(block.id, {0, 1, 2});
   EXPECT_FALSE(proves(confirm));
   // Nor is a proof of another block one of this.
   confirm.commits = world.confirmsOf<CommitMessage>(BlockId{0, 0, 0, 42, 8}, {0, 1, 2});
   EXPECT_FALSE(proves(confirm));
   confirm = commits({0, 1, 2});
   confirm.blockNum = 41;
   EXPECT_FALSE(proves(confirm));
}

TEST_F(CertificateTest, jointConsensusNeedsBothSets) {
   under(world.some(0, 4), testConsensus(Algorithm::bft, world.some(3, 7)));
   EXPECT_TRUE(proves(commits({0, 1, 2}, Numbers{4, 5, 6})));
   EXPECT_FALSE(proves(commits({0, 1, 2})));
   EXPECT_FALSE(proves(commits({0, 1, 2}, Numbers{4, 5})));
   EXPECT_FALSE(proves(commits({0, 1}, Numbers{4, 5, 6})));
   EXPECT_FALSE(proves(commits({0, 1, 2}, Numbers{0, 1, 2}))); // each list is of its own set
   EXPECT_TRUE(prepared({0, 1, 2}, Numbers{3, 4, 5}));
   EXPECT_FALSE(prepared({0, 1, 2}));
   under(world.some(0, 4));
   EXPECT_FALSE(proves(commits({0, 1, 2}, Numbers{4, 5, 6}))); // and there is no second one
}

TEST_F(CertificateTest, aCftSetToComeCommitsByMajorityAndDoesNotPrepare) {
   under(world.some(0, 4), testConsensus(Algorithm::cft, world.some(4, 7)));
   EXPECT_TRUE(prepared({0, 1, 2}));
   EXPECT_TRUE(proves(commits({0, 1, 2}, Numbers{4, 6})));
   EXPECT_FALSE(proves(commits({0, 1, 2}, Numbers{4})));
}

TEST_F(CertificateTest, whatIsPublishedIsAscendingWithoutRepetition) {
   const auto votes = checkedCommits(block, commits({2, 0, 2, 3}), world.signatures, guards);
   ASSERT_TRUE(votes);
   block.commits = *votes;
   const format::BlockConfirm out = commitCertificate(block);
   EXPECT_EQ(out, commits({0, 2, 3}));
   EXPECT_TRUE(proves(out));
}

TEST_F(CertificateTest, onlyMembersRelayTransactions) { // D15
   const ChainConsensus& consensus = *block.end;
   const WasmProducerMessage member{{1, 2}, world.people[0].name, world.people[0].auth};
   const WasmProducerMessage stranger{{1, 2}, world.people[5].name, {}};
   EXPECT_TRUE(checkedRelay(testFrame(member), consensus, world.signatures));
   EXPECT_FALSE(checkedRelay(encode(stranger, {}), consensus, world.signatures));
   EXPECT_TRUE(checkedRelay(encode(stranger, {}), consensus, world.signatures, false)); // without the guard
   EXPECT_FALSE(checkedRelay(encode(member, Bytes(8)), consensus, world.signatures));
}

// ---- messages -------------------------------------------------------------------------------------------------------

TEST(Messages, eachComesBackAsItWas) {
   unsigned types = 0;
   forEachMessageType([&]<class M>() {
      ++types;
      Bytes frame;
      if constexpr (SignedContent<M>)
         frame = testFrame(M{});
      else
         frame = encode(M{});
      EXPECT_EQ(typeOf(frame), messageTypeOf<M>);
      EXPECT_TRUE(decode<M>(frame));
      EXPECT_FALSE(decode<M>(ByteView(frame).subspan(0, frame.size() - 1)));
      frame[0] ^= 0x80;
      EXPECT_FALSE(decode<M>(frame));
      EXPECT_FALSE(decode<M>(Bytes{}));
   });
   EXPECT_EQ(types, 21u);
}

TEST(Messages, signedOnesAreTakenInCanonicalBytesOnly) { // D7
   const PrepareMessage message{{1}, AccountNumber("a"), testClaim(1)};
   const auto frameOf = [](Bytes packed) {
      const format::SignedMessage<PrepareMessage> outer{format::Nested<PrepareMessage>(std::move(packed)), Bytes(8)};
      return detail::frame(MessageType::prepare, format::pack(outer));
   };
   const Bytes packed = format::pack(message);
   EXPECT_TRUE(decode<PrepareMessage>(frameOf(packed)));
   // An extension that this version does not know: a fourth member behind the fixed part.
   Bytes extended = packed;
   const auto fixed = static_cast<std::uint16_t>(extended[0] | extended[1] << 8);
   extended[0] = static_cast<std::uint8_t>(fixed + 4);
   for (std::size_t i = 0; i < 4; ++i)
      extended.insert(extended.begin() + 2 + fixed, i == 3 ? 5 : 0);
   // The claim lies four bytes further away now.
   extended[2 + 32 + 8] = static_cast<std::uint8_t>(extended[2 + 32 + 8] + 4);
   std::ranges::fill(extended.begin() + 2 + fixed, extended.begin() + 2 + fixed + 4, std::uint8_t{0});
   if (const auto odd = decode<PrepareMessage>(frameOf(extended), false)) {
      EXPECT_EQ(odd->message, message);
   }
   const auto refused = decode<PrepareMessage>(frameOf(extended));
   ASSERT_FALSE(refused);
   EXPECT_EQ(refused.error(), FrameError::nonCanonical);
}

// ---- the tree -------------------------------------------------------------------------------------------------------

namespace {

ForkBlock forkBlock(BlockNum num, std::uint8_t mark, TermNum term = 0) {
   ForkBlock out;
   out.id = BlockId{0, 0, 0, static_cast<std::uint8_t>(num), mark};
   out.num = num;
   out.term = term;
   return out;
}

} // namespace

TEST(ForkTree, keepsWhatDescendsFromItsRoot) {
   ForkTree tree(forkBlock(10, 0));
   ForkBlock& a = tree.insert(forkBlock(11, 1), tree.root());
   ForkBlock& b = tree.insert(forkBlock(11, 2), tree.root());
   ForkBlock& c = tree.insert(forkBlock(12, 1), a);
   tree.insert(forkBlock(12, 2), b);
   EXPECT_TRUE(ForkTree::isAncestor(tree.root(), c));
   EXPECT_TRUE(ForkTree::isAncestor(c, c));
   EXPECT_FALSE(ForkTree::isAncestor(b, c));
   EXPECT_FALSE(ForkTree::onOneChain(b, c));
   EXPECT_EQ(ForkTree::ancestorAt(c, 11), &a);
   EXPECT_EQ(ForkTree::ancestorAt(c, 13), nullptr);
   tree.setRoot(a);
   EXPECT_EQ(tree.size(), 2u);
   EXPECT_EQ(ForkTree::ancestorAt(c, 10), nullptr);
   EXPECT_EQ(tree.find(BlockId{0, 0, 0, 11, 2}), nullptr);
}

TEST(ForkTree, condemnsABlockWithAllThatIsBuiltOnIt) {
   ForkTree tree(forkBlock(0, 0));
   ForkBlock* at = &tree.root();
   for (unsigned i = 1; i <= 200; ++i)
      at = &tree.insert(forkBlock(i, 1), *at);
   ForkBlock& other = tree.insert(forkBlock(1, 2), tree.root());
   tree.condemn(*tree.find(BlockId{0, 0, 0, 1, 1}));
   EXPECT_EQ(at->state, BlockState::invalid);
   EXPECT_EQ(other.state, BlockState::known);
}

TEST(ForkTree, erasesABlockWithAllThatIsBuiltOnIt) {
   ForkTree tree(forkBlock(10, 0));
   ForkBlock& a = tree.insert(forkBlock(11, 1), tree.root());
   ForkBlock& b = tree.insert(forkBlock(11, 2), tree.root());
   tree.insert(forkBlock(12, 1), a);
   tree.insert(forkBlock(12, 2), a);
   ForkBlock& kept = tree.insert(forkBlock(12, 3), b);
   tree.erase(a);
   EXPECT_EQ(tree.size(), 3u);
   EXPECT_EQ(tree.root().children, std::vector{&b});
   EXPECT_EQ(ForkTree::ancestorAt(kept, 10), &tree.root());
}

TEST(ForkTree, findsWhatSomebodyMade) {
   ForkTree tree(forkBlock(10, 0));
   for (std::uint8_t i = 0; i < 3; ++i)
      tree.insert(forkBlock(11, i, 5), tree.root()).producer = AccountNumber("a");
   EXPECT_EQ(tree.by(AccountNumber("a")).size(), 3u);
   EXPECT_TRUE(tree.by(AccountNumber("b")).empty());
}

} // namespace polis::consensus
