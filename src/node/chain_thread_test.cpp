// What the chain thread makes of what consensus asks for.
#include "kernel/test/test_chain.hpp"
#include "node/chain_thread.hpp"

#include <chrono>
#include <condition_variable>
#include <future>
#include <stdexcept>

namespace polis::node {

class ChainThreadTest : public kernel::ChainTest {
protected:
   using AccountNumber = format::AccountNumber;
   using MethodNumber = format::MethodNumber;
   using Program = kernel::Program;
   using Sealed = kernel::SealedBlock;
   const AccountNumber prod{std::string_view("prod")};

   /// A chain of one producer without a key, and a queue that gives one transaction.
   void SetUp() override {
      ChainTest::SetUp();
      vm::onExecutionStack([this] {
         boot();
         installLocal({alice});
         constexpr MethodNumber gives{std::string_view("gives")};
         EXPECT_EQ(one(alice, storing(alice, gives.value,
                                      queue().get(0, "next").remove(0, "next").commit().ret(Program::reg))),
                   "");
         const format::NotifyRow row{format::NotifyType::nextTransaction, {{AccountNumber(), alice, gives, {}}}};
         runLocally(Program()
                        .checkout()
                        .open(kernel::db::nativeSubjective, {}, 2)
                        .put(0, row.key(), format::pack(row))
                        .commit());
      });
   }
   void TearDown() override {
      chain.reset();
      sealed.clear();
      ChainTest::TearDown();
   }

   void begin() {
      ChainThread::Options options;
      options.clock.minIntervalUs = 1;
      options.nowUs = [this] { return SystemClock().realtimeNs() / 1000 + clockOffUs.load(); };
      options.sign = [this](const format::Claim& claim, ByteView) {
         EXPECT_EQ(claim, key);
         return std::optional(toBytes("yes"));
      };
      options.sealed = [this](const Sealed& block) {
         if (onSealed)
            onSealed();
         std::lock_guard lock(mutex);
         sealed.push_back(block);
         changed.notify_all();
      };
      chain =
          std::make_unique<ChainThread>(*kernel, std::move(options), [](const char* text) { ADD_FAILURE() << text; });
      chain->start();
   }

   static Program queue() {
      return Program().checkout().open(kernel::db::subjective,
                                       kernel::prefixOf(AccountNumber{std::string_view("alice")}), 3);
   }
   void runLocally(const Program& program) {
      const auto trace = kernel->runAction(format::RunMode::rpc, action(alice, program));
      EXPECT_FALSE(trace.error) << *trace.error;
   }
   /// Until it is in a block, or another takes its place.
   void push(const Program& program) {
      const auto waiting = std::optional(transaction({action(alice, program)}));
      runLocally(queue().put(0, asBytes("next"), format::pack(waiting)).commit());
      chain->wake();
   }
   /// The producer has a key from the block after head on.
   Program takesKey() const {
      auto status = kernel->head()->status;
      auto& [current, next] = status.consensus;
      if (next)
         current = next->consensus;
      next = format::PendingConsensus{current, kernel->head()->num + 1};
      std::get<format::CftConsensus>(next->consensus.data).producers = {{prod, key}};
      return Program().open(kernel::db::native, {}, 2).put(0, format::StatusRow::key(), format::pack(status));
   }

   /// On the chain thread, which works between one call and the next.
   void within(const std::function<void()>& command) {
      const auto done = std::make_shared<std::promise<void>>();
      chain->command([done, command](kernel::Kernel&) {
         command();
         done->set_value();
      });
      done->get_future().wait();
   }
   /// What consensus orders when all up to this block is irreversible.
   consensus::Produce orderOn(const kernel::BlockState& parent, const format::Claim& claim = {}) const {
      consensus::Produce out;
      out.parent = parent.id;
      out.producer = prod;
      out.claim = claim;
      out.commitNum = parent.num;
      return out;
   }
   void order(const consensus::Produce& order) {
      within([&] { chain->produce(order); });
   }
   Sealed sealedBlock(std::size_t index) {
      std::unique_lock lock(mutex);
      if (!changed.wait_for(lock, std::chrono::minutes(1), [&] { return sealed.size() > index; }))
         throw std::runtime_error("no block is sealed");
      return sealed[index];
   }
   std::size_t sealedCount() {
      std::lock_guard lock(mutex);
      return sealed.size();
   }

   const format::Claim key{verify, {}};
   std::atomic<std::int64_t> clockOffUs = 0;
   std::unique_ptr<ChainThread> chain;
   std::function<void()> onSealed; ///< on the chain thread
   std::mutex mutex;
   std::condition_variable changed;
   std::vector<Sealed> sealed;
};

// Otherwise it went on with blocks of nothing but news, one whenever it woke, under the key of before; and what
// consensus ordered after each of them came too late.
CHAIN_TEST(ChainThreadTest, anOrderEndsWhereTheSetsChange) {
   begin();
   push(takesKey());
   order(orderOn(*kernel->head()));
   const Sealed change = sealedBlock(0);
   ASSERT_TRUE(change.state->status.consensus.next);
   within([&] { chain->sealedIsKnown(change.id); });
   auto telling = orderOn(*change.state);
   telling.news = true;
   order(telling);
   const Sealed news = sealedBlock(1);
   EXPECT_EQ(news.block->block.transactions.size(), 1u); // its own
   push(Program().count());
   within([&] { chain->sealedIsKnown(news.id); });
   within([] {});
   EXPECT_EQ(sealedCount(), 2u);
   order(orderOn(*news.state, key));
   const Sealed next = sealedBlock(2);
   EXPECT_EQ(next.block->block.transactions.size(), 2u);
   EXPECT_EQ(next.block->signature, toBytes("yes"));
   // Whoever follows takes it.
   kernel::OtherNode other(folder);
   other.follow(*kernel, next.state->num);
}

// What a sole producer seals is irreversible when it is durable, whatever consensus has heard of it: also the last
// block before the sets change, after which it waits for orders.
CHAIN_TEST(ChainThreadTest, whatASoleProducerHasMadeStays) {
   onSealed = [this] {
      if (sealedCount() == 0)
         push(takesKey());
   };
   begin();
   order(orderOn(*kernel->head()));
   const Sealed first = sealedBlock(0), last = sealedBlock(1);
   ASSERT_TRUE(last.state->status.consensus.next);
   const auto hears = [&](const Sealed& block) {
      within([&] {
         chain->sealedIsKnown(block.id);
         chain->setHead(block.id);
         chain->produce(orderOn(*block.state));
      });
   };
   hears(first);
   within([] {});
   EXPECT_EQ(kernel->head()->id, last.id);
   hears(last);
   push(Program().count());
   EXPECT_EQ(sealedBlock(2).block->block.header.previous, last.id);
}

CHAIN_TEST(ChainThreadTest, aClockThatIsSetBackDoesNotStopTheChain) {
   begin();
   order(orderOn(*kernel->head()));
   const Sealed before = sealedBlock(0);
   clockOffUs = -3'600'000'000;
   push(Program().count());
   const Sealed work = sealedBlock(1);
   EXPECT_EQ(work.block->block.transactions.size(), 2u);
   EXPECT_GT(work.block->block.header.time.microseconds, before.block->block.header.time.microseconds);
   within([] {}); // it has seen the new head
   clockOffUs += BlockClock::idleUs;
   chain->wake();
   EXPECT_EQ(sealedBlock(2).block->block.transactions.size(), 1u); // idle
}

} // namespace polis::node
