// The SDK built natively, over one database in memory: for its tests and fuzz targets. Include it in one file, first.
#pragma once

#define POLIS_SERVICE_PRIVILEGED 1
#include <polis/sdk.hpp>

#include <algorithm>
#include <cstring>
#include <map>
#include <string>

namespace polis::sdk {
namespace {

/// What a service fails with.
struct Aborted {
   std::string text;
};

/// One database, as host functions show it.
struct Database {
   std::map<Bytes, Bytes> rows;
   Bytes prefix, result, key;

   std::uint32_t found(std::map<Bytes, Bytes>::const_iterator at, ByteView shared) {
      if (at == rows.end() ||
          !std::equal(shared.begin(), shared.end(), at->first.begin(),
                      at->first.begin() + static_cast<std::ptrdiff_t>(std::min(shared.size(), at->first.size()))))
         return env::none;
      result = at->second;
      key.assign(at->first.begin() + static_cast<std::ptrdiff_t>(prefix.size()), at->first.end());
      return static_cast<std::uint32_t>(result.size());
   }
   Bytes full(const void* part, std::uint32_t size) const {
      Bytes out = prefix;
      append(out, {static_cast<const std::uint8_t*>(part), size});
      return out;
   }
};
Database host;

std::uint32_t fetch(const Bytes& from, void* to, std::uint32_t size, std::uint32_t offset) {
   if (offset < from.size() && size)
      std::memcpy(to, from.data() + offset, std::min<std::size_t>(size, from.size() - offset));
   return static_cast<std::uint32_t>(from.size());
}

} // namespace

namespace env {
extern "C" {
std::uint32_t polis_getResult(void* to, std::uint32_t size, std::uint32_t offset) {
   return fetch(host.result, to, size, offset);
}
std::uint32_t polis_getKey(void* to, std::uint32_t size) { return fetch(host.key, to, size, 0); }
void polis_abortMessage(const void* text, std::uint32_t size) {
   throw Aborted{std::string(static_cast<const char*>(text), size)};
}
void polis_writeConsole(const void*, std::uint32_t) {}
std::uint32_t polis_call(const void*, std::uint32_t, std::uint64_t) { throw Aborted{"not here"}; }
std::uint32_t polis_importHandles() { throw Aborted{"not here"}; }
std::uint32_t polis_kvOpen(std::uint32_t, const void* prefix, std::uint32_t size, std::uint32_t) {
   const auto* bytes = static_cast<const std::uint8_t*>(prefix);
   host.prefix.assign(bytes, bytes + size); // one handle, of one owner
   return 0;
}
void polis_kvClose(std::uint32_t) {}
void polis_kvPut(std::uint32_t, const void* key, std::uint32_t keySize, const void* value, std::uint32_t size) {
   const auto* bytes = static_cast<const std::uint8_t*>(value);
   host.rows[host.full(key, keySize)] = Bytes(bytes, bytes + size);
}
void polis_kvRemove(std::uint32_t, const void* key, std::uint32_t size) { host.rows.erase(host.full(key, size)); }
std::uint32_t polis_kvGet(std::uint32_t, const void* key, std::uint32_t size) {
   const auto at = host.rows.find(host.full(key, size));
   return host.found(at, {});
}
std::uint32_t polis_kvGreaterEqual(std::uint32_t, const void* key, std::uint32_t size, std::uint32_t match) {
   const Bytes from = host.full(key, size);
   return host.found(host.rows.lower_bound(from), ByteView(from).first(host.prefix.size() + match));
}
std::uint32_t polis_kvLessThan(std::uint32_t, const void* key, std::uint32_t size, std::uint32_t match) {
   const Bytes before = host.full(key, size);
   const auto at = host.rows.lower_bound(before);
   return host.found(at == host.rows.begin() ? host.rows.end() : std::prev(at),
                     ByteView(before).first(host.prefix.size() + match));
}
std::uint32_t polis_kvMax(std::uint32_t, const void* key, std::uint32_t size) {
   const Bytes prefix = host.full(key, size);
   auto at = host.rows.end();
   for (auto it = host.rows.lower_bound(prefix); it != host.rows.end() && it->first.size() >= prefix.size() &&
                                                 std::equal(prefix.begin(), prefix.end(), it->first.begin());
        ++it)
      at = it;
   return host.found(at, prefix);
}
}
} // namespace env

} // namespace polis::sdk
