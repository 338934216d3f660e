#include "accounts/service/accounts.hpp"
#include "auth-delg/service/auth_delg.hpp"
#include "hello/service/hello.hpp"
#include "staged-tx/service/staged_tx.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using hello::Hello;
using polis::services::Accounts;
using polis::services::AuthDelegate;
using polis::services::StagedTxService;

namespace {

constexpr std::string_view packages = "StagedTx,AuthDelegate,Hello";

Action greeting(AccountNumber sender, std::string text) {
   return {sender, Hello::account, "greet"_m, pack(std::tuple(std::move(text)))};
}

template <class... A>
std::vector<Action> all(A... actions) {
   return {std::move(actions)...};
}

Checksum256 txidOf(TestChain& chain, std::uint32_t id) {
   const auto row = chain.row<StagedTxService::Proposals>(StagedTxService::account, id);
   return row ? row->txid : Checksum256{};
}

bool isThere(TestChain& chain, std::uint32_t id) {
   return chain.row<StagedTxService::Proposals>(StagedTxService::account, id).has_value();
}

bool greeted(TestChain& chain, std::string_view text) {
   return asText(chain.get("hello", "/api/greetings").body).find(text) != std::string_view::npos;
}

} // namespace

POLIS_TEST(staged_tx_who_decides_alone_acts_at_once) {
   TestChain chain(packages);
   const auto alice = chain.account("alice");
   const auto staged = alice.to<StagedTxService>();
   staged.propose(all(), true).fails("Staged transaction must contain at least one action");
   staged.propose(all(greeting("nobody"_a, "x")), true).fails("Sender account in staged tx is invalid");
   expectEqual(staged.propose(all(greeting(alice, "at once")), true).value(), 2u); // init takes the first
   expect(!isThere(chain, 2) && greeted(chain, "at once"), "it ran and is gone");
   expectEqual(staged.propose(all(greeting(alice, "later")), false).value(), 3u);
   expect(isThere(chain, 3) && !greeted(chain, "later"), "it waits to be called");
   chain.account("bob").to<StagedTxService>().execute(3, txidOf(chain, 3)).succeeds(); // anybody may call it
   expect(!isThere(chain, 3) && greeted(chain, "later"), "it ran");
}

POLIS_TEST(staged_tx_all_senders_have_to_agree) {
   TestChain chain(packages);
   const auto alice = chain.account("alice"), bob = chain.account("bob"), eve = chain.account("eve");
   const auto id =
       alice.to<StagedTxService>().propose(all(greeting(alice, "from alice"), greeting(bob, "from bob")), true).value();
   const auto txid = txidOf(chain, id);
   const auto row = alice.to<StagedTxService>().get_staged_tx(id).value();
   const Bytes packed = pack(std::tuple(id, row.propose_block, row.action_list.actions));
   expect(txid == sha256(ByteView(packed)), "the txid can be computed by whoever answers");
   eve.to<StagedTxService>().accept(id, Checksum256{}).fails("specified txid must match staged tx txid");
   eve.to<StagedTxService>().accept(id + 1, txid).fails("Unknown staged tx");
   eve.to<StagedTxService>().accept(id, txid).succeeds();
   eve.to<StagedTxService>().execute(id, txid).fails("bob has not agreed");
   expect(isThere(chain, id) && !greeted(chain, "from alice"), "nothing ran");
   eve.to<StagedTxService>().remove(id, txid).fails("only the proposer can remove");
   bob.to<StagedTxService>().accept(id, txid).succeeds();
   expect(!isThere(chain, id) && greeted(chain, "from alice") && greeted(chain, "from bob"), "both ran");
   bob.to<StagedTxService>().accept(id, txid).fails("Unknown staged tx");
}

POLIS_TEST(staged_tx_one_failure_undoes_all) {
   TestChain chain(packages);
   const auto alice = chain.account("alice");
   const auto id =
       alice.to<StagedTxService>().propose(all(greeting(alice, "first"), greeting(alice, "")), false).value();
   alice.to<StagedTxService>().execute(id, txidOf(chain, id)).fails("a greeting has 1 to 80 bytes");
   expect(isThere(chain, id) && !greeted(chain, "first"), "it is as before");
   const auto missing = alice.to<StagedTxService>().propose(all(greeting("nobody"_a, "x")), false).value();
   alice.to<StagedTxService>().execute(missing, txidOf(chain, missing)).fails("unknown sender in a staged tx: nobody");
   const auto node = alice.to<StagedTxService>().propose(all(greeting(AccountNumber{}, "x")), false).value();
   alice.to<StagedTxService>().execute(node, txidOf(chain, node)).fails("unknown sender in a staged tx");
   alice.to<StagedTxService>().remove(id, txidOf(chain, id)).succeeds();
   expect(!isThere(chain, id), "its proposer withdrew it");
}

POLIS_TEST(staged_tx_the_last_answer_counts) {
   TestChain chain(packages);
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   const auto id = alice.to<StagedTxService>().propose(all(greeting(alice, "a"), greeting(bob, "b")), false).value();
   const auto txid = txidOf(chain, id);
   chain.account("eve").to<StagedTxService>().reject(id, txid).succeeds(); // decides for nobody
   expect(isThere(chain, id), "it stays");
   bob.to<StagedTxService>().accept(id, txid).succeeds();
   bob.to<StagedTxService>().reject(id, txid).succeeds();
   expect(!isThere(chain, id), "bob's action cannot be authorized any more");
   expect(!chain.row<StagedTxService::Responses>(StagedTxService::account, id, "alice"_a), "its answers are gone");
   expect(!chain.row<StagedTxService::Parties>(StagedTxService::account, id, "bob"_a), "and its parties");
}

