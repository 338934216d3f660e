// Merkle roots of ranges and proofs under them: spec, formats §7.3 (KvMerkle).
//
// The Merkle tree is the binary trie of the keys' bits, most significant first. What comes below a node of ours is one
// subtree of it, whose root is remembered, for the bytes of a leaf are a block too; so is what comes below a group.
#include "store/merkle_hash.hpp"
#include "store/proof.hpp"
#include "store/tree.hpp"

#include "store/generation.hpp"

#include <bit>

namespace polis::store {

using namespace detail;

KeyRange KeyRange::withPrefix(ByteView prefix) { return {toBytes(prefix), prefixEnd(prefix)}; }

bool KeyRange::contains(ByteView key) const { return compare(low, key) <= 0 && (!high || compare(key, *high) < 0); }

namespace {

std::size_t commonBitsOf(std::uint8_t a, std::uint8_t b) {
   return static_cast<std::size_t>(std::countl_zero(static_cast<std::uint8_t>(a ^ b)));
}

/// Count of the keys' common first bits.
std::size_t commonBits(ByteView a, ByteView b) {
   const std::size_t bytes = commonBytes(a, b);
   return bytes * 8 + (bytes == a.size() || bytes == b.size() ? 0 : commonBitsOf(a[bytes], b[bytes]));
}

/// Makes one tree of parts that come in the order of keys. Two neighbours are joined at the depth of their common bits,
/// deepest first; at equal depth (an entry at a node with both children) the right ones first.
/// With `proof` it also writes down how, hiding what is below a join of hidden ones.
class Joiner {
public:
   explicit Joiner(MerkleHash& hash, Bytes* proof = nullptr) : hash_(hash), proof_(proof) {}

   /// `common`: bits shared with what came before. Nothing is hidden without a proof.
   void shown(ByteView key, ByteView value, std::size_t common) {
      meet(common);
      pending_.push_back({hash_.entry(key, value), 0, proof_->size(), false});
      writeProofEntry(*proof_, key, value);
   }
   void hidden(const MerkleRoot& root, std::size_t common) {
      meet(common);
      pending_.push_back({root, 0, proof_ ? proof_->size() : 0, true});
      if (proof_)
         writeProofHidden(*proof_, root);
   }
   MerkleRoot finish() {
      if (pending_.empty())
         return {};
      while (pending_.size() > 1)
         join();
      return pending_.front().root;
   }

private:
   struct Pending {
      MerkleRoot root;
      /// Bits shared with what comes after.
      std::size_t common;
      /// Where it is in the proof.
      std::size_t at;
      bool hidden;
   };

   void meet(std::size_t common) {
      if (pending_.empty())
         return;
      pending_.back().common = common;
      while (pending_.size() > 1 && pending_[pending_.size() - 2].common > common)
         join();
   }

   void join() {
      const Pending right = pending_.back();
      pending_.pop_back();
      Pending& left = pending_.back();
      left.root = hash_.join(left.root, right.root);
      left.common = right.common;
      left.hidden &= right.hidden;
      if (!proof_)
         return;
      if (left.hidden) {
         proof_->resize(left.at);
         writeProofHidden(*proof_, left.root);
      } else {
         writeProofJoin(*proof_);
      }
   }

   MerkleHash& hash_;
   Bytes* proof_;
   std::vector<Pending> pending_;
};

class Walk {
public:
   Walk(Generations& generations, std::size_t cutBytes)
      : pool_(generations.pool()), cache_(generations.hashCache()), cutBytes_(static_cast<std::uint32_t>(cutBytes)) {}

   MerkleHash& hash() { return hash_; }

   /// Gives what is within `bounds` at `ref`, `depth` bytes below the root, to the joiner; shows what is within
   /// `shown`. `common`: bits shared with what came before. (A child can turn out to have nothing within the bounds
   /// only at their edge, where nothing came before, or nothing comes after.)
   void parts(Joiner& joiner, Ref ref, std::size_t depth, Bounds bounds, std::optional<Bounds> shown,
              std::size_t common) {
      if (pool_.node(ref)->kind == Kind::leaf) {
         if (bounds.all() && !shown)
            return joiner.hidden(rootOf(ref), common);
         return leafParts(joiner, *pool_.leaf(ref), bounds, shown, common);
      }
      const Inner& inner = *pool_.inner(ref);
      const ByteView prefix{inner.prefix(), inner.prefixBytes};
      if (!narrow(bounds, depth, prefix))
         return;
      if (shown && !narrow(*shown, depth, prefix))
         shown.reset();
      if (bounds.all() && !shown)
         return joiner.hidden(rootOf(ref), common);
      const std::size_t at = depth + inner.prefixBytes;
      int before = -2;
      eachWithin(pool_, inner, depth, bounds, [&](int byte, const Bounds& within) {
         if (before == -1)
            common = at * 8;
         else if (before >= 0)
            common = at * 8 + commonBitsOf(static_cast<std::uint8_t>(before), static_cast<std::uint8_t>(byte));
         before = byte;
         if (byte < 0)
            return parts(joiner, inner.own, at, within, shown && !shown->low ? Bounds() : std::optional<Bounds>(),
                         common);
         const auto at8 = static_cast<std::uint8_t>(byte);
         parts(joiner, pool_.childOf(inner, at8), at + 1, within,
               shown ? boundsBelow(*shown, at, at8, lastByteOf(pool_, inner, at8)) : std::nullopt, common);
      });
   }

private:
   ByteView cut(ByteView key) const { return key.subspan(cutBytes_); }

