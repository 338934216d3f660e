// Verifies signatures; runs in verify mode, where no database can be reached.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

class VerifySig : public Service {
public:
   static constexpr auto account = "verify-sig"_a;

   /// Fails unless `proof` (r ‖ s, 64 bytes) is a signature over `transactionHash` by the key in the claim
   /// (SubjectPublicKeyInfo, DER, of P-256 or secp256k1).
   void verifySys(Checksum256 transactionHash, Claim claim, Bytes proof);
};
POLIS_SERVICE(VerifySig, action(verifySys, transactionHash, claim, proof))

} // namespace polis::services
