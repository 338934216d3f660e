#include "harness/load.hpp"

#include "format/hash.hpp"
#include "format/ids.hpp"
#include "format/json.hpp"

#include <cstdio>
#include <random>
#include <stdexcept>

namespace polis::harness {

using namespace format::literals;

namespace {

using Steady = std::chrono::steady_clock;

constexpr std::string_view receiver = "load-sink";

std::string senderName(std::size_t number) { return "sender-" + std::string(1, static_cast<char>('a' + number)); }

struct Balance {
   std::uint32_t tokenId = 0;
   std::uint64_t balance = 0;
};
struct Balances {
   std::vector<Balance> balances{};
};

} // namespace

TransferLoad::TransferLoad(Cluster& cluster, Options options) : cluster_(cluster), options_(std::move(options)) {
   if (options_.nodes.empty())
      for (std::size_t i = 0; i < cluster.size(); ++i)
         options_.nodes.push_back(i);
   const auto client = cluster.client(0);
   const auto newAccount = [&](std::string_view name) {
      client.mustPush({action("prod", "accounts", "newAccount", format::AccountNumber{name}, "auth-any"_a, true)},
                      &cluster.key(0));
   };
   newAccount(receiver);
   client.mustPush({action(receiver, "tokens", "setUserConf", std::uint8_t{0}, true)});
   for (std::size_t i = 0; i < options_.accounts; ++i) {
      const auto name = senderName(i);
      newAccount(name);
      client.mustPush({action(name, "tokens", "setUserConf", std::uint8_t{0}, true),
                       action(name, "faucet-tok", "dispense", format::AccountNumber{std::string_view(name)})});
   }
   const auto faucet = client.get("faucet-tok", "/api/token");
   if (std::sscanf(faucet.body.c_str(), R"({"tokenId":%u)", &token_) != 1)
      throw std::runtime_error("unexpected faucet token: " + faucet.body);
}

void TransferLoad::start(History& history) {
   stopping_.store(false);
   for (std::size_t i = 0; i < options_.accounts; ++i)
      threads_.emplace_back([this, &history, i] { run(history, i); });
}

void TransferLoad::stop() {
   stopping_.store(true);
   for (auto& thread : threads_)
      thread.join();
   threads_.clear();
}

std::string TransferLoad::firstRefusal() const {
   Lock lock(mutex_);
   return firstRefusal_;
}

std::uint64_t TransferLoad::received(std::size_t node, std::uint32_t block) const {
   const auto answer =
       requestWith(cluster_.network().clientPort(node), cluster_.client(node).host("tokens"), "GET",
                   "/api/balances?account=" + std::string(receiver), "Polis-Block: " + std::to_string(block) + "\r\n");
   const auto balances = format::fromJson<Balances>(answer.body);
   if (answer.status != 200 || !balances)
      throw std::runtime_error("unexpected balances: " + answer.body.substr(0, 300));
   for (const Balance& one : balances->balances)
      if (one.tokenId == token_)
         return one.balance;
   return 0;
}

format::SignedTransaction TransferLoad::transfer(const format::Tapos& tapos, std::size_t from) {
   const auto name = senderName(from);
   format::Transaction transaction;
   transaction.tapos = tapos;
   transaction.actions.push_back(action(name, "tokens", "credit", std::uint32_t{token_},
                                        format::AccountNumber{receiver}, Quantity{1}, std::to_string(++serial_)));
   format::SignedTransaction out;
   out.transaction = format::Nested<format::Transaction>{transaction};
   return out;
}

Bytes TransferLoad::transfer(const format::Tapos& tapos) { return format::pack(transfer(tapos, 0)); }

void TransferLoad::run(History& history, std::size_t number) {
   std::mt19937_64 dice(options_.seed * 1000 + number);
   const auto began = Steady::now();
   for (std::uint64_t turn = 0; !stopping_.load(); ++turn) {
      if (options_.perSecond > 0) {
         // Not all at the same time.
         const double due = (static_cast<double>(turn * options_.accounts + number)) / options_.perSecond;
         const auto at = began + std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(due));
         while (!stopping_.load() && Steady::now() < at)
            std::this_thread::sleep_for(std::min<Steady::duration>(at - Steady::now(), std::chrono::milliseconds(50)));
      }
      const auto client = cluster_.client(options_.nodes[dice() % options_.nodes.size()], options_.patience);
      try {
         const auto packed = transfer(client.tapos(60), number);
         const auto id = toHex(format::transactionId(packed));
         const auto submitted = Steady::now();
         ++sent_;
         const auto answer = client.push(format::pack(packed), "final");
         if (ChainClient::succeeded(answer)) {
            history.reported(id, submitted, Steady::now());
         } else if (++refused_ == 1) {
            Lock lock(mutex_);
            firstRefusal_ = std::to_string(answer.status) + " " + answer.body.substr(0, 400);
         }
      } catch (const std::runtime_error&) {
         // The node is away, or was too slow; the transaction may be in the chain all the same.
         std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
   }
}

} // namespace polis::harness
