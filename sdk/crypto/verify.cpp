#include "verify.hpp"

#include <algorithm>
#include <array>

#include "mbedtls/bignum.h"
#include "mbedtls/ecdsa.h"
#include "mbedtls/ecp.h"

namespace polis::crypto {
namespace {

constexpr std::size_t scalarBytes = 32;
constexpr std::size_t compressedBytes = 1 + scalarBytes;
constexpr std::size_t uncompressedBytes = 1 + 2 * scalarBytes;

// DER has one encoding of each value, so everything before the point is one of four constants.
constexpr std::uint8_t r1Uncompressed[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48,
                                           0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
                                           0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};
constexpr std::uint8_t r1Compressed[] = {0x30, 0x39, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,
                                         0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x22, 0x00};
constexpr std::uint8_t k1Uncompressed[] = {0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02,
                                           0x01, 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x0A, 0x03, 0x42, 0x00};
constexpr std::uint8_t k1Compressed[] = {0x30, 0x36, 0x30, 0x10, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02,
                                         0x01, 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x0A, 0x03, 0x22, 0x00};

struct KeyForm {
   ByteView prefix;
   mbedtls_ecp_group_id curve;
   bool compressed;
};

const KeyForm keyForms[] = {
    {r1Uncompressed, MBEDTLS_ECP_DP_SECP256R1, false},
    {r1Compressed, MBEDTLS_ECP_DP_SECP256R1, true},
    {k1Uncompressed, MBEDTLS_ECP_DP_SECP256K1, false},
    {k1Compressed, MBEDTLS_ECP_DP_SECP256K1, true},
};

struct Number {
   Number() { mbedtls_mpi_init(&value); }
   ~Number() { mbedtls_mpi_free(&value); }
   Number(const Number&) = delete;
   Number& operator=(const Number&) = delete;
   operator mbedtls_mpi*() { return &value; }
   mbedtls_mpi value;
};

struct PublicKey {
   PublicKey() {
      mbedtls_ecp_group_init(&curve);
      mbedtls_ecp_point_init(&point);
   }
   ~PublicKey() {
      mbedtls_ecp_point_free(&point);
      mbedtls_ecp_group_free(&curve);
   }
   PublicKey(const PublicKey&) = delete;
   PublicKey& operator=(const PublicKey&) = delete;

   bool read(ByteView key);

   mbedtls_ecp_group curve;
   mbedtls_ecp_point point;

private:
   bool readCompressed(ByteView bytes);
};

/// Finds y with y² = x³ + ax + b and the parity that the first byte asks for. Both primes are 3 modulo 4, so a root of
/// a square v is v^((p + 1) / 4); for a v that is no square the result is off the curve, which `read` checks.
bool PublicKey::readCompressed(ByteView bytes) {
   const int parity = bytes[0] & 1;
   mbedtls_mpi *x = &point.X, *y = &point.Y;
   const mbedtls_mpi* p = &curve.P;
   Number square, exponent;
   if (mbedtls_mpi_read_binary(x, bytes.data() + 1, scalarBytes) || mbedtls_mpi_cmp_mpi(x, p) >= 0)
      return false;
   if (mbedtls_mpi_mul_mpi(square, x, x))
      return false;
   // mbedTLS leaves A empty where it means −3.
   const int failed =
       curve.A.p == nullptr ? mbedtls_mpi_sub_int(square, square, 3) : mbedtls_mpi_add_mpi(square, square, &curve.A);
   if (failed || mbedtls_mpi_mod_mpi(square, square, p) || mbedtls_mpi_mul_mpi(square, square, x) ||
       mbedtls_mpi_add_mpi(square, square, &curve.B) || mbedtls_mpi_mod_mpi(square, square, p))
      return false;
   if (mbedtls_mpi_add_int(exponent, p, 1) || mbedtls_mpi_shift_r(exponent, 2) ||
       mbedtls_mpi_exp_mod(y, square, exponent, p, nullptr))
      return false;
   if (mbedtls_mpi_get_bit(y, 0) != parity && mbedtls_mpi_sub_mpi(y, p, y))
      return false;
   return mbedtls_mpi_lset(&point.Z, 1) == 0;
}

bool PublicKey::read(ByteView key) {
   for (const KeyForm& form : keyForms) {
      const std::size_t pointBytes = form.compressed ? compressedBytes : uncompressedBytes;
      if (key.size() != form.prefix.size() + pointBytes ||
          !std::ranges::equal(form.prefix, key.first(form.prefix.size())))
         continue;
      const ByteView bytes = key.subspan(form.prefix.size());
      if (form.compressed ? bytes[0] != 2 && bytes[0] != 3 : bytes[0] != 4)
         return false;
      if (mbedtls_ecp_group_load(&curve, form.curve))
         return false;
      const bool read = form.compressed
                            ? readCompressed(bytes)
                            : mbedtls_ecp_point_read_binary(&curve, &point, bytes.data(), bytes.size()) == 0;
      return read && mbedtls_ecp_check_pubkey(&curve, &point) == 0;
   }
   return false;
}

} // namespace

bool isPublicKey(ByteView key) { return PublicKey().read(key); }

Verdict verifySignature(ByteView key, const format::Checksum256& digest, ByteView signature) {
   if (signature.size() != 2 * scalarBytes)
      return Verdict::badSignature;
   PublicKey publicKey;
   if (!publicKey.read(key))
      return Verdict::badKey;
   Number r, s;
   if (mbedtls_mpi_read_binary(r, signature.data(), scalarBytes) ||
       mbedtls_mpi_read_binary(s, signature.data() + scalarBytes, scalarBytes))
      return Verdict::badSignature;
   // Refuses r and s outside of 1…n−1.
   return mbedtls_ecdsa_verify(&publicKey.curve, digest.data(), digest.size(), &publicKey.point, r, s) == 0
              ? Verdict::good
              : Verdict::badSignature;
}

} // namespace polis::crypto
