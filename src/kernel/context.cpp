#include "kernel/context.hpp"

#include "base/assert.hpp"
#include "base/fault.hpp"
#include "format/fracpack.hpp"
#include "format/hash.hpp"
#include "kernel/cpu_time.hpp"
#include "kernel/native_verify.hpp"
#include "kernel/service_instance.hpp"

#include <algorithm>
#include <array>

namespace polis::kernel {

using namespace format::literals;

namespace {

constexpr std::uint32_t callStackBytes = 4096;
/// What an action without arguments takes in a trace.
constexpr std::size_t tracePlaceBytes = 256;

template <class Row>
Row readRow(const ChainState& state, std::uint32_t database, ByteView key) {
   if (auto packed = state.get(storeKey(database, key)))
      if (auto row = format::unpack<Row>(*packed))
         return std::move(*row);
   return {};
}

/// Makes a frame the innermost of its instance for a scope.
class FrameScope {
public:
   FrameScope(ServiceInstance& instance, Frame& frame) : instance_(instance), frame_(frame) {
      frame.outer = instance.frame;
      instance.frame = &frame;
   }
   ~FrameScope() { instance_.frame = frame_.outer; }
   FrameScope(const FrameScope&) = delete;
   FrameScope& operator=(const FrameScope&) = delete;

private:
   ServiceInstance& instance_;
   Frame& frame_;
};

} // namespace

vm::Options vmOptions(const format::VMOptions& options) {
   return {options.max_mutable_global_bytes, options.max_pages, options.max_table_elements};
}

Context::Context(Machine& machine, ChainState& state, ContextOptions options)
   : consoleBytesLeft(machine.options.consoleBytes), machine_(machine), state_(state), options_(options),
     limits_(readLimits()), sockets_(machine.sockets), own_(machine.local, machine.sockets, options.view),
     checkout_(options.within ? options.within : &own_), levelsAtStart_(checkout_->levels()),
     startedNs_(machine.host.monotonicNs()), limited_(options.producing), traceBytesLeft_(machine.options.traceBytes),
     againInstructions_(instructionsIn(static_cast<std::uint64_t>(machine.options.transactionCpuNs))) {
   machine.counters.contexts.fetch_add(1, std::memory_order_relaxed);
   budget_.stackBytes = limits_.wasm.vmOptions.max_stack_bytes;
   if (!options_.record)
      options_.record = &ownRecord_;
   if (options_.producing) {
      if (options_.cpuNs)
         setCpuLimit(static_cast<std::uint64_t>(*options_.cpuNs));
      Lock lock(machine_.runningMutex);
      machine_.running.insert(&budget_);
      if (machine_.cancelled)
         budget_.interrupt();
   } else if (options_.mode == Mode::transaction) {
      Lock lock(machine_.runningMutex);
      machine_.validating.insert(&budget_);
      if (machine_.validatedIsUnwanted())
         budget_.interrupt();
   }
}

Limits Context::readLimits() const {
   NativeCache* cache = cacheOf(options_.mode);
   if (cache)
      if (const Limits* known = cache->limits())
         return *known;
   const auto table = options_.mode == Mode::verify ? format::NativeTable::proofWasmConfig
                                                    : format::NativeTable::transactionWasmConfig;
   const Limits out{readRow<format::ConfigRow>(state_, db::native, format::ConfigRow::key()),
                    readRow<format::WasmConfigRow>(state_, options_.codeDatabase, format::WasmConfigRow::key(table))};
   if (cache)
      cache->keep(out);
   return out;
}

Context::~Context() {
   if (options_.producing || options_.mode == Mode::transaction) {
      Lock lock(machine_.runningMutex);
      machine_.running.erase(&budget_);
      machine_.validating.erase(&budget_);
   }
   instances_.clear();
   while (checkout_->levels() > levelsAtStart_)
      checkout_->drop();
   if (options_.within)
      checkout_->forgetFlags(sockets_);
}

void Context::setCpuLimit(std::uint64_t ns) {
   if (options_.producing)
      budget_.instructionLimit = instructionsIn(ns);
}

std::uint64_t Context::cpuNs() const { return nsOf(budget_.instructions); }

void Context::fail(const vm::Trap& trap) {
   if (trap.kind == vm::TrapKind::instructionLimit || trap.kind == vm::TrapKind::interrupted)
      throw Abort("transaction timed out");
   throw Abort(trap.traceText());
}

ActionNode Context::run(PackedAction action, Entry entry) {
   ActionNode node;
   node.action = std::move(action);
   try {
      execute(node, entry, {.mode = options_.mode});
      if (options_.record->replaying && options_.record->next != options_.record->entries.size())
         throw Abort("transaction has unread subjective data");
   } catch (const Abort& abort) {
      node.error = abort.text();
   }
   if (node.error)
      sockets_.setError(*node.error);
   return node;
}

bool Context::takeTracePlace() { return takeTraceBytes(tracePlaceBytes); }

bool Context::takeTraceBytes(std::size_t bytes) {
   if (bytes > traceBytesLeft_)
      return false;
   traceBytesLeft_ -= bytes;
   return true;
}

void Context::settleArguments(ActionNode& node) {
   if (takeTraceBytes(node.action.packed.size()))
      return;
   keepResults();
   node.action = packAction(node.action.sender, node.action.service, node.action.method, {});
}

void Context::keepResults() {
   for (const auto& i : instances_)
      budget_.instructions += cost::copy(i->keepResults());
}

void Context::hold(std::size_t bytes) {
   if (limited_ && heldBytes_ + bytes > machine_.options.heldBytes)
      throw Abort("the running actions hold too many bytes");
   heldBytes_ += bytes;
}

void Context::countWritten(std::size_t bytes) {
   writtenBytes_ += bytes;
   if (limited_ && writtenBytes_ > machine_.options.writtenBytes)
      throw Abort("too many bytes are written");
}

std::int64_t Context::now() const {
   return options_.producing ? machine_.host.monotonicNs() : startedNs_ + static_cast<std::int64_t>(cpuNs());
}

void Context::execute(ActionNode& node, Entry entry, const Callee& callee) {
   machine_.counters.actions.fetch_add(1, std::memory_order_relaxed);
   const std::int64_t start = now();
   Frame frame{node, callee.mode, nullptr, checkout_->levels()};
   try {
      if (callee.mode == Mode::verify && entry == Entry::called && verifyNatively(node)) {
         settleArguments(node);
         node.totalTimeNs = now() - start;
         return;
      }
      ServiceInstance& runs = instance(node.action.service, callee, frame);
      FrameScope scope(runs, frame);
      const CodeGuard::Running note(machine_.guard, runs.code().hash, runs.service(), purpose(), start);
      enter(runs, node, entry);
   } catch (const Abort& abort) {
      node.error = abort.text();
   }
   settleArguments(node);
   letGo(node.retval.size());
   while (checkout_->levels() > frame.levels)
      checkout_->drop();
   node.totalTimeNs = now() - start;
   if (node.error)
      throw Abort(*node.error);
}

void Context::enter(ServiceInstance& instance, ActionNode& node, Entry entry) {
   std::expected<void, vm::Trap> result;
   switch (entry) {
   case Entry::called:
      imported = std::move(exported);
      exported.clear();
      result = instance.vm().call("called", {node.action.service.value, node.action.sender.value});
      imported = std::move(exported);
      exported.clear();
      break;
   case Entry::processTransaction:
      result = instance.vm().call("processTransaction");
      break;
   case Entry::serve:
      result = instance.vm().call("serve");
      break;
   case Entry::recv:
      result = instance.vm().call("recv");
      break;
   case Entry::close:
      result = instance.vm().call("close");
      break;
   }
   if (!result)
      fail(result.error());
}

void Context::runCallee(ActionNode& node, const Callee& callee) {
   const std::uint32_t stack = budget_.stackBytes;
   if (stack < callStackBytes)
      throw Abort("stack overflow");
   budget_.stackBytes = stack - callStackBytes;
   budget_.instructions += cost::call;
   try {
      execute(node, Entry::called, callee);
   } catch (...) {
      budget_.stackBytes = stack;
      throw;
   }
   budget_.stackBytes = stack;
}

Bytes Context::runSwitched(ActionNode& node, const Callee& callee) {
   SubjectiveRecord& record = *options_.record;
   const HandleSet exportedBefore = std::exchange(exported, {}), importedBefore = std::exchange(imported, {});
   const auto restore = [&] {
      exported = exportedBefore;
      imported = importedBefore;
   };
   if (!record.replaying) {
      runCallee(node, callee);
      hold(node.retval.size()); // as long as the transaction runs; then it is in the block
      record.entries.push_back(node.retval);
      restore();
      return node.retval;
   }
   if (record.next >= record.entries.size())
      throw Abort("missing subjective data");
   if (callee.mode == Mode::callback)
      runAgain(node, callee);
   restore();
   node.retval = record.entries[record.next++];
   return node.retval;
}

void Context::runAgain(ActionNode& node, const Callee& callee) {
   constexpr unsigned failuresMax = 8;
   if (againInstructions_ == 0 || againFailures_ == failuresMax)
      return;
   const auto mark = state_.mark();
   const std::uint64_t limit = budget_.instructionLimit, before = budget_.instructions;
   budget_.instructionLimit =
       againInstructions_ < vm::Budget::unlimited - before ? before + againInstructions_ : vm::Budget::unlimited;
   limited_ = true;
   try {
      runCallee(node, callee);
      state_.keep(mark);
   } catch (const Abort&) {
      state_.rollBack(mark);
      node.error.reset();
      node.inner.clear();
      dropSwitched(); // they were stopped in the middle
      ++againFailures_;
   }
   limited_ = options_.producing;
   budget_.instructionLimit = limit;
   againInstructions_ -= std::min(againInstructions_, budget_.instructions - before);
}

void Context::dropSwitched() {
   std::erase_if(instances_, [](const auto& i) { return i->switched() && !i->frame; });
}

ServiceInstance& Context::instance(format::AccountNumber service, const Callee& callee, Frame& frame) {
   const auto reach = [&callee](std::uint64_t flags) {
      if (callee.sudo && (flags & ServiceCode::isLocal) && !(flags & format::CodeRow::isReplacement))
         throw Abort("on-chain service cannot sudo when calling a node-local service");
   };
   for (const auto& i : instances_)
      if (i->service() == service && i->switched() == callee.switched) {
         reach(i->code().flags);
         return *i;
      }
   if (checkout_->levels() >= Checkout::levelsMax)
      throw Abort("too many levels of checkoutSubjective");
   ServiceCode found = code(service, callee.mode);
   reach(found.flags);
   if (instances_.size() >= limits_.wasm.numExecutionMemories) {
      // On replay, what only this node ran must not decide.
      if (options_.record->replaying && !callee.switched)
         dropSwitched();
      if (instances_.size() >= limits_.wasm.numExecutionMemories)
         throw Abort("exceeded maximum number of running services");
   }
   instances_.push_back(std::make_unique<ServiceInstance>(*this, service, std::move(found), callee.switched));
   ServiceInstance& made = *instances_.back();
   FrameScope scope(made, frame);
   const CodeGuard::Running note(machine_.guard, made.code().hash, service, purpose(), now());
   if (auto result = made.vm().runStartSection(); !result)
      fail(result.error());
   if (auto result = made.vm().call("start", {service.value}); !result)
      fail(result.error());
   return made;
}

Context::CodeLookup Context::findCode(format::AccountNumber service, Mode mode) {
   // Store key of CodeRow: database, table, 0, account. Looked up for every instance: no allocation.
   std::array<std::uint8_t, 12> key{0, 0, static_cast<std::uint8_t>(format::NativeTable::code), 0};
   for (std::size_t i = 0; i < 8; ++i)
      key[4 + i] = static_cast<std::uint8_t>(service.value >> (56 - 8 * i));
   if (isSubjective(mode)) {
      key[0] = static_cast<std::uint8_t>(db::nativeSubjective);
      if (const auto packed = checkout_->peek(key))
         if (auto row = format::unpack<format::CodeRow>(*packed); row && row->codeHash != format::Checksum256{})
            return {*row, true};
   }
   key[0] = static_cast<std::uint8_t>(options_.codeDatabase);
   const auto packed = state_.get(key);
   if (!packed)
      throw Abort("unknown service account: " + service.str());
   auto row = format::unpack<format::CodeRow>(*packed);
   if (!row)
      throw Abort("service code record is malformed");
   return {*row, false};
}

std::uint64_t Context::maskedFlags(const CodeLookup& found, Mode mode) {
   if (found.local)
      return (found.row.flags & (format::CodeRow::isPrivileged | format::CodeRow::isReplacement)) |
             ServiceCode::isLocal;
   if (mode != Mode::verify)
      return found.row.flags & (format::CodeRow::isPrivileged | format::CodeRow::isVerify);
   if (!(found.row.flags & format::CodeRow::isVerify))
      throw Abort("service account " + found.row.codeNum.str() + " cannot be used in verify mode");
   return format::CodeRow::isVerify;
}

ServiceCode Context::code(format::AccountNumber service, Mode mode) {
   NativeCache* cache = cacheOf(mode);
   if (cache)
      if (const ServiceCode* known = cache->code(service, codeOptions()))
         return *known;
   ServiceCode out = findService(service, mode);
   if (cache)
      cache->keep(service, out);
   return out;
}

ServiceCode Context::findService(format::AccountNumber service, Mode mode) {
   const CodeLookup found = findCode(service, mode);
   ServiceCode out;
   out.flags = maskedFlags(found, mode);
   out.hash = found.row.codeHash;
   if (out.hash == format::Checksum256{})
      throw Abort("service account has no code: " + service.str());
   if (found.row.vmType != 0)
      throw Abort("vmType is not 0");
   if (found.row.vmVersion != 0)
      throw Abort("vmVersion is not 0");
   if (machine_.guard.refused(out.hash)) {
      if (limited_)
         throw Abort("service " + service.str() +
                     " does not run on this node: the node has died of its code (see the file 'poison' in its folder)");
      if (machine_.guard.halts(out.hash))
         throw Fault(
             "a committed block runs the code of " + service.str() +
             ", of which this node has died before; it needs a version of Polis that does not. To try once more, "
             "remove the file 'poison' in its folder");
   }
   const vm::Options options = codeOptions();
   const Bytes key = storeKey(found.local ? db::nativeSubjective : options_.codeDatabase,
                              format::CodeByHashRow::key(out.hash, found.row.vmType, found.row.vmVersion));
   // What is no longer held does not run, even where it has been compiled.
   const auto onChain = found.local ? std::nullopt : state_.get(key);
   if (found.local ? !checkout_->has(key) : !onChain)
      throw Abort("service code record is missing");
   out.module = machine_.engine.find(out.hash, options);
   if (out.module)
      return out;

   const Bytes here = found.local ? checkout_->peek(key).value_or(Bytes()) : Bytes();
   const auto row = format::unpack<format::CodeByHashRow>(found.local ? ByteView(here) : *onChain);
   if (!row)
      throw Abort("service code record is malformed");
   const CodeGuard::Running note(machine_.guard, out.hash, service,
                                 limited_ ? CodeGuard::Purpose::compile : CodeGuard::Purpose::committed,
                                 machine_.host.monotonicNs());
   auto module = machine_.engine.compile(row->code, out.hash, options);
   if (!module)
      throw Abort("service " + service.str() + " cannot run: " + module.error().text());
   out.module = std::move(*module);
   return out;
}

vm::Options Context::codeOptions() const { return vmOptions(limits_.wasm.vmOptions); }

std::optional<Bytes> Context::storedCode(const format::Checksum256& hash) {
   const auto packed = state_.get(storeKey(db::native, format::CodeByHashRow::key(hash, 0, 0)));
   auto row = packed ? format::unpack<format::CodeByHashRow>(*packed)
                     : std::unexpected(format::FracError{format::FracRule::truncated, 0});
   return row ? std::optional(std::move(row->code)) : std::nullopt;
}

void Context::checkCodeReady(const format::CodeRow& row) {
   if (!options_.awaitCode || row.codeHash == format::Checksum256{} || row.vmType != 0 || row.vmVersion != 0)
      return;
   using Answer = CompileAhead::Answer;
   const Answer answer =
       machine_.ahead.request(row.codeHash, row.codeNum, codeOptions(), [&] { return storedCode(row.codeHash); });
   if (answer == Answer::ready)
      return;
   if (answer == Answer::full)
      throw Abort("too much other code is being compiled; try again soon");
   waitsForCode_ = row.codeHash;
   throw Abort("the code of " + row.codeNum.str() + " is being compiled; try again soon");
}

void Context::compileStored() {
   for (const auto& hash : storedCode_)
      (void)machine_.ahead.request(hash, format::AccountNumber(), codeOptions(), [&] { return storedCode(hash); });
}

bool Context::verifyNatively(ActionNode& node) {
   const auto& known = machine_.options.verifySigCode;
   if (!machine_.options.fastPaths || known.empty() || node.action.method != "verifySys"_m)
      return false;
   const CodeLookup found = findCode(node.action.service, Mode::verify);
   if (!(found.row.flags & format::CodeRow::isVerify) ||
       std::find(known.begin(), known.end(), found.row.codeHash) == known.end())
      return false;
   const Verdict verdict = verifySignature(node.action.rawData());
   if (verdict == Verdict::unknown)
      return false; // the service says what is wrong
   machine_.counters.verifiedNatively.fetch_add(1, std::memory_order_relaxed);
   if (verdict != Verdict::good)
      throw Abort("service '" + node.action.service.str() + "' aborted with message: " +
                  (verdict == Verdict::badKey ? "invalid public key" : "signature invalid"));
   return true;
}

} // namespace polis::kernel
