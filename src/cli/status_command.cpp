#include "base/fault.hpp"
#include "cli/chain_client.hpp"
#include "format/json.hpp"
#include "http/reply_writer.hpp"
#include <iostream>
#include <memory>
#include <string>
#include <vector>

namespace polis::cli {

namespace {

struct BlockPlace {
   std::uint32_t num = 0;
   std::string id{};
   std::optional<std::string> time{};
};
struct Status {
   std::optional<std::string> chainId{};
   BlockPlace head{};
   BlockPlace irreversible{};
   std::string producer{};
   std::vector<std::string> peers{};
   std::string version{};
};

struct Booted {
   std::optional<std::string> invitation{};
};

} // namespace

void addStatusCommand(CLI::App& app, int& exitCode) {
   auto common = std::make_shared<Common>();
   auto* command =
       app.add_subcommand("status", "Tell what a node is doing\n"
                                    "\n"
                                    "   polis status\n"
                                    "   polis status --json --url http://polis.localhost:9000/\n"
                                    "Asks the node's administration address, so it works on the node's own machine.\n"
                                    "Exit code 0: a chain is running; 1: there is no node, or it has no chain.");
   addCommon(*command, *common);
   command->callback([common, &exitCode] {
      ChainClient client(*common);
      format::HttpRequest request;
      request.method = "GET";
      const auto reply = client.send("x-admin", "/native/admin/chain", std::move(request));
      if (reply.status == 401 || reply.status == 403)
         throw Fault("The node tells its state only to its administrators. Ask on its own machine: " +
                     replyText(reply));
      if (reply.status != 200)
         throw Fault("The node does not tell its state: " + replyText(reply));
      const auto status = format::fromJson<Status>(asText(reply.body));
      if (!status)
         throw Fault("The node's answer cannot be read: " + status.error().message);
      if (!status->chainId)
         exitCode = 1;
      if (common->json) {
         std::cout << asText(reply.body) << "\n";
         return;
      }
      if (!status->chainId && !status->peers.empty()) {
         std::cout << "no chain yet; the node waits for that of";
         for (const auto& peer : status->peers)
            std::cout << " " << peer;
         std::cout << ". Its log says what keeps it.\n";
         return;
      }
      if (!status->chainId) {
         std::cout << "no chain yet; start one with: polis boot --url " << client.root().origin() << "\n";
         return;
      }
      std::cout << "chain         " << *status->chainId << "\n"
                << "head          block " << status->head.num << ", " << status->head.time.value_or("") << "\n"
                << "irreversible  block " << status->irreversible.num << "\n"
                << "producer      " << (status->producer.empty() ? "none on this node" : status->producer) << "\n"
                << "version       " << status->version << "\n";
   });
}

void addBootCommand(CLI::App& app, int& exitCode) {
   auto common = std::make_shared<Common>();
   auto packages = std::make_shared<std::vector<std::string>>();
   auto* command = app.add_subcommand(
       "boot", "Make a chain on a node that has none\n"
               "\n"
               "   polis boot --url http://polis.localhost:8080/\n"
               "The node needs a producer name (polis node DIR --producer NAME) and takes its own package files.\n"
               "Prints the invitation by which the first members come in.");
   addCommon(*command, *common);
   command->add_option("packages", *packages, "Packages to make it of (default: DevDefault)")->type_name("NAME");
   command->callback([common, packages, &exitCode] {
      ChainClient client(*common);
      format::HttpRequest request;
      request.method = "POST";
      request.contentType = "application/json";
      request.body = toBytes("{\"packages\":" + format::toJson(*packages) + "}");
      const auto reply = client.send("x-admin", "/native/admin/boot", std::move(request));
      if (reply.status != 200)
         throw Fault("No chain was made: " + replyText(reply));
      exitCode = 0;
      if (common->json) {
         std::cout << asText(reply.body) << "\n";
         return;
      }
      const auto booted = format::fromJson<Booted>(asText(reply.body));
      std::cout << "The chain is running: " << client.root().origin() << "/\n";
      if (booted && booted->invitation)
         std::cout << "The first members come in by this invitation: " << *booted->invitation << "\n";
   });
}

} // namespace polis::cli
