// Opens objective databases for services that may not open them themselves.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

class DbGate : public Service {
public:
   static constexpr auto account = "db"_a;

   /// Exports one handle over `prefix` of database `db` and returns its index among the exported ones.
   /// mode: 1 read, 2 write, 3 both.
   /// Refuses: service and writeOnly: to write, a prefix that does not start with the sender; to read, with the
   /// sender's base account; native: to write, unless the sender is privileged; blockLog: to write; any other database.
   std::uint32_t open(std::uint32_t db, Bytes prefix, std::uint8_t mode);
};
POLIS_SERVICE(DbGate, action(open, db, prefix, mode))

} // namespace polis::services
