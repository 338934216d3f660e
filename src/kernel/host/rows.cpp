#include "format/fracpack.hpp"
#include "kernel/cpu_time.hpp"
#include "kernel/databases.hpp"
#include "kernel/native_rows.hpp"
#include "kernel/service_instance.hpp"

namespace polis::kernel {

using namespace format::literals;

namespace {

bool startsWith(ByteView key, ByteView prefix) {
   return key.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), key.begin());
}

std::string_view modeText(std::uint8_t mode) {
   switch (mode) {
   case Handle::read:
      return "read";
   case Handle::write:
      return "write";
   default:
      return "readWrite";
   }
}

} // namespace

void ServiceInstance::refuse(std::string_view what, const Handle& handle) const {
   throw Abort("Cannot " + std::string(what) + " this db handle db=" + std::to_string(handle.database()) +
               " prefix=" + toHex(handle.prefix()) + " mode=" + std::string(modeText(handle.mode)));
}

const Handle& ServiceInstance::readable(u32 index) const {
   const Handle& h = handle(index);
   if (!(h.mode & Handle::read))
      refuse("read from", h);
   requireCheckout(h.database());
   context_.budget().instructions += cost::read;
   return h;
}

const Handle& ServiceInstance::writable(u32 index) const {
   const Handle& h = handle(index);
   // A handle may be older than the call, and of another mode.
   if (!(h.mode & Handle::write) || (mode() == Mode::rpc && isChainDb(h.database())))
      refuse("write to", h);
   requireCheckout(h.database());
   context_.budget().instructions += cost::write;
   return h;
}

ByteView ServiceInstance::keyIn(GuestIn span) {
   // Reads and removals take keys of any length.
   const ByteView key = guest(span);
   context_.budget().instructions += cost::copy(key.size());
   return key;
}

void ServiceInstance::requireCheckout(u32 database) const {
   if (isLocalDb(database) && context_.checkout().levels() == 0)
      throw Abort("subjectiveCheckout is required to access the subjective database");
}

void ServiceInstance::notifyWrite(u32 database, std::size_t keyBytes, std::optional<std::size_t> oldBytes,
                                  std::optional<std::size_t> newBytes) {
   context_.machine().counters.writeNotices.fetch_add(1, std::memory_order_relaxed);
   // frac(tuple(writer, db, key, old, new)): the size of the fixed area, then the members.
   std::array<std::uint8_t, 26> arguments;
   format::frac::store16(arguments.data(), 24);
   std::memcpy(arguments.data() + 2, &service_.value, 8);
   format::frac::store32(arguments.data() + 10, database);
   format::frac::store32(arguments.data() + 14, keyBytes);
   format::frac::store32(arguments.data() + 18, oldBytes.value_or(none));
   format::frac::store32(arguments.data() + 22, newBytes.value_or(none));

   constexpr auto transact = "transact"_a;
   constexpr auto kvNotify = "kvNotify"_m;
   const HandleSet exported = std::exchange(context_.exported, {}), imported = std::exchange(context_.imported, {});
   runInner(packAction(format::AccountNumber(), transact, kvNotify, arguments),
            {.mode = mode(), .switched = switched_});
   context_.exported = exported;
   context_.imported = imported;
}

void ServiceInstance::kvPut(u32 index, GuestIn keySpan, GuestIn valueSpan) {
   // A copy: the notification below may run this service again, and close or reuse the handle.
   const Handle h = writable(index);
   const u32 database = h.database();
   if (database == db::blockLog)
      refuse("write to", h);
   const StoreKey key(h, keyIn(keySpan));
   ByteView value = guest(valueSpan);
   if (key.raw().size() > context_.keyBytesMax())
      throw Abort("key is too long");
   if (value.size() > context_.valueBytesMax())
      throw Abort("value is too long");
   context_.budget().instructions += cost::copy(value.size());
   context_.countWritten(key.all().size() + value.size());

   if (database == db::native || database == db::nativeSubjective || database == db::nativeSession)
      checkNativePut(context_, key.all(), value);

   if (isChainDb(database)) {
      const bool objective = database == db::service || database == db::native;
      if (objective || !isSubjective(mode())) {
         std::optional<std::size_t> oldBytes;
         if (objective)
            if (const auto old = context_.state().get(key.all()))
               oldBytes = old->size();
         notifyWrite(database, key.raw().size(), oldBytes, value.size());
         value = guest(valueSpan); // memory may have moved
      }
      context_.state().put(key.all(), value);
   } else if (database == db::temporary) {
      context_.checkout().temporaryToWrite().insert_or_assign(toBytes(key.raw()), toBytes(value));
   } else {
      context_.checkout().put(key.all(), value);
   }
   result_.clear();
   key_.clear();
}

