#include "packages_query.hpp"

#include "format/json.hpp"
#include "packages/service/may_install.hpp"
#include "sites/service/sites.hpp"

#include <polis/graphql.hpp>

namespace polis::services {

namespace {

/// What a person can open: each account of a package that has a first page of its own.
std::vector<App> installedApps() {
   std::vector<App> apps;
   for (const InstalledPackage& row : openOf<InstalledPackageTable>(Packages::account))
      for (const auto account : row.accounts)
         if (to<Sites>().getProps(account, "/index.html"))
            apps.push_back({account, row.name, row.version, row.description, row.owner});
   return apps;
}

void requireAccount(AccountNumber account) {
   if (!to<Accounts>().exists(account))
      abortMessage("account does not exist: " + account.str());
}

/// What installers ask before they install, upgrade and publish.
struct Query {
   Connection<InstalledPackage> installed(Page<std::string> page) const {
      return connection(openOf<InstalledPackageTable>(Packages::account).index<0>(), page);
   }
   /// Those that a package of `owner` would have to create. Fails if one that is there is not the owner's.
   std::vector<AccountNumber> newAccounts(std::vector<AccountNumber> accounts, AccountNumber owner) const {
      std::vector<AccountNumber> missing;
      for (const auto account : accounts) {
         const auto row = to<Accounts>().getAccount(account);
         if (!row)
            missing.push_back(account);
         else if (const auto why = whyNotInstall(*row, owner, accounts))
            abortMessage(*why);
      }
      return missing;
   }
   std::optional<PublishedPackage> package(AccountNumber owner, std::string name, std::string version) const {
      requireAccount(owner);
      return openOf<PublishedPackageTable>(Packages::account).get(owner, name, version);
   }
   /// What the owner publishes; of one name, or all.
   Connection<PublishedPackage> packages(AccountNumber owner, std::optional<std::string> name,
                                         Page<std::string> page) const {
      requireAccount(owner);
      const auto rows = openOf<PublishedPackageTable>(Packages::account).index<0>();
      return name ? connection(rows, page, owner, *name) : connection(rows, page, owner);
   }
   std::vector<PackageSource> sources(AccountNumber account) const {
      requireAccount(account);
      return openOf<PackageSourcesTable>(Packages::account).get(account).value_or(PackageSources{}).sources;
   }
};
POLIS_GRAPHQL(Query, field(installed, page), field(newAccounts, accounts, owner), field(package, owner, name, version),
              field(packages, owner, name, page), field(sources, account))

} // namespace

std::optional<HttpReply> PackagesQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                 std::optional<AccountNumber>) {
   check(getSender() == "http"_a, "requests come from http");
   if (auto reply = serveGraphql(Query{}, request))
      return reply;
   if (request.method != "GET" && request.method != "HEAD")
      return std::nullopt;
   const auto path = pathOf(request);
   if (path == "/schema") {
      const auto service = queryParameter(request, "service");
      if (!service)
         return httpReply(400, "text/html", "which service?\n", allowCors());
      const auto row = openOf<InstalledSchemaTable>(Packages::account).get(AccountNumber{std::string_view(*service)});
      if (!row)
         return httpReply(404, "text/html", "no schema is known for this service\n", allowCors());
      return jsonReply(row->schema);
   }
   if (path == "/manifest") {
      const auto owner = queryParameter(request, "owner");
      const auto package = queryParameter(request, "package");
      if (!owner || !package)
         return httpReply(400, "text/html", "which owner and package?\n", allowCors());
      const auto row =
          openOf<PackageManifestTable>(Packages::account).get(*package, AccountNumber{std::string_view(*owner)});
      if (!row)
         return httpReply(404, "text/html", "no such package\n", allowCors());
      auto reply = httpReply(200, "application/json", asText(row->data), allowCors());
      reply.headers.push_back({"Content-Encoding", "gzip"});
      return reply;
   }
   if (path == "/api/installed") {
      std::vector<InstalledPackage> rows;
      for (const auto& row : openOf<InstalledPackageTable>(Packages::account))
         rows.push_back(row);
      return jsonReply(rows);
   }
   if (path == "/api/apps")
      return jsonReply(installedApps());
   return std::nullopt;
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::PackagesQuery)
