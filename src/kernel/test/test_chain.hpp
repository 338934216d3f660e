// A kernel in a temporary folder, with puppets for services.
#pragma once

#include "base/fault.hpp"
#include "format/ids.hpp"
#include "kernel/databases.hpp"
#include "kernel/kernel.hpp"
#include "kernel/test/program.hpp"
#include "store/journal.hpp"
#include "store/store.hpp"
#include "vm/engine.hpp"
#include "vm/execution_thread.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

namespace polis::kernel {

using namespace format::literals;
using format::AccountNumber;
using format::Action;
using format::CodeRow;
using format::MethodNumber;
using format::NativeTable;

// What puppet.cpp says they are.
static_assert(("run"_m).value == 8393046 && ("kvNotify"_m).value == 163643585648119 &&
              ("startBlock"_m).value == 246702608973408 && ("verifySys"_m).value == 211547574510318);

inline bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }
#define EXPECT_HAS(text, part) EXPECT_TRUE(contains(text, part)) << text

/// Remembers what it was asked for. Time moves by hand.
class TestHost : public Host {
public:
   std::int64_t now = 1'700'000'000'000'000'000;
   std::int64_t monotonic = 5'000'000'000;
   std::atomic<int> producerWakes{0}, queueWakes{0}, flushWakes{0};
   std::vector<std::string> lines;
   std::deque<std::function<void()>> work;
   std::string hostConfig, shutdown;
   std::function<std::expected<std::shared_ptr<Socket>, std::int32_t>(format::HttpRequest)> opener;
   std::function<bool(std::function<void()>)> onCompile;
   std::optional<std::string> configError;
   std::mutex mutex;
   std::uint8_t randomByte = 7;
   std::function<void()> onRandom; ///< runs whenever a service asks for randomness

   std::int64_t realtimeNs() override { return now; }
   std::int64_t monotonicNs() override { return monotonic; }
   void random(std::span<std::uint8_t> out) override {
      std::ranges::fill(out, randomByte);
      if (onRandom)
         onRandom();
   }
   void log(Severity, std::string_view message, std::optional<AccountNumber>) override {
      std::lock_guard lock(mutex);
      lines.emplace_back(message);
   }
   std::expected<std::shared_ptr<Socket>, std::int32_t> openSocket(format::HttpRequest request,
                                                                   std::optional<format::TLSInfo>,
                                                                   std::optional<format::SocketEndpoint>) override {
      if (!opener)
         return std::unexpected(socketError::unavailable);
      return opener(std::move(request));
   }
   std::optional<Bytes> readFile(std::string_view path) override {
      return path == "/there" ? std::optional(toBytes("text")) : std::nullopt;
   }
   void wakeProducer() override { ++producerWakes; }
   void wakeRunQueue() override { ++queueWakes; }
   void wakeFlush() override { ++flushWakes; }
   void submit(std::function<void()> job) override { work.push_back(std::move(job)); }
   bool compile(std::function<void()> job) override {
      return onCompile ? onCompile(std::move(job)) : Host::compile(std::move(job));
   }
   std::optional<std::string> checkHostConfig(std::string_view) override { return configError; }
   void hostConfigChanged(std::string_view json) override { hostConfig = json; }
   void shutdownRequested(std::string_view json) override { shutdown = json; }

   bool logged(std::string_view part) const {
      return std::ranges::any_of(lines, [&](const std::string& l) { return l.find(part) != l.npos; });
   }
   void runWork() {
      while (!work.empty()) {
         auto job = std::move(work.front());
         work.pop_front();
         job();
      }
   }
};

/// Remembers what was sent.
class TestSocket : public Socket {
public:
   explicit TestSocket(format::SocketInfo info = format::HttpSocketInfo{}) : info_(std::move(info)) {}
   format::SocketInfo info() const override { return info_; }
   SendOutcome send(ByteView data, std::uint32_t flags) override {
      if (flags == 99)
         return {0, "wrong flags"};
      sent.push_back(toBytes(data));
      return {};
   }
   SendOutcome sendAfter(store::JournalPosition after, ByteView data, std::uint32_t flags) override {
      restsOn = after;
      return send(data, flags);
   }
   void attached(std::int32_t number) override { fd = number; }
   void readyToReceive() override { ++ready; }
   void close(const CloseReason& why) override {
      ++closes;
      reason = why;
   }
   void becamePeer() override { ++peers; }

