// What a test program may do with its chains. Rules: spec, kernel §9.
#include "kernel/databases.hpp"
#include "kernel/test/test_chain.hpp"
#include "kernel/tester_program.hpp"
#include "vm/wat.hpp"

namespace polis::kernel {

using format::RunMode;

class TesterTest : public testing::Test {
protected:
   static constexpr std::uint64_t readRight = 2, writeRight = 64;
   static constexpr std::int64_t start = 1'700'000'000'000'000;
   const AccountNumber transact = "transact"_a, alice = "alice"_a, plain = "plain"_a, verify = "verify"_a,
                       xHttp = "x-http"_a;

   void SetUp() override {
      folder = std::filesystem::temp_directory_path() / ("polis-tester-" + std::to_string(::getpid()));
      std::filesystem::remove_all(folder);
      std::filesystem::create_directories(folder);
      store = store::Store::open(folder / "store");
      calls.emplace(store, testEngine(), TesterOptions());
   }
   void TearDown() override {
      vm::onExecutionStack([&] { calls.reset(); });
      store.reset();
      std::filesystem::remove_all(folder);
   }

   static format::SignedTransaction transaction(Action action) {
      format::Transaction t;
      t.actions.push_back(std::move(action));
      format::SignedTransaction out;
      out.transaction = format::Nested<format::Transaction>(t);
      return out;
   }
   Action action(AccountNumber service, const Program& program) const {
      return {service, service, "run"_m, program.bytes()};
   }
   Bytes result(std::uint32_t size) {
      Bytes out(size);
      EXPECT_EQ(calls->getResult(out, 0), size);
      return out;
   }
   format::TransactionTrace trace(std::uint32_t size) {
      return format::unpack<format::TransactionTrace>(result(size)).value();
   }
   std::string push(std::uint32_t chain, const format::SignedTransaction& t) {
      return trace(calls->pushTransaction(chain, format::pack(t))).error.value_or("");
   }
   std::string push(std::uint32_t chain, const Action& a) { return push(chain, transaction(a)); }
   std::string run(std::uint32_t chain, RunMode mode, bool head, const Action& a) {
      last = trace(calls->runAction(chain, static_cast<std::uint32_t>(mode), head, format::pack(a)));
      return last.error.value_or("");
   }
   Output output() { return Output(last.actionTraces.at(0).rawRetval); }
   void block(std::uint32_t chain, std::int64_t seconds) {
      calls->startBlock(chain, static_cast<std::uint64_t>(start + seconds * 1'000'000), ("prod"_a).value, 0, 0);
   }
   /// A chain of one block, with puppets, x-http among them as a local service.
   std::uint32_t booted() {
      const std::uint32_t chain = calls->createChain(0, 0, 0, 0);
      boot(chain);
      return chain;
   }
   void boot(std::uint32_t chain) {
      format::GenesisActionData data;
      for (const auto& [account, flags] : std::map<AccountNumber, std::uint64_t>{{transact, CodeRow::isPrivileged},
                                                                                 {alice, CodeRow::isPrivileged},
                                                                                 {plain, 0},
                                                                                 {verify, CodeRow::isVerify}})
         data.services.push_back({account, flags, 0, 0, puppetCode()});
      block(chain, 0);
      EXPECT_EQ(push(chain, Action{AccountNumber(), AccountNumber(), "boot"_m, format::pack(data)}), "");
      calls->finishBlock(chain);
      const CodeRow row{xHttp, CodeRow::isPrivileged, format::sha256(ByteView(puppetCode())), 0, 0};
      const format::CodeByHashRow code{row.codeHash, 0, 0, puppetCode()};
      calls->kvPut(chain, db::nativeSubjective, row.key(), format::pack(row));
      calls->kvPut(chain, db::nativeSubjective, code.key(), format::pack(code));
   }
   std::optional<std::string> get(std::uint32_t chain, std::uint32_t database, std::string_view key) {
      const std::uint32_t size = calls->kvGet(chain, database, asBytes(key));
      return size == TesterCalls::none ? std::nullopt : std::optional(toText(result(size)));
   }
   format::Checksum256 head(std::uint32_t chain) { return calls->chain(chain).head()->id; }
   /// The text with which a call ends the program.
   template <class F>
   static std::string refusal(F&& call) {
      try {
         call();
      } catch (const TesterError& error) {
         return error.text;
      }
      return {};
   }

