// Metered modules do what the unmetered ones do, and count by the table.
#include "vm/metering.hpp"

#include "base/temporary_folder.hpp"
#include "vm/test_engine.hpp"

#include <algorithm>
#include <array>

namespace polis::vm {
namespace {

std::vector<Segment> segments(std::string_view text) {
   const Bytes code = fromText(text).value();
   auto checked = checkModule(code, {});
   EXPECT_TRUE(checked) << checked.error().text();
   return checked->functions.at(0).segments;
}

TEST(Metering, Segments) {
   auto costs = [](std::string_view text) {
      std::string out;
      for (const Segment& s : segments(text))
         out += std::to_string(s.cost) + (s.loop ? "L " : " ");
      return out;
   };
   EXPECT_EQ(costs("(module (func))"), "0 ");
   EXPECT_EQ(costs("(module (func (drop (i32.add (i32.const 1) (i32.const 2)))))"), "1 ");
   // A block that nobody leaves early starts nothing new; a loop does, and what follows it.
   EXPECT_EQ(costs("(module (func (block (drop (i32.eqz (i32.const 1)))) (drop (i32.eqz (i32.const 1)))))"), "2 ");
   EXPECT_EQ(costs("(module (func (block (br_if 0 (i32.const 1))) (drop (i32.eqz (i32.const 1)))))"), "1 1 ");
   EXPECT_EQ(costs("(module (func (loop (br_if 0 (i32.const 1))) (drop (i32.eqz (i32.const 1)))))"), "0 1L 0 1 ");
   EXPECT_EQ(costs("(module (func (if (i32.const 1) (then (drop (i32.eqz (i32.const 1)))) (else (drop (i64.div_u "
                   "(i64.const 1) (i64.const 1)))))))"),
             "1 1 10 0 ");
   // Unreachable code costs nothing.
   EXPECT_EQ(costs("(module (func (return) (drop (i32.eqz (i32.const 1)))))"), "1 ");
}

TEST(Metering, KeepsMeaning) {
   // A little of everything that the rewriting touches.
   TestEngine e({.cacheDir = {}, .instancesMax = 8});
   Instance i = e.instance(R"((module (memory 1) (table 4 funcref) (elem (i32.const 1) $twice $thrice)
      (global $g (mut i32) (i32.const 10))
      (type $op (func (param i64) (result i64)))
      (func $twice (param i64) (result i64) (i64.mul (local.get 0) (i64.const 2)))
      (func $thrice (param i64) (result i64) (local i64) (local.set 1 (local.get 0))
         (i64.add (call $twice (local.get 1)) (local.get 1)))
      (func $pick (param i32) (result i64)
         (block $c (block $b (block $a (br_table $a $b $c (local.get 0))) (return (i64.const 100))) (return (i64.const 200)))
         (i64.const 300))
      (func $early (param i64) (result i64)
         (drop (br_if 0 (i64.const 55) (i64.eqz (local.get 0))))
         (i64.const 1) (i64.const 2) (br 0 (i64.const 77)))
      (func $factorial (param i64) (result i64)
         (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
            (else (i64.mul (local.get 0) (call $factorial (i64.sub (local.get 0) (i64.const 1)))))))
      (func (export "run") (result i64) (local i64)
         (local.set 0 (call_indirect (type $op) (i64.const 7) (i32.const 1)))            ;; 14
         (local.set 0 (i64.add (local.get 0) (call_indirect (type $op) (i64.const 7) (i32.const 2)))) ;; 35
         (local.set 0 (i64.add (local.get 0) (i64.add (call $pick (i32.const 0)) (i64.add (call $pick (i32.const 1)) (call $pick (i32.const 9)))))) ;; 635
         (local.set 0 (i64.add (local.get 0) (i64.add (call $early (i64.const 0)) (call $early (i64.const 1))))) ;; 767
         (local.set 0 (i64.add (local.get 0) (call $factorial (i64.const 10)))) ;; 3629567
         (memory.fill (i32.const 0) (i32.const 1) (i32.const 16))
         (memory.copy (i32.const 32) (i32.const 0) (i32.const 8))
         (memory.init $d (i32.const 40) (i32.const 1) (i32.const 2)) (data.drop $d)
         (local.set 0 (i64.add (local.get 0) (i64.and (i64.load (i32.const 32)) (i64.const 255)))) ;; +1
         (local.set 0 (i64.add (local.get 0) (i64.extend_i32_u (i32.load16_u (i32.const 40))))) ;; + 0x6362
         (table.copy (i32.const 0) (i32.const 2) (i32.const 1))
         (local.set 0 (i64.add (local.get 0) (call_indirect (type $op) (i64.const 1) (i32.const 0)))) ;; +3
         (global.set $g (i32.add (global.get $g) (memory.grow (i32.const 2)))) ;; 11
         (local.set 0 (i64.add (local.get 0) (i64.extend_i32_u (i32.mul (global.get $g) (memory.size))))) ;; +33
         (local.get 0))
      (data $d "abcd")))");
   Value result{};
   ASSERT_EQ(outcome(i.call("run", {}, {}, &result)), "ok");
   EXPECT_EQ(result.i64, 3629567u + 1 + 0x6362 + 3 + 33);
}

TEST(Metering, bulkInstructionsCountWhatTheyMove) {
   const auto counted = [](const std::string& instruction, std::uint32_t amount) {
      TestEngine e;
      Instance i = e.instance("(module (memory 1) (table 100 funcref) (func $g) (data $d \"" + std::string(160, 'x') +
                              "\") (elem $e func" +
                              [] {
                                 std::string out;
                                 for (int n = 0; n < 100; ++n)
                                    out += " $g";
                                 return out;
                              }() +
                              ") (func (export \"f\") (" + instruction + " (i32.const 0) (i32.const 0) (i32.const " +
                              std::to_string(amount) + "))))");
      EXPECT_EQ(outcome(i.call("f", {})), "ok");
      return e.budget.instructions;
   };
   for (const char* instruction : {"memory.fill", "memory.copy", "memory.init $d"})
      EXPECT_EQ(counted(instruction, 160) - counted(instruction, 0), 10u) << instruction;
   for (const char* instruction : {"table.copy", "table.init $e"})
      EXPECT_EQ(counted(instruction, 100) - counted(instruction, 0), 100u) << instruction;
}

// Tight loops put their locals away when a slice is used up, and find them again.
TEST(Metering, LoopsKeepTheirLocals) {
   const std::string text = R"((module (func (export "run") (param $n i32) (result i64)
      (local $a i64) (local $f f32) (local $d f64) (local $v v128) (local $i i32) (local $j i32)
      (loop $l
         (local.set $a (i64.add (i64.mul (local.get $a) (i64.const 6364136223846793005)) (i64.const 1442695040888963407)))
         (local.set $f (f32.add (local.get $f) (f32.const 0.5)))
         (local.set $d (f64.add (local.get $d) (f64.const 0.25)))
         (local.set $v (i64x2.add (local.get $v) (i64x2.splat (local.get $a))))
         (local.set $i (i32.add (local.get $i) (local.get $j)))
         (local.set $j (i32.add (local.get $j) (i32.const 3)))
         (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (i64.xor (i64.xor (local.get $a) (i64x2.extract_lane 1 (local.get $v)))
         (i64.add (i64.trunc_f32_u (local.get $f)) (i64.add (i64.trunc_f64_u (local.get $d)) (i64.extend_i32_u (local.get $i)))))))
      )";
   const auto checked = checkModule(fromText(text).value(), {});
   ASSERT_TRUE(checked);
   EXPECT_EQ(checked->functions.at(0).kept.size(), 7u);
   constexpr std::uint32_t rounds = 200'000;
   std::uint64_t a = 0, v = 0;
   std::uint32_t i = 0, j = 0;
   for (std::uint32_t n = 0; n < rounds; ++n) {
      a = a * 6364136223846793005u + 1442695040888963407u;
      v += a;
      i += j;
      j += 3;
   }
   const std::uint64_t expected = a ^ v ^ (rounds / 2 + rounds / 4 + std::uint64_t{i});
   for (const bool optimise : {true, false}) {
      TestEngine e({.cacheDir = {}, .instancesMax = 8, .optimise = optimise});
      Instance instance = e.instance(text);
      const ValueType types[] = {ValueType::i32};
      const Value args[] = {Value::of(rounds)};
      Value result{};
      ASSERT_TRUE(instance.call("run", types, args, &result));
      EXPECT_EQ(result.i64, expected);
      EXPECT_GT(e.budget.instructions, 20 * Budget::sliceInstructions);
   }
}

