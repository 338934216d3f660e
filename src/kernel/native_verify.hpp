// The signature check of `verify-sig`, by OpenSSL.
#pragma once

#include "base/bytes.hpp"

namespace polis::kernel {

/// arguments: frac(VerifyArgs). True only if `verify-sig` accepts them: a P-256 or secp256k1 key as X.509
/// SubjectPublicKeyInfo in one of the four usual encodings, and a signature r ‖ s of the hash. False: it may accept
/// or refuse. Thread-safe. Source: spec, formats §7.1.
bool verifySignature(ByteView arguments);

} // namespace polis::kernel
