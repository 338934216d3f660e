// The inside of Kernel.
#pragma once

#include "kernel/journal_record.hpp"
#include "kernel/kernel.hpp"
#include "kernel/machine.hpp"
#include "kernel/open_block.hpp"

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>

namespace polis::kernel {

/// Tells those who asked for it that all up to block `num` is irreversible (`notifyFinal`). `run` runs an action as a
/// callback on head; what fails is logged.
void tellFinal(Machine& machine, std::uint32_t num, const std::function<ActionNode(PackedAction)>& run);

class Kernel::Impl {
public:
   Impl(store::Store& store, store::Journal& journal, vm::Engine& engine, Host& host, KernelOptions options);

   BlockStatePtr head() const;
   BlockStatePtr irreversible() const;

   // ---- chain thread ----

   /// Completes `block` and, unless it came from there, journals it.
   SealedBlock accept(OpenBlock& block, Bytes signature, std::optional<Bytes> aux, BlockPurpose purpose, bool asHead);
   void dropOldBlocks(OpenBlock& block);
   std::expected<SealedBlock, Rejection> apply(const format::SignedBlock& block, BlockPurpose purpose, bool asHead);
   std::optional<std::expected<SealedBlock, Rejection>> execute(const format::SignedBlock& block);
   std::expected<void, Rejection> switchHead(const format::Checksum256& id, bool journalIt);
   BlockStatePtr find(const format::Checksum256& id) const;
   bool setIrreversible(const format::Checksum256& id, Bytes proof);
   void keepState(BlockStatePtr state);
   BlockStatePtr keptState() const;
   void adopt(const store::Version& chain, const std::vector<std::pair<Bytes, Bytes>>& local);

   // ---- any thread ----

   std::uint32_t logStart() const;
   std::optional<format::SignedBlock> block(const BlockState& of, std::uint32_t num) const;
   std::vector<std::shared_ptr<const format::SignedBlock>> reversibleBlocks() const;
   store::JournalPosition remember(ByteView memory);
   std::optional<Bytes> remembered() const;
   bool verifies(const format::Consensus& under, const format::Claim& claim, const format::Checksum256& digest,
                 const Bytes& proof);

   // ---- store thread ----

   store::JournalPosition flush();
   void tellFinal(std::uint32_t num);

   // ---- checkpoint thread ----

   bool checkpointIfDue();
   void checkpoint();

   // ---- query threads ----

   /// A context on head; chain writes of callback and speculative modes go to a throw-away copy.
   ActionNode runOnHead(Mode mode, PackedAction action, Entry entry);
   void runClose(std::int32_t fd);
   bool runNext();
   std::optional<std::int64_t> timerDueUs();
   std::expected<std::vector<format::HttpReply>, Rejection> askItself(Checkout& checkout,
                                                                      const std::vector<format::HttpRequest>& requests);
   std::expected<std::vector<format::HttpReply>, Rejection> askItself(const std::vector<format::HttpRequest>& requests);
   std::expected<void, Rejection> firstStart(const LocalTemplate& local,
                                             const std::vector<std::pair<std::string, std::string>>& environment,
                                             const format::HostConfigRow& config);

   store::Store& store;
   store::Journal& journal;
   Machine machine;
   std::unique_ptr<OpenBlock> open;
   /// A block that nobody will see, in which the nextTransaction callbacks are asked while none is open.
   std::unique_ptr<OpenBlock> asked;
   /// Transactions whose code is being compiled, in the order in which they came. Chain thread.
   std::deque<OpenBlock::Waiting> waitingForCode;
   Pull pushNext();
   bool mayWait(const OpenBlock::Waiting& waiting) const;
   /// Transactions in `open` beside its startBlock.
   std::size_t openOwn = 0;

private:
   void replayJournal();
   void publish(BlockStatePtr state, bool asHead);
   /// False: it is irreversible already.
   bool moveIrreversible(BlockStatePtr block);
   std::vector<BlockStatePtr> retainedBlocks() const;
   bool runTimer();
   bool runRow();
   std::optional<format::RunRow> nextRow(const LocalState& now, bool verification) REQUIRES(queueMutex_);

   mutable Mutex mutex_;
   BlockStatePtr head_ GUARDED_BY(mutex_);
   BlockStatePtr irreversible_ GUARDED_BY(mutex_);
   std::map<format::Checksum256, BlockStatePtr> retained_ GUARDED_BY(mutex_);
   BlockStatePtr kept_ GUARDED_BY(mutex_);
   /// Blocks that become irreversible by being durable, with the end of their journal record.
   std::deque<std::pair<store::JournalPosition, BlockStatePtr>> undurable_ GUARDED_BY(mutex_);
   /// End of the journal record of each retained block, for checkpoints.
   std::map<format::Checksum256, store::JournalPosition> recordEnd_ GUARDED_BY(mutex_);
   /// What consensus must never forget, and where its record ends.
   std::optional<Bytes> memory_ GUARDED_BY(mutex_);
   store::JournalPosition memoryEnd_ GUARDED_BY(mutex_) = 0;
   bool replaying_ = false;

   /// Held while one is made.
   Mutex checkpointMutex_;
   /// There is one at this position.
   std::atomic<store::JournalPosition> checkpointAt_ = 0;

   Mutex queueMutex_;
   std::set<std::uint64_t> runningRows_ GUARDED_BY(queueMutex_);
   /// Rows that their continuations left: how often, and when they may run again (monotonic ns; 0: now).
   struct Rest {
      unsigned times = 0;
      std::int64_t untilNs = 0;
   };
   std::map<std::uint64_t, Rest> restingRows_ GUARDED_BY(queueMutex_);
   /// Verification of proofs goes before all other work, which has a place of its own in the order.
   std::uint64_t lastVerification_ GUARDED_BY(queueMutex_) = 0;
   std::uint64_t lastRow_ GUARDED_BY(queueMutex_) = 0;
   /// Rows that run now and are not verification.
   std::uint32_t othersRunning_ GUARDED_BY(queueMutex_) = 0;
   bool timerRunning_ GUARDED_BY(queueMutex_) = false;
   /// When the timer may run again after an action that left it due.
   std::int64_t timerRestsUntilNs_ GUARDED_BY(queueMutex_) = 0;
};

} // namespace polis::kernel
