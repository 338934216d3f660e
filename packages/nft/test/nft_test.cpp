#include "nft/service/nft.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::Nfts;

POLIS_TEST(nft_ids_count_from_1) {
   TestChain chain("Nft");
   const auto alice = chain.account("alice");
   expectEqual(alice.to<Nfts>().mint().value(), 1u);
   expectEqual(alice.to<Nfts>().mint().value(), 2u);
   const auto nft = alice.to<Nfts>().getNft(2).value();
   expect(nft.issuer == alice.name() && nft.owner == alice.name(), "alice issued it and owns it");
}

POLIS_TEST(nft_an_offer_waits_for_debit) {
   TestChain chain("Nft");
   const auto alice = chain.account("alice"), bob = chain.account("bob"), carol = chain.account("carol");
   alice.to<Nfts>().mint().succeeds();
   bob.to<Nfts>().credit(1, carol, "").fails("Missing required authority");
   alice.to<Nfts>().credit(1, alice, "").fails("Creditor and debitor cannot be the same");
   alice.to<Nfts>().credit(1, "nobody"_a, "").fails("Receiver DNE");
   alice.to<Nfts>().credit(1, bob, "for you").succeeds();
   alice.to<Nfts>().credit(1, carol, "").fails("NFT already credited to an account");
   alice.to<Nfts>().burn(1).fails("cannot burn nft while credited");
   carol.to<Nfts>().debit(1, "").fails("Missing required authority");
   bob.to<Nfts>().debit(1, "thanks").succeeds();
   expect(bob.to<Nfts>().getNft(1).value().owner == bob.name(), "bob owns it");
   bob.to<Nfts>().debit(1, "again").fails("bob has no pending nft 1 to debit.");
}

// Services of the protocol ask for both.
POLIS_TEST(nft_offers_and_settings_are_told) {
   TestChain chain("Nft");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   alice.to<Nfts>().mint().succeeds();
   alice.to<Nfts>().getCredRecord(1).fails("Nothing to uncredit. Must first credit.");
   alice.to<Nfts>().credit(1, bob, "").succeeds();
   const auto offer = alice.to<Nfts>().getCredRecord(1).value();
   expect(offer.creditor == alice.name() && offer.debitor == bob.name(), "from alice to bob");
   expectEqual(unsigned(alice.to<Nfts>().getNftHolder(bob).value().config), 0u);
   bob.to<Nfts>().setUserConf(Nfts::autoDebit, true).succeeds();
   const auto holder = alice.to<Nfts>().getNftHolder(bob).value();
   expect(holder.account == bob.name() && holder.config == 1, "bob debits automatically");
}

POLIS_TEST(nft_auto_debit_takes_at_once) {
   TestChain chain("Nft");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   alice.to<Nfts>().mint().succeeds();
   bob.to<Nfts>().setUserConf(1, true).fails("unknown setting");
   bob.to<Nfts>().setUserConf(Nfts::autoDebit, true).succeeds();
   alice.to<Nfts>().credit(1, bob, "").succeeds();
   expect(chain.row<Nfts::NftTable>(Nfts::account, 1u).value_or(polis::services::Nft{}).owner == bob.name(),
          "bob owns it");
}

POLIS_TEST(nft_burned_and_unknown_are_told_apart) {
   TestChain chain("Nft");
   const auto alice = chain.account("alice");
   alice.to<Nfts>().mint().succeeds();
   alice.to<Nfts>().burn(1).succeeds();
   alice.to<Nfts>().getNft(1).fails("NFT was burned");
   alice.to<Nfts>().getNft(2).fails("NFT does not exist");
   expect(!alice.to<Nfts>().exists(1).value(), "a burned NFT does not exist");
}

POLIS_TEST(nft_graphql_pages_through_the_nfts_of_one_account) {
   TestChain chain("Nft");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   for (int i = 0; i < 5; ++i)
      (i == 2 ? bob : alice).to<Nfts>().mint().succeeds(); // 3 is bob's
   expectEqual(chain.graphql("nft", R"({ nftDetails(nftId: 3) { id owner } none: nftDetails(nftId: 9) { id } })"),
               R"({"data":{"nftDetails":{"id":3,"owner":"bob"},"none":null}})");
   expectEqual(chain.graphql("nft", R"({ userNfts(user: "alice", first: 2) { edges { node { id } }
                                         pageInfo { hasPreviousPage hasNextPage } } })"),
               R"({"data":{"userNfts":{"edges":[{"node":{"id":1}},{"node":{"id":2}}],)"
               R"("pageInfo":{"hasPreviousPage":false,"hasNextPage":true}}}})");
   // The cursor of a page leads to the next, in either direction.
   const std::string page = chain.graphql("nft", R"({ userNfts(user: "alice", first: 2) { pageInfo { endCursor } } })");
   const auto at = page.find("endCursor\":\"");
   if (!expect(at != page.npos, "there is a cursor"))
      return;
   const std::string cursor = page.substr(at + 12, page.find('"', at + 12) - at - 12);
   expectEqual(chain.graphql("nft", R"({ userNfts(user: "alice", after: ")" + cursor +
                                        R"(") { edges { node { id } } pageInfo { hasPreviousPage hasNextPage } } })"),
               R"({"data":{"userNfts":{"edges":[{"node":{"id":4}},{"node":{"id":5}}],)"
               R"("pageInfo":{"hasPreviousPage":true,"hasNextPage":false}}}})");
   expectEqual(chain.graphql("nft", R"({ userNfts(user: "alice", last: 1, before: ")" + cursor +
                                        R"(") { edges { node { id } } pageInfo { hasPreviousPage hasNextPage } } })"),
               R"({"data":{"userNfts":{"edges":[{"node":{"id":1}}],)"
               R"("pageInfo":{"hasPreviousPage":false,"hasNextPage":true}}}})");
   expectEqual(chain.graphql("nft", R"({ userNfts(user: "alice", last: 2) { edges { node { id } } } })"),
               R"({"data":{"userNfts":{"edges":[{"node":{"id":4}},{"node":{"id":5}}]}}})");
   // A cursor of somebody else's page shows nobody's.
   expectEqual(chain.graphql("nft", R"({ userNfts(user: "bob", after: ")" + cursor + R"(") { edges { node { id } } }
                                         last: userNfts(user: "bob", last: 9, before: ")" +
                                        cursor + R"(") { edges { node { id } } } })"),
               cursor < polis::toHex(ByteView(toKey(bob.name())))
                   ? R"({"data":{"userNfts":{"edges":[{"node":{"id":3}}]},"last":{"edges":[]}}})"
                   : R"({"data":{"userNfts":{"edges":[]},"last":{"edges":[{"node":{"id":3}}]}}})");
   // Bounds on the index.
   const auto ids = [&](std::string_view bounds) {
      return chain.graphql("nft", "{ allNfts(" + std::string(bounds) + ") { edges { node { id } } } }");
   };
   const auto nodes = [](std::initializer_list<int> list) {
      std::string out = R"({"data":{"allNfts":{"edges":[)";
      for (const int id : list)
         out += (out.back() == '[' ? "" : ",") + std::string(R"({"node":{"id":)") + std::to_string(id) + "}}";
      return out + "]}}}";
   };
   expectEqual(ids("gt: 2"), nodes({3, 4, 5}));
   expectEqual(ids("ge: 2, lt: 4"), nodes({2, 3}));
   expectEqual(ids("gt: 1, le: 4, last: 2"), nodes({3, 4}));
   expectEqual(ids("gt: 4294967295"), nodes({}));
   expectEqual(ids("lt: 0"), nodes({}));
}

