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
      network->frame(5, *other.blockFrame(n), 1);
      view.memory[*other.onChain(n)] = other.chain[n - 2];
   }
   EXPECT_EQ(taken<ToConsensus>().size(), 8u);
   EXPECT_FALSE(network->mayRead(5, 1));
   view.add(other.chain[0]);
   network->chainChanged();
   EXPECT_TRUE(network->mayRead(5, 1));
}

TEST_F(NetworkTest, blocksBesideTheChainCountAsAhead) {
   limits.aheadBlocksMax = 8;
   view.grow(3);
   begin();
   connect(5);
   for (std::uint32_t term = 1; term <= 8; ++term) {
      EXPECT_TRUE(network->mayRead(5, 1)) << term;
      TestChainView other;
      other.grow(1, term);
      network->frame(5, *other.blockFrame(2), 1);
      view.memory[*other.onChain(2)] = other.chain[0];
      network->chainChanged();
   }
   EXPECT_FALSE(network->mayRead(5, 1));
   view.committedNum = 2;
   network->chainChanged();
   EXPECT_TRUE(network->mayRead(5, 1));
}

TEST_F(NetworkTest, aQuestionThatIsAskedWithoutEndIsAnsweredNowAndThen) {
   limits.questionsBurst = 5;
   limits.questionsPerSec = 2;
   begin();
   connect(5);
   for (int i = 0; i < 100; ++i)
      network->frame(5, consensus::encode(consensus::RequestViewMessage{}), 0);
   EXPECT_EQ(taken<ToConsensus>().size(), 5u);
   for (int i = 0; i < 100; ++i)
      network->frame(5, consensus::encode(consensus::RequestRoutes{}), 1'000'000);
   EXPECT_LE(taken<SendFrame>().size(), 2u);
   EXPECT_EQ(network->links(), 1u);
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

TEST_F(NetworkTest, whatAThirdSendsForAPeerDoesNotEndTheLinkToIt) {
   limits.relayWindowBytes = 10'000;
   limits.unsentBytesMax = 20'000;
   begin();
   connect(5);
   connect(6);
   network->written(6);
   network->frame(6, consensus::encode(consensus::RouteUpdate{AccountNumber("b"), 0, 0, 9}), 0);
   (void)network->take();
   const auto frame = consensus::encode(consensus::RoutingEnvelope{AccountNumber("b"), transaction(4000)});
   for (int i = 0; i < 10; ++i)
      network->frame(5, frame, 0);
   std::size_t sent = 0;
   for (auto& output : network->take()) {
      EXPECT_FALSE(std::get_if<CloseLink>(&output));
      sent += std::get_if<SendFrame>(&output) != nullptr;
   }
   EXPECT_EQ(sent, 2u);
   // When it reads again it gets more.
   network->written(6);
   network->frame(5, frame, 0);
   EXPECT_EQ(taken<SendFrame>().size(), 1u);
}

TEST_F(NetworkTest, whatWaitsForABlockIsLittle) {
   limits.deferredBytesMax = 10'000;
   begin();
   connect(5);
   connect(6);
   network->frame(6, consensus::encode(consensus::RouteUpdate{AccountNumber("b"), 0, 0, 9}), 0);
   network->frame(6, consensus::encode(consensus::HelloMessage{beginning, true}), 0);
   (void)network->take();
   TestChainView next;
   next.grow(1);
   const BlockId id = *next.onChain(2);
   // Whoever makes them up: it is not known here whether they are signed.
   const auto vote = [&](std::size_t bytes) {
      return consensus::encode(consensus::RoutingEnvelope{
          AccountNumber("b"), consensus::encode(consensus::PrepareMessage{id, AccountNumber("b"), {}}, Bytes(bytes))});
   };
   for (int i = 0; i < 5; ++i)
      network->frame(5, vote(4000), 0);
   network->frame(5, vote(11'000), 0);
   for (int i = 0; i < 2; ++i)
      network->frame(5, vote(3000), 0);
   EXPECT_TRUE(taken<SendFrame>().empty());
   view.add(next.chain[0]);
   network->chainChanged();
   EXPECT_EQ(taken<SendFrame>().size(), 1u + 2u) << "the block, and the newest votes";
}

TEST_F(NetworkTest, whatIsLongIsNotEvenRead) {
   begin();
   PeerId last = 10;
   const auto closes = [&](const Bytes& frame) {
      connect(++last);
      network->frame(last, frame, 0);
      std::size_t closed = 0, told = 0;
      for (auto& output : network->take()) {
         closed += std::get_if<CloseLink>(&output) != nullptr;
         told += std::get_if<ToConsensus>(&output) != nullptr;
      }
      EXPECT_LE(closed + told, 1u);
      EXPECT_TRUE(closed || told);
      return closed == 1;
   };
   const auto vote = [&](std::size_t bytes) {
      return consensus::encode(consensus::PrepareMessage{{}, AccountNumber("b"), {}}, Bytes(bytes));
   };
   const auto change = [&](std::size_t entries) {
      consensus::ViewChangeMessage out{1, AccountNumber("b"), {}, {}, 0, {}, std::nullopt};
      out.prepares.resize(entries, {AccountNumber("b"), Bytes(64)});
      return consensus::encode(out, Bytes(64));
   };
   EXPECT_FALSE(closes(vote(5000)));
   EXPECT_TRUE(closes(vote(limits.voteBytesMax)));
   // Two sets, of a hundred each.
   EXPECT_FALSE(closes(change(200)));
   EXPECT_TRUE(closes(change(10'000)));
   // Whoever passes on what a third has sent is not to blame.
   connect(5);
   network->frame(5, consensus::encode(consensus::RoutingEnvelope{AccountNumber("a"), change(10'000)}), 0);
   EXPECT_TRUE(network->take().empty());
   EXPECT_EQ(network->links(), 3u);
}

TEST_F(NetworkTest, whatNobodyWantsOfABlockIsNotLookedAt) {
   view.grow(4);
   view.committedNum = 3;
   begin();
   connect(5);
   TestChainView other = view;
   other.grow(2);
   // Its transaction does not even unpack.
   const auto send = [&](format::SignedBlock block) {
      block.block.transactions.resize(1);
      network->frame(5, consensus::encode(consensus::BlockMessage{std::move(block)}), 0);
      return network->take();
   };
   EXPECT_TRUE(send(view.chain[1]).empty()) << "irreversible";
   EXPECT_TRUE(send(view.chain[3]).empty()) << "known";
   EXPECT_TRUE(send(other.chain[5]).empty()) << "on nothing";
   auto proven = view.chain[3];
   proven.auxConsensusData = Bytes{1};
   const auto known = send(proven);
   ASSERT_EQ(known.size(), 1u);
   ASSERT_TRUE(std::get_if<KnownBlock>(&known[0]));
   EXPECT_EQ(std::get<KnownBlock>(known[0]).event.block->auxConsensusData, Bytes{1});
   const auto wanted = send(other.chain[4]);
   ASSERT_EQ(wanted.size(), 1u);
   EXPECT_TRUE(std::get_if<CloseLink>(&wanted[0]));
}

TEST_F(NetworkTest, aLongBlockIsLookedIntoWhenItsAuthorHasMadeIt) {
   view.grow(4);
   begin();
   TestChainView other = view;
   other.grow(1);
   auto block = other.chain.back();
   block.block.transactions.push_back({format::Nested<format::Transaction>(format::Transaction()), {}, {}});
   block.block.transactions[0].proofs.emplace_back(limits.trustedBlockBytes);
   for (const bool forged : {true, false}) {
      connect(5);
      block.signature = {forged ? TestChainView::forged : std::uint8_t{1}};
      auto frame = consensus::encode(consensus::BlockMessage{block});
      network->frame(5, frame, 0);
      const auto out = network->take();
      ASSERT_EQ(out.size(), 1u);
      EXPECT_EQ(std::get_if<CloseLink>(&out[0]) != nullptr, forged);
      EXPECT_EQ(std::get_if<ToConsensus>(&out[0]) != nullptr, !forged);
   }
   EXPECT_EQ(view.checks, 2u);
   // Of a short one consensus finds out.
   block.block.transactions.clear();
   block.signature = {TestChainView::forged};
   network->frame(5, consensus::encode(consensus::BlockMessage{block}), 0);
   EXPECT_EQ(taken<ToConsensus>().size(), 1u);
   EXPECT_EQ(view.checks, 2u);
}

TEST_F(NetworkTest, whoSendsForgedMessagesIsLeft) {
   limits.forgeriesBurst = 10;
   begin();
   connect(5);
   std::int64_t now = 0;
   // One now and then may be an accident.
   for (int i = 0; i < 100; ++i)
      network->forged(5, now += 1'000'000);
   EXPECT_EQ(network->links(), 1u);
   for (int i = 0; i < 20; ++i)
      network->forged(5, now);
   const auto closed = taken<CloseLink>();
   ASSERT_EQ(closed.size(), 1u);
   EXPECT_EQ(closed[0].reason, "it sends messages that are forged");
}

TEST_F(NetworkTest, nothingForgedIsPassedOn) {
   limits.forgeriesBurst = 10;
   begin();
   connect(5);
   connect(6);
   network->frame(6, consensus::encode(consensus::RouteUpdate{AccountNumber("b"), 0, 0, 9}), 0);
   (void)network->take();
   const auto send = [&](AccountNumber to, Bytes signature) {
      const auto vote =
          consensus::encode(consensus::ConfirmMessage{1, AccountNumber("b"), 2, {}}, std::move(signature));
      network->frame(5, consensus::encode(consensus::RoutingEnvelope{to, vote}), 0);
   };
   // One vote for many is checked once.
   for (int i = 0; i < 5; ++i)
      send(AccountNumber("b"), {1});
   EXPECT_EQ(taken<SendFrame>().size(), 5u);
   EXPECT_EQ(view.checks, 1u);
   // What cannot be passed on is not checked.
   send(AccountNumber("nobody"), {2});
   EXPECT_EQ(view.checks, 1u);
   for (int i = 0; i < 20; ++i)
      send(AccountNumber("b"), {TestChainView::forged, static_cast<std::uint8_t>(i)});
   std::size_t closed = 0;
   for (auto& output : network->take()) {
      EXPECT_FALSE(std::get_if<SendFrame>(&output));
      closed += std::get_if<CloseLink>(&output) != nullptr;
   }
   EXPECT_EQ(closed, 1u);
   EXPECT_EQ(network->links(), 1u);
}

TEST_F(NetworkTest, whatIsKeptUnreadIsShort) {
   begin();
   const consensus::StateChecksumMessage state{{}, {}, {AccountNumber("b"), {}, Bytes(limits.voteBytesMax)}};
   connect(5);
   network->frame(5, consensus::encode(state), 0);
   EXPECT_EQ(taken<CloseLink>().size(), 1u);
   connect(6);
   network->frame(6, consensus::encode(consensus::SnapshotResume{{}, 0, Bytes(limits.snapshot.keyBytesMax + 1)}), 0);
   EXPECT_EQ(taken<CloseLink>().size(), 1u);
}

TEST_F(NetworkTest, whoHasMostLinksGivesWay) {
   limits.linksMax = 6;
   begin();
   const auto arrives = [&](PeerId peer, std::optional<Source> source) {
      network->opened(peer, 0, source);
      std::vector<PeerId> out;
      for (const auto& close : taken<CloseLink>())
         out.push_back(close.peer);
      EXPECT_EQ(network->links(), std::min<std::size_t>(peer, limits.linksMax));
      return out;
   };
   using Peers = std::vector<PeerId>;
   EXPECT_EQ(arrives(1, std::nullopt), Peers());
   EXPECT_EQ(arrives(2, 70), Peers());
   for (const PeerId peer : {3u, 4u, 5u, 6u})
      EXPECT_EQ(arrives(peer, 66), Peers());
   // One that floods keeps nobody out, nor itself in anew.
   EXPECT_EQ(arrives(7, 66), Peers{7});
   EXPECT_EQ(arrives(8, 71), Peers{6});
   EXPECT_EQ(arrives(9, std::nullopt), Peers{5});
   EXPECT_EQ(arrives(10, std::nullopt), Peers{4});
   // Nobody has more than another: who was there first stays, but this node's own wishes come first.
   EXPECT_EQ(arrives(11, 72), Peers{11});
   EXPECT_EQ(arrives(12, std::nullopt), Peers{8});
   EXPECT_EQ(arrives(13, std::nullopt), Peers{3});
   EXPECT_EQ(arrives(14, std::nullopt), Peers{2});
   EXPECT_EQ(arrives(15, std::nullopt), Peers{15});
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
