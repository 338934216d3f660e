// A process killed at any moment: what the journal had reported durable is there again, on top of the checkpoint.
#include "store/journal.hpp"
#include "store/long_run.hpp"
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <future>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

namespace polis::store {
namespace {

using Map = std::map<Bytes, Bytes>;

constexpr Options options{.fileBytesMax = std::uint64_t{1} << 30};
constexpr JournalOptions journalOptions{.segmentBytes = 1 << 16, .aheadBytes = 1 << 14};

/// The change that has this number: the same in both processes.
struct Change {
   explicit Change(std::uint64_t number) {
      std::mt19937_64 random(number);
      key = toBytes("key" + std::to_string(random() % 3000));
      if (random() % 4)
         value = Bytes(random() % 8 ? random() % 300 : random() % 5000, static_cast<std::uint8_t>(number));
   }
   Bytes key;
   /// None: the key is removed.
   std::optional<Bytes> value;
};

void apply(Writer& writer, std::uint64_t number) {
   const Change change(number);
   if (change.value)
      writer.put(change.key, *change.value);
   else
      writer.remove(change.key);
}

/// Goes on from what is on the disk; returns how many changes that is. Throws Fault when it is not whole.
std::uint64_t recover(Store& store, const Journal& journal, Writer& writer) {
   std::uint64_t next = 0;
   JournalPosition from = 0;
   if (const auto checkpoint = store.lastCheckpoint()) {
      writer.reset(checkpoint->versions.at("head"));
      std::memcpy(&next, checkpoint->user.data(), sizeof next);
      from = checkpoint->journal;
   }
   journal.replay(from, [&](JournalPosition, ByteView record) {
      std::uint64_t number;
      ASSERT_EQ(record.size(), sizeof number);
      std::memcpy(&number, record.data(), sizeof number);
      ASSERT_EQ(number, next);
      apply(writer, next++);
   });
   return next;
}

ByteView bytesOf(const std::uint64_t& number) {
   return {reinterpret_cast<const std::uint8_t*>(&number), sizeof number};
}

/// Never returns. Reports each durable count of changes through the pipe.
[[noreturn]] void work(const std::filesystem::path& folder, int pipe, std::uint64_t seed) {
   auto store = Store::open(folder / "store", options);
   auto journal = Journal::open(folder / "journal", journalOptions);
   Writer writer(store->empty());
   std::uint64_t next = recover(*store, *journal, writer);
   std::mt19937_64 random(seed);
   for (;;) {
      JournalPosition end = 0;
      for (std::uint64_t i = 1 + random() % 50; i > 0; --i) {
         end = journal->append(bytesOf(next));
         apply(writer, next++);
      }
      journal->sync(end);
      if (::write(pipe, &next, sizeof next) != sizeof next)
         ::_exit(1);
      if (random() % 8 == 0) {
         store->checkpoint({{{"head", writer.snapshot()}}, end, toBytes(bytesOf(next))});
         journal->truncateBefore(end);
      }
   }
}

TEST(Crash, KilledAtAnyMoment) {
   const TestFolder folder;
   std::mt19937_64 random(5);
   for (int life = 0; life < 15 * static_cast<int>(longRun()); ++life) {
      int ends[2];
      ASSERT_EQ(::pipe(ends), 0);
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0)
         work(folder.path(), ends[1], static_cast<std::uint64_t>(life));
      ::close(ends[1]);
      std::uint64_t durable = 0;
      for (std::uint64_t reports = 1 + random() % 60; reports > 0; --reports)
         ASSERT_EQ(::read(ends[0], &durable, sizeof durable), static_cast<ssize_t>(sizeof durable));
      ASSERT_EQ(::kill(child, SIGKILL), 0);
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      // What it still said before it died counts as well.
      for (std::uint64_t more; ::read(ends[0], &more, sizeof more) == sizeof more;)
         durable = more;
      ::close(ends[0]);

      auto store = Store::open(folder.path() / "store", options);
      auto journal = Journal::open(folder.path() / "journal", journalOptions);
      Writer writer(store->empty());
      const std::uint64_t count = recover(*store, *journal, writer);
      ASSERT_GE(count, durable);
      Map model;
      for (std::uint64_t i = 0; i < count; ++i) {
         Change change(i);
         if (change.value)
            model[change.key] = std::move(*change.value);
         else
            model.erase(change.key);
      }
      const Version head = writer.snapshot();
      ASSERT_EQ(head.size(), model.size());
      for (const auto& [key, value] : model) {
         const auto got = head.get(key);
         ASSERT_TRUE(got && toBytes(*got) == value);
      }
      head.verify();
   }
}

// Blocks as a chain makes them: a transaction reads four rows, changes three and adds one; one in twenty is abandoned
// midway; ten versions are kept; checkpoints are made meanwhile.

constexpr std::uint64_t rowsAtFirst = 20'000, transactions = 1000, addedInBlock = transactions - transactions / 20;

Bytes rowKey(std::uint64_t row) {
   std::mt19937_64 random(row);
   Bytes key = toBytes("service1");
   key.resize(16 + random() % 17);
   for (std::size_t i = 8; i < key.size(); ++i)
      key[i] = static_cast<std::uint8_t>(random());
   std::memcpy(key.data() + key.size() - 8, &row, sizeof row);
   return key;
}

/// Calls put(row, value) for each change of a transaction, then end(kept).
template <class Put, class End>
void makeBlock(std::uint64_t number, Put&& put, End&& end) {
   std::mt19937_64 random(number);
   std::uint64_t rows = rowsAtFirst + addedInBlock * number;
   for (std::uint64_t t = 0; t < transactions; ++t) {
      const bool keep = t % 20 != 7;
      const auto value = [&] { return Bytes(32 + random() % 225, static_cast<std::uint8_t>(random())); };
      for (int i = 0; i < 3; ++i) {
         const std::uint64_t row = random() % rows;
         put(row, value());
      }
      if (keep)
         put(rows++, value());
      end(keep);
   }
}

/// A record: the block's number, then row, length and value of each change.
std::uint64_t replayBlocks(Store& store, const Journal& journal, Writer& writer) {
   std::uint64_t next = 0;
   JournalPosition from = 0;
   if (const auto checkpoint = store.lastCheckpoint()) {
      writer.reset(checkpoint->versions.at("head"));
      std::memcpy(&next, checkpoint->user.data(), sizeof next);
      from = checkpoint->journal;
   }
   journal.replay(from, [&](JournalPosition, ByteView record) {
      const auto number = [&] {
         std::uint64_t n;
         std::memcpy(&n, record.data(), sizeof n);
         record = record.subspan(sizeof n);
         return n;
      };
      ASSERT_EQ(number(), next);
      ++next;
      while (!record.empty()) {
         const std::uint64_t row = number(), length = number();
         writer.put(rowKey(row), record.first(length));
         record = record.subspan(length);
      }
   });
   return next;
}

/// Never returns. Reports the durable count of blocks through the pipe, also in the middle of the next one.
[[noreturn]] void workInBlocks(const std::filesystem::path& folder, int pipe, std::uint64_t seed) {
   auto store = Store::open(folder / "store", options);
   auto journal = Journal::open(folder / "journal", {});
   Writer writer(store->empty());
   std::uint64_t next = replayBlocks(*store, *journal, writer);
   std::mt19937_64 random(seed);
   std::deque<Version> kept;
   std::future<void> checkpoint;
   const auto report = [&](std::uint64_t count) {
      if (::write(pipe, &count, sizeof count) != sizeof count)
         ::_exit(1);
   };
   for (;; ++next) {
      Bytes record = toBytes(bytesOf(next));
      std::uint64_t done = 0;
      auto mark = writer.mark();
      std::size_t recordMark = record.size();
      makeBlock(
          next,
          [&](std::uint64_t row, const Bytes& value) {
             const Bytes key = rowKey(row);
             static_cast<void>(writer.get(key));
             writer.put(key, value);
             append(record, bytesOf(row));
             append(record, bytesOf(value.size()));
             append(record, value);
          },
          [&](bool keep) {
             keep ? writer.keep(mark) : writer.rollBack(mark);
             keep ? void(recordMark = record.size()) : record.resize(recordMark);
             mark = writer.mark();
             if (++done % 37 == 0)
                report(next);
          });
      writer.keep(mark);
      const JournalPosition end = journal->append(record);
      journal->sync(end);
      const std::uint64_t count = next + 1;
      report(count);
      kept.push_back(writer.snapshot());
      if (kept.size() > 10)
         kept.pop_front();
      if (random() % 4 == 0) {
         if (checkpoint.valid())
            checkpoint.get();
         checkpoint = std::async(std::launch::async, [&store, &journal, version = kept.back(), end, count] {
            store->checkpoint({{{"head", version}}, end, toBytes(bytesOf(count))});
            journal->truncateBefore(end);
         });
      }
   }
}

TEST(Crash, KilledAmongBlocks) {
   const TestFolder folder;
   std::mt19937_64 random(6);
   std::map<std::uint64_t, Bytes> model;
   std::uint64_t modelled = 0, kills = 0;
   for (unsigned life = 0; life < 10 * longRun(); ++life) {
      SCOPED_TRACE("life " + std::to_string(life));
      int ends[2];
      ASSERT_EQ(::pipe(ends), 0);
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0)
         workInBlocks(folder.path(), ends[1], life);
      ::close(ends[1]);
      std::uint64_t durable = 0;
      for (std::uint64_t reports = 1 + random() % 200; reports > 0; --reports)
         ASSERT_EQ(::read(ends[0], &durable, sizeof durable), static_cast<ssize_t>(sizeof durable));
      ASSERT_EQ(::kill(child, SIGKILL), 0);
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFSIGNALED(status));
      ++kills;
      for (std::uint64_t more; ::read(ends[0], &more, sizeof more) == sizeof more;)
         durable = more;
      ::close(ends[0]);

      auto store = Store::open(folder.path() / "store", options);
      auto journal = Journal::open(folder.path() / "journal", {});
      Writer writer(store->empty());
      const std::uint64_t count = replayBlocks(*store, *journal, writer);
      ASSERT_GE(count, durable);
      ASSERT_GE(count, modelled);
      for (; modelled < count; ++modelled) {
         std::vector<std::pair<std::uint64_t, Bytes>> held;
         makeBlock(
             modelled, [&](std::uint64_t row, Bytes value) { held.emplace_back(row, std::move(value)); },
             [&](bool keep) {
                for (auto& [row, value] : held)
                   if (keep)
                      model[row] = std::move(value);
                held.clear();
             });
      }
      const Version head = writer.snapshot();
      ASSERT_EQ(head.size(), model.size());
      for (const auto& [row, value] : model) {
         const auto got = head.get(rowKey(row));
         ASSERT_TRUE(got && toBytes(*got) == value) << row;
      }
      head.verify();
   }
   std::printf("%llu kills, %llu blocks all there\n", static_cast<unsigned long long>(kills),
               static_cast<unsigned long long>(modelled));
}

} // namespace
} // namespace polis::store
