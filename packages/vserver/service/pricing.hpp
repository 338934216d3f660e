// How resources are priced: pure arithmetic, the same everywhere.
#pragma once

#include <cstdint>

namespace polis::services::pricing {

inline constexpr std::uint64_t million = 1'000'000;

constexpr std::uint64_t ceilDiv(std::uint64_t a, std::uint64_t b) { return a / b + (a % b != 0); }

/// a·b, or 2⁶⁴−1 where that is more than fits: a price that nobody can pay, and never a failure.
constexpr std::uint64_t product(std::uint64_t a, std::uint64_t b) {
   std::uint64_t out = 0;
   return __builtin_mul_overflow(a, b, &out) ? UINT64_MAX : out;
}

constexpr std::uint64_t sum(std::uint64_t a, std::uint64_t b) {
   std::uint64_t out = 0;
   return __builtin_add_overflow(a, b, &out) ? UINT64_MAX : out;
}

/// Price of `amount`, which counts in whole units, each begun one in full. unit: not 0.
constexpr std::uint64_t costOf(std::uint64_t amount, std::uint64_t unit, std::uint64_t price) {
   return product(ceilDiv(amount, unit), price);
}

/// Millionths that `part` is of `whole`, at most 2³²−1. whole: not 0.
std::uint32_t ppmOf(std::uint64_t part, std::uint64_t whole);

/// Average over about so many samples after one more. samples: not 0.
std::uint64_t movingAverage(std::uint64_t average, std::uint64_t sample, std::uint8_t samples);

/// Step a second, in millionths, that doubles (or halves) in so many seconds: ln 2 / seconds, rounded. seconds: not 0.
constexpr std::uint32_t stepPpm(std::uint32_t seconds) {
   constexpr std::uint64_t ln2Ppm = 693'147;
   return static_cast<std::uint32_t>((ln2Ppm + seconds / 2) / seconds);
}

/// Price of what is limited in all: a constant product of tokens in reserve and bytes that are free, both moved away
/// from zero by 1/d of their maximum, so that the last byte has a price and the reserve's maximum buys all bytes.
/// Costs are rounded up and refunds down: the reserve always covers the bytes that were bought.
struct DiskCurve {
   std::uint64_t maxReserve = 0;
   std::uint64_t maxCapacity = 0;
   std::uint64_t d = 0;

   /// Whether it can be computed with: no part of it vanishes, and products fit in 128 bits.
   bool isValid() const;
   /// Tokens in reserve while so many bytes are free; free: at most maxCapacity.
   std::uint64_t reserve(std::uint64_t free) const;
   /// Price of `bytes` of those that are free; bytes: at most free.
   std::uint64_t cost(std::uint64_t free, std::uint64_t bytes) const;
   /// What goes out of the reserve when so many bytes more become free.
   std::uint64_t refund(std::uint64_t free, std::uint64_t bytes) const;
   /// Tokens a byte, at the next byte.
   std::uint64_t spotPrice(std::uint64_t free) const;

private:
   using Wide = unsigned __int128;
   /// ⌈k / Y⌉ with so many bytes free: tokens on their axis of the curve.
   Wide tokensAt(std::uint64_t free) const;
};

} // namespace polis::services::pricing
