// The mapped file as a heap of nodes. Internal to the store.
//
// The file is cut into slabs of 64 KiB; a slab holds nodes of one size class, or belongs to one long blob. What is
// free is known in memory only and found again at opening by walking from the checkpoint's roots: nothing that a
// checkpoint can reach is ever changed or freed, so a crash cannot harm it.
//
// The start of the file, as much as fits the memory there is, is held: read into memory when opened, and written back
// by checkpoints, which know what they changed. The rest is mapped, and the system pages it in and out.
#pragma once

#include "base/mutex.hpp"
#include "store/file.hpp"
#include "store/node.hpp"

#include <map>
#include <memory>
#include <span>
#include <unordered_set>
#include <vector>

namespace polis::store::detail {

/// The system's larger kind of page.
inline constexpr std::size_t hugePageBytes = std::size_t{2} << 20;

/// Address space that is given memory from its start onwards, which lies at the start of a huge page.
class Reserve {
public:
   explicit Reserve(std::size_t bytes);
   ~Reserve();
   Reserve(const Reserve&) = delete;
   Reserve& operator=(const Reserve&) = delete;
   std::uint8_t* data() const { return data_; }
   std::size_t bytes() const { return bytes_; }
   /// Zeroed memory up to `bytes`.
   void commit(std::size_t bytes);

private:
   void* reserved_;
   std::uint8_t* data_;
   std::size_t bytes_;
   std::size_t committed_ = 0;
};

class Pool {
public:
   /// Free nodes at hand for one writing thread at a time.
   struct Cache {
      static constexpr std::uint32_t binMax = 32;
      struct Bin {
         std::uint32_t count = 0;
         Ref refs[binMax];
      };
      Bin bins[slabClass];
      /// In which it was filled; what is left of it in a later one goes back first, for it may lie anywhere.
      std::uint32_t epoch = 0;
   };

   /// Takes the file as it is; of one opened for reading only, changes stay in memory. `fileBytesMax` is at most 256
   /// GiB; about `heldBytesMax` of it are held in memory.
   Pool(File file, std::uint64_t fileBytesMax, std::uint64_t heldBytesMax);
   ~Pool();
   Pool(const Pool&) = delete;
   Pool& operator=(const Pool&) = delete;

   File& file() { return file_; }

   std::uint8_t* at(Ref ref) const { return base_ + std::size_t{ref} * unitBytes; }
   NodeHead* node(Ref ref) const { return reinterpret_cast<NodeHead*>(at(ref)); }
   Leaf* leaf(Ref ref) const { return reinterpret_cast<Leaf*>(at(ref)); }
   Inner* inner(Ref ref) const { return reinterpret_cast<Inner*>(at(ref)); }
   Group* group(Ref ref) const { return reinterpret_cast<Group*>(at(ref)); }
   /// The child for a byte that has one.
   Ref childOf(const Inner& inner, std::uint8_t byte) const {
      if (inner.wide)
         return group(inner.refs()[byte / groupBytes])->refs()[inner.groupIndex(byte)];
      return inner.refs()[inner.below(byte)];
   }
   Blob* blob(Ref ref) const { return reinterpret_cast<Blob*>(at(ref)); }
   /// Lets the first KiB of a node, or so much of it, come nearer, all at once, before any of it is wanted. There need
   /// not be one.
   void prefetch(Ref ref, std::size_t bytes = 1024) const {
      for (std::size_t at = 0; at < bytes; at += 64)
         __builtin_prefetch(base_ + std::size_t{ref} * unitBytes + at);
   }
   /// The same of a place that is soon written.
   void prefetchToWrite(Ref ref, std::size_t bytes) const {
      for (std::size_t at = 0; at < std::min<std::size_t>(bytes, 1024); at += 64)
         __builtin_prefetch(base_ + std::size_t{ref} * unitBytes + at, 1);
   }

