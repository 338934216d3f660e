#include "node/performance.hpp"
#include <gtest/gtest.h>
#include <unistd.h>

namespace polis::node {

TEST(Performance, memoryByWhatItIsFor) {
   const auto* smaps = "55d0c0000000-55d0c0001000 r--p 00000000 08:01 11                         /usr/bin/polis\n"
                       "Size:                  4 kB\n"
                       "Rss:                   1 kB\n"
                       "VmFlags: rd mr mw me sd\n"
                       "55d0c0001000-55d0c0002000 r-xp 00001000 08:01 11                         /usr/bin/polis\n"
                       "Rss:                   2 kB\n"
                       "7f0000000000-7f0000001000 rw-s 00000000 08:01 12                         /srv/a node/data/0\n"
                       "Rss:                   4 kB\n"
                       "7f0000001000-7f0000002000 r-xp 00000000 00:00 0 \n"
                       "Rss:                   8 kB\n"
                       "7f0000002000-7f0000003000 rw-p 00000000 00:00 0                          [heap]\n"
                       "Rss:                  16 kB\n"
                       "7f0000003000-7f0000004000 rw-p 00000000 00:01 9    /memfd:wasm-memory-image (deleted)\n"
                       "Rss:                  32 kB\n"
                       "7ffc00000000-7ffc00001000 r-xp 00000000 00:00 0                          [vdso]\n"
                       "Rss:                  64 kB\n"
                       "7f0000004000-7f0000005000 r--p 00000000 08:01 13                  /srv/a node/code/x\n"
                       "Rss:                 128 kB\n";
   const auto use = memoryUse(smaps, "/srv/a node");
   EXPECT_EQ(use.data, 1u << 10);
   EXPECT_EQ(use.code, (2u + 64u) << 10);
   EXPECT_EQ(use.database, 4u << 10);
   EXPECT_EQ(use.wasmCode, (8u + 128u) << 10);
   EXPECT_EQ(use.unclassified, 16u << 10);
   EXPECT_EQ(use.wasmMemory, 32u << 10);
   EXPECT_EQ(memoryUse("", "/x").database, 0u);
   EXPECT_EQ(memoryUse("Rss: many kB\n:\n\n \n1-2", "/x").unclassified, 0u);
}

TEST(Performance, threads) {
   const auto thread = threadUse("42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 99\n",
                                 "rchar: 7\nread_bytes: 4096\nwrite_bytes: 8192\n", 100);
   ASSERT_TRUE(thread);
   EXPECT_EQ(thread->id, 42u);
   EXPECT_EQ(thread->group, "a (b) c");
   EXPECT_EQ(thread->pageFaults, 9u);
   EXPECT_EQ(thread->user, 1'500'000u);
   EXPECT_EQ(thread->system, 500'000u);
   EXPECT_EQ(thread->read, 4096u);
   EXPECT_EQ(thread->written, 8192u);
   EXPECT_TRUE(threadUse("42 (x) S 1 2 3 4 5 6 7 8 9 10 150 50", "", 100));
   for (const auto* text : {"", "42", "42 (x", "42 )x(", "42 (x) S 1 2 3 4 5 6 7 8 9 10 150"})
      EXPECT_FALSE(threadUse(text, "", 100)) << text;
}

TEST(Performance, ofThisProcess) {
   const auto now = measurePerformance(".");
   EXPECT_GT(now.memory.code, 0u);
   EXPECT_GT(residentBytes(), now.memory.code);
   ASSERT_FALSE(now.tasks.empty());
   EXPECT_EQ(now.tasks.front().id, static_cast<std::uint32_t>(::getpid()));
}

} // namespace polis::node
