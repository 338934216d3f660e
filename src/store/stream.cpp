#include "store/stream.hpp"

#include "base/fault.hpp"
#include "store/crc32c.hpp"
#include "store/node.hpp"
#include "store/reader.hpp"

namespace polis::store {

using namespace detail;

namespace {

// A chunk: magic, checksum over all that follows, 1 when it is the last, where it begins, where it ends (not in the
// last), entries. Position: length of the key (2 bytes), key, offset (4). Entry: length of the key (2), of the value
// (4), of the piece of it that is here (4), key, piece. Only the first piece may begin, and only the last one end,
// within a value; where, the chunk's own begin and end tell.
constexpr std::uint32_t magic = 0x3143'5350; // "PSC1"
constexpr std::size_t checkedFrom = 8, positionBytesMax = 2 + keyBytesMax + 4, entryHeadBytes = 2 + 4 + 4;
constexpr std::size_t chunkHeadBytesMax = checkedFrom + 1 + 2 * positionBytesMax;
static_assert(chunkHeadBytesMax + entryHeadBytes + keyBytesMax < chunkBytesMin);

void appendPosition(Bytes& out, const StreamPosition& position) {
   appendNumber(out, static_cast<std::uint16_t>(position.key.size()));
   append(out, position.key);
   appendNumber(out, position.offset);
}

StreamPosition readPosition(Reader& reader) {
   StreamPosition out;
   out.key = toBytes(reader.bytes(reader.number<std::uint16_t>()));
   out.offset = reader.number<std::uint32_t>();
   return out;
}

void checkRanges(const std::vector<KeyRange>& ranges) {
   for (std::size_t i = 0; i + 1 < ranges.size(); ++i)
      ASSERT(ranges[i].high && compare(*ranges[i].high, ranges[i + 1].low) <= 0);
}

/// Entries of some ranges, in order.
class RangesCursor {
public:
   RangesCursor(const Version& version, const std::vector<KeyRange>& ranges, ByteView from)
      : ranges_(ranges), at_(version.cursor()) {
      at_.seek(from);
      settle();
   }
   std::optional<Entry> entry() const { return at_.valid() ? std::optional(at_.entry()) : std::nullopt; }
   void next() {
      at_.next();
      settle();
   }

private:
   void settle() {
      for (; at_.valid() && range_ < ranges_.size(); ++range_) {
         const KeyRange& range = ranges_[range_];
         if (compare(at_.entry().key, range.low) < 0 && !at_.seek(range.low))
            return;
         if (range.contains(at_.entry().key))
            return;
      }
      at_ = Cursor({});
   }