   format::SocketInfo info_;
   std::vector<Bytes> sent;
   store::JournalPosition restsOn = 0; ///< of what was sent last with such
   std::int32_t fd = -1;
   int ready = 0, closes = 0, peers = 0;
   CloseReason reason;
};

inline Bytes readWhole(const std::filesystem::path& path) {
   std::ifstream in(path, std::ios::binary);
   return Bytes(std::istreambuf_iterator<char>(in), {});
}

/// The puppet's code.
inline const Bytes& puppetCode() {
   static const Bytes code = readWhole(POLIS_PUPPET);
   return code;
}

/// The same behaviour under another hash: a custom section is appended.
inline Bytes puppetVariant(std::uint8_t tag) {
   Bytes code = puppetCode();
   append(code, Bytes{0, 3, 1, 'x', tag});
   return code;
}

inline Bytes prefixOf(AccountNumber account) { return format::toKey(account); }

/// One engine for all tests of a process: compiling is what takes time.
inline vm::Engine& testEngine() {
   static vm::Engine engine(hostFunctions(), {.cacheDir = {}, .instancesMax = 256});
   return engine;
}

class ChainTest : public testing::Test {
protected:
   static constexpr std::uint64_t priv = CodeRow::isPrivileged;
   const AccountNumber transact = "transact"_a, alice = "alice"_a, bob = "bob"_a, plain = "plain"_a,
                       verify = "verify"_a, xHttp = "x-http"_a;

   void SetUp() override {
      folder = std::filesystem::temp_directory_path() / ("polis-kernel-" + std::to_string(::getpid()) + "-" +
                                                         testing::UnitTest::GetInstance()->current_test_info()->name());
      std::filesystem::remove_all(folder);
      std::filesystem::create_directories(folder);
      openKernel();
   }
   void TearDown() override {
      closeKernel();
      std::filesystem::remove_all(folder);
   }

   void openKernel() {
      store_ = store::Store::open(folder / "store");
      journal_ = store::Journal::open(folder / "journal");
      kernel = std::make_unique<Kernel>(*store_, *journal_, testEngine(), host, options);
   }
   void closeKernel() {
      kernel.reset();
      journal_.reset();
      store_.reset();
   }
   void reopen() {
      closeKernel();
      openKernel();
   }

   static format::SignedTransaction transaction(std::vector<Action> actions, std::vector<format::Claim> claims = {},
                                                std::vector<Bytes> proofs = {}) {
      format::Transaction t;
      t.actions = std::move(actions);
      t.claims = std::move(claims);
      format::SignedTransaction out;
      out.transaction = format::Nested<format::Transaction>(t);
      out.proofs = std::move(proofs);
      return out;
   }
   static Action action(AccountNumber service, const Program& program, AccountNumber sender = AccountNumber()) {
      return {sender ? sender : service, service, "run"_m, program.bytes()};
   }

   format::GenesisActionData genesisData() const {
      format::GenesisActionData data;
      for (const auto& [account, flags] : std::map<AccountNumber, std::uint64_t>{
               {transact, priv}, {alice, priv}, {bob, priv}, {plain, 0}, {verify, CodeRow::isVerify}})
         data.services.push_back({account, flags, 0, 0, puppetCode()});
      return data;
   }
   format::SignedTransaction genesis() const {
      return transaction({{AccountNumber(), AccountNumber(), "boot"_m, format::pack(genesisData())}});
   }
   void boot(std::vector<format::SignedTransaction> more = {}) {
      more.insert(more.begin(), genesis());
      const auto trace = kernel->pushBoot(more, "prod"_a, time);
      ASSERT_TRUE(trace) << trace.error().reason;
      ASSERT_FALSE(trace->error) << *trace->error;
   }
   /// Local privileged code of every account given.
   void installLocal(const std::vector<AccountNumber>& accounts, std::uint64_t flags = CodeRow::isPrivileged) {
      LocalTemplate local;
      for (const auto account : accounts)
         local.services.push_back({account, flags, puppetCode()});
      const auto done = kernel->firstStart(local, {{"PREFIX", "/usr"}}, {"test", "{}"});
      ASSERT_TRUE(done) << done.error().reason;
   }

