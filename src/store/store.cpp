#include "store/store.hpp"

#include "base/fault.hpp"
#include "store/check.hpp"
#include "store/crc32c.hpp"
#include "store/memory.hpp"
#include "store/reader.hpp"
#include "store/tree.hpp"

#include <fcntl.h>

namespace polis::store {

using namespace detail;

namespace {

constexpr std::uint8_t magic[8] = {'p', 'o', 'l', 'i', 's', 'S', 'T', 0x1A};
constexpr std::uint32_t formatVersion = 2;
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

/// The record of a checkpoint belongs to no generation.
constexpr std::uint64_t recordBirth = 0;

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
   bool known = false, newer = false, older = false;
   for (const std::uint64_t at : superblockAt) {
      Superblock block;
      file.readAt(at, {reinterpret_cast<std::uint8_t*>(&block), sizeof block});
      if (std::memcmp(block.magic, magic, sizeof magic) != 0)
         continue;
      known = true;
      if (block.checksum != checksumOf(block))
         continue;
      newer |= block.formatVersion > formatVersion;
      older |= block.formatVersion < formatVersion;
      if (!newest || block.sequence > newest->sequence)
         newest = block;
   }
   if (!known)
      throw Fault(file.name() + ": not a store");
   if (newer)
      throw Fault(file.name() + ": written by a newer version of this program");
   if (older)
      throw Fault(file.name() + ": written by an older version of this program, in format " +
                  std::to_string(newest->formatVersion) + "; this one reads format " + std::to_string(formatVersion));
   if (!newest)
      throw Fault(file.name() + ": damaged: both superblocks");
   return *newest;
}

File createFile(const std::filesystem::path& folder, FileWatch* watch) {
   const auto fresh = folder / "data.new", path = folder / "data";
   File file(fresh, O_RDWR | O_CREAT | O_TRUNC, watch);
   file.allocate(0, slabBytes);
   writeSuperblock(file, 0, 0);
   file.sync();
   std::error_code error;
   std::filesystem::rename(fresh, path, error);
   if (error)
      throw Fault("rename " + fresh.string() + ": " + error.message());
   syncFolder(folder);
   return File(path, O_RDWR, watch);
}

} // namespace

struct Store::State {
   State(File lockFile, File dataFile, std::uint64_t fileBytesMax, std::uint64_t heldBytesMax,
         std::size_t hashCacheBytesMax)
      : lock(std::move(lockFile)), generations(std::move(dataFile), fileBytesMax, heldBytesMax, hashCacheBytesMax) {}

   File lock;
   Generations generations;
   Mutex mutex;
   std::optional<Checkpoint> held GUARDED_BY(mutex);
   /// All versions of the checkpoint, those included that have no name and only tell how the others are related.
   std::vector<Version> heldAll GUARDED_BY(mutex);
   /// The checkpoint's blob.
   Ref record GUARDED_BY(mutex) = 0;
   std::uint64_t sequence GUARDED_BY(mutex) = 0;
   /// A write of a checkpoint failed: nobody knows which one the disk holds.
   bool failed GUARDED_BY(mutex) = false;
   /// Of the one that failed.
   std::vector<Version> failedAll GUARDED_BY(mutex);
   /// One checkpoint at a time; taken before `mutex`.
   Mutex checkpointing;
};

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::~Store() = default;

std::unique_ptr<Store> Store::open(const std::filesystem::path& folder, const Options& options) {
   const auto path = folder / "data";
   if (options.mustExist && !std::filesystem::exists(path))
      throw Fault(folder.string() + ": there is no store");
   makeFolder(folder);
   File lock(folder / "lock", O_RDWR | O_CREAT);
   if (!lock.tryLock())
      throw Fault(folder.string() + ": already open elsewhere");
   File file = std::filesystem::exists(path) ? File(path, O_RDWR, options.watch) : createFile(folder, options.watch);
   const Superblock block = readSuperblock(file);
   ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_WILLNEED);
   const std::uint64_t bytesMax = std::clamp<std::uint64_t>(options.fileBytesMax, slabBytes, std::uint64_t{256} << 30);
   auto state =
       std::make_unique<State>(std::move(lock), std::move(file), bytesMax,
                               options.heldBytesMax.value_or(availableMemory() / 2), options.hashCacheBytesMax);
   Pool& pool = state->generations.pool();
   std::unique_ptr<Store> store(new Store(std::move(state)));
   State& s = *store->state_;
   if (block.record) {
      Lock guard(s.mutex);
      try {
         s.held = readRecord(s.generations, block.record, s.heldAll);
      } catch (const Fault& fault) {
         throw Fault(path.string() + ": " + fault.what());
      }
      s.record = block.record;
      s.sequence = block.sequence;
   }
   pool.startUse();
   return store;
}

