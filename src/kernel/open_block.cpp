#include "kernel/open_block.hpp"

#include "base/assert.hpp"
#include "base/fault.hpp"
#include "format/fracpack.hpp"
#include "format/hash.hpp"
#include "format/ids.hpp"
#include "format/in_force.hpp"
#include "format/merkle.hpp"
#include "kernel/databases.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace polis::kernel {

using namespace format::literals;
using format::NotifyType;

namespace {

constexpr auto transact = "transact"_a;
constexpr std::int64_t second = 1'000'000;

const format::Consensus& newest(const format::JointConsensus& consensus) {
   return consensus.next ? consensus.next->consensus : consensus.current;
}

/// sha256(frac(list)); most are empty.
format::Checksum256 hashOf(const std::vector<Bytes>& list) {
   static const format::Checksum256 ofNone = format::sha256Of(std::vector<Bytes>());
   return list.empty() ? ofNone : format::sha256Of(list);
}

} // namespace

Bytes proofToken(const format::Action& action, bool success, format::RunMode mode, const format::StatusRow& status) {
   format::RunToken token{success, mode, action, {}};
   if (mode == format::RunMode::verify && status.head)
      token.context = format::sha256Of(newest(status.consensus).services);
   const format::Checksum256 hash = format::sha256Of(token);
   return Bytes(hash.begin(), hash.end());
}

OpenBlock::OpenBlock(Machine& machine, BlockStatePtr parent, BlockPurpose purpose)
   : machine_(machine), parent_(std::move(parent)), purpose_(purpose), state_(parent_->version, ChainState::Writable()),
     status_(parent_->status) {}

std::expected<std::unique_ptr<OpenBlock>, Rejection> OpenBlock::start(Machine& machine, BlockStatePtr parent,
                                                                      const BlockStart& start, BlockPurpose purpose) {
   std::unique_ptr<OpenBlock> block(new OpenBlock(machine, std::move(parent), purpose));
   format::StatusRow& status = block->status_;
   format::BlockHeader& header = block->header_;
   if (status.head) {
      if (start.time <= status.head->header.time.microseconds)
         return std::unexpected(Rejection{"block is in the past"});
      header.previous = status.head->blockId;
      header.blockNum = status.head->header.blockNum + 1;
      if (format::jointIsOver(status.consensus, status.head->header.commitNum)) {
         status.consensus = format::inForceAfter(status);
         while (auto row = block->state_.last(Bytes{db::prevAuthServices}))
            block->state_.remove(toBytes(row->key));
      }
   } else {
      header.blockNum = 2;
      status.consensus.next = format::PendingConsensus{{}, header.blockNum};
   }
   header.time = {start.time};
   header.producer = start.producer;
   header.term = start.term;
   header.commitNum = format::isSingleProducer(status.consensus) ? header.blockNum - 1 : start.commitNum;
   status.current = header;
   block->writeStatus();
   return block;
}

void OpenBlock::writeStatus() { state_.put(storeKey(db::native, format::StatusRow::key()), format::pack(status_)); }

std::vector<format::Action> OpenBlock::registered(NotifyType type, bool local) {
   const Bytes key = storeKey(local ? db::nativeSubjective : db::native, format::NotifyRow::key(type));
   std::expected<format::NotifyRow, format::FracError> row;
   if (local) {
      const LocalState now = machine_.local.state();
      const auto packed = now.kept.get(key);
      if (!packed)
         return {};
      row = format::unpack<format::NotifyRow>(*packed);
   } else {
      const auto packed = state_.get(key);
      if (!packed)
         return {};
      row = format::unpack<format::NotifyRow>(*packed);
   }
   if (!row)
      return {};
   const bool ownData = type == NotifyType::acceptBlock;
   std::erase_if(row->actions,
                 [ownData](const format::Action& a) { return a.sender || (!ownData && !a.rawData.empty()); });
   return std::move(row->actions);
}

