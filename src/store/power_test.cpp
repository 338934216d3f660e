// Every moment at which the power can fail, and every step that a disk can refuse.
//
// A watch sits below the files. It knows what each had when it was last synced; at every step of a file, and between
// any two changes, it lays out what a power cut would leave there: of what was written since, any sectors and any not,
// and of some a part. What the store assumes of a disk is all that is assumed here: what was synced stays, and each
// byte is the old one or the new.
#include "base/fault.hpp"
#include "store/file.hpp"
#include "store/journal.hpp"
#include "store/long_run.hpp"
#include "store/random_map.hpp"
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

namespace polis::store {
namespace {

constexpr std::size_t sectorBytes = 512;

void readContent(int fd, std::string& out) {
   struct stat status{};
   ASSERT_EQ(::fstat(fd, &status), 0);
   out.resize(static_cast<std::size_t>(status.st_size));
   ASSERT_EQ(::pread(fd, out.data(), out.size(), 0), static_cast<ssize_t>(out.size()));
}

class Disk final : public FileWatch {
public:
   Disk(std::filesystem::path folder, std::uint64_t seed) : random(seed), folder_(std::move(folder)) {}

   std::size_t on(FileStep step, int fd, std::size_t bytes) override {
      if (step == FileStep::synced) {
         struct stat status{};
         EXPECT_EQ(::fstat(fd, &status), 0);
         readContent(fd, durable_[status.st_ino]);
         return bytes;
      }
      if (atStep)
         atStep(step);
      if (failIn > 0 && --failIn == 0)
         throw Fault("the disk refuses");
      // Not all at once.
      return step == FileStep::write && bytes > 1 && random() % 4 == 0 ? 1 + random() % (bytes - 1) : bytes;
   }

   /// What is there now is durable.
   void allIsDurable() {
      durable_.clear();
      for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
         const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
         on(FileStep::synced, fd, 0);
         ::close(fd);
      }
   }

   /// Lays out in `to` what a power cut would leave of the folder now.
   void cut(const std::filesystem::path& to) {
      for (const auto& entry : std::filesystem::directory_iterator(to))
         if (!std::filesystem::exists(folder_ / entry.path().filename()))
            std::filesystem::remove(entry.path());
      // Of what is not durable: nothing, little, half, most or all of it.
      static constexpr unsigned shares[] = {0, 1, 8, 15, 16};
      const unsigned share = shares[random() % std::size(shares)];
      // Of the sectors that are not, those that are torn within: none, some, all.
      static constexpr unsigned tears[] = {0, 4, 16};
      const unsigned torn = tears[random() % std::size(tears)];
      for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
         if (!entry.is_regular_file() || entry.path().filename() == "lock")
            continue;
         const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
         ASSERT_GE(fd, 0);
         struct stat status{};
         ASSERT_EQ(::fstat(fd, &status), 0);
         std::string& image = image_;
         readContent(fd, image);
         ::close(fd);
         const std::string& before = durable_[status.st_ino];
         if (random() % 2)
            image.resize(before.size());
         for (std::size_t at = 0; at < image.size(); at += sectorBytes) {
            const std::size_t n = std::min(sectorBytes, image.size() - at);
            if (at < before.size() && before.compare(at, n, image, at, n) == 0)
               continue;
            if (random() % 16 < share)
               continue;
            std::string old = at < before.size() ? before.substr(at, n) : "";
            old.resize(n);
            if (random() % 16 < torn) {
               // What a superblock has of its own lies in the first bytes of a sector.
               const std::size_t kept = random() % (random() % 2 ? n : std::min<std::size_t>(n, 32));
               random() % 2 ? old.replace(0, kept, image, at, kept) : old.replace(kept, n, image, at + kept, n - kept);
            }
            image.replace(at, n, old);
         }
         const int out = ::open((to / entry.path().filename()).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
         ASSERT_EQ(::pwrite(out, image.data(), image.size(), 0), static_cast<ssize_t>(image.size()));
         ASSERT_EQ(::ftruncate(out, static_cast<off_t>(image.size())), 0);
         ::close(out);
      }
   }

