#include "base/fault.hpp"
#include "cli/chain_client.hpp"
#include "format/fracpack.hpp"
#include "format/json.hpp"
#include "node/package.hpp"
#include <fcntl.h>
#include <iostream>
#include <memory>
#include <tuple>
#include <unistd.h>

namespace polis::cli {

namespace {

using namespace format::literals;
using format::AccountNumber;

/// The public key of a file with a public or a private key.
Bytes readPublicKey(const std::string& file) {
   constexpr std::uint64_t keyBytesMax = 64 * 1024;
   const Bytes text = node::readFile(file, keyBytesMax);
   if (auto key = format::PublicKey::fromPem(asText(text)))
      return key->spki();
   if (auto key = format::PrivateKey::fromPem(asText(text)))
      return key->publicKey().spki();
   throw Fault(file + " holds no key (PEM). Make one with: polis key " + file);
}

struct CreateArguments {
   Common common;
   std::string account, key, owner, sender = "root";
   bool insecure = false;
   std::vector<std::string> sign;
};

void createAccount(const CreateArguments& args) {
   ChainClient client(args.common);
   const auto account = parseAccount(args.account);
   const auto sender = parseAccount(args.sender);
   if (client.accountExists(account))
      throw Fault("The account " + args.account + " exists already.");
   std::vector<format::Action> actions;
   const auto act = [&](AccountNumber service, format::MethodNumber method, const auto& arguments) {
      actions.push_back({sender, service, method, format::pack(arguments)});
   };
   if (!args.key.empty())
      act("auth-sig"_a, "newAccount"_m, std::tuple(account, readPublicKey(args.key)));
   else if (!args.owner.empty())
      act("auth-delg"_a, "newAccount"_m, std::tuple(account, parseAccount(args.owner), true));
   else
      act("accounts"_a, "newAccount"_m, std::tuple(account, "auth-any"_a, true));
   const auto trace = client.push(std::move(actions), readKeys(args.sign));
   if (args.common.json)
      printTrace(trace, args.common);
   else
      std::cout << "The account " << args.account << " is made.\n";
}

} // namespace

void addCreateAccountCommand(CLI::App& app, int& exitCode) {
   auto args = std::make_shared<CreateArguments>();
   auto* command = app.add_subcommand(
       "create-account", "Make an account\n"
                         "\n"
                         "Say who may act for it, with exactly one of --key, --owner and --insecure:\n"
                         "   polis key alice.pem\n"
                         "   polis create-account alice-one --key alice.pem --sender prod --sign prod.pem\n"
                         "Names of eight characters and more are free.");
   addCommon(*command, args->common);
   command->add_option("account", args->account, "Name of the new account")->required()->type_name("NAME");
   auto* how = command->add_option_group("authority", "Who may act for it");
   how->add_option("-k,--key", args->key, "Who has this key (PEM file; the public part suffices)")->type_name("FILE");
   how->add_option("-o,--owner", args->owner, "Who may act for this account")->type_name("NAME");
   how->add_flag("-i,--insecure", args->insecure, "Everybody");
   how->require_option(1);
   command->add_option("-S,--sender", args->sender, "Account that makes it")->capture_default_str()->type_name("NAME");
   command->add_option("-s,--sign", args->sign, "Key file to sign with. Repeatable")
       ->allow_extra_args(false)
       ->type_name("FILE");
   command->callback([args, &exitCode] {
      createAccount(*args);
      exitCode = 0;
   });
}

void addKeyCommand(CLI::App& app, int& exitCode) {
   auto file = std::make_shared<std::string>();
   auto* command = app.add_subcommand(
       "key", "Make a key, or show one\n"
              "\n"
              "   polis key alice.pem\n"
              "Writes a new private key (P-256, PEM) to FILE, readable by you alone, and prints the public key.\n"
              "If FILE is there, it only prints its public key.");
   command->add_option("file", *file, "Where the private key lives")->required()->type_name("FILE");
   command->callback([file, &exitCode] {
      if (::access(file->c_str(), F_OK) != 0) {
         const std::string pem = format::PrivateKey::generate().pem();
         const int fd = ::open(file->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
         const bool written = fd >= 0 && ::write(fd, pem.data(), pem.size()) == static_cast<ssize_t>(pem.size());
         if (fd >= 0)
            ::close(fd);
         if (!written)
            throwErrno("write " + *file);
      }
      std::cout << readKeys({*file}).front().publicKey().pem();
      exitCode = 0;
   });
}

} // namespace polis::cli
