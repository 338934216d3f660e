#include "transact/query/transact_query.hpp"
#include "transact/service/transact.hpp"

#include <polis/test.hpp>

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

std::optional<Bytes> nodesRow(const TestChain& chain, const Bytes& key) {
   const auto size = raw::polis_tester_kvGet(chain.number(), static_cast<std::uint32_t>(Db::nativeSubjective),
                                             key.data(), static_cast<std::uint32_t>(key.size()));
   return size == env::none ? std::nullopt : std::optional(raw::result(size));
}

TransactionTrace runAction(const TestChain& chain, RunMode mode, bool onHead, const Action& action) {
   const Bytes packed = pack(action);
   return unpack<TransactionTrace>(
              raw::result(raw::polis_tester_runAction(chain.number(), static_cast<std::uint32_t>(mode), onHead,
                                                      packed.data(), static_cast<std::uint32_t>(packed.size()))))
       .value();
}

/// What suites for the protocol take for the outcome of an item of the run queue.
struct RunToken {
   bool success = false;
   RunMode mode{};
   Action action;
   Checksum256 context{};
};

/// The library of suites for the protocol stands in for the node: it runs the queues itself.
bool pushNext(TestChain& chain) {
   const auto packed = nodesRow(chain, NotifyRow::key(NotifyType::nextTransaction));
   if (!packed)
      return false;
   for (auto action : unpack<NotifyRow>(*packed).value().actions) {
      action.rawData = pack(std::tuple<>());
      const auto trace = runAction(chain, RunMode::callback, false, action);
      expect(!trace.error, "the queue gives what is next");
      if (trace.actionTraces.size() != 1)
         continue;
      const auto next = unpack<std::optional<SignedTransaction>>(trace.actionTraces[0].rawRetval);
      if (!next || !*next)
         continue;
      chain.startBlock();
      const Bytes whole = pack(**next);
      raw::polis_tester_pushTransaction(chain.number(), whole.data(), static_cast<std::uint32_t>(whole.size()));
      return true;
   }
   return false;
}
bool runItem(TestChain& chain) {
   const auto prefix = native::rowKey(native::runTable);
   const auto size = raw::polis_tester_kvGreaterEqual(chain.number(), static_cast<std::uint32_t>(Db::nativeSubjective),
                                                      prefix.data(), static_cast<std::uint32_t>(prefix.size()),
                                                      static_cast<std::uint32_t>(prefix.size()));
   if (size == env::none)
      return false;
   const auto row = unpack<RunRow>(raw::result(size)).value();
   auto trace = runAction(chain, row.mode, true, row.action);
   const std::optional<Bytes> token = pack(RunToken{!trace.error, row.mode, row.action, {}});
   const auto after = runAction(chain, RunMode::rpc, true,
                                {AccountNumber(), row.continuation.service, row.continuation.method,
                                 pack(std::tuple(row.id, std::move(trace), token))});
   return expect(!after.error, "the continuation runs");
}
void runAll(TestChain& chain) {
   while (pushNext(chain) || runItem(chain))
      ;
}

SignedTransaction transactionOf(const TestChain& chain, Action action, std::vector<Claim> claims = {}) {
   Transaction trx;
   trx.tapos.expiration = ceilToSec({chain.timeUs() + 5'000'000});
   trx.tapos.refBlockIndex = chain.headId()[3] & 0x7f;
   std::memcpy(&trx.tapos.refBlockSuffix, chain.headId().data() + 28, 4);
   trx.actions.push_back(std::move(action));
   trx.claims = std::move(claims);
   SignedTransaction whole;
   whole.proofs.resize(trx.claims.size());
   whole.transaction = Nested<Transaction>(trx);
   return whole;
}

/// A request that is under way.
std::uint32_t beginPush(TestChain& chain, const SignedTransaction& transaction, std::string_view wait) {
   chain.finishBlock();
   HttpRequest request;
   request.host = "transact.psibase.io";
   request.method = "POST";
   request.target = "/push_transaction?wait_for=" + std::string(wait);
   request.contentType = "application/octet-stream";
   request.headers = {{"Accept", "application/octet-stream"}};
   request.body = pack(transaction);
   const Bytes packed = pack(request);
   return raw::polis_tester_httpRequest(chain.number(), packed.data(), static_cast<std::uint32_t>(packed.size()));
}
std::optional<HttpReply> replyOf(std::uint32_t request) {
   std::uint32_t size = 0;
   if (raw::polis_tester_socketRecv(request, &size) != 0)
      return std::nullopt;
   return unpack<HttpReply>(raw::result(size)).value();
}
std::optional<std::string> errorOf(std::uint32_t request) {
   const auto reply = replyOf(request);
   if (!expect(reply && reply->status == 200, "there is an answer"))
      return "no answer";
   return unpack<TransactionTrace>(reply->body).value().error;
}

