// Small protocol types shared by every structure. Source: spec, formats §1.1 and §7.
#pragma once

#include "base/bytes.hpp"
#include "format/names.hpp"
#include "format/reflect.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>
#include <type_traits>

namespace polis::format {

using Checksum256 = std::array<std::uint8_t, 32>;

/// Seconds since 1970-01-01 UTC.
struct TimePointSec {
   using FixedLayout = std::true_type;
   std::int64_t seconds = 0;
   friend constexpr auto operator<=>(const TimePointSec&, const TimePointSec&) = default;
};

/// Microseconds since 1970-01-01 UTC.
struct TimePointUSec {
   using FixedLayout = std::true_type;
   std::int64_t microseconds = 0;
   friend constexpr auto operator<=>(const TimePointUSec&, const TimePointUSec&) = default;
};

/// Rounded towards the past.
constexpr TimePointSec floorToSec(TimePointUSec time) {
   const std::int64_t rest = time.microseconds % 1'000'000;
   return {(time.microseconds - rest) / 1'000'000 - (rest < 0)};
}
constexpr TimePointSec ceilToSec(TimePointUSec time) {
   const std::int64_t rest = time.microseconds % 1'000'000;
   return {(time.microseconds - rest) / 1'000'000 + (rest > 0)};
}

struct FracError;

/// FracPack<T> of the protocol: a value kept as its packed bytes, so that what was signed is what is hashed.
template <class T>
struct Nested {
   /// pack(T) without the size word. When unpacked from outside these bytes have been validated as T.
   Bytes packed;

   Nested() = default;
   explicit Nested(Bytes bytes) : packed(std::move(bytes)) {}
   explicit Nested(const T& value);

   /// The bytes as a T; unknown extensions are dropped.
   [[nodiscard]] std::expected<T, FracError> unpack() const;

   friend bool operator==(const Nested&, const Nested&) = default;
};

/// Text of at most 80 bytes of UTF-8; longer or malformed text does not unpack.
struct Memo {
   using Transparent = std::true_type;
   static constexpr std::size_t bytesMax = 80;

   std::string contents;

   static bool isValid(std::string_view text);
   friend auto operator<=>(const Memo&, const Memo&) = default;
};

/// True for well-formed UTF-8: no overlong forms, surrogates or values above U+10FFFF.
constexpr bool isUtf8(std::string_view text) {
   for (std::size_t i = 0; i < text.size();) {
      if (!std::is_constant_evaluated()) {
         // Thirty-two characters of ASCII at a time, then eight.
         for (std::uint64_t words[4]; i + sizeof words <= text.size(); i += sizeof words) {
            std::memcpy(words, text.data() + i, sizeof words);
            if ((words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080)
               break;
         }
         for (std::uint64_t word; i + sizeof word <= text.size(); i += sizeof word) {
            std::memcpy(&word, text.data() + i, sizeof word);
            if (word & 0x8080808080808080)
               break;
         }
         if (i == text.size())
            break;
      }
      const auto at = [&](std::size_t k) -> unsigned {
         return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u;
      };
      const auto continues = [&](std::size_t k) { return (at(k) & 0xC0u) == 0x80u; };
      const unsigned lead = at(0);
      if (lead < 0x80) {
         ++i;
      } else if (lead >= 0xC2 && lead < 0xE0) {
         if (!continues(1))
            return false;
         i += 2;
      } else if (lead >= 0xE0 && lead < 0xF0) {
         if (!continues(1) || !continues(2) || (lead == 0xE0 && at(1) < 0xA0) || (lead == 0xED && at(1) >= 0xA0))
            return false;
         i += 3;
      } else if (lead >= 0xF0 && lead < 0xF5) {
         if (!continues(1) || !continues(2) || !continues(3) || (lead == 0xF0 && at(1) < 0x90) ||
             (lead == 0xF4 && at(1) >= 0x90))
            return false;
         i += 4;
      } else {
         return false;
      }
   }
   return true;
}

inline bool Memo::isValid(std::string_view text) { return text.size() <= bytesMax && isUtf8(text); }

} // namespace polis::format
