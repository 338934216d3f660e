#include "node/local_template.hpp"
#include "format/hash.hpp"
#include "format/json.hpp"
#include "format/semver.hpp"
#include <algorithm>

namespace polis::node {

namespace {

using format::AccountNumber;

constexpr AccountNumber xPackages{std::string_view("x-packages")};

/// Requests of the node to itself have the pseudo root host of one NUL.
format::HttpRequest ownRequest(std::string_view account, std::string method, std::string target,
                               std::string contentType, Bytes body) {
   format::HttpRequest request;
   request.host = std::string(account) + '.' + '\0';
   request.method = std::move(method);
   request.target = std::move(target);
   request.contentType = std::move(contentType);
   request.body = std::move(body);
   return request;
}

struct RegisterServer {
   AccountNumber service{};
   AccountNumber server{};
};

format::HttpRequest registerServer(AccountNumber service, AccountNumber server) {
   return ownRequest("x-http", "POST", "/register_server", "application/json",
                     toBytes(format::toJson(RegisterServer{service, server})));
}

struct AdminToken {
   format::Checksum256 sha256{};
};

/// What follows the code of a package: its servers, its files, and that it is installed.
void addRequests(const Package& package, std::vector<format::HttpRequest>& out) {
   for (const auto& service : package.services)
      if (service.server && service.account != xPackages)
         out.push_back(registerServer(service.account, *service.server));
   for (const auto& file : package.files)
      out.push_back(ownRequest(file.account.str(), "PUT", file.path, file.contentType, file.content));
   const auto& m = package.meta;
   out.push_back(
       ownRequest("x-packages", "PUT", "/manifest/" + toHex(package.hash), "application/gzip", package.manifest()));
   const LocalMeta meta{m.name, m.version, m.description, m.depends, m.accounts, m.services, m.exports, package.hash};
   out.push_back(ownRequest("x-packages", "POST", "/postinstall", "application/json", toBytes(format::toJson(meta))));
}

/// The server of the list of packages comes first: every installation ends there.
void addListServer(const Package& package, std::vector<format::HttpRequest>& out) {
   if (const auto* service = package.service(xPackages); service && service->server)
      out.push_back(registerServer(xPackages, *service->server));
}

bool isNewer(const std::string& installed, const std::string& own) {
   const auto a = format::Version::parse(installed), b = format::Version::parse(own);
   return a && b && format::compareVersions(*a, *b) > 0;
}

} // namespace

kernel::LocalTemplate localTemplate(const std::vector<Package>& packages, std::string_view adminToken) {
   kernel::LocalTemplate result;
   for (const auto& package : packages)
      for (const auto& service : package.services)
         if (!service.code.empty())
            result.services.push_back({service.account, service.flags, service.code});
   for (const auto& package : packages)
      addListServer(package, result.requests);
   for (const auto& package : packages)
      addRequests(package, result.requests);
   if (!adminToken.empty())
      result.requests.push_back(ownRequest("x-admin", "POST", "/admin_token", "application/json",
                                           toBytes(format::toJson(AdminToken{format::sha256(asBytes(adminToken))}))));
   return result;
}

format::HttpRequest installedLocalRequest() { return ownRequest("x-packages", "GET", "/api/installed", {}, {}); }

LocalUpdate localUpdate(const std::vector<Package>& packages, const std::vector<LocalMeta>& installed) {
   LocalUpdate result;
   for (const auto& package : packages) {
      if (package.services.empty() && package.files.empty())
         continue; // a name for a set
      const auto known = std::ranges::find(installed, package.meta.name, &LocalMeta::name);
      if (known != installed.end() && known->sha256 == package.hash)
         continue;
      const std::string name = package.meta.name + ' ';
      if (known != installed.end() && isNewer(known->version, package.meta.version)) {
         result.kept.push_back(name + known->version);
         continue;
      }
      result.updated.push_back(name + package.meta.version);
      for (const auto& service : package.services) {
         if (service.code.empty())
            continue;
         const bool privileged = service.flags & format::CodeRow::isPrivileged;
         const bool replacement = service.flags & format::CodeRow::isReplacement;
         result.requests.push_back(ownRequest("x-admin", "PUT",
                                              "/services/" + service.account.str() + "?isPrivileged=" +
                                                  (privileged ? "1" : "0") + (replacement ? "&isReplacement=1" : ""),
                                              "application/wasm", service.code));
      }
      addListServer(package, result.requests);
      addRequests(package, result.requests);
      if (known != installed.end())
         result.requests.push_back(ownRequest("x-packages", "DELETE", "/manifest/" + toHex(known->sha256), {}, {}));
   }
   return result;
}

} // namespace polis::node
