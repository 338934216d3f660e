// Bytes of a hostile peer: nothing that it sends may crash the node or make it hold more than the limits say.
#include "base/assert.hpp"
#include "peer/network.hpp"
#include "peer/test_chain_view.hpp"

#include <map>

namespace {

using namespace polis;

/// One part of each database, of the block 15 of the chain.
class Offer final : public peer::SnapshotOffer {
public:
   explicit Offer(peer::ExtendedBlockId block) : block_(block) {}
   peer::ExtendedBlockId block() const override { return block_; }
   std::uint64_t stateBytes() const override { return 1; }
   std::uint64_t blockBytes() const override { return 2; }
   const std::vector<Bytes>& headers() const override { return headers_; }
   consensus::SnapshotPart part(std::optional<Place>& place) const override {
      consensus::SnapshotPart out{block_.id, place->db, place->key, {}, {}};
      place = place->db < 2 ? std::optional(Place{2, {}}) : std::nullopt;
      return out;
   }
   consensus::SnapshotVerify seal() const override { return {block_.id, {}, {}}; }

private:
   peer::ExtendedBlockId block_;
   std::vector<Bytes> headers_{Bytes{44}};
};

/// Holds the receiver to its word: rows ascend, come once, and end before the snapshot does.
class Sink final : public peer::SnapshotSink {
public:
   bool wanted() const override { return true; }
   void begin() override {
      last_.reset();
      bytes_ = 0;
   }
   void beginHeaders() override {}
   std::expected<void, std::string> header(format::SignedBlock header) override {
      if (header.block.header.term == 7)
         return std::unexpected("refused");
      return {};
   }
   void rows(std::uint32_t db, std::vector<consensus::SnapshotRowData> rows) override {
      ASSERT(!finished);
      for (auto& row : rows) {
         std::pair at(db, std::move(row.key));
         ASSERT(!last_ || *last_ < at);
         bytes_ += at.second.size() + row.value.size();
         last_ = std::move(at);
      }
      ASSERT(bytes_ <= bytesMax);
   }
   void finish(consensus::SnapshotVerify) override {
      ASSERT(!finished);
      finished = true;
   }

   static constexpr std::uint64_t bytesMax = 1 << 16;
   bool finished = false;

private:
   std::optional<std::pair<std::uint32_t, Bytes>> last_;
   std::uint64_t bytes_ = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   peer::TestChainView view;
   view.grow(20);
   view.offered = std::make_shared<Offer>(peer::ExtendedBlockId{*view.onChain(15), 15});
   // The first byte chooses whether blocks are missing at the beginning.
   if (size > 0 && (data[0] & 0x80))
      view.start = 10;
   Sink sink;
   peer::Limits limits;
   limits.snapshot.bytesMax = Sink::bytesMax;
   view.producers = {format::AccountNumber("a"), format::AccountNumber("b")};
   peer::Network network(format::AccountNumber("a"), 1, view, limits, &sink);
   network.setProducers(view.producers);
   network.opened(1, 0);
   network.opened(2, 0);
   network.frame(1, consensus::encode(consensus::InitMessage{}), 0);
   network.frame(2, consensus::encode(consensus::InitMessage{}), 0);
   // Into the middle of a snapshot at once.
   if (size > 0 && (data[0] & 0x40))
      network.frame(1, consensus::encode(consensus::BlockHeaderMessage{}), 0);
   // u16 length, then a frame; the lowest bit of the length says on which link.
   std::int64_t now = 0;
   while (size >= 2) {
      const std::size_t length = std::min<std::size_t>((data[0] | std::size_t{data[1]} << 8) >> 1, size - 2);
      network.frame(1 + (data[0] & 1), ByteView(data + 2, length), now += 1000);
      (void)network.take();
      network.written(1);
      network.chainChanged();
      if (std::exchange(sink.finished, false))
         network.snapshotChecked(
             length % 2 == 0 ? std::expected<void, std::string>() : std::unexpected(std::string("forged")), now);
      if (length % 16 == 0)
         network.tick(now += 300'000);
      data += 2 + length;
      size -= 2 + length;
   }
   (void)network.take();
   return 0;
}
