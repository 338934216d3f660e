// What differs between two trees, without a look at what they share.
#include "store/generation.hpp"
#include "store/tree.hpp"

namespace polis::store {

using namespace detail;

namespace {

/// A node, or nothing, seen from a place within its prefix; `start` is the length of the path to the node itself.
struct At {
   const Pool* pool;
   Ref ref;
   std::size_t start;

   bool isInner() const { return ref && pool->node(ref)->kind == Kind::inner; }
   const Leaf& leaf() const { return *pool->leaf(ref); }
   const Inner& inner() const { return *pool->inner(ref); }
   ByteView restOfPrefix(std::size_t depth) const {
      return ByteView(inner().prefix(), inner().prefixBytes).subspan(depth - start);
   }
};

/// The ways on from an inner node at some depth. Within its prefix there is one, which leads to the node itself.
class Branches {
public:
   Branches(const At& at, std::size_t depth) : at_(at), depth_(depth), rest_(at.restOfPrefix(depth)) {}
   At own() const { return {at_.pool, rest_.empty() ? at_.inner().own : 0, depth_}; }
   /// The first byte from `byte` on at which a way begins; 256 when there is none.
   unsigned firstFrom(unsigned byte) const {
      if (!rest_.empty())
         return byte <= rest_[0] ? rest_[0] : 256u;
      const int next = byte < 256 ? at_.inner().byteFrom(static_cast<int>(byte)) : -1;
      return next < 0 ? 256u : static_cast<unsigned>(next);
   }
   /// The way that begins at `byte`, if one does.
   At child(std::uint8_t byte) const {
      if (firstFrom(byte) != byte)
         return {at_.pool, 0, depth_ + 1};
      return rest_.empty() ? At{at_.pool, at_.pool->childOf(at_.inner(), byte), depth_ + 1} : at_;
   }
   /// The last byte of the way that begins at `byte`; `byte` when none does.
   std::uint8_t last(std::uint8_t byte) const {
      return rest_.empty() && at_.inner().has(byte) ? lastByteOf(*at_.pool, at_.inner(), byte) : byte;
   }
   /// Null unless the node is wide.
   const Ref* groups() const { return rest_.empty() && at_.inner().wide ? at_.inner().refs() : nullptr; }

private:
   const At& at_;
   std::size_t depth_;
   ByteView rest_;
};

class Comparison {
public:
   Comparison(bool sharing, const std::function<bool(const Change&)>& each) : sharing_(sharing), each_(each) {}

   /// What is below both at `depth`, up to where all keys have the same bytes.
   void compareAt(const At& before, const At& after, std::size_t depth, Bounds bounds) {
      if (stopped_ || (before.ref == after.ref && (sharing_ || !before.ref)))
         return;
      if (!before.isInner())
         return merge(before, bounds, true, [&](auto&& each) { entries(after, depth, bounds, each); });
      if (!after.isInner())
         return merge(after, bounds, false, [&](auto&& each) { entries(before, depth, bounds, each); });
      looked_ += 2;
      const ByteView prefix = before.restOfPrefix(depth);
      const std::size_t common = commonBytes(prefix, after.restOfPrefix(depth));
      if (!narrow(bounds, depth, prefix.first(common)))
         return;
      depth += common;
      const Branches left(before, depth), right(after, depth);
      if (!bounds.low)
         compareAt(left.own(), right.own(), depth, Bounds());
      const bool groups = sharing_ && left.groups() && right.groups();
      for (unsigned from = 0; from < 256 && !stopped_;) {
         const unsigned group = from / groupBytes, nextGroup = static_cast<unsigned>((group + 1) * groupBytes);
         const unsigned at = std::min(left.firstFrom(from), right.firstFrom(from));
         if (at >= nextGroup || (groups && left.groups()[group] == right.groups()[group])) {
            from = nextGroup;
            continue;
         }
         from = 1u + compareWays(left, right, static_cast<std::uint8_t>(at), depth, bounds);
      }
   }

