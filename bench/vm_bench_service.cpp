// Actions of services beside the same wasm in other engines. What the host answers is recorded once and given again to
// each engine, so that the time is that of the service and of its calls out.
#include "vm_bench.hpp"

#include "base/assert.hpp"
#include "cli/test_boot.hpp"
#include "format/chain.hpp"
#include "format/fracpack.hpp"
#include "format/hash.hpp"
#include "format/ids.hpp"
#include "format/keys.hpp"
#include "kernel/kernel.hpp"
#include "kernel/service_instance.hpp"
#include "node/boot.hpp"
#include "node/package.hpp"
#include "vm/engine.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <tuple>
#include <unistd.h>

namespace polis::vm {
namespace {

using namespace format::literals;
using format::AccountNumber;
namespace fs = std::filesystem;

constexpr std::uint32_t functionCount = 0
#define HOST_FUNCTION(...) +1
#include "kernel/host_functions.def"
#undef HOST_FUNCTION
    ;

/// What the host did when it was called.
struct Answer {
   std::uint32_t function; ///< row of host_functions.def
   std::uint32_t result;
   Bytes written; ///< to where the call's first argument points
};
using Answers = std::vector<Answer>;

/// A service, and what the host answered it: first in a new instance, then in each action after.
struct Recording {
   AccountNumber service, sender;
   Bytes code;
   Answers first, again;
};

// --- Recording -------------------------------------------------------------------------------------------------------

/// Writes down what the host answers one service while it runs, action by action.
struct Recorder {
   AccountNumber service;
   bool on = false;
   bool inCall = false; ///< below a call of the service's own
   std::vector<Answers> actions;
};
Recorder recorder; // host functions find nothing of ours but this

const std::vector<HostFunction>& realFunctions() {
   static const std::vector<HostFunction> out = kernel::hostFunctions();
   return out;
}

template <std::uint32_t which>
void answerAndRecord(CallContext& context, const Value* args, Value* result) {
   const HostFunction& real = realFunctions()[which];
   if (!recorder.on || recorder.inCall || context.user<kernel::ServiceInstance>().service() != recorder.service)
      return real.body(context, args, result);
   recorder.inCall = true;
   real.body(context, args, result);
   recorder.inCall = false;
   if (recorder.actions.empty() || (real.name == "getCurrentAction" && !recorder.actions.back().empty()))
      recorder.actions.emplace_back();
   Answer answer{which, real.type.result ? result->i32 : 0, {}};
   const bool isResult = real.name == "getResult";
   if (isResult || real.name == "getKey") {
      const std::uint32_t offset = isResult ? args[2].i32 : 0;
      const GuestSpan written =
          context.memory().read(args[0].i32, std::min(args[1].i32, answer.result - std::min(answer.result, offset)));
      answer.written.assign(written.begin(), written.end());
   }
   recorder.actions.back().push_back(std::move(answer));
}

// --- Giving it again -------------------------------------------------------------------------------------------------

class Replay {
public:
   explicit Replay(const Recording& recording) : again_(recording.again), answers_(&recording.first) {}

   const Answer& answer(std::uint32_t function) {
      if (at_ == answers_->size()) {
         answers_ = &again_;
         at_ = 0;
      }
      const Answer& answer = (*answers_)[at_++];
      ASSERT(answer.function == function);
      return answer;
   }

private:
   const Answers& again_;
   const Answers* answers_;
   std::size_t at_ = 0;
};

template <std::uint32_t which>
void answerAgain(CallContext& context, const Value* args, Value* result) {
   const Answer& answer = context.user<Replay>().answer(which);
   if (!answer.written.empty())
      context.memory().copyTo(args[0].i32, answer.written);
   *result = Value::of(answer.result);
}

/// The kernel's functions, with bodies of ours.
std::vector<HostFunction> functions(bool recording) {
   std::vector<HostFunction> out = realFunctions();
   [&]<std::uint32_t... which>(std::integer_sequence<std::uint32_t, which...>) {
      ((out[which].body = recording ? answerAndRecord<which> : answerAgain<which>), ...);
   }(std::make_integer_sequence<std::uint32_t, functionCount>());
   return out;
}

/// The service in the engine alone.
class PlainService {
public:
   explicit PlainService(const Recording& recording) : recording_(recording), replay_(recording) {
      wasmtime_module_t* made = nullptr;
      if (wasmtime_module_new(engine_.get(), recording.code.data(), recording.code.size(), &made))
         std::abort();
      module_.reset(made);
      linker_.reset(wasmtime_linker_new(engine_.get()));
      bound_.reserve(functionCount);
      for (std::uint32_t i = 0; i < functionCount; ++i) {
         const HostFunction& function = realFunctions()[i];
         bound_.push_back({this, i});
         wasm_functype_t* type = typeOf(function.type);
         if (wasmtime_linker_define_func_unchecked(linker_.get(), "env", 3, function.name.data(), function.name.size(),
                                                   type, answer, &bound_.back(), nullptr))
            std::abort();
         wasm_functype_delete(type);
      }
      store_.reset(wasmtime_store_new(engine_.get(), nullptr, nullptr));
      context_ = wasmtime_store_context(store_.get());
      wasmtime_instance_t instance;
      wasm_trap_t* trap = nullptr;
      if (wasmtime_linker_instantiate(linker_.get(), context_, made, &instance, &trap) || trap)
         std::abort();
      memory_ = find(instance, "memory").of.memory;
      called_ = find(instance, "called").of.func;
      call(find(instance, "start").of.func);
   }
   PlainService(const PlainService&) = delete;
   PlainService& operator=(const PlainService&) = delete;

