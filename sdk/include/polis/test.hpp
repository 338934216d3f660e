#pragma once
// Writing tests of services. A test program is compiled to WebAssembly (polis_service_test in CMake) and run by
// `polis test`; each test gets a chain of its own with the packages it names.
//
//    POLIS_TEST(a_greeting_is_kept) {
//       TestChain chain("Hello");
//       const auto alice = chain.account("alice");
//       alice.to<Hello>().greet("good morning").succeeds();
//       alice.to<Hello>().greet("").fails("a greeting has 1 to 80 bytes");
//       expectEqual(chain.get("hello", "/api/greetings").status, 200);
//    }
//    POLIS_TEST_MAIN()
//
// A test goes on after a failed expectation, and fails at its end.

#include <polis/service.hpp>

#include "format/json.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#define POLIS_TESTER_IMPORT(name) [[clang::import_module("psibase"), clang::import_name(#name)]]

namespace polis::test {

using namespace polis::sdk;

/// The protocol's interface of a tester; see docs/tester.md.
namespace raw {
extern "C" {
// clang-format off
POLIS_TESTER_IMPORT(createChain) std::uint32_t polis_tester_createChain(std::uint64_t hot, std::uint64_t warm, std::uint64_t cool, std::uint64_t cold);
POLIS_TESTER_IMPORT(openChain) std::uint32_t polis_tester_openChain(const char* path, std::uint32_t size, std::uint32_t oflags, std::uint64_t rights, const std::uint64_t* config);
POLIS_TESTER_IMPORT(cloneChain) std::uint32_t polis_tester_cloneChain(std::uint32_t chain);
POLIS_TESTER_IMPORT(getFork) void polis_tester_getFork(std::uint32_t chain, const std::uint8_t* id);
POLIS_TESTER_IMPORT(destroyChain) void polis_tester_destroyChain(std::uint32_t chain);
POLIS_TESTER_IMPORT(shutdownChain) void polis_tester_shutdownChain(std::uint32_t chain);
POLIS_TESTER_IMPORT(startBlock) void polis_tester_startBlock(std::uint32_t chain, std::int64_t timeUs, std::uint64_t producer, std::uint32_t term, std::uint32_t commitNum);
POLIS_TESTER_IMPORT(finishBlock) void polis_tester_finishBlock(std::uint32_t chain);
POLIS_TESTER_IMPORT(pushTransaction) std::uint32_t polis_tester_pushTransaction(std::uint32_t chain, const void* packed, std::uint32_t size);
POLIS_TESTER_IMPORT(runAction) std::uint32_t polis_tester_runAction(std::uint32_t chain, std::uint32_t mode, std::uint32_t head, const void* packed, std::uint32_t size);
POLIS_TESTER_IMPORT(httpRequest) std::uint32_t polis_tester_httpRequest(std::uint32_t chain, const void* packed, std::uint32_t size);
POLIS_TESTER_IMPORT(socketRecv) std::uint32_t polis_tester_socketRecv(std::uint32_t fd, std::uint32_t* size);
POLIS_TESTER_IMPORT(checkoutSubjective) void polis_tester_checkoutSubjective(std::uint32_t chain);
POLIS_TESTER_IMPORT(commitSubjective) std::uint32_t polis_tester_commitSubjective(std::uint32_t chain);
POLIS_TESTER_IMPORT(abortSubjective) void polis_tester_abortSubjective(std::uint32_t chain);
POLIS_TESTER_IMPORT(kvGet) std::uint32_t polis_tester_kvGet(std::uint32_t chain, std::uint32_t db, const void* key, std::uint32_t size);
POLIS_TESTER_IMPORT(kvMax) std::uint32_t polis_tester_kvMax(std::uint32_t chain, std::uint32_t db, const void* key, std::uint32_t size);
POLIS_TESTER_IMPORT(kvGreaterEqual) std::uint32_t polis_tester_kvGreaterEqual(std::uint32_t chain, std::uint32_t db, const void* key, std::uint32_t size, std::uint32_t match);
POLIS_TESTER_IMPORT(kvLessThan) std::uint32_t polis_tester_kvLessThan(std::uint32_t chain, std::uint32_t db, const void* key, std::uint32_t size, std::uint32_t match);
POLIS_TESTER_IMPORT(kvPut) void polis_tester_kvPut(std::uint32_t chain, std::uint32_t db, const void* key, std::uint32_t size, const void* value, std::uint32_t valueSize);
POLIS_TESTER_IMPORT(kvRemove) void polis_tester_kvRemove(std::uint32_t chain, std::uint32_t db, const void* key, std::uint32_t size);
POLIS_TESTER_IMPORT(commitState) void polis_tester_commitState(std::uint32_t chain);
POLIS_TESTER_IMPORT(getResult) std::uint32_t polis_tester_getResult(void* out, std::uint32_t size, std::uint32_t offset);
POLIS_TESTER_IMPORT(getKey) std::uint32_t polis_tester_getKey(void* out, std::uint32_t size);
/// Our tester's own: a chain with these packages, names separated by commas, booted once and cloned.
[[clang::import_module("polis"), clang::import_name("boot")]] std::uint32_t polis_tester_boot(const char* names, std::uint32_t size);
/// How many transactions and actions have failed, and the source lines that led to one of them, counted from 1: a text.
[[clang::import_module("polis"), clang::import_name("failures")]] std::uint32_t polis_tester_failures();
[[clang::import_module("polis"), clang::import_name("sourceLines")]] std::uint32_t polis_tester_sourceLines(std::uint32_t failure);
/// A copy whose web server is up, too; cloneChain leaves out what a node has only while it runs.
[[clang::import_module("polis"), clang::import_name("clone")]] std::uint32_t polis_tester_clone(std::uint32_t chain);
// clang-format on
}
inline Bytes result(std::uint32_t size) {
   Bytes out(size);
   if (size)
      polis_tester_getResult(out.data(), size, 0);
   return out;
}
} // namespace raw

// ---- expectations --------------------------------------------------------------------------------------------------

using Where = std::source_location;

namespace detail {

inline bool failed = false;

template <class T>
std::string shown(const T& value) {
   if constexpr (std::is_convertible_v<const T&, std::string_view>)
      return "\"" + std::string(std::string_view(value)) + "\"";
   else
      return toJson(value);
}

} // namespace detail

/// Says what went wrong, and fails the test.
inline void fail(std::string_view text, Where where = Where::current()) {
   std::fprintf(stderr, "%s:%u: %.*s\n", where.file_name(), static_cast<unsigned>(where.line()),
                static_cast<int>(text.size()), text.data());
   detail::failed = true;
}

/// what: the rule, in words.
inline bool expect(bool condition, std::string_view what, Where where = Where::current()) {
   if (!condition)
      fail("expected: " + std::string(what), where);
   return condition;
}

template <class A, class B>
bool expectEqual(const A& found, const B& wanted, Where where = Where::current()) {
   if (found == wanted)
      return true;
   fail("found " + detail::shown(found) + ", expected " + detail::shown(wanted), where);
   return false;
}

inline bool expectContains(std::string_view text, std::string_view part, Where where = Where::current()) {
   if (text.find(part) != text.npos)
      return true;
   fail("expected \"" + std::string(part) + "\" in: " + std::string(text.substr(0, 2000)), where);
   return false;
}

// ---- what became of a transaction ----------------------------------------------------------------------------------

namespace detail {

inline void writeTrace(std::string& out, const ActionTrace& trace, std::size_t depth) {
   out.append(3 * depth, ' ');
   out += (trace.error ? "x " : "- ") + (trace.action.sender ? trace.action.sender.str() : std::string("(node)")) +
          " -> " + trace.action.service.str() + "::" + trace.action.method.str() + "\n";
   for (const auto& inner : trace.innerTraces) {
      if (const auto* console = std::get_if<ConsoleTrace>(&inner.inner))
         out += std::string(3 * depth + 3, ' ') + "\"" + console->console + "\"\n";
      else if (const auto* called = std::get_if<ActionTrace>(&inner.inner))
         writeTrace(out, *called, depth + 1);
   }
}

/// The first trace of this action, searched from the top.
inline const ActionTrace* findAction(const ActionTrace& trace, const Action& action) {
   if (trace.action.service == action.service && trace.action.method == action.method &&
       trace.action.sender == action.sender && trace.action.rawData == action.rawData)
      return &trace;
   for (const auto& inner : trace.innerTraces)
      if (const auto* called = std::get_if<ActionTrace>(&inner.inner))
         if (const auto* found = findAction(*called, action))
            return found;
   return nullptr;
}

} // namespace detail

/// The calls as a tree, with what they printed.
inline std::string readable(const TransactionTrace& trace) {
   std::string out;
   for (const auto& action : trace.actionTraces)
      detail::writeTrace(out, action, 0);
   return out;
}

/// A transaction or action that ran. Say what you expect of it: `succeeds`, `fails` or `value`.
class Outcome {
public:
   Outcome() = default;
   explicit Outcome(TransactionTrace traceIn, Action action = {})
      : trace(std::move(traceIn)), action_(std::move(action)) {
      if (!ok())
         failure_ = raw::polis_tester_failures();
   }