   /// A node of at least `bytes`, its head filled in, not sealed.
   Ref allocate(Cache& cache, Kind kind, std::size_t bytes, std::uint64_t birth);
   /// Frees one node, nothing below it. `cache` may be null.
   void free(Ref ref, Cache* cache);
   void free(std::span<const Ref> refs);
   /// They are free as soon as somebody needs a place: who drops a version neither waits for writers nor has them wait.
   void leave(std::vector<Ref> refs);

   // Of a checkpoint, one at a time.

   /// What is made from here on belongs to a later one. Lets the file become shorter: cuts off free slabs at its end,
   /// on the disk too if `cutFile`, and has others there become free.
   void beginEpoch(bool cutFile);
   /// The node has its final bytes, which the next writeBack() is to bring to the file.
   void changed(Ref ref);
   /// Bytes of the nodes that were changed() since the last write.
   std::uint64_t changedBytes() const { return changedBytes_; }
   /// Writes what changed to the file, not durably yet. Others may change other nodes meanwhile. Throws Fault; then
   /// what was not written is still taken for changed.
   void writeBack();
   /// Writes all slabs in use to another file, not durably yet, which has no superblock then. Others may change other
   /// nodes than those that changed().
   void writeWhole(File& to);
   /// Goes on with that file, which is of the same length at least.
   void moveTo(File file);

   struct Amounts {
      /// Of nodes, in caches included; what they have grown by since the last checkpoint was begun or, if that was
      /// less, at any time since; of the slabs that they lie in.
      std::uint64_t usedBytes, grownBytes, usedSlabBytes;
      /// What writeBack() would write now, if the nodes lie as those did that it wrote last.
      std::uint64_t writeBackBytes;
      /// All of the file is held in memory.
      bool held;
   };
   Amounts amounts();

   std::unique_ptr<Cache> takeCache();
   void giveCache(std::unique_ptr<Cache> cache);

   struct Usage {
      std::uint64_t fileBytes, usedBytes, nodes;
   };
   /// As Store::prepare.
   void prepare();
   Usage usage();

   // For opening, before any other use.

   /// Takes the node at `ref`, as yet unchecked bytes, into use. False when it was already. Throws Fault when `ref` or
   /// the head cannot be right.
   bool adopt(Ref ref);
   /// After the last adopt: makes the rest free. `cut`: but what lies behind the last slab in use, which the file
   /// loses.
   void startUse(bool cut);

   /// For tests: throws Fault unless exactly `nodes` are in use.
   void verify(const std::unordered_set<Ref>& nodes);

private:
   struct Slab {
      std::uint16_t used = 0, capacity = 0;
      /// In partial_ of its class, and where there.
      bool listed = false;
      std::uint8_t listedIn = 0;
      std::uint32_t listedAt = 0;
      /// Of the last node made in it.
      std::uint32_t epoch = 0;
      /// Slabs of the run that starts here.
      std::uint32_t run = 0;
      /// Bit set = free, by index in the slab.
      std::uint64_t free[slabUnits / 64] = {};
   };

   /// Lists of slabs that have room: those of this epoch; then those of earlier ones, by quarters in use; then those at
   /// the end of the file, which are to become free.
   static constexpr std::uint8_t hotList = 0, coldLists = 4, tailList = 1 + coldLists, listCount = tailList + 1;

