// The two implementations of signature verification on one case made from any bytes: mbedTLS, which the service is
// built with, and OpenSSL, which a node uses in its place.
#pragma once

#include "base/assert.hpp"
#include "crypto/verify.hpp"
#include "format/hash.hpp"
#include "format/keys.hpp"

#include <algorithm>
#include <mbedtls/bignum.h>

namespace polis::crypto {

/// A number of any size; every operation succeeds or stops the program.
class Whole {
public:
   Whole() { mbedtls_mpi_init(&value_); }
   explicit Whole(ByteView bytes) : Whole() {
      ASSERT(mbedtls_mpi_read_binary(&value_, bytes.data(), bytes.size()) == 0);
   }
   Whole(const Whole& other) : Whole() { ASSERT(mbedtls_mpi_copy(&value_, &other.value_) == 0); }
   Whole& operator=(const Whole&) = delete;
   ~Whole() { mbedtls_mpi_free(&value_); }

   Whole times(const Whole& other) const {
      Whole out;
      ASSERT(mbedtls_mpi_mul_mpi(&out.value_, &value_, &other.value_) == 0);
      return out;
   }
   Whole plus(const Whole& other) const {
      Whole out;
      ASSERT(mbedtls_mpi_add_mpi(&out.value_, &value_, &other.value_) == 0);
      return out;
   }
   Whole modulo(const Whole& n) const {
      Whole out;
      ASSERT(mbedtls_mpi_mod_mpi(&out.value_, &value_, &n.value_) == 0);
      return out;
   }
   /// n − this, for this ≤ n.
   Whole from(const Whole& n) const {
      Whole out;
      ASSERT(mbedtls_mpi_sub_mpi(&out.value_, &n.value_, &value_) == 0);
      return out;
   }
   Whole inverse(const Whole& n) const {
      Whole out;
      ASSERT(mbedtls_mpi_inv_mod(&out.value_, &value_, &n.value_) == 0);
      return out;
   }
   bool isZero() const { return mbedtls_mpi_cmp_int(&value_, 0) == 0; }
   /// Its low 256 bits, big-endian.
   format::Checksum256 bytes() const {
      std::uint8_t wide[64];
      ASSERT(mbedtls_mpi_write_binary(&value_, wide, sizeof wide) == 0);
      format::Checksum256 out;
      std::copy_n(wide + 32, 32, out.begin());
      return out;
   }

private:
   mbedtls_mpi value_;
};

/// Reads choices from bytes; zeros when there are no more.
class Choices {
public:
   explicit Choices(ByteView bytes) : bytes_(bytes) {}
   std::uint8_t next() { return at_ < bytes_.size() ? bytes_[at_++] : std::uint8_t{0}; }

private:
   ByteView bytes_;
   std::size_t at_ = 0;
};

struct Compared {
   bool same = false;
   bool untouched = false; ///< a signature made by the rules, with nothing changed
   Verdict verdict{};
};

/// input: which curve, key, nonce, digest; and what is changed afterwards. Edges are likely: keys and nonces 1, 2 and
/// n−1, digests that make the two points that verification adds equal or opposite, scalars of 0, n and n−s.
inline Compared compare(ByteView input) {
   Choices choices(input);
   const auto curve = choices.next() & 1 ? format::Curve::k1 : format::Curve::p256;
   const auto form = choices.next() & 1 ? format::PointForm::compressed : format::PointForm::uncompressed;
   const Whole n(*fromHex(curve == format::Curve::p256
                              ? "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551"
                              : "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141"));
   const auto scalar = [&] {
      const std::uint8_t which = choices.next();
      const std::uint8_t small[] = {static_cast<std::uint8_t>(1 + which % 2)};
      if (which < 2)
         return Whole(small);
      if (which < 4)
         return Whole(small).from(n);
      const std::uint8_t seed[] = {which, choices.next()};
      return Whole(format::sha256(ByteView(seed))).modulo(n);
   };
   const Whole d = scalar(), k = scalar();
   const auto key = format::PrivateKey::fromScalar(curve, d.bytes());
   const auto nonce = format::PrivateKey::fromScalar(curve, k.bytes());
   ASSERT(key && nonce);
   const Bytes point = nonce->publicKey().spki(format::PointForm::uncompressed);
   const Whole r = Whole(ByteView(point).last(64).first(32)).modulo(n);

   const auto digestOf = [&](std::uint8_t which) {
      const std::uint8_t seed[] = {which};
      switch (which) {
      case 0:
         return format::Checksum256{};
      case 1:
         return n.bytes();
      case 2:
         return r.bytes();
      case 3:
         return r.from(n).bytes();
      case 4:
         return r.times(d).modulo(n).bytes(); // the points added are equal
      case 5:
         return r.times(d).modulo(n).from(n).bytes(); // they are opposite: s is 0
      case 6: {
         format::Checksum256 all;
         all.fill(0xFF);
         return all;
      }
      default:
         return format::sha256(ByteView(seed));
      }
   };
   const format::Checksum256 digest = digestOf(choices.next());
   const Whole s = Whole(digest).plus(r.times(d)).times(k.inverse(n)).modulo(n);

   bool touched = s.isZero() || r.isZero();
   const auto changed = [&](const Whole& value) {
      const std::uint8_t which = choices.next();
      format::Checksum256 bytes = value.bytes();
      switch (which % 16) {
      case 1:
         return value.from(n).bytes(); // for s: as good as the other
      case 2:
         return format::Checksum256{};
      case 3:
         return n.bytes();
      case 4:
         return value.plus(n).bytes();
      case 5:
         bytes.fill(0xFF);
         return bytes;
      case 6:
         bytes[choices.next() % bytes.size()] ^= static_cast<std::uint8_t>(1 | choices.next());
         return bytes;
      default:
         return bytes;
      }
   };
   const format::Checksum256 newR = changed(r), newS = changed(s);
   touched |= newR != r.bytes() || (newS != s.bytes() && newS != s.from(n).bytes());
   Bytes signature(newR.begin(), newR.end());
   append(signature, newS);
   Bytes spki = key->publicKey().spki(form);
   const std::uint8_t damage = choices.next();
   if (damage >= 128) {
      touched = true;
      if (damage >= 160)
         spki[choices.next() % spki.size()] ^= static_cast<std::uint8_t>(1 | choices.next());
      else if (damage >= 150)
         spki.resize(spki.size() - 1 - choices.next() % spki.size());
      else if (damage >= 140)
         spki.push_back(choices.next());
      else
         signature.resize(choices.next() % 80);
   }

   Compared out{.untouched = !touched, .verdict = verifySignature(spki, digest, signature)};
   const auto native = format::PublicKey::fromSpki(spki);
   const Verdict other = signature.size() != 64              ? Verdict::badSignature
                         : !native                           ? Verdict::badKey
                         : native->verify(digest, signature) ? Verdict::good
                                                             : Verdict::badSignature;
   out.same = out.verdict == other;
   return out;
}

} // namespace polis::crypto