   bool ok() const { return !trace.error || trace.error->empty(); }
   std::string error() const { return trace.error.value_or(""); }

   bool succeeds(Where where = Where::current()) const {
      if (!ok())
         fail("it should succeed, but: " + story(), where);
      return ok();
   }
   /// part: of the error's text.
   bool fails(std::string_view part, Where where = Where::current()) const {
      if (ok())
         fail("it should fail with \"" + std::string(part) + "\", but it succeeds", where);
      else if (error().find(part) == std::string::npos)
         fail("it should fail with \"" + std::string(part) + "\", but: " + story(), where);
      else
         return true;
      return false;
   }
   /// Packed result of the pushed action.
   Bytes result() const {
      for (const auto& top : trace.actionTraces)
         if (const auto* found = detail::findAction(top, action_))
            return found->rawRetval;
      return {};
   }

   TransactionTrace trace;

private:
   /// Why it failed: the calls between services, then the lines of the innermost, as far as they are known.
   std::string story() const {
      const Bytes lines = raw::result(raw::polis_tester_sourceLines(failure_));
      return error() + "\n" + readable(trace) + std::string(asText(lines));
   }

   Action action_;
   std::uint32_t failure_ = 0;
};

/// An action that returns R.
template <class R>
class ResultOf : public Outcome {
public:
   using Outcome::Outcome;
   /// What the action returned; R{} after a failure, which fails the test.
   R value(Where where = Where::current()) const {
      if (!succeeds(where))
         return R{};
      auto unpacked = unpack<R>(result());
      if (!unpacked) {
         fail("the action's result is malformed", where);
         return R{};
      }
      return std::move(*unpacked);
   }
};
template <>
class ResultOf<void> : public Outcome {
public:
   using Outcome::Outcome;
};

class TestChain;

namespace detail {

/// Base of the typed proxies: pushes a transaction of one action.
struct Pusher {
   TestChain* chain;
   AccountNumber sender;
   AccountNumber service;
   std::vector<Claim> claims;

