#include "base/fault.hpp"
#include "base/random.hpp"
#include "cli/chain_client.hpp"
#include "format/fracpack.hpp"
#include "format/hash.hpp"
#include "format/json.hpp"
#include "node/boot.hpp"
#include "node/local_template.hpp"
#include "node/package.hpp"
#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <set>
#include <tuple>

namespace polis::cli {

namespace {

using namespace format::literals;
using format::AccountNumber;
using format::Action;

/// A transaction larger than this is split where that is allowed.
constexpr std::size_t transactionBytes = std::size_t{1} << 20;

struct DeployArguments {
   Common common;
   std::string account, code, schema, server, sender;
   std::vector<std::string> sign;
};

struct UploadArguments {
   Common common;
   std::string source, destination, type, sender;
   bool recursive = false;
   std::vector<std::string> sign;
};

struct InstallArguments {
   Common common;
   std::vector<std::string> packages, sign;
   std::string folder, sender = "root";
   bool reinstall = false, allowPowers = false;
};

template <class... Args>
Action act(AccountNumber sender, AccountNumber service, format::MethodNumber method, const Args&... args) {
   return {sender, service, method, format::pack(std::tuple<Args...>(args...))};
}

void say(const Common& common, const std::string& text) {
   if (!common.json)
      std::cout << text << "\n" << std::flush;
}

void deploy(const DeployArguments& args) {
   const auto account = parseAccount(args.account);
   ChainClient client(args.common);
   const Bytes code = node::readFile(args.code, std::uint64_t{16} << 20);
   static constexpr std::array<std::uint8_t, 4> magic = {0, 'a', 's', 'm'};
   if (code.size() < 8 || !std::equal(magic.begin(), magic.end(), code.begin()))
      throw Fault(args.code + " is no WebAssembly module.");
   std::vector<Action> actions;
   actions.push_back(act(account, "setcode"_a, "setCode"_m, account, std::uint8_t{0}, std::uint8_t{0}, code));
   if (!args.schema.empty()) {
      auto schema =
          format::fromJson<format::ServiceSchema>(asText(node::readFile(args.schema, std::uint64_t{16} << 20)));
      if (!schema)
         throw Fault(args.schema + " is no schema: " + schema.error().message + " at byte " +
                     std::to_string(schema.error().offset));
      schema->service = account;
      actions.push_back(act(account, "packages"_a, "setSchema"_m, *schema));
   }
   if (!args.server.empty())
      actions.push_back(act(account, "http"_a, "registerServer"_m, parseAccount(args.server)));
   const auto trace = client.push(std::move(actions), readKeys(args.sign));
   if (args.common.json)
      printTrace(trace, args.common);
   else
      std::cout << args.account << " runs the new code: " << client.root().subdomain(args.account).origin() << "/\n";
}

/// Pushes in as few transactions as fit.
void pushAll(ChainClient& client, std::vector<Action> actions, const std::vector<format::PrivateKey>& keys) {
   std::vector<Action> batch;
   std::size_t bytes = 0;
   for (auto& action : actions) {
      if (!batch.empty() && bytes + action.rawData.size() > transactionBytes) {
         client.push(std::exchange(batch, {}), keys, WaitFor::applied);
         bytes = 0;
      }
      bytes += action.rawData.size();
      batch.push_back(std::move(action));
   }
   if (!batch.empty())
      client.push(std::move(batch), keys);
}

void upload(const UploadArguments& args) {
   const auto sender = parseAccount(args.sender);
   ChainClient client(args.common);
   const std::filesystem::path source = args.source;
   std::vector<std::pair<std::filesystem::path, std::string>> files;
   if (std::filesystem::is_directory(source)) {
      if (!args.recursive)
         throw Fault(args.source + " is a folder; add -r to upload everything in it.");
      std::string base = args.destination.empty() ? "/" : args.destination;
      if (!base.ends_with('/'))
         base += '/';
      for (const auto& entry : std::filesystem::recursive_directory_iterator(source))
         if (entry.is_regular_file())
            files.emplace_back(entry.path(), base + std::filesystem::relative(entry.path(), source).generic_string());
      std::ranges::sort(files);
   } else {
      std::string path = args.destination.empty() ? "/" + source.filename().string() : args.destination;
      if (path.ends_with('/'))
         path += source.filename().string();
      files.emplace_back(source, path);
   }
   std::vector<Action> actions;
   for (const auto& [file, path] : files) {
      if (!path.starts_with('/'))
         throw Fault("The destination must begin with /: " + path);
      node::PackagedFile content{sender, path, args.type.empty() ? std::string(node::contentTypeOf(path)) : args.type,
                                 node::readFile(file, std::uint64_t{8} << 20)};
      if (content.contentType.empty())
         throw Fault("The content type of " + file.string() + " is not known; give it with --type.");
      auto stored = node::storedContent(content);
      actions.push_back(
          act(sender, "sites"_a, "storeSys"_m, path, content.contentType, stored.encoding, stored.content));
   }
   const auto count = actions.size();
   pushAll(client, std::move(actions), readKeys(args.sign));
   if (args.common.json)
      std::cout << "{\"files\":" << count << "}\n";
   else
      std::cout << count << (count == 1 ? " file is" : " files are") << " at "
                << client.root().subdomain(args.sender).origin() << "/\n";
}

struct InstalledRow {
   std::string name{};
   std::vector<AccountNumber> accounts{};
   AccountNumber owner{};
};

/// What the installed version has and `package` no longer brings goes away: files, and the code of services
/// (spec, services §6.2).
std::vector<Action> removals(ChainClient& client, const node::Package& package, AccountNumber owner) {
   std::vector<Action> result;
   const auto reply =
       client.ask("packages", "/manifest?owner=" + owner.str() + "&package=" + percentEncoded(package.meta.name));
   if (reply.status == 404)
      return result; // the first installation
   const auto manifest = reply.status == 200 ? node::parseManifest(reply.body) : std::nullopt;
   if (!manifest)
      throw Fault("What is installed of " + package.meta.name + " cannot be read: " + replyText(reply));
   std::set<std::pair<AccountNumber, std::string>> files;
   for (const auto& file : package.files)
      files.emplace(file.account, file.path);
   for (const auto& file : manifest->data)
      if (!files.contains({file.account, file.filename}))
         result.push_back(act(file.account, "sites"_a, "remove"_m, file.filename));
   for (const auto& [account, info] : manifest->services) {
      if (package.service(account))
         continue;
      if (account == account.base())
         result.push_back(act(account, "http"_a, "registerServer"_m, "sites"_a));
      result.push_back(act("setcode"_a, "setcode"_a, "setFlags"_m, account, std::uint64_t{0}));
      result.push_back(act(account, "setcode"_a, "setCode"_m, account, std::uint8_t{0}, std::uint8_t{0}, Bytes{}));
   }
   return result;
}

/// The accounts that the package brings, listed or named by its code alone; a base before its subaccounts.
std::set<AccountNumber> accountsOf(const node::Package& package) {
   std::set<AccountNumber> accounts(package.meta.accounts.begin(), package.meta.accounts.end());
   for (const auto& service : package.services)
      accounts.insert(service.account);
   return accounts;
}

/// Accounts that the package would take over, in words: they are there, and do not come from an earlier version of it.
/// With code of theirs, and acts in their names, it could do whatever they may.
std::vector<std::string> takenAccounts(ChainClient& client, const node::Package& package, AccountNumber owner,
                                       const std::vector<InstalledRow>& installed) {
   std::vector<std::string> taken;
   for (const auto account : accountsOf(package)) {
      std::vector<const InstalledRow*> holders;
      for (const auto& row : installed)
         if (std::ranges::find(row.accounts, account.base()) != row.accounts.end())
            holders.push_back(&row);
      if (std::ranges::any_of(holders,
                              [&](const auto* row) { return row->name == package.meta.name && row->owner == owner; }) ||
          !client.accountExists(account))
         continue;
      taken.push_back("it takes the account " + account.str() + ", which is there already" +
                      (account == owner  ? " and installs it"
                       : holders.empty() ? ""
                                         : ", with the package " + holders.front()->name));
   }
   return taken;
}

/// Whether a package of this name, but another, comes with this program, and so with every chain.
bool standsInForOurs(const node::Package& package) {
   const auto folder = node::defaultPackageFolder();
   if (!std::filesystem::exists(folder / "index.json"))
      return false;
   const auto packages = node::PackageFolder::open(folder);
   return std::ranges::any_of(packages.entries(), [&](const auto& entry) {
      return entry.meta.name == package.meta.name && entry.sha256 != package.hash;
   });
}

/// A package of the node's own services, through its administration: code first, then what a new node would do.
void installLocal(ChainClient& client, const node::Package& package, const Common& common) {
   const auto ask = [&](std::string_view subdomain, format::HttpRequest request) {
      const std::string target = request.target;
      const auto reply = client.send(subdomain, target, std::move(request));
      if (reply.status == 401 || reply.status == 403)
         throw Fault(package.meta.name +
                     " is a part of the node itself, so only its administrators install it. Do it on "
                     "the node's own machine: " +
                     replyText(reply));
      if (reply.status >= 300)
         throw Fault(package.meta.name + ": " + std::string(subdomain) + " answers to " + target + ": " +
                     replyText(reply));
   };
   say(common, "Installing " + package.meta.name + " " + package.meta.version + " on the node");
   const auto parts = node::localTemplate({package});
   for (const auto& service : parts.services) {
      format::HttpRequest request;
      request.method = "PUT";
      request.target = "/services/" + service.account.str() +
                       (service.flags & format::CodeRow::isPrivileged ? "?isPrivileged=1" : "?isPrivileged=0") +
                       (service.flags & format::CodeRow::isReplacement ? "&isReplacement=1" : "");
      request.contentType = "application/wasm";
      request.body = service.code;
      ask("x-admin", std::move(request));
   }
   for (const auto& request : parts.requests)
      ask(request.host.substr(0, request.host.find('.')), request);
}

/// One package, into the running chain (spec, services §6.1): what is large goes first and changes nothing, then
/// everything in order.
void install(ChainClient& client, const node::Package& package, AccountNumber owner,
             const std::vector<format::PrivateKey>& keys, const Common& common) {
   const auto& meta = package.meta;
   if (meta.scope != "network")
      return installLocal(client, package, common);
   SystemRandom random;
   const std::uint64_t id = random.next64();

   std::vector<Action> uploads, steps;
   const auto step = [&](Action action) { steps.push_back(std::move(action)); };
   for (const auto account : accountsOf(package)) {
      if (client.accountExists(account))
         continue;
      // Only its base may give a subaccount's name away, and only the chain itself a short one, for the same
      // transaction.
      constexpr std::size_t freeNameLength = 8;
      if (account != account.base())
         step(act(account.base(), "accounts"_a, "preapproveAcc"_m, account));
      else if (account.str().size() < freeNameLength && owner == "root"_a)
         step(act("accounts"_a, "accounts"_a, "preapproveAcc"_m, account));
      step(act(owner, "auth-delg"_a, "newAccount"_m, account, owner, true));
   }
   for (const auto& service : package.services) {
      if (service.code.empty())
         continue;
      const auto hash = format::sha256(service.code);
      uploads.push_back(
          act(owner, "setcode"_a, "stageCode"_m, service.account, id, std::uint8_t{0}, std::uint8_t{0}, service.code));
      step(act(service.account, "setcode"_a, "setCodeStaged"_m, owner, id, std::uint8_t{0}, std::uint8_t{0}, hash));
      if (service.flags)
         step(act("setcode"_a, "setcode"_a, "setFlags"_m, service.account, service.flags));
   }
   node::ActionPacker packer;
   for (const auto& service : package.services) {
      if (service.schema) {
         auto schema = *service.schema;
         schema.service = service.account;
         if (auto added = packer.add(schema); !added)
            throw Fault(meta.name + ": " + added.error());
         if (service.account == service.account.base())
            step(act(service.account, "packages"_a, "setSchema"_m, schema));
      }
      if (service.server && service.account == service.account.base())
         step(act(service.account, "http"_a, "registerServer"_m, *service.server));
   }
   for (const auto& file : package.files) {
      auto stored = node::storedContent(file);
      step(act(file.account, "sites"_a, "storeSys"_m, file.path, file.contentType, stored.encoding, stored.content));
   }
   for (const auto& entry : package.postinstall) {
      Action action{entry.sender, entry.service, entry.method, {}};
      if (entry.rawData) {
         action.rawData = *entry.rawData;
      } else {
         const std::string json = entry.data ? entry.data->text : "{}";
         auto packed = packer.knows(entry.service)
                           ? packer.pack(entry.service, entry.method, json)
                           : client.schemas(entry.service).pack(entry.service, entry.method, json);
         if (!packed)
            throw Fault("The postinstall script of " + meta.name + ": " + packed.error());
         action.rawData = std::move(*packed);
      }
      step(std::move(action));
   }
   for (auto& action : removals(client, package, owner))
      step(std::move(action));
   auto listed = client.schemas("packages"_a)
                     .pack("packages"_a, "postinstall"_m,
                           "{\"package\":" + format::toJson(package.meta) + ",\"manifest\":\"" +
                               toHex(package.manifest()) + "\"}");
   if (!listed)
      throw Fault(listed.error());
   step({owner, "packages"_a, "postinstall"_m, std::move(*listed)});

   say(common, "Installing " + meta.name + " " + meta.version);
   for (auto& action : uploads)
      client.push({std::move(action)}, keys, WaitFor::applied);
   std::uint32_t index = 0;
   std::vector<Action> batch;
   std::size_t bytes = 0;
   const auto pushBatch = [&] {
      if (batch.empty())
         return;
      batch.insert(batch.begin(), act(owner, "packages"_a, "checkOrder"_m, id, index++));
      client.push(std::exchange(batch, {}), keys, WaitFor::applied);
      bytes = 0;
   };
   for (auto& action : steps) {
      if (bytes + action.rawData.size() > transactionBytes)
         pushBatch();
      bytes += action.rawData.size();
      batch.push_back(std::move(action));
   }
   pushBatch();
   client.push({act(owner, "packages"_a, "removeOrder"_m, id)}, keys);
}

void installAll(const InstallArguments& args) {
   ChainClient client(args.common);
   const auto owner = parseAccount(args.sender);
   const auto keys = readKeys(args.sign);
   const auto installed =
       format::fromJson<std::vector<InstalledRow>>(asText(client.get("packages", "/api/installed").body));
   std::set<std::string> there;
   if (installed)
      for (const auto& row : *installed)
         there.insert(row.name);

   std::vector<node::Package> packages;
   std::vector<std::string> names;
   std::set<std::string> own; // came with this program
   for (const auto& what : args.packages) {
      if (!what.ends_with(".psi") && !std::filesystem::is_regular_file(what)) {
         names.push_back(what);
         continue;
      }
      auto package = node::parsePackage(node::readFile(what, node::PackageLimits{}.fileBytesMax));
      if (!package)
         throw Fault(what + ": " + package.error());
      packages.push_back(std::move(*package));
   }
   if (!names.empty()) {
      const auto folder = node::PackageFolder::open(args.folder.empty() ? node::defaultPackageFolder()
                                                                        : std::filesystem::path(args.folder));
      auto resolved = folder.resolve(names);
      if (!resolved)
         throw Fault(resolved.error());
      for (auto& package : *resolved) {
         if (args.folder.empty())
            own.insert(package.meta.name);
         if (!there.contains(package.meta.name) ||
             (args.reinstall && std::ranges::find(names, package.meta.name) != names.end()))
            packages.push_back(std::move(package));
      }
   }
   if (!args.allowPowers)
      for (const auto& package : packages) {
         if (own.contains(package.meta.name))
            continue;
         auto powers = package.powers();
         if (standsInForOurs(package))
            powers.push_back("it takes the place of " + package.meta.name + ", which comes with every chain");
         if (package.meta.scope == "network") {
            if (!installed)
               throw Fault("What is installed on the chain cannot be read: " + installed.error().message);
            std::ranges::move(takenAccounts(client, package, owner, *installed), std::back_inserter(powers));
         }
         if (powers.empty())
            continue;
         std::string text = package.meta.name + " does more than install itself:";
         for (const auto& power : powers)
            text += "\n  " + power;
         throw Fault(text +
                     "\nNothing was installed. If you trust whoever made it with the whole chain, add --allow-powers.");
      }
   for (const auto& package : packages)
      install(client, package, owner, keys, args.common);
   if (args.common.json) {
      std::vector<std::string> done;
      for (const auto& package : packages)
         done.push_back(package.meta.name);
      std::cout << "{\"installed\":" << format::toJson(done) << "}\n";
   } else {
      for (const auto& package : packages)
         for (const auto& file : package.files)
            if (file.path == "/index.html")
               std::cout << package.meta.name << " is at " << client.root().subdomain(file.account.str()).origin()
                         << "/\n";
      std::cout << (packages.empty() ? "Everything is there already; --reinstall installs it again.\n" : "Done.\n");
   }
}

} // namespace

void addDeployCommand(CLI::App& app, int& exitCode) {
   auto args = std::make_shared<DeployArguments>();
   auto* command = app.add_subcommand(
       "deploy", "Put a service's code on an account\n"
                 "\n"
                 "Takes effect at once; whatever is running finishes with the old code. The account must exist.\n"
                 "   polis deploy hello hello.wasm hello.schema.json --server hello --sign hello.pem");
   addCommon(*command, args->common);
   command->add_option("account", args->account, "Account that gets the code")->required()->type_name("NAME");
   command->add_option("code", args->code, "WebAssembly module")
       ->required()
       ->check(CLI::ExistingFile)
       ->type_name("FILE");
   command->add_option("schema", args->schema, "Its schema, JSON")->check(CLI::ExistingFile)->type_name("FILE");
   command->add_option("-p,--server", args->server, "Account that answers its web requests")->type_name("NAME");
   command->add_option("-s,--sign", args->sign, "Key file to sign with. Repeatable")
       ->allow_extra_args(false)
       ->type_name("FILE");
   command->callback([args, &exitCode] {
      deploy(*args);
      exitCode = 0;
   });
}

void addUploadCommand(CLI::App& app, int& exitCode) {
   auto args = std::make_shared<UploadArguments>();
   auto* command =
       app.add_subcommand("upload", "Put files on an account's site\n"
                                    "\n"
                                    "   polis upload -r ui/dist / --sender hello --sign hello.pem\n"
                                    "They are part of the chain, and served from it on the account's subdomain.");
   addCommon(*command, args->common);
   command->add_option("source", args->source, "File, or folder with -r")
       ->required()
       ->check(CLI::ExistingPath)
       ->type_name("PATH");
   command->add_option("destination", args->destination, "Path on the site (default: the file's name at /)")
       ->type_name("PATH");
   command->add_option("-S,--sender", args->sender, "Account whose site it is")->required()->type_name("NAME");
   command->add_option("-t,--type", args->type, "Content type (default: by the extension)")->type_name("TYPE");
   command->add_flag("-r,--recursive", args->recursive, "A folder and everything in it");
   command->add_option("-s,--sign", args->sign, "Key file to sign with. Repeatable")
       ->allow_extra_args(false)
       ->type_name("FILE");
   command->callback([args, &exitCode] {
      upload(*args);
      exitCode = 0;
   });
}

void addInstallCommand(CLI::App& app, int& exitCode) {
   auto args = std::make_shared<InstallArguments>();
   auto* command = app.add_subcommand(
       "install", "Install packages into the running chain\n"
                  "\n"
                  "   polis install hello.psi --sender alice-one --sign alice.pem\n"
                  "   polis install Hello --sender prod\n"
                  "A file is installed as it is, over what is there. A name brings what it depends on.\n"
                  "The node's own services, after an upgrade of Polis, on its own machine:\n"
                  "   polis install XDefault");
   addCommon(*command, args->common);
   command->add_option("packages", args->packages, "Package files (.psi) or names")->required()->type_name("PACKAGE");
   command->add_option("--packages-from", args->folder, "Folder to look for names in")->type_name("DIR");
   command->add_option("-S,--sender", args->sender, "Account that installs and owns them")
       ->capture_default_str()
       ->type_name("NAME");
   command->add_flag("--reinstall", args->reinstall, "Also what is there already");
   command->add_flag("--allow-powers", args->allowPowers,
                     "Also what asks for powers beyond accounts of its own; without this they are told");
   command->add_option("-s,--sign", args->sign, "Key file to sign with. Repeatable")
       ->allow_extra_args(false)
       ->type_name("FILE");
   command->callback([args, &exitCode] {
      installAll(*args);
      exitCode = 0;
   });
}

} // namespace polis::cli
