// WebAssembly's text format, for tests and tools.
#pragma once

#include "base/bytes.hpp"

#include <expected>
#include <string>
#include <string_view>

namespace polis::vm {

/// Binary module of a text module. Errors: a readable reason with its place.
[[nodiscard]] std::expected<Bytes, std::string> fromText(std::string_view text);

} // namespace polis::vm