   template <auto method, class... A>
   auto call(MethodNumber name, A&&... args) const;
};

/// Runs the action alone, without a transaction, on the newest block.
struct Reader {
   TestChain* chain;
   AccountNumber sender;
   AccountNumber service;

   template <auto method, class... A>
   auto call(MethodNumber name, A&&... args) const;
};

template <class S, class Base>
using ProxyOf = typename decltype(polisProxy(static_cast<const S*>(nullptr), static_cast<const Base*>(nullptr)))::type;

} // namespace detail

/// Somebody who acts on a test chain.
class TestAccount {
public:
   TestAccount(TestChain& chain, AccountNumber name) : chain_(&chain), name_(name) {}
   AccountNumber name() const { return name_; }
   operator AccountNumber() const { return name_; }

   /// Typed actions, each a transaction of its own: `alice.to<Tokens>().credit(…)`.
   template <class S>
   auto to(AccountNumber service = S::account) const {
      return detail::ProxyOf<S, detail::Pusher>{{chain_, name_, service, claims_}};
   }
   /// The same account with what proves who it is; the tester does not check proofs.
   TestAccount with(std::vector<Claim> claims) const {
      TestAccount out = *this;
      out.claims_ = std::move(claims);
      return out;
   }

private:
   TestChain* chain_;
   AccountNumber name_;
   std::vector<Claim> claims_;
};

/// A chain in memory. Blocks begin when something is pushed; time passes a second a block, or by `advance`.
class TestChain {
public:
   /// Packages as in `polis install`, separated by commas: "Tokens,Invite". Without names: all that a new chain has.
   explicit TestChain(std::string_view packages = {})
      : number_(raw::polis_tester_boot(packages.data(), static_cast<std::uint32_t>(packages.size()))) {
      readHead();
   }
   TestChain(const TestChain& other) : number_(raw::polis_tester_clone(other.number_)) { readHead(); }
   TestChain& operator=(const TestChain&) = delete;
   ~TestChain() { raw::polis_tester_destroyChain(number_); }

