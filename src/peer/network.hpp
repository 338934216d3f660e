// The peer protocol of one node: links, their start, routing, block sync, and what each link may cost.
// Source: spec, consensus §5, §6. docs/network.md explains the limits.
#pragma once

#include "consensus/consensus.hpp"
#include "peer/block_sync.hpp"
#include "peer/routes.hpp"
#include "peer/snapshot_receiver.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace polis::peer {

/// Every limit of a link. Times are microseconds.
struct Limits {
   std::size_t linksMax = 256;
   std::size_t frameBytesMax = consensus::frameBytesMax;
   /// Blocks are sent until so much waits to be written; then when it is written.
   std::size_t sendWindowBytes = 256 * 1024;
   /// More than this unwritten: the peer does not read, and the link goes.
   std::size_t unsentBytesMax = std::size_t{24} << 20;
   /// What a third sends for the peer is dropped when more than this would wait: it must not be the end of the link.
   std::size_t relayWindowBytes = std::size_t{12} << 20;
   /// Blocks taken in ahead of the executed head from one link; then it is not read until some are executed.
   std::size_t aheadBlocksMax = 512;
   std::size_t aheadBytesMax = std::size_t{32} << 20;
   /// Longest time without reading for that reason.
   std::int64_t pauseMaxUs = 5'000'000;
   /// Messages that wait until the peer has the block that they are about.
   std::size_t deferredMax = 1024;
   std::size_t deferredBytesMax = std::size_t{1} << 20;
   /// A signature for a state, or a vote, with all about it.
   std::size_t voteBytesMax = 16 * 1024;
   /// A view change holds the votes of a whole set.
   std::size_t viewChangeBytesMax = 256 * 1024;
   /// From the opening of a link to its Init.
   std::int64_t initUs = 10'000'000;
   /// Longer blocks are looked into only when their author is known to have made them.
   std::size_t trustedBlockBytes = 64 * 1024;
   /// First frames of snapshots that wait for their turn, together.
   std::size_t waitingSnapshotBytes = std::size_t{32} << 20;
   /// Forged messages that a neighbour may pass on: so many at once, and so many a second.
   std::size_t forgeriesBurst = 64;
   std::size_t forgeriesPerSec = 1;
   /// Questions, whose answers are long: so many at once, and so many a second.
   std::size_t questionsBurst = 16;
   std::size_t questionsPerSec = 4;
   /// Transactions that a neighbour may hand in: bytes a second, and what may be saved up.
   std::size_t transactionBytesPerSec = std::size_t{4} << 20;
   std::size_t transactionBytesBurst = std::size_t{16} << 20;
   SnapshotReceiver::Limits snapshot{};
};

/// Who is behind a node, as it says itself: whether it has these keys nobody has checked. For an operator who is about
/// to name producers.
struct Introduction {
   static constexpr std::size_t keysMax = 64;
   static constexpr std::size_t bytesMax = 64 * 1024;

   AccountNumber producer; ///< 0: none
   std::vector<format::Claim> keys;
   friend bool operator==(const Introduction&, const Introduction&) = default;
};

/// Where a link comes from: one address, or what stands for one.
using Source = std::uint64_t;

struct SendFrame {
   PeerId to = 0;
   Bytes frame;
};
/// The link is forgotten already; `closed` need not be told.
struct CloseLink {
   PeerId peer = 0;
   std::string reason;
};
/// For the replica.
struct ToConsensus {
   consensus::Event event;
};
/// A block that is known: without its transactions, for the proof that came with it.
struct KnownBlock {
   consensus::BlockReceived event;
};
/// frac(Action) from another node, for `x-http::recv` on socket 0.
struct TransactionFrame {
   Bytes data;
};
/// Somebody vouches for a state.
struct StateSigned {
   PeerId from = 0;
   consensus::StateChecksumMessage message;
};
using Output = std::variant<SendFrame, CloseLink, ToConsensus, KnownBlock, TransactionFrame, StateSigned>;

/// Pure, one thread. Time in microseconds of a clock that never goes back. Whatever comes from a peer is bounded here.
class Network {
public:
   /// self: the producer behind this node; 0: none. view and snapshots outlive the network. snapshots: null: none are
   /// taken in.
   Network(AccountNumber self, std::uint64_t router, const ChainView& view, Limits limits = {},
           SnapshotSink* snapshots = nullptr);

   // ---- what happens ----

