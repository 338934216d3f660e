#include "transact.hpp"

#include "accounts/service/accounts.hpp"
#include "cpu-limit/service/cpu_limit.hpp"
#include "vserver/service/vserver.hpp"

#include <algorithm>

namespace polis::services {

namespace {

using polis::sdk::detail::ActionView;
using polis::sdk::detail::loadU16;
using polis::sdk::detail::loadU32;
using polis::sdk::detail::loadU64;

constexpr std::uint32_t absent = 0xFFFF'FFFF;
constexpr AccountNumber querySubaccount{"transact+1"};

// Flags of checkAuthSys: how, and in the low byte what, an auth service is asked.
constexpr std::uint32_t readOnlyFlag = 0x8000'0000;
constexpr std::uint32_t firstAuthFlag = 0x4000'0000;
constexpr std::uint32_t topAction = 1;
constexpr std::uint32_t runAsRequester = 2;
constexpr std::uint32_t runAsMatched = 3;
constexpr std::uint32_t runAsMatchedExpanded = 4;
constexpr std::uint32_t runAsOther = 5;

// An instance lives for one context, so what belongs to the transaction being run lies in memory.

struct RunAsFrame {
   Action action;
   std::vector<ServiceMethod> allowed;
};

struct Execution {
   bool running = false;
   bool startsBlock = false;
   AccountNumber firstSender;
   Bytes packed;
   std::vector<RunAsFrame> runAs;
   std::optional<std::uint32_t> unbilledWrites;
   std::uint64_t systemBytes = 0;
};
Execution execution;

/// -1 unknown, otherwise a bool; a field of the state that every write asks for.
int monitoring = -1;

bool isMonitoring() {
   if (monitoring < 0) {
      const auto row = open<Transact::MonitoringTable>().get();
      monitoring = row && row->enabled ? 1 : 0;
   }
   return monitoring == 1;
}

// --- A transaction in its packed form --------------------------------------------------------------------------------

/// Views into a Transaction that has passed strict validation: 15 bytes of TaPoS, then the offsets of actions and
/// claims.
class TransactionView {
public:
   explicit TransactionView(ByteView packed) : packed_(packed) {}

   std::int64_t expiration() const { return static_cast<std::int64_t>(loadU64(at(2))); }
   std::uint32_t refBlockSuffix() const { return loadU32(at(10)); }
   std::uint16_t flags() const { return loadU16(at(14)); }
   std::uint8_t refBlockIndex() const { return *at(16); }

