// Consensus as a pure state machine: `step` takes one event and the time, and returns what is to be done.
//
// A Replica reads no clock, does no I/O, starts no thread, and draws no randomness: the same events in the same order
// give the same effects. One thread owns it (the consensus thread). What must survive a restart is asked to be
// persisted, and what rests on it leaves only after `Persisted` has come back; the caller need not order anything.
//
// docs/consensus.md explains the rules and names the file of each.
#pragma once

#include "consensus/messages.hpp"
#include "consensus/producers.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace polis::consensus {

/// A connection to a neighbour, named by the network.
using PeerId = std::uint64_t;

/// Microseconds. `monotonic` never goes back and drives timers; `real` is since 1970 and is compared with block times.
struct Now {
   std::int64_t monotonic = 0;
   std::int64_t real = 0;
};

using BlockPtr = std::shared_ptr<const format::SignedBlock>;

// --- Signatures ------------------------------------------------------------------------------------------------------

/// Makes and checks signatures; handed in by the node. Deterministic within a run.
class Signatures {
public:
   virtual ~Signatures() = default;
   /// Whether `signature` answers `claim` for `digest`, by the verify services that `under` lists, which are in force.
   /// Called only for claims of members of a producer set. Never called for the empty claim.
   virtual bool verify(const format::Consensus& under, const Claim& claim, const Checksum256& digest,
                       ByteView signature) = 0;
   /// Whether this node holds the key of a claim, unlocked.
   virtual bool canSign(const Claim& claim) = 0;
   /// None when the key is not at hand. Never called for the empty claim.
   virtual std::optional<Bytes> sign(const Claim& claim, const Checksum256& digest) = 0;
};

// --- What survives a restart -----------------------------------------------------------------------------------------

/// Place of a block in the order of fork choice (F1): term first, then height, then id.
struct BlockOrder {
   TermNum term = 0;
   BlockId id{}; ///< begins with the height, big-endian
   friend auto operator<=>(const BlockOrder&, const BlockOrder&) = default;
   bool none() const { return id == BlockId{}; }
};

/// Proof that a block is prepared: enough signatures of every set that prepares it.
struct PrepareCertificate {
   BlockOrder block{};
   std::vector<ProducerConfirm> prepares{};
   std::optional<std::vector<ProducerConfirm>> nextPrepares{};
   friend bool operator==(const PrepareCertificate&, const PrepareCertificate&) = default;
};

/// A node that began when its producer may have voted already, from a folder that is lost. It does not vote until it
/// can contradict none of those votes: the chain knew no such producer when it began, or the terms in which these may
/// be have passed.
struct ForgottenVotes {
   std::int64_t beforeUs = 0;     ///< real time
   std::optional<TermNum> term{}; ///< of the first irreversible block that was made later
   friend bool operator==(const ForgottenVotes&, const ForgottenVotes&) = default;
};

/// What a node must never forget. The newest one counts; packed with fracpack in the journal.
struct SafetyRecord {
   TermNum term = 0;
   AccountNumber votedFor{};          ///< CFT, in `term`
   BlockOrder bestConfirm{};          ///< best block that this node prepared, committed or confirmed
   bool confirmedByCft = false;       ///< ... with a CFT Confirm
   PrepareCertificate bestPrepared{}; ///< best block known to be prepared
   PrepareCertificate viewBase{};     ///< what this node names in its view change for `term`
   BlockOrder committed{};            ///< irreversible
   Bytes commitProof{};               ///< packed BlockConfirm of `committed`, or empty
   std::optional<ForgottenVotes> forgotten{};
   friend bool operator==(const SafetyRecord&, const SafetyRecord&) = default;
};

/// Where a replica begins: an irreversible block, and the executed blocks above it that the journal holds, parents
/// first.
struct Restored {
   BlockId root{};
   format::BlockHeader rootHeader{}; ///< blockNum 1 before genesis
   format::JointConsensus rootConsensus{};
   std::vector<BlockPtr> blocks{};
   /// None: `fresh` says whether there never was one, or it was lost. A node that lost it does not vote.
   std::optional<SafetyRecord> record{};
   bool fresh = true;
   /// Where there is no record, and there may have been votes before.
   std::optional<ForgottenVotes> forgotten{};
};

// --- Events ----------------------------------------------------------------------------------------------------------

