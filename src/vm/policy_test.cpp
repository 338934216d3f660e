// Each rule of the module policy, and each refusal.
#include "vm/checked_module.hpp"
#include "vm/policy.hpp"
#include "vm/wat.hpp"

#include <gtest/gtest.h>

namespace polis::vm {
namespace {

Bytes wasm(std::string_view text) {
   auto out = fromText(text);
   if (!out)
      ADD_FAILURE() << out.error();
   return out.value_or(Bytes{});
}

std::string verdict(ByteView code, const Options& options = {}) {
   const auto facts = check(code, options);
   return facts ? "ok" : facts.error().rule;
}

std::string verdict(std::string_view text, const Options& options = {}) { return verdict(wasm(text), options); }

std::uint32_t frame(std::string_view text) {
   const Bytes code = wasm(text);
   auto checked = checkModule(code, {});
   if (!checked) {
      ADD_FAILURE() << checked.error().text();
      return 0;
   }
   return checked->functions.at(0).frameBytes;
}

Bytes sections(std::initializer_list<std::uint8_t> rest) {
   Bytes out{0, 'a', 's', 'm', 1, 0, 0, 0};
   out.insert(out.end(), rest);
   return out;
}

TEST(Policy, FrameOfLocalsAndOperands) {
   EXPECT_EQ(frame("(module (func (local i64 i32 v128) (drop (i64.add (i64.const 1) (i64.const 2)))))"), 60u);
   EXPECT_EQ(frame("(module (func))"), 16u);
   EXPECT_EQ(frame("(module (func (param i64 i64)))"), 16u); // parameters were the caller's operands
   EXPECT_EQ(frame("(module (func (result v128) (v128.const i64x2 0 0)))"), 32u);
}

TEST(Policy, FrameKeepsWhatUnreachableCodeDiscards) {
   EXPECT_EQ(frame("(module (func (block (i64.const 1) (i64.const 2) (br 0)) (drop (i32.const 1))))"), 36u);
   EXPECT_EQ(frame("(module (func (block (i64.const 1) (return)) (drop (i32.const 1))))"), 28u);
   // Nothing is counted inside unreachable code.
   EXPECT_EQ(frame("(module (func (unreachable) (drop (i64.add (i64.const 1) (i64.const 2)))))"), 16u);
   EXPECT_EQ(frame("(module (func (unreachable) (block (drop (i64.const 2)))))"), 16u);
   // The else arm inherits what the first arm leaked; the block's result comes on top.
   EXPECT_EQ(frame("(module (func (if (i32.const 1) (then (i64.const 1) (unreachable)) (else (drop (i64.const 2))))))"),
             32u);
   EXPECT_EQ(frame("(module (func (drop (block (result i64) (i64.const 1) (br 0)))))"), 32u);
   EXPECT_EQ(frame("(module (func (drop (block (result i64) (i64.const 1)))))"), 24u);
}

TEST(Policy, FrameOfCalls) {
   EXPECT_EQ(frame("(module (func (drop (call $f (i64.const 1) (i32.const 2)))) (func $f (param i64 i32) (result i64) "
                   "(local.get 0)))"),
             28u);
}

TEST(Policy, FrameLimit) {
   std::string text = "(module (func ";
   for (int i = 0; i < 40; ++i)
      text += "(local" + [] {
         std::string s;
         for (int j = 0; j < 1000; ++j)
            s += " v128";
         return s;
      }() + ")";
   EXPECT_EQ(verdict(text + "))"), "ok");
   EXPECT_EQ(verdict(text + "(local i32)))"), "too many locals");
}

TEST(Policy, WorkOfTheCompilerIsBounded) {
   auto repeated = [](std::string_view piece, int count, std::string_view locals = "") {
      std::string text = "(module (func (param i32) " + std::string(locals);
      for (int i = 0; i < count; ++i)
         text += piece;
      return text + "))";
   };
   const std::string rule = "a function has too many blocks, branches and calls";
   EXPECT_EQ(verdict(repeated("(block)", 16384)), "ok");
   EXPECT_EQ(verdict(repeated("(block)", 16385)), rule);
   EXPECT_EQ(verdict(repeated("(br_if 0 (local.get 0))", 16385)), rule);
   EXPECT_EQ(verdict(repeated("(call 0 (local.get 0))", 16385)), rule);
   std::string locals = "(local";
   for (int i = 0; i < 8191; ++i)
      locals += " i32";
   locals += ")";
   EXPECT_EQ(verdict(repeated("(block)", 8192, locals)), "ok");
   EXPECT_EQ(verdict(repeated("(block)", 8193, locals)),
             "a function has too many locals for its blocks, branches and calls");
   // And so is the sum over all functions: 256 a byte, and blocks times all else.
   auto many = [](int functions, std::string_view piece, int pieces) {
      std::string function = "(func (param i32) ", text = "(module ";
      for (int i = 0; i < pieces; ++i)
         function += piece;
      for (int i = 0; i < functions; ++i)
         text += function + ")";
      return text + ")";
   };
   const std::string much = "the module is too much work to compile";
   EXPECT_EQ(verdict(many(189, "(block)", 3000)), "ok"); // of 3,000 * 3,001 + 256 * 9,002
   EXPECT_EQ(verdict(many(190, "(block)", 3000)), much);
   EXPECT_EQ(verdict(many(80, "(drop (i64.const -9223372036854775808))", 8700)), "ok"); // 104,402 bytes each
   EXPECT_EQ(verdict(many(81, "(drop (i64.const -9223372036854775808))", 8700)), much);
}

TEST(Policy, Facts) {
   const Bytes code = wasm(R"((module (import "env" "getResult" (func (param i32 i32 i32) (result i32)))
      (memory 3) (table 7 funcref) (global (mut i64) (i64.const 1)) (global i32 (i32.const 1))
      (func $s (drop (i32.add (i32.const 1) (i32.const 2)))) (start $s)
      (func (export "called") (param i64 i64) (loop (drop (i64.div_u (local.get 0) (local.get 1))) (br 0)))))");
   const auto facts = check(code, {});
   ASSERT_TRUE(facts);
   EXPECT_EQ(facts->imports.size(), 1u);
   EXPECT_EQ(facts->imports[0].name, "getResult");
   EXPECT_EQ(facts->imports[0].type.result, ValueType::i32);
   EXPECT_EQ(facts->exports.size(), 1u);
   EXPECT_EQ(facts->exports[0].type.params.size(), 2u);
   EXPECT_EQ(facts->functions, 2u);
   EXPECT_EQ(facts->initialPages, 3u);
   EXPECT_EQ(facts->tableElements, 7u);
   EXPECT_EQ(facts->mutableGlobalBytes, 8u);
   EXPECT_EQ(facts->passCost, 12u); // an addition; a division and a branch
   EXPECT_EQ(facts->largestPassCost, 11u);
   EXPECT_TRUE(facts->hasStart);
}

TEST(Policy, Limits) {
   EXPECT_EQ(verdict("(module (memory 512))"), "ok");
   EXPECT_EQ(verdict("(module (memory 513))"), "the memory exceeds the limit of pages");
   EXPECT_EQ(verdict("(module (memory 1 60000))"), "ok"); // the limit holds at run time
   EXPECT_EQ(verdict("(module (memory 3))", {.maxPages = 2}), "the memory exceeds the limit of pages");
   EXPECT_EQ(verdict("(module (table 8192 funcref))"), "ok");
   EXPECT_EQ(verdict("(module (table 8193 funcref))"), "the table exceeds the limit of elements");
   std::string globals = "(module ";
   for (int i = 0; i < 64; ++i)
      globals += "(global (mut v128) (v128.const i64x2 0 0))";
   EXPECT_EQ(verdict(globals + ")"), "ok");
   EXPECT_EQ(verdict(globals + "(global i64 (i64.const 0)))"), "ok");
   EXPECT_EQ(verdict(globals + "(global (mut i32) (i32.const 0)))"), "mutable globals exceed the limit of bytes");
}

TEST(Policy, Features) {
   EXPECT_EQ(verdict("(module (func (result i32) (i32.extend8_s (i32.const 200))))"), "ok");
   EXPECT_EQ(verdict("(module (func (result i32) (i32.trunc_sat_f32_s (f32.const 1))))"), "ok");
   EXPECT_EQ(verdict("(module (memory 1) (func (memory.copy (i32.const 0) (i32.const 1) (i32.const 2))))"), "ok");
   EXPECT_EQ(
       verdict("(module (memory 1) (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))) (data $d \"x\"))"),
       "ok");
   EXPECT_EQ(verdict("(module (func (result v128) (i8x16.popcnt (v128.const i64x2 0 0))))"), "ok");
   EXPECT_EQ(verdict("(module (global (export \"g\") (mut i32) (i32.const 1)))"), "ok");
   EXPECT_EQ(verdict("(module (table 2 funcref) (elem (i32.const 0) funcref (ref.null func) (ref.func 0)) (func))"),
             "ok");

   EXPECT_EQ(verdict("(module (func (result i32 i32) (i32.const 1) (i32.const 2)))"),
             "functions with several results are not allowed");
   EXPECT_EQ(verdict("(module (func (i32.const 1) (block (param i32) (drop))))"),
             "blocks take no parameters and give at most one result");
   EXPECT_EQ(verdict("(module (func (drop (select (result i32) (i32.const 1) (i32.const 2) (i32.const 3)))))"),
             "select with a type is not allowed");
   EXPECT_EQ(verdict("(module (func (drop (ref.null func))))"), "reference types are not allowed");
   EXPECT_EQ(verdict("(module (func (param funcref)))"), "reference types are not allowed");
   EXPECT_EQ(verdict("(module (table 1 externref))"), "tables hold functions only");
   EXPECT_EQ(verdict("(module (table 1 funcref) (func (drop (table.size 0))))"), "reference types are not allowed");
   EXPECT_EQ(verdict("(module (func (return_call 0)))"), "tail calls are not allowed");
   EXPECT_EQ(verdict("(module (memory 1 1 shared))"), "shared memories are not allowed");
   EXPECT_EQ(verdict("(module (memory i64 1))"), "64-bit memories are not allowed");
   EXPECT_EQ(verdict("(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))"), "threads are not allowed");
   EXPECT_EQ(verdict("(module (memory 1) (memory 1))"), "more than one memory is not allowed");
   EXPECT_EQ(verdict("(module (table 1 funcref) (table 1 funcref))"), "more than one table is not allowed");
   EXPECT_EQ(verdict("(module (func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))))"),
             "relaxed SIMD is not allowed");
   EXPECT_EQ(verdict("(module (global i32 (i32.const 1)) (global i32 (global.get 0)))"),
             "global.get is not allowed in a constant expression");
   EXPECT_EQ(verdict("(module (global i32 (i32.add (i32.const 1) (i32.const 1))))"),
             "a constant expression is one constant");
   EXPECT_EQ(verdict("(module (import \"env\" \"m\" (memory 1)))"), "only functions may be imported");
   EXPECT_EQ(verdict("(module (tag))"), "unknown section");
}

TEST(Policy, Bodies) {
   EXPECT_EQ(verdict("(module (func (i32.add (i32.const 1))))"), "an operand is missing");
   EXPECT_EQ(verdict("(module (func (drop (i32.add (i32.const 1) (i64.const 1)))))"), "an operand has the wrong type");
   EXPECT_EQ(verdict("(module (func (i32.const 1)))"), "a block leaves operands behind");
   EXPECT_EQ(verdict("(module (func (result i32)))"), "an operand is missing");
   EXPECT_EQ(verdict("(module (func (drop (if (result i32) (i32.const 1) (then (i32.const 1))))))"),
             "an if with a result needs an else");
   EXPECT_EQ(verdict("(module (func (br 1)))"), "unknown label");
   EXPECT_EQ(verdict("(module (func (drop (local.get 0))))"), "unknown local");
   EXPECT_EQ(verdict("(module (global i32 (i32.const 0)) (func (global.set 0 (i32.const 1))))"),
             "an immutable global is set");
   EXPECT_EQ(verdict("(module (func (drop (i32.load (i32.const 0)))))"), "unknown memory");
   EXPECT_EQ(verdict("(module (func (call_indirect (i32.const 0))))"), "unknown table");
   EXPECT_EQ(verdict("(module (memory 1) (data (i32.const 65535) \"ab\"))"), "a data segment does not fit the memory");
   EXPECT_EQ(verdict("(module (table 1 funcref) (elem (i32.const 1) 0) (func))"),
             "an element segment does not fit the table");
   EXPECT_EQ(verdict("(module (func (param i32)) (start 0))"), "the start function takes and returns nothing");
   // Unreachable code takes any operand, but not the wrong one.
   EXPECT_EQ(verdict("(module (func (unreachable) (drop (i32.add))))"), "ok");
   EXPECT_EQ(verdict("(module (func (unreachable) (drop (i32.add (i64.const 1) (i32.const 1)))))"),
             "an operand has the wrong type");
}

TEST(Policy, Bytes) {
   EXPECT_EQ(verdict(Bytes{}), "not a WebAssembly module of version 1");
   EXPECT_EQ(verdict(sections({})), "ok");
   EXPECT_EQ(verdict(Bytes{0, 'a', 's', 'm', 2, 0, 0, 0}), "not a WebAssembly module of version 1");
   EXPECT_EQ(verdict(sections({1, 5, 0})), "a section exceeds the module");
   EXPECT_EQ(verdict(sections({1, 2, 0, 0})), "a section is longer than its contents");
   EXPECT_EQ(verdict(sections({3, 1, 0, 1, 1, 0})), "a section is out of order or repeated");
   EXPECT_EQ(verdict(sections({1, 1, 0, 1, 1, 0})), "a section is out of order or repeated");
   EXPECT_EQ(verdict(sections({14, 0})), "unknown section");
   EXPECT_EQ(verdict(sections({0, 2, 1, 0xff})), "a name is not UTF-8");
   EXPECT_EQ(verdict(sections({0, 3, 1, 'x', 0xff})), "ok");
   EXPECT_EQ(verdict(sections({1, 6, 0xff, 0xff, 0xff, 0xff, 0x0f, 0})), "too many items in a section");
   EXPECT_EQ(verdict(sections({1, 6, 0x80, 0x80, 0x80, 0x80, 0x10, 0})), "integer too large");
   EXPECT_EQ(verdict(sections({1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0})), "functions without bodies");
   // One function whose body goes on after its end.
   EXPECT_EQ(verdict(sections({1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 5, 1, 3, 0, 0x0b, 0x01})),
             "a function body goes on after its end");
   EXPECT_EQ(
       verdict(sections({1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 7, 9, 2, 1, 'a', 0, 0, 1, 'a', 0, 0, 10, 4, 1, 2, 0, 0x0b})),
       "two exports have the same name");
   // memory.size whose reserved byte is not zero.
   EXPECT_EQ(verdict(sections({1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1, 10, 7, 1, 5, 0, 0x3f, 1, 0x1a, 0x0b})),
             "a reserved byte is not zero");
   const auto rejected = check(sections({1, 2, 0, 0}), {});
   ASSERT_FALSE(rejected);
   EXPECT_EQ(rejected.error().text(), "a section is longer than its contents (at byte 11)");
}

TEST(Policy, EveryPrefixAndEveryChangedByteIsSurvived) {
   const Bytes code =
       wasm(R"((module (import "env" "f" (func $i (param i32) (result i64))) (memory 1 2) (table 3 funcref)
      (global $g (mut i64) (i64.const 7)) (elem (i32.const 1) $a $b) (data (i32.const 8) "hello")
      (func $a (param i32) (result i64) (local v128 f32) (loop $l (br_if $l (local.get 0))) (call $i (i32.const 3)))
      (func $b (block $x (block $y (br_table $x $y (i32.const 1)))) (global.set $g (call_indirect (param i32) (result i64) (i32.const 1) (i32.const 1))))
      (export "called" (func $b))))");
   ASSERT_TRUE(check(code, {}));
   for (std::size_t n = 0; n < code.size(); ++n)
      static_cast<void>(check(ByteView(code).first(n), {}));
   for (std::size_t n = 0; n < code.size(); ++n)
      for (unsigned bit = 0; bit < 256; bit += 5) {
         Bytes changed = code;
         changed[n] = static_cast<std::uint8_t>(changed[n] ^ bit);
         static_cast<void>(check(changed, {}));
      }
}

} // namespace
} // namespace polis::vm