TEST(Metering, WhichLocalsAreKept) {
   const auto kept = [](std::string_view text) {
      const auto checked = checkModule(fromText(text).value(), {});
      EXPECT_TRUE(checked) << checked.error().text();
      return checked->functions.at(0).kept.size();
   };
   EXPECT_EQ(kept("(module (func (param i32) (local i32 i64) (loop (br_if 0 (local.get 0)) (drop (local.get 2)))))"),
             2u);
   EXPECT_EQ(kept("(module (func (param i32) (local i32) (loop (drop (local.get 1)) (loop (br_if 0 (local.get 0))))))"),
             1u);                                                                    // innermost loops only
   EXPECT_EQ(kept("(module (func (param i32) (loop (call 0 (local.get 0)))))"), 0u); // its registers are gone anyway
   std::string many = "(module (func (local";
   for (std::size_t i = 0; i <= keptLocalsMax; ++i)
      many += " i32";
   many += ") (loop";
   for (std::size_t i = 0; i < keptLocalsMax; ++i)
      many += " (drop (local.get " + std::to_string(i) + "))";
   EXPECT_EQ(kept(many + ")))"), keptLocalsMax);
   EXPECT_EQ(kept(many + " (drop (local.get 24)))))"), 0u);
}

TEST(Metering, CanonicalNaN) {
   TestEngine e({.cacheDir = {}, .instancesMax = 8});
   Instance i = e.instance(R"((module (func (export "f") (result i64)
      (i64.reinterpret_f64 (f64.add (f64.const nan:0x4000000000001) (f64.const 1))))
      (func (export "g") (result i32) (i32.reinterpret_f32 (f32.div (f32.const 0) (f32.const 0)))))
   )");
   Value result{};
   ASSERT_TRUE(i.call("f", {}, {}, &result));
   EXPECT_EQ(result.i64, 0x7ff8000000000000u);
   ASSERT_TRUE(i.call("g", {}, {}, &result));
   EXPECT_EQ(result.i32, 0x7fc00000u);
}

