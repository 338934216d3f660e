#include "kernel/native_verify.hpp"

#include "format/chain.hpp"
#include "format/fracpack.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

// EC_KEY is what can be built from a point without OpenSSL's decoders, which cost more than the verification.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>

namespace polis::kernel {

namespace {

struct Free {
   void operator()(EC_GROUP* p) const { EC_GROUP_free(p); }
   void operator()(EC_KEY* p) const { EC_KEY_free(p); }
   void operator()(EC_POINT* p) const { EC_POINT_free(p); }
   void operator()(BIGNUM* p) const { BN_free(p); }
   void operator()(ECDSA_SIG* p) const { ECDSA_SIG_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

/// The two curves; immutable once made.
struct Curves {
   Owned<EC_GROUP> r1{EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)};
   Owned<EC_GROUP> k1{EC_GROUP_new_by_curve_name(NID_secp256k1)};
};
const Curves& curves() {
   static const Curves made;
   return made;
}

// DER up to the point, after the outer length: SEQUENCE { OID ecPublicKey, OID curve }, BIT STRING without unused bits.
constexpr std::array<std::uint8_t, 21> r1Algorithm{0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,
                                                   0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
constexpr std::array<std::uint8_t, 18> k1Algorithm{0x30, 0x10, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D,
                                                   0x02, 0x01, 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x0A};

struct Point {
   const EC_GROUP* curve;
   ByteView bytes;
};

/// The point of a SubjectPublicKeyInfo in one of the four usual forms.
std::optional<Point> pointOf(ByteView key) {
   const auto match = [&](ByteView algorithm, const EC_GROUP* curve) -> std::optional<Point> {
      for (const std::size_t pointBytes : {std::size_t{33}, std::size_t{65}}) {
         if (key.size() != 2 + algorithm.size() + 3 + pointBytes)
            continue;
         const ByteView bits = key.subspan(2 + algorithm.size());
         if (key[0] != 0x30 || key[1] != key.size() - 2 ||
             !std::ranges::equal(key.subspan(2, algorithm.size()), algorithm) || bits[0] != 0x03 ||
             bits[1] != 1 + pointBytes || bits[2] != 0)
            return std::nullopt;
         const ByteView point = bits.subspan(3);
         if (pointBytes == 65 ? point[0] != 4 : point[0] != 2 && point[0] != 3)
            return std::nullopt;
         return Point{curve, point};
      }
      return std::nullopt;
   };
   if (auto point = match(r1Algorithm, curves().r1.get()))
      return point;
   return match(k1Algorithm, curves().k1.get());
}

} // namespace

bool verifySignature(ByteView arguments) {
   const auto args = format::unpack<format::VerifyArgs>(arguments);
   if (!args || args->proof.size() != 64)
      return false;
   const auto point = pointOf(args->claim.rawData);
   if (!point)
      return false;
   Owned<EC_KEY> key(EC_KEY_new());
   Owned<EC_POINT> public_(EC_POINT_new(point->curve));
   if (!key || !public_ || !EC_KEY_set_group(key.get(), point->curve) ||
       !EC_POINT_oct2point(point->curve, public_.get(), point->bytes.data(), point->bytes.size(), nullptr) ||
       EC_POINT_is_at_infinity(point->curve, public_.get()) || !EC_KEY_set_public_key(key.get(), public_.get()))
      return false;
   Owned<BIGNUM> r(BN_bin2bn(args->proof.data(), 32, nullptr)), s(BN_bin2bn(args->proof.data() + 32, 32, nullptr));
   Owned<ECDSA_SIG> signature(ECDSA_SIG_new());
   if (!r || !s || !signature || !ECDSA_SIG_set0(signature.get(), r.get(), s.get()))
      return false;
   (void)r.release();
   (void)s.release();
   return ECDSA_do_verify(args->transactionHash.data(), static_cast<int>(args->transactionHash.size()), signature.get(),
                          key.get()) == 1;
}

} // namespace polis::kernel
