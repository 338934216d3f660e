// A version as a stream of chunks, and back: for snapshots, copies, another machine.
//
// A chunk holds every entry from one position to the next, and says which; so chunks can be asked for one by one, from
// any holder of the same version, and a stream broken off goes on where it ended. A checksum finds what was damaged on
// the way. It proves nothing about who made it: for that compare Version::merkle afterwards, or ask for
// Version::prove of the same keys.
#pragma once

#include "store/proof.hpp"
#include "store/writer.hpp"

namespace polis::store {

/// Bounds of one chunk, in bytes.
inline constexpr std::size_t chunkBytesMin = std::size_t{8} << 10, chunkBytesMax = std::size_t{16} << 20;

/// Where a stream goes on: at byte `offset` of the value of `key`, or with the first entry behind it.
struct StreamPosition {
   Bytes key;
   std::uint32_t offset = 0;
   bool operator==(const StreamPosition&) const = default;
};

/// Writes a version down, chunk by chunk. One thread at a time.
class Exporter {
public:
   /// What is in `ranges`, which ascend and do not touch one another, from `from` on. Chunks of at most `chunkBytes`,
   /// between the bounds above.
   Exporter(Version version, std::vector<KeyRange> ranges, std::size_t chunkBytes, StreamPosition from = {});

   /// True when the last chunk has been made. There is at least one.
   bool done() const { return done_; }
   /// Requires !done().
   Bytes next();
   const StreamPosition& position() const { return position_; }

private:
   const Version version_;
   const std::vector<KeyRange> ranges_;
   const std::size_t chunkBytes_;
   StreamPosition position_;
   bool done_ = false;
};

/// Puts what chunks hold into a writer's state. One thread at a time. The chunks may come from anybody.
class Importer {
public:
   /// The same `ranges`, and `from` where an earlier importer into this state ended, as resumeAt() told; at the start
   /// the writer has nothing in them. The writer outlives the importer and is used by nobody else meanwhile.
   Importer(Writer& writer, std::vector<KeyRange> ranges, StreamPosition from = {});

   /// Refuses a chunk that is damaged, that does not begin at position(), or has keys out of order or outside of the
   /// ranges; it has changed nothing then, and another may be tried. Requires !done(). Faults: disk full; the importer
   /// is of no more use then.
   [[nodiscard]] std::expected<void, Rejection> add(ByteView chunk);
   /// True when the last chunk was added.
   bool done() const { return done_; }
   /// Where the next chunk has to begin.
   const StreamPosition& position() const { return position_; }
   /// Where to go on with another importer from the writer's present state. It lies behind position() as far as a value
   /// has come in part only.
   StreamPosition resumeAt() const { return {position_.key, 0}; }
   /// Entries put so far.
   std::uint64_t count() const { return count_; }

private:
   Writer& writer_;
   const std::vector<KeyRange> ranges_;
   StreamPosition position_;
   /// What has come of the value at position_.
   Bytes part_;
   /// Its whole length.
   std::uint32_t partOf_ = 0;
   std::uint64_t count_ = 0;
   bool done_ = false;
};

} // namespace polis::store
