// A chain without contents, for tests of the network.
#pragma once

#include "format/ids.hpp"
#include "peer/chain_view.hpp"

#include <map>
#include <set>

namespace polis::peer {

class TestChainView final : public ChainView {
public:
   std::vector<format::SignedBlock> chain; ///< chain[i] has height i + 2
   std::vector<ExtendedBlockId> ids;       ///< of these
   std::map<BlockId, format::SignedBlock> memory;
   BlockNum committedNum = 1;
   BlockNum start = 0;
   std::set<AccountNumber> producers;
   std::shared_ptr<const SnapshotOffer> offered;

   /// Adds `count` blocks; `fork` makes them differ from others of the same height.
   void grow(BlockNum count, std::uint32_t fork = 0) {
      for (BlockNum i = 0; i < count; ++i) {
         format::SignedBlock block;
         block.block.header.previous = head().id;
         block.block.header.blockNum = head().num + 1;
         block.block.header.term = fork;
         add(block);
      }
   }
   void add(const format::SignedBlock& block) {
      chain.push_back(block);
      ids.push_back(idOf(block));
      memory[ids.back().id] = block;
   }
   /// Back to a height; the blocks stay in memory.
   void cut(BlockNum num) {
      chain.resize(num - 1);
      ids.resize(num - 1);
   }

   static ExtendedBlockId idOf(const format::SignedBlock& block) {
      return {format::blockId(block.block.header), block.block.header.blockNum};
   }
   ExtendedBlockId head() const override { return ids.empty() ? beginning : ids.back(); }
   ExtendedBlockId committed() const override {
      return committedNum < 2 ? beginning : ExtendedBlockId{*onChain(committedNum), committedNum};
   }
   BlockNum logStart() const override { return start; }
   std::optional<BlockId> onChain(BlockNum num) const override {
      if (num == 1)
         return BlockId{};
      if (num < 2 || num - 2 >= chain.size())
         return std::nullopt;
      return ids[num - 2].id;
   }
   bool knows(const BlockId& id) const override { return memory.contains(id) || id == beginning.id; }
   std::optional<ExtendedBlockId> parent(const BlockId& id) const override {
      const auto at = memory.find(id);
      if (at == memory.end())
         return std::nullopt;
      const auto& header = at->second.block.header;
      return ExtendedBlockId{header.previous, header.blockNum - 1};
   }
   std::optional<Bytes> blockFrame(BlockNum num) const override {
      if (num < 2 || num - 2 >= chain.size())
         return std::nullopt;
      return consensus::encode(consensus::BlockMessage{chain[num - 2]});
   }
   std::shared_ptr<const SnapshotOffer> snapshot() const override { return offered; }
   std::vector<Bytes> votes(const BlockId&) const override { return {}; }
   bool isProducer(AccountNumber name) const override { return producers.contains(name); }
   bool isProducer(AccountNumber name, const format::Claim&) const override { return producers.contains(name); }
   /// What is forged says so.
   static constexpr std::uint8_t forged = 0xF0;
   bool isSigned(const consensus::Message& message) const override {
      ++checks;
      return std::visit(
          []<class M>(const M& m) {
             if constexpr (requires { m.signature; })
                return m.signature.empty() || m.signature[0] != forged;
             return false;
          },
          message);
   }
   std::optional<std::string> authorProblem(const format::BlockHeader&, ByteView signature) const override {
      ++checks;
      return !signature.empty() && signature[0] == forged ? std::optional("the block is forged") : std::nullopt;
   }
   mutable std::size_t checks = 0; ///< of signatures
};

} // namespace polis::peer
