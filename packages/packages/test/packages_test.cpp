#include "packages/service/packages.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using namespace polis::services;

namespace {

constexpr std::string_view askInstalled =
    "query { installed(first: 100, after: null) { pageInfo { hasNextPage endCursor } edges { node { name version "
    "description depends { name version } accounts services exports { name service } ";

PackageMeta metaOf(std::string name, std::vector<AccountNumber> accounts) {
   PackageMeta meta;
   meta.name = std::move(name);
   meta.version = "1.0.0";
   meta.scope = "network";
   meta.accounts = std::move(accounts);
   return meta;
}

} // namespace

// Installers of the protocol ask in these words before they install or upgrade.
POLIS_TEST(packages_graphql_installed) {
   TestChain chain("Nft");
   const auto answer = chain.graphql("packages", std::string(askInstalled) + "owner } } } }");
   expectContains(answer, R"({"name":"Nft","version":")");
   expectContains(answer, R"("services":["nft","nft+1"],"exports":[],"owner":"root"})");
   expectContains(answer, R"("pageInfo":{"hasNextPage":false,"endCursor":")");
}

POLIS_TEST(packages_graphql_new_accounts) {
   TestChain chain("Packages");
   const auto alice = chain.account("alice");
   const auto ask = [&](std::string accounts, std::string_view owner) {
      return chain.graphql("packages",
                           "{ newAccounts(accounts: [" + accounts + "], owner: \"" + std::string(owner) + "\") }");
   };
   expectEqual(ask(R"("packages", "new-app", "newer-app")", "root"),
               R"({"data":{"newAccounts":["new-app","newer-app"]}})");
   expectEqual(ask(R"("alice")", "alice"), R"({"data":{"newAccounts":[]}})");
   expectContains(ask(R"("packages")", "alice"), "account is not owned by alice: packages");
}

POLIS_TEST(packages_graphql_what_an_account_publishes) {
   TestChain chain("Packages");
   const auto alice = chain.account("alice");
   const auto ask = [&](std::string_view query) { return chain.graphql("packages", query); };
   expectEqual(ask(R"({ p0: package(owner: "alice", name: "Tea", version: "1.0.0") { sha256 } })"),
               R"({"data":{"p0":null}})");
   alice.to<Packages>().publish(metaOf("Tea", {"tea-shop"_a}), Checksum256{}, "/packages/Tea-1.0.0.psi").succeeds();
   alice.to<Packages>().publish(metaOf("Coffee", {}), Checksum256{}, "/packages/Coffee-1.0.0.psi").succeeds();
   expectEqual(ask(R"({ p0: package(owner: "alice", name: "Tea", version: "1.0.0") { sha256 } })"),
               R"({"data":{"p0":{"sha256":")" + std::string(64, '0') + R"("}}})");
   expectEqual(ask(R"({ packages(owner: "alice", first: 1, after: null) { pageInfo { hasNextPage } edges { node { name
                       scope file } } } })"),
               R"({"data":{"packages":{"pageInfo":{"hasNextPage":true},"edges":[{"node":{"name":"Coffee",)"
               R"("scope":"network","file":"/packages/Coffee-1.0.0.psi"}}]}}})");
   expectEqual(ask(R"({ packages(owner: "alice", name: "Tea") { edges { node { name } } } })"),
               R"({"data":{"packages":{"edges":[{"node":{"name":"Tea"}}]}}})");
   expectContains(ask(R"({ packages(owner: "nobody") { edges { node { name } } } })"),
                  "account does not exist: nobody");
}

POLIS_TEST(packages_graphql_sources) {
   TestChain chain("Packages");
   const auto alice = chain.account("alice");
   constexpr std::string_view ask = R"({ sources(account: "alice") { url account } })";
   expectEqual(chain.graphql("packages", ask), R"({"data":{"sources":[]}})");
   alice.to<Packages>()
       .setSources(std::vector<PackageSource>{{"https://example.com/", std::nullopt}, {std::nullopt, "root"_a}})
       .succeeds();
   expectEqual(chain.graphql("packages", ask),
               R"({"data":{"sources":[{"url":"https://example.com/","account":null},{"url":null,"account":"root"}]}})");
}

POLIS_TEST(packages_graphql_of_the_node) {
   TestChain chain("Packages");
   const auto answer = chain.graphql("x-packages", std::string(askInstalled) + "sha256 } } } }");
   expectContains(answer, R"({"name":"XHttp","version":")");
   expectContains(answer, R"("accounts":["x-http"],"services":["x-http"],"exports":[],"sha256":")");
}

// Tools and suites of the protocol ask for these sets by name.
POLIS_TEST(packages_the_sets_are_there) {
   TestChain chain("TestDefault");
   const auto answer = chain.graphql("packages", R"({ installed { edges { node { name } } } })");
   for (const auto* name :
        {"Minimal", "TestDefault", "AuthSig", "Db", "Events", "Nft", "Sites", "Supervisor", "Symbol", "Tokens"})
      expectContains(answer, "{\"name\":\"" + std::string(name) + "\"}");
}
POLIS_TEST_MAIN()
