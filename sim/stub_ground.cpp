#include "sim/checker.hpp"
#include "sim/ground.hpp"

namespace polis::sim {
namespace {

class StubGround final : public Ground {
public:
   explicit StubGround(StubChain& chain) : chain_(chain) {}

   Restored open() override {
      Restored restored;
      for (const Entry& entry : journal_)
         if (entry.record)
            restored.record = entry.record;
      StatePtr root = chain_.genesis();
      if (restored.record && !restored.record->committed.none())
         root = chain_.find(restored.record->committed.id);
      restored.root = root->spot.id;
      restored.rootHeader = root->spot.header;
      restored.rootConsensus = root->spot.end->joint;
      for (const Entry& entry : journal_)
         if (entry.block && entry.block->block.header.blockNum > root->spot.header.blockNum)
            restored.blocks.push_back(entry.block);
      return restored;
   }
   void crash(Dice& dice) override {
      // The tail is written in order; how far it came nobody knows.
      const std::size_t lost = dice.below(journal_.size() - synced_ + 1);
      journal_.resize(journal_.size() - lost);
      synced_ = journal_.size();
   }
   bool execute(const BlockPtr& block) override {
      if (!chain_.execute(block))
         return false;
      journal_.push_back({block, std::nullopt});
      return true;
   }
   BlockPtr build(const StatePtr& parent, const StubChain::Order& order) override {
      BlockPtr block = chain_.build(parent, order);
      return block && execute(block) ? block : nullptr;
   }
   void remember(const SafetyRecord& record) override { journal_.push_back({nullptr, record}); }
   void setHead(const BlockId&) override {}
   void commit(const CommitBlock&) override {}
   std::uint64_t end() const override { return journal_.size(); }
   void sync(std::uint64_t upTo) override { synced_ = upTo; }
   std::optional<Bytes> stateAt(const BlockId&) const override { return std::nullopt; }

private:
   struct Entry {
      BlockPtr block{};
      std::optional<SafetyRecord> record{};
   };
   StubChain& chain_;
   std::vector<Entry> journal_;
   std::size_t synced_ = 0;
};

class StubGrounds final : public Grounds {
public:
   explicit StubGrounds(Spot genesis) : genesis_(std::move(genesis)) {}
   Spot genesis() const override { return genesis_; }
   std::unique_ptr<Ground> make(StubChain& chain, AccountNumber) override {
      return std::make_unique<StubGround>(chain);
   }
   std::optional<std::string> again(const StubChain& chain, const Checker& checker) override {
      StatePtr state = chain.genesis();
      for (const auto& [num, id] : checker.canonical()) {
         const BlockPtr block = checker.block(id);
         state = block ? chain.replay(state, *block) : nullptr;
         if (!state || state->spot.id != id)
            return "I7: executed again, block " + std::to_string(num) + " is another one";
      }
      return std::nullopt;
   }

private:
   Spot genesis_;
};

} // namespace

std::unique_ptr<Grounds> stubGrounds(const format::Consensus& first, std::int64_t timeUs) {
   Spot genesis;
   genesis.end = std::make_shared<ChainConsensus>(format::JointConsensus{first, std::nullopt});
   genesis.header.blockNum = 10;
   genesis.header.commitNum = 9;
   genesis.header.time.microseconds = timeUs;
   genesis.header.consensusState = genesis.end->hash;
   genesis.id = format::blockId(genesis.header);
   return std::make_unique<StubGrounds>(std::move(genesis));
}

} // namespace polis::sim
