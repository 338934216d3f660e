#include "x-peers/service/x_peers.hpp"

#include <polis/test.hpp>

using namespace polis::test;

POLIS_TEST(x_peers_graphql_tells_of_neighbours) {
   TestChain chain;
   // A test opens no connections, but what is to be connected is remembered.
   const auto connect = [&](std::string_view url) {
      (void)chain.post("x-peers", "/connect", "application/json", "{\"url\": \"" + std::string(url) + "\"}");
   };
   expectEqual(chain.graphql("x-peers", "{ urls { edges { node { url } } } peers { edges { node { socket } } } }"),
               R"({"data":{"urls":{"edges":[]},"peers":{"edges":[]}}})");
   connect("https://community.org");
   connect("https://other.org");
   expectEqual(
       chain.graphql("x-peers", "{ urls(first: 1) { pageInfo { hasNextPage } edges { node { url socket } } } }"),
       R"({"data":{"urls":{"pageInfo":{"hasNextPage":true},"edges":[{"node":{"url":"https://community.org","socket":-1}}]}}})");
   expectEqual(chain.graphql("x-peers", "{ peers { edges { node { socket incoming url nodeId open } } } }"),
               R"({"data":{"peers":{"edges":[]}}})");
}

POLIS_TEST(x_peers_answers_administrators_only) {
   TestChain chain;
   HttpRequest request;
   request.host = "x-peers.psibase.io";
   request.method = "POST";
   request.target = "/graphql";
   request.contentType = "application/graphql";
   request.body = polis::toBytes("{ urls { edges { node { url } } } }");
   request.headers = {{"Origin", "https://elsewhere.org"}};
   const auto refused = chain.http(request).status;
   expect(refused == 401 || refused == 403, "a foreign page learns nothing of neighbours");
}

POLIS_TEST_MAIN()
