#include "format/builtin_types.hpp"

#include "format/chain.hpp"
#include "format/merkle.hpp"
#include "format/native_tables.hpp"

#include <algorithm>

namespace polis::format {
namespace {

template <class T>
std::expected<std::string, FracError> jsonOf(ByteView bytes) {
   const auto value = unpack<T>(bytes);
   if (!value)
      return std::unexpected(value.error());
   return toJson(*value);
}

template <class T>
std::expected<Bytes, JsonError> bytesOf(std::string_view json) {
   const auto value = fromJson<T>(json);
   if (!value)
      return std::unexpected(value.error());
   return pack(*value);
}

template <class T>
constexpr BuiltinType entry(std::string_view name = declaredName<T>()) {
   return {name, &validate<T>, &jsonOf<T>, &bytesOf<T>, [] { return schemaOf<T>(); }};
}

constexpr auto sorted(auto list) {
   std::ranges::sort(list, {}, &BuiltinType::name);
   return list;
}

constexpr auto types = sorted(std::array{
    entry<Action>(),
    entry<ActionTrace>(),
    entry<BftConsensus>(),
    entry<Block>(),
    entry<BlockConfirm>(),
    entry<BlockDataRow>(),
    entry<BlockHeader>(),
    entry<BlockHeaderAuthAccount>(),
    entry<BlockHeaderCode>(),
    entry<BlockHeaderWasmConfig>(),
    entry<BlockInfo>(),
    entry<CftConsensus>(),
    entry<Claim>(),
    entry<CodeByHashRow>(),
    entry<CodeRow>(),
    entry<CommitMessage>(),
    entry<ConfigRow>(),
    entry<Consensus>(),
    entry<ConsensusChangeRow>(),
    entry<ConsoleTrace>(),
    entry<EnvRow>(),
    entry<EventRecord>(),
    entry<EventTrace>(),
    entry<GenesisActionData>(),
    entry<GenesisService>(),
    entry<HostConfigRow>(),
    entry<HttpHeader>(),
    entry<HttpReply>(),
    entry<HttpRequest>(),
    entry<InnerTrace>(),
    entry<JointConsensus>(),
    entry<LogMessage>(),
    entry<LogTruncateRow>(),
    entry<Merkle>(),
    entry<NotifyRow>(),
    entry<PendingConsensus>(),
    entry<PendingShutdownRow>(),
    entry<PrepareMessage>(),
    entry<ProcessTransactionArgs>(),
    entry<Producer>(),
    entry<ProducerConfirm>(),
    entry<RunRow>(),
    entry<ScheduledSnapshotRow>(),
    BuiltinType{"Schema", &validate<Schema>, &jsonOf<Schema>, &bytesOf<Schema>,
                [] { return schemaOf<Schema>("Schema"); }},
    entry<ServiceMethod>(),
    entry<ServiceSchema>(),
    entry<SignedBlock>(),
    entry<SignedTransaction>(),
    entry<SnapshotRow>(),
    entry<SocketRow>(),
    entry<StateChecksum>(),
    entry<StateSignature>(),
    entry<StatusRow>(),
    entry<Tapos>(),
    entry<TimerRow>(),
    entry<Transaction>(),
    entry<TransactionInfo>(),
    entry<TransactionTrace>(),
    entry<VMOptions>(),
    entry<VerifyArgs>(),
    entry<WasmConfigRow>(),
});

} // namespace

std::span<const BuiltinType> builtinTypes() { return types; }

const BuiltinType* findBuiltinType(std::string_view name) {
   const auto found = std::ranges::lower_bound(types, name, {}, &BuiltinType::name);
   return found != types.end() && found->name == name ? &*found : nullptr;
}

} // namespace polis::format
