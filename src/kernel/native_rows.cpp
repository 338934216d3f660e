#include "kernel/native_rows.hpp"

#include "format/fracpack.hpp"
#include "format/hash.hpp"
#include "kernel/databases.hpp"

#include <algorithm>

namespace polis::kernel {

using format::NativeTable;

namespace {

/// Table of a native store key; nothing if the key is not of that form.
std::optional<NativeTable> tableOf(ByteView key) {
   if (key.size() < 4 || key[3] != 0)
      return std::nullopt;
   return static_cast<NativeTable>(key[1] << 8 | key[2]);
}

template <class Row>
Row wellFormed(std::expected<Row, format::FracError> row, const char* name) {
   if (!row)
      throw Abort(std::string(name) + ": row is malformed: " + std::string(format::describe(row.error().rule)));
   return std::move(*row);
}

template <class Row>
Row strictRow(ByteView value, const char* name) {
   return wellFormed(format::unpackStrict<Row>(value), name);
}

/// A later version of the row may have more fields.
template <class Row>
Row lenientRow(ByteView value, const char* name) {
   return wellFormed(format::unpack<Row>(value), name);
}

void requireKey(ByteView key, const Bytes& rowKey, const char* name) {
   if (!std::ranges::equal(key.subspan(1), rowKey))
      throw Abort(std::string(name) + ": key does not match the row");
}

format::CodeRow oldCode(Context& context, ByteView key) {
   if (const auto old = context.state().get(key))
      if (auto row = format::unpack<format::CodeRow>(*old))
         return *row;
   return {};
}

void checkChainRow(Context& context, NativeTable table, ByteView key, ByteView value) {
   switch (table) {
   case NativeTable::status: {
      (void)strictRow<format::StatusRow>(value, "status");
      requireKey(key, format::StatusRow::key(), "status");
      return;
   }
   case NativeTable::code: {
      const auto row = strictRow<format::CodeRow>(value, "code");
      requireKey(key, row.key(), "code");
      if (((row.flags | oldCode(context, key).flags) & format::CodeRow::isVerify) && context.changes())
         context.changes()->accounts.insert(row.codeNum);
      context.checkCodeReady(row);
      return;
   }
   case NativeTable::codeByHash: {
      const auto row = strictRow<format::CodeByHashRow>(value, "codeByHash");
      requireKey(key, row.key(), "codeByHash");
      if (row.codeHash != format::sha256(ByteView(row.code)))
         throw Abort("codeByHash: the hash is not that of the code");
      context.noteStoredCode(row);
      return;
   }
   case NativeTable::transactionWasmConfig:
   case NativeTable::proofWasmConfig:
      (void)strictRow<format::WasmConfigRow>(value, "wasmConfig");
      requireKey(key, format::WasmConfigRow::key(table), "wasmConfig");
      return;
   case NativeTable::config: {
      const auto row = strictRow<format::ConfigRow>(value, "config");
      requireKey(key, format::ConfigRow::key(), "config");
      if (row.maxKeySize > 128)
         throw Abort("config: maxKeySize is too large");
      if (row.maxValueSize > 15u << 20)
         throw Abort("config: maxValueSize is too large");
      return;
   }
   case NativeTable::notify:
      return;
   case NativeTable::scheduledSnapshot: {
      const auto row = strictRow<format::ScheduledSnapshotRow>(value, "scheduledSnapshot");
      requireKey(key, row.key(), "scheduledSnapshot");
      return;
   }
   default:
      throw Abort("Unrecognized key in nativeConstrained");
   }
}

void checkSubjectiveRow(NativeTable table, ByteView key, ByteView value) {
   switch (table) {
   case NativeTable::code: {
      const auto row = strictRow<format::CodeRow>(value, "code");
      requireKey(key, row.key(), "code");
      return;
   }
   case NativeTable::codeByHash: {
      const auto row = strictRow<format::CodeByHashRow>(value, "codeByHash");
      requireKey(key, row.key(), "codeByHash");
      if (row.codeHash != format::sha256(ByteView(row.code)))
         throw Abort("codeByHash: the hash is not that of the code");
      return;
   }
   case NativeTable::notify:
   case NativeTable::run:
      return;
   default:
      throw Abort("Unrecognized key in nativeSubjective");
   }
}

/// The only change a service may make: WebSocket to P2P, with nothing else different.
bool isUpgrade(const format::SocketInfo& before, const format::SocketInfo& after) {
   const auto* web = std::get_if<format::WebSocketInfo>(&before);
   const auto* peer = std::get_if<format::P2PSocketInfo>(&after);
   return web && peer && web->endpoint == peer->endpoint && web->tls == peer->tls;
}

void checkSessionRow(Context& context, NativeTable table, ByteView key, ByteView value) {
   switch (table) {
   case NativeTable::socket: {
      const auto row = format::unpack<format::SocketRow>(value);
      const auto packed = context.checkout().get(key);
      const auto old = packed ? format::unpack<format::SocketRow>(*packed)
                              : std::unexpected(format::FracError{format::FracRule::truncated, 0});
      if (!row || !old || row->fd != old->fd || (row->info != old->info && !isUpgrade(old->info, row->info)))
         throw Abort("Invalid update to SocketRow");
      return;
   }
   case NativeTable::env:
   case NativeTable::timer:
      return;
   case NativeTable::hostConfig: {
      const auto row = lenientRow<format::HostConfigRow>(value, "hostConfig");
      requireKey(key, format::HostConfigRow::key(), "hostConfig");
      if (auto wrong = context.machine().host.checkHostConfig(row.config))
         throw Abort(*wrong);
      return;
   }
   case NativeTable::pendingShutdown:
      (void)lenientRow<format::PendingShutdownRow>(value, "pendingShutdown");
      requireKey(key, format::PendingShutdownRow::key(), "pendingShutdown");
      return;
   default:
      throw Abort("Unrecognized key in nativeSession");
   }
}

} // namespace

void checkNativePut(Context& context, ByteView key, ByteView value) {
   const auto table = tableOf(key);
   switch (key[0]) {
   case db::native:
      return checkChainRow(context, table.value_or(NativeTable{}), key, value);
   case db::nativeSubjective:
      return checkSubjectiveRow(table.value_or(NativeTable{}), key, value);
   default:
      return checkSessionRow(context, table.value_or(NativeTable{}), key, value);
   }
}

void noteNativeRemove(Context& context, ByteView key) {
   VerifyChanges* changes = context.changes();
   const auto table = tableOf(key);
   if (!changes || !table)
      return;
   const auto old = context.state().get(key);
   if (!old)
      return;
   if (*table == NativeTable::code) {
      if (auto row = format::unpack<format::CodeRow>(*old); row && (row->flags & format::CodeRow::isVerify))
         changes->accounts.insert(row->codeNum);
   } else if (*table == NativeTable::codeByHash) {
      if (auto row = format::unpack<format::CodeByHashRow>(*old))
         changes->removedCode.insert({row->codeHash, row->vmType, row->vmVersion});
   }
}

} // namespace polis::kernel
