// Every host function: what it does, and each way it fails. Rules: spec, kernel §1, §2 and §4.
#include "kernel/databases.hpp"
#include "kernel/test/test_chain.hpp"
#include "vm/wat.hpp"

#include <set>

namespace polis::kernel {

using format::RunMode;

class HostTest : public ChainTest {
protected:
   void SetUp() override {
      ChainTest::SetUp();
      vm::onExecutionStack([this] {
         boot();
         installLocal({bob, xHttp});
      });
   }
   /// The one program in transaction mode; its error.
   std::string inTransaction(const Program& p, AccountNumber service = AccountNumber()) {
      startBlock();
      const std::string error = push({action(service ? service : alice, p)});
      kernel->abortBlock();
      return error;
   }
   Program atAlice() const { return Program().open(db::service, prefixOf(alice), 3); }
};

TEST(HostFunctions, areTheProtocolsTwentyEight) {
   const auto functions = hostFunctions();
   EXPECT_EQ(functions.size(), 28u);
   std::map<std::string, std::string> types;
   for (const auto& f : functions) {
      std::string text;
      for (const auto p : f.type.params)
         text += std::string(vm::name(p)) + " ";
      types[f.name] = text + "-> " + (f.type.result ? std::string(vm::name(*f.type.result)) : "");
   }
   const std::map<std::string, std::string> expected{
       {"getResult", "i32 i32 i32 -> i32"},
       {"getKey", "i32 i32 -> i32"},
       {"writeConsole", "i32 i32 -> "},
       {"abortMessage", "i32 i32 -> "},
       {"getCurrentAction", "-> i32"},
       {"call", "i32 i32 i64 -> i32"},
       {"setRetval", "i32 i32 -> "},
       {"kvOpen", "i32 i32 i32 i32 -> i32"},
       {"kvOpenAt", "i32 i32 i32 i32 -> i32"},
       {"kvClose", "i32 -> "},
       {"exportHandles", "i32 i32 -> "},
       {"importHandles", "-> i32"},
       {"kvPut", "i32 i32 i32 i32 i32 -> "},
       {"kvRemove", "i32 i32 i32 -> "},
       {"kvGet", "i32 i32 i32 -> i32"},
       {"kvGreaterEqual", "i32 i32 i32 i32 -> i32"},
       {"kvLessThan", "i32 i32 i32 i32 -> i32"},
       {"kvMax", "i32 i32 i32 -> i32"},
       {"clockTimeGet", "i32 i32 -> i32"},
       {"getRandom", "i32 i32 -> "},
       {"setMaxCpuTime", "i64 -> "},
       {"checkoutSubjective", "-> "},
       {"commitSubjective", "-> i32"},
       {"abortSubjective", "-> "},
       {"socketOpen", "i32 i32 -> i32"},
       {"socketSend", "i32 i32 i32 i32 -> i32"},
       {"socketSetFlags", "i32 i32 i32 -> i32"},
       {"readFile", "i32 i32 -> i32"},
   };
   EXPECT_EQ(types, expected);
}

CHAIN_TEST(HostTest, openPerModeAndDatabase) {
   // Rows: mode; columns: database; what may be opened (spec §1.2).
   const auto allowed = [&](auto runIt, std::uint32_t database) {
      std::string out;
      for (const std::uint32_t mode : {1u, 2u, 3u})
         if (runIt(Program().open(database, {}, mode)) == "")
            out += mode == 1 ? "r" : mode == 2 ? "w" : "b";
      return out;
   };
   const auto t = [&](const Program& p) { return inTransaction(p); };
   const auto s = [&](const Program& p) { return run(RunMode::speculative, alice, p); };
   const auto v = [&](const Program& p) { return run(RunMode::verify, verify, p); };
   const auto c = [&](const Program& p) { return run(RunMode::callback, alice, p); };
   const auto r = [&](const Program& p) { return run(RunMode::rpc, alice, p); };
   const auto localC = [&](const Program& p) { return run(RunMode::callback, bob, p); };
   const auto localR = [&](const Program& p) { return run(RunMode::rpc, bob, p); };
   struct Row {
      std::uint32_t database;
      std::string t, c, r;
   };
   for (const Row& row :
        {Row{0, "rwb", "r", "r"}, Row{1, "w", "rwb", "r"}, Row{2, "rwb", "r", "r"}, Row{3, "w", "rwb", "r"},
         Row{4, "", "", ""}, Row{5, "", "", ""}, Row{6, "", "", ""}, Row{69, "", "", ""}}) {
      EXPECT_EQ(allowed(t, row.database), row.t) << row.database;
      EXPECT_EQ(allowed(s, row.database), row.t) << row.database;
      EXPECT_EQ(allowed(v, row.database), "") << row.database;
      EXPECT_EQ(allowed(c, row.database), row.c) << row.database;
      EXPECT_EQ(allowed(r, row.database), row.r) << row.database;
   }
   for (const std::uint32_t database : {64u, 65u, 66u, 67u, 68u}) {
      EXPECT_EQ(allowed(t, database), "") << database;
      EXPECT_EQ(allowed(c, database), "") << database; // not node-local
      EXPECT_EQ(allowed(r, database), "") << database;
      EXPECT_EQ(allowed(localC, database), "rwb") << database;
      EXPECT_EQ(allowed(localR, database), "rwb") << database;
   }
   EXPECT_HAS(inTransaction(Program().open(0, {}, 1), plain), "service may not open databases");
   EXPECT_HAS(inTransaction(Program().open(0, {}, 0)), "Invalid mode");
   EXPECT_HAS(inTransaction(Program().open(0, {}, 4)), "Invalid mode");
   EXPECT_EQ(inTransaction(Program().open(0, Bytes(128), 1)), "");
   EXPECT_HAS(inTransaction(Program().open(0, Bytes(129), 1)), "too long");
}

CHAIN_TEST(HostTest, openChecksInOrder) {
   // Length of the prefix, mode, privilege, database, number of handles.
   EXPECT_HAS(inTransaction(Program().open(99, Bytes(129), 7), plain), "too long");
   EXPECT_HAS(inTransaction(Program().open(99, {}, 7), plain), "Invalid mode");
   EXPECT_HAS(inTransaction(Program().open(99, {}, 3), plain), "service may not open databases");
   Program full;
   for (int i = 0; i < 64; ++i)
      full.open(0, {}, 1);
   EXPECT_HAS(inTransaction(Program(full).open(99, {}, 1)), "not available here");
   EXPECT_HAS(inTransaction(Program(full).open(0, {}, 1)), "Too many database handles");
}

CHAIN_TEST(HostTest, limitsOfTheConfigRow) {
   const format::ConfigRow config{20, 10};
   startBlock();
   EXPECT_EQ(push({action(alice, Program()
                                     .open(db::native, {}, 2)
                                     .put(0, config.key(), format::pack(config))
                                     .open(0, {}, 3)
                                     .put(1, std::string(100, 'k'), "not before the next transaction"))}),
             "");
   EXPECT_EQ(push({action(alice, atAlice().put(0, std::string(12, 'k'), "0123456789"))}), "");
   EXPECT_HAS(push({action(alice, atAlice().put(0, std::string(13, 'k'), ""))}), "key is too long");
   EXPECT_HAS(push({action(alice, atAlice().put(0, "k", "0123456789a"))}), "value is too long");
   EXPECT_HAS(push({action(alice, Program().open(0, Bytes(21), 1))}), "too long");
   EXPECT_HAS(push({action(alice, Program().open(0, Bytes(10), 1).openAt(0, Bytes(11), 1))}), "too long");
   // Whatever only looks takes any length.
   const std::string key(200, 'k');
   EXPECT_EQ(
       push({action(alice,
                    atAlice().get(0, key).greaterEqual(0, key, 200).lessThan(0, key, 200).max(0, key).remove(0, key))}),
       "");
   kernel->abortBlock();
}

CHAIN_TEST(HostTest, handlesWithoutPrivilege) {
   // The rules of kvOpen are not run again: who was given a handle may narrow it.
   EXPECT_EQ(
       inTransaction(atAlice()
                         .put(0, "ab", "v")
                         .exportHandles({0})
                         .call(action(plain, Program().importHandles().openAt(0, asBytes("a"), 1).get(1, "b"), alice))),
       "");
   EXPECT_HAS(inTransaction(atAlice().exportHandles({0}).call(
                  action(plain, Program().importHandles().openAt(0, {}, 1).put(1, "x", "y"), alice))),
              "Cannot write to this db handle");
}

CHAIN_TEST(HostTest, storedFlagsAreMasked) {
   // Bits that are never stored mean nothing when they are.
   const auto hash = format::sha256(ByteView(puppetCode()));
   for (const std::uint64_t flags : {std::uint64_t{1} << 63, std::uint64_t{1} << 62, std::uint64_t{1} << 5,
                                     ~std::uint64_t{CodeRow::isPrivileged | CodeRow::isVerify}}) {
      const CodeRow row{plain, flags, hash, 0, 0};
      EXPECT_EQ(one(alice, Program().open(db::native, {}, 2).put(0, row.key(), format::pack(row))), "");
      EXPECT_HAS(run(RunMode::rpc, plain, Program().readFile("/there")), "privileged node-local");
      EXPECT_HAS(run(RunMode::rpc, plain, Program().open(0, {}, 1)), "service may not open databases");
      // They are kept, though.
      EXPECT_EQ(format::unpack<CodeRow>(*kernel->head()->version.get(storeKey(db::native, row.key())))->flags, flags);
   }
   // Local rows: those of a replacement and no more.
   const CodeRow local{bob, ~std::uint64_t{CodeRow::isPrivileged}, hash, 0, 0};
   EXPECT_EQ(
       run(RunMode::rpc, xHttp,
           Program().checkout().open(db::nativeSubjective, {}, 3).put(0, local.key(), format::pack(local)).commit()),
       "");
   EXPECT_HAS(run(RunMode::rpc, bob, Program().readFile("/there")), "privileged node-local");
   EXPECT_HAS(run(RunMode::verify, bob, Program()), "cannot be used in verify mode");
}

CHAIN_TEST(HostTest, handles) {
   Program many;
   for (int i = 0; i < 64; ++i)
      many.open(0, {}, 1);
   EXPECT_EQ(inTransaction(many), "");
   many.open(0, {}, 1);
   EXPECT_HAS(inTransaction(many), "Too many database handles");
   // The lowest closed slot is used again.
   EXPECT_EQ(inTransaction(Program().open(0, {}, 1).open(0, {}, 1).open(0, {}, 1).close(1).close(0).open(0, {}, 1).open(
                 0, {}, 1)),
             "");
   auto out = output();
   for (const std::uint32_t expected : {0u, 1u, 2u, 0u, 1u})
      EXPECT_EQ(out.word(), expected);
   EXPECT_HAS(inTransaction(Program().close(0)), "Invalid bucket");
   EXPECT_HAS(inTransaction(Program().open(0, {}, 1).close(0).close(0)), "Invalid bucket");
   EXPECT_HAS(inTransaction(Program().open(0, {}, 1).close(0).get(0, "k")), "Invalid bucket");
   EXPECT_HAS(inTransaction(Program().get(0xFFFFFFFF, "k")), "Invalid bucket");
   // kvOpenAt
   EXPECT_EQ(
       inTransaction(Program().open(0, prefixOf(alice), 3).put(0, "ab", "v").openAt(0, asBytes("a"), 1).get(1, "b")),
       "");
   out = output();
   out.word();
   out.word();
   EXPECT_EQ(out.found(), "v");
   EXPECT_HAS(inTransaction(Program().open(0, {}, 1).openAt(0, {}, 3)), "Cannot increase permissions");
   EXPECT_HAS(inTransaction(Program().open(0, {}, 1).openAt(0, {}, 0)), "Invalid mode");
   EXPECT_HAS(inTransaction(Program().open(0, Bytes(100), 1).openAt(0, Bytes(29), 1)), "too long");
   EXPECT_EQ(inTransaction(Program().open(0, Bytes(100), 1).openAt(0, Bytes(28), 1)), "");
   EXPECT_HAS(inTransaction(Program().openAt(0, {}, 1)), "Invalid bucket");
}

CHAIN_TEST(HostTest, handleTransfer) {
   // bob opens, exports; alice imports and uses it. The set is gone after one import.
   const Program opener = Program().open(0, prefixOf(alice), 3).exportHandles({0}).close(0);
   EXPECT_EQ(
       inTransaction(
           Program().call(action(bob, opener, alice)).importHandles().put(0, "k", "v").get(0, "k").importHandles()),
       "");
   auto out = output();
   out.text();
   const std::string first = out.text();
   EXPECT_EQ(format::unpack<std::vector<std::uint32_t>>(asBytes(first)), (std::vector<std::uint32_t>{0}));
   EXPECT_EQ(out.found(), "v");
   const std::string second = out.text();
   EXPECT_EQ(format::unpack<std::vector<std::uint32_t>>(asBytes(second)), std::vector<std::uint32_t>{});
   // Into the callee: what the caller exported.
   EXPECT_EQ(inTransaction(atAlice()
                               .put(0, "x", "1")
                               .exportHandles({0})
                               .call(action(bob, Program().importHandles().get(0, "x"), alice))),
             "");
   // An imported handle keeps its mode.
   EXPECT_HAS(inTransaction(Program()
                                .open(0, prefixOf(alice), 1)
                                .exportHandles({0})
                                .call(action(plain, Program().importHandles().put(0, "x", "y"), alice))),
              "Cannot write to this db handle db=0");
   EXPECT_HAS(inTransaction(Program().exportHandles({0})), "Invalid bucket");
   EXPECT_NE(inTransaction(Program().exportRaw(asBytes("abc"))), "");
   // Writing notifies transact in between: sets are preserved.
   EXPECT_EQ(
       inTransaction(
           Program()
               .call(action(bob, Program().open(0, prefixOf(alice), 3).exportHandles({0}).put(0, "q", "1"), alice))
               .importHandles()
               .get(0, "q")),
       "");
   out = output();
   out.text();
   out.text();
   EXPECT_EQ(out.found(), "1");
   // Nothing crosses a run-mode switch.
   EXPECT_EQ(inTransaction(
                 Program().open(0, {}, 1).exportHandles({0}).call(action(plain, Program().importHandles(), alice), 1)),
             "");
}

CHAIN_TEST(HostTest, reads) {
   const Program filled = atAlice().put(0, "a", "1").put(0, "ab", "2").put(0, "b", "3").put(0, "bc", "4");
   Program p = filled;
   p.forget()
       .get(0, "ab")
       .get(0, "zz")
       .greaterEqual(0, "aa", 1)
       .greaterEqual(0, "b", 0)
       .greaterEqual(0, "c", 0)
       .greaterEqual(0, "ac", 1);
   p.lessThan(0, "b", 0).lessThan(0, "b", 1).lessThan(0, "a", 0).max(0, "b").max(0, "").max(0, "x");
   EXPECT_EQ(inTransaction(p), "");
   auto out = output();
   const auto pair = [&](const std::string& value, const std::string& key) {
      EXPECT_EQ(out.found(), value);
      if (value != "-")
         EXPECT_EQ(out.text(), key);
   };
   EXPECT_EQ(out.found(), "2");
   EXPECT_EQ(out.found(), "-");
   pair("2", "ab");
   pair("3", "b");
   pair("-", "");
   pair("-", "");
   pair("2", "ab");
   pair("-", "");
   pair("-", "");
   pair("4", "bc");
   pair("4", "bc");
   pair("-", "");
   EXPECT_TRUE(out.done());
   for (auto wrong : {atAlice().greaterEqual(0, "ab", 3), atAlice().lessThan(0, "ab", 3)})
      EXPECT_HAS(inTransaction(wrong), "matchKeySize");
   // Through a handle that may not read, db write only.
   for (const auto& read :
        {Program().open(0, {}, 2).get(0, "k"), Program().open(0, {}, 2).max(0, "k"),
         Program().open(0, {}, 2).greaterEqual(0, "k", 0), Program().open(0, {}, 2).lessThan(0, "k", 0)})
      EXPECT_HAS(inTransaction(read), "Cannot read from this db handle db=0 prefix= mode=write");
   EXPECT_HAS(inTransaction(Program().open(0, Bytes{0xAB}, 1).put(0, "k", "v")),
              "Cannot write to this db handle db=0 prefix=AB mode=read");
   EXPECT_HAS(inTransaction(Program().open(0, {}, 1).remove(0, "k")), "Cannot write");
   // Reads take keys of any length; ranges never leave their database.
   EXPECT_EQ(inTransaction(Program().open(0, {}, 1).get(0, std::string(5000, 'x')).lessThan(0, "", 0)), "");
   EXPECT_EQ(inTransaction(Program().open(0, {}, 1).greaterEqual(0, std::string(20, '\xff'), 0)), "");
   out = output();
   out.word();
   EXPECT_EQ(out.found(), "-");
}

CHAIN_TEST(HostTest, writes) {
   EXPECT_EQ(inTransaction(atAlice().put(0, std::string(120, 'k'), "v")), "");
   EXPECT_HAS(inTransaction(atAlice().put(0, std::string(121, 'k'), "v")), "key is too long");
   EXPECT_HAS(inTransaction(Program().open(db::blockLog, {}, 2).put(0, "k", "v")), "Cannot write");
   EXPECT_HAS(inTransaction(Program().open(db::blockLog, {}, 2).remove(0, "k")), "Cannot write");
   EXPECT_EQ(inTransaction(atAlice().remove(0, "absent")), "");
   EXPECT_EQ(inTransaction(atAlice().put(0, "k", "v").remove(0, "k").get(0, "k")), "");
   auto out = output();
   out.word();
   EXPECT_EQ(out.found(), "-");
}

CHAIN_TEST(HostTest, accountedWritesNotify) {
   // kvNotify is a nested action: sender 0, sizes of the full key, the old and the new value.
   using Arguments = std::tuple<AccountNumber, std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>;
   const auto notices = [&](const Program& p) {
      EXPECT_EQ(inTransaction(p), "");
      std::vector<Arguments> out;
      for (const auto& i : lastAction()->innerTraces)
         if (auto* a = std::get_if<format::ActionTrace>(&i.inner)) {
            EXPECT_EQ(a->action.sender, AccountNumber());
            EXPECT_EQ(a->action.service, transact);
            EXPECT_EQ(a->action.method, "kvNotify"_m);
            out.push_back(*format::unpackStrict<Arguments>(a->action.rawData));
         }
      return out;
   };
   constexpr std::uint32_t absent = 0xFFFFFFFF;
   EXPECT_EQ(notices(atAlice().put(0, "key", "12345").put(0, "key", "1").remove(0, "key").remove(0, "key")),
             (std::vector<Arguments>{{alice, 0, 11, absent, 5}, {alice, 0, 11, 5, 1}, {alice, 0, 11, 1, absent}}));
   EXPECT_EQ(
       notices(Program().open(db::writeOnly, prefixOf(alice), 2).put(0, "k", "12").put(0, "k", "1").remove(0, "k")),
       (std::vector<Arguments>{{alice, 1, 9, absent, 2}, {alice, 1, 9, absent, 1}}));
   const format::ScheduledSnapshotRow row{7};
   EXPECT_EQ(notices(Program().open(db::native, {}, 2).put(0, row.key(), format::pack(row))),
             (std::vector<Arguments>{{alice, 2, 7, absent, static_cast<std::uint32_t>(format::pack(row).size())}}));
   // Callback mode does not account for writeOnly.
   EXPECT_EQ(run(RunMode::callback, alice, Program().open(db::writeOnly, prefixOf(alice), 3).put(0, "k", "1")), "");
   EXPECT_TRUE(last.actionTraces[0].innerTraces.empty());
}

CHAIN_TEST(HostTest, kvNotifyComesBeforeTheWrite) {
   // A transact that calls the only action of each transaction, and answers notices as `onNotice` says.
   const Action writes = action(alice, atAlice().put(0, "k", "v").put(0, "k", "w"));
   const Bytes packed = format::pack(writes);
   const Bytes whole = format::pack(Action{
       AccountNumber(), transact, {}, format::pack(format::ProcessTransactionArgs{transaction({writes}).transaction})});
   const auto at = std::search(whole.begin(), whole.end(), packed.begin(), packed.end());
   ASSERT_EQ(static_cast<std::size_t>(whole.end() - at), packed.size()); // it lies at the end
   const auto actionAt = std::to_string(at - whole.begin());
   std::string key = "\"";
   for (const std::uint8_t byte : prefixOf(alice))
      key += std::string("\\") + "0123456789abcdef"[byte >> 4] + "0123456789abcdef"[byte & 15];
   const auto install = [&](const std::string& onNotice) {
      const auto code = vm::fromText(R"((module
         (import "env" "getCurrentAction" (func $action (result i32)))
         (import "env" "getResult" (func $result (param i32 i32 i32) (result i32)))
         (import "env" "kvOpen" (func $open (param i32 i32 i32 i32) (result i32)))
         (import "env" "kvGet" (func $get (param i32 i32 i32) (result i32)))
         (import "env" "kvPut" (func $put (param i32 i32 i32 i32 i32)))
         (import "env" "call" (func $call (param i32 i32 i64) (result i32)))
         (import "env" "writeConsole" (func $print (param i32 i32)))
         (import "env" "abortMessage" (func $abort (param i32 i32)))
         (memory 1) (data (i32.const 0) )" +
                                     key + R"(k")
         (global $notices (mut i32) (i32.const 0))
         (func $fetch (result i32) (local $size i32)
            (local.set $size (call $action))
            (drop (call $result (i32.const 1024) (local.get $size) (i32.const 0)))
            (local.get $size))
         (func (export "start") (param i64))
         (func (export "processTransaction")
            (drop (call $call (i32.const )" +
                                     std::to_string(1024 + (at - whole.begin())) + R"()
                     (i32.sub (call $fetch) (i32.const )" +
                                     actionAt + R"()) (i64.const 0))))
         (func (export "called") (param i64 i64)
            (drop (call $fetch))
            (if (i64.eq (i64.load (i32.const 1042)) (i64.const )" +
                                     std::to_string(("kvNotify"_m).value) + R"())
               (then (global.set $notices (i32.add (global.get $notices) (i32.const 1))) )" +
                                     onNotice + "))))");
      ASSERT_TRUE(code) << code.error();
      startBlock();
      EXPECT_EQ(push({action(alice, deploying(transact, priv, *code))}), "");
   };
   const auto noticesOf = [](const format::ActionTrace& trace) {
      std::vector<const format::ActionTrace*> out;
      for (const auto& i : trace.innerTraces)
         if (const auto* a = std::get_if<format::ActionTrace>(&i.inner); a && a->action.method == "kvNotify"_m)
            out.push_back(a);
      return out;
   };
   // The first finds nothing under the key, the second what the first write left.
   install(R"((if (i32.eq (call $get (call $open (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1)) (i32.const 0)
      (i32.const 9)) (i32.const -1)) (then (call $print (i32.const 8) (i32.const 1)))))");
   EXPECT_EQ(push({writes}), "");
   auto notices = noticesOf(*lastAction());
   ASSERT_EQ(notices.size(), 2u);
   EXPECT_EQ(notices[0]->innerTraces.size(), 1u);
   EXPECT_EQ(notices[1]->innerTraces.size(), 0u);
   kernel->abortBlock();
   // Its own writes notify it, too.
   install(R"((if (i32.lt_u (global.get $notices) (i32.const 4)) (then
      (call $put (call $open (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 3)) (i32.const 0) (i32.const 1)
         (i32.const 0) (i32.const 1)))))");
   EXPECT_EQ(push({writes}), "");
   std::size_t depth = 0;
   for (const auto* within = lastAction(); within; ++depth) {
      notices = noticesOf(*within);
      within = notices.empty() ? nullptr : notices[0];
   }
   EXPECT_EQ(depth, 5u); // the action, and four notices within each other
   kernel->abortBlock();
   // It may refuse.
   install("(call $abort (i32.const 8) (i32.const 1))");
   EXPECT_EQ(push({writes}), "service 'transact' aborted with message: k");
   kernel->abortBlock();
}

CHAIN_TEST(HostTest, entryPoints) {
   // spec §3: the exports are needed with exactly these parameters; start runs once, before anything else.
   const auto with = [&](const std::string& body) {
      const auto code = vm::fromText(R"((module
         (import "env" "getCurrentAction" (func $action (result i32)))
         (import "env" "writeConsole" (func $print (param i32 i32)))
         (memory 1) (data (i32.const 0) "abc"))" +
                                     body + ")");
      EXPECT_TRUE(code) << code.error();
      startBlock();
      EXPECT_EQ(push({action(alice, deploying(plain, 0, *code))}), "");
      const std::string error = push({{plain, plain, "run"_m, {}}, {plain, plain, "run"_m, {}}});
      kernel->abortBlock();
      return error;
   };
   const auto print = [](int letter) {
      return "(call $print (i32.const " + std::to_string(letter) + ") (i32.const 1))";
   };
   const std::string start = R"((func (export "start") (param i64)))";
   EXPECT_EQ(with("(start $first) (func $first " + print(0) + R"() (func (export "start") (param i64) )" + print(1) +
                  R"() (func (export "called") (param i64 i64) )" + print(2) + ")"),
             "");
   std::string printed;
   for (const auto& i : last.actionTraces[0].innerTraces)
      for (const auto& text : std::get<format::ActionTrace>(i.inner).innerTraces)
         printed += std::get<format::ConsoleTrace>(text.inner).console;
   EXPECT_EQ(printed, "abcc"); // one instance for both actions
   // Results are ignored.
   EXPECT_EQ(with(start + R"((func (export "called") (param i64 i64) (result i32) (i32.const 7)))"), "");
   EXPECT_NE(with(start), "");
   EXPECT_NE(with(R"((func (export "called") (param i64 i64)))"), "");
   EXPECT_NE(with(start + R"((func (export "called") (param i64)))"), "");
   EXPECT_NE(with(start + R"((func (export "called") (param i32 i64)))"), "");
   EXPECT_NE(with(R"((func (export "start") (param i32)) (func (export "called") (param i64 i64)))"), "");
   // What start is shown is the first action; processTransaction, a packed transaction from nobody.
   EXPECT_EQ(with(R"((func (export "start") (param i64) (if (i32.ne (call $action) (i32.const 30)) (then unreachable)))
                     (func (export "called") (param i64 i64)))"),
             "");
   startBlock();
   const auto trx = transaction({action(alice, Program())});
   last = kernel->push(trx);
   ASSERT_EQ(last.actionTraces.size(), 1u);
   EXPECT_EQ(last.actionTraces[0].action,
             (Action{AccountNumber(), transact, {}, format::pack(format::ProcessTransactionArgs{trx.transaction})}));
   kernel->abortBlock();
}

CHAIN_TEST(HostTest, callsTakeTheirStack) { // K-4.4, K-4.7
   // A frame takes 16 bytes and its operands, a call 4096. Verify services have limits of their own.
   const AccountNumber leaf = "leaf"_a;
   const auto leafCode = vm::fromText(R"((module (func (export "start") (param i64))
      (func (export "called") (param i64 i64))))");
   const Bytes packed = format::pack(Action{verify, leaf, "run"_m, {}});
   std::string data;
   for (const std::uint8_t byte : packed)
      data += "\\" + toHex(Bytes{byte});
   const auto callerCode = vm::fromText(R"((module (import "env" "call" (func $call (param i32 i32 i64) (result i32)))
      (memory 1) (data (i32.const 0) ")" +
                                        data + R"(") (func (export "start") (param i64))
      (func (export "called") (param i64 i64)
         (drop (call $call (i32.const 0) (i32.const )" +
                                        std::to_string(packed.size()) + R"() (i64.const 0))))))");
   ASSERT_TRUE(leafCode && callerCode);
   EXPECT_EQ(one(alice, deploying(leaf, CodeRow::isVerify, *leafCode)), "");
   EXPECT_EQ(one(alice, deploying(verify, CodeRow::isVerify, *callerCode)), "");
   constexpr std::uint32_t operands = 4 + 4 + 8, needed = (16 + operands) + 4096 + 16;
   const auto with = [&](std::uint32_t stack) {
      format::WasmConfigRow wasm;
      wasm.vmOptions.max_stack_bytes = stack;
      const Bytes key = wasm.key(NativeTable::proofWasmConfig);
      EXPECT_EQ(one(alice, Program().open(db::native, {}, 2).put(0, key, format::pack(wasm))), "");
      return run(RunMode::verify, verify, Program());
   };
   EXPECT_EQ(with(needed), "");
   EXPECT_EQ(with(needed - 1), "stack overflow: stack overflow"); // in the callee
   EXPECT_EQ(with(needed - 16), "stack overflow: stack overflow");
   EXPECT_EQ(with(needed - 17), "stack overflow"); // before it
}

CHAIN_TEST(HostTest, nativeRows) {
   const auto nativePut = [&](const Bytes& key, const Bytes& value) {
      return inTransaction(Program().open(db::native, {}, 2).put(0, key, value));
   };
   const Bytes code = puppetVariant(2);
   const format::CodeByHashRow blob{format::sha256(ByteView(code)), 0, 0, code};
   EXPECT_EQ(nativePut(blob.key(), format::pack(blob)), "");
   auto wrong = blob;
   wrong.codeHash[0] ^= 1;
   EXPECT_HAS(nativePut(wrong.key(), format::pack(wrong)), "hash is not that of the code");
   EXPECT_HAS(nativePut(wrong.key(), format::pack(blob)), "key does not match");
   const CodeRow row{alice, 1, blob.codeHash, 0, 0};
   EXPECT_EQ(nativePut(row.key(), format::pack(row)), "");
   EXPECT_HAS(nativePut(CodeRow::key(bob), format::pack(row)), "key does not match");
   EXPECT_HAS(nativePut(row.key(), {1, 2}), "malformed");
   Bytes extended =
       format::pack(std::tuple(row.codeNum, row.flags, row.codeHash, row.vmType, row.vmVersion, std::optional(5u)));
   EXPECT_HAS(nativePut(row.key(), extended), "malformed"); // strict
   const format::ConfigRow config{128, 15u << 20};
   EXPECT_EQ(nativePut(config.key(), format::pack(config)), "");
   EXPECT_NE(nativePut(config.key(), format::pack(format::ConfigRow{129, 100})), "");
   EXPECT_NE(nativePut(config.key(), format::pack(format::ConfigRow{128, (15u << 20) + 1})), "");
   const format::WasmConfigRow wasm{};
   for (const auto table : {NativeTable::transactionWasmConfig, NativeTable::proofWasmConfig}) {
      EXPECT_EQ(nativePut(wasm.key(table), format::pack(wasm)), "");
      EXPECT_HAS(nativePut(wasm.key(table), {9}), "malformed");
   }
   EXPECT_EQ(nativePut(format::NotifyRow::key(format::NotifyType::acceptBlock), {9}), ""); // never checked
   EXPECT_HAS(nativePut(format::StatusRow::key(), {9}), "malformed");
   for (const std::uint16_t table : {std::uint16_t{4}, std::uint16_t{9}, std::uint16_t{14}, std::uint16_t{99}})
      EXPECT_HAS(nativePut(format::nativeKey(static_cast<NativeTable>(table)), {}),
                 "Unrecognized key in nativeConstrained");
   EXPECT_HAS(nativePut({1}, {}), "Unrecognized key in nativeConstrained");

   const auto localPut = [&](std::uint32_t database, const Bytes& key, const Bytes& value) {
      return run(RunMode::rpc, bob, Program().checkout().open(database, {}, 3).put(0, key, value).commit());
   };
   EXPECT_EQ(localPut(db::nativeSubjective, blob.key(), format::pack(blob)), "");
   EXPECT_HAS(localPut(db::nativeSubjective, wrong.key(), format::pack(wrong)), "hash");
   for (const auto table : {NativeTable::status, NativeTable::blockData, NativeTable::consensusChange,
                            NativeTable::snapshot, NativeTable::logTruncate})
      EXPECT_HAS(localPut(db::nativeSubjective, format::nativeKey(table), {}), "Unrecognized key in nativeSubjective");
   EXPECT_HAS(localPut(db::nativeSession, format::nativeKey(NativeTable::run), {}),
              "Unrecognized key in nativeSession");
   EXPECT_EQ(localPut(db::nativeSession, format::EnvRow::key("X"), {}), "");
   // A node's own rows: their form and key count, and what a later version adds does not matter.
   const auto later = [](const std::string& first, const std::string& second) {
      return format::pack(std::tuple(first, second, std::optional(5u)));
   };
   const Bytes hostConfig = format::HostConfigRow::key(), shutdown = format::PendingShutdownRow::key();
   EXPECT_EQ(localPut(db::nativeSession, hostConfig, later("v", "{}")), "");
   EXPECT_HAS(localPut(db::nativeSession, hostConfig, {1, 2}), "malformed");
   Bytes other = hostConfig;
   other.push_back(0);
   EXPECT_HAS(localPut(db::nativeSession, other, format::pack(format::HostConfigRow{"v", "{}"})), "key does not match");
   EXPECT_EQ(localPut(db::nativeSession, shutdown, format::pack(std::tuple(std::string("{}"), std::optional(5u)))), "");
   EXPECT_HAS(localPut(db::nativeSession, shutdown, {1, 2}), "malformed");
   other = shutdown;
   other.push_back(0);
   EXPECT_HAS(localPut(db::nativeSession, other, format::pack(format::PendingShutdownRow{"{}"})), "key does not match");
}

CHAIN_TEST(HostTest, nativeEffects) {
   const auto localPut = [&](std::uint32_t database, const Bytes& key, const Bytes& value) {
      return run(RunMode::rpc, bob, Program().checkout().open(database, {}, 3).put(0, key, value).commit());
   };
   host.producerWakes = host.queueWakes = 0;
   const format::NotifyRow next{format::NotifyType::nextTransaction, {}};
   EXPECT_EQ(localPut(db::nativeSubjective, next.key(), format::pack(next)), "");
   EXPECT_EQ(host.producerWakes, 1);
   const format::NotifyRow other{format::NotifyType::preverifyTransaction, {}};
   EXPECT_EQ(localPut(db::nativeSubjective, other.key(), format::pack(other)), "");
   EXPECT_EQ(host.producerWakes, 1);
   EXPECT_EQ(host.queueWakes, 0);
   const format::RunRow row{5, RunMode::rpc, 1000, {}, {}};
   EXPECT_EQ(localPut(db::nativeSubjective, row.key(), format::pack(row)), "");
   EXPECT_EQ(host.queueWakes, 1);
   EXPECT_EQ(localPut(db::nativeSession, format::TimerRow::key(), format::pack(format::TimerRow{1, bob, "t"_m})), "");
   EXPECT_EQ(host.queueWakes, 2);
   EXPECT_EQ(
       localPut(db::nativeSession, format::HostConfigRow::key(), format::pack(format::HostConfigRow{"v", "{\"a\":1}"})),
       "");
   EXPECT_EQ(host.hostConfig, "{\"a\":1}");
   host.configError = "bad json";
   EXPECT_EQ(localPut(db::nativeSession, format::HostConfigRow::key(), format::pack(format::HostConfigRow{"v", "{"})),
             "bad json");
   EXPECT_EQ(
       localPut(db::nativeSession, format::PendingShutdownRow::key(), format::pack(format::PendingShutdownRow{"{}"})),
       "");
   EXPECT_EQ(host.shutdown, "{}");
   // Nobody hears of a row that is removed.
   for (const auto& [database, key] :
        std::initializer_list<std::pair<std::uint32_t, Bytes>>{{db::nativeSubjective, next.key()},
                                                               {db::nativeSubjective, row.key()},
                                                               {db::nativeSession, format::TimerRow::key()},
                                                               {db::nativeSession, format::HostConfigRow::key()},
                                                               {db::nativeSession, format::PendingShutdownRow::key()}})
      EXPECT_EQ(run(RunMode::rpc, bob, Program().checkout().open(database, {}, 3).remove(0, key).commit()), "");
   EXPECT_EQ(host.producerWakes, 1);
   EXPECT_EQ(host.queueWakes, 2);
   // Nor of one that means nothing.
   EXPECT_EQ(localPut(db::nativeSubjective, next.key(), {1, 2}), "");
   EXPECT_EQ(host.producerWakes, 1);
   // An abandoned checkout has no effect.
   EXPECT_EQ(run(RunMode::rpc, bob,
                 Program().checkout().open(db::nativeSubjective, {}, 3).put(0, next.key(), format::pack(next))),
             "");
   EXPECT_EQ(host.producerWakes, 1);
}

CHAIN_TEST(HostTest, resultAndKeyBuffers) {
   EXPECT_EQ(inTransaction(atAlice()
                               .put(0, "key", "value")
                               .forget()
                               .get(0, "key")
                               .forget()
                               .fetchPart(1, 3)
                               .fetchPart(4, 4)
                               .fetchPart(5, 4)
                               .fetchPart(99, 0)
                               .keySize()),
             "");
   auto out = output();
   EXPECT_EQ(out.word(), 5u);
   EXPECT_EQ(out.raw(4), "alu\xEE");
   EXPECT_EQ(out.word(), 5u);
   EXPECT_EQ(out.raw(4), "e\xEE\xEE\xEE");
   EXPECT_EQ(out.word(), 5u);
   EXPECT_EQ(out.raw(4), "\xEE\xEE\xEE\xEE");
   EXPECT_EQ(out.word(), 5u);
   out.raw(4);
   EXPECT_EQ(out.word(), 0u); // get clears the key
   // put clears both
   EXPECT_EQ(
       inTransaction(atAlice().put(0, "key", "value").max(0, "").put(0, "x", "y").forget().keySize().fetchPart(0, 4)),
       "");
   out = output();
   EXPECT_EQ(out.word(), 0u);
   EXPECT_EQ(out.word(), 0u);
}

CHAIN_TEST(HostTest, buffersPerFunction) {
   // Spec §2, column buf. Before each: result "value", key "key".
   struct Row {
      const char* what;
      Program step;
      std::uint32_t result, key;
   };
   constexpr std::uint32_t kept = 5, keptKey = 3;
   const Bytes set = format::pack(std::vector<std::uint32_t>{0});
   const auto setBytes = static_cast<std::uint32_t>(format::pack(std::vector<std::uint32_t>{}).size());
   const auto check = [&](const Row& row, bool subjective) {
      Program p = Program().open(0, prefixOf(alice), subjective ? 1 : 3);
      if (!subjective)
         p.put(0, "key", "value").put(0, "other", "12");
      p.max(0, "key");
      Bytes all = p.bytes();
      append(all, row.step.bytes());
      append(all, Program().forget().keySize().fetchPart(0, 0).bytes());
      Output out{Bytes()};
      if (subjective) {
         last = kernel->runAction(RunMode::rpc, {bob, bob, "run"_m, all});
         EXPECT_FALSE(last.error) << row.what << *last.error;
         out = runOutput();
      } else {
         startBlock();
         EXPECT_EQ(push({{alice, alice, "run"_m, all}}), "") << row.what;
         out = output();
         kernel->abortBlock();
      }
      EXPECT_EQ(out.word(), row.key) << row.what;
      EXPECT_EQ(out.word(), row.result) << row.what;
   };
   for (const Row& row : {
            Row{"writeConsole", Program().console("x"), kept, keptKey},
            Row{"kvOpen", Program().open(0, {}, 1), kept, keptKey},
            Row{"kvOpenAt", Program().openAt(0, {}, 1), kept, keptKey},
            Row{"kvClose", Program().open(0, {}, 1).close(1), kept, keptKey},
            Row{"exportHandles", Program().exportRaw(set), kept, keptKey},
            Row{"importHandles", Program().importHandles(), setBytes, 0},
            Row{"call", Program().call(action(bob, Program().ret(toBytes("back")), alice)), 4, 0},
            Row{"kvPut", Program().put(0, "x", "y"), 0, 0},
            Row{"kvRemove", Program().remove(0, "none"), 0, 0},
            Row{"kvGet", Program().get(0, "other"), 2, 0},
            Row{"kvGet, none", Program().get(0, "none"), 0, 0},
            Row{"kvGreaterEqual", Program().greaterEqual(0, "other", 0), 2, 5},
            Row{"kvGreaterEqual, none", Program().greaterEqual(0, "z", 0), 0, 0},
            Row{"kvLessThan", Program().lessThan(0, "other", 0), kept, keptKey},
            Row{"kvLessThan, none", Program().lessThan(0, "a", 0), 0, 0},
            Row{"kvMax", Program().max(0, "o"), 2, 5},
            Row{"kvMax, none", Program().max(0, "z"), 0, 0},
            Row{"setMaxCpuTime", Program().maxCpu(1'000'000'000), 0, 0},
            Row{"checkoutSubjective", Program().checkout(), kept, keptKey},
            Row{"commitSubjective", Program().checkout().commit(), kept, keptKey},
            Row{"abortSubjective", Program().checkout().abortCheckout(), kept, keptKey},
        })
      check(row, false);
   EXPECT_EQ(one(bob, Program().open(0, prefixOf(alice), 3).put(0, "key", "value").put(0, "other", "12")), "");
   for (const Row& row : {
            Row{"clockTimeGet", Program().clock(0), 0, 0},
            Row{"getRandom", Program().random(1), kept, keptKey},
            Row{"socketOpen", Program().socketOpen(format::pack(std::tuple(format::HttpRequest{}))), kept, keptKey},
            Row{"socketSend", Program().socketSend(77, {}, 0), kept, keptKey},
            Row{"socketSetFlags", Program().setFlags(77, 0, 0), kept, keptKey},
            Row{"readFile", Program().readFile("/there"), 4, 0},
            Row{"readFile, none", Program().readFile("/not"), 0, 0},
        })
      check(row, true);
   EXPECT_EQ(inTransaction(atAlice().put(0, "key", "value").max(0, "").currentAction().forget().keySize()), "");
   EXPECT_EQ(output().word(), 0u); // getCurrentAction sets the result, and clears the key
}

CHAIN_TEST(HostTest, guestMemoryIsBounded) {
   // The puppet has 17 pages or so at first; a span is valid if its last byte lies in memory.
   EXPECT_HAS(inTransaction(Program().rawConsole(0xFFFFFFFF, 1)),
              "wasm memory out-of-bounds: wasm memory out-of-bounds");
   EXPECT_HAS(inTransaction(Program().rawConsole(0xFFFFFFFF, 0)), "wasm memory out-of-bounds");
   EXPECT_HAS(inTransaction(Program().rawConsole(0, 0xFFFFFFFF)), "wasm memory out-of-bounds");
   EXPECT_HAS(inTransaction(Program().rawConsole(0xFFFFFFF0, 0x20)), "wasm memory out-of-bounds");
   EXPECT_EQ(inTransaction(Program().rawConsole(0, 0)), "");
   // Memory is limited by max_pages.
   EXPECT_EQ(inTransaction(Program().grow(10000).grow(0)), "");
   auto out = output();
   EXPECT_EQ(out.word(), 0xFFFFFFFFu);
   EXPECT_LE(out.word(), 512u);
}

CHAIN_TEST(HostTest, consoleAndAbort) {
   EXPECT_EQ(inTransaction(Program().console("a").console("b").call(action(bob, Program(), alice)).console("c")), "");
   const auto& inner = lastAction()->innerTraces;
   ASSERT_EQ(inner.size(), 3u);
   EXPECT_EQ(std::get<format::ConsoleTrace>(inner[0].inner).console, "ab");
   EXPECT_EQ(std::get<format::ConsoleTrace>(inner[2].inner).console, "c");
   EXPECT_EQ(inTransaction(Program().console("")), "");
   ASSERT_EQ(lastAction()->innerTraces.size(), 1u);
   EXPECT_EQ(std::get<format::ConsoleTrace>(lastAction()->innerTraces[0].inner).console, "");
   EXPECT_EQ(inTransaction(Program().abort("why")), "service 'alice' aborted with message: why");
   // The text of one context is capped, whichever its mode.
   const auto consoleBytes = [](const format::ActionTrace& trace) {
      std::size_t bytes = 0;
      for (const auto& i : trace.innerTraces)
         bytes += std::get<format::ConsoleTrace>(i.inner).console.size();
      return bytes;
   };
   const Program loud = Program().console(std::string(30000, 'x')).again(1000);
   EXPECT_EQ(run(RunMode::rpc, alice, loud), "");
   EXPECT_EQ(consoleBytes(last.actionTraces[0]), options.consoleBytes);
   EXPECT_EQ(inTransaction(loud), "");
   EXPECT_EQ(consoleBytes(*lastAction()), options.consoleBytes);
   // So is a reason, which stands at every enclosing level.
   EXPECT_LT(inTransaction(Program().abort(std::string(30000, 'x'))).size(), 9000u);
}

CHAIN_TEST(HostTest, tracesAreBounded) {
   // 300 calls that would leave nine million bytes, and each of them still gets its answer.
   const Program big =
       Program()
           .call(action(bob, Program().count().ret(Bytes(10, 'y')).console(std::string(30000, 'x')), alice))
           .forget()
           .again(300);
   EXPECT_EQ(inTransaction(big), "");
   EXPECT_LE(format::pack(last).size(), options.traceBytes + options.consoleBytes);
   const Program answers = Program().call(action(bob, Program().ret(Bytes(30000, 'y')), alice)).forget().again(300);
   EXPECT_EQ(inTransaction(Program(answers).call(action(bob, Program().ret(toBytes("last")), alice))), "");
   EXPECT_EQ(output().found(), "last");
   EXPECT_LE(format::pack(last).size(), options.traceBytes + options.consoleBytes);
   // Writes stand there too: each is an action.
   const Program writes = atAlice().put(0, "k", "v").close(0).forget().again(20000);
   EXPECT_EQ(inTransaction(writes), "");
   EXPECT_LE(format::pack(last).size(), options.traceBytes + options.consoleBytes);
   // An action that fails does not bring its arguments along.
   EXPECT_HAS(
       inTransaction(Program(answers).call(action(bob, Program().console(std::string(30000, 'x')).trap(), alice))),
       "unreachable");
   EXPECT_LE(format::pack(last).size(), options.traceBytes + options.consoleBytes);
}

CHAIN_TEST(HostTest, memoryAndDiskOfOneContextAreBounded) {
   options.heldBytes = 120'000;
   options.writtenBytes = 50'000;
   reopen();
   const Bytes thirty(30'000, 'x');
   // Arguments: of the actions that run at one time, not of those that follow each other.
   EXPECT_EQ(inTransaction(Program().call(action(bob, Program().console(asText(thirty)), alice)).forget().again(10)),
             "");
   EXPECT_HAS(
       inTransaction(Program().call(action(
           bob, Program().call(action(alice, Program().console(asText(thirty)), bob)).console(asText(thirty)), alice))),
       "the running actions hold too many bytes");
   // Return values likewise.
   EXPECT_EQ(inTransaction(Program().call(action(bob, Program().ret(thirty), alice)).forget().again(10)), "");
   // Recorded results stay until the block has them.
   EXPECT_HAS(inTransaction(Program().call(action(plain, Program().ret(thirty), plain), 1).forget().again(2), plain),
              "the running actions hold too many bytes");
   // Written bytes add up.
   EXPECT_EQ(inTransaction(atAlice().put(0, "k", asText(thirty))), "");
   EXPECT_HAS(inTransaction(atAlice().put(0, "k", asText(thirty)).close(0).forget().again(2)),
              "too many bytes are written");
   // What another node has put into a block is accepted.
   options.writtenBytes = options.heldBytes = std::uint64_t{1} << 30;
   reopen();
   EXPECT_EQ(one(alice, atAlice().put(0, "k", asText(thirty)).put(0, "l", asText(thirty))), "");
   options.writtenBytes = options.heldBytes = 50;
   reopen();
   EXPECT_EQ(kernel->head()->num, 3u);
}

CHAIN_TEST(HostTest, longKeysCostWhatTheyTake) {
   const auto nsOf = [&](std::size_t keyBytes) {
      const std::string key(keyBytes, 'k');
      std::uint64_t sum = 0;
      for (const Program& read :
           {Program().open(db::service, prefixOf(alice), 1).clock(2).get(0, key).clock(2),
            Program().open(db::service, prefixOf(alice), 1).clock(2).greaterEqual(0, key, 0).clock(2),
            Program().open(db::service, prefixOf(alice), 1).clock(2).lessThan(0, key, 0).clock(2),
            Program().open(db::service, prefixOf(alice), 1).clock(2).max(0, key).clock(2)}) {
         EXPECT_EQ(run(RunMode::rpc, alice, read), "");
         auto out = runOutput();
         const auto wide = [&out] {
            const std::uint64_t low = out.word();
            return low | std::uint64_t{out.word()} << 32;
         };
         out.word();
         out.word();
         const std::uint64_t before = wide();
         out.word();
         out.word();
         sum += wide() - before;
      }
      return sum;
   };
   EXPECT_GE(nsOf(30'000), nsOf(8) + 4 * 29'000 / 8);
}

CHAIN_TEST(HostTest, calls) {
   // Current action, return value, one instance per service, re-entrancy.
   EXPECT_EQ(inTransaction(Program()
                               .count()
                               .call(action(bob, Program().count().call(action(alice, Program().count(), bob)), alice))
                               .count()),
             "");
   auto out = output();
   EXPECT_EQ(out.word(), 1u);
   out.text();
   EXPECT_EQ(out.word(), 3u); // alice was entered again in the same instance
   EXPECT_EQ(inTransaction(Program().currentAction()), "");
   out = output();
   const std::string packed = out.text();
   const auto current = format::unpackStrict<Action>(asBytes(packed));
   ASSERT_TRUE(current);
   EXPECT_EQ(current->service, alice);
   EXPECT_EQ(current->method, "run"_m);
   // Errors
   EXPECT_HAS(inTransaction(Program().callPacked(asBytes("junk"))), "not a packed action");
   EXPECT_HAS(inTransaction(Program().call(action(bob, Program(), alice), 3)), "Invalid call flags: 3");
   EXPECT_HAS(inTransaction(Program().call({alice, "nobody"_a, "run"_m, {}})), "unknown service account: nobody");
   EXPECT_HAS(inTransaction(Program().call(action(alice, Program(), bob)), plain), "not authorized");
   EXPECT_EQ(inTransaction(Program().call(action(bob, Program(), "anyone"_a))), "");   // privileged
   EXPECT_EQ(inTransaction(Program().call(action(bob, Program(), plain)), plain), ""); // its own name
   EXPECT_HAS(inTransaction(Program().call(action(bob, Program(), plain.sub(1))), plain),
              "not authorized"); // all 64 bits
   EXPECT_HAS(inTransaction(Program().call(action(bob, Program().abort("deep"), alice))),
              "service 'bob' aborted with message: deep");
}

CHAIN_TEST(HostTest, runtimeTraps) {
   EXPECT_EQ(inTransaction(Program().trap()), "unreachable: unreachable");
   EXPECT_EQ(inTransaction(Program().recurse(100)), "");
   EXPECT_EQ(inTransaction(Program().recurse(10'000'000)), "stack overflow: stack overflow");
   // Recursion through call costs 4096 each: fewer than 256 levels.
   Program inner = Program().count();
   Bytes previous = format::pack(action(alice, inner));
   startBlock();
   // A service that calls itself with its own action for ever.
   EXPECT_EQ(
       push({action(alice, storing(alice, "self"_m.value, Program().currentAction().slice(0, 30).callPacked({})))}),
       "");
   EXPECT_EQ(push({action(alice, storing(alice, "self"_m.value,
                                         [&] {
                                            Program p;
                                            p.call({alice, alice, "self"_m, {}});
                                            return p;
                                         }()))}),
             "");
   EXPECT_HAS(push({{alice, alice, "self"_m, {}}}), "stack overflow");
   kernel->abortBlock();
   // Looping is stopped while producing, and the node goes on.
   closeKernel();
   options.transactionCpuNs = 20'000'000;
   options.queryCpuNs = 20'000'000;
   openKernel();
   EXPECT_EQ(inTransaction(Program().loop()), "transaction timed out");
   EXPECT_EQ(run(RunMode::rpc, alice, Program().loop()), "transaction timed out");
   EXPECT_EQ(inTransaction(Program().maxCpu(1000).loop()), "transaction timed out");
   EXPECT_HAS(inTransaction(Program().maxCpu(1000), plain), "privileged");
   EXPECT_EQ(inTransaction(Program()), "");
}

CHAIN_TEST(HostTest, runModes) {
   // Objective modes have no clock, randomness, sockets or files.
   for (const auto& p : {Program().clock(0), Program().random(4), Program().socketOpen({}),
                         Program().socketSend(1, {}, 0), Program().setFlags(2, 0, 0), Program().readFile("/there")}) {
      EXPECT_HAS(inTransaction(p), "not available in this mode");
      EXPECT_HAS(run(RunMode::speculative, alice, p), "not available in this mode");
      EXPECT_HAS(run(RunMode::verify, verify, p), "not available in this mode");
   }
   for (const auto& p : {Program().socketOpen({}), Program().socketSend(1, {}, 0), Program().setFlags(2, 0, 0),
                         Program().readFile("/there")})
      EXPECT_HAS(run(RunMode::rpc, alice, p), "privileged node-local");
   EXPECT_EQ(run(RunMode::rpc, alice, Program().clock(0).clock(1).clock(4).random(16)), "");
   auto out = runOutput();
   EXPECT_EQ(out.word(), 0u);
   std::int64_t ns;
   std::memcpy(&ns, out.raw(8).data(), 8);
   EXPECT_EQ(ns, host.now);
   EXPECT_EQ(out.word(), 0u);
   std::memcpy(&ns, out.raw(8).data(), 8);
   EXPECT_EQ(ns, host.monotonic);
   EXPECT_EQ(out.word(), 28u);
   EXPECT_EQ(out.raw(8), std::string(8, '\0'));
   EXPECT_EQ(out.raw(16), std::string(16, '\7'));
   EXPECT_EQ(run(RunMode::callback, alice, Program().clock(2).clock(3)), "");
   EXPECT_EQ(run(RunMode::rpc, bob, Program().readFile("/there").fetchPart(0, 4).readFile("/not")), "");
   out = runOutput();
   EXPECT_EQ(out.word(), 4u);
   EXPECT_EQ(out.word(), 4u);
   EXPECT_EQ(out.raw(4), "text");
   EXPECT_EQ(out.word(), 0xFFFFFFFFu);
   // Verify mode: no privileges, only verify services.
   EXPECT_HAS(run(RunMode::verify, alice, Program()), "cannot be used in verify mode");
   EXPECT_EQ(run(RunMode::verify, verify, Program().count()), "");
   EXPECT_HAS(run(RunMode::verify, verify, Program().open(0, {}, 1)), "service may not open databases");
   EXPECT_HAS(run(RunMode::verify, verify, Program().call(action(verify, Program(), alice))), "not authorized");
   EXPECT_HAS(run(RunMode::verify, verify, Program().call(action(verify, Program()), 1)),
              "Can only change run mode in a transaction");
   EXPECT_HAS(run(RunMode::rpc, alice, Program().call(action(alice, Program()), 1)),
              "Can only change run mode in a transaction");
}

CHAIN_TEST(HostTest, localCode) {
   // bob has local code, which answers in rpc and callback modes only.
   EXPECT_EQ(run(RunMode::rpc, bob, Program().checkout().open(db::subjective, {}, 3).abortCheckout()), "");
   EXPECT_HAS(inTransaction(Program().open(db::subjective, {}, 3), bob), "not available");
   // A chain service may call it by its own name, not by another.
   EXPECT_EQ(run(RunMode::rpc, alice, Program().call(action(bob, Program(), alice))), "");
   EXPECT_HAS(run(RunMode::rpc, alice, Program().call(action(bob, Program(), plain))), "on-chain service cannot sudo");
   EXPECT_HAS(inTransaction(Program().call(action(bob, Program(), alice), 1)), "on-chain service cannot sudo");
   EXPECT_EQ(run(RunMode::rpc, bob, Program().call(action(alice, Program(), plain))), "");
   EXPECT_EQ(run(RunMode::rpc, alice, Program().call(action(alice, Program(), plain))), "");
   // A replacement may be the target.
   const CodeRow row{bob, CodeRow::isPrivileged | CodeRow::isReplacement, format::sha256(ByteView(puppetCode())), 0, 0};
   EXPECT_EQ(run(RunMode::rpc, xHttp,
                 Program().checkout().open(db::nativeSubjective, {}, 3).put(0, row.key(), format::pack(row)).commit()),
             "");
   EXPECT_EQ(run(RunMode::rpc, alice, Program().call(action(bob, Program(), plain))), "");
   EXPECT_EQ(inTransaction(Program().call(action(bob, Program().ret(asBytes("r")), alice), 1)), "");
   // Its code is looked for where its row is.
   const CodeRow elsewhere{bob, CodeRow::isPrivileged, format::sha256(ByteView(puppetVariant(9))), 0, 0};
   EXPECT_EQ(one(alice, deploying(plain, 0, puppetVariant(9))), "");
   EXPECT_EQ(run(RunMode::rpc, xHttp,
                 Program()
                     .checkout()
                     .open(db::nativeSubjective, {}, 3)
                     .put(0, elsewhere.key(), format::pack(elsewhere))
                     .commit()),
             "");
   EXPECT_HAS(run(RunMode::rpc, bob, Program()), "service code record is missing");
   // Local code without a hash falls back to the chain's.
   const CodeRow empty{bob, CodeRow::isPrivileged, {}, 0, 0};
   EXPECT_EQ(
       run(RunMode::rpc, xHttp,
           Program().checkout().open(db::nativeSubjective, {}, 3).put(0, empty.key(), format::pack(empty)).commit()),
       "");
   EXPECT_HAS(run(RunMode::rpc, bob, Program().checkout().open(db::subjective, {}, 3)), "not available");
}

CHAIN_TEST(HostTest, codeErrors) {
   const auto with = [&](CodeRow row) {
      startBlock();
      EXPECT_EQ(push({action(alice, Program().open(db::native, {}, 2).put(0, row.key(), format::pack(row)))}), "");
      const std::string error = push({{plain, plain, "run"_m, {}}});
      kernel->abortBlock();
      return error;
   };
   const auto hash = format::sha256(ByteView(puppetCode()));
   EXPECT_EQ(with({plain, 0, hash, 0, 0}), "");
   EXPECT_HAS(with({plain, 0, {}, 0, 0}), "service account has no code");
   EXPECT_HAS(with({plain, 0, hash, 1, 0}), "vmType is not 0");
   EXPECT_HAS(with({plain, 0, hash, 0, 1}), "vmVersion is not 0");
   EXPECT_HAS(with({plain, 0, format::Checksum256{1}, 0, 0}), "service code record is missing");
   // Code that is no module.
   const Bytes junk = toBytes("junk");
   startBlock();
   EXPECT_EQ(push({action(alice, deploying(plain, 0, junk))}), "");
   EXPECT_HAS(push({{plain, plain, "run"_m, {}}}), "cannot run");
   // Code that the chain no longer holds does not run, even where it has been compiled: another node has not.
   const Bytes code = puppetVariant(3);
   EXPECT_EQ(push({action(alice, deploying(plain, 0, code))}), "");
   EXPECT_EQ(push({action(plain, Program())}), "");
   const Bytes key = format::CodeByHashRow::key(format::sha256(ByteView(code)), 0, 0);
   EXPECT_EQ(push({action(alice, Program().open(db::native, {}, 2).remove(0, key))}), "");
   EXPECT_HAS(push({action(plain, Program())}), "service code record is missing");
   kernel->abortBlock();
}

CHAIN_TEST(HostTest, codeAndLimitsChangeWithinABlock) {
   const Bytes junk = toBytes("junk");
   const auto calls = [&] { return push({action(alice, Program().call(action(plain, Program(), alice)))}); };
   startBlock();
   EXPECT_EQ(calls(), "");
   // Undone with its transaction.
   EXPECT_HAS(push({action(alice, deploying(plain, 0, junk).abort("no"))}), "no");
   EXPECT_EQ(calls(), "");
   EXPECT_EQ(push({action(alice, deploying(plain, 0, junk))}), "");
   EXPECT_HAS(calls(), "cannot run");
   EXPECT_EQ(push({action(alice, deploying(plain, 0, puppetCode()))}), "");
   EXPECT_EQ(calls(), "");
   // Within one transaction, too, as long as the service has not run in it.
   EXPECT_HAS(push({action(alice, deploying(plain, 0, junk).call(action(plain, Program(), alice)))}), "cannot run");
   EXPECT_EQ(calls(), "");
   // Flags.
   const Program opens = Program().open(db::service, prefixOf(bob), 3);
   EXPECT_EQ(push({action(bob, opens)}), "");
   EXPECT_EQ(push({action(alice, deploying(bob, 0, puppetCode()))}), "");
   EXPECT_HAS(push({action(bob, opens)}), "service may not open databases");
   // Limits.
   format::WasmConfigRow wasm;
   const auto configure = [&] {
      const Bytes key = wasm.key(NativeTable::transactionWasmConfig);
      EXPECT_EQ(push({action(alice, Program().open(db::native, {}, 2).put(0, key, format::pack(wasm)))}), "");
   };
   wasm.numExecutionMemories = 2;
   configure();
   EXPECT_HAS(calls(), "exceeded maximum number of running services");
   wasm.numExecutionMemories = 32;
   configure();
   EXPECT_EQ(calls(), "");
   kernel->abortBlock();
}

CHAIN_TEST(HostTest, tooManyServices) {
   format::WasmConfigRow wasm;
   const auto configure = [&] {
      const Bytes key = wasm.key(NativeTable::transactionWasmConfig);
      EXPECT_EQ(one(alice, Program().open(db::native, {}, 2).put(0, key, format::pack(wasm))), "");
   };
   wasm.numExecutionMemories = 3;
   configure();
   EXPECT_EQ(inTransaction(Program().call(action(bob, Program(), alice))), "");
   EXPECT_HAS(inTransaction(Program().call(action(bob, Program(), alice)).call(action(plain, Program(), alice))),
              "exceeded maximum number of running services");
   // More than any machine has room for fails nothing: memory is taken when a service runs.
   wasm.numExecutionMemories = 0xFFFFFFFF;
   configure();
   EXPECT_EQ(inTransaction(Program().call(action(bob, Program(), alice)).call(action(plain, Program(), alice))), "");
   // A smaller stack takes effect with the next context.
   wasm.numExecutionMemories = 32;
   wasm.vmOptions.max_stack_bytes = 20000;
   configure();
   EXPECT_HAS(inTransaction(Program().recurse(5000)), "stack overflow");
   // So little that the notification of a write no longer fits.
   wasm.vmOptions.max_stack_bytes = 6000;
   configure();
   EXPECT_EQ(inTransaction(Program()), "");
   EXPECT_HAS(inTransaction(atAlice().put(0, "k", "v")), "stack overflow");
}

} // namespace polis::kernel
