// A context's view of the node-local databases, and its levels.
#pragma once

#include "kernel/node_local.hpp"
#include "kernel/socket_table.hpp"

#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace polis::kernel {

/// Nested snapshots of databases 64-68 (spec, kernel §1.5). One thread.
/// Reads are recorded, so that the outermost commit can tell whether anything they rest on has changed.
class Checkout {
public:
   static constexpr std::size_t levelsMax = 8;

   /// shared: the node's databases. dropped: the same, but outermost commits change nothing (journal replay).
   /// empty: no row at first, and nothing is kept (speculative runs).
   enum class View { shared, dropped, empty };
   Checkout(NodeLocal& local, SocketTable& sockets, View view) : local_(local), sockets_(sockets), view_(view) {}
   ~Checkout() { local_.turn().giveBack(this); }
   Checkout(const Checkout&) = delete;
   Checkout& operator=(const Checkout&) = delete;

   std::size_t levels() const { return levels_.size(); }

   /// Opens a level. At most levelsMax; the caller checks.
   void push();
   /// Drops the innermost level and its writes.
   void drop();
   /// Merges the innermost level into its parent; the outermost into the shared state.
   /// False: conflict; all changes are dropped and a fresh level is open. Who has conflicted often has a turn then, see
   /// CommitTurn.
   [[nodiscard]] bool commit();
   /// Keys written by the last successful outermost commit.
   const std::vector<LocalWrite>& committed() const { return committed_; }
   /// Everything that was committed is durable once the journal is, up to here.
   store::JournalPosition committedUpTo() const { return committedUpTo_; }

   /// Databases 64-67, store keys. Need a level. Views live until the next call of anything here.
   std::optional<ByteView> get(ByteView key);
   /// First entry at or after `key` whose key starts with the first `match` bytes of `key`.
   std::optional<store::Entry> lowerBound(ByteView key, std::size_t match);
   /// Last entry before `key` under the same condition.
   std::optional<store::Entry> lessThan(ByteView key, std::size_t match);
   /// Greatest entry that starts with `prefix`.
   std::optional<store::Entry> last(ByteView prefix);
   void put(ByteView key, ByteView value);
   void remove(ByteView key);

   /// For the kernel's own look-ups: the open level if there is one, else the shared state; not recorded.
   std::optional<Bytes> peek(ByteView key);
   bool has(ByteView key);

   /// Database 68: lives as long as the context, follows levels.
   using Temporary = std::map<Bytes, Bytes>;
   const Temporary& temporary() const { return *temporary_; }
   Temporary& temporaryToWrite();

   /// Flag changes wait for the outermost commit.
   void deferFlags(const SocketFlagChange& change) { flags_.push_back(change); }
   /// The owner, whose context ran in the present level, goes away, and with it the locks that they are about.
   void forgetFlags(const SocketOwner& owner) {
      std::erase_if(flags_, [&](const SocketFlagChange& change) { return change.owner == &owner; });
   }

private:
   struct Level {
      std::optional<store::Writer::Mark> kept, session; ///< none: as `base_`, unwritten
      std::size_t log, flags;
      std::shared_ptr<Temporary> temporary;
   };
   /// The shared state that this checkout rests on, taken at first use.
   const LocalState& base();
   /// What `use` makes of the value that `peek` finds.
   template <class F>
   auto look(ByteView key, F use);
   bool written(bool kept) const { return kept ? kept_.has_value() : session_.has_value(); }
   store::Writer& writer(bool kept);
   void rollBack(const Level& level);
   void reset();
   /// No level is open any more.
   void end();

   NodeLocal& local_;
   SocketTable& sockets_;
   View view_;
   /// Since the outermost level was opened.
   unsigned conflicts_ = 0;
   std::optional<LocalState> base_;
   std::optional<store::Writer> kept_, session_;
   std::vector<Level> levels_;
   ReadSet reads_;
   std::vector<LocalWrite> log_;
   std::vector<LocalWrite> committed_;
   store::JournalPosition committedUpTo_ = 0;
   std::vector<SocketFlagChange> flags_;
   std::shared_ptr<Temporary> temporary_ = std::make_shared<Temporary>();
};

} // namespace polis::kernel
