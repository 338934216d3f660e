// Work that services queue for later: run rows, their continuations, and the timer. Source: spec, kernel §6.7.
#include "format/fracpack.hpp"
#include "kernel/databases.hpp"
#include "kernel/impl.hpp"

#include <algorithm>
#include <tuple>

namespace polis::kernel {

namespace {

/// A row that its continuation left, or a timer that its action left due, waits so long before it runs again; a row
/// twice as long each further time, and no more than so often.
constexpr std::int64_t restNs = 100'000'000;
constexpr unsigned leftMax = 10;

/// Whether a packed RunRow, of any version, verifies: behind the size of the fixed part lie id and mode.
bool isVerification(ByteView packed) {
   constexpr std::size_t modeAt = 2 + 8;
   return packed.size() > modeAt && packed[modeAt] == static_cast<std::uint8_t>(format::RunMode::verify);
}

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
   for (const auto& [id, rest] : restingRows_)
      if (rest.untilNs != 0)
         earlier(rest.untilNs / 1000 + 1);
   return due;
}

bool Kernel::Impl::runTimer() {
   const LocalState now = machine.local.state();
   const auto packed = now.session.get(storeKey(db::nativeSession, format::TimerRow::key()));
   if (!packed)
      return false;
   const auto row = format::unpack<format::TimerRow>(*packed);
   const std::int64_t time = machine.host.monotonicNs();
   if (!row || row->expiration >= time / 1000)
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

/// The next row of a kind, in the order of ids after the last one, wrapping.
std::optional<format::RunRow> Kernel::Impl::nextRow(const LocalState& now, bool verification) {
   const std::uint64_t last = verification ? lastVerification_ : lastRow_;
   const Bytes prefix = storeKey(db::nativeSubjective, format::nativeKey(format::NativeTable::run));
   store::Cursor cursor = now.kept.cursor();
   bool wrapped = false;
   bool valid = cursor.seek(storeKey(db::nativeSubjective, format::RunRow::key(last + 1)));
   if (last == ~std::uint64_t{0}) {
      wrapped = true;
      valid = cursor.seek(prefix);
   }
   for (;;) {
      if (!valid || !startsWith(cursor.entry().key, prefix)) {
         if (wrapped)
            return std::nullopt;
         wrapped = true;
         valid = cursor.seek(prefix);
         continue;
      }
      if (isVerification(cursor.entry().value) == verification) {
         auto found = format::unpack<format::RunRow>(cursor.entry().value);
         if (found && std::ranges::equal(cursor.entry().key.subspan(1), found->key())) {
            if (wrapped && found->id > last)
               return std::nullopt; // seen before wrapping
            const auto rest = restingRows_.find(found->id);
            if (!runningRows_.contains(found->id) && (rest == restingRows_.end() || rest->second.untilNs == 0))
               return std::move(*found);
         }
      }
      valid = cursor.next();
   }
}

bool Kernel::Impl::runRow() {
   const LocalState now = machine.local.state();
   std::optional<format::RunRow> row;
   bool verification = true;
   {
      Lock lock(queueMutex_);
      const std::int64_t time = machine.host.monotonicNs();
      for (auto at = restingRows_.begin(); at != restingRows_.end();) {
         auto& [id, rest] = *at;
         const bool idle = !runningRows_.contains(id);
         if (idle && rest.untilNs <= time)
            rest.untilNs = 0;
         // somebody may have finished it meanwhile
         const bool gone = idle && !now.kept.get(storeKey(db::nativeSubjective, format::RunRow::key(id)));
         at = gone ? restingRows_.erase(at) : std::next(at);
      }
      row = nextRow(now, true);
      if (!row && othersRunning_ < machine.options.otherRunsMax) {
         verification = false;
         row = nextRow(now, false);
      }
      if (!row)
         return false;
      (verification ? lastVerification_ : lastRow_) = row->id;
      runningRows_.insert(row->id);
      othersRunning_ += verification ? 0 : 1;
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

   const Bytes key = storeKey(db::nativeSubjective, row->key());
   const LocalState after = machine.local.state();
   const bool left = after.kept.get(key).has_value();
   bool drop = false;
   {
      Lock lock(queueMutex_);
      runningRows_.erase(row->id);
      othersRunning_ -= verification ? 0 : 1;
      if (left) {
         Rest& rest = restingRows_[row->id];
         rest.untilNs = machine.host.monotonicNs() + (restNs << rest.times);
         drop = ++rest.times >= leftMax;
      }
      if (!left || drop)
         restingRows_.erase(row->id);
   }
   if (drop) {
      machine.local.write({{key, std::nullopt}});
      machine.host.log(Severity::warning,
                       "run queue: " + row->continuation.service.str() + " never finished item " +
                           std::to_string(row->id) + ", which ran " + std::to_string(leftMax) + " times; it is removed",
                       std::nullopt);
   }
   // A place for others may have become free while their runner found none.
   if (!verification)
      machine.host.wakeRunQueue();
   return true;
}

bool Kernel::Impl::runNext() { return runTimer() || runRow(); }

} // namespace polis::kernel