   std::size_t actionCount() const { return list(17) ? loadU32(at(list(17))) / 4 : 0; }
   /// The packed action; it is one piece.
   ByteView action(std::size_t index) const {
      const auto slot = list(17) + 4 + 4 * index;
      const auto start = slot + loadU32(at(slot));
      const auto data = loadU32(at(start + 26));
      const auto size = 30 + (data ? 4 + std::size_t{loadU32(at(start + 30))} : 0);
      return packed_.subspan(start, size);
   }
   /// The packed list of claims, without offset; empty when there is none.
   ByteView claims() const {
      // the last member, so it reaches to the end
      return list(21) ? packed_.subspan(list(21)) : ByteView();
   }

private:
   const std::uint8_t* at(std::size_t position) const { return packed_.data() + position; }
   std::size_t list(std::size_t slot) const {
      const auto offset = loadU32(at(slot));
      return offset ? slot + offset : 0;
   }
   ByteView packed_;
};

// --- Authorization ---------------------------------------------------------------------------------------------------

/// The auth service of an account, read where `accounts` keeps it.
std::optional<AccountNumber> authServiceOf(AccountNumber user) {
   const KvSpace space{Db::service, Accounts::account.value};
   const auto key = polis::sdk::detail::makeKey(AccountTable::number, 0, user);
   const auto size = space.find(key);
   if (size == env::none)
      return std::nullopt;
   std::uint8_t row[18];
   check(env::polis_getResult(row, sizeof row, 0) >= sizeof row, "malformed account");
   return AccountNumber{loadU64(row + 10)};
}

/// Asks an auth service whether an action may run. claims: packed list, or empty.
bool isAuthorized(AccountNumber authService, std::uint32_t flags, AccountNumber requester, AccountNumber sender,
                  AccountNumber service, MethodNumber method, const std::vector<ServiceMethod>& allowed,
                  ByteView claims) {
   // (u32, account, account, ServiceMethod, list, list), packed by hand so that claims are copied as they are
   constexpr MethodNumber checkAuthSys{"checkAuthSys"};
   Bytes args;
   args.reserve(64 + claims.size());
   auto word = [&](auto value) {
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
      args.insert(args.end(), bytes, bytes + sizeof value);
   };
   const Bytes packedAllowed = allowed.empty() ? Bytes() : pack(allowed);
   word(std::uint16_t{32});
   word(flags);
   word(requester.value);
   word(sender.value);
   word(std::uint32_t{12}); // behind the two list offsets
   word(packedAllowed.empty() ? std::uint32_t{0} : std::uint32_t{8 + 18});
   word(claims.empty() ? std::uint32_t{0} : static_cast<std::uint32_t>(4 + 18 + packedAllowed.size()));
   word(std::uint16_t{16});
   word(service.value);
   word(method.value);
   append(args, packedAllowed);
   append(args, claims);
   const auto size = callPacked(polis::sdk::detail::packAction(getReceiver(), authService, checkAuthSys, args));
   std::uint8_t answer = 0;
   if (size == 1)
      env::polis_getResult(&answer, 1, 0);
   return answer == 1;
}

void authorizeTopAction(const ActionView& action, bool first, bool readOnly, ByteView claims) {
   const auto authService = authServiceOf(action.sender);
   if (!authService) [[unlikely]]
      abortMessage("unknown sender \"" + action.sender.str() + "\"");
   auto flags = topAction;
   if (first)
      flags |= firstAuthFlag;
   if (readOnly)
      flags |= readOnlyFlag;
   if (!isAuthorized(*authService, flags, AccountNumber{}, action.sender, action.service, action.method, {}, claims))
       [[unlikely]]
      abortMessage("not authorized: " + action.sender.str());
}

// --- Checks of the envelope ------------------------------------------------------------------------------------------

std::uint32_t suffixOf(const Checksum256& blockId) { return refBlockSuffix(blockId); }

/// TX-6. The summary is read in place: 256 suffixes, then the number of the block that refreshed it.
void checkTapos(const TransactionView& trx, const StatusView& status) {
   constexpr std::size_t suffixesAt = 2;
   constexpr std::size_t blockNumAt = suffixesAt + 4 * 256;
   const auto index = trx.refBlockIndex();
   const KvSpace space{Db::service, Transact::account.value, Mode::read};
   const auto found = space.find(polis::sdk::detail::makeKey(Transact::SummaryTable::number, 0));
   if (found == env::none || found < blockNumAt + 4) {
      check(trx.refBlockSuffix() == 0 && index == 0, "transaction references a block of another chain");
      return;
   }
   std::uint8_t word[4];
   env::polis_getResult(word, 4, blockNumAt);
   const auto summaryNum = loadU32(word);
   const auto head = status.headNum();
   const std::uint32_t distance = (static_cast<std::uint32_t>(index) - 2) & 0x7f;
   check(index & 0x80 ? distance <= (head >> 13) - 2 : distance <= head - 2,
         "transaction references a block that does not exist");
   std::uint32_t suffix;
   // before this block's startBlock (in queries), the newest id is only in the status
   const bool stale = summaryNum != status.blockNum();
   if (stale && (index == (head & 0x7f) || ((head & 0x1fff) == 0 && index == ((head >> 13) | 0x80))))
      suffix = suffixOf(status.headId());
   else {
      env::polis_getResult(word, 4, static_cast<std::uint32_t>(suffixesAt + 4 * std::size_t{index}));
      suffix = loadU32(word);
   }
   check(trx.refBlockSuffix() == suffix, "transaction references a block of another chain");
}

/// Number of the block whose startBlock ran last; nothing before the first.
std::optional<BlockNum> summaryBlockNum() {
   const KvSpace space{Db::service, Transact::account.value, Mode::read};
   const auto found = space.find(polis::sdk::detail::makeKey(Transact::SummaryTable::number, 0));
   if (found == env::none || found < 2 + 4 * 256 + 4)
      return std::nullopt;
   std::uint8_t word[4];
   env::polis_getResult(word, 4, 2 + 4 * 256);
   return loadU32(word);
}

void checkLifetime(const TransactionView& trx, const StatusView& status) {
   check((trx.flags() & ~Tapos::knownFlags) == 0, "unsupported transaction flags");
   const auto now = status.time().microseconds;
   constexpr std::int64_t second = 1'000'000;
   check(trx.expiration() <= INT64_MAX / second && trx.expiration() >= 0, "transaction has an impossible expiration");
   check(now < trx.expiration() * second, "transaction has expired");
   check(trx.expiration() * second < now + Transact::lifetimeMaxS * second, "transaction was submitted too early");
}

Bytes includedKey(std::int64_t expiration, const Checksum256& id) {
   return polis::sdk::detail::makeKey(Transact::IncludedTable::number, 0, TimePointSec{expiration}, id);
}

// --- Running ---------------------------------------------------------------------------------------------------------

/// Writes the root of the block's events into the header being built, if it has changed.
void saveEventRoot(const Checksum256& before) {
   const auto indexer = open<Transact::IndexerTable>().get();
   if (!indexer)
      return;
   to<EventIndexerInterface>(indexer->service).sync();
   const auto root = to<EventIndexerInterface>(indexer->service).saveMerkle();
   if (root == before)
      return;
   const StatusView status(native::space(Db::native, Mode::readWrite));
   Bytes row = toBytes(status.row());
   std::copy(root.begin(), root.end(), row.begin() + static_cast<std::ptrdiff_t>(status.eventMerkleRootAt()));
   native::space(Db::native, Mode::readWrite).put(native::rowKey(native::statusTable), row);
}

void runTransaction(ByteView packed, bool speculative) {
   check(!execution.running, "a transaction is running already");
   check(validate<Transaction>(packed) == Validity::valid, "malformed transaction");
   const TransactionView trx(packed);
   const auto id = sha256(packed);
   const auto actionCount = trx.actionCount();
   check(actionCount > 0, "transaction has no actions");

   const StatusView status;
   const KvSpace own{Db::service, Transact::account.value, Mode::readWrite};
   const auto first = ActionView::of(trx.action(0));
   constexpr MethodNumber startBlockMethod{"startBlock"};

   execution.running = true;
   execution.packed.assign(packed.begin(), packed.end());
   execution.firstSender = first.sender;
   const TransactionView kept(execution.packed);

   const auto chainStatus = open<Transact::StatusTable>(Mode::readWrite).get().value_or(TransactStatus{});
   const auto included = includedKey(trx.expiration(), id);
   check(own.find(included) == env::none, "duplicate transaction");
   checkLifetime(trx, status);

   const bool startsBlock = actionCount == 1 && first.sender == AccountNumber{} && first.service == Transact::account &&
                            first.method == startBlockMethod;
   bool enforceAuth = chainStatus.enforceAuth;
   const auto refreshed = summaryBlockNum();
   if (startsBlock) {
      check(!refreshed || *refreshed + 1 == status.blockNum(), "a block starts once");
      check(trx.refBlockSuffix() == 0 && trx.refBlockIndex() == 0, "startBlock references no block");
      enforceAuth = false;
   } else {
      // a trial runs before the block that would hold the transaction is started
      check(!status.hasHead() || (refreshed && (*refreshed == status.blockNum() ||
                                                (speculative && *refreshed + 1 == status.blockNum()))),
            "the block has not been started");
      if (chainStatus.bootTransactions) {
         check(trx.refBlockSuffix() == 0 && trx.refBlockIndex() == 0, "a boot transaction references no block");
         const auto& list = *chainStatus.bootTransactions;
         check(!list.empty(), "no boot transaction is left");
         if (speculative)
            check(std::find(list.begin(), list.end(), id) != list.end(), "this is no boot transaction");
         else {
            check(list.front() == id, "boot transactions run in their order");
            auto next = chainStatus;
            next.bootTransactions->erase(next.bootTransactions->begin());
            open<Transact::StatusTable>(Mode::readWrite).put(next);
         }
      } else
         checkTapos(trx, status);
   }

   const bool billed = enforceAuth && isMonitoring();
   if (billed)
      to<VirtualServer>().prestartTx(first.sender);
   execution.startsBlock = startsBlock;

   const auto claims = kept.claims();
   for (std::size_t i = 0; i < actionCount; ++i) {
      const auto bytes = kept.action(i);
      const auto action = ActionView::of(bytes);
      if (enforceAuth) {
         if (billed && i == 0)
            to<VirtualServer>().setBillableAcc(first.sender);
         authorizeTopAction(action, i == 0, false, claims);
         if (billed && i == 0)
            to<VirtualServer>().useNetSys(first.sender, packed.size());
      }
      callPacked(bytes);
   }

   const Bytes row = pack(IncludedTrx{TimePointSec{trx.expiration()}, id});
   own.put(included, row);

   if (const auto callbacks = open<Transact::CallbackTable>().get(CallbackType::onTransaction))
      for (const auto& action : callbacks->actions)
         callRaw(action);

   if (billed) {
      to<VirtualServer>().useCpuSys(first.sender, static_cast<std::uint64_t>(to<CpuLimit>().getCpuTime()));
      to<VirtualServer>().finishTx();
   }
   saveEventRoot(status.eventMerkleRoot());
   check(!execution.unbilledWrites, "skipBilling without endSkipBilling");
   execution = {};
}

Callbacks callbacksOf(CallbackType type) {
   return open<Transact::CallbackTable>(Mode::readWrite).get(type).value_or(Callbacks{type, {}});
}

std::uint32_t notifyTypeOf(CallbackType type) {
   switch (type) {
   case CallbackType::onTransaction:
      return static_cast<std::uint32_t>(NotifyType::acceptTransaction);
   case CallbackType::onBlock:
      return static_cast<std::uint32_t>(NotifyType::acceptBlock);
   case CallbackType::onFailedTransaction:
      return static_cast<std::uint32_t>(NotifyType::rejectTransaction);
   }
   abortMessage("unknown callback type");
}

/// Where a callback of this kind is kept, after checking that it may be.
void checkCallback(std::uint32_t type, bool objective, const Action& action) {
   check(getSender() == Transact::account, "only transact may change callbacks");
   check(type <= 2, "unknown callback type");
   if (objective) {
      check(type == 0, "only onTransaction can be objective");
      check(action.sender == Transact::account, "an objective callback is sent by transact");
   } else {
      check(action.sender == AccountNumber{}, "a subjective callback has no sender");
      check(type == 1 || action.rawData.empty(), "this callback gets its own arguments");
   }
}

NotifyRow notifyRowOf(std::uint32_t type) {
   return native::get<NotifyRow>(Db::native, native::notifyTable, type)
       .value_or(NotifyRow{static_cast<NotifyType>(type), {}});
}

bool checkFirst(const Checksum256& id, ByteView packed);

void notify(std::uint64_t service, std::uint32_t db, std::uint32_t keyLen, std::uint32_t oldLen, std::uint32_t newLen) {
   (void)service;
   check(oldLen != absent || newLen != absent, "a write that writes nothing");
   if (execution.unbilledWrites) {
      check(*execution.unbilledWrites > 0, "more writes than skipBilling announced");
      --*execution.unbilledWrites;
      return;
   }
   if (!isMonitoring())
      return;
   const auto key = static_cast<std::int64_t>(keyLen);
   std::int64_t delta;
   if (oldLen == absent)
      delta = key + newLen;
   else if (newLen == absent)
      delta = -(key + static_cast<std::int64_t>(oldLen));
   else
      delta = static_cast<std::int64_t>(newLen) - static_cast<std::int64_t>(oldLen);
   AccountNumber payer;
   if (execution.startsBlock)
      payer = AccountNumber{};
   else if (delta > 0 && execution.systemBytes > 0 && static_cast<std::uint64_t>(delta) <= execution.systemBytes)
      execution.systemBytes -= static_cast<std::uint64_t>(delta);
   else {
      if (delta > 0)
         execution.systemBytes = 0;
      check(execution.running, "a write outside a transaction has no payer");
      payer = execution.firstSender;
   }
   // Only these are billed; and what vserver counts by, it writes in place.
   if (delta == 0 || (db != static_cast<std::uint32_t>(Db::service) && db != static_cast<std::uint32_t>(Db::native)))
      return;
   to<VirtualServer>().useDiskSys(payer, db, delta);
}

} // namespace

void Transact::startBoot(std::vector<Checksum256> bootTransactions) {
   auto table = open<StatusTable>(Mode::readWrite);
   check(!table.get(), "the chain has begun to boot already");
   table.put({.enforceAuth = false, .bootTransactions = std::move(bootTransactions)});
}

void Transact::finishBoot() {
   auto table = open<StatusTable>(Mode::readWrite);
   auto status = table.get();
   if (status) {
      check(!status->enforceAuth, "the chain has booted already");
      check(!status->bootTransactions || status->bootTransactions->empty(), "boot transactions are left");
   } else
      check(!StatusView().hasHead(), "the chain has never begun to boot");
   table.put({.enforceAuth = true, .bootTransactions = std::nullopt});
   const auto space = native::space(Db::native, Mode::readWrite);
   space.put(native::rowKey(native::configTable), pack(ConfigRow{}));
   space.put(native::rowKey(native::transactionWasmConfigTable), pack(WasmConfigRow{}));
   space.put(native::rowKey(native::proofWasmConfigTable), pack(WasmConfigRow{}));
}

void Transact::startBlock(std::optional<std::uint32_t>) {
   check(getSender() == AccountNumber{}, "only the node starts blocks");
   const StatusView status;
   const auto indexer = open<IndexerTable>(Mode::readWrite).get();
   if (indexer)
      to<EventIndexerInterface>(indexer->service).startBlock();

   auto summaries = open<SummaryTable>(Mode::readWrite);
   auto summary = summaries.get().value_or(BlockSummary{});
   if (status.hasHead()) {
      const auto head = status.headNum();
      const auto suffix = suffixOf(status.headId());
      summary.blockSuffixes[head & 0x7f] = suffix;
      if ((head & 0x1fff) == 0)
         summary.blockSuffixes[((head >> 13) & 0x7f) | 0x80] = suffix;
   }
   summary.blockNum = status.blockNum();
   summaries.put(summary);

   if (indexer)
      emitHistory(BlockStart{status.blockNum(), status.time()});

   // the oldest come first; their keys begin with the expiration
   const KvSpace own{Db::service, account.value, Mode::readWrite};
   const auto now = floorToSec(status.time());
   Bytes at = polis::sdk::detail::makeKey(IncludedTable::number, 0);
   const auto end = polis::sdk::detail::makeKey(IncludedTable::number, 0, TimePointSec{now.seconds + 1});
   for (std::size_t i = 0; i < expiredPerBlock; ++i) {
      if (own.greaterEqual(at, 3) == env::none)
         break;
      at = polis::sdk::detail::takeKey();
      if (at >= end)
         break;
      own.remove(at);
   }

   auto snapshots = open<SnapshotTable>(Mode::readWrite);
   auto snapshot = snapshots.get();
   if (!snapshot)
      snapshots.put({now, 0});
   else if (snapshot->snapshotInterval != 0 &&
            now.seconds - snapshot->lastSnapshot.seconds >= static_cast<std::int64_t>(snapshot->snapshotInterval)) {
      native::put(Db::native, native::scheduledSnapshotTable, ScheduledSnapshotRow{status.blockNum()},
                  status.blockNum());
      snapshot->lastSnapshot = now;
      snapshots.put(*snapshot);
   }
   if (isMonitoring())
      to<VirtualServer>().notifyBlock(status.blockNum());
}

void Transact::execTrx(Bytes transaction, bool speculative) {
   check(getSender() == AccountNumber{} || getSender() == querySubaccount, "only transact+1 may run transactions");
   runTransaction(transaction, speculative);
}

void Transact::kvNotify(AccountNumber service, std::uint32_t db, std::uint32_t keyLen, std::uint32_t oldValueLen,
                        std::uint32_t newValueLen) {
   check(getSender() == AccountNumber{}, "only the node reports writes");
   notify(service.value, db, keyLen, oldValueLen, newValueLen);
}

void Transact::setSnapTime(std::uint32_t seconds) {
   check(getSender() == account, "only transact may set the snapshot interval");
   auto table = open<SnapshotTable>(Mode::readWrite);
   auto row = table.get().value_or(SnapshotInfo{});
   row.snapshotInterval = seconds;
   table.put(row);
}

void Transact::addCallback(std::uint32_t type, bool objective, Action action) {
   checkCallback(type, objective, action);
   auto add = [&](std::vector<Action>& actions) {
      if (std::find(actions.begin(), actions.end(), action) != actions.end())
         return false;
      actions.push_back(action);
      return true;
   };
   if (objective) {
      auto row = callbacksOf(static_cast<CallbackType>(type));
      if (add(row.actions))
         open<CallbackTable>(Mode::readWrite).put(row);
   } else {
      const auto kind = notifyTypeOf(static_cast<CallbackType>(type));
      auto row = notifyRowOf(kind);
      if (add(row.actions))
         native::put(Db::native, native::notifyTable, row, kind);
   }
}

void Transact::removeCallback(std::uint32_t type, bool objective, Action action) {
   checkCallback(type, objective, action);
   auto remove = [&](std::vector<Action>& actions) {
      const auto at = std::find(actions.begin(), actions.end(), action);
      check(at != actions.end(), "no such callback");
      actions.erase(at);
   };
   if (objective) {
      auto row = callbacksOf(static_cast<CallbackType>(type));
      remove(row.actions);
      open<CallbackTable>(Mode::readWrite).put(row);
   } else {
      const auto kind = notifyTypeOf(static_cast<CallbackType>(type));
      auto row = notifyRowOf(kind);
      remove(row.actions);
      native::put(Db::native, native::notifyTable, row, kind);
   }
}

void Transact::regEvIdx(AccountNumber service) {
   check(getSender() == account, "only transact may choose the event indexer");
   open<IndexerTable>(Mode::readWrite).put({service});
}

Bytes Transact::runAs(Action action, std::vector<ServiceMethod> allowedActions) {
   const auto requester = getSender();
   const auto status = open<StatusTable>().get();
   if (status && status->enforceAuth) {
      const auto authService = authServiceOf(action.sender);
      if (!authService)
         abortMessage("unknown sender \"" + action.sender.str() + "\"");
      if (requester != *authService && requester != baseAccount(action.sender)) {
         auto request = runAsOther;
         if (requester == action.sender)
            request = runAsRequester;
         else
            for (const auto& frame : execution.runAs) {
               if (frame.action.sender != action.sender || frame.action.service != requester)
                  continue;
               const bool allowed =
                   std::any_of(frame.allowed.begin(), frame.allowed.end(), [&](const ServiceMethod& entry) {
                      return (entry.service == AccountNumber{} || entry.service == action.service) &&
                             (entry.method == MethodNumber{} || entry.method == action.method);
                   });
               if (allowed) {
                  request = allowedActions.empty() ? runAsMatched : runAsMatchedExpanded;
                  break;
               }
            }
         if (!isAuthorized(*authService, request, requester, action.sender, action.service, action.method,
                           allowedActions, {}))
            abortMessage("Not authorized");
      }
   }
   execution.runAs.push_back({action, std::move(allowedActions)});
   auto result = callRaw(action);
   execution.runAs.pop_back();
   return result;
}

bool Transact::checkFirstAuth(Checksum256 id, Transaction transaction) { return checkFirst(id, pack(transaction)); }

namespace {

bool checkFirst(const Checksum256& id, ByteView packed) {
   const TransactionView trx(packed);
   check(trx.actionCount() > 0, "transaction has no actions");
   const StatusView status;
   const auto chainStatus = open<Transact::StatusTable>().get().value_or(TransactStatus{});
   const KvSpace own{Db::service, Transact::account.value, Mode::read};
   check(own.find(includedKey(trx.expiration(), id)) == env::none, "duplicate transaction");
   checkLifetime(trx, status);
   if (chainStatus.bootTransactions) {
      check(trx.refBlockSuffix() == 0 && trx.refBlockIndex() == 0, "a boot transaction references no block");
      const auto& list = *chainStatus.bootTransactions;
      check(std::find(list.begin(), list.end(), id) != list.end(), "this is no boot transaction");
   } else
      checkTapos(trx, status);
   if (chainStatus.enforceAuth)
      authorizeTopAction(ActionView::of(trx.action(0)), true, true, trx.claims());
   return chainStatus.enforceAuth;
}

} // namespace

void Transact::resMonitoring(bool enable) {
   check(getSender() == VirtualServer::account, "only vserver may switch resource monitoring");
   open<MonitoringTable>(Mode::readWrite).put({enable});
   monitoring = enable ? 1 : 0;
}

void Transact::systemWrite(std::uint64_t numBytes) {
   check(getSender() == VirtualServer::account, "only vserver may write for the system");
   execution.systemBytes = numBytes;
}

bool Transact::isResMonitoring() { return isMonitoring(); }

Transaction Transact::getTransaction() {
   check(execution.running, "no transaction is running");
   return unpackOrAbort<Transaction>(execution.packed);
}

bool Transact::isTransaction() { return execution.running; }

BlockHeader Transact::currentBlock() {
   auto status = native::status();
   check(status.has_value(), "there is no chain");
   return std::move(status->current);
}

BlockHeader Transact::headBlock() {
   auto status = native::status();
   check(status && status->head, "there is no block");
   return std::move(status->head->header);
}

TimePointUSec Transact::headBlockTime() {
   const auto status = native::status();
   return status && status->head ? status->head->header.time : TimePointUSec{};
}

std::tuple<std::uint8_t, std::uint32_t> Transact::headTapos() {
   const StatusView status;
   if (!status.hasHead())
      return {std::uint8_t{0}, std::uint32_t{0}};
   return {static_cast<std::uint8_t>(status.headNum() & 0x7f), suffixOf(status.headId())};
}

void Transact::skipBilling(std::uint32_t numWrites) {
   const auto code = native::code(getSender());
   check(code && (code->flags & CodeRow::isPrivileged), "only privileged services may skip billing");
   check(!execution.unbilledWrites, "skipBilling does not nest");
   execution.unbilledWrites = numWrites;
}

void Transact::endSkipBilling() {
   const auto code = native::code(getSender());
   check(code && (code->flags & CodeRow::isPrivileged), "only privileged services may skip billing");
   check(execution.unbilledWrites.has_value(), "endSkipBilling without skipBilling");
   check(*execution.unbilledWrites == 0, "fewer writes than skipBilling announced");
   execution.unbilledWrites.reset();
}

} // namespace polis::services

