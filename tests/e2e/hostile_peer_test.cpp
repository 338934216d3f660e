// Nodes that lie to another, or are slow: what they send does no harm, why they are left is said once, and the chain
// comes from somebody else.
#include "consensus/messages.hpp"
#include "e2e/fixture.hpp"
#include "format/ids.hpp"
#include "harness/cluster.hpp"
#include "harness/command.hpp"
#include "harness/web_socket.hpp"
#include "node/snapshot_file.hpp"

#include <atomic>
#include <cstdio>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

namespace polis::e2e {

namespace {

using format::BlockNum;
using harness::NodeProcess;
using harness::runPolis;

std::string urlOf(const NodeProcess& node) { return "http://polis.localhost:" + std::to_string(node.port()); }

std::size_t timesIn(const std::string& text, const std::string& what) {
   std::size_t out = 0;
   for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1))
      ++out;
   return out;
}

bool has(const NodeProcess& node, const std::string& text) {
   return soon(
       [&] { return ChainClient{node.port()}.get("hello", "/api/greetings").body.find(text) != std::string::npos; });
}

/// Speaks the protocol of nodes to one, and need not mean it.
class Giver {
public:
   explicit Giver(const NodeProcess& to) : Giver(to.port()) {}
   /// Throws std::runtime_error when it is not taken in.
   explicit Giver(std::uint16_t port) : socket_(port, "x-peers.polis.localhost:" + std::to_string(port), "/p2p") {
      if (socket_.status() != 101)
         throw std::runtime_error("status " + std::to_string(socket_.status()));
      // The services of the two exchange their numbers; then it is the nodes that speak.
      static std::atomic<std::uint64_t> number = 1000;
      const auto id = format::pack(std::tuple(++number, std::int32_t{1}));
      Bytes frame{64, static_cast<std::uint8_t>(id.size()), 0, 0, 0};
      append(frame, id);
      socket_.sendBinary(frame);
      if (!socket_.receive())
         throw std::runtime_error("nothing is heard");
      send(consensus::InitMessage{});
   }
   /// False when the connection has ended.
   template <class M>
   bool send(const M& message) {
      return socket_.sendBinary(consensus::encode(message));
   }
   /// Until the other side has closed the connection.
   void waitForTheEnd() {
      while (socket_.receive()) {
      }
   }

   std::optional<std::string> receive() { return socket_.receive(); }
   bool sendFrame(ByteView frame) { return socket_.sendBinary(frame); }
   bool sendRaw(std::string_view bytes) { return socket_.sendRaw(bytes); }

private:
   harness::WebSocket socket_;
};

/// What a node sends of a snapshot.
struct Gift {
   std::map<BlockNum, format::SignedBlock> headers;
   std::vector<consensus::SnapshotPart> parts;
   consensus::SnapshotVerify seal;

   /// parts: how many of them; then it is sealed, if these are all.
   void to(Giver& giver, std::size_t count = SIZE_MAX) const {
      giver.send(consensus::HelloMessage{{seal.blockId, format::blockNumOf(seal.blockId)}, true});
      for (const auto& [num, header] : headers)
         if (!giver.send(consensus::BlockHeaderMessage{header}))
            return;
      for (std::size_t i = 0; i < std::min(count, parts.size()); ++i)
         if (!giver.send(parts[i]))
            return;
      if (count >= parts.size())
         giver.send(seal);
   }
};

