#include "store/edit.hpp"

#include <tuple>

namespace polis::store::detail {
namespace {

/// An inner node with at most this many entries becomes a leaf when they fill no more than half of one.
constexpr std::uint64_t mergeEntriesMax = 8;
/// A leaf with no more than this is put together with its neighbour when both have no more than the other.
constexpr std::size_t joinLeafBytesMax = leafSplitBytes / 4, joinedLeafBytesMax = leafSplitBytes / 2;

/// A leaf's bytes without those that are free or dead.
std::size_t liveBytes(const Leaf& leaf) { return classBytes(leaf.sizeClass) - leaf.gap() - leaf.dead; }

/// Where the byte of two keys that share all before it, but not it, tells them apart: the halves of the smallest block
/// that holds both begin at these bytes.
struct Halves {
   std::uint8_t left, right;
};
Halves halvesOf(std::uint8_t low, std::uint8_t high) {
   const unsigned half = std::bit_floor(static_cast<unsigned>(low ^ high));
   return {static_cast<std::uint8_t>(low & ~(half - 1)), static_cast<std::uint8_t>(high & ~(half - 1))};
}

/// Writes the entry's bytes below those there are; returns where.
std::uint16_t writeEntry(Leaf& leaf, ByteView key, const std::uint8_t* value, std::uint32_t word) {
   leaf.heap = static_cast<std::uint16_t>(leaf.heap - entryBytes(key.size(), word));
   std::uint8_t* at = leaf.bytes() + leaf.heap;
   std::memcpy(at, &word, 4);
   if (!key.empty())
      std::memcpy(at + 4, key.data(), key.size());
   if (const std::size_t n = storedValueBytes(word))
      std::memcpy(at + 4 + key.size(), value, n);
   return leaf.heap;
}

void insertAt(Ref* refs, std::size_t count, std::size_t at, Ref ref) {
   std::memmove(refs + at + 1, refs + at, sizeof(Ref) * (count - at));
   refs[at] = ref;
}

void setPresent(Inner& inner, std::uint8_t byte) {
   inner.present[byte >> 6] |= std::uint64_t{1} << (byte & 63);
   ++inner.children;
   for (unsigned word = (byte >> 6) + 1u; word < 4; ++word)
      ++inner.rank[word];
}

/// The node is narrow and there is room.
void insertRef(Inner& inner, std::uint8_t byte, Ref child) {
   insertAt(inner.refs(), inner.children, inner.below(byte), child);
   setPresent(inner, byte);
}

std::size_t refsMax(const Inner& inner) {
   return (classBytes(inner.sizeClass) - Inner::refsAt(inner.prefixBytes)) / sizeof(Ref);
}

} // namespace

void Edit::discard(Ref ref) {
   if (const NodeHead& node = *pool_.node(ref); node.kind == Kind::inner || node.kind == Kind::group)
      eachRef(node, [&](Ref below) { discard(below); });
   pool_.free(ref, cache_.get());
}

void Edit::touch(Ref ref) {
   pool_.node(ref)->seal = 0;
   pool_.node(ref)->birth = mine->number;
}

void Edit::kill(Ref ref) {
   if (owns(ref))
      pool_.free(ref, cache_.get());
   else
      dead.push_back({pool_.node(ref)->birth, ref, false});
}

void Edit::killWithGroups(Ref ref) {
   const Inner& inner = *pool_.inner(ref);
   for (std::size_t i = 0; inner.wide && i < groupsMax; ++i)
      if (inner.refs()[i])
         kill(inner.refs()[i]);
   kill(ref);
}

void Edit::killTree(Ref root) {
   std::vector<Ref> stack{root};
   while (!stack.empty()) {
      const Ref ref = stack.back();
      stack.pop_back();
      if (owns(ref)) {
         eachRef(*pool_.node(ref), [&](Ref below) { stack.push_back(below); });
         pool_.free(ref, cache_.get());
      } else {
         dead.push_back({pool_.node(ref)->birth, ref, true});
      }
   }
}

void Edit::killBlob(const Leaf& leaf, std::uint32_t at) {
   if (leaf.valueWord(at) & blobFlag)
      kill(loadRef(leaf.valueAt(at)));
}

void Edit::put(Ref& root, ByteView key, ByteView value, Witness* witness) {
   Item item{key.data(), value.data(), static_cast<std::uint32_t>(value.size()),
             static_cast<std::uint16_t>(key.size())};
   if (value.size() <= inlineValueBytesMax)
      return putItem(root, item, witness);
   Fresh blob(*this, allocate(Kind::blob, sizeof(Blob) + value.size()));
   Blob& node = *pool_.blob(blob.get());
   node.spare = 0;
   node.length = item.word;
   std::memcpy(node.value(), value.data(), value.size());
   item.value = reinterpret_cast<const std::uint8_t*>(&blob.ref());
   item.word |= blobFlag;
   putItem(root, item, witness);
   blob.take();
}

void Edit::putItem(Ref& root, const Item& item, Witness* witness) {
   const ByteView key = item.keyView();
   const auto absent = [&] {
      if (witness)
         witness->before(std::nullopt);
   };
   if (!root) {
      absent();
      root = makeLeaf({&item, 1}, 0);
      return;
   }
   Ref* path[keyBytesMax + 1];
   std::size_t length = 0, depth = 0;
   Ref* slot = &root;
   for (;;) {
      if (pool_.node(*slot)->kind == Kind::leaf) {
         const Done done = putInLeaf(*slot, length ? path[length - 1] : nullptr, depth - (length != 0), item, witness);
         if (done == Done::replaced)
            return;
         if (done == Done::added)
            break;
         witness = nullptr;
         slot = path[--length];
         depth -= pool_.inner(*slot)->prefixBytes + 1u;
      }
      Inner& inner = ownInner(*slot);
      const ByteView prefix{inner.prefix(), inner.prefixBytes};
      const std::size_t common = commonBytes(key.subspan(depth), prefix);
      if (common < prefix.size()) {
         absent();
         fork(*slot, depth, common, item);
         break;
      }
      depth += common;
      if (key.size() == depth) {
         if (inner.own) {
            putInLeaf(inner.own, nullptr, depth, item, witness);
            return;
         }
         absent();
         inner.own = makeLeaf({&item, 1}, 0);
         ++inner.count;
         break;
      }
      const std::uint8_t byte = key[depth++];
      const int at = inner.byteUpTo(byte);
      Ref* child = nullptr;
      if (at >= 0 && inner.blockEnd(static_cast<std::uint8_t>(at)) >= byte)
         child = &ownChild(inner, static_cast<std::uint8_t>(at));
      if (!child || (at != byte && pool_.node(*child)->kind != Kind::leaf)) {
         absent();
         Fresh leaf(*this, makeLeaf({&item, 1}, 0));
         addChild(*slot, inner.freeBlock(byte), leaf);
         ++pool_.inner(*slot)->count;
         break;
      }
      path[length++] = slot;
      slot = child;
   }
   while (length)
      ++pool_.inner(*path[--length])->count;
}

void Edit::fork(Ref& slot, std::size_t depth, std::size_t common, const Item& item) {
   Inner& old = *pool_.inner(slot);
   Fresh leaf(*this, makeLeaf({&item, 1}, 0));
   const Ref above = makeInner({old.prefix(), common}, 2);
   Inner& inner = *pool_.inner(above);
   inner.count = old.count + 1;
   insertRef(inner, old.prefix()[common], slot);
   if (item.keyBytes == depth + common)
      inner.own = leaf.take();
   else
      insertRef(inner, inner.freeBlock(item.key[depth + common]), leaf.take());
   // The old node keeps what comes after the byte that now leads to it.
   const Ref* refs = old.refs();
   const std::size_t rest = old.prefixBytes - common - 1;
   std::memmove(old.prefix(), old.prefix() + common + 1, rest);
   old.prefixBytes = static_cast<std::uint16_t>(rest);
   std::memmove(old.refs(), refs, sizeof(Ref) * old.refCount());
   slot = above;
}

Inner& Edit::ownInner(Ref& slot) {
   Inner& old = *pool_.inner(slot);
   if (owns(slot)) {
      touch(slot);
      return old;
   }
   const Ref ref = allocate(Kind::inner, classBytes(old.sizeClass));
   Inner& copy = *pool_.inner(ref);
   copy.prefixBytes = old.prefixBytes;
   std::memcpy(&copy.count, &old.count, Inner::bytesFor(old.prefixBytes, old.refCount()) - offsetof(Inner, count));
   replace(slot, ref);
   return copy;
}

Ref& Edit::ownChild(Inner& inner, std::uint8_t byte) {
   if (!inner.wide) {
      Ref& slot = inner.refs()[inner.below(byte)];
      pool_.prefetch(slot);
      return slot;
   }
   Ref& slot = inner.refs()[byte / groupBytes];
   // Underway while the group is copied.
   pool_.prefetch(pool_.group(slot)->refs()[inner.groupIndex(byte)]);
   if (owns(slot)) {
      touch(slot);
   } else {
      const Group& old = *pool_.group(slot);
      const Ref ref = allocate(Kind::group, Group::bytesFor(old.count));
      Group& copy = *pool_.group(ref);
      copy.count = old.count;
      std::memcpy(copy.refs(), old.refs(), sizeof(Ref) * old.count);
      replace(slot, ref);
   }
   return pool_.group(slot)->refs()[inner.groupIndex(byte)];
}

Ref Edit::makeInner(ByteView prefix, std::size_t refs) {
   const Ref ref = allocate(Kind::inner, Inner::bytesFor(prefix.size(), refs));
   Inner& inner = *pool_.inner(ref);
   inner.prefixBytes = static_cast<std::uint16_t>(prefix.size());
   std::memset(&inner.count, 0, sizeof(Inner) - offsetof(Inner, count));
   if (!prefix.empty())
      std::memcpy(inner.prefix(), prefix.data(), prefix.size());
   return ref;
}

void Edit::addChild(Ref& slot, std::uint8_t byte, Fresh& child) {
   if (!pool_.inner(slot)->wide && pool_.inner(slot)->children >= narrowChildrenMax)
      widen(slot);
   Inner& old = *pool_.inner(slot);
   if (old.wide) {
      addToGroup(old, byte, child.get());
      child.take();
      return;
   }
   if (old.children < refsMax(old))
      return insertRef(old, byte, child.take());
   const std::size_t room = std::min<std::size_t>(narrowChildrenMax, old.children + 1u + old.children / 4u);
   const Ref ref = makeInner({old.prefix(), old.prefixBytes}, room);
   Inner& inner = *pool_.inner(ref);
   inner.count = old.count;
   inner.own = old.own;
   std::memcpy(inner.present, old.present, sizeof inner.present);
   inner.fillRank();
   std::memcpy(inner.refs(), old.refs(), sizeof(Ref) * old.children);
   insertRef(inner, byte, child.take());
   replace(slot, ref);
}

void Edit::addToGroup(Inner& inner, std::uint8_t byte, Ref child) {
   Ref& slot = inner.refs()[byte / groupBytes];
   const std::uint32_t at = inner.groupIndex(byte), count = slot ? pool_.group(slot)->count : 0u;
   if (slot && owns(slot) && Group::bytesFor(count + 1) <= classBytes(pool_.group(slot)->sizeClass)) {
      touch(slot);
   } else {
      const Ref ref = allocate(Kind::group, Group::bytesFor(count + 1));
      Group& copy = *pool_.group(ref);
      copy.count = static_cast<std::uint16_t>(count);
      if (slot) {
         std::memcpy(copy.refs(), pool_.group(slot)->refs(), sizeof(Ref) * count);
         kill(slot);
      }
      slot = ref;
   }
   Group& group = *pool_.group(slot);
   insertAt(group.refs(), count, at, child);
   ++group.count;
   setPresent(inner, byte);
}

void Edit::moveChild(Inner& inner, std::uint8_t from, std::uint8_t to) {
   if (from == to)
      return;
   if (inner.wide && from / groupBytes != to / groupBytes) {
      addToGroup(inner, to, ownChild(inner, from));
      ownChild(inner, from) = 0;
      return closeGaps(inner);
   }
   inner.present[from >> 6] &= ~(std::uint64_t{1} << (from & 63));
   inner.present[to >> 6] |= std::uint64_t{1} << (to & 63);
   inner.fillRank();
}

void Edit::widen(Ref& slot) {
   const Inner& old = *pool_.inner(slot);
   Fresh wide(*this, makeInner({old.prefix(), old.prefixBytes}, groupsMax));
   Inner& inner = *pool_.inner(wide.get());
   inner.wide = 1;
   std::memset(inner.refs(), 0, sizeof(Ref) * groupsMax);
   // Until all groups are there they refer to nothing, and so does the new node but to them.
   for (std::size_t i = 0; i < groupsMax; ++i)
      if (const int count = std::popcount(old.groupPresent(i))) {
         inner.refs()[i] = allocate(Kind::group, Group::bytesFor(static_cast<std::size_t>(count) + 1));
         pool_.group(inner.refs()[i])->count = 0;
      }
   const Ref* from = old.refs();
   eachByte(old, [&](std::uint8_t byte) {
      Group& group = *pool_.group(inner.refs()[byte / groupBytes]);
      group.refs()[group.count++] = *from++;
   });
   inner.count = old.count;
   inner.own = old.own;
   std::memcpy(inner.present, old.present, sizeof inner.present);
   inner.fillRank();
   replace(slot, wide.take());
}

void Edit::closeGaps(Inner& inner) {
   std::uint64_t present[4] = {};
   std::uint32_t kept = 0;
   const auto keep = [&](std::uint8_t byte) {
      present[byte >> 6] |= std::uint64_t{1} << (byte & 63);
      ++kept;
   };
   if (!inner.wide) {
      Ref* refs = inner.refs();
      std::uint32_t index = 0;
      eachByte(inner, [&](std::uint8_t byte) {
         const Ref ref = refs[index++];
         if (!ref)
            return;
         refs[kept] = ref;
         keep(byte);
      });
   } else {
      std::uint16_t counts[groupsMax] = {};
      // A group that others share has no gaps: it is only read.
      eachByte(inner, [&](std::uint8_t byte) {
         const std::size_t at = byte / groupBytes;
         Group& group = *pool_.group(inner.refs()[at]);
         const Ref ref = group.refs()[inner.groupIndex(byte)];
         if (!ref)
            return;
         if (counts[at] != inner.groupIndex(byte))
            group.refs()[counts[at]] = ref;
         ++counts[at];
         keep(byte);
      });
      for (std::size_t at = 0; at < groupsMax; ++at) {
         Ref& slot = inner.refs()[at];
         if (!slot || pool_.group(slot)->count == counts[at])
            continue;
         if (counts[at]) {
            pool_.group(slot)->count = counts[at];
         } else {
            kill(slot);
            slot = 0;
         }
      }
   }
   if (kept == inner.children)
      return;
   std::memcpy(inner.present, present, sizeof present);
   inner.fillRank();
}

Leaf& Edit::ownLeaf(Ref& slot) {
   const Leaf& old = *pool_.leaf(slot);
   if (owns(slot)) {
      touch(slot);
   } else {
      const Ref ref = allocate(Kind::leaf, classBytes(old.sizeClass));
      Leaf& copy = *pool_.leaf(ref);
      copy.count = old.count;
      std::memcpy(&copy.common, &old.common, classBytes(old.sizeClass) - offsetof(Leaf, common));
      replace(slot, ref);
   }
   return *pool_.leaf(slot);
}

Edit::Done Edit::putInLeaf(Ref& slot, Ref* parent, std::size_t depth, const Item& item, Witness* witness) {
   const Leaf& leaf = *pool_.leaf(slot);
   const ByteView key = item.keyView();
   const std::uint32_t at = leafLowerBound(leaf, key);
   const bool found = at < leaf.count && same(leaf.key(at), key);
   if (witness)
      witness->before(found ? std::optional(leafValue(pool_, leaf, at)) : std::nullopt);
   if (found) {
      const std::uint32_t word = leaf.valueWord(at);
      const std::size_t before = storedValueBytes(word), after = storedValueBytes(item.word);
      const bool over = after <= before && (word & blobFlag) == (item.word & blobFlag);
      const std::size_t dead = leaf.dead + (over ? before - after : entryBytes(key.size(), word));
      if ((over || leaf.gap() >= item.bytes()) && dead <= classBytes(leaf.sizeClass) / 8) {
         Leaf& own = ownLeaf(slot);
         killBlob(own, at);
         own.dead = static_cast<std::uint16_t>(dead);
         own.blobs = static_cast<std::uint16_t>(own.blobs - (word & blobFlag ? 1 : 0) + (item.word & blobFlag ? 1 : 0));
         if (over) {
            std::uint8_t* entry = own.bytes() + own.slots()[at].at;
            std::memcpy(entry, &item.word, 4);
            if (after)
               std::memcpy(entry + 4 + key.size(), item.value, after);
         } else {
            own.slots()[at].at = writeEntry(own, key, item.value, item.word);
         }
         return Done::replaced;
      }
   } else if (leaf.gap() >= item.bytes() + sizeof(LeafSlot)) {
      insertEntry(ownLeaf(slot), at, item);
      return Done::added;
   }
   ItemList list;
   addItems(list, leaf, 0, at);
   list.add(item);
   addItems(list, leaf, at + found, leaf.count);
   const std::size_t bytes = leafBytes(list.view());
   const bool oneByte = !parent || list.items[0].key[depth] == list.items[list.count - 1].key[depth];
   if (parent && bytes > (oneByte ? leafBytesMax : leafSplitBytes)) {
      // Not killed before its entries are elsewhere.
      const Ref old = slot;
      const bool whole = splitLeaf(*parent, depth, list.view(), leaf);
      if (whole && found)
         killBlob(leaf, at);
      kill(old);
      return !whole ? Done::split : found ? Done::replaced : Done::added;
   }
   const Ref with = bytes > leafBytesMax ? makeTree(list.view(), depth) : makeLeaf(list.view(), found ? 0 : bytes / 8);
   if (found)
      killBlob(leaf, at);
   replace(slot, with);
   return found ? Done::replaced : Done::added;
}

bool Edit::splitLeaf(Ref& parent, std::size_t depth, Items items, const Leaf& old) {
   const std::uint8_t low = items.front().key[depth], high = items.back().key[depth];
   const auto at = static_cast<std::uint8_t>(pool_.inner(parent)->byteUpTo(low));
   // What can throw comes first, and each step leaves a whole tree.
   if (low == high) {
      Fresh tree(*this, makeTree(items, depth + 1));
      moveChild(*pool_.inner(parent), at, low);
      ownChild(*pool_.inner(parent), low) = tree.take();
      return true;
   }
   const Halves halves = halvesOf(low, high);
   auto [left, right] = splitAt(items, depth, halves.right);
   const bool whole = leafBytes(left) <= leafBytesMax && leafBytes(right) <= leafBytesMax;
   ItemList list;
   if (!whole) {
      // More than one is in the half that is too long, so the other one is of old entries too.
      addItems(list, old, 0, old.count);
      std::tie(left, right) = splitAt(list.view(), depth, halves.right);
   }
   Fresh first(*this, makeLeaf(left, leafBytes(left) / 8)), second(*this, makeLeaf(right, leafBytes(right) / 8));
   moveChild(*pool_.inner(parent), at, halves.left);
   addChild(parent, halves.right, second);
   ownChild(*pool_.inner(parent), halves.left) = first.take();
   return whole;
}

std::pair<Edit::Items, Edit::Items> Edit::splitAt(Items items, std::size_t depth, std::uint8_t byte) {
   std::size_t count = 0;
   while (items[count].key[depth] < byte)
      ++count;
   return {items.first(count), items.subspan(count)};
}

void Edit::insertEntry(Leaf& leaf, std::uint32_t at, const Item& item) {
   const ByteView key = item.keyView();
   const std::size_t common = commonBytes(leaf.key(0).first(leaf.common), key);
   LeafSlot* slots = leaf.slots();
   if (common < leaf.common) {
      leaf.common = static_cast<std::uint16_t>(common);
      for (std::uint32_t i = 0; i < leaf.count; ++i)
         slots[i].head = keyHead(leaf.key(i), common);
   }
   if (item.word & blobFlag)
      ++leaf.blobs;
   const std::uint16_t entry = writeEntry(leaf, key, item.value, item.word);
   std::memmove(slots + at + 1, slots + at, sizeof(LeafSlot) * (leaf.count - at));
   slots[at] = {keyHead(key, common), entry, item.keyBytes};
   ++leaf.count;
}

void Edit::replace(Ref& slot, Ref with) {
   kill(slot);
   slot = with;
}

void Edit::addItems(ItemList& list, const Leaf& leaf, std::uint32_t from, std::uint32_t to) {
   for (std::uint32_t i = from; i < to; ++i)
      list.add({leaf.key(i).data(), leaf.valueAt(i), leaf.valueWord(i), leaf.slots()[i].keyBytes});
}

std::size_t Edit::leafBytes(Items items) {
   std::size_t bytes = sizeof(Leaf);
   for (const Item& item : items)
      bytes += sizeof(LeafSlot) + item.bytes();
   return bytes;
}

Ref Edit::makeLeaf(Items items, std::size_t room) {
   const std::size_t bytes = leafBytes(items);
   ASSERT(!items.empty() && bytes <= leafBytesMax);
   const Ref ref = allocate(Kind::leaf, std::max(bytes, std::min(bytes + room, leafSplitBytes)));
   Leaf& leaf = *pool_.leaf(ref);
   const std::size_t common = commonBytes(items.front().keyView(), items.back().keyView());
   leaf.count = static_cast<std::uint16_t>(items.size());
   leaf.common = static_cast<std::uint16_t>(common);
   leaf.heap = static_cast<std::uint16_t>(classBytes(leaf.sizeClass));
   leaf.dead = 0;
   leaf.blobs = 0;
   LeafSlot* slot = leaf.slots();
   for (const Item& item : items) {
      if (item.word & blobFlag)
         ++leaf.blobs;
      *slot++ = {keyHead(item.keyView(), common), writeEntry(leaf, item.keyView(), item.value, item.word),
                 item.keyBytes};
   }
   return ref;
}

Ref Edit::makeTree(Items items, std::size_t depth) {
   const std::size_t common = commonBytes(items.front().keyView(), items.back().keyView());
   const bool own = items.front().keyBytes == common;
   Fresh ref(*this, makeInner({items.front().key + depth, common - depth}, 4));
   if (own)
      pool_.inner(ref.get())->own = makeLeaf(items.first(1), 0);
   addChildren(ref.ref(), items.subspan(own), common, 0);
   pool_.inner(ref.get())->count = items.size();
   return ref.take();
}

void Edit::addChildren(Ref& slot, Items items, std::size_t depth, std::uint8_t first) {
   const std::uint8_t low = items.front().key[depth], high = items.back().key[depth];
   const std::size_t bytes = leafBytes(items);
   if (low != high && bytes > leafSplitBytes) {
      const Halves halves = halvesOf(low, high);
      const auto [left, right] = splitAt(items, depth, halves.right);
      addChildren(slot, left, depth, halves.left);
      return addChildren(slot, right, depth, halves.right);
   }
   const bool fits = bytes <= leafBytesMax;
   Fresh child(*this, fits ? makeLeaf(items, 0) : makeTree(items, depth + 1));
   addChild(slot, fits ? first : low, child);
}

void Edit::removeExisting(Ref& root, ByteView key) {
   Ref* path[keyBytesMax + 1];
   std::size_t length = 0, depth = 0;
   Ref* slot = &root;
   int at = -1;
   while (pool_.node(*slot)->kind == Kind::inner) {
      Inner& inner = ownInner(*slot);
      path[length++] = slot;
      depth += inner.prefixBytes;
      at = key.size() == depth ? -1 : inner.byteUpTo(key[depth]);
      slot = at < 0 ? &inner.own : &ownChild(inner, static_cast<std::uint8_t>(at));
      ++depth;
   }
   const Leaf& leaf = *pool_.leaf(*slot);
   const std::int32_t entry = leafFind(leaf, key);
   ASSERT(entry >= 0);
   if (leaf.count > 1) {
      removeFromLeaf(*slot, static_cast<std::uint32_t>(entry));
   } else {
      killTree(*slot);
      *slot = 0;
   }
   const bool gone = *slot == 0;
   for (std::size_t i = 0; i < length; ++i)
      --pool_.inner(*path[i])->count;
   if (!length)
      return;
   if (!gone)
      return at < 0 ? tryMerge(*path[length - 1]) : joinLeaves(*path[length - 1], static_cast<std::uint8_t>(at));
   for (std::size_t i = length; i > 0; --i) {
      closeGaps(*pool_.inner(*path[i - 1]));
      mend(*path[i - 1]);
      if (*path[i - 1])
         break;
   }
}

void Edit::removeFromLeaf(Ref& slot, std::uint32_t at) {
   Leaf& leaf = *pool_.leaf(slot);
   const std::uint32_t word = leaf.valueWord(at);
   const std::size_t entry = entryBytes(leaf.slots()[at].keyBytes, word);
   const std::size_t bytes = classBytes(leaf.sizeClass);
   const std::size_t live = liveBytes(leaf) - entry - sizeof(LeafSlot);
   if (owns(slot) && live > bytes / 2) {
      touch(slot);
      killBlob(leaf, at);
      leaf.dead = static_cast<std::uint16_t>(leaf.dead + entry);
      leaf.blobs = static_cast<std::uint16_t>(leaf.blobs - (word & blobFlag ? 1 : 0));
      LeafSlot* slots = leaf.slots();
      std::memmove(slots + at, slots + at + 1, sizeof(LeafSlot) * (leaf.count - at - 1u));
      --leaf.count;
      return;
   }
   ItemList list;
   addItems(list, leaf, 0, at);
   addItems(list, leaf, at + 1, leaf.count);
   const Ref with = makeLeaf(list.view(), 0);
   killBlob(leaf, at);
   replace(slot, with);
}

void Edit::mend(Ref& slot) {
   const Inner& inner = *pool_.inner(slot);
   const unsigned branches = inner.children + (inner.own != 0);
   if (branches > 1) {
      tryMerge(slot);
      if (pool_.node(slot)->kind == Kind::inner && pool_.inner(slot)->wide &&
          pool_.inner(slot)->children < wideChildrenMin) {
         const Ref narrow = makeNarrow(*pool_.inner(slot));
         killWithGroups(slot);
         slot = narrow;
      }
      return;
   }
   const Ref only = inner.children ? pool_.childOf(inner, static_cast<std::uint8_t>(inner.byteFrom(0))) : inner.own;
   if (!only || pool_.node(only)->kind == Kind::leaf) {
      killWithGroups(slot);
      slot = only;
      return;
   }
   // The node and its only child become one.
   const Inner& child = *pool_.inner(only);
   std::uint8_t prefix[keyBytesMax];
   std::size_t length = inner.prefixBytes;
   std::memcpy(prefix, inner.prefix(), length);
   prefix[length++] = static_cast<std::uint8_t>(inner.byteFrom(0));
   std::memcpy(prefix + length, child.prefix(), child.prefixBytes);
   length += child.prefixBytes;
   const Ref ref = makeInner({prefix, length}, child.refCount());
   Inner& both = *pool_.inner(ref);
   both.count = child.count;
   both.own = child.own;
   both.wide = child.wide;
   std::memcpy(both.present, child.present, sizeof both.present);
   both.fillRank();
   std::memcpy(both.refs(), child.refs(), sizeof(Ref) * child.refCount());
   kill(only);
   killWithGroups(slot);
   slot = ref;
}

Ref Edit::makeNarrow(const Inner& wide) {
   const Ref ref = makeInner({wide.prefix(), wide.prefixBytes}, wide.children);
   Inner& inner = *pool_.inner(ref);
   inner.count = wide.count;
   inner.own = wide.own;
   eachByte(wide, [&](std::uint8_t byte) { insertRef(inner, byte, pool_.childOf(wide, byte)); });
   return ref;
}

void Edit::tryMerge(Ref& slot) {
   const Inner& inner = *pool_.inner(slot);
   if (inner.count > mergeEntriesMax)
      return;
   ItemList list;
   const auto add = [&](Ref child) {
      if (pool_.node(child)->kind != Kind::leaf)
         return false;
      addItems(list, *pool_.leaf(child), 0, pool_.leaf(child)->count);
      return true;
   };
   if (inner.own && !add(inner.own))
      return;
   for (int byte = inner.byteFrom(0); byte >= 0; byte = byte < 255 ? inner.byteFrom(byte + 1) : -1)
      if (!add(pool_.childOf(inner, static_cast<std::uint8_t>(byte))))
         return;
   if (leafBytes(list.view()) > leafBytesMax / 2)
      return;
   const Ref leaf = makeLeaf(list.view(), 0);
   if (inner.own)
      kill(inner.own);
   eachByte(inner, [&](std::uint8_t byte) { kill(pool_.childOf(inner, byte)); });
   killWithGroups(slot);
   slot = leaf;
}

void Edit::joinLeaves(Ref& slot, std::uint8_t byte) {
   tryMerge(slot);
   if (pool_.node(slot)->kind == Kind::leaf)
      return;
   Inner& inner = *pool_.inner(slot);
   const std::size_t bytes = liveBytes(*pool_.leaf(pool_.childOf(inner, byte)));
   if (bytes > joinLeafBytesMax)
      return;
   // The smallest block that holds another child has to hold but one, and that a leaf.
   const int before = byte ? inner.byteUpTo(byte - 1) : -1;
   const unsigned after = inner.nextByte(byte);
   unsigned first = byte, last = byte;
   for (unsigned block = 2; static_cast<int>(first) > before && last < after; block *= 2) {
      if (block > 256)
         return;
      first = byte & ~(block - 1);
      last = first + block - 1;
   }
   const bool hasBefore = before >= static_cast<int>(first), hasAfter = after <= last;
   const auto other = static_cast<std::uint8_t>(hasBefore ? before : static_cast<int>(after));
   if (hasBefore == hasAfter ||
       (hasBefore ? other && inner.byteUpTo(other - 1) >= static_cast<int>(first) : inner.nextByte(other) <= last))
      return;
   const std::uint8_t left = std::min(byte, other), right = std::max(byte, other);
   if (const Ref child = pool_.childOf(inner, other);
       pool_.node(child)->kind != Kind::leaf || bytes + liveBytes(*pool_.leaf(child)) > joinedLeafBytesMax)
      return;
   ItemList list;
   for (const std::uint8_t at : {left, right}) {
      const Leaf& leaf = *pool_.leaf(pool_.childOf(inner, at));
      addItems(list, leaf, 0, leaf.count);
   }
   Fresh both(*this, makeLeaf(list.view(), 0));
   ownChild(inner, right);
   moveChild(inner, left, static_cast<std::uint8_t>(first));
   replace(ownChild(inner, static_cast<std::uint8_t>(first)), both.take());
   kill(std::exchange(ownChild(inner, right), Ref{0}));
   closeGaps(inner);
   mend(slot);
}

void Edit::removeRange(Ref& root, ByteView low, std::optional<ByteView> high) {
   if (!root || (high && compare(low, *high) >= 0))
      return;
   removeWithin(root, 0, {low.empty() ? std::nullopt : std::optional(low), high});
}

void Edit::removeWithin(Ref& slot, std::size_t depth, Bounds bounds) {
   if (pool_.node(slot)->kind == Kind::inner) {
      const Inner& inner = *pool_.inner(slot);
      if (!narrow(bounds, depth, {inner.prefix(), inner.prefixBytes}))
         return;
   }
   if (bounds.all()) {
      killTree(slot);
      slot = 0;
      return;
   }
   if (pool_.node(slot)->kind == Kind::leaf) {
      const Leaf& leaf = *pool_.leaf(slot);
      const auto [from, to] = leafRange(leaf, bounds);
      if (to == from)
         return;
      ItemList list;
      addItems(list, leaf, 0, from);
      addItems(list, leaf, to, leaf.count);
      const Ref with = list.count ? makeLeaf(list.view(), 0) : 0;
      for (std::uint32_t i = from; i < to; ++i)
         killBlob(leaf, i);
      return replace(slot, with);
   }
   Inner& inner = ownInner(slot);
   // Also when a child's change fails for want of space the node must be left whole.
   struct Finish {
      Edit& edit;
      Inner& inner;
      std::uint64_t removed = 0;
      bool done = false;
      ~Finish() {
         edit.closeGaps(inner);
         if (done) {
            inner.count -= removed;
            return;
         }
         inner.count = inner.own != 0;
         eachByte(inner,
                  [&](std::uint8_t byte) { inner.count += treeSize(edit.pool_, edit.pool_.childOf(inner, byte)); });
      }
   };
   // Leaves that keep some of their entries.
   std::uint8_t kept[2];
   std::size_t keptCount = 0;
   {
      Finish finish{*this, inner};
      const std::size_t below = depth + inner.prefixBytes + 1;
      eachWithin(pool_, inner, depth, bounds, [&](int byte, const Bounds& within) {
         Ref& child = byte < 0 ? inner.own : ownChild(inner, static_cast<std::uint8_t>(byte));
         const std::uint64_t before = treeSize(pool_, child);
         if (byte >= 0 && !within.all())
            kept[keptCount++] = static_cast<std::uint8_t>(byte);
         removeWithin(child, below, within);
         finish.removed += before - treeSize(pool_, child);
      });
      finish.done = true;
   }
   mend(slot);
   for (const std::uint8_t byte : std::span(kept, keptCount))
      if (slot && pool_.node(slot)->kind == Kind::inner && pool_.inner(slot)->has(byte) &&
          pool_.node(pool_.childOf(*pool_.inner(slot), byte))->kind == Kind::leaf)
         joinLeaves(slot, byte);
}

} // namespace polis::store::detail
