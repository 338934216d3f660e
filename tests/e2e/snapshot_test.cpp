// A chain goes on from a snapshot: on another machine, with its producers, and nothing but what was signed.
#include "base/temporary_folder.hpp"
#include "e2e/fixture.hpp"
#include "harness/cluster.hpp"
#include "harness/command.hpp"

#include <cstring>
#include <fstream>
#include <random>

namespace polis::e2e {

namespace {

using harness::Cluster;
using harness::NodeProcess;
using harness::runPolis;

std::string field(const std::string& json, const std::string& name) {
   const auto at = json.find("\"" + name + "\":\"");
   if (at == json.npos)
      return "no " + name + " in " + json;
   const auto from = at + name.size() + 4;
   return json.substr(from, json.find('"', from) - from);
}

std::string urlOf(Cluster& cluster, std::size_t number) {
   return "http://polis.localhost:" + std::to_string(cluster.network().clientPort(number));
}

void greet(Cluster& cluster, std::size_t through, const std::string& text) {
   cluster.client(through).mustPush({action("prod", "hello", "greet", text)}, &cluster.key(0));
}

} // namespace

class Snapshot : public testing::Test {
protected:
   void SetUp() override {
      if (harness::dataFolder().empty())
         GTEST_SKIP() << "the packages are not built: ./run --build";
   }
   std::string path(const std::string& name) const { return (folder.path() / name).string(); }
   std::string verified(const std::vector<std::string>& words) const {
      const auto result = runPolis(words);
      EXPECT_EQ(result.status, 0) << result.output;
      return result.output;
   }

