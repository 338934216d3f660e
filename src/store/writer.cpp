#include "store/writer.hpp"

#include "base/fault.hpp"
#include "store/edit.hpp"

namespace polis::store {

using namespace detail;

namespace {

/// Beyond this much undo data the whole state is kept instead of single old values.
constexpr std::size_t undoBytesMax = std::size_t{16} << 20;
/// Removing a range of more entries than this keeps the whole state instead of each entry.
constexpr std::uint64_t undoRangeMax = 32;

struct Undo {
   enum class Kind : std::uint8_t { insert, value, blob, root };
   Kind kind;
   std::uint16_t keyBytes;
   /// Length of the value; the Ref of the blob or root, one reference to which is held.
   std::uint32_t word;
   /// Where the key, then the value, lie in undoBytes.
   std::size_t at;
};

} // namespace

struct Writer::State {
   explicit State(Pool& pool) : edit(pool, pool.takeCache()) {}
   ~State() {
      dropUndo(0);
      if (root)
         edit.pool().release(root, &edit.cache());
      edit.pool().giveCache(edit.takeCache());
   }

   /// Whether the change about to be made must be noted.
   bool noting() const {
      return !marks.empty() && !(undo.size() > marks.back() && undo.back().kind == Undo::Kind::root);
   }

   void noteRoot() {
      if (root)
         edit.pool().retain(root);
      undo.push_back({Undo::Kind::root, 0, root, undoBytes.size()});
   }

   /// Notes the present value of `key` before it changes.
   void note(ByteView key, const OldValue& old) {
      if (undoBytes.size() > undoBytesMax)
         return noteRoot();
      Undo item{Undo::Kind::insert, static_cast<std::uint16_t>(key.size()), 0, undoBytes.size()};
      append(undoBytes, key);
      if (old.blob) {
         item.kind = Undo::Kind::blob;
         item.word = old.blob;
         edit.pool().retain(old.blob);
      } else if (old.value) {
         item.kind = Undo::Kind::value;
         item.word = static_cast<std::uint32_t>(old.value->size());
         append(undoBytes, *old.value);
      }
      undo.push_back(item);
   }

   void noteKey(ByteView key) {
      if (noting())
         note(key, edit.find(root, key));
   }

   void dropUndo(std::size_t count) {
      while (undo.size() > count) {
         const Undo& item = undo.back();
         if ((item.kind == Undo::Kind::blob || item.kind == Undo::Kind::root) && item.word)
            edit.pool().release(item.word, &edit.cache());
         undoBytes.resize(item.at);
         undo.pop_back();
      }
   }

   Edit edit;
   Ref root = 0;
   std::vector<Undo> undo;
   Bytes undoBytes;
   std::vector<std::size_t> marks;
};

Writer::Writer(Version base) {
   ASSERT(base.pool_ != nullptr);
   state_ = std::make_unique<State>(*base.pool_);
   state_->root = std::exchange(base.root_, 0);
}

Writer::~Writer() = default;

std::optional<ByteView> Writer::get(ByteView key) const { return treeGet(state_->edit.pool(), state_->root, key); }
std::optional<Entry> Writer::lowerBound(ByteView key) const {
   return treeLowerBound(state_->edit.pool(), state_->root, key);
}
std::optional<Entry> Writer::upperBound(ByteView key) const {
   return treeUpperBound(state_->edit.pool(), state_->root, key);
}
std::optional<Entry> Writer::lessThan(ByteView key) const {
   return treeLessThan(state_->edit.pool(), state_->root, key);
}
std::optional<Entry> Writer::last(ByteView prefix) const { return treeLast(state_->edit.pool(), state_->root, prefix); }
std::uint64_t Writer::size() const { return treeSize(state_->edit.pool(), state_->root); }
std::uint64_t Writer::rangeCount(ByteView low, std::optional<ByteView> high) const {
   return treeRangeCount(state_->edit.pool(), state_->root, low, high);
}

void Writer::put(ByteView key, ByteView value) {
   ASSERT(key.size() <= keyBytesMax);
   ASSERT(value.size() <= valueBytesMax);
   state_->noteKey(key);
   state_->edit.put(state_->root, key, value);
}

bool Writer::remove(ByteView key) {
   if (!treeGet(state_->edit.pool(), state_->root, key))
      return false;
   state_->noteKey(key);
   state_->edit.removeExisting(state_->root, key);
   return true;
}

std::uint64_t Writer::removeRange(ByteView low, std::optional<ByteView> high) {
   State& s = *state_;
   const std::uint64_t count = rangeCount(low, high);
   if (count == 0)
      return 0;
   if (s.noting()) {
      if (count > undoRangeMax) {
         s.noteRoot();
      } else {
         std::vector<Bytes> keys;
         auto entry = lowerBound(low);
         for (std::uint64_t i = 0; i < count; ++i) {
            ASSERT(entry.has_value());
            keys.push_back(toBytes(entry->key));
            entry = upperBound(entry->key);
         }
         for (const Bytes& key : keys)
            s.noteKey(key);
      }
   }
   s.edit.removeRange(s.root, low, high);
   return count;
}

Version Writer::snapshot() {
   Pool& pool = state_->edit.pool();
   if (state_->root)
      pool.retain(state_->root);
   return Version(&pool, state_->root);
}

void Writer::reset(Version version) {
   State& s = *state_;
   ASSERT(version.pool_ == &s.edit.pool());
   s.marks.clear();
   s.dropUndo(0);
   if (s.root)
      s.edit.pool().release(s.root, &s.edit.cache());
   s.root = std::exchange(version.root_, 0);
}

Writer::Mark Writer::mark() {
   state_->marks.push_back(state_->undo.size());
   return {state_->undo.size()};
}

void Writer::keep(Mark mark) {
   State& s = *state_;
   ASSERT(!s.marks.empty());
   ASSERT(s.marks.back() == mark.undoCount);
   s.marks.pop_back();
   if (s.marks.empty())
      s.dropUndo(0);
}

void Writer::rollBack(Mark mark) {
   State& s = *state_;
   ASSERT(!s.marks.empty());
   ASSERT(s.marks.back() == mark.undoCount);
   while (s.undo.size() > mark.undoCount) {
      const Undo& item = s.undo.back();
      const ByteView key{s.undoBytes.data() + item.at, item.keyBytes};
      switch (item.kind) {
      case Undo::Kind::insert:
         // Absent when the change itself had failed.
         if (treeGet(s.edit.pool(), s.root, key))
            s.edit.removeExisting(s.root, key);
         break;
      case Undo::Kind::value:
         s.edit.put(s.root, key, ByteView(key.data() + key.size(), item.word));
         break;
      case Undo::Kind::blob:
         s.edit.putBlob(s.root, key, item.word);
         break;
      case Undo::Kind::root: {
         const Ref now = std::exchange(s.root, item.word);
         if (item.word)
            s.edit.pool().retain(item.word);
         if (now)
            s.edit.pool().release(now, &s.edit.cache());
         break;
      }
      }
      s.dropUndo(s.undo.size() - 1);
   }
   s.marks.pop_back();
}

std::size_t Writer::marks() const { return state_->marks.size(); }

} // namespace polis::store
