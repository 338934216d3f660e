#pragma once
// The words of the protocol, brought into polis::sdk.

#include "base/bytes.hpp"
#include "format/chain.hpp"
#include "format/fracpack.hpp"
#include "format/hash.hpp"
#include "format/ids.hpp"
#include "format/key.hpp"
#include "format/names.hpp"
#include "format/native_tables.hpp"
#include "format/types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace polis::sdk {

using namespace polis::format;
using namespace polis::format::literals;
using polis::asBytes;
using polis::asText;
using polis::Bytes;
using polis::ByteView;

/// Databases of the chain (< 64) and of this node (>= 64).
enum class Db : std::uint32_t {
   service = 0,
   writeOnly = 1,
   native = 2,
   blockLog = 3,
   subjective = 64,
   nativeSubjective = 65,
   session = 66,
   nativeSession = 67,
   temporary = 68,
};

enum class Mode : std::uint32_t {
   read = 1,
   write = 2,
   readWrite = 3,
};

} // namespace polis::sdk
