#pragma once
#include "base/bytes.hpp"

namespace polis::node {

/// The same bytes for the same input, always: no time, no name. Throws Fault when zlib fails.
Bytes gzip(ByteView data);

} // namespace polis::node
