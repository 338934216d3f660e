// Signing keys of the stock verify service, and their encodings. Native only. Source: spec, formats §7.1.
#pragma once

#include "base/bytes.hpp"
#include "format/types.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace polis::format {

enum class Curve : std::uint8_t { p256, k1 };

enum class PointForm : std::uint8_t { compressed, uncompressed };

/// r ‖ s, 32 bytes each, big-endian.
using Signature = std::array<std::uint8_t, 64>;

class PublicKey {
public:
   /// X.509 SubjectPublicKeyInfo: DER, named curve, compressed or uncompressed point. None for anything else, and for
   /// points that are not on the curve.
   static std::optional<PublicKey> fromSpki(ByteView der);
   static std::optional<PublicKey> fromPem(std::string_view text);

   Curve curve() const { return curve_; }
   Bytes spki(PointForm form = PointForm::compressed) const;
   std::string pem(PointForm form = PointForm::compressed) const;

   /// `digest` is what was signed; it is not hashed again. High-S is accepted.
   bool verify(const Checksum256& digest, ByteView signature) const;

private:
   friend class PrivateKey;
   struct Key;
   PublicKey(Curve curve, std::shared_ptr<const Key> key) : curve_(curve), key_(std::move(key)) {}

   Curve curve_;
   std::shared_ptr<const Key> key_;
};

/// False also for a malformed key or signature. The whole check of the stock verify service.
bool verifySignature(ByteView spki, const Checksum256& digest, ByteView signature);

/// Wiped from memory when the last copy goes.
class PrivateKey {
public:
   static PrivateKey generate(Curve curve = Curve::p256);
   /// PKCS#8 PrivateKeyInfo or SEC1 ECPrivateKey, DER, either curve.
   static std::optional<PrivateKey> fromDer(ByteView der);
   /// `PRIVATE KEY` or `EC PRIVATE KEY`.
   static std::optional<PrivateKey> fromPem(std::string_view text);
   /// None for zero and for values not below the curve's order.
   static std::optional<PrivateKey> fromScalar(Curve curve, const Checksum256& scalar);

   Curve curve() const { return curve_; }
   PublicKey publicKey() const;
   Bytes pkcs8() const;
   std::string pem() const;
   Signature sign(const Checksum256& digest) const;

private:
   PrivateKey(Curve curve, std::shared_ptr<const PublicKey::Key> key) : curve_(curve), key_(std::move(key)) {}

   Curve curve_;
   std::shared_ptr<const PublicKey::Key> key_;
};

} // namespace polis::format
