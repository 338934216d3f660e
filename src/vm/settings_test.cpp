// The same code under different settings of the engine: results, traps, counts and memory, bit by bit.
#include "vm/module_body.hpp"
#include "vm/test_engine.hpp"

#include <cstring>
#include <random>

namespace polis::vm {
namespace {

struct Setting {
   const char* name;
   EngineOptions options;
};

std::vector<Setting> settings() {
   const std::vector<std::string> vectors = {"has_avx",     "has_avx2",     "has_avx512bitalg", "has_avx512dq",
                                             "has_avx512f", "has_avx512vl", "has_avx512vbmi",   "has_fma"};
   const std::vector<std::string> bits = {"has_bmi1", "has_bmi2", "has_lzcnt", "has_popcnt"};
   std::vector<std::string> all = vectors;
   all.insert(all.end(), bits.begin(), bits.end());
   all.insert(all.end(), {"has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_cmpxchg16b"});
   auto with = [](bool optimise, std::vector<std::string> without) {
      return EngineOptions{
          .cacheDir = {}, .instancesMax = 16, .optimise = optimise, .withoutFeatures = std::move(without)};
   };
   return {{"optimised", with(true, {})},
           {"not optimised", with(false, {})},
           {"without wide vectors and fused arithmetic", with(true, vectors)},
           {"without bit instructions", with(true, bits)},
           {"the least processor", with(true, all)},
           {"the least processor, not optimised", with(false, all)},
           {"interpreted", {.cacheDir = {}, .instancesMax = 16, .interpret = true}}};
}

/// Expressions at random, weighted to what differs between processors: floats, conversions, vectors, bits.
class Expressions {
public:
   explicit Expressions(unsigned seed) : random_(seed) {}

   std::string of(const std::string& type, int depth) {
      if (depth <= 0)
         return leaf(type);
      auto sub = [&](const std::string& t) { return of(t, depth - 1); };
      auto unary = [&](std::initializer_list<const char*> ops, const char* from) {
         const std::string op = pick(ops);
         return "(" + op + " " + sub(from) + ")";
      };
      auto binary = [&](std::initializer_list<const char*> ops, const char* from) {
         const std::string op = pick(ops), a = sub(from);
         return "(" + op + " " + a + " " + sub(from) + ")";
      };
      const unsigned kind = draw(8);
      if (kind == 0 && type != "v128") {
         const std::string condition = sub("i32"), a = sub(type);
         return "(if (result " + type + ") " + condition + " (then " + a + ") (else " + sub(type) + "))";
      }
      if (kind == 1)
         return "(" + type + ".load offset=" + std::to_string(draw(64)) + " (i32.and (i32.const 0x7ff8) " + sub("i32") +
                "))";
      if (type == "i32") {
         switch (kind) {
         case 2:
            return binary({"f64.lt", "f64.eq", "f64.ge", "f64.ne"}, "f64");
         case 3:
            return unary({"i32.trunc_sat_f32_s", "i32.trunc_sat_f32_u", "i32.trunc_f32_s", "i32.reinterpret_f32"},
                         "f32");
         case 4:
            return unary(
                {"i8x16.bitmask", "i32x4.extract_lane 2", "v128.any_true", "i16x8.all_true", "i8x16.extract_lane_s 5"},
                "v128");
         case 5:
            return unary({"i32.clz", "i32.ctz", "i32.popcnt", "i32.extend8_s", "i32.eqz"}, "i32");
         default:
            return binary({"i32.add", "i32.mul", "i32.div_s", "i32.rem_u", "i32.shl", "i32.shr_s", "i32.rotr",
                           "i32.and", "i32.xor", "i32.lt_s"},
                          "i32");
         }
      }
      if (type == "i64") {
         switch (kind) {
         case 2:
            return unary({"i64.trunc_sat_f64_s", "i64.trunc_sat_f64_u", "i64.trunc_f64_u", "i64.reinterpret_f64"},
                         "f64");
         case 3:
            return unary({"i64x2.extract_lane 1", "i64x2.extract_lane 0"}, "v128");
         case 4:
            return unary({"i64.extend_i32_s", "i64.extend_i32_u"}, "i32");
         case 5:
            return unary({"i64.clz", "i64.ctz", "i64.popcnt", "i64.extend16_s"}, "i64");
         default:
            return binary({"i64.add", "i64.sub", "i64.mul", "i64.div_u", "i64.rem_s", "i64.shl", "i64.shr_u",
                           "i64.rotl", "i64.or"},
                          "i64");
         }
      }
      if (type == "f32" || type == "f64") {
         const bool single = type == "f32";
         auto named = [&](const std::string& op) { return "(" + type + "." + op; };
         switch (kind) {
         case 2:
            return single ? unary({"f32.convert_i64_u", "f32.convert_i64_s", "f32.convert_i64_u"}, "i64")
                          : unary({"f64.convert_i64_u", "f64.convert_i64_s", "f64.reinterpret_i64"}, "i64");
         case 3:
            return single ? unary({"f32.demote_f64"}, "f64") : unary({"f64.promote_f32"}, "f32");
         case 4:
            return single ? unary({"f32x4.extract_lane 3"}, "v128") : unary({"f64x2.extract_lane 0"}, "v128");
         case 5:
            return named(pick({"sqrt", "ceil", "floor", "trunc", "nearest", "abs", "neg"})) + " " + sub(type) + ")";
         default: {
            const std::string op = pick({"add", "sub", "mul", "div", "min", "max", "copysign"}), a = sub(type);
            return named(op) + " " + a + " " + sub(type) + ")";
         }
         }
      }
      switch (kind) {
      case 2:
         return unary({"i32x4.splat", "i8x16.splat", "i16x8.splat"}, "i32");
      case 3:
         return unary({"f32x4.splat"}, "f32");
      case 4:
         return unary({"f64x2.splat"}, "f64");
      case 5:
         return unary({"f32x4.sqrt", "f64x2.nearest", "f32x4.ceil", "i8x16.popcnt", "i32x4.trunc_sat_f32x4_u",
                       "f32x4.convert_i32x4_u", "f32x4.demote_f64x2_zero", "i32x4.trunc_sat_f64x2_s_zero",
                       "f64x2.promote_low_f32x4", "i16x8.extadd_pairwise_i8x16_u", "i64x2.abs", "v128.not"},
                      "v128");
      default:
         return binary({"f32x4.add", "f32x4.div", "f64x2.mul", "f32x4.min", "f64x2.max", "f32x4.pmin", "i8x16.swizzle",
                        "i64x2.mul", "i32x4.dot_i16x8_s", "i16x8.q15mulr_sat_s", "i8x16.avgr_u", "i8x16.narrow_i16x8_u",
                        "i16x8.sub_sat_s", "i64x2.extmul_high_i32x4_u",
                        "i8x16.shuffle 0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31", "i64x2.gt_s", "f32x4.le",
                        "v128.andnot", "i32x4.max_u"},
                       "v128");
      }
   }

private:
   unsigned draw(unsigned n) { return static_cast<unsigned>(random_() % n); }
   std::string pick(std::initializer_list<const char*> from) {
      return from.begin()[draw(static_cast<unsigned>(from.size()))];
   }