#ifdef __wasm__
POLIS_EXPORT(start) void polisStart(std::uint64_t) { __wasm_call_ctors(); }

POLIS_EXPORT(called) void polisCalled(std::uint64_t receiver, std::uint64_t sender) {
   using namespace polis::sdk;
   polis::sdk::detail::FrameScope scope(AccountNumber{receiver}, AccountNumber{sender});
   polis::sdk::detail::ResultBuffer<512> buffer(env::polis_getCurrentAction());
   const auto action = polis::sdk::detail::ActionView::of(buffer.view());
   // every write of every service comes by here
   constexpr MethodNumber kvNotify{"kvNotify"};
   if (action.method == kvNotify && sender == 0 && action.rawData.size() == 26) {
      const auto* args = action.rawData.data();
      polis::services::notify(polis::sdk::detail::loadU64(args + 2), polis::sdk::detail::loadU32(args + 10),
                              polis::sdk::detail::loadU32(args + 14), polis::sdk::detail::loadU32(args + 18),
                              polis::sdk::detail::loadU32(args + 22));
      return;
   }
   // (id, transaction), once a push: the transaction uncopied
   constexpr MethodNumber checkFirstAuth{"checkFirstAuth"};
   const auto args = action.rawData;
   if (action.method == checkFirstAuth && args.size() > 61 && polis::sdk::detail::loadU16(args.data()) == 36 &&
       polis::sdk::detail::loadU32(args.data() + 34) == 4 &&
       validate<Transaction>(args.subspan(38)) == Validity::valid) {
      Checksum256 id;
      std::copy_n(args.begin() + 2, id.size(), id.begin());
      const std::uint8_t enforced = polis::services::checkFirst(id, args.subspan(38));
      env::polis_setRetval(&enforced, 1);
      return;
   }
   if (!polis::sdk::detail::dispatch<polis::services::Transact>(action.method, action.rawData))
      abortMessage("unknown action: " + action.method.str());
}

POLIS_EXPORT(processTransaction) void polisProcessTransaction() {
   using namespace polis::sdk;
   withEntryAction(polis::services::Transact::account, [](ByteView args) {
      // {transaction: nested}: fixed area of one offset, then size and bytes
      check(args.size() > 10 && polis::sdk::detail::loadU16(args.data()) == 4 &&
                polis::sdk::detail::loadU32(args.data() + 2) == 4,
            "malformed transaction");
      const auto size = polis::sdk::detail::loadU32(args.data() + 6);
      check(size == args.size() - 10, "malformed transaction");
      polis::services::runTransaction(args.subspan(10), false);
   });
}
#endif
