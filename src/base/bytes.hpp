// Byte strings and read-only views of them, and hexadecimal text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace polis {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

/// The text's bytes; the view lives as long as the text.
inline ByteView asBytes(std::string_view text) {
   return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// The bytes as text, unchecked; the view lives as long as the bytes.
inline std::string_view asText(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

inline Bytes toBytes(ByteView bytes) { return Bytes(bytes.begin(), bytes.end()); }
inline Bytes toBytes(std::string_view text) { return toBytes(asBytes(text)); }
inline std::string toText(ByteView bytes) { return std::string(asText(bytes)); }

inline void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

/// Writes two upper-case hexadecimal digits a byte to `out`.
inline void writeHex(ByteView bytes, char* out) {
   const auto digit = [](unsigned value) { return static_cast<char>(value + (value < 10 ? '0' : 'A' - 10)); };
   for (std::size_t i = 0; i < bytes.size(); ++i) {
      out[2 * i] = digit(bytes[i] >> 4);
      out[2 * i + 1] = digit(bytes[i] & 15u);
   }
}

/// Upper-case hexadecimal, two digits a byte.
inline std::string toHex(ByteView bytes) {
   std::string out(bytes.size() * 2, '\0');
   writeHex(bytes, out.data());
   return out;
}

/// Value of one hexadecimal digit of either case; -1 for any other character.
constexpr int hexDigit(char c) {
   return c >= '0' && c <= '9'   ? c - '0'
          : c >= 'A' && c <= 'F' ? c - 'A' + 10
          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                 : -1;
}

/// Writes text.size() / 2 bytes to `out`. False unless the text is an even count of digits of either case.
inline bool readHex(std::string_view text, std::uint8_t* out) {
   if (text.size() % 2)
      return false;
   // Without branches, so that the compiler does many at a time.
   std::uint8_t bad = 0;
   const auto value = [&bad](char c) {
      const auto digit = static_cast<std::uint8_t>(c - '0');
      const auto letter = static_cast<std::uint8_t>((c | 0x20) - 'a');
      bad = static_cast<std::uint8_t>(bad | ((digit > 9) & (letter > 5)));
      return static_cast<std::uint8_t>(digit < 10 ? digit : letter + 10);
   };
   for (std::size_t i = 0; i < text.size() / 2; ++i) {
      const std::uint8_t high = value(text[2 * i]), low = value(text[2 * i + 1]);
      out[i] = static_cast<std::uint8_t>(high << 4 | low);
   }
   return bad == 0;
}

/// None unless the text is an even count of digits of either case.
inline std::optional<Bytes> fromHex(std::string_view text) {
   Bytes out(text.size() / 2);
   if (!readHex(text, out.data()))
      return std::nullopt;
   return out;
}

} // namespace polis
