// Calling guest code: traps, limits, host functions, re-entrancy, exceptions, the caches.
#include "vm/test_engine.hpp"

#include "base/fault.hpp"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

namespace polis::vm {
namespace {

/// One engine for all tests: each reserves terabytes of address space.
TestEngine& shared() {
   static TestEngine* engine = new TestEngine();
   engine->budget.stackBytes = 1u << 20;
   engine->budget.instructions = 0;
   engine->budget.instructionLimit = Budget::unlimited;
   engine->budget.clearInterrupt();
   engine->host = {};
   return *engine;
}

std::string runOnce(std::string_view body) {
   TestEngine& e = shared();
   Instance i = e.instance("(module (memory 1 3) (table 3 funcref) (elem (i32.const 0) $none $long) (type $v (func))"
                           "(func $none) (func $long (param i64))" +
                           std::string(body) + ")");
   return outcome(i.call("f"));
}

TEST(Instance, Traps) {
   EXPECT_EQ(runOnce("(func (export \"f\"))"), "ok");
   EXPECT_EQ(runOnce("(func (export \"f\") (unreachable))"), "unreachable");
   EXPECT_EQ(runOnce("(func (export \"f\") (drop (i32.load (i32.const 65533))))"), "wasm memory out-of-bounds");
   EXPECT_EQ(runOnce("(func (export \"f\") (drop (i32.load offset=4294967295 (i32.const -1))))"),
             "wasm memory out-of-bounds");
   EXPECT_EQ(runOnce("(func (export \"f\") (memory.fill (i32.const 65535) (i32.const 0) (i32.const 2)))"),
             "wasm memory out-of-bounds");
   EXPECT_EQ(runOnce("(func (export \"f\") (call_indirect (type $v) (i32.const 3)))"), "call_indirect out of range");
   EXPECT_EQ(runOnce("(func (export \"f\") (call_indirect (type $v) (i32.const 2)))"),
             "call_indirect incorrect function type");
   EXPECT_EQ(runOnce("(func (export \"f\") (call_indirect (type $v) (i32.const 1)))"),
             "call_indirect incorrect function type");
   EXPECT_EQ(runOnce("(func (export \"f\") (call_indirect (type $v) (i32.const 0)))"), "ok");
   EXPECT_EQ(runOnce("(func (export \"f\") (drop (i32.div_u (i32.const 1) (i32.const 0))))"), "floating point error");
   EXPECT_EQ(runOnce("(func (export \"f\") (drop (i32.trunc_f64_s (f64.const 1e30))))"), "floating point error");
   EXPECT_EQ(runOnce("(func $f (export \"f\") (call $f))"), "stack overflow");
   EXPECT_EQ((Trap{TrapKind::unreachable}.traceText()), "unreachable: unreachable");
}

TEST(Instance, ExportsAreCheckedExactly) {
   TestEngine& e = shared();
   Instance i = e.instance("(module (func (export \"called\") (param i64 i64)) (func (export \"short\") (param i32)) "
                           "(memory (export \"m\") 1))");
   EXPECT_EQ(outcome(i.call("called", {1, 2})), "ok");
   EXPECT_EQ(outcome(i.call("called", {1})), "exported function has the wrong type");
   EXPECT_EQ(outcome(i.call("short", {1})), "exported function has the wrong type");
   EXPECT_EQ(outcome(i.call("absent")), "function is not exported");
   EXPECT_EQ(outcome(i.call("m")), "function is not exported");
   EXPECT_TRUE(i.module().exports("called"));
   EXPECT_FALSE(i.module().exports("m"));
}

TEST(Instance, ResultsAndManyArguments) {
   TestEngine& e = shared();
   std::string text = "(module (func (export \"sum\") (param";
   for (int i = 0; i < 20; ++i)
      text += " i64";
   text += ") (result i64) (local.get 0)";
   for (int i = 1; i < 20; ++i)
      text += "(i64.add (local.get " + std::to_string(i) + "))";
   Instance i = e.instance(text + "))");
   std::vector<ValueType> types(20, ValueType::i64);
   std::vector<Value> args;
   for (std::uint64_t n = 1; n <= 20; ++n)
      args.push_back(Value::of(n));
   Value result{};
   ASSERT_TRUE(i.call("sum", types, args, &result));
   EXPECT_EQ(result.i64, 210u);
}

TEST(Instance, StartSectionRunsWhenAsked) {
   TestEngine& e = shared();
   Instance i =
       e.instance("(module (global $g (mut i64) (i64.const 1)) (func $s (global.set $g (i64.const 5))) (start $s)"
                  "(func (export \"get\") (result i64) (global.get $g)))");
   Value result{};
   ASSERT_TRUE(i.call("get", {}, {}, &result));
   EXPECT_EQ(result.i64, 1u);
   ASSERT_TRUE(i.runStartSection());
   ASSERT_TRUE(i.call("get", {}, {}, &result));
   EXPECT_EQ(result.i64, 5u);
   Instance bad = e.instance("(module (memory 1) (func $s (unreachable)) (start $s))");
   EXPECT_EQ(outcome(bad.runStartSection()), "unreachable");
   EXPECT_EQ(outcome(e.instance("(module)").runStartSection()), "ok");
}

TEST(Instance, EachIsFresh) {
   TestEngine& e = shared();
   const auto module =
       e.module("(module (memory 2) (data (i32.const 100) \"abcd\") (global $g (mut i64) (i64.const 3))"
                "(func (export \"spoil\") (global.set $g (i64.const 9)) (i32.store (i32.const 100) (i32.const 0))"
                "  (i32.store (i32.const 70000) (i32.const 1)) (drop (memory.grow (i32.const 3)))"
                "  (i32.store (i32.const 200000) (i32.const 1)))"
                "(func (export \"check\") (result i64) (i64.add (i64.mul (global.get $g) (i64.const 1000))"
                "  (i64.add (i64.extend_i32_u (memory.size)) (i64.extend_i32_u (i32.add"
                "    (i32.load (i32.const 100)) (i32.load (i32.const 70000))))))))");
   for (int round = 0; round < 100; ++round) {
      Instance i = e.engine.instantiate(module, e.budget, &e.host);
      Value result{};
      ASSERT_TRUE(i.call("check", {}, {}, &result));
      EXPECT_EQ(result.i64, 3000u + 2 + 0x64636261);
      ASSERT_TRUE(i.call("spoil"));
   }
}

TEST(Instance, ReusedOnesAreAsFreshAsNewOnes) {
   TestEngine& e = shared();
   // Writes by stores, bulk instructions and the host; globals of every type; data that starts and ends within pages.
   const auto module = e.module(R"((module (import "env" "write" (func $write (param i32 i32))) (memory 4)
      (data (i32.const 5000) "abcdefgh") (data (i32.const 131071) "xy") (data $p "passive")
      (global $a (mut i32) (i32.const -7)) (global $b (mut i64) (i64.const 8)) (global $c (mut f32) (f32.const 0.5))
      (global $d (mut f64) (f64.const -1.5)) (global $e (mut v128) (v128.const i64x2 3 4))
      (func (export "spoil") (param i64) (local $p i32) (local.set $p (i32.wrap_i64 (local.get 0)))
         (i64.store (local.get $p) (i64.const -1)) (memory.fill (i32.add (local.get $p) (i32.const 4090)) (i32.const 9) (i32.const 9000))
         (memory.copy (i32.const 131070) (i32.const 5000) (i32.const 4)) (memory.init $p (i32.const 4998) (i32.const 0) (i32.const 7))
         (call $write (i32.add (local.get $p) (i32.const 40000)) (i32.const 5000))
         (global.set $a (i32.const 1)) (global.set $b (i64.const 1)) (global.set $c (f32.const 1)) (global.set $d (f64.const 1))
         (global.set $e (v128.const i64x2 1 1)))
      (func (export "sum") (result i64) (local $x i64) (local $p i32)
         (loop $l (local.set $x (i64.add (i64.mul (local.get $x) (i64.const 31)) (i64.load (local.get $p))))
            (br_if $l (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 8))) (i32.const 262144))))
         (i64.add (local.get $x) (i64.add (i64.extend_i32_s (global.get $a)) (i64.add (global.get $b)
            (i64.add (i64.extend_i32_u (i32.reinterpret_f32 (global.get $c))) (i64.add (i64.reinterpret_f64 (global.get $d))
               (i64x2.extract_lane 1 (global.get $e)))))))))
   )");
   auto sum = [&](Instance& i) {
      Value result{};
      EXPECT_TRUE(i.call("sum", {}, {}, &result));
      return result.i64;
   };
   Instance first = e.engine.instantiate(module, e.budget, &e.host);
   const std::uint64_t fresh = sum(first);
   const auto before = e.engine.stats();
   for (std::uint64_t round = 0; round < 60; ++round) {
      Instance i = e.engine.instantiate(module, e.budget, &e.host);
      EXPECT_EQ(sum(i), fresh) << round;
      EXPECT_TRUE(i.call("spoil", {round % 3 * 60000 + round}));
      EXPECT_NE(sum(i), fresh);
      if (round % 7 == 0) {
         EXPECT_EQ(outcome(i.call("spoil", {0xffffffff})),
                   "wasm memory out-of-bounds"); // a trap changes nothing about that
      }
   }
   EXPECT_GE(e.engine.stats().instancesReused, before.instancesReused + 58);
}