   void startBlock() {
      time += 1'000'000;
      const auto done = kernel->startBlock({time, "prod"_a, 0, 0});
      ASSERT_TRUE(done) << done.error().reason;
   }
   SealedBlock seal() {
      auto sealed = kernel->sealBlock({});
      EXPECT_TRUE(sealed) << sealed.error().reason;
      return *sealed;
   }
   /// One transaction in the open block; its error.
   std::string push(std::vector<Action> actions) {
      last = kernel->push(transaction(std::move(actions)));
      return last.error.value_or("");
   }
   /// One transaction in a block of its own.
   std::string one(AccountNumber service, const Program& program) {
      startBlock();
      std::string error = push({action(service, program)});
      (void)seal();
      return error;
   }
   /// Return value of the first action of the last transaction.
   Output output() {
      const auto* inner = lastAction();
      return Output(inner ? inner->rawRetval : Bytes());
   }
   const format::ActionTrace* lastAction() const {
      if (last.actionTraces.empty())
         return nullptr;
      for (const auto& i : last.actionTraces[0].innerTraces)
         if (auto* a = std::get_if<format::ActionTrace>(&i.inner))
            return a;
      return nullptr;
   }
   /// Runs a program in a mode of its own on head.
   std::string run(format::RunMode mode, AccountNumber service, const Program& program) {
      last = kernel->runAction(mode, action(service, program));
      return last.error.value_or("");
   }
   Output runOutput() { return Output(last.actionTraces.empty() ? Bytes() : last.actionTraces[0].rawRetval); }
   /// Stores a program that the service runs for a method (or 1 serve, 2 recv, 3 close).
   Program storing(AccountNumber service, std::uint64_t method, const Program& program) {
      Bytes key(8);
      std::memcpy(key.data(), &method, 8);
      return Program().open(0, prefixOf(service), 2).put(0, key, program.bytes());
   }

   /// Gives a service code.
   static Program deploying(AccountNumber service, std::uint64_t flags, const Bytes& code) {
      const format::CodeByHashRow blob{format::sha256(ByteView(code)), 0, 0, code};
      const CodeRow row{service, flags, blob.codeHash, 0, 0};
      return Program()
          .open(db::native, {}, 2)
          .put(0, blob.key(), format::pack(blob))
          .put(0, row.key(), format::pack(row));
   }

   std::filesystem::path folder;
   TestHost host;
   KernelOptions options;
   std::unique_ptr<store::Store> store_;
   std::unique_ptr<store::Journal> journal_;
   std::unique_ptr<Kernel> kernel;
   std::int64_t time = 1'700'000'000'000'000;
   format::TransactionTrace last;
};

/// A second node; its folders lie in that of the first.
struct OtherNode {
   /// disk: watches the store's file; may be null.
   explicit OtherNode(const std::filesystem::path& folder, KernelOptions options = {}, store::FileWatch* disk = nullptr)
      : store(store::Store::open(folder / "other", {.watch = disk})),
        journal(store::Journal::open(folder / "otherJournal")),
        kernel(*store, *journal, testEngine(), host, std::move(options)) {}

   /// Applies the blocks of another node from the next one to `last`.
   void follow(const Kernel& source, std::uint32_t last) {
      for (std::uint32_t num = kernel.head()->num + 1; num <= last; ++num) {
         const auto done = kernel.applyBlock(std::make_shared<format::SignedBlock>(*source.block(num)));
         ASSERT_TRUE(done) << done.error().reason;
      }
   }

   TestHost host;
   std::unique_ptr<store::Store> store;
   std::unique_ptr<store::Journal> journal;
   Kernel kernel;
};

/// A test whose body runs on a thread that may run services.
#define CHAIN_TEST(fixture, name)                                                                                      \
   class fixture##_##name : public fixture {                                                                           \
   public:                                                                                                             \
      void body();                                                                                                     \
   };                                                                                                                  \
   TEST_F(fixture##_##name, name) {                                                                                    \
      vm::onExecutionStack([this] { body(); });                                                                        \
   }                                                                                                                   \
   void fixture##_##name::body()

} // namespace polis::kernel
