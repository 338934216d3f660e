// Rules of versions, writers and checkpoints, and a long comparison with std::map.
#include "store/store.hpp"

#include "base/fault.hpp"
#include "base/mutex.hpp"
#include "store/file.hpp"
#include "store/long_run.hpp"
#include "store/random_map.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <random>
#include <thread>

namespace polis::store {
namespace {

constexpr Options small{.fileBytesMax = std::uint64_t{4} << 30};
/// Mapped, held in memory, or both.
Options optionsFor(std::uint64_t seed) {
   static constexpr std::uint64_t held[] = {0, 2 << 20, 1 << 30};
   return {.fileBytesMax = std::uint64_t{4} << 30, .heldBytesMax = held[seed % std::size(held)]};
}

Bytes b(std::string_view text) { return toBytes(text); }

std::optional<std::string> text(std::optional<ByteView> value) {
   return value ? std::optional(toText(*value)) : std::nullopt;
}

std::optional<std::pair<std::string, std::string>> text(std::optional<Entry> entry) {
   return entry ? std::optional(std::pair(toText(entry->key), toText(entry->value))) : std::nullopt;
}

using Pair = std::pair<std::string, std::string>;

void verify(Store& store, std::initializer_list<const Version*> alive) { store.verify({alive.begin(), alive.size()}); }

TEST(Store, ReadsWhatWasWritten) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   Writer writer(store->empty());
   EXPECT_EQ(writer.get(asBytes("a")), std::nullopt);
   EXPECT_EQ(writer.lowerBound({}), std::nullopt);
   EXPECT_EQ(writer.last({}), std::nullopt);
   writer.put(asBytes("b"), asBytes("2"));
   writer.put(asBytes("a"), asBytes("1"));
   writer.put(asBytes(""), asBytes("0"));
   writer.put(asBytes("ab"), asBytes("12"));
   EXPECT_EQ(text(writer.get(asBytes("a"))), "1");
   EXPECT_EQ(text(writer.get(asBytes(""))), "0");
   EXPECT_EQ(writer.get(asBytes("aa")), std::nullopt);
   EXPECT_EQ(text(writer.lowerBound(asBytes("aa"))), Pair("ab", "12"));
   EXPECT_EQ(text(writer.lowerBound(asBytes("ab"))), Pair("ab", "12"));
   EXPECT_EQ(text(writer.upperBound(asBytes("ab"))), Pair("b", "2"));
   EXPECT_EQ(text(writer.lessThan(asBytes("ab"))), Pair("a", "1"));
   EXPECT_EQ(writer.lessThan(asBytes("")), std::nullopt);
   EXPECT_EQ(text(writer.last(asBytes("a"))), Pair("ab", "12"));
   EXPECT_EQ(text(writer.last(asBytes(""))), Pair("b", "2"));
   EXPECT_EQ(writer.last(asBytes("c")), std::nullopt);
   EXPECT_EQ(writer.size(), 4u);
   EXPECT_EQ(writer.rangeCount(asBytes("a"), asBytes("b")), 2u);
   EXPECT_TRUE(writer.remove(asBytes("a")));
   EXPECT_FALSE(writer.remove(asBytes("a")));
   EXPECT_EQ(writer.size(), 3u);
}

TEST(Store, ReadsSeveralKeysAtOnce) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   Writer writer(store->empty());
   std::vector<Bytes> keys{b(""), b("key"), b("key12345678")};
   for (int i = 0; i < 3000; ++i) {
      keys.push_back(b("key" + std::to_string(i)));
      if (i % 3)
         writer.put(keys.back(), i % 50 ? keys.back() : Bytes(3000, static_cast<std::uint8_t>(i)));
   }
   writer.put(asBytes("key"), asBytes("ends at a node"));
   const std::vector<ByteView> views(keys.begin(), keys.end());
   std::vector<std::optional<ByteView>> values(keys.size(), asBytes("left over"));
   const auto expect = [&](const auto& reads) {
      reads.get(views, values);
      for (std::size_t i = 0; i < keys.size(); ++i)
         ASSERT_EQ(text(values[i]), text(reads.get(keys[i]))) << i;
   };
   expect(writer);
   expect(writer.snapshot());
   expect(store->empty());
   expect(Version());
   writer.get({}, {});
}

TEST(Store, DefaultVersionIsEmpty) {
   const Version version;
   EXPECT_TRUE(version.empty());
   EXPECT_EQ(version.get(asBytes("a")), std::nullopt);
   EXPECT_EQ(version.lowerBound({}), std::nullopt);
   EXPECT_EQ(version.last({}), std::nullopt);
   EXPECT_EQ(version.size(), 0u);
   auto cursor = version.cursor();
   EXPECT_FALSE(cursor.first());
   EXPECT_FALSE(cursor.last());
   EXPECT_FALSE(cursor.seek(asBytes("a")));
   version.verify();
}

TEST(Store, LastWithPrefixOfHighBytes) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   Writer writer(store->empty());
   const Bytes high{0xFF, 0xFF}, higher{0xFF, 0xFF, 0xFF}, low{0xFE, 0xFF};
   writer.put(high, asBytes("h"));
   writer.put(higher, asBytes("hh"));
   writer.put(low, asBytes("l"));
   EXPECT_EQ(text(writer.last(high)->value), "hh");
   EXPECT_EQ(text(writer.last(low)->value), "l");
   EXPECT_EQ(text(writer.last(Bytes{0xFE})->value), "l");
   EXPECT_EQ(writer.last(Bytes{0xFD}), std::nullopt);
}

