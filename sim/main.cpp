// sim_run: simulated networks from seeds, and whatever goes wrong in them.
#include "sim/scenarios.hpp"
#include "sim/shrink.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

using namespace polis::sim;

namespace {

constexpr const char* usage =
    "sim_run [--seed N] [--seeds COUNT] [--algorithm cft|bft|cft-cft|cft-bft|bft-cft|bft-bft|any]\n"
    "        [--without I,J,…] [--no-loss] [--no-duplicates] [--no-jitter] [--no-lies] [--no-pauses] [--trace] "
    "[--kernel]\n"
    "        Simulates COUNT plans from seed N on; the first that fails is made smaller and shown.\n"
    "sim_run --scenario NAME [--unguarded]\n"
    "        Plays one of the named scenarios, with its guard or without.\n"
    "sim_run --scenarios\n"
    "        Names them.\n";

std::uint64_t current = 0;

void overdue(int) {
   char text[64];
   const int length =
       std::snprintf(text, sizeof text, "seed %llu does not end\n", static_cast<unsigned long long>(current));
   (void)!write(2, text, static_cast<std::size_t>(length));
   _exit(3);
}

void show(const Plan& plan) {
   std::printf(
       "  %zu nodes, first set %llx (%s), liars %llx, block every %lld ms, delay %lld+%lld us, faults end at %lld ms\n",
       plan.nodes, static_cast<unsigned long long>(plan.first), plan.firstBft ? "BFT" : "CFT",
       static_cast<unsigned long long>(plan.byzantine), static_cast<long long>(plan.intervalUs / 1000),
       static_cast<long long>(plan.delayUs), static_cast<long long>(plan.jitterUs),
       static_cast<long long>(plan.healUs / 1000));
   for (const Fault& fault : plan.faults)
      std::printf("  %s\n", fault.text().c_str());
}

int scenario(const std::string& name, bool guarded) {
   for (const Scenario& each : scenarios())
      if (each.name == name) {
         const auto failure = each.play(guarded);
         std::printf("%s: %s\n", name.c_str(), failure ? failure->c_str() : "holds");
         return failure.has_value();
      }
   std::fputs("there is no such scenario\n", stderr);
   return 2;
}

} // namespace

int main(int argc, char** argv) {
   std::uint64_t seed = 1, seeds = 1;
   Mix mix = Mix::any;
   Without without;
   std::string name;
   bool guarded = true, chosen = false, trace = false;
   for (int i = 1; i < argc; ++i) {
      const std::string_view flag = argv[i];
      const auto value = [&]() -> const char* {
         if (i + 1 >= argc) {
            std::fputs(usage, stderr);
            std::exit(2);
         }
         return argv[++i];
      };
      if (flag == "--seed") {
         seed = std::strtoull(value(), nullptr, 10);
      } else if (flag == "--seeds") {
         seeds = std::strtoull(value(), nullptr, 10);
      } else if (flag == "--algorithm") {
         const auto named = mixNamed(value());
         if (!named) {
            std::fputs(usage, stderr);
            return 2;
         }
         mix = *named;
      } else if (flag == "--without") {
         chosen = true;
         for (const char* at = value(); *at;) {
            char* end = nullptr;
            without.faults.insert(std::strtoull(at, &end, 10));
            at = *end ? end + 1 : end;
         }
      } else if (flag == "--no-loss") {
         chosen = without.loss = true;
      } else if (flag == "--no-duplicates") {
         chosen = without.twice = true;
      } else if (flag == "--no-jitter") {
         chosen = without.jitter = true;
      } else if (flag == "--kernel") {
         without.stub = true;
      } else if (flag == "--trace") {
         chosen = trace = true;
      } else if (flag == "--no-lies") {
         chosen = without.lies = true;
      } else if (flag == "--no-pauses") {
         chosen = without.pauses = true;
      } else if (flag == "--scenario") {
         name = value();
      } else if (flag == "--unguarded") {
         guarded = false;
      } else if (flag == "--scenarios") {
         for (const Scenario& each : scenarios())
            std::printf("%-4s %s\n", each.name, each.what);
         return 0;
      } else {
         std::fputs(usage, stderr);
         return 2;
      }
   }
   if (!name.empty())
      return scenario(name, guarded);

   std::signal(SIGALRM, overdue);
   const auto began = std::chrono::steady_clock::now();
   double hours = 0;
   std::uint64_t messages = 0, blocks = 0;
   std::int64_t slowest = 0;
   const auto sums = [&](std::uint64_t count) {
      std::printf("%llu seeds from %llu, %s: %.2f virtual hours, %llu blocks, %llu messages, healed within %.1f s, "
                  "%.0f s of clock\n",
                  static_cast<unsigned long long>(count), static_cast<unsigned long long>(seed),
                  std::string(nameOf(mix)).c_str(), hours, static_cast<unsigned long long>(blocks),
                  static_cast<unsigned long long>(messages), static_cast<double>(slowest) / 1e6,
                  std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
      std::fflush(stdout);
   };
   for (std::uint64_t i = 0; i < seeds; ++i) {
      current = seed + i;
      alarm(300);
      Plan each = planOf(current, mix, without);
      each.trace = trace;
      const Outcome outcome = simulate(each);
      hours += static_cast<double>(outcome.us) / 3.6e9;
      messages += outcome.messages;
      blocks += outcome.blocks;
      slowest = std::max(slowest, outcome.healedAfter);
      if (outcome.violation) {
         if (i)
            sums(i);
         std::printf("seed %llu after %lld ms: %s\n", static_cast<unsigned long long>(current),
                     static_cast<long long>(outcome.us / 1000), outcome.violation->c_str());
         if (!chosen) {
            alarm(0);
            without = shrunk(current, mix, without);
         }
         const Plan plan = planOf(current, mix, without);
         std::printf("Again, made smaller: %s\n  fails with: %s\n", commandOf(current, mix, without).c_str(),
                     simulate(plan).violation.value_or("nothing").c_str());
         show(plan);
         return 1;
      }
      if ((i + 1) % 10'000 == 0 || i + 1 == seeds)
         sums(i + 1);
   }
   return 0;
}
