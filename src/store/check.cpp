#include "store/check.hpp"

#include "base/fault.hpp"
#include "store/tree.hpp"

namespace polis::store::detail {
namespace {

/// Of a node that will be looked into: what most leaves have.
constexpr std::size_t aheadBytes = 256;

[[noreturn]] void damaged(const char* what, Ref ref) {
   throw Fault("damaged: " + std::string(what) + " at byte " + std::to_string(std::uint64_t{ref} * unitBytes));
}

/// Visits a tree in depth-first order. `enter` says whether to look into a node; `place` is where it stands.
/// Depth is bounded by the longest key. No node may be younger than the one above it.
template <class Enter>
class Walk {
public:
   Walk(const Pool& pool, Enter enter) : pool_(pool), enter_(enter) {}

   void tree(Ref ref, std::uint64_t birthMax, int first = -1, int last = -1) {
      if (!enter(ref, birthMax, Place{path_, first, last}))
         return;
      switch (pool_.node(ref)->kind) {
      case Kind::leaf:
         leaf(*pool_.leaf(ref));
         break;
      case Kind::inner:
         if (first >= 0)
            path_.push_back(static_cast<std::uint8_t>(first));
         inner(ref);
         if (first >= 0)
            path_.pop_back();
         break;
      case Kind::blob:
      case Kind::group:
         damaged("wrong kind of node", ref);
      }
   }

private:
   bool enter(Ref ref, std::uint64_t birthMax, const Place& place) {
      const bool into = enter_(ref, place);
      if (const std::uint64_t birth = pool_.node(ref)->birth; birth == 0 || birth > birthMax)
         damaged("wrong birth", ref);
      // Most of the time goes by waiting for memory: for all children at once rather than for one after the other.
      if (into && pool_.node(ref)->kind != Kind::leaf)
         eachRef(*pool_.node(ref), [&](Ref below) { pool_.prefetch(below, aheadBytes); });
      return into;
   }

   void leaf(const Leaf& leaf) {
      if (!leaf.blobs)
         return;
      for (std::uint32_t i = 0; i < leaf.count; ++i) {
         if (!(leaf.valueWord(i) & blobFlag))
            continue;
         const Ref ref = loadRef(leaf.valueAt(i));
         enter(ref, leaf.birth, {});
         if (pool_.node(ref)->kind != Kind::blob || pool_.blob(ref)->length != (leaf.valueWord(i) & ~blobFlag))
            damaged("wrong blob", ref);
      }
   }

   void inner(Ref ref) {
      const Inner& inner = *pool_.inner(ref);
      const std::size_t depth = path_.size();
      append(path_, {inner.prefix(), inner.prefixBytes});
      std::uint64_t sum = 0;
      if (inner.own) {
         tree(inner.own, inner.birth);
         if (pool_.node(inner.own)->kind != Kind::leaf || pool_.leaf(inner.own)->count != 1 ||
             pool_.leaf(inner.own)->slots()[0].keyBytes != path_.size())
            damaged("wrong entry of an inner node", ref);
         ++sum;
      }
      bool fresh[groupsMax];
      std::uint64_t birthMax[groupsMax];
      for (std::size_t i = 0; i < groupsMax; ++i) {
         fresh[i] = true;
         birthMax[i] = inner.birth;
         if (!inner.wide || !inner.refs()[i])
            continue;
         fresh[i] = enter(inner.refs()[i], inner.birth, {});
         birthMax[i] = pool_.node(inner.refs()[i])->birth;
         const Group& group = *pool_.group(inner.refs()[i]);
         if (group.kind != Kind::group || group.count != std::popcount(inner.groupPresent(i)))
            damaged("wrong group", inner.refs()[i]);
      }
      if (path_.size() >= keyBytesMax && inner.children)
         damaged("path too long", ref);
      eachByte(inner, [&](std::uint8_t byte) {
         const Ref child = pool_.childOf(inner, byte);
         if (fresh[byte / groupBytes])
            tree(child, birthMax[byte / groupBytes], byte, inner.blockEnd(byte));
         sum += treeSize(pool_, child);
      });
      if (sum != inner.count)
         damaged("wrong count of entries", ref);
      path_.resize(depth);
   }