bool OpenBlock::concerns(const format::Action& callback, const format::Checksum256& id) const {
   static const Bytes rowKey = storeKey(db::nativeSubjective, format::NotifyRow::key(NotifyType{notifyInterest}));
   const LocalState now = machine_.local.state();
   const auto packed = now.kept.get(rowKey);
   const auto row = packed ? format::unpack<format::NotifyRow>(*packed)
                           : std::unexpected(format::FracError{format::FracRule::truncated, 0});
   if (!row)
      return true;
   for (const format::Action& interest : row->actions) {
      if (interest.sender || interest.service != callback.service || interest.method != callback.method)
         continue;
      auto places = format::unpack<std::vector<Bytes>>(interest.rawData);
      if (!places)
         return true;
      return std::ranges::any_of(*places, [&](Bytes& place) {
         if (place.empty() || !isLocalDb(place.front()))
            return true;
         const bool kept = isKeptDb(place.front());
         append(place, id);
         return (kept ? now.kept : now.session).get(place).has_value();
      });
   }
   return true;
}

ActionNode OpenBlock::runCallback(const format::Action& action, ByteView rawData) {
   const auto mark = state_.mark();
   ActionNode node;
   {
      Context context(
          machine_, state_,
          {.mode = Mode::callback, .view = view(), .cpuNs = machine_.options.queryCpuNs, .changes = &changes_});
      node = context.run(packAction(format::AccountNumber(), action.service, action.method, rawData), Entry::called);
   }
   if (node.error) {
      state_.rollBack(mark);
      machine_.host.log(Severity::warning,
                        "callback " + action.service.str() + "::" + action.method.str() + ": " + *node.error,
                        std::nullopt);
   } else {
      state_.keep(mark);
   }
   return node;
}

std::optional<format::SignedTransaction> OpenBlock::next() {
   const Bytes none = format::pack(std::tuple<>());
   for (const format::Action& action : registered(NotifyType::nextTransaction, true)) {
      const ActionNode node = runCallback(action, none);
      if (node.error)
         continue;
      auto transaction = format::unpack<std::optional<format::SignedTransaction>>(node.retval);
      if (!transaction) {
         machine_.host.log(Severity::warning, action.service.str() + " returned a malformed transaction", std::nullopt);
         continue;
      }
      if (*transaction)
         return std::move(**transaction);
   }
   return std::nullopt;
}

std::vector<std::optional<Bytes>> OpenBlock::tokens(const format::SignedTransaction& transaction) {
   const auto actions = registered(NotifyType::preverifyTransaction, true);
   if (actions.empty())
      return {};
   const Bytes rawData = format::pack(std::tuple(transaction));
   for (const format::Action& action : actions) {
      const ActionNode node = runCallback(action, rawData);
      if (node.error)
         continue;
      auto found = format::unpack<std::optional<std::vector<std::optional<Bytes>>>>(node.retval);
      if (found && *found)
         return std::move(**found);
   }
   return {};
}

std::vector<PackedAction> OpenBlock::unverified(const format::SignedTransaction& transaction,
                                                const format::Transaction& unpacked, const format::Checksum256& id) {
   std::vector<PackedAction> out;
   if (transaction.proofs.empty())
      return out;
   const auto known = tokens(transaction);
   for (std::size_t i = 0; i < transaction.proofs.size(); ++i) {
      const format::Claim& claim = unpacked.claims[i];
      const format::Action action{format::AccountNumber(), claim.service, "verifySys"_m,
                                  format::pack(format::VerifyArgs{id, claim, transaction.proofs[i]})};
      if (i >= known.size() || !known[i] || known[i]->size() != 32 ||
          *known[i] != proofToken(action, true, format::RunMode::verify, parent_->status))
         out.push_back(packAction(action));
   }
   return out;
}

std::optional<std::string> OpenBlock::checkProofs(const format::SignedTransaction& transaction,
                                                  const format::Transaction& unpacked, const format::Checksum256& id) {
   for (const PackedAction& proof : unverified(transaction, unpacked, id))
      if (auto error = failedProof(machine_, *parent_, proof, purpose_ == BlockPurpose::produce))
         return error;
   return std::nullopt;
}

void OpenBlock::verifyProofs(const std::vector<format::SignedTransaction>& transactions) {
   std::vector<PackedAction> proofs;
   for (const format::SignedTransaction& transaction : transactions) {
      if (transaction.proofs.empty())
         continue;
      const auto unpacked = transaction.transaction.unpack();
      if (unpacked && unpacked->claims.size() == transaction.proofs.size())
         for (PackedAction& proof : unverified(transaction, *unpacked, format::transactionId(transaction)))
            proofs.push_back(std::move(proof));
   }
   blockProofs_ = std::make_unique<BlockProofs>(machine_, parent_, std::move(proofs));
}

