// Proofs: what a prover shows is what the map has; nothing else passes.
#include "store/proof.hpp"

#include "store/long_run.hpp"
#include "store/merkle_definition.hpp"
#include "store/random_map.hpp"
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

namespace polis::store {
namespace {

Map without(const Map& rows, ByteView prefix) {
   Map out;
   const KeyRange range = KeyRange::withPrefix(prefix);
   for (const auto& [key, value] : rows)
      if (range.contains(key))
         out.emplace(toBytes(ByteView(key).subspan(prefix.size())), value);
   return out;
}

Map shownBy(const Proof& proof, const KeyRange& range) {
   Map out;
   for (const Entry& entry : proof.entries())
      if (range.contains(entry.key))
         out.emplace(toBytes(entry.key), toBytes(entry.value));
   return out;
}

KeyRange only(const Bytes& key) {
   KeyRange out{key, key};
   out.high->push_back(0);
   return out;
}

TEST(Proof, TellsWhatIsThereAndWhatIsNot) {
   for (std::uint64_t seed = 1; seed <= std::uint64_t{60} * longRun(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      const TestFolder folder;
      auto store = Store::open(folder.path());
      std::mt19937_64 random(seed);
      const RandomKeys keys(random);
      Writer writer(store->empty());
      Map model;
      for (std::uint64_t i = random() % 3 ? random() % 8 : random() % 500; i > 0; --i)
         change(writer, model, keys, random);
      const Version version = writer.snapshot();
      for (int i = 0; i < 20; ++i) {
         const Bytes prefix = random() % 2 ? Bytes() : keys(random);
         const Map rows = without(model, prefix);
         const MerkleRoot root = version.merkle(prefix);
         ASSERT_EQ(root, defined(rows));
         const auto tail = [&] {
            const Bytes key = keys(random);
            return toBytes(ByteView(key).subspan(std::min(prefix.size(), key.size())));
         };
         const Bytes key = tail();
         const Bytes bytes = version.prove(prefix, only(key));
         const auto proof = Proof::check(root, bytes);
         ASSERT_TRUE(proof) << proof.error().reason;
         const auto value = proof->get(key);
         ASSERT_TRUE(value) << value.error().reason;
         const auto row = rows.find(key);
         ASSERT_EQ(value->has_value(), row != rows.end());
         if (*value)
            ASSERT_EQ(toBytes(**value), row->second);
         ASSERT_LE(proof->entries().size(), 2u);

         KeyRange range = random() % 4 ? KeyRange{tail(), tail()} : KeyRange{tail(), std::nullopt};
         const Bytes bytesOfRange = version.prove(prefix, range);
         const auto ofRange = Proof::check(root, bytesOfRange);
         ASSERT_TRUE(ofRange) << ofRange.error().reason;
         ASSERT_TRUE(ofRange->complete(range));
         Map expected;
         for (const auto& one : rows)
            if (range.contains(one.first))
               expected.insert(one);
         ASSERT_EQ(shownBy(*ofRange, range), expected);

         // With a bound it goes on from the last entry until all have been shown.
         Map all;
         for (KeyRange rest;;) {
            const Bytes some = version.prove(prefix, rest, 1 + random() % 4000);
            const auto part = Proof::check(root, some);
            ASSERT_TRUE(part) << part.error().reason;
            const std::size_t before = all.size();
            all.merge(shownBy(*part, rest));
            if (part->complete(rest))
               break;
            ASSERT_GT(all.size(), before);
            const Bytes upTo = *only(all.rbegin()->first).high;
            ASSERT_TRUE(part->complete({rest.low, upTo}));
            rest.low = upTo;
         }
         ASSERT_EQ(all, rows);
      }
   }
}

TEST(Proof, RefusesEveryOther) {
   const TestFolder folder;
   auto store = Store::open(folder.path());
   Writer writer(store->empty());
   std::mt19937_64 random(3);
   for (int i = 0; i < 200; ++i)
      writer.put(toBytes("key" + std::to_string(i)), Bytes(random() % 20, static_cast<std::uint8_t>(i)));
   const Version version = writer.snapshot();
   const MerkleRoot root = version.merkle({});
   const Bytes proof = version.prove({}, {toBytes("key17"), toBytes("key173")});
   ASSERT_TRUE(Proof::check(root, proof));
   for (std::size_t i = 0; i < proof.size(); ++i)
      for (int bit = 0; bit < 8; ++bit) {
         Bytes bad = proof;
         bad[i] ^= static_cast<std::uint8_t>(1 << bit);
         ASSERT_FALSE(Proof::check(root, bad)) << i;
      }
   for (std::size_t i = 0; i < proof.size(); ++i)
      ASSERT_FALSE(Proof::check(root, ByteView(proof).first(i))) << i;
   writer.put(asBytes("another"), asBytes("row"));
   EXPECT_FALSE(Proof::check(writer.snapshot().merkle({}), proof));
   EXPECT_FALSE(Proof::check(MerkleRoot{}, proof));
   // What is hidden is not told.
   const auto good = Proof::check(root, proof);
   EXPECT_FALSE(good->get(asBytes("key5")));
   EXPECT_FALSE(good->get(asBytes("a")));
   EXPECT_FALSE(good->complete({toBytes("key16"), toBytes("key18")}));
   EXPECT_FALSE(good->complete({}));
   EXPECT_TRUE(good->complete({toBytes("key17"), toBytes("key173")}));
}

TEST(Proof, OfNothing) {
   const TestFolder folder;
   auto store = Store::open(folder.path());
   for (const Version& version : {Version(), store->empty()}) {
      const Bytes bytes = version.prove({}, {});
      const auto proof = Proof::check(MerkleRoot{}, bytes);
      ASSERT_TRUE(proof);
      EXPECT_TRUE(proof->complete({}));
      EXPECT_EQ(proof->get(asBytes("a")).value(), std::nullopt);
   }
   // A subtree of nothing would prove anything.
   EXPECT_FALSE(Proof::check(MerkleRoot{}, Bytes(33)));
}

TEST(Proof, IsShort) {
   const TestFolder folder;
   auto store = Store::open(folder.path());
   Writer writer(store->empty());
   std::mt19937_64 random(4);
   Bytes key(16);
   for (int i = 0; i < 20'000; ++i) {
      for (auto& byte : key)
         byte = static_cast<std::uint8_t>(random());
      writer.put(key, asBytes("value"));
   }
   const Version version = writer.snapshot();
   // Some 14 levels, each with a hidden branch of 33 bytes and a node of one; at most a second path for an absent key.
   EXPECT_LE(version.prove({}, only(key)).size(), 35u * 25u + 50u);
   key[15] ^= 1;
   EXPECT_LE(version.prove({}, only(key)).size(), 35u * 50u + 100u);
}

} // namespace
} // namespace polis::store
