// A block while it is being built or checked.
#pragma once

#include "kernel/block_proofs.hpp"
#include "kernel/context.hpp"
#include "kernel/kernel.hpp"
#include "kernel/verify_services.hpp"

#include <expected>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace polis::kernel {

/// Where a block comes from, which decides what is checked and what is told.
enum class BlockPurpose {
   produce,
   validate,
   replay ///< from our own journal: proofs were checked, and node-local commits are in the journal by themselves
};

/// Chain thread only.
class OpenBlock {
public:
   /// Errors: the time is not after head's.
   [[nodiscard]] static std::expected<std::unique_ptr<OpenBlock>, Rejection>
   start(Machine& machine, BlockStatePtr parent, const BlockStart& start, BlockPurpose purpose);

   const BlockStatePtr& parent() const { return parent_; }
   const format::BlockHeader& header() const { return header_; }
   ChainState& state() { return state_; }
   /// For the tester, which replays single transactions in a block that it produces.
   void setPurpose(BlockPurpose purpose) { purpose_ = purpose; }
   bool beforeGenesis() const { return !parent_->header && ids_.empty(); }

   /// Runs one transaction. While producing: without subjectiveData, undone when it fails, callbacks told.
   /// Otherwise: with it; when it fails the block is lost, and its state half-changed.
   /// awaitCode: see below.
   Outcome push(format::SignedTransaction transaction, bool proofsChecked, bool awaitCode = false);
   /// The last transaction, if it was undone because code that it brings is still to be compiled; no callback was told.
   /// `code` is ready when it may be pushed again.
   struct Waiting {
      format::SignedTransaction transaction;
      format::Checksum256 id, code;
   };
   std::optional<Waiting> takeWaiting() { return std::exchange(waiting_, std::nullopt); }
   /// Tells the callbacks what became of a transaction.
   void tell(const format::Checksum256& id, const Outcome& outcome);
   bool codeReady(const format::Checksum256& code) const;
   /// Begins to verify the proofs of a finished block's transactions; until `failedProofs`.
   void verifyProofs(const std::vector<format::SignedTransaction>& transactions);
   /// Waits for their verdicts. The error of one that is wrong. Throws Fault.
   std::optional<std::string> failedProofs();
   /// The transaction by which every block after genesis begins.
   Outcome pushStartBlock();

   std::size_t transactionCount() const { return ids_.size(); }
   std::size_t bytes() const { return bytes_; }

   /// Asks the nextTransaction callbacks.
   std::optional<format::SignedTransaction> next();

   /// Completes the header (spec, kernel §6.4). Errors: no genesis; forbidden consensus update.
   [[nodiscard]] std::expected<format::Checksum256, Rejection> finish();

   /// Drops blocks below `num` from the log, the oldest first, a bounded number of them. Of those that show who
   /// produces the headers stay. Returns the ids of those that are gone. Before complete.
   std::vector<format::Checksum256> dropBlocks(std::uint32_t num);
   /// Writes block log and proof, tells the acceptBlock callbacks, and gives the state. After finish.
   std::pair<std::shared_ptr<const format::SignedBlock>, BlockStatePtr> complete(Bytes signature,
                                                                                 std::optional<Bytes> aux);

   /// The verdict on a block signature, by the verify services in force after `parent`.
   static bool signatureValid(Machine& machine, const BlockStatePtr& parent, const format::Claim& claim,
                              const format::Checksum256& blockId, const Bytes& signature);

private:
   OpenBlock(Machine& machine, BlockStatePtr parent, BlockPurpose purpose);

   std::optional<std::string> runGenesis(const format::Transaction& transaction);
   std::optional<std::string> checkProofs(const format::SignedTransaction& transaction,
                                          const format::Transaction& unpacked, const format::Checksum256& id);
   /// The proofs that no token answers for.
   std::vector<PackedAction> unverified(const format::SignedTransaction& transaction,
                                        const format::Transaction& unpacked, const format::Checksum256& id);
   std::vector<std::optional<Bytes>> tokens(const format::SignedTransaction& transaction);
   std::vector<format::Action> registered(format::NotifyType type, bool local);
   /// Whether a callback about a transaction has anything to do; see "Interest" in kernel.hpp.
   bool concerns(const format::Action& callback, const format::Checksum256& id) const;
   ActionNode runCallback(const format::Action& action, ByteView rawData);
   Checkout::View view() const {
      return purpose_ == BlockPurpose::replay ? Checkout::View::dropped : Checkout::View::shared;
   }
   void writeStatus();
   /// False: services verify blocks that no consensus names.
   [[nodiscard]] bool writeAuthServices();

   Machine& machine_;
   BlockStatePtr parent_;
   BlockPurpose purpose_;
   ChainState state_;
   NativeCache cache_{state_};
   format::BlockHeader header_;
   format::StatusRow status_;
   VerifyChanges changes_;
   std::vector<format::SignedTransaction> transactions_;
   std::vector<format::Checksum256> ids_;
   std::vector<format::Checksum256> leaves_;
   std::size_t bytes_ = 0;
   format::Checksum256 id_{};
   std::optional<Waiting> waiting_;
   std::unique_ptr<BlockProofs> blockProofs_;
};

/// The node-private name of a verified proof (spec, kernel §6.1, Tokens).
Bytes proofToken(const format::Action& action, bool success, format::RunMode mode, const format::StatusRow& status);

} // namespace polis::kernel
