#include "base/fault.hpp"
#include "base/read_all.hpp"
#include "cli/chain_client.hpp"
#include "format/json.hpp"
#include "node/package.hpp"
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>

namespace polis::cli {

namespace {

/// An action as people write it.
struct ActionText {
   format::AccountNumber sender{};
   format::AccountNumber service{};
   format::MethodNumber method{};
   std::optional<Bytes> rawData{};
   std::optional<node::JsonText> data{};
};

struct PushArguments {
   Common common;
   std::vector<std::string> sources, sign;
   std::string sender;
   WaitFor waitFor = WaitFor::final;
};

struct QueryArguments {
   Common common;
   std::string service, target, body, contentType = "application/json";
   bool post = false;
};

std::vector<ActionText> readActions(const std::string& file) {
   std::string text;
   if (file == "-") {
      text = readAll(std::cin).value_or("");
   } else if (!std::filesystem::exists(file)) {
      throw Fault("There is no file " + file +
                  ". To push one action, say who acts: polis push --sender alice-one SERVICE METHOD '{…}'");
   } else {
      constexpr std::uint64_t bytesMax = std::uint64_t{16} << 20;
      text = toText(node::readFile(file, bytesMax));
   }
   auto list = format::fromJson<std::vector<ActionText>>(text);
   if (list)
      return std::move(*list);
   auto one = format::fromJson<ActionText>(text);
   if (!one)
      throw Fault(
          file + " is no action and no list of actions: " + list.error().message + " at byte " +
          std::to_string(list.error().offset) +
          "\nAn action is {\"sender\": \"alice-one\", \"service\": \"tokens\", \"method\": \"credit\", \"data\": {…}}");
   return {std::move(*one)};
}

/// service method {json}
std::vector<ActionText> readArguments(const PushArguments& args) {
   if (args.sources.size() < 2 || args.sources.size() > 3 || args.sender.empty())
      throw Fault("Write either files with actions (polis push FILE…), or one action with its sender:\n"
                  "   polis push --sender alice-one tokens credit '{\"token_id\": 1, …}'");
   ActionText action;
   action.sender = parseAccount(args.sender);
   action.service = parseAccount(args.sources[0]);
   action.method = format::MethodNumber(std::string_view(args.sources[1]));
   action.data.emplace().text = args.sources.size() == 3 ? args.sources[2] : "{}";
   return {std::move(action)};
}

void push(const PushArguments& args) {
   std::vector<ActionText> texts;
   if (args.sender.empty()) {
      for (const auto& file : args.sources)
         for (auto& action : readActions(file))
            texts.push_back(std::move(action));
   } else {
      texts = readArguments(args);
   }
   if (texts.empty())
      throw Fault("There is no action to push.");
   ChainClient client(args.common);
   std::vector<format::Action> actions;
   for (const auto& text : texts) {
      format::Action action{text.sender, text.service, text.method, {}};
      if (text.rawData) {
         action.rawData = *text.rawData;
      } else {
         const std::string json = text.data ? text.data->text : "{}";
         const auto& packer = client.schemas(text.service);
         auto packed = packer.pack(text.service, text.method, json);
         if (!packed)
            throw Fault(packed.error());
         if (const auto strange = packer.strangeArgument(text.service, text.method, json); !strange.empty())
            throw Fault(strange);
         action.rawData = std::move(*packed);
      }
      actions.push_back(std::move(action));
   }
   const auto trace = client.push(actions, readKeys(args.sign), args.waitFor);
   if (args.waitFor == WaitFor::none) {
      std::cout << (args.common.json ? "{}\n" : "taken in, not yet executed\n");
      return;
   }
   if (args.common.json) {
      printTrace(trace, args.common);
      return;
   }
   // The actions themselves are what the transaction's own action called.
   std::cout << (args.waitFor == WaitFor::final ? "final\n" : "applied\n");
   for (const auto& top : trace.actionTraces)
      for (const auto& inner : top.innerTraces) {
         const auto* called = std::get_if<format::ActionTrace>(&inner.inner);
         if (!called || called->rawRetval.empty())
            continue;
         for (const auto& action : actions)
            if (called->action == action) {
               auto result = client.schemas(action.service).result(action.service, action.method, called->rawRetval);
               if (result && !result->empty())
                  std::cout << action.service.str() << "::" << action.method.str() << " returned " << *result << "\n";
               break;
            }
      }
}

void query(const QueryArguments& args, int& exitCode) {
   ChainClient client(args.common);
   format::HttpRequest request;
   request.method = args.post || !args.body.empty() ? "POST" : "GET";
   if (request.method == "POST") {
      request.contentType = args.contentType;
      request.body = toBytes(args.body);
   }
   const std::string target = args.target.starts_with('/') ? args.target : "/" + args.target;
   const auto reply = client.send(args.service, target, std::move(request));
   std::cout << asText(reply.body);
   if (!reply.body.empty() && reply.body.back() != '\n')
      std::cout << "\n";
   exitCode = reply.status < 400 ? 0 : 1;
   if (exitCode)
      std::cerr << "polis: status " << reply.status << "\n";
}

} // namespace

void addPushCommand(CLI::App& app, int& exitCode) {
   auto args = std::make_shared<PushArguments>();
   auto* command = app.add_subcommand(
       "push",
       "Push a transaction\n"
       "\n"
       "Actions are written in JSON; the schema of each service tells how to pack them.\n"
       "   polis push actions.json --sign alice.pem\n"
       "   polis push --sender alice-one --sign alice.pem tokens credit '{\"token_id\": 1, \"debitor\": \"bob-two\", "
       "…}'\n"
       "A file holds one action or a list: {\"sender\", \"service\", \"method\", \"data\": {…} or \"rawData\": hex}.");
   addCommon(*command, args->common);
   command
       ->add_option("what", args->sources,
                    "Files with actions (- is standard input); with --sender: SERVICE METHOD [JSON]")
       ->required();
   command->add_option("-S,--sender", args->sender, "Account that acts")->type_name("NAME");
   command
       ->add_option("-s,--sign", args->sign, "Key file to sign with. Repeatable; the first action's sender comes first")
       ->allow_extra_args(false)
       ->type_name("FILE");
   const std::map<std::string, WaitFor> waits = {
       {"none", WaitFor::none}, {"applied", WaitFor::applied}, {"final", WaitFor::final}};
   command
       ->add_option("-w,--wait", args->waitFor,
                    "Until it is final (irreversible, and seen by whoever asks after), applied (executed), or none "
                    "(taken in; how it ends is not told)")
       ->transform(CLI::CheckedTransformer(waits, CLI::ignore_case))
       ->type_name("final|applied|none")
       ->default_str("final");
   command->callback([args, &exitCode] {
      push(*args);
      exitCode = 0;
   });
}

void addQueryCommand(CLI::App& app, int& exitCode) {
   auto args = std::make_shared<QueryArguments>();
   auto* command = app.add_subcommand("query", "Ask a service over HTTP\n"
                                               "\n"
                                               "   polis query tokens '/api/balances?account=alice-one'\n"
                                               "Exit code 1 when the answer is an error.");
   addCommon(*command, args->common);
   command->add_option("service", args->service, "Subdomain to ask")->required()->type_name("NAME");
   command->add_option("path", args->target, "Path and query")->required()->type_name("PATH");
   command->add_option("-d,--data", args->body, "Body; makes it a POST")->type_name("TEXT");
   command->add_option("-t,--type", args->contentType, "Content type of the body")
       ->capture_default_str()
       ->type_name("TYPE");
   command->add_flag("--post", args->post, "POST also without a body");
   command->callback([args, &exitCode] { query(*args, exitCode); });
}

} // namespace polis::cli