TEST(Instance, ReuseIsGivenUpWhereItCannotBe) {
   TestEngine& e = shared();
   auto reused = [&](std::string_view text) {
      const auto module = e.module(text);
      const auto before = e.engine.stats().instancesReused;
      for (int round = 0; round < 20; ++round) {
         Instance i = e.engine.instantiate(module, e.budget, &e.host);
         Value result{};
         EXPECT_TRUE(i.call("f", {}, {}, &result));
         EXPECT_EQ(result.i64, 5u);
      }
      return e.engine.stats().instancesReused - before;
   };
   EXPECT_EQ(reused("(module (func (export \"f\") (result i64) (i64.const 5)))"), 19u);
   // Writes a table.
   EXPECT_EQ(reused("(module (table 2 funcref) (elem (i32.const 0) $five $six) (type $t (func (result i64)))"
                    "(func $five (result i64) (i64.const 5)) (func $six (result i64) (i64.const 6))"
                    "(func (export \"f\") (result i64) (call_indirect (type $t) (i32.const 0))"
                    "  (table.copy (i32.const 0) (i32.const 1) (i32.const 1))))"),
             0u);
   // Writes every page.
   EXPECT_EQ(reused("(module (memory 8) (data (i32.const 300000) \"\\05\") (func (export \"f\") (result i64) "
                    "(i64.load8_u (i32.const 300000))"
                    "  (memory.fill (i32.const 0) (i32.const 77) (i32.const 524288))))"),
             0u);
}

