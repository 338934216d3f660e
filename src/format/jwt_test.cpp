#include "format/jwt.hpp"

#include <gtest/gtest.h>

namespace polis::format {
namespace {

using namespace literals;

const Bytes key(16, 7);

TEST(Jwt, loginTokensComeBack) {
   const LoginClaims claims{"bob"_a, "example.com", 1000};
   const std::string token = makeLoginToken(key, claims);
   EXPECT_EQ(checkLoginToken(key, token, "example.com", {1000}), claims);
   EXPECT_EQ(checkLoginToken(key, token, "example.com", {1001}).error(), LoginRefusal::expired);
   EXPECT_EQ(checkLoginToken(key, token, "other.com", {0}).error(), LoginRefusal::otherHost);
   EXPECT_EQ(checkLoginToken(Bytes(16, 8), token, "example.com", {0}).error(), LoginRefusal::badToken);
}

TEST(Jwt, anyChangedCharacterIsRefused) {
   const std::string token = encodeJwt(key, R"({"sub":"bob"})");
   ASSERT_TRUE(decodeJwt(key, token));
   for (std::size_t i = 0; i < token.size(); ++i) {
      std::string changed = token;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(decodeJwt(key, changed)) << i;
   }
   EXPECT_FALSE(decodeJwt(key, token + '='));
   EXPECT_FALSE(decodeJwt(key, token + '.'));
   EXPECT_FALSE(decodeJwt(key, ""));
}

} // namespace
} // namespace polis::format
