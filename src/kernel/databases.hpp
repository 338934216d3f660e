// The databases by number, and how their keys lie in the store.
#pragma once

#include "base/bytes.hpp"

#include <array>
#include <cstdint>

namespace polis::kernel {

/// Source: spec, kernel §1.1. In the store a key is the database's number as one byte, then the raw key.
namespace db {
inline constexpr std::uint32_t service = 0;
inline constexpr std::uint32_t writeOnly = 1;
inline constexpr std::uint32_t native = 2;
inline constexpr std::uint32_t blockLog = 3;
inline constexpr std::uint32_t blockProof = 4;
inline constexpr std::uint32_t prevAuthServices = 5;
inline constexpr std::uint32_t subjective = 64;
inline constexpr std::uint32_t nativeSubjective = 65;
inline constexpr std::uint32_t session = 66;
inline constexpr std::uint32_t nativeSession = 67;
inline constexpr std::uint32_t temporary = 68;
} // namespace db

/// Part of the revision that follows forks.
constexpr bool isChainDb(std::uint32_t id) { return id <= db::prevAuthServices; }
/// Node-local and shared by all threads; reached through a checkout.
constexpr bool isLocalDb(std::uint32_t id) { return id >= db::subjective && id <= db::nativeSession; }
/// Survives a restart.
constexpr bool isKeptDb(std::uint32_t id) { return id == db::subjective || id == db::nativeSubjective; }

/// Key in the store of a raw key, such as a native row's.
inline Bytes storeKey(std::uint32_t database, ByteView raw) {
   Bytes key;
   key.reserve(1 + raw.size());
   key.push_back(static_cast<std::uint8_t>(database));
   append(key, raw);
   return key;
}

inline std::array<std::uint8_t, 4> bigEndian32(std::uint32_t value) {
   return {static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
           static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

} // namespace polis::kernel
