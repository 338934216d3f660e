#include "base/crash_record.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace polis {

namespace {

constexpr std::int64_t now = 1'000'000'000'000;

CrashRecord::Note noteOf(std::uint8_t tag) {
   CrashRecord::Note note{};
   note.fill(tag);
   return note;
}

class CrashRecordTest : public testing::Test {
protected:
   void TearDown() override { std::filesystem::remove(file_); }

   /// Does something in a process of its own; how that ended, as waitpid tells.
   int apart(const std::function<void(CrashRecord&)>& work) {
      const pid_t child = ::fork();
      if (child == 0) {
         CrashRecord record(file_);
         record.beat(now);
         work(record);
         ::_exit(0);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      return status;
   }
   /// Tags that a new process finds; those of threads that were stuck are negative.
   std::vector<int> found() {
      CrashRecord record(file_);
      std::vector<int> tags;
      for (const auto& left : record.left())
         tags.push_back(left.crashed ? left.note[47] : -left.note[47]);
      return tags;
   }

   const std::filesystem::path file_ =
       std::filesystem::temp_directory_path() / ("polis-crash-record-" + std::to_string(::getpid()));
};

} // namespace

TEST_F(CrashRecordTest, tellsWhatTheHitThreadDid) {
   const int status = apart([](CrashRecord& record) {
      std::thread([&] {
         const CrashRecord::Scope busy(&record, noteOf(9), now);
         std::thread([&] {
            const CrashRecord::Scope outer(&record, noteOf(1), now);
            {
               const CrashRecord::Scope over(&record, noteOf(2), now);
            }
            const CrashRecord::Scope inner(&record, noteOf(3), now);
            std::abort();
         }).join();
      }).join();
   });
   EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
   EXPECT_EQ(found(), std::vector<int>{3});
   // Told once.
   EXPECT_EQ(found(), std::vector<int>{});
}

TEST_F(CrashRecordTest, aNestedNoteGivesWayToTheOuter) {
   apart([](CrashRecord& record) {
      const CrashRecord::Scope outer(&record, noteOf(1), now);
      {
         const CrashRecord::Scope inner(&record, noteOf(2), now);
      }
      ::raise(SIGABRT);
   });
   EXPECT_EQ(found(), std::vector<int>{1});
}

TEST_F(CrashRecordTest, aKilledProcessBlamesOnlyWhatWasStuck) {
   const int status = apart([](CrashRecord& record) {
      const CrashRecord::Scope stuck(&record, noteOf(5), now);
      std::thread([&] {
         const CrashRecord::Scope busy(&record, noteOf(6), now + CrashRecord::stuckNs);
         record.beat(now + CrashRecord::stuckNs + 1);
         ::kill(::getpid(), SIGKILL);
      }).join();
   });
   EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
   EXPECT_EQ(found(), std::vector<int>{-5});
}

TEST_F(CrashRecordTest, aCleanEndLeavesNothing) {
   apart([](CrashRecord& record) { const CrashRecord::Scope done(&record, noteOf(1), now); });
   EXPECT_EQ(found(), std::vector<int>{});
   // Neither does a file that is something else.
   std::filesystem::resize_file(file_, 5);
   EXPECT_EQ(found(), std::vector<int>{});
}

} // namespace polis
