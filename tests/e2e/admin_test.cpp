// Who administers a node: this machine, and whoever presents the token that the node showed once.
#include "e2e/fixture.hpp"

#include <fstream>
#include <string>

namespace polis::e2e {

namespace {

/// As a proxy on this machine passes on what comes from elsewhere.
constexpr auto fromElsewhere = "X-Forwarded-For: 203.0.113.7\r\n";
constexpr auto json = "Content-Type: application/json\r\n";

class Admin : public testing::Test {
protected:
   void SetUp() override {
      if (harness::dataFolder().empty())
         GTEST_SKIP() << "the packages are not built: ./run --build";
   }
   static std::string tokenIn(const std::string& log) {
      const std::string_view before = "/#token=";
      const auto at = log.find(before);
      if (at == std::string::npos)
         return {};
      const auto begin = at + before.size();
      return log.substr(begin, log.find('\n', begin) - begin);
   }
   static Answer ask(std::uint16_t port, const std::string& method, const std::string& target, std::string headers,
                     std::string_view body = {}) {
      return harness::requestWith(port, ChainClient{port}.host("x-admin"), method, target, headers, asBytes(body));
   }
   static bool contains(const std::filesystem::path& folder, std::string_view secret) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
         if (!entry.is_regular_file() || entry.path().filename() == "node.log")
            continue;
         const auto bytes = readAll(entry.path());
         if (asText(bytes).find(secret) != std::string_view::npos)
            return true;
      }
      return false;
   }
};

} // namespace

TEST_F(Admin, theTokenOpensTheNodeOnceForOneBrowser) {
   harness::NodeProcess node;
   const auto port = node.port();
   const auto token = tokenIn(node.log());
   ASSERT_EQ(token.size(), 48u) << node.log();
   const auto body = "{\"token\":\"" + token + "\"}";
   const std::string elsewhere = fromElsewhere;

   // Without it, only this machine.
   EXPECT_EQ(ask(port, "GET", "/native/admin/chain", "").status, 200);
   EXPECT_EQ(ask(port, "GET", "/native/admin/chain", elsewhere).status, 401);
   EXPECT_EQ(ask(port, "POST", "/admin_token", elsewhere + json, "{\"sha256\":\"00\"}").status, 401);

   // Refused ways do not use it up.
   EXPECT_EQ(ask(port, "GET", "/admin_claim", elsewhere).status, 405);
   EXPECT_EQ(ask(port, "POST", "/admin_claim", elsewhere + "Content-Type: text/plain\r\n", body).status, 415);
   EXPECT_EQ(ask(port, "POST", "/admin_claim", elsewhere + json + "Origin: http://evil.example\r\n", body).status, 403);
   EXPECT_EQ(ask(port, "POST", "/admin_claim", elsewhere + json + "Origin: null\r\n", body).status, 403);
   EXPECT_EQ(ask(port, "POST", "/admin_claim", elsewhere + json, "{}").status, 400);
   EXPECT_EQ(ask(port, "POST", "/admin_claim", elsewhere + json, "{\"token\":\"0123456789abcdef\"}").status, 403);

   const auto admitted = ask(port, "POST", "/admin_claim", elsewhere + json, body);
   ASSERT_EQ(admitted.status, 200) << admitted.body;
   const auto at = admitted.head.find("Set-Cookie: ADMIN=");
   ASSERT_NE(at, std::string::npos) << admitted.head;
   const auto line = admitted.head.substr(at + 12, admitted.head.find('\r', at) - at - 12);
   EXPECT_NE(line.find("; HttpOnly"), std::string::npos) << line;
   EXPECT_NE(line.find("; SameSite=Strict"), std::string::npos) << line;
   const auto secret = line.substr(6, line.find(';') - 6);
   const std::string cookie = "Cookie: other=1; ADMIN=" + secret + "\r\n";
   EXPECT_EQ(ask(port, "GET", "/native/admin/chain", elsewhere + cookie).status, 200);
   EXPECT_EQ(ask(port, "GET", "/config", elsewhere + cookie).status, 200);
   // A page of another origin gains nothing by the cookie.
   EXPECT_EQ(ask(port, "POST", "/shutdown", elsewhere + cookie + json + "Origin: http://evil.example\r\n", "{}").status,
             403);
   // One use.
   EXPECT_EQ(ask(port, "POST", "/admin_claim", elsewhere + json, body).status, 403);
   EXPECT_EQ(ask(port, "GET", "/native/admin/chain", elsewhere + "Cookie: ADMIN=" + token + "\r\n").status, 401);

   // Neither is on the disk.
   EXPECT_FALSE(contains(node.folder(), token));
   EXPECT_FALSE(contains(node.folder(), secret));

   // The browser stays, and no second token is shown.
   const auto before = node.log().size();
   ASSERT_EQ(node.stop(), 0) << node.log();
   node.start();
   EXPECT_EQ(tokenIn(node.log().substr(before)), "");
   EXPECT_EQ(ask(port, "GET", "/native/admin/chain", elsewhere + cookie).status, 200);
   EXPECT_EQ(ask(port, "POST", "/admin_leave", elsewhere + json + cookie, "{}").status, 200);
   EXPECT_EQ(ask(port, "GET", "/native/admin/chain", elsewhere + cookie).status, 401);
}

} // namespace polis::e2e
