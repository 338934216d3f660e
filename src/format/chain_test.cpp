#include "format/chain.hpp"

#include "format/fracpack.hpp"
#include "format/ids.hpp"
#include "format/native_tables.hpp"

#include <gtest/gtest.h>

namespace polis::format {
namespace {

using namespace literals;

static_assert(frac::Codec<Tapos>::size == 15);
static_assert(frac::Codec<BlockHeader>::areaMin == 156 && frac::Codec<BlockHeader>::areaSize == 164);
static_assert(!frac::Codec<CommitMessage>::isFixed && frac::Codec<CommitMessage>::areaSize == 44);
static_assert(fieldName<VMOptions, 0> == "max_mutable_global_bytes");

template <class T>
void defaultRoundTrips() {
   const Bytes packed = pack(T{});
   const auto back = unpackStrict<T>(packed);
   ASSERT_TRUE(back) << declaredName<T>();
   EXPECT_EQ(pack(*back), packed) << declaredName<T>();
}

TEST(Chain, defaultsOfEveryStructureRoundTrip) {
   defaultRoundTrips<Action>();
   defaultRoundTrips<Transaction>();
   defaultRoundTrips<Block>();
   defaultRoundTrips<StatusRow>();
   defaultRoundTrips<CodeRow>();
   defaultRoundTrips<CodeByHashRow>();
   defaultRoundTrips<WasmConfigRow>();
   defaultRoundTrips<ConfigRow>();
   defaultRoundTrips<NotifyRow>();
   defaultRoundTrips<BlockDataRow>();
   defaultRoundTrips<ConsensusChangeRow>();
   defaultRoundTrips<SnapshotRow>();
   defaultRoundTrips<SocketRow>();
   defaultRoundTrips<RunRow>();
   defaultRoundTrips<EnvRow>();
   defaultRoundTrips<HostConfigRow>();
   defaultRoundTrips<TimerRow>();
   defaultRoundTrips<HttpRequest>();
   defaultRoundTrips<HttpReply>();
   defaultRoundTrips<TransactionTrace>();
   defaultRoundTrips<BlockConfirm>();
   defaultRoundTrips<CommitMessage>();
   defaultRoundTrips<GenesisActionData>();
}

TEST(Chain, transactionIdIsOfTheCarriedBytes) {
   const Transaction transaction{{.expiration = {10}}, {{"a"_a, "tokens"_a, "credit"_m, {1}}}, {}};
   const SignedTransaction signedTransaction{Nested(transaction), {}, {}};
   EXPECT_EQ(transactionId(signedTransaction), sha256(ByteView(pack(transaction))));
   const auto back = signedTransaction.transaction.unpack();
   ASSERT_TRUE(back);
   EXPECT_EQ(*back, transaction);
}

TEST(Chain, blockIdStartsWithTheNumberAndIgnoresAuthCode) {
   BlockHeader header{.blockNum = 0x01020304};
   const auto id = blockId(header);
   EXPECT_EQ(blockNumOf(id), header.blockNum);
   header.authCode.emplace();
   EXPECT_EQ(blockId(header), id);
   header.newConsensus.emplace();
   EXPECT_NE(blockId(header), id);
}

TEST(Chain, tracesNest) {
   TransactionTrace trace{{ActionTrace{}}, {}};
   trace.actionTraces[0].innerTraces.push_back({ConsoleTrace{"text"}});
   trace.actionTraces[0].innerTraces.push_back({ActionTrace{{}, {}, {}, 0, "no"}});
   const auto back = unpackStrict<TransactionTrace>(pack(trace));
   ASSERT_TRUE(back);
   EXPECT_EQ(std::get<ActionTrace>(back->actionTraces[0].innerTraces[1].inner).error, "no");
}

TEST(Chain, nativeKeys) {
   EXPECT_EQ(toHex(StatusRow::key()), "000100");
   EXPECT_EQ(toHex(CodeRow::key("alice"_a)), "00020004DFAE831B2AB800");
   EXPECT_EQ(toHex(CodeByHashRow::key({}, 1, 2)).substr(0, 6), "000300");
   EXPECT_EQ(CodeByHashRow::key({}, 1, 2).size(), 37u);
   EXPECT_EQ(toHex(WasmConfigRow::key(NativeTable::proofWasmConfig)), "000600");
   EXPECT_EQ(toHex(NotifyRow::key(NotifyType::nextTransaction)), "00080000000003");
   EXPECT_EQ(toHex(SocketRow::key(2)), "000E0080000002");
   EXPECT_EQ(toHex(EnvRow::key("PATH")), "001000504154480000");
}

} // namespace
} // namespace polis::format
