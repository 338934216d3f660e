// The store beside LMDB: one JSON object a figure. store_bench [--rows N] [--quick] [--only ENGINE] [--folder DIR]
//
// Keys: 8-byte service, 2-byte table, 6 to 22 random bytes; values 32 to 256 bytes. LMDB runs with a writable map and
// without syncs (in block_durable: one sync a block), read transactions reset and renewed.
#include "store/journal.hpp"
#include "store/store.hpp"

#include "base/assert.hpp"
#include "base/mutex.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>
#include <thread>

#ifdef POLIS_WITH_LMDB
#include <lmdb.h>
#endif

namespace polis::store {
namespace {

struct Parameters {
   std::uint64_t rows = 1'000'000;
   std::uint64_t operations = 2'000'000;
   std::string only;
   std::filesystem::path folder = std::filesystem::temp_directory_path() / "polis_store_bench";
};

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::uint64_t mix(std::uint64_t x) {
   x += 0x9E3779B97F4A7C15;
   x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
   x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
   return x ^ (x >> 31);
}

/// The row's key, made without memory of rows made before.
struct Row {
   explicit Row(std::uint64_t number) {
      const std::uint64_t h = mix(number);
      std::memcpy(key, "service1", 8);
      key[8] = 0;
      key[9] = static_cast<std::uint8_t>(h % 3);
      keyBytes = 16 + (h >> 8) % 17;
      for (std::size_t at = 10, i = 1; at < keyBytes; at += 8, ++i) {
         const std::uint64_t word = mix(h + i);
         std::memcpy(key + at, &word, 8);
      }
      valueBytes = 32 + (h >> 16) % 225;
   }
   std::uint8_t key[48];
   std::size_t keyBytes, valueBytes;
   ByteView keyView() const { return {key, keyBytes}; }
};

const Bytes filler(512, 'v');
ByteView valueOf(const Row& row) { return ByteView(filler).first(row.valueBytes); }

void report(const char* engine, const std::string& name, const char* metric, double value, const char* unit) {
   std::printf(
       "{\"suite\":\"store\",\"case\":\"%s\",\"engine\":\"%s\",\"metric\":\"%s\",\"value\":%.6g,\"unit\":\"%s\"}\n",
       name.c_str(), engine, metric, value, unit);
   std::fflush(stdout);
}

struct Random {
   std::uint64_t state;
   std::uint64_t operator()() { return mix(state++); }
};

/// Both engines run the same cases through this.
class Engine {
public:
   virtual ~Engine() = default;
   virtual const char* name() const = 0;
   virtual void begin() = 0;
   virtual void put(ByteView key, ByteView value) = 0;
   virtual bool get(ByteView key) = 0;
   /// Within begin and commit or abort, transactions may be nested once.
   virtual void beginInner() = 0;
   virtual void endInner(bool keep) = 0;
   virtual void commit() = 0;
   virtual void sync() = 0;

   /// A reader of the newest committed state, for one thread.
   class Reader {
   public:
      virtual ~Reader() = default;
      virtual void renew() = 0;
      virtual bool get(ByteView key) = 0;
      virtual std::size_t scan(ByteView from, std::size_t count) = 0;
   };
   virtual std::unique_ptr<Reader> reader() = 0;
   virtual double fileBytes() = 0;
};

class PolisEngine final : public Engine {
public:
   explicit PolisEngine(const std::filesystem::path& folder)
      : store_(Store::open(folder / "store")), journal_(Journal::open(folder / "journal")), writer_(store_->empty()) {}
   const char* name() const override { return "polis"; }
   void begin() override {}
   void put(ByteView key, ByteView value) override {
      writer_.put(key, value);
      if (log_) {
         append(record_, key);
         append(record_, value);
      }
   }
   bool get(ByteView key) override { return writer_.get(key).has_value(); }
   void beginInner() override {
      mark_ = writer_.mark();
      recordMark_ = record_.size();
   }
   void endInner(bool keep) override {
      if (keep) {
         writer_.keep(mark_);
      } else {
         writer_.rollBack(mark_);
         record_.resize(recordMark_);
      }
   }
   void commit() override {
      Version next = writer_.snapshot();
      {
         Lock lock(mutex_);
         std::swap(newest_, next);
      }
      kept_.push_back(std::move(next));
      if (kept_.size() > keep_)
         kept_.pop_front();
   }
   void sync() override {
      journal_->append(record_);
      record_.clear();
      journal_->sync();
   }
   class PolisReader final : public Reader {
   public:
      explicit PolisReader(PolisEngine& engine) : engine_(engine) { renew(); }
      void renew() override {
         Lock lock(engine_.mutex_);
         version_ = engine_.newest_;
      }
      bool get(ByteView key) override { return version_.get(key).has_value(); }
      std::size_t scan(ByteView from, std::size_t count) override {
         auto cursor = version_.cursor();
         std::size_t seen = 0, bytes = 0;
         for (bool more = cursor.seek(from); more && seen < count; more = cursor.next(), ++seen)
            bytes += cursor.entry().value.size();
         return bytes;
      }