   static std::uint32_t indexIn(std::uint8_t sizeClass, std::uint32_t unit);
   void list(std::uint32_t slab) REQUIRES(mutex_);
   void unlist(std::uint32_t slab) REQUIRES(mutex_);
   std::uint8_t listFor(std::uint32_t slab) const REQUIRES(mutex_);
   /// Cuts off the slabs from `count` on, which are free.
   void cut(std::uint32_t count) REQUIRES(mutex_);
   /// So many at the end of the file may well be free.
   std::uint32_t spareSlabs() const REQUIRES(mutex_);
   /// A slab with room. One of this epoch, the last of which something became free, is best: it is near, and the next
   /// checkpoint writes it anyhow. Else the emptiest, so that what changes between two checkpoints lies together.
   std::uint32_t slabToFill(std::uint8_t sizeClass) REQUIRES(mutex_);
   void format(std::uint32_t slab, std::uint8_t sizeClass) REQUIRES(mutex_);
   std::uint32_t takeSlabs(std::uint32_t count) REQUIRES(mutex_);
   /// One that is empty and not listed.
   void giveSlab(std::uint32_t slab) REQUIRES(mutex_);
   void giveSlabs(std::uint32_t first, std::uint32_t count) REQUIRES(mutex_);
   void grow(std::uint32_t slabs) REQUIRES(mutex_);
   void refill(Cache& cache, std::uint8_t sizeClass) REQUIRES(mutex_);
   void freeLocked(Ref ref) REQUIRES(mutex_);
   /// Frees as many of those that were left; false when there were none.
   bool freeLeft(std::size_t atMost) REQUIRES(mutex_);
   void empty(Cache& cache) REQUIRES(mutex_);
   void map(std::uint64_t fromByte, std::uint64_t toByte);
   /// How far slabs should have their pages by now: no further ahead than what was taken, so that a small store stays
   /// small.
   std::uint32_t preparedTo() const REQUIRES(mutex_);

   File file_;
   Reserve space_;
   Reserve classSpace_;
   Reserve slabSpace_;
   std::uint8_t* base_;
   std::uint8_t* slabClass_;
   const std::uint32_t slabsMax_;
   const std::uint64_t heldBytes_;
   /// So much of the file nobody but checkpoints writes: what is held and, after a moveTo(), what was mapped from the
   /// file before, which has no name any more and only lends its pages. The checkpoint's.
   std::uint64_t writtenBytes_;
   /// A bit for each page of that; bytes of the nodes on them. The checkpoint's.
   std::vector<std::uint64_t> changed_;
   std::uint64_t changedBytes_ = 0;

   Mutex mutex_;
   Slab* slabs_ GUARDED_BY(mutex_);
   std::uint32_t slabCount_ GUARDED_BY(mutex_) = 0;
   /// Bytes of nodes in use or in caches; the least of them since a checkpoint was begun.
   std::uint64_t usedBytes_ GUARDED_BY(mutex_) = 0, usedBytesLeast_ GUARDED_BY(mutex_) = 0;
   /// Bytes that the last writeBack() wrote for each byte of its nodes.
   double writtenPerByte_ GUARDED_BY(mutex_) = 1;
   std::vector<std::uint32_t> partial_[slabClass][listCount] GUARDED_BY(mutex_);
   /// Count of checkpoints begun. At opening all slabs are of an earlier one.
   std::uint32_t epoch_ GUARDED_BY(mutex_) = 1;
   /// First slab of a run of free ones, and its length.
   std::map<std::uint32_t, std::uint32_t> freeSlabs_ GUARDED_BY(mutex_);
   std::uint32_t freeSlabCount_ GUARDED_BY(mutex_) = 0;
   /// From here on the file is longer than what is in use needs.
   std::uint32_t tailFrom_ GUARDED_BY(mutex_) = UINT32_MAX;
   std::vector<std::unique_ptr<Cache>> caches_ GUARDED_BY(mutex_);
   /// Locked after mutex_.
   Mutex leftMutex_;
   std::vector<Ref> left_ GUARDED_BY(leftMutex_);
   /// What was taken of them and not freed yet.
   std::vector<Ref> leftTaken_ GUARDED_BY(mutex_);
   /// Slabs were there at opening, were handed out since, and have their pages, as far as these.
   std::uint32_t openedTo_ GUARDED_BY(mutex_) = 0, takenTo_ GUARDED_BY(mutex_) = 0, touchedTo_ GUARDED_BY(mutex_) = 0;
};

} // namespace polis::store::detail
