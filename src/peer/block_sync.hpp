// Block sync on one link: the two ends find their newest common block, then each sends what it has above it.
// Source: spec, consensus §6.
#pragma once

#include "peer/chain_view.hpp"

#include <deque>
#include <expected>
#include <optional>
#include <string>

namespace polis::peer {

/// One link's state. Pure; holds no blocks.
class BlockSync {
public:
   /// Hellos a peer may send before it is told to go: more than any honest search takes.
   static constexpr std::uint32_t hellosMax = 20'000;
   /// Blocks remembered as received from the peer.
   static constexpr std::size_t receivedMax = 1024;

   /// view outlives this.
   explicit BlockSync(const ChainView& view) : view_(&view), nextHello_(view.head().num) {}

   /// The frame to send next, if there is one now: a Hello while the search lasts, then blocks and what follows them.
   std::optional<Bytes> next();

   /// Errors: the peer is on another chain, or sends nonsense; the link is to be closed.
   [[nodiscard]] std::expected<void, std::string> hello(const consensus::HelloMessage& message);

   /// What the peer has of a snapshot; before its Hello.
   void resume(consensus::SnapshotResume message) { resume_ = std::move(message); }

   /// The peer sent this block, so it has it.
   void received(const ExtendedBlockId& block);

   /// The common block is known on this side, and the peer can find it.
   bool ready() const { return common_ && helloDone_; }
   /// Whether the peer has the block, as far as is known here.
   bool peerHas(const BlockId& id) const;
   /// The newest block that was sent, or the common one.
   std::optional<ExtendedBlockId> lastSent() const { return common_; }

private:
   Bytes sayHello();
   void found(ExtendedBlockId block);
   /// The nearest ancestor, or the block itself, on the chain of head.
   ExtendedBlockId settle(ExtendedBlockId block) const;
   void awaitedArrived();
   /// Whether the peer, whose newest irreversible block is at this height, needs a snapshot, or is better served by
   /// one.
   bool wantsSnapshot(BlockNum num) const;
   Bytes sendSnapshot();

   const ChainView* view_;
   BlockNum nextHello_;
   bool helloDone_ = false;
   std::uint32_t hellos_ = 0;
   /// The common block, then the last one sent.
   std::optional<ExtendedBlockId> common_;
   /// Irreversible at the peer, and not known here yet.
   std::optional<ExtendedBlockId> awaited_;
   std::deque<ExtendedBlockId> received_;
   std::deque<Bytes> votes_;
   /// A snapshot on its way to the peer.
   struct Sending {
      std::shared_ptr<const SnapshotOffer> offer;
      std::size_t headers = 0; ///< sent so far
      std::optional<SnapshotOffer::Place> place = SnapshotOffer::Place{};
   };
   std::optional<Sending> sending_;
   std::optional<consensus::SnapshotResume> resume_;
};

} // namespace polis::peer