   private:
      PolisEngine& engine_;
      Version version_;
   };
   std::unique_ptr<Reader> reader() override { return std::make_unique<PolisReader>(*this); }
   double fileBytes() override { return static_cast<double>(store_->stat().fileBytes); }

   std::unique_ptr<Store> store_;
   std::unique_ptr<Journal> journal_;
   Writer writer_;
   Writer::Mark mark_{};
   Mutex mutex_;
   Version newest_;
   std::deque<Version> kept_;
   std::size_t keep_ = 0;
   bool log_ = false;
   Bytes record_;
   std::size_t recordMark_ = 0;
};

#ifdef POLIS_WITH_LMDB
MDB_val val(ByteView bytes) { return {bytes.size(), const_cast<std::uint8_t*>(bytes.data())}; }

class LmdbEngine final : public Engine {
public:
   explicit LmdbEngine(const std::filesystem::path& folder) {
      std::filesystem::create_directories(folder / "lmdb");
      ASSERT(mdb_env_create(&env_) == 0);
      ASSERT(mdb_env_set_mapsize(env_, std::size_t{32} << 30) == 0);
      // Nested transactions need the plain mode: abandoned ones are re-done without, see endInner.
      ASSERT(mdb_env_open(env_, (folder / "lmdb").c_str(), MDB_WRITEMAP | MDB_NOSYNC | MDB_NOMETASYNC, 0644) == 0);
      MDB_txn* txn;
      ASSERT(mdb_txn_begin(env_, nullptr, 0, &txn) == 0);
      ASSERT(mdb_dbi_open(txn, nullptr, 0, &dbi_) == 0);
      ASSERT(mdb_txn_commit(txn) == 0);
   }
   ~LmdbEngine() override { mdb_env_close(env_); }
   const char* name() const override { return "lmdb_writemap"; }
   void begin() override { ASSERT(mdb_txn_begin(env_, nullptr, 0, &txn_) == 0); }
   void put(ByteView key, ByteView value) override {
      MDB_val k = val(key), v = val(value);
      if (inner_)
         pending_.emplace_back(toBytes(key), toBytes(value));
      else
         ASSERT(mdb_put(txn_, dbi_, &k, &v, 0) == 0);
   }
   bool get(ByteView key) override {
      MDB_val k = val(key), v;
      return mdb_get(txn_, dbi_, &k, &v) == 0;
   }
   // A writable map has no nested transactions: changes are held back until they are kept.
   void beginInner() override { inner_ = true; }
   void endInner(bool keep) override {
      inner_ = false;
      if (keep)
         for (const auto& [key, value] : pending_)
            put(key, value);
      pending_.clear();
   }
   void commit() override { ASSERT(mdb_txn_commit(txn_) == 0); }
   void sync() override { ASSERT(mdb_env_sync(env_, 1) == 0); }
   class LmdbReader final : public Reader {
   public:
      explicit LmdbReader(LmdbEngine& engine) : dbi_(engine.dbi_) {
         ASSERT(mdb_txn_begin(engine.env_, nullptr, MDB_RDONLY, &txn_) == 0);
         ASSERT(mdb_cursor_open(txn_, dbi_, &cursor_) == 0);
      }
      ~LmdbReader() override {
         mdb_cursor_close(cursor_);
         mdb_txn_abort(txn_);
      }
      void renew() override {
         mdb_txn_reset(txn_);
         ASSERT(mdb_txn_renew(txn_) == 0);
         ASSERT(mdb_cursor_renew(txn_, cursor_) == 0);
      }
      bool get(ByteView key) override {
         MDB_val k = val(key), v;
         return mdb_get(txn_, dbi_, &k, &v) == 0;
      }
      std::size_t scan(ByteView from, std::size_t count) override {
         MDB_val k = val(from), v;
         std::size_t seen = 0, bytes = 0;
         for (int more = mdb_cursor_get(cursor_, &k, &v, MDB_SET_RANGE); more == 0 && seen < count;
              more = mdb_cursor_get(cursor_, &k, &v, MDB_NEXT), ++seen)
            bytes += v.mv_size;
         return bytes;
      }

