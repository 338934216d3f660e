// Vectors of the protocol's conformance set where it is present, and damaged keys and signatures of our own.
#include "crypto/verify.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include <gtest/gtest.h>

#include "format/json.hpp"
#include "verify_difference.hpp"

namespace polis::crypto {
namespace {

using format::Checksum256;

struct SignatureCase {
   std::string over, digest, signature;
   bool valid = false;
   std::string note;
};

struct KeyCase {
   std::string curve, spki_der_uncompressed, spki_der_compressed;
   std::vector<SignatureCase> signatures;
};

Checksum256 checksum(std::string_view hex) {
   Checksum256 out{};
   EXPECT_EQ(hex.size(), 64u);
   EXPECT_TRUE(readHex(hex, out.data()));
   return out;
}

// One key of each curve (private scalar 1 and its like are test keys only), from the conformance set.
struct Known {
   std::string_view uncompressed, compressed, digest, signature;
};
constexpr Known known[] = {
    {"3059301306072A8648CE3D020106082A8648CE3D0301070342000481859118D925CDF2CF96FDFB1BDF9556C9B46F7E99E015"
     "99C58A3A52504468C1FE0A17E6BA217152C8FD1019B3AFDE3BA6348C5677AB0224909399F07AD35AA4",
     "3039301306072A8648CE3D020106082A8648CE3D0301070322000281859118D925CDF2CF96FDFB1BDF9556C9B46F7E99E015"
     "99C58A3A52504468C1",
     "633E7FC97DA86780278B3BDEBACA5A9E10E4A1B926E2DAAFE04A9D8162B61D1E",
     "3E08C98DAF052180CF07DB3C10C8163E685343A5E00A01E5BC9B9816F684403F2A7D5F48F7E7CB706E9125B960B6A3667EA2"
     "960B5990CEF93740BCB7EE46AA8D"},
    {"3056301006072A8648CE3D020106052B8104000A03420004C6047F9441ED7D6D3045406E95C07CD85C778E4B8CEF3CA7ABAC"
     "09B95C709EE51AE168FEA63DC339A3C58419466CEAEEF7F632653266D0E1236431A950CFE52A",
     "3036301006072A8648CE3D020106052B8104000A03220002C6047F9441ED7D6D3045406E95C07CD85C778E4B8CEF3CA7ABAC"
     "09B95C709EE5",
     "633E7FC97DA86780278B3BDEBACA5A9E10E4A1B926E2DAAFE04A9D8162B61D1E",
     "3136FA7D6ACACEEBC1AFCE3BDC57D1391046C4F1AA5368153907885E2A3B46617BE933E2A0FE2E106E67D5274D200BC10D38"
     "C34184F37FB8C5501B5A6FA00108"},
};

TEST(Verify, acceptsBothCurvesAndBothForms) {
   for (const Known& k : known)
      for (std::string_view key : {k.uncompressed, k.compressed}) {
         EXPECT_TRUE(isPublicKey(*fromHex(key)));
         EXPECT_EQ(verifySignature(*fromHex(key), checksum(k.digest), *fromHex(k.signature)), Verdict::good) << key;
      }
}

TEST(Verify, refusesEveryDamagedByte) {
   for (const Known& k : known) {
      const Bytes key = *fromHex(k.uncompressed), signature = *fromHex(k.signature);
      const Checksum256 digest = checksum(k.digest);
      for (std::size_t i = 0; i < key.size(); ++i) {
         Bytes damaged = key;
         damaged[i] ^= 1;
         EXPECT_EQ(verifySignature(damaged, digest, signature), Verdict::badKey) << "key byte " << i;
      }
      for (std::size_t i = 0; i < signature.size(); ++i) {
         Bytes damaged = signature;
         damaged[i] ^= 1;
         EXPECT_EQ(verifySignature(key, digest, damaged), Verdict::badSignature) << "signature byte " << i;
      }
      for (std::size_t i = 0; i < digest.size(); ++i) {
         Checksum256 damaged = digest;
         damaged[i] ^= 1;
         EXPECT_EQ(verifySignature(key, damaged, signature), Verdict::badSignature) << "digest byte " << i;
      }
   }
}

TEST(Verify, refusesWrongSizesAndForms) {
   for (const Known& k : known) {
      const Bytes signature = *fromHex(k.signature);
      const Checksum256 digest = checksum(k.digest);
      for (std::string_view text : {k.uncompressed, k.compressed}) {
         const Bytes key = *fromHex(text);
         const std::size_t point = key.size() - (text == k.compressed ? 33 : 65);
         Bytes shorter(key.begin(), key.end() - 1), longer = key, hybrid = key,
                                                    infinity(key.begin(), key.begin() + static_cast<long>(point));
         longer.push_back(0);
         hybrid[point] = static_cast<std::uint8_t>(6 | (key.back() & 1));
         infinity.push_back(0);
         for (const Bytes& bad : {shorter, longer, hybrid, infinity, Bytes{}})
            EXPECT_EQ(verifySignature(bad, digest, signature), Verdict::badKey);
         EXPECT_EQ(verifySignature(key, digest, ByteView(signature).first(63)), Verdict::badSignature);
         EXPECT_EQ(verifySignature(key, digest, Bytes{}), Verdict::badSignature);
      }
      // An x whose x³ + ax + b is no square, and one that is not below the field's prime.
      Bytes none = *fromHex(k.compressed);
      std::size_t refused = 0;
      for (int i = 0; i < 32; ++i) {
         none.back() = static_cast<std::uint8_t>(none.back() + 1);
         refused += !isPublicKey(none);
      }
      EXPECT_GT(refused, 4u);
      EXPECT_LT(refused, 28u);
      std::fill(none.end() - 32, none.end(), std::uint8_t{0xFF});
      EXPECT_FALSE(isPublicKey(none));
   }
}

TEST(Verify, refusesScalarsOutOfRange) {
   for (const Known& k : known) {
      const Bytes key = *fromHex(k.uncompressed), signature = *fromHex(k.signature);
      for (std::uint8_t fill : {std::uint8_t{0}, std::uint8_t{0xFF}})
         for (std::size_t half : {0u, 32u}) {
            Bytes bad = signature;
            std::fill_n(bad.begin() + static_cast<long>(half), 32, fill);
            EXPECT_EQ(verifySignature(key, checksum(k.digest), bad), Verdict::badSignature);
         }
   }
}

// A node may answer for the service natively only because the two never differ. `crypto_difference_fuzz` goes on.
TEST(Verify, agreesWithTheNativeOne) {
   std::mt19937 random(5);
   std::size_t good = 0, badKey = 0, badSignature = 0;
   for (int i = 0; i < 600; ++i) {
      Bytes input(16);
      for (std::uint8_t& byte : input) // the edges are the small numbers
         byte = static_cast<std::uint8_t>(random() % 4 ? random() % 8 : random());
      const Compared compared = compare(input);
      EXPECT_TRUE(compared.same) << toHex(input);
      if (compared.untouched) {
         EXPECT_EQ(compared.verdict, Verdict::good) << toHex(input);
      }
      good += compared.verdict == Verdict::good;
      badKey += compared.verdict == Verdict::badKey;
      badSignature += compared.verdict == Verdict::badSignature;
   }
   // All three are met.
   EXPECT_GT(good, 50u);
   EXPECT_GT(badKey, 10u);
   EXPECT_GT(badSignature, 50u);
}

TEST(Verify, conformance) {
   const auto path = std::filesystem::path(POLIS_SOURCE_DIR) / "../shared/conformance/signatures.json";
   std::ifstream file(path);
   if (!file)
      GTEST_SKIP() << path << " is not there";
   std::ostringstream text;
   text << file.rdbuf();
   const auto keys = format::fromJson<std::vector<KeyCase>>(text.str());
   ASSERT_TRUE(keys.has_value());
   std::size_t checked = 0;
   for (const KeyCase& k : *keys)
      for (const std::string& key : {k.spki_der_uncompressed, k.spki_der_compressed})
         for (const SignatureCase& s : k.signatures) {
            const Verdict verdict = verifySignature(*fromHex(key), checksum(s.digest), *fromHex(s.signature));
            EXPECT_EQ(verdict == Verdict::good, s.valid) << k.curve << ' ' << s.over << ' ' << s.note;
            ++checked;
         }
   EXPECT_GT(checked, 80u);
}

} // namespace
} // namespace polis::crypto
