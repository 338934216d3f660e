// `polis producers`: who makes the blocks, and by which kind of consensus.
#include "base/fault.hpp"
#include "cli/chain_client.hpp"
#include "format/fracpack.hpp"
#include "format/json.hpp"
#include "node/package.hpp"
#include <algorithm>
#include <chrono>
#include <functional>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <tuple>

namespace polis::cli {

namespace {

using namespace format::literals;

struct ProducersArguments {
   Common common;
   std::vector<std::string> members, sign;
   bool bft = false, cft = false, force = false, noWait = false;
};

struct NodeFacts {
   format::AccountNumber producer;
   std::vector<format::Claim> keys{};
};
/// The answer of /native/admin/producers.
struct ProducersFacts {
   std::vector<format::Producer> chain{};
   std::optional<format::ConsensusData> inForce{};
   std::vector<NodeFacts> nodes{};
};

/// Nothing where the node tells it only to its administrator.
std::optional<ProducersFacts> producersFacts(ChainClient& client) {
   const auto reply = client.ask("x-admin", "/native/admin/producers");
   if (reply.status != 200)
      return std::nullopt;
   auto facts = format::fromJson<ProducersFacts>(asText(reply.body));
   if (!facts)
      throw Fault("The node's answer to /native/admin/producers cannot be read: " + facts.error().message);
   return std::move(*facts);
}

/// NAME, or NAME=FILE with its public or private key.
format::Producer memberOf(const std::string& text) {
   const auto equals = text.find('=');
   format::Producer out{parseAccount(text.substr(0, equals)), {}};
   if (equals == std::string::npos)
      return out;
   const std::string file = text.substr(equals + 1);
   constexpr std::uint64_t keyBytesMax = 64 * 1024;
   const Bytes content = node::readFile(file, keyBytesMax);
   auto key = format::PublicKey::fromPem(asText(content));
   if (!key)
      if (const auto secret = format::PrivateKey::fromPem(asText(content)))
         key = secret->publicKey();
   if (!key)
      throw Fault(file + " holds no key (PEM). `polis key FILE` makes a private one and prints its public half.");
   out.auth = {"verify-sig"_a, key->spki()};
   return out;
}

/// What speaks against a producer: that it is none now, and no node says that it is this one. Empty: nothing.
std::string doubtAbout(const format::Producer& wanted, const ProducersFacts& facts) {
   if (std::ranges::find(facts.chain, wanted) != facts.chain.end())
      return {};
   bool named = false;
   for (const auto& node : facts.nodes) {
      if (node.producer != wanted.name)
         continue;
      named = true;
      if (!wanted.auth.service || std::ranges::find(node.keys, wanted.auth) != node.keys.end())
         return {};
   }
   return wanted.name.str() +
          (named ? ": the node of that name does not have this key" : ": no connected node has this name");
}

/// A producer that nobody is cannot be undone: without its votes no other change is decided.
void checkThatTheyAreThere(ChainClient& client, const std::vector<format::Producer>& producers) {
   constexpr std::string_view otherwise = "\nTo do it all the same: --force";
   std::string doubts;
   // A node that has just connected has not said who it is yet, and one that begins from a snapshot connects again.
   for (int attempt = 0; attempt < 10; ++attempt) {
      if (attempt > 0)
         std::this_thread::sleep_for(std::chrono::seconds(1));
      const auto facts = producersFacts(client);
      if (!facts)
         throw Fault("Whether the new producers are there cannot be seen: the node at " + client.root().origin() +
                     " tells only its administrator which nodes are connected to it. Run this on its machine." +
                     std::string(otherwise));
      doubts.clear();
      for (const auto& producer : producers)
         if (const auto doubt = doubtAbout(producer, *facts); !doubt.empty())
            doubts += "   " + doubt + "\n";
      if (doubts.empty())
         return;
   }
   throw Fault("The chain might stand still for ever; nothing was changed.\n" + doubts +
               "Each producer's node must run with its name and key, and be connected to " + client.root().origin() +
               ".\nIf it is connected to another node, ask that one: --url" + std::string(otherwise));
}

/// A decision is in force when a block of the new producers alone is irreversible. Until then those before are needed
/// too, so that nobody may stop them yet. What it says goes to `out`.
void awaitThem(ChainClient& client, const std::function<bool(const format::ConsensusData&)>& isWanted,
               std::ostream& out) {
   using namespace std::chrono_literals;
   out << "Waiting until they are in force. Until then the producers before them are needed too: stop none."
       << std::endl;
   const auto started = std::chrono::steady_clock::now();
   for (bool advised = false;; std::this_thread::sleep_for(200ms)) {
      const auto facts = producersFacts(client);
      if (!facts) {
         out << "The node at " << client.root().origin()
             << " tells only its administrator when they are. Leave all nodes running until new blocks are theirs.\n";
         return;
      }
      if (facts->inForce && isWanted(*facts->inForce))
         break;
      if (!advised && std::chrono::steady_clock::now() - started > 20s) {
         advised = true;
         out << "They are not in force after 20 seconds. The decision is made, and nothing can undo it before it is in "
                "force:\n"
                "enough of the producers before and enough of the new ones have to be there at once.\n"
                "   Start the nodes that are not running, with their names and keys (polis node … --producer NAME "
                "--key FILE),\n"
                "   see to it that they are connected (--peer), and read in their logs what they wait for.\n"
                "The chain goes on by itself then. Ctrl-C ends the waiting, and nothing else."
             << std::endl;
      }
   }
   out << "They are in force: the blocks are theirs alone." << std::endl;
}

void showProducers(const Common& common) {
   ChainClient client(common);
   const auto facts = producersFacts(client);
   if (!facts)
      throw Fault("The node tells who the producers are only to its administrators. Ask on its own machine.");
   if (common.json) {
      std::cout << format::toJson(*facts) << "\n";
      return;
   }
   if (facts->chain.empty()) {
      std::cout << "There are none yet.\n";
      return;
   }
   if (!facts->inForce)
      std::cout << "They are changing; those before and those to come, who are all needed until then:\n";
   else if (std::visit([](const auto& set) { return set.producers.size(); }, *facts->inForce) == 1)
      std::cout << "One alone:\n";
   else
      std::cout << (std::get_if<format::BftConsensus>(&*facts->inForce) ? "Under BFT:\n" : "Under CFT:\n");
   for (const auto& producer : facts->chain) {
      const auto at = std::ranges::find(facts->nodes, producer.name, &NodeFacts::producer);
      std::cout << "   " << std::left << std::setw(18) << producer.name.str()
                << (at == facts->nodes.begin() ? "this node"
                    : at == facts->nodes.end() ? "not connected to this node"
                                               : "connected")
                << (doubtAbout(producer, {{}, {}, facts->nodes}).ends_with("have this key") ? ", without its key" : "")
                << "\n";
   }
}

void setProducers(const ProducersArguments& args) {
   std::vector<format::Producer> producers;
   std::set<format::AccountNumber> names;
   for (const auto& text : args.members) {
      producers.push_back(memberOf(text));
      if (!names.insert(producers.back().name).second)
         throw Fault(producers.back().name.str() + " is named twice");
   }
   format::Action action{"producers"_a, "producers"_a, "setProducers"_m, format::pack(std::tuple(producers))};
   if (args.bft || args.cft) {
      format::ConsensusData data;
      if (args.bft)
         data = format::BftConsensus{producers};
      else
         data = format::CftConsensus{producers};
      action.method = "setConsensus"_m;
      action.rawData = format::pack(std::tuple(data));
   }
   ChainClient client(args.common);
   if (!args.force)
      checkThatTheyAreThere(client, producers);
   // Already the block that holds the decision is irreversible only when the new producers have seen to it as well.
   const auto trace =
       client.push({std::move(action)}, readKeys(args.sign), args.noWait ? WaitFor::final : WaitFor::applied);
   printTrace(trace, args.common);
   std::ostream& out = args.common.json ? std::cerr : std::cout;
   out << "Decided: ";
   for (const auto& producer : producers)
      out << (&producer == producers.data() ? "" : ", ") << producer.name.str();
   out << "." << std::endl;
   if (args.noWait)
      out << "They take over within a few blocks, and the producers before them are needed until then.\n";
   else
      awaitThem(
          client,
          [&](const format::ConsensusData& data) {
             return !(args.bft && std::get_if<format::CftConsensus>(&data)) &&
                    !(args.cft && std::get_if<format::BftConsensus>(&data)) &&
                    std::visit([&](const auto& set) { return std::ranges::is_permutation(set.producers, producers); },
                               data);
          },
          out);
}

} // namespace

void addProducersCommand(CLI::App& app, int& exitCode) {
   auto args = std::make_shared<ProducersArguments>();
   auto* command = app.add_subcommand(
       "producers",
       "Decide who makes the blocks, or show who does\n"
       "\n"
       "   polis producers\n"
       "shows them, and whether their nodes are connected to this one.\n"
       "Each producer is an account name and the file of its key, public or private:\n"
       "   polis producers --bft prod=prod.pem ada=ada.pem ben=ben.pem eve=eve.pem --sign prod.pem\n"
       "--bft: four bear one that lies, seven two. --cft: three bear one that stops, and none that lies.\n"
       "Before that, each runs a node that follows the chain and has its key:\n"
       "   polis node ./ada --producer ada --key ada.pem --peer https://community.org --p2p …\n"
       "A change needs the agreement of the present producers: sign with the keys of enough of them (one of one, two\n"
       "of three, three of four). A name without a key is for trying out: whoever reaches a node may act for it.\n"
       "\n"
       "Returns when the new producers are in force. Until then enough of those before are needed too.");
   addCommon(*command, args->common);
   command->add_option("producers", args->members, "All of the new producers; none: show the present ones")
       ->type_name("NAME=FILE");
   auto* bft =
       command->add_flag("--bft", args->bft, "They bear liars: a block is final when two thirds have voted twice");
   command->add_flag("--cft", args->cft, "They trust each other: a block is final when more than half have it")
       ->excludes(bft);
   command->add_flag("--force", args->force, "Even if no connected node has the name and the key of one of them");
   command->add_flag("--no-wait", args->noWait, "Return when it is decided, not when they are in force");
   command->add_option("-s,--sign", args->sign, "Key file of a present producer. Repeatable")
       ->allow_extra_args(false)
       ->type_name("FILE");
   command->callback([args, &exitCode] {
      if (!args->members.empty())
         setProducers(*args);
      else if (args->bft || args->cft || !args->sign.empty())
         throw Fault("Name all of the new producers: NAME=FILE for each, with the file of its key.");
      else
         showProducers(args->common);
      exitCode = 0;
   });
}

} // namespace polis::cli
