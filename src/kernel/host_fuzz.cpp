// Any sequence of host calls with any arguments ends in an answer or a failure, never in a crash; and two nodes that
// run the same sequences see the same traces and make the same blocks, though one of them runs in used instances. A
// libFuzzer target, and a test with sequences of its own.
#include "kernel/test/interpreter.hpp"

#include <random>

namespace polis::kernel {
namespace {

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
