// Times without a chain that goes on: while it is made, and where it stands still.
#include "e2e/fixture.hpp"

#include "harness/command.hpp"

#include <chrono>
#include <csignal>
#include <future>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace polis::e2e {

namespace {

void write(const std::filesystem::path& file, const std::string& text) { std::ofstream(file) << text; }

/// One that nobody listens on.
std::uint16_t freePort() {
   const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
   sockaddr_in address{};
   address.sin_family = AF_INET;
   address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
   socklen_t size = sizeof address;
   if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
       ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no port is free");
   ::close(fd);
   return ntohs(address.sin_port);
}

} // namespace

TEST(Standstill, aKeyThatNobodyHasTakesOverOnlyByForceAndThenPushesAreAnswered) {
   if (harness::dataFolder().empty())
      GTEST_SKIP() << "the packages are not built: ./run --build";
   const TemporaryFolder keys("standstill");
   const auto own = format::PrivateKey::generate(), other = format::PrivateKey::generate();
   const auto ownFile = (keys.path() / "own.pem").string(), otherFile = (keys.path() / "other.pem").string();
   write(ownFile, own.pem());
   write(otherFile, other.pem());
   harness::NodeProcess::Options options;
   options.arguments = {"--key", ownFile};
   harness::NodeProcess node(std::move(options));
   const ChainClient client(node.port());
   const auto words = [&](const std::string& member, std::vector<std::string> more = {}) {
      more.insert(more.begin(), {"producers", "--bft", member, "--sign", ownFile, "--url",
                                 "http://polis.localhost:" + std::to_string(node.port())});
      return more;
   };
   const auto decide = [&](const std::string& member) { return harness::runPolis(words(member)); };
   const auto says = [](const harness::CommandResult& result, const std::string& text) {
      EXPECT_NE(result.output.find(text), std::string::npos) << text << "\n" << result.output;
   };

   auto result = decide("prod=" + otherFile);
   EXPECT_NE(result.status, 0);
   says(result, "prod: the node of that name does not have this key");
   says(result, "--force");
   result = decide("ada=" + ownFile);
   EXPECT_NE(result.status, 0);
   says(result, "ada: no connected node has this name");
   // Nothing was changed.
   client.mustPush({action("prod", "accounts", "getAccount", "prod"_a)}, &own);

   // Whoever wants it all the same has it decided, but never in force.
   auto byForce = words("prod=" + otherFile, {"--force"});
   byForce.insert(byForce.begin(), harness::polisBinary().string());
   const harness::BackgroundCommand forced({.words = std::move(byForce)}, keys.path() / "forced.log");
   EXPECT_TRUE(soon([&] { return node.log().find("does not have the key") != std::string::npos; })) << node.log();

   // Expiry passes by the clock, for no block comes that could tell of it.
   const auto push = [&](const std::string& wait) {
      format::Transaction transaction;
      transaction.tapos = client.tapos(3);
      transaction.actions = {action("prod", "accounts", "exists", "prod"_a, wait)};
      transaction.claims.push_back({.service = "verify-sig"_a, .rawData = own.publicKey().spki()});
      return client.push(ChainClient::signedBytes(transaction, &own), wait);
   };
   // It may still be executed, in a block that never becomes irreversible.
   auto applied = std::async(std::launch::async, push, "applied"),
        final = std::async(std::launch::async, push, "final");
   ASSERT_EQ(applied.wait_for(std::chrono::minutes(1)), std::future_status::ready) << node.log();
   ASSERT_EQ(final.wait_for(std::chrono::minutes(1)), std::future_status::ready) << node.log();
   const auto heard = final.get();
   EXPECT_EQ(heard.status, 504) << heard.body;
   EXPECT_TRUE(soon([&] { return forced.output().find("not in force after 20 seconds") != std::string::npos; }))
       << forced.output();
}

TEST(Boot, whoComesWhileTheChainIsMadeIsAskedToComeAgainAndAStopIsObeyedAtOnce) {
   if (harness::dataFolder().empty())
      GTEST_SKIP() << "the packages are not built: ./run --build";
   harness::NodeProcess::Options options;
   const auto port = freePort();
   options.arguments = {"--listen", "127.0.0.1:" + std::to_string(port)};
   options.start = false;
   harness::NodeProcess node(std::move(options));
   constexpr std::string_view ready = "is ready";
   const auto isReady = [&] { return node.log().find(ready) != std::string::npos; };
   const auto ask = [&](const std::string& headers) -> Answer {
      try {
         return harness::requestWith(port, "accounts.polis.localhost", "GET", "/", headers);
      } catch (const std::runtime_error&) {
         return {}; // it does not listen yet
      }
   };
   const auto firstAnswer = [&](const std::string& headers) {
      Answer answer;
      EXPECT_TRUE(soon([&] { return (answer = ask(headers)).status != 0; })) << node.log();
      return answer;
   };

   node.launch();
   auto answer = firstAnswer("Accept: text/html\r\n");
   EXPECT_FALSE(isReady());
   node.signal(SIGINT);
   EXPECT_TRUE(soon([&] { return !node.running(); }));
   EXPECT_FALSE(isReady()) << "it was stopped while it made the chain: " << node.log();
   EXPECT_EQ(answer.status, 503) << answer.body;
   EXPECT_NE(answer.head.find("Retry-After"), std::string::npos) << answer.head;
   EXPECT_NE(answer.body.find("<h1>"), std::string::npos) << answer.body;

   node.launch();
   do {
      answer = firstAnswer("");
      EXPECT_TRUE(answer.status == 503 || soon(isReady)) << answer.status << " " << answer.body;
   } while (answer.status == 503 && node.running());
   EXPECT_EQ(answer.status, 200) << answer.body;
}

TEST(Boot, aStartThatFailsLeavesNoSettings) {
   const harness::NodeProcess::Options options{
       .folder = {}, .arguments = {"--listen", "192.0.2.1:1"}, .follows = true, .start = false, .enter = {}};
   harness::NodeProcess node(options);
   node.launch();
   EXPECT_TRUE(soon([&] { return !node.running(); })) << node.log();
   EXPECT_FALSE(std::filesystem::exists(node.folder() / "config")) << node.log();
}

} // namespace polis::e2e
