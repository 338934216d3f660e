// RocksDB with a 1 GiB cache, Bloom filters, no compression, 128 MiB memtables. Without its log until block_durable;
// there each transaction is written to the log, which is synced once a block.
#include "store_bench_engine.hpp"

#ifdef POLIS_WITH_ROCKSDB
#include "base/assert.hpp"

#include <deque>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

namespace polis::bench {
namespace {

rocksdb::Slice slice(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

class Rocksdb final : public Engine {
public:
   explicit Rocksdb(const std::filesystem::path& folder) {
      rocksdb::Options options;
      options.create_if_missing = true;
      options.IncreaseParallelism(2);
      options.write_buffer_size = std::size_t{128} << 20;
      options.max_write_buffer_number = 4;
      options.compression = rocksdb::kNoCompression;
      options.bottommost_compression = rocksdb::kNoCompression;
      options.level_compaction_dynamic_level_bytes = true;
      rocksdb::BlockBasedTableOptions table;
      table.block_cache = rocksdb::NewLRUCache(std::size_t{1} << 30);
      table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
      table.block_size = 4096;
      table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
      options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
      rocksdb::DB* db = nullptr;
      const rocksdb::Status status = rocksdb::DB::Open(options, folder.string(), &db);
      ASSERT(status.ok());
      db_.reset(db);
      write_.disableWAL = true;
   }
   ~Rocksdb() override {
      Rocksdb::dropVersions();
      // What was read last is pinned in the cache, which ends with the database.
      value_.Reset();
      ASSERT(db_->Flush({}).ok());
      ASSERT(db_->Close().ok());
   }

   void begin() override {}
   void put(ByteView key, ByteView value) override { ASSERT(batch_.Put(slice(key), slice(value)).ok()); }
   void remove(ByteView key) override { ASSERT(batch_.Delete(slice(key)).ok()); }
   bool get(ByteView key) override {
      value_.Reset();
      return db_->Get({}, db_->DefaultColumnFamily(), slice(key), &value_).ok();
   }
   std::size_t get(std::span<const ByteView> keys) override {
      slices_.clear();
      for (const ByteView key : keys)
         slices_.push_back(slice(key));
      values_.resize(keys.size());
      statuses_.resize(keys.size());
      db_->MultiGet({}, db_->DefaultColumnFamily(), keys.size(), slices_.data(), values_.data(), statuses_.data());
      std::size_t found = 0;
      for (std::size_t i = 0; i < keys.size(); ++i) {
         found += statuses_[i].ok();
         values_[i].Reset();
      }
      return found;
   }
   void beginInner() override {}
   void endInner(bool keep) override {
      if (keep)
         ASSERT(db_->Write(write_, &batch_).ok());
      batch_.Clear();
   }
   void commit() override {
      if (batch_.Count())
         endInner(true);
   }
   void keepVersion() override {
      kept_.push_back(db_->GetSnapshot());
      if (kept_.size() > versionsKept) {
         db_->ReleaseSnapshot(kept_.front());
         kept_.pop_front();
      }
   }
   void dropVersions() override {
      for (const auto* snapshot : kept_)
         db_->ReleaseSnapshot(snapshot);
      kept_.clear();
   }
   void beginDurable() override { write_.disableWAL = false; }
   void sync() override { ASSERT(db_->SyncWAL().ok()); }
   void settle() override { ASSERT(db_->Flush({}).ok()); }

   class RocksdbReader final : public Reader {
   public:
      explicit RocksdbReader(rocksdb::DB& db) : db_(db) {}
      void renew() override {}
      bool get(ByteView key) override {
         value_.Reset();
         return db_.Get({}, db_.DefaultColumnFamily(), slice(key), &value_).ok();
      }
      std::size_t scan(ByteView from, std::size_t count) override {
         const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator({}));
         std::size_t seen = 0, bytes = 0;
         for (at->Seek(slice(from)); at->Valid() && seen < count; at->Next(), ++seen)
            bytes += at->value().size();
         return bytes;
      }

   private:
      rocksdb::DB& db_;
      rocksdb::PinnableSlice value_;
   };
   std::unique_ptr<Reader> reader() override { return std::make_unique<RocksdbReader>(*db_); }

private:
   std::unique_ptr<rocksdb::DB> db_;
   rocksdb::WriteOptions write_;
   rocksdb::WriteBatch batch_;
   rocksdb::PinnableSlice value_;
   std::vector<rocksdb::Slice> slices_;
   std::vector<rocksdb::PinnableSlice> values_;
   std::vector<rocksdb::Status> statuses_;
   std::deque<const rocksdb::Snapshot*> kept_;
};

} // namespace

std::unique_ptr<Engine> openRocksdb(const std::filesystem::path& folder) { return std::make_unique<Rocksdb>(folder); }

} // namespace polis::bench
#else
namespace polis::bench {
std::unique_ptr<Engine> openRocksdb(const std::filesystem::path&) { return nullptr; }
} // namespace polis::bench
#endif