   std::uint32_t number() const { return number_; }

   /// Somebody for whom everybody may act (auth-any), made if missing.
   TestAccount account(std::string_view name, Where where = Where::current()) {
      const AccountNumber number{name};
      if (number.str() != name)
         fail("not an account name: " + std::string(name), where);
      constexpr AccountNumber accounts{"accounts"};
      constexpr AccountNumber anybody{"auth-any"};
      const std::tuple<AccountNumber, AccountNumber, bool> args{number, anybody, false};
      push(Action{accounts, accounts, MethodNumber{"newAccount"}, pack(args)}).succeeds(where);
      return {*this, number};
   }
   /// An account that is there, such as a service's own.
   TestAccount as(AccountNumber name) { return {*this, name}; }

   // ---- blocks and time ----

   std::int64_t timeUs() const { return timeUs_; }
   /// The next block begins so much later.
   void advance(std::int64_t seconds) {
      finishBlock();
      timeUs_ += seconds * 1'000'000;
   }
   void startBlock(Where where = Where::current()) {
      finishBlock();
      timeUs_ += 1'000'000;
      constexpr AccountNumber producer{"prod"};
      raw::polis_tester_startBlock(number_, timeUs_, producer.value, 0, 0);
      open_ = true;
      Transaction start;
      start.tapos.expiration = ceilToSec({timeUs_ + 1'000'000});
      start.actions.push_back(
          {AccountNumber(), AccountNumber{"transact"}, MethodNumber{"startBlock"}, pack(std::tuple<>())});
      pushTransaction(start).succeeds(where);
   }
   void finishBlock() {
      if (!open_)
         return;
      raw::polis_tester_finishBlock(number_);
      open_ = false;
      readHead();
   }
   /// Back to an earlier block of this chain.
   void switchTo(const Checksum256& id) {
      raw::polis_tester_getFork(number_, id.data());
      open_ = false;
      readHead();
   }
   const Checksum256& headId() const { return headId_; }

   // ---- pushing ----

   Outcome push(Action action, std::vector<Claim> claims = {}) {
      Action copy = action;
      std::vector<Action> actions;
      actions.push_back(std::move(action));
      return Outcome(pushActions(std::move(actions), std::move(claims)), std::move(copy));
   }
   /// All in one transaction: together or not at all.
   Outcome push(std::vector<Action> actions, std::vector<Claim> claims = {}) {
      return Outcome(pushActions(std::move(actions), std::move(claims)));
   }
   Outcome pushTransaction(const Transaction& transaction) {
      SignedTransaction whole;
      whole.transaction = Nested<Transaction>(transaction);
      whole.proofs.resize(transaction.claims.size());
      const Bytes packed = pack(whole);
      return Outcome(traceOf(
          raw::polis_tester_pushTransaction(number_, packed.data(), static_cast<std::uint32_t>(packed.size()))));
   }