void ServiceInstance::kvRemove(u32 index, GuestIn keySpan) {
   const Handle h = writable(index);
   const u32 database = h.database();
   if (database == db::blockLog)
      refuse("write to", h);
   const StoreKey key(h, keyIn(keySpan));
   if (isChainDb(database)) {
      if (const auto old = context_.state().get(key.all())) {
         const std::size_t oldBytes = old->size();
         if (database == db::native)
            noteNativeRemove(context_, key.all());
         if (database == db::service || database == db::native)
            notifyWrite(database, key.raw().size(), oldBytes, std::nullopt);
         context_.state().remove(key.all());
      }
   } else if (database == db::temporary) {
      context_.checkout().temporaryToWrite().erase(toBytes(key.raw()));
   } else {
      context_.checkout().remove(key.all());
   }
   result_.clear();
   key_.clear();
}

std::uint32_t ServiceInstance::kvGet(u32 index, GuestIn keySpan) {
   const Handle& h = readable(index);
   const StoreKey key(h, keyIn(keySpan));
   if (h.database() == db::temporary) {
      const auto& rows = context_.checkout().temporary();
      const auto at = rows.find(toBytes(key.raw()));
      return at == rows.end() ? noResult() : setResult(at->second);
   }
   const auto value = isChainDb(h.database()) ? context_.state().get(key.all()) : context_.checkout().get(key.all());
   if (!value)
      return noResult();
   context_.budget().instructions += cost::copy(value->size());
   if (isChainDb(h.database()) && !context_.state().writable()) {
      result_.show(*value); // the version outlives the context
      key_.clear();
      return static_cast<u32>(value->size());
   }
   return setResult(*value);
}

std::uint32_t ServiceInstance::setFound(const Handle& h, const std::optional<store::Entry>& entry) {
   if (!entry)
      return noResult();
   context_.budget().instructions += cost::copy(entry->value.size());
   result_.copy(entry->value);
   key_.copy(entry->key.subspan(std::size_t{1} + h.prefixBytes));
   return static_cast<u32>(entry->value.size());
}

namespace {

std::optional<store::Entry> matching(std::optional<store::Entry> entry, ByteView prefix) {
   if (entry && !startsWith(entry->key, prefix))
      entry.reset();
   return entry;
}

/// The entry of a temporary database as the store would show it; `key` is scratch.
template <class Iterator>
store::Entry temporaryEntry(Iterator at, Bytes& key) {
   key = storeKey(db::temporary, at->first);
   return {key, at->second};
}

} // namespace

std::uint32_t ServiceInstance::kvGreaterEqual(u32 index, GuestIn keySpan, u32 match) {
   const Handle& h = readable(index);
   const ByteView given = keyIn(keySpan);
   if (match > given.size())
      throw Abort("kvGreaterEqual: matchKeySize is larger than the key");
   const StoreKey key(h, given);
   const std::size_t matchBytes = std::size_t{1} + h.prefixBytes + match;
   const ByteView prefix = key.all().first(matchBytes);
   if (isChainDb(h.database()))
      return setFound(h, matching(context_.state().lowerBound(key.all()), prefix));
   if (h.database() == db::temporary) {
      const auto& rows = context_.checkout().temporary();
      const auto at = rows.lower_bound(toBytes(key.raw()));
      Bytes scratch;
      return setFound(h, at == rows.end() ? std::nullopt : matching(temporaryEntry(at, scratch), prefix));
   }
   return setFound(h, context_.checkout().lowerBound(key.all(), matchBytes));
}

std::uint32_t ServiceInstance::kvLessThan(u32 index, GuestIn keySpan, u32 match) {
   const Handle& h = readable(index);
   const ByteView given = keyIn(keySpan);
   if (match > given.size())
      throw Abort("kvLessThan: matchKeySize is larger than the key");
   const StoreKey key(h, given);
   const std::size_t matchBytes = std::size_t{1} + h.prefixBytes + match;
   const ByteView prefix = key.all().first(matchBytes);
   if (isChainDb(h.database()))
      return setFound(h, matching(context_.state().lessThan(key.all()), prefix));
   if (h.database() == db::temporary) {
      const auto& rows = context_.checkout().temporary();
      const auto at = rows.lower_bound(toBytes(key.raw()));
      Bytes scratch;
      return setFound(h, at == rows.begin() ? std::nullopt : matching(temporaryEntry(std::prev(at), scratch), prefix));
   }
   return setFound(h, context_.checkout().lessThan(key.all(), matchBytes));
}

std::uint32_t ServiceInstance::kvMax(u32 index, GuestIn keySpan) {
   const Handle& h = readable(index);
   const StoreKey key(h, keyIn(keySpan));
   if (isChainDb(h.database()))
      return setFound(h, context_.state().last(key.all()));
   if (h.database() == db::temporary) {
      const auto& rows = context_.checkout().temporary();
      const Bytes after = afterPrefix(key.raw());
      const auto at = after.empty() ? rows.end() : rows.lower_bound(after);
      Bytes scratch;
      return setFound(h,
                      at == rows.begin() ? std::nullopt : matching(temporaryEntry(std::prev(at), scratch), key.all()));
   }
   return setFound(h, context_.checkout().last(key.all()));
}

} // namespace polis::kernel
