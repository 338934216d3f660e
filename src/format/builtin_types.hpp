// The protocol's structures by name, for tools. Native only.
#pragma once

#include "format/fracpack.hpp"
#include "format/json.hpp"
#include "format/schema.hpp"

#include <expected>
#include <span>
#include <string>
#include <string_view>

namespace polis::format {

/// A structure of the protocol, with the typed codecs behind plain functions.
struct BuiltinType {
   std::string_view name;
   Validity (*validate)(ByteView bytes);
   std::expected<std::string, FracError> (*toJson)(ByteView bytes);
   std::expected<Bytes, JsonError> (*fromJson)(std::string_view json);
   Schema (*schema)();
};

/// In alphabetical order.
std::span<const BuiltinType> builtinTypes();
const BuiltinType* findBuiltinType(std::string_view name);

} // namespace polis::format