Gift readGift(const std::filesystem::path& file) {
   constexpr std::size_t partBytes = std::size_t{1} << 18;
   constexpr std::uint32_t service = 0, native = 2, blocks = 3, proofs = 4;
   Gift out;
   std::map<std::uint32_t, std::vector<consensus::SnapshotRowData>> rows;
   node::SnapshotReader reader(node::snapshotSource(file));
   for (;;) {
      auto row = reader.next();
      if (!row)
         throw std::runtime_error(row.error());
      if (!*row)
         break;
      auto& [db, key, value] = **row;
      const auto num = [&] { return BlockNum{key[0]} << 24 | BlockNum{key[1]} << 16 | BlockNum{key[2]} << 8 | key[3]; };
      if (db == service || db == native)
         rows[db].push_back({std::move(key), std::move(value)});
      else if (db == blocks)
         out.headers[num()].block = *format::unpack<format::Block>(value);
      else if (db == proofs)
         out.headers[num()].signature = *format::unpack<Bytes>(value);
   }
   const auto id = format::blockId(out.headers.rbegin()->second.block.header);
   out.seal = {id, reader.seal().checksum, reader.seal().signatures};
   for (auto& [db, all] : rows) {
      consensus::SnapshotPart part{id, db, {}, {}, {}};
      std::size_t bytes = 0;
      for (auto& row : all) {
         if (bytes > partBytes) {
            part.highKey = row.key;
            out.parts.push_back(std::exchange(part, {id, db, row.key, {}, {}}));
            bytes = 0;
         }
         bytes += row.key.size() + row.value.size();
         part.rows.push_back(std::move(row));
      }
      out.parts.push_back(std::move(part));
   }
   return out;
}

} // namespace

/// A producer that tells the truth, and a newcomer that knows nothing but the chain's id.
class HostileGiver : public testing::Test {
protected:
   static constexpr const char* truth = "the truth";

   static void SetUpTestSuite() {
      if (harness::dataFolder().empty())
         return;
      files_ = std::make_unique<TemporaryFolder>("hostile-giver");
      NodeProcess::Options options;
      const auto keyFile = files_->path() / "prod.pem";
      options.arguments = {"--p2p", "--key", keyFile.string()};
      honest_ = std::make_unique<NodeProcess>(std::move(options));
      const auto key = format::PrivateKey::fromPem(asText(readAll(keyFile)));
      ASSERT_TRUE(key);
      ChainClient{honest_->port()}.mustPush({action("prod", "hello", "greet", std::string(truth))}, &*key);
      const auto file = files_->path() / "snapshot";
      const auto made =
          runPolis({"snapshot", "create", honest_->folder().string(), file.string(), "--url", urlOf(*honest_)});
      ASSERT_EQ(made.status, 0) << made.output;
      gift_ = readGift(file);
      ASSERT_GT(gift_.parts.size(), 4u);
   }
   static void TearDownTestSuite() {
      honest_.reset();
      files_.reset();
   }
   void SetUp() override {
      if (!honest_)
         GTEST_SKIP() << "the packages are not built: ./run --build";
      NodeProcess::Options options;
      options.follows = true;
      // With a neighbour that is not there it waits for a chain.
      options.arguments = {"--p2p", "--peer", "http://polis.localhost:9", "--chain",
                           toHex(format::blockId(gift_.headers.begin()->second.block.header))};
      newcomer_ = std::make_unique<NodeProcess>(std::move(options));
   }
   void TearDown() override {
      if (newcomer_)
         EXPECT_TRUE(newcomer_->running()) << newcomer_->log();
   }

   static const Gift& gift() { return gift_; }
   NodeProcess& newcomer() { return *newcomer_; }
   bool says(const std::string& text) {
      return soon([&] { return newcomer_->log().find(text) != std::string::npos; });
   }
   /// Connects it to the one that tells the truth.
   void meetTheHonest() {
      const std::string body = "{\"url\":\"" + urlOf(*honest_) + "\"}";
      EXPECT_EQ(ChainClient{newcomer_->port()}.post("x-peers", "/connect", asBytes(body), "application/json").status,
                200);
   }

private:
   static inline std::unique_ptr<TemporaryFolder> files_;
   static inline std::unique_ptr<NodeProcess> honest_;
   static inline Gift gift_;
   std::unique_ptr<NodeProcess> newcomer_;
};

