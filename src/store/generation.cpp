#include "store/generation.hpp"

#include "base/fault.hpp"
#include "store/check.hpp"

namespace polis::store::detail {
namespace {

/// Left to whoever needs places, or walked at once by the thread that drops; more is for the reclaimer.
constexpr std::size_t inlineNodesMax = 2048, inlineWalkMax = 64;
/// The reclaimer takes the pool's lock for so many nodes at a time.
constexpr std::size_t batchNodes = 256;

} // namespace

Generations::Generations(File file, std::uint64_t fileBytesMax, std::uint64_t heldBytesMax,
                         std::size_t hashCacheBytesMax)
   : pool_(std::move(file), fileBytesMax, heldBytesMax), hashCache_(hashCacheBytesMax),
     reclaimer_([this] { reclaimLoop(); }) {}

Generations::~Generations() {
   {
      Lock lock(queueMutex_);
      stop_ = true;
   }
   queueChanged_.notify_all();
   reclaimer_.join();
   // What is still here had not been freed yet, and need not be.
   Lock lock(mutex_);
   while (Generation* last = top_.firstChild) {
      while (last->firstChild)
         last = last->firstChild;
      unlink(*last);
      delete last;
   }
}

void Generations::link(Generation& generation, Generation& parent) {
   generation.parent = &parent;
   generation.previous = nullptr;
   generation.next = parent.firstChild;
   if (parent.firstChild)
      parent.firstChild->previous = &generation;
   parent.firstChild = &generation;
   generation.floor.store(parent.number, std::memory_order_release);
}

void Generations::unlink(Generation& generation) {
   (generation.previous ? generation.previous->next : generation.parent->firstChild) = generation.next;
   if (generation.next)
      generation.next->previous = generation.previous;
}

void Generations::release(Generation* generation) {
   auto& handles = generation->handles;
   for (std::uint32_t n = handles.load(std::memory_order_relaxed); n > 1;)
      if (handles.compare_exchange_weak(n, n - 1, std::memory_order_release, std::memory_order_relaxed))
         return;
   Gone gone;
   {
      Lock lock(mutex_);
      if (handles.fetch_sub(1, std::memory_order_acq_rel) == 1)
         settle(generation, gone);
   }
   reclaim(std::move(gone));
}

Generation* Generations::open(Generation* parent) {
   Lock lock(mutex_);
   auto* mine = new Generation(++lastNumber_);
   mine->open = true;
   link(*mine, parent ? *parent : top_);
   return mine;
}

void Generations::abandon(Generation* mine, Ref root, std::vector<Dead>&& dead) {
   Gone gone;
   {
      Lock lock(mutex_);
      sift(dead, mine->parent->number, gone.nodes);
      mine->root = root;
      mine->open = false;
      settle(mine, gone);
   }
   reclaim(std::move(gone));
}

Generation* Generations::close(Generation*& mine, Ref root, std::vector<Dead>& dead) {
   ASSERT(root != 0);
   Gone gone;
   Generation* closed = mine;
   {
      Lock lock(mutex_);
      // A root that the one above has too was never changed: the writer did not own it.
      if (mine->parent->root == root) {
         retain(*mine->parent);
         return mine->parent;
      }
      sift(dead, mine->parent->number, gone.nodes);
      closed->dead.insert(closed->dead.end(), dead.begin(), dead.end());
      dead.clear();
      closed->root = root;
      closed->open = false;
      closed->handles.store(1, std::memory_order_relaxed);
      mine = new Generation(++lastNumber_);
      mine->open = true;
      link(*mine, *closed);
   }
   reclaim(std::move(gone));
   return closed;
}

void Generations::settle(Generation* generation, Gone& gone) {
   while (generation != &top_ && !generation->open && generation->handles.load(std::memory_order_acquire) == 0) {
      Generation* const parent = generation->parent;
      Generation* const child = generation->firstChild;
      if (!child) {
         if (const Ref root = generation->root; root && pool_.node(root)->birth > parent->number) {
            generation->dying = true;
            generation->dead = {{pool_.node(root)->birth, root, true}};
            gone.dying.push_back(generation);
            return;
         }
         unlink(*generation);
         delete generation;
         generation = parent;
         continue;
      }
      if (child->next || child->dying)
         return;
      sift(child->dead, parent->number, gone.nodes);
      if (child->dead.size() < generation->dead.size())
         child->dead.swap(generation->dead);
      child->dead.insert(child->dead.end(), generation->dead.begin(), generation->dead.end());
      unlink(*generation);
      link(*child, *parent);
      delete generation;
      return;
   }
}

void Generations::sift(std::vector<Dead>& dead, std::uint64_t floor, std::vector<Ref>& gone) const {
   std::vector<Ref> whole;
   std::erase_if(dead, [&](const Dead& one) {
      if (one.birth > floor)
         (one.whole ? whole : gone).push_back(one.ref);
      return one.birth > floor;
   });
   while (!whole.empty()) {
      const Ref ref = whole.back();
      whole.pop_back();
      gone.push_back(ref);
      eachRef(*pool_.node(ref), [&](Ref below) {
         if (const std::uint64_t birth = pool_.node(below)->birth; birth > floor)
            whole.push_back(below);
         else
            dead.push_back({birth, below, true});
      });
   }
}

bool Generations::freeSome(Generation& dying, std::size_t budget) {
   const std::uint64_t floor = dying.floor.load(std::memory_order_relaxed);
   std::vector<Ref> nodes;
   while (!dying.dead.empty() && nodes.size() < budget) {
      const Ref ref = dying.dead.back().ref;
      dying.dead.pop_back();
      nodes.push_back(ref);
      eachRef(*pool_.node(ref), [&](Ref below) {
         if (const std::uint64_t birth = pool_.node(below)->birth; birth > floor)
            dying.dead.push_back({birth, below, true});
      });
   }
   pool_.free(nodes);
   return dying.dead.empty();
}

void Generations::finish(Generation* dying, Gone& gone) {
   Lock lock(mutex_);
   Generation* const parent = dying->parent;
   unlink(*dying);
   delete dying;
   settle(parent, gone);
}

void Generations::reclaim(Gone gone) {
   Gone later;
   while (!gone.empty()) {
      if (gone.nodes.size() <= inlineNodesMax)
         pool_.leave(std::exchange(gone.nodes, {}));
      else
         later.nodes.insert(later.nodes.end(), gone.nodes.begin(), gone.nodes.end());
      gone.nodes.clear();
      if (gone.dying.empty())
         break;
      Generation* const dying = gone.dying.back();
      gone.dying.pop_back();
      if (freeSome(*dying, inlineWalkMax))
         finish(dying, gone);
      else
         later.dying.push_back(dying);
   }
   if (later.empty())
      return;
   Lock lock(queueMutex_);
   const bool wake = queue_.empty();
   queue_.nodes.insert(queue_.nodes.end(), later.nodes.begin(), later.nodes.end());
   queue_.dying.insert(queue_.dying.end(), later.dying.begin(), later.dying.end());
   if (wake)
      queueChanged_.notify_all();
}

void Generations::reclaimLoop() {
   for (;;) {
      Gone work;
      {
         Lock lock(queueMutex_);
         reclaiming_ = false;
         if (queue_.empty())
            queueChanged_.notify_all();
         while (queue_.empty() && !stop_)
            queueChanged_.wait(lock);
         if (stop_)
            return;
         std::swap(work, queue_);
         reclaiming_ = true;
      }
      while (!work.empty()) {
         for (std::size_t from = 0; from < work.nodes.size(); from += batchNodes)
            pool_.free(std::span(work.nodes).subspan(from, std::min(batchNodes, work.nodes.size() - from)));
         work.nodes.clear();
         if (work.dying.empty())
            break;
         Generation* const dying = work.dying.back();
         work.dying.pop_back();
         while (!freeSome(*dying, batchNodes))
            ;
         finish(dying, work);
      }
   }
}

void Generations::drain() {
   Lock lock(queueMutex_);
   while (!queue_.empty() || reclaiming_)
      queueChanged_.wait(lock);
}

std::size_t Generations::queued() {
   Lock lock(queueMutex_);
   return queue_.nodes.size() + queue_.dying.size();
}

std::vector<Generations::Kept> Generations::keep(std::span<Generation* const> named) {
   Lock lock(mutex_);
   // Count of the ways that reach each generation from below, the name itself being two.
   std::map<const Generation*, std::uint32_t> ways;
   std::map<std::uint64_t, Generation*> kept;
   for (Generation* const start : named) {
      if (!kept.emplace(start->number, start).second)
         continue;
      bool first = ways[start] == 0;
      ways[start] += 2;
      for (Generation* at = start->parent; first && at != &top_; at = at->parent) {
         first = ++ways[at] == 1;
         if (ways[at] == 2)
            kept.emplace(at->number, at);
      }
   }
   std::vector<Kept> out;
   std::map<const Generation*, std::int32_t> places;
   for (const auto& [number, generation] : kept) {
      const Generation* above = generation->parent;
      while (above != &top_ && !places.contains(above))
         above = above->parent;
      places.emplace(generation, static_cast<std::int32_t>(out.size()));
      out.push_back({generation, above == &top_ ? -1 : places.at(above)});
      retain(*generation);
   }
   return out;
}

Generation* Generations::restore(std::uint64_t number, Generation* parent, Ref root, std::vector<Dead> dead) {
   Lock lock(mutex_);
   auto* generation = new Generation(number);
   generation->root = root;
   generation->dead = std::move(dead);
   link(*generation, parent ? *parent : top_);
   lastNumber_ = std::max(lastNumber_, number);
   return generation;
}

void Generations::verify(const std::map<const Generation*, std::uint32_t>& handles, std::unordered_set<Ref> others) {
   drain();
   Lock lock(mutex_);
   const auto need = [](bool holds, const char* what, std::uint64_t number) {
      if (!holds)
         throw Fault("generation " + std::to_string(number) + ": " + what);
   };
   std::unordered_set<const Generation*> found;
   const auto visit = [&](const auto& self, const Generation& above, const std::unordered_set<Ref>& seenAbove) -> void {
      for (const Generation* at = above.firstChild; at; at = at->next) {
         found.insert(at);
         need(!at->open, "a writer exists", at->number);
         need(at->parent == &above && at->number > above.number && at->floor == above.number, "misplaced", at->number);
         const auto expected = handles.find(at);
         need(at->handles == (expected == handles.end() ? 0 : expected->second), "wrong count of handles", at->number);
         need(at->handles || (at->firstChild && at->firstChild->next), "is of no use", at->number);
         std::unordered_set<Ref> seen, dead;
         checkTree(pool_, at->root, at->number, seen);
         for (const Ref ref : seen)
            need(seenAbove.contains(ref) == (pool_.node(ref)->birth <= above.number), "wrong birth", at->number);
         const auto die = [&](const auto& again, Ref ref, bool whole) -> void {
            need(dead.insert(ref).second, "died twice", at->number);
            if (whole)
               eachRef(*pool_.node(ref), [&](Ref below) { again(again, below, true); });
         };
         for (const Dead& one : at->dead) {
            need(pool_.node(one.ref)->birth == one.birth, "wrong birth of what died", at->number);
            die(die, one.ref, one.whole);
         }
         for (const Ref ref : seenAbove)
            need(seen.contains(ref) != dead.contains(ref), "not dead and not seen", at->number);
         for (const Ref ref : dead)
            need(seenAbove.contains(ref), "died unseen", at->number);
         self(self, *at, seen);
         others.merge(seen);
      }
   };
   visit(visit, top_, {});
   for (const auto& [generation, expected] : handles)
      need(found.contains(generation), "has a handle and is lost", 0);
   pool_.verify(others);
}

} // namespace polis::store::detail
