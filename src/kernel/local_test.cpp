// Node-local state: checkouts, callbacks, recorded calls, sockets, run queue. Rules: spec, kernel §1.5, §4.6,
// §6.6-§8.3.
#include "base/temporary_folder.hpp"
#include "kernel/abort.hpp"
#include "kernel/checkout.hpp"
#include "kernel/commit_turn.hpp"
#include "kernel/databases.hpp"
#include "kernel/node_local.hpp"
#include "kernel/test/test_chain.hpp"
#include "store/journal.hpp"
#include "vm/wat.hpp"

#include <thread>

namespace polis::kernel {

using format::RunMode;

class LocalTest : public ChainTest {
protected:
   void SetUp() override {
      ChainTest::SetUp();
      vm::onExecutionStack([this] {
         boot();
         installLocal({alice, bob, xHttp});
      });
   }
   static Program local(std::uint32_t database = db::subjective) {
      return Program().checkout().open(database, prefixOf("alice"_a), 3);
   }
   std::string runRpc(const Program& p, AccountNumber service = "alice"_a) { return run(RunMode::rpc, service, p); }
   std::string read(std::string_view key, std::uint32_t database = db::subjective) {
      EXPECT_EQ(runRpc(local(database).get(0, key)), "");
      auto out = runOutput();
      out.word();
      return out.found();
   }
   /// Puts a row of a native table by a local service.
   void putNative(std::uint32_t database, const Bytes& key, const Bytes& value) {
      EXPECT_EQ(runRpc(Program().checkout().open(database, {}, 2).put(0, key, value).commit()), "");
   }
   void store(AccountNumber service, std::uint64_t method, const Program& p) {
      // alice may write below any prefix; x-http has no code on the chain.
      EXPECT_EQ(one(alice, storing(service, method, p)), "");
   }
};

/// What one commit writes is one record of the journal, and whoever writes more than that holds is to blame.
TEST(Checkout, writesMoreThanTheJournalTakesAreRefused) {
   const TemporaryFolder folder("checkout");
   const auto store = store::Store::open(folder.path());
   const auto journal = store::Journal::open(folder.path() / "journal");
   NodeLocal local(*store, store->empty());
   local.setJournal(journal.get());
   SocketTable sockets(local, [](std::int32_t) {});
   const Bytes value(std::size_t{4} << 20, 'x');
   const auto write = [&](std::size_t values) {
      Checkout checkout(local, sockets, Checkout::View::shared);
      checkout.push();
      for (std::size_t i = 0; i < values; ++i)
         checkout.put(storeKey(db::subjective, Bytes{'k', static_cast<std::uint8_t>(i)}), value);
      return checkout.commit();
   };
   EXPECT_TRUE(write(15));
   EXPECT_THROW((void)write(16), Abort);
   EXPECT_TRUE(local.state().kept.get(storeKey(db::subjective, Bytes{'k', 14})));
   EXPECT_FALSE(local.state().kept.get(storeKey(db::subjective, Bytes{'k', 15})));
}

/// Reads all that several others change, until it has come through.
TEST(Checkout, whoConflictsOftenHasATurn) {
   const TemporaryFolder folder("turn");
   const auto store = store::Store::open(folder.path());
   NodeLocal local(*store, store->empty());
   SocketTable sockets(local, [](std::int32_t) {});
   constexpr std::uint8_t others = 3;
   const auto keyOf = [](std::uint8_t name) { return storeKey(db::session, Bytes{'k', name}); };
   const Bytes mine = storeKey(db::session, asBytes("mine"));
   std::atomic<bool> done = false;
   std::vector<std::thread> threads;
   for (std::uint8_t name = 0; name < others; ++name)
      threads.emplace_back([&, name] {
         while (!done) {
            Checkout small(local, sockets, Checkout::View::shared);
            small.push();
            do
               small.put(keyOf(name), Bytes{name});
            while (!small.commit());
         }
      });
   Checkout large(local, sockets, Checkout::View::shared);
   const auto readsAll = [&] {
      for (std::uint8_t name = 0; name < others; ++name)
         (void)large.get(keyOf(name));
      large.put(mine, Bytes{1});
      // So long that another has committed, if any may.
      const std::uint64_t before = local.state().sequence;
      while (local.state().sequence == before && local.turn().waiting() < others)
         std::this_thread::yield();
   };
   unsigned tries = 0;
   bool through = false;
   for (large.push(); !through && tries < 1000; ++tries) {
      readsAll();
      through = large.commit();
   }
   EXPECT_TRUE(through);
   EXPECT_GT(tries, CommitTurn::after);
   // Those who waited go on, also when a turn is given up.
   const auto goOn = [&] {
      for (const std::uint64_t before = local.state().sequence; local.state().sequence < before + 100;)
         std::this_thread::yield();
   };
   goOn();
   large.push();
   for (unsigned i = 0; i < CommitTurn::after; ++i) {
      readsAll();
      EXPECT_FALSE(large.commit());
   }
   large.drop();
   goOn();
   done = true;
   for (auto& thread : threads)
      thread.join();
}

TEST(CommitTurn, isFollowedByATimeWithoutOne) {
   CommitTurn turn;
   const int one = 0, other = 0;
   turn.take(&one);
   EXPECT_TRUE(turn.has(&one));
   turn.await(&other); // to its end: who has it does not give it back
   // Neither of them has another now, however often they try.
   for (const int* who : {&other, &one}) {
      turn.take(who);
      turn.await(who == &one ? &other : &one); // nothing to wait for
      EXPECT_FALSE(turn.has(&other));
   }
   // Four times as long, and whoever asks is let in.
   for (unsigned tries = 0; !turn.has(&other) && tries < 100; ++tries)
      turn.take(&other);
   EXPECT_TRUE(turn.has(&other));
   turn.giveBack(&other);
   EXPECT_FALSE(turn.has(&other));
}

CHAIN_TEST(LocalTest, checkoutIsNeeded) {
   for (const std::uint32_t database : {64u, 65u, 66u, 67u})
      for (auto p : {Program().open(database, {}, 3).get(0, "k"), Program().open(database, {}, 3).put(0, "k", "v"),
                     Program().open(database, {}, 3).remove(0, "k"), Program().open(database, {}, 3).max(0, ""),
                     Program().open(database, {}, 3).greaterEqual(0, "", 0),
                     Program().open(database, {}, 3).lessThan(0, "k", 0)})
         EXPECT_HAS(runRpc(p), "subjectiveCheckout is required to access the subjective database");
   // Temporary needs none, and lives as long as the context.
   EXPECT_EQ(runRpc(Program()
                        .open(db::temporary, {}, 3)
                        .put(0, "k", "v")
                        .put(0, "l", "w")
                        .get(0, "k")
                        .max(0, "")
                        .lessThan(0, "l", 0)
                        .greaterEqual(0, "ka", 0)
                        .remove(0, "k")
                        .get(0, "k")),
             "");
   auto out = runOutput();
   out.word();
   EXPECT_EQ(out.found(), "v");
   EXPECT_EQ(out.found(), "w");
   EXPECT_EQ(out.text(), "l");
   EXPECT_EQ(out.found(), "v");
   EXPECT_EQ(out.text(), "k");
   EXPECT_EQ(out.found(), "w");
   EXPECT_EQ(out.text(), "l");
   EXPECT_EQ(out.found(), "-");
   EXPECT_EQ(runRpc(Program().open(db::temporary, {}, 3).get(0, "l")), "");
   out = runOutput();
   out.word();
   EXPECT_EQ(out.found(), "-");
}

CHAIN_TEST(LocalTest, commitAndAbort) {
   EXPECT_EQ(runRpc(local().put(0, "k", "1").commit()), "");
   EXPECT_EQ(read("k"), "1");
   EXPECT_EQ(runRpc(local().put(0, "k", "2").abortCheckout()), "");
   EXPECT_EQ(read("k"), "1");
   EXPECT_EQ(runRpc(local().put(0, "k", "3")), ""); // left open: dropped
   EXPECT_EQ(read("k"), "1");
   EXPECT_EQ(runRpc(local().put(0, "k", "4").abort("no")), "service 'alice' aborted with message: no");
   EXPECT_EQ(read("k"), "1");
   EXPECT_EQ(runRpc(local().remove(0, "k").commit()), "");
   EXPECT_EQ(read("k"), "-");
   EXPECT_EQ(runRpc(local(db::session).put(0, "s", "1").commit()), "");
   EXPECT_EQ(read("s", db::session), "1");
   // Inner levels merge into their parent or vanish; temporary follows.
   EXPECT_EQ(runRpc(local()
                        .open(db::temporary, {}, 3)
                        .put(0, "a", "outer")
                        .put(1, "t", "outer")
                        .checkout()
                        .put(0, "a", "inner")
                        .put(1, "t", "inner")
                        .abortCheckout()
                        .get(0, "a")
                        .get(1, "t")
                        .checkout()
                        .put(0, "b", "merged")
                        .commit()
                        .checkout()
                        .put(0, "c", "x")
                        .checkout()
                        .put(0, "c", "y")
                        .commit()
                        .abortCheckout()
                        .commit()),
             "");
   auto out = runOutput();
   out.word();
   out.word();
   EXPECT_EQ(out.found(), "outer");
   EXPECT_EQ(out.found(), "outer");
   EXPECT_EQ(read("a"), "outer");
   EXPECT_EQ(read("b"), "merged");
   EXPECT_EQ(read("c"), "-");
}

CHAIN_TEST(LocalTest, levels) {
   EXPECT_HAS(runRpc(Program().commit()), "requires checkoutSubjective");
   EXPECT_HAS(runRpc(Program().abortCheckout()), "requires checkoutSubjective");
   Program eight;
   for (int i = 0; i < 8; ++i)
      eight.checkout();
   EXPECT_EQ(runRpc(eight), "");
   Program nine = eight;
   EXPECT_NE(runRpc(nine.checkout()), "");
   // Loading a service needs one free level.
   Program full = eight;
   EXPECT_NE(runRpc(full.call(action(bob, Program(), alice))), "");
   // A callee sees the caller's level, but cannot close it.
   EXPECT_EQ(runRpc(local()
                        .put(0, "k", "seen")
                        .call(action(bob, Program().open(db::subjective, prefixOf(alice), 1).get(0, "k"), alice))),
             "");
   for (auto close : {Program().commit(), Program().abortCheckout()})
      EXPECT_HAS(runRpc(local().call(action(bob, close, alice))), "requires checkoutSubjective");
   // What a callee leaves open is dropped.
   EXPECT_EQ(
       runRpc(local()
                  .call(action(bob, Program().checkout().open(db::subjective, prefixOf(alice), 3).put(0, "k", "callee"),
                               alice))
                  .get(0, "k")),
       "");
   auto out = runOutput();
   out.word();
   out.text();
   EXPECT_EQ(out.found(), "-");
   // Any mode may check out, though nothing can be reached there.
   startBlock();
   EXPECT_EQ(push({action(alice, Program().checkout().checkout().commit().abortCheckout())}), "");
   kernel->abortBlock();
   EXPECT_EQ(run(RunMode::verify, verify, Program().checkout().commit()), "");
}

CHAIN_TEST(LocalTest, whatACheckoutDoesNotRollBack) {
   // Memory of services, data sent, chain databases.
   auto socket = std::make_shared<TestSocket>();
   const auto fd = static_cast<std::uint32_t>(kernel->attach(socket));
   EXPECT_EQ(run(RunMode::callback, alice,
                 Program()
                     .open(db::writeOnly, prefixOf(alice), 3)
                     .count()
                     .checkout()
                     .count()
                     .put(0, "k", "stays")
                     .socketSend(fd, asBytes("sent"), 0)
                     .abortCheckout()
                     .forget()
                     .count()
                     .get(0, "k")),
             "");
   auto out = runOutput();
   EXPECT_EQ(out.word(), 3u);
   EXPECT_EQ(out.found(), "stays");
   EXPECT_EQ(socket->sent.size(), 1u);
}

CHAIN_TEST(LocalTest, commitsOutliveAFailedTransaction) {
   // What a switched call commits to the node's databases is not the transaction's to undo.
   startBlock();
   const Program commits =
       Program().checkout().open(db::subjective, prefixOf(alice), 3).put(0, "side", "effect").commit();
   const format::CodeRow replacement{bob, CodeRow::isPrivileged | CodeRow::isReplacement,
                                     format::sha256(ByteView(puppetCode())), 0, 0};
   putNative(db::nativeSubjective, replacement.key(), format::pack(replacement));
   EXPECT_HAS(push({action(alice, Program().call(action(bob, commits, alice), 2).abort("no"))}), "no");
   EXPECT_EQ(read("side"), "effect");
   kernel->abortBlock();
}

CHAIN_TEST(LocalTest, callbacksOnAValidator) {
   // Types 0 to 2 are told there, too; what they write into writeOnly belongs to the block's revision.
   const auto note = [&](std::string_view key) {
      return Program()
          .argument()
          .open(db::writeOnly, prefixOf(alice), 3)
          .put(0, key, Program::reg)
          .checkout()
          .open(db::subjective, prefixOf(alice), 3)
          .put(1, key, Program::reg)
          .commit();
   };
   startBlock();
   EXPECT_EQ(push({action(alice, storing(alice, "told"_m.value, note("told")))}), "");
   EXPECT_EQ(push({action(alice, storing(alice, "block"_m.value, note("block")))}), "");
   for (const auto type : {format::NotifyType::acceptBlock, format::NotifyType::acceptTransaction}) {
      const bool block = type == format::NotifyType::acceptBlock;
      const format::NotifyRow row{
          type, {{AccountNumber(), alice, block ? "block"_m : "told"_m, block ? toBytes("own data") : Bytes()}}};
      EXPECT_EQ(push({action(alice, Program().open(db::native, {}, 2).put(0, row.key(), format::pack(row)))}), "");
   }
   const auto trx = transaction({action(alice, Program().console("heard").call(action(bob, Program(), alice)))});
   EXPECT_FALSE(kernel->push(trx).error);
   (void)seal();

   OtherNode node(folder);
   Kernel& other = node.kernel;
   LocalTemplate local;
   local.services.push_back({alice, CodeRow::isPrivileged, puppetCode()});
   ASSERT_TRUE(other.firstStart(local, {}, {"test", "{}"}));
   node.follow(*kernel, kernel->head()->num);
   const auto stored = [&](std::string_view name) {
      Bytes key = prefixOf(alice);
      append(key, asBytes(name));
      const auto found = other.head()->version.get(storeKey(db::writeOnly, key));
      return found ? toBytes(*found) : Bytes();
   };
   EXPECT_EQ(stored("block"), toBytes("own data"));
   const Bytes arguments = stored("told");
   const auto told = format::unpackStrict<std::tuple<format::Checksum256, format::TransactionTrace>>(arguments);
   ASSERT_TRUE(told);
   EXPECT_EQ(std::get<0>(*told), format::transactionId(trx));
   const auto& outer = std::get<1>(*told).actionTraces.at(0);
   const auto& heard = std::get<format::ActionTrace>(outer.innerTraces.at(0).inner);
   EXPECT_EQ(std::get<format::ConsoleTrace>(heard.innerTraces.at(0).inner).console, "heard");
   EXPECT_EQ(std::get<format::ActionTrace>(heard.innerTraces.at(1).inner).action.service, bob);
   const auto trace = other.runAction(
       RunMode::rpc, action(alice, Program().checkout().open(db::subjective, prefixOf(alice), 1).get(0, "block")));
   Output out(trace.actionTraces.at(0).rawRetval);
   out.word();
   EXPECT_EQ(out.found(), "own data");
   // Their time is limited as it is where the block was made.
   const format::NotifyRow row{format::NotifyType::acceptBlock, {{AccountNumber(), alice, "endless"_m, {}}}};
   startBlock();
   EXPECT_EQ(push({action(alice, storing(alice, "endless"_m.value, Program().maxCpu(1000).loop()))}), "");
   EXPECT_EQ(push({action(alice, Program().open(db::native, {}, 2).put(0, row.key(), format::pack(row)))}), "");
   (void)seal();
   node.follow(*kernel, kernel->head()->num);
   EXPECT_TRUE(node.host.logged("callback alice::endless: transaction timed out"));
}

CHAIN_TEST(LocalTest, conflicts) {
   // While alice has a checkout open, bob commits in between: his action is called through a socket that runs it.
   struct Meddler : TestSocket {
      std::function<void()> then;
      SendOutcome send(ByteView, std::uint32_t) override {
         // On a thread of its own: a context is running on this one.
         vm::onExecutionStack(then);
         return {};
      }
   };
   auto meddler = std::make_shared<Meddler>();
   auto fd = static_cast<std::uint32_t>(kernel->attach(meddler));
   const auto commits = [&](const Program& before, const Program& meddling, const Program& after) {
      meddler->then = [&] { (void)kernel->runAction(RunMode::rpc, action(bob, meddling)); };
      Program p;
      Bytes all = before.bytes();
      append(all, Program().socketSend(fd, {}, 0).bytes());
      append(all, after.bytes());
      append(all, Program().forget().commit().bytes());
      const auto trace = kernel->runAction(RunMode::rpc, {alice, alice, "run"_m, all});
      EXPECT_FALSE(trace.error) << *trace.error;
      return Output(trace.actionTraces[0].rawRetval).word();
   };
   const auto write = [&](std::string_view key, std::string_view value, std::uint32_t database = db::subjective) {
      return Program().checkout().open(database, prefixOf(alice), 3).put(0, key, value).commit();
   };
   EXPECT_EQ(runRpc(write("b", "1").close(0)), "");
   const Program own = Program().put(0, "mine", "1");
   // The key read, changed, added or removed.
   EXPECT_EQ(commits(local().get(0, "b"), write("b", "2"), own), 0u);
   EXPECT_EQ(commits(local().get(0, "b"), write("a", "2"), own), 1u);
   EXPECT_EQ(commits(local().get(0, "none"), write("none", "2"), own), 0u);
   EXPECT_EQ(commits(local().get(0, "b"),
                     Program().checkout().open(db::subjective, prefixOf(alice), 3).remove(0, "b").commit(), own),
             0u);
   // The key written.
   EXPECT_EQ(commits(local().put(0, "w", "1"), write("w", "2"), Program()), 0u);
   EXPECT_EQ(read("w"), "2"); // all dropped
   // Ranges: inside conflicts, outside does not.
   EXPECT_EQ(runRpc(local().put(0, "d", "1").put(0, "h", "1").commit()), "");
   EXPECT_EQ(commits(local().greaterEqual(0, "c", 0), write("cc", "2"), own), 0u);
   EXPECT_EQ(commits(local().greaterEqual(0, "d", 0), write("e", "2"), own), 1u);
   EXPECT_EQ(commits(local().lessThan(0, "h", 0), write("g", "2"), own), 0u);
   EXPECT_EQ(commits(local().lessThan(0, "h", 0), write("i", "2"), own), 1u);
   EXPECT_EQ(commits(local().max(0, "x"), write("x1", "2"), own), 0u);
   EXPECT_EQ(commits(local().max(0, "x"), write("y", "2"), own), 1u);
   EXPECT_EQ(commits(local().greaterEqual(0, "z", 1), write("zz", "2"), own), 0u);
   EXPECT_EQ(commits(local().greaterEqual(0, "m", 1), write("n", "2"), own), 1u);
   // Other databases do not matter.
   EXPECT_EQ(commits(local().get(0, "b"), write("b", "5", db::session), own), 1u);
   // Without writes a commit always succeeds.
   EXPECT_EQ(commits(local().get(0, "b"), write("b", "6"), Program()), 1u);
   EXPECT_EQ(read("b"), "6");
   // After a conflict a fresh checkout is open.
   EXPECT_EQ(commits(local().get(0, "b"), write("b", "7"),
                     Program().put(0, "mine", "x").commit().get(0, "b").put(0, "mine", "fresh")),
             1u);
   EXPECT_EQ(read("mine"), "fresh");
   // What a conflict has dropped does not count as written.
   options.writtenBytes = 50'000;
   reopen();
   fd = static_cast<std::uint32_t>(kernel->attach(meddler));
   const std::string thirty(30'000, 'x');
   EXPECT_EQ(commits(local().put(0, "b", thirty), write("b", "8"), Program().commit().put(0, "mine", thirty)), 1u);
   EXPECT_EQ(read("mine"), thirty);
}

CHAIN_TEST(LocalTest, concurrentCommits) {
   // Four threads append to one range that each reads; each retries until it succeeds; nothing is lost.
   std::vector<vm::ExecutionThread> threads;
   std::atomic<int> failures{0};
   for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
         for (int i = 0; i < 50; ++i) {
            const Program p = local()
                                  .max(0, "log")
                                  .put(0, "log" + std::to_string(t) + "-" + std::to_string(100 + i), "x")
                                  .forget()
                                  .commit();
            for (;;) {
               const auto trace = kernel->runAction(RunMode::rpc, action("alice"_a, p));
               if (trace.error) {
                  ++failures;
                  break;
               }
               if (Output(trace.actionTraces[0].rawRetval).word() == 1)
                  break;
            }
         }
      });
   threads.clear();
   EXPECT_EQ(failures, 0);
   int rows = 0;
   for (int t = 0; t < 4; ++t)
      for (int i = 0; i < 50; ++i)
         rows += read("log" + std::to_string(t) + "-" + std::to_string(100 + i)) == "x";
   EXPECT_EQ(rows, 200);
}

