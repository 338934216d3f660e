// How much a test does.
#pragma once

#include <algorithm>
#include <cstdlib>

namespace polis::store {

/// The environment's POLIS_LONG, at least 1: so many times as much as in the everyday run.
inline unsigned longRun() {
   const char* text = std::getenv("POLIS_LONG");
   return text ? static_cast<unsigned>(std::clamp(std::atoi(text), 1, 1'000'000)) : 1;
}

} // namespace polis::store
