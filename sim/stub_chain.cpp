#include "sim/stub_chain.hpp"

#include "format/fracpack.hpp"

namespace polis::sim {
namespace {

constexpr std::int64_t second = 1'000'000;

std::int64_t expirationOf(std::int64_t timeUs) { return format::ceilToSec({timeUs + second}).seconds; }

/// Stands for the state: it follows from the parent's and from the transactions.
Checksum256 rootAfter(const ChainState& parent, const Checksum256& transactions) {
   Bytes both(parent.spot.header.eventMerkleRoot.begin(), parent.spot.header.eventMerkleRoot.end());
   both.insert(both.end(), transactions.begin(), transactions.end());
   return format::sha256(ByteView(both));
}

bool startBlockWasUsed(const ChainState& parent, const Checksum256& id, std::int64_t timeUs) {
   for (const ChainState* at = &parent; at; at = at->parent.get()) {
      if (at->startBlock == id)
         return true;
      if (expirationOf(at->spot.header.time.microseconds) * second <= timeUs)
         return false;
   }
   return false;
}

const format::Action* actionOf(const format::SignedTransaction& transaction, format::Transaction& storage) {
   auto unpacked = transaction.transaction.unpack();
   if (!unpacked || unpacked->actions.size() != 1)
      return nullptr;
   storage = std::move(*unpacked);
   return &storage.actions[0];
}

} // namespace

bool isAncestor(const ChainState& ancestor, const ChainState& state) {
   const ChainState* at = &state;
   while (at && at->spot.header.blockNum > ancestor.spot.header.blockNum)
      at = at->parent.get();
   return at && at->spot.id == ancestor.spot.id;
}

StubChain::StubChain(Spot genesis) {
   auto state = std::make_shared<ChainState>();
   state->spot = std::move(genesis);
   genesis_ = state;
   states_[state->spot.id] = genesis_;
}

StatePtr StubChain::find(const BlockId& id) const {
   const auto at = states_.find(id);
   return at == states_.end() ? nullptr : at->second;
}

bool StubChain::endless(const format::SignedBlock& block) {
   format::Transaction storage;
   for (const auto& transaction : block.block.transactions)
      if (const auto* action = actionOf(transaction, storage); action && action->method == format::MethodNumber("spin"))
         return true;
   return false;
}

StatePtr StubChain::execute(const BlockPtr& block) {
   const BlockId id = format::blockId(block->block.header);
   if (const auto known = find(id))
      return known;
   if (invalid_.contains(id))
      return nullptr;
   const StatePtr parent = find(block->block.header.previous);
   const StatePtr state = parent ? replay(parent, *block) : nullptr;
   if (state)
      states_[id] = state;
   else
      invalid_[id] = true;
   return state;
}

void StubChain::adopt(const BlockPtr& block) {
   const format::BlockHeader& header = block->block.header;
   const StatePtr parent = find(header.previous);
   auto state = std::make_shared<ChainState>();
   state->spot = Spot::of(block, parent->spot);
   state->parent = parent;
   state->changes = parent->changes + (header.newConsensus ? 1 : 0);
   states_.emplace(state->spot.id, std::move(state));
}

StatePtr StubChain::replay(const StatePtr& parent, const format::SignedBlock& block) const {
   const format::BlockHeader& header = block.block.header;
   auto state = std::make_shared<ChainState>();
   state->parent = parent;
   state->spot.header = header;
   state->spot.id = format::blockId(header);
   const ChainConsensusPtr start = parent->spot.after();
   state->spot.end = consensusAfter(start, header);
   state->dead = parent->dead || block.block.transactions.empty();
   if (header.blockNum != parent->spot.header.blockNum + 1 || header.time <= parent->spot.header.time ||
       state->spot.end->hash != header.consensusState ||
       header.eventMerkleRoot != rootAfter(*parent, header.trxMerkleRoot) ||
       (parent->dead && !block.block.transactions.empty()))
      return nullptr;
   if (start->sets.single() && header.commitNum != (header.newConsensus ? header.blockNum - 1 : header.blockNum))
      return nullptr;
   std::optional<format::Consensus> change;
   for (std::size_t i = 0; i < block.block.transactions.size(); ++i) {
      const format::SignedTransaction& transaction = block.block.transactions[i];
      format::Transaction storage;
      const format::Action* action = actionOf(transaction, storage);
      if (!action || (i == 0) != (action->method == format::MethodNumber("startBlock")))
         return nullptr;
      if (i == 0) {
         state->startBlock = format::transactionId(transaction);
         if (storage.tapos.expiration.seconds * second <= header.time.microseconds ||
             startBlockWasUsed(*parent, state->startBlock, header.time.microseconds))
            return nullptr;
      } else if (action->method == format::MethodNumber("setConsensus")) {
         auto wanted = format::unpack<format::Consensus>(action->rawData);
         if (!wanted || start->sets.joint())
            return nullptr;
         change = std::move(*wanted);
      }
   }
   state->changes = parent->changes + (change ? 1 : 0);
   if (change != header.newConsensus)
      return nullptr;
   return state;
}

BlockPtr StubChain::build(const StatePtr& parent, const Order& order) const {
   if (parent->dead && !order.empty)
      return nullptr;
   format::SignedBlock block;
   format::BlockHeader& header = block.block.header;
   header.time.microseconds = order.timeUs;
   header.producer = order.producer;
   header.term = order.term;
   header.commitNum = order.commitNum;
   block.auxConsensusData = order.aux;
   const BlockNum num = parent->spot.header.blockNum + 1;
   if (!order.empty) {
      Bytes argument;
      if (order.uniqueStartBlock)
         argument = format::pack(num);
      block.block.transactions.push_back(testTransaction("startBlock", argument, expirationOf(order.timeUs)));
      if (startBlockWasUsed(*parent, format::transactionId(block.block.transactions[0]), order.timeUs))
         return nullptr;
      if (order.change && !parent->spot.after()->sets.joint()) {
         header.newConsensus = order.change;
         block.block.transactions.push_back(testTransaction("setConsensus", format::pack(*order.change), num));
      }
      if (order.spins)
         block.block.transactions.push_back(testTransaction("spin", {}, num));
      if (order.mark)
         block.block.transactions.push_back(testTransaction("note", format::pack(order.mark), num));
   }
   if (parent->spot.after()->sets.single())
      header.commitNum = header.newConsensus ? num - 1 : num;
   // The root of the state depends on the tree of transactions, which sealing computes too.
   format::Merkle tree;
   for (const auto& transaction : block.block.transactions)
      tree.push(format::merkleLeaf(format::transactionInfo(transaction)));
   header.eventMerkleRoot = rootAfter(*parent, tree.root());
   if (order.falseState)
      header.eventMerkleRoot[5] ^= 1;
   return sealedTestBlock(parent->spot, std::move(block));
}

} // namespace polis::sim
