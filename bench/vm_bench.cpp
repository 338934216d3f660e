// Figures of the VM. Each line is one JSON object. Argument --quick: few rounds.
#include "vm_bench.hpp"

#include "vm/test_engine.hpp"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace polis::vm {

bool quick = false;

namespace {

const char* const service = R"((module (import "env" "call" (func $call (param i64) (result i64)))
   (import "env" "read" (func $read (param i32 i32))) (memory PAGES) (data (i32.const 8192) "some data") (table 8 funcref)
   (global $self (mut i64) (i64.const 0))
   (func (export "start") (param i64) (global.set $self (local.get 0)))
   (func (export "called") (param i64 i64))
   (func (export "dirty") (param i64 i64) (i32.store (i32.const 8000) (i32.const 1)) (i32.store (i32.const 12300) (i32.const 1))
      (i32.store (i32.const 70000) (i32.const 1)) (i32.store (i32.const 100000) (i32.const 1)))
   (func (export "grow") (param i64 i64) (drop (memory.grow (i32.const 1))) (i32.store (i32.const 131072) (i32.const 1)))
   (func (export "hosts") (param i64) (loop $l (drop (call $call (local.get 0)))
      (br_if $l (i64.ne (i64.const 0) (local.tee 0 (i64.sub (local.get 0) (i64.const 1)))))))
   (func $fib (param i64) (result i64) (if (result i64) (i64.lt_u (local.get 0) (i64.const 2)) (then (local.get 0))
      (else (i64.add (call $fib (i64.sub (local.get 0) (i64.const 1))) (call $fib (i64.sub (local.get 0) (i64.const 2)))))))
   (func (export "fib") (param i64) (drop (call $fib (local.get 0))))
   (func (export "mix") (param i64) (local $x i64) (local $p i32)
      (loop $l
         (local.set $x (i64.add (i64.rotl (i64.xor (local.get $x) (local.get 0)) (i64.const 13)) (i64.const 0x9e3779b9)))
         (local.set $p (i32.and (i32.wrap_i64 (local.get $x)) (i32.const 0x7ff8)))
         (i64.store (local.get $p) (i64.add (i64.load (local.get $p)) (local.get $x)))
         (br_if $l (i64.ne (i64.const 0) (local.tee 0 (i64.sub (local.get 0) (i64.const 1)))))))))";

// Kernels: each exports `run (param i32) (result i64)`; the argument is the number of rounds.

