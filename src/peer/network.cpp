#include "peer/network.hpp"

#include "format/ids.hpp"

#include <algorithm>
#include <utility>

namespace polis::peer {

using consensus::MessageType;

namespace {

/// A message of our own; a node of another make ignores what it does not know (spec, consensus N3).
constexpr std::uint8_t introductionType = 31;

/// Frees a link of blocks that it cannot be waited for any more.
constexpr std::size_t reasonBytesMax = 200;

/// What a block's frame says besides the transactions.
struct BlockWithoutTransactions {
   format::BlockHeader header{};
};
struct BareBlock {
   BlockWithoutTransactions block{};
   Bytes signature{};
   std::optional<Bytes> auxConsensusData{};
};
struct BareBlockMessage {
   static constexpr MessageType messageType = MessageType::block;
   BareBlock block{};
};

} // namespace

Network::Network(AccountNumber self, std::uint64_t router, const ChainView& view, Limits limits,
                 SnapshotSink* snapshots)
   : self_(self), view_(view), limits_(limits), routes_(self, router), snapshotSink_(snapshots),
     receiver_(snapshots, limits.snapshot) {}

Network::Link* Network::find(PeerId peer) {
   const auto at = links_.find(peer);
   return at == links_.end() ? nullptr : &at->second;
}

std::vector<Output> Network::take() {
   pumpRoutes();
   return std::exchange(out_, {});
}

void Network::pumpRoutes() {
   for (Routes::Send& send : routes_.take())
      put(send.to, std::move(send.frame));
}

// ---- links ---------------------------------------------------------------------------------------------------------

/// The newest of whoever has most: one with many addresses keeps out nobody who has a single one and was there before.
std::optional<PeerId> Network::surplus(std::optional<Source> arriving) const {
   std::map<Source, std::size_t> counts;
   for (const auto& [peer, link] : links_)
      if (link.source)
         ++counts[*link.source];
   if (arriving)
      ++counts[*arriving];
   std::size_t most = 0;
   for (const auto& [source, count] : counts)
      most = std::max(most, count);
   if (arriving && counts[*arriving] == most)
      return std::nullopt;
   for (auto at = links_.rbegin(); at != links_.rend(); ++at)
      if (at->second.source && counts[*at->second.source] == most)
         return at->first;
   return std::nullopt;
}

void Network::opened(PeerId peer, std::int64_t nowUs, std::optional<Source> source) {
   if (links_.size() >= limits_.linksMax) {
      const auto one = surplus(source);
      if (!one) {
         out_.push_back(CloseLink{peer, "there are too many links"});
         return;
      }
      disconnect(*one, "there are too many links, and its address has most of them");
   }
   Link& link = links_.try_emplace(peer, view_).first->second;
   link.source = source;
   link.openedUs = nowUs;
   link.transactions = {limits_.transactionBytesBurst, nowUs};
   link.forgeries = {limits_.forgeriesBurst, nowUs};
   link.questions = {limits_.questionsBurst, nowUs};
   put(peer, consensus::encode(consensus::InitMessage{}));
   routes_.linkUp(peer);
   pumpRoutes();
   if (const auto resume = receiver_.resume())
      put(peer, consensus::encode(*resume));
   pump(peer);
   if (!ownFrame_.empty())
      put(peer, ownFrame_);
   out_.push_back(ToConsensus{consensus::PeerConnected{peer}});
}

void Network::closed(PeerId peer, std::int64_t nowUs) {
   if (links_.erase(peer) == 0)
      return;
   routes_.linkDown(peer, nowUs);
   receiver_.closed(peer);
   nextSnapshot(nowUs);
}

void Network::disconnect(PeerId peer, std::string reason) {
   if (links_.erase(peer) == 0)
      return;
   routes_.linkDown(peer, 0);
   receiver_.closed(peer);
   reason.resize(std::min(reason.size(), reasonBytesMax));
   out_.push_back(CloseLink{peer, std::move(reason)});
}

void Network::forged(PeerId peer, std::int64_t nowUs) {
   Link* link = find(peer);
   if (link && !link->forgeries.take(1, limits_.forgeriesPerSec, limits_.forgeriesBurst, nowUs))
      disconnect(peer, "it sends messages that are forged");
}

void Network::put(PeerId peer, Bytes frame) {
   Link* link = find(peer);
   if (!link)
      return;
   link->unsentBytes += frame.size();
   if (link->unsentBytes > limits_.unsentBytesMax)
      return disconnect(peer, "it does not read what it is sent");
   out_.push_back(SendFrame{peer, std::move(frame)});
}

void Network::putAbout(PeerId peer, Bytes frame, const std::optional<BlockId>& about) {
   Link* link = find(peer);
   if (!link)
      return;
   if (!about || link->sync.peerHas(*about))
      return put(peer, std::move(frame));
   defer(*link, {*about, std::move(frame)});
}

void Network::defer(Link& link, Deferred message) const {
   link.deferredBytes += message.frame.size();
   link.deferred.push_back(std::move(message));
   // A queue of this length holds what is long out of date; the oldest goes.
   while (link.deferred.size() > limits_.deferredMax || link.deferredBytes > limits_.deferredBytesMax) {
      link.deferredBytes -= link.deferred.front().frame.size();
      link.deferred.pop_front();
   }
}

void Network::pump(PeerId peer) {
   for (;;) {
      Link* link = find(peer);
      if (!link || link->unsentBytes >= limits_.sendWindowBytes)
         return;
      auto frame = link->sync.next();
      if (!frame)
         return;
      const bool block = consensus::typeOf(*frame) == MessageType::block;
      put(peer, std::move(*frame));
      link = find(peer);
      if (!link || !block)
         continue;
      link->deferredBytes = 0;
      for (Deferred& d : std::exchange(link->deferred, {})) {
         if (!(link = find(peer)))
            break;
         if (link->sync.peerHas(d.about))
            put(peer, std::move(d.frame));
         else
            defer(*link, std::move(d));
      }
   }
}

void Network::written(PeerId peer) {
   if (Link* link = find(peer)) {
      link->unsentBytes = 0;
      pump(peer);
   }
}

void Network::chainChanged() {
   std::vector<PeerId> peers;
   for (auto& [peer, link] : links_) {
      forgetAhead(link);
      peers.push_back(peer);
   }
   for (const PeerId peer : peers)
      pump(peer);
}

void Network::chainReplaced() {
   while (!links_.empty())
      disconnect(links_.begin()->first,
                 "the chain here is another one now, and the search for a common block begins anew");
}

void Network::tick(std::int64_t nowUs) {
   std::vector<PeerId> late;
   for (const auto& [peer, link] : links_)
      if (!link.initialised && nowUs - link.openedUs > limits_.initUs)
         late.push_back(peer);
   for (const PeerId peer : late)
      disconnect(peer, "it did not begin with Init");
   if (const auto slow = receiver_.late(nowUs))
      disconnect(*slow, "it sends its snapshot too slowly");
   nextSnapshot(nowUs);
}

void Network::introduce(Introduction self) {
   self.keys.resize(std::min(self.keys.size(), Introduction::keysMax));
   if (!ownFrame_.empty() && self == own_)
      return;
   own_ = std::move(self);
   ownFrame_ = {introductionType};
   append(ownFrame_, format::pack(own_));
   std::vector<PeerId> peers;
   for (const auto& [peer, link] : links_)
      peers.push_back(peer);
   for (const PeerId peer : peers)
      put(peer, ownFrame_);
}

std::vector<Introduction> Network::introductions() const {
   std::vector<Introduction> out;
   for (const auto& [peer, link] : links_)
      if (link.introduction.producer)
         out.push_back(link.introduction);
   return out;
}

bool Network::mayRead(PeerId peer, std::int64_t nowUs) const {
   const auto at = links_.find(peer);
   if (at == links_.end())
      return false;
   const Link& link = at->second;
   if (link.held)
      return false;
   return link.pausedUs == 0 || nowUs - link.pausedUs > limits_.pauseMaxUs;
}

void Network::forgetAhead(Link& link) const {
   const BlockNum committed = view_.committed().num;
   std::erase_if(link.ahead, [&](const Ahead& a) {
      const bool done =
          a.block.num <= committed || view_.onChain(a.block.num) == a.block.id || !view_.knows(a.block.id);
      if (done)
         link.aheadBytes -= a.bytes;
      return done;
   });
   if (link.ahead.size() < limits_.aheadBlocksMax && link.aheadBytes < limits_.aheadBytesMax)
      link.pausedUs = 0;
}

// ---- frames --------------------------------------------------------------------------------------------------------

void Network::frame(PeerId peer, ByteView frame, std::int64_t nowUs) {
   Link* link = find(peer);
   if (!link)
      return;
   if (frame.empty() || frame.size() > limits_.frameBytesMax)
      return disconnect(peer, "a frame is empty or too long");
   const auto type = static_cast<MessageType>(frame[0]);
   const auto bad = [&] { disconnect(peer, "a message of type " + std::to_string(frame[0]) + " is malformed"); };
   if (!link->initialised && type != MessageType::init)
      return disconnect(peer, "it did not begin with Init");
   if (tooLong(frame))
      return disconnect(peer, "a message of type " + std::to_string(frame[0]) + " is too long");
   if (frame[0] == introductionType) {
      auto message = frame.size() > Introduction::bytesMax
                         ? std::nullopt
                         : std::optional(format::unpack<Introduction>(frame.subspan(1)));
      if (!message || !*message || (*message)->keys.size() > Introduction::keysMax)
         return bad();
      link->introduction = std::move(**message);
      return;
   }
   switch (type) {
   case MessageType::init: {
      const auto message = consensus::decode<consensus::InitMessage>(frame);
      if (!message || message->version != 0)
         return disconnect(peer, "it speaks another version of the protocol");
      link->initialised = true;
      return;
   }
   case MessageType::routingEnvelope:
      return takeEnvelope(peer, frame, nowUs);
   case MessageType::routeUpdate: {
      const auto message = consensus::decode<consensus::RouteUpdate>(frame);
      if (!message)
         return bad();
      routes_.update(peer, *message, nowUs);
      return;
   }
   case MessageType::seqnoRequest: {
      const auto message = consensus::decode<consensus::SeqnoRequest>(frame);
      if (!message)
         return bad();
      routes_.request(peer, *message, nowUs);
      return;
   }
   case MessageType::requestRoutes:
      if (allowQuestion(peer, nowUs))
         routes_.requestAll(peer);
      return;
   case MessageType::hello: {
      const auto message = consensus::decode<consensus::HelloMessage>(frame);
      if (!message)
         return bad();
      if (auto ok = link->sync.hello(*message); !ok)
         return disconnect(peer, std::move(ok.error()));
      pump(peer);
      return;
   }
   case MessageType::block:
      return takeBlock(peer, *link, frame, nowUs);
   case MessageType::confirm:
   case MessageType::requestVote:
   case MessageType::vote:
   case MessageType::prepare:
   case MessageType::commit:
   case MessageType::viewChange:
   case MessageType::requestView:
      return takeInner(peer, frame, nowUs);
   case MessageType::stateChecksum: {
      auto message = consensus::decode<consensus::StateChecksumMessage>(frame);
      if (!message)
         return bad();
      out_.push_back(StateSigned{peer, std::move(*message)});
      return;
   }
   case MessageType::blockHeader:
   case MessageType::snapshotPart:
   case MessageType::snapshotVerify:
      if (snapshotSink_)
         takeSnapshot(peer, *link, frame, nowUs);
      return;
   case MessageType::snapshotResume: {
      auto message = consensus::decode<consensus::SnapshotResume>(frame);
      if (!message || message->key.size() > limits_.snapshot.keyBytesMax)
         return bad();
      link->sync.resume(std::move(*message));
      return;
   }
   default:
      return; // unknown to this version
   }
}

bool Network::tooLong(ByteView message) const {
   switch (static_cast<MessageType>(message[0])) {
   case MessageType::confirm:
   case MessageType::requestVote:
   case MessageType::vote:
   case MessageType::prepare:
   case MessageType::commit:
   case MessageType::requestView:
   case MessageType::stateChecksum:
   case MessageType::hello:
   case MessageType::routeUpdate:
   case MessageType::seqnoRequest:
   case MessageType::requestRoutes:
   case MessageType::snapshotResume:
      return message.size() > limits_.voteBytesMax;
   case MessageType::viewChange:
      return message.size() > limits_.viewChangeBytesMax;
   default:
      return false;
   }
}

void Network::takeBlock(PeerId peer, Link& link, ByteView frame, std::int64_t nowUs) {
   const auto malformed = [&] { disconnect(peer, "a block is malformed"); };
   // Its transactions are not looked at before it is clear that they are wanted: that alone takes long.
   auto bare = consensus::decode<BareBlockMessage>(frame);
   if (!bare)
      return malformed();
   const format::BlockHeader& header = bare->block.block.header;
   const ExtendedBlockId id{format::blockId(header), header.blockNum};
   link.sync.received(id);
   if (header.blockNum <= view_.committed().num || !view_.knows(header.previous))
      return;
   if (view_.knows(id.id)) {
      if (bare->block.auxConsensusData) {
         format::SignedBlock known;
         known.block.header = std::move(bare->block.block.header);
         known.auxConsensusData = std::move(bare->block.auxConsensusData);
         out_.push_back(KnownBlock{{peer, std::make_shared<const format::SignedBlock>(std::move(known))}});
      }
      return;
   }
   if (frame.size() > limits_.trustedBlockBytes)
      if (auto problem = view_.authorProblem(header, bare->block.signature))
         return disconnect(peer, std::move(*problem));
   auto message = consensus::decode<consensus::BlockMessage>(frame);
   if (!message)
      return malformed();
   link.ahead.push_back({id, frame.size()});
   link.aheadBytes += frame.size();
   if (link.ahead.size() >= limits_.aheadBlocksMax || link.aheadBytes >= limits_.aheadBytesMax)
      link.pausedUs = nowUs;
   out_.push_back(ToConsensus{
       consensus::BlockReceived{peer, std::make_shared<const format::SignedBlock>(std::move(message->block))}});
}

void Network::takeSnapshot(PeerId peer, Link& link, ByteView frame, std::int64_t nowUs) {
   if (receiver_.source() && receiver_.source() != peer) {
      std::size_t waiting = frame.size();
      for (const auto& [other, of] : links_)
         waiting += of.held ? of.held->size() : 0;
      if (waiting > limits_.waitingSnapshotBytes)
         return disconnect(peer, "too many snapshots wait already");
      link.held = toBytes(frame);
      return;
   }
   const auto take = [&]<class M>(auto&& handle) -> SnapshotReceiver::Done {
      auto message = consensus::decode<M>(frame);
      if (!message)
         return std::unexpected("a message of type " + std::to_string(frame[0]) + " is malformed");
      return handle(std::move(*message));
   };
   SnapshotReceiver::Done taken;
   switch (static_cast<MessageType>(frame[0])) {
   case MessageType::blockHeader:
      taken = take.template operator()<consensus::BlockHeaderMessage>(
          [&](auto&& m) { return receiver_.header(peer, std::move(m.block), frame.size(), nowUs); });
      break;
   case MessageType::snapshotPart:
      taken = take.template operator()<consensus::SnapshotPart>(
          [&](auto&& m) { return receiver_.part(peer, std::move(m)); });
      break;
   default:
      taken = take.template operator()<consensus::SnapshotVerify>(
          [&](auto&& m) { return receiver_.verify(peer, std::move(m)); });
   }
   if (!taken) {
      disconnect(peer, std::move(taken.error()));
      nextSnapshot(nowUs);
   }
}

void Network::nextSnapshot(std::int64_t nowUs) {
   while (!receiver_.source()) {
      const auto next = std::ranges::find_if(links_, [](const auto& l) { return l.second.held.has_value(); });
      if (next == links_.end())
         return;
      const PeerId peer = next->first;
      const Bytes frame = std::move(*std::exchange(next->second.held, std::nullopt));
      takeSnapshot(peer, next->second, frame, nowUs);
   }
}

void Network::snapshotChecked(const std::expected<void, std::string>& verdict, std::int64_t nowUs) {
   const auto from = receiver_.source();
   const bool several = receiver_.several();
   receiver_.checked(verdict.has_value());
   if (from && !verdict)
      disconnect(*from,
                 (several ? "the snapshot that it and others sent is asked for anew: " : "its snapshot is refused: ") +
                     verdict.error());
   nextSnapshot(nowUs);
}

void Network::takeEnvelope(PeerId peer, ByteView frame, std::int64_t nowUs) {
   auto message = consensus::decode<consensus::RoutingEnvelope>(frame);
   if (!message || message->data.empty())
      return disconnect(peer, "an envelope is malformed");
   const auto inner = consensus::typeOf(message->data);
   if (inner == MessageType::routingEnvelope)
      return disconnect(peer, "an envelope holds another one");
   if (tooLong(message->data)) // whoever passed it on need not have known better
      return;
   if (message->destination == self_ && self_.value)
      return takeInner(peer, message->data, nowUs);
   relay(peer, frame, *message, nowUs);
}

void Network::relay(PeerId from, ByteView envelope, const consensus::RoutingEnvelope& message, std::int64_t nowUs) {
   Link* link = find(from);
   std::optional<BlockId> about;
   std::optional<consensus::Message> vote;
   if (consensus::typeOf(message.data) == MessageType::wasmProducer) {
      if (!link || !allowTransaction(*link, message.data.size(), nowUs))
         return;
   } else {
      // View changes are flooded, by who has checked them.
      if (consensus::typeOf(message.data) != MessageType::viewChange)
         vote = consensus::decodeMessage(message.data);
      const auto look = [&]<class M>(const M& m) {
         if constexpr (requires { m.message.block_id; })
            about = m.message.block_id;
         if constexpr (requires { m.message.signer; })
            return view_.isProducer(consensus::speakerOf(m.message), m.message.signer);
         return false;
      };
      if (!vote || !std::visit(look, *vote))
         return;
   }
   const auto next = routes_.next(message.destination);
   const Link* to = next && *next != from ? find(*next) : nullptr;
   if (!to || to->unsentBytes + envelope.size() > limits_.relayWindowBytes)
      return;
   // Whoever gets it blames this node for what is forged.
   if (vote && !isGenuine(message.data, *vote))
      return forged(from, nowUs);
   putAbout(*next, toBytes(envelope), about);
}

bool Network::isGenuine(ByteView inner, const consensus::Message& message) {
   const auto id = format::sha256(inner);
   if (std::ranges::find(genuine_, id) != genuine_.end())
      return true;
   if (!view_.isSigned(message))
      return false;
   if (genuine_.size() >= genuineMax)
      genuine_.pop_front();
   genuine_.push_back(id);
   return true;
}

void Network::takeInner(PeerId peer, ByteView frame, std::int64_t nowUs) {
   switch (static_cast<MessageType>(frame[0])) {
   case MessageType::wasmProducer: {
      Link* link = find(peer);
      if (!link || !allowTransaction(*link, frame.size(), nowUs))
         return;
      // A transaction carries its own proofs: who hands it in need not be believed, only limited.
      if (auto message = consensus::decode<consensus::WasmProducerMessage>(frame))
         out_.push_back(TransactionFrame{std::move(message->message.data)});
      return;
   }
   case MessageType::confirm:
   case MessageType::requestVote:
   case MessageType::vote:
   case MessageType::prepare:
   case MessageType::commit:
   case MessageType::viewChange:
   case MessageType::requestView:
      if (consensus::typeOf(frame) == MessageType::requestView && !allowQuestion(peer, nowUs))
         return;
      if (auto message = consensus::decodeMessage(frame))
         out_.push_back(ToConsensus{consensus::MessageReceived{peer, std::move(*message)}});
      return;
   default:
      return;
   }
}

bool Network::Allowance::take(std::size_t amount, std::size_t perSec, std::size_t burst, std::int64_t nowUs) {
   const auto elapsed = static_cast<std::uint64_t>(std::clamp<std::int64_t>(nowUs - atUs, 0, 60'000'000));
   if (const std::uint64_t gained = elapsed * perSec / 1'000'000; gained > 0) {
      left = static_cast<std::size_t>(std::min<std::uint64_t>(burst, left + gained));
      atUs = nowUs;
   }
   if (left < amount)
      return false;
   left -= amount;
   return true;
}

bool Network::allowQuestion(PeerId peer, std::int64_t nowUs) {
   Link* link = find(peer);
   return link && link->questions.take(1, limits_.questionsPerSec, limits_.questionsBurst, nowUs);
}

bool Network::allowTransaction(Link& link, std::size_t bytes, std::int64_t nowUs) {
   return link.transactions.take(bytes, limits_.transactionBytesPerSec, limits_.transactionBytesBurst, nowUs);
}

// ---- sending -------------------------------------------------------------------------------------------------------

void Network::send(const consensus::SendToPeer& effect) { put(effect.to, effect.frame); }

void Network::send(const consensus::SendToProducer& effect) {
   const auto next = routes_.next(effect.producer);
   if (next)
      putAbout(*next, consensus::encode(consensus::RoutingEnvelope{effect.producer, effect.frame}), effect.about);
}

void Network::flood(const consensus::Flood& effect) {
   std::vector<PeerId> peers;
   for (const auto& [peer, link] : links_)
      if (peer != effect.except)
         peers.push_back(peer);
   for (const PeerId peer : peers)
      put(peer, effect.frame);
}

void Network::floodAbout(const Bytes& frame, const BlockId& about, std::optional<PeerId> except) {
   std::vector<PeerId> peers;
   for (const auto& [peer, link] : links_)
      if (peer != except)
         peers.push_back(peer);
   for (const PeerId peer : peers)
      putAbout(peer, frame, about);
}

void Network::multicast(const std::set<AccountNumber>& producers, const Bytes& frame,
                        const std::optional<BlockId>& about) {
   for (const AccountNumber producer : producers)
      if (producer != self_)
         send(consensus::SendToProducer{producer, frame, about});
}

} // namespace polis::peer