std::optional<std::string> OpenBlock::failedProofs() {
   return blockProofs_ ? blockProofs_->firstError() : std::nullopt;
}

std::optional<std::string> OpenBlock::runGenesis(const format::Transaction& transaction) {
   if (transaction.actions.size() != 1)
      return "genesis transaction must have exactly one action";
   const auto data = format::unpackStrict<format::GenesisActionData>(transaction.actions[0].rawData);
   if (!data)
      return "genesis action is malformed";
   std::set<format::AccountNumber> seen;
   for (const format::GenesisService& s : data->services) {
      if (!s.service)
         return "genesis: account 0 cannot have code";
      if (!seen.insert(s.service).second)
         return "genesis: " + s.service.str() + " is there twice";
      if (s.code.empty())
         return "genesis: " + s.service.str() + " has no code";
      const format::CodeRow row{s.service, s.flags, format::sha256(ByteView(s.code)), s.vmType, s.vmVersion};
      state_.put(storeKey(db::native, row.key()), format::pack(row));
      const format::CodeByHashRow code{row.codeHash, s.vmType, s.vmVersion, s.code};
      const Bytes key = storeKey(db::native, code.key());
      if (!state_.get(key))
         state_.put(key, format::pack(code));
      if (s.flags & format::CodeRow::isVerify)
         changes_.accounts.insert(s.service);
   }
   return std::nullopt;
}

bool OpenBlock::codeReady(const format::Checksum256& code) const {
   format::WasmConfigRow wasm;
   if (const auto packed =
           state_.get(storeKey(db::native, format::WasmConfigRow::key(format::NativeTable::transactionWasmConfig))))
      if (auto row = format::unpack<format::WasmConfigRow>(*packed))
         wasm = *row;
   return machine_.ahead.isReady(code, vmOptions(wasm.vmOptions));
}

Outcome OpenBlock::push(format::SignedTransaction transaction, bool proofsChecked, bool awaitCode) {
   const bool producing = purpose_ == BlockPurpose::produce;
   const format::Checksum256 id = format::transactionId(transaction);
   const auto unpacked = transaction.transaction.unpack();
   Outcome outcome;
   // A transaction of a finished block is not undone: the block goes with it.
   const auto mark = producing ? state_.mark() : std::nullopt;
   SubjectiveRecord record;
   record.replaying = !producing;

   const auto refuse = [&](std::string text) { outcome.error = std::move(text); };
   if (!unpacked)
      refuse("transaction is malformed");
   else if (transaction.proofs.size() != unpacked->claims.size())
      refuse("proofs and claims must have same size");
   else if (producing && transaction.subjectiveData)
      refuse("transaction must not bring subjective data");
   else if (!producing && !transaction.subjectiveData)
      refuse("Missing subjective data");
   else if (unpacked->tapos.flags & format::Tapos::doNotBroadcast)
      refuse("cannot commit a transaction that must not be broadcast");
   else if (beforeGenesis()) {
      outcome.error = runGenesis(*unpacked);
      if (!outcome.error && !transaction.proofs.empty())
         refuse("genesis transaction cannot have proofs");
   } else {
      if (!proofsChecked)
         if (auto error = checkProofs(transaction, *unpacked, id))
            refuse("verification failed: " + *error);
      if (!outcome.error) {
         if (!producing)
            record.entries = *transaction.subjectiveData;
         Context context(machine_, state_,
                         {.mode = Mode::transaction,
                          .view = view(),
                          .cpuNs = machine_.options.transactionCpuNs,
                          .producing = producing,
                          .changes = &changes_,
                          .record = &record,
                          .awaitCode = awaitCode,
                          .cache = &cache_});
         format::ProcessTransactionArgs arguments{std::move(transaction.transaction)};
         PackedAction action =
             packAction(format::AccountNumber(), transact, format::MethodNumber(), format::pack(arguments));
         transaction.transaction = std::move(arguments.transaction);
         outcome.action = context.run(std::move(action), Entry::processTransaction);
         outcome.error = outcome.action->error;
         if (!outcome.error)
            context.compileStored();
         else if (context.waitsForCode()) {
            state_.rollBack(mark);
            waiting_ = Waiting{std::move(transaction), id, *context.waitsForCode()};
            return outcome;
         }
      }
   }

   if (outcome.error)
      state_.rollBack(mark);
   else
      state_.keep(mark);
   if (!outcome.error) {
      if (producing)
         transaction.subjectiveData = std::move(record.entries);
      machine_.counters.transactions.fetch_add(1, std::memory_order_relaxed);
      ids_.push_back(id);
      leaves_.push_back(format::merkleLeaf(
          format::TransactionInfo{id, hashOf(transaction.proofs), hashOf(*transaction.subjectiveData)}));
      bytes_ += transaction.transaction.packed.size();
      transactions_.push_back(std::move(transaction));
   }
   if (producing || !outcome.error)
      tell(id, outcome);
   return outcome;
}

