// Rows that the node and the services share, and their keys. Source: spec, kernel §5 and §8.3.
#pragma once

#include "format/chain.hpp"
#include "format/key.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace polis::format {

/// Number of a native table. The comment names the databases that hold it.
enum class NativeTable : std::uint16_t {
   status = 1,                ///< native
   code = 2,                  ///< native, nativeSubjective
   codeByHash = 3,            ///< native, nativeSubjective
   transactionWasmConfig = 5, ///< native
   proofWasmConfig = 6,       ///< native
   config = 7,                ///< native
   notify = 8,                ///< native, nativeSubjective
   blockData = 9,             ///< nativeSubjective
   consensusChange = 10,      ///< nativeSubjective
   snapshot = 11,             ///< nativeSubjective
   scheduledSnapshot = 12,    ///< native
   logTruncate = 13,          ///< nativeSubjective
   socket = 14,               ///< nativeSession
   run = 15,                  ///< nativeSubjective
   env = 16,                  ///< nativeSession
   hostConfig = 17,           ///< nativeSession
   pendingShutdown = 18,      ///< nativeSession
   timer = 19,                ///< nativeSession
};

/// u16 table, u8 0, then the keys of the primary key's parts.
template <class... K>
Bytes nativeKey(NativeTable table, const K&... parts) {
   return toKey(table, std::uint8_t{0}, parts...);
}

struct StatusRow {
   Checksum256 chainId{};
   BlockHeader current{};
   std::optional<BlockInfo> head{};
   JointConsensus consensus{};
   friend bool operator==(const StatusRow&, const StatusRow&) = default;

   static Bytes key() { return nativeKey(NativeTable::status); }
};

struct CodeRow {
   static constexpr std::uint64_t isPrivileged = 1;
   static constexpr std::uint64_t isVerify = 2;
   static constexpr std::uint64_t isReplacement = std::uint64_t{1} << 32;

   AccountNumber codeNum{};
   std::uint64_t flags = 0;
   Checksum256 codeHash{};
   std::uint8_t vmType = 0;
   std::uint8_t vmVersion = 0;
   friend bool operator==(const CodeRow&, const CodeRow&) = default;

   static Bytes key(AccountNumber codeNum) { return nativeKey(NativeTable::code, codeNum); }
   Bytes key() const { return key(codeNum); }
};

struct CodeByHashRow {
   Checksum256 codeHash{};
   std::uint8_t vmType = 0;
   std::uint8_t vmVersion = 0;
   Bytes code{};
   friend bool operator==(const CodeByHashRow&, const CodeByHashRow&) = default;

   static Bytes key(const Checksum256& hash, std::uint8_t vmType, std::uint8_t vmVersion) {
      return nativeKey(NativeTable::codeByHash, hash, vmType, vmVersion);
   }
   Bytes key() const { return key(codeHash, vmType, vmVersion); }
};

/// Packs exactly like BlockHeaderWasmConfig.
struct WasmConfigRow {
   std::uint32_t numExecutionMemories = 32;
   VMOptions vmOptions = defaultVMOptions;
   friend bool operator==(const WasmConfigRow&, const WasmConfigRow&) = default;

   /// table: transactionWasmConfig or proofWasmConfig.
   static Bytes key(NativeTable table) { return nativeKey(table); }
};

struct ConfigRow {
   std::uint32_t maxKeySize = 128;
   std::uint32_t maxValueSize = 8'388'608;
   friend bool operator==(const ConfigRow&, const ConfigRow&) = default;

   static Bytes key() { return nativeKey(NativeTable::config); }
};

/// When the actions of a NotifyRow run.
enum class NotifyType : std::uint32_t {
   acceptBlock = 0,
   acceptTransaction = 1,
   rejectTransaction = 2,
   nextTransaction = 3,
   preverifyTransaction = 4,
};

struct NotifyRow {
   NotifyType type{};
   std::vector<Action> actions{};
   friend bool operator==(const NotifyRow&, const NotifyRow&) = default;

   static Bytes key(NotifyType type) { return nativeKey(NativeTable::notify, type); }
   Bytes key() const { return key(type); }
};

struct BlockDataRow {
   Checksum256 blockId{};
   std::optional<Bytes> auxConsensusData{};
   friend bool operator==(const BlockDataRow&, const BlockDataRow&) = default;

   static Bytes key(const Checksum256& blockId) { return nativeKey(NativeTable::blockData, blockId); }
   Bytes key() const { return key(blockId); }
};

struct ConsensusChangeRow {
   BlockNum start = 0;
   BlockNum commit = 0;
   BlockNum end = 0;
   friend bool operator==(const ConsensusChangeRow&, const ConsensusChangeRow&) = default;

   static Bytes key(BlockNum start) { return nativeKey(NativeTable::consensusChange, start); }
   Bytes key() const { return key(start); }
};

struct SnapshotStateItem {
   StateChecksum state{};
   std::vector<StateSignature> signatures{};
   friend bool operator==(const SnapshotStateItem&, const SnapshotStateItem&) = default;
};

struct SnapshotRow {
   Checksum256 id{};
   std::optional<SnapshotStateItem> state{};
   std::vector<SnapshotStateItem> other{};
   friend bool operator==(const SnapshotRow&, const SnapshotRow&) = default;

   static Bytes key(const Checksum256& id) { return nativeKey(NativeTable::snapshot, id); }
   Bytes key() const { return key(id); }
};

struct ScheduledSnapshotRow {
   BlockNum blockNum = 0;
   friend bool operator==(const ScheduledSnapshotRow&, const ScheduledSnapshotRow&) = default;

