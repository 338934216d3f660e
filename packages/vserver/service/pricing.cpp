#include "vserver/service/pricing.hpp"

#include <algorithm>

namespace polis::services::pricing {

std::uint32_t ppmOf(std::uint64_t part, std::uint64_t whole) {
   const auto ppm = static_cast<unsigned __int128>(part) * million / whole;
   return static_cast<std::uint32_t>(std::min<unsigned __int128>(ppm, UINT32_MAX));
}

std::uint64_t movingAverage(std::uint64_t average, std::uint64_t sample, std::uint8_t samples) {
   return static_cast<std::uint64_t>((sample + static_cast<unsigned __int128>(samples - 1u) * average) / samples);
}

bool DiskCurve::isValid() const {
   // then maxReserve · maxCapacity · (d + 1) fits
   return d > 0 && maxReserve >= d && maxCapacity >= d && d < UINT64_MAX && maxCapacity <= UINT64_MAX / (d + 1);
}

DiskCurve::Wide DiskCurve::tokensAt(std::uint64_t free) const {
   const auto up = [](Wide a, Wide b) { return a / b + (a % b != 0); };
   const Wide k = up(Wide{maxReserve} * maxCapacity * (d + 1), Wide{d} * d);
   return up(k, Wide{free} + maxCapacity / d);
}

std::uint64_t DiskCurve::reserve(std::uint64_t free) const {
   return static_cast<std::uint64_t>(std::min<Wide>(tokensAt(free) - maxReserve / d, maxReserve));
}

std::uint64_t DiskCurve::cost(std::uint64_t free, std::uint64_t bytes) const {
   if (bytes == 0)
      return 0;
   const auto reserved = reserve(free);
   const auto more = tokensAt(free - bytes) - (Wide{reserved} + maxReserve / d);
   return static_cast<std::uint64_t>(std::min<Wide>(more, maxReserve - reserved));
}

std::uint64_t DiskCurve::refund(std::uint64_t free, std::uint64_t bytes) const {
   const auto now = Wide{reserve(free)} + maxReserve / d;
   const auto then = tokensAt(free + bytes);
   return now > then ? static_cast<std::uint64_t>(now - then) : 0;
}

std::uint64_t DiskCurve::spotPrice(std::uint64_t free) const {
   return static_cast<std::uint64_t>((Wide{reserve(free)} + maxReserve / d) / (Wide{free} + maxCapacity / d));
}

} // namespace polis::services::pricing
