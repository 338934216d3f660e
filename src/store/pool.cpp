#include "store/pool.hpp"

#include "base/fault.hpp"

#include <array>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define POISON(at, bytes) ASAN_POISON_MEMORY_REGION(at, bytes)
#define UNPOISON(at, bytes) ASAN_UNPOISON_MEMORY_REGION(at, bytes)
#endif
#endif
#ifndef POISON
#define POISON(at, bytes) static_cast<void>(0)
#define UNPOISON(at, bytes) static_cast<void>(0)
#endif

namespace polis::store::detail {
namespace {

/// Division of a unit's offset in its slab by the class's units, as multiplication and shift.
constexpr auto reciprocals = [] {
   std::array<std::uint32_t, 256> table{};
   for (std::size_t i = 0; i < slabClass; ++i)
      table[i] = (1u << 20) / classUnits[i] + 1;
   return table;
}();
constexpr bool reciprocalsAreExact() {
   for (std::size_t i = 0; i < slabClass; ++i)
      for (std::uint32_t unit = 0; unit < slabUnits; ++unit)
         if (unit * reciprocals[i] >> 20 != unit / classUnits[i])
            return false;
   return true;
}
static_assert(reciprocalsAreExact());

constexpr std::uint32_t hugeSlabs = hugePageBytes / slabBytes;
constexpr std::uint32_t growSlabsMin = 64, growSlabsMax = 1024;
/// So many slabs are prepared ahead of the writers; at a time so few that none of them waits long for the map.
constexpr std::uint32_t prepareAhead = 128, prepareStep = 4;

/// So many of those that were left are freed by whoever needs places, and at most so many are left.
constexpr std::size_t freedAtOnce = 64, leftMax = 8192;

constexpr std::size_t pageBytes = 4096;
/// Written back at once.
constexpr std::size_t runPagesMax = 256;

/// What other threads change meanwhile may be torn in the copy.
__attribute__((noinline, no_sanitize("address", "thread"))) void copyPages(void* to, const void* from,
                                                                           std::size_t bytes) {
   auto* out = static_cast<std::uint64_t*>(to);
   const auto* in = static_cast<const volatile std::uint64_t*>(from);
   for (std::size_t i = 0; i < bytes / sizeof *out; ++i)
      out[i] = in[i];
}

} // namespace

Reserve::Reserve(std::size_t bytes)
   : reserved_(::mmap(nullptr, bytes + hugePageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)),
     bytes_(bytes) {
   if (reserved_ == MAP_FAILED)
      throwErrno("reserve address space");
   data_ = static_cast<std::uint8_t*>(reserved_);
   data_ += (hugePageBytes - reinterpret_cast<std::uintptr_t>(data_) % hugePageBytes) % hugePageBytes;
}

Reserve::~Reserve() { ::munmap(reserved_, bytes_ + hugePageBytes); }

void Reserve::commit(std::size_t bytes) {
   ASSERT(bytes <= bytes_);
   constexpr std::size_t step = std::size_t{1} << 16;
   bytes = std::min(bytes_, (bytes + step - 1) & ~(step - 1));
   if (bytes <= committed_)
      return;
   if (::mprotect(data_ + committed_, bytes - committed_, PROT_READ | PROT_WRITE) != 0)
      throwErrno("commit memory");
   committed_ = bytes;
}

Pool::Pool(File file, std::uint64_t fileBytesMax, std::uint64_t heldBytesMax)
   : file_(std::move(file)), space_(fileBytesMax & ~(slabBytes - 1)), classSpace_(space_.bytes() / slabBytes + 65536),
     slabSpace_(space_.bytes() / slabBytes * sizeof(Slab) + 65536), base_(space_.data()),
     slabClass_(classSpace_.data()), slabsMax_(static_cast<std::uint32_t>(space_.bytes() / slabBytes)),
     heldBytes_(std::min<std::uint64_t>(heldBytesMax, space_.bytes()) & ~(hugePageBytes - 1)),
     writtenBytes_(heldBytes_), changed_(heldBytes_ / pageBytes / 64),
     slabs_(reinterpret_cast<Slab*>(slabSpace_.data())) {
   const std::uint64_t bytes = file_.size() & ~(slabBytes - 1);
   if (bytes > space_.bytes())
      throw Fault(file_.name() + " is larger than the limit");
   Lock lock(mutex_);
   slabCount_ = static_cast<std::uint32_t>(bytes / slabBytes);
   ASSERT(slabCount_ >= 1);
   classSpace_.commit(slabCount_);
   slabSpace_.commit(slabCount_ * sizeof(Slab));
   std::memset(slabClass_, noClass, slabCount_);
   map(0, bytes);
   if (const std::uint64_t held = std::min(bytes, heldBytes_))
      file_.readAt(0, {base_, held});
}

Pool::~Pool() {
   Lock lock(mutex_);
   UNPOISON(base_, slabCount_ * slabBytes);
}

void Pool::map(std::uint64_t fromByte, std::uint64_t toByte) {
   if (fromByte == toByte)
      return;
   const std::uint64_t held = std::clamp(heldBytes_, fromByte, toByte);
   const auto take = [&](std::uint64_t from, std::uint64_t to, int flags, int fd, int advice) {
      if (from == to)
         return;
      if (::mmap(base_ + from, to - from, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd,
                 fd < 0 ? 0 : static_cast<off_t>(from)) == MAP_FAILED)
         throwErrno("map " + file_.name());
      // Advice only: nothing is lost where the system does not take it.
      ::madvise(base_ + from, to - from, advice);
   };
   take(fromByte, held, MAP_PRIVATE | MAP_ANONYMOUS, -1, MADV_HUGEPAGE);
   take(held, toByte, file_.writable() ? MAP_SHARED : MAP_PRIVATE, file_.fd(), MADV_RANDOM);
}

void Pool::changed(Ref ref) {
   const NodeHead& head = *node(ref);
   const std::uint64_t from = std::uint64_t{ref} * unitBytes;
   const std::size_t bytes =
       head.sizeClass == slabClass ? sizeof(Blob) + blob(ref)->length : classBytes(head.sizeClass);
   const std::uint64_t to = std::min(writtenBytes_, from + bytes);
   for (std::uint64_t page = from / pageBytes; page * pageBytes < to; ++page)
      changed_[page / 64] |= std::uint64_t{1} << (page % 64);
   if (from < to)
      changedBytes_ += to - from;
}

void Pool::writeBack() {
   const auto isChanged = [&](std::size_t page) { return changed_[page / 64] >> (page % 64) & 1; };
   const std::size_t pages = writtenBytes_ / pageBytes;
   std::vector<std::uint8_t> bytes(runPagesMax * pageBytes);
   std::uint64_t written = 0;
   for (std::size_t page = 0; page < pages;) {
      if (page % 64 == 0 && !changed_[page / 64]) {
         page += 64;
         continue;
      }
      std::size_t run = 0;
      while (run < runPagesMax && page + run < pages && isChanged(page + run))
         ++run;
      if (run) {
         copyPages(bytes.data(), base_ + page * pageBytes, run * pageBytes);
         file_.writeAt(page * pageBytes, ByteView(bytes).first(run * pageBytes));
         for (std::size_t i = page; i < page + run; ++i)
            changed_[i / 64] &= ~(std::uint64_t{1} << (i % 64));
         written += run * pageBytes;
      }
      page += std::max<std::size_t>(run, 1);
   }
   const std::uint64_t nodes = std::exchange(changedBytes_, 0);
   Lock lock(mutex_);
   // Of a few nodes it says nothing.
   if (nodes > hugePageBytes)
      writtenPerByte_ = static_cast<double>(written) / static_cast<double>(nodes);
}

void Pool::writeWhole(File& to) {
   std::vector<bool> used;
   {
      Lock lock(mutex_);
      used.resize(slabCount_);
      for (std::uint32_t slab = 1; slab < slabCount_; ++slab)
         used[slab] = slabClass_[slab] != noClass;
   }
   to.allocate(0, used.size() * slabBytes);
   std::vector<std::uint8_t> bytes(runPagesMax * pageBytes);
   const std::size_t runMax = bytes.size() / slabBytes;
   for (std::size_t slab = 0; slab < used.size();) {
      std::size_t run = 0;
      while (run < runMax && slab + run < used.size() && used[slab + run])
         ++run;
      if (run) {
         copyPages(bytes.data(), base_ + slab * slabBytes, run * slabBytes);
         to.writeAt(slab * slabBytes, ByteView(bytes).first(run * slabBytes));
      }
      slab += std::max<std::size_t>(run, 1);
   }
}

void Pool::moveTo(File file) {
   Lock lock(mutex_);
   const std::uint64_t bytes = slabCount_ * slabBytes;
   if (const std::uint64_t there = file.size(); there < bytes)
      file.allocate(there, bytes - there);
   file_ = std::move(file);
   writtenBytes_ = std::max(writtenBytes_, bytes);
   changed_.assign((writtenBytes_ / pageBytes + 63) / 64, 0);
   changedBytes_ = 0;
}

Pool::Amounts Pool::amounts() {
   Lock lock(mutex_);
   const std::uint64_t grown = usedBytes_ - usedBytesLeast_;
   return {usedBytes_, grown, (slabCount_ - freeSlabCount_) * slabBytes,
           static_cast<std::uint64_t>(writtenPerByte_ * static_cast<double>(grown)),
           slabCount_ * slabBytes <= heldBytes_};
}

std::uint32_t Pool::indexIn(std::uint8_t sizeClass, std::uint32_t unit) { return unit * reciprocals[sizeClass] >> 20; }

void Pool::grow(std::uint32_t slabs) {
   if (!file_.writable())
      throw Fault(file_.name() + " is open for reading only");
   const std::uint32_t step = std::clamp(slabCount_ / 32, growSlabsMin, growSlabsMax);
   const std::uint32_t wanted = slabCount_ + std::max(slabs, step);
   std::uint32_t more = (wanted + hugeSlabs - 1) / hugeSlabs * hugeSlabs - slabCount_;
   if (more > slabsMax_ - slabCount_)
      more = slabsMax_ - slabCount_;
   if (more < slabs)
      throw Fault(file_.name() + " has reached its largest size");
   const std::uint64_t from = slabCount_ * slabBytes, to = (slabCount_ + more) * slabBytes;
   file_.allocate(from, to - from);
   map(from, to);
   classSpace_.commit(slabCount_ + more);
   slabSpace_.commit((slabCount_ + more) * sizeof(Slab));
   std::memset(slabClass_ + slabCount_, noClass, more);
   const std::uint32_t first = slabCount_;
   slabCount_ += more;
   giveSlabs(first, more);
}

std::uint32_t Pool::takeSlabs(std::uint32_t count) {
   auto find = [&]() REQUIRES(mutex_) {
      auto run = freeSlabs_.begin();
      while (run != freeSlabs_.end() && run->second < count)
         ++run;
      return run;
   };
   auto run = find();
   if (run == freeSlabs_.end() && freeLeft(SIZE_MAX))
      run = find();
   if (run == freeSlabs_.end()) {
      grow(count);
      run = find();
   }
   const auto [first, length] = *run;
   freeSlabs_.erase(run);
   if (length > count)
      freeSlabs_.emplace(first + count, length - count);
   freeSlabCount_ -= count;
   takenTo_ = std::max(takenTo_, first + count);
   return first;
}

std::uint32_t Pool::preparedTo() const {
   return std::min(takenTo_ + std::min(takenTo_ - openedTo_, prepareAhead), slabCount_);
}

void Pool::prepare() {
   for (;;) {
      std::uint32_t from, to;
      {
         Lock lock(mutex_);
         from = std::max(touchedTo_, takenTo_);
         to = std::min(from + prepareStep, preparedTo());
         if (from >= to)
            return;
         touchedTo_ = to;
      }
      // Nothing is lost when it fails: whoever writes there touches it.
      ::madvise(base_ + from * slabBytes, (to - from) * slabBytes, MADV_POPULATE_WRITE);
   }
}

void Pool::giveSlab(std::uint32_t slab) {
   slabClass_[slab] = noClass;
   slabs_[slab] = Slab{};
   giveSlabs(slab, 1);
}

void Pool::giveSlabs(std::uint32_t first, std::uint32_t count) {
   POISON(base_ + first * slabBytes, count * slabBytes);
   freeSlabCount_ += count;
   auto next = freeSlabs_.lower_bound(first);
   if (next != freeSlabs_.end() && next->first == first + count) {
      count += next->second;
      next = freeSlabs_.erase(next);
   }
   if (next != freeSlabs_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == first) {
         before->second += count;
         return;
      }
   }
   freeSlabs_.emplace(first, count);
}

