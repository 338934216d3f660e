// `polis producers`: who makes the blocks, and by which kind of consensus.
#include "base/fault.hpp"
#include "cli/chain_client.hpp"
#include "format/fracpack.hpp"
#include "node/package.hpp"
#include <iostream>
#include <memory>
#include <set>
#include <tuple>

namespace polis::cli {

namespace {

using namespace format::literals;

struct ProducersArguments {
   Common common;
   std::vector<std::string> members, sign;
   bool bft = false, cft = false;
};

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
   const auto trace = client.push({std::move(action)}, readKeys(args.sign));
   if (args.common.json)
      return printTrace(trace, args.common);
   std::cout << "Decided: ";
   for (const auto& producer : producers)
      std::cout << (&producer == producers.data() ? "" : ", ") << producer.name.str();
   std::cout << ". They take over within a few blocks.\n";
}

} // namespace

void addProducersCommand(CLI::App& app, int& exitCode) {
   auto args = std::make_shared<ProducersArguments>();
   auto* command = app.add_subcommand(
       "producers",
       "Decide who makes the blocks\n"
       "\n"
       "Each producer is an account name and the file of its key, public or private:\n"
       "   polis producers --bft prod=prod.pem ada=ada.pem ben=ben.pem eve=eve.pem --sign prod.pem\n"
       "--bft: four bear one that lies, seven two. --cft: three bear one that stops, and none that lies.\n"
       "Before that, each runs a node that follows the chain and has its key:\n"
       "   polis node ./ada --producer ada --key ada.pem --peer https://community.org --p2p …\n"
       "A change needs the agreement of the present producers: sign with the keys of enough of them (one of one, two\n"
       "of three, three of four). A name without a key is for trying out: whoever reaches a node may act for it.");
   addCommon(*command, args->common);
   command->add_option("producers", args->members, "All of the new producers")->required()->type_name("NAME=FILE");
   auto* bft =
       command->add_flag("--bft", args->bft, "They bear liars: a block is final when two thirds have voted twice");
   command->add_flag("--cft", args->cft, "They trust each other: a block is final when more than half have it")
       ->excludes(bft);
   command->add_option("-s,--sign", args->sign, "Key file of a present producer. Repeatable")
       ->allow_extra_args(false)
       ->type_name("FILE");
   command->callback([args, &exitCode] {
      setProducers(*args);
      exitCode = 0;
   });
}

} // namespace polis::cli
