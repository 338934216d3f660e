// The mempool of this node, and logins: `transact+1`.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

/// Up to where the queue was looked at for what is too late.
struct QueueSweep {
   std::uint64_t from = 0;
};

/// A transaction that waits to be put into a block, or was and is not irreversible yet.
struct PendingTransaction {
   std::uint64_t sequence = 0; ///< its place in the queue
   Checksum256 id{};
   TimePointSec expiration;
   Bytes trx;                                ///< packed SignedTransaction
   std::optional<std::vector<Bytes>> tokens; ///< of proofs that were verified, by index
};

/// Counts what was queued.
struct AvailableSequence {
   std::uint64_t sequence = 0;
};

/// The queue has a time of its own, in units of work; a place in it is such a time and, below it, a number that tells
/// apart those who share it. What each sender has there lies one behind the other, and all senders side by side: so
/// they take turns.
struct Lane {
   AccountNumber sender;   ///< of the first action, who has signed for it
   std::uint64_t next = 0; ///< where its last transaction ends
   std::uint64_t debt = 0; ///< for failures, which nobody pays for on the chain
};

/// How far the chain has been given of the queue, on any fork. What comes now is placed there or later, behind what is
/// there.
struct GivenTime {
   std::uint64_t until = 0;
   AccountNumber sweep; ///< lanes were looked at up to here
};

struct JwtKey {
   std::array<std::uint8_t, 16> key{};
};

/// Waits for its proofs. The same transaction may do so with several sets of them: the id says nothing of proofs.
struct UnverifiedTransaction {
   Checksum256 id{};
   Checksum256 signedHash{}; ///< of `trx`
   TimePointSec expiration;
   Bytes trx;
   std::vector<std::uint64_t> verifyIds; ///< by proof; 0 once verified
   std::vector<Bytes> tokens;            ///< by proof
};

struct PendingVerify {
   std::uint64_t verifyId = 0;
   Checksum256 id{};
   Checksum256 signedHash{};
   std::uint32_t proof = 0;
};

/// A speculative run, after which the transaction is sent to the other producers.
struct SpeculativeRun {
   std::uint64_t runId = 0;
   Checksum256 id{};
};

/// The trace of a transaction that failed, until it cannot be included any more.
struct TxFailed {
   TimePointSec expiration;
   Checksum256 id{};
   Bytes trace;
};

struct TxStats {
   std::uint64_t unprocessed = 0;
   std::uint64_t total = 0;
   std::uint64_t failed = 0;
   std::uint64_t succeeded = 0;
   std::uint64_t expired = 0;
};

struct Reverified {
   std::uint64_t seq = 0;
};

/// What waits here, of the transactions whose ids fall to one shard: shards spare requests a common counter, over which
/// they would conflict.
struct PoolShard {
   std::uint8_t shard = 0;
   std::uint32_t count = 0;
   std::uint64_t bytes = 0;
};

/// Who waits for a transaction.
struct TraceClientInfo {
   std::int32_t socket = 0;
   bool json = true;
   std::uint8_t waitFor = 0; ///< 0 final, 1 applied
};

struct TraceClient {
   Checksum256 id{};
   TimePointSec expiration;
   std::vector<TraceClientInfo> clients;
};

/// Which transaction a socket waits for; a socket number may be used again.
struct ClientSocket {
   std::int32_t socket = 0;
   Checksum256 id{};
};

/// How far the chain has come in the queue; follows forks.
struct UnappliedTransaction {
   std::uint64_t nextSequence = 0;
   BlockNum blockNum = 0;
   std::uint64_t blockBytes = 0;          ///< handed to this block
   std::optional<std::int64_t> givenUs{}; ///< when the last was handed over, by the monotonic clock
};

/// Applied in this block; follows forks.
struct AppliedTransaction {
   BlockNum blockNum = 0;
   Checksum256 id{};
   Bytes trace; ///< empty when nobody waited
};

class TransactQuery : public Service {
public:
   static constexpr auto account = "transact+1"_a;

