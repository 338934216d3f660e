#include "kernel/checkout.hpp"

#include "base/assert.hpp"
#include "kernel/abort.hpp"
#include "kernel/databases.hpp"
#include "store/journal.hpp"

#include <algorithm>

namespace polis::kernel {

namespace {
bool startsWith(ByteView key, ByteView prefix) {
   return key.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), key.begin());
}
} // namespace

const LocalState& Checkout::base() {
   if (!base_)
      base_ = view_ == View::empty ? local_.emptyState() : local_.state();
   return *base_;
}

store::Writer& Checkout::writer(bool kept) {
   auto& writer = kept ? kept_ : session_;
   if (!writer)
      writer.emplace(kept ? base().kept : base().session);
   return *writer;
}

void Checkout::push() {
   ASSERT(levels_.size() < levelsMax);
   levels_.push_back({kept_ ? std::optional(kept_->mark()) : std::nullopt,
                      session_ ? std::optional(session_->mark()) : std::nullopt, log_.size(), flags_.size(),
                      temporary_});
}

void Checkout::rollBack(const Level& level) {
   if (level.kept)
      kept_->rollBack(*level.kept);
   else
      kept_.reset();
   if (level.session)
      session_->rollBack(*level.session);
   else
      session_.reset();
   log_.resize(level.log);
   flags_.resize(level.flags);
   temporary_ = level.temporary;
}

void Checkout::reset() {
   base_.reset();
   kept_.reset();
   session_.reset();
   reads_.clear();
   log_.clear();
   flags_.clear();
}

void Checkout::drop() {
   ASSERT(!levels_.empty());
   rollBack(levels_.back());
   levels_.pop_back();
   if (levels_.empty())
      end();
}

void Checkout::end() {
   reset();
   conflicts_ = 0;
   local_.turn().giveBack(this);
}

namespace {

/// At least what its record in the journal takes.
std::size_t journalBytes(const std::vector<LocalWrite>& writes) {
   constexpr std::size_t around = 32; // offsets and sizes
   std::size_t bytes = around;
   for (const LocalWrite& w : writes)
      if (isKeptDb(w.key[0]))
         bytes += around + w.key.size() + (w.value ? w.value->size() : 0);
   return bytes;
}

} // namespace

bool Checkout::commit() {
   ASSERT(!levels_.empty());
   if (levels_.size() > 1) {
      const Level& level = levels_.back();
      if (level.kept)
         kept_->keep(*level.kept);
      if (level.session)
         session_->keep(*level.session);
      levels_.pop_back();
      return true;
   }
   bool done = true;
   if (view_ == View::shared) {
      if (!flags_.empty() && log_.empty())
         done = sockets_.setFlags(flags_);
      else if (!log_.empty()) {
         if (journalBytes(log_) > store::recordBytesMax)
            throw Abort("too many bytes are written");
         for (const LocalWrite& w : log_)
            reads_.addKey(w.key);
         reads_.seal();
         local_.turn().await(this);
         // A socket that began closing fails the commit before anything is written; one that begins closing between
         // the two steps closes anyway, whatever its flags.
         for (const SocketFlagChange& f : flags_)
            done = done && sockets_.checkFlags(f.fd) == socketError::none;
         if (done) {
            LocalState next{kept_ ? kept_->snapshot() : base().kept, session_ ? session_->snapshot() : base().session,
                            0};
            const auto end = local_.commit(base(), reads_, log_, next);
            done = end.has_value();
            committedUpTo_ = std::max(committedUpTo_, end.value_or(0));
         }
         if (done && !flags_.empty())
            (void)sockets_.setFlags(flags_);
      }
   }
   if (!done) {
      temporary_ = levels_.back().temporary;
      levels_.clear();
      reset();
      if (++conflicts_ >= CommitTurn::after)
         local_.turn().take(this);
      push();
      return false;
   }
   levels_.clear();
   committed_ = std::move(log_);
   end();
   return true;
}

std::optional<ByteView> Checkout::get(ByteView key) {
   ASSERT(!levels_.empty());
   const bool kept = isKeptDb(key[0]);
   reads_.addKey(key);
   if (written(kept))
      return writer(kept).get(key);
   return (kept ? base().kept : base().session).get(key);
}

std::optional<store::Entry> Checkout::lowerBound(ByteView key, std::size_t match) {
   ASSERT(!levels_.empty());
   const bool kept = isKeptDb(key[0]);
   const ByteView prefix = key.first(match);
   std::optional<store::Entry> found;
   if (written(kept))
      found = writer(kept).lowerBound(key);
   else
      found = (kept ? base().kept : base().session).lowerBound(key);
   if (found && !startsWith(found->key, prefix))
      found.reset();
   if (found) {
      Bytes end = toBytes(found->key);
      end.push_back(0);
      reads_.addRange(key, end);
   } else {
      reads_.addRange(key, afterPrefix(prefix));
   }
   return found;
}

std::optional<store::Entry> Checkout::lessThan(ByteView key, std::size_t match) {
   ASSERT(!levels_.empty());
   const bool kept = isKeptDb(key[0]);
   const ByteView prefix = key.first(match);
   std::optional<store::Entry> found;
   if (written(kept))
      found = writer(kept).lessThan(key);
   else
      found = (kept ? base().kept : base().session).lessThan(key);
   if (found && !startsWith(found->key, prefix))
      found.reset();
   reads_.addRange(found ? found->key : prefix, key);
   return found;
}

std::optional<store::Entry> Checkout::last(ByteView prefix) {
   ASSERT(!levels_.empty());
   const bool kept = isKeptDb(prefix[0]);
   std::optional<store::Entry> found;
   if (written(kept))
      found = writer(kept).last(prefix);
   else
      found = (kept ? base().kept : base().session).last(prefix);
   reads_.addRange(found ? found->key : prefix, afterPrefix(prefix));
   return found;
}

void Checkout::put(ByteView key, ByteView value) {
   ASSERT(!levels_.empty());
   writer(isKeptDb(key[0])).put(key, value);
   log_.push_back({toBytes(key), toBytes(value)});
}

void Checkout::remove(ByteView key) {
   ASSERT(!levels_.empty());
   writer(isKeptDb(key[0])).remove(key);
   log_.push_back({toBytes(key), std::nullopt});
}

template <class F>
auto Checkout::look(ByteView key, F use) {
   const bool kept = isKeptDb(key[0]);
   if (!levels_.empty() && written(kept))
      return use(writer(kept).get(key));
   const LocalState state = !levels_.empty() || view_ == View::empty ? base() : local_.state();
   return use((kept ? state.kept : state.session).get(key));
}

std::optional<Bytes> Checkout::peek(ByteView key) {
   return look(key,
               [](std::optional<ByteView> found) { return found ? std::optional(toBytes(*found)) : std::nullopt; });
}

bool Checkout::has(ByteView key) {
   return look(key, [](std::optional<ByteView> found) { return found.has_value(); });
}

Checkout::Temporary& Checkout::temporaryToWrite() {
   if (temporary_.use_count() > 1)
      temporary_ = std::make_shared<Temporary>(*temporary_);
   return *temporary_;
}

} // namespace polis::kernel
