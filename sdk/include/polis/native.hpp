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
inline KvSpace space(Db db = Db::native, Mode first = Mode::read) { return KvSpace{db, 0, first}; }

template <class... K>
Bytes rowKey(std::uint16_t table, const K&... parts) {
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
std::optional<Row> get(Db db, std::uint16_t table, const K&... parts) {
   const auto size = space(db).find(rowKey(table, parts...));
   if (size == env::none)
      return std::nullopt;
   detail::ResultBuffer<512> value(size);
   return unpackOrAbort<Row>(value.view(), "malformed native row");
}

template <class Row, class... K>
void put(Db db, std::uint16_t table, const Row& row, const K&... parts) {
   space(db).put(rowKey(table, parts...), pack(row));
}

inline std::optional<StatusRow> status() { return get<StatusRow>(Db::native, statusTable); }

inline std::optional<CodeRow> code(AccountNumber account) { return get<CodeRow>(Db::native, codeTable, account); }

} // namespace polis::sdk::native

namespace polis::sdk {

/// The status row as it is packed; the fields that most services need are read in place.
class StatusView {
public:
   StatusView() : StatusView(native::space()) {}
   explicit StatusView(const KvSpace& space) {
      const auto size = space.find(native::rowKey(native::statusTable));
      if (size == env::none)
         return;
      row_.fetch(size);
      const auto row = row_.view();
      check(row.size() > 46, "malformed status");
      current_ = 34 + std::size_t{detail::loadU32(row.data() + 34)};
      const auto head = detail::loadU32(row.data() + 38);
      head_ = head > 1 ? 38 + std::size_t{head} : 0;
      check(row.size() >= 158 && current_ <= row.size() - 158 && head_ <= row.size() - 38, "malformed status");
   }

   bool exists() const { return current_ != 0; }
   /// Of the block being built; in queries of the one after head.
   BlockNum blockNum() const { return exists() ? detail::loadU32(at(current_ + 34)) : 0; }
   TimePointUSec time() const { return {exists() ? static_cast<std::int64_t>(detail::loadU64(at(current_ + 38))) : 0}; }
   BlockNum commitNum() const { return exists() ? detail::loadU32(at(current_ + 58)) : 0; }
   Checksum256 eventMerkleRoot() const { return exists() ? hash(current_ + eventMerkleRootOffset) : Checksum256{}; }
   /// Where eventMerkleRoot lies in row().
   std::size_t eventMerkleRootAt() const { return current_ + eventMerkleRootOffset; }

   bool hasHead() const { return head_ != 0; }
   Checksum256 headId() const { return hasHead() ? hash(head_ + 6) : Checksum256{}; }
   BlockNum headNum() const { return hasHead() ? blockNumOf(headId()) : 0; }

   ByteView row() const { return row_.view(); }

private:
   static constexpr std::size_t eventMerkleRootOffset = 126;
   const std::uint8_t* at(std::size_t position) const { return row_.view().data() + position; }
   Checksum256 hash(std::size_t position) const {
      Checksum256 out;
      __builtin_memcpy(out.data(), at(position), out.size());
      return out;
   }

   detail::ResultBuffer<1024> row_;
   std::size_t current_ = 0;
   std::size_t head_ = 0;
};

/// Time of the block being built.
inline TimePointUSec currentBlockTime() { return StatusView().time(); }

} // namespace polis::sdk