std::uint8_t Pool::listFor(std::uint32_t slab) const {
   const Slab& info = slabs_[slab];
   if (slab >= tailFrom_)
      return tailList;
   return info.epoch == epoch_ ? hotList : static_cast<std::uint8_t>(1 + info.used * coldLists / info.capacity);
}

void Pool::list(std::uint32_t slab) {
   Slab& info = slabs_[slab];
   info.listedIn = listFor(slab);
   auto& partial = partial_[slabClass_[slab]][info.listedIn];
   info.listed = true;
   info.listedAt = static_cast<std::uint32_t>(partial.size());
   partial.push_back(slab);
}

void Pool::unlist(std::uint32_t slab) {
   auto& partial = partial_[slabClass_[slab]][slabs_[slab].listedIn];
   const std::uint32_t at = slabs_[slab].listedAt;
   partial[at] = partial.back();
   slabs_[partial[at]].listedAt = at;
   partial.pop_back();
   slabs_[slab].listed = false;
}

void Pool::beginEpoch(bool cutFile) {
   Lock lock(mutex_);
   freeLeft(SIZE_MAX);
   ++epoch_;
   usedBytesLeast_ = usedBytes_;
   for (auto& cache : caches_)
      empty(*cache);
   if (!freeSlabs_.empty()) {
      const auto [first, count] = *freeSlabs_.rbegin();
      const std::uint32_t end = (first + spareSlabs() + hugeSlabs - 1) / hugeSlabs * hugeSlabs;
      if (first + count == slabCount_ && end < slabCount_) {
         cut(end);
         if (cutFile)
            file_.resize(end * slabBytes);
      }
   }
   const auto needed = static_cast<std::uint32_t>(usedBytes_ / slabBytes);
   tailFrom_ = needed + 2 * spareSlabs() < slabCount_ ? needed + spareSlabs() : UINT32_MAX;
   for (std::uint32_t slab = 1; slab < slabCount_; ++slab)
      if (slabs_[slab].listed) {
         unlist(slab);
         slabs_[slab].used ? list(slab) : giveSlab(slab);
      }
}

