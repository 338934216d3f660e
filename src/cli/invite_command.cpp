// `polis invite`: a link by which people without an account make one.
#include "base/fault.hpp"
#include "base/random.hpp"
#include "cli/chain_client.hpp"
#include "format/json.hpp"
#include "node/invitation.hpp"
#include <iostream>
#include <memory>

namespace polis::cli {

namespace {

using namespace format::literals;

struct InviteArguments {
   Common common;
   std::string sender = "root", publicUrl;
   std::uint16_t accounts = 1;
   std::vector<std::string> sign;
};

struct InviteReply {
   std::string link{};
   std::uint32_t id = 0;
   std::uint16_t accounts = 0;
};

void invite(const InviteArguments& args) {
   ChainClient client(args.common);
   const auto page = http::parseUrl(args.publicUrl.empty() ? args.common.url : args.publicUrl);
   if (!page)
      throw Fault("'" + args.publicUrl + "' is not an address. Write, for example, --public https://community.org/");
   SystemRandom random;
   const auto invitation = node::makeInvitation(random);
   auto packed = client.schemas("invite"_a)
                     .pack("invite"_a, "createInvite"_m, node::createInviteArguments(invitation, args.accounts));
   if (!packed)
      throw Fault(packed.error());
   client.push({{parseAccount(args.sender), "invite"_a, "createInvite"_m, std::move(*packed)}}, readKeys(args.sign));
   const InviteReply reply{page->subdomain("accounts").origin() + "/invite?token=" + invitation.token, invitation.id,
                           args.accounts};
   if (args.common.json)
      std::cout << format::toJson(reply) << "\n";
   else
      std::cout << reply.link << "\nGood for one week and "
                << (reply.accounts == 1 ? "one account" : std::to_string(reply.accounts) + " accounts")
                << ". Whoever has the link can use it, so hand it over in private.\n";
}

} // namespace

void addInviteCommand(CLI::App& app, int& exitCode) {
   auto args = std::make_shared<InviteArguments>();
   auto* command = app.add_subcommand(
       "invite", "Make an invitation link for new members\n"
                 "\n"
                 "Who opens it in a browser chooses a name, and has an account.\n"
                 "   polis invite\n"
                 "   polis invite --accounts 20 --sender alice-one --sign alice.pem --public https://community.org/\n"
                 "To withdraw one before its week is over (--json tells the id):\n"
                 "   polis push --sender alice-one --sign alice.pem invite delInvite '{\"inviteId\": 1234}'");
   addCommon(*command, args->common);
   command->add_option("-n,--accounts", args->accounts, "How many accounts can be made with it")
       ->check(CLI::Range(1, 65535))
       ->capture_default_str()
       ->type_name("N");
   command->add_option("-S,--sender", args->sender, "Account that invites")->capture_default_str()->type_name("NAME");
   command->add_option("--public", args->publicUrl, "Address by which members reach the node (default: --url)")
       ->type_name("URL");
   command->add_option("-s,--sign", args->sign, "Key file to sign with. Repeatable")
       ->allow_extra_args(false)
       ->type_name("FILE");
   command->callback([args, &exitCode] {
      invite(*args);
      exitCode = 0;
   });
}

} // namespace polis::cli
