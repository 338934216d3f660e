// The signature check of `verify-sig`, natively.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>

namespace polis::kernel {

/// What the action `verifySys` of our `verify-sig` does with its arguments.
enum class Verdict : std::uint8_t {
   good,
   badKey,       ///< aborts with "invalid public key"
   badSignature, ///< aborts with "signature invalid"
   unknown,      ///< the arguments are not frac(VerifyArgs): the service itself must say
};

/// arguments: frac(VerifyArgs). Thread-safe. Source: spec, formats §7.1; packages/verify-sig, with the same order of
/// checks.
Verdict verifySignature(ByteView arguments);

} // namespace polis::kernel