TEST(Store, VersionsDoNotSeeLaterChanges) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   Writer writer(store->empty());
   writer.put(asBytes("k"), asBytes("old"));
   const Version before = writer.snapshot();
   EXPECT_TRUE(before.sameRoot(writer.snapshot()));
   writer.put(asBytes("k"), asBytes("new"));
   writer.put(asBytes("l"), asBytes("more"));
   EXPECT_EQ(text(before.get(asBytes("k"))), "old");
   EXPECT_EQ(before.size(), 1u);
   EXPECT_FALSE(before.sameRoot(writer.snapshot()));
   writer.reset(before);
   EXPECT_EQ(text(writer.get(asBytes("k"))), "old");
   EXPECT_EQ(writer.size(), 1u);
}

TEST(Store, ViewsLiveAsLongAsTheVersion) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   Writer writer(store->empty());
   for (int i = 0; i < 1000; ++i)
      writer.put(b("key" + std::to_string(i)), b("value" + std::to_string(i)));
   const Version version = writer.snapshot();
   const ByteView value = *version.get(asBytes("key500"));
   writer.removeRange({}, std::nullopt);
   writer.reset(store->empty());
   for (int i = 0; i < 1000; ++i)
      writer.put(b("other" + std::to_string(i)), b("x"));
   EXPECT_EQ(toText(value), "value500");
}

TEST(Store, LongestKeysAndValues) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   auto session = std::make_unique<Writer>(store->empty());
   Writer& writer = *session;
   Map model;
   std::mt19937_64 random(7);
   for (const int bytes : {0, 1, 511, 512, 513, 4079, 4080, 4081, 32752, 32753, 65520, 65521, 1 << 20, 16 << 20}) {
      Bytes value(static_cast<std::size_t>(bytes));
      for (auto& byte : value)
         byte = static_cast<std::uint8_t>(random());
      Bytes key(keyBytesMax, static_cast<std::uint8_t>(model.size()));
      writer.put(key, value);
      model[key] = value;
      key[keyBytesMax - 1] ^= 0x80;
      writer.put(key, value);
      model[key] = value;
   }
   EXPECT_EQ(contents(writer.snapshot()), model);
   const Version version = writer.snapshot();
   version.verify();
   // Each key is a prefix of the next: the deepest tree there can be.
   writer.reset(store->empty());
   Bytes key;
   const Bytes value(100, 1);
   for (std::size_t i = 0; i <= keyBytesMax; ++i, key.push_back(0))
      writer.put(key, value);
   EXPECT_EQ(writer.size(), keyBytesMax + 1);
   EXPECT_EQ(writer.rangeCount(Bytes(3), Bytes(10)), 7u);
   const Version deep = writer.snapshot();
   deep.verify();
   EXPECT_EQ(writer.removeRange(Bytes(1), std::nullopt), keyBytesMax);
   EXPECT_EQ(writer.size(), 1u);
   session.reset();
   store->checkpoint({{{"deep", deep}}, 0, {}});
   verify(*store, {&version, &deep});
}

TEST(Store, MarksNest) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   auto session = std::make_unique<Writer>(store->empty());
   Writer& writer = *session;
   const Bytes large(100'000, 7);
   writer.put(asBytes("a"), asBytes("1"));
   writer.put(asBytes("b"), large);
   const Map before = contents(writer.snapshot());
   const auto outer = writer.mark();
   writer.put(asBytes("a"), asBytes("longer"));
   writer.remove(asBytes("b"));
   writer.put(asBytes("c"), asBytes("3"));
   const Map between = contents(writer.snapshot());
   const auto inner = writer.mark();
   writer.put(asBytes("a"), asBytes("x"));
   writer.put(asBytes("b"), asBytes("short"));
   writer.remove(asBytes("c"));
   writer.rollBack(inner);
   EXPECT_EQ(contents(writer.snapshot()), between);
   const auto kept = writer.mark();
   for (int i = 0; i < 100; ++i)
      writer.put(b("r" + std::to_string(i)), asBytes("v"));
   EXPECT_EQ(writer.removeRange(asBytes("r"), asBytes("s")), 100u);
   writer.put(asBytes("z"), asBytes("after the range"));
   writer.keep(kept);
   EXPECT_EQ(writer.marks(), 1u);
   writer.rollBack(outer);
   EXPECT_EQ(contents(writer.snapshot()), before);
   EXPECT_EQ(writer.marks(), 0u);
   writer.reset(store->empty());
   session.reset();
   store->verify();
   EXPECT_EQ(store->stat().nodes, 0u);
}

