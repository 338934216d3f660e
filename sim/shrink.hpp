// Makes a failing plan smaller, and writes down how to run it again.
#pragma once

#include "sim/world.hpp"

namespace polis::sim {

/// What is left out of the plan of a seed.
struct Without {
   std::set<std::size_t> faults; ///< by their place in the plan
   bool loss = false, twice = false, lies = false, jitter = false, pauses = false;
   bool stub = false; ///< real kernels and stores instead
};

Plan planOf(std::uint64_t seed, Mix mix, const Without& without);
/// The least that still fails, tried one thing at a time, beginning with what is left out already.
Without shrunk(std::uint64_t seed, Mix mix, Without best);
/// The command that runs it.
std::string commandOf(std::uint64_t seed, Mix mix, const Without& without);

} // namespace polis::sim
