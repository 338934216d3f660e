#include "sites/service/sites.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::Sites;

POLIS_TEST(sites_graphql_tells_files_and_settings) {
   TestChain chain("Sites");
   const auto alice = chain.account("alice");
   const auto ask = [&](std::string_view query) { return chain.graphql("sites", query); };
   expectEqual(ask(R"({ getConfig(account: "alice") { account spa cache globalCsp } })"),
               R"({"data":{"getConfig":{"account":"alice","spa":false,"cache":true,"globalCsp":""}}})");
   alice.to<Sites>().storeSys("/b.txt", "text/plain", std::nullopt, polis::toBytes("bbb")).succeeds();
   alice.to<Sites>().storeSys("/a.txt", "text/plain", "br", polis::toBytes("aaa")).succeeds();
   alice.to<Sites>().setCsp("/b.txt", "default-src 'none'").succeeds();
   alice.to<Sites>().enableSpa(true).succeeds();
   alice.to<Sites>().setCsp("*", "img-src *").succeeds();
   expectEqual(ask(R"({ getConfig(account: "alice") { spa globalCsp proxyAccount } })"),
               R"({"data":{"getConfig":{"spa":true,"globalCsp":"img-src *","proxyAccount":null}}})");
   expectEqual(
       ask(R"({ getContent(account: "alice") { nodes { account path contentType contentEncoding csp } } })"),
       R"({"data":{"getContent":{"nodes":[)"
       R"({"account":"alice","path":"/a.txt","contentType":"text/plain","contentEncoding":"br","csp":""},)"
       R"({"account":"alice","path":"/b.txt","contentType":"text/plain","contentEncoding":null,"csp":"default-src 'none'"}]}}})");
   const Bytes content = polis::toBytes("bbb");
   const auto hash = polis::toHex(ByteView(sha256(ByteView(content))));
   expectContains(ask(R"({ getContentAt(account: "alice", path: "/b.txt") { contentHash }
                           none: getContentAt(account: "alice", path: "/c.txt") { path } })"),
                  R"({"data":{"getContentAt":{"contentHash":")" + hash + R"("},"none":null}})");
   expectContains(ask("{ getDefaultCsp }"), "default-src 'self';");
   // Only the service's own site answers so.
   expectEqual(chain.get("alice", "/graphql").status, 404);
}

POLIS_TEST_MAIN()
