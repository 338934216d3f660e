// Which packages of local services this node has.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

struct LocalPackageRef {
   std::string name;
   std::string version;
};

struct LocalPackageExport {
   std::string name;
   AccountNumber service;
};

struct LocalPackage {
   std::string name;
   std::string version;
   std::string description;
   std::vector<LocalPackageRef> depends;
   std::vector<AccountNumber> accounts;
   std::vector<AccountNumber> services;
   std::vector<LocalPackageExport> exports;
   Checksum256 sha256{};
};

/// A package whose installation or removal has begun.
struct PendingLocalPackage {
   std::string name;
   std::string version;
   std::string description;
   std::vector<LocalPackageRef> depends;
   std::vector<AccountNumber> accounts;
   std::vector<AccountNumber> services;
   std::vector<LocalPackageExport> exports;
   Checksum256 sha256{};
   bool removing = false;
};

struct LocalManifest {
   Checksum256 sha256{};
   std::string contentType;
   Bytes data;
};

class XPackages : public Service {
public:
   static constexpr auto account = "x-packages"_a;

   using Packages = SubjectiveTable<0, LocalPackage, &LocalPackage::name>;
   using Pending =
       SubjectiveTable<1, PendingLocalPackage,
                       key<&PendingLocalPackage::name, &PendingLocalPackage::version, &PendingLocalPackage::sha256>>;
   using Manifests = SubjectiveTable<2, LocalManifest, &LocalManifest::sha256>;

   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};
POLIS_SERVICE(XPackages, action(serveSys, request, socket, user))

} // namespace polis::services
