// One top-level execution: a transaction, a proof, a notification, a request.
#pragma once

#include "kernel/abort.hpp"
#include "kernel/action.hpp"
#include "kernel/chain_state.hpp"
#include "kernel/checkout.hpp"
#include "kernel/databases.hpp"
#include "kernel/handle.hpp"
#include "kernel/machine.hpp"
#include "kernel/native_cache.hpp"
#include "vm/engine.hpp"

#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <vector>

namespace polis::kernel {

class ServiceInstance;

/// The protocol's run modes, and the one for transactions that become part of a block.
enum class Mode : std::uint8_t { verify, speculative, rpc, callback, transaction };

/// Modes that may see node-local state.
constexpr bool isSubjective(Mode mode) { return mode == Mode::rpc || mode == Mode::callback; }

/// Which export a top-level action enters by.
enum class Entry { called, processTransaction, serve, recv, close };

/// Code key of table 3.
using CodeKey = std::tuple<format::Checksum256, std::uint8_t, std::uint8_t>;

/// What the writes of a block mean for its header (spec, kernel §7.2). Supersets: failed transactions count too.
struct VerifyChanges {
   std::set<format::AccountNumber> accounts;
   std::set<CodeKey> removedCode;
};

/// Recorded results of run-mode switched calls of one transaction (spec, kernel §4.6).
struct SubjectiveRecord {
   bool replaying = false;
   std::vector<Bytes> entries;
   std::size_t next = 0; ///< when replaying
};

struct ContextOptions {
   Mode mode = Mode::rpc;
   Checkout::View view = Checkout::View::shared;
   /// CPU limit in nanoseconds; none: unlimited.
   std::optional<std::int64_t> cpuNs = std::nullopt;
   /// False when replaying a block: limits are off, and the context is cancelled with the whole block only.
   bool producing = true;
   /// Receives what the block header must know; may be null.
   VerifyChanges* changes = nullptr;
   /// Results of switched calls; null: recorded and forgotten.
   SubjectiveRecord* record = nullptr;
   /// Where chain code is looked up: native, or prevAuthServices for the signature of a block in joint consensus.
   std::uint32_t codeDatabase = db::native;
   /// A change to code that is not compiled yet fails; see Context::waitsForCode.
   bool awaitCode = false;
   /// Of `state`, in transaction mode; may be null.
   NativeCache* cache = nullptr;
   /// A checkout of the caller to run in, with its levels open; null: one of its own.
   Checkout* within = nullptr;
};

/// How an action is called.
struct Callee {
   Mode mode;
   /// In the second namespace of instances, that of run-mode switched calls (spec, kernel §4.6).
   bool switched = false;
   /// By another name than its own, or by a switched call, of code that is not the node's: such a call reaches local
   /// code only where that replaces the chain's (spec, kernel §4.4).
   bool sudo = false;
};

/// One action frame.
struct Frame {
   ActionNode& node;
   Mode mode;
   /// The frame that was running in the same instance before.
   Frame* outer = nullptr;
   /// Checkout levels open when the action began.
   std::size_t levels = 0;
};

vm::Options vmOptions(const format::VMOptions& options);

/// Runs on one thread; used once. `state` is the revision that is read and, in transaction, speculative and
/// callback modes, written.
class Context {
public:
   Context(Machine& machine, ChainState& state, ContextOptions options);
   ~Context();
   Context(const Context&) = delete;
   Context& operator=(const Context&) = delete;

   /// Runs one action to its end. The node's `error` tells whether it failed; chain writes are then the caller's to
   /// undo. Throws Fault.
   ActionNode run(PackedAction action, Entry entry);

   /// Sockets that the context was given.
   SocketOwner& sockets() { return sockets_; }

   // ---- for ServiceInstance ----

   Machine& machine() { return machine_; }
   ChainState& state() { return state_; }
   Checkout& checkout() { return *checkout_; }
   vm::Budget& budget() { return budget_; }
   const ContextOptions& options() const { return options_; }
   std::uint32_t keyBytesMax() const { return limits_.config.maxKeySize; }
   std::uint32_t valueBytesMax() const { return limits_.config.maxValueSize; }
   VerifyChanges* changes() { return options_.changes; }

   /// Runs `node.action` as a callee: charges 4096 bytes of stack, enters by `called`, sets node.error on failure.
   void runCallee(ActionNode& node, const Callee& callee);

   /// A run-mode switched call (spec, kernel §4.6). Returns the value that the caller sees.
   Bytes runSwitched(ActionNode& node, const Callee& callee);

