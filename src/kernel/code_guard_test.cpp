// Code of which the node has died, and code that is compiled before it runs.
#include "kernel/code_guard.hpp"
#include "kernel/context.hpp"
#include "kernel/databases.hpp"
#include "kernel/test/test_chain.hpp"

#include <csignal>
#include <sys/wait.h>

namespace polis::kernel {

using format::RunMode;

namespace {

class CodeGuardTest : public testing::Test {
protected:
   void SetUp() override { std::filesystem::create_directories(folder_); }
   void TearDown() override { std::filesystem::remove_all(folder_); }

   /// A process that dies of this code.
   void die(CodeGuard::Purpose purpose) {
      const pid_t child = ::fork();
      if (child == 0) {
         CrashRecord record(folder_ / "running");
         const CodeGuard guard(folder_ / "poison", &record, [](const std::string&) {});
         const CodeGuard::Running running(guard, hash_, "evil"_a, purpose, 0);
         ::raise(SIGABRT);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      EXPECT_TRUE(WIFSIGNALED(status));
   }
   /// What the next start of the node knows and says.
   CodeGuard start(std::string& said) {
      CrashRecord record(folder_ / "running");
      return CodeGuard(folder_ / "poison", &record, [&](const std::string& text) { said += text; });
   }

   const std::filesystem::path folder_ =
       std::filesystem::temp_directory_path() / ("polis-code-guard-" + std::to_string(::getpid()));
   const format::Checksum256 hash_ = format::sha256(asBytes("code")), other_ = format::sha256(asBytes("other"));
};

} // namespace

TEST_F(CodeGuardTest, refusesCodeThatKilledTwice) {
   std::string said;
   EXPECT_FALSE(start(said).refused(hash_));
   EXPECT_EQ(said, "");
   die(CodeGuard::Purpose::choice);
   EXPECT_FALSE(start(said).refused(hash_));
   EXPECT_NE(said.find("died running the code of evil"), std::string::npos) << said;
   die(CodeGuard::Purpose::compile);
   said.clear();
   const auto guard = start(said);
   EXPECT_TRUE(guard.refused(hash_));
   EXPECT_FALSE(guard.halts(hash_));
   EXPECT_FALSE(guard.refused(other_));
   EXPECT_NE(said.find("does not run it"), std::string::npos) << said;
   // It stays so, and is said once.
   said.clear();
   EXPECT_TRUE(start(said).refused(hash_));
   EXPECT_EQ(said, "");
   std::filesystem::remove(folder_ / "poison");
   EXPECT_FALSE(start(said).refused(hash_));
}

TEST_F(CodeGuardTest, committedBlocksHalt) {
   std::string said;
   die(CodeGuard::Purpose::committed);
   EXPECT_FALSE(start(said).halts(hash_));
   die(CodeGuard::Purpose::committed);
   EXPECT_TRUE(start(said).halts(hash_));
}

TEST_F(CodeGuardTest, aFileOfSomethingElseIsAFault) {
   std::ofstream(folder_ / "poison") << "not a hash at all\n";
   std::string said;
   EXPECT_THROW(start(said), Fault);
}

class GuardedChain : public ChainTest {
protected:
   void SetUp() override {
      ChainTest::SetUp();
      vm::onExecutionStack([this] {
         boot();
         installLocal({alice, xHttp});
      });
   }
   /// The kernel once more, on a node that has died of the code.
   void reopenWith(const Bytes& code, unsigned all, unsigned committed) {
      closeKernel();
      std::ofstream(folder / "poison") << toHex(ByteView(format::sha256(ByteView(code)))) << " evil " << all << ' '
                                       << committed << '\n';
      guard = std::make_unique<CodeGuard>(folder / "poison", nullptr, [](const std::string&) {});
      options.guard = guard.get();
      openKernel();
   }
   Program settingCode(AccountNumber service, const Bytes& code, bool row = true) {
      const format::CodeByHashRow stored{format::sha256(ByteView(code)), 0, 0, code};
      Program p;
      p.open(db::native, {}, 2).put(0, stored.key(), format::pack(stored));
      const format::CodeRow named{service, 0, stored.codeHash, 0, 0};
      if (row)
         p.put(0, named.key(), format::pack(named));
      return p;
   }
   /// The mempool hands these out, each once.
   void give(const std::vector<format::SignedTransaction>& transactions) {
      Program gives;
      gives.checkout().open(db::subjective, prefixOf(alice), 3);
      Program puts;
      puts.checkout().open(db::subjective, prefixOf(alice), 3);
      for (std::size_t i = 0; i < transactions.size(); ++i)
         puts.put(0, asBytes("tx" + std::to_string(i)), format::pack(std::optional(transactions[i])));
      EXPECT_EQ(run(RunMode::rpc, alice, puts.commit()), "");
      format::NotifyRow row{format::NotifyType::nextTransaction, {}};
      for (std::size_t i = 0; i < transactions.size(); ++i) {
         const std::string key = "tx" + std::to_string(i);
         const MethodNumber method("gives" + std::string(1, static_cast<char>('a' + i)));
         EXPECT_EQ(
             one(alice, storing(alice, method.value,
                                Program()
                                    .checkout()
                                    .open(db::subjective, prefixOf(alice), 3)
                                    .get(0, asBytes(key))
                                    .put(0, asBytes(key), format::pack(std::optional<format::SignedTransaction>()))
                                    .commit()
                                    .ret(Program::reg))),
             "");
         row.actions.push_back({AccountNumber(), alice, method, {}});
      }
      EXPECT_EQ(
          run(RunMode::rpc, alice,
              Program().checkout().open(db::nativeSubjective, {}, 2).put(0, row.key(), format::pack(row)).commit()),
          "");
   }
   std::unique_ptr<CodeGuard> guard;
};

CHAIN_TEST(GuardedChain, poisonedCodeRunsOnlyWhereItMust) {
   const Bytes evil = puppetVariant(66);
   EXPECT_EQ(one(alice, settingCode(plain, evil)), "");
   EXPECT_EQ(one(plain, Program().count()), "");
   const std::uint32_t blocks = kernel->head()->num;

   // Its own choice: neither queries nor new transactions run it. The blocks that are there do.
   reopenWith(evil, CodeGuard::timesMax, 0);
   EXPECT_EQ(kernel->head()->num, blocks);
   EXPECT_NE(run(RunMode::rpc, plain, Program()).find("does not run on this node"), std::string::npos);
   EXPECT_NE(one(plain, Program()).find("does not run on this node"), std::string::npos);
   EXPECT_EQ(one(alice, Program()), "");
   // Once is not enough.
   reopenWith(evil, 1, 1);
   EXPECT_EQ(run(RunMode::rpc, plain, Program()), "");
   // It was a committed block: the node says so, rather than die again.
   EXPECT_THROW(reopenWith(evil, CodeGuard::timesMax, CodeGuard::timesMax), Fault);
   options.guard = nullptr;
   reopen();
}

CHAIN_TEST(GuardedChain, noBlockWaitsForCode) {
   std::deque<std::function<void()>> toCompile;
   host.onCompile = [&](std::function<void()> work) {
      toCompile.push_back(std::move(work));
      return true;
   };
   const Bytes fresh = puppetVariant(67);
   give({transaction({action(alice, settingCode(plain, fresh))}),
         transaction({action(bob, Program().open(db::service, prefixOf(bob), 3).put(0, "k", "v"))})});
   // The transaction that brings the code steps aside, and others go on.
   startBlock();
   EXPECT_EQ(kernel->pushNext(), Pull::refused);
   EXPECT_EQ(kernel->openBlockTransactions(), 0u);
   EXPECT_EQ(toCompile.size(), 1u);
   EXPECT_EQ(kernel->pushNext(), Pull::included);
   EXPECT_EQ(kernel->pushNext(), Pull::nothing);
   (void)seal();
   startBlock();
   EXPECT_EQ(kernel->pushNext(), Pull::nothing);
   // Compiled: the producer is woken, and takes it.
   const int wakes = host.producerWakes;
   toCompile.front()();
   EXPECT_EQ(host.producerWakes, wakes + 1);
   EXPECT_EQ(kernel->pushNext(), Pull::included);
   EXPECT_EQ(kernel->pushNext(), Pull::nothing);
   (void)seal();
   EXPECT_EQ(one(plain, Program().count()), "");
   EXPECT_EQ(toCompile.size(), 1u);
}

CHAIN_TEST(GuardedChain, stagedCodeIsCompiledMeanwhile) {
   std::deque<std::function<void()>> toCompile;
   host.onCompile = [&](std::function<void()> work) {
      toCompile.push_back(std::move(work));
      return true;
   };
   const Bytes fresh = puppetVariant(68), junk = toBytes("no module");
   EXPECT_EQ(one(alice, settingCode(plain, fresh, false)), "");
   ASSERT_EQ(toCompile.size(), 1u);
   toCompile.front()();
   // It is there when a transaction names it.
   give({transaction({action(alice, settingCode(plain, fresh))}),
         transaction({action(alice, settingCode(plain, junk))})});
   startBlock();
   EXPECT_EQ(kernel->pushNext(), Pull::included);
   // What is no module is found out the same way, and may be set: whoever calls it hears of it.
   EXPECT_EQ(kernel->pushNext(), Pull::refused);
   ASSERT_EQ(toCompile.size(), 2u);
   toCompile.back()();
   EXPECT_EQ(kernel->pushNext(), Pull::included);
   // A transaction that fails has nothing compiled.
   EXPECT_NE(push({action(alice, settingCode(plain, puppetVariant(69), false)), action(alice, Program().abort("no"))}),
             "");
   EXPECT_EQ(toCompile.size(), 2u);
   kernel->abortBlock();
}

CHAIN_TEST(GuardedChain, nothingWaitsForWhatNobodyCompiles) {
   // The compile thread has too much to do: who sent the code is told at once, for nobody would wake the producer.
   host.onCompile = [](const std::function<void()>&) { return false; };
   const Bytes fresh = puppetVariant(72);
   give({transaction({action(alice, settingCode(plain, fresh))})});
   startBlock();
   EXPECT_EQ(kernel->pushNext(), Pull::refused);
   ASSERT_TRUE(
       testEngine().compile(fresh, format::sha256(ByteView(fresh)), vmOptions(format::WasmConfigRow().vmOptions)));
   EXPECT_EQ(kernel->pushNext(), Pull::nothing);
   EXPECT_EQ(push({action(alice, settingCode(plain, fresh))}), "");
   kernel->abortBlock();
}

CHAIN_TEST(GuardedChain, whatWaitsForCodeIsBounded) {
   options.waitingForCodeMax = 1;
   reopen();
   host.onCompile = [](const std::function<void()>&) { return true; };
   give({transaction({action(alice, settingCode(plain, puppetVariant(70)))}),
         transaction({action(alice, settingCode(plain, puppetVariant(71)))})});
   startBlock();
   EXPECT_EQ(kernel->pushNext(), Pull::refused);
   EXPECT_EQ(kernel->pushNext(), Pull::refused);
   EXPECT_EQ(kernel->pushNext(), Pull::nothing);
   kernel->abortBlock();
}

} // namespace polis::kernel