/// A whole block from a neighbour.
struct BlockReceived {
   PeerId from = 0;
   BlockPtr block;
};

/// A message, taken out of its envelope.
struct MessageReceived {
   PeerId from = 0;
   Message message;
};

enum class Verdict : std::uint8_t {
   valid,
   invalid,
   cancelled, ///< as CancelExecution asked
};

/// The answer to Execute.
struct BlockExecuted {
   BlockId id{};
   Verdict verdict = Verdict::valid;
};

/// This node finished a block as Produce asked, and the block is durable.
struct BlockSealed {
   BlockPtr block;
};

/// This node could not start or finish a block on this parent, although it has no other reason to stop.
struct ProductionFailed {
   BlockId parent{};
};

/// Everything up to the record of this number is durable.
struct Persisted {
   std::uint64_t sequence = 0;
};

/// A link is ready for consensus messages. VCs and a RequestView go out on it.
struct PeerConnected {
   PeerId peer = 0;
};

/// Keys were unlocked or locked.
struct KeysChanged {};

/// Time has passed; due at `Replica::wakeAt`, harmless at any other time.
struct Tick {};

using Event = std::variant<BlockReceived, MessageReceived, BlockExecuted, BlockSealed, ProductionFailed, Persisted,
                           PeerConnected, KeysChanged, Tick>;

// --- Effects ---------------------------------------------------------------------------------------------------------

/// To one neighbour.
struct SendToPeer {
   PeerId to = 0;
   Bytes frame;
};

/// Routed to one producer.
struct SendToProducer {
   AccountNumber producer{};
   Bytes frame;
   /// The block that the message is about: a neighbour is sent it only once it has that block.
   std::optional<BlockId> about;
};

/// Routed to producers, this node's own not among them.
struct Multicast {
   std::vector<AccountNumber> to; ///< ascending, each once
   Bytes frame;
   std::optional<BlockId> about;
};

/// To all neighbours but one, who do the same.
struct Flood {
   Bytes frame;
   std::optional<PeerId> except;
};

/// Append to the journal behind everything journalled so far, sync, and answer with Persisted{sequence}.
struct Persist {
   std::uint64_t sequence = 0;
   SafetyRecord record;
};

/// Validate, execute and journal a block whose parent is executed; answer with BlockExecuted. One at a time.
struct Execute {
   BlockId id{};
   BlockPtr block;
};
/// The block being executed is no longer wanted; answer with `cancelled`, or with the verdict if it came first.
struct CancelExecution {
   BlockId id{};
};

/// The executed block on which the chain stands now. Blocks are sent to neighbours along this chain.
struct SetHead {
   BlockId id{};
   BlockNum num = 0;
};

/// Everything up to this block, which is executed and an ancestor of head or head itself, is irreversible.
struct CommitBlock {
   BlockId id{};
   BlockNum num = 0;
   Bytes proof; ///< packed BlockConfirm under BFT, to be kept as BlockDataRow; empty otherwise
};

/// This node leads: the next block that it opens is on `parent`, which is head, with these values. Replaces the last
/// one; a block that is open goes on if parent, term and producer are the same, and is aborted otherwise. Sealing uses
/// the order up: no second block is made by it, and none while one waits to be durable.
struct Produce {
   BlockId parent{};
   AccountNumber producer{};
   Claim claim; ///< sign the block with its key
   TermNum term = 0;
   BlockNum commitNum = 0;
   std::optional<Bytes> aux; ///< auxConsensusData of the block
   /// A block with transactions has become irreversible, and others learn of it from a header only: the next block is
   /// sealed at once, empty, for that. Such a block asks for no other.
   bool news = false;
   friend bool operator==(const Produce&, const Produce&) = default;
};
/// This node does not lead: abort an open block.
struct StopProducing {};

struct Disconnect {
   PeerId peer = 0;
   std::string reason;
};

/// A message that came from this neighbour is not signed by the member that it names.
struct Forged {
   PeerId from = 0;
};

/// Consensus is broken beyond what the protocol allows for (F4): stop the node with this message.
struct Halt {
   std::string reason;
};

using Effect = std::variant<SendToPeer, SendToProducer, Multicast, Flood, Persist, Execute, CancelExecution, SetHead,
                            CommitBlock, Produce, StopProducing, Disconnect, Forged, Halt>;
using Effects = std::vector<Effect>;

// --- The replica -----------------------------------------------------------------------------------------------------

