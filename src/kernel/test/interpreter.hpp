// A service that calls host functions with any arguments, as its action's raw data says.
#pragma once

#include "base/assert.hpp"
#include "kernel/test/test_chain.hpp"
#include "vm/wat.hpp"

namespace polis::kernel {

/// Where things lie in the memory of the service under test.
inline constexpr std::uint32_t blobsAt = 1024, programAt = 65536, memoryBytes = 4 * 65536;
inline constexpr std::uint8_t pairsFrom = 64, registersFrom = 192, edgesFrom = 224;

/// A program is a list of calls: number of the function, then one byte for each i32 argument and two for each i64. Such
/// a byte names one of 256 words: small numbers, pointers to and sizes of prepared bytes in turns, results of
/// earlier calls, and edges.
inline std::vector<std::uint32_t> words(const std::vector<Bytes>& blobs) {
   std::vector<std::uint32_t> out(256);
   for (std::uint32_t i = 0; i < pairsFrom; ++i)
      out[i] = i;
   std::uint32_t at = blobsAt;
   for (std::size_t i = 0; pairsFrom + 2 * i < registersFrom; ++i) {
      const Bytes& blob = blobs[i % blobs.size()];
      if (i % blobs.size() == 0)
         at = blobsAt;
      out[pairsFrom + 2 * i] = at;
      out[pairsFrom + 2 * i + 1] = static_cast<std::uint32_t>(blob.size());
      at += static_cast<std::uint32_t>(blob.size());
   }
   constexpr std::uint32_t edges[] = {
       ~0u, 0x80000000, 0x7fffffff,    memoryBytes, memoryBytes - 1, programAt, 128,  129,
       64,  65,         programAt - 1, 0xfffffffe,  memoryBytes - 8, 8'388'608, 4096, memoryBytes - 4};
   for (std::uint32_t i = edgesFrom; i < 256; ++i)
      out[i] = edges[i % std::size(edges)];
   return out;
}

/// Prepared bytes: prefixes, keys, lists of handles, actions, and what is none of them.
inline std::vector<Bytes> blobs() {
   const auto call = [](AccountNumber sender, AccountNumber service, const Bytes& program) {
      return format::pack(Action{sender, service, "run"_m, program});
   };
   const Bytes own = prefixOf("alice"_a);
   Bytes under = own;
   append(under, asBytes("row"));
   return {own,
           under,
           Bytes{},
           Bytes(128, 'k'),
           Bytes{'a'},
           toBytes("value"),
           format::pack(std::vector<std::uint32_t>{0}),
           format::pack(std::vector<std::uint32_t>{0, 1, 7}),
           call("alice"_a, "bob"_a, {11, 0, pairsFrom, pairsFrom + 1}), // imports handles and reads which
           call("alice"_a, "alice"_a, {4}),
           call("bob"_a, "plain"_a, {9}),
           call("alice"_a, "bob"_a, {5, pairsFrom + 22, pairsFrom + 23, 0, 0}), // this very action, again and again
           call("alice"_a, "absent"_a, {}),
           Bytes(34, 1),
           toBytes("/there"),
           toBytes(std::string(300, 'x'))};
}

inline std::string literal(ByteView bytes) {
   static constexpr char digits[] = "0123456789abcdef";
   std::string out;
   for (const std::uint8_t byte : bytes)
      out += {'\\', digits[byte >> 4], digits[byte & 15]};
   return out;
}

/// The service's code.
inline const Bytes& interpreter() {
   static const Bytes code = [] {
      const auto functions = hostFunctions();
      std::string imports, cases, opened;
      const auto size = [](vm::ValueType type) { return type == vm::ValueType::i64 ? "i64" : "i32"; };
      for (const auto& function : functions) {
         std::string type, arguments;
         for (const vm::ValueType param : function.type.params) {
            type += std::string(" (param ") + size(param) + ")";
            arguments += param == vm::ValueType::i64 ? " (call $wide)" : " (call $word)";
         }
         std::string invoke = "(call $" + function.name + arguments + ")";
         if (function.type.result) {
            type += std::string(" (result ") + size(*function.type.result) + ")";
            invoke = "(call $keep " + invoke + ")";
         }
         imports += "(import \"env\" \"" + function.name + "\" (func $" + function.name + type + "))\n";
         opened += "(block ";
         cases += ") " + invoke + " (br $next)\n";
      }
      opened += "(block ";
      cases += ") (call $keep (memory.grow (i32.and (call $word) (i32.const 3)))) (br $next)\n";
      const std::string count = std::to_string(functions.size() + 1);
      std::string labels;
      for (std::size_t i = 0; i <= functions.size(); ++i)
         labels += " " + std::to_string(i);
      Bytes start;
      for (const std::uint32_t word : words(blobs()))
         for (unsigned shift = 0; shift < 32; shift += 8)
            start.push_back(static_cast<std::uint8_t>(word >> shift));
      for (const Bytes& blob : blobs())
         append(start, blob);
      ASSERT(start.size() < programAt);
      const std::string text = "(module " + imports + "(memory 4) (data (i32.const 0) \"" + literal(start) + "\")" + R"(
         (global $at (mut i32) (i32.const 0)) (global $end (mut i32) (i32.const 0)) (global $kept (mut i32) (i32.const 0))
         (func $byte (result i32) (local $out i32)
            (if (i32.lt_u (global.get $at) (global.get $end)) (then
               (local.set $out (i32.load8_u (global.get $at)))
               (global.set $at (i32.add (global.get $at) (i32.const 1)))))
            (local.get $out))
         (func $word (result i32) (i32.load (i32.shl (call $byte) (i32.const 2))))
         (func $wide (result i64) (i64.or (i64.extend_i32_u (call $word)) (i64.shl (i64.extend_i32_u (call $word)) (i64.const 32))))
         (func $keep (param $value i32)
            (i32.store offset=768 (i32.shl (i32.and (global.get $kept) (i32.const 31)) (i32.const 2)) (local.get $value))
            (global.set $kept (i32.add (global.get $kept) (i32.const 1))))
         (func (export "start") (param i64))
         (func (export "called") (param i64 i64) (local $size i32) (local $end i32) (local $at i32)
            (local.set $size (call $getCurrentAction))
            (drop (call $getResult (i32.const 65536) (local.get $size) (i32.const 0)))
            (local.set $at (global.get $at)) (local.set $end (global.get $end))
            (global.set $at (i32.const 65570))
            (global.set $end (i32.add (i32.const 65536) (local.get $size)))
            (block $done (loop $next (br_if $done (i32.ge_u (global.get $at) (global.get $end)))
)" + opened + "(br_table" + labels +
                               " (i32.rem_u (call $byte) (i32.const " + count + ")))\n" + cases + R"())
            (global.set $at (local.get $at)) (global.set $end (local.get $end)))))";
      auto made = vm::fromText(text);
      if (!made)
         throw Fault(made.error() + "\n" + text);
      return *made;
   }();
   return code;
}

} // namespace polis::kernel
