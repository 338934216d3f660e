// Work that services queue for later: run rows, their continuations, and the timer. Source: spec, kernel §6.7.
#include "format/fracpack.hpp"
#include "kernel/databases.hpp"
#include "kernel/impl.hpp"

#include <algorithm>
#include <tuple>

namespace polis::kernel {

namespace {

/// A row that its continuation left, or a timer that its action left due, waits so long before it runs again.
constexpr std::int64_t restNs = 100'000'000;

bool startsWith(ByteView key, ByteView prefix) {
   return key.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), key.begin());
}

} // namespace

std::optional<std::int64_t> Kernel::Impl::timerDueUs() {
   std::optional<std::int64_t> due;
   const auto earlier = [&due](std::int64_t us) { due = due ? std::min(*due, us) : us; };
   const LocalState now = machine.local.state();
   const auto packed = now.session.get(storeKey(db::nativeSession, format::TimerRow::key()));
   const auto row = packed ? format::unpack<format::TimerRow>(*packed)
                           : std::unexpected(format::FracError{format::FracRule::truncated, 0});
   Lock lock(queueMutex_);
   if (row && !timerRunning_)
      earlier(std::max(row->expiration, timerRestsUntilNs_ / 1000));
   for (const auto& [id, ns] : restingRows_)
      earlier(ns / 1000 + 1);
   return due;
}

bool Kernel::Impl::runTimer() {
   const LocalState now = machine.local.state();
   const auto packed = now.session.get(storeKey(db::nativeSession, format::TimerRow::key()));
   if (!packed)
      return false;
   const auto row = format::unpack<format::TimerRow>(*packed);
   const std::int64_t time = machine.host.monotonicNs();
   if (!row || row->expiration * 1000 >= time)
      return false;
   {
      Lock lock(queueMutex_);
      if (timerRunning_ || time < timerRestsUntilNs_)
         return false;
      timerRunning_ = true;
   }
   const ActionNode node = runOnHead(
       Mode::rpc, packAction(format::AccountNumber(), row->service, row->method, format::pack(std::tuple<>())),
       Entry::called);
   if (node.error)
      machine.host.log(Severity::warning, "timer: " + *node.error, std::nullopt);
   const LocalState after = machine.local.state();
   const auto left = after.session.get(storeKey(db::nativeSession, format::TimerRow::key()));
   Lock lock(queueMutex_);
   timerRunning_ = false;
   timerRestsUntilNs_ = left && std::ranges::equal(*left, *packed) ? machine.host.monotonicNs() + restNs : 0;
   return true;
}

bool Kernel::Impl::runRow() {
   const LocalState now = machine.local.state();
   const Bytes prefix = storeKey(db::nativeSubjective, format::nativeKey(format::NativeTable::run));
   std::optional<format::RunRow> row;
   {
      Lock lock(queueMutex_);
      const std::int64_t time = machine.host.monotonicNs();
      std::erase_if(restingRows_, [time](const auto& r) { return r.second <= time; });
      store::Cursor cursor = now.kept.cursor();
      bool wrapped = false;
      bool valid = cursor.seek(storeKey(db::nativeSubjective, format::RunRow::key(lastRow_ + 1)));
      if (lastRow_ == ~std::uint64_t{0}) {
         wrapped = true;
         valid = cursor.seek(prefix);
      }
      for (;;) {
         if (!valid || !startsWith(cursor.entry().key, prefix)) {
            if (wrapped)
               return false;
            wrapped = true;
            valid = cursor.seek(prefix);
            continue;
         }
         auto found = format::unpack<format::RunRow>(cursor.entry().value);
         if (found && std::ranges::equal(cursor.entry().key.subspan(1), found->key())) {
            if (wrapped && found->id > lastRow_)
               return false; // seen before wrapping
            if (!runningRows_.contains(found->id) && !restingRows_.contains(found->id)) {
               row = std::move(*found);
               break;
            }
         }
         valid = cursor.next();
      }
      lastRow_ = row->id;
      runningRows_.insert(row->id);
   }

   const BlockStatePtr base = head();
   const std::int64_t cpuNs = row->maxTime <= 0 ? 0 : std::min(row->maxTime, machine.options.queryCpuNs / 1000) * 1000;
   Mode mode = Mode::rpc;
   if (row->mode == format::RunMode::verify)
      mode = Mode::verify;
   else if (row->mode == format::RunMode::speculative)
      mode = Mode::speculative;
   else if (row->mode != format::RunMode::rpc)
      machine.host.log(Severity::warning,
                       "run queue: mode " + std::to_string(static_cast<int>(row->mode)) + " is run as rpc",
                       std::nullopt);

   format::TransactionTrace trace;
   {
      ChainState state =
          mode == Mode::speculative ? ChainState(base->version, ChainState::Writable()) : ChainState(base->version);
      Context context(
          machine, state,
          {.mode = mode, .view = mode == Mode::rpc ? Checkout::View::shared : Checkout::View::empty, .cpuNs = cpuNs});
      const ActionNode node = context.run(packAction(row->action), Entry::called);
      trace.actionTraces.push_back(toTrace(node));
      trace.error = node.error;
   }
   const bool success = !trace.error;
   std::optional<Bytes> token;
   if (mode == Mode::verify)
      token = proofToken(row->action, success, format::RunMode::verify, base->status);
   const ActionNode done =
       runOnHead(Mode::rpc,
                 packAction(format::AccountNumber(), row->continuation.service, row->continuation.method,
                            format::pack(std::tuple(row->id, std::move(trace), std::move(token)))),
                 Entry::called);
   if (done.error)
      machine.host.log(Severity::warning, "run queue, continuation of " + std::to_string(row->id) + ": " + *done.error,
                       std::nullopt);

   const LocalState after = machine.local.state();
   const bool left = after.kept.get(storeKey(db::nativeSubjective, row->key())).has_value();
   Lock lock(queueMutex_);
   runningRows_.erase(row->id);
   if (left)
      restingRows_[row->id] = machine.host.monotonicNs() + restNs;
   return true;
}

bool Kernel::Impl::runNext() { return runTimer() || runRow(); }

} // namespace polis::kernel