CHAIN_TEST(LocalTest, callbacks) {
   // acceptBlock passes the registered data; acceptTransaction and rejectTransaction pass id and trace.
   const auto note = [&](std::string_view key) {
      return Program()
          .argument()
          .checkout()
          .open(db::subjective, prefixOf(alice), 3)
          .put(0, key, Program::reg)
          .commit();
   };
   startBlock();
   EXPECT_EQ(push({action(alice, storing(alice, "accepted"_m.value, note("accepted")))}), "");
   EXPECT_EQ(push({action(alice, storing(alice, "rejected"_m.value, note("rejected")))}), "");
   EXPECT_EQ(push({action(alice, storing(alice, "block"_m.value, note("block")))}), "");
   EXPECT_EQ(push({action(
                 alice, storing(alice, "broken"_m.value,
                                Program().open(db::writeOnly, prefixOf(alice), 3).put(0, "x", "1").abort("broken")))}),
             "");
   for (const auto& [type, method] :
        std::map<format::NotifyType, MethodNumber>{{format::NotifyType::acceptBlock, "block"_m},
                                                   {format::NotifyType::acceptTransaction, "accepted"_m},
                                                   {format::NotifyType::rejectTransaction, "rejected"_m}}) {
      const bool block = type == format::NotifyType::acceptBlock;
      const Bytes own = toBytes("own data");
      const format::NotifyRow row{type,
                                  {{AccountNumber(), alice, "broken"_m, {}},
                                   {bob, alice, "broken"_m, {}}, // not from account 0: skipped
                                   {AccountNumber(), alice, method, block ? own : Bytes()}}};
      EXPECT_EQ(push({action(alice, Program().open(db::native, {}, 2).put(0, row.key(), format::pack(row)))}), "");
   }
   (void)seal();
   EXPECT_EQ(read("block"), "own data");
   EXPECT_TRUE(host.logged("aborted with message: broken")); // isolated: later actions still ran
   startBlock();
   const auto good = transaction({action(alice, Program().count())});
   EXPECT_FALSE(kernel->push(good).error);
   const std::string accepted = read("accepted");
   const auto told = format::unpack<std::tuple<format::Checksum256, format::TransactionTrace>>(asBytes(accepted));
   ASSERT_TRUE(told);
   EXPECT_EQ(std::get<0>(*told), format::transactionId(good));
   EXPECT_FALSE(std::get<1>(*told).error);
   EXPECT_EQ(std::get<1>(*told).actionTraces.size(), 1u);
   EXPECT_EQ(read("rejected"), "-");
   const auto bad = transaction({action(alice, Program().abort("bad"))});
   EXPECT_TRUE(kernel->push(bad).error);
   const std::string rejected = read("rejected");
   const auto toldBad = format::unpack<std::tuple<format::Checksum256, format::TransactionTrace>>(asBytes(rejected));
   ASSERT_TRUE(toldBad);
   EXPECT_EQ(std::get<0>(*toldBad), format::transactionId(bad));
   EXPECT_HAS(std::get<1>(*toldBad).error.value_or(""), "bad");
   kernel->abortBlock();
}