   /// One action alone in a run mode, on the newest block; what it writes to the chain is dropped.
   Outcome run(RunMode mode, const Action& action) {
      finishBlock();
      const Bytes packed = pack(action);
      return Outcome(traceOf(raw::polis_tester_runAction(number_, static_cast<std::uint32_t>(mode), 1, packed.data(),
                                                         static_cast<std::uint32_t>(packed.size()))),
                     action);
   }
   /// Typed actions that only read: `chain.read<Tokens>().getBalance(1, alice).value()`.
   template <class S>
   auto read(AccountNumber service = S::account) {
      return detail::ProxyOf<S, detail::Reader>{{this, AccountNumber(), service}};
   }

   // ---- queries ----

   /// The answer of an app's page or route. Aborts the test's expectation when none comes.
   HttpReply http(HttpRequest request, Where where = Where::current()) {
      finishBlock();
      const Bytes packed = pack(request);
      const std::uint32_t fd =
          raw::polis_tester_httpRequest(number_, packed.data(), static_cast<std::uint32_t>(packed.size()));
      std::uint32_t size = 0;
      HttpReply reply;
      if (const auto error = raw::polis_tester_socketRecv(fd, &size); error) {
         fail("no answer to " + request.method + " " + request.target, where);
         return reply;
      }
      if (auto unpacked = unpack<HttpReply>(raw::result(size)))
         reply = std::move(*unpacked);
      return reply;
   }
   HttpReply get(std::string_view service, std::string_view target, std::vector<HttpHeader> headers = {}) {
      HttpRequest request;
      request.host = std::string(service) + ".psibase.io";
      request.method = "GET";
      request.target = target;
      request.headers = std::move(headers);
      return http(std::move(request));
   }
   HttpReply post(std::string_view service, std::string_view target, std::string_view contentType,
                  std::string_view body, std::vector<HttpHeader> headers = {}) {
      HttpRequest request;
      request.host = std::string(service) + ".psibase.io";
      request.method = "POST";
      request.target = target;
      request.contentType = contentType;
      request.body = toBytes(body);
      request.headers = std::move(headers);
      return http(std::move(request));
   }
   /// Text of the reply to a GraphQL query.
   std::string graphql(std::string_view service, std::string_view query, std::vector<HttpHeader> headers = {}) {
      return std::string(asText(post(service, "/graphql", "application/graphql", query, std::move(headers)).body));
   }

   /// Headers of a request of somebody who has logged in.
   std::vector<HttpHeader> login(AccountNumber who, Where where = Where::current()) {
      Transaction login;
      login.tapos.expiration = {std::int64_t{1} << 32};
      login.tapos.flags = Tapos::doNotBroadcast;
      login.actions.push_back(
          {who, AccountNumber{"transact"}, MethodNumber{"loginSys"}, pack(std::tuple<std::string>{"psibase.io"})});
      SignedTransaction whole;
      whole.transaction = Nested<Transaction>(login);
      const auto reply = post("transact", "/login", "application/octet-stream", asText(pack(whole)));
      const std::string body(asText(reply.body));
      const std::string_view before = R"("access_token":")";
      const auto at = body.find(before);
      if (at == body.npos) {
         fail("no login of " + who.str() + ": " + body, where);
         return {};
      }
      const auto begin = at + before.size();
      return {{"Authorization", "Bearer " + body.substr(begin, body.find('"', begin) - begin)}};
   }

   // ---- rows ----

