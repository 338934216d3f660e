// What the tests of vm share: an engine with a few host functions.
#pragma once

#include "vm/engine.hpp"
#include "vm/execution_thread.hpp"
#include "vm/wat.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace polis::vm {

/// What host functions find as their user. `onCall` is what "env.call" does.
struct TestHost {
   std::function<std::uint64_t(CallContext&, std::uint64_t)> onCall;
   Bytes log;
};

/// env.call (i64) → i64; env.read (ptr, len): appends to log; env.write (ptr, len): fills with 7s; env.throw; env.three
/// (i32 i64 f64) → f64
inline std::vector<HostFunction> testFunctions() {
   using enum ValueType;
   return {
       {"call",
        {{i64}, i64},
        [](CallContext& c, const Value* a, Value* r) { r->i64 = c.user<TestHost>().onCall(c, a[0].i64); }},
       {"read",
        {{i32, i32}, {}},
        [](CallContext& c, const Value* a, Value*) {
           append(c.user<TestHost>().log, c.memory().read(a[0].i32, a[1].i32));
        }},
       {"write",
        {{i32, i32}, {}},
        [](CallContext& c, const Value* a, Value*) {
           for (std::uint8_t& byte : c.memory().write(a[0].i32, a[1].i32))
              byte = 7;
        }},
       {"throw", {{}, {}}, [](CallContext&, const Value*, Value*) { throw std::runtime_error("from the host"); }},
       {"three",
        {{i32, i64, f64}, f64},
        [](CallContext&, const Value* a, Value* r) {
           r->f64 = static_cast<double>(a[0].i32) + static_cast<double>(a[1].i64) + a[2].f64;
        }},
   };
}

inline CodeHash testHash(ByteView code) {
   CodeHash out{};
   std::uint64_t h = 1469598103934665603u;
   for (std::size_t i = 0; i < code.size(); ++i) {
      h = (h ^ code[i]) * 1099511628211u;
      out[i % 24] = static_cast<std::uint8_t>(out[i % 24] + (h >> 40));
   }
   for (int i = 0; i < 8; ++i)
      out[24 + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(h >> (8 * i));
   return out;
}

class TestEngine {
public:
   explicit TestEngine(EngineOptions options = {.cacheDir = {}, .instancesMax = 64})
      : engine(testFunctions(), std::move(options)) {}

   std::shared_ptr<const Module> module(std::string_view text, const Options& options = {}) {
      auto code = fromText(text);
      if (!code)
         throw std::runtime_error(code.error());
      auto made = engine.compile(*code, testHash(*code), options);
      if (!made)
         throw std::runtime_error(made.error().text());
      return *made;
   }

   Instance instance(std::string_view text, const Options& options = {}) {
      return engine.instantiate(module(text, options), budget, &host);
   }

   Budget budget;
   TestHost host;
   Engine engine;
};

/// "ok" or the trap's text.
inline std::string outcome(const std::expected<void, Trap>& result) {
   return result ? "ok" : std::string(result.error().text());
}

} // namespace polis::vm
