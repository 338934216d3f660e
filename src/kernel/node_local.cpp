#include "kernel/node_local.hpp"

#include "base/assert.hpp"
#include "kernel/databases.hpp"
#include "kernel/journal_record.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace polis::kernel {

namespace {
/// Commits remembered for validation. At thousands a second that is several seconds, more than a checkout lives.
constexpr std::size_t recentMax = 16384;
} // namespace

bool keyLess(ByteView a, ByteView b) {
   const std::size_t n = std::min(a.size(), b.size());
   const int order = n == 0 ? 0 : std::memcmp(a.data(), b.data(), n);
   return order != 0 ? order < 0 : a.size() < b.size();
}

Bytes afterPrefix(ByteView prefix) {
   Bytes out = toBytes(prefix);
   while (!out.empty() && out.back() == 0xFF)
      out.pop_back();
   if (!out.empty())
      ++out.back();
   return out;
}

void ReadSet::makeRoom() {
   if (ranges_.size() < rangesMax)
      return;
   seal();
   const ReadSet old = std::exchange(*this, ReadSet());
   if (old.ranges_.size() <= rangesMax / 2)
      for (const Range& r : old.ranges_)
         append(old.low(r), old.high(r));
   else // one over all of them
      append(old.low(old.ranges_.front()), old.high(old.ranges_.back()));
}

void ReadSet::append(ByteView low, ByteView high) {
   const auto at = static_cast<std::uint32_t>(bytes_.size());
   const auto lowBytes = static_cast<std::uint32_t>(low.size());
   polis::append(bytes_, low);
   polis::append(bytes_, high);
   ranges_.push_back({at, lowBytes, at + lowBytes, static_cast<std::uint32_t>(high.size())});
}

void ReadSet::addKey(ByteView key) {
   if (key.size() > keyBytesMax)
      return addRange(key, key);
   makeRoom();
   const auto at = static_cast<std::uint32_t>(bytes_.size());
   const auto size = static_cast<std::uint32_t>(key.size());
   polis::append(bytes_, key);
   bytes_.push_back(0);
   ranges_.push_back({at, size, at, size + 1});
}

void ReadSet::addRange(ByteView low, ByteView high) {
   makeRoom();
   const Bytes end = high.size() > keyBytesMax ? afterPrefix(high.first(keyBytesMax)) : Bytes();
   append(low.first(std::min(low.size(), keyBytesMax)), high.size() > keyBytesMax ? ByteView(end) : high);
}

void ReadSet::clear() {
   bytes_.clear();
   ranges_.clear();
}

void ReadSet::seal() {
   std::sort(ranges_.begin(), ranges_.end(),
             [this](const Range& a, const Range& b) { return keyLess(low(a), low(b)); });
   std::size_t kept = 0;
   for (std::size_t i = 0; i < ranges_.size(); ++i) {
      const Range& r = ranges_[i];
      if (kept > 0) {
         Range& previous = ranges_[kept - 1];
         if (high(previous).empty())
            break; // reaches to the end
         if (!keyLess(high(previous), low(r))) {
            if (high(r).empty() || keyLess(high(previous), high(r))) {
               previous.high = r.high;
               previous.highBytes = r.highBytes;
            }
            continue;
         }
      }
      ranges_[kept++] = r;
   }
   ranges_.resize(kept);
}

bool ReadSet::contains(ByteView key) const {
   auto after = std::upper_bound(ranges_.begin(), ranges_.end(), key,
                                 [this](ByteView k, const Range& r) { return keyLess(k, low(r)); });
   if (after == ranges_.begin())
      return false;
   const ByteView end = high(*std::prev(after));
   return end.empty() || keyLess(key, end);
}

NodeLocal::NodeLocal(store::Store& store, store::Version kept) : empty_(store.empty()) {
   Lock lock(mutex_);
   state_.kept = std::move(kept);
   state_.session = empty_;
}

void NodeLocal::setJournal(store::Journal* journal) {
   Lock lock(mutex_);
   journal_ = journal;
}

LocalState NodeLocal::state() const {
   Lock lock(mutex_);
   return state_;
}

void NodeLocal::record(const std::vector<LocalWrite>& writes) {
   Commit commit{++state_.sequence, {}};
   commit.keys.reserve(writes.size());
   for (const LocalWrite& w : writes)
      commit.keys.push_back(w.key);
   recent_.push_back(std::move(commit));
   if (recent_.size() > recentMax)
      recent_.pop_front();
}

void NodeLocal::apply(const std::vector<LocalWrite>& writes) {
   std::optional<store::Writer> kept, session;
   for (const LocalWrite& w : writes) {
      auto& writer = isKeptDb(w.key[0]) ? kept : session;
      if (!writer)
         writer.emplace(isKeptDb(w.key[0]) ? state_.kept : state_.session);
      if (w.value)
         writer->put(w.key, *w.value);
      else
         writer->remove(w.key);
   }
   if (kept)
      state_.kept = kept->snapshot();
   if (session)
      state_.session = session->snapshot();
}

std::optional<store::JournalPosition> NodeLocal::commit(const LocalState& base, const ReadSet& reads,
                                                        const std::vector<LocalWrite>& writes, const LocalState& next) {
   const std::optional<Bytes> entry = packLocalCommit(writes);
   Lock lock(mutex_);
   if (base.sequence != state_.sequence) {
      const bool forgotten = recent_.empty() || recent_.front().sequence > base.sequence + 1;
      bool clean = !forgotten;
      for (auto c = recent_.rbegin(); clean && c != recent_.rend() && c->sequence > base.sequence; ++c)
         for (const Bytes& key : c->keys)
            clean = clean && !reads.contains(key);
      if (!clean) {
         ++conflicts_;
         return std::nullopt;
      }
   }
   const store::JournalPosition end = journal_ && entry ? journal_->append(*entry) : 0;
   if (base.sequence != state_.sequence)
      apply(writes);
   else {
      state_.kept = next.kept;
      state_.session = next.session;
   }
   record(writes);
   return end;
}

void NodeLocal::write(const std::vector<LocalWrite>& writes) {
   const std::optional<Bytes> entry = packLocalCommit(writes);
   Lock lock(mutex_);
   if (journal_ && entry)
      journal_->append(*entry);
   apply(writes);
   record(writes);
}

void NodeLocal::replay(const std::vector<LocalWrite>& writes) {
   Lock lock(mutex_);
   apply(writes);
   ++state_.sequence;
   recent_.clear();
}

std::pair<store::Version, store::JournalPosition> NodeLocal::cut() const {
   Lock lock(mutex_);
   ASSERT(journal_ != nullptr);
   return {state_.kept, journal_->end()};
}

std::uint64_t NodeLocal::conflicts() const {
   Lock lock(mutex_);
   return conflicts_;
}

} // namespace polis::kernel
