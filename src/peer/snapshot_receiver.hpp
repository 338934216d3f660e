// Takes in a snapshot from one link at a time, and goes on with it on another when that one ends.
// Source: spec, consensus §6 Y6, Y8.
#pragma once

#include "peer/routes.hpp"
#include "peer/snapshot_offer.hpp"

#include <expected>
#include <optional>
#include <string>

namespace polis::peer {

/// What becomes of a snapshot that comes in; the node's part. Nothing of it is used before all of it is checked.
class SnapshotSink {
public:
   virtual ~SnapshotSink() = default;
   /// Whether this node would rather have a state than blocks.
   virtual bool wanted() const = 0;
   /// A new snapshot begins: forget all rows and headers.
   virtual void begin() = 0;
   /// Headers begin anew, rows stay.
   virtual void beginHeaders() = 0;
   /// Errors: why the headers are not believed.
   [[nodiscard]] virtual std::expected<void, std::string> header(format::SignedBlock header) = 0;
   virtual void rows(std::uint32_t db, std::vector<consensus::SnapshotRowData> rows) = 0;
   /// All of it has come. Ends with `Network::snapshotChecked`, later.
   virtual void finish(consensus::SnapshotVerify seal) = 0;
};

/// Pure. Time in microseconds. What an error says is why the link is to be closed.
class SnapshotReceiver {
public:
   struct Limits {
      std::uint64_t bytesMax = std::uint64_t{64} << 30;
      std::size_t headerBytesMax = std::size_t{64} << 20;
      std::size_t keyBytesMax = 1024;
      /// A link may take so long to begin with, and so long for each `paceBytes`.
      std::int64_t paceUs = 10'000'000;
      std::uint64_t paceBytes = std::uint64_t{1} << 20;
   };

   SnapshotReceiver(SnapshotSink* sink, Limits limits) : sink_(sink), limits_(limits) {}

   /// The link that sends, or whose snapshot is being checked.
   std::optional<PeerId> source() const { return source_; }

   using Done = std::expected<void, std::string>;
   [[nodiscard]] Done header(PeerId from, format::SignedBlock header, std::size_t bytes, std::int64_t nowUs);
   [[nodiscard]] Done part(PeerId from, consensus::SnapshotPart part);
   [[nodiscard]] Done verify(PeerId from, consensus::SnapshotVerify seal);

   /// The link is no more. What has come stays, for another one to go on.
   void closed(PeerId peer);
   /// The verdict on what `finish` was told.
   void checked(bool good);
   /// Of what has come, not all is by one link: if it is bad, nobody knows whose fault that is.
   bool several() const { return several_; }
   /// The link that is too slow.
   std::optional<PeerId> late(std::int64_t nowUs) const;
   /// For a new link: what is here already.
   std::optional<consensus::SnapshotResume> resume() const;

private:
   enum class Step : std::uint8_t { headers, rows, checking };
   using Place = SnapshotOffer::Place;

   void forget();

   SnapshotSink* sink_;
   const Limits limits_;
   std::optional<PeerId> source_;
   std::int64_t sinceUs_ = 0;
   std::uint64_t linkBytes_ = 0; ///< of rows, on this link
   std::uint64_t again_ = 0;     ///< those of them that were here already
   Step step_ = Step::headers;
   std::size_t headerBytes_ = 0;
   // Of what has come so far.
   consensus::BlockId block_{};
   std::optional<Place> place_ = Place{};
   std::uint64_t bytes_ = 0;
   bool several_ = false;
   /// No longer, once links together have made a bad one.
   bool mayResume_ = true;
};

} // namespace polis::peer
