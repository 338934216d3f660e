#include "peer/block_sync.hpp"
#include "peer/test_chain_view.hpp"

#include <gtest/gtest.h>

namespace polis::peer {

namespace {

/// Two ends that hand each other frames; the follower of a block adds it to its chain when it fits.
struct Pair {
   TestChainView views[2];
   std::optional<BlockSync> ends[2];
   int hellos[2] = {0, 0};
   std::string problem;

   void connect() {
      for (int i = 0; i < 2; ++i)
         ends[i].emplace(views[i]);
   }

   void take(int to, const Bytes& frame) {
      if (auto hello = consensus::decode<consensus::HelloMessage>(frame)) {
         ++hellos[1 - to];
         if (auto ok = ends[to]->hello(*hello); !ok)
            problem = ok.error();
      } else if (auto block = consensus::decode<consensus::BlockMessage>(frame)) {
         auto& view = views[to];
         const auto& header = block->block.block.header;
         EXPECT_TRUE(header.previous == BlockId{} || view.knows(header.previous)) << "a block without its parent";
         view.memory[format::blockId(header)] = block->block;
         if (header.previous == view.head().id)
            view.add(block->block);
         ends[to]->received(TestChainView::idOf(block->block));
      }
   }

   /// Until neither has anything to say.
   void run() {
      for (bool any = true; any && problem.empty();) {
         any = false;
         for (int i = 0; i < 2; ++i)
            if (auto frame = ends[i]->next()) {
               any = true;
               take(1 - i, *frame);
            }
      }
   }
};

} // namespace

TEST(BlockSync, aFreshNodeGetsEverything) {
   Pair pair;
   pair.views[0].grow(30);
   pair.views[0].committedNum = 31;
   pair.connect();
   pair.run();
   EXPECT_EQ(pair.problem, "");
   EXPECT_EQ(pair.views[1].head(), pair.views[0].head());
   EXPECT_TRUE(pair.ends[0]->ready());
   EXPECT_TRUE(pair.ends[1]->ready()); // the irreversible block that was announced has arrived
}

TEST(BlockSync, blocksGoOnAsTheyAreMade) {
   Pair pair;
   pair.views[0].grow(3);
   pair.connect();
   pair.run();
   pair.views[0].grow(2);
   pair.run();
   EXPECT_EQ(pair.views[1].head(), pair.views[0].head());
   // What came from the other side is not sent back to it.
   EXPECT_EQ(pair.ends[1]->next(), std::nullopt);
}

TEST(BlockSync, forksMeetAtTheNewestCommonBlock) {
   Pair pair;
   for (auto& view : pair.views) {
      view.grow(10);
      view.committedNum = 5;
   }
   const ExtendedBlockId common = pair.views[0].head();
   pair.views[0].grow(4, 1);
   pair.views[1].grow(6, 2);
   pair.connect();
   pair.run();
   EXPECT_EQ(pair.problem, "");
   EXPECT_TRUE(pair.ends[0]->ready() && pair.ends[1]->ready());
   // Each has the other's branch, from the common block on, and nothing below was sent.
   EXPECT_TRUE(pair.views[0].knows(pair.views[1].head().id));
   EXPECT_TRUE(pair.views[1].knows(pair.views[0].head().id));
   EXPECT_TRUE(pair.ends[0]->peerHas(common.id));
}

TEST(BlockSync, aForkSwitchGoesBackToTheCommonBlock) {
   Pair pair;
   pair.views[0].grow(10);
   pair.views[0].committedNum = 3;
   pair.connect();
   pair.run();
   pair.views[0].cut(6);
   pair.views[0].grow(7, 9);
   pair.run();
   EXPECT_TRUE(pair.views[1].knows(pair.views[0].head().id));
}

TEST(BlockSync, anotherChainIsRefused) {
   Pair pair;
   pair.views[0].grow(10, 1);
   pair.views[1].grow(10, 2);
   pair.views[0].committedNum = pair.views[1].committedNum = 11;
   pair.connect();
   pair.run();
   EXPECT_EQ(pair.problem, "it is on another chain");
}

TEST(BlockSync, aHelloAtAFalseHeightIsRefused) {
   TestChainView view;
   view.grow(5);
   BlockSync sync(view);
   EXPECT_FALSE(sync.hello({{*view.onChain(3), 4}, true}));
   EXPECT_FALSE(sync.hello({{BlockId{}, 3}, true}));
   EXPECT_TRUE(sync.hello({{*view.onChain(3), 3}, true}));
}

TEST(BlockSync, aSearchWithoutEndIsRefused) {
   TestChainView view;
   view.grow(5);
   BlockSync sync(view);
   consensus::HelloMessage hello{{*view.onChain(3), 3}, false};
   for (std::uint32_t i = 0; i < BlockSync::hellosMax; ++i)
      ASSERT_TRUE(sync.hello(hello));
   EXPECT_FALSE(sync.hello(hello));
}

TEST(BlockSync, whatIsNoLongerKeptCannotBeAskedFor) {
   TestChainView view;
   view.grow(5);
   view.start = 4;
   BlockSync sync(view);
   EXPECT_FALSE(sync.hello({beginning, true}));
   BlockSync again(view);
   EXPECT_FALSE(again.hello({{*view.onChain(3), 3}, true}));
   // Whoever has the block with which the log begins gets the rest.
   BlockSync last(view);
   EXPECT_TRUE(last.hello({{*view.onChain(4), 4}, true}));
}

TEST(BlockSync, aChainBegunFromASnapshotGoesOn) {
   Pair pair;
   pair.views[0].grow(30);
   pair.views[0].committedNum = 31;
   pair.views[1] = pair.views[0];
   pair.views[1].cut(20);
   pair.views[1].committedNum = pair.views[1].start = 20;
   pair.connect();
   pair.run();
   EXPECT_EQ(pair.problem, "");
   EXPECT_EQ(pair.views[1].head(), pair.views[0].head());
   EXPECT_EQ(pair.hellos[1], 1);
}

} // namespace polis::peer