Checkpoint Store::readRecord(Generations& generations, Ref record, std::vector<Version>& all) {
   Pool& pool = generations.pool();
   pool.adopt(record);
   checkNode(pool, record, {});
   if (pool.node(record)->kind != Kind::blob || pool.node(record)->seal != nodeChecksum(pool.node(record)))
      throw Fault("damaged: checkpoint record");
   Reader reader({pool.blob(record)->value(), pool.blob(record)->length});
   std::vector<Generation*> kept;
   for (auto count = reader.number<std::uint32_t>(); count > 0 && !reader.failed(); --count) {
      const auto number = reader.number<std::uint64_t>();
      const auto above = reader.number<std::int32_t>();
      const auto root = reader.number<Ref>();
      if (reader.failed())
         break;
      if (above < -1 || above >= static_cast<std::int64_t>(kept.size()))
         throw Fault("damaged: checkpoint record: version without the one above");
      Generation* const parent = above < 0 ? nullptr : kept[static_cast<std::size_t>(above)];
      if (number <= (parent ? parent->number : 0))
         throw Fault("damaged: checkpoint record: wrong number of a version");
      kept.push_back(generations.restore(number, parent, root, adoptTree(pool, root, number, parent)));
      Generations::retain(*kept.back());
      all.push_back(Version(generations, kept.back()));
   }
   Checkpoint out;
   for (auto count = reader.number<std::uint32_t>(); count > 0 && !reader.failed(); --count) {
      const std::string name = toText(reader.bytes(reader.number<std::uint8_t>()));
      const auto at = reader.number<std::uint32_t>();
      if (at > all.size())
         throw Fault("damaged: checkpoint record: name without a version");
      out.versions.emplace(name, at == 0 ? Version(generations, nullptr) : all[at - 1]);
   }
   out.journal = reader.number<std::uint64_t>();
   out.user = toBytes(reader.bytes(reader.number<std::uint32_t>()));
   if (reader.failed() || !reader.done())
      throw Fault("damaged: checkpoint record of wrong length");
   return out;
}

Bytes Store::makeRecord(Generations& generations, const Checkpoint& checkpoint, std::vector<Version>& all) {
   std::vector<Generation*> named;
   for (const auto& [name, version] : checkpoint.versions) {
      ASSERT(name.size() <= nameBytesMax);
      ASSERT(version.generations_ == &generations || !version.generation_);
      if (version.generation_)
         named.push_back(version.generation_);
   }
   const auto kept = generations.keep(named);
   std::map<const Generation*, std::uint32_t> places{{nullptr, 0}};
   Bytes record;
   appendNumber(record, static_cast<std::uint32_t>(kept.size()));
   for (const auto& [generation, above] : kept) {
      all.push_back(Version(generations, generation));
      places.emplace(generation, static_cast<std::uint32_t>(all.size()));
      appendNumber(record, generation->number);
      appendNumber(record, above);
      appendNumber(record, generation->root);
   }
   appendNumber(record, static_cast<std::uint32_t>(checkpoint.versions.size()));
   for (const auto& [name, version] : checkpoint.versions) {
      appendNumber(record, static_cast<std::uint8_t>(name.size()));
      append(record, asBytes(name));
      appendNumber(record, places.at(version.generation_));
   }
   appendNumber(record, checkpoint.journal);
   appendNumber(record, static_cast<std::uint32_t>(checkpoint.user.size()));
   append(record, checkpoint.user);
   return record;
}

Version Store::empty() { return Version(state_->generations, nullptr); }

std::optional<Checkpoint> Store::lastCheckpoint() {
   Lock lock(state_->mutex);
   return state_->held;
}