TEST_F(HostileGiver, aForgedSnapshotIsRefused) {
   const auto refused = [&](const std::function<void(Gift&)>& forge, const std::string& reason) {
      SCOPED_TRACE(reason);
      Gift forged = gift();
      forge(forged);
      for (int again = 0; again < 2; ++again) {
         Giver liar(newcomer());
         forged.to(liar);
         EXPECT_TRUE(says(reason)) << newcomer().log();
         liar.waitForTheEnd();
      }
      EXPECT_EQ(timesIn(newcomer().log(), "goes on from"), 0u) << newcomer().log();
   };
   refused([](Gift& g) { g.headers.begin()->second.block.header.time.microseconds += 1; }, "it is of another chain");
   refused([](Gift& g) { g.headers.rbegin()->second.signature[9] ^= 1; }, "is not signed by prod");
   refused([](Gift& g) { g.parts.front().rows[7].value.push_back(1); }, "the state is not that of its checksum");
   refused([](Gift& g) { g.parts.erase(g.parts.begin() + 1); }, "a part of its snapshot is missing");
   refused([](Gift& g) { std::swap(g.parts[1].rows[0], g.parts[1].rows[1]); }, "a part of its snapshot is malformed");
   refused([](Gift& g) { g.parts.pop_back(); }, "its snapshot ends too soon");
   refused([](Gift& g) { g.seal.signatures.clear(); }, "producers vouch for its state");
   refused([](Gift& g) { g.seal.signatures[0].rawData[5] ^= 1; }, "the signature of prod is not valid");

   meetTheHonest();
   ASSERT_TRUE(has(newcomer(), truth)) << newcomer().log();
   // Each reason is said once.
   std::istringstream lines(newcomer().log());
   std::set<std::string> reasons;
   for (std::string line; std::getline(lines, line);)
      if (const auto at = line.find(" is closed: "); at != line.npos)
         EXPECT_TRUE(reasons.insert(line.substr(at)).second) << line;
}

TEST_F(HostileGiver, whoDoesNotSayWhoItIsIsLeft) {
   std::vector<std::unique_ptr<harness::WebSocket>> silent;
   const auto port = newcomer().port();
   for (int i = 0; i < 50; ++i)
      silent.push_back(
          std::make_unique<harness::WebSocket>(port, "x-peers.polis.localhost:" + std::to_string(port), "/p2p"));
   for (const auto& socket : silent)
      while (socket->receive()) {
      }
   meetTheHonest();
   EXPECT_TRUE(has(newcomer(), truth)) << newcomer().log();
}

TEST_F(HostileGiver, oneThatStopsHalfWayIsGoneOnFrom) {
   {
      Giver first(newcomer());
      gift().to(first, gift().parts.size() / 2);
      ASSERT_TRUE(says("A snapshot of the chain comes in")) << newcomer().log();
   }
   Giver second(newcomer());
   gift().to(second);
   ASSERT_TRUE(has(newcomer(), truth)) << newcomer().log();
   EXPECT_EQ(timesIn(newcomer().log(), "This node goes on from a snapshot"), 1u) << newcomer().log();
   EXPECT_EQ(timesIn(newcomer().log(), "A snapshot of the chain comes in"), 1u) << newcomer().log();
}

TEST_F(HostileGiver, oneThatDripsIsLeftAndOthersAreHeardMeanwhile) {
   Giver boaster(newcomer()), dripping(newcomer());
   // One announces what it never sends; one begins, and takes for ever.
   auto far = gift().seal.blockId;
   far[0] = 0x7F;
   boaster.send(consensus::HelloMessage{{far, format::blockNumOf(far)}, true});
   gift().to(dripping, 1);
   ASSERT_TRUE(says("A snapshot of the chain comes in")) << newcomer().log();
   // Another wants to give the same, and waits for its turn.
   Giver patient(newcomer());
   std::jthread giving([&] { gift().to(patient); });
   bool open = true;
   ASSERT_TRUE(soon([&] {
      // A few rows again and again are no progress.
      open = open && dripping.send(gift().parts.front());
      return newcomer().log().find("it sends its snapshot too slowly") != std::string::npos;
   })) << newcomer().log();
   ASSERT_TRUE(has(newcomer(), truth)) << newcomer().log();
   EXPECT_EQ(timesIn(newcomer().log(), "it sends its snapshot too slowly"), 1u) << newcomer().log();
}