   private:
      MDB_dbi dbi_;
      MDB_txn* txn_ = nullptr;
      MDB_cursor* cursor_ = nullptr;
   };
   std::unique_ptr<Reader> reader() override { return std::make_unique<LmdbReader>(*this); }
   double fileBytes() override {
      MDB_envinfo info;
      mdb_env_info(env_, &info);
      return static_cast<double>((info.me_last_pgno + 1) * 4096);
   }

   MDB_env* env_ = nullptr;
   MDB_dbi dbi_ = 0;
   MDB_txn* txn_ = nullptr;
   bool inner_ = false;
   std::vector<std::pair<Bytes, Bytes>> pending_;
};
#endif

double rate(std::uint64_t count, double from) { return static_cast<double>(count) / (seconds() - from); }

double upserts(Engine& engine, std::uint64_t count, auto&& number) {
   const double from = seconds();
   for (std::uint64_t i = 0; i < count;) {
      engine.begin();
      for (int j = 0; j < 100 && i < count; ++j, ++i) {
         const Row row(number(i));
         engine.put(row.keyView(), valueOf(row));
      }
      engine.commit();
   }
   return rate(count, from);
}

double gets(Engine::Reader& reader, std::uint64_t rows, std::uint64_t count, std::uint64_t seed) {
   Random random{seed};
   std::uint64_t found = 0;
   const double from = seconds();
   for (std::uint64_t i = 0; i < count; ++i) {
      if (i % 1000 == 0)
         reader.renew();
      found += reader.get(Row(random() % rows).keyView());
   }
   ASSERT(found == count);
   return rate(count, from);
}

/// Transactions of 4 reads, 3 updates, 1 insert; 1,000 to a block; each block kept as a version for ten blocks; one in
/// twenty is abandoned midway.
double blocks(Engine& engine, std::uint64_t rows, std::uint64_t& inserted, int count, bool durable) {
   Random random{77};
   const double from = seconds();
   for (int block = 0; block < count; ++block) {
      engine.begin();
      for (int t = 0; t < 1000; ++t) {
         engine.beginInner();
         const bool abandon = t % 20 == 7;
         for (int i = 0; i < 4; ++i)
            engine.get(Row(random() % rows).keyView());
         for (int i = 0; i < 3; ++i) {
            const Row row(random() % rows);
            engine.put(row.keyView(), valueOf(row));
         }
         if (!abandon) {
            const Row row(rows + inserted++);
            engine.put(row.keyView(), valueOf(row));
         }
         engine.endInner(!abandon);
      }
      engine.commit();
      if (durable)
         engine.sync();
   }
   return rate(static_cast<std::uint64_t>(count) * 1000, from);
}

void runCases(Engine& engine, const Parameters& p) {
   const std::string suffix = "/" + std::to_string(p.rows / 1000) + "k";
   const auto say = [&](const char* name, double value) {
      report(engine.name(), name + suffix, "ops_per_s", value, "1/s");
   };
   // Each row once, in random order: multiplying by an odd number modulo a power of two is a permutation.
   say("upsert", upserts(engine, p.rows, [](std::uint64_t i) { return i; }));
   Random random{5};
   say("update", upserts(engine, p.operations / 2, [&](std::uint64_t) { return random() % p.rows; }));
   report(engine.name(), "file" + suffix, "bytes", engine.fileBytes(), "B");
   {
      auto reader = engine.reader();
      reader->renew();
      say("get", gets(*reader, p.rows, p.operations, 1));
      const double from = seconds();
      const std::uint64_t scans = p.operations / 50;
      std::size_t bytes = 0;
      for (std::uint64_t i = 0; i < scans; ++i)
         bytes += reader->scan(Row(random() % p.rows).keyView(), 100);
      ASSERT(bytes > 0);
      say("scan100", rate(scans * 100, from));
   }
   {
      std::atomic<bool> stop = false;
      double written = 0, read = 0;
      std::thread reading([&] {
         auto reader = engine.reader();
         read = gets(*reader, p.rows, p.operations, 2);
         stop = true;
      });
      const double from = seconds();
      std::uint64_t puts = 0;
      for (; !stop; puts += 100)
         upserts(engine, 100, [&](std::uint64_t) { return random() % p.rows; });
      written = rate(puts, from);
      reading.join();
      say("get_beside_writer", read);
      say("write_beside_reader", written);
   }
   if (auto* polis = dynamic_cast<PolisEngine*>(&engine))
      polis->keep_ = 10;
   std::uint64_t inserted = 0;
   const int count = static_cast<int>(p.operations / 20'000);
   say("block", blocks(engine, p.rows, inserted, count, false));
   report(engine.name(), "file_after_block" + suffix, "bytes", engine.fileBytes(), "B");
   if (auto* polis = dynamic_cast<PolisEngine*>(&engine))
      polis->log_ = true;
   say("block_durable", blocks(engine, p.rows, inserted, count, true));
   if (auto* polis = dynamic_cast<PolisEngine*>(&engine)) {
      double from = seconds();
      polis->store_->checkpoint({{{"head", polis->newest_}}, polis->journal_->end(), {}});
      report("polis", "checkpoint" + suffix, "ms", 1000 * (seconds() - from), "ms");
      blocks(engine, p.rows, inserted, 10, true);
      from = seconds();
      polis->store_->checkpoint({{{"head", polis->newest_}}, polis->journal_->end(), {}});
      report("polis", "checkpoint_after_10_blocks" + suffix, "ms", 1000 * (seconds() - from), "ms");
   }
}

void run(const Parameters& p) {
   if (p.only.empty() || p.only == "polis") {
      const auto folder = p.folder / "polis";
      std::filesystem::remove_all(folder);
      {
         PolisEngine engine(folder);
         runCases(engine, p);
      }
      const double from = seconds();
      const auto store = Store::open(folder / "store");
      report("polis", "open/" + std::to_string(p.rows / 1000) + "k", "ms", 1000 * (seconds() - from), "ms");
   }
#ifdef POLIS_WITH_LMDB
   if (p.only.empty() || p.only == "lmdb") {
      const auto folder = p.folder / "lmdb";
      std::filesystem::remove_all(folder);
      LmdbEngine engine(folder);
      runCases(engine, p);
   }
#endif
   std::filesystem::remove_all(p.folder);
}

} // namespace
} // namespace polis::store

int main(int argc, char** argv) {
   polis::store::Parameters p;
   for (int i = 1; i < argc; ++i) {
      const std::string option = argv[i];
      const auto next = [&] { return std::string(i + 1 < argc ? argv[++i] : "0"); };
      if (option == "--rows")
         p.rows = std::max(1000ul, std::stoul(next()));
      else if (option == "--operations")
         p.operations = std::max(20'000ul, std::stoul(next()));
      else if (option == "--quick")
         p.operations = 1'000'000;
      else if (option == "--tiny")
         p.rows = 1000, p.operations = 20'000;
      else if (option == "--only")
         p.only = next();
      else if (option == "--folder")
         p.folder = next();
      else
         return std::fprintf(
                    stderr,
                    "store_bench [--rows N] [--operations N] [--quick] [--tiny] [--only polis|lmdb] [--folder DIR]\n"),
                2;
   }
   polis::store::run(p);
}