TEST(Metering, SameCountWithoutOptimisation) {
   const char* text =
       R"((module (func $f (param i64) (result i64) (if (result i64) (i64.lt_u (local.get 0) (i64.const 2))
      (then (local.get 0)) (else (i64.add (call $f (i64.sub (local.get 0) (i64.const 1))) (call $f (i64.sub (local.get 0) (i64.const 2)))))))
      (func (export "run") (result i64) (call $f (i64.const 22)))))";
   std::uint64_t counts[2];
   for (const bool optimise : {false, true}) {
      TestEngine e({.cacheDir = {}, .instancesMax = 8, .optimise = optimise});
      Instance i = e.instance(text);
      Value result{};
      ASSERT_TRUE(i.call("run", {}, {}, &result));
      EXPECT_EQ(result.i64, 17711u);
      counts[optimise] = e.budget.instructions;
   }
   EXPECT_EQ(counts[0], counts[1]);
   EXPECT_GT(counts[0], 100'000u);
}

/// What runs in a module's place is told where it stops, and counts its marks, also when it comes from the disk.
TEST(Metering, TwinsAreLookedInto) {
   const Bytes code = fromText(R"((module
      (func $inner (param i32) (if (local.get 0) (then (unreachable))))
      (func (export "run") (param i32) (nop) (call $inner (local.get 0)))))")
                          .value();
   const auto checked = checkModule(code, {});
   ASSERT_TRUE(checked);
   Twin whole;
   ASSERT_TRUE(meter(*checked, code, {}, &whole));
   const auto instruction = [&](std::uint8_t opcode) {
      const auto at = std::ranges::find_if(whole.places, [&](const auto& p) { return code[p.code] == opcode; });
      return at == whole.places.end() ? 0 : at->code;
   };
   const std::uint32_t nop = instruction(op::nop), stop = instruction(op::unreachable), call = instruction(op::call);
   ASSERT_TRUE(stop && stop < nop && nop < call);

   const TemporaryFolder folder("twin");
   for (int round = 0; round < 2; ++round) {
      std::vector<std::vector<std::uint32_t>> stops;
      const auto twin = std::make_shared<Twin>();
      twin->code = code;
      twin->hash[0] = 1;
      twin->marks = {stop, nop};
      twin->counts.resize(2);
      twin->stopped = [&](std::span<const std::uint32_t> at) { stops.emplace_back(at.begin(), at.end()); };
      TestEngine e({.cacheDir = folder.path(), .instancesMax = 8, .twin = [&](const CodeHash&) { return twin; }});
      Instance i = e.instance("(module (func (export \"run\") (param i32)))");
      const auto run = [&](std::uint32_t arg) {
         const Value value = Value::of(arg);
         return outcome(i.call("run", std::array{ValueType::i32}, std::span(&value, 1)));
      };
      EXPECT_EQ(run(0), "ok");
      EXPECT_EQ(twin->counts, (std::vector<std::uint64_t>{0, 1}));
      EXPECT_EQ(run(1), "unreachable");
      EXPECT_EQ(twin->counts, (std::vector<std::uint64_t>{1, 2}));
      EXPECT_EQ(stops, (std::vector<std::vector<std::uint32_t>>{{stop, call}}));
      EXPECT_EQ(e.engine.stats().loaded, static_cast<std::uint64_t>(round));
   }
}

} // namespace
} // namespace polis::vm
