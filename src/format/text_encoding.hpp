// Base64, its form for URLs, and PEM.
#pragma once

#include "base/bytes.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace polis::format {

/// With padding.
std::string toBase64(ByteView bytes);
/// Accepts padding only where it belongs, and no other characters; bits beyond the last byte must be zero.
std::optional<Bytes> fromBase64(std::string_view text);

/// The alphabet of URLs, without padding.
std::string toBase64Url(ByteView bytes);
std::optional<Bytes> fromBase64Url(std::string_view text);

/// `-----BEGIN label-----`, lines of 64 characters, `-----END label-----`, each with its newline.
std::string toPem(std::string_view label, ByteView der);
/// The first block of this label; text around it and spaces inside are ignored.
std::optional<Bytes> fromPem(std::string_view label, std::string_view text);

} // namespace polis::format
