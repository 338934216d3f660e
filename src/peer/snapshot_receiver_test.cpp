#include "peer/network.hpp"
#include "peer/test_chain_view.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>

namespace polis::peer {

namespace {

using consensus::BlockHeaderMessage;
using consensus::SnapshotPart;
using consensus::SnapshotResume;
using consensus::SnapshotVerify;

Bytes word(std::string_view text) { return toBytes(asBytes(text)); }

/// Rows "a" to "f" of both databases, one to a part.
class TestOffer final : public SnapshotOffer {
public:
   explicit TestOffer(ExtendedBlockId block) : block_(block) {
      format::SignedBlock genesis;
      genesis.block.header.blockNum = 2;
      headers_.push_back(consensus::encode(BlockHeaderMessage{genesis}));
   }
   ExtendedBlockId block() const override { return block_; }
   std::uint64_t stateBytes() const override { return bytes; }
   std::uint64_t blockBytes() const override { return 1000; }
   const std::vector<Bytes>& headers() const override { return headers_; }
   SnapshotPart part(std::optional<Place>& place) const override {
      SnapshotPart out{block_.id, place->db, place->key, {}, {}};
      const Bytes key = place->key.empty() ? word("a") : place->key;
      out.rows.push_back({key, word("value")});
      if (key[0] < 'f') {
         out.highKey = Bytes{static_cast<std::uint8_t>(key[0] + 1)};
         place = Place{place->db, out.highKey};
      } else if (place->db == 0) {
         place = Place{2, {}};
      } else {
         place.reset();
      }
      return out;
   }
   SnapshotVerify seal() const override { return {block_.id, {}, {}}; }

   std::uint64_t bytes = 10;

private:
   ExtendedBlockId block_;
   std::vector<Bytes> headers_;
};

struct TestSink final : SnapshotSink {
   bool wanted() const override { return wants; }
   void begin() override {
      ++begun;
      got.clear();
   }
   void beginHeaders() override { headers = 0; }
   std::expected<void, std::string> header(format::SignedBlock) override {
      if (refuses)
         return std::unexpected("it is forged");
      ++headers;
      return {};
   }
   void rows(std::uint32_t db, std::vector<consensus::SnapshotRowData> rows) override {
      for (const auto& row : rows)
         EXPECT_TRUE(got.emplace(db, row.key).second) << "twice";
   }
   void finish(SnapshotVerify seal) override { finished = seal.blockId; }

   bool wants = true, refuses = false;
   int begun = 0, headers = 0;
   std::set<std::pair<std::uint32_t, Bytes>> got;
   std::optional<BlockId> finished;
};

struct SnapshotTest : testing::Test {
   TestChainView view; ///< of the newcomer
   TestSink sink;
   Limits limits;
   std::optional<Network> network;
   std::shared_ptr<TestOffer> offer;