   /// A pushed transaction; one that fits no block is of no use.
   static constexpr std::size_t transactionBytesMax = 8u << 20;
   /// Claims of one, each of which is work to verify.
   static constexpr std::size_t claimsMax = 256;
   /// All that waits to be verified or executed, and traces of failures that somebody waits for; per shard.
   static constexpr std::uint8_t poolShards = 16;
   static constexpr std::uint32_t shardCountMax = 4096;
   static constexpr std::uint64_t shardBytesMax = 16u << 20;
   /// Work that senders do in turn, in units: a small transaction is one, and so are 4 KiB.
   static constexpr std::uint64_t turnUnits = 64;
   static constexpr std::uint64_t unitBytes = 4096;
   static constexpr std::uint64_t unitUs = 128;
   /// What one sender has in the queue, and what it may owe.
   static constexpr std::uint64_t laneUnitsMax = 16384;
   static constexpr std::uint64_t debtMax = 16 * turnUnits;
   /// A longer trace of a failure is kept as its error alone, which is cut.
   static constexpr std::size_t failedTraceBytesMax = 16384;
   static constexpr std::size_t failedErrorBytesMax = 4096;
   /// Of a longer trace, JSON tells the error only.
   static constexpr std::size_t jsonTraceBytesMax = 256 * 1024;

   using Pending =
       SubjectiveTable<0, PendingTransaction, &PendingTransaction::sequence, Index<&PendingTransaction::id>>;
   using Sequences = SubjectiveTable<1, AvailableSequence, key<>>;
   using JwtKeys = SubjectiveTable<2, JwtKey, key<>>;
   using Unverified = SubjectiveTable<
       11, UnverifiedTransaction, key<&UnverifiedTransaction::id, &UnverifiedTransaction::signedHash>,
       Index<&UnverifiedTransaction::expiration, &UnverifiedTransaction::id, &UnverifiedTransaction::signedHash>>;
   using PendingVerifies = SubjectiveTable<12, PendingVerify, &PendingVerify::verifyId>;
   using Given = SubjectiveTable<13, GivenTime, key<>>;
   using SpeculativeRuns = SubjectiveTable<5, SpeculativeRun, &SpeculativeRun::runId>;
   using Failed = SubjectiveTable<6, TxFailed, key<&TxFailed::expiration, &TxFailed::id>, Index<&TxFailed::id>>;
   using Stats = SubjectiveTable<7, TxStats, key<>>;
   using ReverifiedTable = SubjectiveTable<8, Reverified, key<>>;
   using PoolShards = SubjectiveTable<10, PoolShard, &PoolShard::shard>;
   using Clients = SessionTable<0, TraceClient, &TraceClient::id, Index<&TraceClient::expiration, &TraceClient::id>>;
   using ClientSockets = SessionTable<1, ClientSocket, &ClientSocket::socket>;
   using Lanes = SessionTable<2, Lane, &Lane::sender>;
   using Sweeps = SessionTable<3, QueueSweep, key<>>;
   using Unapplied = WriteOnlyTable<0, UnappliedTransaction, key<>>;
   using Applied = WriteOnlyTable<1, AppliedTransaction, key<&AppliedTransaction::blockNum, &AppliedTransaction::id>>;

   /// The next transaction for the block being built. From the node.
   std::optional<SignedTransaction> next();
   /// Tokens of proofs of `trx` that were verified before. From the node.
   std::optional<std::vector<std::optional<Bytes>>> preverify(SignedTransaction trx);
   /// A transaction that another producer sends. From http.
   void recv(Bytes trx);
   void onTrx(Checksum256 id, TransactionTrace trace);
   void onBlock();
   /// A block has become irreversible. From the node, which calls again from time to time while none does.
   void onFinal(std::uint32_t blockNum);
   void onVerify(std::uint64_t id, TransactionTrace trace, std::optional<Bytes> token);
   void onSpecTrx(std::uint64_t id, TransactionTrace trace, std::optional<Bytes> token);
   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
   /// A token that logs the sender in at this node. rootHost: its audience.
   std::string login(std::string rootHost);
   /// The account that a request is logged in as.
   std::optional<AccountNumber> getUser(HttpRequest request);
};
POLIS_SERVICE(TransactQuery, action(next), action(preverify, trx), action(recv, trx), action(onTrx, id, trace),
              action(onBlock), action(onFinal, blockNum), action(onVerify, id, trace, token),
              action(onSpecTrx, id, trace, token), action(serveSys, request, socket, user), action(login, rootHost),
              action(getUser, request))

/// What an app's login action looks like.
struct LoginArgs {
   std::string rootHost;
};

} // namespace polis::services
