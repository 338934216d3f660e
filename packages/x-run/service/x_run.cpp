#include "x_run.hpp"

namespace polis::services {

namespace {

/// Ids grow with time, so that items run in order; they need no shared counter, over which requests would conflict.
std::uint64_t newId() {
   std::uint64_t ns = 0;
   env::polis_clockTimeGet(0, &ns);
   std::uint16_t random = 0;
   env::polis_getRandom(&random, sizeof random);
   return (ns >> 10 << 12) | (random & 0xFFF);
}

/// Items that are not proofs have ids of their own half, whose number is limited.
constexpr std::uint64_t otherIds = std::uint64_t{1} << 63;
constexpr std::size_t othersMax = 1'000;

/// Whether there are as many items as there may be. Within a subjective transaction.
bool isFull() {
   const auto space = native::space(Db::nativeSubjective);
   Bytes at = native::rowKey(native::runTable, otherIds);
   for (std::size_t count = 0; count < othersMax; ++count) {
      if (space.greaterEqual(at, 3) == env::none)
         return false;
      at = polis::sdk::detail::takeKey();
      at.push_back(0);
   }
   return true;
}

std::uint64_t enqueue(RunRow row) {
   subjectively([&] {
      row.id = newId();
      if (row.mode != RunMode::verify) {
         row.id |= otherIds;
         check(!isFull(), "the run queue is full");
      }
      native::put(Db::nativeSubjective, native::runTable, row, row.id);
   });
   return row.id;
}

} // namespace

std::uint64_t XRun::post(RunMode mode, Action action, std::int64_t maxTime, MethodNumber callback) {
   onlyFromSystem();
   const auto sender = getSender();
   check(action.sender == sender, "the sender of the action must be the caller");
   check(mode == RunMode::verify || mode == RunMode::speculative || mode == RunMode::rpc, "invalid run mode");
   return enqueue({.mode = mode, .maxTime = maxTime, .action = std::move(action), .continuation = {sender, callback}});
}

std::uint64_t XRun::verify(Checksum256 transactionHash, Claim claim, Bytes proof, std::int64_t maxTime,
                           MethodNumber callback) {
   onlyFromSystem();
   constexpr MethodNumber verifySys{"verifySys"};
   const auto service = claim.service;
   VerifyArgs args{transactionHash, std::move(claim), std::move(proof)};
   return enqueue({.mode = RunMode::verify,
                   .maxTime = maxTime,
                   .action = {AccountNumber{}, service, verifySys, pack(args)},
                   .continuation = {getSender(), callback}});
}

void XRun::finish(std::uint64_t id) {
   subjectively([&] {
      const auto row = native::get<RunRow>(Db::nativeSubjective, native::runTable, id);
      if (!row)
         return;
      check(row->continuation.service == getSender(), "this item belongs to another service");
      native::space(Db::nativeSubjective).remove(native::rowKey(native::runTable, id));
   });
}

void XRun::cancel(std::uint64_t id, MethodNumber callback) {
   const bool existed = subjectively([&] {
      const auto row = native::get<RunRow>(Db::nativeSubjective, native::runTable, id);
      if (!row)
         return false;
      check(row->continuation.service == getSender(), "this item belongs to another service");
      native::space(Db::nativeSubjective).remove(native::rowKey(native::runTable, id));
      return true;
   });
   if (!existed)
      return;
   TransactionTrace trace;
   trace.error = "canceled";
   const std::tuple<std::uint64_t, TransactionTrace, std::optional<Bytes>> args{id, std::move(trace), std::nullopt};
   callRaw(getReceiver(), getSender(), callback, pack(args));
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::XRun)
