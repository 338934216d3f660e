#include "setcode.hpp"

namespace polis::services {

namespace {

/// A change of what verifies proofs goes through the block header, one at a time.
void checkNoPendingConsensus() {
   const auto status = native::status();
   check(!status || !status->consensus.next || status->consensus.next->blockNum == status->current.blockNum,
         "a change of consensus is pending; try again later");
}

/// Before a change of code or verify flag of a service that verifies proofs.
void noteVerifyChange() {
   checkNoPendingConsensus();
   auto table = open<SetCode::VerifySequences>(Mode::readWrite);
   auto row = table.get().value_or(VerifySequence{});
   ++row.seq;
   table.put(row);
}

void checkVm(std::uint8_t vmType, std::uint8_t vmVersion) {
   check(vmType == 0, "vmType is not 0");
   check(vmVersion == 0, "vmVersion is not 0");
}

/// One more row names this code. `code` is stored if nobody did before.
void reference(const Checksum256& hash, std::uint8_t vmType, std::uint8_t vmVersion, const Bytes* code) {
   auto counts = open<SetCode::CodeRefCounts>(Mode::readWrite);
   auto row = counts.get(hash, vmType, vmVersion);
   if (!row) {
      row = CodeRefCount{hash, vmType, vmVersion, 0};
      const auto key = native::rowKey(native::codeByHashTable, hash, vmType, vmVersion);
      if (native::space(Db::native, Mode::readWrite).find(key) == env::none) {
         check(code != nullptr, "unknown code");
         native::put(Db::native, native::codeByHashTable, CodeByHashRow{hash, vmType, vmVersion, *code}, hash, vmType,
                     vmVersion);
      }
   }
   ++row->numRefs;
   counts.put(*row);
}

/// One row fewer; the code goes with the last one.
void release(const Checksum256& hash, std::uint8_t vmType, std::uint8_t vmVersion) {
   if (hash == Checksum256{})
      return;
   auto counts = open<SetCode::CodeRefCounts>(Mode::readWrite);
   auto row = counts.get(hash, vmType, vmVersion);
   if (!row)
      return; // never counted: kept
   if (--row->numRefs > 0) {
      counts.put(*row);
      return;
   }
   counts.erase(hash, vmType, vmVersion);
   native::space(Db::native, Mode::readWrite).remove(native::rowKey(native::codeByHashTable, hash, vmType, vmVersion));
}

CodeRow rowOf(AccountNumber service) {
   auto row = native::code(service);
   return row ? *row : CodeRow{.codeNum = service};
}

void putRow(const CodeRow& row) { native::put(Db::native, native::codeTable, row, row.codeNum); }

} // namespace

void SetCode::init() {
   auto counts = open<CodeRefCounts>(Mode::readWrite);
   std::vector<CodeRefCount> rows;
   for (const auto& row : counts)
      rows.push_back(row);
   for (const auto& row : rows)
      counts.remove(row);
   auto add = [&](const Checksum256& hash, std::uint8_t vmType, std::uint8_t vmVersion) {
      if (hash == Checksum256{})
         return;
      auto row = counts.get(hash, vmType, vmVersion).value_or(CodeRefCount{hash, vmType, vmVersion, 0});
      ++row.numRefs;
      counts.put(row);
   };
   const auto space = native::space(Db::native, Mode::readWrite);
   Bytes at = native::rowKey(native::codeTable);
   for (;;) {
      const auto size = space.greaterEqual(at, 3);
      if (size == env::none)
         break;
      const auto row = unpackOrAbort<CodeRow>(polis::sdk::detail::takeResult(size), "malformed code row");
      at = polis::sdk::detail::takeKey();
      at.push_back(0);
      add(row.codeHash, row.vmType, row.vmVersion);
   }
   for (const auto& row : open<StagedCodes>(Mode::readWrite))
      add(row.codeHash, row.vmType, row.vmVersion);
}

void SetCode::setCode(AccountNumber service, std::uint8_t vmType, std::uint8_t vmVersion, Bytes code) {
   check(getSender() == service, "only a service may change its code");
   checkVm(vmType, vmVersion);
   auto row = rowOf(service);
   const auto hash = code.empty() ? Checksum256{} : sha256(ByteView(code));
   if (row.codeHash == hash)
      return;
   if (row.flags & CodeRow::isVerify)
      noteVerifyChange();
   if (!code.empty())
      reference(hash, vmType, vmVersion, &code);
   release(row.codeHash, row.vmType, row.vmVersion);
   row.codeHash = hash;
   row.vmType = vmType;
   row.vmVersion = vmVersion;
   putRow(row);
}

void SetCode::stageCode(AccountNumber service, std::uint64_t id, std::uint8_t vmType, std::uint8_t vmVersion,
                        Bytes code) {
   check(!code.empty(), "staged code must not be empty");
   checkVm(vmType, vmVersion);
   auto staged = open<StagedCodes>(Mode::readWrite);
   check(!staged.contains(getSender(), id, service), "code is staged under this id already");
   const auto hash = sha256(ByteView(code));
   reference(hash, vmType, vmVersion, &code);
   staged.put({getSender(), service, id, hash, vmType, vmVersion});
}

void SetCode::unstageCode(AccountNumber service, std::uint64_t id) {
   auto staged = open<StagedCodes>(Mode::readWrite);
   const auto row = staged.get(getSender(), id, service);
   check(row.has_value(), "no code is staged under this id");
   staged.remove(*row);
   release(row->codeHash, row->vmType, row->vmVersion);
}

void SetCode::setCodeStaged(AccountNumber from, std::uint64_t id, std::uint8_t vmType, std::uint8_t vmVersion,
                            Checksum256 codeHash) {
   const auto service = getSender();
   auto staged = open<StagedCodes>(Mode::readWrite);
   const auto source = staged.get(from, id, service);
   check(source.has_value(), "no code is staged under this id");
   check(source->codeHash == codeHash && source->vmType == vmType && source->vmVersion == vmVersion,
         "other code is staged under this id");
   staged.remove(*source);
   auto row = rowOf(service);
   if (row.codeHash == codeHash) {
      release(codeHash, vmType, vmVersion); // the row names it already
      return;
   }
   if (row.flags & CodeRow::isVerify)
      noteVerifyChange();
   // the staged row's reference passes to the code row
   release(row.codeHash, row.vmType, row.vmVersion);
   row.codeHash = codeHash;
   row.vmType = vmType;
   row.vmVersion = vmVersion;
   putRow(row);
}

void SetCode::setFlags(AccountNumber service, std::uint64_t flags) {
   check(getSender() == account, "only setcode may change flags");
   check((flags & ~(CodeRow::isPrivileged | CodeRow::isVerify)) == 0, "unknown flags");
   auto row = rowOf(service);
   if (row.flags == flags)
      return;
   if ((row.flags ^ flags) & CodeRow::isVerify)
      noteVerifyChange();
   row.flags = flags;
   putRow(row);
}

std::uint64_t SetCode::verifySeq() { return open<VerifySequences>().get().value_or(VerifySequence{}).seq; }

} // namespace polis::services

POLIS_DISPATCH(polis::services::SetCode)