   /// Limits CPU time, counted from the context's start. Ignored when replaying.
   void setCpuLimit(std::uint64_t ns);
   /// CPU time billed so far, in nanoseconds.
   std::uint64_t cpuNs() const;

   /// Whether a service's new code may be named in its row: not while it is still to be compiled, where the options say
   /// so. Throws Abort, and `waitsForCode` is set.
   void checkCodeReady(const format::CodeRow& row);
   /// The code for which the context failed; it is being compiled.
   const std::optional<format::Checksum256>& waitsForCode() const { return waitsForCode_; }
   /// Code was stored: it is compiled if the context succeeds.
   void noteStoredCode(const format::CodeByHashRow& row) { storedCode_.push_back(row.codeHash); }
   /// Has stored code compiled, so that nothing waits for it once it runs.
   void compileStored();
   vm::Options codeOptions() const;

   /// Text that may still be written to consoles.
   std::uint32_t consoleBytesLeft = 0;

   /// Whether the trace has room for one more action; takes it.
   bool takeTracePlace();
   /// Leaves out of an action that has ended what the trace has no room for, but for its return value.
   void settleArguments(ActionNode& node);
   /// Whether the trace has room for a return value; takes it.
   bool takeTraceBytes(std::size_t bytes);
   /// Results that services may still fetch become their own copies, before what they show of the trace goes.
   void keepResults();

   /// Counts bytes that stay in memory as long as the actions that run now. Throws Abort when there are too many.
   void hold(std::size_t bytes);
   void letGo(std::size_t bytes) { heldBytes_ -= bytes; }
   /// Counts bytes written to databases. Throws Abort when there are too many.
   void countWritten(std::size_t bytes);
   /// A node-local transaction begins; it has conflicted: what was written since is gone, and is written again.
   void markWritten() { writtenMark_ = writtenBytes_; }
   void forgetWritten() { writtenBytes_ = writtenMark_; }

   /// Handles in transit (spec, kernel §4.5).
   HandleSet exported, imported;

private:
   void execute(ActionNode& node, Entry entry, const Callee& callee);
   void enter(ServiceInstance& instance, ActionNode& node, Entry entry);
   ServiceInstance& instance(format::AccountNumber service, const Callee& callee, Frame& frame);
   /// Runs a switched call whose result is known. What it does may differ from what it did where the block was made,
   /// and decides nothing: all of a transaction together are limited, and so is how many fail, for each that did has
   /// its instances made anew. The others are left out.
   void runAgain(ActionNode& node, const Callee& callee);
   void dropSwitched();
   bool verifyNatively(ActionNode& node);
   [[noreturn]] void fail(const vm::Trap& trap);

   /// Monotonic time. Where a finished block is executed, which looks at no clock, the start of the context and what
   /// has been billed since.
   std::int64_t now() const;

   struct CodeLookup {
      format::CodeRow row;
      bool local;
   };
   CodeLookup findCode(format::AccountNumber service, Mode mode);
   /// What runs for `service` in `mode`. Throws Abort.
   ServiceCode code(format::AccountNumber service, Mode mode);
   ServiceCode findService(format::AccountNumber service, Mode mode);
   /// The cache, where it knows what runs in `mode`.
   NativeCache* cacheOf(Mode mode) const { return mode == Mode::transaction ? options_.cache : nullptr; }
   Limits readLimits() const;
   std::optional<Bytes> storedCode(const format::Checksum256& hash);
   CodeGuard::Purpose purpose() const { return limited_ ? CodeGuard::Purpose::choice : CodeGuard::Purpose::committed; }
   static std::uint64_t maskedFlags(const CodeLookup& found, Mode mode);

   Machine& machine_;
   ChainState& state_;
   ContextOptions options_;
   const Limits limits_;
   vm::Budget budget_;
   std::vector<std::unique_ptr<ServiceInstance>> instances_;
   SubjectiveRecord ownRecord_;
   SocketOwner sockets_;
   Checkout own_;
   Checkout* checkout_;
   std::size_t levelsAtStart_;
   std::optional<format::Checksum256> waitsForCode_;
   std::vector<format::Checksum256> storedCode_;
   const std::int64_t startedNs_;
   /// Whether what one node may decide for itself is limited: not where a block is replayed.
   bool limited_;
   std::size_t traceBytesLeft_;
   /// What `runAgain` may still use, and how often it failed.
   std::uint64_t againInstructions_;
   unsigned againFailures_ = 0;
   std::uint64_t heldBytes_ = 0, writtenBytes_ = 0, writtenMark_ = 0;
};

} // namespace polis::kernel