   std::filesystem::path folder;
   std::shared_ptr<store::Store> store;
   std::optional<TesterCalls> calls;
   format::TransactionTrace last;
};

CHAIN_TEST(TesterTest, blocks) {
   const std::uint32_t chain = booted();
   EXPECT_EQ(calls->chain(chain).head()->num, 2u);
   calls->finishBlock(chain); // none is open
   EXPECT_EQ(calls->chain(chain).head()->num, 2u);
   EXPECT_HAS(refusal([&] { calls->pushTransaction(chain, format::pack(transaction(action(alice, Program())))); }),
              "no block is open");
   block(chain, 1);
   EXPECT_EQ(push(chain, action(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "k", "v"))), "");
   block(chain, 2); // finishes the other first
   EXPECT_EQ(calls->chain(chain).head()->num, 3u);
   // No transaction is added, and nobody signs.
   const Bytes number = toBytes(ByteView(bigEndian32(3)));
   const auto packed = get(chain, db::blockLog, asText(number));
   ASSERT_TRUE(packed);
   EXPECT_EQ(format::unpack<format::Block>(asBytes(*packed))->transactions.size(), 1u);
   const auto proof = get(chain, db::blockProof, asText(number));
   ASSERT_TRUE(proof);
   EXPECT_EQ(format::unpack<Bytes>(asBytes(*proof)), Bytes());
   EXPECT_HAS(refusal([&] { block(chain, 1); }), "block is in the past");
}

CHAIN_TEST(TesterTest, transactions) {
   const std::uint32_t chain = booted();
   block(chain, 1);
   // What fails stands in the trace, and only there.
   EXPECT_EQ(push(chain, action(alice, Program().abort("no"))), "service 'alice' aborted with message: no");
   EXPECT_HAS(refusal([&] { calls->pushTransaction(chain, asBytes("junk")); }), "malformed transaction");
   // Proofs are not run; but there are as many as claims.
   auto proven = transaction(action(alice, Program()));
   auto unpacked = *proven.transaction.unpack();
   unpacked.claims.push_back({verify, {}});
   proven.transaction = format::Nested<format::Transaction>(unpacked);
   EXPECT_EQ(push(chain, proven), "proofs and claims must have same size");
   proven.proofs.push_back(toBytes("no"));
   EXPECT_EQ(push(chain, proven), "");
   // With subjective data, as part of a finished block: what is recorded counts.
   auto replayed = transaction(action(plain, Program().call({plain, plain, "run"_m, Program().count().bytes()}, 1)));
   replayed.subjectiveData = {{toBytes("recorded")}};
   const auto told = trace(calls->pushTransaction(chain, format::pack(replayed)));
   EXPECT_FALSE(told.error) << *told.error;
   EXPECT_TRUE(contains(toText(format::pack(told)), "recorded"));
   replayed.subjectiveData->clear();
   EXPECT_EQ(push(chain, replayed), "missing subjective data");
   replayed.subjectiveData.reset();
   EXPECT_EQ(push(chain, replayed), "");
   // A failed one of either kind has changed nothing.
   auto half = transaction(action(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "k", "v").abort("no")));
   for (const bool recorded : {false, true}) {
      if (recorded)
         half.subjectiveData.emplace();
      EXPECT_HAS(push(chain, half), "no");
      EXPECT_FALSE(get(chain, db::service, toText(prefixOf(alice)) + "k"));
   }
}

