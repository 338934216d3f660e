#include "sim/shrink.hpp"

namespace polis::sim {

Plan planOf(std::uint64_t seed, Mix mix, const Without& without) {
   Plan plan = Plan::fromSeed(seed, mix);
   std::vector<Fault> kept;
   for (std::size_t i = 0; i < plan.faults.size(); ++i)
      if (!without.faults.contains(i) && !(without.pauses && plan.faults[i].kind == Fault::Kind::pause))
         kept.push_back(plan.faults[i]);
   plan.faults = std::move(kept);
   if (without.loss)
      plan.loss = 0;
   if (without.twice)
      plan.twice = 0;
   if (without.lies)
      plan.byzantine = 0;
   if (without.jitter)
      plan.jitterUs = 0;
   plan.kernel = without.stub;
   return plan;
}

Without shrunk(std::uint64_t seed, Mix mix, Without best) {
   const auto keepIfItFails = [&](auto&& change) {
      Without smaller = best;
      change(smaller);
      if (simulate(planOf(seed, mix, smaller)).violation)
         best = std::move(smaller);
   };
   keepIfItFails([](Without& w) { w.lies = true; });
   keepIfItFails([](Without& w) { w.pauses = true; });
   keepIfItFails([](Without& w) { w.loss = true; });
   keepIfItFails([](Without& w) { w.twice = true; });
   keepIfItFails([](Without& w) { w.jitter = true; });
   const std::size_t count = Plan::fromSeed(seed, mix).faults.size();
   for (std::size_t i = count; i-- > 0;)
      keepIfItFails([&](Without& w) { w.faults.insert(i); });
   return best;
}

std::string commandOf(std::uint64_t seed, Mix mix, const Without& without) {
   std::string out = "sim_run --seed " + std::to_string(seed) + " --algorithm " + std::string(nameOf(mix));
   if (!without.faults.empty()) {
      out += " --without ";
      for (const std::size_t i : without.faults)
         out += std::to_string(i) + ",";
      out.pop_back();
   }
   if (without.loss)
      out += " --no-loss";
   if (without.twice)
      out += " --no-duplicates";
   if (without.jitter)
      out += " --no-jitter";
   if (without.lies)
      out += " --no-lies";
   if (without.pauses)
      out += " --no-pauses";
   if (without.stub)
      out += " --kernel";
   return out;
}

} // namespace polis::sim
