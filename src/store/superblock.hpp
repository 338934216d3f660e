// Which checkpoint is the newest. Internal to the store.
//
// It is noted at two places of the file. A checkpoint is made when both note it, and the second is not begun before the
// first is durable. So whatever a power cut does to the one that is being written, be it torn within its sector, the
// other is whole, and names the last checkpoint that was made, or one whose nodes are all durable and that was about to
// be. Both harmed is no power cut: it is damage.
#pragma once

#include "store/file.hpp"
#include "store/node.hpp"

#include <string>

namespace polis::store::detail {

struct Superblock {
   std::uint8_t magic[8];
   std::uint32_t formatVersion;
   /// Over the rest, with this field as 0.
   std::uint32_t checksum;
   std::uint64_t sequence;
   /// Blob that describes the checkpoint; 0 when there is none.
   Ref record;
   std::uint32_t spare;
};
static_assert(sizeof(Superblock) == 32);
inline constexpr std::uint64_t superblockAt[2] = {0, 4096};

class Superblocks {
public:
   /// Reads both and changes nothing. Faults: no store, cut off, of another format, damaged.
   explicit Superblocks(const File& file);
   /// Makes those of an empty store, not durably.
   static void create(File& file);

   /// Of the newest checkpoint; both 0 when there is none.
   std::uint64_t sequence() const { return sequence_; }
   Ref record() const { return record_; }
   /// What is wrong with one of the two, for people; empty when nothing is.
   const std::string& notice() const { return notice_; }

   /// Finishes durably what a crash may have interrupted. Leaves a damaged place as it is.
   void settle(File& file);
   /// Notes the next checkpoint, whose nodes are durable, at both places. After a Fault either may be the newest.
   void write(File& file, Ref record);
   /// Notes it in a file that is to take the place of that one, not durably.
   void writeAfresh(File& file, Ref record);

private:
   Superblocks() = default;

   /// What a place holds: the newest; what it may hold after a crash, or an older program; anything else.
   enum class Place { newest, behind, damaged };

   void put(File& file, std::size_t place);

   std::uint64_t sequence_ = 0;
   Ref record_ = 0;
   Place places_[2] = {Place::newest, Place::newest};
   /// Which to write first: the one without which the newest is still known.
   std::size_t first_ = 0;
   std::string notice_;
};

} // namespace polis::store::detail