CHAIN_TEST(TesterTest, actionsInEachMode) {
   const std::uint32_t chain = booted();
   const Program reads = Program().open(db::service, prefixOf(alice), 1).get(0, "k");
   const auto seen = [&](RunMode mode, bool onHead) {
      EXPECT_EQ(run(chain, mode, onHead, action(alice, reads)), "");
      auto out = output();
      out.word();
      return out.found();
   };
   block(chain, 1);
   EXPECT_EQ(push(chain, action(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "k", "v"))), "");
   for (const RunMode mode : {RunMode::speculative, RunMode::rpc, RunMode::callback}) {
      EXPECT_EQ(seen(mode, true), "-"); // head has no such row yet
      EXPECT_EQ(seen(mode, false), "v");
   }
   calls->finishBlock(chain);
   for (const bool onHead : {true, false})
      EXPECT_EQ(seen(RunMode::rpc, onHead), "v");
   EXPECT_EQ(run(chain, RunMode::verify, true,
                 {AccountNumber(), verify, "verifySys"_m, format::pack(format::VerifyArgs{{}, {}, toBytes("yes")})}),
             "");
   EXPECT_HAS(run(chain, RunMode::verify, true, action(alice, Program())), "cannot be used in verify mode");
   EXPECT_HAS(run(chain, RunMode::speculative, true, action(alice, Program().clock(0))), "not available in this mode");
   EXPECT_EQ(run(chain, RunMode::rpc, true, action(alice, Program().clock(0))), "");
   EXPECT_HAS(refusal([&] { calls->runAction(chain, 4, 1, format::pack(action(alice, Program()))); }), "run mode 4");
   EXPECT_HAS(refusal([&] { calls->runAction(chain, 1, 1, asBytes("junk")); }), "malformed action");
   // A scratch block: nothing of it stays.
   EXPECT_EQ(run(chain, RunMode::speculative, true,
                 action(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "k", "other"))),
             "");
   EXPECT_EQ(seen(RunMode::rpc, true), "v");
}

CHAIN_TEST(TesterTest, forksAndClones) {
   const std::uint32_t chain = booted();
   calls->kvPut(chain, db::subjective, asBytes("k"), asBytes("kept"));
   calls->kvPut(chain, db::session, asBytes("k"), asBytes("session"));
   block(chain, 1);
   calls->finishBlock(chain);
   const auto three = head(chain);
   block(chain, 2);
   calls->finishBlock(chain);
   const std::uint32_t copy = calls->cloneChain(chain);
   EXPECT_NE(copy, chain);
   EXPECT_EQ(head(copy), head(chain));
   EXPECT_EQ(get(copy, db::subjective, "k"), "kept");
   EXPECT_FALSE(get(copy, db::session, "k"));
   EXPECT_EQ(get(chain, db::session, "k"), "session");
   // What the one does is nothing to the other.
   calls->kvPut(copy, db::subjective, asBytes("k"), asBytes("copy"));
   EXPECT_EQ(get(chain, db::subjective, "k"), "kept");
   block(chain, 3);
   calls->getFork(chain, three); // abandons the open block
   EXPECT_FALSE(calls->chain(chain).blockOpen());
   EXPECT_EQ(head(chain), three);
   EXPECT_EQ(get(chain, db::subjective, "k"), "kept");
   block(chain, 5);
   calls->finishBlock(chain);
   EXPECT_EQ(calls->chain(chain).head()->num, 4u);
   EXPECT_NE(head(chain), head(copy));
   EXPECT_HAS(refusal([&] { calls->getFork(chain, format::Checksum256{9}); }), "no such block");
   // Shut down: its number stays taken, and it does nothing any more.
   calls->shutdownChain(copy);
   EXPECT_HAS(refusal([&] { (void)head(copy); }), "there is no chain");
   EXPECT_NE(calls->createChain(0, 0, 0, 0), copy);
   calls->destroyChain(copy);
   EXPECT_EQ(calls->createChain(0, 0, 0, 0), copy);
   EXPECT_HAS(refusal([&] { calls->destroyChain(99); }), "there is no chain");
}

