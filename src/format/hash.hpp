// SHA-256 and what the protocol hashes with it. Source: spec, formats §7.
// Natively OpenSSL; in a service the SDK's crypto library supplies the same functions.
#pragma once

#include "base/bytes.hpp"
#include "format/types.hpp"

#include <cstddef>
#include <memory>

namespace polis::format {

Checksum256 sha256(ByteView data);
inline Checksum256 sha256(std::string_view text) { return sha256(asBytes(text)); }

/// HMAC-SHA256 of `data` under a key of any length.
Checksum256 hmacSha256(ByteView key, ByteView data);

/// SHA-256 of bytes that arrive in pieces.
class Sha256 {
public:
   Sha256();
   ~Sha256();
   Sha256(Sha256&&) noexcept;
   Sha256& operator=(Sha256&&) noexcept;

   Sha256& update(ByteView data);
   /// The hash of everything so far; afterwards the object starts again from nothing.
   Checksum256 finish();

private:
   struct State;
   std::unique_ptr<State> state_;
};

} // namespace polis::format