TEST(Instance, ManyThreadsShareAModule) {
   TestEngine& e = shared();
   const auto module = e.module(
       "(module (memory 2) (func (export \"f\") (param i64) (result i64)"
       "  (i64.store (i32.wrap_i64 (local.get 0)) (i64.add (i64.load (i32.wrap_i64 (local.get 0))) (i64.const 1)))"
       "  (i64.load (i32.wrap_i64 (local.get 0)))))");
   std::atomic<int> wrong{0};
   {
      std::vector<ExecutionThread> threads;
      for (std::uint64_t t = 0; t < 4; ++t)
         threads.emplace_back([&, t] {
            Budget budget;
            TestHost host;
            for (std::uint64_t round = 0; round < 300; ++round) {
               Instance i = e.engine.instantiate(module, budget, &host);
               const ValueType type = ValueType::i64;
               const Value arg = Value::of((round * 3000 + t * 7919) % 130000);
               Value result{};
               if (!i.call("f", {&type, 1}, {&arg, 1}, &result) || result.i64 != 1)
                  ++wrong;
            }
         });
   }
   EXPECT_EQ(wrong, 0);
}

TEST(Instance, MemoryGrowsToTheLimitOnly) {
   TestEngine& e = shared();
   auto grow = [&](std::string_view memory, std::uint32_t pages, const Options& options = {}) {
      Instance i = e.instance("(module " + std::string(memory) +
                                  "(func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0))))",
                              options);
      const ValueType type = ValueType::i32;
      const Value arg = Value::of(pages);
      Value result{};
      EXPECT_TRUE(i.call("grow", {&type, 1}, {&arg, 1}, &result));
      return static_cast<std::int32_t>(result.i32);
   };
   EXPECT_EQ(grow("(memory 1)", 511), 1);
   EXPECT_EQ(grow("(memory 1)", 512), -1);
   EXPECT_EQ(grow("(memory 1 4)", 3), 1);
   EXPECT_EQ(grow("(memory 1 4)", 4), -1);
   EXPECT_EQ(grow("(memory 1)", 0xffffffff), -1); // unsigned
   EXPECT_EQ(grow("(memory 2)", 0x80000000), -1);
   EXPECT_EQ(grow("(memory 1)", 7, {.maxPages = 8}), 1);
   EXPECT_EQ(grow("(memory 1)", 8, {.maxPages = 8}), -1);
   EXPECT_EQ(grow("(memory 1)", 4095, {.maxPages = 0xffffffff}), 1);
   EXPECT_EQ(grow("(memory 0)", 0), 0);
}

