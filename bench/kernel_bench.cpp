// bench/run kernel: what the kernel and the services of a booted chain cost, without HTTP sockets. One thread executes
// transactions, while another makes the blocks before durable; where a case says "beside", one more makes blocks.
//
// token_transfer: one `auth-any` transaction through processTransaction: `tokens::credit` to an account that debits
// automatically, events on, resource monitoring off; blocks of 1,000, sealed and appended to the journal. Nobody waits
// for it here.
// produced_transfer: the same as a node produces it: clients have pushed the transactions and wait for them, the block
// pulls them from the queue and tells the clients. Pushing is not counted.
// replay_transfer: blocks of token_transfer, validated, executed and journalled by a node that follows.
#include "base/clock.hpp"
#include "base/temporary_folder.hpp"
#include "bench/figures.hpp"
#include "cli/test_boot.hpp"
#include "format/fracpack.hpp"
#include "format/ids.hpp"
#include "kernel/kernel.hpp"
#include "kernel/quiet_host.hpp"
#include "node/boot.hpp"
#include "node/package.hpp"
#include "vm/execution_thread.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace polis::bench {

using namespace format::literals;
using format::AccountNumber;
namespace fs = std::filesystem;

/// An amount of a token, as its service takes it.
struct Quantity {
   std::uint64_t value = 0;
};

double seconds() { return static_cast<double>(SystemClock().monotonicNs()) / 1e9; }

/// One request of this program.
class Request final : public kernel::Socket {
public:
   format::SocketInfo info() const override {
      return format::HttpSocketInfo{format::SocketEndpoint(format::LocalEndpoint{}), std::nullopt};
   }
   kernel::SendOutcome send(ByteView data, std::uint32_t) override {
      reply_ = toBytes(data);
      return {};
   }
   void close(const kernel::CloseReason&) override {}
   format::HttpReply reply() const {
      const auto out = format::unpack<format::HttpReply>(reply_);
      if (reply_.empty() || !out)
         throw std::runtime_error("a request was not answered");
      return *out;
   }

private:
   Bytes reply_;
};

/// Counts when there is something to be made durable.
class BenchHost final : public kernel::QuietHost {
public:
   using QuietHost::QuietHost;
   void wakeFlush() override {
      ++wakes;
      wakes.notify_all();
   }
   std::atomic<std::uint64_t> wakes{0};
};

/// A chain in a folder, opened as a node opens it, with a store thread as a node has one. The caller is the chain
/// thread.
class Chain {
public:
   explicit Chain(const fs::path& folder, vm::Engine& engine)
      : store(store::Store::open(folder)), journal(store::Journal::open(folder / "journal")),
        kernel(*store, *journal, engine, host, {}), storeThread_([this] { flush(); }) {}
   ~Chain() {
      stop_ = true;
      host.wakeFlush();
      storeThread_.join();
   }
   Chain(const Chain&) = delete;
   Chain& operator=(const Chain&) = delete;

   void startBlock() {
      const auto& last = kernel.head()->header;
      const auto started = kernel.startBlock({last->time.microseconds + 1'000'000, last->producer, 0, 0});
      if (!started)
         throw std::runtime_error("startBlock: " + started.error().reason);
   }
   std::shared_ptr<const format::SignedBlock> sealBlock() {
      auto sealed = kernel.sealBlock([](ByteView) { return Bytes(); });
      if (!sealed)
         throw std::runtime_error("sealBlock: " + sealed.error().reason);
      return sealed->block;
   }
   void push(const format::SignedTransaction& transaction) {
      if (const auto trace = kernel.push(transaction); trace.error)
         throw std::runtime_error("a transaction failed: " + *trace.error);
   }
   format::HttpReply serve(const format::HttpRequest& request) {
      const auto socket = std::make_shared<Request>();
      kernel.serve(socket, request);
      return socket->reply();
   }

   /// Waits until what was made is durable.
   void settle() {
      const auto to = host.wakes.load();
      for (auto now = flushed_.load(); now < to; now = flushed_.load())
         flushed_.wait(now);
   }

