// The packages of this repository, as installers written for the protocol see them.
#include "harness/chain_client.hpp"
#include "harness/command.hpp"
#include "harness/node_process.hpp"
#include "node/package.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace polis::e2e {

namespace {

using format::AccountNumber;

struct Packages {
   std::map<std::string, node::Package> byName;
   std::map<AccountNumber, std::string> bringer; ///< of a service

   Packages() {
      const auto folder = node::PackageFolder::open(node::defaultPackageFolder());
      for (const auto& entry : folder.entries()) {
         if (entry.meta.scope != "network")
            continue;
         auto package = node::parsePackage(node::readFile(folder.folder() / entry.file, std::uint64_t{64} << 20));
         if (!package) {
            ADD_FAILURE() << entry.file << ": " << package.error();
            continue;
         }
         for (const auto service : package->meta.services)
            bringer[service] = entry.meta.name;
         byName.emplace(entry.meta.name, std::move(*package));
      }
   }

   /// The packages whose services are called while this one is installed.
   std::set<std::string> calledBy(const node::Package& package) const {
      std::set<AccountNumber> services;
      if (!package.files.empty())
         services.insert(AccountNumber(std::string_view("sites")));
      for (const auto& service : package.services)
         if (service.server)
            services.insert(AccountNumber(std::string_view("http")));
      for (const auto& action : package.postinstall)
         services.insert(action.service);
      std::set<std::string> names;
      for (const auto service : services)
         names.insert(bringer.at(service));
      return names;
   }

   /// These, and what they need in turn.
   std::set<std::string> closure(std::set<std::string> names) const {
      for (bool grew = true; grew;) {
         grew = false;
         for (const auto& name : std::set<std::string>(names))
            for (const auto& dependency : byName.at(name).meta.depends)
               grew = names.insert(dependency.name).second || grew;
      }
      return names;
   }
};

} // namespace

// Otherwise such an installer refuses: a package says which other packages its installation calls.
TEST(Packages, nameWhatTheirInstallationCalls) {
   const Packages packages;
   ASSERT_GT(packages.byName.size(), 20u);
   for (const auto& [name, package] : packages.byName) {
      std::set<std::string> named{name};
      for (const auto& dependency : package.meta.depends)
         named.insert(dependency.name);
      for (const auto& called : packages.calledBy(package))
         EXPECT_TRUE(named.contains(called)) << name << " calls " << called;
   }
}

// What is called is installed before, with all that it depends on: so none of that may be the package itself.
TEST(Packages, canBeInstalledInSomeOrder) {
   const Packages packages;
   for (const auto& [name, package] : packages.byName) {
      auto others = packages.calledBy(package);
      std::set<std::string> before;
      for (const auto& called : others)
         for (const auto& dependency : packages.byName.at(called).meta.depends)
            before.insert(dependency.name);
      others.erase(name);
      before.insert(others.begin(), others.end());
      EXPECT_FALSE(packages.closure(before).contains(name)) << name << " needs itself to be installed";
   }
}

// Names of less than eight letters are the chain's own to give.
TEST(Packages, aChainTakesInAServiceWithAShortName) {
   if (harness::dataFolder().empty())
      GTEST_SKIP() << "the packages are not built: ./run --build";
   harness::NodeProcess::Options options;
   for (const char* name : {"Accounts", "AuthAny", "AuthDelegate", "AuthSig", "CommonApi", "CpuLimit", "Db", "DynLd",
                            "Explorer", "HttpServer", "Packages", "Producers", "SetCode", "Transact"})
      options.arguments.insert(options.arguments.end(), {"--boot-packages", name});
   const harness::NodeProcess node(options);
   const harness::ChainClient client{node.port()};
   const auto ask = [&] {
      return client.get("vserver", "/graphql?query=%7BgetNetworkSpecs%7BcpuNs%7DgetBillingConfig%7Benabled%7D%7D").body;
   };
   EXPECT_EQ(ask().find("cpuNs"), std::string::npos) << ask();
   const std::string url = "http://polis.localhost:" + std::to_string(node.port());
   const auto result = harness::runPolis({"install", "VirtualServer", "--allow-powers", "--url", url});
   ASSERT_EQ(result.status, 0) << result.output;
   EXPECT_NE(ask().find(R"({"getNetworkSpecs":{"cpuNs":"196000000"},"getBillingConfig":null})"), std::string::npos)
       << ask() << result.output;
}

} // namespace polis::e2e
