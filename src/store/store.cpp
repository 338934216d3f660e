#include "store/store.hpp"

#include "base/fault.hpp"
#include "store/check.hpp"
#include "store/crc32c.hpp"
#include "store/tree.hpp"

#include <fcntl.h>

namespace polis::store {

using namespace detail;

namespace {

constexpr std::uint8_t magic[8] = {'p', 'o', 'l', 'i', 's', 'S', 'T', 0x1A};
constexpr std::uint32_t formatVersion = 1;
constexpr std::size_t nameBytesMax = 255, namesMax = 4096, userBytesMax = std::size_t{1} << 20;

/// Says where the newest checkpoint is. There are two, written in turn.
struct Superblock {
   std::uint8_t magic[8];
   std::uint32_t formatVersion;
   /// Over the rest, with this field as 0.
   std::uint32_t checksum;
   std::uint64_t sequence;
   /// Blob that describes the checkpoint; 0 when there is none.
   Ref record;
   std::uint32_t spare;
};
static_assert(sizeof(Superblock) == 32);
constexpr std::uint64_t superblockAt[2] = {0, 4096};

ByteView bytesOf(const Superblock& block) { return {reinterpret_cast<const std::uint8_t*>(&block), sizeof block}; }

std::uint32_t checksumOf(Superblock block) {
   block.checksum = 0;
   return crc32c(0, bytesOf(block));
}

void writeSuperblock(File& file, std::uint64_t sequence, Ref record) {
   Superblock block{{}, formatVersion, 0, sequence, record, 0};
   std::memcpy(block.magic, magic, sizeof magic);
   block.checksum = checksumOf(block);
   file.writeAt(superblockAt[sequence % 2], bytesOf(block));
}

Superblock readSuperblock(const File& file) {
   if (file.size() < slabBytes)
      throw Fault(file.name() + ": truncated");
   std::optional<Superblock> newest;
   bool known = false, newer = false;
   for (const std::uint64_t at : superblockAt) {
      Superblock block;
      file.readAt(at, {reinterpret_cast<std::uint8_t*>(&block), sizeof block});
      if (std::memcmp(block.magic, magic, sizeof magic) != 0)
         continue;
      known = true;
      if (block.checksum != checksumOf(block))
         continue;
      newer |= block.formatVersion > formatVersion;
      if (!newest || block.sequence > newest->sequence)
         newest = block;
   }
   if (!known)
      throw Fault(file.name() + ": not a store");
   if (newer)
      throw Fault(file.name() + ": written by a newer version of this program");
   if (!newest)
      throw Fault(file.name() + ": damaged: both superblocks");
   return *newest;
}

File createFile(const std::filesystem::path& folder) {
   const auto fresh = folder / "data.new", path = folder / "data";
   File file(fresh, O_RDWR | O_CREAT | O_TRUNC);
   file.allocate(0, slabBytes);
   writeSuperblock(file, 0, 0);
   file.sync();
   std::error_code error;
   std::filesystem::rename(fresh, path, error);
   if (error)
      throw Fault("rename " + fresh.string() + ": " + error.message());
   syncFolder(folder);
   return File(path, O_RDWR);
}

template <class Number>
void appendNumber(Bytes& out, Number number) {
   append(out, {reinterpret_cast<const std::uint8_t*>(&number), sizeof number});
}

/// Takes numbers and strings off the front of a record that is not trusted.
class RecordReader {
public:
   explicit RecordReader(ByteView rest) : rest_(rest) {}
   ByteView bytes(std::size_t n) {
      if (n > rest_.size())
         throw Fault("damaged: checkpoint record too short");
      const ByteView out = rest_.first(n);
      rest_ = rest_.subspan(n);
      return out;
   }
   template <class Number>
   Number number() {
      Number out;
      std::memcpy(&out, bytes(sizeof out).data(), sizeof out);
      return out;
   }
   bool done() const { return rest_.empty(); }

private:
   ByteView rest_;
};

} // namespace

struct Store::State {
   State(File lockFile, File dataFile, std::uint64_t fileBytesMax)
      : lock(std::move(lockFile)), pool(std::move(dataFile), fileBytesMax) {}
   ~State() {
      // The held versions go first, into a pool that still runs.
      held.reset();
      if (record)
         pool.release(record, nullptr);
   }

