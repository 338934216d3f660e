#include "node/held_blocks.hpp"

#include "format/ids.hpp"

#include <gtest/gtest.h>

namespace polis::node {

namespace {

consensus::BlockReceived block(consensus::PeerId from, format::BlockNum num, std::size_t bytes,
                               std::uint32_t term = 0) {
   format::SignedBlock out;
   out.block.header.blockNum = num;
   out.block.header.term = term;
   out.signature.resize(bytes);
   return {from, std::make_shared<const format::SignedBlock>(std::move(out))};
}

std::optional<consensus::PeerId> add(HeldBlocks& held, const consensus::BlockReceived& block) {
   return held.add(format::blockId(block.block->block.header), block);
}

} // namespace

TEST(HeldBlocksTest, parentsComeFirst) {
   HeldBlocks held;
   for (const format::BlockNum num : {7u, 5u, 6u})
      EXPECT_EQ(add(held, block(1, num, 10)), std::nullopt);
   held.dropUpTo(5);
   std::vector<format::BlockNum> nums;
   while (const auto next = held.take([](const auto&) { return true; }))
      nums.push_back(next->block->block.header.blockNum);
   EXPECT_EQ(nums, (std::vector<format::BlockNum>{6, 7}));
   EXPECT_FALSE(held.take([](const auto&) { return true; }));
}

TEST(HeldBlocksTest, whoSendsMostBytesIsLetGoAndNobodyElse) {
   HeldBlocks held({.blocksMax = 100, .bytesMax = 20'000});
   const auto honest = block(1, 5, 5000);
   EXPECT_EQ(add(held, honest), std::nullopt);
   std::optional<consensus::PeerId> gone;
   for (std::uint32_t i = 1; !gone; ++i) {
      ASSERT_LT(i, 10u);
      gone = add(held, block(2, 6, 3000, i));
   }
   EXPECT_EQ(gone, 2u);
   EXPECT_TRUE(held.contains(format::blockId(honest.block->block.header)));
   // What has gone takes no more room.
   for (std::uint32_t i = 1; i < 5; ++i)
      EXPECT_EQ(add(held, block(3, 6, 3000, i)), std::nullopt);
   EXPECT_EQ(add(held, block(3, 6, 3000, 4)), std::nullopt) << "nothing is held twice";
}

TEST(HeldBlocksTest, theyAreFew) {
   HeldBlocks held({.blocksMax = 8, .bytesMax = 1 << 20});
   EXPECT_EQ(add(held, block(1, 5, 0)), std::nullopt);
   for (std::uint32_t i = 0; i < 7; ++i)
      EXPECT_EQ(add(held, block(2, 6, 0, i)), std::nullopt);
   EXPECT_EQ(add(held, block(1, 7, 0)), 2u);
}

} // namespace polis::node
