// LMDB without syncs (block_durable: one mdb_env_sync a block), read transactions reset and renewed, plain or with a
// writable map. Abandoned transactions: what is put is held back until it is kept, which costs less than LMDB's own
// nested transactions and also works with a writable map, which has none.
#include "store_bench_engine.hpp"

#ifdef POLIS_WITH_LMDB
#include "base/assert.hpp"

#include <deque>
#include <lmdb.h>
#include <vector>

namespace polis::bench {
namespace {

MDB_val val(ByteView bytes) { return {bytes.size(), const_cast<std::uint8_t*>(bytes.data())}; }

class Lmdb final : public Engine {
public:
   Lmdb(const std::filesystem::path& folder, bool writemap) {
      std::filesystem::create_directories(folder);
      ASSERT(mdb_env_create(&env_) == 0);
      ASSERT(mdb_env_set_mapsize(env_, std::size_t{32} << 30) == 0);
      const unsigned flags = MDB_NOSYNC | MDB_NOMETASYNC | MDB_NOTLS | (writemap ? MDB_WRITEMAP : 0u);
      ASSERT(mdb_env_open(env_, folder.c_str(), flags, 0644) == 0);
      MDB_txn* txn;
      ASSERT(mdb_txn_begin(env_, nullptr, 0, &txn) == 0);
      ASSERT(mdb_dbi_open(txn, nullptr, 0, &dbi_) == 0);
      ASSERT(mdb_txn_commit(txn) == 0);
   }
   ~Lmdb() override {
      Lmdb::dropVersions();
      mdb_env_close(env_);
   }

   void begin() override { ASSERT(mdb_txn_begin(env_, nullptr, 0, &txn_) == 0); }
   void put(ByteView key, ByteView value) override {
      if (inner_) {
         held_.push_back({bytes_.size(), key.size(), value.size()});
         append(bytes_, key);
         append(bytes_, value);
         return;
      }
      MDB_val k = val(key), v = val(value);
      ASSERT(mdb_put(txn_, dbi_, &k, &v, 0) == 0);
   }
   void remove(ByteView key) override {
      MDB_val k = val(key);
      ASSERT(mdb_del(txn_, dbi_, &k, nullptr) == 0);
   }
   bool get(ByteView key) override {
      MDB_val k = val(key), v;
      return mdb_get(txn_, dbi_, &k, &v) == 0;
   }
   void beginInner() override { inner_ = true; }
   void endInner(bool keep) override {
      inner_ = false;
      if (keep)
         for (const Held& held : held_) {
            const ByteView both(bytes_);
            put(both.subspan(held.at, held.keyBytes), both.subspan(held.at + held.keyBytes, held.valueBytes));
         }
      held_.clear();
      bytes_.clear();
   }
   void commit() override { ASSERT(mdb_txn_commit(txn_) == 0); }

   void keepVersion() override {
      MDB_txn* txn;
      ASSERT(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn) == 0);
      kept_.push_back(txn);
      if (kept_.size() > versionsKept) {
         mdb_txn_abort(kept_.front());
         kept_.pop_front();
      }
   }
   void dropVersions() override {
      for (MDB_txn* txn : kept_)
         mdb_txn_abort(txn);
      kept_.clear();
   }
   void beginDurable() override {}
   void sync() override { ASSERT(mdb_env_sync(env_, 1) == 0); }
   void settle() override { sync(); }

   class LmdbReader final : public Reader {
   public:
      explicit LmdbReader(Lmdb& engine) : dbi_(engine.dbi_) {
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

private:
   struct Held {
      std::size_t at, keyBytes, valueBytes;
   };
   MDB_env* env_ = nullptr;
   MDB_dbi dbi_ = 0;
   MDB_txn* txn_ = nullptr;
   bool inner_ = false;
   std::vector<Held> held_;
   Bytes bytes_;
   std::deque<MDB_txn*> kept_;
};

} // namespace

std::unique_ptr<Engine> openLmdb(const std::filesystem::path& folder, bool writemap) {
   return std::make_unique<Lmdb>(folder, writemap);
}

} // namespace polis::bench
#else
namespace polis::bench {
std::unique_ptr<Engine> openLmdb(const std::filesystem::path&, bool) { return nullptr; }
} // namespace polis::bench
#endif