void Store::checkpoint(const Checkpoint& next) {
   State& s = *state_;
   Pool& pool = s.generations.pool();
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
   pool.beginEpoch();
   std::vector<Version> all;
   const Bytes record = makeRecord(s.generations, next, all);
   auto cache = pool.takeCache();
   Ref ref;
   try {
      ref = pool.allocate(*cache, Kind::blob, sizeof(Blob) + record.size(), recordBirth);
   } catch (const Fault&) {
      pool.giveCache(std::move(cache));
      throw;
   }
   pool.giveCache(std::move(cache));
   pool.blob(ref)->spare = 0;
   pool.blob(ref)->length = static_cast<std::uint32_t>(record.size());
   std::memcpy(pool.blob(ref)->value(), record.data(), record.size());
   sealTree(pool, ref);
   for (const Version& version : all)
      sealTree(pool, version.root_);

   // From here on the checkpoint before must stay whole until the new one is certain.
   Checkpoint copy = next;
   try {
      pool.writeBack();
      pool.file().sync();
      writeSuperblock(pool.file(), sequence, ref);
      pool.file().sync();
   } catch (const Fault&) {
      // Either may be the one on disk: neither is ever freed.
      Lock lock(s.mutex);
      s.failed = true;
      s.failedAll = std::move(all);
      throw;
   }
   Ref oldRecord;
   std::optional<Checkpoint> old;
   {
      Lock lock(s.mutex);
      old = std::exchange(s.held, std::move(copy));
      all.swap(s.heldAll);
      oldRecord = std::exchange(s.record, ref);
      s.sequence = sequence;
   }
   if (oldRecord)
      pool.free(oldRecord, nullptr);
}

void Store::copyTo(const std::filesystem::path& folder) {
   const auto from = lastCheckpoint();
   if (!from)
      throw Fault(state_->generations.pool().file().name() + ": no checkpoint was ever made here");
   if (std::filesystem::exists(folder / "data"))
      throw Fault(folder.string() + ": there is a store already");
   std::vector<Generation*> named;
   for (const auto& [name, version] : from->versions)
      if (version.generation_)
         named.push_back(version.generation_);
   const auto store = open(folder);
   std::vector<Version> versions, copies;
   std::map<const Generation*, Version> copyOf{{nullptr, store->empty()}};
   for (const auto& [generation, above] : state_->generations.keep(named)) {
      versions.push_back(Version(state_->generations, generation));
      const auto at = static_cast<std::size_t>(above);
      Writer writer(above < 0 ? store->empty() : copies[at]);
      versions.back().changesSince(above < 0 ? empty() : versions[at], {}, [&](const Change& change) {
         if (change.after)
            writer.put(change.key, *change.after);
         else
            writer.remove(change.key);
         return true;
      });
      copies.push_back(writer.snapshot());
      copyOf.emplace(generation, copies.back());
   }
   Checkpoint to{{}, from->journal, from->user};
   for (const auto& [name, version] : from->versions)
      to.versions.emplace(name, copyOf.at(version.generation_));
   store->checkpoint(to);
}

void Store::compact(const std::filesystem::path& folder) {
   const auto store = open(folder, {.mustExist = true});
   const auto fresh = folder / "compact";
   std::error_code error;
   std::filesystem::remove_all(fresh, error);
   if (!error) {
      store->copyTo(fresh);
      std::filesystem::rename(fresh / "data", folder / "data", error);
   }
   if (error)
      throw Fault("compact " + folder.string() + ": " + error.message());
   syncFolder(folder);
   std::filesystem::remove_all(fresh, error);
}

void Store::prepare() { state_->generations.pool().prepare(); }

Stat Store::stat() {
   const Pool::Usage usage = state_->generations.pool().usage();
   const std::size_t queued = state_->generations.queued();
   Lock lock(state_->mutex);
   return {usage.fileBytes, usage.usedBytes, usage.nodes, queued, state_->sequence};
}

void Store::drain() { state_->generations.drain(); }

void Store::verify(std::span<const Version* const> alive) {
   State& s = *state_;
   std::map<const Generation*, std::uint32_t> handles;
   const auto add = [&](const Version& version) {
      if (version.generation_)
         ++handles[version.generation_];
   };
   for (const Version* version : alive)
      add(*version);
   std::unordered_set<Ref> others;
   {
      Lock lock(s.mutex);
      if (s.held)
         for (const auto& [name, version] : s.held->versions)
            add(version);
      for (const Version& version : s.heldAll)
         add(version);
      if (s.record)
         others.insert(s.record);
   }
   s.generations.verify(handles, std::move(others));
}

} // namespace polis::store
