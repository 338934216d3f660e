#include "node/local_template.hpp"
#include "format/hash.hpp"
#include "format/json.hpp"

namespace polis::node {

namespace {

using format::AccountNumber;

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

struct LocalMeta {
   std::string name{};
   std::string version{};
   std::string description{};
   std::vector<PackageRef> depends{};
   std::vector<AccountNumber> accounts{};
   std::vector<AccountNumber> services{};
   std::vector<PackageExport> exports{};
   format::Checksum256 sha256{};
};

} // namespace

kernel::LocalTemplate localTemplate(const std::vector<Package>& packages, std::string_view adminToken) {
   static constexpr AccountNumber xPackages{std::string_view("x-packages")};
   kernel::LocalTemplate result;
   for (const auto& package : packages)
      for (const auto& service : package.services)
         if (!service.code.empty())
            result.services.push_back({service.account, service.flags, service.code});
   // The server of the list of packages comes first: every installation ends there.
   for (const auto& package : packages)
      if (const auto* service = package.service(xPackages); service && service->server)
         result.requests.push_back(registerServer(xPackages, *service->server));
   for (const auto& package : packages) {
      for (const auto& service : package.services)
         if (service.server && service.account != xPackages)
            result.requests.push_back(registerServer(service.account, *service.server));
      for (const auto& file : package.files)
         result.requests.push_back(ownRequest(file.account.str(), "PUT", file.path, file.contentType, file.content));
      const auto& m = package.meta;
      result.requests.push_back(
          ownRequest("x-packages", "PUT", "/manifest/" + toHex(package.hash), "application/gzip", package.manifest()));
      const LocalMeta meta{m.name,     m.version,  m.description, m.depends,
                           m.accounts, m.services, m.exports,     package.hash};
      result.requests.push_back(
          ownRequest("x-packages", "POST", "/postinstall", "application/json", toBytes(format::toJson(meta))));
   }
   if (!adminToken.empty())
      result.requests.push_back(ownRequest("x-admin", "POST", "/admin_token", "application/json",
                                           toBytes(format::toJson(AdminToken{format::sha256(asBytes(adminToken))}))));
   return result;
}

} // namespace polis::node
