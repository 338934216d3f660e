#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace polis::services {

/// An amount of a token: whole numbers of its smallest unit.
struct Quantity {
   std::uint64_t value = 0;

   friend auto operator<=>(const Quantity&, const Quantity&) = default;
};

/// The amount as people write it: 12345 with precision 4 is "1.2345".
inline std::string decimalText(Quantity amount, std::uint8_t precision) {
   std::string text = std::to_string(amount.value);
   if (precision == 0)
      return text;
   if (text.size() <= precision)
      text.insert(0, precision + 1 - text.size(), '0');
   text.insert(text.size() - precision, 1, '.');
   return text;
}

} // namespace polis::services