   /// Later links have greater numbers. source: none for a link that this node asked for, which gives way to no other.
   void opened(PeerId peer, std::int64_t nowUs, std::optional<Source> source = {});
   void closed(PeerId peer, std::int64_t nowUs);
   /// One frame of the native range, as it came.
   void frame(PeerId peer, ByteView frame, std::int64_t nowUs);
   /// Everything sent so far on this link has been written.
   void written(PeerId peer);
   /// Head, forks, the irreversible block or the votes changed: there may be something to send.
   void chainChanged();
   /// The chain becomes another one, as by a boot. The other side of a link takes its search for ended, so that every
   /// link ends with it.
   void chainReplaced();
   void setProducers(std::set<AccountNumber> producers) { routes_.setProducers(std::move(producers)); }
   /// The sink has found out whether what it was told to finish is to be believed. Errors: why not.
   void snapshotChecked(const std::expected<void, std::string>& verdict, std::int64_t nowUs);
   void tick(std::int64_t nowUs);
   /// What this node says of itself, to those who are connected and those who will be.
   void introduce(Introduction self);

   // ---- what consensus and the services ask for ----

   void send(const consensus::SendToPeer& effect);
   void send(const consensus::SendToProducer& effect);
   void flood(const consensus::Flood& effect);
   /// To each of `producers`, but this node's own.
   void multicast(const std::set<AccountNumber>& producers, const Bytes& frame, const std::optional<BlockId>& about);
   /// To one neighbour, once it has the block.
   void sendAbout(PeerId to, Bytes frame, const BlockId& about) { putAbout(to, std::move(frame), about); }
   /// To every neighbour but one, once it has the block.
   void floodAbout(const Bytes& frame, const BlockId& about, std::optional<PeerId> except);
   void disconnect(PeerId peer, std::string reason);
   /// A message that came from there was forged: it is no neighbour of anybody honest, who would not have passed it on.
   void forged(PeerId peer, std::int64_t nowUs);

   /// Whether the next frame of this link may be read now.
   bool mayRead(PeerId peer, std::int64_t nowUs) const;

   std::vector<Output> take();

   std::size_t links() const { return links_.size(); }
   /// What neighbours say of themselves.
   std::vector<Introduction> introductions() const;
   bool hasRoute(AccountNumber producer) const { return routes_.next(producer).has_value(); }

private:
   /// So much a second; what was not taken is saved up, as far as `burst`.
   struct Allowance {
      std::size_t left = 0;
      std::int64_t atUs = 0;
      bool take(std::size_t amount, std::size_t perSec, std::size_t burst, std::int64_t nowUs);
   };
   struct Ahead {
      ExtendedBlockId block;
      std::size_t bytes = 0;
   };
   struct Deferred {
      BlockId about{};
      Bytes frame;
   };
   struct Link {
      explicit Link(const ChainView& view) : sync(view) {}
      BlockSync sync;
      std::optional<Source> source;
      std::int64_t openedUs = 0;
      bool initialised = false;
      Introduction introduction;
      std::size_t unsentBytes = 0;
      std::deque<Ahead> ahead;
      std::size_t aheadBytes = 0;
      std::int64_t pausedUs = 0; ///< since when there is too much ahead; 0: there is not
      std::deque<Deferred> deferred;
      std::size_t deferredBytes = 0;
      Allowance transactions, forgeries, questions;
      std::optional<Bytes> held; ///< of its snapshot, while that of another link comes in
   };

   Link* find(PeerId peer);
   void put(PeerId peer, Bytes frame);
   void putAbout(PeerId peer, Bytes frame, const std::optional<BlockId>& about);
   void defer(Link& link, Deferred message) const;
   /// The link that gives way to a new one, when there are too many.
   std::optional<PeerId> surplus(std::optional<Source> arriving) const;
   void pump(PeerId peer);
   void pumpRoutes();
   void takeBlock(PeerId peer, Link& link, ByteView frame, std::int64_t nowUs);
   void takeSnapshot(PeerId peer, Link& link, ByteView frame, std::int64_t nowUs);
   /// No snapshot comes in: the next link that has one may go on.
   void nextSnapshot(std::int64_t nowUs);
   void takeEnvelope(PeerId peer, ByteView frame, std::int64_t nowUs);
   void takeInner(PeerId peer, ByteView frame, std::int64_t nowUs);
   /// Longer ones are not even read: that alone takes long.
   bool tooLong(ByteView message) const;
   bool allowTransaction(Link& link, std::size_t bytes, std::int64_t nowUs);
   bool allowQuestion(PeerId peer, std::int64_t nowUs);
   /// To where it is to go, unless it is forged.
   void relay(PeerId from, ByteView envelope, const consensus::RoutingEnvelope& message, std::int64_t nowUs);
   bool isGenuine(ByteView inner, const consensus::Message& message);
   void forgetAhead(Link& link) const;

   AccountNumber self_;
   const ChainView& view_;
   Limits limits_;
   Routes routes_;
   Introduction own_;
   Bytes ownFrame_; ///< empty: not introduced yet
   SnapshotSink* snapshotSink_;
   SnapshotReceiver receiver_;
   std::map<PeerId, Link> links_;
   /// Messages that are signed, and were passed on: one goes to many producers, in an envelope for each.
   std::deque<format::Checksum256> genuine_;
   static constexpr std::size_t genuineMax = 256;
   std::vector<Output> out_;
};

} // namespace polis::peer
