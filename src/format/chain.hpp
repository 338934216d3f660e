// Transactions, blocks, consensus data and traces. Field order and names are the protocol's.
// Source: spec, formats §9. A struct without FixedLayout may gain optional members at its end.
#pragma once

#include "base/bytes.hpp"
#include "format/names.hpp"
#include "format/types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace polis::format {

using BlockNum = std::uint32_t;
using TermNum = std::uint32_t;

// --- Transactions ----------------------------------------------------------------------------------------------------

struct Action {
   static constexpr auto customId = "Action";

   AccountNumber sender{};
   AccountNumber service{};
   MethodNumber method{};
   Bytes rawData{}; ///< the packed arguments
   friend bool operator==(const Action&, const Action&) = default;
};

/// What a proof has to answer: `service` judges it by `rawData`, such as a public key.
struct Claim {
   AccountNumber service{};
   Bytes rawData{};
   friend bool operator==(const Claim&, const Claim&) = default;
};

/// Ties a transaction to a chain and a time.
struct Tapos {
   using FixedLayout = std::true_type;
   static constexpr std::uint16_t doNotBroadcast = 1;
   static constexpr std::uint16_t knownFlags = doNotBroadcast;

   TimePointSec expiration{};
   std::uint32_t refBlockSuffix = 0; ///< last four bytes of the reference block's id, read little-endian
   std::uint16_t flags = 0;
   std::uint8_t refBlockIndex = 0;
   friend bool operator==(const Tapos&, const Tapos&) = default;
};

struct Transaction {
   Tapos tapos{};
   std::vector<Action> actions{};
   std::vector<Claim> claims{};
   friend bool operator==(const Transaction&, const Transaction&) = default;
};

struct SignedTransaction {
   Nested<Transaction> transaction{};
   std::vector<Bytes> proofs{}; ///< proof i answers claim i
   std::optional<std::vector<Bytes>> subjectiveData{};
   friend bool operator==(const SignedTransaction&, const SignedTransaction&) = default;
};

/// A leaf of a block's transaction tree.
struct TransactionInfo {
   Checksum256 transactionId{};
   Checksum256 signatureHash{};
   Checksum256 subjectiveDataHash{};
   friend bool operator==(const TransactionInfo&, const TransactionInfo&) = default;
};

struct ProcessTransactionArgs {
   Nested<Transaction> transaction{};
};

struct VerifyArgs {
   Checksum256 transactionHash{};
   Claim claim{};
   Bytes proof{};
};

struct ServiceMethod {
   static constexpr auto customId = "ServiceMethod";

   AccountNumber service{};
   MethodNumber method{};
   friend bool operator==(const ServiceMethod&, const ServiceMethod&) = default;
};

struct GenesisService {
   AccountNumber service{};
   std::uint64_t flags = 0;
   std::uint8_t vmType = 0;
   std::uint8_t vmVersion = 0;
   Bytes code{};
};

struct GenesisActionData {
   std::string memo{};
   std::vector<GenesisService> services{};
};

// --- Consensus -------------------------------------------------------------------------------------------------------

struct Producer {
   AccountNumber name{};
   Claim auth{};
   friend bool operator==(const Producer&, const Producer&) = default;
};

struct CftConsensus {
   std::vector<Producer> producers{};
   friend bool operator==(const CftConsensus&, const CftConsensus&) = default;
};

struct BftConsensus {
   std::vector<Producer> producers{};
   friend bool operator==(const BftConsensus&, const BftConsensus&) = default;
};

using ConsensusData = std::variant<CftConsensus, BftConsensus>;

struct BlockHeaderAuthAccount {
   AccountNumber codeNum{};
   Checksum256 codeHash{};
   std::uint8_t vmType = 0;
   std::uint8_t vmVersion = 0;
   friend bool operator==(const BlockHeaderAuthAccount&, const BlockHeaderAuthAccount&) = default;
};

/// Limits of a service's instance and, for the stack, of all instances of a context together.
struct VMOptions {
   std::uint32_t max_mutable_global_bytes = 0;
   std::uint32_t max_pages = 0;
   std::uint32_t max_table_elements = 0;
   std::uint32_t max_stack_bytes = 0;
   friend bool operator==(const VMOptions&, const VMOptions&) = default;
};

/// What applies where no configuration row is stored.
inline constexpr VMOptions defaultVMOptions{1024, 512, 8192, 1'048'576};

struct BlockHeaderWasmConfig {
   std::uint32_t numExecutionMemories = 0;
   VMOptions vmOptions{};
   friend bool operator==(const BlockHeaderWasmConfig&, const BlockHeaderWasmConfig&) = default;
};

struct Consensus {
   ConsensusData data{};
   std::vector<BlockHeaderAuthAccount> services{};
   BlockHeaderWasmConfig wasmConfig{};
   friend bool operator==(const Consensus&, const Consensus&) = default;
};

struct PendingConsensus {
   Consensus consensus{};
   BlockNum blockNum = 0;
   friend bool operator==(const PendingConsensus&, const PendingConsensus&) = default;
};

struct JointConsensus {
   Consensus current{};
   std::optional<PendingConsensus> next{};
   friend bool operator==(const JointConsensus&, const JointConsensus&) = default;
};