   const std::vector<KeyRange>& ranges_;
   Cursor at_;
   std::size_t range_ = 0;
};

} // namespace

Exporter::Exporter(Version version, std::vector<KeyRange> ranges, std::size_t chunkBytes, StreamPosition from)
   : version_(std::move(version)), ranges_(std::move(ranges)),
     chunkBytes_(std::clamp(chunkBytes, chunkBytesMin, chunkBytesMax)), position_(std::move(from)) {
   checkRanges(ranges_);
}

Bytes Exporter::next() {
   ASSERT(!done_);
   RangesCursor at(version_, ranges_, position_.key);
   // A part of a value that is not there cannot be gone on with: from its beginning then.
   if (const auto first = at.entry();
       !first || !same(first->key, position_.key) || first->value.size() <= position_.offset)
      position_.offset = 0;
   StreamPosition end = position_;
   const std::size_t room = chunkBytes_ - chunkHeadBytesMax;
   Bytes entries;
   for (;; at.next()) {
      const auto entry = at.entry();
      done_ = !entry;
      if (done_)
         break;
      if (!same(entry->key, end.key))
         end = {toBytes(entry->key), 0};
      const std::size_t head = entryHeadBytes + entry->key.size();
      ByteView piece = entry->value.subspan(end.offset);
      // Only what would not fit a chunk of its own is cut.
      if (entries.size() + head + piece.size() > room) {
         if (head + piece.size() <= room || entries.size() + head >= room)
            break;
         piece = piece.first(room - entries.size() - head);
      }
      appendNumber(entries, static_cast<std::uint16_t>(entry->key.size()));
      appendNumber(entries, static_cast<std::uint32_t>(entry->value.size()));
      appendNumber(entries, static_cast<std::uint32_t>(piece.size()));
      append(entries, entry->key);
      append(entries, piece);
      const std::size_t upTo = end.offset + piece.size();
      end.offset = 0;
      if (upTo < entry->value.size()) {
         end.offset = static_cast<std::uint32_t>(upTo);
         break;
      }
   }
   Bytes checked;
   checked.push_back(done_);
   appendPosition(checked, position_);
   if (!done_)
      appendPosition(checked, end);
   append(checked, entries);
   Bytes chunk;
   appendNumber(chunk, magic);
   appendNumber(chunk, crc32c(0, checked));
   append(chunk, checked);
   position_ = std::move(end);
   return chunk;
}

Importer::Importer(Writer& writer, std::vector<KeyRange> ranges, StreamPosition from)
   : writer_(writer), ranges_(std::move(ranges)), position_(std::move(from)) {
   checkRanges(ranges_);
   ASSERT(position_.offset == 0);
   for (const KeyRange& range : ranges_) {
      const KeyRange open{std::max(range.low, position_.key), range.high};
      if (writer_.rangeCount(open.low, open.high ? std::optional<ByteView>(*open.high) : std::nullopt))
         throw Fault("import: there are entries already");
   }
}

std::expected<void, Rejection> Importer::add(ByteView chunk) {
   ASSERT(!done_);
   const auto refuse = [](const char* reason) { return std::unexpected(Rejection{reason}); };
   if (chunk.size() > chunkBytesMax)
      return refuse("chunk too long");
   Reader reader(chunk);
   if (reader.number<std::uint32_t>() != magic)
      return refuse("no chunk of a store's stream");
   if (reader.number<std::uint32_t>() != crc32c(0, reader.rest()) || reader.failed())
      return refuse("chunk damaged");
   const auto last = reader.number<std::uint8_t>();
   const StreamPosition begin = readPosition(reader), end = last ? StreamPosition() : readPosition(reader);
   if (reader.failed() || last > 1)
      return refuse("chunk too short");
   if (begin != position_)
      return refuse("chunk that does not begin where the one before ended");
   if (end.key.size() > keyBytesMax)
      return refuse("chunk with a key too long");

   struct Piece {
      ByteView key, bytes;
      std::uint32_t valueBytes;
   };
   std::vector<Piece> pieces;
   std::uint64_t upTo = 0;
   for (auto range = ranges_.begin(); !reader.done();) {
      const auto keyBytes = reader.number<std::uint16_t>();
      const auto valueBytes = reader.number<std::uint32_t>(), pieceBytes = reader.number<std::uint32_t>();
      const ByteView key = reader.bytes(keyBytes), bytes = reader.bytes(pieceBytes);
      if (reader.failed())
         return refuse("chunk too short");
      if (keyBytes > keyBytesMax || valueBytes > valueBytesMax)
         return refuse("chunk with an entry too long");
      const bool goesOn = pieces.empty() && begin.offset > 0;
      if (pieces.empty() ? compare(key, begin.key) < 0 : compare(key, pieces.back().key) <= 0)
         return refuse("chunk with keys out of order");
      while (range != ranges_.end() && range->high && compare(key, *range->high) >= 0)
         ++range;
      if (range == ranges_.end() || !range->contains(key))
         return refuse("chunk with a key that was not asked for");
      if (goesOn && (!same(key, begin.key) || valueBytes != partOf_))
         return refuse("chunk that does not go on with the value begun");
      if (!pieces.empty() && upTo != pieces.back().valueBytes)
         return refuse("chunk with a value cut within it");
      upTo = (goesOn ? begin.offset : 0u) + std::uint64_t{pieceBytes};
      if (upTo > valueBytes)
         return refuse("chunk with more than a value");
      pieces.push_back({key, bytes, valueBytes});
   }
   const bool cut = !pieces.empty() && upTo < pieces.back().valueBytes;
   if (last ? cut || (pieces.empty() && begin.offset > 0) : pieces.empty())
      return refuse("chunk that lacks what should be in it");
   if (!last && (cut ? !same(end.key, pieces.back().key) || end.offset != upTo || pieces.back().bytes.empty()
                     : compare(end.key, pieces.back().key) <= 0 || end.offset != 0))
      return refuse("chunk that does not end where it says");

   for (const Piece& piece : pieces) {
      const bool whole = &piece != &pieces.back() || !cut;
      if (whole && part_.empty()) {
         writer_.put(piece.key, piece.bytes);
      } else {
         append(part_, piece.bytes);
         if (whole)
            writer_.put(piece.key, part_);
      }
      if (whole) {
         part_ = {};
         ++count_;
      }
   }
   partOf_ = cut ? pieces.back().valueBytes : 0;
   position_ = end;
   done_ = last;
   return {};
}

} // namespace polis::store
