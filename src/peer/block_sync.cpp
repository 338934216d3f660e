#include "peer/block_sync.hpp"

#include "format/ids.hpp"

#include <algorithm>

namespace polis::peer {

std::optional<Bytes> BlockSync::next() {
   awaitedArrived();
   if (!helloDone_)
      return sayHello();
   if (sending_)
      return sendSnapshot();
   if (!common_)
      return std::nullopt;
   if (!votes_.empty()) {
      Bytes frame = std::move(votes_.front());
      votes_.pop_front();
      return frame;
   }
   common_ = settle(*common_);
   // What the peer sent need not go back to it.
   for (auto at = received_.rbegin(); at != received_.rend(); ++at)
      if (at->num > common_->num && view_->onChain(at->num) == at->id) {
         common_ = *at;
         break;
      }
   if (common_->num >= view_->head().num)
      return std::nullopt;
   const BlockNum num = common_->num + 1;
   const auto id = view_->onChain(num);
   auto frame = view_->blockFrame(num);
   if (!id || !frame)
      return std::nullopt;
   common_ = ExtendedBlockId{*id, num};
   for (Bytes& vote : view_->votes(*id))
      votes_.push_back(std::move(vote));
   return frame;
}

Bytes BlockSync::sayHello() {
   nextHello_ = std::max(std::min(nextHello_, view_->head().num), view_->logStart());
   consensus::HelloMessage message;
   message.xid = beginning;
   message.committed = true;
   if (nextHello_ > 1)
      if (const auto id = view_->onChain(nextHello_)) {
         message.xid = {*id, nextHello_};
         message.committed = nextHello_ <= view_->committed().num;
      }
   helloDone_ = message.committed;
   if (!helloDone_)
      --nextHello_;
   return consensus::encode(message);
}

std::expected<void, std::string> BlockSync::hello(const consensus::HelloMessage& message) {
   const ExtendedBlockId& peer = message.xid;
   if (++hellos_ > hellosMax)
      return std::unexpected("it searches for a common block without end");
   const bool genesis = peer.id == BlockId{};
   if (genesis ? peer.num > 1 : (peer.num < 2 || format::blockNumOf(peer.id) != peer.num))
      return std::unexpected("a Hello names a block at a height that it does not have");
   if ((genesis || message.committed) && !common_ && !sending_ && wantsSnapshot(peer.num)) {
      sending_ = Sending{.offer = view_->snapshot()};
      if (resume_ && resume_->blockId == sending_->offer->block().id)
         sending_->place = SnapshotOffer::Place{resume_->db, resume_->key};
   } else if ((genesis || message.committed) && peer.num < view_->logStart()) {
      return std::unexpected("it needs blocks from before block " + std::to_string(view_->logStart()) +
                             ", which are not kept here, and there is no snapshot to begin from");
   } else if (genesis) {
      found(beginning);
   } else if (view_->onChain(peer.num) == peer.id || view_->knows(peer.id)) {
      found(settle(peer));
   } else if (message.committed) {
      if (peer.num <= view_->committed().num)
         return std::unexpected("it is on another chain");
      awaited_ = peer;
   }
   if (!helloDone_)
      nextHello_ = std::min(nextHello_, std::max<BlockNum>(peer.num, 1));
   return {};
}

bool BlockSync::wantsSnapshot(BlockNum num) const {
   const auto offer = view_->snapshot();
   if (!offer || offer->block().num <= num)
      return false;
   return num < view_->logStart() || (num <= beginning.num && offer->stateBytes() < offer->blockBytes());
}

Bytes BlockSync::sendSnapshot() {
   Sending& to = *sending_;
   if (to.headers < to.offer->headers().size())
      return to.offer->headers()[to.headers++];
   if (to.place)
      return consensus::encode(to.offer->part(to.place));
   common_ = settle(to.offer->block());
   Bytes frame = consensus::encode(to.offer->seal());
   sending_.reset();
   return frame;
}

void BlockSync::found(ExtendedBlockId block) {
   if (!common_ || block.num > common_->num)
      common_ = block;
}

ExtendedBlockId BlockSync::settle(ExtendedBlockId block) const {
   const ExtendedBlockId committed = view_->committed();
   while (block.num > committed.num && view_->onChain(block.num) != block.id) {
      const auto parent = view_->parent(block.id);
      if (!parent || parent->num >= block.num)
         return committed;
      block = *parent;
   }
   // Below the irreversible block there is one chain alone; what lies elsewhere was forgotten.
   if (block.num <= committed.num && view_->onChain(block.num) != block.id)
      return committed;
   return block;
}

void BlockSync::awaitedArrived() {
   if (awaited_ && (view_->onChain(awaited_->num) == awaited_->id || view_->knows(awaited_->id))) {
      found(settle(*awaited_));
      awaited_.reset();
   }
}

void BlockSync::received(const ExtendedBlockId& block) {
   if (received_.size() == receivedMax)
      received_.pop_front();
   received_.push_back(block);
   awaitedArrived();
}

bool BlockSync::peerHas(const BlockId& id) const {
   if (std::ranges::any_of(received_, [&](const auto& r) { return r.id == id; }))
      return true;
   const BlockNum num = format::blockNumOf(id);
   return common_ && num <= common_->num && view_->onChain(num) == id;
}

} // namespace polis::peer
