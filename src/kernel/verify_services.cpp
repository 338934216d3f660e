#include "kernel/verify_services.hpp"

#include "format/fracpack.hpp"
#include "kernel/databases.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace polis::kernel {

using format::BlockHeaderAuthAccount;

namespace {

CodeKey codeKey(const BlockHeaderAuthAccount& entry) { return {entry.codeHash, entry.vmType, entry.vmVersion}; }

template <class Row, class State>
std::optional<Row> rowOf(const State& state, ByteView key) {
   if (const auto packed = state.get(storeKey(db::native, key)))
      if (auto row = format::unpack<Row>(*packed))
         return std::move(*row);
   return std::nullopt;
}

} // namespace

VerifyServices verifyServicesAfter(const ChainState& state, const format::Consensus& current,
                                   const VerifyChanges& changes) {
   VerifyServices out;
   const auto wasm =
       rowOf<format::WasmConfigRow>(state, format::WasmConfigRow::key(format::NativeTable::proofWasmConfig))
           .value_or(format::WasmConfigRow());
   out.wasmConfig = {wasm.numExecutionMemories, wasm.vmOptions};

   std::set<CodeKey> known;
   for (const auto& entry : current.services)
      known.insert(codeKey(entry));
   std::map<CodeKey, bool> memo;
   // `kept`: the header chain has this code already, unless it was removed meanwhile.
   const auto present = [&](const BlockHeaderAuthAccount& entry, bool kept) {
      const CodeKey key = codeKey(entry);
      if (auto at = memo.find(key); at != memo.end())
         return at->second;
      kept = kept || known.contains(key);
      bool found = kept && !changes.removedCode.contains(key);
      if (!found) {
         if (auto row = rowOf<format::CodeByHashRow>(
                 state, format::CodeByHashRow::key(entry.codeHash, entry.vmType, entry.vmVersion))) {
            found = true;
            if (!kept)
               out.code.push_back({entry.vmType, entry.vmVersion, std::move(row->code)});
         }
      }
      return memo[key] = found;
   };

   std::map<format::AccountNumber, const BlockHeaderAuthAccount*> before;
   std::set<format::AccountNumber> accounts = changes.accounts;
   for (const auto& entry : current.services) {
      before[entry.codeNum] = &entry;
      accounts.insert(entry.codeNum);
   }
   for (const auto account : accounts) {
      const auto old = before.find(account);
      if (!changes.accounts.contains(account)) {
         if (present(*old->second, true))
            out.services.push_back(*old->second);
         continue;
      }
      const auto row = rowOf<format::CodeRow>(state, format::CodeRow::key(account));
      if (!row || !(row->flags & format::CodeRow::isVerify))
         continue;
      const BlockHeaderAuthAccount entry{account, row->codeHash, row->vmType, row->vmVersion};
      if (present(entry, old != before.end() && *old->second == entry))
         out.services.push_back(entry);
   }
   return out;
}

std::vector<std::pair<Bytes, Bytes>> verifyDatabase(const store::Version& state,
                                                    const std::vector<BlockHeaderAuthAccount>& services,
                                                    std::uint32_t database) {
   std::vector<std::pair<Bytes, Bytes>> out;
   std::set<CodeKey> written;
   for (const auto& entry : services) {
      const format::CodeRow row{entry.codeNum, format::CodeRow::isVerify, entry.codeHash, entry.vmType,
                                entry.vmVersion};
      out.emplace_back(storeKey(database, row.key()), format::pack(row));
      if (!written.insert(codeKey(entry)).second)
         continue;
      const Bytes key = format::CodeByHashRow::key(entry.codeHash, entry.vmType, entry.vmVersion);
      if (const auto code = state.get(storeKey(db::native, key)))
         out.emplace_back(storeKey(database, key), toBytes(*code));
   }
   const Bytes key = format::WasmConfigRow::key(format::NativeTable::proofWasmConfig);
   if (const auto row = state.get(storeKey(db::native, key)))
      out.emplace_back(storeKey(database, key), toBytes(*row));
   return out;
}

} // namespace polis::kernel