   /// The row of a service's table with this primary key.
   template <class T, class... K>
   std::optional<typename T::Row> row(AccountNumber owner, const K&... parts) {
      Bytes key = toKey(owner);
      const Bytes rest = sdk::detail::makeKey(T::number, 0, parts...);
      key.insert(key.end(), rest.begin(), rest.end());
      const auto size = raw::polis_tester_kvGet(number_, static_cast<std::uint32_t>(T::db), key.data(),
                                                static_cast<std::uint32_t>(key.size()));
      if (size == env::none)
         return std::nullopt;
      auto row = unpack<typename T::Row>(raw::result(size));
      if (!row) {
         fail("a row cannot be read");
         return std::nullopt;
      }
      return std::move(*row);
   }

private:
   static TransactionTrace traceOf(std::uint32_t size) {
      auto trace = unpack<TransactionTrace>(raw::result(size));
      if (trace)
         return std::move(*trace);
      TransactionTrace broken;
      broken.error = "malformed trace";
      return broken;
   }
   TransactionTrace pushActions(std::vector<Action> actions, std::vector<Claim> claims) {
      if (!open_)
         startBlock();
      Transaction transaction;
      // Two equal transactions in one block would be one.
      transaction.tapos.expiration = ceilToSec({timeUs_ + (10 + pushed_++ % 3000) * 1'000'000});
      transaction.tapos.refBlockIndex = refIndex_;
      transaction.tapos.refBlockSuffix = refSuffix_;
      transaction.actions = std::move(actions);
      transaction.claims = std::move(claims);
      return std::move(pushTransaction(transaction).trace);
   }
   void readHead() {
      const Bytes key = StatusRow::key();
      const auto size = raw::polis_tester_kvGet(number_, static_cast<std::uint32_t>(Db::native), key.data(),
                                                static_cast<std::uint32_t>(key.size()));
      if (size == env::none)
         return;
      const auto status = unpack<StatusRow>(raw::result(size));
      if (!status || !status->head)
         return;
      headId_ = status->head->blockId;
      timeUs_ = std::max(timeUs_, status->head->header.time.microseconds);
      refIndex_ = static_cast<std::uint8_t>(status->head->header.blockNum & 0x7f);
      std::memcpy(&refSuffix_, headId_.data() + headId_.size() - 4, 4);
   }

   std::uint32_t number_;
   bool open_ = false;
   std::int64_t timeUs_ = 0;
   std::int64_t pushed_ = 0;
   Checksum256 headId_{};
   std::uint8_t refIndex_ = 0;
   std::uint32_t refSuffix_ = 0;
};

template <auto method, class... A>
auto detail::Pusher::call(MethodNumber name, A&&... args) const {
   using Traits = sdk::detail::MethodTraits<decltype(method)>;
   const typename Traits::Args values(std::forward<A>(args)...);
   Outcome outcome = chain->push(Action{sender, service, name, pack(values)}, claims);
   return ResultOf<std::remove_cvref_t<typename Traits::Result>>(std::move(outcome.trace),
                                                                 Action{sender, service, name, pack(values)});
}

template <auto method, class... A>
auto detail::Reader::call(MethodNumber name, A&&... args) const {
   using Traits = sdk::detail::MethodTraits<decltype(method)>;
   const typename Traits::Args values(std::forward<A>(args)...);
   Action action{sender, service, name, pack(values)};
   Outcome outcome = chain->run(RunMode::speculative, action);
   return ResultOf<std::remove_cvref_t<typename Traits::Result>>(std::move(outcome.trace), std::move(action));
}

// ---- running -------------------------------------------------------------------------------------------------------

namespace detail {

struct Case {
   const char* name;
   void (*body)();
   Case* next = nullptr;
};
inline Case* firstCase = nullptr;
inline Case** lastCase = &firstCase;

struct Registration {
   Case item;
   Registration(const char* name, void (*body)()) : item{name, body} {
      *lastCase = &item;
      lastCase = &item.next;
   }
};

} // namespace detail

/// Runs the tests whose name contains one of the arguments; without arguments all. Returns an exit code.
inline int runTests(int count, char** arguments) {
   int passed = 0, failures = 0;
   for (const auto* item = detail::firstCase; item; item = item->next) {
      bool wanted = count < 2;
      for (int i = 1; i < count; ++i)
         wanted = wanted || std::strstr(item->name, arguments[i]);
      if (!wanted)
         continue;
      detail::failed = false;
      item->body();
      ++(detail::failed ? failures : passed);
      if (detail::failed)
         std::fprintf(stderr, "FAILED: %s\n", item->name);
   }
   std::printf("%d passed, %d failed\n", passed, failures);
   std::fflush(stdout);
   return failures ? 1 : 0;
}

} // namespace polis::test

#define POLIS_TEST(name)                                                                                               \
   static void polisTest_##name();                                                                                     \
   static ::polis::test::detail::Registration polisTestRegistration_##name{#name, polisTest_##name};                   \
   static void polisTest_##name()

#define POLIS_TEST_MAIN()                                                                                              \
   int main(int count, char** arguments) { return ::polis::test::runTests(count, arguments); }
