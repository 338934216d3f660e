#include "peer/snapshot_receiver.hpp"

#include <algorithm>

namespace polis::peer {

namespace {

std::unexpected<std::string> bad(std::string why) { return std::unexpected(std::move(why)); }

} // namespace

void SnapshotReceiver::forget() {
   block_ = {};
   place_ = Place{};
   bytes_ = 0;
   several_ = false;
}

SnapshotReceiver::Done SnapshotReceiver::header(PeerId from, format::SignedBlock header, std::size_t bytes,
                                                std::int64_t nowUs) {
   if (!source_) {
      if (!sink_->wanted())
         return bad("it sends a snapshot, and this node has no need of one");
      source_ = from;
      sinceUs_ = nowUs;
      linkBytes_ = again_ = 0;
      step_ = Step::headers;
      headerBytes_ = 0;
      sink_->beginHeaders();
   }
   if (step_ != Step::headers || !header.block.transactions.empty())
      return bad("it sends a header where none is due");
   headerBytes_ += bytes;
   if (headerBytes_ > limits_.headerBytesMax)
      return bad("the headers of its snapshot are too long");
   if (auto taken = sink_->header(std::move(header)); !taken)
      return bad("its snapshot is refused: " + taken.error());
   return {};
}

SnapshotReceiver::Done SnapshotReceiver::part(PeerId from, consensus::SnapshotPart part) {
   if (source_ != from || step_ == Step::checking)
      return bad("it sends a part of a snapshot where none is due");
   if (step_ == Step::headers) {
      step_ = Step::rows;
      if (part.blockId != block_) {
         forget();
         block_ = part.blockId;
         sink_->begin();
      } else if (bytes_ > 0) {
         several_ = true;
      }
   }
   if (part.blockId != block_ || part.blockId == consensus::BlockId{})
      return bad("the parts of its snapshot are of several blocks");
   const auto& rows = part.rows;
   if (!isInSnapshot(part.db) || (!part.highKey.empty() && part.highKey <= part.lowKey) ||
       std::ranges::adjacent_find(rows, [](const auto& a, const auto& b) { return a.key >= b.key; }) != rows.end() ||
       (!rows.empty() &&
        (rows.front().key < part.lowKey || (!part.highKey.empty() && rows.back().key >= part.highKey))) ||
       std::ranges::any_of(rows, [&](const auto& row) { return row.key.size() > limits_.keyBytesMax; }))
      return bad("a part of its snapshot is malformed");
   const std::optional<Place> end = placeBehind(part);
   // Who does not know what is here sends from the beginning.
   const auto bytesOf = [](const auto& rows) {
      std::uint64_t out = 0;
      for (const auto& row : rows)
         out += row.key.size() + row.value.size();
      return out;
   };
   if (!place_ || (end && *end <= *place_)) {
      again_ += bytesOf(rows);
      if (again_ <= bytes_)
         linkBytes_ += bytesOf(rows);
      return {};
   }
   if (Place{part.db, part.lowKey} > *place_)
      return bad("a part of its snapshot is missing");
   std::erase_if(part.rows, [&](const auto& row) { return Place{part.db, row.key} < *place_; });
   bytes_ += bytesOf(part.rows);
   linkBytes_ += bytesOf(part.rows);
   if (bytes_ > limits_.bytesMax)
      return bad("its snapshot is too long");
   place_ = end;
   sink_->rows(part.db, std::move(part.rows));
   return {};
}

SnapshotReceiver::Done SnapshotReceiver::verify(PeerId from, consensus::SnapshotVerify seal) {
   if (source_ != from || step_ != Step::rows || seal.blockId != block_)
      return bad("it ends a snapshot that it did not begin");
   if (place_)
      return bad("its snapshot ends too soon");
   step_ = Step::checking;
   sink_->finish(std::move(seal));
   return {};
}

void SnapshotReceiver::closed(PeerId peer) {
   // What is being checked goes on without it.
   if (source_ != peer || step_ == Step::checking)
      return;
   source_.reset();
   if (!mayResume_)
      forget();
}

void SnapshotReceiver::checked(bool good) {
   mayResume_ = good || !several_;
   source_.reset();
   forget();
}

std::optional<PeerId> SnapshotReceiver::late(std::int64_t nowUs) const {
   const auto allowed = limits_.paceUs + static_cast<std::int64_t>(linkBytes_ / limits_.paceBytes) * limits_.paceUs;
   return source_ && step_ != Step::checking && nowUs - sinceUs_ > allowed ? source_ : std::nullopt;
}

std::optional<consensus::SnapshotResume> SnapshotReceiver::resume() const {
   if (source_ || bytes_ == 0 || !place_)
      return std::nullopt;
   return consensus::SnapshotResume{block_, place_->db, place_->key};
}

} // namespace polis::peer
