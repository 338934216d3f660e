// What the network asks of the chain that this node holds.
#pragma once

#include "consensus/messages.hpp"
#include "peer/snapshot_offer.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace polis::peer {

using consensus::BlockId;
using consensus::ExtendedBlockId;
using format::AccountNumber;
using format::BlockNum;

/// The zero id at height 1 stands for the state before genesis; every chain begins there.
inline constexpr ExtendedBlockId beginning{{}, 1};

/// Answers for one moment: whoever owns the network changes the chain only between two calls of it.
class ChainView {
public:
   virtual ~ChainView() = default;
   virtual ExtendedBlockId head() const = 0;
   /// The newest irreversible block, an ancestor of head or head itself.
   virtual ExtendedBlockId committed() const = 0;
   /// The height with which the block log begins, which is irreversible: whole blocks are at hand from the next one on.
   /// 0: all of them are.
   virtual BlockNum logStart() const = 0;
   /// The id at a height of the chain of head, from 1 to head's.
   virtual std::optional<BlockId> onChain(BlockNum num) const = 0;
   /// Whether the block is in memory, on whatever fork.
   virtual bool knows(const BlockId& id) const = 0;
   /// The parent of a block that `knows` holds of.
   virtual std::optional<ExtendedBlockId> parent(const BlockId& id) const = 0;
   /// The frame that carries the block at a height of the chain of head. None: it is not at hand.
   virtual std::optional<Bytes> blockFrame(BlockNum num) const = 0;
   /// The newest state that may be given to a newcomer. Null: none.
   virtual std::shared_ptr<const SnapshotOffer> snapshot() const { return nullptr; }
   /// Frames that follow the block on a link.
   virtual std::vector<Bytes> votes(const BlockId& id) const = 0;
   /// Producers of the set in force and of the one to come.
   virtual bool isProducer(AccountNumber name) const = 0;
   virtual bool isProducer(AccountNumber name, const format::Claim& claim) const = 0;
   /// Whether one of them has signed it. Takes a while.
   virtual bool isSigned(const consensus::Message& message) const = 0;
   /// Why a block whose parent `knows` holds of is not its author's, as far as that is known. Takes a while.
   virtual std::optional<std::string> authorProblem(const format::BlockHeader& header, ByteView signature) const = 0;
};

} // namespace polis::peer
