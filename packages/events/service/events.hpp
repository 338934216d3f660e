// The record of events.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

/// Number of the next event of one log.
struct EventNumber {
   std::uint32_t type = 0; ///< EventDb
   std::uint64_t next = 1;
};

/// Tree of the block's merkle events: how many, and the peaks from left to right.
struct EventMerkle {
   std::uint64_t i = 0;
   std::vector<Checksum256> stack;
};

class Events : public Service {
public:
   static constexpr auto account = "events"_a;

   using Numbers = Table<1, EventNumber, &EventNumber::type>;
   using MerkleTable = Singleton<2, EventMerkle>;
   using Tables = std::tuple<Numbers, MerkleTable>;

   /// Log entries lie in writeOnly under this table number, then the log's number (u32) and the event's (u64).
   static constexpr std::uint16_t logTable = 0;

   /// Records an event of the sender and returns its number. db: an EventDb.
   std::uint64_t event(std::uint32_t db, MethodNumber type, Bytes rawData);
   /// Begins the tree of a new block. Sender: transact.
   void startBlock();
   /// Root over the merkle events of this block so far; zero when there is none. Sender: transact.
   Checksum256 saveMerkle();
   /// Brings indexes up to date. Sender: transact.
   void sync();
};
POLIS_SERVICE(Events, action(event, db, type, rawData), action(startBlock), action(saveMerkle), action(sync))

} // namespace polis::services