TEST(Instance, EndlessLoopsAreCut) {
   TestEngine& e = shared();
   Instance i = e.instance("(module (func (export \"f\") (loop $l (br $l))) (func (export \"g\") (call $g)) (func $g "
                           "(loop $l (br_if $l (i32.const 1)))))");
   e.budget.instructionLimit = 1'000'000;
   EXPECT_EQ(outcome(i.call("f")), "instruction limit reached");
   EXPECT_EQ(e.budget.instructions, 1'000'001u);
   e.budget.instructions = 0;
   EXPECT_EQ(outcome(i.call("g")), "instruction limit reached");
   // Used up before it begins.
   EXPECT_EQ(outcome(i.call("g")), "instruction limit reached");
   e.budget.instructions = 0;
   e.budget.instructionLimit = 0;
   EXPECT_EQ(outcome(i.call("f")), "instruction limit reached");
}

TEST(Instance, ManyCallsWithoutALoopAreCut) {
   TestEngine& e = shared();
   std::string text = "(module (func $f0)";
   for (int n = 1; n <= 60; ++n) {
      const std::string call = "(call $f" + std::to_string(n - 1) + ")";
      text += "(func $f" + std::to_string(n) + call + call + ")";
   }
   Instance i = e.instance(text + "(func (export \"f\") (call $f60)))");
   e.budget.instructionLimit = 10'000'000;
   EXPECT_EQ(outcome(i.call("f")), "instruction limit reached");
}

TEST(Instance, BulkWorkIsCharged) {
   TestEngine& e = shared();
   std::string text = "(module (memory 100) (func (export \"f\")";
   for (int n = 0; n < 100; ++n)
      text += "(memory.fill (i32.const 0) (i32.const 1) (i32.const 1600000))";
   Instance i = e.instance(text + "))");
   EXPECT_EQ(outcome(i.call("f")), "ok");
   EXPECT_EQ(e.budget.instructions, 100u * (10 + 100000));
   e.budget.instructions = 0;
   e.budget.instructionLimit = 1'000'000;
   EXPECT_EQ(outcome(i.call("f")), "instruction limit reached");
   EXPECT_LT(e.budget.instructions, 1'200'000u);
}

TEST(Instance, InterruptFromAnotherThread) {
   TestEngine& e = shared();
   Instance i = e.instance("(module (import \"env\" \"call\" (func $call (param i64) (result i64)))"
                           "(func (export \"f\") (drop (call $call (i64.const 0))) (loop $l (br $l))))");
   std::atomic<bool> inside{false};
   e.host.onCall = [&](CallContext&, std::uint64_t) {
      inside = true;
      return 0;
   };
   std::thread other([&] {
      while (!inside)
         std::this_thread::yield();
      e.budget.interrupt();
   });
   EXPECT_EQ(outcome(i.call("f")), "interrupted");
   other.join();
   EXPECT_EQ(outcome(i.call("f")), "interrupted"); // stays set
}

TEST(Instance, StackIsSharedAcrossInstances) {
   TestEngine& e = shared();
   const auto module = e.module("(module (import \"env\" \"call\" (func $call (param i64) (result i64)))"
                                "(func (export \"called\") (param i64 i64) (drop (call $call (local.get 0)))))");
   std::vector<Instance> instances;
   std::vector<std::uint32_t> seen;
   int depth = 0;
   e.host.onCall = [&](CallContext& c, std::uint64_t) -> std::uint64_t {
      seen.push_back(c.budget().stackBytes);
      if (c.budget().stackBytes < 4096)
         c.trap(TrapKind::stackOverflow);
      c.budget().stackBytes -= 4096;
      if (instances.size() < 8)
         instances.push_back(e.engine.instantiate(module, e.budget, &e.host));
      Instance& next = instances[static_cast<std::size_t>(++depth) % instances.size()];
      auto result = next.call("called", {1, 2});
      c.budget().stackBytes += 4096;
      if (!result)
         c.trap(result.error().kind);
      return 0;
   };
   instances.reserve(8);
   instances.push_back(e.engine.instantiate(module, e.budget, &e.host));
   EXPECT_EQ(outcome(instances[0].call("called", {1, 2})), "stack overflow");
   EXPECT_EQ(e.budget.stackBytes, 1u << 20);
   // Each level: the frame (16 + one i64 operand) and 4096.
   ASSERT_GE(seen.size(), 3u);
   EXPECT_EQ(seen[0], (1u << 20) - 24);
   EXPECT_EQ(seen[1], (1u << 20) - 24 - 4096 - 24);
   EXPECT_EQ(seen.size(), (1u << 20) / (4096 + 24) + 1);
}

