// Blocks that consensus is not told of yet: the code by which they are checked is in a block that is still executed.
#pragma once

#include "consensus/consensus.hpp"
#include "format/fracpack.hpp"
#include "format/ids.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>

namespace polis::node {

/// By id, which sorts by height: parents come first. What is held here nobody has checked, so that it is little.
class HeldBlocks {
public:
   struct Limits {
      std::size_t blocksMax = 1024;
      std::size_t bytesMax = std::size_t{64} << 20;
   };
   HeldBlocks() : HeldBlocks(Limits()) {}
   explicit HeldBlocks(Limits limits) : limits_(limits) {}

   bool contains(const consensus::BlockId& id) const { return blocks_.contains(id); }
   /// Null: it is not held.
   consensus::BlockPtr find(const consensus::BlockId& id) const {
      const auto at = blocks_.find(id);
      return at == blocks_.end() ? nullptr : at->second.block.block;
   }
   /// Nothing is held twice. When there are too many, all of the neighbour are forgotten that has sent most bytes: it
   /// is returned, and is to be let go, for it would not send them again.
   [[nodiscard]] std::optional<consensus::PeerId> add(const consensus::BlockId& id, consensus::BlockReceived block) {
      const std::size_t bytes = format::packedSize(*block.block);
      if (!blocks_.try_emplace(id, Held{std::move(block), bytes}).second)
         return std::nullopt;
      bytes_ += bytes;
      if (blocks_.size() <= limits_.blocksMax && bytes_ <= limits_.bytesMax)
         return std::nullopt;
      std::map<consensus::PeerId, std::size_t> sums;
      for (const auto& [held, of] : blocks_)
         sums[of.block.from] += of.bytes;
      const auto most = std::ranges::max_element(sums, {}, [](const auto& sum) { return sum.second; })->first;
      drop([&](const auto& held) { return held.second.block.from == most; });
      return most;
   }
   void dropUpTo(format::BlockNum num) {
      drop([&](const auto& held) { return format::blockNumOf(held.first) <= num; });
   }
   /// The first for which this holds.
   std::optional<consensus::BlockReceived> take(const std::function<bool(const format::BlockHeader&)>& wanted) {
      const auto at = std::ranges::find_if(
          blocks_, [&](const auto& held) { return wanted(held.second.block.block->block.header); });
      if (at == blocks_.end())
         return std::nullopt;
      consensus::BlockReceived out = std::move(at->second.block);
      bytes_ -= at->second.bytes;
      blocks_.erase(at);
      return out;
   }
   void clear() {
      blocks_.clear();
      bytes_ = 0;
   }

private:
   struct Held {
      consensus::BlockReceived block;
      std::size_t bytes = 0;
   };
   template <class F>
   void drop(F&& which) {
      std::erase_if(blocks_, [&](const auto& held) {
         if (!which(held))
            return false;
         bytes_ -= held.second.bytes;
         return true;
      });
   }

   Limits limits_;
   std::map<consensus::BlockId, Held> blocks_;
   std::size_t bytes_ = 0;
};

} // namespace polis::node
