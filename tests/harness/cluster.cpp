#include "harness/cluster.hpp"

#include "format/fracpack.hpp"
#include "format/ids.hpp"
#include "format/json.hpp"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace polis::harness {

namespace fs = std::filesystem;
using namespace format::literals;

namespace {

using Steady = std::chrono::steady_clock;

constexpr auto longest = std::chrono::minutes(1);

struct ActionFacts {
   format::AccountNumber service{};
   format::MethodNumber method{};
};
struct TransactionFacts {
   std::vector<ActionFacts> actions{};
};
struct BlockFacts {
   std::uint32_t num = 0, commitNum = 0;
   format::TimePointUSec time{};
   std::vector<TransactionFacts> transactions{};
};
struct PlaceFacts {
   std::uint32_t num = 0;
};
struct ChainFacts {
   PlaceFacts head{}, irreversible{};
};

} // namespace

bool within(std::chrono::milliseconds time, const std::function<bool()>& condition) {
   for (const auto end = Steady::now() + time; Steady::now() < end;) {
      if (condition())
         return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
   }
   return false;
}

std::string Cluster::producerName(std::size_t number) {
   return number == 0 ? "prod" : "prod" + std::string(1, static_cast<char>('a' + number));
}

Cluster::Cluster(Options options) : options_(std::move(options)) {
   const std::size_t count = options_.producers + options_.followers;
   network_ = TestNetwork::make(count, options_.network);
   heal();
   for (std::size_t i = 0; i < count; ++i) {
      secrets_.push_back(format::PrivateKey::generate());
      NodeProcess::Options node;
      if (options_.folder)
         node.folder = options_.folder(i);
      node.arguments = options_.arguments;
      node.arguments.emplace_back("--p2p");
      node.follows = i > 0;
      std::ofstream(keyFile(i)) << secrets_[i].pem();
      fs::permissions(keyFile(i), fs::perms::owner_read | fs::perms::owner_write);
      node.arguments.insert(node.arguments.end(), {"--key", keyFile(i)});
      if (i > 0)
         node.arguments.insert(node.arguments.end(), {"--producer", producerName(i)});
      for (std::size_t other = 0; other < i; ++other)
         node.arguments.insert(node.arguments.end(), {"--peer", network_->peerUrl(i, other)});
      for (auto& argument : network_->arguments(i))
         node.arguments.push_back(std::move(argument));
      node.enter = [network = network_.get(), i] { network->enter(i); };
      node.start = false;
      nodes_.push_back(std::make_unique<NodeProcess>(std::move(node)));
      if (i + options_.absent < count)
         start(i);
   }
   std::vector<std::size_t> everybody;
   for (std::size_t i = 0; i < options_.producers; ++i)
      everybody.push_back(i);
   if (options_.producers > 1)
      setProducers(everybody, options_.cft);
   const auto here = standing(0).value_or(Standing{}).irreversible;
   for (std::size_t i = 0; i < size(); ++i)
      if (!within(longest, [&] { return standing(i).value_or(Standing{}).irreversible >= here; }))
         throw std::runtime_error("node " + std::to_string(i) + " does not get the chain; its log ends:\n" +
                                  nodes_[i]->lastLines());
}

Cluster::~Cluster() {
   for (const auto& node : nodes_)
      node->signal(SIGCONT);
   nodes_.clear();
}

std::string Cluster::keyFile(std::size_t number) const { return keys_.path() / (producerName(number) + ".pem"); }

std::string Cluster::logs() const {
   std::string out;
   for (std::size_t i = 0; i < nodes_.size(); ++i)
      out += "---- node " + std::to_string(i) + "\n" + nodes_[i]->lastLines();
   return out;
}

std::size_t Cluster::spare() const {
   const std::size_t n = options_.producers;
   return n - (options_.cft ? n / 2 + 1 : 2 * n / 3 + 1);
}

ChainClient Cluster::client(std::size_t number, std::chrono::milliseconds patience) const {
   return ChainClient(network_->clientPort(number), patience);
}

std::optional<Standing> Cluster::standing(std::size_t number, std::chrono::milliseconds patience) const {
   try {
      const auto answer = client(number, patience).get("x-admin", "/native/admin/chain");
      const auto facts = format::fromJson<ChainFacts>(answer.body);
      if (answer.status != 200 || !facts)
         return std::nullopt;
      return Standing{facts->head.num, facts->irreversible.num};
   } catch (const std::runtime_error&) {
      return std::nullopt;
   }
}

