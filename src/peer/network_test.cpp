#include "peer/network.hpp"
#include "peer/test_chain_view.hpp"

#include <gtest/gtest.h>

namespace polis::peer {

namespace {

struct NetworkTest : testing::Test {
   TestChainView view;
   Limits limits;
   std::optional<Network> network;

   void begin() {
      view.producers = {AccountNumber("a"), AccountNumber("b")};
      network.emplace(AccountNumber("a"), 1, view, limits);
      network->setProducers(view.producers);
   }
   void connect(PeerId peer) {
      network->opened(peer, 0);
      network->frame(peer, consensus::encode(consensus::InitMessage{}), 0);
      (void)network->take();
   }
   template <class T>
   std::vector<T> taken() {
      std::vector<T> found;
      for (auto& output : network->take())
         if (auto* item = std::get_if<T>(&output))
            found.push_back(std::move(*item));
      return found;
   }
};

Bytes transaction(std::size_t bytes) {
   return consensus::encode(consensus::WasmProducerMessage{Bytes(bytes), AccountNumber("b"), {}}, {});
}

} // namespace

TEST_F(NetworkTest, aLinkBeginsWithInitThenRoutesThenHello) {
   begin();
   network->opened(5, 0);
   std::vector<consensus::MessageType> types;
   for (const auto& send : taken<SendFrame>())
      types.push_back(*consensus::typeOf(send.frame));
   EXPECT_EQ(types, (std::vector{consensus::MessageType::init, consensus::MessageType::routeUpdate,
                                 consensus::MessageType::hello}));
}

TEST_F(NetworkTest, anythingBeforeInitOrAnotherVersionClosesTheLink) {
   begin();
   network->opened(5, 0);
   network->frame(5, consensus::encode(consensus::HelloMessage{beginning, true}), 0);
   EXPECT_EQ(taken<CloseLink>().size(), 1u);
   network->opened(6, 0);
   network->frame(6, consensus::encode(consensus::InitMessage{1}), 0);
   EXPECT_EQ(taken<CloseLink>().size(), 1u);
   network->opened(7, 0);
   network->tick(limits.initUs + 1);
   EXPECT_EQ(taken<CloseLink>().size(), 1u);
   EXPECT_EQ(network->links(), 0u);
}

TEST_F(NetworkTest, aChainThatIsMadeHereEndsTheLinks) {
   begin();
   connect(5);
   connect(6);
   network->frame(5, consensus::encode(consensus::HelloMessage{beginning, true}), 0);
   (void)network->take();
   // The peer has said its last Hello: on this link it would never tell again where it stands.
   network->chainReplaced();
   EXPECT_EQ(network->links(), 0u);
   EXPECT_EQ(taken<CloseLink>().size(), 2u);
}

TEST_F(NetworkTest, whoIsBehindANodeIsToldToItsNeighbours) {
   begin();
   connect(5);
   const Introduction self{AccountNumber("a"), {{AccountNumber("verify-sig"), {1, 2}}}};
   network->introduce(self);
   const auto told = taken<SendFrame>();
   ASSERT_EQ(told.size(), 1u);
   network->introduce(self);
   EXPECT_EQ(taken<SendFrame>().size(), 0u);
   // Whoever comes later hears it too.
   network->opened(6, 0);
   EXPECT_EQ(taken<SendFrame>().back().frame, told.front().frame);
   // Read as it was said, and forgotten with the link.
   network->frame(5, told.front().frame, 0);
   EXPECT_EQ(network->introductions(), std::vector{self});
   network->closed(5, 0);
   EXPECT_EQ(network->introductions(), std::vector<Introduction>());
   connect(7);
   network->frame(7, Bytes{told.front().frame[0], 1, 2, 3}, 0);
   EXPECT_EQ(taken<CloseLink>().size(), 1u);
   // Of more keys than a node may have nothing is kept.
   connect(8);
   Introduction many{AccountNumber("b"), std::vector<format::Claim>(Introduction::keysMax + 1)};
   auto frame = format::pack(many);
   frame.insert(frame.begin(), told.front().frame[0]);
   network->frame(8, frame, 0);
   EXPECT_EQ(taken<CloseLink>().size(), 1u);
}

TEST_F(NetworkTest, aPeerThatDoesNotReadIsSentNoMoreThanTheWindow) {
   limits.sendWindowBytes = 4096;
   limits.unsentBytesMax = 64 * 1024;
   view.grow(500);
   view.committedNum = view.head().num;
   begin();
   connect(5);
   network->frame(5, consensus::encode(consensus::HelloMessage{beginning, true}), 0);
   std::size_t bytes = 0;
   for (const auto& send : taken<SendFrame>())
      bytes += send.frame.size();
   EXPECT_GE(bytes, 3000u);
   EXPECT_LE(bytes, 8192u);
   network->written(5);
   EXPECT_FALSE(taken<SendFrame>().empty());
   // Votes are sent at once; who reads none of them is cut off.
   for (int i = 0; i < 100; ++i)
      network->flood({Bytes(1024), std::nullopt});
   EXPECT_EQ(taken<CloseLink>().size(), 1u);
}

TEST_F(NetworkTest, blocksFarAheadOfExecutionStopTheReading) {
   limits.aheadBlocksMax = 8;
   begin();
   connect(5);
   TestChainView other;
   other.grow(10);
   for (BlockNum n = 2; n <= 9; ++n) {
      EXPECT_TRUE(network->mayRead(5, 1)) << n;
      view.memory[*other.onChain(n)] = other.chain[n - 2];
      network->frame(5, *other.blockFrame(n), 1);
   }
   EXPECT_EQ(taken<ToConsensus>().size(), 8u);
   EXPECT_FALSE(network->mayRead(5, 1));
   view.add(other.chain[0]);
   network->chainChanged();
   EXPECT_TRUE(network->mayRead(5, 1));
}

TEST_F(NetworkTest, blocksThatNobodyKeepsDoNotCountAsAhead) {
   limits.aheadBlocksMax = 8;
   begin();
   connect(5);
   TestChainView other;
   other.grow(10);
   for (BlockNum n = 2; n <= 9; ++n)
      network->frame(5, *other.blockFrame(n), 1);
   network->chainChanged();
   EXPECT_TRUE(network->mayRead(5, 1));
}

TEST_F(NetworkTest, nestedEnvelopesAreRefused) {
   begin();
   connect(5);
   const auto inner = consensus::encode(consensus::RoutingEnvelope{AccountNumber("a"), {1}});
   network->frame(5, consensus::encode(consensus::RoutingEnvelope{AccountNumber("a"), inner}), 0);
   EXPECT_EQ(taken<CloseLink>().size(), 1u);
}

TEST_F(NetworkTest, transactionsOfANeighbourAreLimited) {
   limits.transactionBytesBurst = 10'000;
   limits.transactionBytesPerSec = 1000;
   begin();
   connect(5);
   const auto frame = consensus::encode(consensus::RoutingEnvelope{AccountNumber("a"), transaction(4000)});
   for (int i = 0; i < 5; ++i)
      network->frame(5, frame, 0);
   EXPECT_EQ(taken<TransactionFrame>().size(), 2u);
   network->frame(5, frame, 4'000'000);
   EXPECT_EQ(taken<TransactionFrame>().size(), 1u);
   EXPECT_EQ(network->links(), 1u);
}

TEST_F(NetworkTest, aTransactionForAnotherGoesOnTowardsIt) {
   begin();
   connect(5);
   connect(6);
   network->frame(6, consensus::encode(consensus::RouteUpdate{AccountNumber("b"), 0, 0, 9}), 0);
   (void)network->take();
   network->frame(5, consensus::encode(consensus::RoutingEnvelope{AccountNumber("b"), transaction(10)}), 0);
   const auto sent = taken<SendFrame>();
   ASSERT_EQ(sent.size(), 1u);
   EXPECT_EQ(sent[0].to, 6u);
   // Never back to where it came from.
   network->frame(6, consensus::encode(consensus::RoutingEnvelope{AccountNumber("b"), transaction(10)}), 0);
   EXPECT_TRUE(taken<SendFrame>().empty());
}

TEST_F(NetworkTest, aVoteWaitsUntilThePeerHasTheBlock) {
   begin();
   connect(5);
   network->frame(5, consensus::encode(consensus::RouteUpdate{AccountNumber("b"), 0, 0, 9}), 0);
   network->frame(5, consensus::encode(consensus::HelloMessage{beginning, true}), 0);
   (void)network->take();
   TestChainView next;
   next.grow(1);
   const BlockId id = *next.onChain(2);
   network->send(consensus::SendToProducer{AccountNumber("b"), {38, 1}, id});
   EXPECT_TRUE(taken<SendFrame>().empty());
   view.add(next.chain[0]);
   network->chainChanged();
   const auto sent = taken<SendFrame>();
   ASSERT_EQ(sent.size(), 2u);
   EXPECT_EQ(consensus::typeOf(sent[0].frame), consensus::MessageType::block);
   EXPECT_EQ(consensus::typeOf(sent[1].frame), consensus::MessageType::routingEnvelope);
}

} // namespace polis::peer
