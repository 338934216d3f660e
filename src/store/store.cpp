#include "store/store.hpp"

#include "base/fault.hpp"
#include "store/check.hpp"
#include "store/memory.hpp"
#include "store/reader.hpp"
#include "store/superblock.hpp"
#include "store/tree.hpp"

#include <fcntl.h>

namespace polis::store {

using namespace detail;

namespace {

constexpr std::size_t nameBytesMax = 255, namesMax = 4096, userBytesMax = std::size_t{1} << 20;

/// So many generations no store will see.
constexpr std::uint64_t numberMax = std::uint64_t{1} << 62;

/// The record of a checkpoint belongs to no generation.
constexpr std::uint64_t recordBirth = 0;

/// A file that is to take the place of a store's own, or be its first.
class FreshFile {
public:
   FreshFile(const std::filesystem::path& folder, FileWatch* watch)
      : folder_(folder), watch_(watch), file_(pathIn(folder), O_RDWR | O_CREAT | O_TRUNC, watch) {}
   ~FreshFile() {
      if (!placed_)
         removeFrom(folder_);
   }
   FreshFile(const FreshFile&) = delete;
   FreshFile& operator=(const FreshFile&) = delete;

   File& file() { return file_; }
   /// Makes it, which is durable, the store's own. When it throws, nobody knows which one that is.
   File place() {
      const auto path = folder_ / "data";
      std::error_code error;
      std::filesystem::rename(pathIn(folder_), path, error);
      if (error)
         throw Fault("rename " + pathIn(folder_).string() + ": " + error.message());
      placed_ = true;
      syncFolder(folder_);
      return File(path, O_RDWR, watch_);
   }
   /// Does away with what was not placed.
   static void removeFrom(const std::filesystem::path& folder) {
      std::error_code ignored;
      std::filesystem::remove(pathIn(folder), ignored);
   }

private:
   static std::filesystem::path pathIn(const std::filesystem::path& folder) { return folder / "data.new"; }

   std::filesystem::path folder_;
   FileWatch* watch_;
   File file_;
   bool placed_ = false;
};

File createFile(const std::filesystem::path& folder, FileWatch* watch) {
   FreshFile fresh(folder, watch);
   fresh.file().allocate(0, slabBytes);
   Superblocks::create(fresh.file());
   fresh.file().sync();
   return fresh.place();
}

/// Where nobody ever wrote there may be nothing to lock for reading, and nothing is made then.
File lockFolder(const std::filesystem::path& folder, bool readOnly) {
   const auto path = folder / "lock";
   if (readOnly && !std::filesystem::exists(path))
      return {};
   File lock(path, readOnly ? O_RDONLY : O_RDWR | O_CREAT);
   if (!lock.tryLock(readOnly ? Sharing::shared : Sharing::exclusive))
      throw Fault(folder.string() + ": already open elsewhere");
   return lock;
}

} // namespace

struct Store::State {
   State(std::filesystem::path folderPath, File lockFile, File dataFile, const Options& options)
      : folder(std::move(folderPath)), watch(options.watch), name((folder / "data").string()),
        lock(std::move(lockFile)), superblocks(dataFile),
        generations(std::move(dataFile),
                    std::clamp<std::uint64_t>(options.fileBytesMax, slabBytes, std::uint64_t{256} << 30),
                    options.heldBytesMax.value_or(availableMemory() / 2), options.hashCacheBytesMax) {}

   const std::filesystem::path folder;
   FileWatch* const watch;
   const std::string name;
   File lock;
   /// One checkpoint at a time; taken before `mutex`.
   Mutex checkpointing;
   Superblocks superblocks GUARDED_BY(checkpointing);
   Generations generations;
   Mutex mutex;
   std::optional<Checkpoint> opened GUARDED_BY(mutex);
   /// Nothing that the last checkpoint reaches changes in memory, so that the next one may be written beside it. Else
   /// that one is written to a file of its own.
   bool keeps GUARDED_BY(mutex) = true;
   /// All versions of the checkpoint if it is kept, those included that have no name and only tell how the others are
   /// related.
   std::vector<Version> keptAll GUARDED_BY(mutex);
   /// The blob of a checkpoint that is kept.
   Ref record GUARDED_BY(mutex) = 0;
   std::uint64_t sequence GUARDED_BY(mutex) = 0;
   std::string notice GUARDED_BY(mutex);
   /// A write of a checkpoint failed: nobody knows which one the disk holds.
   bool failed GUARDED_BY(mutex) = false;
   /// Of the one that failed.
   std::vector<Version> failedAll GUARDED_BY(mutex);
};

namespace {

/// Whether so much has changed that a checkpoint kept beside would make the file long for what it holds.
bool isMuch(std::uint64_t changedBytes, std::uint64_t ofBytes) { return changedBytes * 5 > ofBytes * 2; }

Ref makeBlob(Pool& pool, ByteView value) {
   auto cache = pool.takeCache();
   Ref ref;
   try {
      ref = pool.allocate(*cache, Kind::blob, sizeof(Blob) + value.size(), recordBirth);
   } catch (const Fault&) {
      pool.giveCache(std::move(cache));
      throw;
   }
   pool.giveCache(std::move(cache));
   pool.blob(ref)->spare = 0;
   pool.blob(ref)->length = static_cast<std::uint32_t>(value.size());
   std::memcpy(pool.blob(ref)->value(), value.data(), value.size());
   return ref;
}

} // namespace

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::~Store() = default;

std::unique_ptr<Store> Store::open(const std::filesystem::path& folder, const Options& options) {
   const auto path = folder / "data";
   if ((options.mustExist || options.readOnly) && !std::filesystem::exists(path))
      throw Fault(folder.string() + ": there is no store");
   if (!options.readOnly)
      makeFolder(folder);
   File lock = lockFolder(folder, options.readOnly);
   File file = std::filesystem::exists(path) ? File(path, options.readOnly ? O_RDONLY : O_RDWR, options.watch)
                                             : createFile(folder, options.watch);
   ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_WILLNEED);
   std::unique_ptr<Store> store(new Store(std::make_unique<State>(folder, std::move(lock), std::move(file), options)));
   State& s = *store->state_;
   Pool& pool = s.generations.pool();
   Lock only(s.checkpointing);
   Lock guard(s.mutex);
   s.record = s.superblocks.record();
   s.sequence = s.superblocks.sequence();
   s.notice = s.superblocks.notice();
   if (s.record)
      try {
         s.opened = readRecord(s.generations, s.record, s.keptAll);
      } catch (const Fault& fault) {
         throw Fault(path.string() + ": " + fault.what());
      }
   // All that the newest names is whole. Where something else is not, what may tell of it stays.
   if (!options.readOnly) {
      s.superblocks.settle(pool.file());
      // Its name may be no further than the memory of the system yet, when a process was killed.
      syncFolder(folder);
      FreshFile::removeFrom(folder);
   }
   pool.startUse(!options.readOnly && s.notice.empty());
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
      if (number <= (parent ? parent->number : 0) || number > numberMax)
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
   return state_->opened;
}

