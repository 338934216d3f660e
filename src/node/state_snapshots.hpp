// Snapshots that the chain orders: every node hashes its state there, producers sign the hash, and the newest state for
// which enough have signed is kept for newcomers. Source: spec, consensus §6 Y7, §7.3 S2, S3.
#pragma once

#include "consensus/consensus.hpp"
#include "kernel/kernel.hpp"
#include "peer/routes.hpp"
#include "peer/snapshot_offer.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace polis::node {

using peer::PeerId;

/// The peer thread's.
class StateSnapshots {
public:
   /// What was found out about a state on another thread.
   struct Measured {
      kernel::BlockStatePtr state;
      format::StateChecksum checksum{};
      std::uint64_t stateBytes = 0, blockBytes = 0;
      std::vector<Bytes> headers{};
      std::string problem{}; ///< why it cannot be given to others; empty: it can
   };

   struct Options {
      format::AccountNumber producer;
      /// Runs `work` on another thread, that of queries. False: there are too many already.
      std::function<bool(std::function<void()> work)> background;
      /// Brings the outcome of such work back to the peer thread. Any thread.
      std::function<void(Measured)> measured;
      /// To every neighbour but one, once it has the block.
      std::function<void(const consensus::StateChecksumMessage&, std::optional<PeerId> except)> flood;
      std::function<void(PeerId, std::string reason)> disconnect;
      std::function<void(std::string reason)> halt;
   };

   /// All outlive it.
   StateSnapshots(kernel::Kernel& kernel, consensus::Signatures& signatures, Options options);

   /// The kernel begins anew: with what it keeps.
   void begin();
   /// This block is irreversible, as are those before it.
   void irreversible(const consensus::BlockId& id);
   void measured(Measured measured);
   void received(PeerId from, consensus::StateChecksumMessage message);
   void closed(PeerId peer) { early_.erase(peer); }
   /// For a new neighbour.
   std::vector<consensus::StateChecksumMessage> signatures() const;

   /// May be null.
   const std::shared_ptr<const peer::SnapshotOffer>& offer() const { return offer_; }

private:
   struct Known {
      Measured state;
      std::map<format::AccountNumber, format::StateSignature> signatures{};
      /// Of another state after the same block.
      std::map<format::AccountNumber, format::StateSignature> others{};
      bool toldOfOthers = false;
   };

   void measure(kernel::BlockStatePtr state);
   void sign(Known& known);
   void look(const consensus::BlockId& id, Known& known);

   kernel::Kernel& kernel_;
   consensus::Signatures& signer_;
   const Options options_;
   format::BlockNum seen_ = 0;
   std::optional<consensus::BlockId> measuring_;
   /// Scheduled while another one was measured; only the newest matters.
   kernel::BlockStatePtr waiting_;
   /// By id, which sorts by height: the newest that can be given away, and what may become it.
   std::map<consensus::BlockId, Known> known_;
   /// Signatures for blocks that are not measured here yet.
   std::map<PeerId, std::deque<consensus::StateChecksumMessage>> early_;
   std::shared_ptr<const peer::SnapshotOffer> offer_;
};

} // namespace polis::node