   void called() { call(called_); }

private:
   struct Bound {
      PlainService* service;
      std::uint32_t function;
   };

   static wasm_trap_t* answer(void* data, wasmtime_caller_t*, wasmtime_val_raw_t* values, std::size_t) {
      const Bound& bound = *static_cast<const Bound*>(data);
      PlainService& self = *bound.service;
      const Answer& answer = self.replay_.answer(bound.function);
      if (!answer.written.empty())
         std::memcpy(wasmtime_memory_data(self.context_, &self.memory_) + static_cast<std::uint32_t>(values[0].i32),
                     answer.written.data(), answer.written.size());
      values[0].i32 = static_cast<std::int32_t>(answer.result);
      return nullptr;
   }

   static wasm_functype_t* typeOf(const FunctionType& type) {
      const auto kind = [](ValueType value) {
         return wasm_valtype_new(value == ValueType::i64 ? WASM_I64 : WASM_I32); // the kernel's take no others
      };
      std::vector<wasm_valtype_t*> params, results;
      for (const ValueType param : type.params)
         params.push_back(kind(param));
      if (type.result)
         results.push_back(kind(*type.result));
      wasm_valtype_vec_t paramVec, resultVec;
      wasm_valtype_vec_new(&paramVec, params.size(), params.data());
      wasm_valtype_vec_new(&resultVec, results.size(), results.data());
      return wasm_functype_new(&paramVec, &resultVec);
   }

   wasmtime_extern_t find(const wasmtime_instance_t& instance, std::string_view name) {
      wasmtime_extern_t item;
      if (!wasmtime_instance_export_get(context_, &instance, name.data(), name.size(), &item))
         std::abort();
      return item;
   }

   void call(const wasmtime_func_t& function) {
      wasmtime_val_raw_t values[2] = {};
      values[0].i64 = static_cast<std::int64_t>(recording_.service.value);
      values[1].i64 = static_cast<std::int64_t>(recording_.sender.value);
      wasm_trap_t* trap = nullptr;
      if (wasmtime_func_call_unchecked(context_, &function, values, 2, &trap) || trap)
         std::abort();
   }

