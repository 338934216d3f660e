#include "store/journal.hpp"

#include "base/fault.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <random>
#include <thread>

namespace polis::store {
namespace {

constexpr JournalOptions bare{.aheadBytes = 0};

using Records = std::vector<std::pair<JournalPosition, std::string>>;

Records recordsFrom(const Journal& journal, JournalPosition from) {
   Records out;
   journal.replay(from, [&](JournalPosition after, ByteView record) { out.emplace_back(after, toText(record)); });
   return out;
}

Records recordsOf(const Journal& journal) { return recordsFrom(journal, journal.begin()); }

std::vector<std::filesystem::path> segmentsIn(const std::filesystem::path& folder) {
   std::vector<std::filesystem::path> out;
   for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.path().extension() == ".journal")
         out.push_back(entry.path());
   std::sort(out.begin(), out.end());
   return out;
}

std::string readFile(const std::filesystem::path& path) {
   std::ifstream stream(path, std::ios::binary);
   return std::string(std::istreambuf_iterator<char>(stream), {});
}

void writeFile(const std::filesystem::path& path, std::string_view bytes) {
   std::ofstream stream(path, std::ios::binary | std::ios::trunc);
   stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// Appends records of many lengths; returns them.
Records fill(Journal& journal, int count, std::uint64_t seed) {
   std::mt19937_64 random(seed);
   Records out;
   for (int i = 0; i < count; ++i) {
      const std::string record(random() % 50, static_cast<char>('a' + i % 26));
      out.emplace_back(journal.append(asBytes(record)), record);
   }
   return out;
}

TEST(Journal, KeepsRecordsInOrder) {
   const TestFolder folder;
   Records written;
   {
      auto journal = Journal::open(folder.path());
      EXPECT_EQ(journal->begin(), 0u);
      EXPECT_EQ(journal->end(), 0u);
      EXPECT_TRUE(recordsOf(*journal).empty());
      written = fill(*journal, 100, 1);
      EXPECT_LT(journal->durable(), journal->end());
      // Also what is not synced yet is replayed.
      EXPECT_EQ(recordsOf(*journal), written);
      journal->sync(written[50].first);
      EXPECT_GE(journal->durable(), written[50].first);
      journal->sync();
      EXPECT_EQ(journal->durable(), journal->end());
   }
   auto journal = Journal::open(folder.path());
   EXPECT_EQ(recordsOf(*journal), written);
   EXPECT_EQ(recordsFrom(*journal, written[10].first), Records(written.begin() + 11, written.end()));
   EXPECT_TRUE(recordsFrom(*journal, journal->end()).empty());
   EXPECT_THROW(recordsFrom(*journal, journal->end() + 8), Fault);
   EXPECT_THROW(recordsFrom(*journal, written[10].first + 8), Fault);
   const auto more = fill(*journal, 10, 2);
   EXPECT_EQ(recordsFrom(*journal, written.back().first), more);
}

TEST(Journal, LongRecords) {
   const TestFolder folder;
   auto journal = Journal::open(folder.path(), {.segmentBytes = 1 << 20});
   Records written;
   for (const std::size_t bytes : {std::size_t{0}, std::size_t{5} << 20, std::size_t{1}, recordBytesMax}) {
      std::string record(bytes, 'r');
      const auto after = journal->append(asBytes(record));
      written.emplace_back(after, std::move(record));
   }
   journal->sync();
   EXPECT_TRUE(recordsOf(*journal) == written);
}

TEST(Journal, OpenedOnce) {
   const TestFolder folder;
   auto journal = Journal::open(folder.path());
   EXPECT_THROW(Journal::open(folder.path()), Fault);
   journal.reset();
   EXPECT_NO_THROW(Journal::open(folder.path()));
}

TEST(Journal, SegmentsRollAndAreTruncated) {
   const TestFolder folder;
   Records written;
   {
      auto journal = Journal::open(folder.path(), {.segmentBytes = 1000});
      for (int i = 0; i < 20; ++i) {
         const auto some = fill(*journal, 20, static_cast<std::uint64_t>(i));
         written.insert(written.end(), some.begin(), some.end());
         if (i % 3 == 0)
            journal->sync();
      }
   }
   EXPECT_GT(segmentsIn(folder.path()).size(), 5u);
   auto journal = Journal::open(folder.path(), {.segmentBytes = 1000});
   EXPECT_EQ(recordsOf(*journal), written);
   journal->truncateBefore(written[200].first);
   EXPECT_GT(journal->begin(), 0u);
   EXPECT_LE(journal->begin(), written[200].first);
   EXPECT_EQ(recordsFrom(*journal, written[200].first), Records(written.begin() + 201, written.end()));
   EXPECT_THROW(recordsFrom(*journal, 0), Fault);
   journal->truncateBefore(journal->end());
   EXPECT_EQ(segmentsIn(folder.path()).size(), 1u);
   journal.reset();
   journal = Journal::open(folder.path(), {.segmentBytes = 1000});
   EXPECT_EQ(journal->end(), written.back().first);
}

/// Segments let go are written again; what they held does not come back, torn tail or not, and damage is found.
TEST(Journal, SegmentsAreWrittenAgain) {
   const TestFolder folder;
   const JournalOptions options{.segmentBytes = 1000, .aheadBytes = 500, .sparesMax = 3};
   const auto files = [&] {
      std::size_t count = 0;
      for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
         count += entry.path().extension() == ".spare" || entry.path().extension() == ".journal";
      return count;
   };
   auto journal = Journal::open(folder.path(), options);
   for (std::uint64_t seed = 0; seed < 50; ++seed) {
      SCOPED_TRACE(seed);
      const JournalPosition from = journal->end();
      const Records written = fill(*journal, 60, seed);
      journal->sync();
      ASSERT_EQ(recordsFrom(*journal, from), written);
      journal.reset();
      // A few bytes of the newest segment that were not synced get lost.
      const auto last = segmentsIn(folder.path()).back();
      const std::string bytes = readFile(last);
      const JournalPosition start = std::stoull(last.stem().string(), nullptr, 16), end = written.back().first;
      if (seed % 3 == 0) {
         std::string torn = bytes;
         torn[32 + (end - start) - 8] ^= 0x55;
         writeFile(last, torn);
      }
      journal = Journal::open(folder.path(), options);
      Records got = recordsFrom(*journal, from);
      if (seed % 3 == 0 && got.size() == written.size() - 1)
         got.push_back(written.back());
      ASSERT_EQ(got, written);
      journal->truncateBefore(journal->end());
      ASSERT_EQ(segmentsIn(folder.path()).size(), 1u);
      ASSERT_LE(files(), 4u);
   }
   EXPECT_EQ(files(), 4u);
}

/// The file cut off at every byte: what is whole before the cut is there, the rest is gone, and it can go on.
TEST(Journal, EveryTornTailIsCutOff) {
   const TestFolder folder;
   Records written;
   {
      auto journal = Journal::open(folder.path(), bare);
      written = fill(*journal, 30, 5);
      journal->sync();
   }
   const auto path = segmentsIn(folder.path()).front();
   std::string bytes = readFile(path);
   bytes.resize(32 + written.back().first);
   for (std::size_t cut = 32; cut <= bytes.size(); ++cut) {
      for (const bool zeros : {false, true}) {
         // Either the file ends there, or what follows was never written.
         std::string torn = bytes.substr(0, cut);
         if (zeros)
            torn.resize(bytes.size() + 100);
         writeFile(path, torn);
         const auto whole = std::count_if(written.begin(), written.end(),
                                          [&](const auto& record) { return 32 + record.first <= cut; });
         Records expected(written.begin(), written.begin() + whole);
         // With zeros after it, a record that lacks only zeros is whole.
         auto journal = Journal::open(folder.path(), bare);
         Records got = recordsOf(*journal);
         if (zeros && got.size() > expected.size())
            expected.push_back(written[expected.size()]);
         ASSERT_EQ(got, expected) << "cut at " << cut;
         const auto after = journal->append(asBytes("more"));
         journal->sync();
         journal.reset();
         journal = Journal::open(folder.path(), bare);
         expected.emplace_back(after, "more");
         ASSERT_EQ(recordsOf(*journal), expected) << "cut at " << cut;
      }
   }
   for (std::size_t cut = 0; cut < 32; ++cut) {
      writeFile(path, bytes.substr(0, cut));
      EXPECT_THROW(Journal::open(folder.path(), bare), Fault);
   }
}

/// Blocks of the tail that were not synced may reach the disk in any order.
TEST(Journal, HoleInTheTailCutsIt) {
   const TestFolder folder;
   Records written;
   {
      auto journal = Journal::open(folder.path());
      written = fill(*journal, 30, 6);
      journal->sync();
   }
   const auto path = segmentsIn(folder.path()).front();
   std::string bytes = readFile(path);
   const std::size_t hole = 32 + written[9].first;
   bytes.replace(hole, 16, std::string(16, '\0'));
   writeFile(path, bytes);
   auto journal = Journal::open(folder.path());
   EXPECT_EQ(recordsOf(*journal), Records(written.begin(), written.begin() + 10));
   // Records of the old tail do not come back, however the new ones lie.
   const auto again = journal->append(asBytes(written[10].second));
   EXPECT_EQ(again, written[10].first);
   journal->sync();
   journal.reset();
   journal = Journal::open(folder.path());
   EXPECT_EQ(recordsOf(*journal), Records(written.begin(), written.begin() + 11));
}

TEST(Journal, DamageBeforeTheDurableEndIsAFault) {
   const TestFolder folder;
   Records written;
   {
      auto journal = Journal::open(folder.path(), bare);
      written = fill(*journal, 30, 7);
      journal->sync();
      fill(*journal, 30, 8);
      journal->sync();
   }
   const auto path = segmentsIn(folder.path()).front();
   const std::string bytes = readFile(path);
   for (std::size_t at = 32; at < 32 + written.back().first; at += 7) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
      writeFile(path, flipped);
      // Padding is not covered: the only bytes whose change is harmless.
      try {
         auto journal = Journal::open(folder.path(), bare);
         ASSERT_EQ(recordsOf(*journal).size(), 60u) << "flipped at " << at;
      } catch (const Fault& fault) {
         ASSERT_NE(std::string(fault.what()).find("damaged"), std::string::npos);
      }
   }
}

TEST(Journal, ForeignAndNewerFilesAreFaults) {
   const TestFolder folder;
   {
      Journal::open(folder.path());
   }
   const auto path = segmentsIn(folder.path()).front();
   writeFile(path, std::string(1000, 'x'));
   EXPECT_THROW(Journal::open(folder.path()), Fault);
}

TEST(Journal, ManyThreadsShareSyncs) {
   const TestFolder folder;
   constexpr int threads = 4, each = 100;
   {
      auto journal = Journal::open(folder.path(), {.segmentBytes = 4000});
      std::vector<std::thread> running;
      for (int t = 0; t < threads; ++t)
         running.emplace_back([&, t] {
            for (int i = 0; i < each; ++i) {
               const auto after = journal->append(asBytes(std::to_string(t) + ":" + std::to_string(i)));
               journal->sync(after);
               ASSERT_GE(journal->durable(), after);
            }
         });
      for (auto& thread : running)
         thread.join();
   }
   auto journal = Journal::open(folder.path(), {.segmentBytes = 4000});
   std::vector<int> next(threads);
   for (const auto& [after, record] : recordsOf(*journal)) {
      const auto t = static_cast<std::size_t>(record[0] - '0');
      ASSERT_EQ(record.substr(2), std::to_string(next[t]++));
   }
   EXPECT_EQ(next, std::vector<int>(threads, each));
}

} // namespace
} // namespace polis::store
