#include "kernel/kernel.hpp"

#include "base/assert.hpp"
#include "base/fault.hpp"
#include "format/fracpack.hpp"
#include "format/ids.hpp"
#include "format/in_force.hpp"
#include "kernel/databases.hpp"
#include "kernel/impl.hpp"
#include "vm/execution_thread.hpp"

#include <algorithm>
#include <charconv>
#include <tuple>

namespace polis::kernel {

using namespace format::literals;

namespace {

constexpr auto xHttp = "x-http"_a;
constexpr const char* chainName = "chain";
constexpr const char* localName = "local";
constexpr const char* keptName = "kept";

KernelOptions sane(KernelOptions options) {
   options.retainedBlocks = std::max<std::uint32_t>(options.retainedBlocks, 2);
   options.checkpointBytesMax = std::max(options.checkpointBytesMax, options.checkpointBytesMin);
   return options;
}

BlockStatePtr stateOf(store::Version version) {
   auto out = std::make_shared<BlockState>();
   out->version = std::move(version);
   if (const auto packed = out->version.get(storeKey(db::native, format::StatusRow::key()))) {
      auto row = format::unpack<format::StatusRow>(*packed);
      if (!row)
         throw Fault("the stored chain state has a status row that cannot be read");
      out->status = std::move(*row);
   }
   if (out->status.head) {
      out->header = out->status.head->header;
      out->id = out->status.head->blockId;
      out->num = out->header->blockNum;
   }
   return out;
}

store::Version keptVersion(store::Store& store) {
   if (const auto last = store.lastCheckpoint())
      if (const auto at = last->versions.find(localName); at != last->versions.end())
         return at->second;
   return store.empty();
}

/// Whether a block is irreversible by being durable: of a single producer it is. Among several, commitNum is what its
/// author claims, and consensus decides.
bool committedBySelf(const BlockState& block) {
   return block.header && format::isSingleProducer(block.status.consensus) && block.header->commitNum >= block.num;
}

} // namespace

// ---- opening -------------------------------------------------------------------------------------------------------

Kernel::Impl::Impl(store::Store& storeIn, store::Journal& journalIn, vm::Engine& engine, Host& host,
                   KernelOptions options)
   : store(storeIn), journal(journalIn),
     machine(engine, host, sane(std::move(options)), storeIn, keptVersion(storeIn),
             [this](std::int32_t fd) { machine.host.submit([this, fd] { runClose(fd); }); }) {
   BlockStatePtr start;
   CheckpointNote note{journal.begin(), journal.begin()};
   if (const auto last = store.lastCheckpoint()) {
      const auto at = last->versions.find(chainName);
      auto found = format::unpack<CheckpointNote>(last->user);
      if (at == last->versions.end() || !found)
         throw Fault("the checkpoint was not written by this program");
      start = stateOf(at->second);
      note = *found;
      if (const auto kept = last->versions.find(keptName); kept != last->versions.end()) {
         Lock lock(mutex_);
         kept_ = stateOf(kept->second);
      }
   } else {
      start = stateOf(store.empty());
   }
   {
      Lock lock(mutex_);
      head_ = irreversible_ = start;
      retained_[start->id] = start;
      recordEnd_[start->id] = note.chain;
      memory_ = std::move(note.memory);
   }
   checkpointAt_ = note.chain;
   replaying_ = true;
   std::uint64_t blocks = 0;
   journal.replay(note.chain, [&](store::JournalPosition after, ByteView bytes) {
      JournalRecord record = unpackJournalRecord(bytes);
      if (auto* commit = std::get_if<LocalCommitRecord>(&record)) {
         if (after > note.local)
            machine.local.replay(commit->writes);
      } else if (auto* block = std::get_if<BlockRecord>(&record)) {
         // What does not descend from the checkpoint is a fork that has lost.
         if (!find(block->block.block.header.previous))
            return;
         const auto applied = apply(block->block, BlockPurpose::replay, block->becameHead);
         if (!applied)
            throw Fault("block " + std::to_string(block->block.block.header.blockNum) +
                        " of the journal cannot be replayed: " + applied.error().reason);
         Lock lock(mutex_);
         recordEnd_[applied->id] = after;
         ++blocks;
      } else if (auto* headRecord = std::get_if<HeadRecord>(&record)) {
         (void)switchHead(headRecord->id, false); // or it was on such a fork
      } else if (auto* irreversible = std::get_if<IrreversibleRecord>(&record)) {
         if (BlockStatePtr block = find(irreversible->id))
            moveIrreversible(std::move(block));
      } else if (auto* memory = std::get_if<MemoryRecord>(&record)) {
         Lock lock(mutex_);
         memory_ = std::move(memory->memory);
         memoryEnd_ = after;
      }
   });
   replaying_ = false;
   machine.local.setJournal(&journal);
   if (blocks > 0)
      machine.host.log(Severity::info, "replayed " + std::to_string(blocks) + " blocks from the journal", std::nullopt);
}

BlockStatePtr Kernel::Impl::head() const {
   Lock lock(mutex_);
   return head_;
}

BlockStatePtr Kernel::Impl::irreversible() const {
   Lock lock(mutex_);
   return irreversible_;
}

BlockStatePtr Kernel::Impl::find(const format::Checksum256& id) const {
   Lock lock(mutex_);
   const auto at = retained_.find(id);
   return at == retained_.end() ? nullptr : at->second;
}

std::vector<BlockStatePtr> Kernel::Impl::retainedBlocks() const {
   std::vector<BlockStatePtr> out;
   Lock lock(mutex_);
   for (const auto& [id, state] : retained_) // ids sort by height
      out.push_back(state);
   return out;
}

std::optional<format::SignedBlock> Kernel::Impl::block(const BlockState& of, std::uint32_t num) const {
   const auto key = bigEndian32(num);
   const auto packed = of.version.get(storeKey(db::blockLog, key));
   if (!packed)
      return std::nullopt;
   auto block = format::unpack<format::Block>(*packed);
   if (!block)
      throw Fault("block " + std::to_string(num) + " of the block log cannot be read");
   format::SignedBlock out;
   out.block = std::move(*block);
   if (const auto proof = of.version.get(storeKey(db::blockProof, key)))
      if (auto signature = format::unpack<Bytes>(*proof))
         out.signature = std::move(*signature);
   const LocalState local = machine.local.state();
   if (const auto row =
           local.kept.get(storeKey(db::nativeSubjective, format::BlockDataRow::key(format::blockId(out.block.header)))))
      if (auto data = format::unpack<format::BlockDataRow>(*row))
         out.auxConsensusData = std::move(data->auxConsensusData);
   return out;
}

std::vector<std::shared_ptr<const format::SignedBlock>> Kernel::Impl::reversibleBlocks() const {
   std::vector<std::shared_ptr<const format::SignedBlock>> out;
   const BlockStatePtr root = irreversible();
   std::set<format::Checksum256> known{root->id};
   for (const BlockStatePtr& state : retainedBlocks())
      if (state->num > root->num && known.contains(state->header->previous))
         if (auto found = block(*state, state->num)) {
            known.insert(state->id);
            out.push_back(std::make_shared<const format::SignedBlock>(std::move(*found)));
         }
   return out;
}

store::JournalPosition Kernel::Impl::remember(ByteView memory) {
   const store::JournalPosition end = journal.append(packMemoryRecord(memory));
   Lock lock(mutex_);
   memory_ = toBytes(memory);
   memoryEnd_ = end;
   return end;
}

std::optional<Bytes> Kernel::Impl::remembered() const {
   Lock lock(mutex_);
   return memory_;
}

bool Kernel::Impl::verifies(const format::Consensus& under, const format::Claim& claim,
                            const format::Checksum256& digest, const Bytes& proof) {
   if (!claim.service)
      return proof.empty();
   const auto same = [&](const format::Consensus& set) {
      return set.services == under.services && set.wasmConfig == under.wasmConfig;
   };
   /// Where a state keeps the services that are asked for.
   const auto database = [&](const BlockState& state) -> std::optional<std::uint32_t> {
      if (!state.header) // before genesis there are none, nor any code
         return std::nullopt;
      const auto& [current, next] = state.status.consensus;
      if (next ? same(next->consensus) : same(current))
         return db::native;
      if (!same(current))
         return std::nullopt;
      // The first services of a chain have none before them.
      return state.version.last(Bytes{db::prevAuthServices}) ? db::prevAuthServices : db::native;
   };
   std::vector<BlockStatePtr> states{head(), irreversible()};
   for (std::size_t i = 0; i < states.size(); ++i) {
      const auto found = database(*states[i]);
      if (!found) {
         if (i == 1 && states.size() == 2) {
            auto more = retainedBlocks();
            states.insert(states.end(), more.rbegin(), more.rend());
         }
         continue;
      }
      ChainState state(states[i]->version);
      Context context(
          machine, state,
          {.mode = Mode::verify, .view = Checkout::View::empty, .producing = false, .codeDatabase = *found});
      return !context
                  .run(packAction(format::AccountNumber(), claim.service, "verifySys"_m,
                                  format::pack(format::VerifyArgs{digest, claim, proof})),
                       Entry::called)
                  .error;
   }
   return false;
}

// ---- blocks --------------------------------------------------------------------------------------------------------

void Kernel::Impl::publish(BlockStatePtr state, bool asHead) {
   // Versions are dropped outside the lock.
   std::vector<BlockStatePtr> dropped;
   {
      Lock lock(mutex_);
      retained_[state->id] = state;
      if (asHead)
         head_ = std::move(state);
      while (retained_.size() > machine.options.retainedBlocks) {
         const auto oldest = retained_.begin(); // ids sort by height
         if (oldest->second == head_ || oldest->second->num >= irreversible_->num)
            break;
         recordEnd_.erase(oldest->first);
         dropped.push_back(std::move(oldest->second));
         retained_.erase(oldest);
      }
   }
}

/// Many at a time: each is looked at again when the next ones are dropped, if its header stays.
void Kernel::Impl::dropOldBlocks(OpenBlock& block) {
   constexpr std::uint32_t atOnce = 64;
   const std::uint32_t num = block.header().blockNum, keep = machine.options.keepBlocks;
   if (keep == 0 || num <= keep)
      return;
   std::uint32_t first = num - keep;
   {
      Lock lock(mutex_);
      if (!kept_)
         return;
      first = std::min({first, kept_->num, irreversible_->num});
   }
   const std::uint32_t start = logStart();
   if (first < start + atOnce)
      return;
   // It says so before it is so.
   const format::LogTruncateRow row{first};
   machine.local.write({{storeKey(db::nativeSubjective, format::LogTruncateRow::key()), format::pack(row)}});
   std::vector<LocalWrite> proofs;
   for (const auto& id : block.dropBlocks(first))
      proofs.push_back({storeKey(db::nativeSubjective, format::BlockDataRow::key(id)), std::nullopt});
   machine.local.write(proofs);
}

SealedBlock Kernel::Impl::accept(OpenBlock& block, Bytes signature, std::optional<Bytes> aux, BlockPurpose purpose,
                                 bool asHead) {
   if (purpose != BlockPurpose::replay)
      dropOldBlocks(block);
   auto [signedBlock, state] = block.complete(std::move(signature), std::move(aux));
   SealedBlock out{signedBlock, state->id, state, 0};
   if (purpose != BlockPurpose::replay) {
      out.journalEnd = journal.append(packBlockRecord(*signedBlock, asHead));
      Lock lock(mutex_);
      recordEnd_[state->id] = out.journalEnd;
      if (asHead && committedBySelf(*state))
         undurable_.emplace_back(out.journalEnd, state);
   } else if (asHead && committedBySelf(*state)) {
      // What was read from the journal is on disk.
      Lock lock(mutex_);
      irreversible_ = state;
   }
   publish(state, asHead);
   if (purpose != BlockPurpose::replay)
      machine.host.wakeFlush();
   return out;
}

std::expected<SealedBlock, Rejection> Kernel::Impl::apply(const format::SignedBlock& block, BlockPurpose purpose,
                                                          bool asHead) {
   const format::BlockHeader& header = block.block.header;
   const auto reject = [](std::string why) { return std::unexpected(Rejection{std::move(why)}); };
   const BlockStatePtr parent = find(header.previous);
   if (!parent)
      return reject("the parent block is not there");
   if (header.blockNum != parent->num + 1)
      return reject("the block's number does not follow its parent's");
   if (purpose == BlockPurpose::validate) {
      const auto claim = format::authorClaim(format::inForceAfter(parent->status), header.producer);
      if (!claim)
         return reject("Invalid producer for block");
      if (!OpenBlock::signatureValid(machine, parent, *claim, format::blockId(header), block.signature))
         return reject("invalid block signature");
   }
   auto opened = OpenBlock::start(machine, parent,
                                  {header.time.microseconds, header.producer, header.term, header.commitNum}, purpose);
   if (!opened)
      return std::unexpected(opened.error());
   OpenBlock& built = **opened;
   if (purpose == BlockPurpose::validate)
      built.verifyProofs(block.block.transactions);
   for (const format::SignedTransaction& transaction : block.block.transactions) {
      const auto outcome = built.push(transaction, true);
      if (outcome.error)
         return reject("a transaction of the block failed: " + *outcome.error);
   }
   if (const auto error = built.failedProofs())
      return reject("verification failed: " + *error);
   const auto id = built.finish();
   if (!id)
      return std::unexpected(id.error());
   if (*id != format::blockId(header) || built.header().authCode != header.authCode)
      return reject("blockId does not match");
   return accept(built, block.signature, block.auxConsensusData, purpose, asHead);
}

std::optional<std::expected<SealedBlock, Rejection>> Kernel::Impl::execute(const format::SignedBlock& block) {
   {
      Lock lock(machine.runningMutex);
      machine.validated = format::blockId(block.block.header);
   }
   std::optional<std::expected<SealedBlock, Rejection>> out = apply(block, BlockPurpose::validate, false);
   Lock lock(machine.runningMutex);
   // A verdict against a block counts only if nobody was in its way.
   if (machine.validatedIsUnwanted() && !*out)
      out.reset();
   machine.validated = machine.unwanted = {};
   return out;
}

std::expected<void, Rejection> Kernel::Impl::switchHead(const format::Checksum256& id, bool journalIt) {
   const BlockStatePtr found = find(id);
   if (!found)
      return std::unexpected(Rejection{"the block's state is not retained"});
   if (journalIt)
      journal.append(packHeadRecord(id));
   Lock lock(mutex_);
   head_ = found;
   return {};
}

bool Kernel::Impl::moveIrreversible(BlockStatePtr block) {
   Lock lock(mutex_);
   if (block->num <= irreversible_->num)
      return false;
   irreversible_ = std::move(block);
   return true;
}

bool Kernel::Impl::setIrreversible(const format::Checksum256& id, Bytes proof) {
   BlockStatePtr found = find(id);
   if (!found)
      return false;
   if (!proof.empty()) {
      const format::BlockDataRow row{id, std::move(proof)};
      machine.local.write({{storeKey(db::nativeSubjective, row.key()), format::pack(row)}});
   }
   if (const std::uint32_t num = found->num; moveIrreversible(std::move(found))) {
      journal.append(packIrreversibleRecord(id));
      machine.host.submit([this, num] { tellFinal(num); });
   }
   return true;
}

void Kernel::Impl::keepState(BlockStatePtr state) {
   Lock lock(mutex_);
   kept_.swap(state); // dropped outside the lock
}

BlockStatePtr Kernel::Impl::keptState() const {
   Lock lock(mutex_);
   return kept_;
}

void Kernel::Impl::adopt(const store::Version& chain, const std::vector<std::pair<Bytes, Bytes>>& local) {
   ASSERT(!open);
   asked.reset();
   waitingForCode.clear();
   const BlockStatePtr state = stateOf(chain);
   ASSERT(state->header);
   std::vector<LocalWrite> writes;
   for (const auto& [key, value] : local)
      writes.push_back({key, value});
   machine.local.write(writes);
   std::map<format::Checksum256, BlockStatePtr> dropped;
   {
      Lock lock(mutex_);
      head_ = irreversible_ = kept_ = state;
      dropped.swap(retained_);
      retained_[state->id] = state;
      recordEnd_ = {{state->id, journal.end()}};
      undurable_.clear();
   }
   // Until it is there, a restart goes on from the state before.
   checkpoint();
   machine.host.submit([this, num = state->num] { tellFinal(num); });
}

bool Kernel::Impl::mayWait(const OpenBlock::Waiting& waiting) const {
   std::size_t bytes = waiting.transaction.transaction.packed.size();
   for (const auto& w : waitingForCode)
      bytes += w.transaction.transaction.packed.size();
   return waitingForCode.size() < machine.options.waitingForCodeMax && bytes <= machine.options.waitingForCodeBytesMax;
}

Pull Kernel::Impl::pushNext() {
   std::optional<format::SignedTransaction> transaction;
   const auto ready = std::ranges::find_if(waitingForCode, [&](const auto& w) { return open->codeReady(w.code); });
   if (ready != waitingForCode.end()) {
      transaction = std::move(ready->transaction);
      waitingForCode.erase(ready);
   } else {
      transaction = open->next();
      if (!transaction)
         return Pull::nothing;
      // A block that was dropped gives its transactions once more.
      if (!waitingForCode.empty()) {
         const auto id = format::transactionId(*transaction);
         if (std::ranges::any_of(waitingForCode, [&](const auto& w) { return w.id == id; }))
            return Pull::refused;
      }
   }
   const auto outcome = open->push(std::move(*transaction), false, true);
   if (auto waiting = open->takeWaiting()) {
      if (mayWait(*waiting))
         waitingForCode.push_back(std::move(*waiting));
      else
         open->tell(waiting->id, outcome);
   }
   return outcome.error ? Pull::refused : Pull::included;
}

// ---- durability ----------------------------------------------------------------------------------------------------

void tellFinal(Machine& machine, std::uint32_t num, const std::function<ActionNode(PackedAction)>& run) {
   const LocalState now = machine.local.state();
   const auto packed = now.kept.get(
       storeKey(db::nativeSubjective, format::NotifyRow::key(static_cast<format::NotifyType>(notifyFinal))));
   if (!packed)
      return;
   const auto row = format::unpack<format::NotifyRow>(*packed);
   if (!row)
      return;
   for (const format::Action& action : row->actions) {
      if (action.sender || !action.rawData.empty())
         continue;
      const ActionNode node =
          run(packAction(format::AccountNumber(), action.service, action.method, format::pack(std::tuple(num))));
      if (node.error)
         machine.host.log(Severity::warning, action.service.str() + "::" + action.method.str() + ": " + *node.error,
                          std::nullopt);
   }
}

void Kernel::Impl::tellFinal(std::uint32_t num) {
   kernel::tellFinal(machine, num, [this](PackedAction action) {
      return runOnHead(Mode::callback, std::move(action), Entry::called);
   });
}

store::JournalPosition Kernel::Impl::flush() {
   journal.sync();
   const store::JournalPosition durable = journal.durable();
   BlockStatePtr newest;
   {
      Lock lock(mutex_);
      while (!undurable_.empty() && undurable_.front().first <= durable) {
         newest = std::move(undurable_.front().second);
         undurable_.pop_front();
      }
   }
   if (newest)
      if (const std::uint32_t num = newest->num; moveIrreversible(std::move(newest)))
         tellFinal(num);
   store.prepare();
   return durable;
}

bool Kernel::Impl::checkpointIfDue() {
   const KernelOptions& options = machine.options;
   const std::uint64_t logged = journal.end() - checkpointAt_.load();
   if (logged <= options.checkpointBytesMin || (logged <= options.checkpointBytesMax && !store.checkpointDue(logged)))
      return false;
   checkpoint();
   return true;
}

void Kernel::Impl::checkpoint() {
   Lock only(checkpointMutex_);
   BlockStatePtr chain, keptState;
   CheckpointNote note;
   store::JournalPosition memoryEnd = 0;
   {
      Lock lock(mutex_);
      chain = irreversible_;
      keptState = kept_;
      const auto at = recordEnd_.find(chain->id);
      ASSERT(at != recordEnd_.end());
      note.chain = at->second;
      note.memory = memory_;
      memoryEnd = memoryEnd_;
   }
   auto [kept, position] = machine.local.cut();
   note.local = position;
   // The journal must reach at least as far as what rests on it.
   journal.sync(std::max(position, memoryEnd));
   store::Checkpoint next{{{chainName, chain->version}, {localName, kept}}, note.chain, format::pack(note)};
   if (keptState)
      next.versions.emplace(keptName, keptState->version);
   store.checkpoint(next);
   checkpointAt_ = note.chain;
   journal.truncateBefore(note.chain);
}

// ---- queries -------------------------------------------------------------------------------------------------------

ActionNode Kernel::Impl::runOnHead(Mode mode, PackedAction action, Entry entry) {
   const BlockStatePtr base = head();
   const bool writes = mode == Mode::callback || mode == Mode::speculative;
   ChainState state = writes ? ChainState(base->version, ChainState::Writable()) : ChainState(base->version);
   Context context(machine, state,
                   {.mode = mode,
                    .view = isSubjective(mode) ? Checkout::View::shared : Checkout::View::empty,
                    .cpuNs = machine.options.queryCpuNs});
   return context.run(std::move(action), entry);
}

void Kernel::Impl::runClose(std::int32_t fd) {
   const ActionNode node = runOnHead(
       Mode::rpc, packAction(format::AccountNumber(), xHttp, format::MethodNumber(), format::pack(std::tuple(fd))),
       Entry::close);
   if (node.error)
      machine.host.log(Severity::warning, "x-http close: " + *node.error, std::nullopt);
   machine.sockets.forget(fd);
}

namespace {

/// Answers the node's own requests at first start.
class OwnRequest final : public Socket {
public:
   format::SocketInfo info() const override {
      return format::HttpSocketInfo{format::SocketEndpoint(format::LocalEndpoint{}), std::nullopt};
   }
   SendOutcome send(ByteView data, std::uint32_t) override {
      auto reply = format::unpack<format::HttpReply>(data);
      if (!reply)
         return {socketError::none, "malformed HTTP reply"};
      if (!reply_)
         reply_ = std::move(*reply);
      return {};
   }
   void close(const CloseReason&) override {}
   const std::optional<format::HttpReply>& reply() const { return reply_; }

private:
   std::optional<format::HttpReply> reply_;
};

} // namespace

std::expected<std::vector<format::HttpReply>, Rejection>
Kernel::Impl::askItself(Checkout& checkout, const std::vector<format::HttpRequest>& requests) {
   std::vector<format::HttpReply> replies;
   for (const format::HttpRequest& request : requests) {
      const BlockStatePtr base = head();
      ChainState state(base->version);
      auto socket = std::make_shared<OwnRequest>();
      Context context(machine, state, {.mode = Mode::rpc, .within = &checkout});
      const std::int32_t fd = machine.sockets.add(socket, &context.sockets(), SocketTable::Row::none);
      checkout.put(socketRowKey(fd), format::pack(format::SocketRow{fd, socket->info()}));
      const ActionNode node = context.run(
          packAction(format::AccountNumber(), xHttp, format::MethodNumber(), format::pack(std::tuple(fd, request))),
          Entry::serve);
      checkout.remove(socketRowKey(fd));
      const std::string what = request.method + " " + request.target;
      if (node.error)
         return std::unexpected(Rejection{what + ": " + *node.error});
      if (!socket->reply())
         return std::unexpected(Rejection{what + ": no answer"});
      if (socket->reply()->status != 200)
         return std::unexpected(Rejection{what + ": status " + std::to_string(socket->reply()->status) + ": " +
                                          toText(socket->reply()->body)});
      replies.push_back(*socket->reply());
   }
   if (!checkout.commit())
      return std::unexpected(Rejection{"the node-local databases changed meanwhile"});
   machine.announce(checkout.committed());
   return replies;
}

std::expected<std::vector<format::HttpReply>, Rejection>
Kernel::Impl::askItself(const std::vector<format::HttpRequest>& requests) {
   Checkout checkout(machine.local, machine.sockets, Checkout::View::shared);
   checkout.push();
   return askItself(checkout, requests);
}

std::expected<void, Rejection>
Kernel::Impl::firstStart(const LocalTemplate& local,
                         const std::vector<std::pair<std::string, std::string>>& environment,
                         const format::HostConfigRow& config) {
   std::vector<LocalWrite> session;
   for (const auto& [name, value] : environment)
      session.push_back(
          {storeKey(db::nativeSession, format::EnvRow::key(name)), format::pack(format::EnvRow{name, value})});
   session.push_back({storeKey(db::nativeSession, format::HostConfigRow::key()), format::pack(config)});
   machine.local.write(session);

   Checkout checkout(machine.local, machine.sockets, Checkout::View::shared);
   checkout.push();
   if (checkout.last(storeKey(db::nativeSubjective, format::nativeKey(format::NativeTable::code)))) {
      checkout.drop();
      return {};
   }
   for (const LocalService& s : local.services) {
      const format::CodeRow row{s.account, s.flags, format::sha256(ByteView(s.code)), 0, 0};
      checkout.put(storeKey(db::nativeSubjective, row.key()), format::pack(row));
      const format::CodeByHashRow code{row.codeHash, 0, 0, s.code};
      checkout.put(storeKey(db::nativeSubjective, code.key()), format::pack(code));
   }
   if (auto replies = askItself(checkout, local.requests); !replies)
      return std::unexpected(replies.error());
   return {};
}

format::StateChecksum stateChecksum(const BlockState& block) {
   return {block.version.merkle(Bytes{db::service}), block.version.merkle(Bytes{db::native})};
}

void beginAt(store::Store& store, store::Journal& journal, const store::Version& chain, const store::Version& local) {
   const CheckpointNote note{journal.begin(), journal.begin()};
   store.checkpoint({{{chainName, chain}, {localName, local}}, note.chain, format::pack(note)});
}

// ---- the public face -----------------------------------------------------------------------------------------------

Kernel::Kernel(store::Store& store, store::Journal& journal, vm::Engine& engine, Host& host, KernelOptions options) {
   vm::onExecutionStack([&] { impl_ = std::make_unique<Impl>(store, journal, engine, host, std::move(options)); });
}

Kernel::~Kernel() = default;

bool Kernel::hasChain() const { return impl_->head()->header.has_value(); }
BlockStatePtr Kernel::head() const { return impl_->head(); }
BlockStatePtr Kernel::irreversible() const { return impl_->irreversible(); }
format::Checksum256 Kernel::chainId() const { return impl_->head()->status.chainId; }

std::optional<format::SignedBlock> Kernel::block(std::uint32_t num) const { return impl_->block(*impl_->head(), num); }
std::optional<format::SignedBlock> Kernel::block(const BlockState& of, std::uint32_t num) const {
   return impl_->block(of, num);
}

std::vector<std::shared_ptr<const format::SignedBlock>> Kernel::reversibleBlocks() const {
   return impl_->reversibleBlocks();
}
store::JournalPosition Kernel::remember(ByteView memory) { return impl_->remember(memory); }
std::optional<Bytes> Kernel::remembered() const { return impl_->remembered(); }
bool Kernel::verifies(const format::Consensus& under, const format::Claim& claim, const format::Checksum256& digest,
                      const Bytes& proof) {
   return impl_->verifies(under, claim, digest, proof);
}

void Kernel::cancelBlock(const format::Checksum256& id) {
   Lock lock(impl_->machine.runningMutex);
   impl_->machine.unwanted = id;
   if (impl_->machine.validated == id)
      for (vm::Budget* budget : impl_->machine.validating)
         budget->interrupt();
}

std::uint32_t Kernel::logStart() const { return impl_->logStart(); }

std::uint32_t Kernel::Impl::logStart() const {
   const LocalState local = machine.local.state();
   if (const auto packed = local.kept.get(storeKey(db::nativeSubjective, format::LogTruncateRow::key())))
      // A row from beyond is that of a state which did not get to be adopted.
      if (const auto row = format::unpack<format::LogTruncateRow>(*packed); row && row->start <= irreversible()->num)
         return row->start;
   return 0;
}

void Kernel::keepState(BlockStatePtr state) { impl_->keepState(std::move(state)); }
BlockStatePtr Kernel::keptState() const { return impl_->keptState(); }

std::optional<format::SnapshotRow> Kernel::snapshotRow(const format::Checksum256& blockId) const {
   const LocalState local = impl_->machine.local.state();
   const auto packed = local.kept.get(storeKey(db::nativeSubjective, format::SnapshotRow::key(blockId)));
   if (!packed)
      return std::nullopt;
   auto row = format::unpack<format::SnapshotRow>(*packed);
   return row ? std::optional(std::move(*row)) : std::nullopt;
}

void Kernel::putSnapshotRow(const format::SnapshotRow& row) {
   std::vector<LocalWrite> writes;
   const LocalState local = impl_->machine.local.state();
   const Bytes prefix = storeKey(db::nativeSubjective, format::nativeKey(format::NativeTable::snapshot));
   auto cursor = local.kept.cursor();
   for (bool valid = cursor.seek(prefix); valid; valid = cursor.next()) {
      const ByteView key = cursor.entry().key;
      if (key.size() < prefix.size() || !std::ranges::equal(key.first(prefix.size()), prefix))
         break;
      writes.push_back({toBytes(key), std::nullopt});
   }
   writes.push_back({storeKey(db::nativeSubjective, row.key()), format::pack(row)});
   impl_->machine.local.write(writes);
}

void Kernel::adopt(const store::Version& chain, const std::vector<std::pair<Bytes, Bytes>>& local) {
   impl_->adopt(chain, local);
}

std::optional<format::Checksum256> Kernel::blockId(std::uint32_t num) const {
   if (num == 1)
      return format::Checksum256{};
   if (const auto state = stateAt(num))
      return state->id;
   const auto found = block(num);
   return found ? std::optional(format::blockId(found->block.header)) : std::nullopt;
}

BlockStatePtr Kernel::retained(const format::Checksum256& id) const { return impl_->find(id); }

BlockStatePtr Kernel::stateAt(std::uint32_t num) const {
   BlockStatePtr at = impl_->head();
   while (at && at->num > num)
      at = at->header ? impl_->find(at->header->previous) : nullptr;
   return at && at->num == num ? at : nullptr;
}

std::vector<std::pair<std::string, std::uint64_t>> Kernel::counters() const {
   const Counters& c = impl_->machine.counters;
   return {{"contexts", c.contexts.load()},          {"actions", c.actions.load()},
           {"write_notices", c.writeNotices.load()}, {"verified_natively", c.verifiedNatively.load()},
           {"local_commits", c.localCommits.load()}, {"local_conflicts", c.localConflicts.load()},
           {"transactions", c.transactions.load()},  {"blocks", c.blocks.load()}};
}

void Kernel::cancelQueries() {
   Lock lock(impl_->machine.runningMutex);
   impl_->machine.cancelled = true;
   for (vm::Budget* budget : impl_->machine.running)
      budget->interrupt();
   if (impl_->machine.validatedIsUnwanted())
      for (vm::Budget* budget : impl_->machine.validating)
         budget->interrupt();
}

std::expected<format::TransactionTrace, Rejection>
Kernel::pushBoot(const std::vector<format::SignedTransaction>& transactions, format::AccountNumber producer,
                 std::int64_t timeUs) {
   if (hasChain())
      return std::unexpected(Rejection{"there is a chain already"});
   if (!producer)
      return std::unexpected(Rejection{"this node has no producer name"});
   if (transactions.empty())
      return std::unexpected(Rejection{"there are no transactions"});
   for (const auto& t : transactions)
      if (!t.proofs.empty())
         return std::unexpected(Rejection{"boot transactions cannot have proofs"});
   impl_->open.reset();
   auto block = OpenBlock::start(impl_->machine, impl_->head(), {timeUs, producer, 0, 0}, BlockPurpose::produce);
   if (!block)
      return std::unexpected(block.error());
   format::TransactionTrace all;
   for (const auto& t : transactions) {
      format::TransactionTrace trace = (*block)->push(t, true).trace();
      if (trace.error)
         return trace;
      for (auto& action : trace.actionTraces)
         all.actionTraces.push_back(std::move(action));
   }
   if (auto id = (*block)->finish(); !id) {
      all.error = id.error().reason;
      return all;
   }
   (void)impl_->accept(**block, {}, std::nullopt, BlockPurpose::produce, true);
   return all;
}

std::expected<void, Rejection> Kernel::startBlock(const BlockStart& start) {
   ASSERT(!impl_->open);
   impl_->asked.reset();
   if (!hasChain())
      return std::unexpected(Rejection{"there is no chain"});
   auto block = OpenBlock::start(impl_->machine, impl_->head(), start, BlockPurpose::produce);
   if (!block)
      return std::unexpected(block.error());
   if (const auto outcome = (*block)->pushStartBlock(); outcome.error)
      return std::unexpected(Rejection{"startBlock: " + *outcome.error});
   impl_->open = std::move(*block);
   impl_->openOwn = impl_->open->transactionCount();
   return {};
}

bool Kernel::blockOpen() const { return impl_->open != nullptr; }
std::size_t Kernel::openBlockTransactions() const {
   return impl_->open ? impl_->open->transactionCount() - impl_->openOwn : 0;
}
std::size_t Kernel::openBlockBytes() const { return impl_->open ? impl_->open->bytes() : 0; }

Pull Kernel::pushNext() {
   ASSERT(impl_->open);
   return impl_->pushNext();
}

std::optional<format::SignedTransaction> Kernel::nextTransaction(std::int64_t timeUs, bool again) {
   ASSERT(!impl_->open);
   const BlockStatePtr head = impl_->head();
   if (!head->header)
      return std::nullopt;
   if (again || !impl_->asked) {
      auto block = OpenBlock::start(
          impl_->machine, head, {std::max(timeUs, head->header->time.microseconds + 1), head->header->producer, 0, 0},
          BlockPurpose::produce);
      impl_->asked = block ? std::move(*block) : nullptr;
   }
   return impl_->asked ? impl_->asked->next() : std::nullopt;
}

format::TransactionTrace Kernel::push(const format::SignedTransaction& transaction, bool proofsChecked) {
   ASSERT(impl_->open);
   return impl_->open->push(transaction, proofsChecked).trace();
}

std::expected<SealedBlock, Rejection> Kernel::sealBlock(const std::function<Bytes(ByteView)>& sign,
                                                        std::optional<Bytes> aux) {
   ASSERT(impl_->open);
   const std::unique_ptr<OpenBlock> block = std::move(impl_->open);
   const auto id = block->finish();
   if (!id)
      return std::unexpected(id.error());
   return impl_->accept(*block, sign ? sign(format::blockSignaturePreimage(*id)) : Bytes(), std::move(aux),
                        BlockPurpose::produce, true);
}

void Kernel::abortBlock() { impl_->open.reset(); }

std::expected<SealedBlock, Rejection> Kernel::applyBlock(std::shared_ptr<const format::SignedBlock> block) {
   return impl_->apply(*block, BlockPurpose::validate, true);
}

std::optional<std::expected<SealedBlock, Rejection>>
Kernel::executeBlock(const std::shared_ptr<const format::SignedBlock>& block) {
   return impl_->execute(*block);
}

std::expected<void, Rejection> Kernel::switchHead(const format::Checksum256& id) { return impl_->switchHead(id, true); }

bool Kernel::setIrreversible(const format::Checksum256& id, Bytes proof) {
   return impl_->setIrreversible(id, std::move(proof));
}

store::JournalPosition Kernel::flush() { return impl_->flush(); }
void Kernel::remindFinal() { impl_->tellFinal(impl_->irreversible()->num); }
void Kernel::checkpoint() { impl_->checkpoint(); }
bool Kernel::checkpointIfDue() { return impl_->checkpointIfDue(); }

namespace {

/// The block that a request's header `Polis-Block` names; what is no number is UINT64_MAX.
std::optional<std::uint64_t> queriedBlock(const format::HttpRequest& request) {
   static constexpr std::string_view wanted = "polis-block";
   const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
   for (const auto& [name, value] : request.headers) {
      if (!std::ranges::equal(name, wanted, {}, lower))
         continue;
      std::uint64_t number = 0;
      const auto [last, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      return error == std::errc() && last == value.data() + value.size() ? number : UINT64_MAX;
   }
   return std::nullopt;
}

} // namespace

void Kernel::serve(std::shared_ptr<Socket> socket, const format::HttpRequest& request) {
   Impl& impl = *impl_;
   const auto wanted = request.method == "GET" ? queriedBlock(request) : std::nullopt;
   const BlockStatePtr base = !wanted                ? impl.head()
                              : *wanted > UINT32_MAX ? nullptr
                                                     : stateAt(static_cast<std::uint32_t>(*wanted));
   if (!base) {
      const std::string text =
          "The state after this block is not kept here, or there is no such block; the newest is " +
          std::to_string(impl.head()->num) + ".";
      (void)socket->send(format::pack(format::HttpReply{404, "text/plain", toBytes(text), {}}), 0);
      socket->close({});
      return;
   }
   ChainState state(base->version);
   Context context(impl.machine, state, {.mode = Mode::rpc, .cpuNs = impl.machine.options.queryCpuNs});
   const std::int32_t fd = impl.machine.sockets.add(std::move(socket), &context.sockets());
   (void)context.run(
       packAction(format::AccountNumber(), xHttp, format::MethodNumber(), format::pack(std::tuple(fd, request))),
       Entry::serve);
}

std::int32_t Kernel::attach(std::shared_ptr<Socket> socket) {
   return impl_->machine.sockets.add(std::move(socket), nullptr);
}
void Kernel::attachFixed(std::int32_t fd, std::shared_ptr<Socket> socket) {
   ASSERT(fd == 0 || fd == 1);
   impl_->machine.sockets.addFixed(fd, std::move(socket));
}

bool Kernel::recv(std::int32_t fd, ByteView data, std::uint32_t flags) {
   Impl& impl = *impl_;
   const BlockStatePtr base = impl.head();
   ChainState state(base->version);
   Context context(impl.machine, state, {.mode = Mode::rpc, .cpuNs = impl.machine.options.queryCpuNs});
   if (!impl.machine.sockets.deliver(fd, context.sockets()))
      return false;
   const ActionNode node = context.run(packAction(format::AccountNumber(), xHttp, format::MethodNumber(),
                                                  format::pack(std::tuple(fd, toBytes(data), flags))),
                                       Entry::recv);
   if (node.error)
      impl.machine.host.log(Severity::warning, "x-http recv: " + *node.error, std::nullopt);
   return true;
}

void Kernel::closed(std::int32_t fd) { impl_->machine.sockets.hangUp(fd); }
void Kernel::socketUpgraded(std::int32_t fd) { impl_->machine.sockets.upgraded(fd); }

std::expected<void, Rejection> Kernel::firstStart(const LocalTemplate& local,
                                                  const std::vector<std::pair<std::string, std::string>>& environment,
                                                  const format::HostConfigRow& config) {
   return impl_->firstStart(local, environment, config);
}

std::expected<std::vector<format::HttpReply>, Rejection>
Kernel::askItself(const std::vector<format::HttpRequest>& requests) {
   return impl_->askItself(requests);
}

bool Kernel::needsLocalServices() const {
   const LocalState now = impl_->machine.local.state();
   return !now.kept.last(storeKey(db::nativeSubjective, format::nativeKey(format::NativeTable::code))).has_value();
}

std::expected<void, Rejection> Kernel::startSession() {
   const ActionNode node = impl_->runOnHead(
       Mode::rpc, packAction(format::AccountNumber(), xHttp, "startSession"_m, format::pack(std::tuple<>())),
       Entry::called);
   if (node.error)
      return std::unexpected(Rejection{*node.error});
   return {};
}

bool Kernel::runNext() { return impl_->runNext(); }
std::optional<std::int64_t> Kernel::timerDueUs() const { return impl_->timerDueUs(); }

format::TransactionTrace Kernel::runAction(format::RunMode mode, const format::Action& action) {
   const ActionNode node = impl_->runOnHead(static_cast<Mode>(mode), packAction(action), Entry::called);
   format::TransactionTrace out;
   out.actionTraces.push_back(toTrace(node));
   out.error = node.error;
   return out;
}

} // namespace polis::kernel
