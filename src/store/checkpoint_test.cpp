// How checkpoints are written, beside the one before or to a file of their own, and how long the file is then.
#include "base/fault.hpp"
#include "store/file.hpp"
#include "store/random_map.hpp"
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

namespace polis::store {
namespace {

/// Rows of about 230 bytes, and what a store should say of them.
struct Rows {
   void put(Writer& writer, std::uint64_t row) {
      const Bytes key = toBytes("key" + std::to_string(row * 7919 % 1'000'003)),
                  value(150 + random() % 100, static_cast<std::uint8_t>(random()));
      writer.put(key, value);
      model[key] = value;
   }
   void remove(Writer& writer, std::uint64_t row) {
      const Bytes key = toBytes("key" + std::to_string(row * 7919 % 1'000'003));
      ASSERT_TRUE(writer.remove(key));
      model.erase(key);
   }
   std::mt19937_64 random{3};
   Map model;
};

void save(Store& store, Writer& writer) { store.checkpoint({{{"v", writer.snapshot()}}, 0, {}}); }

void expectOpens(const std::filesystem::path& folder, const Map& model, const Options& options = {}) {
   auto store = Store::open(folder, options);
   auto last = store->lastCheckpoint();
   ASSERT_TRUE(last);
   ASSERT_TRUE(contents(last->versions.at("v")) == model);
   last.reset();
   ASSERT_NO_THROW(store->verify());
}

/// Counts what is asked of the files, and can refuse to give room.
struct Watch final : FileWatch {
   std::size_t on(FileStep step, int, std::size_t bytes) override {
      if (full && step == FileStep::allocate)
         throw Fault("no room");
      if (step == FileStep::write)
         written += bytes;
      return bytes;
   }
   bool full = false;
   std::uint64_t written = 0;
};

TEST(Checkpoint, RowsWrittenAgainAndAgainDoNotMakeTheFileLonger) {
   const TestFolder folder;
   Rows rows;
   {
      auto store = Store::open(folder.path());
      Writer writer(store->empty());
      constexpr std::uint64_t count = 60'000;
      for (std::uint64_t row = 0; row < count; ++row)
         rows.put(writer, row);
      save(*store, writer);
      const std::uint64_t used = store->stat().usedBytes;
      for (int round = 0; round < 6; ++round) {
         for (std::uint64_t i = 0; i < count; ++i)
            rows.put(writer, rows.random() % count);
         save(*store, writer);
         // Two copies would be there if the checkpoint before were kept.
         EXPECT_LT(store->stat().fileBytes, used * 7 / 4);
         EXPECT_EQ(std::filesystem::file_size(folder.path() / "data"), store->stat().fileBytes);
      }
   }
   expectOpens(folder.path(), rows.model);
}

TEST(Checkpoint, WritesLittleWhenLittleHasChanged) {
   const TestFolder folder;
   Rows rows;
   Watch watch;
   {
      auto store = Store::open(folder.path(), {.watch = &watch});
      Writer writer(store->empty());
      for (std::uint64_t row = 0; row < 60'000; ++row)
         rows.put(writer, row);
      save(*store, writer);
      // The first of these writes all, for nobody knew that it would be little.
      for (int round = 0; round < 4; ++round) {
         for (std::uint64_t row = 0; row < 50; ++row)
            rows.put(writer, rows.random() % 60'000);
         watch.written = 0;
         save(*store, writer);
         if (round)
            EXPECT_LT(watch.written, std::uint64_t{1} << 20);
         else
            EXPECT_GT(watch.written, std::uint64_t{10} << 20);
         const TestFolder copy;
         std::filesystem::copy_file(folder.path() / "data", copy.path() / "data");
         expectOpens(copy.path(), rows.model);
      }
   }
   expectOpens(folder.path(), rows.model);
}

TEST(Checkpoint, IsDueWhenTheLogIsWorthItOrTheFileBecomesLong) {
   const TestFolder folder;
   Rows rows;
   auto store = Store::open(folder.path());
   Writer writer(store->empty());
   for (std::uint64_t row = 0; row < 60'000; ++row)
      rows.put(writer, row);
   const std::uint64_t used = store->stat().usedBytes;
   EXPECT_TRUE(store->checkpointDue(used));
   save(*store, writer);
   // All would be written.
   EXPECT_FALSE(store->checkpointDue(used / 4));
   EXPECT_TRUE(store->checkpointDue(used));
   save(*store, writer);
   // From now on only what changes.
   for (std::uint64_t row = 0; row < 600; ++row)
      rows.put(writer, row * 100);
   EXPECT_FALSE(store->checkpointDue(1000));
   EXPECT_TRUE(store->checkpointDue(used / 4));
   for (std::uint64_t row = 0; row < 60'000; ++row)
      rows.put(writer, row);
   EXPECT_TRUE(store->checkpointDue(1000));
}

TEST(Checkpoint, FileBecomesShorterWhileOpen) {
   for (const std::uint64_t held : {std::uint64_t{0}, std::uint64_t{1} << 30}) {
      SCOPED_TRACE("held " + std::to_string(held));
      const TestFolder folder;
      Rows rows;
      {
         auto store = Store::open(folder.path(), {.heldBytesMax = held});
         Writer writer(store->empty());
         constexpr std::uint64_t count = 100'000, left = 5'000;
         for (std::uint64_t row = 0; row < count; ++row)
            rows.put(writer, row);
         save(*store, writer);
         const std::uint64_t before = store->stat().fileBytes;
         for (std::uint64_t row = left; row < count; ++row)
            rows.remove(writer, row);
         for (int round = 0; round < 8; ++round) {
            // Somebody reads it: what is changed is copied, and so moves.
            const Version kept = writer.snapshot();
            for (std::uint64_t row = 0; row < left; ++row)
               rows.put(writer, row);
            save(*store, writer);
            store->drain();
         }
         EXPECT_LT(store->stat().fileBytes, before / 2);
         EXPECT_EQ(std::filesystem::file_size(folder.path() / "data"), store->stat().fileBytes);
         // And longer again.
         for (std::uint64_t row = 0; row < count; ++row)
            rows.put(writer, row);
         save(*store, writer);
      }
      expectOpens(folder.path(), rows.model, {.heldBytesMax = held});
   }
}

TEST(Checkpoint, GoesOnWhenTheFileOutgrowsTheMemory) {
   for (const std::uint64_t held : {std::uint64_t{6} << 20, std::uint64_t{16} << 20}) {
      SCOPED_TRACE("held " + std::to_string(held));
      const TestFolder folder;
      Rows rows;
      const Options options{.heldBytesMax = held};
      auto store = Store::open(folder.path(), options);
      auto writer = std::make_unique<Writer>(store->empty());
      std::uint64_t count = 0;
      for (int round = 0; round < 12; ++round) {
         for (const std::uint64_t until = count + 8'000; count < until; ++count)
            rows.put(*writer, count);
         for (int i = 0; i < 8'000; ++i)
            rows.put(*writer, rows.random() % count);
         const Version version = writer->snapshot();
         store->checkpoint({{{"v", version}}, 0, {}});
         // Nothing of it was lost where the file that lends pages is another by now.
         ASSERT_TRUE(contents(version) == rows.model);
         const TestFolder copy;
         std::filesystem::copy_file(folder.path() / "data", copy.path() / "data");
         expectOpens(copy.path(), rows.model, options);
      }
      EXPECT_GT(store->stat().fileBytes, held);
      writer.reset();
      store->drain();
      ASSERT_NO_THROW(store->verify());
      store.reset();
      expectOpens(folder.path(), rows.model, options);
   }
}

TEST(Checkpoint, IsMadeLaterWhenThereWasNoRoomForItsFile) {
   const TestFolder folder;
   Rows rows;
   Watch watch;
   {
      auto store = Store::open(folder.path(), {.watch = &watch});
      Writer writer(store->empty());
      for (std::uint64_t row = 0; row < 20'000; ++row)
         rows.put(writer, row);
      save(*store, writer);
      const Map saved = rows.model;
      rows.put(writer, 1);
      watch.full = true;
      EXPECT_THROW(save(*store, writer), Fault);
      EXPECT_FALSE(std::filesystem::exists(folder.path() / "data.new"));
      {
         const TestFolder copy;
         std::filesystem::copy_file(folder.path() / "data", copy.path() / "data");
         expectOpens(copy.path(), saved);
      }
      rows.put(writer, 2);
      watch.full = false;
      save(*store, writer);
   }
   expectOpens(folder.path(), rows.model);
   // What a crash left of one.
   std::filesystem::copy_file(folder.path() / "lock", folder.path() / "data.new");
   expectOpens(folder.path(), rows.model);
   EXPECT_FALSE(std::filesystem::exists(folder.path() / "data.new"));
}

} // namespace
} // namespace polis::store
