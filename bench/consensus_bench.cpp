// bench/run consensus: how long it takes until a transaction is irreversible, with several producers.
//
// Real processes: nodes on a network of their own (tests/harness), which delays what passes between them; all share
// this machine's processors with the load. Cases sim_…: the simulator, in virtual time with the real replica and a stub
// chain; execution and disk take what `simulated` says, and a client's node passes a transaction on to the leader.
#include "bench/figures.hpp"
#include "format/ids.hpp"
#include "harness/cluster.hpp"
#include "harness/history.hpp"
#include "harness/http_load.hpp"
#include "harness/load.hpp"
#include "sim/world.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace polis::bench {

using namespace harness;
using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

class Bench {
public:
   static inline const std::vector<std::string_view> parts{"sim", "bft4", "cft3", "bft7", "one"};

   Bench(const Options& options, const Figures& figure) : options_(options), figure_(figure) {}

   void run() {
      if (options_.wants("sim"))
         simulate();
      if (options_.wants("bft4"))
         realBft();
      if (options_.quick && options_.only.empty())
         return;
      if (options_.wants("cft3"))
         realCft();
      if (options_.wants("bft7"))
         realSeven();
      if (options_.wants("one"))
         realOne();
   }

private:
   void latencies(const std::string& name, std::vector<double> ms) const {
      if (ms.empty())
         throw std::runtime_error(name + ": nothing became irreversible");
      std::ranges::sort(ms);
      figure_(name, "final_p50_ms", ms[ms.size() / 2], "ms");
      figure_(name, "final_p99_ms", ms[ms.size() * 99 / 100], "ms");
   }

   std::vector<int> delays() const { return options_.quick ? std::vector{0, 100} : std::vector{0, 50, 100}; }

   /// So many that the nodes have time.
   static inline const TransferLoad::Options paced{.accounts = 4, .perSecond = 8};

   // ---- real processes ----

   struct Sums {
      double frames = 0, bytes = 0, blocks = 0;
   };
   static Sums sums(const Cluster& cluster, const std::vector<std::size_t>& nodes) {
      Sums out;
      for (const auto node : nodes) {
         const auto metrics = cluster.metrics(node);
         out.frames += metricValue(metrics, "polis_peer_frames_sent");
         out.bytes += metricValue(metrics, "polis_peer_sent_bytes");
         out.blocks = std::max(out.blocks, metricValue(metrics, "polis_irreversible_block"));
      }
      return out;
   }

   /// Latency at a load that leaves the nodes time, then as much as they do.
   void measure(Cluster& cluster, TransferLoad& load, const std::string& name,
                const std::vector<std::size_t>& nodes) const {
      load.ask(nodes);
      const auto before = sums(cluster, nodes);
      History history;
      load.start(history);
      std::this_thread::sleep_for(options_.quick ? 2s : 15s);
      load.stop();
      const auto after = sums(cluster, nodes);
      if (load.refused() > 0)
         throw std::runtime_error(name + ": refused: " + load.firstRefusal());
      latencies(name, history.latenciesMs());
      if (const double blocks = after.blocks - before.blocks; blocks > 0) {
         figure_(name, "messages_per_block", (after.frames - before.frames) / blocks, "messages");
         figure_(name, "bytes_per_block", (after.bytes - before.bytes) / blocks, "bytes");
      }
      throughput(cluster, name, load, nodes.front());
   }