   void SetUp() override {
      network.emplace(AccountNumber("a"), 1, view, limits, &sink);
      TestChainView other;
      other.grow(50);
      offer = std::make_shared<TestOffer>(other.head());
   }
   std::vector<Bytes> connect(PeerId peer) {
      network->opened(peer, 0);
      network->frame(peer, consensus::encode(consensus::InitMessage{}), 0);
      std::vector<Bytes> sent;
      for (auto& output : network->take())
         if (auto* send = std::get_if<SendFrame>(&output))
            sent.push_back(std::move(send->frame));
      return sent;
   }
   /// What a peer sends, from a place on.
   std::vector<Bytes> frames(std::optional<SnapshotOffer::Place> place = SnapshotOffer::Place{}) const {
      auto out = offer->headers();
      while (place)
         out.push_back(consensus::encode(offer->part(place)));
      out.push_back(consensus::encode(offer->seal()));
      return out;
   }
   void send(PeerId peer, const std::vector<Bytes>& list, std::size_t from, std::size_t to) {
      for (; from < std::min(to, list.size()); ++from)
         network->frame(peer, list[from], 0);
   }
   std::vector<std::string> closed() {
      std::vector<std::string> out;
      for (auto& output : network->take())
         if (auto* close = std::get_if<CloseLink>(&output))
            out.push_back(close->reason);
      return out;
   }
   static std::optional<SnapshotResume> resumeIn(const std::vector<Bytes>& sent) {
      for (const auto& frame : sent)
         if (consensus::typeOf(frame) == consensus::MessageType::snapshotResume)
            return *consensus::decode<SnapshotResume>(frame);
      return std::nullopt;
   }
};

} // namespace

TEST_F(SnapshotTest, comesInWhole) {
   connect(1);
   send(1, frames(), 0, 100);
   EXPECT_EQ(sink.finished, offer->block().id);
   EXPECT_EQ(sink.got.size(), 12u);
   EXPECT_EQ(sink.headers, 1);
   network->snapshotChecked({}, 0);
   EXPECT_TRUE(closed().empty());
}

TEST_F(SnapshotTest, goesOnFromAnotherPeerWhereTheFirstOneEnded) {
   connect(1);
   send(1, frames(), 0, 5);
   network->closed(1, 0);
   const auto resume = resumeIn(connect(2));
   ASSERT_TRUE(resume);
   EXPECT_EQ(resume->blockId, offer->block().id);
   EXPECT_EQ(resume->key, word("e"));
   send(2, frames(SnapshotOffer::Place{resume->db, resume->key}), 0, 100);
   EXPECT_EQ(sink.begun, 1);
   EXPECT_EQ(sink.got.size(), 12u);
   EXPECT_TRUE(sink.finished);

   // If it is bad, it may be the fault of either; the next time each sends all of it.
   network->snapshotChecked(std::unexpected(std::string("forged")), 0);
   const auto reasons = closed();
   ASSERT_EQ(reasons.size(), 1u);
   EXPECT_NE(reasons[0].find("asked for anew"), std::string::npos) << reasons[0];
   connect(3);
   send(3, frames(), 0, 5);
   network->closed(3, 0);
   EXPECT_FALSE(resumeIn(connect(4)));
   send(4, frames(), 0, 100);
   EXPECT_EQ(sink.begun, 3);
   EXPECT_EQ(sink.got.size(), 12u);
   network->snapshotChecked(std::unexpected(std::string("forged")), 0);
   EXPECT_EQ(closed(), std::vector<std::string>{"its snapshot is refused: forged"});
}

TEST_F(SnapshotTest, whoDoesNotKnowWhatIsHereMaySendAllOfIt) {
   connect(1);
   send(1, frames(), 0, 8);
   network->closed(1, 0);
   connect(2);
   send(2, frames(), 0, 100);
   EXPECT_EQ(sink.got.size(), 12u);
   EXPECT_TRUE(sink.finished);
}

TEST_F(SnapshotTest, oneAtATimeAndTheNextWhenItFails) {
   connect(1);
   connect(2);
   const auto list = frames();
   send(1, list, 0, 3);
   send(2, list, 0, 1);
   EXPECT_FALSE(network->mayRead(2, 0));
   EXPECT_TRUE(network->mayRead(1, 0));
   // The first one is a liar.
   send(1, {consensus::encode(SnapshotVerify{offer->block().id, {}, {}})}, 0, 1);
   EXPECT_EQ(closed(), std::vector<std::string>{"its snapshot ends too soon"});
   EXPECT_TRUE(network->mayRead(2, 0));
   send(2, list, 1, 100);
   EXPECT_TRUE(sink.finished);
   EXPECT_EQ(sink.got.size(), 12u);
}

TEST_F(SnapshotTest, whoSendsItTooSlowlyIsLetGo) {
   connect(1);
   connect(2);
   const auto list = frames();
   send(1, list, 0, 2);
   send(2, list, 0, 1);
   network->tick(limits.snapshot.paceUs);
   EXPECT_TRUE(closed().empty());
   network->tick(limits.snapshot.paceUs + 1);
   EXPECT_EQ(closed(), std::vector<std::string>{"it sends its snapshot too slowly"});
   send(2, list, 1, 100);
   EXPECT_TRUE(sink.finished);
}

TEST_F(SnapshotTest, whatIsMalformedClosesTheLink) {
   const auto id = offer->block().id;
   const auto row = [](std::string_view key) { return consensus::SnapshotRowData{word(key), {}}; };
   const std::vector<std::pair<SnapshotPart, const char*>> bad{
       {{{}, 0, {}, {}, {}}, "several blocks"},           {{id, 1, {}, {}, {}}, "malformed"},
       {{id, 0, word("b"), word("a"), {}}, "malformed"},  {{id, 0, {}, {}, {row("b"), row("a")}}, "malformed"},
       {{id, 0, {}, word("b"), {row("b")}}, "malformed"}, {{id, 0, {}, {}, {row(std::string(2000, 'k'))}}, "malformed"},
       {{id, 0, word("b"), {}, {}}, "missing"},           {{id, 2, {}, {}, {}}, "missing"}};
   PeerId peer = 0;
   for (const auto& [part, reason] : bad) {
      connect(++peer);
      send(peer, offer->headers(), 0, 1);
      network->frame(peer, consensus::encode(part), 0);
      const auto reasons = closed();
      ASSERT_EQ(reasons.size(), 1u) << reason;
      EXPECT_NE(reasons[0].find(reason), std::string::npos) << reasons[0];
   }
   // Nothing but headers comes first, and none that is refused.
   connect(++peer);
   send(peer, frames(), 1, 2);
   EXPECT_EQ(closed().size(), 1u);
   sink.refuses = true;
   connect(++peer);
   send(peer, frames(), 0, 1);
   EXPECT_EQ(closed(), std::vector<std::string>{"its snapshot is refused: it is forged"});
   sink.refuses = false;
   sink.wants = false;
   connect(++peer);
   send(peer, frames(), 0, 1);
   EXPECT_EQ(closed().size(), 1u);
   EXPECT_FALSE(sink.finished);
}

TEST_F(SnapshotTest, noMoreThanTheLimit) {
   limits.snapshot.bytesMax = 20;
   network.emplace(AccountNumber("a"), 1, view, limits, &sink);
   connect(1);
   send(1, frames(), 0, 100);
   EXPECT_EQ(closed(), std::vector<std::string>{"its snapshot is too long"});
}

// ---- the other side -------------------------------------------------------------------------------------------------

namespace {

struct OfferTest : testing::Test {
   TestChainView view;
   std::shared_ptr<TestOffer> offer;
   void SetUp() override {
      view.grow(50);
      view.committedNum = 50;
      offer = std::make_shared<TestOffer>(ExtendedBlockId{*view.onChain(40), 40});
      view.offered = offer;
   }
   /// Types of what is sent to a peer whose newest irreversible block is this.
   std::vector<consensus::MessageType> sentTo(ExtendedBlockId peer, std::optional<SnapshotResume> resume = {}) {
      BlockSync sync(view);
      if (resume)
         sync.resume(*resume);
      while (sync.next()) {
      }
      if (const auto ok = sync.hello({peer, true}); !ok)
         return {};
      std::vector<consensus::MessageType> out;
      while (const auto frame = sync.next())
         out.push_back(*consensus::typeOf(*frame));
      return out;
   }
   static auto count(const std::vector<consensus::MessageType>& list, consensus::MessageType type) {
      return std::ranges::count(list, type);
   }
};

using Type = consensus::MessageType;

} // namespace

TEST_F(OfferTest, goesToANewcomerWhenItIsSmallerThanTheBlocks) {
   const auto sent = sentTo(beginning);
   ASSERT_GE(sent.size(), 14u);
   EXPECT_EQ(sent[0], Type::blockHeader);
   EXPECT_EQ(count(sent, Type::snapshotPart), 12);
   EXPECT_EQ(sent[13], Type::snapshotVerify);
   EXPECT_EQ(count(sent, Type::block), 11); // 41 to 51
   offer->bytes = 2000;
   EXPECT_EQ(count(sentTo(beginning), Type::block), 50);
   EXPECT_EQ(count(sentTo(beginning), Type::snapshotPart), 0);
}

TEST_F(OfferTest, goesToWhoeverNeedsBlocksThatAreGone) {
   const ExtendedBlockId early{*view.onChain(10), 10}, late{*view.onChain(30), 30};
   EXPECT_EQ(count(sentTo(early), Type::block), 41);
   view.start = 20;
   EXPECT_EQ(count(sentTo(early), Type::snapshotPart), 12);
   EXPECT_EQ(count(sentTo(late), Type::block), 21);
   view.offered.reset();
   BlockSync sync(view);
   const auto told = sync.hello({early, true});
   ASSERT_FALSE(told);
   EXPECT_NE(told.error().find("before block 20"), std::string::npos) << told.error();
}

TEST_F(OfferTest, goesOnWhereThePeerIs) {
   EXPECT_EQ(count(sentTo(beginning, SnapshotResume{offer->block().id, 2, word("d")}), Type::snapshotPart), 3);
   EXPECT_EQ(count(sentTo(beginning, SnapshotResume{*view.onChain(39), 2, word("d")}), Type::snapshotPart), 12);
}

} // namespace polis::peer
