#include "kernel/tester_program.hpp"

#include "format/fracpack.hpp"
#include "kernel/tester_files.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sys/wait.h>

namespace polis::kernel {

namespace {

template <class Map>
std::uint32_t freeNumber(const Map& map) {
   std::uint32_t number = 0;
   for (const auto& [used, item] : map) {
      if (used != number)
         break;
      ++number;
   }
   return number;
}

template <class T>
T unpackOr(ByteView packed, const char* what) {
   auto value = format::unpack<T>(packed);
   if (!value)
      throw TesterError{std::string("malformed ") + what};
   return std::move(*value);
}

} // namespace

void TesterCalls::save() {
   for (auto& [number, chain] : chains_)
      if (chain)
         chain->save();
}

TestChain& TesterCalls::chain(std::uint32_t number) {
   const auto at = chains_.find(number);
   if (at == chains_.end() || !at->second)
      throw TesterError{"there is no chain " + std::to_string(number)};
   return *at->second;
}

std::uint32_t TesterCalls::add(std::unique_ptr<TestChain> chain) {
   const std::uint32_t number = freeNumber(chains_);
   chains_.emplace(number, std::move(chain));
   return number;
}

std::uint32_t TesterCalls::setResult(Bytes bytes) {
   result_ = std::move(bytes);
   key_.clear();
   return static_cast<std::uint32_t>(result_.size());
}

std::uint32_t TesterCalls::setRow(std::optional<TestRow> row) {
   if (!row) {
      setResult({});
      return none;
   }
   const std::uint32_t size = setResult(std::move(row->value));
   key_ = std::move(row->key);
   return size;
}

std::uint32_t TesterCalls::setTrace(const format::TransactionTrace& trace) {
   const bool failed = trace.error && !trace.error->empty();
   if (failed)
      failure_ = readable(trace);
   if (options_.ran)
      options_.ran(failed);
   return setResult(format::pack(trace));
}

std::uint32_t TesterCalls::createChain(std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t) {
   return add(TestChain::create(store_, engine_, options_));
}

std::uint32_t TesterCalls::openChain(ByteView path, std::uint32_t oflags, std::uint64_t rights,
                                     std::span<const std::uint8_t, 32>) {
   constexpr std::uint64_t fdRead = 2, fdWrite = 64;
   if (!(rights & fdRead))
      throw TesterError{"a chain cannot be opened without the right to read it"};
   return add(TestChain::open(std::string(asText(path)),
                              {.create = (oflags & 1) != 0,
                               .exclusive = (oflags & 4) != 0,
                               .truncate = (oflags & 8) != 0,
                               .write = (rights & fdWrite) != 0},
                              engine_, options_));
}

std::uint32_t TesterCalls::cloneChain(std::uint32_t number) { return add(chain(number).clone()); }

void TesterCalls::getFork(std::uint32_t number, std::span<const std::uint8_t, 32> id) {
   format::Checksum256 wanted;
   std::ranges::copy(id, wanted.begin());
   chain(number).switchTo(wanted);
}

void TesterCalls::destroyChain(std::uint32_t number) {
   const auto at = chains_.find(number);
   if (at == chains_.end())
      throw TesterError{"there is no chain " + std::to_string(number)};
   if (at->second)
      at->second->save();
   chains_.erase(at);
}

void TesterCalls::shutdownChain(std::uint32_t number) {
   chain(number).save();
   chains_[number].reset();
}

void TesterCalls::startBlock(std::uint32_t number, std::uint64_t timeUs, std::uint64_t producer, std::uint32_t term,
                             std::uint32_t commitNum) {
   chain(number).startBlock({static_cast<std::int64_t>(timeUs), format::AccountNumber{producer}, term, commitNum});
}

void TesterCalls::finishBlock(std::uint32_t number) { chain(number).finishBlock(); }

std::uint32_t TesterCalls::pushTransaction(std::uint32_t number, ByteView packed) {
   TestChain& c = chain(number);
   return setTrace(c.push(unpackOr<format::SignedTransaction>(packed, "transaction")));
}

std::uint32_t TesterCalls::runAction(std::uint32_t number, std::uint32_t mode, std::uint32_t head, ByteView packed) {
   if (mode > 3)
      throw TesterError{"there is no run mode " + std::to_string(mode)};
   TestChain& c = chain(number);
   return setTrace(
       c.runAction(static_cast<format::RunMode>(mode), head != 0, unpackOr<format::Action>(packed, "action")));
}

std::uint32_t TesterCalls::httpRequest(std::uint32_t number, ByteView packed) {
   auto reply = chain(number).serve(unpackOr<format::HttpRequest>(packed, "HTTP request"));
   const std::uint32_t fd = freeNumber(replies_);
   replies_.emplace(fd, std::move(reply));
   return fd;
}

std::uint32_t TesterCalls::socketRecv(std::uint32_t fd, std::span<std::uint8_t, 4> size) {
   constexpr std::uint32_t again = 6, badDescriptor = 8;
   const auto at = replies_.find(fd);
   if (at == replies_.end())
      return badDescriptor;
   if (!at->second->reply())
      return again;
   const std::uint32_t bytes = setResult(*at->second->reply());
   replies_.erase(at);
   for (std::size_t i = 0; i < 4; ++i)
      size[i] = static_cast<std::uint8_t>(bytes >> 8 * i);
   return 0;
}

void TesterCalls::checkoutSubjective(std::uint32_t number) { chain(number).checkoutSubjective(); }
std::uint32_t TesterCalls::commitSubjective(std::uint32_t number) { return chain(number).commitSubjective() ? 1 : 0; }
void TesterCalls::abortSubjective(std::uint32_t number) { chain(number).abortSubjective(); }

std::uint32_t TesterCalls::kvGet(std::uint32_t number, std::uint32_t db, ByteView key) {
   auto value = chain(number).get(db, key);
   const std::uint32_t size = setResult(value ? std::move(*value) : Bytes());
   return value ? size : none;
}
std::uint32_t TesterCalls::kvMax(std::uint32_t number, std::uint32_t db, ByteView key) {
   return setRow(chain(number).max(db, key));
}
std::uint32_t TesterCalls::kvGreaterEqual(std::uint32_t number, std::uint32_t db, ByteView key, std::uint32_t match) {
   return setRow(chain(number).greaterEqual(db, key, match));
}
std::uint32_t TesterCalls::kvLessThan(std::uint32_t number, std::uint32_t db, ByteView key, std::uint32_t match) {
   return setRow(chain(number).lessThan(db, key, match));
}
void TesterCalls::kvPut(std::uint32_t number, std::uint32_t db, ByteView key, ByteView value) {
   chain(number).put(db, key, value);
}
void TesterCalls::kvRemove(std::uint32_t number, std::uint32_t db, ByteView key) { chain(number).remove(db, key); }
void TesterCalls::commitState(std::uint32_t number) { chain(number).commitState(); }

std::uint32_t TesterCalls::kvGetTransactionUsage(std::uint32_t number) {
   (void)chain(number);
   return setResult(format::pack(std::vector<Bytes>()));
}

std::uint32_t TesterCalls::getResult(std::span<std::uint8_t> out, std::uint32_t offset) {
   if (offset < result_.size())
      std::copy_n(result_.begin() + offset, std::min(out.size(), result_.size() - offset), out.begin());
   return static_cast<std::uint32_t>(result_.size());
}

std::uint32_t TesterCalls::getKey(std::span<std::uint8_t> out) {
   std::copy_n(key_.begin(), std::min(out.size(), key_.size()), out.begin());
   return static_cast<std::uint32_t>(key_.size());
}

void TesterCalls::abortMessage(ByteView text) { throw TesterError{std::string(asText(text))}; }

// ---- as imports ----------------------------------------------------------------------------------------------------

namespace {

using vm::ProgramMemory;
using vm::Value;
using vm::ValueType;

/// How a parameter arrives: in how many wasm values, and how it is read.
template <class T>
struct Param;
template <>
struct Param<std::uint32_t> {
   static constexpr std::array types{ValueType::i32};
   static std::uint32_t read(const ProgramMemory&, const Value* a) { return a[0].i32; }
};
template <>
struct Param<std::uint64_t> {
   static constexpr std::array types{ValueType::i64};
   static std::uint64_t read(const ProgramMemory&, const Value* a) { return a[0].i64; }
};
template <>
struct Param<ByteView> {
   static constexpr std::array types{ValueType::i32, ValueType::i32};
   static ByteView read(const ProgramMemory& m, const Value* a) { return m.span(a[0].i32, a[1].i32); }
};
template <>
struct Param<std::span<std::uint8_t>> {
   static constexpr std::array types{ValueType::i32, ValueType::i32};
   static std::span<std::uint8_t> read(const ProgramMemory& m, const Value* a) { return m.span(a[0].i32, a[1].i32); }
};
template <class T, std::size_t n>
struct Param<std::span<T, n>> {
   static constexpr std::array types{ValueType::i32};
   static std::span<T, n> read(const ProgramMemory& m, const Value* a) {
      return m.span(a[0].i32, n).template first<n>();
   }
};

template <class R, class... P>
vm::ProgramFunction bind(TesterCalls& calls, const char* name, R (TesterCalls::*member)(P...)) {
   static constexpr auto offsets = [] {
      std::array<std::size_t, sizeof...(P) + 1> out{};
      std::size_t i = 0;
      ((out[i + 1] = out[i] + Param<P>::types.size(), ++i), ...);
      return out;
   }();
   vm::FunctionType type;
   (type.params.insert(type.params.end(), Param<P>::types.begin(), Param<P>::types.end()), ...);
   if constexpr (!std::is_void_v<R>)
      type.result = ValueType::i32;
   return {"psibase", name, type, [&calls, member](const ProgramMemory& memory, const Value* a, Value* result) {
              const auto invoke = [&]<std::size_t... I>(std::index_sequence<I...>) {
                 return (calls.*member)(Param<P>::read(memory, a + offsets[I])...);
              };
              try {
                 if constexpr (std::is_void_v<R>)
                    invoke(std::index_sequence_for<P...>());
                 else
                    *result = Value::of(invoke(std::index_sequence_for<P...>()));
              } catch (const TesterError& error) {
                 throw vm::ProgramError{error.text};
              }
           }};
}

/// Runs a command of the shell and returns its exit code.
std::uint32_t execute(const ProgramMemory& memory, const Value* a) {
   const auto text = memory.span(a[0].i32, a[1].i32);
   const int status = std::system(std::string(reinterpret_cast<const char*>(text.data()), text.size()).c_str());
   return static_cast<std::uint32_t>(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

} // namespace

std::expected<int, std::string> runTestProgram(TestProgram program, std::shared_ptr<store::Store> store,
                                               vm::Engine& engine, TesterOptions options) {
   TesterCalls calls(std::move(store), engine, std::move(options));
   auto functions = wasiFunctions(std::move(program.args), std::move(program.environment),
                                  program.confined ? FilesSeen::none : FilesSeen::all);
#define POLIS_TESTER_CALL(name) functions.push_back(bind(calls, #name, &TesterCalls::name))
   POLIS_TESTER_CALL(createChain);
   POLIS_TESTER_CALL(openChain);
   POLIS_TESTER_CALL(cloneChain);
   POLIS_TESTER_CALL(getFork);
   POLIS_TESTER_CALL(destroyChain);
   POLIS_TESTER_CALL(shutdownChain);
   POLIS_TESTER_CALL(startBlock);
   POLIS_TESTER_CALL(finishBlock);
   POLIS_TESTER_CALL(pushTransaction);
   POLIS_TESTER_CALL(runAction);
   POLIS_TESTER_CALL(httpRequest);
   POLIS_TESTER_CALL(socketRecv);
   POLIS_TESTER_CALL(checkoutSubjective);
   POLIS_TESTER_CALL(commitSubjective);
   POLIS_TESTER_CALL(abortSubjective);
   POLIS_TESTER_CALL(kvGet);
   POLIS_TESTER_CALL(kvMax);
   POLIS_TESTER_CALL(kvGreaterEqual);
   POLIS_TESTER_CALL(kvLessThan);
   POLIS_TESTER_CALL(kvPut);
   POLIS_TESTER_CALL(kvRemove);
   POLIS_TESTER_CALL(commitState);
   POLIS_TESTER_CALL(kvGetTransactionUsage);
   POLIS_TESTER_CALL(getResult);
   POLIS_TESTER_CALL(getKey);
   POLIS_TESTER_CALL(abortMessage);
#undef POLIS_TESTER_CALL
   functions.push_back(
       {"env",
        "testerExecute",
        {{ValueType::i32, ValueType::i32}, ValueType::i32},
        [](const ProgramMemory& memory, const Value* a, Value* result) { *result = Value::of(execute(memory, a)); }});
   if (program.confined)
      for (vm::ProgramFunction& function : functions)
         if (function.name == "openChain" || function.name == "testerExecute")
            function.body = [name = function.name](const ProgramMemory&, const Value*, Value*) {
               throw vm::ProgramError{"the program is confined: " + name + " is not for it"};
            };
   if (program.more)
      for (vm::ProgramFunction& function : program.more(calls))
         functions.push_back(std::move(function));
   auto done = vm::runProgram(program.code, std::move(functions));
   calls.save();
   if (!done)
      if (const std::string failure = calls.takeFailure(); !failure.empty())
         done.error() += "\n\nThe last transaction or action that failed:\n" + failure;
   return done;
}

} // namespace polis::kernel