CHAIN_TEST(TesterTest, requests) {
   const std::uint32_t chain = booted();
   std::array<std::uint8_t, 4> size{};
   const auto serve = [&](const Program& p, std::string_view target) {
      Bytes key(8);
      key[0] = 1;
      block(chain, static_cast<std::int64_t>(calls->chain(chain).head()->num));
      EXPECT_EQ(push(chain, action(alice, Program().open(0, prefixOf(xHttp), 2).put(0, key, p.bytes()))), "");
      calls->finishBlock(chain);
      return calls->httpRequest(chain, format::pack(format::HttpRequest{"h", "GET", std::string(target), "", {}, {}}));
   };
   const auto answer = [&](std::uint32_t fd) {
      EXPECT_EQ(calls->socketRecv(fd, size), 0u);
      std::uint32_t bytes = 0;
      std::memcpy(&bytes, size.data(), sizeof bytes);
      return format::unpack<format::HttpReply>(result(bytes)).value();
   };
   format::HttpReply reply;
   reply.status = 201;
   reply.body = toBytes("hello");
   // Two wait at one time; a descriptor is free once its answer is taken.
   const std::uint32_t first = serve(Program().reply(format::pack(reply)), "/");
   const std::uint32_t second = serve(Program().abort("oops"), "/");
   EXPECT_NE(first, second);
   // Its row stands until the answer is taken; then the descriptor is free for the next one.
   const auto rowOf = [&](std::int32_t fd) {
      return get(chain, db::nativeSession, toText(format::SocketRow::key(fd)));
   };
   EXPECT_TRUE(rowOf(2));
   EXPECT_TRUE(rowOf(3));
   EXPECT_EQ(answer(first), reply);
   EXPECT_FALSE(rowOf(2));
   EXPECT_EQ(answer(serve(Program().reply(format::pack(reply)), "/")), reply);
   EXPECT_FALSE(rowOf(2));
   EXPECT_EQ(calls->socketRecv(first, size), 8u);
   EXPECT_EQ(calls->socketRecv(99, size), 8u);
   EXPECT_EQ(toText(answer(second).body), "service 'x-http' aborted with message: oops");
   EXPECT_EQ(toText(answer(serve(Program(), "/")).body), "service did not send a response");
   EXPECT_EQ(answer(serve(Program(), "/native/x")).status, 404);
   // Later: not ready.
   const std::uint32_t late = serve(Program().ownFlags(socketFlag::autoClose, 0), "/");
   EXPECT_EQ(calls->socketRecv(late, size), 6u);
   format::HttpReply odd;
   odd.status = 600;
   EXPECT_HAS(toText(answer(serve(Program().reply(format::pack(odd)), "/")).body),
              "HTTP response code not allowed: 600");
   // It comes from this machine, as its row says; descriptor 2 is the one that waits.
   const std::uint32_t row = serve(Program()
                                       .checkout()
                                       .open(db::nativeSession, {}, 1)
                                       .get(0, format::SocketRow::key(3))
                                       .open(db::session, prefixOf(xHttp), 3)
                                       .put(1, "row", Program::reg)
                                       .commit(),
                                   "/");
   (void)answer(row);
   const auto stored = get(chain, db::session, toText(prefixOf(xHttp)) + "row");
   ASSERT_TRUE(stored);
   EXPECT_EQ(format::unpack<format::SocketRow>(asBytes(*stored))->info,
             format::SocketInfo(format::HttpSocketInfo{format::SocketEndpoint(format::LocalEndpoint{}), std::nullopt}));
   EXPECT_HAS(refusal([&] { calls->httpRequest(chain, asBytes("junk")); }), "malformed HTTP request");
   for (const auto& [fd, info] : std::map<std::int32_t, format::SocketInfo>{{0, format::ProducerMulticastSocketInfo{}},
                                                                            {1, format::LogSocketInfo{}}}) {
      const auto fixed = get(chain, db::nativeSession, toText(format::SocketRow::key(fd)));
      ASSERT_TRUE(fixed);
      EXPECT_EQ(format::unpack<format::SocketRow>(asBytes(*fixed))->info, info);
   }
}

