#include "format/in_force.hpp"

#include <gtest/gtest.h>

namespace polis::format {
namespace {

using namespace literals;

const Claim keyA{"verify-sig"_a, {1}}, keyB{"verify-sig"_a, {2}}, keyNew{"verify-sig"_a, {3}};

Consensus cft(std::vector<Producer> producers) { return {CftConsensus{std::move(producers)}, {}, {}}; }
Consensus bft(std::vector<Producer> producers) { return {BftConsensus{std::move(producers)}, {}, {}}; }

/// From block 20 on, `a` and `b` under CFT are to become `b` and `c` under BFT.
const JointConsensus joint{cft({{"a"_a, keyA}, {"b"_a, keyB}}),
                           PendingConsensus{bft({{"b"_a, keyNew}, {"c"_a, {}}}), 20}};

} // namespace

TEST(InForce, jointConsensusIsOverForTheChildrenOfTheBlockThatSaysTheChangeIsIrreversible) {
   EXPECT_EQ(inForceAfter(joint, 19), joint);
   EXPECT_EQ(inForceAfter(joint, 20), (JointConsensus{joint.next->consensus, std::nullopt}));
   EXPECT_EQ(inForceAfter(joint, 25), inForceAfter(joint, 20));
   const JointConsensus settled{joint.current, std::nullopt};
   EXPECT_EQ(inForceAfter(settled, 25), settled);

   StatusRow status;
   status.consensus = joint;
   EXPECT_EQ(inForceAfter(status), joint); // no head: nothing is irreversible
   status.head.emplace();
   status.head->header.commitNum = 20;
   EXPECT_EQ(inForceAfter(status), inForceAfter(joint, 20));
}

TEST(InForce, anAuthorIsOfTheOldSetOrElseOfTheNew) { // H2
   EXPECT_EQ(authorClaim(joint, "a"_a), keyA);
   EXPECT_EQ(authorClaim(joint, "b"_a), keyB);
   EXPECT_EQ(authorClaim(joint, "c"_a), Claim{});
   EXPECT_EQ(authorClaim(joint, "d"_a), std::nullopt);
   const JointConsensus after = inForceAfter(joint, 20);
   EXPECT_EQ(authorClaim(after, "a"_a), std::nullopt);
   EXPECT_EQ(authorClaim(after, "b"_a), keyNew);
   // Anybody where there is nobody, and none to come.
   EXPECT_EQ(authorClaim({}, "d"_a), Claim{});
   EXPECT_EQ(authorClaim({cft({}), joint.next}, "d"_a), std::nullopt);
   EXPECT_EQ(authorClaim({cft({}), joint.next}, "b"_a), keyNew);
}

TEST(InForce, oneProducerIsEnoughOnlyWhereNobodyElseIsToCome) { // H9
   EXPECT_TRUE(isSingleProducer({}));
   EXPECT_TRUE(isSingleProducer({cft({}), joint.next}));
   EXPECT_TRUE(isSingleProducer({bft({{"a"_a, keyA}}), std::nullopt}));
   EXPECT_FALSE(isSingleProducer({bft({{"a"_a, keyA}}), joint.next}));
   EXPECT_FALSE(isSingleProducer({bft({{"a"_a, keyA}, {"b"_a, keyB}}), std::nullopt}));
   EXPECT_FALSE(isSingleProducer({bft({{"a"_a, keyA}, {"a"_a, keyA}}), std::nullopt}));
}

} // namespace polis::format
