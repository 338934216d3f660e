#include "verify-sig/service/verify_sig.hpp"

#include "crypto/verify.hpp"

namespace polis::services {

void VerifySig::verifySys(Checksum256 transactionHash, Claim claim, Bytes proof) {
   switch (crypto::verifySignature(claim.rawData, transactionHash, proof)) {
   case crypto::Verdict::good:
      return;
   case crypto::Verdict::badKey:
      abortMessage("invalid public key");
   case crypto::Verdict::badSignature:
      abortMessage("signature invalid");
   }
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::VerifySig)
