// Changes of a tree in place of its root. Internal to the store.
#pragma once

#include "store/generation.hpp"
#include "store/tree.hpp"

namespace polis::store::detail {

/// Changes the tree of one open generation at a time. Nodes that only it sees are changed in place, others are copied.
/// When allocation throws, the tree is whole and without the change.
class Edit {
public:
   explicit Edit(Generations& generations)
      : generations_(generations), pool_(generations.pool()), cache_(pool_.takeCache()) {}
   ~Edit() { pool_.giveCache(std::move(cache_)); }
   Edit(const Edit&) = delete;
   Edit& operator=(const Edit&) = delete;

   Generations& generations() const { return generations_; }
   const Pool& pool() const { return pool_; }

   /// The generation to change.
   Generation* mine = nullptr;
   /// What it no longer sees and did not own.
   std::vector<Dead> dead;

   /// Told what is at the key of a put, right before it changes; the view lives until then.
   class Witness {
   public:
      virtual void before(std::optional<ByteView> value) = 0;

   protected:
      ~Witness() = default;
   };

   /// `witness` may be null. It is told nothing when allocation throws before the key's place was found.
   void put(Ref& root, ByteView key, ByteView value, Witness* witness);
   /// The key is there.
   void removeExisting(Ref& root, ByteView key);
   void removeRange(Ref& root, ByteView low, std::optional<ByteView> high);

private:
   /// An entry on its way into a leaf, with the blob that it may have. `value` points at the value's bytes or at the
   /// Ref of its blob.
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

   void putItem(Ref& root, const Item& item, Witness* witness);
   /// What a put did: the key was there, or was not, or the leaf was split and the put is to be tried again.
   enum class Done { replaced, added, split };
   /// `parent` is the inner node, our own, that has the leaf for the key's byte at `depth`; null when there is none.
   Done putInLeaf(Ref& slot, Ref* parent, std::size_t depth, const Item& item, Witness* witness);
   /// Two leaves with the items, or an inner node when all share the byte at `depth`, take the place of the parent's
   /// leaf `old`, which held all of them but one. False when a half is too long for a leaf: then they have the old
   /// entries.
   bool splitLeaf(Ref& parent, std::size_t depth, Items items, const Leaf& old);
   void removeFromLeaf(Ref& slot, std::uint32_t at);
   /// The old node's key bytes differ from the item's after `common` of its prefix: a new node above both.
   void fork(Ref& slot, std::size_t depth, std::size_t common, const Item& item);
   void removeWithin(Ref& slot, std::size_t depth, Bounds bounds);

   /// New nodes that are done away with unless taken; but not the blobs of their entries.
   class Fresh {
   public:
      Fresh(Edit& edit, Ref ref) : edit_(edit), ref_(ref) {}
      ~Fresh() {
         if (ref_)
            edit_.discard(ref_);
      }
      Fresh(const Fresh&) = delete;
      Fresh& operator=(const Fresh&) = delete;
      Ref get() const { return ref_; }
      Ref take() { return std::exchange(ref_, 0); }
      Ref& ref() { return ref_; }

   private:
      Edit& edit_;
      Ref ref_;
   };
   void discard(Ref ref);

   Ref allocate(Kind kind, std::size_t bytes) { return pool_.allocate(*cache_, kind, bytes, mine->number); }
   /// True when nobody else sees the node: it may be changed.
   bool owns(Ref ref) const { return pool_.node(ref)->birth > mine->floor.load(std::memory_order_acquire); }
   /// Of a node that we own and are about to change.
   void touch(Ref ref);
   /// We no longer see the node; what is below it goes on.
   void kill(Ref ref);
   /// As kill, with the groups of a wide node.
   void killWithGroups(Ref inner);
   /// We no longer see the node nor what is below it.
   void killTree(Ref ref);
   void killBlob(const Leaf& leaf, std::uint32_t at);

   /// The inner node at `slot`, copied first unless we own it.
   Inner& ownInner(Ref& slot);
   Leaf& ownLeaf(Ref& slot);
   /// The child for a byte that has one, in a place that may be written: we own `inner`, and its group then.
   Ref& ownChild(Inner& inner, std::uint8_t byte);
   Ref makeInner(ByteView prefix, std::size_t refs);
   /// Takes the child over, when it does not throw.
   void addChild(Ref& slot, std::uint8_t byte, Fresh& child);
   void addToGroup(Inner& inner, std::uint8_t byte, Ref child);
   /// Lets the child at `from` stand at `to`, between which no other stands.
   void moveChild(Inner& inner, std::uint8_t from, std::uint8_t to);
   /// Makes one leaf of the leaf at `byte` and the one beside it, when both are short. The node is our own.
   void joinLeaves(Ref& slot, std::uint8_t byte);
   void widen(Ref& slot);
   Ref makeNarrow(const Inner& wide);
   /// Takes out children whose Ref has become 0.
   void closeGaps(Inner& inner);
   /// The node, our own, may have lost branches: does away with it when one or none is left, or few enough entries
   /// for a leaf. `slot` becomes 0 when nothing is left.
   void mend(Ref& slot);
   void tryMerge(Ref& slot);

   static void addItems(ItemList& list, const Leaf& leaf, std::uint32_t from, std::uint32_t to);
   static std::size_t leafBytes(Items items);
   /// The items with a lesser byte at `depth`, and the others, of which there are some.
   static std::pair<Items, Items> splitAt(Items items, std::size_t depth, std::uint8_t byte);
   Ref makeLeaf(Items items, std::size_t room);
   /// An inner node, for items that are too long for a leaf.
   Ref makeTree(Items items, std::size_t depth);
   /// Adds children for the items, whose bytes before the one at `depth` are those of the node, and for the block that
   /// begins with `first`.
   void addChildren(Ref& slot, Items items, std::size_t depth, std::uint8_t first);
   void insertEntry(Leaf& leaf, std::uint32_t at, const Item& item);
   /// Puts a copy in the place of a node.
   void replace(Ref& slot, Ref with);

   Generations& generations_;
   Pool& pool_;
   std::unique_ptr<Pool::Cache> cache_;
};

} // namespace polis::store::detail
