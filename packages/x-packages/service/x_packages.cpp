#include "x_packages.hpp"

#include "x-admin/service/x_admin.hpp"

#include <polis/graphql.hpp>

namespace polis::services {

namespace {

/// A package's meta as installers send it; what they leave out is empty.
struct PackageMeta {
   std::string name;
   std::string version;
   std::optional<std::string> description;
   std::optional<std::vector<LocalPackageRef>> depends;
   std::optional<std::vector<AccountNumber>> accounts;
   std::optional<std::vector<AccountNumber>> services;
   std::optional<std::vector<LocalPackageExport>> exports;
   Checksum256 sha256{};
};

template <class Row>
Row rowOf(const PackageMeta& meta) {
   Row row;
   row.name = meta.name;
   row.version = meta.version;
   row.description = meta.description.value_or("");
   row.depends = meta.depends.value_or(std::vector<LocalPackageRef>());
   row.accounts = meta.accounts.value_or(std::vector<AccountNumber>());
   row.services = meta.services.value_or(std::vector<AccountNumber>());
   row.exports = meta.exports.value_or(std::vector<LocalPackageExport>());
   row.sha256 = meta.sha256;
   return row;
}

HttpReply change(const HttpRequest& request, std::string_view path) {
   if (mediaTypeOf(request) != "application/json")
      return httpReply(415, "text/html", "Content-Type must be application/json\n");
   const auto meta = fromJson<PackageMeta>(asText(request.body));
   if (!meta)
      return httpReply(400, "text/html", "malformed package: " + meta.error().message + "\n");
   subjectively([&] {
      auto packages = open<XPackages::Packages>(Mode::readWrite);
      auto pending = open<XPackages::Pending>(Mode::readWrite);
      if (path == "/preinstall" || path == "/prerm") {
         auto row = rowOf<PendingLocalPackage>(*meta);
         row.removing = path == "/prerm";
         pending.put(row);
         if (row.removing)
            if (const auto old = packages.get(meta->name); old && old->sha256 == meta->sha256)
               packages.erase(meta->name);
         return;
      }
      pending.erase(meta->name, meta->version, meta->sha256);
      if (path == "/postinstall")
         packages.put(rowOf<LocalPackage>(*meta));
      else
         open<XPackages::Manifests>(Mode::readWrite).erase(meta->sha256);
   });
   return httpReply(200, "text/html", "");
}

HttpReply manifest(const HttpRequest& request, std::string_view name) {
   Checksum256 hash;
   if (name.size() != 64 || !readHex(name, hash.data()))
      return httpReply(404, "text/html", "a manifest is named by a SHA-256\n");
   if (request.method == "PUT") {
      LocalManifest row{hash, request.contentType, request.body};
      subjectively([&] { open<XPackages::Manifests>(Mode::readWrite).put(row); });
      return httpReply(200, "text/html", "");
   }
   if (request.method == "DELETE") {
      subjectively([&] { open<XPackages::Manifests>(Mode::readWrite).erase(hash); });
      return httpReply(200, "text/html", "");
   }
   const auto row = subjectively([&] { return open<XPackages::Manifests>().get(hash); });
   if (!row)
      return httpReply(404, "text/html", "no such manifest\n");
   return httpReply(200, row->contentType, asText(row->data));
}

/// What installers ask.
struct Query {
   Connection<LocalPackage> installed(Page<std::string> page) const {
      return connection(open<XPackages::Packages>().index<0>(), page);
   }
};
POLIS_GRAPHQL(Query, field(installed, page))

} // namespace

std::optional<HttpReply> XPackages::serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                             std::optional<AccountNumber>) {
   onlyFrom({"x-http"_a});
   const auto path = pathOf(request);
   const bool changes = path == "/preinstall" || path == "/prerm" || path == "/postinstall" || path == "/postrm";
   const bool isManifest = path.starts_with("/manifest/");
   const bool isList = path == "/api/installed";
   const bool isGraphql = path == "/graphql" || path == "/graphiql";
   if (!changes && !isManifest && !isList && !isGraphql)
      return std::nullopt;
   HttpRequest head = request;
   head.body.clear();
   if (auto refused = to<XAdmin>().checkAuth(std::move(head), socket))
      return refused;
   if (isGraphql)
      return subjectively([&] { return serveGraphql(Query{}, request); });
   if (isManifest) {
      if (request.method != "GET" && request.method != "PUT" && request.method != "DELETE")
         return methodNotAllowed("GET, PUT, DELETE");
      return manifest(request, path.substr(10));
   }
   if (changes)
      return request.method == "POST" ? change(request, path) : methodNotAllowed("POST");
   if (request.method != "GET")
      return methodNotAllowed("GET");
   const auto list = subjectively([] {
      std::vector<LocalPackage> rows;
      for (const auto& row : open<Packages>())
         rows.push_back(row);
      return rows;
   });
   return httpReply(200, "application/json", toJson(list));
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::XPackages)