// --- Blocks ----------------------------------------------------------------------------------------------------------

struct BlockHeaderCode {
   std::uint8_t vmType = 0;
   std::uint8_t vmVersion = 0;
   Bytes code{};
   friend bool operator==(const BlockHeaderCode&, const BlockHeaderCode&) = default;
};

struct BlockHeader {
   Checksum256 previous{};
   BlockNum blockNum = 0;
   TimePointUSec time{};
   AccountNumber producer{};
   TermNum term = 0;
   BlockNum commitNum = 0;
   Checksum256 consensusState{};
   Checksum256 trxMerkleRoot{};
   Checksum256 eventMerkleRoot{};
   std::optional<Consensus> newConsensus{};
   std::optional<std::vector<BlockHeaderCode>> authCode{}; ///< not covered by the block id
   friend bool operator==(const BlockHeader&, const BlockHeader&) = default;
};

struct Block {
   BlockHeader header{};
   std::vector<SignedTransaction> transactions{};
   friend bool operator==(const Block&, const Block&) = default;
};

struct SignedBlock {
   Block block{};
   Bytes signature{};
   std::optional<Bytes> auxConsensusData{}; ///< packed BlockConfirm under BFT
   friend bool operator==(const SignedBlock&, const SignedBlock&) = default;
};

struct BlockInfo {
   BlockHeader header{};
   Checksum256 blockId{};
   friend bool operator==(const BlockInfo&, const BlockInfo&) = default;
};

// --- Consensus messages kept in blocks and snapshots -----------------------------------------------------------------

struct PrepareMessage {
   Checksum256 block_id{};
   AccountNumber producer{};
   Claim signer{};
   friend bool operator==(const PrepareMessage&, const PrepareMessage&) = default;
};

struct CommitMessage {
   using FixedLayout = std::true_type;
   Checksum256 block_id{};
   AccountNumber producer{};
   Claim signer{};
   friend bool operator==(const CommitMessage&, const CommitMessage&) = default;
};

struct ProducerConfirm {
   AccountNumber producer{};
   Bytes signature{};
   friend bool operator==(const ProducerConfirm&, const ProducerConfirm&) = default;
};

struct BlockConfirm {
   BlockNum blockNum = 0;
   std::vector<ProducerConfirm> commits{};
   std::optional<std::vector<ProducerConfirm>> nextCommits{};
   friend bool operator==(const BlockConfirm&, const BlockConfirm&) = default;
};

template <class M>
struct SignedMessage {
   using FixedLayout = std::true_type;
   Nested<M> data{};
   Bytes signature{};
   friend bool operator==(const SignedMessage&, const SignedMessage&) = default;
};

struct StateChecksum {
   Checksum256 serviceRoot{};
   Checksum256 nativeRoot{};
   friend bool operator==(const StateChecksum&, const StateChecksum&) = default;
};

struct StateSignature {
   AccountNumber account{};
   Claim claim{};
   Bytes rawData{};
   friend bool operator==(const StateSignature&, const StateSignature&) = default;
};

// --- Traces (not consensus data) -------------------------------------------------------------------------------------

struct ConsoleTrace {
   std::string console{};
   friend bool operator==(const ConsoleTrace&, const ConsoleTrace&) = default;
};

struct EventTrace {
   std::string name{};
   Bytes data{};
   friend bool operator==(const EventTrace&, const EventTrace&) = default;
};

struct InnerTrace;

struct ActionTrace {
   Action action{};
   Bytes rawRetval{};
   std::vector<InnerTrace> innerTraces;
   std::int64_t totalTime = 0; ///< nanoseconds, inner actions included
   std::optional<std::string> error{};
};

struct InnerTrace {
   std::variant<ConsoleTrace, EventTrace, ActionTrace> inner{};
};

struct TransactionTrace {
   std::vector<ActionTrace> actionTraces{};
   std::optional<std::string> error{}; ///< absent or empty: the transaction succeeded
};

/// An event that a service put under a block's eventMerkleRoot.
struct EventRecord {
   std::uint64_t id = 0;
   AccountNumber service{};
   MethodNumber type{};
   Bytes rawData{};
   friend bool operator==(const EventRecord&, const EventRecord&) = default;
};

// --- HTTP and log ----------------------------------------------------------------------------------------------------

struct HttpHeader {
   using FixedLayout = std::true_type;
   std::string name{};
   std::string value{};
   friend bool operator==(const HttpHeader&, const HttpHeader&) = default;
};

struct HttpRequest {
   std::string host{}; ///< without port
   std::string method{};
   std::string target{}; ///< with the query
   std::string contentType{};
   std::vector<HttpHeader> headers{};
   Bytes body{};
   friend bool operator==(const HttpRequest&, const HttpRequest&) = default;
};

struct HttpReply {
   std::uint16_t status = 200;
   std::string contentType{};
   Bytes body{};
   std::vector<HttpHeader> headers{};
   friend bool operator==(const HttpReply&, const HttpReply&) = default;
};

struct LogMessage {
   std::uint32_t severity = 0; ///< 0 to 5
   std::string message{};
   std::optional<AccountNumber> service{};
};

} // namespace polis::format