TEST_F(HostileGiver, blocksComeBesideOneThatDrips) {
   Giver dripping(newcomer());
   gift().to(dripping, 1);
   ASSERT_TRUE(says("A snapshot of the chain comes in")) << newcomer().log();
   meetTheHonest();
   ASSERT_TRUE(has(newcomer(), truth)) << newcomer().log();
   EXPECT_EQ(timesIn(newcomer().log(), "This node goes on from a snapshot"), 0u) << newcomer().log();
}

namespace {

/// What hostile peers do to one node of a cluster, each on threads of its own, until it goes away.
class Attack {
public:
   using Deed = std::function<void(Attack&, std::mt19937_64&)>;

   Attack(std::uint16_t port, const std::vector<std::pair<std::size_t, Deed>>& deeds) : port_(port) {
      unsigned seed = 0;
      for (const auto& [count, deed] : deeds)
         for (std::size_t i = 0; i < count; ++i)
            threads_.emplace_back([this, deed, random = std::mt19937_64(++seed)]() mutable {
               while (!ending_) {
                  try {
                     deed(*this, random);
                  } catch (const std::runtime_error&) { // not taken in, for the moment
                     std::this_thread::sleep_for(std::chrono::milliseconds(20));
                  }
               }
            });
   }
   ~Attack() { ending_ = true; }

   std::uint16_t port() const { return port_; }
   bool ending() const { return ending_; }

private:
   const std::uint16_t port_;
   std::atomic<bool> ending_ = false;
   std::vector<std::jthread> threads_;
};

Bytes noise(std::mt19937_64& random, std::size_t bytes) {
   Bytes out(bytes);
   for (auto& byte : out)
      byte = static_cast<std::uint8_t>(random());
   return out;
}

} // namespace