   std::function<void(FileStep)> atStep;
   /// The step to fail, counted from now; 0: none.
   int failIn = 0;
   std::mt19937_64 random;

private:
   std::filesystem::path folder_;
   std::map<ino_t, std::string> durable_;
   /// Of cut(): its memory is used again.
   std::string image_;
};

void change(Writer& writer, Map& model, std::mt19937_64& random) {
   const Bytes key = toBytes("key" + std::to_string(random() % 300));
   if (random() % 4 == 0) {
      writer.remove(key);
      model.erase(key);
      return;
   }
   const Bytes value(random() % 16 ? random() % 200 : random() % 3000, static_cast<std::uint8_t>(random()));
   writer.put(key, value);
   model[key] = value;
}

/// Of some the file is mapped, of some held in memory, of some its start is held, which most outgrow.
Options optionsFor(std::uint64_t seed, FileWatch* watch = nullptr) {
   static constexpr std::uint64_t held[] = {0, 2 << 20, 1 << 30};
   return {.fileBytesMax = std::uint64_t{1} << 30, .heldBytesMax = held[seed % std::size(held)], .watch = watch};
}

TEST(Power, CutAtAnyMomentLeavesACheckpoint) {
   std::uint64_t cuts = 0;
   for (std::uint64_t seed = 1; cuts < std::uint64_t{300} * longRun(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      const TestFolder folder, image;
      Disk disk(folder.path(), seed);
      Map model, saved, next;
      std::uint64_t number = 0;
      bool under = false;
      const auto cut = [&] {
         ++cuts;
         disk.cut(image.path());
         auto store = Store::open(image.path(), optionsFor(cuts));
         auto found = store->lastCheckpoint();
         const std::uint64_t got = found ? found->journal : 0;
         ASSERT_TRUE(got == number || (under && got == number + 1)) << got << " instead of " << number;
         if (found)
            ASSERT_TRUE(contents(found->versions.at("v")) == (got == number ? saved : next));
         found.reset();
         ASSERT_NO_THROW(store->verify());
      };
      auto store = Store::open(folder.path(), optionsFor(seed, &disk));
      disk.atStep = [&](FileStep) { cut(); };
      Writer writer(store->empty());
      std::vector<Version> kept;
      for (int round = 0; round < 5; ++round) {
         for (int i = 0; i < 60; ++i)
            change(writer, model, disk.random);
         cut();
         if (disk.random() % 2)
            kept.push_back(writer.snapshot());
         if (disk.random() % 4 == 0)
            kept.clear();
         next = model;
         under = true;
         store->checkpoint({{{"v", writer.snapshot()}}, number + 1, {}});
         under = false;
         saved = next;
         ++number;
         cut();
         if (HasFatalFailure())
            return;
      }
   }
   std::printf("%llu power cuts under a store\n", static_cast<unsigned long long>(cuts));
}

/// A store of numbered checkpoints, number n with n entries, on a disk that can be cut off.
struct Numbered {
   explicit Numbered(std::uint64_t seed) : disk(folder.path(), seed) {}

   std::unique_ptr<Store> open() { return Store::open(folder.path(), optionsFor(disk.random(), &disk)); }

   void checkpoint(Store& store) {
      // A store does not give back what it has been told itself.
      const auto last = store.lastCheckpoint();
      Writer writer(last ? last->versions.at("v") : store.empty());
      for (std::uint64_t row = last ? number : 0; row <= number; ++row)
         writer.put(asBytes("key" + std::to_string(row)), Bytes(disk.random() % 900, 'v'));
      max = number + 1;
      store.checkpoint({{{"v", writer.snapshot()}}, number + 1, {}});
      number = max;
   }

   /// What a power cut leaves holds a checkpoint from `number` to `max`.
   void cut() {
      ++cuts;
      disk.cut(image.path());
      const auto store = Store::open(image.path(), optionsFor(disk.random()));
      const auto found = store->lastCheckpoint();
      ASSERT_EQ(found.has_value(), number > 0 || (found && max > 0));
      if (!found)
         return;
      ASSERT_GE(found->journal, number);
      ASSERT_LE(found->journal, max);
      ASSERT_EQ(found->versions.at("v").size(), found->journal);
      found->versions.at("v").verify();
   }

   /// What a sync is about to make durable may be lost in many ways.
   void cutAtSteps() {
      disk.atStep = [this](FileStep step) {
         for (int times = step == FileStep::sync ? 8 : 1; times > 0; --times)
            cut();
      };
   }

   const TestFolder folder, image;
   Disk disk;
   std::uint64_t number = 0, max = 0, cuts = 0;
};

TEST(Power, CutBesideADamagedSuperblockLeavesACheckpoint) {
   std::uint64_t cuts = 0;
   for (std::uint64_t seed = 1; cuts < std::uint64_t{300} * longRun() && !testing::Test::HasFatalFailure(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      Numbered numbered(seed);
      {
         const auto store = numbered.open();
         for (std::uint64_t i = 1 + seed % 3; i > 0; --i)
            numbered.checkpoint(*store);
      }
      {
         const auto at = static_cast<std::streamoff>((seed % 2 ? 0 : 4096) + 8 + numbered.disk.random() % 24);
         std::fstream file(numbered.folder.path() / "data", std::ios::in | std::ios::out | std::ios::binary);
         file.seekg(at);
         const int byte = file.get();
         file.seekp(at);
         file.put(static_cast<char>(byte ^ 1));
      }
      numbered.disk.allIsDurable();
      numbered.cutAtSteps();
      const auto store = numbered.open();
      ASSERT_NE(store->stat().notice, "");
      for (int round = 0; round < 3; ++round) {
         numbered.checkpoint(*store);
         numbered.cut();
      }
      cuts += numbered.cuts;
   }
   std::printf("%llu power cuts beside a damaged superblock\n", static_cast<unsigned long long>(cuts));
}

/// A process dies within a checkpoint: then what the next one finds is not all on the disk. It may rely on it all the
/// same, and tell others of it.
TEST(Power, CutAfterAKillLeavesWhatTheNextProcessFound) {
   std::uint64_t cuts = 0;
   for (std::uint64_t seed = 1; cuts < std::uint64_t{300} * longRun() && !testing::Test::HasFatalFailure(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      Numbered numbered(seed);
      for (int life = 0; life < 4; ++life) {
         // What is not said to be found is not to be relied on.
         numbered.cutAtSteps();
         const auto store = numbered.open();
         const auto found = store->lastCheckpoint();
         numbered.number = numbered.max = found ? found->journal : 0;
         numbered.cut();
         Writer writer(found ? found->versions.at("v") : store->empty());
         for (int i = 0; i < 100; ++i)
            writer.put(asBytes("lost" + std::to_string(i)), Bytes(200, 'l'));
         numbered.cut();
         numbered.disk.failIn = 1 + static_cast<int>(numbered.disk.random() % 9);
         try {
            for (int round = 0; round < 3; ++round)
               numbered.checkpoint(*store);
         } catch (const Fault&) {
         }
         numbered.disk.failIn = 0;
         numbered.cut();
      }
      cuts += numbered.cuts;
   }
   std::printf("%llu power cuts after kills\n", static_cast<unsigned long long>(cuts));
}

TEST(Power, CutAtAnyMomentLeavesWhatTheJournalSynced) {
   std::uint64_t cuts = 0;
   for (std::uint64_t seed = 1; cuts < std::uint64_t{1000} * longRun(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      const TestFolder folder, image;
      Disk disk(folder.path(), seed);
      const auto record = [](std::uint64_t i) { return Bytes(i * 37 % 700, static_cast<std::uint8_t>(i)); };
      std::vector<JournalPosition> ends;
      JournalPosition begin = 0;
      std::uint64_t durable = 0;
      const auto cut = [&] {
         ++cuts;
         disk.cut(image.path());
         const auto journal = Journal::open(image.path());
         std::uint64_t count = 0;
         while (count < ends.size() && ends[count] <= journal->begin())
            ++count;
         ASSERT_LE(journal->begin(), begin);
         journal->replay(journal->begin(), [&](JournalPosition after, ByteView bytes) {
            ASSERT_LT(count, ends.size());
            ASSERT_EQ(after, ends[count]);
            ASSERT_EQ(toBytes(bytes), record(count));
            ++count;
         });
         ASSERT_GE(count, durable);
      };
      const auto journal =
          Journal::open(folder.path(), {.segmentBytes = 1 << 14, .aheadBytes = 1 << 12, .watch = &disk});
      disk.atStep = [&](FileStep) { cut(); };
      for (int round = 0; round < 40; ++round) {
         for (std::uint64_t n = 1 + disk.random() % 6; n > 0; --n) {
            // A segment may be closed on the way.
            const std::uint64_t i = ends.size();
            const Bytes bytes = record(i);
            ends.push_back((journal->end() + 16 + bytes.size() + 7) & ~std::uint64_t{7});
            ASSERT_EQ(journal->append(bytes), ends.back());
         }
         if (disk.random() % 2) {
            journal->sync();
            durable = ends.size();
         }
         cut();
         if (disk.random() % 8 == 0) {
            begin = journal->durable();
            journal->truncateBefore(begin);
            cut();
         }
         if (HasFatalFailure())
            return;
      }
   }
   std::printf("%llu power cuts under a journal\n", static_cast<unsigned long long>(cuts));
}

TEST(Power, WhatADiskRefusesHarmsNothingKept) {
   // The step that fails, from the first to beyond the last.
   int failures = 0;
   for (int step = 1; step < 120; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      const TestFolder folder;
      Disk disk(folder.path(), static_cast<std::uint64_t>(step));
      Map saved, next;
      std::uint64_t number = 0;
      {
         auto store = Store::open(folder.path(), optionsFor(static_cast<std::uint64_t>(step), &disk));
         Writer writer(store->empty());
         Map model;
         disk.failIn = step;
         for (int round = 0; round < 6; ++round) {
            const Map before = model;
            const Version kept = writer.snapshot();
            bool saving = false;
            try {
               // Enough that the file has to grow.
               for (int i = 0; i < 400; ++i) {
                  const Bytes key = toBytes("key" + std::to_string(disk.random() % 3000)), value(2000, 'v');
                  writer.put(key, value);
                  model[key] = value;
               }
               next = model;
               saving = true;
               store->checkpoint({{{"v", writer.snapshot()}}, number + 1, {}});
               saved = next;
               ++number;
               saving = false;
            } catch (const Fault&) {
               ++failures;
               ASSERT_TRUE(contents(writer.snapshot()) == model);
            }
            ASSERT_TRUE(contents(kept) == before);
            if (saving)
               break;
         }
      }
      auto store = Store::open(folder.path(), optionsFor(static_cast<std::uint64_t>(step) / 3));
      const auto found = store->lastCheckpoint();
      const std::uint64_t got = found ? found->journal : 0;
      ASSERT_TRUE(got == number || got == number + 1);
      if (found)
         ASSERT_TRUE(contents(found->versions.at("v")) == (got == number ? saved : next));
   }
   EXPECT_GT(failures, 10);
}

} // namespace
} // namespace polis::store
