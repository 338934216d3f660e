// A second node follows the chain of the first: it holds the same blocks and the same state, serves them, goes on after
// either of the two was stopped or killed, and hands transactions on.
#include "e2e/fixture.hpp"

#include "format/json.hpp"
#include "harness/command.hpp"

#include <chrono>
#include <thread>

namespace polis::e2e {

namespace {

using harness::NodeProcess;

NodeProcess::Options options(std::vector<std::string> arguments) {
   NodeProcess::Options out;
   out.arguments = std::move(arguments);
   return out;
}

std::string greeting(const ChainClient& client) { return client.get("hello", "/api/greetings").body; }

bool sees(const NodeProcess& node, const std::string& text) {
   return soon([&] { return greeting(ChainClient{node.port()}).find(text) != std::string::npos; });
}

void greet(const NodeProcess& node, const std::string& text) {
   ChainClient{node.port()}.mustPush({action("prod", "hello", "greet", text)});
}

} // namespace

class Follow : public testing::Test {
protected:
   void SetUp() override {
      if (harness::dataFolder().empty())
         GTEST_SKIP() << "the packages are not built: ./run --build";
   }
   static std::string urlOf(const NodeProcess& node) { return "http://polis.localhost:" + std::to_string(node.port()); }
   static NodeProcess::Options following(const NodeProcess& node) {
      auto out = options({"--peer", urlOf(node)});
      out.follows = true;
      return out;
   }
   static std::string verified(const NodeProcess& node) {
      const auto result = harness::runPolis({"replay", "--verify", node.folder().string(), "--json"});
      EXPECT_EQ(result.status, 0) << result.output;
      return result.output;
   }
};

TEST_F(Follow, holdsTheSameChain) {
   NodeProcess first(options({"--p2p"}));
   greet(first, "before there was another");
   NodeProcess second(following(first));
   ASSERT_TRUE(sees(second, "before there was another")) << second.log();
   greet(first, "while the other follows");
   ASSERT_TRUE(sees(second, "while the other follows")) << second.log();

   // What is pushed to the follower reaches the producer, and its answer waits until it is in the chain.
   greet(second, "through the follower");
   ASSERT_TRUE(sees(first, "through the follower")) << first.log();

   // The follower dies and comes back; so does the producer.
   second.kill();
   greet(first, "while the other was dead");
   second.start();
   ASSERT_TRUE(sees(second, "while the other was dead")) << second.log();
   first.kill();
   first.start();
   greet(first, "after the producer was killed");
   ASSERT_TRUE(sees(second, "after the producer was killed")) << second.log();

   // Both hold the same blocks, and these give the same state.
   first.stop();
   std::this_thread::sleep_for(std::chrono::milliseconds(500));
   second.stop();
   const auto field = [](const std::string& json, const char* name) {
      const auto at = json.find("\"" + std::string(name) + "\":\"");
      return at == json.npos ? std::string() : json.substr(at, 80);
   };
   const std::string ours = verified(first), theirs = verified(second);
   EXPECT_EQ(field(ours, "chainId"), field(theirs, "chainId"));
   EXPECT_FALSE(field(ours, "chainId").empty());
}

TEST_F(Follow, aChainThatBillsIsTheSameForAll) {
   using harness::Quantity;
   NodeProcess first(options({"--p2p"}));
   NodeProcess second(following(first));
   const ChainClient client{first.port()}, other{second.port()};
   const auto act = [](const char* who) { return action(who, "tokens", "setUserConf", std::uint8_t{0}, true); };
   client.mustPush({action("prod", "accounts", "newAccount", "alice-one"_a, "auth-any"_a, true), act("prod"),
                    act("alice-one"), action("prod", "faucet-tok", "dispense", "prod"_a)});
   client.mustPush(
       {action("vserver", "vserver", "init_billing", "alice-one"_a),
        action("vserver", "vserver", "reduce_disk_budget", Quantity{1'000'000'000'000'000'000 - 1'000'000'000'000}),
        action("vserver", "vserver", "enable_billing", std::optional<bool>())});
   const auto refused = client.push(client.transaction({act("alice-one")}));
   EXPECT_NE(refused.body.find("alice-one has insufficient resource balance"), std::string::npos) << refused.body;
   client.mustPush({action("prod", "tokens", "credit", std::uint32_t{1}, "vserver"_a, Quantity{100'000'000},
                           std::string("for alice"))});
   client.mustPush(
       {action("prod", "vserver", "buy_res_for", Quantity{100'000'000}, "alice-one"_a, std::optional<std::string>())});
   const auto fees = [](const ChainClient& at) { return at.get("tokens", "/api/balances?account=alice-one").body; };
   ASSERT_TRUE(soon([&] { return fees(other) == fees(client); })) << second.log();
   for (int i = 0; i < 5; ++i) {
      client.mustPush({action("alice-one", "tokens", "createSub", "here " + std::to_string(i))});
      other.mustPush({action("alice-one", "tokens", "createSub", "there " + std::to_string(i))});
   }
   // What it costs was measured by the producer, and is the same for the one who follows.
   EXPECT_NE(fees(client).find(R"("tokenId":1)"), std::string::npos) << fees(client);
   EXPECT_TRUE(soon([&] { return fees(other) == fees(client); })) << fees(other) << fees(client);
   second.stop();
   first.stop();
   verified(first);
   verified(second);
}

TEST_F(Follow, aChainThatIsMadeWhileOthersWait) {
   // It waits for a neighbour that is not there, and so makes no chain by itself.
   auto waiting = options({"--p2p", "--producer", "prod", "--peer", "http://polis.localhost:9"});
   waiting.follows = true;
   NodeProcess first(waiting);
   NodeProcess second(following(first));
   ASSERT_TRUE(soon([&] { return first.log().find("Connected to") != std::string::npos; })) << first.log();
   const auto made = harness::runPolis({"boot", "--url", urlOf(first)});
   ASSERT_EQ(made.status, 0) << made.output;
   greet(first, "the first words");
   EXPECT_TRUE(sees(second, "the first words")) << second.log();
}

TEST_F(Follow, oneConnectionIsEnough) {
   NodeProcess first(options({"--p2p"}));
   auto connected = following(first);
   connected.arguments.emplace_back("--p2p");
   NodeProcess second(connected);
   greet(first, "hello");
   ASSERT_TRUE(sees(second, "hello")) << second.log();
   const std::string body = "{\"url\":\"" + urlOf(second) + "\"}";
   EXPECT_EQ(ChainClient{first.port()}.post("x-peers", "/connect", asBytes(body), "application/json").status, 200);
   const auto open = [](const NodeProcess& node) {
      const auto body = ChainClient{node.port()}.get("x-peers", "/peers").body;
      std::size_t count = 0;
      for (auto at = body.find("\"open\":true"); at != body.npos; at = body.find("\"open\":true", at + 1))
         ++count;
      return count;
   };
   // Both have made a connection, and one of them has ended its own.
   ASSERT_TRUE(soon([&] {
      const std::string logs = first.log() + second.log();
      return logs.find("has ended") != logs.npos && open(first) == 1 && open(second) == 1;
   })) << first.log()
       << second.log();
   greet(first, "by one connection");
   EXPECT_TRUE(sees(second, "by one connection"));
   EXPECT_EQ(open(first), 1u);
}

TEST_F(Follow, needsTheOptionOfTheOther) {
   NodeProcess first;
   NodeProcess second(following(first));
   ASSERT_TRUE(soon([&] { return second.log().find("answers 403") != std::string::npos; })) << second.log();
   EXPECT_TRUE(first.running());
   // That is said once, however often it is tried; and nobody is advised to make another chain.
   ASSERT_TRUE(soon([&] {
      return ChainClient{second.port()}.get("x-peers", "/urls").body.find("\"failures\":3") != std::string::npos;
   })) << second.log();
   EXPECT_EQ(second.log().find("answers 403"), second.log().rfind("answers 403")) << second.log();
   const auto status = harness::runPolis({"status", "--url", urlOf(second)});
   EXPECT_NE(status.output.find("the node waits for that of " + urlOf(first)), std::string::npos) << status.output;
}

TEST_F(Follow, saysOnceWhyNobodyIsReached) {
   auto alone = options({"--peer", "http://polis.localhost:9"});
   alone.follows = true;
   NodeProcess second(alone);
   const std::string why = "x-peers.polis.localhost:9 cannot be reached: Connection refused";
   ASSERT_TRUE(soon([&] { return second.log().find(why) != std::string::npos; })) << second.log();
   ASSERT_TRUE(soon([&] {
      return ChainClient{second.port()}.get("x-peers", "/urls").body.find("\"failures\":3") != std::string::npos;
   })) << second.log();
   EXPECT_EQ(second.log().find(why), second.log().rfind(why)) << second.log();
}

TEST_F(Follow, onlyTheChainThatItWasToldTo) {
   NodeProcess first(options({"--p2p"}));
   const auto status = harness::runPolis({"status", "--json", "--url", urlOf(first)});
   const auto at = status.output.find("\"chainId\":\"");
   ASSERT_NE(at, status.output.npos) << status.output;
   const std::string chain = status.output.substr(at + 11, 64);
   auto wrong = following(first);
   wrong.arguments.insert(wrong.arguments.end(), {"--chain", std::string(64, 'A')});
   NodeProcess careful(wrong);
   ASSERT_TRUE(soon([&] { return careful.log().find("it offers the chain " + chain) != std::string::npos; }))
       << careful.log();
   EXPECT_EQ(careful.log().find("This node follows"), std::string::npos) << careful.log();
   auto right = following(first);
   right.arguments.insert(right.arguments.end(), {"--chain", chain});
   NodeProcess second(right);
   greet(first, "to those who asked for it");
   ASSERT_TRUE(sees(second, "to those who asked for it")) << second.log();
   EXPECT_NE(second.log().find("This node follows the chain " + chain), std::string::npos) << second.log();
}

TEST_F(Follow, anotherChainIsRefused) {
   NodeProcess first(options({"--p2p"}));
   NodeProcess alone;
   alone.stop();
   auto connected = options({"--peer", urlOf(first)});
   connected.folder = alone.folder();
   NodeProcess other(connected);
   const auto before = ChainClient{other.port()}.get("explorer", "/api/block?num=2").body;
   // Whichever hears first of the other's irreversible block ends it.
   ASSERT_TRUE(soon([&] { return (first.log() + other.log()).find("is closed: ") != std::string::npos; }))
       << other.log();
   EXPECT_EQ(before, ChainClient{other.port()}.get("explorer", "/api/block?num=2").body);
   greet(other, "its own chain goes on");
   greet(first, "and so does this one");
}

} // namespace polis::e2e
