// The service's signature verification and the native one say the same, whatever the key, digest and signature.
#include <cstdlib>

#include "verify_difference.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   using namespace polis::crypto;
   const Compared compared = compare({data, size});
   if (!compared.same || (compared.untouched && compared.verdict != Verdict::good))
      std::abort();
   return 0;
}