Metrics Cluster::metrics(std::size_t number) const {
   auto metrics = parseOpenMetrics(client(number).get("x-admin", "/native/admin/metrics").body);
   if (!metrics)
      throw std::runtime_error("metrics: " + metrics.error());
   return std::move(*metrics);
}

std::optional<std::size_t> Cluster::leader() const {
   for (std::size_t i = 0; i < size(); ++i) {
      try {
         const auto role = metrics(i)["polis_role"];
         for (const auto& sample : role.samples)
            if (sample.value == 1 && sample.labels.contains("polis_role") && sample.labels.at("polis_role") == "leader")
               return i;
      } catch (const std::runtime_error&) { // it is away
      }
   }
   return std::nullopt;
}

void Cluster::start(std::size_t number) {
   nodes_.at(number)->start();
   started_ = std::max(started_, number + 1);
   network_->nodeListens(number, nodes_.at(number)->port());
}

void Cluster::cut(const std::vector<bool>& first, bool bothWays, bool on) {
   for (std::size_t from = 0; from < size(); ++from)
      for (std::size_t to = 0; to < size(); ++to)
         if (first[from] != first[to] && (bothWays || first[from])) {
            auto link = network_->link(from, to);
            link.cut = on;
            network_->set(from, to, link);
         }
}

void Cluster::heal() { setLinks(options_.link); }

void Cluster::setLinks(Link link) {
   const std::size_t count = options_.producers + options_.followers;
   for (std::size_t from = 0; from < count; ++from)
      for (std::size_t to = 0; to < count; ++to)
         network_->set(from, to, link);
}

std::string Cluster::block(std::size_t number, std::uint32_t num) const {
   return client(number).get("explorer", "/api/block?num=" + std::to_string(num)).body;
}

format::Claim Cluster::claimOf(std::size_t number) const {
   return {.service = format::AccountNumber{std::string_view("verify-sig")},
           .rawData = secrets_.at(number).publicKey().spki()};
}

void Cluster::decide(format::Action act) {
   const std::size_t asked = current_.front();
   format::Transaction transaction;
   transaction.tapos = client(asked).tapos();
   transaction.actions.push_back(std::move(act));
   for (const auto i : current_)
      transaction.claims.push_back(claimOf(i));
   format::SignedTransaction result;
   result.transaction = format::Nested<format::Transaction>{transaction};
   for (const auto i : current_) {
      const auto signature = secrets_.at(i).sign(format::transactionId(result));
      result.proofs.emplace_back(signature.begin(), signature.end());
   }
   const auto answer = client(asked, longest).push(format::pack(result), "final");
   if (!ChainClient::succeeded(answer))
      throw std::runtime_error("what the producers decide fails: " + answer.body.substr(0, 800));
}

Cluster::Change Cluster::setProducers(const std::vector<std::size_t>& numbers, bool cft) {
   std::vector<format::Producer> producers;
   for (const auto i : numbers)
      producers.push_back({format::AccountNumber{std::string_view(producerName(i))}, claimOf(i)});
   format::ConsensusData data;
   if (cft)
      data = format::CftConsensus{std::move(producers)};
   else
      data = format::BftConsensus{std::move(producers)};

   const std::size_t asked = current_.front();
   const auto before = standing(asked).value_or(Standing{}).head;
   decide(action("producers", "producers", "setConsensus", std::move(data)));
   current_ = numbers;
   return awaitProducers(before, numbers.front());
}

Cluster::Change Cluster::awaitProducers(std::uint32_t after, std::size_t number) const {
   // The decision is in force when a block knows it to be irreversible; the next one is of the new producers.
   std::optional<BlockFacts> decided, last;
   for (auto num = after + 1;; ++num) {
      if (!within(longest, [&] { return standing(number).value_or(Standing{}).irreversible >= num; }))
         throw std::runtime_error("the producers do not produce; the log of one ends:\n" + nodes_[number]->lastLines());
      const auto block = format::fromJson<BlockFacts>(this->block(number, num));
      if (!block)
         throw std::runtime_error("block " + std::to_string(num) + " is not told");
      if (decided && last->commitNum >= decided->num)
         return {block->num - decided->num,
                 static_cast<double>(block->time.microseconds - decided->time.microseconds) / 1e6};
      for (const auto& transaction : block->transactions)
         for (const auto& done : transaction.actions)
            if (done.service == "producers"_a && done.method == "setConsensus"_m)
               decided = *block;
      last = *block;
   }
}

} // namespace polis::harness
