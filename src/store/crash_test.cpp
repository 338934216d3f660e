// A process killed at any moment: what the journal had reported durable is there again, on top of the checkpoint.
#include "store/journal.hpp"
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
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
   for (int life = 0; life < 15; ++life) {
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

} // namespace
} // namespace polis::store
