// OpenSSL's EVP interface parses and copies a key for every operation, which costs more than a P-256 verification; the
// older functions are still there and do not.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "format/keys.hpp"

#include "base/assert.hpp"
#include "format/text_encoding.hpp"

#include <algorithm>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/x509.h>

namespace polis::format {
namespace {

template <auto release>
struct Release {
   template <class T>
   void operator()(T* object) const {
      release(object);
   }
};
using KeyPointer = std::unique_ptr<EC_KEY, Release<EC_KEY_free>>;
using PointPointer = std::unique_ptr<EC_POINT, Release<EC_POINT_free>>;
using BigPointer = std::unique_ptr<BIGNUM, Release<BN_clear_free>>;
using SignaturePointer = std::unique_ptr<ECDSA_SIG, Release<ECDSA_SIG_free>>;
using EvpPointer = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY_free>>;

constexpr std::size_t scalarBytes = 32;

// DER has one encoding of each value, so everything before the point is one of four constants.
constexpr std::uint8_t p256Uncompressed[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48,
                                             0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
                                             0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
constexpr std::uint8_t p256Compressed[] = {0x30, 0x39, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48,
                                           0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
                                           0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x22, 0x00};
constexpr std::uint8_t k1Uncompressed[] = {0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02,
                                           0x01, 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x0A, 0x03, 0x42, 0x00};
constexpr std::uint8_t k1Compressed[] = {0x30, 0x36, 0x30, 0x10, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02,
                                         0x01, 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x0A, 0x03, 0x22, 0x00};

struct SpkiForm {
   ByteView prefix;
   Curve curve;
   PointForm form;
};
constexpr SpkiForm spkiForms[] = {
    {p256Compressed, Curve::p256, PointForm::compressed},
    {p256Uncompressed, Curve::p256, PointForm::uncompressed},
    {k1Compressed, Curve::k1, PointForm::compressed},
    {k1Uncompressed, Curve::k1, PointForm::uncompressed},
};
constexpr std::size_t pointBytes(PointForm form) { return form == PointForm::compressed ? 33 : 65; }

const SpkiForm* spkiFormOf(ByteView der) {
   for (const SpkiForm& form : spkiForms)
      if (der.size() == form.prefix.size() + pointBytes(form.form) &&
          std::equal(form.prefix.begin(), form.prefix.end(), der.begin())) {
         const std::uint8_t lead = der[form.prefix.size()];
         if (form.form == PointForm::compressed ? lead == 2 || lead == 3 : lead == 4)
            return &form;
      }
   return nullptr;
}

int nidOf(Curve curve) { return curve == Curve::p256 ? NID_X9_62_prime256v1 : NID_secp256k1; }

KeyPointer emptyKey(Curve curve) {
   KeyPointer key(EC_KEY_new_by_curve_name(nidOf(curve)));
   ASSERT(key);
   return key;
}

std::optional<Curve> curveOf(const EC_KEY* key) {
   const EC_GROUP* group = EC_KEY_get0_group(key);
   const int nid = group ? EC_GROUP_get_curve_name(group) : NID_undef;
   if (nid == NID_X9_62_prime256v1)
      return Curve::p256;
   if (nid == NID_secp256k1)
      return Curve::k1;
   return std::nullopt;
}

} // namespace

struct PublicKey::Key {
   KeyPointer key;
};

std::optional<PublicKey> PublicKey::fromSpki(ByteView der) {
   const SpkiForm* form = spkiFormOf(der);
   if (!form)
      return std::nullopt;
   KeyPointer key = emptyKey(form->curve);
   const ByteView point = der.subspan(form->prefix.size());
   // Checks that the point is on the curve; on curves of cofactor one that is all there is to check.
   if (EC_KEY_oct2key(key.get(), point.data(), point.size(), nullptr) != 1) {
      ERR_clear_error();
      return std::nullopt;
   }
   return PublicKey(form->curve, std::make_shared<const Key>(Key{std::move(key)}));
}

std::optional<PublicKey> PublicKey::fromPem(std::string_view text) {
   const auto der = format::fromPem("PUBLIC KEY", text);
   return der ? fromSpki(*der) : std::nullopt;
}

Bytes PublicKey::spki(PointForm wanted) const {
   for (const SpkiForm& form : spkiForms) {
      if (form.curve != curve_ || form.form != wanted)
         continue;
      Bytes out(form.prefix.begin(), form.prefix.end());
      out.resize(form.prefix.size() + pointBytes(wanted));
      const EC_KEY* key = key_->key.get();
      const auto written = EC_POINT_point2oct(EC_KEY_get0_group(key), EC_KEY_get0_public_key(key),
                                              wanted == PointForm::compressed ? POINT_CONVERSION_COMPRESSED
                                                                              : POINT_CONVERSION_UNCOMPRESSED,
                                              out.data() + form.prefix.size(), pointBytes(wanted), nullptr);
      ASSERT(written == pointBytes(wanted));
      return out;
   }
   ASSERT(false);
   return {};
}

std::string PublicKey::pem(PointForm form) const { return toPem("PUBLIC KEY", spki(form)); }

bool PublicKey::verify(const Checksum256& digest, ByteView signature) const {
   if (signature.size() != 2 * scalarBytes)
      return false;
   BigPointer r(BN_bin2bn(signature.data(), scalarBytes, nullptr));
   BigPointer s(BN_bin2bn(signature.data() + scalarBytes, scalarBytes, nullptr));
   SignaturePointer pair(ECDSA_SIG_new());
   ASSERT(r && s && pair);
   ASSERT(ECDSA_SIG_set0(pair.get(), r.release(), s.release()) == 1);
   // The range of r and s is checked inside.
   const bool good = ECDSA_do_verify(digest.data(), static_cast<int>(digest.size()), pair.get(), key_->key.get()) == 1;
   if (!good)
      ERR_clear_error();
   return good;
}

bool verifySignature(ByteView spki, const Checksum256& digest, ByteView signature) {
   const auto key = PublicKey::fromSpki(spki);
   return key && key->verify(digest, signature);
}

PrivateKey PrivateKey::generate(Curve curve) {
   KeyPointer key = emptyKey(curve);
   ASSERT(EC_KEY_generate_key(key.get()) == 1);
   return PrivateKey(curve, std::make_shared<const PublicKey::Key>(PublicKey::Key{std::move(key)}));
}

std::optional<PrivateKey> PrivateKey::fromScalar(Curve curve, const Checksum256& scalar) {
   KeyPointer key = emptyKey(curve);
   const EC_GROUP* group = EC_KEY_get0_group(key.get());
   BigPointer number(BN_bin2bn(scalar.data(), static_cast<int>(scalar.size()), nullptr));
   ASSERT(number);
   if (BN_is_zero(number.get()) || BN_cmp(number.get(), EC_GROUP_get0_order(group)) >= 0)
      return std::nullopt;
   PointPointer point(EC_POINT_new(group));
   ASSERT(point && EC_POINT_mul(group, point.get(), number.get(), nullptr, nullptr, nullptr) == 1);
   ASSERT(EC_KEY_set_private_key(key.get(), number.get()) == 1);
   ASSERT(EC_KEY_set_public_key(key.get(), point.get()) == 1);
   return PrivateKey(curve, std::make_shared<const PublicKey::Key>(PublicKey::Key{std::move(key)}));
}

std::optional<PrivateKey> PrivateKey::fromDer(ByteView der) {
   const auto* at = der.data();
   EvpPointer evp(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
   if (!evp || at != der.data() + der.size() || EVP_PKEY_get_base_id(evp.get()) != EVP_PKEY_EC) {
      ERR_clear_error();
      return std::nullopt;
   }
   KeyPointer key(EVP_PKEY_get1_EC_KEY(evp.get()));
   const auto curve = key ? curveOf(key.get()) : std::nullopt;
   const BIGNUM* number = key ? EC_KEY_get0_private_key(key.get()) : nullptr;
   Checksum256 scalar;
   if (!curve || !number || BN_bn2binpad(number, scalar.data(), scalarBytes) != scalarBytes) {
      ERR_clear_error();
      return std::nullopt;
   }
   auto result = fromScalar(*curve, scalar);
   OPENSSL_cleanse(scalar.data(), scalar.size());
   return result;
}

std::optional<PrivateKey> PrivateKey::fromPem(std::string_view text) {
   auto der = format::fromPem("PRIVATE KEY", text);
   if (!der)
      der = format::fromPem("EC PRIVATE KEY", text);
   if (!der)
      return std::nullopt;
   auto key = fromDer(*der);
   OPENSSL_cleanse(der->data(), der->size());
   return key;
}

PublicKey PrivateKey::publicKey() const { return PublicKey(curve_, key_); }

Bytes PrivateKey::pkcs8() const {
   // SEQUENCE { version 0, algorithm as in the public key, OCTET STRING { SEQUENCE { 1, scalar, [1] public key } } }
   const Bytes spki = publicKey().spki(PointForm::uncompressed);
   const std::size_t algorithmBytes = 2 + std::size_t{spki[3]};
   const ByteView algorithm = ByteView(spki).subspan(2, algorithmBytes);
   const ByteView bits = ByteView(spki).subspan(2 + algorithmBytes); // BIT STRING of the point

   Bytes out{0x30, 0x81, static_cast<std::uint8_t>(3 + algorithmBytes + 2 + 2 + 3 + 34 + 2 + bits.size()), 2, 1, 0};
   append(out, algorithm);
   out.push_back(0x04);
   out.push_back(static_cast<std::uint8_t>(2 + 3 + 34 + 2 + bits.size()));
   out.push_back(0x30);
   out.push_back(static_cast<std::uint8_t>(3 + 34 + 2 + bits.size()));
   append(out, Bytes{2, 1, 1, 0x04, scalarBytes});
   const std::size_t at = out.size();
   out.resize(at + scalarBytes);
   ASSERT(BN_bn2binpad(EC_KEY_get0_private_key(key_->key.get()), out.data() + at, scalarBytes) == scalarBytes);
   out.push_back(0xA1);
   out.push_back(static_cast<std::uint8_t>(bits.size()));
   append(out, bits);
   return out;
}

std::string PrivateKey::pem() const {
   Bytes der = pkcs8();
   std::string text = toPem("PRIVATE KEY", der);
   OPENSSL_cleanse(der.data(), der.size());
   return text;
}

Signature PrivateKey::sign(const Checksum256& digest) const {
   SignaturePointer pair(ECDSA_do_sign(digest.data(), static_cast<int>(digest.size()), key_->key.get()));
   ASSERT(pair);
   Signature out;
   ASSERT(BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), out.data(), scalarBytes) == scalarBytes);
   ASSERT(BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), out.data() + scalarBytes, scalarBytes) == scalarBytes);
   return out;
}

} // namespace polis::format