   void leafParts(Joiner& joiner, const Leaf& leaf, const Bounds& bounds, const std::optional<Bounds>& shown,
                  std::size_t common) {
      const auto [from, to] = leafRange(leaf, bounds);
      const auto [showFrom, showTo] = shown ? leafRange(leaf, *shown) : std::pair(0u, 0u);
      for (std::uint32_t i = from; i < to; ++i) {
         if (i > from)
            common = commonBits(leaf.key(i - 1), leaf.key(i));
         if (i >= showFrom && i < showTo)
            joiner.shown(cut(leaf.key(i)), leafValue(pool_, leaf, i), common);
         else
            joiner.hidden(hash_.entry(cut(leaf.key(i)), leafValue(pool_, leaf, i)), common);
      }
   }

   /// Root of everything below a leaf or an inner node.
   MerkleRoot rootOf(Ref ref) {
      return remembered(ref, [&](Joiner& joiner) {
         if (pool_.node(ref)->kind == Kind::leaf)
            return leafParts(joiner, *pool_.leaf(ref), {}, {}, 0);
         // Of all bits, those of the one byte that tells the node's children apart; `own` has none of them. All bytes
         // of a child's block have the same first bits in common with those of another's.
         const Inner& inner = *pool_.inner(ref);
         if (inner.own)
            joiner.hidden(rootOf(inner.own), 0);
         if (!inner.wide)
            return childParts(joiner, inner, 0, 256);
         int before = -1;
         for (std::size_t group = 0; group < groupsMax; ++group) {
            if (!inner.refs()[group])
               continue;
            const int first = static_cast<int>(group * groupBytes);
            const std::size_t common =
                before < 0 ? 0 : commonBitsOf(static_cast<std::uint8_t>(before), static_cast<std::uint8_t>(first));
            joiner.hidden(remembered(inner.refs()[group],
                                     [&](Joiner& within) {
                                        childParts(within, inner, first, first + static_cast<int>(groupBytes));
                                     }),
                          common);
            before = first;
         }
      });
   }

   /// The children for bytes from `from` on and before `to`.
   void childParts(Joiner& joiner, const Inner& inner, int from, int to) {
      int before = -1;
      for (int byte = inner.byteFrom(from); byte >= 0 && byte < to; byte = byte < 255 ? inner.byteFrom(byte + 1) : -1) {
         const auto at = static_cast<std::uint8_t>(byte);
         joiner.hidden(rootOf(pool_.childOf(inner, at)),
                       before < 0 ? 0 : commonBitsOf(static_cast<std::uint8_t>(before), at));
         before = byte;
      }
   }

   template <class Fill>
   MerkleRoot remembered(Ref ref, Fill&& fill) {
      const HashCache::Node node{ref, cutBytes_, pool_.node(ref)->birth};
      if (const auto root = cache_.find(node))
         return *root;
      Joiner joiner(hash_);
      fill(joiner);
      const MerkleRoot root = joiner.finish();
      cache_.add(node, root);
      return root;
   }

   const Pool& pool_;
   HashCache& cache_;
   const std::uint32_t cutBytes_;
   MerkleHash hash_;
};

} // namespace

MerkleRoot Version::merkle(ByteView prefix) const { return merkle(KeyRange::withPrefix(prefix), prefix.size()); }

MerkleRoot Version::merkle(const KeyRange& range, std::size_t cutBytes) const {
   ASSERT(range.low.size() >= cutBytes);
   if (const auto end = prefixEnd(ByteView(range.low).first(cutBytes)))
      ASSERT(range.high && compare(*range.high, *end) <= 0);
   if (!root_ || (range.high && compare(range.low, *range.high) >= 0))
      return {};
   Walk walk(*generations_, cutBytes);
   Joiner joiner(walk.hash());
   walk.parts(joiner, root_, 0, boundsOf(range), {}, 0);
   return joiner.finish();
}

Bytes Version::prove(ByteView prefix, const KeyRange& shown, std::size_t bytesMax) const {
   Bytes proof;
   if (!root_)
      return proof;
   const auto whole = [&](ByteView key) {
      Bytes out = toBytes(prefix);
      append(out, key);
      return out;
   };
   const KeyRange all = KeyRange::withPrefix(prefix);
   const Bytes low = whole(shown.low);
   const std::optional<Bytes> high = shown.high ? std::optional(whole(*shown.high)) : all.high;
   // From the entry that `low` is at or behind, to the one that `high` is at or before.
   KeyRange open{low, high};
   Cursor at = cursor();
   bool more = at.seek(low);
   if (!more || compare(at.entry().key, low) != 0) {
      const auto before = lessThan(low);
      open.low = before && beginsWith(before->key, prefix) ? toBytes(before->key) : all.low;
   }
   std::size_t bytes = 0;
   for (; more && beginsWith(at.entry().key, prefix); more = at.next()) {
      const Entry entry = at.entry();
      // The least key behind it.
      open.high = toBytes(entry.key);
      open.high->push_back(0);
      bytes += entry.key.size() + entry.value.size();
      if (bytes > bytesMax || (high && compare(*open.high, *high) >= 0))
         break;
   }
   Walk walk(*generations_, prefix.size());
   Joiner joiner(walk.hash(), &proof);
   walk.parts(joiner, root_, 0, boundsOf(all), boundsOf(open), 0);
   joiner.finish();
   return proof;
}

} // namespace polis::store
