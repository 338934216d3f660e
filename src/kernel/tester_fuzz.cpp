// Any sequence of calls of a test program, with any arguments: answered, or the program ends with a text; never a
// crash. Files and the shell are left out: a test program may do there what its owner may.
#include "base/assert.hpp"
#include "base/fault.hpp"
#include "kernel/databases.hpp"
#include "kernel/test/test_chain.hpp"
#include "kernel/tester_program.hpp"

#include <memory>

namespace polis::kernel {
namespace {

/// The bytes of the input, taken from the front. Behind the end come zeros.
class Input {
public:
   explicit Input(ByteView bytes) : bytes_(bytes) {}
   bool empty() const { return bytes_.empty(); }
   std::uint8_t byte() {
      if (bytes_.empty())
         return 0;
      const std::uint8_t out = bytes_.front();
      bytes_ = bytes_.subspan(1);
      return out;
   }
   std::uint64_t wide() {
      const std::uint8_t kind = byte();
      if (kind < 250)
         return kind;
      std::uint64_t out = 0;
      for (int i = 0; i < 8; ++i)
         out = out << 8 | byte();
      return kind < 253 ? out : kind == 253 ? ~std::uint64_t{0} : std::uint64_t{1} << (out % 64);
   }
   std::uint32_t word() { return static_cast<std::uint32_t>(wide()); }
   Bytes bytes(std::size_t count) {
      Bytes out(count);
      for (auto& b : out)
         b = byte();
      return out;
   }

private:
   ByteView bytes_;
};

const AccountNumber transactAccount = "transact"_a, alice = "alice"_a, plain = "plain"_a, verify = "verify"_a;

format::SignedTransaction transactionOf(Action action) {
   format::Transaction t;
   t.actions.push_back(std::move(action));
   format::SignedTransaction out;
   out.transaction = format::Nested<format::Transaction>(t);
   return out;
}

/// A chain of two blocks that every run clones.
struct World {
   std::filesystem::path folder =
       std::filesystem::temp_directory_path() / ("polis-tester-fuzz-" + std::to_string(::getpid()));
   std::shared_ptr<store::Store> store;
   std::unique_ptr<TesterCalls> calls;

