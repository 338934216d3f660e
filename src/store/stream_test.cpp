// A version written down and read back: as a whole, in parts, from another holder; and chunks that are not right.
#include "store/stream.hpp"

#include "base/fault.hpp"
#include "store/crc32c.hpp"
#include "store/long_run.hpp"
#include "store/random_map.hpp"
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

#include <set>

namespace polis::store {
namespace {

Map within(const Map& rows, const std::vector<KeyRange>& ranges) {
   Map out;
   for (const auto& row : rows)
      for (const KeyRange& range : ranges)
         if (range.contains(row.first))
            out.insert(row);
   return out;
}

std::vector<KeyRange> randomRanges(const RandomKeys& keys, std::mt19937_64& random) {
   if (random() % 2)
      return {{}};
   std::set<Bytes> bounds;
   for (std::uint64_t i = random() % 7; i > 0; --i)
      bounds.insert(keys(random));
   std::vector<KeyRange> out;
   for (auto at = bounds.begin(); at != bounds.end(); ++at) {
      out.push_back({*at, std::nullopt});
      if (++at == bounds.end())
         break;
      out.back().high = *at;
   }
   return out;
}

TEST(Stream, ComesBackAsItWas) {
   for (std::uint64_t seed = 1; seed <= std::uint64_t{60} * longRun(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      const TestFolder folder, elsewhere;
      auto store = Store::open(folder.path()), other = Store::open(elsewhere.path());
      std::mt19937_64 random(seed);
      const RandomKeys keys(random);
      Writer writer(store->empty());
      Map model;
      for (std::uint64_t i = random() % 3 ? random() % 300 : random() % 3; i > 0; --i)
         change(writer, model, keys, random);
      if (random() % 3 == 0) {
         model[keys(random)] = Bytes(50'000 + random() % 100'000, 'v');
         for (const auto& [key, value] : model)
            writer.put(key, value);
      }
      const Version version = writer.snapshot();
      const auto ranges = randomRanges(keys, random);
      Writer reading(other->empty());
      auto importer = std::make_unique<Importer>(reading, ranges);
      Bytes before;
      while (!importer->done()) {
         // Each chunk from another exporter, of another size.
         const std::size_t bytes = chunkBytesMin + random() % 50'000;
         Exporter exporter(version, ranges, bytes, importer->position());
         const Bytes chunk = exporter.next();
         ASSERT_LE(chunk.size(), bytes);
         const StreamPosition position = importer->position();
         if (!before.empty())
            ASSERT_FALSE(importer->add(before));
         Bytes bad = chunk;
         bad[random() % bad.size()] ^= static_cast<std::uint8_t>(1 << random() % 8);
         ASSERT_FALSE(importer->add(bad));
         ASSERT_EQ(importer->position(), position);
         const auto added = importer->add(chunk);
         ASSERT_TRUE(added) << added.error().reason;
         ASSERT_EQ(importer->done(), exporter.done());
         if (!importer->done())
            ASSERT_EQ(importer->position(), exporter.position());
         before = chunk;
         if (!importer->done() && random() % 4 == 0) {
            // Broken off, saved, and gone on with.
            const StreamPosition from = importer->resumeAt();
            const Version saved = reading.snapshot();
            importer.reset();
            reading.reset(saved);
            importer = std::make_unique<Importer>(reading, ranges, from);
            before.clear();
         }
      }
      const Version copy = reading.snapshot();
      ASSERT_EQ(contents(copy), within(model, ranges));
      if (ranges.size() == 1 && ranges[0].low.empty() && !ranges[0].high)
         ASSERT_EQ(copy.merkle({}), version.merkle({}));
   }
}

Bytes sealed(const Bytes& checked) {
   Bytes chunk = toBytes("PSC1");
   const std::uint32_t crc = detail::crc32c(0, checked);
   append(chunk, {reinterpret_cast<const std::uint8_t*>(&crc), sizeof crc});
   append(chunk, checked);
   return chunk;
}

/// Bytes of a chunk, as the comment in stream.cpp tells.
struct Parts {
   Bytes out;
   Parts& u8(unsigned n) {
      out.push_back(static_cast<std::uint8_t>(n));
      return *this;
   }
   Parts& number(std::uint64_t n, int bytes) {
      for (int i = 0; i < bytes; ++i)
         out.push_back(static_cast<std::uint8_t>(n >> (8 * i)));
      return *this;
   }
   Parts& at(std::string_view key, std::uint32_t offset) {
      number(key.size(), 2);
      append(out, asBytes(key));
      return number(offset, 4);
   }
   Parts& entry(std::string_view key, std::size_t valueBytes, std::string_view piece) {
      number(key.size(), 2).number(valueBytes, 4).number(piece.size(), 4);
      append(out, asBytes(key));
      append(out, asBytes(piece));
      return *this;
   }
};

TEST(Stream, RefusesWhatBreaksARule) {
   const TestFolder folder;
   auto store = Store::open(folder.path());
   const auto reason = [&](const Parts& parts, std::vector<Parts> before = {}) {
      Writer writer(store->empty());
      Importer importer(writer, {KeyRange{toBytes("b"), toBytes("m")}, KeyRange{toBytes("x"), std::nullopt}});
      for (const Parts& one : before) {
         const auto added = importer.add(sealed(one.out));
         EXPECT_TRUE(added) << added.error().reason;
      }
      const std::uint64_t count = writer.size();
      const auto added = importer.add(sealed(parts.out));
      if (!added)
         EXPECT_EQ(writer.size(), count);
      return added ? "" : added.error().reason;
   };
   const auto first = [] { return Parts().u8(0).at("", 0); };
   const auto last = [] { return Parts().u8(1).at("", 0); };
   EXPECT_EQ(reason(last()), "");
   EXPECT_EQ(reason(last().entry("b", 1, "1").entry("x", 0, "")), "");
   EXPECT_EQ(reason(first().at("c", 0).entry("b", 1, "1")), "");
   EXPECT_EQ(reason(Parts().u8(2).at("", 0)), "chunk too short");
   EXPECT_EQ(reason(Parts().u8(0).at("", 0)), "chunk too short");
   EXPECT_EQ(reason(Parts().u8(1).at("a", 0)), "chunk that does not begin where the one before ended");
   EXPECT_EQ(reason(Parts().u8(1).at("", 1)), "chunk that does not begin where the one before ended");
   EXPECT_EQ(reason(last().entry("c", 0, "").entry("b", 0, "")), "chunk with keys out of order");
   EXPECT_EQ(reason(last().entry("b", 0, "").entry("b", 0, "")), "chunk with keys out of order");
   EXPECT_EQ(reason(last().entry("a", 0, "")), "chunk with a key that was not asked for");
   EXPECT_EQ(reason(last().entry("m", 0, "")), "chunk with a key that was not asked for");
   EXPECT_EQ(reason(last().entry("b", (16u << 20) + 1, "")), "chunk with an entry too long");
   EXPECT_EQ(reason(last().entry(std::string(1025, 'b'), 0, "")), "chunk with an entry too long");
   EXPECT_EQ(reason(last().entry("b", 1, "12")), "chunk with more than a value");
   EXPECT_EQ(reason(last().entry("b", 3, "12")), "chunk that lacks what should be in it");
   EXPECT_EQ(reason(last().entry("b", 3, "12").entry("c", 0, "")), "chunk with a value cut within it");
   EXPECT_EQ(reason(first().at("c", 0)), "chunk that lacks what should be in it");
   EXPECT_EQ(reason(first().at("b", 0).entry("b", 1, "1")), "chunk that does not end where it says");
   EXPECT_EQ(reason(first().at("c", 1).entry("b", 1, "1")), "chunk that does not end where it says");
   EXPECT_EQ(reason(first().at("b", 1).entry("b", 3, "12")), "chunk that does not end where it says");
   EXPECT_EQ(reason(first().at("b", 0).entry("b", 3, "")), "chunk that does not end where it says");
   EXPECT_EQ(reason(first().at(std::string(1025, 'c'), 0).entry("b", 1, "1")), "chunk with a key too long");
   const Parts begun = first().at("b", 2).entry("b", 3, "12");
   EXPECT_EQ(reason(Parts().u8(1).at("b", 2).entry("b", 3, "3").entry("c", 0, ""), {begun}), "");
   EXPECT_EQ(reason(Parts().u8(1).at("b", 2), {begun}), "chunk that lacks what should be in it");
   EXPECT_EQ(reason(Parts().u8(1).at("b", 2).entry("b", 4, "34"), {begun}),
             "chunk that does not go on with the value begun");
   EXPECT_EQ(reason(Parts().u8(1).at("b", 2).entry("c", 3, "3"), {begun}),
             "chunk that does not go on with the value begun");
   EXPECT_EQ(reason(Parts().u8(1).at("b", 2).entry("b", 3, "34"), {begun}), "chunk with more than a value");
   Writer writer(store->empty());
   Importer importer(writer, {{}});
   EXPECT_FALSE(importer.add({}));
   EXPECT_FALSE(importer.add(Bytes(chunkBytesMax + 1)));
}

TEST(Stream, ImportsWhereNothingIs) {
   const TestFolder folder;
   auto store = Store::open(folder.path());
   Writer writer(store->empty());
   writer.put(asBytes("b"), asBytes("1"));
   EXPECT_THROW(Importer(writer, {{}}), Fault);
   EXPECT_THROW(Importer(writer, {{}}, {toBytes("a"), 0}), Fault);
   EXPECT_NO_THROW(Importer(writer, {{}}, {toBytes("c"), 0}));
   EXPECT_NO_THROW(Importer(writer, {KeyRange::withPrefix(asBytes("a")), KeyRange::withPrefix(asBytes("c"))}));
}

} // namespace
} // namespace polis::store
