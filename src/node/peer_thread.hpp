#pragma once
#include "base/log.hpp"
#include "base/mutex.hpp"
#include "consensus/consensus.hpp"
#include "node/chain_thread.hpp"
#include "node/consensus_story.hpp"
#include "node/held_blocks.hpp"
#include "node/log_allowance.hpp"
#include "node/state_snapshots.hpp"
#include "node/told_lately.hpp"
#include "node/wake.hpp"
#include "peer/network.hpp"
#include "vm/execution_thread.hpp"
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>

namespace polis::node {

class SnapshotIntake;

/// Frames that begin with a smaller byte are the node's, the rest those of the service `x-peers` (spec, consensus N2).
inline constexpr std::uint8_t peerFramesEnd = 64;

/// One connection to a neighbour. Any thread; nothing blocks.
class PeerLink {
public:
   virtual ~PeerLink() = default;
   virtual void sendFrame(Bytes&& frame) = 0;
   /// Allows one frame more.
   virtual void readFrame() = 0;
   /// Ends the connection.
   virtual void drop() = 0;
   /// The other end, for the log.
   virtual std::string where() const = 0;
   /// Its address, or what stands for one; none: this node has asked for the connection.
   virtual std::optional<peer::Source> comesFrom() const = 0;
};

/// Owns the network and the replica: takes frames to consensus, and does what it asks for, by the chain thread, the
/// journal and the links.
class PeerThread {
public:
   struct Options {
      /// This node's producer; 0: it only follows.
      format::AccountNumber producer;
      /// The id of the only chain that is taken from others. None: whichever comes first.
      std::optional<format::Checksum256> chain{};
      /// The operator says that no vote of the producer can be lost.
      bool nothingForgotten = false;
      /// Takes frac(Action) from another node to the services.
      std::function<void(Bytes)> transaction;
      /// Whether the key of a claim, which is not empty, is at hand, and what it signs.
      std::function<bool(const format::Claim&)> canSign;
      std::function<std::optional<Bytes>(const format::Claim&, const format::Checksum256& digest)> sign;
      /// The keys that this node has.
      std::function<std::vector<format::Claim>()> claims;
      /// Has the journal synced soon, and `durable` called.
      std::function<void()> sync;
      /// Runs `work` on a thread of queries. False: there are too many already.
      std::function<bool(std::function<void()> work)> background;
      /// Bytes that a snapshot which comes in may take.
      std::uint64_t snapshotBytesMax = 0;
   };

   /// For the operator. Of one moment.
   struct Status {
      consensus::TermNum term = 0;
      consensus::Role role = consensus::Role::observer;
      consensus::Replica::Counters counters{};
   };

   /// All outlive it.
   PeerThread(kernel::Kernel& kernel, store::Store& store, vm::Engine& engine, ChainThread& chain, Options options,
              std::function<void(const char*)> onFault);
   ~PeerThread();
   /// Before the chain thread starts. Throws Fault.
   void start();
   /// Ends the thread, and every link.
   void stop();

   // ---- any thread ----

   PeerId opened(std::shared_ptr<PeerLink> link);
   void frame(PeerId peer, Bytes&& frame) { tell(Frame{peer, std::move(frame)}); }
   void written(PeerId peer) { tell(Written{peer}); }
   void closed(PeerId peer) { tell(Closed{peer}); }
   /// frac(Action) of a service, for every producer that can be reached. Dropped when too many wait.
   void toProducers(Bytes&& action);
   /// A block was sealed here. Chain thread.
   void sealed(const kernel::SealedBlock& block);
   void productionFailed(const format::Checksum256& parent) { tell(consensus::ProductionFailed{parent}); }
   /// A chain was made here, all of it durable: consensus begins with it. Chain thread.
   void chainMade();
   /// The journal is durable up to here.
   void durable(store::JournalPosition upTo);

