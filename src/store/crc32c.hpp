// CRC-32C (Castagnoli), by the processor's instruction where there is one.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>

namespace polis::store::detail {

/// Continues `crc` (0 at the start) over `bytes`.
std::uint32_t crc32c(std::uint32_t crc, ByteView bytes);

} // namespace polis::store::detail
