// Arbitrary keys and signatures: never a crash, and never a good verdict by accident.
#include <algorithm>
#include <cstdlib>

#include "crypto/verify.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   using namespace polis;
   constexpr std::size_t fixedBytes = 32 + 64;
   if (size < fixedBytes)
      return 0;
   format::Checksum256 digest;
   std::copy_n(data, digest.size(), digest.begin());
   const auto verdict = crypto::verifySignature({data + fixedBytes, size - fixedBytes}, digest, {data + 32, 64});
   if (verdict != crypto::Verdict::badKey && !crypto::isPublicKey({data + fixedBytes, size - fixedBytes}))
      std::abort();
   return 0;
}