TEST(HostilePeers, aClusterGoesOnWhateverTheySend) {
   if (harness::dataFolder().empty())
      GTEST_SKIP() << "the packages are not built: ./run --build";
   harness::Cluster cluster({.producers = 4});
   const auto port = cluster.network().clientPort(0);
   std::vector<std::pair<format::AccountNumber, format::Claim>> members;
   for (std::size_t i = 0; i < 4; ++i)
      members.emplace_back(format::AccountNumber{std::string_view(harness::Cluster::producerName(i))},
                           format::Claim{.service = "verify-sig"_a, .rawData = cluster.key(i).publicKey().spki()});

   // Listens to everything; what it has heard is said again and again by others, and changed.
   std::mutex mutex;
   std::deque<std::string> heard;
   consensus::BlockId newest{};
   const auto listen = [&](Attack& attack, std::mt19937_64&) {
      Giver link(attack.port());
      link.send(consensus::HelloMessage{{{}, 1}, true});
      while (!attack.ending()) {
         auto frame = link.receive();
         if (!frame)
            return;
         const std::lock_guard lock(mutex);
         if (const auto block = consensus::decode<consensus::BlockMessage>(asBytes(*frame)))
            newest = format::blockId(block->block.block.header);
         heard.push_back(std::move(*frame));
         if (heard.size() > 2000)
            heard.pop_front();
      }
   };
   const auto old = [&](std::mt19937_64& random) {
      const std::lock_guard lock(mutex);
      return heard.empty() ? std::string("?") : heard[random() % heard.size()];
   };
   const auto replay = [&](Attack& attack, std::mt19937_64& random) {
      Giver link(attack.port());
      while (!attack.ending() && link.sendFrame(asBytes(old(random)))) {
      }
   };
   const auto damage = [&](Attack& attack, std::mt19937_64& random) {
      Giver link(attack.port());
      for (bool open = true; open && !attack.ending();) {
         auto frame = old(random);
         frame[random() % frame.size()] = static_cast<char>(random());
         open = link.sendFrame(asBytes(frame));
      }
   };
   const auto garbage = [](Attack& attack, std::mt19937_64& random) {
      Giver link(attack.port());
      for (bool open = true; open && !attack.ending();) {
         auto frame = noise(random, 1 + random() % 200);
         frame[0] = static_cast<std::uint8_t>(30 + random() % 20);
         open = link.sendFrame(frame);
      }
   };
   const auto forgedVotes = [&](Attack& attack, std::mt19937_64& random) {
      Giver link(attack.port());
      for (bool open = true; open && !attack.ending();) {
         const auto& [name, claim] = members[random() % members.size()];
         const auto id = [&] {
            const std::lock_guard lock(mutex);
            return newest;
         }();
         const auto send = [&](const auto& vote) { return link.sendFrame(consensus::encode(vote, noise(random, 64))); };
         switch (random() % 3) {
         case 0:
            open = send(consensus::PrepareMessage{id, name, claim});
            break;
         case 1:
            open = send(consensus::CommitMessage{id, name, claim});
            break;
         default: // of a term that may begin yet
            open = send(consensus::ViewChangeMessage{1'000'000, name, claim, {}, 0, {}, std::nullopt});
         }
      }
   };
   const auto farFuture = [&](Attack& attack, std::mt19937_64& random) {
      Giver link(attack.port());
      for (bool open = true; open && !attack.ending();) {
         auto block = consensus::decode<consensus::BlockMessage>(asBytes(old(random)));
         if (!block)
            continue;
         auto& header = block->block.block.header;
         header.previous = format::blockId(header);
         header.blockNum += 1;
         header.time.microseconds += 1'000'000'000;
         open = link.send(*block);
      }
   };
   const auto hugeLists = [&](Attack& attack, std::mt19937_64& random) {
      Giver link(attack.port());
      const auto& [name, claim] = members[random() % members.size()];
      consensus::ViewChangeMessage change{1'000'000, name, claim, {}, 0, {}, std::nullopt};
      change.prepares.resize(200'000, {name, {}});
      const auto frame = consensus::encode(change, noise(random, 64));
      while (!attack.ending() && link.sendFrame(frame)) {
      }
   };
   const auto states = [&](Attack& attack, std::mt19937_64& random) {
      Giver link(attack.port());
      const auto& [name, claim] = members[random() % members.size()];
      while (!attack.ending() &&
             link.send(consensus::StateChecksumMessage{{}, {}, {name, claim, noise(random, 1 << 20)}})) {
      }
   };
   const auto bigEnvelopes = [&](Attack& attack, std::mt19937_64& random) {
      Giver link(attack.port());
      consensus::BlockId nowhere{};
      nowhere[0] = 0x7F;
      const auto vote = consensus::encode(consensus::PrepareMessage{nowhere, members[1].first, members[1].second},
                                          Bytes(std::size_t{8} << 20));
      while (!attack.ending() && link.send(consensus::RoutingEnvelope{members[1 + random() % 3].first, vote})) {
      }
   };
   const auto oversize = [](Attack& attack, std::mt19937_64&) {
      Giver link(attack.port());
      link.sendFrame(Bytes(std::size_t{20} << 20));
   };
   // Announces much, and sends little of it, slowly.
   const auto drip = [](Attack& attack, std::mt19937_64&) {
      std::vector<std::unique_ptr<Giver>> links;
      while (!attack.ending() && links.size() < 50) {
         links.push_back(std::make_unique<Giver>(attack.port()));
         links.back()->sendRaw(std::string("\x82\xff\0\0\0\0\x00\xff\xff\xff\0\0\0\0", 14) +
                               std::string(std::size_t{4} << 20, '?'));
      }
      while (!attack.ending()) {
         std::this_thread::sleep_for(std::chrono::milliseconds(100));
         for (const auto& link : links)
            link->sendRaw("?");
      }
   };
   const auto deaf = [](Attack& attack, std::mt19937_64&) {
      Giver link(attack.port());
      link.send(consensus::HelloMessage{{{}, 1}, true});
      while (!attack.ending() && link.send(consensus::RequestRoutes{}) && link.send(consensus::RequestViewMessage{})) {
      }
   };
   const auto searching = [](Attack& attack, std::mt19937_64& random) {
      Giver link(attack.port());
      while (!attack.ending()) {
         consensus::BlockId id{};
         id[3] = static_cast<std::uint8_t>(2 + random() % 200);
         if (!link.send(consensus::HelloMessage{{id, format::blockNumOf(id)}, false}))
            return;
      }
   };
   const auto crowd = [](Attack& attack, std::mt19937_64&) {
      std::vector<std::unique_ptr<Giver>> links;
      while (!attack.ending() && links.size() < 300)
         links.push_back(std::make_unique<Giver>(attack.port()));
      links.clear();
   };

   struct Case {
      const char* name;
      std::vector<std::pair<std::size_t, Attack::Deed>> deeds;
   };
   const Case cases[] = {
       {"nothing", {{1, listen}}},
       {"garbage", {{1, listen}, {4, garbage}}},
       {"replayed", {{1, listen}, {4, replay}}},
       {"damaged", {{1, listen}, {4, damage}}},
       {"forged votes", {{1, listen}, {4, forgedVotes}}},
       {"far future", {{1, listen}, {4, farFuture}}},
       {"huge lists", {{1, listen}, {4, hugeLists}}},
       {"states", {{1, listen}, {4, states}}},
       {"big envelopes", {{1, listen}, {4, bigEnvelopes}}},
       {"oversize", {{4, oversize}}},
       {"drip", {{4, drip}}},
       {"deaf", {{4, deaf}}},
       {"searching", {{4, searching}}},
       {"crowd", {{4, crowd}}},
   };
   const auto residentMiB = [&](std::size_t node) { return cluster.node(node).residentBytes() >> 20; };
   for (const auto& [name, deeds] : cases) {
      SCOPED_TRACE(name);
      const double before = cluster.node(0).processorSeconds();
      const auto began = std::chrono::steady_clock::now();
      double longest = 0;
      {
         Attack attack(port, deeds);
         for (int i = 0; i < 3; ++i) {
            // Who was away finds its way back in.
            if (i == 1 && std::string_view(name) == "crowd") {
               cluster.node(3).kill();
               cluster.start(3);
            }
            const auto pushed = std::chrono::steady_clock::now();
            cluster.client(static_cast<std::size_t>(i) % 4)
                .mustPush({action("prod", "hello", "greet", std::string(name) + std::to_string(i))}, &cluster.key(0));
            longest =
                std::max(longest, std::chrono::duration<double>(std::chrono::steady_clock::now() - pushed).count());
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
         }
      }
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
      std::fprintf(
          stderr, "%-14s final within %.2f s at the longest, processor %.0f %%, memory %zu MiB, beside it %zu\n", name,
          longest, 100 * (cluster.node(0).processorSeconds() - before) / seconds, residentMiB(0), residentMiB(1));
      EXPECT_LT(residentMiB(0), 2048u);
   }
   EXPECT_NE(cluster.node(0).log().find("is closed: it sends messages that are forged"), std::string::npos);
   for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_TRUE(cluster.node(i).running());
      std::istringstream lines(cluster.node(i).log());
      std::size_t count = 0;
      for (std::string line; std::getline(lines, line);)
         ++count;
      EXPECT_LT(count, 1500u) << "node " << i << " says it a thousand times: " << cluster.logs();
   }
}

