#include "store/version.hpp"

#include "base/fault.hpp"
#include "store/check.hpp"
#include "store/tree.hpp"

#include <algorithm>

namespace polis::store {

using namespace detail;

Version::Version(Generations& generations, Generation* generation)
   : generations_(&generations), generation_(generation), root_(generation ? generation->root : 0) {}

Version::Version(const Version& other)
   : generations_(other.generations_), generation_(other.generation_), root_(other.root_) {
   if (generation_)
      Generations::retain(*generation_);
}

Version::~Version() {
   if (generation_)
      generations_->release(generation_);
}

const Pool& Version::pool() const { return generations_->pool(); }

// A default-made version belongs to no store.
std::optional<ByteView> Version::get(ByteView key) const { return root_ ? treeGet(pool(), root_, key) : std::nullopt; }
void Version::get(std::span<const ByteView> keys, std::span<std::optional<ByteView>> values) const {
   if (root_)
      treeGet(pool(), root_, keys, values);
   else
      std::fill(values.begin(), values.end(), std::nullopt);
}
std::optional<Entry> Version::lowerBound(ByteView key) const {
   return root_ ? treeLowerBound(pool(), root_, key) : std::nullopt;
}
std::optional<Entry> Version::upperBound(ByteView key) const {
   return root_ ? treeUpperBound(pool(), root_, key) : std::nullopt;
}
std::optional<Entry> Version::lessThan(ByteView key) const {
   return root_ ? treeLessThan(pool(), root_, key) : std::nullopt;
}
std::optional<Entry> Version::last(ByteView prefix) const {
   return root_ ? treeLast(pool(), root_, prefix) : std::nullopt;
}
std::uint64_t Version::size() const { return root_ ? treeSize(pool(), root_) : 0; }
std::uint64_t Version::rangeCount(ByteView low, std::optional<ByteView> high) const {
   return root_ ? treeRangeCount(pool(), root_, low, high) : 0;
}

Cursor Version::cursor() const { return Cursor(*this); }

void Version::verify() const {
   std::unordered_set<Ref> nodes;
   if (root_)
      checkTree(pool(), root_, generation_->number, nodes);
}

Entry Cursor::entry() const {
   ASSERT(valid());
   return leafEntry(version_.pool(), *version_.pool().leaf(leaf_), slot_);
}

bool Cursor::descendFirst(Ref ref) {
   const Pool& pool = version_.pool();
   while (pool.node(ref)->kind == Kind::inner) {
      const Inner& inner = *pool.inner(ref);
      const int byte = inner.own ? -1 : inner.byteFrom(0);
      path_.push_back({ref, byte});
      ref = inner.own ? inner.own : pool.childOf(inner, static_cast<std::uint8_t>(byte));
   }
   leaf_ = ref;
   slot_ = 0;
   return true;
}

bool Cursor::descendLast(Ref ref) {
   const Pool& pool = version_.pool();
   while (pool.node(ref)->kind == Kind::inner) {
      const Inner& inner = *pool.inner(ref);
      const int byte = inner.byteUpTo(255);
      path_.push_back({ref, byte});
      ref = byte >= 0 ? pool.childOf(inner, static_cast<std::uint8_t>(byte)) : inner.own;
   }
   leaf_ = ref;
   slot_ = pool.leaf(ref)->count - 1u;
   return true;
}

Ref Cursor::childAfter(std::size_t steps) const {
   const Pool& pool = version_.pool();
   const Frame& frame = path_.back();
   const Inner& inner = *pool.inner(frame.inner);
   const auto byte = static_cast<std::uint8_t>(frame.at);
   if (inner.wide) {
      std::size_t at = inner.groupIndex(byte) + steps;
      for (std::size_t group = byte / groupBytes; group < groupsMax; ++group) {
         const auto count = static_cast<std::size_t>(std::popcount(inner.groupPresent(group)));
         if (at < count)
            return pool.group(inner.refs()[group])->refs()[at];
         at -= count;
      }
      return 0;
   }
   const std::size_t at = inner.below(byte) + steps;
   if (at < inner.children)
      return inner.refs()[at];
   if (path_.size() < 2)
      return 0;
   const Frame& above = path_[path_.size() - 2];
   const Inner& parent = *pool.inner(above.inner);
   const int next = above.at < 255 ? parent.byteFrom(above.at + 1) : -1;
   if (next < 0)
      return 0;
   const Ref sibling = pool.childOf(parent, static_cast<std::uint8_t>(next));
   // At first that is not near, and not looked at.
   if (ahead_ == 0 || pool.node(sibling)->kind != Kind::inner)
      return at == inner.children ? sibling : 0;
   const Inner& other = *pool.inner(sibling);
   return !other.wide && at - inner.children < other.children ? other.refs()[at - inner.children] : 0;
}

void Cursor::fetchAhead() {
   constexpr std::size_t most = 2, leafLines = leafSplitBytes / 64, innerLines = 2;
   const Pool& pool = version_.pool();
   const Frame& frame = path_.back();
   const Ref here = pool.childOf(*pool.inner(frame.inner), static_cast<std::uint8_t>(frame.at));
   const std::size_t lines = ahead_ && pool.node(here)->kind == Kind::inner ? innerLines : leafLines;
   for (std::size_t steps = std::max<std::size_t>(ahead_, 1); steps <= most; ++steps)
      if (const Ref ref = childAfter(steps))
         for (std::size_t line = 0; line < lines; ++line)
            __builtin_prefetch(pool.at(ref) + line * 64);
   ahead_ = most;
}

bool Cursor::climbNext() {
   const Pool& pool = version_.pool();
   while (!path_.empty()) {
      Frame& frame = path_.back();
      const Inner& inner = *pool.inner(frame.inner);
      if (const int next = frame.at < 255 ? inner.byteFrom(frame.at + 1) : -1; next >= 0) {
         frame.at = next;
         fetchAhead();
         return descendFirst(pool.childOf(inner, static_cast<std::uint8_t>(next)));
      }
      path_.pop_back();
   }
   leaf_ = 0;
   return false;
}

bool Cursor::climbPrevious() {
   const Pool& pool = version_.pool();
   while (!path_.empty()) {
      Frame& frame = path_.back();
      const Inner& inner = *pool.inner(frame.inner);
      if (const int previous = frame.at > 0 ? inner.byteUpTo(frame.at - 1) : -1; previous >= 0) {
         frame.at = previous;
         return descendLast(pool.childOf(inner, static_cast<std::uint8_t>(previous)));
      }
      if (frame.at >= 0 && inner.own) {
         frame.at = -1;
         return descendLast(inner.own);
      }
      path_.pop_back();
   }
   leaf_ = 0;
   return false;
}

bool Cursor::first() {
   path_.clear();
   leaf_ = 0;
   ahead_ = 0;
   return version_.root_ && descendFirst(version_.root_);
}

bool Cursor::last() {
   path_.clear();
   leaf_ = 0;
   ahead_ = 0;
   return version_.root_ && descendLast(version_.root_);
}

bool Cursor::seek(ByteView key) {
   path_.clear();
   leaf_ = 0;
   ahead_ = 0;
   if (!version_.root_)
      return false;
   const Pool& pool = version_.pool();
   Ref ref = version_.root_;
   std::size_t depth = 0;
   while (pool.node(ref)->kind == Kind::inner) {
      const Inner& inner = *pool.inner(ref);
      const ByteView prefix{inner.prefix(), inner.prefixBytes}, rest = key.subspan(depth);
      const std::size_t common = commonBytes(rest, prefix);
      if (common < prefix.size() && common < rest.size() && prefix[common] < rest[common])
         return climbNext();
      if (common < prefix.size() || common == rest.size())
         return descendFirst(ref);
      depth += prefix.size();
      const std::uint8_t byte = key[depth++];
      const int at = childByte(pool, inner, byte);
      // Also where there is no child: the next one follows it.
      path_.push_back({ref, at < 0 ? byte : at});
      if (at < 0)
         return climbNext();
      ref = pool.childOf(inner, static_cast<std::uint8_t>(at));
   }
   const std::uint32_t at = leafLowerBound(*pool.leaf(ref), key);
   if (at == pool.leaf(ref)->count)
      return climbNext();
   leaf_ = ref;
   slot_ = at;
   return true;
}

bool Cursor::seekBefore(ByteView key) { return seek(key) ? previous() : last(); }

bool Cursor::next() {
   ASSERT(valid());
   if (slot_ + 1 < version_.pool().leaf(leaf_)->count) {
      ++slot_;
      return true;
   }
   return climbNext();
}

bool Cursor::previous() {
   ASSERT(valid());
   if (slot_ > 0) {
      --slot_;
      return true;
   }
   return climbPrevious();
}

} // namespace polis::store