   std::string leaf(const std::string& type) {
      if (type == "v128") {
         const std::string a = leaf("i64");
         return "(i64x2.replace_lane 1 (i64x2.splat " + a + ") " + leaf("i64") + ")";
      }
      if (draw(3) == 0)
         return "(local.get $" + type + ")";
      if (type[0] == 'f')
         return "(" + type + ".const " +
                pick({"nan", "-nan", "inf", "-inf", "0", "-0", "1.5", "-3.25", "1e30", "0x1p-126", "4294967296.5"}) +
                ")";
      if (type == "i64")
         return "(i64.const " +
                pick({"0", "-1", "1", "0x7ff4000000000001", "0x8000000000000000", "255", "0x7fc000017f800001"}) + ")";
      return "(i32.const " + pick({"0", "-1", "1", "0x7fffffff", "0x80000000", "33", "0x7fa00001"}) + ")";
   }

   std::mt19937 random_; // the same everywhere
};

std::string randomModule(unsigned seed) {
   Expressions e(seed);
   std::string out = "(module (memory 1)";
   int n = 0;
   for (int round = 0; round < 4; ++round)
      for (const std::string type : {"i32", "i64", "f32", "f64", "v128"}) {
         const std::string body = e.of(type, 6);
         out += "(func (export \"f" + std::to_string(n++) +
                "\") (param $i32 i32) (param $i64 i64) (param $f32 f32) "
                "(param $f64 f64) (result " +
                type + ") (local $r " + type + ") (local $n i32) (loop $l (local.set $r " + body + ") (" + type +
                ".store (i32.and (i32.const 0x7ff0) (i32.mul (local.get $n) (i32.const 848))) " +
                "(local.get $r)) (local.set $i32 (i32.mul (local.get $i32) (i32.const 0x01000193))) " +
                "(local.set $f64 (f64.mul (local.get $f64) (f64.const -1.1))) " +
                "(br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 5)))) (local.get "
                "$r))";
      }
   return out + ")";
}

const char* const traps =
    "(module (memory 1 3) (table 4 funcref) (elem (i32.const 0) $a) (func $a) (type $t (func (param i64))) (type $v "
    "(func))"
    "(func (export \"f0\") (i32.store (i32.const 65534) (i32.const 7)))"
    "(func (export \"f1\") (call_indirect (type $v) (i32.const 9)))"
    "(func (export \"f2\") (call_indirect (type $t) (i64.const 1) (i32.const 0)))"
    "(func (export \"f3\") (call_indirect (type $v) (i32.const 2)))"
    "(func (export \"f4\") (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))))"
    "(func (export \"f5\") (drop (i64.rem_u (i64.const 1) (i64.const 0))))"
    "(func (export \"f6\") (result i32) (i32.rem_s (i32.const 0x80000000) (i32.const -1)))"
    "(func (export \"f7\") (drop (i32.trunc_f64_s (f64.const 2147483648))))"
    "(func $r (export \"f8\") (local i64 i64) (call $r))"
    "(func (export \"f9\") (loop $l (br $l)))"
    "(func (export \"f10\") (memory.fill (i32.const 65530) (i32.const 1) (i32.const 7)))"
    "(func (export \"f11\") (result i32) (i32.add (memory.grow (i32.const 2)) (memory.grow (i32.const 1))))"
    "(func (export \"f12\") unreachable))";

/// Everything that the module's exports did, as text.
std::vector<std::string> behaviour(TestEngine& e, const std::string& text) {
   Instance instance = e.instance(text);
   const ModuleBody& module = instance.module().body();
   std::vector<std::string> out;
   for (std::uint32_t i = 0; i < module.facts.exports.size(); ++i) {
      const FunctionType& type = module.facts.exports[i].type;
      for (int round = 0; round < 3; ++round) {
         std::vector<wasmtime_val_raw_t> values(std::max<std::size_t>(type.params.size() + 2, 2));
         if (type.params.size() == 4) {
            static constexpr std::uint64_t singles[] = {0x7fa00000, 0x80000000, 0x4b7fffff},
                                           doubles[] = {0x7ff0000000000001, 0x3ff8000000000000, 0xc1e0000000200000};
            values[0].i32 = round * 77 - 1;
            values[1].i64 = round * 0x123456789abcdef - 1;
            std::memcpy(&values[2], &singles[round], 8);
            std::memcpy(&values[3], &doubles[round], 8);
         }
         e.budget.stackBytes = 1 << 20;
         e.budget.instructions = 0;
         e.budget.instructionLimit = 500'000;
         const auto done = instance.body().run(module.firstFunctionExport + i, values, type.result.has_value());
         std::string line = module.facts.exports[i].name + ": " + outcome(done);
         if (done && type.result) {
            std::uint8_t bytes[16];
            std::memcpy(bytes, &values[0], sizeof bytes);
            line += " " + toHex({bytes, sizeBytes(*type.result)});
         }
         line += ", " + std::to_string(e.budget.instructions);
         std::uint64_t hash = 0;
         for (const std::uint8_t byte : instance.memory().read(0, 40'000))
            hash = (hash ^ byte) * 1099511628211u;
         out.push_back(line + ", " + std::to_string(hash));
      }
   }
   return out;
}

TEST(Settings, ChangeNothing) {
   std::vector<std::string> corpus = {traps};
   for (unsigned seed = 1; seed <= 12; ++seed)
      corpus.push_back(randomModule(seed));
   std::vector<std::vector<std::string>> expected;
   std::size_t trapped = 0, finished = 0;
   for (const Setting& setting : settings()) {
      SCOPED_TRACE(setting.name);
      TestEngine e(setting.options);
      for (std::size_t i = 0; i < corpus.size(); ++i) {
         SCOPED_TRACE("module " + std::to_string(i));
         auto got = behaviour(e, corpus[i]);
         if (expected.size() == i) {
            for (const std::string& line : got)
               ++(line.find(": ok") == std::string::npos ? trapped : finished);
            expected.push_back(std::move(got));
         } else {
            EXPECT_EQ(got, expected[i]);
         }
      }
   }
   // Both kinds of ends are there to compare.
   EXPECT_GT(trapped, 50u);
   EXPECT_GT(finished, 300u);
}

/// The machine code of a module.
Bytes machineCode(const EngineOptions& options, const std::string& text) {
   TestEngine e(options);
   const auto module = e.module(text);
   void *begin = nullptr, *end = nullptr;
   wasmtime_module_image_range(module->body().module.get(), &begin, &end);
   return Bytes(static_cast<const std::uint8_t*>(begin), static_cast<const std::uint8_t*>(end));
}

// Without this, the comparison above could pass because a setting does nothing.
TEST(Settings, ChangeTheMachineCode) {
   const std::string text = randomModule(1);
   const auto all = settings();
   const Bytes usual = machineCode(all[0].options, text);
   EXPECT_EQ(machineCode(all[0].options, text), usual);
   EXPECT_NE(machineCode(all[1].options, text), usual);
   EXPECT_NE(machineCode(all.back().options, text), usual);
   for (const auto& [features, single] :
        {std::pair(__builtin_cpu_supports("avx"), "has_avx"), std::pair(__builtin_cpu_supports("popcnt"), "has_popcnt"),
         std::pair(__builtin_cpu_supports("bmi"), "has_bmi1"),
         std::pair(__builtin_cpu_supports("sse4.1"), "has_sse41")}) {
      if (!features)
         continue; // a processor without it makes no use of it
      EngineOptions without = all[0].options;
      without.withoutFeatures = {single};
      // Vectors of AVX stand in for those of SSE 4.1.
      if (std::string_view(single) == "has_sse41")
         without.withoutFeatures = all[4].options.withoutFeatures;
      EXPECT_NE(machineCode(without, text), usual) << single;
   }
}

} // namespace
} // namespace polis::vm
