// Leaves for blocks of bytes: split, put together, and found wherever a key falls; and files of the format before,
// which has a leaf for each byte.
#include "store/long_run.hpp"
#include "store/merkle_definition.hpp"
#include "store/node.hpp"
#include "store/random_map.hpp"
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include "base/fault.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace polis::store {
namespace {

using Pair = std::pair<Bytes, Bytes>;

std::optional<Pair> pairOf(std::optional<Entry> entry) {
   return entry ? std::optional(Pair(toBytes(entry->key), toBytes(entry->value))) : std::nullopt;
}

void expectSameAt(const Version& version, const Map& model, const Bytes& key, const Bytes& other) {
   const auto at = model.find(key);
   const auto value = version.get(key);
   ASSERT_EQ(value ? std::optional(toBytes(*value)) : std::nullopt,
             at == model.end() ? std::nullopt : std::optional(at->second));
   const auto low = model.lower_bound(key);
   ASSERT_EQ(pairOf(version.lowerBound(key)), low == model.end() ? std::nullopt : std::optional<Pair>(*low));
   ASSERT_EQ(pairOf(version.lessThan(key)), low == model.begin() ? std::nullopt : std::optional<Pair>(*std::prev(low)));
   const auto expected = key < other ? std::distance(low, model.lower_bound(other)) : 0;
   ASSERT_EQ(version.rangeCount(key, other), static_cast<std::uint64_t>(expected));
   auto cursor = version.cursor();
   ASSERT_EQ(cursor.seek(key), low != model.end());
   if (cursor.valid())
      ASSERT_EQ(toBytes(cursor.entry().key), low->first);
   ASSERT_EQ(cursor.seekBefore(key), low != model.begin());
   if (cursor.valid())
      ASSERT_EQ(toBytes(cursor.entry().key), std::prev(low)->first);
}

/// Rows at one node, or a few, with bytes far apart and near, that come and go.
void runBlocks(std::uint64_t seed) {
   SCOPED_TRACE("replay: store_test --gtest_filter=Leaf.BlocksOfBytes with seed " + std::to_string(seed));
   const TestFolder folder;
   auto store = Store::open(folder.path());
   std::mt19937_64 random(seed);
   const Bytes stem(random() % 3, 9);
   const std::uint64_t step = std::uint64_t{1} << random() % 6, tailMax = random() % 3, valueMax = 1 + random() % 700;
   const auto anyKey = [&] {
      Bytes key = random() % 32 ? stem : Bytes();
      if (random() % 64)
         key.push_back(static_cast<std::uint8_t>(random() % 4 ? random() / step * step : random()));
      for (std::uint64_t i = random() % (tailMax + 1); i > 0; --i)
         key.push_back(static_cast<std::uint8_t>(random()));
      return key;
   };
   Writer writer(store->empty());
   Map model;
   Version before = store->empty();
   Map modelBefore;
   for (int part = 0; part < 16; ++part) {
      const bool grows = part % 8 < 4;
      for (int i = 0; i < 150; ++i) {
         const std::uint64_t choice = random() % 100;
         Bytes key = anyKey();
         if (choice < (grows ? 80 : 20)) {
            const Bytes value(random() % 40 ? random() % valueMax : random() % 1600,
                              static_cast<std::uint8_t>(random()));
            writer.put(key, value);
            model[key] = value;
         } else if (choice < 97) {
            // Mostly one that is there.
            if (const auto at = model.lower_bound(key); at != model.end())
               key = at->first;
            ASSERT_EQ(writer.remove(key), model.erase(key) == 1);
         } else {
            const Bytes low = key, high = anyKey();
            writer.removeRange(low, high);
            std::erase_if(model, [&](const auto& row) { return low <= row.first && row.first < high; });
         }
      }
      const Version now = writer.snapshot();
      ASSERT_NO_THROW(now.verify());
      ASSERT_EQ(contents(now), model);
      for (int i = 0; i < 60; ++i) {
         expectSameAt(now, model, anyKey(), anyKey());
         if (::testing::Test::HasFatalFailure())
            return;
      }
      // The root says nothing of the leaves, neither of all nor of a part.
      ASSERT_EQ(now.merkle({}), defined(model));
      KeyRange range{anyKey(), anyKey()};
      if (range.low > *range.high)
         std::swap(range.low, *range.high);
      Map some;
      std::copy_if(model.begin(), model.end(), std::inserter(some, some.end()),
                   [&](const auto& row) { return range.contains(row.first); });
      ASSERT_EQ(now.merkle(range, 0), defined(some));
      now.changesSince(before, {}, [&](const Change& change) {
         if (change.after)
            modelBefore[toBytes(change.key)] = toBytes(*change.after);
         else
            EXPECT_EQ(modelBefore.erase(toBytes(change.key)), 1u);
         return true;
      });
      ASSERT_EQ(modelBefore, model);
      if (random() % 2)
         before = now;
      else
         modelBefore = contents(before);
   }
}

TEST(Leaf, BlocksOfBytes) {
   for (std::uint64_t seed = 1; seed <= std::uint64_t{24} * longRun(); ++seed) {
      runBlocks(seed);
      if (HasFatalFailure())
         return;
   }
}

/// 150 rows to a node: too many for one leaf, too few for one leaf for each next byte.
TEST(Leaf, HoldsManyEntriesAndStaysSo) {
   const TestFolder folder;
   auto store = Store::open(folder.path());
   std::mt19937_64 random(1);
   std::vector<Bytes> keys;
   Writer writer(store->empty());
   for (int i = 0; i < 9600; ++i) {
      Bytes key(12);
      for (auto& byte : key)
         byte = static_cast<std::uint8_t>(random());
      key[0] %= 64;
      writer.put(key, Bytes(120, 1));
      keys.push_back(key);
   }
   EXPECT_LE(store->stat().nodes, keys.size() / 4);
   std::shuffle(keys.begin(), keys.end(), random);
   for (; keys.size() > 1600; keys.pop_back())
      ASSERT_TRUE(writer.remove(keys.back()));
   EXPECT_LE(store->stat().nodes, keys.size() * 2 / 3);
   const Version end = writer.snapshot();
   EXPECT_EQ(end.size(), keys.size());
   EXPECT_NO_THROW(end.verify());
}

std::string imageOf(const std::filesystem::path& file) {
   std::ifstream stream(file, std::ios::binary);
   return std::string(std::istreambuf_iterator<char>(stream), {});
}

TEST(Leaf, WithKeysOutsideItsBlockIsDamage) {
   const TestFolder folder;
   {
      auto store = Store::open(folder.path());
      Writer writer(store->empty());
      for (unsigned i = 0; i < 256; i += 4)
         writer.put(Bytes{static_cast<std::uint8_t>(i)}, Bytes(100, 1));
      store->checkpoint({{{"v", writer.snapshot()}}, 0, {}});
   }
   const auto file = folder.path() / "data";
   std::string image = imageOf(file);
   int changed = 0;
   for (std::size_t at = 65536; at + 65536 < image.size(); at += detail::unitBytes) {
      auto& inner = reinterpret_cast<detail::Inner&>(image[at]);
      if (inner.kind != detail::Kind::inner || inner.seal == 0 ||
          inner.seal != detail::nodeChecksum(reinterpret_cast<const detail::NodeHead*>(&image[at])))
         continue;
      // A child for a whole block of bytes now claims to be for the later ones of them.
      const int first = inner.byteFrom(1);
      ASSERT_EQ(inner.present[0] >> first & 3, 1u);
      inner.present[0] += std::uint64_t{1} << first;
      inner.seal = detail::nodeChecksum(reinterpret_cast<const detail::NodeHead*>(&image[at]));
      ++changed;
   }
   ASSERT_EQ(changed, 1);
   std::ofstream(file, std::ios::binary) << image;
   try {
      Store::open(folder.path());
      FAIL() << "opened";
   } catch (const Fault& fault) {
      EXPECT_NE(std::string(fault.what()).find("misplaced key"), std::string::npos) << fault.what();
   }
}

// The rows of format_2.store, whose version "before" has the first 150.
Bytes oldKey(std::uint32_t i) {
   const std::uint32_t h = i * 2'654'435'761u;
   return {static_cast<std::uint8_t>('a' + i % 3), static_cast<std::uint8_t>(h >> 24),
           static_cast<std::uint8_t>(h >> 16), static_cast<std::uint8_t>(i)};
}
Bytes oldValue(std::uint32_t i) { return Bytes(i % 50 == 7 ? 600 + i : 40 + i % 160, static_cast<std::uint8_t>(i)); }

/// format_2.store: the length of the file, then what is not zero in it: where, how much (4 bytes each), the bytes.
void unpack(const std::filesystem::path& to) {
   const std::string packed = imageOf(std::filesystem::path(POLIS_SOURCE_DIR) / "src/store/format_2.store");
   std::size_t at = 0;
   const auto number = [&] {
      std::uint32_t out = 0;
      std::memcpy(&out, packed.data() + at, sizeof out);
      at += sizeof out;
      return out;
   };
   ASSERT_GT(packed.size(), 4u);
   std::string image(number(), '\0');
   while (at < packed.size()) {
      const std::uint32_t place = number(), bytes = number();
      image.replace(place, bytes, packed, at, bytes);
      at += bytes;
   }
   std::ofstream(to, std::ios::binary) << image;
}

TEST(Leaf, FilesOfTheFormatBeforeGoOn) {
   const TestFolder folder;
   std::filesystem::create_directories(folder.path());
   unpack(folder.path() / "data");
   Map before, model;
   for (std::uint32_t i = 0; i < 150; ++i)
      before[oldKey(i)] = oldValue(i);
   model = before;
   model.erase(oldKey(10));
   model[oldKey(150)] = oldValue(150);
   model[{}] = {1};
   std::mt19937_64 random(5);
   const auto check = [&](const Version& version) {
      ASSERT_EQ(contents(version), model);
      ASSERT_NO_THROW(version.verify());
      for (unsigned byte = 0; byte < 768; ++byte)
         expectSameAt(version, model, {static_cast<std::uint8_t>('a' + byte % 3), static_cast<std::uint8_t>(byte / 3)},
                      oldKey(static_cast<std::uint32_t>(random() % 1000)));
      ASSERT_EQ(version.merkle({}), defined(model));
   };
   {
      auto store = Store::open(folder.path());
      const auto last = store->lastCheckpoint();
      EXPECT_EQ(contents(last->versions.at("before")), before);
      const Version old = last->versions.at("after");
      check(old);
      std::size_t changes = 0;
      old.changesSince(last->versions.at("before"), {}, [&](const Change&) { return ++changes > 0; });
      EXPECT_EQ(changes, 3u);
      Writer writer(old);
      for (std::uint32_t i = 100; i < 900; ++i) {
         writer.put(oldKey(i), oldValue(i + 1));
         model[oldKey(i)] = oldValue(i + 1);
         if (i % 3 == 0)
            EXPECT_EQ(writer.remove(oldKey(i - 99)), model.erase(oldKey(i - 99)) == 1);
      }
      const Version now = writer.snapshot();
      check(now);
      Map changed = contents(old);
      now.changesSince(old, {}, [&](const Change& change) {
         if (change.after)
            changed[toBytes(change.key)] = toBytes(*change.after);
         else
            changed.erase(toBytes(change.key));
         return true;
      });
      EXPECT_EQ(changed, model);
      store->checkpoint({{{"old", old}, {"now", now}}, 0, {}});
   }
   auto store = Store::open(folder.path());
   check(store->lastCheckpoint()->versions.at("now"));
}

} // namespace
} // namespace polis::store
