// Which checkpoint a file is opened at, whatever became of the superblocks that name it; and that looking changes
// nothing.
#include "store/superblock.hpp"

#include "base/fault.hpp"
#include "store/crc32c.hpp"
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace polis::store {
namespace {

using detail::Superblock;
using detail::superblockAt;

constexpr Options small{.fileBytesMax = std::uint64_t{1} << 30, .heldBytesMax = std::uint64_t{2} << 20};
constexpr Options reading{.fileBytesMax = small.fileBytesMax, .heldBytesMax = small.heldBytesMax, .readOnly = true};

std::string imageOf(const std::filesystem::path& folder) {
   std::string image(std::filesystem::file_size(folder / "data"), '\0');
   std::ifstream(folder / "data", std::ios::binary).read(image.data(), static_cast<std::streamsize>(image.size()));
   return image;
}

void layOut(const std::filesystem::path& folder, const std::string& image) {
   std::ofstream(folder / "data", std::ios::binary | std::ios::trunc) << image;
}

/// What the user of a store knows of its checkpoint `number`: each holds as many entries, and more data than the last.
void makeCheckpoint(Store& store, std::uint64_t number) {
   const auto last = store.lastCheckpoint();
   Writer writer(last ? last->versions.at("v") : store.empty());
   for (int i = 0; i < 50; ++i)
      writer.put(asBytes("key" + std::to_string(i)), Bytes(900, static_cast<std::uint8_t>(number)));
   for (std::uint64_t i = 1; i <= number; ++i)
      writer.put(asBytes("number" + std::to_string(i)), asBytes("x"));
   store.checkpoint({{{"v", writer.snapshot()}}, number, {}});
}

/// Opens the store, which must be whole, and returns the number of its checkpoint.
std::uint64_t numberOf(Store& store) {
   const auto last = store.lastCheckpoint();
   if (!last)
      return 0;
   const Version& version = last->versions.at("v");
   version.verify();
   EXPECT_EQ(version.size(), 50 + last->journal);
   EXPECT_EQ(toBytes(*version.get(asBytes("key7"))), Bytes(900, static_cast<std::uint8_t>(last->journal)));
   return last->journal;
}

/// A file with this many checkpoints.
std::string storeOf(std::uint64_t checkpoints) {
   const TestFolder folder;
   {
      const auto store = Store::open(folder.path(), small);
      for (std::uint64_t number = 1; number <= checkpoints; ++number)
         makeCheckpoint(*store, number);
   }
   return imageOf(folder.path());
}

Superblock superblockOf(const std::string& image, std::size_t place) {
   Superblock block;
   std::memcpy(&block, image.data() + superblockAt[place], sizeof block);
   return block;
}

void setSuperblock(std::string& image, std::size_t place, Superblock block) {
   block.checksum = 0;
   block.checksum = detail::crc32c(0, {reinterpret_cast<const std::uint8_t*>(&block), sizeof block});
   std::memcpy(image.data() + superblockAt[place], &block, sizeof block);
}

std::string faultOf(const std::filesystem::path& folder, const Options& options) {
   try {
      Store::open(folder, options);
   } catch (const Fault& fault) {
      return fault.what();
   }
   return "";
}

/// It is refused with such a text, opened for writing as for reading, and stays as it is.
void expectRefused(const std::string& image, const std::string& text) {
   const TestFolder folder;
   layOut(folder.path(), image);
   for (const Options& options : {reading, small}) {
      const std::string fault = faultOf(folder.path(), options);
      EXPECT_NE(fault.find(text), std::string::npos) << fault;
      const std::string path = (folder.path() / "data").string();
      EXPECT_EQ(fault.find(path), 0u) << fault;
      EXPECT_EQ(fault.find(path, 1), std::string::npos) << fault;
      EXPECT_TRUE(imageOf(folder.path()) == image);
   }
}

TEST(Superblock, NotesEachCheckpointTwice) {
   for (std::uint64_t checkpoints = 0; checkpoints < 4; ++checkpoints) {
      const std::string image = storeOf(checkpoints);
      EXPECT_EQ(superblockOf(image, 0).sequence, checkpoints);
      EXPECT_EQ(image.compare(superblockAt[0], sizeof(Superblock), image, superblockAt[1], sizeof(Superblock)), 0);
   }
}

TEST(Superblock, DamageToOneLosesNothingAndIsTold) {
   for (const std::uint64_t checkpoints : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{4}}) {
      const std::string whole = storeOf(checkpoints);
      for (std::size_t place = 0; place < 2; ++place)
         // In each field.
         for (const std::size_t at : {0u, 7u, 8u, 12u, 16u, 24u, 31u}) {
            SCOPED_TRACE("place " + std::to_string(place) + ", byte " + std::to_string(at));
            const TestFolder folder;
            std::string image = whole;
            image[superblockAt[place] + at] ^= 0x40;
            // The remains of something newer.
            image.append(detail::slabBytes, '\x77');
            layOut(folder.path(), image);
            const std::string where = "superblock at byte " + std::to_string(superblockAt[place]) + " is damaged";
            {
               const auto store = Store::open(folder.path(), reading);
               EXPECT_EQ(numberOf(*store), checkpoints);
               EXPECT_NE(store->stat().notice.find(where), std::string::npos) << store->stat().notice;
            }
            EXPECT_TRUE(imageOf(folder.path()) == image);
            {
               const auto store = Store::open(folder.path(), small);
               EXPECT_EQ(numberOf(*store), checkpoints);
               EXPECT_NE(store->stat().notice.find(where), std::string::npos);
               // Opening for writing destroys nothing that may tell what happened; the next checkpoint mends it.
               EXPECT_TRUE(imageOf(folder.path()) == image);
               makeCheckpoint(*store, checkpoints + 1);
               EXPECT_EQ(store->stat().notice, "");
            }
            const auto store = Store::open(folder.path(), reading);
            EXPECT_EQ(numberOf(*store), checkpoints + 1);
            EXPECT_EQ(store->stat().notice, "");
         }
   }
}

TEST(Superblock, DamageToBothIsAFault) {
   const std::string whole = storeOf(3);
   std::string image = whole;
   image[superblockAt[0] + 20] ^= 1;
   image[superblockAt[1] + 30] ^= 1;
   expectRefused(image, "damaged: both superblocks, at bytes 0 and 4096");
   // Both whole, and they contradict each other.
   image = whole;
   Superblock other = superblockOf(whole, 1);
   other.record += 64;
   setSuperblock(image, 1, other);
   expectRefused(image, "damaged: the superblocks");
}

/// A disk may keep any first bytes of what it was writing when the power failed.
TEST(Superblock, TornWritesLeaveACheckpoint) {
   for (std::uint64_t checkpoints = 1; checkpoints < 3; ++checkpoints) {
      const TestFolder folder;
      std::string before, after;
      {
         const auto store = Store::open(folder.path(), small);
         for (std::uint64_t number = 1; number <= checkpoints; ++number) {
            before = imageOf(folder.path());
            makeCheckpoint(*store, number);
         }
         after = imageOf(folder.path());
      }
      // One place is begun when all but the two is durable, the other when the first is.
      for (std::size_t second = 0; second < 2; ++second)
         for (std::size_t kept = 0; kept <= sizeof(Superblock); ++kept)
            for (const bool firstBytes : {true, false}) {
               SCOPED_TRACE("write " + std::to_string(second) + " after " + std::to_string(kept) + " bytes");
               std::string image = after;
               for (std::size_t place = second; place < 2; ++place)
                  image.replace(superblockAt[place], sizeof(Superblock), before, superblockAt[place],
                                sizeof(Superblock));
               const std::size_t at = superblockAt[second] + (firstBytes ? 0 : sizeof(Superblock) - kept);
               image.replace(at, kept, after, at, kept);
               layOut(folder.path(), image);
               const bool made = second == 1 || kept == sizeof(Superblock);
               const std::uint64_t number = numberOf(*Store::open(folder.path(), reading));
               // What differs may lie in few of the bytes.
               EXPECT_TRUE(number == checkpoints || (!made && number == checkpoints - 1)) << number;
               auto store = Store::open(folder.path(), small);
               EXPECT_EQ(numberOf(*store), number);
               if (kept == 0 || kept == sizeof(Superblock)) {
                  EXPECT_EQ(number, made ? checkpoints : checkpoints - 1);
                  EXPECT_EQ(store->stat().notice, "");
               }
               makeCheckpoint(*store, number + 1);
               store.reset();
               EXPECT_EQ(numberOf(*Store::open(folder.path(), reading)), number + 1);
            }
   }
}

TEST(Superblock, OpeningFinishesWhatACrashInterrupted) {
   const std::string older = storeOf(2);
   const TestFolder folder;
   layOut(folder.path(), older);
   std::string image;
   {
      const auto store = Store::open(folder.path(), small);
      makeCheckpoint(*store, 3);
      image = imageOf(folder.path());
   }
   image.replace(superblockAt[1], sizeof(Superblock), older, superblockAt[1], sizeof(Superblock));
   layOut(folder.path(), image);
   EXPECT_EQ(numberOf(*Store::open(folder.path(), reading)), 3u);
   EXPECT_TRUE(imageOf(folder.path()) == image);
   {
      const auto store = Store::open(folder.path(), small);
      EXPECT_EQ(numberOf(*store), 3u);
      EXPECT_EQ(store->stat().notice, "");
   }
   // Now either alone is enough, for whoever was told of the checkpoint may rely on it.
   for (std::size_t place = 0; place < 2; ++place)
      EXPECT_EQ(superblockOf(imageOf(folder.path()), place).sequence, 3u);
   // Older than any crash leaves it.
   Superblock stale = superblockOf(imageOf(folder.path()), 1);
   stale.sequence = 1;
   setSuperblock(image, 1, stale);
   layOut(folder.path(), image);
   const auto store = Store::open(folder.path(), small);
   EXPECT_EQ(numberOf(*store), 3u);
   EXPECT_NE(store->stat().notice.find("at byte 4096"), std::string::npos);
}

/// As format 2 has it: a checkpoint is noted at one place, in turn, and a new store has one superblock.
std::string inTurn(const std::string& older, const std::string& newer) {
   std::string image = newer;
   for (const std::string* of : {&older, &newer}) {
      Superblock block = superblockOf(*of, 0);
      block.formatVersion = 2;
      setSuperblock(image, block.sequence % 2, block);
   }
   if (superblockOf(newer, 0).sequence == 0)
      image.replace(superblockAt[1], sizeof(Superblock), sizeof(Superblock), '\0');
   return image;
}

TEST(Superblock, FormatWithCheckpointsInTurnIsTakenOver) {
   const TestFolder folder;
   std::string before = storeOf(0);
   for (std::uint64_t checkpoints = 0; checkpoints < 4; ++checkpoints) {
      SCOPED_TRACE(std::to_string(checkpoints) + " checkpoints");
      layOut(folder.path(), before);
      std::string image = before;
      if (checkpoints) {
         const auto store = Store::open(folder.path(), small);
         makeCheckpoint(*store, checkpoints);
         image = imageOf(folder.path());
      }
      const std::string old = inTurn(before, image);
      layOut(folder.path(), old);
      {
         const auto store = Store::open(folder.path(), reading);
         EXPECT_EQ(numberOf(*store), checkpoints);
         EXPECT_EQ(store->stat().notice, "");
      }
      EXPECT_TRUE(imageOf(folder.path()) == old);
      EXPECT_EQ(numberOf(*Store::open(folder.path(), small)), checkpoints);
      before = imageOf(folder.path());
      for (std::size_t place = 0; place < 2; ++place) {
         EXPECT_EQ(superblockOf(before, place).formatVersion, 3u);
         EXPECT_EQ(superblockOf(before, place).sequence, checkpoints);
      }
      // Nothing tells whether the one that is damaged named something newer.
      for (std::size_t place = 0; place < 2; ++place) {
         std::string damaged = old;
         damaged[superblockAt[place] + 20] ^= 1;
         if (checkpoints)
            expectRefused(damaged, "damaged: superblock at byte " + std::to_string(superblockAt[place]));
      }
   }
}

TEST(Superblock, ReadersWriteNothing) {
   const TestFolder folder, none;
   layOut(folder.path(), storeOf(2) + std::string(3 * detail::slabBytes / 2, '\x77'));
   const std::string image = imageOf(folder.path());
   const auto time = std::filesystem::last_write_time(folder.path() / "data");
   // Without the file of the lock, as when only the data was copied, and with it.
   for (const bool locked : {false, true}) {
      if (locked)
         std::ofstream(folder.path() / "lock");
      const auto one = Store::open(folder.path(), reading), two = Store::open(folder.path(), reading);
      EXPECT_EQ(numberOf(*one), 2u);
      EXPECT_NO_THROW(two->verify());
      EXPECT_EQ(two->stat().fileBytes, image.size() / detail::slabBytes * detail::slabBytes);
      EXPECT_THROW(one->checkpoint(*one->lastCheckpoint()), Fault);
      // Changes are in memory only, and end with the room that the file has.
      Writer writer(one->lastCheckpoint()->versions.at("v"));
      const auto fill = [&] {
         for (int i = 0; i < 100'000; ++i)
            writer.put(asBytes("more" + std::to_string(i)), Bytes(400, 'm'));
      };
      EXPECT_THROW(fill(), Fault);
      if (locked)
         EXPECT_NE(faultOf(folder.path(), small).find("already open"), std::string::npos);
      EXPECT_EQ(std::filesystem::exists(folder.path() / "lock"), locked);
   }
   EXPECT_TRUE(imageOf(folder.path()) == image);
   EXPECT_EQ(std::filesystem::last_write_time(folder.path() / "data"), time);
   {
      const auto writing = Store::open(folder.path(), small);
      EXPECT_NE(faultOf(folder.path(), reading).find("already open"), std::string::npos);
   }
   EXPECT_NE(faultOf(none.path() / "new", reading).find("there is no store"), std::string::npos);
   EXPECT_FALSE(std::filesystem::exists(none.path() / "new"));
}

TEST(Superblock, SaysWhatAFileIs) {
   expectRefused("some text\n", "not a store");
   expectRefused("", "not a store");
   expectRefused(std::string(200'000, 'x'), "not a store");
   const std::string whole = storeOf(1);
   expectRefused(whole.substr(0, 1000), "truncated");
   std::string image = whole;
   image[detail::slabBytes + 4] ^= 1;
   expectRefused(image, "damaged: wrong checksum at byte 65536");
   Superblock newer = superblockOf(whole, 0);
   newer.formatVersion = 4;
   image = whole;
   setSuperblock(image, 0, newer);
   expectRefused(image, "newer version");
}

} // namespace
} // namespace polis::store
