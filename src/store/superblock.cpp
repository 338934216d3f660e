#include "store/superblock.hpp"

#include "base/fault.hpp"
#include "store/crc32c.hpp"

#include <optional>

namespace polis::store::detail {
namespace {

constexpr std::uint8_t magic[8] = {'p', 'o', 'l', 'i', 's', 'S', 'T', 0x1A};
constexpr std::uint32_t formatVersion = 3;
/// As the present one, but a checkpoint was noted at one place only, in turn, and there was a leaf for each byte.
constexpr std::uint32_t formatInTurn = 2;

ByteView bytesOf(const Superblock& block) { return {reinterpret_cast<const std::uint8_t*>(&block), sizeof block}; }

std::uint32_t checksumOf(Superblock block) {
   block.checksum = 0;
   return crc32c(0, bytesOf(block));
}

std::string text(std::uint64_t number) { return std::to_string(number); }

} // namespace

Superblocks::Superblocks(const File& file) {
   Superblock read[2] = {};
   std::optional<Superblock> newest;
   bool known = false;
   for (std::size_t i = 0; i < 2; ++i) {
      file.readAt(superblockAt[i], {reinterpret_cast<std::uint8_t*>(&read[i]), sizeof read[i]});
      known |= std::memcmp(read[i].magic, magic, sizeof magic) == 0;
      places_[i] = Place::damaged;
      if (std::memcmp(read[i].magic, magic, sizeof magic) == 0 && read[i].checksum == checksumOf(read[i])) {
         places_[i] = Place::behind;
         if (!newest || read[i].sequence > newest->sequence)
            newest = read[i];
      }
   }
   if (!known)
      throw Fault(file.name() + ": not a store");
   if (file.size() < slabBytes)
      throw Fault(file.name() + ": truncated");
   for (std::size_t i = 0; i < 2; ++i) {
      if (places_[i] == Place::damaged)
         continue;
      if (read[i].formatVersion > formatVersion)
         throw Fault(file.name() + ": written by a newer version of this program");
      if (read[i].formatVersion < formatInTurn)
         throw Fault(file.name() + ": written by an older version of this program, in format " +
                     text(read[i].formatVersion) + "; this one reads formats " + text(formatInTurn) + " and " +
                     text(formatVersion));
   }
   static const std::string restore = ". Nothing was changed. Restore the folder from a copy";
   if (!newest)
      throw Fault(file.name() + ": damaged: both superblocks, at bytes " + text(superblockAt[0]) + " and " +
                  text(superblockAt[1]) + ", so that nothing tells which checkpoint is the newest" + restore);
   sequence_ = newest->sequence;
   record_ = newest->record;
   for (std::size_t i = 0; i < 2; ++i) {
      const bool whole = places_[i] == Place::behind;
      if (whole && read[i].sequence == sequence_) {
         if (read[i].record != record_)
            throw Fault(file.name() + ": damaged: the superblocks, at bytes " + text(superblockAt[0]) + " and " +
                        text(superblockAt[1]) + ", differ in what checkpoint " + text(sequence_) + " is" + restore);
         if (read[i].formatVersion == formatVersion)
            places_[i] = Place::newest;
         continue;
      }
      first_ = i;
      if (whole && read[i].sequence + 1 == sequence_)
         continue;
      places_[i] = Place::damaged;
      if (newest->formatVersion == formatInTurn) {
         // A store was made with one superblock.
         if (sequence_ == 0 && std::ranges::all_of(bytesOf(read[i]), [](std::uint8_t byte) { return byte == 0; })) {
            places_[i] = Place::behind;
            continue;
         }
         throw Fault(file.name() + ": damaged: superblock at byte " + text(superblockAt[i]) +
                     ". In a store of format " + text(formatInTurn) +
                     " it alone may have named a newer checkpoint than number " + text(sequence_) +
                     ", which the other one names" + restore);
      }
      notice_ = "The superblock at byte " + text(superblockAt[i]) +
                " is damaged, or was cut off while it was written. The other one, at byte " +
                text(superblockAt[1 - i]) + ", names checkpoint " + text(sequence_) +
                ", and every one that was finished is in it: nothing is missing. The next checkpoint writes both";
   }
}

void Superblocks::create(File& file) {
   Superblocks fresh;
   fresh.put(file, 0);
   fresh.put(file, 1);
}

void Superblocks::put(File& file, std::size_t place) {
   Superblock block{{}, formatVersion, 0, sequence_, record_, 0};
   std::memcpy(block.magic, magic, sizeof magic);
   block.checksum = checksumOf(block);
   file.writeAt(superblockAt[place], bytesOf(block));
   places_[place] = Place::newest;
}

void Superblocks::settle(File& file) {
   if (places_[0] == Place::newest && places_[1] == Place::newest)
      return;
   // The newest may be no further than the memory of the system yet, when a process was killed.
   file.sync();
   for (const std::size_t place : {first_, 1 - first_})
      if (places_[place] == Place::behind) {
         put(file, place);
         file.sync();
      }
}

void Superblocks::writeAfresh(File& file, Ref record) {
   ++sequence_;
   record_ = record;
   put(file, 0);
   put(file, 1);
}

void Superblocks::write(File& file, Ref record) {
   ++sequence_;
   record_ = record;
   for (const std::size_t place : {first_, 1 - first_}) {
      put(file, place);
      file.sync();
   }
}

} // namespace polis::store::detail