   File lock;
   Pool pool;
   Mutex mutex;
   std::optional<Checkpoint> held GUARDED_BY(mutex);
   /// The checkpoint's blob.
   Ref record GUARDED_BY(mutex) = 0;
   std::uint64_t sequence GUARDED_BY(mutex) = 0;
   /// A write of a checkpoint failed: nobody knows which one the disk holds.
   bool failed GUARDED_BY(mutex) = false;
   /// One checkpoint at a time; taken before `mutex`.
   Mutex checkpointing;
};

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::~Store() = default;

std::unique_ptr<Store> Store::open(const std::filesystem::path& folder, const Options& options) {
   makeFolder(folder);
   File lock(folder / "lock", O_RDWR | O_CREAT);
   if (!lock.tryLock())
      throw Fault(folder.string() + ": already open elsewhere");
   const auto path = folder / "data";
   File file = std::filesystem::exists(path) ? File(path, O_RDWR) : createFile(folder);
   const Superblock block = readSuperblock(file);
   ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_WILLNEED);
   const std::uint64_t bytesMax = std::clamp<std::uint64_t>(options.fileBytesMax, slabBytes, std::uint64_t{256} << 30);
   auto state = std::make_unique<State>(std::move(lock), std::move(file), bytesMax);
   Pool& pool = state->pool;
   std::unique_ptr<Store> store(new Store(std::move(state)));
   State& s = *store->state_;
   if (block.record) {
      Checkpoint checkpoint;
      std::vector<std::pair<std::string, Ref>> roots;
      try {
         pool.adopt(block.record);
         checkNode(pool, block.record, {});
         if (pool.node(block.record)->kind != Kind::blob ||
             pool.node(block.record)->seal != nodeChecksum(pool.node(block.record)))
            throw Fault("damaged: checkpoint record");
         RecordReader reader({pool.blob(block.record)->value(), pool.blob(block.record)->length});
         const auto count = reader.number<std::uint32_t>();
         for (std::uint32_t i = 0; i < count; ++i) {
            const std::string name = toText(reader.bytes(reader.number<std::uint8_t>()));
            roots.emplace_back(name, reader.number<Ref>());
         }
         checkpoint.journal = reader.number<std::uint64_t>();
         checkpoint.user = toBytes(reader.bytes(reader.number<std::uint32_t>()));
         if (!reader.done())
            throw Fault("damaged: checkpoint record too long");
         for (const auto& [name, ref] : roots)
            if (ref)
               adoptTree(pool, ref);
      } catch (const Fault& fault) {
         throw Fault(path.string() + ": " + fault.what());
      }
      for (const auto& [name, ref] : roots)
         checkpoint.versions.emplace(name, Version(&pool, ref));
      Lock guard(s.mutex);
      s.held = std::move(checkpoint);
      s.record = block.record;
      s.sequence = block.sequence;
   }
   pool.startUse();
   return store;
}

Version Store::empty() { return Version(&state_->pool, 0); }

std::optional<Checkpoint> Store::lastCheckpoint() {
   Lock lock(state_->mutex);
   return state_->held;
}

void Store::checkpoint(const Checkpoint& next) {
   State& s = *state_;
   Pool& pool = s.pool;
   ASSERT(next.versions.size() <= namesMax);
   ASSERT(next.user.size() <= userBytesMax);
   Lock only(s.checkpointing);
   std::uint64_t sequence;
   {
      Lock lock(s.mutex);
      if (s.failed)
         throw Fault(pool.file().name() + ": an earlier checkpoint failed");
      sequence = s.sequence + 1;
   }
   Bytes record;
   appendNumber(record, static_cast<std::uint32_t>(next.versions.size()));
   for (const auto& [name, version] : next.versions) {
      ASSERT(name.size() <= nameBytesMax);
      ASSERT(version.pool_ == &pool || version.root_ == 0);
      appendNumber(record, static_cast<std::uint8_t>(name.size()));
      append(record, asBytes(name));
      appendNumber(record, version.root_);
   }
   appendNumber(record, next.journal);
   appendNumber(record, static_cast<std::uint32_t>(next.user.size()));
   append(record, next.user);

   auto cache = pool.takeCache();
   struct Return {
      Pool& pool;
      std::unique_ptr<Pool::Cache>& cache;
      ~Return() { pool.giveCache(std::move(cache)); }
   } giveBack{pool, cache};
   Held blob(pool, *cache, pool.allocate(*cache, Kind::blob, sizeof(Blob) + record.size()));
   pool.blob(blob.get())->spare = 0;
   pool.blob(blob.get())->length = static_cast<std::uint32_t>(record.size());
   std::memcpy(pool.blob(blob.get())->value(), record.data(), record.size());
   sealTree(pool, blob.get());
   for (const auto& [name, version] : next.versions)
      if (version.root_)
         sealTree(pool, version.root_);

   // From here on the checkpoint before must stay whole until the new one is certain.
   Checkpoint copy = next;
   try {
      pool.file().sync();
      writeSuperblock(pool.file(), sequence, blob.get());
      pool.file().sync();
   } catch (const Fault&) {
      Lock lock(s.mutex);
      s.failed = true;
      // Either may be the one on disk: neither is ever freed.
      for (const auto& [name, version] : copy.versions)
         if (version.root_)
            pool.retain(version.root_);
      blob.take();
      throw;
   }
   Ref oldRecord;
   std::optional<Checkpoint> old;
   {
      Lock lock(s.mutex);
      old = std::exchange(s.held, std::move(copy));
      oldRecord = std::exchange(s.record, blob.take());
      s.sequence = sequence;
   }
   if (oldRecord)
      pool.release(oldRecord, cache.get());
}

Stat Store::stat() {
   const Pool::Usage usage = state_->pool.usage();
   Lock lock(state_->mutex);
   return {usage.fileBytes, usage.usedBytes, usage.nodes, usage.reclaimQueue, state_->sequence};
}

void Store::drain() { state_->pool.drain(); }

void Store::verify(std::span<const Version* const> alive) {
   State& s = *state_;
   std::map<Ref, std::uint32_t> references;
   const auto add = [&](const Version& version) {
      if (version.root_)
         checkTree(s.pool, version.root_, references);
   };
   for (const Version* version : alive)
      add(*version);
   {
      Lock lock(s.mutex);
      if (s.held)
         for (const auto& [name, version] : s.held->versions)
            add(version);
      if (s.record)
         ++references[s.record];
   }
   s.pool.verify(references);
}

} // namespace polis::store