/// Pushes transactions, no two alike, that succeed in no block.
class Pushes {
public:
   explicit Pushes(TestChain& chain) : chain_(chain), alice_(chain.account("alice")) {
      chain.startBlock();
      chain.finishBlock();
   }
   /// Its id. It may be included for so many seconds.
   Checksum256 queue(std::int64_t seconds) {
      Transaction trx;
      trx.tapos.expiration = ceilToSec({chain_.timeUs() + seconds * 1'000'000});
      trx.tapos.refBlockIndex = chain_.headId()[3] & 0x7f;
      std::memcpy(&trx.tapos.refBlockSuffix, chain_.headId().data() + 28, 4);
      trx.actions.push_back({alice_, Transact::account, MethodNumber{"nothing"}, pack(++serial_)});
      SignedTransaction whole;
      whole.transaction = Nested<Transaction>(trx);
      const Bytes packed = pack(whole);
      const auto reply =
          chain_.post("transact", "/push_transaction?wait_for=none", "application/octet-stream", asText(packed));
      if (reply.status != 202 && !std::exchange(refused_, true))
         fail(asText(reply.body));
      return sha256(ByteView(whole.transaction.packed));
   }

private:
   TestChain& chain_;
   TestAccount alice_;
   std::int64_t serial_ = 0;
   bool refused_ = false;
};

/// What the node would run next.
std::optional<Checksum256> next(TestChain& chain) {
   const auto outcome =
       chain.run(RunMode::callback, {AccountNumber(), TransactQuery::account, MethodNumber{"next"}, {}});
   if (!outcome.succeeds())
      return std::nullopt;
   const auto given = unpack<std::optional<SignedTransaction>>(outcome.result());
   if (!given || !*given)
      return std::nullopt;
   return sha256(ByteView((*given)->transaction.packed));
}

} // namespace

POLIS_TEST(transact_suites_for_the_protocol_push_over_http) {
   TestChain chain;
   chain.startBlock();
   chain.finishBlock();
   const Action makesAlice{"accounts"_a, "accounts"_a, MethodNumber{"newAccount"},
                           pack(std::tuple("alice"_a, "auth-any"_a, true))};
   const auto made = beginPush(chain, transactionOf(chain, makesAlice), "applied");
   expect(!replyOf(made), "nothing has run yet");
   chain.startBlock(); // decades ago: what waits is not late
   chain.finishBlock();
   runAll(chain);
   expectEqual(errorOf(made), std::optional<std::string>());
   chain.finishBlock();
   // Final: of a single producer, when the block is done.
   const Action sets{"alice"_a, "nft"_a, MethodNumber{"mint"}, pack(std::tuple<>())};
   const auto final = beginPush(chain, transactionOf(chain, sets), "final");
   runAll(chain);
   expect(!replyOf(final), "its block is not done");
   chain.finishBlock();
   expectEqual(errorOf(final), std::optional<std::string>());
}

POLIS_TEST(transact_suites_for_the_protocol_see_why_a_push_fails) {
   TestChain chain;
   chain.startBlock();
   chain.finishBlock();
   const auto push = [&](const SignedTransaction& transaction) {
      const auto request = beginPush(chain, transaction, "applied");
      runAll(chain);
      return errorOf(request).value_or("");
   };
   const Action nothing{"accounts"_a, "accounts"_a, MethodNumber{"exists"}, pack(std::tuple("alice"_a))};
   const Bytes point = polis::fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200"
                                      "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                                      "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
                           .value();
   expectContains(push(transactionOf(chain, nothing, {{"verify-sig"_a, point}})), "signature invalid");
   expectContains(push(transactionOf(chain, nothing, {{"nft"_a, point}})), "cannot be used in verify");
   for (const std::size_t proofs : {0, 2}) {
      auto transaction = transactionOf(chain, nothing, {{"verify-sig"_a, point}});
      transaction.proofs.resize(proofs);
      const auto reply = replyOf(beginPush(chain, transaction, "applied"));
      if (expect(reply.has_value(), "it is refused at once"))
         expectEqual(reply->status, 500);
   }
   // Several wait for the same.
   const auto bad = transactionOf(chain, nothing, {{"verify-sig"_a, point}, {"verify-sig"_a, point}});
   std::vector<std::uint32_t> requests;
   do
      requests.push_back(beginPush(chain, bad, "applied"));
   while (requests.size() < 8 && runItem(chain));
   runAll(chain);
   for (const auto request : requests)
      expectContains(errorOf(request).value_or(""), "signature invalid");
}

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
   Pushes push(chain);
   // More than are looked at in one block, with what lives on before, between and behind them.
   std::vector<Checksum256> late, living;
   for (int i = 0; i < 1000; ++i)
      (i % 100 == 0 ? living : late).push_back(push.queue(i % 100 == 0 ? 3000 : 60));
   for (const auto& id : late)
      if (!expect(isQueued(chain, id), "it waits"))
         return;
   const auto blocks = [&] {
      for (int i = 0; i < 10; ++i)
         chain.startBlock();
      chain.finishBlock();
   };
   chain.advance(100);
   chain.startBlock();
   expect(isQueued(chain, late.front()), "a block that may be undone decides nothing");
   // The queue is gone through twice: what was passed before the first of these blocks was irreversible waits that
   // long.
   blocks();
   blocks();
   std::size_t left = 0;
   for (const auto& id : late)
      left += isQueued(chain, id);
   expectEqual(left, std::size_t{0});
   for (const auto& id : living)
      if (!expect(isQueued(chain, id), "what may still be included stays"))
         return;
}

POLIS_TEST(transact_what_is_too_late_keeps_nobody_waiting) {
   TestChain chain;
   Pushes push(chain);
   // More than one commit takes out.
   for (int i = 0; i < 500; ++i)
      push.queue(60);
   const auto living = push.queue(3000);
   chain.advance(100);
   chain.startBlock();
   expectEqual(next(chain).value_or(Checksum256{}), living);
}

POLIS_TEST_MAIN()
