// Figures of the VM. Each line is one JSON object. Argument --quick: few rounds.
#include "vm/test_engine.hpp"

#include <chrono>
#include <cstdio>
#include <cstring>

namespace polis::vm {
namespace {

double nowNs() {
   return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool quick = false;

/// Median over rounds of the time of one of `count` repetitions.
template <class F>
void measure(const char* name, const char* metric, int count, double perCall, F&& f) {
   std::vector<double> times;
   for (int round = 0; round < (quick ? 3 : 15); ++round) {
      const double start = nowNs();
      for (int i = 0; i < count; ++i)
         f();
      times.push_back((nowNs() - start) / count / perCall);
   }
   std::sort(times.begin(), times.end());
   std::printf(
       "{\"suite\":\"vm\",\"case\":\"%s\",\"engine\":\"polis\",\"metric\":\"%s\",\"value\":%.1f,\"unit\":\"ns\"}\n",
       name, metric, times[times.size() / 2]);
}

void must(const std::expected<void, Trap>& result) {
   if (!result) {
      std::fprintf(stderr, "trap: %s\n", std::string(result.error().text()).c_str());
      std::abort();
   }
}

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

void bench() {
   TestEngine e({.cacheDir = {}, .instancesMax = 256});
   e.host.onCall = [](CallContext&, std::uint64_t n) { return n; };
   const int scale = quick ? 1 : 10;
   for (const char* pages : {"2", "32"}) {
      std::string text = service;
      text.replace(text.find("PAGES"), 5, pages);
      const auto module = e.module(text);
      const std::string suffix = std::string("_") + pages + "_pages";
      auto once = [&](const char* what) {
         Instance i = e.engine.instantiate(module, e.budget, &e.host);
         must(i.runStartSection());
         must(i.call("start", {1}));
         must(i.call(what, {1, 2}));
      };
      measure(("empty_action_pooled" + suffix).c_str(), "ns", 1000 * scale, 1, [&] { once("called"); });
      measure(("four_dirty_pages" + suffix).c_str(), "ns", 1000 * scale, 1, [&] { once("dirty"); });
      measure(("grow_one_page" + suffix).c_str(), "ns", 300 * scale, 1, [&] { once("grow"); });
      measure(("instantiate_only" + suffix).c_str(), "ns", 1000 * scale, 1,
              [&] { e.engine.instantiate(module, e.budget, &e.host); });
   }
   std::string text = service;
   text.replace(text.find("PAGES"), 5, "2");
   Instance i = e.instance(text);
   measure("empty_action_warm", "ns", 100'000 * scale, 1, [&] { must(i.call("called", {1, 2})); });
   measure("host_call", "ns", 10 * scale, 10'000, [&] { must(i.call("hosts", {10'000})); });
   measure("fib_25", "ns", scale, 1, [&] { must(i.call("fib", {25})); });
   measure("mix_iteration", "ns", scale, 1'000'000, [&] { must(i.call("mix", {1'000'000})); });
}

} // namespace
} // namespace polis::vm

int main(int argc, char** argv) {
   polis::vm::quick = argc > 1 && !std::strcmp(argv[1], "--quick");
   polis::vm::onExecutionStack(polis::vm::bench);
}