// ST-1
POLIS_TEST(staged_tx_an_answer_counts_while_its_account_is_authorized_as_then) {
   TestChain chain(packages);
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   const auto id = alice.to<StagedTxService>().propose(all(greeting(alice, "a"), greeting(bob, "b")), true).value();
   const auto txid = txidOf(chain, id);
   alice.to<Accounts>().setAuthServ("auth-any"_a).succeeds();
   bob.to<StagedTxService>().accept(id, txid).succeeds();
   expect(isThere(chain, id), "alice's consent is of before");
   alice.to<StagedTxService>().accept(id, txid).succeeds();
   expect(greeted(chain, "b"), "now both agree");
}

// ST-2
POLIS_TEST(staged_tx_owners_speak_for_what_they_own) {
   TestChain chain(packages);
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   alice.to<AuthDelegate>().newAccount("owned-one"_a, alice, true).succeeds();
   alice.to<AuthDelegate>().newAccount("owned-two"_a, "owned-one"_a, true).succeeds();
   const auto byBob = bob.to<StagedTxService>().propose(all(greeting("owned-two"_a, "by bob")), true).value();
   expect(isThere(chain, byBob), "bob decides nothing");
   alice.to<StagedTxService>().propose(all(greeting("owned-two"_a, "by alice")), true).succeeds();
   expect(greeted(chain, "by alice"), "at two removes");
   alice.to<StagedTxService>().reject(byBob, txidOf(chain, byBob)).succeeds();
   expect(!isThere(chain, byBob), "and she can stop it");
   // A circle of owners decides nothing by itself.
   for (const auto name : {"circle-1"_a, "circle-2"_a, "circle-3"_a})
      alice.to<AuthDelegate>().newAccount(name, alice, true).succeeds();
   chain.as("circle-1"_a).to<AuthDelegate>().setOwner("circle-2"_a).succeeds();
   chain.as("circle-2"_a).to<AuthDelegate>().setOwner("circle-3"_a).succeeds();
   const auto open = bob.to<StagedTxService>().propose(all(greeting("circle-1"_a, "along the line")), true).value();
   alice.to<StagedTxService>().accept(open, txidOf(chain, open)).succeeds();
   expect(greeted(chain, "along the line"), "alice owns the last of them");
   chain.as("circle-3"_a).to<AuthDelegate>().setOwner("circle-1"_a).succeeds();
   const auto stuck = bob.to<StagedTxService>().propose(all(greeting("circle-1"_a, "round")), true).value();
   alice.to<StagedTxService>().accept(stuck, txidOf(chain, stuck)).succeeds();
   alice.to<StagedTxService>().reject(stuck, txidOf(chain, stuck)).succeeds();
   expect(isThere(chain, stuck), "nobody outside decides, and the question ends");
}

POLIS_TEST(staged_tx_producers_speak_for_their_accounts) {
   TestChain chain(packages);
   const auto prod = chain.account("prod"), alice = chain.account("alice");
   const auto id =
       alice.to<StagedTxService>().propose(all(greeting("producers+3"_a, "by the producers")), true).value();
   expect(isThere(chain, id), "alice is none");
   prod.to<StagedTxService>().accept(id, txidOf(chain, id)).succeeds();
   expect(greeted(chain, "by the producers"), "the only one agrees");
}

POLIS_TEST(staged_tx_graphql_tells_proposals_answers_and_what_became_of_them) {
   TestChain chain(packages);
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   const auto ask = [&](std::string_view query) { return chain.graphql("staged-tx", query); };
   const auto id = alice.to<StagedTxService>().propose(all(greeting(bob, "hi")), true).value();
   const auto txid = txidOf(chain, id);
   expectEqual(
       ask("{ details(id: 2) { id proposer autoExec actionList { actions { sender service method rawData } } } none: "
           "details(id: 7) { id } }"),
       R"({"data":{"details":{"id":2,"proposer":"alice","autoExec":true,"actionList":{"actions":[{"sender":"bob",)"
       R"("service":"hello","method":"greet","rawData":"04000400000002000000686)"
       R"(9"}]}},"none":null}})");
   expectEqual(ask("{ responses(id: 2) { nodes { id account accepted } } }"),
               R"({"data":{"responses":{"nodes":[{"id":2,"account":"alice","accepted":true}]}}})");
   expectEqual(
       ask(R"({ getStaged { edges { node { id } } } getStagedByProposer(proposer: "alice") { nodes { id } } })"),
       R"({"data":{"getStaged":{"edges":[{"node":{"id":2}}]},"getStagedByProposer":{"nodes":[{"id":2}]}}})");
   expectEqual(
       ask(R"({ getIdsForParty(party: "bob") { nodes { id party } } mine: getIdsForParty(party: "alice") { nodes { id } } })"),
       R"({"data":{"getIdsForParty":{"nodes":[{"id":2,"party":"bob"}]},"mine":{"nodes":[]}}})");
   bob.to<StagedTxService>().accept(id, txid).succeeds();
   expectEqual(
       ask("{ txidHistory(txid: \"" + polis::toHex(ByteView(txid)) + "\") { nodes { actor eventType } } }"),
       R"({"data":{"txidHistory":{"nodes":[{"actor":"alice","eventType":"proposed"},{"actor":"alice","eventType":"accepted"},)"
       R"({"actor":"bob","eventType":"accepted"},{"actor":"bob","eventType":"deleted"},{"actor":"bob","eventType":"executed"}]}}})");
   const std::string last =
       ask(R"({ actorHistory(actor: "bob", last: 1) { nodes { txid eventType block { blockNum blockTime } } } })");
   expectContains(last, R"("eventType":"executed","block":{"blockNum":)");
   expectContains(ask("{ details }"), R"("errors":[{)"); // as the protocol's service tells them
}

POLIS_TEST_MAIN()
