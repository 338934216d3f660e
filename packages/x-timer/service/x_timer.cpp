#include "x_timer.hpp"

namespace polis::services {

namespace {

constexpr MethodNumber runOneMethod{"runOne"};

/// Tells the node of the first call that waits. Within a subjective transaction.
void arm() {
   const auto first = open<XTimer::Queue>().index<1>().first();
   if (first)
      native::put(Db::nativeSession, native::timerTable, TimerRow{first->expiration, XTimer::account, runOneMethod});
   else
      native::space(Db::nativeSession).remove(native::rowKey(native::timerTable));
}

std::int64_t nowUs() {
   std::uint64_t ns = 0;
   env::polis_clockTimeGet(1, &ns);
   return static_cast<std::int64_t>(ns / 1000);
}

} // namespace

std::uint64_t XTimer::runAt(std::int64_t time, MethodNumber callback) {
   onlyFromLocal();
   const auto sender = getSender();
   return subjectively([&] {
      auto queue = open<Queue>(Mode::readWrite);
      std::size_t waiting = 0;
      for (auto it = queue.begin(); it != queue.end(); ++it)
         ++waiting;
      check(waiting < entriesMax, "too many calls wait for their time");
      auto ids = open<Id>(Mode::readWrite);
      const std::uint64_t id = ids.get().value_or(TimerId{}).last + 1;
      ids.put({id});
      queue.put({id, time, sender, callback});
      arm();
      return id;
   });
}

bool XTimer::cancel(std::uint64_t id) {
   const auto sender = getSender();
   return subjectively([&] {
      auto queue = open<Queue>(Mode::readWrite);
      const auto entry = queue.get(id);
      if (!entry || entry->service != sender)
         return false;
      queue.erase(id);
      arm();
      return true;
   });
}

void XTimer::runOne() {
   onlyFrom({AccountNumber{}});
   const auto due = subjectively([&]() -> std::optional<TimerEntry> {
      auto queue = open<Queue>(Mode::readWrite);
      auto first = queue.index<1>().first();
      if (!first || first->expiration > nowUs())
         first.reset();
      else
         queue.erase(first->id);
      arm();
      return first;
   });
   if (due)
      callRaw(account, due->service, due->method, pack(std::tuple(due->id)));
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::XTimer)
