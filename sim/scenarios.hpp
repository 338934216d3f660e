// The weak spots D1 to D15 and D25 of spec, consensus, part 2 d, each played with its guard and without.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace polis::sim {

struct Scenario {
   const char* name; ///< of the weak spot
   const char* what;
   /// What went wrong; none: it holds.
   std::optional<std::string> (*play)(bool guarded);
};

const std::vector<Scenario>& scenarios();

} // namespace polis::sim
