// Keys whose bytewise order is the order of the values. Source: spec, formats §2.
#pragma once

#include "base/bytes.hpp"
#include "format/kinds.hpp"

#include <bit>
#include <cstdint>
#include <type_traits>

namespace polis::format {

template <class T>
void appendKey(Bytes& out, const T& value);

namespace keys {

template <class U>
void appendBigEndian(Bytes& out, U value) {
   std::uint8_t raw[sizeof(U)];
   for (std::size_t i = 0; i < sizeof(U); ++i)
      raw[i] = static_cast<std::uint8_t>(value >> (8 * (sizeof(U) - 1 - i)));
   out.insert(out.end(), raw, raw + sizeof(U));
}

template <class T>
void appendScalar(Bytes& out, T value) {
   if constexpr (std::is_enum_v<T>) {
      appendScalar(out, static_cast<std::underlying_type_t<T>>(value));
   } else if constexpr (std::is_same_v<T, bool>) {
      out.push_back(value);
   } else if constexpr (std::is_floating_point_v<T>) {
      using U = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
      constexpr U sign = U{1} << (8 * sizeof(U) - 1);
      U bits = std::bit_cast<U>(value);
      if (bits == sign)
         bits = 0;
      appendBigEndian(out, bits & sign ? static_cast<U>(~bits) : static_cast<U>(bits | sign));
   } else {
      using U = std::make_unsigned_t<T>;
      constexpr U flip = std::is_signed_v<T> ? static_cast<U>(U{1} << (8 * sizeof(U) - 1)) : U{0};
      appendBigEndian(out, static_cast<U>(static_cast<U>(value) ^ flip));
   }
}

/// One-byte scalars mark absence and zero with an escape instead of a prefix byte.
template <class T>
concept Octet = Scalar<T> && sizeof(T) == 1;

template <class T>
void appendNone(Bytes& out) {
   out.push_back(0);
   if constexpr (Octet<T>)
      out.push_back(0);
}

template <class T>
void appendSome(Bytes& out, const T& value) {
   if constexpr (Octet<T>) {
      appendScalar(out, value);
      if (out.back() == 0)
         out.push_back(1);
   } else {
      out.push_back(1);
      appendKey(out, value);
   }
}

/// Text and unsigned bytes: 00 becomes 00 01, and 00 00 ends.
inline void appendText(Bytes& out, ByteView bytes) {
   out.reserve(out.size() + bytes.size() + 2);
   for (const std::uint8_t byte : bytes) {
      out.push_back(byte);
      if (byte == 0)
         out.push_back(1);
   }
   out.push_back(0);
   out.push_back(0);
}

inline void appendVarUint(Bytes& out, std::uint32_t value) {
   unsigned extra = 0;
   while (extra < 4 && value >> (7 * (extra + 1)))
      ++extra;
   const auto lead = static_cast<std::uint8_t>(0xF00u >> extra);
   out.push_back(static_cast<std::uint8_t>(lead | (extra < 4 ? value >> (8 * extra) : 0)));
   for (unsigned i = extra; i-- > 0;)
      out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

} // namespace keys

/// Appends the value's key. Composite keys are keys one behind the other.
template <class T>
void appendKey(Bytes& out, const T& value) {
   if constexpr (Scalar<T>) {
      keys::appendScalar(out, value);
   } else if constexpr (Name<T>) {
      keys::appendBigEndian(out, value.value);
   } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
      keys::appendText(out, asBytes(value));
   } else if constexpr (std::is_same_v<T, Bytes> || std::is_same_v<T, ByteView>) {
      keys::appendText(out, value);
   } else if constexpr (Optional<T>) {
      using U = typename T::value_type;
      if (value)
         keys::appendSome<U>(out, *value);
      else
         keys::appendNone<U>(out);
   } else if constexpr (Variant<T>) {
      keys::appendVarUint(out, static_cast<std::uint32_t>(value.index()));
      std::visit([&](const auto& content) { appendKey(out, content); }, value);
   } else if constexpr (Vector<T> || Set<T> || Map<T> || ListView<T>) {
      using E = std::remove_cv_t<typename T::value_type>;
      for (const auto& element : value)
         keys::appendSome<E>(out, element);
      keys::appendNone<E>(out);
   } else if constexpr (Array<T>) {
      if constexpr (sizeof(typename T::value_type) == 1 && std::is_unsigned_v<typename T::value_type>)
         out.insert(out.end(), value.begin(), value.end());
      else
         for (const auto& element : value)
            appendKey(out, element);
   } else if constexpr (Transparent<T>) {
      appendKey(out, field<0>(value));
   } else {
      static_assert(Struct<T> || Tuple<T>, "this type has no key");
      withMembers(value, [&](const auto&... members) { (appendKey(out, members), ...); });
   }
}

/// The key of the value, or of several values one behind the other.
template <class... T>
Bytes toKey(const T&... values) {
   Bytes out;
   (appendKey(out, values), ...);
   return out;
}

} // namespace polis::format
