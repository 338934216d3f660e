// Changes of a tree in place of its root. Internal to the store.
#pragma once

#include "store/tree.hpp"

namespace polis::store::detail {

/// What a key has: nothing, a value inside its leaf, or a blob (0: none).
struct OldValue {
   std::optional<ByteView> value;
   Ref blob = 0;
};

/// Changes trees whose root the caller owns one reference to. Nodes that only this root reaches are changed in place,
/// others are copied. When allocation throws, the tree is whole and without the change.
class Edit {
public:
   Edit(Pool& pool, std::unique_ptr<Pool::Cache> cache) : pool_(pool), cache_(std::move(cache)) {}

   Pool& pool() const { return pool_; }
   Pool::Cache& cache() const { return *cache_; }
   std::unique_ptr<Pool::Cache> takeCache() { return std::move(cache_); }

   OldValue find(Ref root, ByteView key) const;
   void put(Ref& root, ByteView key, ByteView value);
   /// As put, with a value that is a blob already; adds a reference to it.
   void putBlob(Ref& root, ByteView key, Ref blob);
   /// The key is there.
   void removeExisting(Ref& root, ByteView key);
   void removeRange(Ref& root, ByteView low, std::optional<ByteView> high);

private:
   /// An entry on its way into a leaf. `value` points at the value's bytes or at the Ref of its blob.
   struct Item {
      const std::uint8_t* key;
      const std::uint8_t* value;
      std::uint32_t word;
      std::uint16_t keyBytes;

      ByteView keyView() const { return {key, keyBytes}; }
      std::size_t bytes() const { return entryBytes(keyBytes, word); }
   };
   using Items = std::span<const Item>;
   /// Room for a leaf's entries and one more.
   struct ItemList {
      Item items[leafEntriesMax + 1];
      std::size_t count = 0;
      void add(const Item& item) { items[count++] = item; }
      Items view() const { return {items, count}; }
   };

   void putItem(Ref& root, const Item& item);
   /// True when the key was not there.
   bool putInLeaf(Ref& slot, std::size_t depth, const Item& item);
   void removeFromLeaf(Ref& slot, std::uint32_t at);
   /// The old node's key bytes differ from the item's after `common` of its prefix: a new node above both.
   void fork(Ref& slot, std::size_t depth, std::size_t common, const Item& item);
   void removeWithin(Ref& slot, std::size_t depth, Bounds bounds);

   /// The inner node at `slot`, copied first unless it is only ours.
   Inner& ownInner(Ref& slot);
   /// The child for a byte that has one, in a place that may be written: `inner` is only ours, its group becomes so.
   Ref& ownChild(Inner& inner, std::uint8_t byte);
   /// References for what a copied node refers to.
   void retainRefs(const Inner& inner);
   Ref makeInner(ByteView prefix, std::size_t refs);
   /// Takes the child over, when it does not throw.
   void addChild(Ref& slot, std::uint8_t byte, Held& child);
   void addToGroup(Inner& inner, std::uint8_t byte, Held& child);
   void widen(Ref& slot);
   Ref makeNarrow(const Inner& wide);
   /// Takes out children whose Ref has become 0.
   void closeGaps(Inner& inner);
   /// The node, ours alone, may have lost branches: does away with it when one or none is left, or few enough entries
   /// for a leaf. `slot` becomes 0 when nothing is left.
   void mend(Ref& slot);
   void tryMerge(Ref& slot);

   static void addItems(ItemList& list, const Leaf& leaf, std::uint32_t from, std::uint32_t to);
   static std::size_t leafBytes(Items items);
   /// The new leaf has references of its own to the blobs.
   Ref makeLeaf(Items items, std::size_t room);
   /// A leaf, or inner nodes with leaves.
   Ref makeTree(Items items, std::size_t depth);
   void insertEntry(Leaf& leaf, std::uint32_t at, const Item& item);
   void replace(Ref& slot, Ref with);

   Pool& pool_;
   std::unique_ptr<Pool::Cache> cache_;
};

} // namespace polis::store::detail