CHAIN_TEST(TesterTest, databases) {
   const std::uint32_t chain = booted();
   for (const std::uint32_t database : {0u, 1u, 2u, 3u, 4u, 5u, 64u, 65u, 66u, 67u}) {
      // As they are: no rules for rows, keys or values.
      const std::string junk(300, '\xf0');
      calls->kvPut(chain, database, asBytes(junk + "a"), asBytes("1"));
      calls->kvPut(chain, database, asBytes(junk + "c"), asBytes("2"));
      EXPECT_EQ(get(chain, database, junk + "a"), "1") << database;
      const auto row = [&](std::uint32_t size) {
         if (size == TesterCalls::none)
            return std::string("-");
         Bytes key(junk.size() + 1);
         EXPECT_EQ(calls->getKey(key), key.size());
         return toText(key).substr(junk.size()) + toText(result(size));
      };
      const auto match = static_cast<std::uint32_t>(junk.size());
      EXPECT_EQ(row(calls->kvGreaterEqual(chain, database, asBytes(junk + "b"), match)), "c2");
      EXPECT_EQ(row(calls->kvGreaterEqual(chain, database, asBytes(junk + "b"), match + 1)), "-");
      EXPECT_EQ(row(calls->kvLessThan(chain, database, asBytes(junk + "c"), match)), "a1");
      EXPECT_EQ(row(calls->kvLessThan(chain, database, asBytes(junk + "a"), match)), "-");
      EXPECT_EQ(row(calls->kvMax(chain, database, asBytes(junk))), "c2");
      EXPECT_EQ(row(calls->kvMax(chain, database, asBytes(junk + "b"))), "-");
      calls->kvRemove(chain, database, asBytes(junk + "a"));
      calls->kvRemove(chain, database, asBytes(junk + "c"));
      EXPECT_FALSE(get(chain, database, junk + "a"));
      EXPECT_HAS(refusal([&] { calls->kvGreaterEqual(chain, database, asBytes("a"), 2); }), "larger than the key");
   }
   for (const std::uint32_t database : {6u, 63u, 68u, 99u})
      EXPECT_HAS(refusal([&] { calls->kvGet(chain, database, asBytes("k")); }), "there is no database");
   // What a failed look-up leaves is nothing.
   (void)calls->kvGet(chain, 0, asBytes("none"));
   EXPECT_EQ(calls->getResult({}, 0), 0u);
   EXPECT_EQ(calls->getKey({}), 0u);
   // While a block is open, its own databases are left alone.
   block(chain, 1);
   for (const std::uint32_t database : {0u, 2u, 5u})
      EXPECT_HAS(refusal([&] { calls->kvPut(chain, database, asBytes("k"), {}); }), "while a block is open");
   for (const std::uint32_t database : {1u, 64u, 67u})
      EXPECT_EQ(refusal([&] { calls->kvPut(chain, database, asBytes("k"), {}); }), "");
   EXPECT_HAS(refusal([&] { calls->commitState(chain); }), "while a block is open");
   calls->finishBlock(chain);
   // Out of blocks: head's state only after commitState.
   const auto before = calls->chain(chain).head()->version.merkle(Bytes{db::service});
   calls->kvPut(chain, db::service, asBytes("loose"), asBytes("1"));
   EXPECT_EQ(get(chain, db::service, "loose"), "1");
   EXPECT_EQ(calls->chain(chain).head()->version.merkle(Bytes{db::service}), before);
   calls->commitState(chain);
   EXPECT_NE(calls->chain(chain).head()->version.merkle(Bytes{db::service}), before);
   EXPECT_EQ(get(chain, db::service, "loose"), "1");
}

CHAIN_TEST(TesterTest, checkouts) {
   const std::uint32_t chain = booted();
   const auto put = [&](std::string_view value) { calls->kvPut(chain, db::subjective, asBytes("k"), asBytes(value)); };
   put("1"); // a checkout of its own
   calls->checkoutSubjective(chain);
   put("2");
   calls->checkoutSubjective(chain);
   put("3");
   calls->abortSubjective(chain);
   EXPECT_EQ(get(chain, db::subjective, "k"), "2");
   EXPECT_EQ(calls->commitSubjective(chain), 1u);
   EXPECT_EQ(get(chain, db::subjective, "k"), "2");
   for (const auto& call :
        {std::function([&] { calls->commitSubjective(chain); }), std::function([&] { calls->abortSubjective(chain); })})
      EXPECT_HAS(refusal(call), "requires checkoutSubjective");
   // A service that commits in between: conflict, all is dropped, and a fresh checkout is open.
   calls->checkoutSubjective(chain);
   Bytes key = prefixOf(xHttp);
   key.push_back('k');
   (void)calls->kvGet(chain, db::subjective, key);
   put("4");
   EXPECT_EQ(
       run(chain, RunMode::rpc, true,
           action(xHttp, Program().checkout().open(db::subjective, prefixOf(xHttp), 3).put(0, "k", "x").commit())),
       "");
   EXPECT_EQ(calls->commitSubjective(chain), 0u);
   EXPECT_EQ(get(chain, db::subjective, "k"), "2");
   EXPECT_EQ(calls->commitSubjective(chain), 1u);
}

