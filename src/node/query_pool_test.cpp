#include "base/fault.hpp"
#include "node/query_pool.hpp"
#include <algorithm>
#include <atomic>
#include <future>
#include <gtest/gtest.h>
#include <mutex>
#include <thread>
#include <vector>

namespace polis::node {

namespace {

void noFault(const char* text) { ADD_FAILURE() << text; }

/// Work that lasts until it is let go.
class Slow {
public:
   std::function<void()> work() {
      return [this, until = until_] {
         ++running_;
         until.wait();
      };
   }
   void finish() { end_.set_value(); }
   int running() const { return running_.load(); }

private:
   std::promise<void> end_;
   std::shared_future<void> until_ = end_.get_future().share();
   std::atomic<int> running_{0};
};

} // namespace

TEST(QueryPool, aSourceOfSlowWorkLeavesAThreadToOthers) {
   QueryPool pool(4, noFault);
   Slow slow;
   for (int i = 0; i < 10; ++i)
      ASSERT_TRUE(pool.submit(slow.work(), 1));
   std::promise<void> other, own;
   ASSERT_TRUE(pool.submit([&] { other.set_value(); }, 2));
   other.get_future().wait();
   ASSERT_TRUE(pool.submit([&] { own.set_value(); }));
   own.get_future().wait();
   EXPECT_LE(slow.running(), 3);
   slow.finish();
   pool.stop();
   EXPECT_EQ(slow.running(), 10);
}

TEST(QueryPool, sourcesTakeTurns) {
   QueryPool pool(1, noFault);
   Slow slow;
   ASSERT_TRUE(pool.submit(slow.work(), 7));
   while (slow.running() < 1)
      std::this_thread::yield();
   std::mutex mutex;
   std::vector<int> order;
   for (int i = 0; i < 5; ++i)
      ASSERT_TRUE(pool.submit(
          [&] {
             std::lock_guard lock(mutex);
             order.push_back(1);
          },
          1));
   ASSERT_TRUE(pool.submit(
       [&] {
          std::lock_guard lock(mutex);
          order.push_back(2);
       },
       2));
   slow.finish();
   pool.stop();
   ASSERT_EQ(order.size(), 6u);
   // Not behind the five that were there first: its turn comes after one or two of them.
   EXPECT_LT(std::find(order.begin(), order.end(), 2) - order.begin(), 4);
}

TEST(QueryPool, whatWaitsIsBounded) {
   QueryPool pool(1, noFault);
   Slow slow;
   ASSERT_TRUE(pool.submit(slow.work()));
   while (slow.running() < 1)
      std::this_thread::yield();
   std::atomic<std::size_t> done{0};
   const auto count = [&] { ++done; };
   std::size_t taken = 0;
   for (std::size_t i = 0; i < QueryPool::sourceQueueMax + 10; ++i)
      taken += pool.submit(count, 1);
   EXPECT_EQ(taken, QueryPool::sourceQueueMax);
   EXPECT_TRUE(pool.submit(count, 2));
   for (QueryPool::Source source = 10; pool.submit(count, source); ++source)
      ++taken;
   EXPECT_EQ(pool.queued(), QueryPool::queueMax);
   // The node's own work has room of its own.
   EXPECT_TRUE(pool.submit(count));
   slow.finish();
   pool.stop();
   EXPECT_EQ(done.load(), QueryPool::queueMax + 1);
   EXPECT_FALSE(pool.submit(count));
}

} // namespace polis::node
