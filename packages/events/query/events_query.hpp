// What the logs of events hold, asked in SQL.
#pragma once

#include "events/service/events.hpp"

namespace polis::services {

class EventsQuery : public Service {
public:
   static constexpr auto account = "events+1"_a;
   /// A query looks at as many entries of a log at most; more fail it.
   static constexpr std::size_t entriesMax = 200'000;
   static constexpr std::size_t rowsMax = 10'000;

   /// The rows as a JSON array of objects: `rowid` and the event's members. The table is `"history.service.event"` or
   /// `"merkle.service.event"`; the service's schema must be known. params: for the question marks, in order.
   /// Fails on anything that sql.hpp does not know.
   std::string sqlQuery(std::string query, std::vector<std::string> params);
   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};
POLIS_SERVICE(EventsQuery, action(sqlQuery, query, params), action(serveSys, request, socket, user))

} // namespace polis::services
