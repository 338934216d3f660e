#include "transact/service/transact.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::Transact;

POLIS_TEST(transact_graphql_tells_when_the_state_was_signed) {
   TestChain chain;
   const std::string_view query = "{ snapshotInfo { lastSnapshot snapshotInterval } }";
   expectContains(chain.graphql("transact", query), R"({"data":{"snapshotInfo":)");
   chain.as(Transact::account).to<Transact>().setSnapTime(3600).succeeds();
   chain.startBlock();
   expectContains(chain.graphql("transact", query), R"("snapshotInterval":3600)");
}

POLIS_TEST_MAIN()
