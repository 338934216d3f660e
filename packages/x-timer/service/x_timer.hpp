// Calls of local services at a given time.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

struct TimerEntry {
   std::uint64_t id = 0;
   /// Microseconds of the monotonic clock.
   std::int64_t expiration = 0;
   AccountNumber service;
   MethodNumber method;
};

struct TimerId {
   std::uint64_t last = 0;
};

class XTimer : public Service {
public:
   static constexpr auto account = "x-timer"_a;
   static constexpr std::size_t entriesMax = 1'000;

   using Id = BasicTable<Db::session, 0, TimerId, key<>>;
   using Queue = SessionTable<1, TimerEntry, &TimerEntry::id, Index<&TimerEntry::expiration, &TimerEntry::id>>;

   /// Runs `callback(id)` of the sender, from x-timer, at `time` (microseconds of the monotonic clock) or soon after.
   /// From local services. Fails when 1,000 calls wait.
   std::uint64_t runAt(std::int64_t time, MethodNumber callback);
   /// Takes a call of the sender back. False: it ran, or there was none.
   bool cancel(std::uint64_t id);
   /// Runs the first call that is due. From the node.
   void runOne();
};
POLIS_SERVICE(XTimer, action(runAt, time, callback), action(cancel, id), action(runOne))

} // namespace polis::services
