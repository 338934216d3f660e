// What two versions differ in, against the same of two maps; and that what they share is not looked at.
#include "store/long_run.hpp"
#include "store/random_map.hpp"
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

namespace polis::store {
namespace {

struct Differing {
   std::optional<Bytes> before, after;
   bool operator==(const Differing&) const = default;
};
using Differences = std::vector<std::pair<Bytes, Differing>>;

Differences naive(const Map& before, const Map& after, const KeyRange& range) {
   std::map<Bytes, Differing> all;
   for (const auto& [key, value] : before)
      all[key].before = value;
   for (const auto& [key, value] : after)
      all[key].after = value;
   Differences out;
   for (const auto& [key, one] : all)
      if (one.before != one.after && range.contains(key))
         out.emplace_back(key, one);
   return out;
}

Differences found(const Version& before, const Version& after, const KeyRange& range, std::size_t limit = SIZE_MAX) {
   Differences out;
   const auto bytes = [](std::optional<ByteView> view) { return view ? std::optional(toBytes(*view)) : std::nullopt; };
   after.changesSince(before, range, [&](const Change& change) {
      out.emplace_back(toBytes(change.key), Differing{bytes(change.before), bytes(change.after)});
      return out.size() < limit;
   });
   return out;
}

TEST(Difference, AgreesWithMaps) {
   for (std::uint64_t seed = 1; seed <= std::uint64_t{60} * longRun(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      const TestFolder folder, elsewhere;
      auto store = Store::open(folder.path()), other = Store::open(elsewhere.path());
      std::mt19937_64 random(seed);
      const RandomKeys keys(random);
      std::vector<std::pair<Version, Map>> kept{{store->empty(), {}}, {Version(), {}}};
      Writer writer(store->empty());
      Map model;
      for (int step = 0; step < 12; ++step) {
         if (random() % 3 == 0) {
            const auto& [version, map] = kept[2 * (random() % 2) % kept.size()];
            if (!version.empty()) {
               writer.reset(version);
               model = map;
            }
         }
         for (std::uint64_t i = random() % 3 ? random() % 8 : random() % 400; i > 0; --i)
            change(writer, model, keys, random);
         kept.emplace_back(writer.snapshot(), model);
         Writer copying(other->empty());
         for (const auto& [key, value] : model)
            copying.put(key, value);
         const Version copy = copying.snapshot();
         EXPECT_EQ(found(copy, kept.back().first, {}), Differences());
         const auto& [before, mapBefore] = kept[random() % kept.size()];
         for (const KeyRange& range : {KeyRange(), keys.range(random), keys.range(random)}) {
            const Differences expected = naive(mapBefore, model, range);
            ASSERT_EQ(found(before, kept.back().first, range), expected);
            ASSERT_EQ(found(before, copy, range), expected);
            ASSERT_EQ(found(kept.back().first, before, range), naive(model, mapBefore, range));
            if (!expected.empty()) {
               const std::size_t limit = 1 + random() % expected.size();
               ASSERT_EQ(found(before, kept.back().first, range, limit),
                         Differences(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(limit)));
            }
         }
      }
   }
}

TEST(Difference, LooksOnlyAtWhatChanged) {
   const TestFolder folder;
   auto store = Store::open(folder.path());
   Writer writer(store->empty());
   std::mt19937_64 random(1);
   std::vector<Bytes> keys;
   for (int i = 0; i < 50'000; ++i) {
      Bytes key(12);
      for (auto& byte : key)
         byte = static_cast<std::uint8_t>(random());
      writer.put(key, Bytes(100, 1));
      keys.push_back(key);
   }
   const Version before = writer.snapshot();
   for (std::size_t i = 0; i < 10; ++i)
      writer.put(keys[i * 4999], Bytes(100, 2));
   const Version after = writer.snapshot();
   std::size_t changes = 0;
   // For each: two leaves, and those above them, with the groups of their children skipped.
   EXPECT_LE(after.changesSince(before, {},
                                [&](const Change&) {
                                   ++changes;
                                   return true;
                                }),
             10u * 8u);
   EXPECT_EQ(changes, 10u);
   EXPECT_EQ(after.changesSince(after, {}, [](const Change&) { return false; }), 0u);
}

} // namespace
} // namespace polis::store
