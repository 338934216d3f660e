// bench/run chain: a real node, real HTTP, real blocks. Transfers per second through the whole path (push → block) with
// P-256 signatures and with auth-any, latency at idle, start-up time. Nothing is simulated; the load generator runs on
// the same machine and takes its share of the cores.
#include "bench/figures.hpp"
#include "harness/chain_client.hpp"
#include "harness/http_load.hpp"
#include "harness/node_process.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace polis::bench {

using namespace format::literals;
using namespace harness;

double percentile(std::vector<std::int64_t> values, double share) {
   const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
   std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(at));
   return static_cast<double>(values[at]) / 1e6;
}

void report(const LoadResult& result) {
   if (result.bad)
      throw std::runtime_error(std::to_string(result.bad) + " of " + std::to_string(result.answered) +
                               " transactions failed; the first: " + result.firstBad);
}

void run(const Options& options, const Figures& figure) {
   NodeProcess node;
   figure("start_fresh", "time", node.startSeconds() * 1000, "ms");
   node.stop();
   node.start();
   figure("start_again", "time", node.startSeconds() * 1000, "ms");

   const ChainClient client(node.port());
   const char* const plain = "bench-a-1";
   const char* const plainPeer = "bench-a-2";
   const char* const keyed = "bench-k-1";
   const char* const keyedPeer = "bench-k-2";
   const auto key = format::PrivateKey::generate(format::Curve::p256);
   const format::Claim claim{.service = "verify-sig"_a, .rawData = key.publicKey().spki()};

   for (const auto* account : {plain, plainPeer, keyed, keyedPeer}) {
      client.mustPush({action("prod", "accounts", "newAccount", format::AccountNumber{account}, "auth-any"_a, true)});
      client.mustPush({action(account, "tokens", "setUserConf", std::uint8_t{0}, true),
                       action(account, "faucet-tok", "dispense", format::AccountNumber{account})});
   }
   client.mustPush({action(keyed, "auth-sig", "setKey", Bytes(claim.rawData)),
                    action(keyed, "accounts", "setAuthServ", "auth-sig"_a)});
   const auto faucet = client.get("faucet-tok", "/api/token");
   unsigned tokenId = 0;
   if (std::sscanf(faucet.body.c_str(), R"({"tokenId":%u)", &tokenId) != 1)
      throw std::runtime_error("unexpected faucet token: " + faucet.body);

   std::uint64_t serial = 0;
   auto transfer = [&](const format::Tapos& tapos, bool withKey) {
      format::Transaction transaction;
      transaction.tapos = tapos;
      transaction.actions.push_back(action(withKey ? keyed : plain, "tokens", "credit", std::uint32_t{tokenId},
                                           format::AccountNumber{withKey ? keyedPeer : plainPeer}, Quantity{1},
                                           "transfer " + std::to_string(++serial)));
      if (withKey)
         transaction.claims.push_back(claim);
      return ChainClient::signedBytes(transaction, withKey ? &key : nullptr);
   };

   auto throughput = [&](const char* name, bool withKey, std::size_t count) {
      std::vector<RawRequest> requests;
      const auto tapos = client.tapos();
      for (std::size_t i = 0; i < count; ++i)
         requests.push_back(client.pushRequest(transfer(tapos, withKey), "applied"));
      const auto result = load(node.port(), requests, 256, ChainClient::succeeded);
      report(result);
      figure(name, "per_s", static_cast<double>(result.answered) / result.seconds, "transfers/s");
      figure(name, "p50", percentile(result.latencyNs, 0.50), "ms");
      figure(name, "p99", percentile(result.latencyNs, 0.99), "ms");
   };
   throughput("warm_up", false, 500);
   throughput("transfer_unsigned", false, options.quick ? 10'000 : 50'000);
   throughput("transfer_signed", true, options.quick ? 5'000 : 25'000);

   auto latency = [&](const char* name, const char* waitFor, std::size_t count) {
      std::vector<std::int64_t> samples;
      for (std::size_t i = 0; i < count; ++i) {
         std::this_thread::sleep_for(std::chrono::milliseconds(300 + 37 * (i % 10)));
         const auto one = load(node.port(), {client.pushRequest(transfer(client.tapos(), true), waitFor)}, 1,
                               ChainClient::succeeded);
         report(one);
         samples.push_back(one.latencyNs.front());
      }
      figure(name, "p50", percentile(samples, 0.50), "ms");
      figure(name, "p99", percentile(samples, 0.99), "ms");
   };
   latency("push_applied_idle", "applied", options.quick ? 10 : 100);
   latency("push_irreversible_idle", "final", options.quick ? 10 : 100);
}

} // namespace polis::bench

int main(int argc, char** argv) { return polis::bench::suiteMain("chain", argc, argv, {}, polis::bench::run); }
