#pragma once

#include <compare>
#include <cstdint>

namespace polis::services {

/// An amount of a token: whole numbers of its smallest unit.
struct Quantity {
   std::uint64_t value = 0;

   friend auto operator<=>(const Quantity&, const Quantity&) = default;
};

} // namespace polis::services
