// The record of events.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

/// Number of the next event of one log.
struct EventNumber {
   std::uint8_t type = 0; ///< EventDb
   std::uint64_t next = 1;
};

/// A column of an event by which readers will ask.
struct EventColumn {
   std::uint8_t indexNum = 0;
   friend bool operator==(const EventColumn&, const EventColumn&) = default;
};
struct SecondaryIndex {
   std::uint8_t db = 0; ///< EventDb
   AccountNumber service;
   MethodNumber event;
   std::vector<EventColumn> indexes;
};

/// Tree of the block's merkle events: how many, and the peaks from left to right.
struct EventMerkle {
   std::uint64_t i = 0;
   std::vector<Checksum256> stack;
};

class Events : public Service {
public:
   static constexpr auto account = "events"_a;

   using Indexes = Table<0, SecondaryIndex, key<&SecondaryIndex::db, &SecondaryIndex::service, &SecondaryIndex::event>>;
   using Numbers = Table<1, EventNumber, &EventNumber::type>;
   using MerkleTable = Singleton<2, EventMerkle>;
   using Tables = std::tuple<Indexes, Numbers, MerkleTable>;
   /// The logs, numbered as EventDb.
   using History = WriteOnlyTable<0, EventRecord, &EventRecord::id>;
   using Merkle = WriteOnlyTable<1, EventRecord, &EventRecord::id>;

   /// Nothing to do here: for installers of the protocol.
   void init();
   /// Asks that queries by a column of the sender's event be quick. It is noted; queries read the log.
   void addIndex(std::uint8_t db, AccountNumber service, MethodNumber event, std::uint8_t column);
   /// Records an event of the sender and returns its number. db: an EventDb.
   std::uint64_t event(std::uint8_t db, MethodNumber type, Bytes rawData);
   /// Begins the tree of a new block. Sender: transact.
   void startBlock();
   /// Root over the merkle events of this block so far; zero when there is none. Sender: transact.
   Checksum256 saveMerkle();
   /// Brings indexes up to date. Sender: transact.
   void sync();
};
POLIS_SERVICE(Events, action(init), action(addIndex, db, service, event, column), action(event, db, type, rawData),
              action(startBlock), action(saveMerkle), action(sync))

} // namespace polis::services