   World() {
      std::filesystem::remove_all(folder);
      std::filesystem::create_directories(folder);
      store = store::Store::open(folder);
      TesterOptions options;
      options.log = [](Severity, std::string_view, std::optional<AccountNumber>) {};
      options.cpuNs = 20'000'000;
      calls = std::make_unique<TesterCalls>(store, testEngine(), std::move(options));
      ASSERT(calls->createChain(0, 0, 0, 0) == 0);
      TestChain& chain = calls->chain(0);
      format::GenesisActionData data;
      for (const auto& [account, flags] :
           std::map<AccountNumber, std::uint64_t>{{transactAccount, CodeRow::isPrivileged},
                                                  {alice, CodeRow::isPrivileged},
                                                  {plain, 0},
                                                  {verify, CodeRow::isVerify}})
         data.services.push_back({account, flags, 0, 0, puppetCode()});
      chain.startBlock({1'700'000'000'000'000, "prod"_a, 0, 0});
      ASSERT(!chain.push(transactionOf({AccountNumber(), AccountNumber(), "boot"_m, format::pack(data)})).error);
      chain.finishBlock();
      const CodeRow row{"x-http"_a, CodeRow::isPrivileged, format::sha256(ByteView(puppetCode())), 0, 0};
      const format::CodeByHashRow code{row.codeHash, 0, 0, puppetCode()};
      chain.put(db::nativeSubjective, row.key(), format::pack(row));
      chain.put(db::nativeSubjective, code.key(), format::pack(code));
   }
   ~World() {
      calls.reset();
      store.reset();
      std::filesystem::remove_all(folder);
   }
};

/// Bytes that an argument may be: good ones, and ones of the input's choice.
Bytes bytesArgument(Input& in) {
   switch (in.byte() % 8) {
   case 0:
      return format::pack(transactionOf({alice, alice, "run"_m, in.bytes(in.byte())}));
   case 1: {
      auto replayed = transactionOf({plain, plain, "run"_m, in.bytes(in.byte())});
      replayed.subjectiveData.emplace(in.byte() % 4, in.bytes(in.byte() % 8));
      return format::pack(replayed);
   }
   case 2:
      return format::pack(
          Action{AccountNumber(in.wide()), in.byte() % 2 ? alice : verify, "run"_m, in.bytes(in.byte())});
   case 3: {
      format::HttpRequest request;
      request.method = in.byte() % 2 ? "GET" : "POST";
      request.target = toText(in.bytes(in.byte() % 64));
      request.body = in.bytes(in.byte() % 64);
      return format::pack(request);
   }
   case 4: {
      static const Bytes keys[] = {format::StatusRow::key(),
                                   CodeRow::key(alice),
                                   format::WasmConfigRow::key(NativeTable::transactionWasmConfig),
                                   format::ConfigRow::key(),
                                   format::NotifyRow::key(format::NotifyType::acceptTransaction),
                                   format::RunRow::key(1),
                                   prefixOf(alice)};
      return keys[in.byte() % std::size(keys)];
   }
   case 5: {
      // What rows such as these may hold.
      format::WasmConfigRow wasm;
      wasm.numExecutionMemories = in.word();
      wasm.vmOptions = {in.word(), in.word(), in.word(), in.word() % (1u << 20)};
      return format::pack(wasm);
   }
   default:
      return in.bytes(in.byte());
   }
}

void call(TesterCalls& calls, Input& in) {
   const std::uint8_t which = in.byte() % 25;
   const std::uint32_t chain = in.byte() % 16 ? 1 + in.byte() % 4 : in.word();
   std::array<std::uint8_t, 32> id{};
   std::array<std::uint8_t, 4> size{};
   std::array<std::uint8_t, 64> out{};
   switch (which) {
   case 0:
      calls.createChain(in.wide(), in.wide(), in.wide(), in.wide());
      return;
   case 1:
      calls.cloneChain(chain);
      return;
   case 2: {
      const Bytes given = in.bytes(32);
      std::copy(given.begin(), given.end(), id.begin());
      if (in.byte() % 2)
         id = calls.chain(chain).head()->id;
      return calls.getFork(chain, id);
   }
   case 3:
      if (chain)
         calls.destroyChain(chain);
      return;
   case 4:
      if (chain)
         calls.shutdownChain(chain);
      return;
   case 5:
      return calls.startBlock(chain, 1'700'000'000'000'000 + in.wide() * 1'000'000, in.wide(), in.word(), in.word());
   case 6:
      return calls.finishBlock(chain);
   case 7:
   case 8:
   case 9:
      calls.pushTransaction(chain, bytesArgument(in));
      return;
   case 10:
   case 11:
      calls.runAction(chain, in.byte() % 8 ? in.byte() % 4 : in.word(), in.byte() % 2, bytesArgument(in));
      return;
   case 12:
      calls.httpRequest(chain, bytesArgument(in));
      return;
   case 13:
      calls.socketRecv(in.word(), size);
      return;
   case 14:
      return calls.checkoutSubjective(chain);
   case 15:
      calls.commitSubjective(chain);
      return;
   case 16:
      return calls.abortSubjective(chain);
   case 17:
      calls.kvGet(chain, in.word(), bytesArgument(in));
      return;
   case 18:
      calls.kvMax(chain, in.word(), bytesArgument(in));
      return;
   case 19:
      calls.kvGreaterEqual(chain, in.word(), bytesArgument(in), in.word());
      return;
   case 20:
      calls.kvLessThan(chain, in.word(), bytesArgument(in), in.word());
      return;
   case 21: {
      const std::uint32_t database = in.word();
      const Bytes key = bytesArgument(in);
      return calls.kvPut(chain, database, key, bytesArgument(in));
   }
   case 22:
      return calls.kvRemove(chain, in.word(), bytesArgument(in));
   case 23:
      return calls.commitState(chain);
   default:
      calls.kvGetTransactionUsage(chain);
      calls.getResult(std::span(out).first(in.byte() % 65), in.word());
      calls.getKey(std::span(out).first(in.byte() % 65));
   }
}

} // namespace
} // namespace polis::kernel

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   using namespace polis;
   using namespace polis::kernel;
   static std::unique_ptr<World> world;
   static unsigned runs = 0;
   constexpr unsigned callsMax = 64, runsPerWorld = 2048;
   vm::onExecutionStack([&] {
      if (runs++ % runsPerWorld == 0) { // its store grows
         world.reset();
         world = std::make_unique<World>();
      }
      TesterCalls& calls = *world->calls;
      Input in(ByteView(data, size));
      std::vector<std::uint32_t> mine{calls.cloneChain(0), calls.cloneChain(0)};
      for (unsigned i = 0; i < callsMax && !in.empty(); ++i)
         try {
            call(calls, in);
         } catch (const TesterError&) {
         } catch (const Fault& fault) {
            // Rows of the chain may allow more stack than a machine has: its fault, as documented.
            ASSERT(std::string_view(fault.what()).find("native stack") != std::string_view::npos);
         }
      for (std::uint32_t number = 1; number < 128; ++number)
         try {
            calls.destroyChain(number);
         } catch (const TesterError&) {
         }
   });
   return 0;
}