void OpenBlock::tell(const format::Checksum256& id, const Outcome& outcome) {
   Bytes told;
   for (const format::Action& action :
        registered(outcome.error ? NotifyType::rejectTransaction : NotifyType::acceptTransaction, false)) {
      if (!concerns(action, id))
         continue;
      if (told.empty())
         told = packTold(id, outcome);
      (void)runCallback(action, told);
   }
}

Outcome OpenBlock::pushStartBlock() {
   // The block number makes it unique when blocks are less than a second apart (spec, consensus D25).
   format::Transaction transaction;
   transaction.tapos.expiration = format::ceilToSec({header_.time.microseconds + second});
   transaction.actions.push_back(
       {format::AccountNumber(), transact, "startBlock"_m, format::pack(std::tuple(std::optional(header_.blockNum)))});
   format::SignedTransaction startBlock;
   startBlock.transaction = format::Nested<format::Transaction>(transaction);
   return push(std::move(startBlock), true);
}

bool OpenBlock::writeAuthServices() {
   const bool present = state_.last(Bytes{db::prevAuthServices}).has_value();
   if (status_.consensus.next && !present && !status_.consensus.current.services.empty())
      for (const auto& [key, value] :
           verifyDatabase(parent_->version, status_.consensus.current.services, db::prevAuthServices))
         state_.put(key, value);
   return status_.consensus.next || !present;
}

std::expected<format::Checksum256, Rejection> OpenBlock::finish() {
   if (beforeGenesis())
      return std::unexpected(Rejection{"there was no genesis transaction"});
   if (auto packed = state_.get(storeKey(db::native, format::StatusRow::key())))
      if (auto row = format::unpack<format::StatusRow>(*packed))
         status_ = std::move(*row);
   auto& consensus = status_.consensus;

   const format::Consensus& known = newest(consensus);
   VerifyServices after = verifyServicesAfter(state_, known, changes_);
   if (after.services != known.services || after.wasmConfig != known.wasmConfig) {
      header_.authCode = std::move(after.code);
      if (!consensus.next)
         consensus.next = format::PendingConsensus{{consensus.current.data, {}, {}}, 0};
      consensus.next->consensus.services = std::move(after.services);
      consensus.next->consensus.wasmConfig = after.wasmConfig;
      consensus.next->blockNum = header_.blockNum;
   }

   if (consensus.next && consensus.next->blockNum == header_.blockNum) {
      std::visit(
          [&](auto& data) {
             if (data.producers.empty())
                data.producers.push_back({header_.producer, {}});
          },
          consensus.next->consensus.data);
      header_.newConsensus = consensus.next->consensus;
   }
   if (format::isSingleProducer(consensus)) {
      if (header_.commitNum != header_.blockNum - 1)
         return std::unexpected(Rejection{"Forbidden consensus update"});
      header_.commitNum = header_.blockNum;
   }
   if (format::jointIsOver(consensus, header_.commitNum) && purpose_ != BlockPurpose::replay) {
      const format::ConsensusChangeRow row{consensus.next->blockNum, header_.commitNum, header_.blockNum};
      machine_.local.write({{storeKey(db::nativeSubjective, row.key()), format::pack(row)}});
   }
   if (!writeAuthServices())
      return std::unexpected(Rejection{"Forbidden consensus update"});

   header_.consensusState = format::sha256Of(consensus);
   format::Merkle tree;
   for (const auto& leaf : leaves_)
      tree.push(leaf);
   header_.trxMerkleRoot = tree.root();
   header_.eventMerkleRoot = status_.current.eventMerkleRoot;

   id_ = format::blockId(header_);
   format::BlockHeader bare = header_;
   bare.authCode.reset();
   if (!parent_->header)
      status_.chainId = id_;
   status_.head = format::BlockInfo{bare, id_};
   status_.current = std::move(bare);
   status_.current.previous = id_;
   status_.current.blockNum = header_.blockNum + 1;
   status_.current.time.microseconds += second;
   writeStatus();
   return id_;
}