CHAIN_TEST(LocalTest, callbacksOfNoInterestAreLeftOut) {
   // Our own: NotifyRow type 6 says where a callback looks first for what it is told of.
   store(alice, "told"_m.value, local(db::session).argument().put(0, "told", Program::reg).commit());
   startBlock();
   for (const auto type : {format::NotifyType::acceptTransaction, format::NotifyType::rejectTransaction}) {
      const format::NotifyRow row{type, {{AccountNumber(), alice, "told"_m, {}}}};
      EXPECT_EQ(push({action(alice, Program().open(db::native, {}, 2).put(0, row.key(), format::pack(row)))}), "");
   }
   (void)seal();
   const auto interest = [&](const Action& a) {
      const format::NotifyRow row{format::NotifyType{notifyInterest}, {a}};
      putNative(db::nativeSubjective, row.key(), format::pack(row));
   };
   const auto place = [&](std::uint32_t database, std::string_view table) {
      Bytes out{static_cast<std::uint8_t>(database)};
      append(out, prefixOf(alice));
      append(out, asBytes(table));
      return out;
   };
   int serial = 0;
   /// Whether the callback runs for a transaction for which `database` has a row in `table`.
   const auto told = [&](bool fails, std::uint32_t database = 0, std::string_view table = {}) {
      Program p = Program().console(std::to_string(++serial));
      const auto trx = transaction({action(alice, fails ? p.abort("no") : p)});
      const format::Checksum256 id = format::transactionId(trx);
      if (database) {
         Bytes key = toBytes(table);
         append(key, id);
         EXPECT_EQ(runRpc(local(database).put(0, key, asBytes("")).commit()), "");
      }
      startBlock();
      EXPECT_EQ(kernel->push(trx).error.has_value(), fails);
      (void)seal();
      const std::string heard = read("told", db::session);
      return contains(heard, std::string_view(reinterpret_cast<const char*>(id.data()), id.size()));
   };
   EXPECT_TRUE(told(false)); // nothing is said
   const Bytes places = format::pack(std::vector<Bytes>{place(db::subjective, "queue"), place(db::session, "wait")});
   interest({AccountNumber(), alice, "told"_m, places});
   for (const bool fails : {false, true}) {
      EXPECT_FALSE(told(fails));
      EXPECT_FALSE(told(fails, db::subjective, "wait"));
      EXPECT_FALSE(told(fails, db::subjective, "other"));
      EXPECT_TRUE(told(fails, db::subjective, "queue"));
      EXPECT_TRUE(told(fails, db::session, "wait"));
   }
   // Of another callback, not from account 0, or that cannot be read: the callback runs.
   for (const Action& other :
        {Action{AccountNumber(), alice, "other"_m, places}, Action{AccountNumber(), bob, "told"_m, places},
         Action{bob, alice, "told"_m, places}, Action{AccountNumber(), alice, "told"_m, toBytes("junk")},
         Action{AccountNumber(), alice, "told"_m, format::pack(std::vector<Bytes>{{}})},
         Action{AccountNumber(), alice, "told"_m, format::pack(std::vector<Bytes>{{db::native}})}}) {
      interest(other);
      EXPECT_TRUE(told(false));
   }
   interest({AccountNumber(), alice, "told"_m, format::pack(std::vector<Bytes>())}); // of none at all
   EXPECT_FALSE(told(false));
}

