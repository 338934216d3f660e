#include "sim/plan.hpp"

#include <algorithm>
#include <bit>

namespace polis::sim {

std::uint64_t Dice::next() {
   std::uint64_t x = state_ += 0x9E3779B97F4A7C15;
   x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
   x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
   return x ^ (x >> 31);
}

namespace {

constexpr std::pair<std::string_view, Mix> mixes[] = {
    {"cft", Mix::cft},          {"bft", Mix::bft},          {"cft-cft", Mix::cftToCft}, {"cft-bft", Mix::cftToBft},
    {"bft-cft", Mix::bftToCft}, {"bft-bft", Mix::bftToBft}, {"any", Mix::any}};

/// `count` of the first `of` bits.
std::uint64_t someOf(Dice& dice, std::size_t count, std::size_t of) {
   count = std::min(count, of);
   std::uint64_t mask = 0;
   while (static_cast<std::size_t>(std::popcount(mask)) < count)
      mask |= std::uint64_t{1} << dice.below(of);
   return mask;
}

} // namespace

std::optional<Mix> mixNamed(std::string_view name) {
   for (const auto& [text, mix] : mixes)
      if (text == name)
         return mix;
   return std::nullopt;
}

std::string_view nameOf(Mix mix) {
   for (const auto& [text, named] : mixes)
      if (named == mix)
         return text;
   return "?";
}

std::string Fault::text() const {
   static constexpr const char* names[] = {"crash", "cut",   "isolate", "split",  "slow",
                                           "clock", "lossy", "late",    "change", "pause"};
   std::string out = names[static_cast<std::size_t>(kind)];
   out += " at " + std::to_string(at / 1000) + " ms";
   if (kind != Kind::change)
      out += " until " + std::to_string(until / 1000) + " ms";
   switch (kind) {
   case Kind::cut:
      return out + " from " + std::to_string(node) + " to " + std::to_string(other);
   case Kind::split:
      return out + " mask " + std::to_string(mask);
   case Kind::change:
      return out + (bft ? " to BFT, mask " : " to CFT, mask ") + std::to_string(mask);
   case Kind::lossy:
   case Kind::late:
      return out + " by " + std::to_string(amount);
   case Kind::clock:
      return out + " node " + std::to_string(node) + " by " + std::to_string(amount) + " us";
   default:
      return out + " node " + std::to_string(node);
   }
}

Plan Plan::fromSeed(std::uint64_t seed, Mix mix) {
   Dice dice(seed * 7 + 1);
   if (mix == Mix::any)
      mix = static_cast<Mix>(dice.below(6));
   Plan plan;
   plan.seed = seed;
   plan.mix = mix;
   const bool changes = mix != Mix::cft && mix != Mix::bft;
   plan.firstBft = mix == Mix::bft || mix == Mix::bftToBft || mix == Mix::bftToCft;
   const bool thenBft = mix == Mix::bftToBft || mix == Mix::cftToBft;
   const auto sizeOf = [&](bool bft) {
      return static_cast<std::size_t>(bft ? dice.chance(0.75) ? 4 : dice.between(1, 7) : dice.between(1, 5));
   };
   const std::size_t size = sizeOf(plan.firstBft);
   plan.nodes = changes ? std::max<std::size_t>(size, static_cast<std::size_t>(dice.between(4, 7))) : size;
   plan.first = someOf(dice, size, plan.nodes);

   constexpr std::int64_t intervals[] = {100'000, 250'000, 500'000, 1'000'000, 1'000'000};
   plan.intervalUs = intervals[dice.below(5)];
   plan.delayUs = dice.between(200, 80'000);
   plan.jitterUs = dice.between(100, dice.chance(0.2) ? 400'000 : 50'000);
   plan.syncUs = dice.between(500, 20'000);
   plan.executeUs = dice.between(500, 30'000);
   plan.loss = dice.chance(0.5) ? 0.0 : static_cast<double>(dice.below(100)) / 1000;
   plan.twice = dice.chance(0.5) ? 0.0 : static_cast<double>(dice.below(100)) / 1000;
   plan.healUs = dice.between(8'000'000, 30'000'000);

   std::vector<std::uint64_t> sets{plan.first};
   if (changes) {
      // There, and perhaps on to another, and back.
      std::int64_t at = dice.between(500'000, 6'000'000);
      bool bft = thenBft;
      for (std::int64_t count = dice.between(1, 3); count > 0; --count) {
         Fault change;
         change.kind = Fault::Kind::change;
         change.at = at;
         change.bft = bft;
         change.mask = someOf(dice, std::min(sizeOf(bft), plan.nodes), plan.nodes);
         sets.push_back(change.mask);
         plan.faults.push_back(change);
         at += dice.between(1'000'000, 10'000'000);
         bft = bft == plan.firstBft ? thenBft : plan.firstBft;
      }
   }
   // Liars, fewer than a third of every set; CFT does not bear any.
   if ((mix == Mix::bft || mix == Mix::bftToBft) && dice.chance(0.6)) {
      const std::uint64_t mask = someOf(dice, 1 + dice.below(2), plan.nodes < 2 ? 1 : plan.nodes);
      bool bearable = true;
      for (const std::uint64_t set : sets) {
         const auto n = static_cast<std::size_t>(std::popcount(set));
         bearable &= static_cast<std::size_t>(std::popcount(mask & set)) <= n - (n * 2 / 3 + 1);
      }
      if (bearable)
         plan.byzantine = mask;
   }
   const std::int64_t calm = dice.chance(0.1) ? 1 : 0;
   for (std::int64_t count = calm ? 0 : dice.between(1, 14); count > 0; --count) {
      Fault fault;
      constexpr Fault::Kind kinds[] = {Fault::Kind::crash, Fault::Kind::crash,   Fault::Kind::crash, Fault::Kind::cut,
                                       Fault::Kind::cut,   Fault::Kind::isolate, Fault::Kind::split, Fault::Kind::slow,
                                       Fault::Kind::clock, Fault::Kind::lossy,   Fault::Kind::late};
      fault.kind = kinds[dice.below(std::size(kinds))];
      fault.at = dice.between(0, plan.healUs);
      fault.until = std::min(plan.healUs, fault.at + dice.between(50'000, 9'000'000));
      fault.node = dice.below(plan.nodes);
      fault.other = dice.below(plan.nodes);
      fault.mask = dice.next() & ((std::uint64_t{1} << plan.nodes) - 1);
      fault.amount = fault.kind == Fault::Kind::clock   ? dice.between(-5'000'000, 5'000'000)
                     : fault.kind == Fault::Kind::lossy ? dice.between(50, 600)
                                                        : dice.between(10'000, 1'500'000);
      plan.faults.push_back(fault);
      // Several nodes at once, as a power cut has it.
      if (fault.kind == Fault::Kind::crash && dice.chance(0.3))
         for (std::size_t i = 0; i < plan.nodes; ++i)
            if (fault.mask >> i & 1 && i != fault.node) {
               fault.node = i;
               fault.at += dice.between(0, 2000);
               fault.until = std::max(fault.until, fault.at);
               plan.faults.push_back(fault);
            }
   }
   // From dice of their own, and behind the others: plans are known by their seeds.
   Dice still(seed * 7 + 2);
   for (std::int64_t count = calm ? 0 : still.between(0, 3); count > 0; --count) {
      Fault fault;
      fault.kind = Fault::Kind::pause;
      fault.at = still.between(0, plan.healUs);
      fault.until = std::min(plan.healUs, fault.at + still.between(50'000, 9'000'000));
      fault.node = still.below(plan.nodes);
      plan.faults.push_back(fault);
   }
   return plan;
}

} // namespace polis::sim
