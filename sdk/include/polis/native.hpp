#pragma once
// The tables that the node itself reads and writes. Everybody may read the chain's; writing needs a privileged service
// and is checked by the node.

#include <polis/kv.hpp>

namespace polis::sdk::native {

inline constexpr std::uint16_t statusTable = 1;
inline constexpr std::uint16_t codeTable = 2;
inline constexpr std::uint16_t codeByHashTable = 3;
inline constexpr std::uint16_t transactionWasmConfigTable = 5;
inline constexpr std::uint16_t proofWasmConfigTable = 6;
inline constexpr std::uint16_t configTable = 7;
inline constexpr std::uint16_t notifyTable = 8;
inline constexpr std::uint16_t snapshotTable = 11;
inline constexpr std::uint16_t scheduledSnapshotTable = 12;
inline constexpr std::uint16_t socketTable = 14;
inline constexpr std::uint16_t runTable = 15;
inline constexpr std::uint16_t envTable = 16;
inline constexpr std::uint16_t hostConfigTable = 17;
inline constexpr std::uint16_t pendingShutdownTable = 18;
inline constexpr std::uint16_t timerTable = 19;

/// All of a native database: Db::native, Db::nativeSubjective or Db::nativeSession.
inline KvSpace space(Db db = Db::native, Mode first = Mode::read)
{
   return KvSpace{db, 0, first};
}

template <class... K>
Bytes rowKey(std::uint16_t table, const K&... parts)
{
   Bytes out;
   out.reserve(48);
   out.push_back(static_cast<std::uint8_t>(table >> 8));
   out.push_back(static_cast<std::uint8_t>(table));
   out.push_back(0);
   (appendKey(out, parts), ...);
   return out;
}

/// Row of a native table, or nothing.
template <class Row, class... K>
std::optional<Row> get(Db db, std::uint16_t table, const K&... parts)
{
   const auto size = space(db).find(rowKey(table, parts...));
   if (size == env::none)
      return std::nullopt;
   detail::ResultBuffer<512> value(size);
   return unpackOrAbort<Row>(value.view(), "malformed native row");
}

template <class Row, class... K>
void put(Db db, std::uint16_t table, const Row& row, const K&... parts)
{
   space(db).put(rowKey(table, parts...), pack(row));
}

inline std::optional<StatusRow> status()
{
   return get<StatusRow>(Db::native, statusTable);
}

inline std::optional<CodeRow> code(AccountNumber account)
{
   return get<CodeRow>(Db::native, codeTable, account);
}

}  // namespace polis::sdk::native

namespace polis::sdk {

/// Number, time and chain id, read without unpacking the whole status row.
struct BlockTimes
{
   Checksum256 chainId{};
   std::uint32_t currentNum = 0;   ///< block being built; on queries the one after head
   std::int64_t currentTimeUs = 0;
   std::uint32_t currentCommitNum = 0;
   bool hasHead = false;
};

/// Time of the block being built.
inline TimePointUSec currentBlockTime()
{
   const auto row = native::status();
   return row ? row->current.time : TimePointUSec{};
}

}  // namespace polis::sdk
