// The versions that live, and what each no longer sees of the one before. Internal to the store.
//
// A generation is what one writer made between two snapshots; a node carries the number of the one it was born in.
// Generations form a tree. Each sees the nodes born in it and in those above it, without those that died on the way
// down, of which it keeps a list. So nothing has to be counted when nodes are shared or copied:
//   - a writer owns what was born after the generation above its own: it changes that in place, and frees it at once;
//   - with a generation that has no children goes what was born after its parent;
//   - a generation that has one child is replaced by it: what died in the child and was born after the new parent is
//     seen by nobody any more;
//   - one that has more stays, whole, though nobody may read it, until all but one of them have gone.
#pragma once

#include "store/hash_cache.hpp"
#include "store/pool.hpp"

#include <atomic>
#include <condition_variable>
#include <thread>

namespace polis::store::detail {

/// A node that a generation does not see, though the one above does; all that is below it too when `whole`.
struct Dead {
   std::uint64_t birth;
   Ref ref;
   bool whole;
};

/// Owned by Generations and guarded by its mutex, except where said.
struct Generation {
   explicit Generation(std::uint64_t n) : number(n) {}

   /// Greater than that of the one above.
   const std::uint64_t number;
   /// Fixed, and free to read, once closed.
   Ref root = 0;
   /// Some writer still changes it.
   bool open = false;
   /// It has gone, but for its nodes: `dead` holds what remains to be freed of them. The one above stays meanwhile, for
   /// its nodes are met on the way.
   bool dying = false;
   /// Number of the one above, which falls when that one goes. Free to read.
   std::atomic<std::uint64_t> floor = 0;
   /// Version objects. More may be added by whoever has one; becomes 0 under the mutex only.
   std::atomic<std::uint32_t> handles = 0;
   /// Of a closed one: all of them. Of an open one: those that it took over from generations gone.
   std::vector<Dead> dead;

   Generation *parent = nullptr, *firstChild = nullptr, *previous = nullptr, *next = nullptr;
};

class Generations {
public:
   Generations(File file, std::uint64_t fileBytesMax, std::uint64_t heldBytesMax, std::size_t hashCacheBytesMax);
   ~Generations();
   Generations(const Generations&) = delete;
   Generations& operator=(const Generations&) = delete;

   Pool& pool() { return pool_; }
   const Pool& pool() const { return pool_; }
   HashCache& hashCache() { return hashCache_; }

   /// One more handle, for whoever has one.
   static void retain(Generation& generation) { generation.handles.fetch_add(1, std::memory_order_relaxed); }
   void release(Generation* generation);

   /// A generation for a writer to fill; `parent` null: above it there is nothing.
   Generation* open(Generation* parent);
   /// Nobody will see what the writer made. `dead` is what it did not own and replaced.
   void abandon(Generation* mine, Ref root, std::vector<Dead>&& dead);
   /// Closes a generation, whose root is not 0. Returns it, or, when nothing was changed, the one above, with a handle
   /// for the caller. `mine` becomes the one to go on with.
   Generation* close(Generation*& mine, Ref root, std::vector<Dead>& dead);

   /// Those that `named` are, and those at which their ways up meet, each with the place in the list of the nearest one
   /// above it that is in the list too (-1: none) and a handle for the caller. Those above come first.
   struct Kept {
      Generation* generation;
      std::int32_t above;
   };
   std::vector<Kept> keep(std::span<Generation* const> named);

   /// For opening: a closed generation without handles, which the caller adds before anything else happens.
   Generation* restore(std::uint64_t number, Generation* parent, Ref root, std::vector<Dead> dead);

   /// Waits until all that nobody sees is free.
   void drain();
   /// Nodes and trees that wait to be freed.
   std::size_t queued();

   /// For tests: checks everything; no writer may exist. `handles`: how many each generation should have; `others`:
   /// nodes in use that are in none. Throws Fault.
   void verify(const std::map<const Generation*, std::uint32_t>& handles, std::unordered_set<Ref> others);

private:
   /// What nobody sees any more.
   struct Gone {
      std::vector<Ref> nodes;
      std::vector<Generation*> dying;
      bool empty() const { return nodes.empty() && dying.empty(); }
   };

   static void link(Generation& generation, Generation& parent);
   static void unlink(Generation& generation);
   /// Does away with a generation, and those above it, as far as nobody needs them.
   void settle(Generation* generation, Gone& gone) REQUIRES(mutex_);
   /// Takes what was born after `floor` out of a list of the dead.
   void sift(std::vector<Dead>& dead, std::uint64_t floor, std::vector<Ref>& gone) const;
   /// Frees a little at once and leaves the rest to the reclaimer.
   void reclaim(Gone gone) EXCLUDES(mutex_);
   /// Frees about `budget` nodes of a dying generation; true when none is left.
   bool freeSome(Generation& dying, std::size_t budget);
   /// Nothing of it is left: adds to `gone` what goes with it.
   void finish(Generation* dying, Gone& gone) EXCLUDES(mutex_);
   void reclaimLoop();

   Pool pool_;
   HashCache hashCache_;
   Mutex mutex_;
   /// Above all that stand on nothing.
   Generation top_{0};
   std::uint64_t lastNumber_ GUARDED_BY(mutex_) = 0;

   Mutex queueMutex_;
   std::condition_variable_any queueChanged_;
   Gone queue_ GUARDED_BY(queueMutex_);
   bool reclaiming_ GUARDED_BY(queueMutex_) = false;
   bool stop_ GUARDED_BY(queueMutex_) = false;
   std::thread reclaimer_;
};

} // namespace polis::store::detail
