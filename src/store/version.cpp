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

void Cursor::fetchAhead() {
   // So many leaves are underway at once when they are small; from one leaf to the next twice as many as before, so
   // that short walks fetch little in vain.
   constexpr std::size_t most = 6;
   const Pool& pool = version_.pool();
   const auto fetch = [&](Ref ref, std::size_t lines) {
      for (std::size_t line = 0; line < lines; ++line)
         __builtin_prefetch(pool.at(ref) + line * 64);
   };
   const auto after = [&](const Frame& frame) -> Ref {
      const Inner& inner = *pool.inner(frame.inner);
      const int next = frame.at < 255 ? inner.byteFrom(frame.at + 1) : -1;
      return next < 0 ? 0 : pool.childOf(inner, static_cast<std::uint8_t>(next));
   };
   const Frame& frame = path_.back();
   const Inner& inner = *pool.inner(frame.inner);
   if (inner.wide) {
      if (const Ref next = after(frame))
         fetch(next, 4);
      return;
   }
   const Ref sibling = path_.size() > 1 ? after(path_[path_.size() - 2]) : 0;
   if (ahead_ == 0 && sibling)
      fetch(sibling, 4);
   const std::size_t from = std::max<std::size_t>(ahead_, 1);
   ahead_ = std::min(most, 2 * ahead_ + 1);
   const std::size_t here = inner.below(static_cast<std::uint8_t>(frame.at));
   for (std::size_t at = here + from; at <= here + ahead_; ++at) {
      if (at < inner.children) {
         fetch(inner.refs()[at], 2);
      } else if (sibling && pool.node(sibling)->kind == Kind::inner) {
         const Inner& other = *pool.inner(sibling);
         if (!other.wide && at - inner.children < other.children)
            fetch(other.refs()[at - inner.children], 2);
      }
   }
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
      // Also where there is no child: the next one follows it.
      path_.push_back({ref, byte});
      if (!inner.has(byte))
         return climbNext();
      ref = pool.childOf(inner, byte);
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