   const Recording& recording_;
   Replay replay_;
   PlainEngine engine_;
   Owned<wasmtime_module_t> module_;
   Owned<wasmtime_linker_t> linker_;
   std::vector<Bound> bound_; ///< does not move
   Owned<wasmtime_store_t> store_;
   wasmtime_context_t* context_ = nullptr;
   wasmtime_memory_t memory_{};
   wasmtime_func_t called_{};
};

std::string script(const Answers& answers) {
   std::string out = "[";
   for (const Answer& answer : answers)
      out += "[" + std::to_string(answer.function) + "," + std::to_string(answer.result) + "," +
             (answer.written.empty() ? "null" : "Buffer.from('" + toHex(answer.written) + "','hex')") + "],";
   return out + "]";
}

/// The service in V8: ns an action; zero if there is no node.
double v8(const Recording& recording, int count) {
   const std::string dir = (fs::temp_directory_path() / ("polis_vm_bench." + std::to_string(::getpid()))).string();
   fs::create_directories(dir);
   std::ofstream(dir + "/s.wasm", std::ios::binary)
       .write(reinterpret_cast<const char*>(recording.code.data()),
              static_cast<std::streamsize>(recording.code.size()));
   std::string names;
   for (const HostFunction& function : realFunctions())
      names += "'" + function.name + "',";
   const std::string service = std::to_string(static_cast<std::int64_t>(recording.service.value)) + "n",
                     sender = std::to_string(static_cast<std::int64_t>(recording.sender.value)) + "n";
   std::ofstream(dir + "/s.js")
       << "let answers=" << script(recording.first) << ",at=0,memory,view={};const again=" << script(recording.again)
       << ";const env={};[" << names << "].forEach((name,which)=>env[name]=(p)=>{"
       << "if(at===answers.length){answers=again;at=0}const a=answers[at++];"
       << "if(a[0]!==which)throw Error(name);if(a[2]){if(view.buffer!==memory.buffer)view=new "
          "Uint8Array(memory.buffer);"
       << "view.set(a[2],p)}return a[1]});"
       << "const i=new WebAssembly.Instance(new WebAssembly.Module(require('fs').readFileSync('" << dir
       << "/s.wasm')),{env});memory=i.exports.memory;i.exports.start(" << service << ");const f=()=>{for(let k=0;k<"
       << count << ";++k)i.exports.called(" << service << "," << sender << ")};"
       << "for(const e=Date.now()+800;Date.now()<e;)f();" // until its optimiser is done
       << "const t=[];for(let k=0;k<" << (quick ? 5 : 15)
       << ";++k){const a=process.hrtime.bigint();f();t.push(Number(process.hrtime.bigint()-a)/" << count << ")}"
       << "t.sort((a,b)=>a-b);console.log(t[t.length>>1])";
   double ns = 0;
   if (FILE* pipe = ::popen(("node " + dir + "/s.js 2>/dev/null").c_str(), "r")) {
      if (std::fscanf(pipe, "%lf", &ns) != 1)
         ns = 0;
      ::pclose(pipe);
   }
   fs::remove_all(dir);
   return ns;
}

void compare(const char* name, const Recording& recording, Tally& tally) {
   Engine engine(functions(false), {.cacheDir = {}, .instancesMax = 8});
   const auto module = engine.compile(recording.code, format::sha256(recording.code), {});
   if (!module) {
      std::fprintf(stderr, "%s: %s\n", name, module.error().text().c_str());
      std::abort();
   }
   Replay replay(recording);
   Budget budget;
   Instance metered = engine.instantiate(*module, budget, &replay);
   must(metered.runStartSection());
   must(metered.call("start", {recording.service.value}));
   const auto called = [&] { must(metered.call("called", {recording.service.value, recording.sender.value})); };
   called();
   const std::uint64_t before = budget.instructions;
   called();
   figure(name, "polis", "instructions", static_cast<double>(budget.instructions - before), "count");

   PlainService plain(recording);
   plain.called();
   const double once = median(1, 1, called);
   const int count = std::max(1, static_cast<int>(2e6 / once)); // about two milliseconds a measurement
   double meteredNs = 0, plainNs = 0;
   // In turns, and the best of three medians each: what disturbs one disturbs the other.
   for (int turn = 0; turn < 3; ++turn) {
      const double m = median(count, 1, called);
      const double p = median(count, 1, [&] { plain.called(); });
      meteredNs = turn ? std::min(meteredNs, m) : m;
      plainNs = turn ? std::min(plainNs, p) : p;
   }
   tally.kernel(name, meteredNs, plainNs, v8(recording, count));
}

// --- The actions -----------------------------------------------------------------------------------------------------

/// A service of the standard packages.
Bytes serviceCode(const node::PackageFolder& folder, const std::string& package, AccountNumber service) {
   const auto found = folder.resolve({package});
   if (!found)
      throw std::runtime_error(found.error());
   const node::PackagedService* const out = found->back().service(service);
   ASSERT(out);
   return out->code;
}

/// `verify-sig`: one P-256 signature an action, beside OpenSSL.
void verifySignature(const node::PackageFolder& packages, Tally& tally) {
   Recording recording{"verify-sig"_a, AccountNumber(), serviceCode(packages, "AuthSig", "verify-sig"_a), {}, {}};
   const auto key = format::PrivateKey::generate();
   const auto hash = format::sha256("what is signed");
   const auto proof = key.sign(hash);
   const Bytes spki = key.publicKey().spki();
   const double native = median(10, 1, [&] {
      if (!format::verifySignature(spki, hash, proof))
         std::abort();
   });
   figure("p256_verify", "openssl", "time", native / 1000, "us");

   const Bytes action = format::pack(format::Action{
       {},
       "verify-sig"_a,
       "verifySys"_m,
       format::pack(format::VerifyArgs{hash, {"verify-sig"_a, spki}, Bytes(proof.begin(), proof.end())})});
   const auto size = static_cast<std::uint32_t>(action.size());
   for (std::uint32_t i = 0; i < functionCount; ++i)
      if (const std::string& name = realFunctions()[i].name; name == "getCurrentAction")
         recording.first.insert(recording.first.begin(), {i, size, {}});
      else if (name == "getResult")
         recording.first.push_back({i, size, action});
   recording.again = recording.first;
   compare("p256_verify", recording, tally);
}

/// An amount of a token, as its service takes it.
struct Quantity {
   std::uint64_t value = 0;
};

template <class... Args>
format::Action action(std::string_view sender, std::string_view service, std::string_view method,
                      const Args&... arguments) {
   return {AccountNumber(sender), AccountNumber(service), format::MethodNumber(method),
           format::pack(std::tuple(arguments...))};
}

void push(kernel::TestChain& chain, std::vector<format::Action> actions) {
   const auto head = chain.head();
   format::Transaction transaction;
   if (actions.front().sender) { // what starts a block references none
      transaction.tapos.refBlockIndex = static_cast<std::uint8_t>(head->num & 0x7f);
      transaction.tapos.refBlockSuffix = format::refBlockSuffix(head->id);
   }
   transaction.tapos.expiration.seconds = head->header->time.microseconds / 1'000'000 + 60;
   transaction.actions = std::move(actions);
   format::SignedTransaction whole;
   whole.transaction = format::Nested<format::Transaction>(transaction);
   if (const auto trace = chain.push(whole); trace.error)
      throw std::runtime_error("a transaction failed: " + *trace.error);
}

/// What the host of a booted chain answers `tokens` when alice credits bob, who debits automatically.
void recordTransfers(const node::PackageFolder& packages, const fs::path& folder) {
   Engine engine(functions(true), {.cacheDir = folder / "code", .instancesMax = 256});
   cli::TestBoot boot;
   boot.packages = node::defaultBootPackages(packages);
   boot.host = "polis.localhost";
   const auto chain = kernel::TestChain::open(folder / "chain", {.create = true, .write = true}, engine, {});
   bootTestChain(*chain, packages, boot);
   const auto startBlock = [&] {
      chain->finishBlock();
      chain->startBlock({chain->head()->header->time.microseconds + 1'000'000, "prod"_a, 0, 0});
      push(*chain, {action("", "transact", "startBlock")});
   };
   startBlock();
   for (const char* account : {"alice-one", "bob-two-a"}) {
      const AccountNumber name{std::string_view(account)};
      push(*chain, {action("prod", "accounts", "newAccount", name, "auth-any"_a, true)});
      push(*chain, {action(account, "tokens", "setUserConf", std::uint8_t{0}, true),
                    action(account, "faucet-tok", "dispense", name)});
   }
   chain->finishBlock();
   format::HttpRequest request;
   request.host = "faucet-tok." + boot.host;
   request.method = "GET";
   request.target = "/api/token";
   const auto reply = chain->serve(request)->reply();
   const auto answer = reply ? format::unpack<format::HttpReply>(*reply) : format::HttpReply{};
   unsigned token = 0;
   if (!answer || std::sscanf(std::string(asText(answer->body)).c_str(), R"({"tokenId":%u)", &token) != 1)
      throw std::runtime_error("the faucet does not tell its token");
   startBlock();
   const auto credit = action("alice-one", "tokens", "credit", std::uint32_t{token}, "bob-two-a"_a, Quantity{1},
                              std::string("a transfer"));
   recorder.on = true;
   push(*chain, {credit, credit, credit});
   recorder.on = false;
}

/// `tokens::credit`, as the kernel runs it.
void transfer(const node::PackageFolder& packages, Tally& tally) {
   Recording recording{"tokens"_a, AccountNumber("alice-one"), serviceCode(packages, "Tokens", "tokens"_a), {}, {}};
   const fs::path folder = fs::temp_directory_path() / ("polis_vm_chain." + std::to_string(::getpid()));
   recorder.service = recording.service;
   try {
      recordTransfers(packages, folder);
   } catch (const kernel::TesterError& error) {
      throw std::runtime_error(error.text);
   }
   fs::remove_all(folder);
   ASSERT(recorder.actions.size() == 3);
   recording.first = recorder.actions.front();
   recording.again = recorder.actions.back();
   figure("token_credit", "polis", "host_calls", static_cast<double>(recording.again.size()), "count");
   compare("token_credit", recording, tally);
}

} // namespace

void benchServices(Tally& tally) {
   const auto packages = node::PackageFolder::open(node::defaultPackageFolder());
   verifySignature(packages, tally);
   transfer(packages, tally);
}

} // namespace polis::vm
