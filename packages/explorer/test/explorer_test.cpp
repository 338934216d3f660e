#include "explorer/service/explorer.hpp"
#include "hello/service/hello.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using hello::Hello;

namespace {

/// The text of the first member of this name.
std::string memberOf(std::string_view json, std::string_view name) {
   const auto at = json.find("\"" + std::string(name) + "\":\"");
   if (at == json.npos)
      return {};
   const auto from = at + name.size() + 4;
   return std::string(json.substr(from, json.find('"', from) - from));
}

} // namespace

POLIS_TEST(explorer_graphql_pages_through_blocks) {
   TestChain chain("Explorer,Hello");
   const auto ask = [&](std::string_view query) { return chain.graphql("explorer", query); };
   const auto alice = chain.account("alice");
   for (int i = 0; i < 3; ++i) {
      alice.to<Hello>().greet("greeting " + std::to_string(i)).succeeds();
      chain.startBlock();
   }
   const std::string last = ask(R"({ blocks(last: 2) { pageInfo { hasPreviousPage hasNextPage startCursor endCursor }
                                     edges { cursor node { id header { blockNum previous time producer } } } } })");
   expectContains(last, R"("pageInfo":{"hasPreviousPage":true,"hasNextPage":false)");
   const std::string head = ask("{ head { blockNum } }");
   const auto num = std::strtoul(head.substr(head.find(R"("blockNum":)") + 11).c_str(), nullptr, 10);
   const auto numbers = [&](const std::string& arguments) {
      const std::string reply = ask("{ blocks(" + arguments + ") { nodes { header { blockNum } } } }");
      std::string out;
      for (auto at = reply.find("blockNum\":"); at != reply.npos; at = reply.find("blockNum\":", at + 1))
         out += (out.empty() ? "" : " ") + std::to_string(std::strtoul(reply.substr(at + 10).c_str(), nullptr, 10));
      return out.empty() ? reply : out;
   };
   const auto n = [&](long offset) { return std::to_string(static_cast<long>(num) + offset); };
   expectEqual(numbers("last: 2"), n(-1) + " " + n(0));
   expectEqual(numbers("ge: " + n(-2)), n(-2) + " " + n(-1) + " " + n(0));
   expectEqual(numbers("gt: " + n(-2) + ", lt: " + n(0)), n(-1));
   expectEqual(numbers("le: 3, first: 5"), "2 3"); // there is none before
   expectEqual(numbers("last: 1, before: \"" + memberOf(last, "startCursor") + "\""), n(-2));
   expectEqual(numbers("first: 3, after: \"" + memberOf(last, "startCursor") + "\""), n(0));
   expectContains(numbers("after: \"zz\""), "malformed cursor");
   expectContains(numbers("first: 1, last: 1"), "not both");
   expectContains(ask("{ block(blockNum: 4000000000) { id } blockHeader(blockNum: 1) { term } }"),
                  R"({"data":{"block":null,"blockHeader":null}})");
   expectEqual(memberOf(ask("{ block(blockNum: " + n(0) + ") { header { previous } } }"), "previous"),
               memberOf(ask("{ block(blockNum: " + n(-1) + ") { id } }"), "id"));
}

POLIS_TEST(explorer_graphql_shows_what_transactions_did) {
   TestChain chain("Explorer,Hello");
   const auto ask = [&](std::string_view query) { return chain.graphql("explorer", query); };
   chain.account("alice").to<Hello>().greet("hi").succeeds();
   chain.finishBlock();
   const std::string block = ask(R"({ blocks(last: 1) { nodes { header { newConsensus { data { __typename
         ... on CftConsensus { cft: producers { name } } ... on BftConsensus { bft: producers { name } } } } }
         transactions { id transaction { tapos { expiration refBlockSuffix flags refBlockIndex }
         actions { sender service method rawData } claims { service rawData } } proofs } } } })");
   expectContains(block, R"("sender":"","service":"transact","method":"startblock")");
   expectContains(block, R"("sender":"alice","service":"hello","method":"greet","rawData":"0400040000000200000068)"
                         R"(69"}],"claims":[]},"proofs":[]}]}]}}})");
   expectContains(block, R"("newConsensus":null)");
   // The genesis block's change of consensus is a union.
   expectContains(ask("{ block(blockNum: 2) { header { newConsensus { data { __typename } } } } }"), "Consensus\"");
   expectContains(
       ask(R"({ transaction(id: "0000000000000000000000000000000000000000000000000000000000000000", maxBlocks: 20000) { blockNum } })"),
       R"({"data":{"transaction":null}})");
}

POLIS_TEST_MAIN()