void Store::checkpoint(const Checkpoint& next) {
   State& s = *state_;
   Pool& pool = s.generations.pool();
   ASSERT(next.versions.size() <= namesMax);
   ASSERT(next.user.size() <= userBytesMax);
   Lock only(s.checkpointing);
   if (!pool.file().writable())
      throw Fault(s.name + " is open for reading only");
   bool beside;
   {
      Lock lock(s.mutex);
      if (s.failed)
         throw Fault(s.name + ": an earlier checkpoint failed");
      beside = s.keeps;
   }
   pool.beginEpoch(beside);
   std::vector<Version> all;
   const Bytes record = makeRecord(s.generations, next, all);
   const Ref ref = makeBlob(pool, record);
   sealTree(pool, ref);
   for (const Version& version : all)
      sealTree(pool, version.root_);
   const Pool::Amounts amounts = pool.amounts();
   const std::uint64_t changed = pool.changedBytes();
   const bool keep = !amounts.held || !isMuch(changed, amounts.usedBytes - (beside ? changed : 0));

   // Only what is kept must stay whole in memory until the new one is certain.
   bool uncertain = beside;
   try {
      if (beside) {
         pool.writeBack();
         pool.file().sync();
         s.superblocks.write(pool.file(), ref);
      } else {
         FreshFile fresh(s.folder, s.watch);
         pool.writeWhole(fresh.file());
         s.superblocks.writeAfresh(fresh.file(), ref);
         fresh.file().sync();
         uncertain = true;
         pool.moveTo(fresh.place());
      }
   } catch (const Fault&) {
      if (!uncertain) {
         pool.free(ref, nullptr);
         throw;
      }
      // Either may be the one on disk: neither is ever freed.
      Lock lock(s.mutex);
      s.failed = true;
      s.failedAll = std::move(all);
      throw;
   }
   Ref oldRecord;
   std::optional<Checkpoint> opened;
   if (!keep)
      all.clear();
   {
      Lock lock(s.mutex);
      opened = std::exchange(s.opened, std::nullopt);
      all.swap(s.keptAll);
      oldRecord = std::exchange(s.record, keep ? ref : 0);
      s.keeps = keep;
      s.sequence = s.superblocks.sequence();
      s.notice.clear();
   }
   if (oldRecord)
      pool.free(oldRecord, nullptr);
   if (!keep)
      pool.free(ref, nullptr);
}

bool Store::checkpointDue(std::uint64_t logBytes) {
   const Pool::Amounts amounts = state_->generations.pool().amounts();
   Lock lock(state_->mutex);
   if (!state_->keeps)
      return amounts.usedSlabBytes <= 2 * logBytes;
   return amounts.writeBackBytes <= 2 * logBytes || isMuch(amounts.grownBytes, amounts.usedBytes - amounts.grownBytes);
}

void Store::copyTo(const std::filesystem::path& folder) {
   const auto from = lastCheckpoint();
   if (!from)
      throw Fault(state_->name + ": no checkpoint was opened here");
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
   return {usage.fileBytes, usage.usedBytes, usage.nodes, queued, state_->sequence, state_->notice};
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
      if (s.opened)
         for (const auto& [name, version] : s.opened->versions)
            add(version);
      for (const Version& version : s.keptAll)
         add(version);
      if (s.record)
         others.insert(s.record);
   }
   s.generations.verify(handles, std::move(others));
}

} // namespace polis::store
