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

template <class M>
std::optional<BlockId> blockOf(ByteView frame, const ChainView& view, bool& member) {
   const auto message = consensus::decode<M>(frame);
   member = message && view.isProducer(message->message.producer, message->message.signer);
   return message ? std::optional(message->message.block_id) : std::nullopt;
}

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
   link.openedUs = link.allowanceUs = nowUs;
   link.transactionBytes = limits_.transactionBytesBurst;
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
   const BlockNum head = view_.head().num;
   std::erase_if(link.ahead, [&](const Ahead& a) {
      const bool done = a.block.num <= head || !view_.knows(a.block.id);
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
      return takeInner(peer, toBytes(frame), nowUs);
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
   auto message = consensus::decode<consensus::BlockMessage>(frame);
   if (!message)
      return disconnect(peer, "a block is malformed");
   const BlockNum num = message->block.block.header.blockNum;
   const ExtendedBlockId id{format::blockId(message->block.block.header), num};
   link.sync.received(id);
   link.ahead.push_back({id, frame.size()});
   link.aheadBytes += frame.size();
   if (link.ahead.size() >= limits_.aheadBlocksMax || link.aheadBytes >= limits_.aheadBytesMax)
      link.pausedUs = nowUs;
   out_.push_back(ToConsensus{
       consensus::BlockReceived{peer, std::make_shared<const format::SignedBlock>(std::move(message->block))}});
}

void Network::takeSnapshot(PeerId peer, Link& link, ByteView frame, std::int64_t nowUs) {
   if (receiver_.source() && receiver_.source() != peer) {
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
      return takeInner(peer, std::move(message->data), nowUs);
   std::optional<BlockId> about;
   if (inner == MessageType::wasmProducer) {
      Link* link = find(peer);
      if (!link || !allowTransaction(*link, message->data.size(), nowUs))
         return;
   } else if (!mayRelay(message->data, about)) {
      return;
   }
   const auto next = routes_.next(message->destination);
   const Link* to = next && *next != peer ? find(*next) : nullptr;
   if (to && to->unsentBytes + frame.size() <= limits_.relayWindowBytes)
      putAbout(*next, toBytes(frame), about);
}

void Network::takeInner(PeerId peer, Bytes frame, std::int64_t nowUs) {
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
      out_.push_back(ToConsensus{consensus::MessageReceived{peer, std::move(frame)}});
      return;
   default:
      return;
   }
}

bool Network::allowTransaction(Link& link, std::size_t bytes, std::int64_t nowUs) {
   const auto elapsed = static_cast<std::uint64_t>(std::clamp<std::int64_t>(nowUs - link.allowanceUs, 0, 60'000'000));
   const std::uint64_t gained = elapsed * limits_.transactionBytesPerSec / 1'000'000;
   if (gained > 0) {
      link.transactionBytes = static_cast<std::size_t>(
          std::min<std::uint64_t>(limits_.transactionBytesBurst, link.transactionBytes + gained));
      link.allowanceUs = nowUs;
   }
   if (link.transactionBytes < bytes)
      return false;
   link.transactionBytes -= bytes;
   return true;
}

bool Network::mayRelay(ByteView inner, std::optional<BlockId>& about) const {
   bool member = false;
   switch (static_cast<MessageType>(inner[0])) {
   case MessageType::prepare:
      about = blockOf<consensus::PrepareMessage>(inner, view_, member);
      return member;
   case MessageType::commit:
      about = blockOf<consensus::CommitMessage>(inner, view_, member);
      return member;
   case MessageType::confirm: {
      const auto message = consensus::decode<consensus::ConfirmMessage>(inner);
      return message && view_.isProducer(message->message.follower_id, message->message.signer);
   }
   case MessageType::requestVote: {
      const auto message = consensus::decode<consensus::RequestVoteMessage>(inner);
      return message && view_.isProducer(message->message.candidate_id, message->message.signer);
   }
   case MessageType::vote: {
      const auto message = consensus::decode<consensus::VoteMessage>(inner);
      return message && view_.isProducer(message->message.voter_id, message->message.signer);
   }
   default:
      return false;
   }
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
