// Opens node-local databases for services that may not open them themselves.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

class XDb : public Service {
public:
   static constexpr auto account = "x-db"_a;

   /// Exports one handle over `prefix` of database `db` and returns its index among the exported ones.
   /// Refuses: subjective, session, temporary: a prefix that does not start with the sender, and to write, unless the
   /// sender is local or privileged on chain; nativeSubjective, nativeSession: unless the sender is local and
   /// privileged; native: to write; any other database.
   std::uint32_t open(std::uint32_t db, Bytes prefix, std::uint8_t mode);
};
POLIS_SERVICE(XDb, action(open, db, prefix, mode))

} // namespace polis::services