   std::size_t links() const { return linkCount_.load(); }
   Status status() const;
   /// What neighbours say of themselves.
   std::vector<peer::Introduction> neighbours() const;

private:
   struct Opened {
      PeerId peer;
      std::shared_ptr<PeerLink> link;
   };
   struct Frame {
      PeerId peer;
      Bytes bytes;
   };
   struct Written {
      PeerId peer;
   };
   struct Closed {
      PeerId peer;
   };
   struct ToProducers {
      Bytes action;
   };
   struct Executed {
      std::uint64_t life;
      consensus::BlockExecuted result;
      std::string reason;
   };
   struct Sealed {
      consensus::BlockPtr block;
      store::JournalPosition end;
   };
   struct ChainMade {};
   struct SnapshotChecked {
      std::expected<void, std::string> verdict;
   };
   using Event = std::variant<Opened, Frame, Written, Closed, ToProducers, Executed, Sealed,
                              consensus::ProductionFailed, ChainMade, SnapshotChecked, StateSnapshots::Measured>;
   /// What consensus is told when the journal is durable up to `end`.
   struct Undurable {
      store::JournalPosition end;
      consensus::Event event;
   };

   class View;
   class Signer;
   class Incoming;

   void tell(Event&& event);
   void run();
   void begin();
   void take(Event&& event);
   void takeDurable();
   void step(const consensus::Event& event);
   void tellOfVotes();
   void tellStory(std::int64_t nowUs);
   void tellOfLink(log::Level level, std::string_view text);
   void tellChain();
   std::optional<format::Checksum256> trustedChain() const;
   void checkSnapshot(std::shared_ptr<SnapshotIntake> intake);
   void perform(consensus::Effects effects);
   void perform(consensus::SendToPeer& effect);
   void perform(consensus::SendToProducer& effect);
   void perform(consensus::Multicast& effect);
   void perform(consensus::Flood& effect);
   void perform(consensus::Persist& effect);
   void perform(consensus::Execute& effect);
   void perform(consensus::CancelExecution& effect);
   void perform(consensus::SetHead& effect);
   void perform(consensus::CommitBlock& effect);
   void perform(consensus::Produce& effect);
   void perform(consensus::StopProducing& effect);
   void perform(consensus::Disconnect& effect);
   void perform(consensus::Forged& effect);
   void perform(consensus::Halt& effect);
   void command(std::function<void(kernel::Kernel&)> task);
   void received(consensus::Event&& event);
   void release();
   void handOut();
   void lookAtChain();
   void warnKeyless();
   bool leadsAlone() const;

   kernel::Kernel& kernel_;
   store::Store& store_;
   vm::Engine& engine_;
   ChainThread& chain_;
   Options options_;
   std::function<void(const char*)> onFault_;

   mutable Mutex mutex_;
   std::deque<Event> events_ GUARDED_BY(mutex_);
   std::size_t waitingActions_ GUARDED_BY(mutex_) = 0;
   std::uint64_t lastPeer_ GUARDED_BY(mutex_) = 0;
   Status status_ GUARDED_BY(mutex_);
   std::vector<peer::Introduction> neighbours_ GUARDED_BY(mutex_);
   Wake wake_;
   std::atomic<store::JournalPosition> durable_ = 0;
   std::atomic<bool> stopping_ = false;
   /// Of the replica whose commands count.
   std::atomic<std::uint64_t> wantedLife_ = 0;
   std::atomic<std::size_t> linkCount_ = 0;

   // The thread's own.
   std::unique_ptr<Signer> signer_;
   std::unique_ptr<consensus::Replica> replica_;
   std::unique_ptr<View> view_;
   std::unique_ptr<StateSnapshots> snapshots_;
   std::unique_ptr<Incoming> incoming_;
   std::unique_ptr<peer::Network> network_;
   std::uint64_t life_ = 0; ///< of the replica
   bool ownChain_ = false;  ///< the chain was here when the replica began, or was made here
   bool chainMoved_ = false;
   bool toldChain_ = false, toldOfVotes_ = false;
   std::deque<Undurable> undurable_;
   std::map<PeerId, std::shared_ptr<PeerLink>> links_;
   std::set<PeerId> unread_; ///< links whose next frame is not asked for yet
   /// Who sent a block first; blame for it if it is not valid.
   std::map<peer::BlockId, PeerId> senders_;
   HeldBlocks held_;
   std::set<format::AccountNumber> producers_;
   std::vector<format::Claim> ownClaims_; ///< that the chain knows this node by
   ConsensusStory story_;
   ToldLately reasons_{60'000'000}; ///< for closing a link
   LogAllowance linkLines_;
   vm::ExecutionThread thread_;
};

} // namespace polis::node
