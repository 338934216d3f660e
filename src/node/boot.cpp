#include "node/boot.hpp"
#include "format/fracpack.hpp"
#include "format/hash.hpp"
#include "node/action_packer.hpp"
#include "node/gzip.hpp"
#include "node/invitation.hpp"
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace polis::node {

namespace {

using namespace format::literals;
using format::AccountNumber;
using format::Action;
using format::MethodNumber;

/// Actions are collected into transactions of about this size.
constexpr std::size_t transactionBytes = std::size_t{1} << 20;
constexpr std::size_t transactionActions = 200;
/// The producers sign the state once in so many seconds, for newcomers to begin with.
constexpr std::uint32_t snapshotSec = 86400;

template <class... Args>
Action act(AccountNumber sender, AccountNumber service, MethodNumber method, const Args&... args) {
   return {sender, service, method, format::pack(std::tuple<Args...>(args...))};
}

format::SignedTransaction transactionOf(std::vector<Action> actions, format::TimePointSec expiration) {
   format::Transaction transaction;
   transaction.tapos.expiration = expiration;
   transaction.actions = std::move(actions);
   format::SignedTransaction result;
   result.transaction = format::Nested<format::Transaction>(transaction);
   return result;
}

/// Collects actions into transactions.
class Batches {
public:
   explicit Batches(format::TimePointSec expiration) : expiration_(expiration) {}

   void add(Action action) {
      const std::size_t bytes = action.rawData.size() + 64;
      if (!actions_.empty() && (bytes_ + bytes > transactionBytes || actions_.size() >= transactionActions))
         close();
      bytes_ += bytes;
      actions_.push_back(std::move(action));
   }
   void close() {
      if (actions_.empty())
         return;
      done_.push_back(transactionOf(std::exchange(actions_, {}), expiration_));
      bytes_ = 0;
   }
   std::vector<format::SignedTransaction> take() {
      close();
      return std::move(done_);
   }

private:
   format::TimePointSec expiration_;
   std::vector<Action> actions_;
   std::size_t bytes_ = 0;
   std::vector<format::SignedTransaction> done_;
};

const Package* packageWith(const std::vector<Package>& packages, AccountNumber service) {
   for (const auto& package : packages)
      if (package.service(service))
         return &package;
   return nullptr;
}

/// Dependencies first, those that follow from what a package does included: files need `sites`, servers `http`, and
/// scripts the services that they call.
std::vector<const Package*> installOrder(const std::vector<Package>& packages) {
   std::vector<const Package*> result;
   std::set<const Package*> begun;
   const auto visit = [&](auto& self, const Package* package) -> void {
      if (!package || !begun.insert(package).second)
         return;
      for (const auto& dependency : package->meta.depends)
         for (const auto& other : packages)
            if (other.meta.name == dependency.name)
               self(self, &other);
      if (!package->files.empty())
         self(self, packageWith(packages, "sites"_a));
      if (std::ranges::any_of(package->services, [](const auto& s) { return s.server.has_value(); }))
         self(self, packageWith(packages, "http"_a));
      for (const auto& action : package->postinstall)
         self(self, packageWith(packages, action.service));
      result.push_back(package);
   };
   visit(visit, packageWith(packages, "transact"_a));
   for (const auto& package : packages)
      visit(visit, &package);
   return result;
}

std::expected<std::vector<Action>, std::string> scriptOf(const Package& package, const ActionPacker& packer) {
   std::vector<Action> result;
   for (const auto& entry : package.postinstall) {
      Action action{entry.sender, entry.service, entry.method, {}};
      if (entry.rawData) {
         action.rawData = *entry.rawData;
      } else {
         auto packed = packer.pack(entry.service, entry.method, entry.data ? entry.data->text : "{}");
         if (!packed)
            return std::unexpected("the postinstall script of " + package.meta.name + ": " + packed.error());
         action.rawData = std::move(*packed);
      }
      result.push_back(std::move(action));
   }
   return result;
}

} // namespace

StoredContent storedContent(const PackagedFile& file) {
   // Smaller files are as quick without, and every client can read them.
   constexpr std::size_t smallBytes = 4096;
   const auto& type = file.contentType;
   const bool isText =
       type.starts_with("text/") || type == "application/json" || type == "application/wasm" || type == "image/svg+xml";
   if (!isText || file.content.size() < smallBytes)
      return {std::nullopt, file.content};
   return {"gzip", gzip(file.content)};
}

std::vector<std::string> defaultBootPackages(const PackageFolder& folder) {
   std::vector<std::string> names;
   for (const auto& entry : folder.entries()) {
      if (entry.meta.name == "DevDefault")
         return {entry.meta.name};
      if (entry.meta.scope == "network" && std::ranges::find(names, entry.meta.name) == names.end())
         names.push_back(entry.meta.name);
   }
   return names;
}

std::expected<BootPlan, std::string> planBoot(const std::vector<Package>& packages, const BootOptions& options,
                                              Random& random) {
   ActionPacker packer;
   for (const auto& package : packages) {
      if (package.meta.scope != "network")
         return std::unexpected(package.meta.name + " is a package of local services and cannot be part of a chain");
      for (const auto& service : package.services)
         if (service.schema) {
            auto schema = *service.schema;
            schema.service = service.account;
            if (auto added = packer.add(schema); !added)
               return std::unexpected(package.meta.name + ": " + added.error());
         }
   }
   std::vector<AccountNumber> needed = {"transact"_a, "accounts"_a, "setcode"_a,   "producers"_a,
                                        "http"_a,     "auth-any"_a, "auth-delg"_a, "packages"_a};
   if (options.publicKey)
      needed.insert(needed.end(), {"auth-sig"_a, "verify-sig"_a});
   for (const auto service : needed)
      if (!packageWith(packages, service))
         return std::unexpected("no package brings the service " + service.str() + ", without which there is no chain");

   BootPlan plan;

   // Block 2: all code at once, so that every service can be called from the first transaction on.
   format::GenesisActionData genesis{.memo = "Polis", .services = {}};
   for (const auto& package : packages)
      for (const auto& service : package.services)
         if (!service.code.empty())
            genesis.services.push_back({service.account, service.flags, 0, 0, service.code});
   plan.first.push_back(
       transactionOf({Action{AccountNumber(), AccountNumber(), "boot"_m, format::pack(genesis)}}, options.expiration));

   // `accounts::init` comes before anything that makes or asks for an account.
   Batches rest(options.expiration);
   const Package* accountsPackage = packageWith(packages, "accounts"_a);
   auto accountsScript = scriptOf(*accountsPackage, packer);
   if (!accountsScript)
      return std::unexpected(accountsScript.error());
   for (auto& action : *accountsScript)
      rest.add(std::move(action));

   const auto order = installOrder(packages);
   const Package* transactPackage = packageWith(packages, "transact"_a);
   format::Claim claim;
   if (options.publicKey)
      claim = {"verify-sig"_a, *options.publicKey};
   auto opening = scriptOf(*transactPackage, packer);
   if (!opening)
      return std::unexpected(opening.error());
   opening->push_back(
       act("producers"_a, "producers"_a, "setProducers"_m, std::vector<format::Producer>{{options.producer, claim}}));
   auto second = transactionOf(std::move(*opening), options.expiration);

   std::set<AccountNumber> ownAuth; // accounts whose script chooses who may act for them
   for (const auto* package : order) {
      std::set<AccountNumber> codeAccounts;
      for (const auto& service : package->services)
         if (!service.code.empty())
            codeAccounts.insert(service.account);
      auto script = scriptOf(*package, packer);
      if (!script)
         return std::unexpected(script.error());
      for (const auto account : package->meta.accounts)
         if (!codeAccounts.contains(account))
            rest.add(act(account == account.base() ? "accounts"_a : account.base(), "accounts"_a, "newAccount"_m,
                         account, "auth-delg"_a, false));
      for (const auto& service : package->services)
         if (service.server && service.account == service.account.base())
            rest.add(act(service.account, "http"_a, "registerServer"_m, *service.server));
      for (const auto& file : package->files) {
         auto stored = storedContent(file);
         rest.add(
             act(file.account, "sites"_a, "storeSys"_m, file.path, file.contentType, stored.encoding, stored.content));
      }
      if (package != transactPackage && package != accountsPackage)
         for (auto& action : *script)
            rest.add(action);
      for (const auto& action : *script)
         if (action.method == "setAuthServ"_m)
            ownAuth.insert(action.sender);
   }
   for (const auto& package : packages)
      for (const auto& service : package.services)
         if (service.schema && !service.code.empty() && service.account == service.account.base()) {
            auto schema = *service.schema;
            schema.service = service.account;
            rest.add(act(service.account, "packages"_a, "setSchema"_m, schema));
         }

   // Who may change what: the producers own root, root owns every account of the packages.
   const AccountNumber root = "root"_a;
   const AccountNumber producers3{std::string_view("producers+3")};
   rest.add(act("accounts"_a, "accounts"_a, "newAccount"_m, root, "auth-delg"_a, false));
   rest.add(act(root, "auth-delg"_a, "setOwner"_m, producers3));
   rest.add(act("accounts"_a, "accounts"_a, "newAccount"_m, options.producer, "auth-any"_a, true));
   if (options.publicKey) {
      rest.add(act(options.producer, "auth-sig"_a, "setKey"_m, *options.publicKey));
      rest.add(act(options.producer, "accounts"_a, "setAuthServ"_m, "auth-sig"_a));
   }
   for (const auto& package : packages)
      for (const auto account : package.meta.accounts)
         if (!ownAuth.contains(account))
            rest.add(act(account, "auth-delg"_a, "setOwner"_m, root));
   for (const auto& package : packages) {
      const std::string json =
          "{\"package\":" + format::toJson(package.meta) + ",\"manifest\":\"" + toHex(package.manifest()) + "\"}";
      auto packed = packer.pack("packages"_a, "postinstall"_m, json);
      if (!packed)
         return std::unexpected(packed.error());
      rest.add({root, "packages"_a, "postinstall"_m, std::move(*packed)});
   }
   if (options.invitationAccounts > 0 && packageWith(packages, "invite"_a)) {
      const auto invitation = makeInvitation(random);
      auto packed =
          packer.pack("invite"_a, "createInvite"_m, createInviteArguments(invitation, options.invitationAccounts));
      if (!packed)
         return std::unexpected(packed.error());
      rest.add({options.producer, "invite"_a, "createInvite"_m, std::move(*packed)});
      plan.invitationToken = invitation.token;
   }
   rest.add(act("transact"_a, "transact"_a, "setSnapTime"_m, snapshotSec));
   rest.add(act("transact"_a, "transact"_a, "finishBoot"_m));
   plan.rest = rest.take();

   std::vector<format::Checksum256> ids;
   for (const auto& transaction : plan.rest)
      ids.push_back(format::sha256(transaction.transaction.packed));
   plan.first.push_back(std::move(second));
   plan.first.push_back(transactionOf({act("transact"_a, "transact"_a, "startBoot"_m, ids)}, options.expiration));
   return plan;
}

} // namespace polis::node
