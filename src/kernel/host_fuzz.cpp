// Any sequence of host calls with any arguments ends in an answer or a failure, never in a crash; and two nodes that
// run the same sequences see the same traces and make the same blocks, though one of them runs in used instances. A
// libFuzzer target, and a test with sequences of its own.
#include "base/assert.hpp"
#include "format/ids.hpp"
#include "kernel/kernel.hpp"
#include "kernel/test/test_chain.hpp"
#include "vm/wat.hpp"

#include <random>

namespace polis::kernel {
namespace {

/// Where things lie in the memory of the service under test.
constexpr std::uint32_t blobsAt = 1024, programAt = 65536, memoryBytes = 4 * 65536;
constexpr std::uint8_t pairsFrom = 64, registersFrom = 192, edgesFrom = 224;

/// A program is a list of calls: number of the function, then one byte for each i32 argument and two for each i64. Such
/// a byte names one of 256 words: small numbers, pointers to and sizes of prepared bytes in turns, results of
/// earlier calls, and edges.
std::vector<std::uint32_t> words(const std::vector<Bytes>& blobs) {
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
std::vector<Bytes> blobs() {
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

std::string literal(ByteView bytes) {
   static constexpr char digits[] = "0123456789abcdef";
   std::string out;
   for (const std::uint8_t byte : bytes)
      out += {'\\', digits[byte >> 4], digits[byte & 15]};
   return out;
}

/// The service under test.
const Bytes& interpreter() {
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

/// A chain whose services run programs.
class Node {
public:
   explicit Node(const std::string& name)
      : folder_(std::filesystem::temp_directory_path() /
                ("polis-host-fuzz-" + std::to_string(::getpid()) + "-" + name)) {
      std::filesystem::remove_all(folder_);
      std::filesystem::create_directories(folder_);
      store_ = store::Store::open(folder_ / "store");
      journal_ = store::Journal::open(folder_ / "journal");
      KernelOptions options;
      options.traceBytes = 4096; // so small that it is often full
      kernel_ = std::make_unique<Kernel>(*store_, *journal_, testEngine(), host_, options);
      format::GenesisActionData data;
      data.services.push_back({"transact"_a, CodeRow::isPrivileged, 0, 0, puppetCode()});
      for (const auto& [account, flags] : std::map<AccountNumber, std::uint64_t>{{"alice"_a, CodeRow::isPrivileged},
                                                                                 {"bob"_a, CodeRow::isPrivileged},
                                                                                 {"plain"_a, 0},
                                                                                 {"verify"_a, CodeRow::isVerify}})
         data.services.push_back({account, flags, 0, 0, interpreter()});
      LocalTemplate local;
      local.services.push_back({"local"_a, CodeRow::isPrivileged, interpreter()});
      if (!kernel_->firstStart(local, {}, {"test", "{}"}))
         throw Fault("no local services");
      const auto boot = kernel_->pushBoot(
          {transaction({AccountNumber(), AccountNumber(), "boot"_m, format::pack(data)})}, "prod"_a, time_);
      if (!boot || boot->error)
         throw Fault("cannot boot: " + (boot ? *boot->error : boot.error().reason));
   }
   ~Node() {
      kernel_.reset();
      journal_.reset();
      store_.reset();
      std::filesystem::remove_all(folder_);
   }
   Node(const Node&) = delete;
   Node& operator=(const Node&) = delete;

   /// Everything that can be seen of the program, in every mode of running.
   std::vector<Bytes> run(const Bytes& program) {
      using format::RunMode;
      std::vector<Bytes> out;
      time_ += 1'000'000;
      if (!kernel_->startBlock({time_, "prod"_a, 0, 0}))
         throw Fault("no block");
      out.push_back(format::pack(kernel_->push(transaction({"alice"_a, "alice"_a, "run"_m, program}))));
      const auto sealed = kernel_->sealBlock({});
      if (!sealed)
         throw Fault("cannot seal: " + sealed.error().reason);
      out.push_back(toBytes(ByteView(sealed->id)));
      for (const auto& [mode, service] :
           {std::pair(RunMode::verify, "verify"_a), std::pair(RunMode::speculative, "alice"_a),
            std::pair(RunMode::rpc, "local"_a), std::pair(RunMode::callback, "local"_a),
            std::pair(RunMode::callback, "plain"_a)})
         out.push_back(format::pack(kernel_->runAction(mode, {service, service, "run"_m, program})));
      return out;
   }

private:
   static format::SignedTransaction transaction(Action action) {
      format::Transaction t;
      t.actions.push_back(std::move(action));
      format::SignedTransaction out;
      out.transaction = format::Nested<format::Transaction>(t);
      return out;
   }

   std::filesystem::path folder_;
   TestHost host_;
   std::unique_ptr<store::Store> store_;
   std::unique_ptr<store::Journal> journal_;
   std::unique_ptr<Kernel> kernel_;
   std::int64_t time_ = 1'700'000'000'000'000;
};

/// Two nodes that saw the same programs.
class Twins {
public:
   std::vector<Bytes> run(const Bytes& program) {
      auto seen = one_.run(program);
      ASSERT(seen == two_.run(program));
      return seen;
   }

private:
   Node one_{"one"}, two_{"two"};
};

} // namespace

#ifdef POLIS_FUZZ_MAIN

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
   static std::unique_ptr<Twins> twins;
   static unsigned runs = 0;
   constexpr std::size_t programBytesMax = 4096;
   vm::onExecutionStack([&] {
      if (runs++ % 4096 == 0) { // their stores grow
         twins.reset();
         twins = std::make_unique<Twins>();
      }
      twins->run(Bytes(data, data + std::min(bytes, programBytesMax)));
   });
   return 0;
}

#else

namespace {

/// Calls that fit their function more often than not.
Bytes randomProgram(std::mt19937& random) {
   static const auto functions = hostFunctions();
   const auto pick = [&](unsigned from, unsigned count) { return static_cast<std::uint8_t>(from + random() % count); };
   const auto word = [&] {
      switch (random() % 8) {
      case 0:
         return pick(registersFrom, 32);
      case 1:
         return pick(edgesFrom, 32);
      case 2:
         return pick(0, 64);
      default:
         return pick(0, 5);
      }
   };
   Bytes out;
   for (unsigned left = 1 + random() % 24; left; --left) {
      const std::uint8_t which = pick(0, static_cast<unsigned>(functions.size()) + 1);
      out.push_back(which);
      if (which == functions.size()) {
         out.push_back(word());
         continue;
      }
      const auto& params = functions[which].type.params;
      for (std::size_t i = 0; i < params.size(); ++i) {
         // Two i32 in a row are mostly a pointer and a size.
         if (params[i] == vm::ValueType::i32 && i + 1 < params.size() && params[i + 1] == vm::ValueType::i32 &&
             random() % 8 < 5) {
            const auto pair = static_cast<std::uint8_t>(pairsFrom + 2 * (random() % 16));
            out.push_back(pair);
            out.push_back(static_cast<std::uint8_t>(pair + 1));
            ++i;
            continue;
         }
         out.push_back(word());
         if (params[i] == vm::ValueType::i64)
            out.push_back(random() % 4 ? 0 : word());
      }
   }
   return out;
}

} // namespace

TEST(HostSequences, TwoNodesSeeTheSame) {
   vm::onExecutionStack([] {
      Twins twins;
      std::mt19937 random(7);
      std::size_t good = 0;
      constexpr std::size_t programs = 300;
      for (std::size_t i = 0; i < programs; ++i) {
         const auto seen = twins.run(randomProgram(random));
         good += !format::unpack<format::TransactionTrace>(seen.at(0))->error;
      }
      // Both ends are reached: programs that run through, and programs that are stopped.
      EXPECT_GT(good, 5u);
      EXPECT_LT(good, programs);
   });
}

#endif

} // namespace polis::kernel