TEST(Store, EachKindOfPutIsRolledBack) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   const Bytes large(100'000, 7), medium(600, 8), inlined(500, 9);
   Map base;
   // Nodes of every kind: leaves, inner nodes narrow and wide, keys that end at one, blobs.
   for (int i = 0; i < 200; ++i)
      base[b("node/" + std::string(1, static_cast<char>(i + 20)) + "/leaf")] = inlined;
   for (int i = 0; i < 20; ++i)
      base[b("node/few/" + std::string(1, static_cast<char>('a' + i)))] = inlined;
   base[b("node/")] = b("ends at a node");
   base[b("node/few/a/blob")] = large;
   base[b("node/few/b/blob")] = medium;
   const std::pair<const char*, Bytes> puts[] = {
       {"node/few/k", inlined},          // as long as before
       {"node/few/k", b("shorter")},     //
       {"node/few/a", medium},           // now a blob
       {"node/few/a/blob", large},       // one blob for another
       {"node/few/a/blob", medium},      //
       {"node/few/b/blob", b("inline")}, // no blob any more
       {"node/", medium},                // ends at a node, where there is a value
       {"node/few/", inlined},           // and where there is none
       {"node", b("above")},             // parts a prefix, and ends there
       {"nodes", b("beside")},           // parts a prefix
       {"", b("the least")},             //
       {"node/few/kk", inlined},         // into a leaf
       {"node/few/kl", large},           // makes the leaf an inner node
       {"node/\x05", b("new child")},    // one more child of a wide node
       {"node/few/z", b("new child")},   // and of a narrow one
   };
   for (const bool owned : {false, true})
      for (const bool empty : {true, false}) {
         Writer writer(store->empty());
         Map model = empty ? Map() : base;
         for (const auto& [key, value] : model)
            writer.put(key, value);
         const Version version = owned ? Version() : writer.snapshot();
         const auto outer = writer.mark();
         for (const auto& [key, value] : puts) {
            SCOPED_TRACE(key);
            const auto mark = writer.mark();
            writer.put(asBytes(key), value);
            ASSERT_EQ(text(writer.get(asBytes(key))), text(value));
            writer.rollBack(mark);
            ASSERT_EQ(contents(writer.snapshot()), model);
         }
         // All of them, and some twice.
         for (int times = 0; times < 2; ++times)
            for (const auto& [key, value] : puts)
               writer.put(asBytes(key), value);
         writer.rollBack(outer);
         ASSERT_EQ(contents(writer.snapshot()), model);
         ASSERT_NO_THROW(writer.snapshot().verify());
      }
   store->verify();
   EXPECT_EQ(store->stat().nodes, 0u);
}

