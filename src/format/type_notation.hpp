// Types written as in the conformance vectors: `list(tuple(u8,string))`, `object{a:u32,b:option(string)}`.
#pragma once

#include "format/schema.hpp"

#include <optional>
#include <string_view>

namespace polis::format {

/// None for text that is no type. Lists and arrays of u8 are hexadecimal bytes.
std::optional<AnyType> parseTypeNotation(std::string_view text);

} // namespace polis::format