POLIS_TEST(graphql_forms_of_a_query) {
   TestChain chain("Nft");
   chain.account("alice").to<Nfts>().mint().succeeds();
   const auto json = [&](std::string_view body) {
      return std::string(asText(chain.post("nft", "/graphql", "application/json", body).body));
   };
   const std::string good = R"({"data":{"a":{"id":1}}})";
   expectEqual(json(R"({"query":"query Q($n: Float!) { a: nftDetails(nftId: $n) { id } }","variables":{"n":1}})"),
               good);
   expectEqual(
       json(R"({"query":"query Q($n: Float = 1) { a: nftDetails(nftId: $n) { ...F } } fragment F on Nft { id }"})"),
       good);
   expectEqual(
       json(
           R"({"query":"query A { x: __typename } query B { a: nftDetails(nftId: 1) { ... on Nft { id } } }","operationName":"B"})"),
       good);
   expectEqual(
       json(R"({"query":"{ a: nftDetails(nftId: 1) { id owner @include(if: false) issuer @skip(if: true) } }"})"),
       good);
   expectEqual(std::string(asText(chain.get("nft", "/graphql?query=%7Ba:nftDetails(nftId:1)%7Bid%7D%7D").body)), good);
   const auto schema = chain.get("nft", "/graphql");
   expectEqual(schema.contentType, "text");
   expectContains(asText(schema.body), "nftDetails(nftId: Float!): Nft\n");
   expectContains(asText(schema.body), "type NftConnection {");
   expectContains(asText(chain.get("nft", "/graphiql").body), "<textarea");
   expectEqual(chain.post("nft", "/graphql", "text/plain", "{ __typename }").status, 415);
}

POLIS_TEST(graphql_refuses_what_is_wrong_or_too_much) {
   TestChain chain("Nft");
   const auto alice = chain.account("alice");
   for (int i = 0; i < 60; ++i)
      alice.to<Nfts>().mint().succeeds();
   const auto refused = [&](std::string_view query, std::string_view why) {
      const std::string answer = chain.graphql("nft", query);
      expectContains(answer, R"({"errors":[{"message":)");
      expectContains(answer, why);
   };
   refused("", "an empty query");
   refused("{ nope }", "Query has no field nope");
   refused("{ nftDetails(nftId: 1) }", "say which fields of nftDetails you want");
   refused("{ nftDetails(nftId: 1) { id { x } } }", "id has no fields of its own");
   refused("{ nftDetails { id } }", "nftDetails needs the argument nftId");
   refused("{ nftDetails(nftId: 1, x: 2) { id } }", "nftDetails takes no argument x");
   refused(R"({ nftDetails(nftId: -1) { id } })", "argument nftId of nftDetails");
   refused("mutation { burn }", "only queries are answered here");
   refused("{ allNfts(first: 1, last: 1) { edges { cursor } } }", "ask for first or last, not both");
   refused(R"({ allNfts(after: "xyz") { edges { cursor } } })", "malformed cursor");
   refused("{ a: nftDetails(nftId: 1) { id } a: allNfts { pageInfo { endCursor } } }", "two different fields");
   refused("{ ...F } fragment F on Query { ...F }", "lead to themselves");
   std::string deep;
   for (int i = 0; i < 40; ++i)
      deep += "{ a ";
   refused(deep, "nested deeper than 16");
   refused(std::string(70'000, ' '), "the query is longer than 65536 bytes");
   std::string wide = "{";
   for (int i = 0; i < 5000; ++i)
      wide += "a ";
   refused(wide + "}", "too many parts");
   // Many aliases that each read all rows, and ask for next to nothing.
   std::string dear = "{";
   for (int i = 0; i < 1200; ++i)
      dear += " a" + std::to_string(i) + ": allNfts { pageInfo { hasNextPage } }";
   refused(dear + "}", "the query is too expensive");
}

POLIS_TEST_MAIN()
