#include "node/consensus_story.hpp"

#include <gtest/gtest.h>

namespace polis::node {

namespace {

struct ConsensusStoryTest : testing::Test {
   const format::AccountNumber ada{"ada"}, ben{"ben"}, eve{"eve"};
   ConsensusStory story;
   ConsensusStory::Moment moment{0, {ada, ben, eve}, false, ada, true, 3, ben, 10, 2};
   std::vector<std::string> told;

   /// Seconds pass, in which the given producers speak, and blocks become irreversible or not.
   void pass(int seconds, const std::vector<format::AccountNumber>& speak, bool decides) {
      for (int i = 0; i < seconds; ++i) {
         moment.nowUs += 1'000'000;
         moment.irreversible += decides;
         for (const auto name : speak)
            story.heard(name, consensus::MessageType::block, {}, moment.nowUs);
         look();
      }
   }
   void look() {
      for (auto& line : story.look(moment))
         told.push_back(std::move(line.text));
   }
   std::vector<std::string> taken() { return std::exchange(told, {}); }
   using Lines = std::vector<std::string>;
};

} // namespace

TEST_F(ConsensusStoryTest, nothingIsToldWhileAllIsWell) {
   look();
   pass(60, {ben, eve}, true);
   EXPECT_EQ(taken(), Lines());
}

TEST_F(ConsensusStoryTest, aLeaderThatFailsIsAStoryOfFewLines) {
   look();
   pass(3, {ben, eve}, true);
   pass(8, {eve}, false);
   EXPECT_EQ(
       taken(),
       (Lines{"ben has not been heard for 5 s",
              "Nothing has become irreversible since block 13, 5 s ago; it takes 2 of 3 producers; not heard: ben"}));
   moment.term = 4;
   moment.leader = eve;
   pass(1, {eve}, true);
   EXPECT_EQ(taken(), (Lines{"Term 4: eve leads; before, it was ben", "Blocks become irreversible again, after 9 s"}));
   pass(30, {eve}, true);
   EXPECT_EQ(taken(), Lines());
   pass(2, {ben, eve}, true);
   EXPECT_EQ(taken(), (Lines{"ben is heard again, after 40 s"}));
}

TEST_F(ConsensusStoryTest, whatOthersRepeatIsNotHeard) {
   look();
   pass(1, {ben, eve}, true);
   const Bytes old{1}, later{2};
   for (int i = 0; i < 6; ++i) {
      story.heard(ben, consensus::MessageType::prepare, old, moment.nowUs);
      pass(1, {eve}, true);
   }
   EXPECT_EQ(taken(), (Lines{"ben has not been heard for 5 s"}));
   story.heard(ben, consensus::MessageType::prepare, later, moment.nowUs);
   look();
   EXPECT_EQ(taken(), (Lines{"ben is heard again, after 6 s"}));
}

TEST_F(ConsensusStoryTest, underCftOnlyTheLeaderHearsVotes) {
   moment.hearsAll = false;
   look();
   pass(30, {ben}, true);
   EXPECT_EQ(taken(), Lines());
   moment.hearsAll = true;
   pass(4, {ben}, true);
   EXPECT_EQ(taken(), Lines());
   pass(1, {ben}, true);
   EXPECT_EQ(taken(), (Lines{"eve has not been heard for 5 s"}));
}

TEST_F(ConsensusStoryTest, anElectionAndOwnLeadership) {
   look();
   moment.term = 4;
   moment.leader = {};
   look();
   EXPECT_EQ(taken(), (Lines{"Term 4: a leader is to be chosen; before, it was ben"}));
   moment.leader = ada;
   look();
   EXPECT_EQ(taken(), (Lines{"Term 4: this node leads"}));
}

TEST_F(ConsensusStoryTest, whoOnlyFollowsDoesNotMissVotes) {
   moment.self = {};
   look();
   pass(7, {}, false);
   EXPECT_EQ(taken(), (Lines{"Nothing has become irreversible since block 10, 5 s ago; it takes 2 of 3 producers"}));
}

TEST_F(ConsensusStoryTest, strangersAndASoleProducerAreNoStory) {
   look();
   story.heard(format::AccountNumber("mallory"), consensus::MessageType::block, {}, 1);
   pass(1, {ben, eve}, true);
   moment.producers = {ada};
   pass(20, {}, false);
   EXPECT_EQ(taken(), Lines{"The blocks are now made by ada alone"});
}

TEST_F(ConsensusStoryTest, whoMakesTheBlocksIsTold) {
   look();
   EXPECT_EQ(taken(), Lines()) << "who did before this node began is no news";
   moment.bft = true;
   look();
   EXPECT_EQ(taken(), Lines{"The blocks are now made by ada, ben, eve, under BFT"});
   moment.producers.insert(format::AccountNumber("gus"));
   look();
   EXPECT_EQ(taken(), Lines{"The blocks are now made by ada, ben, eve, gus, under BFT"});
   pass(10, {ben, eve, format::AccountNumber("gus")}, true);
   EXPECT_EQ(taken(), Lines());
}

} // namespace polis::node
