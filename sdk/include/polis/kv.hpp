#pragma once
// Handles to databases, opened once an instance and kept, and the raw reads and writes.

#include <polis/action.hpp>

#include <array>

namespace polis::sdk {

namespace detail {

// Privileged services open databases themselves; the others ask `db` (chain) or `x-db` (this node).
// polis_service() in CMake sets these from the flags of the service.
#ifndef POLIS_SERVICE_PRIVILEGED
#define POLIS_SERVICE_PRIVILEGED 0
#endif
#ifndef POLIS_SERVICE_LOCAL
#define POLIS_SERVICE_LOCAL 0
#endif

constexpr bool opensItself(Db db) {
   if (db >= Db::subjective)
      return POLIS_SERVICE_PRIVILEGED && POLIS_SERVICE_LOCAL;
   return POLIS_SERVICE_PRIVILEGED;
}

inline std::uint64_t bigEndian(std::uint64_t value) { return __builtin_bswap64(value); }

inline std::uint32_t openHandle(Db db, ByteView prefix, Mode mode) {
   if (opensItself(db))
      return env::polis_kvOpen(static_cast<std::uint32_t>(db), prefix.data(), static_cast<std::uint32_t>(prefix.size()),
                               static_cast<std::uint32_t>(mode));
   constexpr MethodNumber open{"open"};
   constexpr AccountNumber chainDb{"db"};
   constexpr AccountNumber localDb{"x-db"};
   const std::tuple<std::uint32_t, Bytes, std::uint8_t> args{static_cast<std::uint32_t>(db), toBytes(prefix),
                                                             static_cast<std::uint8_t>(mode)};
   const auto size = callPacked(packActionOf(getReceiver(), db >= Db::subjective ? localDb : chainDb, open, args));
   std::uint8_t index[4] = {};
   check(size == 4, "malformed handle");
   env::polis_getResult(index, 4, 0);
   ResultBuffer<64> handles(env::polis_importHandles());
   const auto view = handles.view();
   const auto position = std::size_t{loadU32(index)} * 4 + 4;
   check(view.size() >= 4 && position <= view.size() - 4, "no handle was exported");
   return loadU32(view.data() + position);
}

/// Opens a database and returns the handle to the caller as export 0, for `db` and `x-db`, who decide who may have it.
inline void handOutHandle(std::uint32_t db, ByteView prefix, std::uint8_t mode) {
   const auto handle = env::polis_kvOpen(db, prefix.data(), static_cast<std::uint32_t>(prefix.size()), mode);
   const std::uint32_t exported[2] = {4, handle};
   env::polis_exportHandles(exported, sizeof exported);
   env::polis_kvClose(handle); // the exported copy stays valid
}

/// One open handle. `owner` is the account whose prefix it has; zero for databases without accounts.
struct CachedHandle {
   std::uint32_t handle = env::none;
   Db db{};
   Mode mode{};
   std::uint64_t owner = 0;
};

inline constexpr std::size_t cachedHandlesMax = 24;
inline constinit std::array<CachedHandle, cachedHandlesMax> cachedHandles{};
inline constinit std::size_t cachedHandleCount = 0;

inline std::uint32_t findHandle(Db db, std::uint64_t owner, Mode mode) {
   for (std::size_t i = 0; i < cachedHandleCount; ++i) {
      const auto& entry = cachedHandles[i];
      if (entry.db == db && entry.owner == owner &&
          (static_cast<unsigned>(entry.mode) & static_cast<unsigned>(mode)) == static_cast<unsigned>(mode))
         return entry.handle;
   }
   return env::none;
}

/// A handle over everything `owner` keeps in `db` that allows `mode`; opened at first use.
inline std::uint32_t handleFor(Db db, std::uint64_t owner, Mode mode) {
   if (const auto handle = findHandle(db, owner, mode); handle != env::none) [[likely]]
      return handle;
   const auto key = bigEndian(owner);
   ByteView prefix;
   if (owner)
      prefix = {reinterpret_cast<const std::uint8_t*>(&key), 8};
   const auto handle = openHandle(db, prefix, mode);
   if (cachedHandleCount == cachedHandlesMax) {
      env::polis_kvClose(cachedHandles[0].handle);
      for (std::size_t i = 1; i < cachedHandlesMax; ++i)
         cachedHandles[i - 1] = cachedHandles[i];
      --cachedHandleCount;
   }
   cachedHandles[cachedHandleCount++] = {handle, db, mode, owner};
   return handle;
}

} // namespace detail

/// All that one account keeps in one database. Handles are opened when first needed, with no more rights than needed,
/// so that the same code runs where only reading is allowed.
struct KvSpace {
   Db db = Db::service;
   std::uint64_t owner = 0;
   /// Opened at the first use whatever that is; `readWrite` spares a second opening in actions that will write.
   Mode first = Mode::read;

   std::uint32_t reader() const { return detail::handleFor(db, owner, db == Db::writeOnly ? Mode::read : first); }
   std::uint32_t writer() const {
      return detail::handleFor(db, owner, db == Db::writeOnly ? Mode::write : Mode::readWrite);
   }

   /// Size of the value, which then waits in the result buffer; env::none when absent.
   std::uint32_t find(ByteView key) const {
      return env::polis_kvGet(reader(), key.data(), static_cast<std::uint32_t>(key.size()));
   }
   std::optional<Bytes> get(ByteView key) const {
      const auto size = find(key);
      if (size == env::none)
         return std::nullopt;
      return detail::takeResult(size);
   }
   void put(ByteView key, ByteView value) const {
      env::polis_kvPut(writer(), key.data(), static_cast<std::uint32_t>(key.size()), value.data(),
                       static_cast<std::uint32_t>(value.size()));
   }
   void remove(ByteView key) const {
      env::polis_kvRemove(writer(), key.data(), static_cast<std::uint32_t>(key.size()));
   }
   /// First entry at or after `key` that shares its first `match` bytes; its key waits in the key buffer.
   std::uint32_t greaterEqual(ByteView key, std::size_t match) const {
      return env::polis_kvGreaterEqual(reader(), key.data(), static_cast<std::uint32_t>(key.size()),
                                       static_cast<std::uint32_t>(match));
   }
   std::uint32_t lessThan(ByteView key, std::size_t match) const {
      return env::polis_kvLessThan(reader(), key.data(), static_cast<std::uint32_t>(key.size()),
                                   static_cast<std::uint32_t>(match));
   }
   std::uint32_t max(ByteView key) const {
      return env::polis_kvMax(reader(), key.data(), static_cast<std::uint32_t>(key.size()));
   }
};

namespace detail {

/// The key of the last range read.
inline Bytes takeKey() {
   Bytes key(136);
   const auto size = env::polis_getKey(key.data(), static_cast<std::uint32_t>(key.size()));
   if (size > key.size()) {
      key.resize(size);
      env::polis_getKey(key.data(), size);
   }
   key.resize(size);
   return key;
}

} // namespace detail

} // namespace polis::sdk