   TemporaryFolder folder{"polis-snapshot"};
};

TEST_F(Snapshot, aNodeGoesOnFromItInALiveNetwork) {
   const std::string there = path("loaded");
   constexpr std::size_t joined = 4;
   Cluster cluster({.producers = 4, .followers = 1, .absent = 1, .folder = [&](std::size_t node) {
                       return node == joined ? std::filesystem::path(there) : std::filesystem::path();
                    }});
   greet(cluster, 1, "before the snapshot");

   // Of a node that runs; two of four have to vouch for it.
   const std::string file = path("chain.snapshot");
   auto made =
       runPolis({"snapshot", "create", cluster.node(0).folder().string(), file, "--json", "--url", urlOf(cluster, 0)});
   ASSERT_EQ(made.status, 0) << made.output;
   const std::string chain = field(made.output, "chainId"), block = field(made.output, "blockId");
   const auto few = runPolis({"snapshot", "verify", file, "--chain", chain});
   EXPECT_EQ(few.status, 1);
   EXPECT_NE(few.output.find("only 1 of the 4"), std::string::npos) << few.output;
   const auto outsider = runPolis({"key", path("outsider.pem")});
   EXPECT_NE(runPolis({"snapshot", "sign", file, "--sign", path("outsider.pem")}).status, 0);
   EXPECT_EQ(runPolis({"snapshot", "sign", file, "--sign", cluster.keyFile(2)}).status, 0);
   verified({"snapshot", "verify", file, "--chain", chain, "--block", block});

   verified({"snapshot", "load", there, file, "--chain", chain});
   greet(cluster, 2, "after the snapshot");
   cluster.start(joined);
   const auto says = [&](const std::string& text) {
      return soon(
          [&] { return cluster.client(joined).get("hello", "/api/greetings").body.find(text) != std::string::npos; });
   };
   ASSERT_TRUE(says("after the snapshot")) << cluster.logs();
   // What is pushed to it reaches those who make the blocks.
   greet(cluster, joined, "through the new one");

   // A node may follow one that was begun from a snapshot, if it has blocks enough.
   cluster.node(joined).stop();
   cluster.start(joined);
   greet(cluster, 3, "after it was stopped");
   ASSERT_TRUE(says("after it was stopped")) << cluster.logs();

   // Both say the same of the state after one block.
   const auto num = std::to_string(cluster.standing(3).value_or(harness::Standing{}).irreversible);
   const auto stateOf = [&](std::size_t node) {
      std::string out;
      EXPECT_TRUE(soon([&] {
         const auto made = runPolis({"snapshot", "create", cluster.node(node).folder().string(), path("state"),
                                     "--json", "--num", num, "--url", urlOf(cluster, node)});
         out = made.output;
         return made.status == 0;
      })) << out;
      return field(out, "blockId") + field(out, "serviceRoot") + field(out, "nativeRoot");
   };
   EXPECT_EQ(stateOf(0), stateOf(joined));
   cluster.node(joined).stop();
   EXPECT_NE(runPolis({"replay", "--verify", there}).output.find("snapshot"), std::string::npos);
}

TEST_F(Snapshot, aNewcomerTakesItWhereItIsSmallerThanTheBlocks) {
   constexpr std::size_t first = 4, second = 5;
   Cluster cluster({.producers = 4, .followers = 2, .absent = 2});
   greet(cluster, 1, "before the snapshot");
   // Blocks that leave nothing behind in the state: services ignore what they do not know of.
   const auto kibibytes = [&](const char* what) {
      const auto log = cluster.node(0).log();
      const auto at = log.rfind(what);
      return at == log.npos ? 0ul : std::stoul(log.substr(at + std::strlen(what)));
   };
   cluster.decide(action("transact", "transact", "setSnapTime", std::uint32_t{1}));
   ASSERT_TRUE(soon([&] { return kibibytes("newcomers: ") > 0; })) << cluster.logs();
   const Bytes much(std::size_t{4} << 20);
   for (auto blocks = kibibytes("up to it "); blocks < kibibytes("newcomers: ") + 4096; blocks += 4096)
      cluster.client(0).mustPush({action("prod", "accounts", "getAccount", "prod"_a, much)}, &cluster.key(0));
   ASSERT_TRUE(soon([&] { return kibibytes("up to it ") > kibibytes("newcomers: "); })) << cluster.logs();

   const auto says = [&](std::size_t node, const std::string& text) {
      return soon(
          [&] { return cluster.client(node).get("hello", "/api/greetings").body.find(text) != std::string::npos; });
   };
   const auto logHas = [&](std::size_t node, const char* text) {
      return cluster.node(node).log().find(text) != std::string::npos;
   };
   cluster.start(first);
   ASSERT_TRUE(says(first, "before the snapshot")) << cluster.logs();
   EXPECT_TRUE(soon([&] { return logHas(first, "This node goes on from a snapshot"); })) << cluster.logs();
   greet(cluster, first, "through the new one");
   ASSERT_TRUE(says(first, "through the new one")) << cluster.logs();

   // It survives, and others can begin from it: no block of before the snapshot is there.
   cluster.node(first).kill();
   cluster.start(first);
   greet(cluster, 2, "after it was killed");
   ASSERT_TRUE(says(first, "after it was killed")) << cluster.logs();
   EXPECT_NE(runPolis({"snapshot", "create", cluster.node(first).folder().string(), path("again"), "--url",
                       urlOf(cluster, first)})
                 .output.find("vouched for by"),
             std::string::npos);
   std::vector<bool> others(6, true);
   others[first] = others[second] = false;
   cluster.cut(others, true, true);
   cluster.start(second);
   ASSERT_TRUE(says(second, "after it was killed")) << cluster.logs();
   EXPECT_TRUE(soon([&] { return logHas(second, "This node goes on from a snapshot"); })) << cluster.logs();
   cluster.cut(others, true, false);
   greet(cluster, 3, "to everybody");
   ASSERT_TRUE(says(second, "to everybody")) << cluster.logs();
}

TEST_F(Snapshot, whatIsNotKeptIsNotNeeded) {
   constexpr std::uint32_t kept = 250;
   NodeProcess::Options options;
   options.arguments = {"--p2p", "--key",         path("prod.pem"),    "--min-interval",
                        "100",   "--keep-blocks", std::to_string(kept)};
   NodeProcess node(std::move(options));
   const auto key = format::PrivateKey::fromPem(asText(readAll(path("prod.pem"))));
   ASSERT_TRUE(key);
   const ChainClient client{node.port()};
   client.mustPush({action("transact", "transact", "setSnapTime", std::uint32_t{1})}, &*key);
   const auto block = [&](std::uint32_t num) {
      return client.get("explorer", "/api/block?num=" + std::to_string(num)).status;
   };
   constexpr std::uint32_t early = 5;
   ASSERT_TRUE(soon([&] { return block(early) == 200; })) << node.log();
   // Some are dropped at a time.
   int said = 0;
   for (; block(early) == 200 && said < 1000; ++said)
      client.mustPush({action("prod", "hello", "greet", "greeting " + std::to_string(said))}, &*key);
   EXPECT_EQ(block(early), 404) << node.log();
   EXPECT_GT(said, 200);
   const auto greeting = [](int number) { return "greeting " + std::to_string(number); };
   const auto says = [&](const NodeProcess& who, const std::string& text) {
      return soon(
          [&] { return ChainClient{who.port()}.get("hello", "/api/greetings").body.find(text) != std::string::npos; });
   };

   // A newcomer has no use for them, nor has the node itself, however it ends.
   NodeProcess::Options follower;
   follower.follows = true;
   follower.arguments = {"--peer", "http://polis.localhost:" + std::to_string(node.port())};
   NodeProcess newcomer(std::move(follower));
   ASSERT_TRUE(says(newcomer, greeting(said - 1))) << newcomer.log();
   EXPECT_TRUE(soon([&] { return newcomer.log().find("This node goes on from a snapshot") != std::string::npos; }))
       << newcomer.log();
   node.stop();
   node.start();
   client.mustPush({action("prod", "hello", "greet", std::string("after it was stopped"))}, &*key);
   ASSERT_TRUE(says(newcomer, "after it was stopped")) << newcomer.log();
   EXPECT_EQ(block(early), 404);
   node.kill();
   node.start();
   client.mustPush({action("prod", "hello", "greet", std::string("after it was killed"))}, &*key);
   ASSERT_TRUE(says(newcomer, "after it was killed")) << newcomer.log();
}

TEST_F(Snapshot, whatIsDamagedLeavesNothingBehind) {
   NodeProcess node;
   ChainClient{node.port()}.mustPush({action("prod", "hello", "greet", std::string("hello"))});
   node.stop();
   const std::string file = path("good"), bad = path("bad"), loaded = path("loaded");
   const auto made = runPolis({"snapshot", "create", node.folder().string(), file, "--json"});
   ASSERT_EQ(made.status, 0) << made.output;
   const std::string chain = field(made.output, "chainId");
   const Bytes good = readAll(file);
   const auto load = [&](const Bytes& bytes, const std::vector<std::string>& more) {
      std::ofstream(bad, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
      std::vector<std::string> words{"snapshot", "load", loaded, bad};
      words.insert(words.end(), more.begin(), more.end());
      const auto result = runPolis(words);
      std::size_t files = 0;
      for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
         files += entry.path() != file && entry.path() != bad;
      EXPECT_EQ(files, result.status == 0 ? 1u : 0u) << result.output;
      return result;
   };
   // Every part of the file matters.
   std::mt19937_64 random(8080);
   for (int i = 0; i < 12; ++i) {
      Bytes bytes = good;
      const std::size_t at = i < 3 ? bytes.size() - 1 - static_cast<std::size_t>(i) * 40 : random() % bytes.size();
      bytes[at] ^= static_cast<std::uint8_t>(1 + random() % 255);
      ASSERT_NE(load(bytes, {"--chain", chain}).status, 0) << "byte " << at << " of " << bytes.size();
   }
   EXPECT_NE(load(Bytes(good.begin(), good.begin() + std::ssize(good) / 2), {"--chain", chain}).status, 0);
   EXPECT_NE(load(good, {}).status, 0) << "it says nothing of what is known from elsewhere";
   EXPECT_NE(load(good, {"--chain", std::string(64, 'A')}).status, 0);
   EXPECT_NE(load(good, {"--chain", chain, "--block", std::string(64, 'A')}).status, 0);
   EXPECT_EQ(load(good, {"--chain", chain}).status, 0);
   EXPECT_NE(runPolis({"snapshot", "load", loaded, file, "--chain", chain}).status, 0) << "it is there already";
}

} // namespace polis::e2e