std::uint32_t Pool::spareSlabs() const { return std::max(slabCount_ / 8, growSlabsMin); }

void Pool::cut(std::uint32_t count) {
   const auto [first, length] = *freeSlabs_.rbegin();
   ASSERT(first < count && first + length == slabCount_);
   freeSlabs_[first] = count - first;
   freeSlabCount_ -= slabCount_ - count;
   ::mmap(base_ + count * slabBytes, (slabCount_ - count) * slabBytes, PROT_NONE,
          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
   slabCount_ = count;
   takenTo_ = std::min(takenTo_, count);
   touchedTo_ = std::min(touchedTo_, count);
   openedTo_ = std::min(openedTo_, count);
}

std::uint32_t Pool::slabToFill(std::uint8_t sizeClass) {
   auto& partial = partial_[sizeClass];
   for (auto& hot = partial[hotList]; !hot.empty();) {
      const std::uint32_t slab = hot.back();
      if (slabs_[slab].epoch == epoch_)
         return slab;
      unlist(slab);
      list(slab);
   }
   std::uint8_t from = 1;
   while (from < listCount && partial[from].empty())
      ++from;
   // One that is nearly full is filled rather than that the file grows, or that it cannot become shorter.
   const bool freeSlab = !freeSlabs_.empty() && freeSlabs_.begin()->first < tailFrom_;
   std::uint32_t slab;
   if (from < coldLists || (from < listCount && !freeSlab)) {
      slab = partial[from].back();
      unlist(slab);
   } else if (freeLeft(freedAtOnce)) {
      return slabToFill(sizeClass);
   } else {
      slab = takeSlabs(1);
      format(slab, sizeClass);
   }
   slabs_[slab].epoch = epoch_;
   list(slab);
   return slab;
}

void Pool::format(std::uint32_t slab, std::uint8_t sizeClass) {
   Slab& info = slabs_[slab];
   info = Slab{};
   slabClass_[slab] = sizeClass;
   info.capacity =
       sizeClass == slabClass ? std::uint16_t{1} : static_cast<std::uint16_t>(slabUnits / classUnits[sizeClass]);
   for (std::uint32_t i = 0; i < info.capacity; ++i)
      info.free[i / 64] |= std::uint64_t{1} << (i % 64);
}

void Pool::refill(Cache& cache, std::uint8_t sizeClass) {
   if (cache.epoch != epoch_)
      empty(cache);
   cache.epoch = epoch_;
   freeLeft(freedAtOnce);
   Cache::Bin& bin = cache.bins[sizeClass];
   const std::uint32_t units = classUnits[sizeClass];
   // Large nodes are taken one by one, so that caches do not hold much memory.
   const std::uint32_t want = std::clamp<std::uint32_t>(256 / units, 1, Cache::binMax);
   while (bin.count < want) {
      if (bin.count && partial_[sizeClass][hotList].empty())
         break;
      const std::uint32_t slab = slabToFill(sizeClass);
      Slab& info = slabs_[slab];
      for (std::uint32_t word = 0; word < slabUnits / 64; ++word)
         while (info.free[word] && bin.count < want) {
            const auto bit = static_cast<std::uint32_t>(std::countr_zero(info.free[word]));
            info.free[word] &= info.free[word] - 1;
            ++info.used;
            usedBytes_ += units * unitBytes;
            bin.refs[bin.count++] = slab * slabUnits + (word * 64 + bit) * units;
         }
      if (info.used == info.capacity)
         unlist(slab);
   }
   // Handed out from the end: lowest address first.
   std::reverse(bin.refs, bin.refs + bin.count);
}

void Pool::freeLocked(Ref ref) {
   const std::uint32_t slab = ref / slabUnits;
   const std::uint8_t sizeClass = slabClass_[slab];
   Slab& info = slabs_[slab];
   if (sizeClass == slabClass) {
      const std::uint32_t run = info.run;
      for (std::uint32_t i = 0; i < run; ++i)
         slabClass_[slab + i] = noClass;
      info = Slab{};
      giveSlabs(slab, run);
      usedBytes_ -= run * slabBytes;
      usedBytesLeast_ = std::min(usedBytesLeast_, usedBytes_);
      return;
   }
   const std::uint32_t index = indexIn(sizeClass, ref % slabUnits);
   ASSERT(!(info.free[index / 64] >> (index % 64) & 1));
   info.free[index / 64] |= std::uint64_t{1} << (index % 64);
   --info.used;
   usedBytes_ -= classBytes(sizeClass);
   usedBytesLeast_ = std::min(usedBytesLeast_, usedBytes_);
   // The last one in use stays, lest it be made and given back again and again.
   if (info.used == 0 && info.listed && (info.epoch != epoch_ || partial_[sizeClass][hotList].size() > 1)) {
      unlist(slab);
      return giveSlab(slab);
   }
   if (info.listed && info.listedIn != listFor(slab))
      unlist(slab);
   if (!info.listed)
      list(slab);
}

Ref Pool::allocate(Cache& cache, Kind kind, std::size_t bytes, std::uint64_t birth) {
   const std::uint8_t sizeClass = classFor(bytes);
   Ref ref;
   std::uint32_t run = 0;
   if (sizeClass == slabClass) {
      run = static_cast<std::uint32_t>((bytes + slabBytes - 1) / slabBytes);
      Lock lock(mutex_);
      const std::uint32_t first = takeSlabs(run);
      for (std::uint32_t i = 0; i < run; ++i)
         slabClass_[first + i] = slabClass;
      slabs_[first] = Slab{};
      slabs_[first].capacity = slabs_[first].used = 1;
      slabs_[first].run = run;
      usedBytes_ += run * slabBytes;
      ref = first * slabUnits;
   } else {
      Cache::Bin& bin = cache.bins[sizeClass];
      if (bin.count == 0) {
         Lock lock(mutex_);
         refill(cache, sizeClass);
      }
      ref = bin.refs[--bin.count];
      if (bin.count)
         prefetchToWrite(bin.refs[bin.count - 1], classBytes(sizeClass));
   }
   UNPOISON(at(ref), run ? run * slabBytes : classBytes(sizeClass));
   *node(ref) = {kind, sizeClass, 0, 0, birth};
   if (kind == Kind::blob)
      blob(ref)->slabs = run;
   return ref;
}

void Pool::free(Ref ref, Cache* cache) {
   const std::uint8_t sizeClass = slabClass_[ref / slabUnits];
   if (!cache || sizeClass == slabClass)
      return free({&ref, 1});
   POISON(at(ref), classBytes(sizeClass));
   Cache::Bin& bin = cache->bins[sizeClass];
   const std::uint32_t binMax = std::clamp<std::uint32_t>(256 / classUnits[sizeClass], 1, Cache::binMax);
   if (bin.count >= binMax) {
      Lock lock(mutex_);
      for (const std::uint32_t keep = binMax / 2; bin.count > keep;)
         freeLocked(bin.refs[--bin.count]);
   }
   bin.refs[bin.count++] = ref;
}

void Pool::free(std::span<const Ref> refs) {
   Lock lock(mutex_);
   for (const Ref ref : refs) {
      if (const std::uint8_t sizeClass = slabClass_[ref / slabUnits]; sizeClass != slabClass)
         POISON(at(ref), classBytes(sizeClass));
      freeLocked(ref);
   }
}

void Pool::leave(std::vector<Ref> refs) {
   for (const Ref ref : refs)
      if (const std::uint8_t sizeClass = slabClass_[ref / slabUnits]; sizeClass != slabClass)
         POISON(at(ref), classBytes(sizeClass));
   std::size_t count;
   {
      Lock lock(leftMutex_);
      if (left_.empty())
         left_.swap(refs);
      else
         left_.insert(left_.end(), refs.begin(), refs.end());
      count = left_.size();
   }
   for (bool more = count > leftMax; more;) {
      Lock lock(mutex_);
      more = freeLeft(freedAtOnce);
   }
}

bool Pool::freeLeft(std::size_t atMost) {
   bool any = false;
   for (; atMost; --atMost) {
      if (leftTaken_.empty()) {
         Lock lock(leftMutex_);
         leftTaken_.swap(left_);
      }
      if (leftTaken_.empty())
         break;
      freeLocked(leftTaken_.back());
      leftTaken_.pop_back();
      any = true;
   }
   return any;
}

std::unique_ptr<Pool::Cache> Pool::takeCache() {
   {
      Lock lock(mutex_);
      if (!caches_.empty()) {
         auto cache = std::move(caches_.back());
         caches_.pop_back();
         return cache;
      }
   }
   return std::make_unique<Cache>();
}

void Pool::giveCache(std::unique_ptr<Cache> cache) {
   Lock lock(mutex_);
   caches_.push_back(std::move(cache));
}

Pool::Usage Pool::usage() {
   Usage out{};
   Lock lock(mutex_);
   freeLeft(SIZE_MAX);
   out.fileBytes = slabCount_ * slabBytes;
   out.usedBytes = usedBytes_;
   for (std::uint32_t slab = 1; slab < slabCount_; ++slab) {
      if (slabClass_[slab] == noClass)
         continue;
      const Slab& info = slabs_[slab];
      out.nodes += info.used;
   }
   // What lies in idle caches is free.
   for (const auto& cache : caches_)
      for (std::uint8_t i = 0; i < slabClass; ++i) {
         out.nodes -= cache->bins[i].count;
         out.usedBytes -= cache->bins[i].count * classBytes(i);
      }
   return out;
}

bool Pool::adopt(Ref ref) {
   Lock lock(mutex_);
   const std::uint32_t slab = ref / slabUnits, unit = ref % slabUnits;
   const auto bad = [&](const char* what) {
      throw Fault("damaged: " + std::string(what) + " at byte " + std::to_string(std::uint64_t{ref} * unitBytes));
   };
   if (slab == 0 || slab >= slabCount_)
      bad("reference outside the file");
   const NodeHead* head = node(ref);
   if (head->kind < Kind::leaf || head->kind > Kind::group)
      bad("unknown kind of node");
   const std::uint8_t sizeClass = head->sizeClass;
   if (sizeClass > slabClass)
      bad("unknown size of node");
   if (slabClass_[slab] == noClass) {
      std::uint32_t run = 1;
      if (sizeClass == slabClass) {
         run = head->kind == Kind::blob ? reinterpret_cast<const Blob*>(head)->slabs : 0;
         if (unit || run == 0 || run > slabCount_ - slab)
            bad("wrong length of a blob");
         for (std::uint32_t i = 0; i < run; ++i)
            if (slabClass_[slab + i] != noClass)
               bad("overlapping nodes");
      }
      for (std::uint32_t i = 0; i < run; ++i)
         format(slab + i, sizeClass);
      slabs_[slab].run = sizeClass == slabClass ? run : 0;
   } else if (slabClass_[slab] != sizeClass || (sizeClass == slabClass && (unit || !slabs_[slab].run))) {
      bad("overlapping nodes");
   }
   Slab& info = slabs_[slab];
   const std::uint32_t index = indexIn(sizeClass, unit);
   if (sizeClass != slabClass && (index * classUnits[sizeClass] != unit || index >= info.capacity))
      bad("misplaced node");
   const std::uint64_t bit = std::uint64_t{1} << (index % 64);
   if (!(info.free[index / 64] & bit))
      return false;
   info.free[index / 64] &= ~bit;
   ++info.used;
   usedBytes_ += sizeClass == slabClass ? info.run * slabBytes : classBytes(sizeClass);
   return true;
}

void Pool::startUse(bool cut) {
   Lock lock(mutex_);
   if (cut) {
      std::uint32_t last = slabCount_;
      while (last > 1 && slabClass_[last - 1] == noClass)
         --last;
      if (last < slabCount_) {
         ::mmap(base_ + last * slabBytes, (slabCount_ - last) * slabBytes, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
         slabCount_ = last;
      }
      if (file_.size() != slabCount_ * slabBytes)
         file_.resize(slabCount_ * slabBytes);
   }
   for (std::uint32_t slab = 1; slab < slabCount_; ++slab) {
      const std::uint8_t sizeClass = slabClass_[slab];
      if (sizeClass == noClass) {
         giveSlabs(slab, 1);
         continue;
      }
      if (sizeClass == slabClass)
         continue;
      Slab& info = slabs_[slab];
      if (info.used < info.capacity)
         list(slab);
      for (std::uint32_t i = 0; i < info.capacity; ++i)
         if (info.free[i / 64] >> (i % 64) & 1)
            POISON(at(slab * slabUnits + i * classUnits[sizeClass]), classBytes(sizeClass));
   }
   usedBytesLeast_ = usedBytes_;
   openedTo_ = takenTo_ = touchedTo_ = slabCount_;
}

void Pool::empty(Cache& cache) {
   for (auto& bin : cache.bins)
      while (bin.count)
         freeLocked(bin.refs[--bin.count]);
}

void Pool::verify(const std::unordered_set<Ref>& nodes) {
   Lock lock(mutex_);
   const auto bad = [&](const char* what, std::uint64_t ref) {
      throw Fault(file_.name() + ": " + what + " at byte " + std::to_string(ref * unitBytes));
   };
   // What lies in idle caches counts as free.
   for (auto& cache : caches_)
      empty(*cache);
   freeLeft(SIZE_MAX);
   std::uint64_t used = 0, usedBytes = 0;
   std::uint32_t covered = 1;
   for (std::uint32_t slab = 1; slab < slabCount_; ++slab) {
      const std::uint8_t sizeClass = slabClass_[slab];
      if (sizeClass == noClass)
         continue;
      ++covered;
      const Slab& info = slabs_[slab];
      if (sizeClass == slabClass) {
         if (info.run) {
            if (!nodes.contains(slab * slabUnits))
               bad("lost blob", std::uint64_t{slab} * slabUnits);
            ++used;
            usedBytes += info.run * slabBytes;
         }
         continue;
      }
      std::uint32_t free = 0;
      for (std::uint32_t i = 0; i < info.capacity; ++i) {
         const bool isFree = info.free[i / 64] >> (i % 64) & 1;
         const Ref ref = slab * slabUnits + i * classUnits[sizeClass];
         free += isFree;
         if (!isFree && !nodes.contains(ref))
            bad("lost node", ref);
         if (isFree && nodes.contains(ref))
            bad("node in use is free", ref);
      }
      if (free + info.used != info.capacity)
         bad("wrong count of nodes", std::uint64_t{slab} * slabUnits);
      if (info.listed != (free != 0) || (info.listed && info.listedIn != hotList && info.listedIn != listFor(slab)))
         bad("slab with room is not where it belongs", std::uint64_t{slab} * slabUnits);
      used += info.used;
      usedBytes += info.used * classBytes(sizeClass);
   }
   if (usedBytes != usedBytes_)
      bad("wrong count of bytes", 0);
   if (used != nodes.size())
      bad("wrong count of nodes", 0);
   for (const auto& [first, length] : freeSlabs_) {
      for (std::uint32_t i = 0; i < length; ++i)
         if (slabClass_[first + i] != noClass)
            bad("free slab in use", std::uint64_t{first} * slabUnits);
      covered += length;
   }
   if (covered != slabCount_)
      bad("lost slab", 0);
}

} // namespace polis::store::detail