CHAIN_TEST(LocalTest, nextTransaction) {
   const auto good =
       transaction({action(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "pulled", "yes"))},
                   {{verify, {}}}, {toBytes("yes")});
   store(alice, "none"_m.value, Program().ret(format::pack(std::optional<format::SignedTransaction>())));
   store(alice, "junk"_m.value, Program().ret(asBytes("junk")));
   store(alice, "fails"_m.value, Program().abort("no"));
   // Gives the transaction once.
   store(alice, "gives"_m.value,
         Program()
             .checkout()
             .open(db::subjective, prefixOf(alice), 3)
             .get(0, "tx")
             .remove(0, "tx")
             .commit()
             .forget()
             .checkout()
             .ret(Program::reg));
   EXPECT_EQ(runRpc(Program()
                        .checkout()
                        .open(db::subjective, prefixOf(alice), 3)
                        .put(0, asBytes("tx"), format::pack(std::optional(good)))
                        .commit()),
             "");
   startBlock();
   EXPECT_EQ(kernel->pushNext(), Pull::nothing); // nothing registered
   format::NotifyRow row{format::NotifyType::nextTransaction, {}};
   // Skipped: what is not from account 0, or brings data.
   row.actions = {{bob, alice, "gives"_m, {}}, {AccountNumber(), alice, "gives"_m, {1}}};
   putNative(db::nativeSubjective, row.key(), format::pack(row));
   EXPECT_EQ(kernel->pushNext(), Pull::nothing);
   for (const auto m : {"none"_m, "junk"_m, "fails"_m, "gives"_m})
      row.actions.push_back({AccountNumber(), alice, m, {}});
   putNative(db::nativeSubjective, row.key(), format::pack(row));
   EXPECT_EQ(kernel->pushNext(), Pull::included);
   EXPECT_EQ(kernel->openBlockTransactions(), 1u);
   EXPECT_EQ(
       runRpc(Program()
                  .checkout()
                  .open(db::subjective, prefixOf(alice), 3)
                  .put(0, asBytes("tx"), format::pack(std::optional(transaction({action(alice, Program().trap())}))))
                  .commit()),
       "");
   EXPECT_EQ(kernel->pushNext(), Pull::refused);
   EXPECT_EQ(kernel->openBlockTransactions(), 1u);
   const auto sealed = seal();
   EXPECT_EQ(format::transactionId(sealed.block->block.transactions.at(1)), format::transactionId(good));
}

CHAIN_TEST(LocalTest, tokensSaveVerification) {
   // A run row verifies; its continuation gets the token; preverify hands it back.
   const auto bad = transaction({action(alice, Program().count())}, {{verify, {9}}}, {toBytes("no")});
   const auto trx = transaction({action(alice, Program().count())}, {{verify, {}}}, {toBytes("yes")});
   const auto id = format::transactionId(trx);
   const Action proof{AccountNumber(), verify, "verifySys"_m,
                      format::pack(format::VerifyArgs{id, {verify, {}}, toBytes("yes")})};
   store(
       alice, "done"_m.value,
       Program().argument().checkout().open(db::subjective, prefixOf(alice), 3).put(0, "done", Program::reg).commit());
   const format::RunRow row{1, RunMode::verify, 1'000'000, proof, {alice, "done"_m}};
   putNative(db::nativeSubjective, row.key(), format::pack(row));
   EXPECT_TRUE(kernel->runNext());
   const std::string done = read("done");
   const auto arguments =
       format::unpack<std::tuple<std::uint64_t, format::TransactionTrace, std::optional<Bytes>>>(asBytes(done));
   ASSERT_TRUE(arguments);
   EXPECT_EQ(std::get<0>(*arguments), 1u);
   EXPECT_FALSE(std::get<1>(*arguments).error);
   ASSERT_TRUE(std::get<2>(*arguments));
   const Bytes token = *std::get<2>(*arguments);
   EXPECT_EQ(token.size(), 32u);
   EXPECT_EQ(runRpc(Program().checkout().open(db::nativeSubjective, {}, 2).remove(0, row.key()).commit()), "");

   const auto preverify = [&](const Bytes& with) {
      store(alice, "pre"_m.value, Program().ret(format::pack(std::optional(std::vector{std::optional(with)}))));
      const format::NotifyRow notify{format::NotifyType::preverifyTransaction, {{AccountNumber(), alice, "pre"_m, {}}}};
      putNative(db::nativeSubjective, notify.key(), format::pack(notify));
   };
   preverify(token);
   const auto verified = [&] {
      for (const auto& [name, value] : kernel->counters())
         if (name == "contexts")
            return value;
      return std::uint64_t{0};
   };
   startBlock();
   const auto before = verified();
   EXPECT_FALSE(kernel->push(trx).error);
   EXPECT_EQ(verified() - before, 2u); // preverify and the transaction, no proof context
   // The token belongs to that proof alone.
   EXPECT_TRUE(kernel->push(bad).error);
   kernel->abortBlock();
   preverify(Bytes(31));
   startBlock();
   const auto again = verified();
   EXPECT_FALSE(kernel->push(trx).error);
   EXPECT_EQ(verified() - again, 3u);
   kernel->abortBlock();
}

CHAIN_TEST(LocalTest, recordedCalls) {
   // runModeRpc: the value is recorded, and replayed without running.
   const format::CodeRow replacement{bob, CodeRow::isPrivileged | CodeRow::isReplacement,
                                     format::sha256(ByteView(puppetCode())), 0, 0};
   putNative(db::nativeSubjective, replacement.key(), format::pack(replacement));
   startBlock();
   const Program inner = Program().clock(0);
   EXPECT_EQ(
       push({action(
           alice,
           Program()
               .call(action(bob, inner, alice), 1)
               .call(
                   action(
                       bob,
                       Program().checkout().open(db::subjective, prefixOf(alice), 3).put(0, "side", "effect").commit(),
                       alice),
                   2)
               .open(0, prefixOf(alice), 3)
               .put(0, "t", "x"))}),
       "");
   const auto block = seal().block;
   const auto& data = block->block.transactions.at(1).subjectiveData;
   ASSERT_TRUE(data);
   ASSERT_EQ(data->size(), 2u);
   EXPECT_EQ((*data)[0].size(), 12u);
   EXPECT_EQ(read("side"), "effect");
   // The main instance is another one than the switched.
   startBlock();
   EXPECT_EQ(push({action(alice, Program()
                                     .count()
                                     .call(action(alice, Program().count(), alice), 1)
                                     .call(action(alice, Program().count(), alice), 1)
                                     .count())}),
             "on-chain service cannot sudo when calling a node-local service");
   EXPECT_EQ(push({action(plain, Program()
                                     .count()
                                     .call(action(plain, Program().count(), plain), 1)
                                     .call(action(plain, Program().count(), plain), 1)
                                     .count())}),
             "");
   auto out = output();
   EXPECT_EQ(out.word(), 1u);
   out.word();
   EXPECT_EQ(out.word(), 1u);
   out.word();
   EXPECT_EQ(out.word(), 2u);
   EXPECT_EQ(out.word(), 2u);
   // Flags do not nest; an error of a switched call fails the transaction while producing.
   EXPECT_HAS(
       push({action(plain, Program().call(action(plain, Program().call(action(plain, Program()), 1), plain), 1))}),
       "Can only change run mode in a transaction");
   EXPECT_HAS(push({action(plain, Program().call(action(plain, Program().abort("sub"), plain), 2))}), "sub");
   (void)seal();

   // Another node: rpc is not run, callback is, its failure does not matter.
   OtherNode node(folder);
   node.host.now = 1;
   Kernel& other = node.kernel;
   node.follow(*kernel, kernel->head()->num);
   EXPECT_EQ(other.head()->id, kernel->head()->id);
   // Too few and too many entries.
   startBlock();
   EXPECT_EQ(push({action(plain, Program().call(action(plain, Program().count(), plain), 1))}), "");
   const auto good = seal().block;
   auto few = std::make_shared<format::SignedBlock>(*good);
   few->block.transactions[1].subjectiveData->clear();
   EXPECT_HAS(other.applyBlock(few).error().reason, "missing subjective data");
   auto many = std::make_shared<format::SignedBlock>(*good);
   many->block.transactions[1].subjectiveData->push_back({});
   EXPECT_HAS(other.applyBlock(many).error().reason, "transaction has unread subjective data");
   auto none = std::make_shared<format::SignedBlock>(*good);
   none->block.transactions[1].subjectiveData.reset();
   EXPECT_HAS(other.applyBlock(none).error().reason, "Missing subjective data");
   EXPECT_TRUE(other.applyBlock(good));
}