CHAIN_TEST(TesterTest, chainsOfFolders) {
   const std::string path = folder / "chain";
   const std::array<std::uint8_t, 32> config{};
   const auto open = [&](std::uint32_t oflags, std::uint64_t rights) {
      return calls->openChain(asBytes(path), oflags, rights, config);
   };
   constexpr std::uint32_t create = 1, exclusive = 4, truncate = 8;
   EXPECT_HAS(refusal([&] { open(0, readRight); }), "no chain is there");
   EXPECT_HAS(refusal([&] { open(create, writeRight); }), "without the right to read");
   std::uint32_t chain = open(create | exclusive, readRight | writeRight);
   boot(chain);
   const auto id = head(chain);
   calls->destroyChain(chain);
   EXPECT_HAS(refusal([&] { open(create | exclusive, readRight); }), "exists");
   // Read only: what is done there is gone.
   chain = open(0, readRight);
   EXPECT_EQ(head(chain), id);
   block(chain, 1);
   calls->finishBlock(chain);
   calls->shutdownChain(chain);
   chain = open(0, readRight | writeRight);
   EXPECT_EQ(head(chain), id);
   block(chain, 1);
   calls->finishBlock(chain);
   calls->shutdownChain(chain);
   chain = open(0, readRight);
   EXPECT_EQ(calls->chain(chain).head()->num, 3u);
   calls->destroyChain(chain);
   chain = open(truncate, readRight);
   EXPECT_EQ(calls->chain(chain).head()->num, 1u);
}

