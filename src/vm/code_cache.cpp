#include "vm/code_cache.hpp"

#include "base/log.hpp"
#include "base/read_all.hpp"
#include "vm/metering.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <unistd.h>

namespace polis::vm {
namespace {

/// Tells accidents from intact bytes: two independent multiplicative hashes over words. Not a defence against a forger,
/// who could replace the program itself.
std::array<std::uint64_t, 2> checksum(ByteView bytes) {
   std::uint64_t a = 0x9e3779b97f4a7c15, b = 0xc2b2ae3d27d4eb4f;
   auto mix = [&](std::uint64_t word) {
      a = (a ^ word) * 0xff51afd7ed558ccd;
      a ^= a >> 32;
      b = (b + word) * 0xc4ceb9fe1a85ec53;
      b ^= b >> 29;
   };
   std::size_t i = 0;
   for (; i + 8 <= bytes.size(); i += 8) {
      std::uint64_t word;
      std::memcpy(&word, bytes.data() + i, 8);
      mix(word);
   }
   std::uint64_t rest = 0;
   if (i < bytes.size())
      std::memcpy(&rest, bytes.data() + i, bytes.size() - i);
   mix(rest);
   mix(bytes.size());
   return {a, b};
}

template <class T>
void put(Bytes& out, const T& value) {
   const auto* p = reinterpret_cast<const std::uint8_t*>(&value);
   out.insert(out.end(), p, p + sizeof value);
}

} // namespace

CodeCache::CodeCache(std::filesystem::path dir, std::string engine) : dir_(std::move(dir)), engine_(std::move(engine)) {
   if (dir_.empty())
      return;
   std::error_code error;
   std::filesystem::create_directories(dir_, error);
   if (error) {
      log::warning("compiled code is not kept: ", dir_.string(), ": ", error.message());
      dir_.clear();
   }
}

std::filesystem::path CodeCache::file(const CodeHash& hash, const Options& options) const {
   Bytes key(hash.begin(), hash.end());
   put(key, options.maxMutableGlobalBytes);
   put(key, options.maxPages);
   put(key, options.maxTableElements);
   return dir_ / (toHex(key) + ".code");
}

Bytes CodeCache::header(const CodeHash& hash, const Options& options, ByteView compiled) const {
   Bytes out = toBytes("POLISVM1");
   put(out, meteringVersion);
   put(out, static_cast<std::uint32_t>(engine_.size()));
   append(out, asBytes(engine_));
   append(out, hash);
   put(out, options.maxMutableGlobalBytes);
   put(out, options.maxPages);
   put(out, options.maxTableElements);
   put(out, std::uint64_t{compiled.size()});
   put(out, checksum(compiled));
   return out;
}

std::optional<Bytes> CodeCache::load(const CodeHash& hash, const Options& options) const {
   if (dir_.empty())
      return std::nullopt;
   std::ifstream in(file(hash, options), std::ios::binary);
   if (!in)
      return std::nullopt;
   const auto all = readAll(in);
   const std::size_t headerBytes = header(hash, options, {}).size();
   if (!all || all->size() < headerBytes)
      return std::nullopt;
   const ByteView compiled = asBytes(*all).subspan(headerBytes);
   if (!std::ranges::equal(header(hash, options, compiled), asBytes(*all).first(headerBytes)))
      return std::nullopt;
   return Bytes(compiled.begin(), compiled.end());
}

void CodeCache::save(const CodeHash& hash, const Options& options, ByteView compiled) const {
   if (dir_.empty())
      return;
   static std::atomic<unsigned> serial{0};
   const std::filesystem::path target = file(hash, options);
   std::filesystem::path temporary = target;
   temporary += "." + std::to_string(::getpid()) + "." + std::to_string(++serial) + ".new";
   const Bytes head = header(hash, options, compiled);
   std::ofstream out(temporary, std::ios::binary);
   out.write(reinterpret_cast<const char*>(head.data()), static_cast<std::streamsize>(head.size()));
   out.write(reinterpret_cast<const char*>(compiled.data()), static_cast<std::streamsize>(compiled.size()));
   out.close();
   std::error_code error;
   if (out)
      std::filesystem::rename(temporary, target, error);
   if (!out || error) {
      log::warning("cannot keep compiled code in ", target.string());
      std::filesystem::remove(temporary, error);
   }
}

} // namespace polis::vm