CHAIN_TEST(LocalTest, whatOthersWriteMeanwhileDecidesNothingInATransaction) {
   // What a switched call writes below a level that the transaction opened itself is committed by the transaction.
   // Whether that conflicts differs from node to node, and services must not see it.
   const format::CodeRow replacement{bob, CodeRow::isPrivileged | CodeRow::isReplacement,
                                     format::sha256(ByteView(puppetCode())), 0, 0};
   putNative(db::nativeSubjective, replacement.key(), format::pack(replacement));
   const Action writes = action(
       bob,
       Program().checkout().open(db::subjective, prefixOf(alice), 3).get(0, "k").put(0, "k", "mine").commit().random(1),
       alice);
   const auto meddle = [&](Kernel& where) {
      vm::ExecutionThread other([&] {
         EXPECT_FALSE(where.runAction(RunMode::rpc, action(alice, local().put(0, "k", "theirs").commit())).error);
      });
      other.join();
   };
   const Program commits = Program().checkout().call(writes, 2).commit();
   Program fills = commits; // all levels there are, if the commit left none open
   for (std::size_t i = 0; i < Checkout::levelsMax; ++i)
      fills.checkout();
   startBlock();
   host.onRandom = [&] { meddle(*kernel); };
   EXPECT_HAS(push({action(alice, commits)}), "has changed meanwhile");
   host.onRandom = nullptr;
   EXPECT_EQ(push({action(alice, fills)}), "");
   (void)seal();
   EXPECT_EQ(read("k"), "mine");

   OtherNode node(folder);
   LocalTemplate template_;
   template_.services = {{alice, CodeRow::isPrivileged, puppetCode()}, {bob, replacement.flags, puppetCode()}};
   ASSERT_TRUE(node.kernel.firstStart(template_, {}, {"test", "{}"}));
   unsigned meddled = 0;
   node.host.onRandom = [&] {
      ++meddled;
      meddle(node.kernel);
   };
   node.follow(*kernel, kernel->head()->num);
   EXPECT_EQ(meddled, 1u);
   EXPECT_EQ(node.kernel.head()->id, kernel->head()->id);
}

