// Who administers a node: this machine, and whoever presents the token that the node showed once.
#include "e2e/fixture.hpp"

#include "format/json.hpp"
#include "harness/open_metrics.hpp"
#include "harness/web_socket.hpp"

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

TEST_F(Admin, theLogIsFollowedOverAWebSocket) {
   harness::NodeProcess node;
   const auto port = node.port();
   const auto host = ChainClient{port}.host("x-admin");
   const std::string path = "/native/admin/log";

   EXPECT_EQ(ask(port, "GET", path, "").status, 426);
   EXPECT_EQ(ask(port, "POST", path, json, "{}").status, 405);
   EXPECT_EQ(harness::WebSocket(port, host, path, fromElsewhere).status(), 401);
   EXPECT_EQ(harness::WebSocket(port, host, path, "Origin: http://evil.example\r\n").status(), 403);
   EXPECT_EQ(harness::WebSocket(port, ChainClient{port}.host("tokens"), path).status(), 404);

   harness::WebSocket log(port, host, path, "Origin: http://" + host + "\r\n");
   ASSERT_EQ(log.status(), 101);
   harness::WebSocket warnings(port, host, path);
   ASSERT_EQ(warnings.status(), 101);
   // What cannot be followed is said, and the connection stays.
   log.send("{");
   EXPECT_TRUE(log.receive().value_or("").starts_with(R"({"error":"Malformed settings)"));
   log.send(R"({"filter":"Severity ~ info"})");
   EXPECT_TRUE(log.receive().value_or("").starts_with(R"({"error":"This filter is not understood)"));
   log.send(R"({"filter":"","format":"{Message}"})");
   EXPECT_TRUE(log.receive().value_or("").starts_with(R"({"error":)"));
   log.send(R"({"filter":"Severity >= info"})");
   warnings.send(R"({"filter":"Severity >= warning"})");
   // Both have been heard when they have been refused once more.
   log.send("{");
   EXPECT_TRUE(log.receive().value_or("").starts_with(R"({"error":)"));
   warnings.send("{");
   EXPECT_TRUE(warnings.receive().value_or("").starts_with(R"({"error":)"));

   // A saved configuration is told at level info.
   const auto config = ask(port, "GET", "/config", "");
   ASSERT_EQ(config.status, 200) << config.body;
   ASSERT_EQ(ask(port, "PUT", "/config", json, config.body).status, 200);
   const auto record = log.receive().value_or("");
   EXPECT_TRUE(record.starts_with(R"({"TimeStamp":")")) << record;
   EXPECT_NE(record.find(R"("Severity":"info","Message":"The configuration was saved)"), std::string::npos) << record;
   warnings.send("{");
   EXPECT_TRUE(warnings.receive().value_or("").starts_with(R"({"error":)")); // not the record

   // Who comes later may ask for what was.
   harness::WebSocket late(port, host, path);
   late.send(R"({"recent":1})");
   EXPECT_EQ(late.receive().value_or(""), record);
}

TEST_F(Admin, performanceInFigures) {
   harness::NodeProcess node;
   const auto port = node.port();
   ChainClient{port}.mustPush({action("prod", "accounts", "getAccount", "prod"_a)});
   EXPECT_EQ(ask(port, "GET", "/native/admin/perf", fromElsewhere).status, 401);
   EXPECT_EQ(ask(port, "POST", "/native/admin/perf", json, "{}").status, 405);
   const auto answer = ask(port, "GET", "/native/admin/perf", "");
   ASSERT_EQ(answer.status, 200);
   for (const char* part : {R"("timestamp":")", R"("memory":{"database":")", R"("tasks":[{"id":)", R"("group":"chain")",
                            R"("group":"net")", R"("group":"query")", R"("transactions":{"unprocessed":")"})
      EXPECT_NE(answer.body.find(part), std::string::npos) << part << " in " << answer.body;
   EXPECT_EQ(answer.body.find(R"("succeeded":"0")"), std::string::npos) << answer.body;
   EXPECT_EQ(answer.body.find(R"("database":"0")"), std::string::npos) << answer.body;
}

TEST_F(Admin, metricsAreOpenMetrics) {
   harness::NodeProcess node;
   const auto port = node.port();
   const ChainClient client{port};
   for (int i = 0; i < 2; ++i)
      ASSERT_TRUE(ChainClient::succeeded(
          client.push(client.transaction({action("prod", "hello", "greet", std::to_string(i))}))));
   client.mustPush({action("prod", "accounts", "getAccount", "prod"_a)}); // final: all have been counted by then
   EXPECT_EQ(ask(port, "GET", "/native/admin/metrics", fromElsewhere).status, 401);
   EXPECT_EQ(ask(port, "GET", "/native/admin/metrics", "Origin: http://evil.example\r\n").status, 403);
   EXPECT_EQ(ask(port, "POST", "/native/admin/metrics", json, "{}").status, 405);
   const auto answer = ask(port, "GET", "/native/admin/metrics", "");
   EXPECT_NE(answer.head.find("application/openmetrics-text; version=1.0.0; charset=utf-8"), std::string::npos)
       << answer.head;
   const auto metrics = harness::parseOpenMetrics(answer.body);
   ASSERT_TRUE(metrics) << metrics.error() << "\n" << answer.body;
   const auto value = [&](const char* name) { return harness::metricValue(*metrics, name); };
   EXPECT_GT(value("polis_process_resident_bytes"), 1e6);
   EXPECT_GT(value("polis_head_block"), 2);
   EXPECT_LE(value("polis_irreversible_block"), value("polis_head_block"));
   EXPECT_EQ(value("polis_peers"), 0);
   EXPECT_GE(value("polis_transactions"), 3);
   const auto count = [&](const std::string& family) {
      for (const auto& sample : metrics->at(family).samples)
         if (sample.name == family + "_count")
            return sample.value;
      return -1.0;
   };
   EXPECT_EQ(count("polis_push_applied_seconds"), 2);
   EXPECT_EQ(count("polis_push_final_seconds"), 1);
   EXPECT_GT(harness::metricQuantile(*metrics, "polis_push_final_seconds", 0.99), 0);
}

TEST_F(Admin, keysAreMadeAndTakenInButNeverGivenOut) {
   harness::NodeProcess node;
   const auto port = node.port();
   const std::string path = "/native/admin/keys";
   const auto list = [&] {
      const auto answer = ask(port, "GET", path, "");
      EXPECT_EQ(answer.status, 200);
      return answer.body;
   };
   EXPECT_EQ(list(), "[]");
   const auto make = R"({"service":"verify-sig"})";
   EXPECT_EQ(ask(port, "GET", path, fromElsewhere).status, 401);
   EXPECT_EQ(ask(port, "POST", path, fromElsewhere + std::string(json), make).status, 401);
   EXPECT_EQ(ask(port, "POST", path, json + std::string("Origin: http://evil.example\r\n"), make).status, 403);
   EXPECT_EQ(ask(port, "POST", path, "Content-Type: text/plain\r\n", make).status, 415);
   EXPECT_EQ(ask(port, "DELETE", path, "").status, 405);
   EXPECT_EQ(ask(port, "POST", path, json, "{").status, 400);
   EXPECT_EQ(ask(port, "POST", path, json, R"({"service":"auth-any"})").status, 400);
   EXPECT_EQ(ask(port, "POST", path, json, R"({"service":"verify-sig","rawData":"0102"})").status, 400);
   EXPECT_EQ(ask(port, "POST", path, json, R"({"service":"verify-sig","device":"x"})").status, 400);
   EXPECT_EQ(ask(port, "GET", path + "/devices", "").body, "[]");
   EXPECT_EQ(ask(port, "POST", path + "/unlock", json, R"({"device":"x","pin":"1"})").status, 404);
   EXPECT_EQ(ask(port, "POST", path + "/lock", json, R"({"device":"x"})").status, 404);
   EXPECT_EQ(ask(port, "GET", path + "/lock", "").status, 405);
   EXPECT_EQ(list(), "[]");

   const auto made = ask(port, "POST", path, json, make);
   ASSERT_EQ(made.status, 200) << made.body;
   EXPECT_TRUE(made.body.starts_with(R"({"service":"verify-sig","rawData":"30)")) << made.body;
   EXPECT_EQ(list(), "[" + made.body + "]");
   const auto mine = format::PrivateKey::generate();
   const auto body = R"({"service":"verify-sig","rawData":")" + toHex(mine.pkcs8()) + "\"}";
   const auto taken = ask(port, "POST", path, json, body);
   ASSERT_EQ(taken.status, 200) << taken.body;
   EXPECT_NE(taken.body.find(toHex(mine.publicKey().spki())), std::string::npos) << taken.body;
   EXPECT_EQ(ask(port, "POST", path, json, body).body, taken.body); // twice is once
   const auto both = list();
   EXPECT_EQ(both, "[" + made.body + "," + taken.body + "]");

   ASSERT_EQ(node.stop(), 0) << node.log();
   node.start();
   const auto again = list();
   EXPECT_NE(again.find(made.body), std::string::npos) << again;
   EXPECT_NE(again.find(taken.body), std::string::npos) << again;
   EXPECT_EQ(again.size(), both.size());

   // The producer changes to the key that was made; blocks go on, signed with it.
   const auto spki = format::fromJson<format::Claim>(made.body);
   ASSERT_TRUE(spki);
   ChainClient client{port};
   const auto signs = [&] { return ask(port, "GET", "/native/admin/chain", "").body; };
   EXPECT_NE(signs().find(R"("signs":null)"), std::string::npos) << signs();
   client.mustPush(
       {action("producers", "producers", "setProducers", std::vector<format::Producer>{{"prod"_a, *spki}})});
   const auto head = [&] { return client.get("explorer", "/api/head").body; };
   for (int i = 0; i < 3; ++i) {
      const auto before = head();
      client.mustPush({action("prod", "accounts", "getAccount", "prod"_a)});
      EXPECT_NE(head(), before);
   }
   EXPECT_NE(signs().find(R"("signs":)" + made.body), std::string::npos) << signs();
}

} // namespace polis::e2e
