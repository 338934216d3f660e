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
   enum class Kind : std::uint8_t { insert, value, root };
   Kind kind;
   std::uint16_t keyBytes;
   std::uint32_t valueBytes;
   /// Where the key, then the value, lie in undoBytes.
   std::size_t at;
};

} // namespace

struct Writer::State final : Edit::Witness {
   explicit State(Generations& generations) : edit(generations) {}
   ~State() { edit.generations().abandon(edit.mine, root, std::move(edit.dead)); }

   const Pool& pool() const { return edit.pool(); }

   /// Whether the change about to be made must be noted.
   bool noting() const {
      return !marks.empty() && !(undo.size() > marks.back() && undo.back().kind == Undo::Kind::root);
   }

   /// Notes the present value of `noted` before it changes.
   void before(std::optional<ByteView> value) override {
      Undo item{Undo::Kind::insert, static_cast<std::uint16_t>(noted.size()), 0, undoBytes.size()};
      append(undoBytes, noted);
      if (value) {
         item.kind = Undo::Kind::value;
         item.valueBytes = static_cast<std::uint32_t>(value->size());
         append(undoBytes, *value);
      }
      undo.push_back(item);
   }

   void dropUndo(std::size_t count) {
      while (undo.size() > count) {
         if (undo.back().kind == Undo::Kind::root)
            undoRoots.pop_back();
         undoBytes.resize(undo.back().at);
         undo.pop_back();
      }
   }

   Edit edit;
   Ref root = 0;
   /// The key that is about to change.
   ByteView noted;
   std::vector<Undo> undo;
   Bytes undoBytes;
   /// One for each item of kind root.
   std::vector<Version> undoRoots;
   std::vector<std::size_t> marks;
};

Writer::Writer(Version base) {
   ASSERT(base.generations_ != nullptr);
   state_ = std::make_unique<State>(*base.generations_);
   startFrom(base);
}

void Writer::startFrom(const Version& version) {
   State& s = *state_;
   Generations& generations = s.edit.generations();
   // The new one is there before what it stands on may go.
   Generation* const before = std::exchange(s.edit.mine, generations.open(version.generation_));
   const Ref rootBefore = std::exchange(s.root, version.root_);
   if (before)
      generations.abandon(before, rootBefore, std::exchange(s.edit.dead, {}));
}

void Writer::noteRoot() {
   State& s = *state_;
   s.undoRoots.push_back(snapshot());
   s.undo.push_back({Undo::Kind::root, 0, 0, s.undoBytes.size()});
}

bool Writer::noteKey(ByteView key) {
   State& s = *state_;
   s.noted = key;
   if (s.noting() && s.undoBytes.size() > undoBytesMax)
      noteRoot();
   return s.noting();
}

Writer::~Writer() = default;

std::optional<ByteView> Writer::get(ByteView key) const { return treeGet(state_->pool(), state_->root, key); }
void Writer::get(std::span<const ByteView> keys, std::span<std::optional<ByteView>> values) const {
   treeGet(state_->pool(), state_->root, keys, values);
}
std::optional<Entry> Writer::lowerBound(ByteView key) const {
   return treeLowerBound(state_->pool(), state_->root, key);
}
std::optional<Entry> Writer::upperBound(ByteView key) const {
   return treeUpperBound(state_->pool(), state_->root, key);
}
std::optional<Entry> Writer::lessThan(ByteView key) const { return treeLessThan(state_->pool(), state_->root, key); }
std::optional<Entry> Writer::last(ByteView prefix) const { return treeLast(state_->pool(), state_->root, prefix); }
std::uint64_t Writer::size() const { return treeSize(state_->pool(), state_->root); }
std::uint64_t Writer::rangeCount(ByteView low, std::optional<ByteView> high) const {
   return treeRangeCount(state_->pool(), state_->root, low, high);
}

void Writer::put(ByteView key, ByteView value) {
   ASSERT(key.size() <= keyBytesMax);
   ASSERT(value.size() <= valueBytesMax);
   const bool noting = noteKey(key);
   state_->edit.put(state_->root, key, value, noting ? state_.get() : nullptr);
}

bool Writer::remove(ByteView key) {
   const auto value = get(key);
   if (!value)
      return false;
   if (noteKey(key))
      state_->before(value);
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
         noteRoot();
      } else {
         std::vector<Bytes> keys;
         auto entry = lowerBound(low);
         for (std::uint64_t i = 0; i < count; ++i) {
            ASSERT(entry.has_value());
            keys.push_back(toBytes(entry->key));
            entry = upperBound(entry->key);
         }
         for (const Bytes& key : keys)
            if (noteKey(key))
               s.before(get(key));
      }
   }
   s.edit.removeRange(s.root, low, high);
   return count;
}

Version Writer::snapshot() {
   State& s = *state_;
   Generations& generations = s.edit.generations();
   return Version(generations, s.root ? generations.close(s.edit.mine, s.root, s.edit.dead) : nullptr);
}

void Writer::reset(Version version) {
   State& s = *state_;
   ASSERT(version.generations_ == &s.edit.generations());
   s.marks.clear();
   s.dropUndo(0);
   startFrom(version);
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
         if (treeGet(s.pool(), s.root, key))
            s.edit.removeExisting(s.root, key);
         break;
      case Undo::Kind::value:
         s.edit.put(s.root, key, ByteView(key.data() + key.size(), item.valueBytes), nullptr);
         break;
      case Undo::Kind::root:
         startFrom(s.undoRoots.back());
         break;
      }
      s.dropUndo(s.undo.size() - 1);
   }
   s.marks.pop_back();
}

std::size_t Writer::marks() const { return state_->marks.size(); }

} // namespace polis::store