   BenchHost host{[](kernel::Severity severity, std::string_view message, std::optional<AccountNumber>) {
      if (severity >= kernel::Severity::warning)
         std::cerr << message << "\n";
   }};
   std::unique_ptr<store::Store> store;
   std::unique_ptr<store::Journal> journal;
   kernel::Kernel kernel;

private:
   void flush() {
      for (std::uint64_t seen = 0; !stop_;) {
         host.wakes.wait(seen);
         seen = host.wakes;
         kernel.flush();
         kernel.checkpointIfDue();
         flushed_ = seen;
         flushed_.notify_all();
      }
   }

   std::atomic<std::uint64_t> flushed_{0};
   std::atomic<bool> stop_ = false;
   vm::ExecutionThread storeThread_;
};

template <class... Args>
format::Action action(std::string_view sender, std::string_view service, std::string_view method,
                      const Args&... arguments) {
   return {AccountNumber(sender), AccountNumber(service), format::MethodNumber(method),
           format::pack(std::tuple(arguments...))};
}

/// What the chain holds before anything is measured: a default chain; alice-one and bob-two-a with tokens, bob-two-a
/// debits automatically.
class Suite {
public:
   Suite(const Options& options, const Figures& figure)
      : options_(options), figure_(figure), engine_(kernel::hostFunctions(), engineOptions()) {
      const auto folder = node::PackageFolder::open(node::defaultPackageFolder());
      cli::TestBoot boot;
      boot.packages = node::defaultBootPackages(folder);
      boot.host = "polis.localhost";
      {
         auto chain = kernel::TestChain::open(scratch_.path() / "start", {.create = true, .write = true}, engine_, {});
         bootTestChain(*chain, folder, boot);
         chain->save();
      }
      Chain chain(scratch_.path() / "start", engine_);
      begin(chain);
      reference(chain);
      chain.startBlock();
      for (const char* account : {"alice-one", "bob-two-a"}) {
         chain.push(transaction(
             {action("prod", "accounts", "newAccount", AccountNumber{std::string_view(account)}, "auth-any"_a, true)}));
         chain.push(transaction({action(account, "tokens", "setUserConf", std::uint8_t{0}, true),
                                 action(account, "faucet-tok", "dispense", AccountNumber{std::string_view(account)})}));
      }
      chain.sealBlock();
      chain.settle();
      const auto faucet = chain.serve(get("faucet-tok", "/api/token")).body;
      const std::string text(faucet.begin(), faucet.end());
      if (std::sscanf(text.c_str(), R"({"tokenId":%u)", &token_) != 1)
         throw std::runtime_error("unexpected faucet token: " + text);
      chain.kernel.checkpoint();
   }

