// Which packages are installed on the chain, by whom, and the schemas of services.
#pragma once

#include <polis/sdk.hpp>

#include "format/schema.hpp"

namespace polis::services {

using namespace polis::sdk;

struct PackageRef {
   std::string name;
   std::string version;
};

struct PackageExport {
   std::string name;
   AccountNumber service;
};

struct PackageMeta {
   std::string name;
   std::string version;
   std::string scope;
   std::string description;
   std::vector<PackageRef> depends;
   std::vector<AccountNumber> accounts;
   std::vector<AccountNumber> services;
   std::vector<PackageExport> exports;
};

struct InstalledPackage {
   std::string name;
   std::string version;
   std::string description;
   std::vector<PackageRef> depends;
   std::vector<AccountNumber> accounts;
   std::vector<AccountNumber> services;
   std::vector<PackageExport> exports;
   AccountNumber owner;
};

struct PackageManifest {
   std::string name;
   AccountNumber owner;
   Bytes data; ///< JSON, gzip
};

struct TransactionOrder {
   AccountNumber owner;
   std::uint64_t id = 0;
   std::uint32_t index = 0;
};

struct InstalledSchema {
   AccountNumber account;
   ServiceSchema schema;
};

struct PublishedPackage {
   AccountNumber owner;
   std::string name;
   std::string version;
   std::string scope;
   std::string description;
   std::vector<PackageRef> depends;
   std::vector<AccountNumber> accounts;
   std::vector<AccountNumber> services;
   std::vector<PackageExport> exports;
   Checksum256 sha256{};
   std::string file;
};

struct PackageSource {
   std::optional<std::string> url;
   std::optional<AccountNumber> account;
};

struct PackageSources {
   AccountNumber owner;
   std::vector<PackageSource> sources;
};

using InstalledPackageTable = Table<0, InstalledPackage, key<&InstalledPackage::name, &InstalledPackage::owner>>;
using PackageManifestTable = Table<1, PackageManifest, key<&PackageManifest::name, &PackageManifest::owner>>;
using TransactionOrderTable = Table<2, TransactionOrder, key<&TransactionOrder::owner, &TransactionOrder::id>>;
using InstalledSchemaTable = Table<3, InstalledSchema, &InstalledSchema::account>;
using PublishedPackageTable =
    Table<4, PublishedPackage, key<&PublishedPackage::owner, &PublishedPackage::name, &PublishedPackage::version>>;
using PackageSourcesTable = Table<5, PackageSources, &PackageSources::owner>;

class Packages : public Service {
public:
   static constexpr auto account = "packages"_a;
   using Tables = std::tuple<InstalledPackageTable, PackageManifestTable, TransactionOrderTable, InstalledSchemaTable,
                             PublishedPackageTable, PackageSourcesTable>;

   /// Enters a package as installed by the sender. Refuses an account that is not the sender's: its owner is another,
   /// or its auth service is neither auth-delg nor one of the package's accounts.
   void postinstall(PackageMeta package, Bytes manifest);
   /// Keeps the sender's schema. Refuses one that cannot read what is stored: a table gone, rows or indexes or events
   /// changed.
   void setSchema(ServiceSchema schema);
   /// Offers a package of the sender to others. The same version again only with the same file.
   void publish(PackageMeta package, Checksum256 sha256, std::string file);
   void setSources(std::vector<PackageSource> sources);
   std::optional<ServiceSchema> getSchema(AccountNumber service);
   /// Fails unless `index` is the next of the sender's transactions `id`, from 0.
   void checkOrder(std::uint64_t id, std::uint32_t index);
   void removeOrder(std::uint64_t id);
};
POLIS_SERVICE(Packages, action(postinstall, package, manifest), action(setSchema, schema),
              action(publish, package, sha256, file), action(setSources, sources), action(getSchema, service),
              action(checkOrder, id, index), action(removeOrder, id))

} // namespace polis::services
