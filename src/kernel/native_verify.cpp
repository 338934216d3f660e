#include "kernel/native_verify.hpp"

#include "format/chain.hpp"
#include "format/fracpack.hpp"
#include "format/keys.hpp"

namespace polis::kernel {

Verdict verifySignature(ByteView arguments) {
   const auto args = format::unpack<format::VerifyArgs>(arguments);
   if (!args)
      return Verdict::unknown;
   if (args->proof.size() != 64)
      return Verdict::badSignature;
   const auto key = format::PublicKey::fromSpki(args->claim.rawData);
   if (!key)
      return Verdict::badKey;
   return key->verify(args->transactionHash, args->proof) ? Verdict::good : Verdict::badSignature;
}

} // namespace polis::kernel