TEST(Instance, StackLimitIsExact) {
   TestEngine& e = shared();
   Instance i = e.instance("(module (func $g (local i64)) (func (export \"f\") (call $g)))");
   e.budget.stackBytes = 16 + 24;
   EXPECT_EQ(outcome(i.call("f")), "ok");
   e.budget.stackBytes = 16 + 23;
   EXPECT_EQ(outcome(i.call("f")), "stack overflow");
   EXPECT_EQ(e.budget.stackBytes, 39u);
   e.budget.stackBytes = 15;
   EXPECT_EQ(outcome(i.call("f")), "stack overflow");
}

TEST(Instance, DeepRecursionFitsTheNativeStack) {
   // The smallest frame there is, and one with many values kept across the call.
   EXPECT_EQ(runOnce("(func $f (export \"f\") (call $f))"), "stack overflow");
   std::string many = "(func $g (param i64) (result i64)";
   for (int n = 0; n < 100; ++n)
      many += "(i64.mul (local.get 0) (i64.const " + std::to_string(n + 3) + "))";
   many += "(call $g (i64.add (local.get 0) (i64.const 1)))";
   for (int n = 0; n < 100; ++n)
      many += "(i64.xor)";
   many += ") (func (export \"f\") (drop (call $g (i64.const 1))))";
   EXPECT_EQ(runOnce(many), "stack overflow");
}

TEST(Instance, NativeStackNeverDecides) {
   // The optimiser keeps each product from its first use to the second, across the call; the accounting sees none of
   // that.
   std::string text = "(func $g (param i64) (result i64) (local i64)";
   for (int pass = 0; pass < 2; ++pass) {
      for (int n = 0; n < 3000; ++n)
         text += "(i64.store offset=" + std::to_string(8 * n) + " (i32.const 0) (i64.mul (local.get 0) (i64.const " +
                 std::to_string(1000003 + 2 * n) + ")))";
      if (pass == 0)
         text += "(local.set 1 (call $g (i64.add (local.get 0) (i64.const 1))))";
   }
   const std::uint64_t plainBefore = shared().engine.stats().plain;
   const std::string result = runOnce(text + "(local.get 1)) (func (export \"f\") (drop (call $g (i64.const 1))))");
   EXPECT_EQ(result, "stack overflow");
   // Such code is compiled without optimisation; ordinary code, however long, is not.
   EXPECT_EQ(shared().engine.stats().plain, plainBefore + 1);
   // The thread goes on.
   EXPECT_EQ(runOnce("(func $f (export \"f\") (call $f))"), "stack overflow");
}

TEST(Instance, SameInstanceAgain) {
   TestEngine& e = shared();
   Instance i = e.instance(
       "(module (import \"env\" \"call\" (func $call (param i64) (result i64))) (global $depth (mut i64) (i64.const 0))"
       "(func (export \"called\") (param i64) (global.set $depth (i64.add (global.get $depth) (i64.const 1)))"
       "  (if (i64.ne (local.get 0) (i64.const 0)) (then (drop (call $call (i64.sub (local.get 0) (i64.const 1)))))))"
       "(func (export \"depth\") (result i64) (global.get $depth)))");
   e.host.onCall = [&](CallContext& c, std::uint64_t n) -> std::uint64_t {
      const auto result = i.call("called", {n});
      if (!result)
         c.trap(result.error().kind);
      return n;
   };
   EXPECT_EQ(outcome(i.call("called", {20})), "ok");
   Value result{};
   ASSERT_TRUE(i.call("depth", {}, {}, &result));
   EXPECT_EQ(result.i64, 21u);
}

