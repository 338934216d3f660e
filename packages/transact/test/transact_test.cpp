#include "transact/query/transact_query.hpp"
#include "transact/service/transact.hpp"

#include <polis/test.hpp>

#include <ctime>

using namespace polis::test;
using polis::services::Transact;
using polis::services::TransactQuery;

namespace {

/// Whether the node's queue holds a transaction.
bool isQueued(const TestChain& chain, const Checksum256& id) {
   Bytes key = toKey(TransactQuery::account);
   const Bytes rest = polis::sdk::detail::makeKey(TransactQuery::Pending::number, 1, id);
   key.insert(key.end(), rest.begin(), rest.end());
   return raw::polis_tester_kvGet(chain.number(), static_cast<std::uint32_t>(Db::subjective), key.data(),
                                  static_cast<std::uint32_t>(key.size())) != env::none;
}

} // namespace

POLIS_TEST(transact_graphql_tells_when_the_state_was_signed) {
   TestChain chain;
   const std::string_view query = "{ snapshotInfo { lastSnapshot snapshotInterval } }";
   expectContains(chain.graphql("transact", query), R"({"data":{"snapshotInfo":)");
   chain.as(Transact::account).to<Transact>().setSnapTime(3600).succeeds();
   chain.startBlock();
   expectContains(chain.graphql("transact", query), R"("snapshotInterval":3600)");
}

POLIS_TEST(transact_what_is_too_late_leaves_the_queue_wherever_it_waits) {
   TestChain chain;
   const auto alice = chain.account("alice");
   // As late as the node's clock, by which it answers where a chain stands still.
   chain.advance(std::time(nullptr) - chain.timeUs() / 1'000'000);
   chain.startBlock();
   chain.finishBlock();
   std::int64_t serial = 0;
   bool refused = false;
   const auto queue = [&](std::int64_t seconds) {
      Transaction trx;
      trx.tapos.expiration = ceilToSec({chain.timeUs() + seconds * 1'000'000});
      trx.tapos.refBlockIndex = chain.headId()[3] & 0x7f;
      std::memcpy(&trx.tapos.refBlockSuffix, chain.headId().data() + 28, 4);
      trx.actions.push_back({alice, Transact::account, MethodNumber{"nothing"}, pack(++serial)});
      SignedTransaction whole;
      whole.transaction = Nested<Transaction>(trx);
      const Bytes packed = pack(whole);
      const auto reply =
          chain.post("transact", "/push_transaction?wait_for=none", "application/octet-stream", asText(packed));
      if (reply.status != 202 && !std::exchange(refused, true))
         fail(asText(reply.body));
      return sha256(ByteView(whole.transaction.packed));
   };
   // More than are looked at in one block, with what lives on before, between and behind them.
   std::vector<Checksum256> late, living;
   for (int i = 0; i < 1000; ++i)
      (i % 100 == 0 ? living : late).push_back(queue(i % 100 == 0 ? 3000 : 60));
   for (const auto& id : late)
      if (!expect(isQueued(chain, id), "it waits"))
         return;
   const auto blocks = [&] {
      for (int i = 0; i < 10; ++i)
         chain.startBlock();
      chain.finishBlock();
   };
   chain.advance(100);
   blocks();
   expect(isQueued(chain, late.front()), "a block that may be undone decides nothing");
   const BlockNum num = chain.headId()[2] << 8 | chain.headId()[3];
   chain
       .run(RunMode::callback,
            {AccountNumber(), TransactQuery::account, MethodNumber{"onFinal"}, pack(std::tuple(num))})
       .succeeds();
   blocks();
   std::size_t left = 0;
   for (const auto& id : late)
      left += isQueued(chain, id);
   expectEqual(left, std::size_t{0});
   for (const auto& id : living)
      if (!expect(isQueued(chain, id), "what may still be included stays"))
         return;
}

POLIS_TEST_MAIN()