   static Bytes key(BlockNum blockNum) { return nativeKey(NativeTable::scheduledSnapshot, blockNum); }
   Bytes key() const { return key(blockNum); }
};

struct LogTruncateRow {
   BlockNum start = 0;
   friend bool operator==(const LogTruncateRow&, const LogTruncateRow&) = default;

   static Bytes key() { return nativeKey(NativeTable::logTruncate); }
};

// --- Sockets ---------------------------------------------------------------------------------------------------------

struct IPV4Address {
   using FixedLayout = std::true_type;
   std::array<std::uint8_t, 4> bytes{};
   friend bool operator==(const IPV4Address&, const IPV4Address&) = default;
};

struct IPV4Endpoint {
   using FixedLayout = std::true_type;
   IPV4Address address{};
   std::uint16_t port = 0;
   friend bool operator==(const IPV4Endpoint&, const IPV4Endpoint&) = default;
};

struct IPV6Address {
   using FixedLayout = std::true_type;
   std::array<std::uint8_t, 16> bytes{};
   std::uint32_t zone = 0;
   friend bool operator==(const IPV6Address&, const IPV6Address&) = default;
};

struct IPV6Endpoint {
   using FixedLayout = std::true_type;
   IPV6Address address{};
   std::uint16_t port = 0;
   friend bool operator==(const IPV6Endpoint&, const IPV6Endpoint&) = default;
};

struct LocalEndpoint {
   using FixedLayout = std::true_type;
   std::string path{};
   friend bool operator==(const LocalEndpoint&, const LocalEndpoint&) = default;
};

using SocketEndpoint = std::variant<IPV4Endpoint, IPV6Endpoint, LocalEndpoint>;

struct TLSInfo {
   friend bool operator==(const TLSInfo&, const TLSInfo&) = default;
};

struct ProducerMulticastSocketInfo {
   friend bool operator==(const ProducerMulticastSocketInfo&, const ProducerMulticastSocketInfo&) = default;
};

struct LogSocketInfo {
   friend bool operator==(const LogSocketInfo&, const LogSocketInfo&) = default;
};

struct HttpSocketInfo {
   std::optional<SocketEndpoint> endpoint{};
   std::optional<TLSInfo> tls{};
   friend bool operator==(const HttpSocketInfo&, const HttpSocketInfo&) = default;
};

struct HttpClientSocketInfo {
   std::optional<SocketEndpoint> endpoint{};
   std::optional<TLSInfo> tls{};
   friend bool operator==(const HttpClientSocketInfo&, const HttpClientSocketInfo&) = default;
};

struct WebSocketInfo {
   std::optional<SocketEndpoint> endpoint{};
   std::optional<TLSInfo> tls{};
   friend bool operator==(const WebSocketInfo&, const WebSocketInfo&) = default;
};

struct P2PSocketInfo {
   std::optional<SocketEndpoint> endpoint{};
   std::optional<TLSInfo> tls{};
   friend bool operator==(const P2PSocketInfo&, const P2PSocketInfo&) = default;
};

using SocketInfo = std::variant<ProducerMulticastSocketInfo, LogSocketInfo, HttpSocketInfo, HttpClientSocketInfo,
                                WebSocketInfo, P2PSocketInfo>;

struct SocketRow {
   static constexpr std::int32_t producerMulticast = 0;
   static constexpr std::int32_t log = 1;

   std::int32_t fd = 0;
   SocketInfo info{};
   friend bool operator==(const SocketRow&, const SocketRow&) = default;

   static Bytes key(std::int32_t fd) { return nativeKey(NativeTable::socket, fd); }
   Bytes key() const { return key(fd); }
};

// --- Work and settings of this node ----------------------------------------------------------------------------------

enum class RunMode : std::uint8_t { verify = 0, speculative = 1, rpc = 2, callback = 3 };

struct RunRow {
   std::uint64_t id = 0;
   RunMode mode{};
   std::int64_t maxTime = 0; ///< microseconds
   Action action{};
   ServiceMethod continuation{};
   friend bool operator==(const RunRow&, const RunRow&) = default;

   static Bytes key(std::uint64_t id) { return nativeKey(NativeTable::run, id); }
   Bytes key() const { return key(id); }
};

struct EnvRow {
   std::string name{};
   std::string value{};
   friend bool operator==(const EnvRow&, const EnvRow&) = default;

   static Bytes key(std::string_view name) { return nativeKey(NativeTable::env, name); }
   Bytes key() const { return key(name); }
};

struct HostConfigRow {
   std::string hostVersion{};
   std::string config{}; ///< JSON
   friend bool operator==(const HostConfigRow&, const HostConfigRow&) = default;

   static Bytes key() { return nativeKey(NativeTable::hostConfig); }
};

struct PendingShutdownRow {
   std::string args{}; ///< JSON
   friend bool operator==(const PendingShutdownRow&, const PendingShutdownRow&) = default;

   static Bytes key() { return nativeKey(NativeTable::pendingShutdown); }
};

struct TimerRow {
   std::int64_t expiration = 0; ///< microseconds of the monotonic clock
   AccountNumber service{};
   MethodNumber method{};
   friend bool operator==(const TimerRow&, const TimerRow&) = default;

   static Bytes key() { return nativeKey(NativeTable::timer); }
};

/// Hashed to the token by which a producer recognises a proof that it has verified already.
struct RunToken {
   bool success = false;
   RunMode mode{};
   Action action{};
   Checksum256 context{};
};

} // namespace polis::format
