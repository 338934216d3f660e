#pragma once

#include "base/bytes.hpp"
#include "format/chain.hpp"
#include "format/native_tables.hpp"
#include "kernel/host.hpp"
#include "kernel/sockets.hpp"
#include "store/journal.hpp"
#include "store/store.hpp"
#include "vm/engine.hpp"

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace polis::kernel {

class CodeGuard;

/// Input broke a rule; every node agrees.
struct Rejection {
   std::string reason;
};

struct KernelOptions {
   /// Code hashes that verify P-256 and secp256k1 signatures exactly as our `verify-sig` does. A service with one
   /// of them is answered natively instead of in wasm. Empty switches the fast path off.
   std::vector<format::Checksum256> verifySigCode;
   /// Blocks whose states stay readable, at least.
   std::uint32_t retainedBlocks = 128;
   /// Blocks that are kept, at least, while older ones are dropped; 0: all are kept. Only blocks up to the kept state
   /// are dropped (see `keepState`), for whoever needs them begins with that.
   std::uint32_t keepBlocks = 0;
   /// A checkpoint is made when the store says that it is due, after so many bytes of journal at least; and after so
   /// many in any case, for what follows it is executed again when the node starts.
   std::uint64_t checkpointBytesMin = std::uint64_t{16} << 20, checkpointBytesMax = std::uint64_t{256} << 20;
   /// CPU limit of one transaction while producing, in nanoseconds; services may set a lower one.
   std::int64_t transactionCpuNs = 500'000'000;
   /// CPU limit of one HTTP request, message, notification, timer or continuation, in nanoseconds.
   std::int64_t queryCpuNs = 10'000'000'000;
   /// Items of the run queue, other than proofs, that run at once. Fewer than the threads that call `runNext`, so that
   /// one is always there for proofs.
   std::uint32_t otherRunsMax = 1;
   /// Text that one context may write to its console; the rest is dropped.
   std::uint32_t consoleBytes = 1u << 20;
   /// What the trace of one context keeps of actions: arguments, return values, and a fixed size for each action. What
   /// does not fit is left out of the trace; nothing else changes.
   std::uint32_t traceBytes = 4u << 20;
   /// Arguments and return values of all actions that run at one time in one context. While producing only.
   std::uint64_t heldBytes = std::uint64_t{64} << 20;
   /// Keys and values that one context may write. While producing only.
   std::uint64_t writtenBytes = std::uint64_t{128} << 20;
   /// Knows code of which this node has died; outlives the kernel. Null: nothing is known.
   const CodeGuard* guard = nullptr;
   /// Transactions that may wait until code that they bring has been compiled, and their bytes.
   std::size_t waitingForCodeMax = 64;
   std::size_t waitingForCodeBytesMax = std::size_t{64} << 20;
   /// False runs everything in wasm, whatever `verifySigCode` holds.
   bool fastPaths = true;
};

/// The host functions of module `env`, for `vm::Engine`. The engine's instances must be made by a Kernel.
std::vector<vm::HostFunction> hostFunctions();

/// One executed block: its header, state and place. Immutable.
struct BlockState {
   /// Zero before genesis; then `status.head.blockId`.
   format::Checksum256 id{};
   /// 1 before genesis.
   std::uint32_t num = 1;
   /// As in `status.head`, without authCode. Empty before genesis.
   std::optional<format::BlockHeader> header;
   /// Databases 0-5 after the block; key = database byte, then the raw key.
   store::Version version;
   /// Status row after the block.
   format::StatusRow status;
};
using BlockStatePtr = std::shared_ptr<const BlockState>;

/// The state hash of a block: the Merkle roots of its databases 0 and 2. O(rows); any thread.
/// Source: spec, consensus §7.1.
format::StateChecksum stateChecksum(const BlockState& block);

/// Arguments of a new block. `time` in microseconds.
struct BlockStart {
   std::int64_t time = 0;
   format::AccountNumber producer;
   std::uint32_t term = 0;
   std::uint32_t commitNum = 0;
};

struct SealedBlock {
   std::shared_ptr<const format::SignedBlock> block;
   format::Checksum256 id{};
   BlockStatePtr state;
   /// The block is durable once the journal is synced up to here.
   store::JournalPosition journalEnd = 0;
};

enum class Pull { nothing, included, refused };

/// A local service of the template that a new node starts with.
struct LocalService {
   format::AccountNumber account;
   std::uint64_t flags = 0;
   Bytes code;
};

/// What `firstStart` puts into an empty node-local code table (spec, kernel §8.2, First start).
struct LocalTemplate {
   std::vector<LocalService> services;
   /// Driven through `x-http::serve` in order; each must be answered 200 within its call.
   std::vector<format::HttpRequest> requests;
};

/// Makes an empty store and journal those of a kernel that begins with an executed block: its databases 0-5, and the
/// node-local rows 64 and 65. Durable when this returns.
void beginAt(store::Store& store, store::Journal& journal, const store::Version& chain, const store::Version& local);

/// Deterministic execution over the store. One per node.
///
/// Threads: *chain* functions belong to one thread. *Query* functions may run on any number of threads at once.
/// *Any* functions are safe everywhere. All but *any* functions may run services: call them on a
/// `vm::ExecutionThread`.
/// Errors: a rejection is returned; a machine that cannot go on throws Fault.
class Kernel {
public:
   /// Opens the newest checkpoint, replays the journal from there in order, and is ready. Throws Fault.
   /// store, journal, engine and host outlive the kernel.
   Kernel(store::Store& store, store::Journal& journal, vm::Engine& engine, Host& host, KernelOptions options);
   ~Kernel();
   Kernel(const Kernel&) = delete;
   Kernel& operator=(const Kernel&) = delete;

   // ---- any thread ----

   /// Whether block 2 exists.
   bool hasChain() const;
   /// The newest sealed or applied block.
   BlockStatePtr head() const;
   /// The newest irreversible block: {1, zero} before genesis.
   BlockStatePtr irreversible() const;
   /// The chain's id: the genesis block's. Zero before it.
   format::Checksum256 chainId() const;
   /// A block of the current chain from the block log.
   std::optional<format::SignedBlock> block(std::uint32_t num) const;
   /// A block from the log of another one: it, or an ancestor of it.
   std::optional<format::SignedBlock> block(const BlockState& of, std::uint32_t num) const;
   /// Whole blocks are here from the next one on, and of earlier ones some headers, without transactions: the chain was
   /// begun from a snapshot, or they were dropped. 0: all blocks are here.
   std::uint32_t logStart() const;
   /// The id of a block of the current chain; zero for block 1, the state before genesis.
   std::optional<format::Checksum256> blockId(std::uint32_t num) const;
   /// A retained state by block number on the current chain (at least `retainedBlocks`).
   BlockStatePtr stateAt(std::uint32_t num) const;
   /// A retained block of any fork.
   BlockStatePtr retained(const format::Checksum256& id) const;
   /// A state that stays readable, across restarts from the next checkpoint on, until another takes its place. Null:
   /// none does.
   void keepState(BlockStatePtr state);
   BlockStatePtr keptState() const;
   /// Signatures for states, as the rows of native-subjective table 11 hold them.
   std::optional<format::SnapshotRow> snapshotRow(const format::Checksum256& blockId) const;
   /// In place of those for other states.
   void putSnapshotRow(const format::SnapshotRow& row);
   /// Executed blocks that descend from the irreversible one, parents first.
   std::vector<std::shared_ptr<const format::SignedBlock>> reversibleBlocks() const;
   /// Appends to the journal what consensus must never forget, behind everything that was appended so far. It is
   /// durable when the journal is synced up to the position returned. Call for one at a time.
   store::JournalPosition remember(ByteView memory);
   /// What `remember` was given last, also before a restart.
   std::optional<Bytes> remembered() const;
   /// Ends `executeBlock` of this block, soon, if it has not ended by itself.
   void cancelBlock(const format::Checksum256& id);
   /// Sum of commits, calls and the like, as name and value, for metrics.
   std::vector<std::pair<std::string, std::uint64_t>> counters() const;
   /// Fails every running context that is not part of a committed block with `transaction timed out`; for shutdown.
   void cancelQueries();

   // ---- chain thread: production ----

   /// Builds, seals and journals block 2 from genesis and boot transactions. The trace's `error` tells of failure,
   /// and nothing has changed then. Errors: there is a chain already; proofs given; no transactions.
   [[nodiscard]] std::expected<format::TransactionTrace, Rejection>
   pushBoot(const std::vector<format::SignedTransaction>& transactions, format::AccountNumber producer,
            std::int64_t timeUs);

   /// Opens a block on head and runs `transact::startBlock` in it. Errors: the time is not after head's; the
   /// startBlock transaction failed. No block is open then.
   [[nodiscard]] std::expected<void, Rejection> startBlock(const BlockStart& start);
   bool blockOpen() const;
   /// Transactions in the open block, the startBlock transaction not counted, and their packed size.
   std::size_t openBlockTransactions() const;
   std::size_t openBlockBytes() const;
   /// Asks the nextTransaction callbacks for one transaction, checks its proofs and runs it. Needs an open block.
   Pull pushNext();
   /// Asks the nextTransaction callbacks, with no block open: for a node that hands transactions on to producers. Each
   /// is given once, until `again` begins with the first that is not in the chain. Nothing: no more waits, or there is
   /// no chain.
   std::optional<format::SignedTransaction> nextTransaction(std::int64_t timeUs, bool again);
   /// Runs one transaction in the open block: included, or undone with the error in the trace. Proofs are checked
   /// unless `proofsChecked`.
   format::TransactionTrace push(const format::SignedTransaction& transaction, bool proofsChecked = false);
   /// Finishes the block, signs it with `sign` (36-byte preimage → signature; may return nothing), appends it to the
   /// journal and makes it head. Readers see it at once. Of a single producer it is irreversible when durable;
   /// otherwise when `setIrreversible` says so. aux: packed BlockConfirm that travels with the block.
   [[nodiscard]] std::expected<SealedBlock, Rejection> sealBlock(const std::function<Bytes(ByteView)>& sign,
                                                                 std::optional<Bytes> aux = std::nullopt);
   /// Drops the open block, if any.
   void abortBlock();

   // ---- chain thread: validation ----

   /// Validates and executes a block on its parent, which must be retained, and journals it. Head stays where it is.
   /// Nothing: `cancelBlock` came first. Errors: any rule of spec kernel §6.5.
   [[nodiscard]] std::optional<std::expected<SealedBlock, Rejection>>
   executeBlock(const std::shared_ptr<const format::SignedBlock>& block);
   /// The same where nobody chooses among blocks: it becomes head, and one of a single producer is irreversible when
   /// durable.
   [[nodiscard]] std::expected<SealedBlock, Rejection> applyBlock(std::shared_ptr<const format::SignedBlock> block);
   /// Makes a retained block head; O(1) in the size of the state.
   [[nodiscard]] std::expected<void, Rejection> switchHead(const format::Checksum256& id);
   /// Consensus says that a block, head or an ancestor of it, is irreversible. proof: packed BlockConfirm, to be served
   /// with the block from now on; may be empty. Services are told soon (see `onFinal` below). False: the block is not
   /// retained, and nothing happened.
   [[nodiscard]] bool setIrreversible(const format::Checksum256& id, Bytes proof);

   /// Begins anew after a block that others executed, in place of an older state of the same chain, or of none. chain:
   /// databases 0-5, in a version of this kernel's store; whoever calls has checked it. Its state is kept, see
   /// `keepState`. local: rows of the node-local databases, by store keys. No block may be open. Durable when this
   /// returns. Whatever knows of blocks begins anew as well.
   void adopt(const store::Version& chain, const std::vector<std::pair<Bytes, Bytes>>& local);

   // ---- store thread ----

   /// Syncs the journal, and returns the position up to which it is durable. The newest synced block that a single
   /// producer sealed here becomes irreversible; the kernel then tells `transact+1` (see `onFinal` below). Also
   /// prepares memory of the store for the blocks to come.
   store::JournalPosition flush();
   /// Tells `transact+1` of the newest irreversible block once more, so that time passes there while none follows.
   void remindFinal();

   // ---- checkpoint thread ----

   /// Writes a checkpoint when one is due, and says whether it did. Blocks are made and become final meanwhile.
   bool checkpointIfDue();
   /// Writes a checkpoint now, as at a clean shutdown.
   void checkpoint();

   // ---- query threads ----

   /// Whether `proof` answers `claim` for `digest`, by the verify services that `under` lists. False also when no state
   /// that is retained has these services.
   bool verifies(const format::Consensus& under, const format::Claim& claim, const format::Checksum256& digest,
                 const Bytes& proof);

   /// Runs `x-http::serve` for one request on `socket`, which the kernel owns a share of until `close`.
   /// Replies arrive through `Socket::send`, also later from other contexts.
   /// A GET with the header `Polis-Block: N` is answered from the state after block N if that is retained, else with
   /// 404.
   void serve(std::shared_ptr<Socket> socket, const format::HttpRequest& request);
   /// Gives a socket that no request brought (an accepted peer, fd 0 or 1) a descriptor and a row.
   std::int32_t attach(std::shared_ptr<Socket> socket);
   /// The fixed descriptors: multicast and log.
   void attachFixed(std::int32_t fd, std::shared_ptr<Socket> socket);
   /// A message on a socket: runs `x-http::recv`. false: the socket's `recv` flag is not set; keep the message and
   /// try again after `Socket::readyToReceive`. flags: 0, or 1 text, 2 binary.
   bool recv(std::int32_t fd, ByteView data, std::uint32_t flags);
   /// The peer or the node closed the connection. `Socket::close` follows when no context holds it.
   void closed(std::int32_t fd);
   /// `Socket::info` changed from HTTP to WebSocket by an accepted handshake; rewrites the row.
   void socketUpgraded(std::int32_t fd);

   /// Writes the env and hostConfig rows, and installs `local` when the node-local code table is empty, all in one
   /// commit. Errors: a service failed, or a request was not answered 200.
   [[nodiscard]] std::expected<void, Rejection>
   firstStart(const LocalTemplate& local, const std::vector<std::pair<std::string, std::string>>& environment,
              const format::HostConfigRow& config);
   /// Requests of the node to itself, answered in order by `x-http::serve`; what they write is one commit. Errors, and
   /// nothing was written: a service failed, or a request was not answered 200 within its call.
   [[nodiscard]] std::expected<std::vector<format::HttpReply>, Rejection>
   askItself(const std::vector<format::HttpRequest>& requests);
   /// Whether the node-local code table is empty.
   bool needsLocalServices() const;
   /// Runs `x-http::startSession`. Errors: the action's.
   [[nodiscard]] std::expected<void, Rejection> startSession();

   /// Runs the timer if it is due, else the next run row that no other thread is running.
   /// false: nothing to run now.
   bool runNext();
   /// When `runNext` should be called again for the timer, in monotonic microseconds.
   std::optional<std::int64_t> timerDueUs() const;

   /// Runs one action in a mode of its own on head and returns its trace; changes to chain databases are dropped,
   /// committed node-local ones persist. For the node's own calls and the tester.
   format::TransactionTrace runAction(format::RunMode mode, const format::Action& action);

   class Impl;

private:
   std::unique_ptr<Impl> impl_;
};

/// ## onFinal (node-local, our own)
///
/// When a block becomes irreversible and its state can be read, the kernel runs every action of the row
/// NotifyRow{type = notifyFinal} in nativeSubjective, table 8, in callback mode on head with rawData frac(tuple(u32
/// blockNum)): sender must be 0, registered rawData empty. `transact+1` registers {0, transact+1, onFinal}
/// there (through `x-transact`, which writes nativeSubjective). Several blocks at once are told of as one call with the
/// newest number; the newest is told of again every few seconds. Chain writes of the call are dropped; node-local
/// commits persist. Failures are logged.
inline constexpr std::uint32_t notifyFinal = 5;

/// ## Interest (node-local, our own)
///
/// Most transactions that a node executes nobody there waits for, least of all where it follows. A service that is told
/// of all of them may say when that is of no use: an action {0, service, method, frac(vector<bytes>)} of the row
/// NotifyRow{type = notifyInterest} in nativeSubjective, table 8. The callback `method` of `service` about a
/// transaction (acceptTransaction, rejectTransaction) then runs only while, for one of the byte strings, the database
/// that its first byte names (64 to 67) has a row with its other bytes and the transaction's id for a key. `transact+1`
/// registers where it keeps what is queued and who waits. Without such an action, or where it cannot be read, the
/// callback always runs.
inline constexpr std::uint32_t notifyInterest = 6;

} // namespace polis::kernel
