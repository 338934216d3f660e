// A state that a node can give to another one, piece by piece. Source: spec, consensus §6 Y5 to Y7.
#pragma once

#include "consensus/messages.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <vector>

namespace polis::peer {

/// Immutable; any thread.
class SnapshotOffer {
public:
   /// Where the rows go on: with the first key of the database that is not less. In the order of the parts.
   struct Place {
      std::uint32_t db = 0;
      Bytes key{};
      friend auto operator<=>(const Place&, const Place&) = default;
   };

   virtual ~SnapshotOffer() = default;
   virtual consensus::ExtendedBlockId block() const = 0;
   /// Of its keys and values.
   virtual std::uint64_t stateBytes() const = 0;
   /// Of the blocks from genesis to it.
   virtual std::uint64_t blockBytes() const = 0;
   /// Headers that show who the producers are at the block, from that of genesis on, heights ascending; frames.
   virtual const std::vector<Bytes>& headers() const = 0;
   /// The rows from a place on, as many as go into one part. `place` moves behind them; none: these were the last.
   virtual consensus::SnapshotPart part(std::optional<Place>& place) const = 0;
   virtual consensus::SnapshotVerify seal() const = 0;
};

/// The databases of a snapshot, in their order.
inline constexpr std::uint32_t snapshotDatabases[] = {0, 2};
inline bool isInSnapshot(std::uint32_t db) {
   return std::ranges::find(snapshotDatabases, db) != std::end(snapshotDatabases);
}

/// Where the rows go on behind a part, whose database is one of these. None: it is the last one.
inline std::optional<SnapshotOffer::Place> placeBehind(const consensus::SnapshotPart& part) {
   if (!part.highKey.empty())
      return SnapshotOffer::Place{part.db, part.highKey};
   const auto* next = std::ranges::find(snapshotDatabases, part.db) + 1;
   return next == std::end(snapshotDatabases) ? std::nullopt : std::optional(SnapshotOffer::Place{*next, {}});
}

} // namespace polis::peer
