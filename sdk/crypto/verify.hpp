// Verification of signatures inside services.
#pragma once

#include "base/bytes.hpp"
#include "format/types.hpp"

namespace polis::crypto {

enum class Verdict : std::uint8_t { good, badKey, badSignature };

/// Checks an ECDSA signature over a hash that is signed as it is.
/// key: SubjectPublicKeyInfo, DER, of P-256 or secp256k1, the point compressed or uncompressed, and on the curve.
/// signature: r ‖ s, 32 bytes each, big-endian, both in 1…n−1. A high s is accepted.
/// Source: spec, formats, keys and signatures.
[[nodiscard]] Verdict verifySignature(ByteView key, const format::Checksum256& digest, ByteView signature);

/// Whether `key` is one that verifySignature accepts.
[[nodiscard]] bool isPublicKey(ByteView key);

} // namespace polis::crypto