CHAIN_TEST(TesterTest, programs) {
   // Every import, with its types; the exit code.
   const std::map<std::string, std::string> psibase{
       {"createChain", "(param i64 i64 i64 i64) (result i32)"},
       {"openChain", "(param i32 i32 i32 i64 i32) (result i32)"},
       {"cloneChain", "(param i32) (result i32)"},
       {"getFork", "(param i32 i32)"},
       {"destroyChain", "(param i32)"},
       {"shutdownChain", "(param i32)"},
       {"startBlock", "(param i32 i64 i64 i32 i32)"},
       {"finishBlock", "(param i32)"},
       {"pushTransaction", "(param i32 i32 i32) (result i32)"},
       {"runAction", "(param i32 i32 i32 i32 i32) (result i32)"},
       {"httpRequest", "(param i32 i32 i32) (result i32)"},
       {"socketRecv", "(param i32 i32) (result i32)"},
       {"checkoutSubjective", "(param i32)"},
       {"commitSubjective", "(param i32) (result i32)"},
       {"abortSubjective", "(param i32)"},
       {"kvGet", "(param i32 i32 i32 i32) (result i32)"},
       {"kvMax", "(param i32 i32 i32 i32) (result i32)"},
       {"kvGreaterEqual", "(param i32 i32 i32 i32 i32) (result i32)"},
       {"kvLessThan", "(param i32 i32 i32 i32 i32) (result i32)"},
       {"kvPut", "(param i32 i32 i32 i32 i32 i32)"},
       {"kvRemove", "(param i32 i32 i32 i32)"},
       {"commitState", "(param i32)"},
       {"kvGetTransactionUsage", "(param i32) (result i32)"},
       {"getResult", "(param i32 i32 i32) (result i32)"},
       {"getKey", "(param i32 i32) (result i32)"},
       {"abortMessage", "(param i32 i32)"},
   };
   const std::map<std::string, std::string> wasi{
       {"args_get", "(param i32 i32) (result i32)"},
       {"args_sizes_get", "(param i32 i32) (result i32)"},
       {"environ_get", "(param i32 i32) (result i32)"},
       {"environ_sizes_get", "(param i32 i32) (result i32)"},
       {"clock_time_get", "(param i32 i64 i32) (result i32)"},
       {"fd_close", "(param i32) (result i32)"},
       {"fd_fdstat_get", "(param i32 i32) (result i32)"},
       {"fd_fdstat_set_flags", "(param i32 i32) (result i32)"},
       {"fd_filestat_get", "(param i32 i32) (result i32)"},
       {"fd_prestat_get", "(param i32 i32) (result i32)"},
       {"fd_prestat_dir_name", "(param i32 i32 i32) (result i32)"},
       {"fd_read", "(param i32 i32 i32 i32) (result i32)"},
       {"fd_readdir", "(param i32 i32 i32 i64 i32) (result i32)"},
       {"fd_seek", "(param i32 i64 i32 i32) (result i32)"},
       {"fd_tell", "(param i32 i32) (result i32)"},
       {"fd_write", "(param i32 i32 i32 i32) (result i32)"},
       {"path_filestat_get", "(param i32 i32 i32 i32 i32) (result i32)"},
       {"path_open", "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)"},
       {"proc_exit", "(param i32)"},
       {"random_get", "(param i32 i32) (result i32)"},
       {"sched_yield", "(result i32)"},
   };
   std::string imports = R"((import "env" "testerExecute" (func $execute (param i32 i32) (result i32))))";
   for (const auto& [module, functions] : {std::pair("psibase", &psibase), std::pair("wasi_snapshot_preview1", &wasi)})
      for (const auto& [name, type] : *functions)
         imports += "(import \"" + std::string(module) + "\" \"" + name + "\" (func $" + name + " " + type + "))\n";
   const auto runs = [&](const std::string& body, bool confined = false) -> std::string {
      const auto code = vm::fromText("(module " + imports + "(memory 1) (data (i32.const 8) \"it ends here\") " +
                                     R"((data (i32.const 32) "exit 3") (func (export "_start") )" + body + "))");
      EXPECT_TRUE(code) << code.error();
      const auto done =
          runTestProgram({*code, {"program"}, {"NAME=value"}, confined, nullptr}, store, testEngine(), {});
      return done ? std::to_string(*done) : done.error();
   };
   EXPECT_EQ(runs(""), "0");
   EXPECT_EQ(runs("(call $proc_exit (i32.const 7))"), "7");
   EXPECT_HAS(runs("(call $abortMessage (i32.const 8) (i32.const 12))"), "it ends here");
   EXPECT_HAS(runs("unreachable"), "unreachable");
   EXPECT_EQ(runs("(call $proc_exit (call $execute (i32.const 32) (i32.const 6)))"), "3");
   // No limit of pages: 4096 are 256 MiB, which no service may have.
   EXPECT_EQ(runs("(call $proc_exit (memory.grow (i32.const 4096)))"), "1");
   // fd 3 is the root of the host; there are two arguments and variables to ask for.
   EXPECT_EQ(runs(R"((drop (call $fd_prestat_get (i32.const 3) (i32.const 64)))
      (call $proc_exit (i32.add (i32.load8_u (i32.const 64)) (i32.load (i32.const 68)))))"),
             "1");
   EXPECT_EQ(runs(R"((drop (call $args_sizes_get (i32.const 64) (i32.const 68)))
      (drop (call $environ_sizes_get (i32.const 72) (i32.const 76)))
      (call $proc_exit (i32.add (i32.load (i32.const 68)) (i32.load (i32.const 76)))))"),
             "19");
   // One that is confined finds no folder, and neither opens a chain's nor runs a command.
   const std::string opens =
       R"((call $proc_exit (call $path_open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 1)
      (i32.const 0) (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 64))))";
   EXPECT_EQ(runs(opens), "44"); // there is no such file
   EXPECT_EQ(runs(opens, true), "8");
   EXPECT_EQ(runs("(call $proc_exit (call $fd_prestat_get (i32.const 3) (i32.const 64)))", true), "8");
   EXPECT_HAS(runs("(drop (call $execute (i32.const 32) (i32.const 6)))", true), "testerExecute is not for it");
   EXPECT_HAS(
       runs(R"((drop (call $openChain (i32.const 32) (i32.const 1) (i32.const 1) (i64.const 66) (i32.const 128))))",
            true),
       "openChain is not for it");
   EXPECT_EQ(runs(R"((drop (call $createChain (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)))
      (call $proc_exit (i32.const 7)))",
                  true),
             "7");
}

} // namespace polis::kernel
