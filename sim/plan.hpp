// What happens in a simulation: all of it follows from a seed. A failing plan is made smaller by leaving things out.
#pragma once

#include "consensus/consensus.hpp"

#include <set>
#include <string>
#include <vector>

namespace polis::sim {

using namespace consensus;

/// Reproducible and quick.
class Dice {
public:
   explicit Dice(std::uint64_t seed) : state_(seed) {}
   std::uint64_t next();
   std::uint64_t below(std::uint64_t n) { return n ? next() % n : 0; }
   std::int64_t between(std::int64_t low, std::int64_t high) {
      return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
   }
   bool chance(double p) { return static_cast<double>(next() >> 11) * 0x1p-53 < p; }

private:
   std::uint64_t state_;
};

struct Fault {
   enum class Kind : std::uint8_t {
      crash,   ///< `node` loses what it had not synced, and is back at `until`
      cut,     ///< nothing goes from `node` to `other`
      isolate, ///< nothing goes to or from `node`
      split,   ///< nothing goes between the nodes of `mask` and the others
      slow,    ///< `node` executes and writes twenty times slower
      clock,   ///< `node`'s clock is wrong by `amount`
      lossy,   ///< `amount` of a thousand messages more are lost
      late,    ///< messages take `amount` longer
      change,  ///< at `at`, `producers[mask]` become the set to come, under `bft`
      pause,   ///< `node` stands still, and finds at `until` what came meanwhile
   };
   Kind kind{};
   std::int64_t at = 0, until = 0;
   std::size_t node = 0, other = 0;
   std::uint64_t mask = 0;
   std::int64_t amount = 0;
   bool bft = false;
   std::string text() const;
};

/// Which sets: the one at the beginning, and those that a plan changes to.
enum class Mix : std::uint8_t { cft, bft, cftToCft, cftToBft, bftToCft, bftToBft, any };
std::optional<Mix> mixNamed(std::string_view name);
std::string_view nameOf(Mix mix);

struct Plan {
   std::uint64_t seed = 0;
   Mix mix = Mix::bft;
   std::size_t nodes = 4;     ///< accounts
   std::uint64_t first = 0xF; ///< those who produce at the beginning
   bool firstBft = true;
   std::uint64_t byzantine = 0; ///< those who lie
   std::int64_t intervalUs = 1'000'000;
   std::int64_t delayUs = 20'000; ///< least one-way delay
   std::int64_t jitterUs = 20'000;
   std::int64_t syncUs = 3'000; ///< of a disk
   std::int64_t executeUs = 5'000;
   double loss = 0.01, twice = 0.01;
   std::int64_t healUs = 25'000'000; ///< from here on no more faults but lies
   std::int64_t endUs = 180'000'000; ///< until here everybody must have moved on
   std::vector<Fault> faults;
   bool kernel = false; ///< with real kernels and stores, instead of a stub
   Guards guards{};
   bool uniqueStartBlock = true; ///< D25
   bool waitsForFuture = false;  ///< without D5's second half: a leader waits for the time of its parent
   Options options{};            ///< of every replica
   bool trace = false;           ///< prints what happens

   /// mix `any` chooses one.
   static Plan fromSeed(std::uint64_t seed, Mix mix);
};

} // namespace polis::sim
