#include "peer/light_chain.hpp"

#include "consensus/test_chain.hpp"

#include <gtest/gtest.h>

namespace polis::peer {

namespace {

using namespace consensus;

/// A chain whose producers change once: blocks 2 to 12, the change in 5, its end in 7.
struct LightChainTest : testing::Test {
   std::vector<format::Producer> people;
   TestSignatures signatures;
   std::vector<BlockPtr> blocks; ///< [i] has height i + 2
   Spot at{{}, {}, consensusBeforeGenesis()};

   LightChainTest() {
      for (std::size_t i = 0; i < 5; ++i)
         people.push_back({AccountNumber(std::string(1, static_cast<char>('a' + i))), testClaim(i + 1)});
      std::ranges::sort(people, {}, &format::Producer::name);
      at.header.blockNum = 1;
   }
   std::vector<format::Producer> some(std::size_t from, std::size_t to) const {
      return {people.begin() + static_cast<std::ptrdiff_t>(from), people.begin() + static_cast<std::ptrdiff_t>(to)};
   }
   void grow(std::size_t author, BlockNum commitNum, std::optional<format::Consensus> change = {},
             std::optional<Bytes> aux = {}) {
      format::SignedBlock block;
      auto& header = block.block.header;
      header.producer = people[author].name;
      header.commitNum = commitNum;
      header.time.microseconds = at.header.time.microseconds + 1'000'000;
      header.newConsensus = std::move(change);
      block.auxConsensusData = std::move(aux);
      blocks.push_back(sealedTestBlock(at, std::move(block)));
      at = Spot::of(blocks.back(), at);
   }
   std::vector<ProducerConfirm> commits(const std::vector<format::Producer>& by) const {
      std::vector<ProducerConfirm> out;
      for (const auto& producer : by)
         out.push_back({producer.name,
                        TestSignatures::signatureOf(producer.auth,
                                                    digestOf(CommitMessage{at.id, producer.name, producer.auth}))});
      return out;
   }
   /// From the first `old` people to all but the first, proven for block 6 by those given.
   void change(Algorithm algorithm, std::size_t old, const std::vector<format::Producer>& current,
               const std::vector<format::Producer>& next) {
      grow(0, 2, testConsensus(algorithm, some(0, old)));
      grow(0, 2);
      grow(1, 3);
      grow(1, 3, testConsensus(algorithm, some(1, 5))); // 5
      grow(1, 4);                                       // 6
      std::optional<Bytes> proof;
      if (algorithm == Algorithm::bft)
         proof = format::pack(format::BlockConfirm{6, commits(current), commits(next)});
      grow(1, 6, std::nullopt, proof); // 7
      while (at.header.blockNum < 12)
         grow(4, at.header.blockNum - 1);
   }
   const format::SignedBlock& block(BlockNum num) const { return *blocks.at(num - 2); }
   /// What is wrong with the headers at these heights.
   std::string problem(const std::vector<BlockNum>& heights) {
      LightChain chain(signatures);
      for (const BlockNum num : heights)
         if (const auto added = chain.add(block(num)); !added)
            return added.error();
      return chain.end()->sets.joint() ? "joint" : "";
   }
};

} // namespace

TEST_F(LightChainTest, fewHeadersShowWhoProduces) {
   for (const auto algorithm : {Algorithm::bft, Algorithm::cft}) {
      SCOPED_TRACE(algorithm == Algorithm::bft);
      blocks.clear();
      at = {{}, {}, consensusBeforeGenesis()};
      at.header.blockNum = 1;
      change(algorithm, 4, some(0, 3), some(2, 5));
      EXPECT_EQ(problem({2, 5, 6, 7, 12}), "");
      EXPECT_EQ(problem({2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}), "");
      // Without one of them it does not follow.
      EXPECT_NE(problem({5, 6, 7, 12}), "");
      EXPECT_NE(problem({2, 6, 7, 12}), "");
      EXPECT_NE(problem({2, 5, 6, 12}), "");
      EXPECT_NE(problem({2, 5, 7, 6}), "");
   }
}

TEST_F(LightChainTest, aChangeOfBftNeedsQuorumsOfBothSets) {
   change(Algorithm::bft, 4, some(0, 2), some(2, 5));
   EXPECT_NE(problem({2, 5, 6, 7, 12}).find("proves nothing"), std::string::npos);
}

TEST_F(LightChainTest, oneSignerRepeatedIsOne) {
   auto repeated = some(0, 2);
   repeated.push_back(repeated[1]);
   change(Algorithm::bft, 4, repeated, some(2, 5));
   EXPECT_NE(problem({2, 5, 6, 7, 12}), "");
}

TEST_F(LightChainTest, theProvenHeaderMustBeThere) {
   change(Algorithm::bft, 4, some(0, 3), some(2, 5));
   EXPECT_NE(problem({2, 5, 7, 12}).find("missing"), std::string::npos);
}

TEST_F(LightChainTest, forgedHeadersAreRefused) {
   change(Algorithm::cft, 3, {}, {});
   ASSERT_EQ(problem({2, 5, 6, 7, 12}), "");
   const auto forged = [&](const auto& change) {
      const auto kept = blocks.back();
      auto block = *kept;
      change(block);
      blocks.back() = std::make_shared<const format::SignedBlock>(std::move(block));
      const std::string found = problem({2, 5, 6, 7, 11, 12});
      blocks.back() = kept;
      return !found.empty();
   };
   EXPECT_FALSE(forged([](auto&) {}));
   EXPECT_TRUE(forged([](auto& b) { b.signature[0] ^= 1; }));
   EXPECT_TRUE(forged([&](auto& b) { b.block.header.producer = people[0].name; })); // no longer one
   EXPECT_TRUE(forged([](auto& b) { b.block.header.consensusState[0] ^= 1; }));
   EXPECT_TRUE(forged([](auto& b) { b.block.header.previous[5] ^= 1; }));
   EXPECT_TRUE(forged([](auto& b) { b.block.header.time.microseconds -= 2'000'000; }));
   EXPECT_TRUE(forged([](auto& b) { b.block.header.commitNum = 13; }));
   EXPECT_TRUE(forged([](auto& b) { b.block.header.authCode.emplace(1); })); // the id does not cover it
   EXPECT_TRUE(forged([&](auto& b) { b.block.header.newConsensus = testConsensus(Algorithm::cft, some(0, 1)); }));
}

TEST_F(LightChainTest, whatWasRefusedChangesNothing) {
   change(Algorithm::bft, 4, some(0, 3), some(2, 5));
   LightChain chain(signatures);
   ASSERT_TRUE(chain.add(block(2)));
   ASSERT_TRUE(chain.add(block(5)));
   EXPECT_FALSE(chain.add(block(9)));
   EXPECT_EQ(chain.num(), 5u);
   EXPECT_TRUE(chain.add(block(6)));
   EXPECT_TRUE(chain.add(block(7)));
   EXPECT_TRUE(chain.add(block(9)));
}

} // namespace polis::peer
