#pragma once
#include "base/bytes.hpp"
#include <cstddef>
#include <optional>

namespace polis::node {

/// The same bytes for the same input, always: no time, no name. Throws Fault when zlib fails.
Bytes gzip(ByteView data);

/// What was compressed. Nothing: `data` is not gzip, or holds more than `bytesMax` bytes.
std::optional<Bytes> gunzip(ByteView data, std::size_t bytesMax);

} // namespace polis::node