TEST(Instance, CountsAcrossNestedCalls) {
   TestEngine& e = shared();
   const std::string text =
       "(module (import \"env\" \"call\" (func $call (param i64) (result i64)))"
       "(func (export \"work\") (param i64) (loop $l (br_if $l (i64.ne (i64.const 0) (local.tee 0 (i64.sub (local.get "
       "0) (i64.const 1)))))))"
       "(func (export \"outer\") (param i64) (drop (call $call (local.get 0))) (drop (call $call (local.get 0)))))";
   Instance outer = e.instance(text), inner = e.instance(text);
   EXPECT_EQ(outcome(inner.call("work", {100'000})), "ok");
   const std::uint64_t work = e.budget.instructions;
   EXPECT_EQ(work, 300'000u); // sub, ne, br_if
   std::vector<std::uint64_t> seen;
   e.host.onCall = [&](CallContext& c, std::uint64_t n) -> std::uint64_t {
      seen.push_back(c.budget().instructions);
      EXPECT_TRUE(inner.call("work", {n}));
      c.budget().instructions += 7;
      return 0;
   };
   e.budget.instructions = 0;
   EXPECT_EQ(outcome(outer.call("outer", {100'000})), "ok");
   EXPECT_EQ(e.budget.instructions, 2 * work + 14 + 8); // two calls at 4
   ASSERT_EQ(seen.size(), 2u);
   EXPECT_EQ(seen[0], 8u); // a run of instructions is charged when it is entered
   EXPECT_EQ(seen[1], 8u + work + 7);
   e.budget.instructions = 0;
   e.budget.instructionLimit = work + 1000;
   e.host.onCall = [&](CallContext& c, std::uint64_t n) -> std::uint64_t {
      const auto result = inner.call("work", {n});
      if (!result)
         c.trap(result.error().kind);
      return 0;
   };
   EXPECT_EQ(outcome(outer.call("outer", {100'000})), "instruction limit reached");
}

TEST(Host, Types) {
   TestEngine& e = shared();
   Instance i =
       e.instance("(module (import \"env\" \"three\" (func $three (param i32 i64 f64) (result f64)))"
                  "(func (export \"f\") (result f64) (call $three (i32.const 1) (i64.const 2) (f64.const 0.5))))");
   Value result{};
   ASSERT_TRUE(i.call("f", {}, {}, &result));
   EXPECT_EQ(result.f64, 3.5);
}

TEST(Host, ImportsMustMatch) {
   TestEngine& e = shared();
   auto rejected = [&](std::string_view text) {
      try {
         e.module(text);
         return std::string("ok");
      } catch (const std::runtime_error& error) {
         return std::string(error.what());
      }
   };
   EXPECT_EQ(rejected("(module (import \"env\" \"throw\" (func)))"), "ok");
   EXPECT_EQ(rejected("(module (import \"env\" \"absent\" (func)))"), "unknown import env.absent (at byte 17)");
   EXPECT_EQ(rejected("(module (import \"wasi\" \"throw\" (func)))"), "unknown import wasi.throw (at byte 17)");
   EXPECT_EQ(rejected("(module (import \"polis\" \"tick\" (func (param i64) (result i64))))"),
             "unknown import polis.tick (at byte 19)");
   EXPECT_EQ(rejected("(module (import \"env\" \"throw\" (func (param i32))))"),
             "import env.throw has the wrong type (at byte 18)");
   EXPECT_EQ(rejected("(module (import \"env\" \"throw\" (func (param i32 i64) (result i64))))"),
             "import env.throw has the wrong type (at byte 20)");
}

TEST(Host, ImportThroughTheTableAndAsExport) {
   TestEngine& e = shared();
   Instance i =
       e.instance("(module (import \"env\" \"call\" (func $call (param i64) (result i64))) (table 1 funcref) (elem "
                  "(i32.const 0) $call)"
                  "(export \"direct\" (func $call)) (type $t (func (param i64) (result i64)))"
                  "(func (export \"f\") (result i64) (call_indirect (type $t) (i64.const 20) (i32.const 0))))");
   e.host.onCall = [](CallContext&, std::uint64_t n) { return n + 1; };
   Value result{};
   ASSERT_TRUE(i.call("f", {}, {}, &result));
   EXPECT_EQ(result.i64, 21u);
   const ValueType type = ValueType::i64;
   const Value arg = Value::of(std::uint64_t{4});
   ASSERT_TRUE(i.call("direct", {&type, 1}, {&arg, 1}, &result));
   EXPECT_EQ(result.i64, 5u);
}

TEST(Host, SpansAtTheEdges) {
   TestEngine& e = shared();
   const std::string text = "(module (import \"env\" \"read\" (func $read (param i32 i32))) (import \"env\" \"write\" "
                            "(func $write (param i32 i32)))"
                            "(memory 1 2) (func (export \"read\") (param i64 i64) (call $read (i32.wrap_i64 (local.get "
                            "0)) (i32.wrap_i64 (local.get 1))))"
                            "(func (export \"write\") (param i64 i64) (call $write (i32.wrap_i64 (local.get 0)) "
                            "(i32.wrap_i64 (local.get 1))))"
                            "(func (export \"grow\") (drop (memory.grow (i32.const 1)))))";
   Instance i = e.instance(text);
   auto both = [&](std::uint64_t pointer, std::uint64_t bytes) {
      const std::string a = outcome(i.call("read", {pointer, bytes}));
      EXPECT_EQ(a, outcome(i.call("write", {pointer, bytes})));
      return a;
   };
   EXPECT_EQ(both(0, 0), "ok");
   EXPECT_EQ(both(0, 65536), "ok");
   EXPECT_EQ(both(1, 65536), "wasm memory out-of-bounds");
   EXPECT_EQ(both(65535, 1), "ok");
   EXPECT_EQ(both(65536, 0), "ok");
   EXPECT_EQ(both(65536, 1), "wasm memory out-of-bounds");
   EXPECT_EQ(both(65537, 0), "wasm memory out-of-bounds");
   EXPECT_EQ(both(0xffffffff, 1), "wasm memory out-of-bounds");
   EXPECT_EQ(both(0xffffffff, 0xffffffff), "wasm memory out-of-bounds");
   EXPECT_EQ(both(0, 0xffffffff), "wasm memory out-of-bounds");
   ASSERT_TRUE(i.call("grow"));
   EXPECT_EQ(both(65536, 65536), "ok");
   EXPECT_EQ(both(131072, 1), "wasm memory out-of-bounds");
   e.host.log.clear();
   ASSERT_TRUE(i.call("read", {131070, 2}));
   EXPECT_EQ(toHex(e.host.log), "0707");
   Instance none = e.instance("(module (import \"env\" \"read\" (func $read (param i32 i32)))"
                              "(func (export \"read\") (param i64 i64) (call $read (i32.wrap_i64 (local.get 0)) "
                              "(i32.wrap_i64 (local.get 1)))))");
   EXPECT_EQ(outcome(none.call("read", {0, 0})), "ok");
   EXPECT_EQ(outcome(none.call("read", {0, 1})), "wasm memory out-of-bounds");
   EXPECT_EQ(outcome(none.call("read", {1, 0})), "wasm memory out-of-bounds");
}

TEST(Host, ExceptionsComeOutUnchanged) {
   TestEngine& e = shared();
   Instance i = e.instance(
       "(module (import \"env\" \"throw\" (func $throw)) (func (export \"f\") (call $throw)) (func (export \"g\")))");
   try {
      static_cast<void>(i.call("f"));
      ADD_FAILURE();
   } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "from the host");
   }
   EXPECT_EQ(outcome(i.call("g")), "ok"); // and leave nothing behind
}

TEST(Host, ExceptionsCrossSeveralInstances) {
   TestEngine& e = shared();
   const auto module = e.module("(module (import \"env\" \"call\" (func $call (param i64) (result i64)))"
                                "(func (export \"called\") (param i64) (drop (call $call (local.get 0)))))");
   Instance a = e.engine.instantiate(module, e.budget, &e.host), b = e.engine.instantiate(module, e.budget, &e.host);
   int unwound = 0;
   struct Count {
      int& n;
      ~Count() { ++n; }
   };
   e.host.onCall = [&](CallContext&, std::uint64_t n) -> std::uint64_t {
      const Count count{unwound};
      if (n == 0)
         throw Fault("deep");
      static_cast<void>((n % 2 ? a : b).call("called", {n - 1}));
      return 0;
   };
   EXPECT_THROW(static_cast<void>(a.call("called", {30})), Fault);
   EXPECT_EQ(unwound, 31);
   // A caller may also stop it half way.
   e.host.onCall = [&](CallContext&, std::uint64_t n) -> std::uint64_t {
      if (n == 0)
         throw Fault("deep");
      if (n == 5) {
         EXPECT_THROW(static_cast<void>(b.call("called", {4})), Fault);
         return 0;
      }
      static_cast<void>((n % 2 ? a : b).call("called", {n - 1}));
      return 0;
   };
   EXPECT_EQ(outcome(a.call("called", {10})), "ok");
}

TEST(Host, ThreadsWithSmallStacksAreRefused) {
   TestEngine& e = shared();
   Instance i = e.instance("(module (func (export \"f\")))");
   std::thread([&] { EXPECT_THROW(static_cast<void>(i.call("f")), Fault); }).join();
}

TEST(Engine, CompilesOncePerCodeAndOptions) {
   TestEngine& e = shared();
   const auto before = e.engine.stats();
   const std::string text = "(module (func (export \"once\")))";
   std::shared_ptr<const Module> a, b;
   std::thread one([&] { a = e.module(text); });
   std::thread two([&] { b = e.module(text); });
   one.join();
   two.join();
   EXPECT_EQ(a, b);
   EXPECT_EQ(e.engine.stats().compiled, before.compiled + 1);
   const auto other = e.module(text, {.maxPages = 5});
   EXPECT_NE(a, other);
   EXPECT_EQ(e.engine.find(a->codeHash(), {}), a);
   EXPECT_EQ(e.engine.find(CodeHash{}, {}), nullptr);
}

TEST(Engine, KeepsCompiledCodeOnDiskAndIgnoresWhatIsBroken) {
   const auto dir = std::filesystem::temp_directory_path() / ("polis_vm_test_" + std::to_string(::getpid()));
   std::filesystem::remove_all(dir);
   const EngineOptions options{.cacheDir = dir / "deep" / "er", .instancesMax = 4};
   const std::string text = "(module (func (export \"f\") (unreachable)))";
   auto use = [&](std::uint64_t compiled, std::uint64_t loaded) {
      TestEngine e(options);
      EXPECT_EQ(outcome(e.instance(text).call("f")), "unreachable");
      EXPECT_EQ(e.engine.stats().compiled, compiled);
      EXPECT_EQ(e.engine.stats().loaded, loaded);
   };
   use(1, 0);
   use(0, 1);
   std::filesystem::path file;
   for (const auto& entry : std::filesystem::directory_iterator(options.cacheDir))
      file = entry.path();
   ASSERT_EQ(file.extension(), ".code");
   auto spoil = [&](std::size_t at) {
      std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
      f.seekg(static_cast<std::streamoff>(at));
      const int byte = f.get();
      f.seekp(static_cast<std::streamoff>(at));
      f.put(static_cast<char>(byte ^ 1));
   };
   for (const std::size_t at : {std::size_t{0}, std::size_t{9}, std::size_t{50}, std::size_t{1000},
                                static_cast<std::size_t>(std::filesystem::file_size(file)) - 1}) {
      spoil(at);
      use(1, 0); // and is replaced
      use(0, 1);
   }
   std::filesystem::resize_file(file, 20);
   use(1, 0);
   std::filesystem::resize_file(file, 0);
   use(1, 0);
   use(0, 1);
   std::filesystem::remove(file);
   std::filesystem::create_directory(file); // opens, and cannot be read
   use(1, 0);
   std::filesystem::remove_all(dir);
}

TEST(Engine, TooManyInstancesAreAFault) {
   TestEngine e({.cacheDir = {}, .instancesMax = 2});
   const auto module = e.module("(module (memory 1))");
   Instance a = e.engine.instantiate(module, e.budget, &e.host), b = e.engine.instantiate(module, e.budget, &e.host);
   EXPECT_THROW(e.engine.instantiate(module, e.budget, &e.host), Fault);
   b = Instance();
   EXPECT_TRUE(e.engine.instantiate(module, e.budget, &e.host));
   // Idle ones of another module give way.
   const auto other = e.module("(module (memory 2))");
   EXPECT_TRUE(e.engine.instantiate(other, e.budget, &e.host));
}

} // namespace
} // namespace polis::vm

int main(int argc, char** argv) {
   testing::InitGoogleTest(&argc, argv);
   int result = 1;
   polis::vm::onExecutionStack([&] { result = RUN_ALL_TESTS(); });
   return result;
}