std::vector<format::Checksum256> OpenBlock::dropBlocks(std::uint32_t num) {
   constexpr std::size_t atOnce = 1024;
   std::vector<format::Checksum256> gone;
   std::optional<std::uint32_t> change; ///< of producers, that has not ended
   for (std::uint32_t at = 0; at < num && gone.size() < atOnce; ++at) {
      const auto entry = state_.lowerBound(storeKey(db::blockLog, bigEndian32(at)));
      if (!entry || entry->key.size() != 5 || entry->key[0] != db::blockLog)
         break;
      auto block = format::unpack<format::Block>(entry->value);
      const Bytes key = toBytes(entry->key);
      if (!block)
         throw Fault("a block of the log cannot be read");
      const format::BlockHeader& header = block->header;
      at = header.blockNum;
      if (at >= num)
         break;
      if (header.newConsensus)
         change = at;
      const bool shows = at == 2 || change;
      if (change && header.commitNum >= *change)
         change.reset();
      if (!shows) {
         state_.remove(key);
         state_.remove(storeKey(db::blockProof, ByteView(key).subspan(1)));
         gone.push_back(format::blockId(header));
      } else if (!block->transactions.empty()) {
         block->transactions.clear();
         state_.put(key, format::pack(*block));
      }
   }
   return gone;
}

std::pair<std::shared_ptr<const format::SignedBlock>, BlockStatePtr> OpenBlock::complete(Bytes signature,
                                                                                         std::optional<Bytes> aux) {
   auto block = std::make_shared<format::SignedBlock>();
   block->block.header = header_;
   block->block.transactions = std::move(transactions_);
   block->signature = std::move(signature);
   block->auxConsensusData = std::move(aux);
   const auto numberKey = bigEndian32(header_.blockNum);
   state_.put(storeKey(db::blockLog, numberKey), format::pack(block->block));
   state_.put(storeKey(db::blockProof, numberKey), format::pack(block->signature));
   if (block->auxConsensusData && purpose_ != BlockPurpose::replay) {
      const format::BlockDataRow row{id_, block->auxConsensusData};
      machine_.local.write({{storeKey(db::nativeSubjective, row.key()), format::pack(row)}});
   }
   for (const format::Action& action : registered(NotifyType::acceptBlock, false))
      (void)runCallback(action, action.rawData);
   machine_.counters.blocks.fetch_add(1, std::memory_order_relaxed);

   auto state = std::make_shared<BlockState>();
   state->id = id_;
   state->num = header_.blockNum;
   state->header = status_.head->header;
   state->status = std::move(status_);
   state->version = state_.snapshot();
   return {std::move(block), std::move(state)};
}

bool OpenBlock::signatureValid(Machine& machine, const BlockStatePtr& parent, const format::Claim& claim,
                               const format::Checksum256& blockId, const Bytes& signature) {
   if (!claim.service)
      return signature.empty();
   ChainState state(parent->version);
   const bool joint = state.last(Bytes{db::prevAuthServices}).has_value();
   Context context(machine, state,
                   {.mode = Mode::verify,
                    .view = Checkout::View::empty,
                    .producing = false,
                    .codeDatabase = joint ? db::prevAuthServices : db::native});
   const format::VerifyArgs arguments{format::blockSignatureDigest(blockId), claim, signature};
   return !context
               .run(packAction(format::AccountNumber(), claim.service, "verifySys"_m, format::pack(arguments)),
                    Entry::called)
               .error;
}

} // namespace polis::kernel