   void run() {
      if (options_.wants("transfers"))
         production(options_.quick ? 5 : 41);
      if (options_.wants("accounts"))
         accounts(options_.quick ? 500 : 5'000);
      if (options_.wants("queries"))
         queries(options_.quick ? 500 : 5'000);
   }

private:
   static vm::EngineOptions engineOptions() {
      vm::EngineOptions out;
      out.instancesMax = 256;
      return out;
   }

   /// Every transaction made afterwards references the chain's newest block.
   void reference(const Chain& chain) {
      const auto& id = chain.kernel.head()->id;
      tapos_.refBlockIndex = static_cast<std::uint8_t>(chain.kernel.head()->num & 0x7f);
      tapos_.refBlockSuffix = format::refBlockSuffix(id);
      tapos_.expiration.seconds = chain.kernel.head()->header->time.microseconds / 1'000'000 + 3'000;
   }
   format::SignedTransaction transaction(std::vector<format::Action> actions) {
      format::Transaction out;
      out.tapos = tapos_;
      out.actions = std::move(actions);
      format::SignedTransaction result;
      result.transaction = format::Nested<format::Transaction>(out);
      return result;
   }
   format::SignedTransaction transfer() {
      return transaction({action("alice-one", "tokens", "credit", std::uint32_t{token_}, "bob-two-a"_a, Quantity{1},
                                 "transfer " + std::to_string(++serial_))});
   }
   static format::HttpRequest get(const std::string& service, const std::string& target) {
      format::HttpRequest out;
      out.host = service + ".polis.localhost";
      out.method = "GET";
      out.target = target;
      return out;
   }
   static void begin(Chain& chain) {
      const auto first = chain.kernel.firstStart(
          {}, {}, {"bench", R"({"host":{},"service":{"argv":[],"config":{"hosts":["polis.localhost"]}}})"});
      const auto session = first ? chain.kernel.startSession() : first;
      if (!session)
         throw std::runtime_error(session.error().reason);
   }
   fs::path copy(const char* name) {
      fs::copy(scratch_.path() / "start", scratch_.path() / name, fs::copy_options::recursive);
      return scratch_.path() / name;
   }

   /// Runs `each` on every transaction within blocks of 1,000; returns the time, blocks and sealing included.
   static double blocks(Chain& chain, std::vector<format::SignedTransaction>& transactions,
                        std::vector<std::shared_ptr<const format::SignedBlock>>* made = nullptr) {
      constexpr std::size_t perBlock = 1'000;
      const double start = seconds();
      for (std::size_t i = 0; i < transactions.size();) {
         chain.startBlock();
         for (const std::size_t end = std::min(i + perBlock, transactions.size()); i < end; ++i)
            chain.push(transactions[i]);
         auto block = chain.sealBlock();
         if (made)
            made->push_back(std::move(block));
      }
      return seconds() - start;
   }

   /// As `blocks`, of one block, from the queue that clients filled.
   double produced(Chain& chain, std::size_t count) {
      auto push = get("transact", "/push_transaction?wait_for=applied");
      push.method = "POST";
      push.contentType = "application/octet-stream";
      std::vector<std::shared_ptr<Request>> clients;
      for (std::size_t i = 0; i < count; ++i) {
         push.body = format::pack(transfer());
         clients.push_back(std::make_shared<Request>());
         chain.kernel.serve(clients.back(), push);
      }
      const double start = seconds();
      chain.startBlock();
      while (chain.kernel.pushNext() == kernel::Pull::included) {
      }
      const std::size_t pulled = chain.kernel.openBlockTransactions();
      chain.sealBlock();
      const double took = seconds() - start;
      if (pulled != count || clients.back()->reply().status != 200)
         throw std::runtime_error("the queue was not produced");
      chain.settle();
      return took;
   }

   std::vector<format::SignedTransaction> transfers(std::size_t count) {
      std::vector<format::SignedTransaction> out;
      for (std::size_t i = 0; i < count; ++i)
         out.push_back(transfer());
      return out;
   }

   /// Blocks of transfers on one chain, and each of them applied on another at once: both kinds see the same machine.
   /// Figures are those of the block in the middle, for the machine may have other work now and then.
   void production(std::size_t count) {
      const fs::path producing = copy("produce"), following = copy("follow");
      constexpr std::size_t perBlock = 1'000;
      {
         Chain producer(producing, engine_), follower(following, engine_);
         begin(producer);
         begin(follower);
         reference(producer);
         std::vector<double> made, applied, pulled;
         for (std::size_t i = 0; i <= count; ++i) { // the first warms up
            auto transactions = transfers(i ? perBlock : perBlock / 2);
            std::vector<std::shared_ptr<const format::SignedBlock>> block;
            made.push_back(blocks(producer, transactions, &block));
            producer.settle();
            const double start = seconds();
            if (const auto done = follower.kernel.applyBlock(block.front()); !done)
               throw std::runtime_error("applyBlock: " + done.error().reason);
            applied.push_back(seconds() - start);
            follower.settle();
         }
         reference(producer);
         for (std::size_t i = 0; i <= count; ++i)
            pulled.push_back(produced(producer, perBlock));
         const auto middle = [](std::vector<double>& times) {
            times.erase(times.begin());
            std::ranges::sort(times);
            return times[times.size() / 2];
         };
         const double making = middle(made), applying = middle(applied), pulling = middle(pulled);
         figure_("token_transfer", "ops_per_s", perBlock / making, "1/s");
         figure_("replay_transfer", "ops_per_s", perBlock / applying, "1/s");
         figure_("produced_transfer", "ops_per_s", perBlock / pulling, "1/s");
         figure_("replay_transfer", "ratio", making / applying, "of token_transfer");
         figure_("replay_transfer", "of_produced", pulling / applying, "of produced_transfer");
      }
      const double start = seconds();
      const Chain again(producing, engine_);
      figure_("open_journal", "ops_per_s",
              (static_cast<double>(2 * count + 1) * perBlock + perBlock / 2) / (seconds() - start), "1/s");
   }

   void accounts(std::size_t count) {
      Chain chain(copy("accounts"), engine_);
      begin(chain);
      reference(chain);
      std::vector<format::SignedTransaction> creations;
      for (std::size_t i = 0; i < count; ++i) {
         std::string name = "user-";
         for (std::size_t rest = i, digit = 0; digit < 4; ++digit, rest /= 26)
            name += static_cast<char>('a' + rest % 26);
         creations.push_back(transaction(
             {action("prod", "accounts", "newAccount", AccountNumber{std::string_view(name)}, "auth-any"_a, true)}));
      }
      figure_("account_creation", "ops_per_s", static_cast<double>(count) / blocks(chain, creations), "1/s");
   }

   void queries(std::size_t count) {
      Chain chain(copy("queries"), engine_);
      begin(chain);
      reference(chain);
      auto some = transfers(200);
      (void)blocks(chain, some);
      const std::vector<std::pair<const char*, format::HttpRequest>> cases{
          {"table_query", get("tokens", "/api/balances?account=alice-one")},
          {"graphql_page", get("nft", "/graphql?query={allNfts(first:10){edges{node{id,owner}}}}")},
          {"static_file", get("tokens", "/")},
      };
      const auto measure = [&](const std::string& name, const format::HttpRequest& request) {
         std::vector<double> took;
         took.reserve(count);
         if (const auto reply = chain.serve(request); reply.status != 200)
            throw std::runtime_error(name + " was answered " + std::to_string(reply.status) + " " +
                                     std::string(asText(reply.body)));
         const double start = seconds();
         for (std::size_t i = 0; i < count; ++i) {
            const double before = seconds();
            (void)chain.serve(request);
            took.push_back(seconds() - before);
         }
         figure_(name, "ops_per_s", static_cast<double>(count) / (seconds() - start), "1/s");
         std::ranges::sort(took);
         figure_(name, "p99", took[took.size() * 99 / 100] * 1e6, "us");
      };
      for (const auto& [name, request] : cases)
         measure(name, request);

      std::atomic<bool> stop = false;
      double produced = 0, took = 0;
      std::exception_ptr failure;
      vm::ExecutionThread producer([&] {
         try {
            while (!stop) {
               reference(chain);
               auto next = transfers(250);
               took += blocks(chain, next);
               produced += static_cast<double>(next.size());
            }
         } catch (...) {
            failure = std::current_exception();
         }
      });
      for (const auto& [name, request] : cases)
         measure(std::string(name) + "_beside_producer", request);
      stop = true;
      producer.join();
      if (failure)
         std::rethrow_exception(failure);
      figure_("producer_beside_queries", "ops_per_s", produced / took, "1/s");
   }

   Options options_;
   Figures figure_;
   TemporaryFolder scratch_{"bench"};
   vm::Engine engine_;
   format::Tapos tapos_;
   unsigned token_ = 0;
   std::uint64_t serial_ = 0;
};

} // namespace polis::bench

int main(int argc, char** argv) {
   return polis::bench::suiteMain("kernel", argc, argv, {"transfers", "accounts", "queries"},
                                  [](const auto& options, const auto& figures) {
                                     std::optional<std::string> problem;
                                     polis::vm::onExecutionStack([&] {
                                        try {
                                           polis::bench::Suite(options, figures).run();
                                        } catch (const polis::kernel::TesterError& error) {
                                           problem = error.text;
                                        } catch (const std::exception& error) {
                                           problem = error.what();
                                        }
                                     });
                                     if (problem)
                                        throw std::runtime_error(*problem);
                                  });
}