CHAIN_TEST(LocalTest, replayedCallsOfATransactionAreLimitedTogether) {
   // Each asks for a random byte, when it starts and when it is called, and fails unless that is 7.
   const auto code = vm::fromText(R"((module (import "env" "getRandom" (func $random (param i32 i32))) (memory 1)
      (func $work (local i32)
         (call $random (i32.const 0) (i32.const 1))
         (local.set 0 (i32.const 1000000))
         (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
      (func (export "start") (param i64) (call $work))
      (func (export "called") (param i64 i64)
         (call $work)
         (if (i32.ne (i32.load8_u (i32.const 0)) (i32.const 7)) (then (unreachable))))))");
   ASSERT_TRUE(code) << code.error();
   const AccountNumber heavy = "heavy"_a;
   EXPECT_EQ(one(alice, deploying(heavy, 0, *code)), "");
   constexpr unsigned calls = 40;
   Program many;
   for (unsigned i = 0; i < calls; ++i)
      many.call(action(heavy, Program(), plain), 2);
   unsigned made = 0;
   host.onRandom = [&] { ++made; };
   startBlock();
   EXPECT_EQ(push({action(plain, many)}), "");
   (void)seal();
   EXPECT_EQ(made, calls + 1); // one instance for all

   const auto runsElsewhere = [&](std::int64_t cpuNs, std::uint8_t byte) {
      std::filesystem::create_directories(folder / "elsewhere");
      KernelOptions otherOptions;
      otherOptions.transactionCpuNs = cpuNs;
      unsigned runs = 0;
      {
         OtherNode node(folder / "elsewhere", otherOptions);
         node.host.randomByte = byte;
         node.host.onRandom = [&] { ++runs; };
         node.follow(*kernel, kernel->head()->num);
         EXPECT_EQ(node.kernel.head()->id, kernel->head()->id);
      }
      std::filesystem::remove_all(folder / "elsewhere");
      return runs;
   };
   EXPECT_EQ(runsElsewhere(options.transactionCpuNs, 7), calls + 1);
   EXPECT_LE(runsElsewhere(20'000'000, 7), 10u);               // together they take no more than one transaction may
   EXPECT_LE(runsElsewhere(options.transactionCpuNs, 8), 20u); // who fails again and again is made no more
}

CHAIN_TEST(LocalTest, whatServicesAnotherNodeHasDecidesNothing) {
   // Switched calls reach services of the node. Where the block is executed again, there may be others, or none: what
   // was recorded counts, whatever would become of the calls there.
   const AccountNumber only = "only"_a;
   const auto install = [&](AccountNumber service, std::uint64_t flags) {
      const CodeRow row{service, flags, format::sha256(ByteView(puppetCode())), 0, 0};
      putNative(db::nativeSubjective, row.key(), format::pack(row));
   };
   for (const AccountNumber service : {bob, only})
      install(service, CodeRow::isPrivileged | CodeRow::isReplacement);
   startBlock();
   Program calls;
   for (const AccountNumber service : {bob, only})
      for (const std::uint64_t flags : {1u, 2u})
         calls.call(action(service, Program().ret(toBytes("seen")), alice), flags);
   EXPECT_EQ(push({action(alice, calls)}), "");
   (void)seal();

   OtherNode node(folder);
   LocalTemplate local; // of the same name, but no replacement; and `only` is not there at all
   local.services.push_back({bob, CodeRow::isPrivileged, puppetCode()});
   ASSERT_TRUE(node.kernel.firstStart(local, {}, {"test", "{}"}));
   node.follow(*kernel, kernel->head()->num);
   EXPECT_EQ(node.kernel.head()->id, kernel->head()->id);
}

CHAIN_TEST(LocalTest, switchedCallsHaveTheModeOfTheirFlag) {
   // One instance serves both; what it may do is a matter of the call.
   const format::CodeRow replacement{bob, CodeRow::isPrivileged | CodeRow::isReplacement,
                                     format::sha256(ByteView(puppetCode())), 0, 0};
   putNative(db::nativeSubjective, replacement.key(), format::pack(replacement));
   const Action looks = action(bob, Program().count().open(db::writeOnly, prefixOf(bob), 1), alice);
   const Action writes = action(bob, Program().count().open(db::writeOnly, prefixOf(bob), 3).put(1, "k", "v"), alice);
   startBlock();
   EXPECT_EQ(push({action(alice, Program().call(looks, 1).call(writes, 2))}), "");
   EXPECT_HAS(push({action(alice, Program().call(looks, 2).call(writes, 1))}), "cannot be opened for writing here");
   // A callee has the mode of its caller.
   const auto within = [&](const Action& inner) { return action(bob, Program().call(inner), alice); };
   EXPECT_EQ(push({action(alice, Program().call(looks, 1).call(within(action(alice, Program().clock(0), bob)), 2))}),
             "");
   const Action storesBelow = action(alice, Program().open(db::writeOnly, prefixOf(alice), 3).put(0, "k", "v"), bob);
   EXPECT_EQ(push({action(alice, Program().call(looks, 1).call(within(storesBelow), 2))}), "");
   EXPECT_HAS(push({action(alice, Program().call(looks, 2).call(within(storesBelow), 1))}), "cannot be opened");
   // A handle that was opened to write writes nothing where nothing may be written.
   EXPECT_HAS(push({action(alice, Program()
                                      .call(action(bob, Program().open(db::writeOnly, prefixOf(bob), 3), alice), 2)
                                      .call(action(bob, Program().put(0, "k", "v"), alice), 1))}),
              "Cannot write to this db handle db=1");
   EXPECT_HAS(push({action(alice, Program()
                                      .call(action(bob, Program().open(db::writeOnly, prefixOf(bob), 3), alice), 2)
                                      .call(action(bob, Program().remove(0, "k"), alice), 1))}),
              "Cannot write to this db handle db=1");
   kernel->abortBlock();
}

CHAIN_TEST(LocalTest, runQueueModes) {
   store(
       alice, "done"_m.value,
       Program().argument().checkout().open(db::subjective, prefixOf(alice), 3).put(0, "done", Program::reg).commit());
   const auto runIt = [&](RunMode mode, const Action& a, std::int64_t maxTime = 1'000'000) {
      const format::RunRow row{7, mode, maxTime, a, {alice, "done"_m}};
      putNative(db::nativeSubjective, row.key(), format::pack(row));
      EXPECT_TRUE(kernel->runNext());
      host.monotonic += 1'000'000'000;
      EXPECT_EQ(runRpc(Program().checkout().open(db::nativeSubjective, {}, 2).remove(0, row.key()).commit()), "");
      EXPECT_FALSE(kernel->runNext()); // it forgets the number
      const std::string packed = read("done");
      auto done =
          format::unpack<std::tuple<std::uint64_t, format::TransactionTrace, std::optional<Bytes>>>(asBytes(packed));
      EXPECT_TRUE(done);
      return std::get<1>(*done).error.value_or("");
   };
   EXPECT_EQ(runIt(RunMode::rpc, action(alice, local().put(0, "from", "queue").commit())), "");
   EXPECT_EQ(read("from"), "queue");
   // Speculative: transaction rules, nothing is kept.
   EXPECT_EQ(
       runIt(RunMode::speculative, action(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "spec", "1"))),
       "");
   EXPECT_EQ(run(RunMode::rpc, alice, Program().open(db::service, prefixOf(alice), 1).get(0, "spec")), "");
   auto out = runOutput();
   out.word();
   EXPECT_EQ(out.found(), "-");
   EXPECT_HAS(runIt(RunMode::speculative, action(alice, Program().open(db::subjective, {}, 1))), "not available");
   EXPECT_HAS(runIt(RunMode::verify,
                    {AccountNumber(), verify, "verifySys"_m, format::pack(format::VerifyArgs{{}, {}, toBytes("no")})}),
              "bad proof");
   EXPECT_EQ(runIt(RunMode::callback, action(alice, Program().count())), "");
   EXPECT_TRUE(host.logged("is run as rpc"));
   // Time: a loop is stopped; none is no time at all.
   EXPECT_EQ(runIt(RunMode::rpc, action(alice, Program().loop()), 10'000), "transaction timed out");
   EXPECT_EQ(runIt(RunMode::rpc, action(alice, Program().loop()), -5), "transaction timed out");
   EXPECT_FALSE(kernel->runNext());
}

CHAIN_TEST(LocalTest, runQueueOrder) {
   // The continuation removes its row: each leaves its id in a log.
   store(alice, "done"_m.value,
         Program()
             .argument()
             .slice(2, 8)
             .checkout()
             .open(db::subjective, prefixOf(alice), 3)
             .put(0, "last", Program::reg)
             .commit());
   const auto put = [&](std::uint64_t id) {
      const format::RunRow row{id, RunMode::rpc, 1000, action(alice, Program()), {alice, "done"_m}};
      putNative(db::nativeSubjective, row.key(), format::pack(row));
   };
   const auto lastRun = [&] {
      const std::string packed = read("last");
      std::uint64_t id = 0;
      if (packed.size() == 8)
         std::memcpy(&id, packed.data(), 8);
      return id;
   };
   for (const std::uint64_t id : {5u, 3u, 9u})
      put(id);
   // A row whose key is not its id, and bytes that are no row, are skipped.
   putNative(db::nativeSubjective, format::RunRow::key(4), format::pack(format::RunRow{8, RunMode::rpc, 0, {}, {}}));
   putNative(db::nativeSubjective, format::RunRow::key(6), {1, 2, 3});
   for (const std::uint64_t id : {3u, 5u, 9u}) {
      EXPECT_TRUE(kernel->runNext());
      EXPECT_EQ(lastRun(), id);
   }
   // Their continuations left them: they rest, then run again, wrapping around.
   EXPECT_FALSE(kernel->runNext());
   EXPECT_TRUE(kernel->timerDueUs());
   host.monotonic += 200'000'000;
   EXPECT_TRUE(kernel->runNext());
   EXPECT_EQ(lastRun(), 3u);
   put(4);
   EXPECT_TRUE(kernel->runNext());
   EXPECT_EQ(lastRun(), 4u);
}

CHAIN_TEST(LocalTest, runQueueVerifiesFirst) {
   store(alice, "done"_m.value,
         Program()
             .argument()
             .slice(2, 8)
             .checkout()
             .open(db::subjective, prefixOf(alice), 3)
             .put(0, "last", Program::reg)
             .commit());
   const auto put = [&](std::uint64_t id, RunMode mode) {
      const Action proof{AccountNumber(), verify, "verifySys"_m,
                         format::pack(format::VerifyArgs{{}, {verify, {}}, toBytes("yes")})};
      const format::RunRow row{
          id, mode, 1'000'000, mode == RunMode::verify ? proof : action(alice, Program()), {alice, "done"_m}};
      putNative(db::nativeSubjective, row.key(), format::pack(row));
   };
   for (std::uint64_t id = 1; id <= 5; ++id)
      put(id, id < 4 ? RunMode::rpc : RunMode::verify);
   for (const std::uint64_t id : {4u, 5u, 1u, 2u}) {
      EXPECT_TRUE(kernel->runNext());
      const std::string packed = read("last");
      ASSERT_EQ(packed.size(), 8u);
      EXPECT_EQ(static_cast<std::uint8_t>(packed[0]), id);
   }
   // Where others have no place left, proofs still do.
   options.otherRunsMax = 0;
   reopen();
   EXPECT_TRUE(kernel->runNext()); // 4 and 5 were left by their continuation
   EXPECT_TRUE(kernel->runNext());
   EXPECT_FALSE(kernel->runNext());
   put(6, RunMode::verify);
   EXPECT_TRUE(kernel->runNext());
   EXPECT_EQ(read("last")[0], 6);
   EXPECT_FALSE(kernel->runNext());
}

CHAIN_TEST(LocalTest, runQueueForgetsWhatIsNeverFinished) {
   store(alice, "done"_m.value, Program().abort("not yet"));
   const format::RunRow row{7, RunMode::rpc, 1'000'000, action(alice, Program()), {alice, "done"_m}};
   putNative(db::nativeSubjective, row.key(), format::pack(row));
   std::int64_t restNs = 100'000'000;
   for (int i = 1; i <= 10; ++i) {
      EXPECT_TRUE(kernel->runNext()) << i;
      EXPECT_FALSE(kernel->runNext()) << i;
      if (i == 10)
         break;
      // Longer each time.
      host.monotonic += restNs - 1;
      EXPECT_FALSE(kernel->runNext()) << i;
      host.monotonic += 2;
      restNs *= 2;
   }
   EXPECT_TRUE(host.logged("alice never finished item 7"));
   host.monotonic += 100 * restNs;
   EXPECT_FALSE(kernel->runNext());
   EXPECT_FALSE(kernel->timerDueUs());
   // It is gone for good.
   reopen();
   EXPECT_FALSE(kernel->runNext());
}

CHAIN_TEST(LocalTest, timer) {
   // Erases the row.
   store(alice, "tick"_m.value,
         Program()
             .checkout()
             .open(db::nativeSession, {}, 3)
             .remove(0, format::TimerRow::key())
             .open(db::subjective, prefixOf(alice), 3)
             .put(1, "ticked", "yes")
             .commit());
   EXPECT_FALSE(kernel->timerDueUs());
   const std::int64_t due = host.monotonic / 1000 + 500;
   putNative(db::nativeSession, format::TimerRow::key(), format::pack(format::TimerRow{due, alice, "tick"_m}));
   EXPECT_EQ(kernel->timerDueUs(), due);
   EXPECT_FALSE(kernel->runNext());
   host.monotonic += 501'000;
   EXPECT_TRUE(kernel->runNext());
   EXPECT_EQ(read("ticked"), "yes");
   EXPECT_FALSE(kernel->runNext());
   // One that is never due.
   putNative(db::nativeSession, format::TimerRow::key(), format::pack(format::TimerRow{INT64_MAX, alice, "tick"_m}));
   EXPECT_FALSE(kernel->runNext());
   // One that stays due does not spin.
   putNative(db::nativeSession, format::TimerRow::key(), format::pack(format::TimerRow{1, alice, "nothing"_m}));
   EXPECT_TRUE(kernel->runNext());
   EXPECT_FALSE(kernel->runNext());
   host.monotonic += 200'000'000;
   EXPECT_TRUE(kernel->runNext());
}

CHAIN_TEST(LocalTest, requests) {
   const format::HttpRequest request{"h", "GET", "/", "", {}, {}};
   const auto serve = [&](const Program& p) {
      store(xHttp, 1, p);
      auto socket = std::make_shared<TestSocket>();
      kernel->serve(socket, request);
      return socket;
   };
   auto socket = serve(Program().reply(asBytes("answer")));
   ASSERT_EQ(socket->sent.size(), 1u);
   EXPECT_EQ(toText(socket->sent[0]), "answer");
   EXPECT_EQ(socket->closes, 1);
   EXPECT_FALSE(socket->reason.error);
   // The action carries descriptor and request; the row lives as long as the socket.
   socket = serve(Program()
                      .argument()
                      .checkout()
                      .open(db::subjective, prefixOf(alice), 3)
                      .put(0, "request", Program::reg)
                      .open(db::nativeSession, {}, 1)
                      .get(1, format::SocketRow::key(socket->fd))
                      .put(0, "row", Program::reg)
                      .commit());
   const std::string packed = read("request");
   const auto arguments = format::unpack<std::tuple<std::int32_t, format::HttpRequest>>(asBytes(packed));
   ASSERT_TRUE(arguments);
   EXPECT_EQ(std::get<0>(*arguments), socket->fd);
   EXPECT_EQ(std::get<1>(*arguments), request);
   const std::string row = read("row");
   EXPECT_EQ(format::unpack<format::SocketRow>(asBytes(row))->info, format::SocketInfo(format::HttpSocketInfo{}));
   EXPECT_EQ(read(toText(format::SocketRow::key(socket->fd)), db::nativeSession), "-");
   // Unanswered: closed with the error, or without.
   EXPECT_EQ(socket->closes, 1);
   EXPECT_FALSE(socket->reason.error);
   socket = serve(Program().abort("oops"));
   EXPECT_EQ(socket->closes, 1);
   EXPECT_EQ(socket->reason.error, "service 'x-http' aborted with message: oops");
   // A socket refuses its use: the action aborts.
   socket = serve(Program().reply({}, 99));
   EXPECT_EQ(socket->reason.error, "wrong flags");
   EXPECT_EQ(runRpc(Program().socketSend(77, {}, 0)), "");
   auto out = runOutput();
   EXPECT_EQ(out.word(), 8u);
}

CHAIN_TEST(LocalTest, requestsAtABlock) {
   const auto value = [&](const char* text) {
      EXPECT_EQ(one(alice, Program().open(0, prefixOf(alice), 3).put(0, "k", text)), "");
      return std::to_string(kernel->head()->num);
   };
   store(xHttp, 1, Program().open(0, prefixOf(alice), 1).get(0, "k").reply(Program::reg));
   const std::string before = value("old"), after = value("new");
   const auto ask = [&](const char* method, std::vector<format::HttpHeader> headers) {
      auto socket = std::make_shared<TestSocket>();
      kernel->serve(socket, {"h", method, "/", "", std::move(headers), {}});
      EXPECT_EQ(socket->sent.size(), 1u);
      EXPECT_EQ(socket->closes, 1);
      return socket->sent.empty() ? std::string() : toText(socket->sent[0]);
   };
   EXPECT_EQ(ask("GET", {}), "new");
   EXPECT_EQ(ask("GET", {{"Polis-Block", before}}), "old");
   EXPECT_EQ(ask("GET", {{"polis-block", after}}), "new");
   EXPECT_EQ(ask("POST", {{"polis-block", before}}), "new");
   for (const char* wrong : {"", "x", "-1", "4294967296", "99999999999999999999", "1000"})
      EXPECT_NE(ask("GET", {{"polis-block", wrong}}).find("not kept here"), std::string::npos) << wrong;
}

CHAIN_TEST(LocalTest, anAnswerRestsOnWhatItsQueryHasWritten) {
   auto socket = std::make_shared<TestSocket>();
   const auto fd = static_cast<std::uint32_t>(kernel->attach(socket));
   const auto answering = [&](std::uint32_t database) {
      return Program()
          .checkout()
          .open(database, prefixOf(alice), 3)
          .put(0, "k", "v")
          .commit()
          .socketSend(fd, asBytes("done"), 0);
   };
   // What does not outlive the process is never durable.
   EXPECT_EQ(run(RunMode::rpc, alice, answering(db::session)), "");
   EXPECT_EQ(socket->restsOn, 0u);
   EXPECT_EQ(run(RunMode::rpc, alice, answering(db::subjective)), "");
   EXPECT_EQ(socket->restsOn, journal_->end());
   EXPECT_GT(journal_->end(), journal_->durable());
   EXPECT_EQ(socket->sent.size(), 2u);
}

CHAIN_TEST(LocalTest, deferredReply) {
   // The request clears autoClose; another context answers and closes.
   store(xHttp, 1, Program().ownFlags(socketFlag::autoClose, 0));
   auto socket = std::make_shared<TestSocket>();
   kernel->serve(socket, {"h", "GET", "/", "", {}, {}});
   EXPECT_EQ(socket->closes, 0);
   const auto fd = static_cast<std::uint32_t>(socket->fd);
   EXPECT_EQ(
       runRpc(Program().socketSend(fd, asBytes("late"), 0).setFlags(fd, socketFlag::autoClose, socketFlag::autoClose),
              xHttp),
       "");
   EXPECT_EQ(socket->sent.size(), 1u);
   EXPECT_EQ(socket->closes, 1);
   EXPECT_EQ(runRpc(Program().socketSend(fd, {}, 0).setFlags(fd, 1, 1), xHttp), "");
   auto out = runOutput();
   EXPECT_EQ(out.word(), 8u);
   EXPECT_EQ(out.word(), 8u);
   EXPECT_FALSE(kernel->recv(socket->fd, asBytes("x"), 1));
}

CHAIN_TEST(LocalTest, messages) {
   store(xHttp, 2,
         Program()
             .argument()
             .checkout()
             .open(db::subjective, prefixOf(alice), 3)
             .put(0, "message", Program::reg)
             .commit());
   store(xHttp, 3,
         Program()
             .argument()
             .checkout()
             .open(db::subjective, prefixOf(alice), 3)
             .put(0, "closed", Program::reg)
             .commit());
   auto socket = std::make_shared<TestSocket>(format::WebSocketInfo{});
   const std::int32_t fd = kernel->attach(socket);
   const auto flags = [&](std::uint32_t mask, std::uint32_t value) {
      EXPECT_EQ(runRpc(Program().setFlags(static_cast<std::uint32_t>(fd), mask, value), xHttp), "");
      return runOutput().word();
   };
   EXPECT_FALSE(kernel->recv(fd, asBytes("early"), 1));
   EXPECT_EQ(flags(socketFlag::recv, socketFlag::recv), 0u);
   EXPECT_EQ(socket->ready, 1);
   EXPECT_TRUE(kernel->recv(fd, asBytes("hello"), 1));
   const std::string packed = read("message");
   const auto arguments = format::unpack<std::tuple<std::int32_t, Bytes, std::uint32_t>>(asBytes(packed));
   ASSERT_TRUE(arguments);
   EXPECT_EQ(std::get<0>(*arguments), fd);
   EXPECT_EQ(toText(std::get<1>(*arguments)), "hello");
   EXPECT_EQ(std::get<2>(*arguments), 1u);
   EXPECT_FALSE(kernel->recv(fd, asBytes("again"), 1)); // clears itself
   EXPECT_EQ(socket->closes, 0);
   // Within a checkout changes wait for the commit.
   EXPECT_EQ(runRpc(Program().checkout().setFlags(static_cast<std::uint32_t>(fd), 4, 4).abortCheckout(), xHttp), "");
   EXPECT_EQ(socket->ready, 1);
   EXPECT_EQ(runRpc(Program().checkout().setFlags(static_cast<std::uint32_t>(fd), 4, 4).commit(), xHttp), "");
   EXPECT_EQ(socket->ready, 2);
   // Only the known bits count.
   EXPECT_EQ(flags(0xFFFFFFF0, 0xFFFFFFF0), 0u);
   // The peer closes: x-http is told, then the row goes.
   EXPECT_EQ(flags(socketFlag::notifyClose, socketFlag::notifyClose), 0u);
   kernel->closed(fd);
   EXPECT_EQ(socket->closes, 1);
   EXPECT_EQ(flags(4, 4), 2u); // closing
   EXPECT_EQ(read("closed"), "-");
   host.runWork();
   const std::string closed = read("closed");
   EXPECT_EQ(format::unpack<std::tuple<std::int32_t>>(asBytes(closed)), std::tuple(fd));
   EXPECT_EQ(flags(4, 4), 8u);
   // Multicast and log have no flags, and always deliver.
   auto fixed = std::make_shared<TestSocket>(format::LogSocketInfo{});
   kernel->attachFixed(1, fixed);
   EXPECT_EQ(runRpc(Program().setFlags(1, 4, 4).socketSend(1, asBytes("line"), 0), xHttp), "");
   EXPECT_EQ(runOutput().word(), 58u);
   EXPECT_EQ(fixed->sent.size(), 1u);
   kernel->attachFixed(0, std::make_shared<TestSocket>(format::ProducerMulticastSocketInfo{}));
   EXPECT_TRUE(kernel->recv(0, asBytes("cast"), 0));
}

CHAIN_TEST(LocalTest, closeLocks) {
   auto socket = std::make_shared<TestSocket>(format::WebSocketInfo{});
   const auto fd = static_cast<std::uint32_t>(kernel->attach(socket));
   // A context that locks the socket sees it stay until it ends, whatever the peer does.
   struct Closer : TestSocket {
      std::function<void()> then;
      SendOutcome send(ByteView, std::uint32_t) override {
         then();
         return {};
      }
   };
   auto closer = std::make_shared<Closer>();
   const auto closerFd = static_cast<std::uint32_t>(kernel->attach(closer));
   int closedInside = -1;
   closer->then = [&] {
      kernel->closed(static_cast<std::int32_t>(fd));
      closedInside = socket->closes;
   };
   EXPECT_EQ(
       runRpc(Program().setFlags(fd, socketFlag::lockClose, socketFlag::lockClose).socketSend(closerFd, {}, 0), xHttp),
       "");
   EXPECT_EQ(closedInside, 0);
   EXPECT_EQ(socket->closes, 1);
   // The lowest free descriptor is taken next.
   EXPECT_EQ(kernel->attach(std::make_shared<TestSocket>()), static_cast<std::int32_t>(fd));
   // A request's own lock goes when it says so, before its context ends.
   store(xHttp, 1, Program().ownFlags(socketFlag::lockClose, 0).socketSend(closerFd, {}, 0).reply(asBytes("late")));
   auto request = std::make_shared<TestSocket>();
   closer->then = [&] { closedInside = request->closes; };
   kernel->serve(request, {"h", "GET", "/", "", {}, {}});
   EXPECT_EQ(closedInside, 1);
   EXPECT_EQ(request->closes, 1);
   EXPECT_TRUE(request->sent.empty());
   // A commit with flag changes fails when the socket began closing meanwhile.
   auto other = std::make_shared<TestSocket>(format::WebSocketInfo{});
   const auto otherFd = static_cast<std::uint32_t>(kernel->attach(other));
   closer->then = [&] { kernel->closed(static_cast<std::int32_t>(otherFd)); };
   EXPECT_EQ(runRpc(Program().checkout().setFlags(otherFd, 4, 4).socketSend(closerFd, {}, 0).forget().commit(), xHttp),
             "");
   EXPECT_EQ(runOutput().word(), 0u);
}

CHAIN_TEST(LocalTest, outgoing) {
   std::shared_ptr<TestSocket> made;
   EXPECT_EQ(runRpc(Program().socketOpen(format::pack(std::tuple(format::HttpRequest{})))), "");
   EXPECT_EQ(static_cast<std::int32_t>(runOutput().word()), -52);
   host.opener = [&](format::HttpRequest) {
      return made = std::make_shared<TestSocket>(format::HttpClientSocketInfo{});
   };
   EXPECT_HAS(runRpc(Program().socketOpen(asBytes("junk"))), "malformed");
   // Trailing members may be absent; autoClose is set: it closes with the context.
   EXPECT_EQ(runRpc(Program().socketOpen(format::pack(std::tuple(format::HttpRequest{})))), "");
   ASSERT_TRUE(made);
   EXPECT_GE(made->fd, 2);
   EXPECT_EQ(made->closes, 1);
}

CHAIN_TEST(LocalTest, peerUpgrade) {
   const format::SocketInfo web =
       format::WebSocketInfo{format::SocketEndpoint(format::LocalEndpoint{"p"}), std::nullopt};
   const format::SocketInfo peer =
       format::P2PSocketInfo{format::SocketEndpoint(format::LocalEndpoint{"p"}), std::nullopt};
   auto socket = std::make_shared<TestSocket>(web);
   const std::int32_t fd = kernel->attach(socket);
   const auto put = [&](std::int32_t key, std::int32_t number, const format::SocketInfo& info) {
      return runRpc(Program()
                        .checkout()
                        .open(db::nativeSession, {}, 3)
                        .put(0, format::SocketRow::key(key), format::pack(format::SocketRow{number, info}))
                        .commit());
   };
   EXPECT_HAS(put(fd, fd + 1, peer), "Invalid update to SocketRow");
   EXPECT_HAS(put(fd + 1, fd + 1, peer), "Invalid update to SocketRow");
   EXPECT_HAS(put(fd, fd, format::HttpSocketInfo{}), "Invalid update to SocketRow");
   EXPECT_HAS(put(fd, fd, format::P2PSocketInfo{}), "Invalid update to SocketRow");
   EXPECT_EQ(socket->peers, 0);
   EXPECT_EQ(put(fd, fd, peer), "");
   EXPECT_EQ(socket->peers, 1);
}

CHAIN_TEST(LocalTest, firstStart) {
   // Another node, so that its local table is empty.
   OtherNode node(folder);
   Kernel& other = node.kernel;
   node.follow(*kernel, 2);
   EXPECT_TRUE(other.needsLocalServices());
   LocalTemplate local;
   local.services.push_back({xHttp, CodeRow::isPrivileged, puppetCode()});
   local.requests.push_back({std::string("x-http.\0", 8), "POST", "/register_server", "", {}, {}});
   const auto done = other.firstStart(local, {{"PREFIX", "/p"}}, {"v", "{}"});
   ASSERT_FALSE(done); // the puppet does not answer
   EXPECT_HAS(done.error().reason, "no answer");
   EXPECT_TRUE(other.needsLocalServices()); // all or nothing
   local.requests.clear();
   EXPECT_TRUE(other.firstStart(local, {{"PREFIX", "/p"}}, {"v", "{}"}));
   EXPECT_FALSE(other.needsLocalServices());
   EXPECT_TRUE(other.startSession());
   const auto trace = other.runAction(
       RunMode::rpc,
       action(xHttp, Program().checkout().open(db::nativeSession, {}, 1).get(0, format::EnvRow::key("PREFIX"))));
   Output out(trace.actionTraces.at(0).rawRetval);
   out.word();
   const std::string row = out.found();
   EXPECT_EQ(format::unpack<format::EnvRow>(asBytes(row))->value, "/p");
}

CHAIN_TEST(LocalTest, askItself) {
   // What a request of the node itself wrote stays if it was answered 200, and else does not.
   const auto ask = [&](std::uint16_t status, std::size_t requests) {
      format::HttpReply reply;
      reply.status = status;
      reply.body = toBytes("answer");
      store(xHttp, 1,
            Program()
                .checkout()
                .open(db::subjective, prefixOf(alice), 3)
                .put(0, "asked", "yes")
                .commit()
                .reply(format::pack(reply)));
      return kernel->askItself(std::vector<format::HttpRequest>(requests, {"h", "GET", "/x", "", {}, {}}));
   };
   const auto refused = ask(500, 1);
   ASSERT_FALSE(refused);
   EXPECT_EQ(refused.error().reason, "GET /x: status 500: answer");
   EXPECT_EQ(read("asked"), "-");
   const auto done = ask(200, 2);
   ASSERT_TRUE(done) << done.error().reason;
   ASSERT_EQ(done->size(), 2u);
   EXPECT_EQ(toText(done->back().body), "answer");
   EXPECT_EQ(read("asked"), "yes");
}

CHAIN_TEST(LocalTest, requestsOfTheNodeMayLockTheirSockets) {
   // Such flags wait for the commit of all the requests; by then the socket is gone, and whose lock it was.
   constexpr std::uint32_t autoClose = 2, lockClose = 8;
   format::HttpReply reply;
   reply.status = 200;
   store(xHttp, 1, Program().ownFlags(autoClose | lockClose, autoClose | lockClose).reply(format::pack(reply)));
   const auto done = kernel->askItself({{"h", "GET", "/x", "", {}, {}}, {"h", "GET", "/y", "", {}, {}}});
   ASSERT_TRUE(done) << done.error().reason;
   EXPECT_EQ(done->size(), 2u);
}

CHAIN_TEST(LocalTest, cancel) {
   std::atomic<bool> done{false};
   std::string error;
   vm::ExecutionThread runner([&] {
      error = kernel->runAction(RunMode::rpc, action("alice"_a, Program().loop())).error.value_or("");
      done = true;
   });
   while (!done) {
      kernel->cancelQueries();
      std::this_thread::yield();
   }
   runner.join();
   EXPECT_EQ(error, "transaction timed out");
}

CHAIN_TEST(LocalTest, rememberedReadsAreBounded) {
   // Read far more than is remembered one by one: whoever wrote in between is still noticed, and nobody else.
   ReadSet reads;
   for (std::uint32_t i = 0; i < 3 * ReadSet::rangesMax; ++i)
      reads.addKey(bigEndian32(2 * i));
   reads.addKey(Bytes(1u << 20, 0xEE));
   EXPECT_LE(reads.size(), ReadSet::rangesMax);
   reads.seal();
   for (std::uint32_t i = 0; i < 3 * ReadSet::rangesMax; i += 1000)
      EXPECT_TRUE(reads.contains(bigEndian32(2 * i)));
   EXPECT_TRUE(reads.contains(Bytes(1u << 20, 0xEE)));
   EXPECT_FALSE(reads.contains(bigEndian32(8 * ReadSet::rangesMax)));
   // The same few again and again stay what they are.
   ReadSet few;
   for (std::uint32_t i = 0; i < 3 * ReadSet::rangesMax; ++i)
      few.addKey(bigEndian32(2 * (i % 10)));
   few.seal();
   EXPECT_TRUE(few.contains(bigEndian32(4)));
   EXPECT_FALSE(few.contains(bigEndian32(5)));
}

} // namespace polis::kernel
