#include "store/check.hpp"

#include "base/fault.hpp"
#include "store/tree.hpp"

namespace polis::store::detail {
namespace {

[[noreturn]] void damaged(const char* what, Ref ref) {
   throw Fault("damaged: " + std::string(what) + " at byte " + std::to_string(std::uint64_t{ref} * unitBytes));
}

/// Visits a tree in depth-first order. `enter` says whether to look into a node; `path` is what its keys begin with.
/// Depth is bounded by the longest key.
template <class Enter>
class Walk {
public:
   Walk(const Pool& pool, Enter enter) : pool_(pool), enter_(enter) {}

   void tree(Ref ref) {
      if (!enter_(ref, ByteView(path_)))
         return;
      switch (pool_.node(ref)->kind) {
      case Kind::leaf: leaf(*pool_.leaf(ref)); break;
      case Kind::inner: inner(ref); break;
      case Kind::blob: damaged("blob in the place of a tree", ref);
      }
   }

private:
   void leaf(const Leaf& leaf) {
      if (!leaf.blobs)
         return;
      for (std::uint32_t i = 0; i < leaf.count; ++i) {
         if (!(leaf.valueWord(i) & blobFlag))
            continue;
         const Ref ref = loadRef(leaf.valueAt(i));
         enter_(ref, ByteView());
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
         tree(inner.own);
         if (pool_.node(inner.own)->kind != Kind::leaf || pool_.leaf(inner.own)->count != 1 ||
             pool_.leaf(inner.own)->slots()[0].keyBytes != path_.size())
            damaged("wrong entry of an inner node", ref);
         ++sum;
      }
      eachChild(inner, [&](std::uint8_t byte, std::uint32_t index) {
         path_.push_back(byte);
         if (path_.size() > keyBytesMax)
            damaged("path too long", ref);
         tree(inner.refs()[index]);
         sum += treeSize(pool_, inner.refs()[index]);
         path_.pop_back();
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

void checkTree(const Pool& pool, Ref root, std::map<Ref, std::uint32_t>& references) {
   Walk walk(pool, [&](Ref ref, ByteView path) {
      if (references[ref]++)
         return false;
      checkNode(pool, ref, path);
      const std::uint32_t seal = sealOf(pool, ref).load(std::memory_order_acquire);
      if (seal && seal != nodeChecksum(pool.node(ref)))
         damaged("wrong checksum", ref);
      return true;
   });
   walk.tree(root);
}

void adoptTree(Pool& pool, Ref root) {
   Walk walk(pool, [&](Ref ref, ByteView path) {
      if (!pool.adopt(ref))
         return false;
      checkNode(pool, ref, path);
      if (pool.node(ref)->seal != nodeChecksum(pool.node(ref)))
         damaged("wrong checksum", ref);
      return true;
   });
   walk.tree(root);
}

void sealTree(const Pool& pool, Ref root) {
   // A sealed node has only sealed ones below it: whoever changes one has made the whole path to it their own.
   const auto unsealed = [&](Ref ref) { return sealOf(pool, ref).load(std::memory_order_acquire) == 0; };
   const auto seal = [&](Ref ref) {
      sealOf(pool, ref).store(nodeChecksum(pool.node(ref)), std::memory_order_release);
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
         for (std::uint32_t i = 0; i < inner.children; ++i)
            self(self, inner.refs()[i]);
      }
      seal(ref);
   };
   visit(visit, root);
}

} // namespace polis::store::detail