   const Pool& pool_;
   Enter enter_;
   Bytes path_;
};

std::atomic_ref<std::uint32_t> sealOf(const Pool& pool, Ref ref) { return std::atomic_ref(pool.node(ref)->seal); }

} // namespace

void checkTree(const Pool& pool, Ref root, std::uint64_t number, std::unordered_set<Ref>& nodes) {
   Walk walk(pool, [&](Ref ref, const Place& place) {
      if (!nodes.insert(ref).second)
         damaged("node with two places", ref);
      checkNode(pool, ref, place);
      const std::uint32_t seal = sealOf(pool, ref).load(std::memory_order_acquire);
      if (seal && seal != nodeChecksum(pool.node(ref)))
         damaged("wrong checksum", ref);
      return true;
   });
   walk.tree(root, number);
}

std::vector<Dead> adoptTree(Pool& pool, Ref root, std::uint64_t number, const Generation* above) {
   const std::uint64_t floor = above ? above->number : 0;
   std::unordered_set<Ref> shared;
   Walk walk(pool, [&](Ref ref, const Place& place) {
      const bool fresh = pool.adopt(ref);
      if (fresh == (pool.node(ref)->birth <= floor) || (!fresh && !shared.insert(ref).second))
         damaged("node with two places", ref);
      if (!fresh) {
         checkPlace(pool, ref, place);
         return false;
      }
      checkNode(pool, ref, place);
      if (pool.node(ref)->seal != nodeChecksum(pool.node(ref)))
         damaged("wrong checksum", ref);
      return true;
   });
   walk.tree(root, number);
   // What the one above sees, down to what is shared.
   std::vector<Dead> dead;
   std::vector<Ref> stack;
   if (above)
      stack.push_back(above->root);
   while (!stack.empty()) {
      const Ref ref = stack.back();
      stack.pop_back();
      if (shared.erase(ref))
         continue;
      dead.push_back({pool.node(ref)->birth, ref, false});
      eachRef(*pool.node(ref), [&](Ref below) { stack.push_back(below); });
   }
   if (!shared.empty())
      damaged("node of another version", *shared.begin());
   return dead;
}

void sealTree(Pool& pool, Ref root) {
   // A sealed node has only sealed ones below it: whoever changes one has made the whole path to it their own.
   const auto unsealed = [&](Ref ref) { return sealOf(pool, ref).load(std::memory_order_acquire) == 0; };
   const auto seal = [&](Ref ref) {
      sealOf(pool, ref).store(nodeChecksum(pool.node(ref)), std::memory_order_release);
      pool.changed(ref);
   };
   const auto visit = [&](const auto& self, Ref ref) -> void {
      if (!unsealed(ref))
         return;
      if (pool.node(ref)->kind == Kind::leaf) {
         const Leaf& leaf = *pool.leaf(ref);
         for (std::uint32_t i = 0; leaf.blobs && i < leaf.count; ++i)
            if (leaf.valueWord(i) & blobFlag)
               if (const Ref blob = loadRef(leaf.valueAt(i)); unsealed(blob))
                  seal(blob);
      } else if (pool.node(ref)->kind == Kind::inner) {
         const Inner& inner = *pool.inner(ref);
         if (inner.own)
            self(self, inner.own);
         for (std::size_t i = 0; i < inner.refCount(); ++i)
            if (inner.refs()[i])
               self(self, inner.refs()[i]);
      } else if (pool.node(ref)->kind == Kind::group) {
         const Group& group = *pool.group(ref);
         for (std::uint32_t i = 0; i < group.count; ++i)
            self(self, group.refs()[i]);
      }
      seal(ref);
   };
   visit(visit, root);
}

} // namespace polis::store::detail