   void throughput(Cluster& cluster, const std::string& name, TransferLoad& load, std::size_t node) const {
      const auto client = cluster.client(node);
      std::vector<RawRequest> requests;
      const auto tapos = client.tapos();
      for (int i = 0; i < (options_.quick ? 1500 : 10'000); ++i)
         requests.push_back(client.pushRequest(load.transfer(tapos), "final"));
      const auto result = harness::load(cluster.network().clientPort(node), requests, 500, ChainClient::succeeded);
      if (result.bad)
         throw std::runtime_error(name + ": refused under load: " + result.firstBad);
      figure_(name, "tx_per_s", static_cast<double>(result.answered) / result.seconds, "transactions/s");
   }

   void idle(Cluster& cluster, const std::string& name) const {
      std::this_thread::sleep_for(1s);
      const auto used = [&] {
         double sum = 0;
         for (std::size_t i = 0; i < cluster.producers(); ++i)
            sum += cluster.node(i).processorSeconds();
         return sum;
      };
      const double before = used();
      const auto time = options_.quick ? 2s : 20s;
      std::this_thread::sleep_for(time);
      figure_(name, "idle_cpu_per_node",
              (used() - before) / static_cast<double>(cluster.producers() * static_cast<std::size_t>(time.count())) *
                  100,
              "% of one processor");
   }

   static std::vector<std::size_t> allBut(const Cluster& cluster, std::optional<std::size_t> dead) {
      std::vector<std::size_t> out;
      for (std::size_t i = 0; i < cluster.producers(); ++i)
         if (i != dead)
            out.push_back(i);
      return out;
   }

   void realBft() const {
      Cluster cluster({.producers = 4, .followers = 1});
      const std::size_t follower = 4;
      cluster.node(follower).stop();
      const auto before = cluster.standing(0).value_or(Standing{}).irreversible;
      const auto began = Steady::now();
      TransferLoad load(cluster, paced);
      idle(cluster, "bft4_delay0");
      for (const int ms : delays()) {
         cluster.setLinks({.delay = std::chrono::milliseconds(ms)});
         measure(cluster, load, "bft4_delay" + std::to_string(ms), allBut(cluster, std::nullopt));
      }
      cluster.setLinks({});
      catchUp(cluster, follower, before, Steady::now() - began);
      viewChange(cluster, load);
   }

   /// What a node that was away needs for the chain of meanwhile.
   void catchUp(Cluster& cluster, std::size_t node, std::uint32_t from, Steady::duration away) const {
      const auto goal = cluster.standing(0).value_or(Standing{}).irreversible;
      cluster.start(node);
      const auto began = Steady::now();
      const auto have = cluster.standing(node).value_or(Standing{from, from}).irreversible;
      while (cluster.standing(node).value_or(Standing{}).irreversible < goal)
         std::this_thread::sleep_for(10ms);
      const double seconds = std::chrono::duration<double>(Steady::now() - began).count();
      figure_("catch_up", "blocks_per_s", (goal - have) / seconds, "blocks/s");
      figure_("catch_up", "times_real", std::chrono::duration<double>(away).count() / seconds, "times");
   }

   /// Kills whoever leads, several times; the last one stays dead.
   void viewChange(Cluster& cluster, TransferLoad& load) const {
      std::vector<double> stops;
      const std::size_t times = options_.quick ? 1 : 3;
      for (std::size_t i = 0; i < times; ++i) {
         const auto victim = cluster.leader();
         if (!victim)
            throw std::runtime_error("nobody leads");
         const auto others = allBut(cluster, *victim);
         const auto at = [&] { return cluster.standing(others.front()).value_or(Standing{}).irreversible; };
         cluster.node(*victim).kill();
         auto moved = Steady::now();
         double longest = 0;
         // Some were on their way.
         for (auto last = at(), goal = last + 4; last < goal; std::this_thread::sleep_for(2ms))
            if (const auto now = at(); now > last) {
               longest = std::max(longest, std::chrono::duration<double, std::milli>(Steady::now() - moved).count());
               last = now;
               moved = Steady::now();
            }
         stops.push_back(longest);
         if (i + 1 == times) {
            measure(cluster, load, "bft4_one_dead", others);
         } else {
            cluster.start(*victim);
            std::this_thread::sleep_for(5s);
         }
      }
      std::ranges::sort(stops);
      figure_("bft4_leader_killed", "stop_p50_ms", stops[stops.size() / 2], "ms");
      figure_("bft4_leader_killed", "stop_longest_ms", stops.back(), "ms");
   }

   void realCft() const {
      Cluster cluster({.producers = 3, .cft = true});
      TransferLoad load(cluster, paced);
      measure(cluster, load, "cft3_delay0", allBut(cluster, std::nullopt));
   }
   void realSeven() const {
      Cluster cluster({.producers = 7});
      TransferLoad load(cluster, paced);
      for (const int ms : delays()) {
         cluster.setLinks({.delay = std::chrono::milliseconds(ms)});
         measure(cluster, load, "bft7_delay" + std::to_string(ms), allBut(cluster, std::nullopt));
      }
   }
   void realOne() const {
      Cluster cluster({.producers = 1});
      TransferLoad load(cluster, paced);
      measure(cluster, load, "one_delay0", {0});
   }

   // ---- simulated ----

   void simulate() const {
      simulated(1, 0, false);
      for (const std::size_t producers : {4u, 7u, 13u})
         for (const int ms : {0, 50, 100})
            for (const bool dead : {false, true})
               simulated(producers, ms, dead);
   }

   void simulated(std::size_t producers, int delayMs, bool dead) const {
      constexpr std::int64_t second = 1'000'000, tick = 500;
      const std::int64_t end = (options_.quick ? 30 : 120) * second;
      sim::Plan plan;
      plan.seed = 7;
      plan.nodes = producers;
      plan.first = (std::uint64_t{1} << producers) - 1;
      plan.intervalUs = 250'000;
      plan.delayUs = std::max(delayMs * 1000, 100);
      plan.jitterUs = 0;
      plan.syncUs = 2'000;
      plan.executeUs = 5'000;
      plan.loss = plan.twice = 0;
      plan.healUs = end;
      plan.endUs = end + 60 * second;
      if (dead) {
         sim::Fault fault;
         fault.kind = sim::Fault::Kind::crash;
         fault.node = producers - 1;
         fault.until = end;
         plan.faults.push_back(fault);
      }
      sim::World world(plan);
      // When blocks were made, by whom, and when each node had them irreversible.
      struct Made {
         std::int64_t at;
         std::size_t by;
         std::uint32_t num;
         consensus::BlockId id;
      };
      std::vector<Made> made;
      std::vector<std::vector<std::int64_t>> final(producers);
      std::function<void()> look = [&] {
         for (const auto& all = world.checker.all(); made.size() < all.size();) {
            const auto& header = all[made.size()]->block.header;
            made.push_back(
                {world.now, world.accountOf(header.producer).value_or(0), header.blockNum, format::blockId(header)});
         }
         for (std::size_t i = 0; i < producers; ++i)
            if (world.nodes[i]->up) {
               auto& times = final[i];
               times.resize(std::max<std::size_t>(times.size(), world.nodes[i]->replica->irreversibleNum() + 1),
                            world.now);
            }
         if (world.now < end)
            world.at(world.now + tick, look);
      };
      world.at(0, look);
      const auto outcome = world.run();
      if (outcome.violation)
         throw std::runtime_error("the simulation: " + *outcome.violation);

      std::erase_if(made, [&](const Made& block) {
         const auto at = world.checker.canonical().find(block.num);
         return at == world.checker.canonical().end() || at->second != block.id;
      });

      // Transactions at any time at any node that is up: over to the leader, into its next block, and known here.
      std::mt19937_64 dice(1);
      std::vector<double> ms;
      for (int i = 0; i < 5000; ++i) {
         const auto at = 5 * second + static_cast<std::int64_t>(dice() % static_cast<std::uint64_t>(end - 10 * second));
         const std::size_t node = dice() % (producers - dead);
         for (const Made& block : made) {
            const auto arrives = at + (block.by == node ? 0 : plan.delayUs);
            if (block.at - plan.syncUs < arrives || block.num >= final[node].size())
               continue;
            ms.push_back(static_cast<double>(final[node][block.num] - at) / 1000);
            break;
         }
      }
      const std::string name =
          "sim_bft" + std::to_string(producers) + "_delay" + std::to_string(delayMs) + (dead ? "_one_dead" : "");
      latencies(name, std::move(ms));
      figure_(name, "messages_per_block", static_cast<double>(outcome.messages) / outcome.blocks, "messages");
   }

   const Options options_;
   const Figures figure_;
};

} // namespace polis::bench

int main(int argc, char** argv) {
   using polis::bench::Bench;
   return polis::bench::suiteMain("consensus", argc, argv, Bench::parts,
                                  [](const auto& options, const auto& figure) { Bench(options, figure).run(); });
}