const char* const kernels[][2] = {
    {"hash", R"((func (export "run") (param $n i32) (result i64) (local $h i64) (local $i i32)
   (local.set $h (i64.const 0xcbf29ce484222325))
   (loop $r (local.set $i (i32.const 0))
      (loop $l (local.set $h (i64.mul (i64.xor (local.get $h) (i64.load8_u (local.get $i))) (i64.const 0x100000001b3)))
         (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 65536))))
      (br_if $r (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
   (local.get $h)))"},
    {"wide_multiply",
     R"((func $mul (param $a i64) (param $b i64) (result i64) (local $x i64) (local $y i64) (local $m i64)
   (local.set $x (i64.mul (i64.and (local.get $a) (i64.const 0xffffffff)) (i64.shr_u (local.get $b) (i64.const 32))))
   (local.set $y (i64.mul (i64.shr_u (local.get $a) (i64.const 32)) (i64.and (local.get $b) (i64.const 0xffffffff))))
   (local.set $m (i64.add (i64.and (local.get $x) (i64.const 0xffffffff)) (local.get $y)))
   (i64.xor (i64.mul (local.get $a) (local.get $b)) (i64.add (i64.mul (i64.shr_u (local.get $a) (i64.const 32))
      (i64.shr_u (local.get $b) (i64.const 32))) (i64.add (i64.shr_u (local.get $m) (i64.const 32)) (i64.shr_u (local.get $x) (i64.const 32))))))
  (func (export "run") (param $n i32) (result i64) (local $h i64) (local $i i32) (local.set $h (i64.const 0x9e3779b97f4a7c15))
   (loop $r (local.set $i (i32.const 0))
      (loop $l (local.set $h (i64.add (call $mul (local.get $h) (i64.const 0xd6e8feb86659fd93)) (i64.extend_i32_u (local.get $i))))
         (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000))))
      (br_if $r (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
   (local.get $h)))"},
    {"sort", R"((func $sort (param $lo i32) (param $hi i32) (local $i i32) (local $j i32) (local $p i32) (local $t i32)
   (if (i32.ge_s (local.get $lo) (local.get $hi)) (then (return)))
   (local.set $p (i32.load (i32.and (i32.shr_u (i32.add (local.get $lo) (local.get $hi)) (i32.const 1)) (i32.const -4))))
   (local.set $i (local.get $lo)) (local.set $j (local.get $hi))
   (block $done (loop $l
      (loop $a (if (i32.lt_u (i32.load (local.get $i)) (local.get $p)) (then (local.set $i (i32.add (local.get $i) (i32.const 4))) (br $a))))
      (loop $b (if (i32.gt_u (i32.load (local.get $j)) (local.get $p)) (then (local.set $j (i32.sub (local.get $j) (i32.const 4))) (br $b))))
      (br_if $done (i32.gt_s (local.get $i) (local.get $j)))
      (local.set $t (i32.load (local.get $i))) (i32.store (local.get $i) (i32.load (local.get $j))) (i32.store (local.get $j) (local.get $t))
      (local.set $i (i32.add (local.get $i) (i32.const 4))) (local.set $j (i32.sub (local.get $j) (i32.const 4)))
      (br_if $l (i32.le_s (local.get $i) (local.get $j)))))
   (call $sort (local.get $lo) (local.get $j)) (call $sort (local.get $i) (local.get $hi)))
  (func (export "run") (param $n i32) (result i64) (local $i i32) (local $x i32)
   (loop $r (local.set $i (i32.const 1024)) (local.set $x (i32.const 12345))
      (loop $l (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
         (i32.store (local.get $i) (local.get $x))
         (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 41024))))
      (call $sort (i32.const 1024) (i32.const 41020))
      (br_if $r (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
   (i64.load (i32.const 20000))))"},
    {"float_matrix",
     R"((func (export "run") (param $n i32) (result i64) (local $i i32) (local $j i32) (local $k i32) (local $s f64)
   (loop $z (f64.store (local.get $i) (f64.convert_i32_u (i32.and (local.get $i) (i32.const 248))))
      (br_if $z (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 65536))))
   (loop $r (local.set $i (i32.const 0))
      (loop $li (local.set $j (i32.const 0))
         (loop $lj (local.set $s (f64.const 0)) (local.set $k (i32.const 0))
            (loop $lk (local.set $s (f64.add (local.get $s) (f64.mul
                  (f64.load (i32.shl (i32.add (i32.mul (local.get $i) (i32.const 48)) (local.get $k)) (i32.const 3)))
                  (f64.load offset=20000 (i32.shl (i32.add (i32.mul (local.get $k) (i32.const 48)) (local.get $j)) (i32.const 3))))))
               (br_if $lk (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 48))))
            (f64.store offset=40000 (i32.shl (i32.add (i32.mul (local.get $i) (i32.const 48)) (local.get $j)) (i32.const 3)) (local.get $s))
            (br_if $lj (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 48))))
         (br_if $li (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 48))))
      (br_if $r (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
   (i64.load (i32.const 48000))))"},
    {"copy", R"((func (export "run") (param $n i32) (result i64)
   (loop $r (memory.copy (i32.const 32768) (i32.const 0) (i32.const 32768)) (memory.copy (i32.const 1) (i32.const 32768) (i32.const 30000))
      (br_if $r (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
   (i64.load (i32.const 100))))"},
    {"calls", R"((func $fib (param $n i32) (result i64) (if (result i64) (i32.lt_u (local.get $n) (i32.const 2))
      (then (i64.extend_i32_u (local.get $n)))
      (else (i64.add (call $fib (i32.sub (local.get $n) (i32.const 1))) (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
  (func (export "run") (param $n i32) (result i64) (local $s i64)
   (loop $r (local.set $s (i64.add (local.get $s) (call $fib (i32.const 20))))
      (br_if $r (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
   (local.get $s)))"},
};

/// The same in C++, as the compiler of this program makes it.
std::uint64_t native(std::string_view name, std::uint32_t rounds) {
   static std::vector<std::uint8_t> memory(65536);
   std::uint64_t out = 0;
   volatile std::uint32_t hidden = 1;
   for (std::uint32_t round = 0; round < rounds; ++round) {
      if (name == "hash") {
         std::uint64_t h = round == 0 ? 0xcbf29ce484222325 : out;
         for (const std::uint8_t byte : memory)
            h = (h ^ byte) * 0x100000001b3;
         out = h;
      } else if (name == "wide_multiply") {
         std::uint64_t h = round == 0 ? 0x9e3779b97f4a7c15 : out;
         for (std::uint32_t i = 0; i < 20000; ++i) {
            const auto wide = static_cast<unsigned __int128>(h) * 0xd6e8feb86659fd93;
            h = (static_cast<std::uint64_t>(wide) ^ static_cast<std::uint64_t>(wide >> 64)) + i;
         }
         out = h;
      } else if (name == "sort") {
         static std::vector<std::uint32_t> values(10000);
         std::uint32_t x = 12345;
         for (auto& value : values)
            value = x = x * 1664525 + 1013904223;
         std::sort(values.begin(), values.end());
         out = values[4744];
      } else if (name == "float_matrix") {
         static double a[48 * 48], b[48 * 48], c[48 * 48];
         a[round % 7] = b[round % 5] = hidden;
         for (int i = 0; i < 48; ++i)
            for (int j = 0; j < 48; ++j) {
               double s = 0;
               for (int k = 0; k < 48; ++k)
                  s += a[i * 48 + k] * b[k * 48 + j];
               c[i * 48 + j] = s;
            }
         std::memcpy(&out, c + 7, 8);
      } else if (name == "copy") {
         std::memmove(memory.data() + 32768, memory.data(), 32768);
         std::memmove(memory.data() + 1, memory.data() + 32768, 30000);
         std::memcpy(&out, memory.data() + 100, 8);
      } else {
         struct Fib {
            [[gnu::noinline]] static std::uint64_t of(std::uint32_t n) { return n < 2 ? n : of(n - 1) + of(n - 2); }
         };
         out += Fib::of(19 + hidden);
      }
   }
   return out;
}

/// Node's V8, given the module; ns a round, and the result of one. Zero if there is no node.
struct OfNode {
   double ns = 0;
   std::uint64_t result = 0;
};
OfNode node(ByteView code, std::uint32_t rounds) {
   static const std::string dir = "/tmp/polis_vm_bench." + std::to_string(::getpid());
   std::filesystem::create_directories(dir);
   std::ofstream(dir + "/k.wasm", std::ios::binary)
       .write(reinterpret_cast<const char*>(code.data()), static_cast<std::streamsize>(code.size()));
   std::ofstream(dir + "/k.js")
       << "const w=new WebAssembly.Instance(new WebAssembly.Module(require('fs').readFileSync('" << dir
       << "/k.wasm')));const f=w.exports.run;const n=" << rounds
       << ";const r=BigInt.asUintN(64,new WebAssembly.Instance(new WebAssembly.Module("
       << "require('fs').readFileSync('" << dir << "/k.wasm'))).exports.run(1));"
       << "for(const e=Date.now()+400;Date.now()<e;)f(n);" // until its optimiser is done
       << "const t=[];for(let i=0;i<" << (quick ? 5 : 15)
       << ";++i){const a=process.hrtime.bigint();f(n);t.push(Number(process.hrtime.bigint()-a)/n)}"
       << "t.sort((a,b)=>a-b);console.log(t[t.length>>1],String(r))";
   OfNode out;
   if (FILE* pipe = ::popen(("node " + dir + "/k.js 2>/dev/null").c_str(), "r")) {
      unsigned long long result = 0;
      if (std::fscanf(pipe, "%lf %llu", &out.ns, &result) == 2)
         out.result = result;
      ::pclose(pipe);
   }
   std::filesystem::remove_all(dir);
   return out;
}

void benchKernels(TestEngine& e, Tally& tally) {
   PlainEngine plain;
   for (const auto& [name, body] : kernels) {
      const std::string text = std::string("(module (memory 1)") + body + ")";
      const auto code = fromText(text);
      if (!code) {
         std::fprintf(stderr, "%s: %s\n", name, code.error().c_str());
         std::abort();
      }
      Instance metered = e.instance(text);
      const ValueType types[] = {ValueType::i32};
      auto runMetered = [&](std::uint32_t rounds) {
         const Value args[] = {Value::of(rounds)};
         Value result{};
         must(metered.call("run", types, args, &result));
         return result.i64;
      };
      const std::uint64_t expected = runMetered(1);
      // About a millisecond a measurement.
      const double once = median(1, 1, [&] { runMetered(10); }) / 10;
      const auto rounds = static_cast<std::uint32_t>(std::max(1.0, 2e6 / once));
      double meteredNs = 0, plainNs = 0;
      plain.with(*code, [&](auto&& runPlain) {
         if (runPlain(1) != expected)
            std::abort();
         // In turns, and the best of three medians each: what disturbs one disturbs the other.
         for (int turn = 0; turn < 3; ++turn) {
            const double m = median(1, rounds, [&] { runMetered(rounds); });
            const double p = median(1, rounds, [&] { runPlain(rounds); });
            meteredNs = turn ? std::min(meteredNs, m) : m;
            plainNs = turn ? std::min(plainNs, p) : p;
         }
      });
      volatile std::uint64_t sink = 0;
      const double nativeNs = median(1, rounds, [&] { sink = native(name, rounds); });
      const OfNode v8 = node(*code, rounds);
      if (v8.ns > 0 && v8.result != expected)
         std::fprintf(stderr, "%s: node answers otherwise\n", name);
      figure(name, "native", "time", nativeNs / 1000, "us");
      tally.kernel(name, meteredNs, plainNs, v8.ns);
   }
}

/// Compiling: many functions of ordinary shape.
void benchCompile() {
   std::string text = "(module (memory 1)";
   for (int i = 0; i < (quick ? 300 : 3000); ++i)
      text +=
          "(func (param $n i32) (result i64) (local $h i64) (loop $l (if (i32.and (local.get $n) (i32.const 1)) (then "
          "(i64.store (local.get $n) (i64.mul (local.get $h) (i64.const " +
          std::to_string(i) +
          ")))) (else (local.set $h (i64.add (local.get $h) (i64.load (local.get $n)))))) (br_if $l (local.tee $n "
          "(i32.sub (local.get $n) (i32.const 1))))) (local.get $h))";
   const auto code = fromText(text + ")");
   if (!code)
      std::abort();
   const double mib = static_cast<double>(code->size()) / (1 << 20);
   std::vector<double> times;
   for (int i = 0; i < 3; ++i) {
      TestEngine fresh({.cacheDir = {}, .instancesMax = 8});
      const double start = nowNs();
      if (!fresh.engine.compile(*code, testHash(*code), {}))
         std::abort();
      times.push_back((nowNs() - start) / 1e6 / mib);
   }
   std::sort(times.begin(), times.end());
   figure("compile", "polis", "per_mib", times[1], "ms");
}

/// Compiling what takes longest among the modules that the policy accepts.
void benchLargest() {
   const auto timed = [](const char* name, const Bytes& code) {
      TestEngine fresh({.cacheDir = {}, .instancesMax = 8});
      const double start = nowNs();
      if (const auto made = fresh.engine.compile(code, testHash(code), {}); !made) {
         std::fprintf(stderr, "%s: %s\n", name, made.error().text().c_str());
         std::abort();
      }
      figure(name, "polis", "time", (nowNs() - start) / 1e6, "ms");
   };
   const auto module = [](const std::string& function, std::size_t count) {
      std::string text = "(module (memory 1)";
      for (std::size_t i = 0; i < count; ++i)
         text += function;
      auto code = fromText(text + ")");
      if (!code)
         std::abort();
      return *code;
   };
   // As much work as allowed: blocks side by side in few functions.
   std::string tangled = "(func (param $n i32) (local $h i32)";
   constexpr std::uint64_t branches = 8000;
   for (std::uint64_t i = 0; i < branches / 2; ++i)
      tangled += "(block (br_if 0 (local.get $n)) (local.set $h (i32.add (local.get $h) (local.get $n))))";
   tangled += ")";
   const auto most = [](const Bytes& one) { return limits::moduleWorkMax / check(one, {})->work; };
   timed("compile_most_complex", module(tangled, quick ? 1 : most(module(tangled, 1))));
   // As much plain code as allowed.
   std::string straight = "(func (param $n i32) (result i32) (local $h i32)";
   for (int i = 0; i < 500; ++i)
      straight += "(local.set $h (i32.xor (i32.mul (local.get $h) (i32.const " + std::to_string(i * 77 + 1000) +
                  ")) (i32.load (local.get $n))))";
   straight += "(local.get $h))";
   timed("compile_most_code", module(straight, most(module(straight, 1)) / (quick ? 16 : 1)));
}

void bench() {
   TestEngine e({.cacheDir = {}, .instancesMax = 256});
   e.host.onCall = [](CallContext&, std::uint64_t n) { return n; };
   const int scale = quick ? 1 : 10;
   std::string text = service;
   text.replace(text.find("PAGES"), 5, "32");
   const auto module = e.module(text);
   auto once = [&](const char* what) {
      Instance i = e.engine.instantiate(module, e.budget, &e.host);
      must(i.runStartSection());
      must(i.call("start", {1}));
      must(i.call(what, {1, 2}));
   };
   // Cold: from the bytes of the code to the return, nothing compiled.
   int serial = 0;
   const double cold = median(1, 1, [&] {
      std::string fresh = text;
      fresh.replace(fresh.find("some data"), 9, "data " + std::to_string(1000 + ++serial));
      const auto code = fromText(fresh);
      const auto made = e.engine.compile(*code, testHash(*code), {});
      Instance i = e.engine.instantiate(*made, e.budget, &e.host);
      must(i.call("start", {1}));
      must(i.call("called", {1, 2}));
   });
   figure("empty_action_cold", "polis", "us", cold / 1000, "us");
   // Compiled, but no instance made yet: a pool of none.
   {
      std::vector<Instance> held;
      const double made = median(10, 1, [&] {
         held.push_back(e.engine.instantiate(module, e.budget, &e.host));
         must(held.back().call("start", {1}));
         must(held.back().call("called", {1, 2}));
      });
      figure("empty_action_new_instance", "polis", "us", made / 1000, "us");
      figure("new_instances", "polis", "per_second", 1e9 / made, "1/s");
   }
   for (int i = 0; i < 100; ++i)
      once("called");
   figure("empty_action_untouched", "polis", "us", median(1000 * scale, 1, [&] { once("called"); }) / 1000, "us");
   for (int i = 0; i < 100; ++i)
      once("dirty");
   const double pooled = median(1000 * scale, 1, [&] { once("dirty"); });
   figure("empty_action_pooled", "polis", "us", pooled / 1000, "us"); // four dirty pages restored
   figure("pooled_instances", "polis", "per_second", 1e9 / pooled, "1/s");
   figure("grow_one_page", "polis", "us", median(300 * scale, 1, [&] { once("grow"); }) / 1000, "us");
   Instance i = e.instance(text);
   figure("empty_action_warm", "polis", "us",
          median(100'000 * scale, 1, [&] { must(i.call("called", {1, 2})); }) / 1000, "us");
   figure("host_call", "polis", "ns", median(10 * scale, 10'000, [&] { must(i.call("hosts", {10'000})); }), "ns");
   benchCompile();
   benchLargest();
   Tally tally;
   benchKernels(e, tally);
   benchServices(tally);
   tally.sum();
}

} // namespace

void Tally::kernel(const char* name, double meteredNs, double plainNs, double v8Ns) {
   figure(name, "polis", "time", meteredNs / 1000, "us");
   figure(name, "wasmtime unmetered", "time", plainNs / 1000, "us");
   figure(name, "polis", "metering_overhead", meteredNs / plainNs, "ratio");
   logs_ += std::log(meteredNs / plainNs);
   ++kernels_;
   if (v8Ns <= 0)
      return;
   figure(name, "node v8", "time", v8Ns / 1000, "us");
   figure(name, "node v8", "of_polis", v8Ns / meteredNs, "ratio");
   ++ofV8_;
   asFastAsV8_ += meteredNs <= v8Ns;
}

void Tally::sum() const {
   figure("kernels", "polis", "metering_overhead", std::exp(logs_ / kernels_), "ratio");
   if (ofV8_)
      figure("kernels", "polis", "at_least_as_fast_as_v8", static_cast<double>(asFastAsV8_) / ofV8_, "share");
}

} // namespace polis::vm

int main(int argc, char** argv) {
   for (int i = 1; i < argc; ++i)
      polis::vm::quick |= !std::strcmp(argv[i], "--quick");
   polis::vm::onExecutionStack(polis::vm::bench);
}
