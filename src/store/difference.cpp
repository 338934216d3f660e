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
   Branches(const At& at, std::size_t depth) : at_(at), depth_(depth), rest_(at.restOfPrefix(depth)) {
      if (rest_.empty())
         std::copy_n(at.inner().present, 4, present);
      else
         present[rest_[0] >> 6] = std::uint64_t{1} << (rest_[0] & 63);
   }
   At own() const { return {at_.pool, rest_.empty() ? at_.inner().own : 0, depth_}; }
   At child(std::uint8_t byte) const {
      if (!(present[byte >> 6] >> (byte & 63) & 1))
         return {at_.pool, 0, depth_ + 1};
      return rest_.empty() ? At{at_.pool, at_.pool->childOf(at_.inner(), byte), depth_ + 1} : at_;
   }
   /// Null unless the node is wide.
   const Ref* groups() const { return rest_.empty() && at_.inner().wide ? at_.inner().refs() : nullptr; }

   std::uint64_t present[4] = {};

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
         return merge(before, after, depth, bounds, true);
      if (!after.isInner())
         return merge(after, before, depth, bounds, false);
      looked_ += 2;
      const ByteView prefix = before.restOfPrefix(depth);
      const std::size_t common = commonBytes(prefix, after.restOfPrefix(depth));
      if (!narrow(bounds, depth, prefix.first(common)))
         return;
      depth += common;
      const Branches left(before, depth), right(after, depth);
      if (!bounds.low)
         compareAt(left.own(), right.own(), depth, Bounds());
      std::uint64_t bytes[4];
      for (std::size_t word = 0; word < 4; ++word)
         bytes[word] = left.present[word] | right.present[word];
      if (sharing_ && left.groups() && right.groups())
         for (std::size_t group = 0; group < groupsMax; ++group)
            if (left.groups()[group] == right.groups()[group])
               bytes[group / 2] &= ~(std::uint64_t{0xFFFF'FFFF} << (group % 2 * groupBytes));
      for (unsigned word = 0; word < 4; ++word)
         for (std::uint64_t bits = bytes[word]; bits; bits &= bits - 1) {
            const auto byte = static_cast<std::uint8_t>(word * 64 + static_cast<unsigned>(std::countr_zero(bits)));
            if (const auto below = boundsBelow(bounds, depth, byte))
               compareAt(left.child(byte), right.child(byte), depth + 1, *below);
         }
   }

   std::uint64_t looked() const { return looked_; }

private:
   /// `few` is a leaf or nothing: however much there is on the other side, it is nearly all different.
   void merge(const At& few, const At& many, std::size_t depth, const Bounds& bounds, bool fewIsBefore) {
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
      entries(many, depth, bounds, [&, to = to](const Entry& entry) {
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
      eachWithin(at.inner(), at.start, bounds, [&](int byte, const Bounds& within) {
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
