// Proposals: actions of any senders that run once those who decide for the senders agree.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

struct StagedTxInit {};

struct ActionList {
   std::vector<Action> actions;
};

struct StagedTx {
   std::uint32_t id = 0;
   /// sha256 of (id, propose_block, actions), packed: who answers names what he answers.
   Checksum256 txid{};
   std::uint32_t propose_block = 0;
   TimePointUSec propose_date;
   AccountNumber proposer;
   ActionList action_list;
   bool auto_exec = false;
};

struct StagedTxLastUsed {
   std::uint32_t id = 0;
};

struct StagedTxResponse {
   std::uint32_t id = 0;
   AccountNumber account;
   /// The account's authSequence when it answered: the answer counts while it stays so.
   std::uint64_t seq = 0;
   bool accepted = false;
};

/// An account that a proposal acts for.
struct StagedTxParty {
   std::uint32_t id = 0;
   AccountNumber party;
};

/// History event.
struct StagedTxUpdated {
   static constexpr std::string_view eventName = "updated";
   Checksum256 txid{};
   AccountNumber actor;
   TimePointUSec datetime;
   /// "proposed", "accepted", "rejected", "deleted" or "executed".
   std::string event_type;
};

class StagedTxService : public Service {
public:
   static constexpr auto account = "staged-tx"_a;
   /// Accounts that are asked, directly or for another, about one sender.
   static constexpr std::size_t decidersMax = 256;

   using InitTable = Singleton<0, StagedTxInit>;
   using Proposals = Table<1, StagedTx, &StagedTx::id, Index<&StagedTx::proposer, &StagedTx::id>>;
   using LastUsedTable = Singleton<2, StagedTxLastUsed>;
   using Responses = Table<3, StagedTxResponse, key<&StagedTxResponse::id, &StagedTxResponse::account>,
                           Index<&StagedTxResponse::account, &StagedTxResponse::id>>;
   using Parties = Table<4, StagedTxParty, key<&StagedTxParty::id, &StagedTxParty::party>,
                         Index<&StagedTxParty::party, &StagedTxParty::id>>;
   using Tables = std::tuple<InitTable, Proposals, LastUsedTable, Responses, Parties>;
   using HistoryTable = EventTable<5, StagedTxUpdated, By<&StagedTxUpdated::actor>, By<&StagedTxUpdated::txid>>;
   using HistoryEvents = std::tuple<StagedTxUpdated>;

   void init();
   /// Proposes actions, accepts them for the sender, and returns the proposal's id. auto_exec: they run as soon as
   /// all are authorized, which may be at once. Refuses: no actions; auto_exec with an unknown first sender.
   std::uint32_t propose(std::vector<Action> actions, bool auto_exec);
   /// Withdraws a proposal. Sender: its proposer.
   void remove(std::uint32_t id, Checksum256 txid);
   /// The sender agrees.
   void accept(std::uint32_t id, Checksum256 txid);
   /// The sender disagrees, whatever it said before. Deletes the proposal when an action can no longer be authorized.
   void reject(std::uint32_t id, Checksum256 txid);
   /// Runs the actions, all or none. Anybody may call it; each action must be authorized when its turn comes.
   void execute(std::uint32_t id, Checksum256 txid);
   StagedTx get_staged_tx(std::uint32_t id);
};
POLIS_SERVICE(StagedTxService, action(init), action(propose, actions, auto_exec), action(remove, id, txid),
              action(accept, id, txid), action(reject, id, txid), action(execute, id, txid), action(get_staged_tx, id))

} // namespace polis::services
