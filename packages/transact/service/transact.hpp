// The way into the chain: every transaction runs through here.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

struct TransactStatus {
   bool enforceAuth = false;
   /// While the chain boots: ids that may run, in this order.
   std::optional<std::vector<Checksum256>> bootTransactions;
};

struct ResMonitoringConfig {
   bool enabled = false;
};

/// What TaPoS compares with: the last four bytes of recent block ids.
struct BlockSummary {
   std::array<std::uint32_t, 256> blockSuffixes{};
   BlockNum blockNum = 0;
};

struct IncludedTrx {
   TimePointSec expiration;
   Checksum256 id{};
};

/// When a callback runs.
enum class CallbackType : std::uint32_t { onTransaction = 0, onBlock = 1, onFailedTransaction = 2 };

struct Callbacks {
   CallbackType type{};
   std::vector<Action> actions;
};

struct EventIndexer {
   AccountNumber service;
};

struct SnapshotInfo {
   TimePointSec lastSnapshot;
   std::uint32_t snapshotInterval = 0;
};

/// History event, once a block.
struct BlockStart {
   static constexpr std::string_view eventName = "blockStart";
   static constexpr bool isPublic = true;
   BlockNum blockNum = 0;
   TimePointUSec blockTime;
};

/// What the event indexer implements.
class EventIndexerInterface : public Service {
public:
   void startBlock();
   void sync();
   Checksum256 saveMerkle();
};
POLIS_SERVICE(EventIndexerInterface, action(startBlock), action(sync), action(saveMerkle))

class Transact : public Service {
public:
   static constexpr auto account = "transact"_a;

   using StatusTable = Singleton<0, TransactStatus>;
   using MonitoringTable = Singleton<1, ResMonitoringConfig>;
   using SummaryTable = Singleton<2, BlockSummary>;
   using IncludedTable = Table<3, IncludedTrx, key<&IncludedTrx::expiration, &IncludedTrx::id>>;
   using CallbackTable = Table<4, Callbacks, &Callbacks::type>;
   using IndexerTable = Singleton<5, EventIndexer>;
   using SnapshotTable = Singleton<6, SnapshotInfo>;
   using Tables = std::tuple<StatusTable, MonitoringTable, SummaryTable, IncludedTable, CallbackTable, IndexerTable,
                             SnapshotTable>;
   using HistoryEvents = std::tuple<BlockStart>;

   /// A transaction lives at most this long.
   static constexpr std::int64_t lifetimeMaxS = 3600;
   /// Expired rows erased a block, at most: more than a block can bring in.
   static constexpr std::size_t expiredPerBlock = 2000;

   /// Begins the boot: only these transactions may run, in this order, without authorization.
   void startBoot(std::vector<Checksum256> bootTransactions);
   /// Ends the boot: from here on every action is authorized.
   void finishBoot();
   /// Sender 0, once a block. blockNum makes the transactions of blocks within one second differ.
   void startBlock(std::optional<std::uint32_t> blockNum);
   /// Runs one transaction from within another context. Sender 0 or transact+1.
   void execTrx(Bytes transaction, bool speculative);
   /// From the kernel, before each accounted write. Sizes: 2³²−1 = absent.
   void kvNotify(AccountNumber service, std::uint32_t db, std::uint32_t keyLen, std::uint32_t oldValueLen,
                 std::uint32_t newValueLen);
   /// Seconds between snapshots; 0 = none. Sender: transact.
   void setSnapTime(std::uint32_t seconds);
   /// Adds a callback. objective: part of the chain, run after each transaction. Otherwise told to this node's copy of
   /// the chain's services.
   void addCallback(std::uint32_t type, bool objective, Action action);
   void removeCallback(std::uint32_t type, bool objective, Action action);
   /// Chooses the event indexer.
   void regEvIdx(AccountNumber service);
   /// Runs an action as its sender, if that account's auth service lets the caller.
   Bytes runAs(Action action, std::vector<ServiceMethod> allowedActions);
   /// Checks what can be checked of a transaction before it runs. Returns whether authorization is enforced.
   bool checkFirstAuth(Checksum256 id, Transaction transaction);
   void resMonitoring(bool enable);
   void systemWrite(std::uint64_t numBytes);
   bool isResMonitoring();
   /// The transaction being run; fails outside one.
   Transaction getTransaction();
   bool isTransaction();
   /// Header of the block being built.
   BlockHeader currentBlock();
   BlockHeader headBlock();
   TimePointUSec headBlockTime();
   /// (refBlockIndex, refBlockSuffix) of the newest block.
   std::tuple<std::uint8_t, std::uint32_t> headTapos();
   /// Exempts exactly the next numWrites accounted writes from being charged.
   void skipBilling(std::uint32_t numWrites);
   void endSkipBilling();
};
POLIS_SERVICE(Transact, action(startBoot, bootTransactions), action(finishBoot), action(startBlock, blockNum),
              action(execTrx, transaction, speculative),
              action(kvNotify, service, db, keyLen, oldValueLen, newValueLen), action(setSnapTime, seconds),
              action(addCallback, type, objective, action), action(removeCallback, type, objective, action),
              action(regEvIdx, service), action(runAs, action, allowedActions), action(checkFirstAuth, id, transaction),
              action(resMonitoring, enable), action(systemWrite, numBytes), action(isResMonitoring),
              action(getTransaction), action(isTransaction), action(currentBlock), action(headBlock),
              action(headBlockTime), action(headTapos), action(skipBilling, numWrites), action(endSkipBilling))

} // namespace polis::services