TEST(Store, PreparingChangesNothing) {
   const TestFolder folder;
   Map model;
   {
      auto store = Store::open(folder.path());
      store->prepare(); // nothing was taken yet
      Writer writer(store->empty());
      // Beside a writer that takes, frees and grows.
      std::atomic<bool> stop = false;
      std::thread preparing([&] {
         while (!stop)
            store->prepare();
      });
      std::mt19937_64 random(11);
      for (int i = 0; i < 20'000; ++i) {
         const Bytes key = b("key" + std::to_string(random() % 5'000)), value(random() % 3'000, std::uint8_t(i));
         writer.put(key, value);
         model[key] = value;
      }
      stop = true;
      preparing.join();
      store->prepare();
      const Version version = writer.snapshot();
      EXPECT_EQ(contents(version), model);
      store->checkpoint({{{"main", version}}, 0, {}});
   }
   auto store = Store::open(folder.path());
   EXPECT_EQ(contents(store->lastCheckpoint()->versions.at("main")), model);
}

/// A disk that has no more room while `full`.
struct FullDisk final : FileWatch {
   bool full = false;
   std::size_t on(FileStep step, int, std::size_t bytes) override {
      if (full && step == FileStep::allocate)
         throw Fault("no room");
      return bytes;
   }
};

TEST(Store, RollsBackWhatAFullDiskBrokeOff) {
   const TestFolder folder;
   FullDisk disk;
   Options options = small;
   options.watch = &disk;
   auto store = Store::open(folder.path(), options);
   auto session = std::make_unique<Writer>(store->empty());
   Writer& writer = *session;
   std::mt19937_64 random(5);
   Map model;
   const auto put = [&] {
      // Half of them new, so that there is an end to the room.
      const Bytes key = b("key" + std::to_string(random() % (random() % 2 ? 1000 : 1'000'000))),
                  value(random() % (random() % 8 ? 300 : 20'000), static_cast<std::uint8_t>(random()));
      writer.put(key, value);
      model[key] = value;
   };
   int refusedRollBacks = 0, allPuts = 0;
   for (int round = 0; round < 10; ++round) {
      SCOPED_TRACE("round " + std::to_string(round));
      for (int i = 0; i < 300; ++i)
         put();
      const Map before = model;
      const Version kept = writer.snapshot();
      const auto mark = writer.mark();
      disk.full = true;
      int puts = 0;
      for (bool refused = false; !refused;)
         try {
            put();
            ++puts;
         } catch (const Fault&) {
            refused = true;
         }
      ASSERT_EQ(contents(writer.snapshot()), model);
      allPuts += puts;
      if (round % 4 == 3) {
         writer.keep(mark);
      } else {
         try {
            writer.rollBack(mark);
         } catch (const Fault&) {
            ++refusedRollBacks;
            ASSERT_EQ(writer.marks(), 1u);
            disk.full = false;
            writer.rollBack(mark);
         }
         model = before;
      }
      disk.full = false;
      ASSERT_EQ(contents(writer.snapshot()), model);
      ASSERT_EQ(contents(kept), before);
      ASSERT_NO_THROW(writer.snapshot().verify());
   }
   EXPECT_GT(allPuts, 100);
   EXPECT_GT(refusedRollBacks, 0);
   session.reset();
   store->verify();
   EXPECT_EQ(store->stat().nodes, 0u);
}

TEST(Store, CheckpointsSurvive) {
   const TestFolder folder;
   Map model;
   {
      auto store = Store::open(folder.path(), small);
      EXPECT_FALSE(store->lastCheckpoint());
      Writer writer(store->empty());
      for (int i = 0; i < 5000; ++i)
         writer.put(b("key" + std::to_string(i)), b(std::string(static_cast<std::size_t>(i), 'v')));
      model = contents(writer.snapshot());
      Checkpoint checkpoint{{{"chain", writer.snapshot()}, {"local", store->empty()}}, 77, b("user")};
      writer.put(asBytes("late"), asBytes("not in it"));
      store->checkpoint(checkpoint);
      writer.put(asBytes("later"), asBytes("not in it"));
   }
   for (int round = 0; round < 3; ++round) {
      auto store = Store::open(folder.path(), small);
      const auto checkpoint = store->lastCheckpoint();
      ASSERT_TRUE(checkpoint);
      EXPECT_EQ(checkpoint->journal, 77u + static_cast<unsigned>(round));
      EXPECT_EQ(toText(checkpoint->user), "user");
      EXPECT_EQ(checkpoint->versions.size(), 2u);
      EXPECT_EQ(contents(checkpoint->versions.at("chain")), model);
      EXPECT_TRUE(checkpoint->versions.at("local").empty());
      verify(*store, {&checkpoint->versions.at("chain")});
      // Change a little, and go on from there.
      Writer writer(checkpoint->versions.at("chain"));
      writer.put(b("round" + std::to_string(round)), asBytes("r"));
      writer.remove(b("key" + std::to_string(round)));
      model = contents(writer.snapshot());
      Checkpoint next = *checkpoint;
      next.versions["chain"] = writer.snapshot();
      ++next.journal;
      store->checkpoint(next);
   }
}

TEST(Store, DroppedVersionsAreReclaimed) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   {
      Writer writer(store->empty());
      for (int i = 0; i < 20000; ++i)
         writer.put(b("key" + std::to_string(i)), b(std::string(static_cast<std::size_t>(i % 900), 'v')));
   }
   store->drain();
   EXPECT_EQ(store->stat().nodes, 0u);
   const auto bytes = store->stat().fileBytes;
   for (int round = 0; round < 5; ++round) {
      Writer writer(store->empty());
      for (int i = 0; i < 20000; ++i)
         writer.put(b("key" + std::to_string(i)), b(std::string(static_cast<std::size_t>(i % 900), 'v')));
      writer.reset(store->empty());
      store->drain();
   }
   EXPECT_EQ(store->stat().fileBytes, bytes);
   store->verify();
}

TEST(Store, WhatADroppedVersionLeavesIsTakenBeforeTheFileGrows) {
   const TestFolder folder;
   FullDisk disk;
   Options options = small;
   options.watch = &disk;
   auto store = Store::open(folder.path(), options);
   auto writer = std::make_unique<Writer>(store->empty());
   Version newest;
   const auto round = [&](int i) {
      for (int key = 0; key < 1500; ++key)
         writer->put(b("key" + std::to_string(key)), b(std::string(300, static_cast<char>('a' + i))));
      newest = writer->snapshot(); // the one before goes
   };
   for (int i = 0; i < 3; ++i)
      round(i);
   disk.full = true;
   // Another thread drops them, as readers do, and nobody drains or looks at the store meanwhile.
   for (int i = 3; i < 20; ++i) {
      std::thread reader([before = newest] { EXPECT_EQ(before.size(), 1500u); });
      ASSERT_NO_THROW(round(i));
      reader.join();
   }
   newest = Version();
   writer.reset();
   store->drain();
   store->verify();
   EXPECT_EQ(store->stat().nodes, 0u);
}

TEST(Store, WhatDroppedVersionsLeaveIsCountedAsFree) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   auto writer = std::make_unique<Writer>(store->empty());
   const auto put = [&](int count, char value) {
      for (int key = 0; key < count; ++key)
         writer->put(b("key" + std::to_string(key)), b(std::string(300, value)));
      return writer->snapshot();
   };
   Version newest = put(1500, 'a');
   newest = put(1500, 'b');
   // Only a part of what it left is taken before the next one goes.
   newest = put(20, 'c');
   newest = put(20, 'd');
   writer.reset();
   EXPECT_NO_THROW(store->verify(std::array<const Version*, 1>{&newest}));
   newest = Version();
   store->drain();
   EXPECT_EQ(store->stat().nodes, 0u);
}

TEST(Store, CompactingKeepsVersionsAndWhatTheyShare) {
   const TestFolder folder;
   Map first, second;
   std::uint64_t bytes = 0;
   {
      auto store = Store::open(folder.path(), small);
      Writer writer(store->empty());
      // Much that goes again, in no order.
      for (int i = 0; i < 20'000; ++i)
         writer.put(b("key" + std::to_string(i * 7919 % 20'011)), Bytes(static_cast<std::size_t>(i % 300), 'v'));
      for (int i = 0; i < 20'000; i += 2)
         writer.remove(b("key" + std::to_string(i * 7919 % 20'011)));
      const Version one = writer.snapshot();
      writer.put(asBytes("key"), Bytes(100'000, 'w'));
      writer.removeRange(asBytes("key3"), asBytes("key4"));
      const Version two = writer.snapshot();
      Writer other(one);
      other.put(asBytes("other"), asBytes("branch"));
      store->checkpoint(
          {{{"one", one}, {"two", two}, {"none", store->empty()}, {"fork", other.snapshot()}}, 9, b("user")});
      first = contents(one);
      second = contents(two);
      bytes = store->stat().fileBytes;
   }
   EXPECT_THROW(Store::open(folder.path(), small)->copyTo(folder.path()), Fault);
   Store::compact(folder.path());
   EXPECT_FALSE(std::filesystem::exists(folder.path() / "compact"));
   auto store = Store::open(folder.path(), small);
   auto checkpoint = store->lastCheckpoint();
   ASSERT_TRUE(checkpoint);
   EXPECT_EQ(checkpoint->journal, 9u);
   EXPECT_EQ(checkpoint->user, b("user"));
   ASSERT_EQ(checkpoint->versions.size(), 4u);
   EXPECT_EQ(contents(checkpoint->versions.at("one")), first);
   EXPECT_EQ(contents(checkpoint->versions.at("two")), second);
   EXPECT_TRUE(checkpoint->versions.at("none").empty());
   Map fork = first;
   fork[b("other")] = b("branch");
   EXPECT_EQ(contents(checkpoint->versions.at("fork")), fork);
   std::uint64_t changes = 0;
   const std::uint64_t looked =
       checkpoint->versions.at("fork").changesSince(checkpoint->versions.at("one"), {}, [&](const Change&) {
          ++changes;
          return true;
       });
   EXPECT_EQ(changes, 1u);
   EXPECT_LE(looked, 10u);
   EXPECT_LT(store->stat().fileBytes, bytes);
   checkpoint.reset();
   store->verify();
   store.reset();
   const TestFolder none;
   EXPECT_THROW(Store::compact(none.path()), Fault);
   Store::open(none.path(), small).reset();
   EXPECT_THROW(Store::compact(none.path()), Fault);
}

TEST(Store, OpenedOnce) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   EXPECT_THROW(Store::open(folder.path(), small), Fault);
   store.reset();
   EXPECT_NO_THROW(Store::open(folder.path(), small));
}

TEST(Store, FullFileIsAFault) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), {.fileBytesMax = 8 << 20});
   Writer writer(store->empty());
   Map model;
   bool full = false;
   for (int i = 0; i < 100000 && !full; ++i) {
      const Bytes key = b("key" + std::to_string(i * 7919 % 100003)), value(200, static_cast<std::uint8_t>(i));
      try {
         writer.put(key, value);
         model[key] = value;
      } catch (const Fault&) {
         full = true;
      }
   }
   EXPECT_TRUE(full);
   EXPECT_EQ(contents(writer.snapshot()), model);
   const Version version = writer.snapshot();
   version.verify();
   writer.reset(store->empty());
   writer.put(asBytes("k"), asBytes("small ones fit again once there is room"));
}

std::string faultOf(const std::filesystem::path& folder) {
   try {
      Store::open(folder, small);
   } catch (const Fault& fault) {
      return fault.what();
   }
   return "";
}

void overwrite(const std::filesystem::path& file, std::uint64_t at, std::string_view bytes) {
   std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
   stream.seekp(static_cast<std::streamoff>(at));
   stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void makeStore(const std::filesystem::path& folder) {
   auto store = Store::open(folder, small);
   Writer writer(store->empty());
   for (int i = 0; i < 2000; ++i)
      writer.put(b("key" + std::to_string(i)), b(std::string(static_cast<std::size_t>(i), 'v')));
   store->checkpoint({{{"v", writer.snapshot()}}, 0, {}});
}

TEST(Store, RefusesWhatIsNotWhole) {
   {
      const TestFolder folder;
      makeStore(folder.path());
      std::filesystem::resize_file(folder.path() / "data", 1000);
      EXPECT_NE(faultOf(folder.path()).find("truncated"), std::string::npos);
   }
   {
      const TestFolder folder;
      makeStore(folder.path());
      std::filesystem::resize_file(folder.path() / "data", 200'000);
      EXPECT_NE(faultOf(folder.path()).find("outside the file"), std::string::npos);
   }
   {
      const TestFolder folder;
      std::filesystem::create_directories(folder.path());
      std::ofstream(folder.path() / "data") << std::string(100'000, 'x');
      EXPECT_NE(faultOf(folder.path()).find("not a store"), std::string::npos);
   }
   {
      const TestFolder folder;
      makeStore(folder.path());
      overwrite(folder.path() / "data", 20, "x");
      overwrite(folder.path() / "data", 4096 + 20, "x");
      EXPECT_NE(faultOf(folder.path()).find("damaged"), std::string::npos);
   }
}

TEST(Store, FlippedBitsAreFoundOrHarmless) {
   const TestFolder folder;
   makeStore(folder.path());
   const auto file = folder.path() / "data";
   std::string bytes;
   {
      std::ifstream stream(file, std::ios::binary);
      bytes.assign(std::istreambuf_iterator<char>(stream), {});
   }
   Map model;
   {
      auto store = Store::open(folder.path(), small);
      model = contents(store->lastCheckpoint()->versions.at("v"));
   }
   std::mt19937_64 random(3);
   int found = 0;
   for (int i = 0; i < 200; ++i) {
      const std::size_t at = 65536 + random() % (bytes.size() - 65536);
      const char flipped = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
      overwrite(file, at, {&flipped, 1});
      if (!faultOf(folder.path()).empty()) {
         ++found;
      } else {
         auto store = Store::open(folder.path(), small);
         EXPECT_EQ(contents(store->lastCheckpoint()->versions.at("v")), model) << "bit flipped at byte " << at;
      }
      overwrite(file, at, {&bytes[at], 1});
   }
   EXPECT_GT(found, 50);
}

std::string imageOf(const std::filesystem::path& file) {
   std::ifstream stream(file, std::ios::binary);
   return std::string(std::istreambuf_iterator<char>(stream), {});
}

/// A power cut: of what was written since the checkpoint any sectors may have reached the disk, and any not.
TEST(Store, PowerCutsLeaveTheCheckpoint) {
   const TestFolder folder, other;
   const auto file = folder.path() / "data";
   std::mt19937_64 random(17);
   auto store = Store::open(folder.path(), optionsFor(0));
   Writer writer(store->empty());
   Map model;
   for (std::uint64_t round = 0; round < 12; ++round) {
      store->checkpoint({{{"v", writer.snapshot()}}, round, {}});
      const Map saved = model;
      const std::string before = imageOf(file);
      for (int i = 0; i < 400; ++i) {
         const Bytes key = b("key" + std::to_string(random() % 2000)), value(random() % 900, 'v');
         writer.put(key, value);
         model[key] = value;
         const Bytes gone = b("key" + std::to_string(random() % 2000));
         if (random() % 3 == 0)
            ASSERT_EQ(writer.remove(gone), model.erase(gone) == 1);
      }
      const std::string after = imageOf(file);
      for (int cut = 0; cut < 8; ++cut) {
         std::string disk = after;
         const std::uint64_t lost = random() % 4;
         for (std::size_t at = 0; at < before.size(); at += 512)
            if (random() % 4 < lost)
               disk.replace(at, 512, before, at, 512);
         if (disk.size() > before.size() && random() % 2)
            disk.resize(before.size());
         std::ofstream(other.path() / "data", std::ios::binary | std::ios::trunc) << disk;
         auto reopened = Store::open(other.path(), small);
         ASSERT_EQ(reopened->lastCheckpoint()->journal, round);
         ASSERT_EQ(contents(reopened->lastCheckpoint()->versions.at("v")), saved) << "round " << round;
      }
   }
}

/// Random bytes from a small alphabet, so that keys meet as prefixes of each other.
Bytes randomKey(std::mt19937_64& random) {
   static constexpr std::uint8_t alphabet[] = {0x00, 0x01, 'a', 'b', 0x7F, 0x80, 0xFE, 0xFF};
   Bytes key;
   const std::uint64_t shape = random() % 16;
   const std::size_t bytes = shape == 0 ? random() % keyBytesMax : random() % 7;
   if (shape >= 1 && shape <= 5) {
      // Any bytes: nodes with many children.
      key.resize(1 + random() % 2);
      for (auto& byte : key)
         byte = static_cast<std::uint8_t>(random());
      return key;
   }
   if (shape >= 8)
      key = {0, 0, 0, 0, 0, 1, 2, 3, 0, 9};
   for (std::size_t i = 0; i < bytes; ++i)
      key.push_back(shape == 0 ? std::uint8_t{'z'} : alphabet[random() % 8]);
   return key;
}

Bytes randomValue(std::mt19937_64& random) {
   const std::uint64_t shape = random() % 64;
   const std::size_t bytes = shape == 0 ? random() % 100'000 : shape < 8 ? random() % 2000 : random() % 120;
   return Bytes(bytes, static_cast<std::uint8_t>(random()));
}

void expectSameReads(const Writer& writer, const Map& model, std::mt19937_64& random) {
   const Bytes key = randomKey(random), other = randomKey(random);
   const auto pair = [](Map::const_iterator at) { return Pair(toText(at->first), toText(at->second)); };
   const auto at = model.find(key);
   ASSERT_EQ(text(writer.get(key)), at == model.end() ? std::nullopt : std::optional(toText(at->second)));
   const auto low = model.lower_bound(key), up = model.upper_bound(key);
   ASSERT_EQ(text(writer.lowerBound(key)), low == model.end() ? std::nullopt : std::optional(pair(low)));
   ASSERT_EQ(text(writer.upperBound(key)), up == model.end() ? std::nullopt : std::optional(pair(up)));
   ASSERT_EQ(text(writer.lessThan(key)), low == model.begin() ? std::nullopt : std::optional(pair(std::prev(low))));
   auto behind = low;
   while (behind != model.end() &&
          std::equal(key.begin(), key.end(), behind->first.begin(),
                     behind->first.begin() + static_cast<std::ptrdiff_t>(std::min(key.size(), behind->first.size()))))
      ++behind;
   ASSERT_EQ(text(writer.last(key)), behind == low ? std::nullopt : std::optional(pair(std::prev(behind))));
   ASSERT_EQ(writer.size(), model.size());
   ASSERT_EQ(writer.rangeCount(key, other),
             key < other ? static_cast<std::uint64_t>(std::distance(low, model.lower_bound(other))) : 0u);
}

/// One life of a store: random changes, versions, marks and checkpoints, compared with maps; then it is reopened.
void runModel(std::uint64_t seed, int operations) {
   SCOPED_TRACE("replay: store_test --gtest_filter=Store.Model with seed " + std::to_string(seed));
   const TestFolder folder;
   std::mt19937_64 random(seed);
   Map saved;
   for (std::uint64_t life = 0; life < 3; ++life) {
      auto store = Store::open(folder.path(), optionsFor(seed + life));
      Version start = store->empty();
      if (life > 0) {
         ASSERT_TRUE(store->lastCheckpoint());
         start = store->lastCheckpoint()->versions.at("head");
      }
      ASSERT_EQ(contents(start), saved);
      Map model = saved;
      std::vector<std::pair<Version, Map>> kept;
      std::vector<std::pair<Writer::Mark, Map>> marks;
      store->checkpoint({{{"head", start}}, 0, {}});
      auto session = std::make_unique<Writer>(std::move(start));
      Writer& writer = *session;
      for (int i = 0; i < operations; ++i) {
         const std::uint64_t choice = random() % 100;
         if (choice < 50) {
            const Bytes key = randomKey(random), value = randomValue(random);
            writer.put(key, value);
            model[key] = value;
         } else if (choice < 70) {
            const Bytes key = randomKey(random);
            ASSERT_EQ(writer.remove(key), model.erase(key) == 1);
         } else if (choice < 74) {
            const Bytes low = randomKey(random), high = randomKey(random);
            const bool bounded = random() % 16 != 0;
            // Mostly small ranges, lest nothing be left.
            const Bytes end = random() % 4 ? [&] {
               Bytes e = low;
               e.push_back(0x80);
               return e;
            }()
                                           : high;
            const std::uint64_t got = writer.removeRange(low, bounded ? std::optional<ByteView>(end) : std::nullopt);
            std::uint64_t expected = 0;
            for (auto at = model.lower_bound(low); at != model.end() && (!bounded || at->first < end); ++expected)
               at = model.erase(at);
            ASSERT_EQ(got, expected);
         } else if (choice < 92) {
            expectSameReads(writer, model, random);
         } else if (choice < 94) {
            kept.emplace_back(writer.snapshot(), model);
         } else if (choice < 95 && !kept.empty()) {
            const std::size_t at = random() % kept.size();
            ASSERT_EQ(contents(kept[at].first), kept[at].second);
            if (random() % 2)
               kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(at));
         } else if (choice < 96 && !kept.empty() && random() % 4 == 0) {
            const auto& [version, map] = kept[random() % kept.size()];
            writer.reset(version);
            marks.clear();
            model = map;
         } else if (choice < 97 && marks.size() < 5) {
            marks.emplace_back(writer.mark(), model);
         } else if (choice < 99 && !marks.empty()) {
            if (random() % 2) {
               writer.rollBack(marks.back().first);
               model = marks.back().second;
            } else {
               writer.keep(marks.back().first);
            }
            marks.pop_back();
         } else if (random() % 4 == 0) {
            store->checkpoint({{{"head", writer.snapshot()}}, static_cast<std::uint64_t>(i), {}});
            saved = model;
         }
         if (i % 1000 == 999)
            ASSERT_NO_THROW(writer.snapshot().verify());
      }
      ASSERT_EQ(contents(writer.snapshot()), model);
      while (!marks.empty()) {
         writer.rollBack(marks.back().first);
         ASSERT_EQ(contents(writer.snapshot()), marks.back().second);
         marks.pop_back();
      }
      const Version head = writer.snapshot();
      session.reset();
      std::vector<const Version*> alive{&head};
      for (const auto& [version, map] : kept) {
         ASSERT_EQ(contents(version), map);
         alive.push_back(&version);
      }
      ASSERT_NO_THROW(store->verify(alive));
   }
}

TEST(Store, Model) {
   for (std::uint64_t seed = 1; seed <= 8 * longRun(); ++seed) {
      runModel(seed, 20'000);
      if (HasFatalFailure())
         return;
   }
}

/// Several writers over versions of each other, versions dropped in any order, sessions abandoned, checkpoints that
/// name some of it; at every few steps all accounts are checked, and the store is opened anew.
void runForks(std::uint64_t seed, int steps) {
   SCOPED_TRACE("replay: store_test --gtest_filter=Store.Forks with seed " + std::to_string(seed));
   struct Session {
      std::unique_ptr<Writer> writer;
      Map model;
      std::vector<std::pair<Writer::Mark, Map>> marks;
   };
   const TestFolder folder;
   std::mt19937_64 random(seed);
   std::map<std::string, Map> saved;
   for (std::uint64_t life = 0; life < 4; ++life) {
      auto store = Store::open(folder.path(), optionsFor(seed + life));
      std::vector<std::pair<Version, Map>> kept;
      if (const auto last = store->lastCheckpoint()) {
         ASSERT_EQ(last->versions.size(), saved.size());
         for (const auto& [name, map] : saved)
            kept.emplace_back(last->versions.at(name), map);
      }
      kept.emplace_back(store->empty(), Map());
      std::vector<Session> sessions;
      const auto pick = [&](auto& from) -> auto& { return from[random() % from.size()]; };
      const auto erase = [&](auto& from) {
         from.erase(from.begin() + static_cast<std::ptrdiff_t>(random() % from.size()));
      };
      for (int step = 0; step < steps; ++step) {
         const std::uint64_t choice = random() % 100;
         if (sessions.empty() || (choice < 8 && sessions.size() < 4)) {
            const auto& [version, map] = pick(kept);
            sessions.push_back({std::make_unique<Writer>(version), map, {}});
            continue;
         }
         Session& session = pick(sessions);
         Writer& writer = *session.writer;
         if (choice < 60) {
            for (std::uint64_t i = random() % 40; i > 0; --i) {
               const Bytes key = randomKey(random), value = randomValue(random);
               if (random() % 3) {
                  writer.put(key, value);
                  session.model[key] = value;
               } else {
                  ASSERT_EQ(writer.remove(key), session.model.erase(key) == 1);
               }
            }
         } else if (choice < 64) {
            const Bytes low = randomKey(random), high = randomKey(random);
            if (random() % 2) {
               const std::uint64_t count = writer.rangeCount(low, high);
               ASSERT_EQ(writer.removeRange(low, high), count);
               for (auto at = session.model.lower_bound(low); at != session.model.end() && at->first < high;)
                  at = session.model.erase(at);
            }
         } else if (choice < 72) {
            kept.emplace_back(writer.snapshot(), session.model);
         } else if (choice < 84) {
            if (kept.size() > 6 || random() % 2)
               erase(kept);
            if (kept.empty())
               kept.emplace_back(store->empty(), Map());
         } else if (choice < 87) {
            erase(sessions);
         } else if (choice < 90) {
            const auto& [version, map] = pick(kept);
            session.marks.clear();
            session.model = map;
            writer.reset(version);
         } else if (choice < 93) {
            session.marks.emplace_back(writer.mark(), session.model);
         } else if (choice < 97) {
            if (session.marks.empty())
               continue;
            if (random() % 2) {
               session.model = session.marks.back().second;
               writer.rollBack(session.marks.back().first);
            } else {
               writer.keep(session.marks.back().first);
            }
            session.marks.pop_back();
         } else {
            Checkpoint next;
            saved.clear();
            for (std::uint64_t i = random() % 5; i > 0; --i) {
               const std::string name = "name" + std::to_string(random() % 5);
               const auto& [version, map] = pick(kept);
               next.versions[name] = version;
               saved[name] = map;
            }
            store->checkpoint(next);
         }
         if (step % 50 != 49)
            continue;
         for (const Session& each : sessions) {
            ASSERT_EQ(contents(each.writer->snapshot()), each.model);
         }
         sessions.clear();
         std::vector<const Version*> alive;
         for (const auto& [version, map] : kept) {
            ASSERT_EQ(contents(version), map);
            alive.push_back(&version);
         }
         ASSERT_NO_THROW(store->verify(alive));
      }
   }
}

TEST(Store, Forks) {
   for (std::uint64_t seed = 1; seed <= 12 * longRun(); ++seed) {
      runForks(seed, 600);
      if (HasFatalFailure())
         return;
   }
}

TEST(Store, OlderFormatIsRefused) {
   const TestFolder folder;
   // The superblock of an empty store of format 1.
   makeStore(folder.path());
   overwrite(folder.path() / "data", 0, std::string(8192, '\0'));
   overwrite(folder.path() / "data", 0,
             std::string_view("polisST\x1A\x01\0\0\0\x58\xB3\x1A\xCC\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32));
   EXPECT_NE(faultOf(folder.path()).find("older version"), std::string::npos) << faultOf(folder.path());
}

TEST(Store, CursorsGoBothWays) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   Writer writer(store->empty());
   Map model;
   std::mt19937_64 random(11);
   for (int i = 0; i < 3000; ++i) {
      const Bytes key = randomKey(random), value = randomValue(random);
      writer.put(key, value);
      model[key] = value;
   }
   const Version version = writer.snapshot();
   for (int i = 0; i < 500; ++i) {
      const Bytes key = randomKey(random);
      auto cursor = version.cursor();
      auto at = model.lower_bound(key);
      bool valid;
      if (random() % 2) {
         valid = cursor.seek(key);
         ASSERT_EQ(valid, at != model.end());
      } else {
         valid = cursor.seekBefore(key);
         ASSERT_EQ(valid, at != model.begin());
         if (valid)
            --at;
      }
      for (int step = 0; valid && step < 50; ++step) {
         ASSERT_EQ(toBytes(cursor.entry().key), at->first);
         if (random() % 2) {
            valid = cursor.next();
            ASSERT_EQ(valid, ++at != model.end());
         } else {
            valid = cursor.previous();
            ASSERT_EQ(valid, at != model.begin());
            if (valid)
               --at;
         }
      }
   }
   auto cursor = version.cursor();
   auto at = model.end();
   for (bool more = cursor.last(); more; more = cursor.previous())
      ASSERT_EQ(toBytes(cursor.entry().key), (--at)->first);
   EXPECT_EQ(at, model.begin());
}

TEST(Store, ReadersBesideWriters) {
   const TestFolder folder;
   auto store = Store::open(folder.path(), small);
   // One writer publishes versions in which all values are equal; readers look at the newest and at old ones; another
   // writer works on throw-away sessions of its own.
   Mutex mutex;
   Version newest;
   std::atomic<bool> stop = false;
   std::atomic<int> reads = 0;
   constexpr int keys = 500;
   {
      Writer writer(store->empty());
      for (int k = 0; k < keys; ++k)
         writer.put(b("key" + std::to_string(k)), asBytes("0"));
      newest = writer.snapshot();
   }
   const auto take = [&] {
      Lock lock(mutex);
      return newest;
   };
   std::vector<std::thread> threads;
   for (int t = 0; t < 2; ++t)
      threads.emplace_back([&] {
         while (!stop) {
            const Version version = take();
            const std::string value = toText(*version.get(asBytes("key0")));
            auto cursor = version.cursor();
            int count = 0;
            for (bool more = cursor.first(); more; more = cursor.next(), ++count)
               ASSERT_EQ(toText(cursor.entry().value), value);
            ASSERT_EQ(count, keys);
            ++reads;
         }
      });
   threads.emplace_back([&] {
      while (!stop) {
         Writer writer(take());
         for (int k = 0; k < 20; ++k)
            writer.put(b("mine" + std::to_string(k)), asBytes("x"));
         writer.removeRange(asBytes("key"), asBytes("key3"));
      }
   });
   threads.emplace_back([&] {
      for (std::uint64_t i = 0; !stop; ++i)
         store->checkpoint({{{"v", take()}}, i, {}});
   });
   {
      Writer writer(take());
      for (int round = 1; round <= 60 || reads < 20; ++round) {
         const std::string value(static_cast<std::size_t>(round % 300), static_cast<char>('a' + round % 26));
         for (int k = 0; k < keys; ++k)
            writer.put(b("key" + std::to_string(k)), asBytes(value));
         Version next = writer.snapshot();
         Lock lock(mutex);
         std::swap(newest, next);
      }
   }
   stop = true;
   for (auto& thread : threads)
      thread.join();
   verify(*store, {&newest});
}

} // namespace
} // namespace polis::store