/// Checks that can be switched off one by one, so that a test shows what each is for. All on everywhere else.
/// The names are those of the weak spots in docs/consensus.md.
struct Guards {
   bool distinctSigners = true;         ///< D1
   bool viewChangeOfThisTerm = true;    ///< D2
   bool persistBeforeSend = true;       ///< D3
   bool prudentAboutEmpty = true;       ///< D4
   bool prudentAboutTime = true;        ///< D5
   bool boundedExecution = true;        ///< D6
   bool canonicalMessages = true;       ///< D7
   bool timersShrink = true;            ///< D8
   bool oldLockIsSettled = true;        ///< D9
   bool votesAreReconsidered = true;    ///< D10
   bool viewsSurviveSetChange = true;   ///< D11
   bool viewNamesProvable = true;       ///< D12
   bool boundedForks = true;            ///< D13
   bool membersBeforeSignatures = true; ///< D14
};

struct Options {
   AccountNumber producer{};               ///< this node's account; 0: it never produces
   std::uint64_t seed = 0;                 ///< spreads election timeouts
   std::int64_t viewTimeoutUs = 2'500'000; ///< BFT, first and least; who is silent for longer is not there
   std::int64_t viewTimeoutMaxUs = 30'000'000;
   std::int64_t electionTimeoutUs = 3'000'000; ///< CFT; the actual one lies in [T, 2T]
   std::int64_t electionTimeoutMaxUs = 20'000'000;
   std::int64_t resendUs = 1'000'000;       ///< votes are repeated while nothing becomes irreversible
   std::int64_t futureMaxUs = 2'000'000;    ///< no Prepare for a block from further in the future
   std::int64_t executionMaxUs = 1'500'000; ///< no waiting longer at first for a block that nobody has vouched for
   BlockNum blocksAheadMax = 1024;          ///< no own block further above the irreversible one
   Guards guards{};
};

enum class Role : std::uint8_t { observer, follower, candidate, leader };

class ReplicaState;

class Replica {
public:
   /// signatures outlives the replica. `start` must be the first call.
   Replica(Options options, Signatures& signatures, Restored restored);
   ~Replica();
   Replica(Replica&&) noexcept;
   Replica& operator=(Replica&&) noexcept;

   [[nodiscard]] Effects start(Now now);
   [[nodiscard]] Effects step(const Event& event, Now now);

   /// Monotonic time at which a Tick is due; none when nothing waits.
   std::optional<std::int64_t> wakeAt() const;

   // ---- what the network layer asks ----

   BlockId head() const;
   BlockNum headNum() const;
   BlockId irreversible() const;
   BlockNum irreversibleNum() const;
   TermNum term() const;
   Role role() const;
   /// Whether this node keeps from voting because of votes that it may have forgotten.
   bool keepsFromVoting() const;
   /// Sets in force for the next block on head: who is to be reached.
   const ProducerSets& sets() const;
   /// Whether the block is in memory: the irreversible one or above it, and not condemned.
   bool knows(const BlockId& id) const;
   /// Null unless above the irreversible block.
   BlockPtr block(const BlockId& id) const;
   /// The id at a height of the chain of head; none below the irreversible block.
   std::optional<BlockId> blockOnChain(BlockNum num) const;
   /// Whether a member of the sets in force has signed it.
   template <SignedContent M>
   bool isSigned(const Signed<M>& message);
   /// Why the author of a block, whose parent is known, may not have made it.
   std::optional<std::string> authorProblem(const format::BlockHeader& header, ByteView signature);
   /// Signed Prepares and Commits for a block, each a frame: what follows the block on a link (Y3).
   std::vector<Bytes> votesFor(const BlockId& id) const;
   /// For metrics and the operator's page.
   struct Counters {
      std::uint64_t termsEntered = 0;
      std::uint64_t elections = 0;
      std::uint64_t badSignatures = 0;
      std::uint64_t ignoredMessages = 0;
      std::uint64_t signatureChecks = 0;
      std::uint64_t blocksInMemory = 0;
      std::uint64_t unsettled = 0; ///< events after which the rules did not agree: a bug
   };
   Counters counters() const;

private:
   std::unique_ptr<ReplicaState> state_;
};

/// The bytes that a producer signs for a block are format::blockSignaturePreimage; Produce::claim says with which key.

} // namespace polis::consensus
