#include "producers/service/producers.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::Producers;

// What clients of the protocol ask, as they ask it.
POLIS_TEST(producers_graphql_tells_who_produces_and_who_will) {
   TestChain chain("Producers");
   const auto ask = [&](std::string_view query) { return chain.graphql("producers", query); };
   const std::string_view consensus = R"({ consensus { ... on CftConsensus { cft: producers { name } }
                                                       ... on BftConsensus { bft: producers { name } } }
                                           nextConsensus { ... on CftConsensus { cft: producers { name } }
                                                           ... on BftConsensus { bft: producers { name } } } jointStart })";
   const std::string now = ask(R"({ producers { name auth { service rawData } } nextProducers { name } })");
   expectEqual(now,
               R"({"data":{"producers":[{"name":"prod","auth":{"service":"","rawData":""}}],"nextProducers":[]}})");
   expectEqual(ask(consensus),
               R"({"data":{"consensus":{"cft":[{"name":"prod"}]},"nextConsensus":null,"jointStart":null}})");
   const auto service = chain.as(Producers::account);
   service.to<Producers>().setConsensus(ConsensusData(BftConsensus{{{"prod"_a, {}}, {"other"_a, {}}}})).succeeds();
   const std::string then = ask(consensus);
   expectContains(
       then,
       R"({"data":{"consensus":{"cft":[{"name":"prod"}]},"nextConsensus":{"bft":[{"name":"prod"},{"name":"other"}]},"jointStart":)");
   expectContains(ask("{ consensus { __typename } nextConsensus { __typename } }"),
                  R"({"consensus":{"__typename":"CftConsensus"},"nextConsensus":{"__typename":"BftConsensus"}})");
   expectContains(ask("{ consensus { producers { name } } }"), R"("data":{"consensus":{"producers")");
   expectContains(ask("{ consensus }"), "say which fields of consensus you want");
   expectContains(std::string(asText(chain.get("producers", "/graphql").body)),
                  "union CftConsensusOrBftConsensus = CftConsensus | BftConsensus");
}

POLIS_TEST(producers_graphql_lists_candidates) {
   TestChain chain("Producers");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   alice.to<Producers>().regCandidate("alice.example", Claim{"verify-sig"_a, Bytes{1, 2}}).succeeds();
   bob.to<Producers>().regCandidate("bob.example", Claim{}).succeeds();
   expectEqual(
       chain.graphql("producers", R"({ candidatesInfo(names: ["bob", "nobody", "alice"]) {
                                               account endpoint claim { service rawData } } })"),
       R"({"data":{"candidatesInfo":[{"account":"bob","endpoint":"bob.example","claim":{"service":"","rawData":""}},)"
       R"({"account":"alice","endpoint":"alice.example","claim":{"service":"verify-sig","rawData":"0102"}}]}})");
   expectEqual(
       chain.graphql("producers", "{ allCandidates(first: 200) { edges { node { endpoint } } nodes { endpoint } } }"),
       R"({"data":{"allCandidates":{"edges":[{"node":{"endpoint":"alice.example"}},{"node":{"endpoint":"bob.example"}}],)"
       R"("nodes":[{"endpoint":"alice.example"},{"endpoint":"bob.example"}]}}})");
}

POLIS_TEST_MAIN()