/// One of four is down, and somebody has its key: signs whatever may be signed by it, as often as it goes.
TEST(HostilePeers, whoHoldsAKeyStopsNobody) {
   if (harness::dataFolder().empty())
      GTEST_SKIP() << "the packages are not built: ./run --build";
   harness::Cluster cluster({.producers = 4});
   constexpr std::size_t liar = 3;
   cluster.node(liar).kill();
   const auto nameOf = [](std::size_t number) {
      return format::AccountNumber{std::string_view(harness::Cluster::producerName(number))};
   };
   const auto& key = cluster.key(liar);
   const format::AccountNumber self = nameOf(liar);
   const format::Claim claim{.service = "verify-sig"_a, .rawData = key.publicKey().spki()};
   format::TermNum turn = 0; // leads the terms that leave this rest
   for (std::size_t i = 0; i < 4; ++i)
      turn += nameOf(i) < self;

   std::mutex mutex;
   std::optional<format::SignedBlock> newest;
   const auto listen = [&](Attack& attack, std::mt19937_64&) {
      Giver link(attack.port());
      link.send(consensus::HelloMessage{{{}, 1}, true});
      while (!attack.ending()) {
         const auto frame = link.receive();
         if (!frame)
            return;
         const std::lock_guard lock(mutex);
         if (auto block = consensus::decode<consensus::BlockMessage>(asBytes(*frame)))
            newest = std::move(block->block);
      }
   };
   const auto head = [&]() -> std::optional<format::BlockHeader> {
      const std::lock_guard lock(mutex);
      return newest ? std::optional(newest->block.header) : std::nullopt;
   };
   const auto say = [&](Giver& link, const auto& message) {
      return link.sendFrame(consensus::encode(message, toBytes(key.sign(consensus::digestOf(message)))));
   };
   std::atomic<format::TermNum> term = 1000;
   const auto throughTerms = [&](Attack& attack, std::mt19937_64&) {
      Giver link(attack.port());
      while (!attack.ending() &&
             say(link, consensus::ViewChangeMessage{term++, self, claim, {}, 0, {}, std::nullopt})) {
      }
   };
   const auto forks = [&](Attack& attack, std::mt19937_64& random) {
      Giver link(attack.port());
      for (bool open = true; open && !attack.ending();) {
         const auto last = head();
         if (!last)
            continue;
         format::SignedBlock block;
         auto& header = block.block.header;
         header = *last;
         header.previous = format::blockId(*last);
         header.blockNum += 1;
         header.term = (last->term / 4 + 1 + static_cast<format::TermNum>(random() % 100'000)) * 4 + turn;
         header.producer = self;
         header.trxMerkleRoot = {};
         header.eventMerkleRoot = {};
         header.authCode.reset();
         block.signature = toBytes(key.sign(format::blockSignatureDigest(format::blockId(header))));
         open = link.send(consensus::BlockMessage{block});
      }
   };
   const auto doubleVotes = [&](Attack& attack, std::mt19937_64& random) {
      Giver link(attack.port());
      for (bool open = true; open && !attack.ending();) {
         const auto last = head();
         if (!last)
            continue;
         auto id = format::blockId(*last);
         if (random() % 2)
            id[20] = static_cast<std::uint8_t>(random());
         open = say(link, consensus::PrepareMessage{id, self, claim}) &&
                say(link, consensus::CommitMessage{id, self, claim});
      }
   };
   const std::pair<const char*, std::vector<std::pair<std::size_t, Attack::Deed>>> cases[] = {
       {"nothing", {{1, listen}}},
       {"through terms", {{2, throughTerms}}},
       {"forks", {{1, listen}, {2, forks}}},
       {"double votes", {{1, listen}, {2, doubleVotes}}},
   };
   for (const auto& [name, deeds] : cases) {
      SCOPED_TRACE(name);
      const double before = cluster.node(0).processorSeconds(), beside = cluster.node(1).processorSeconds();
      const auto began = std::chrono::steady_clock::now();
      const auto since = [](auto time) {
         return std::chrono::duration<double>(std::chrono::steady_clock::now() - time).count();
      };
      double longest = 0;
      {
         Attack attack(cluster.network().clientPort(0), deeds);
         for (std::size_t i = 0; i < 9; ++i) {
            const auto pushed = std::chrono::steady_clock::now();
            cluster.client(i % 3).mustPush({action("prod", "hello", "greet", std::string(name) + std::to_string(i))},
                                           &cluster.key(0));
            longest = std::max(longest, since(pushed));
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
         }
      }
      const double seconds = since(began);
      std::fprintf(stderr,
                   "%-14s final within %.2f s at the longest, processor %.0f %%, beside it %.0f %%, memory %zu MiB\n",
                   name, longest, 100 * (cluster.node(0).processorSeconds() - before) / seconds,
                   100 * (cluster.node(1).processorSeconds() - beside) / seconds,
                   static_cast<std::size_t>(cluster.node(0).residentBytes() >> 20));
      EXPECT_LT(cluster.node(0).residentBytes() >> 20, 2048u);
   }
   for (std::size_t i = 0; i < liar; ++i)
      EXPECT_TRUE(cluster.node(i).running()) << cluster.logs();
}

} // namespace polis::e2e
