// A service of the chain, which anybody may deploy, is not the node: it reaches neither the node's administration nor
// what other services answer. tests/services/hostile makes the attempts.
#include "e2e/fixture.hpp"

#include <atomic>
#include <thread>

namespace polis::e2e {

namespace {

class HostileService : public WithNode {
protected:
   void SetUp() override {
      WithNode::SetUp();
      if (IsSkipped() || deployed_)
         return;
      const auto code = readAll(harness::dataFolder() / "tests" / "hostile.wasm");
      ASSERT_FALSE(code.empty());
      deploy("bad-server", code);
      client().mustPush({action("bad-server", "http", "registerServer", "bad-server"_a)});
      deployed_ = true;
   }
   static void TearDownTestSuite() {
      deployed_ = false;
      WithNode::TearDownTestSuite();
   }
   static void deploy(const char* account, const Bytes& code) {
      newAccount(account);
      client().mustPush({action(account, "setcode", "setCode", format::AccountNumber{account}, std::uint8_t{0},
                                std::uint8_t{0}, code)});
   }
   static void expectRefused(const std::string& target, std::string_view reason) {
      const auto answer = client().get("bad-server", target);
      EXPECT_EQ(answer.status, 500) << target << ": " << answer.body;
      EXPECT_NE(answer.body.find(reason), std::string::npos) << target << ": " << answer.body;
   }
   static Answer fromPage(const std::string& host, const std::string& origin, const std::string& method,
                          const std::string& target) {
      return harness::requestWith(node().port(), host, method, target,
                                  "Origin: " + origin + "\r\nContent-Type: application/json\r\n",
                                  asBytes(method == "GET" ? "" : R"({"account":"bad-server","admin":true})"));
   }

private:
   static inline bool deployed_ = false;
};

} // namespace

TEST_F(HostileService, requestsReachLocalServicesByXHttpOnly) {
   for (const char* target : {"/config", "/become-admin", "/postinstall", "/sites"})
      for (const char* socket : {"", "?socket=0", "?socket=2", "?socket=3"})
         expectRefused(target + std::string(socket), "'bad-server' may not call this");
   expectRefused("/options", "'bad-server' may not call this");
   EXPECT_EQ(client().get("x-admin", "/admin_accounts").body, "[]");
   EXPECT_EQ(client().get("x-packages", "/api/installed").body.find("\"X\""), std::string::npos);
}

TEST_F(HostileService, onlyWhoAnswersARequestMayAskWhoseItIs) {
   // Its own visitor: it may ask, and hears only yes or no.
   EXPECT_EQ(client().get("bad-server", "/check").body, "yes");
   EXPECT_EQ(client().get("bad-server", "/is-admin").body, "yes");
   for (const char* target : {"/check?socket=0", "/check?socket=1", "/check?socket=1000", "/is-admin?socket=1000"})
      expectRefused(target, "'bad-server' is not answering this request");
}

TEST_F(HostileService, nodeServicesDoNotAnswerForAccounts) {
   for (const char* server : {"x-admin", "x-packages", "x-sites", "x-http"}) {
      const auto answer = client().push(
          client().transaction({action("bad-server", "http", "registerServer", format::AccountNumber{server})}));
      EXPECT_FALSE(ChainClient::succeeded(answer)) << server;
      EXPECT_NE(answer.body.find("does not answer for accounts of the chain"), std::string::npos) << answer.body;
   }
}

TEST_F(HostileService, theAdministrationKnowsItsOwnOrigin) {
   const auto admin = client().host("x-admin");
   EXPECT_EQ(fromPage(admin, "http://" + admin, "GET", "/admin_accounts").status, 200);
   // Reading is refused to other pages too, and neither the page's own host nor one that only looks alike helps.
   for (const std::string& origin :
        {std::string("http://evil.example"), std::string("null"), "http://" + client().host("bad-server"),
         "http://" + admin + ".evil.example", "http://" + admin + "1", std::string("http://x-admin.polis.localhost")})
      for (const char* method : {"GET", "POST"})
         EXPECT_EQ(fromPage(admin, origin, method, "/admin_accounts").status, 403) << method << " from " << origin;
   EXPECT_EQ(client().get("x-admin", "/admin_accounts").body, "[]");
}

TEST_F(HostileService, nobodyAnswersForOthers) {
   // Somebody waits for an answer from `transact`, while every socket number is tried.
   const auto loop = readAll(std::filesystem::path(POLIS_BAD_SERVICES) / "loop.wasm");
   ASSERT_FALSE(loop.empty());
   deploy("bad-waits", loop);
   std::atomic<bool> answered{false};
   Answer victim;
   std::thread waits([&] {
      victim = client().push(client().transaction({action("prod", "bad-waits", "go")}));
      answered = true;
   });
   do {
      for (int socket = 2; socket < 8; ++socket) {
         const auto number = "?socket=" + std::to_string(socket);
         for (const char* target : {"/answer-others", "/send-raw", "/reply-others", "/close-others"})
            expectRefused(target + number, "the sender does not own this socket");
         EXPECT_EQ(client().get("bad-server", "/claim-others" + number).body, "no");
      }
   } while (!answered);
   waits.join();
   EXPECT_NE(victim.body.find("timed out"), std::string::npos) << victim.body;
}

TEST_F(HostileService, onlyTheSystemUsesTheRunQueue) {
   for (const char* target : {"/run", "/verify"})
      expectRefused(target, "'bad-server' may not call this");
   EXPECT_EQ(client().get("x-admin", "/run_queue").body, "[]");
}

TEST_F(HostileService, theOperatorClearsTheRunQueue) {
   const auto host = client().host("x-admin");
   auto clear = [&](std::string_view body, const std::string& type) {
      return harness::requestWith(node().port(), host, "POST", "/run_queue", "Content-Type: " + type + "\r\n",
                                  asBytes(body));
   };
   EXPECT_EQ(clear(R"({"service":"bad-server"})", "text/plain").status, 415);
   EXPECT_EQ(clear("{", "application/json").status, 400);
   EXPECT_EQ(clear(R"({"service":"bad-server"})", "application/json").body, R"({"removed":0})");
   EXPECT_EQ(fromPage(host, "http://evil.example", "POST", "/run_queue").status, 403);
}

TEST_F(HostileService, pagesOfTheNodeAreStrict) {
   const auto page = client().get("x-admin", "/");
   ASSERT_EQ(page.status, 200);
   EXPECT_NE(page.head.find("frame-ancestors 'none'"), std::string::npos) << page.head;
   EXPECT_EQ(page.head.find("unsafe-eval"), std::string::npos) << page.head;
   EXPECT_NE(page.head.find("default-src 'self'"), std::string::npos) << page.head;
   // Inline scripts fall under default-src.
   EXPECT_EQ(page.head.find("script-src"), std::string::npos) << page.head;
}

TEST_F(HostileService, cookiesStayWithTheirHost) {
   const auto answer = client().get("bad-server", "/cookie");
   ASSERT_EQ(answer.status, 200) << answer.body;
   for (const char* kept : {"SESSION=evil; Path=/\r\n", "a=b; path=/;HttpOnly\r\n", "domain=1; Path=/\r\n"})
      EXPECT_NE(answer.head.find(std::string("Set-Cookie: ") + kept), std::string::npos) << answer.head;
   EXPECT_EQ(answer.head.find("polis.localhost"), std::string::npos) << answer.head;
}

} // namespace polis::e2e
