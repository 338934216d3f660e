#include "format/keys.hpp"

#include "format/hash.hpp"
#include "format/text_encoding.hpp"

#include <gtest/gtest.h>

namespace polis::format {
namespace {

TEST(Keys, signaturesVerifyUnderEveryEncoding) {
   const Checksum256 digest = sha256("message");
   for (const Curve curve : {Curve::p256, Curve::k1}) {
      const PrivateKey key = PrivateKey::generate(curve);
      Signature signature = key.sign(digest);
      for (const PointForm form : {PointForm::compressed, PointForm::uncompressed}) {
         const Bytes spki = key.publicKey().spki(form);
         EXPECT_TRUE(verifySignature(spki, digest, signature));
         EXPECT_EQ(PublicKey::fromPem(key.publicKey().pem(form))->spki(form), spki);
         for (std::size_t i = 0; i < spki.size(); ++i) {
            Bytes changed = spki;
            changed[i] ^= 1;
            EXPECT_FALSE(verifySignature(changed, digest, signature)) << i;
         }
         EXPECT_FALSE(PublicKey::fromSpki(ByteView(spki).first(spki.size() - 1)));
      }
      signature[5] ^= 1;
      EXPECT_FALSE(key.publicKey().verify(digest, signature));
   }
}

TEST(Keys, privateKeysComeBack) {
   for (const Curve curve : {Curve::p256, Curve::k1}) {
      const PrivateKey key = PrivateKey::generate(curve);
      const auto fromDer = PrivateKey::fromDer(key.pkcs8());
      ASSERT_TRUE(fromDer);
      EXPECT_EQ(fromDer->pkcs8(), key.pkcs8());
      EXPECT_EQ(PrivateKey::fromPem(key.pem())->pkcs8(), key.pkcs8());
   }
   EXPECT_FALSE(PrivateKey::fromDer(Bytes{0x30, 0x00}));
   EXPECT_FALSE(PrivateKey::fromDer({}));
   EXPECT_FALSE(PrivateKey::fromScalar(Curve::p256, {}));
   Checksum256 large;
   large.fill(0xFF);
   EXPECT_FALSE(PrivateKey::fromScalar(Curve::k1, large));
}

TEST(TextEncoding, base64) {
   for (const auto& [text, encoded] : std::vector<std::pair<std::string, std::string>>{
            {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}}) {
      EXPECT_EQ(toBase64(asBytes(text)), encoded);
      EXPECT_EQ(fromBase64(encoded), toBytes(text));
   }
   for (const auto* bad : {"Z", "Zg", "Zg=", "Zh==", "Zg==Zg==", "Z===", "====", "Zm9 "})
      EXPECT_FALSE(fromBase64(bad)) << bad;
   EXPECT_EQ(toBase64Url(Bytes{0xFB, 0xFF}), "-_8");
   EXPECT_FALSE(fromBase64Url("-_9"));
   EXPECT_FALSE(fromBase64Url("-_8="));
}

TEST(TextEncoding, pem) {
   const Bytes der(100, 0x41);
   EXPECT_EQ(fromPem("X", "note\n" + toPem("X", der) + "more"), der);
   EXPECT_FALSE(fromPem("Y", toPem("X", der)));
}

} // namespace
} // namespace polis::format
