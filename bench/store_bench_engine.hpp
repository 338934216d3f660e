// What the cases of bench/run store ask of an engine.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace polis::bench {

/// A set of keys in a folder, changed by one thread. Errors end the process.
class Engine {
public:
   virtual ~Engine() = default;

   /// A transaction: put and get see what it did; endInner(false) undoes what was put since beginInner.
   virtual void begin() = 0;
   virtual void put(ByteView key, ByteView value) = 0;
   virtual void remove(ByteView key) = 0;
   virtual bool get(ByteView key) = 0;
   /// Gets several keys, together where the engine has a way to; returns how many are there.
   virtual std::size_t get(std::span<const ByteView> keys) {
      std::size_t found = 0;
      for (const ByteView key : keys)
         found += get(key);
      return found;
   }
   virtual void beginInner() = 0;
   virtual void endInner(bool keep) = 0;
   /// Publishes it to readers. Not durable yet.
   virtual void commit() = 0;

   /// Keeps the newest state readable until ten later ones have been kept.
   virtual void keepVersion() = 0;
   virtual void dropVersions() = 0;

   /// From here on what is committed will be asked to become durable: an engine with a log begins to write it.
   virtual void beginDurable() = 0;
   /// Everything committed is on the disk.
   virtual void sync() = 0;
   /// As sync, and nothing remains to be written of it: no log to be replayed.
   virtual void settle() = 0;
   /// Whether the last sync was as good as that. An engine that never says so by itself is not waited for.
   virtual bool settled() const { return true; }

   /// What there is to say of the space it takes, in bytes.
   virtual std::vector<std::pair<const char*, double>> space() { return {}; }

   /// Reads the newest state, on one thread.
   class Reader {
   public:
      virtual ~Reader() = default;
      virtual void renew() = 0;
      virtual bool get(ByteView key) = 0;
      /// Reads `count` entries from the first at or after `from`; returns the bytes of their values.
      virtual std::size_t scan(ByteView from, std::size_t count) = 0;
   };
   virtual std::unique_ptr<Reader> reader() = 0;
};

inline constexpr std::size_t versionsKept = 10;

std::unique_ptr<Engine> openPolis(const std::filesystem::path& folder);
/// Null when the bench was built without the library.
std::unique_ptr<Engine> openLmdb(const std::filesystem::path& folder, bool writemap);
std::unique_ptr<Engine> openRocksdb(const std::filesystem::path& folder);

} // namespace polis::bench
