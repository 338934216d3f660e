// Nodes that lie to another, or are slow: what they send does no harm, why they are left is said once, and the chain
// comes from somebody else.
#include "consensus/messages.hpp"
#include "e2e/fixture.hpp"
#include "format/ids.hpp"
#include "harness/command.hpp"
#include "harness/web_socket.hpp"
#include "node/snapshot_file.hpp"

#include <map>
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
   return soon([&] {
      return ChainClient{node.port()}.get("hello", "/api/greetings").body.find(text) != std::string::npos;
   });
}

/// Speaks the protocol of nodes to one, and need not mean it.
class Giver {
public:
   explicit Giver(const NodeProcess& to)
      : socket_(to.port(), "x-peers.polis.localhost:" + std::to_string(to.port()), "/p2p") {
      EXPECT_EQ(socket_.status(), 101);
      // The services of the two exchange their numbers; then it is the nodes that speak.
      static std::uint64_t number = 1000;
      const auto id = format::pack(std::tuple(++number, std::int32_t{1}));
      Bytes frame{64, static_cast<std::uint8_t>(id.size()), 0, 0, 0};
      append(frame, id);
      socket_.sendBinary(frame);
      EXPECT_TRUE(socket_.receive());
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
      const auto num = [&] {
         return BlockNum{key[0]} << 24 | BlockNum{key[1]} << 16 | BlockNum{key[2]} << 8 | key[3];
      };
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

} // namespace polis::e2e
