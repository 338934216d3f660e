// Any bytes as a package file: read whole or refused, within the limits.
#include "node/package.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   polis::node::PackageLimits limits;
   limits.entryBytesMax = 1 << 16;
   limits.contentBytesMax = 1 << 18;
   auto package = polis::node::parsePackage(polis::Bytes(data, data + size), limits);
   if (package)
      (void)package->manifest();
   return 0;
}