   std::uint64_t looked() const { return looked_; }

private:
   /// What begins at a byte at which a way of either begins. Returns the last byte that was compared.
   std::uint8_t compareWays(const Branches& left, const Branches& right, std::uint8_t first, std::size_t depth,
                            const Bounds& bounds) {
      const At before = left.child(first), after = right.child(first);
      // The same leaf may have a longer block on one side; then it has no keys in what is more.
      if (sharing_ && before.ref == after.ref)
         return first;
      const std::uint8_t leftLast = left.last(first), rightLast = right.last(first),
                         last = std::max(leftLast, rightLast);
      const auto below = boundsBelow(bounds, depth, first, last);
      if (!below)
         return last;
      if (leftLast == rightLast) {
         compareAt(before, after, depth + 1, *below);
         return last;
      }
      // A leaf, whose block holds all that begins there on the other side.
      const bool isLeft = leftLast > rightLast;
      const Branches& many = isLeft ? right : left;
      merge(isLeft ? before : after, *below, isLeft, [&](auto&& each) {
         for (unsigned at = many.firstFrom(first); at <= last; at = many.firstFrom(at + 1)) {
            const auto byte = static_cast<std::uint8_t>(at);
            if (const auto within = boundsBelow(bounds, depth, byte, many.last(byte)))
               entries(many.child(byte), depth + 1, *within, each);
         }
      });
      return last;
   }

   /// `few` is a leaf or nothing: however much there is on the other side, which `entriesOfMany` tells, it is nearly
   /// all different.
   template <class Entries>
   void merge(const At& few, const Bounds& bounds, bool fewIsBefore, Entries&& entriesOfMany) {
      const auto say = [&](ByteView key, std::optional<ByteView> ofFew, std::optional<ByteView> ofMany) {
         stopped_ = stopped_ || !each_(fewIsBefore ? Change{key, ofFew, ofMany} : Change{key, ofMany, ofFew});
      };
      looked_ += few.ref != 0;
      const auto [from, to] = few.ref ? leafRange(few.leaf(), bounds) : std::pair(0u, 0u);
      std::uint32_t next = from;
      const auto sayFew = [&] {
         say(few.leaf().key(next), leafValue(*few.pool, few.leaf(), next), std::nullopt);
         ++next;
      };
      entriesOfMany([&, to = to](const Entry& entry) {
         while (next < to && !stopped_ && compare(few.leaf().key(next), entry.key) < 0)
            sayFew();
         if (next == to || stopped_ || !same(few.leaf().key(next), entry.key))
            return say(entry.key, std::nullopt, entry.value);
         const ByteView value = leafValue(*few.pool, few.leaf(), next++);
         if (value.data() != entry.value.data() && !same(value, entry.value))
            say(entry.key, value, entry.value);
      });
      while (next < to && !stopped_)
         sayFew();
   }

   template <class Each>
   void entries(const At& at, std::size_t depth, Bounds bounds, Each&& each) {
      if (!at.ref || stopped_)
         return;
      ++looked_;
      if (!at.isInner()) {
         const auto [from, to] = leafRange(at.leaf(), bounds);
         for (std::uint32_t i = from; i < to && !stopped_; ++i)
            each(leafEntry(*at.pool, at.leaf(), i));
         return;
      }
      if (!narrow(bounds, depth, at.restOfPrefix(depth)))
         return;
      const std::size_t below = at.start + at.inner().prefixBytes + 1;
      eachWithin(*at.pool, at.inner(), at.start, bounds, [&](int byte, const Bounds& within) {
         const Ref ref = byte < 0 ? at.inner().own : at.pool->childOf(at.inner(), static_cast<std::uint8_t>(byte));
         entries(At{at.pool, ref, below}, below, within, each);
      });
   }

   /// Equal references are the same node.
   const bool sharing_;
   const std::function<bool(const Change&)>& each_;
   bool stopped_ = false;
   std::uint64_t looked_ = 0;
};

} // namespace

std::uint64_t Version::changesSince(const Version& before, const KeyRange& range,
                                    const std::function<bool(const Change&)>& each) const {
   if (range.high && compare(range.low, *range.high) >= 0)
      return 0;
   const auto at = [](const Version& version) {
      return At{version.root_ ? &version.pool() : nullptr, version.root_, 0};
   };
   Comparison comparison(generations_ == before.generations_, each);
   comparison.compareAt(at(before), at(*this), 0, boundsOf(range));
   return comparison.looked();
}

} // namespace polis::store
