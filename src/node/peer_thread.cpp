#include "node/peer_thread.hpp"
#include "base/clock.hpp"
#include "base/fault.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "base/thread_name.hpp"
#include "format/ids.hpp"
#include "node/snapshot.hpp"
#include <algorithm>
#include <cstring>

namespace polis::node {

namespace {

constexpr auto tick = std::chrono::milliseconds(250);
/// Actions of services that wait for this thread.
constexpr std::size_t waitingActionsMax = 1024;
constexpr std::size_t sendersMax = 4096;
/// Ids of irreversible blocks that were asked for lately.
constexpr std::size_t idsMax = 4096;

std::int64_t nowUs() { return SystemClock().monotonicNs() / 1000; }

consensus::Now now() { return {nowUs(), SystemClock().realtimeNs() / 1000}; }

std::uint64_t randomNumber() {
   std::array<std::uint8_t, 8> bytes;
   SystemRandom().fill(bytes);
   std::uint64_t out;
   std::memcpy(&out, bytes.data(), sizeof out);
   return out;
}

/// Terms, so that a later one is greater.
Bytes markOf(consensus::TermNum term) {
   Bytes out;
   for (unsigned shift = 32; shift > 0; shift -= 8)
      out.push_back(static_cast<std::uint8_t>(term >> (shift - 8)));
   return out;
}

/// What comes from others, as it is told in the log: whoever it says it is from, and what is new in it.
void hear(ConsensusStory& story, const consensus::BlockReceived& received) {
   const auto& header = received.block->block.header;
   story.heard(header.producer, consensus::MessageType::block, format::blockId(header), nowUs());
}
void hear(ConsensusStory& story, const consensus::MessageReceived& received) {
   std::visit(
       [&]<class M>(const M& m) {
          if constexpr (requires { m.message.signer; }) {
             Bytes mark; // the others are said to one who counts them, and repeated by nobody else
             if constexpr (requires { m.message.block_id; })
                mark = toBytes(m.message.block_id);
             else if constexpr (requires { m.message.best_prepared; })
                mark = markOf(m.message.term);
             story.heard(consensus::speakerOf(m.message), consensus::messageTypeOf<std::decay_t<decltype(m.message)>>,
                         mark, nowUs());
          }
       },
       received.message);
}

std::set<format::AccountNumber> namesIn(const consensus::ProducerSets& sets) {
   std::set<format::AccountNumber> out;
   for (const format::Producer& producer : sets.current.producers())
      out.insert(producer.name);
   if (sets.next)
      for (const format::Producer& producer : sets.next->producers())
         out.insert(producer.name);
   return out;
}

} // namespace

/// What the network sees of the chain: the irreversible part as the kernel keeps it, above it what the replica holds.
class PeerThread::View final : public peer::ChainView {
public:
   View(kernel::Kernel& kernel, const std::unique_ptr<consensus::Replica>& replica, const HeldBlocks& held,
        const std::unique_ptr<StateSnapshots>& snapshots)
      : kernel_(kernel), replica_(replica), held_(held), snapshots_(snapshots), logStart_(kernel.logStart()) {}

   /// The irreversible block may have moved.
   void refresh() {
      logStart_ = kernel_.logStart();
      const auto id = replica_->irreversible();
      if (root_ && root_->id == id)
         return;
      root_ = kernel_.retained(id);
      // A sole producer goes ahead of what consensus has heard, on the same chain.
      if (!root_)
         root_ = kernel_.head();
   }
   void forget() {
      root_.reset();
      ids_.clear();
      logStart_ = kernel_.logStart();
   }

   peer::ExtendedBlockId head() const override { return {replica_->head(), replica_->headNum()}; }
   peer::ExtendedBlockId committed() const override { return {replica_->irreversible(), replica_->irreversibleNum()}; }
   format::BlockNum logStart() const override { return logStart_; }
   std::optional<peer::BlockId> onChain(format::BlockNum num) const override {
      if (num >= replica_->irreversibleNum())
         return replica_->blockOnChain(num);
      if (num == 1)
         return peer::BlockId{};
      if (const auto known = ids_.find(num); known != ids_.end())
         return known->second;
      const auto block = kernel_.block(*root_, num);
      if (!block)
         return std::nullopt;
      if (ids_.size() >= idsMax)
         ids_.clear();
      return ids_[num] = format::blockId(block->block.header);
   }
   bool knows(const peer::BlockId& id) const override { return replica_->knows(id) || held_.contains(id); }
   std::optional<peer::ExtendedBlockId> parent(const peer::BlockId& id) const override {
      auto block = replica_->block(id);
      if (!block)
         block = held_.find(id);
      if (!block)
         return std::nullopt;
      const auto& header = block->block.header;
      return peer::ExtendedBlockId{header.previous, header.blockNum - 1};
   }
   std::optional<Bytes> blockFrame(format::BlockNum num) const override {
      if (num <= logStart_)
         return std::nullopt;
      if (num > replica_->irreversibleNum()) {
         const auto id = replica_->blockOnChain(num);
         const auto block = id ? replica_->block(*id) : nullptr;
         return block ? std::optional(consensus::encode(consensus::BlockMessage{*block})) : std::nullopt;
      }
      auto block = kernel_.block(*root_, num);
      return block ? std::optional(consensus::encode(consensus::BlockMessage{std::move(*block)})) : std::nullopt;
   }
   std::shared_ptr<const peer::SnapshotOffer> snapshot() const override { return snapshots_->offer(); }
   std::vector<Bytes> votes(const peer::BlockId& id) const override { return replica_->votesFor(id); }
   bool isProducer(format::AccountNumber name) const override { return replica_->sets().has(name); }
   bool isProducer(format::AccountNumber name, const format::Claim& claim) const override {
      return replica_->sets().has(name, claim);
   }
   bool isSigned(const consensus::Message& message) const override {
      return std::visit(
          [&]<class M>(const M& m) {
             if constexpr (requires { m.signature; })
                return replica_->isSigned(m);
             else
                return false;
          },
          message);
   }
   std::optional<std::string> authorProblem(const format::BlockHeader& header, ByteView signature) const override {
      return awaitsCode(header) ? std::nullopt : replica_->authorProblem(header, signature);
   }
   /// Whether a signature below such a block cannot be checked yet: by code that an ancestor brings and that is known
   /// when that one is executed.
   bool awaitsCode(const format::BlockHeader& header) const {
      if (held_.contains(header.previous))
         return true;
      const auto parent = replica_->block(header.previous);
      return parent && parent->block.header.authCode && !kernel_.retained(header.previous);
   }

private:
   kernel::Kernel& kernel_;
   const std::unique_ptr<consensus::Replica>& replica_;
   const HeldBlocks& held_;
   const std::unique_ptr<StateSnapshots>& snapshots_;
   format::BlockNum logStart_;
   kernel::BlockStatePtr root_;
   mutable std::map<format::BlockNum, peer::BlockId> ids_;
};

/// A snapshot that comes in.
class PeerThread::Incoming final : public peer::SnapshotSink {
public:
   explicit Incoming(PeerThread& peers) : peers_(peers) {}

   bool wanted() const override {
      if (peers_.leadsAlone())
         return false;
      const auto irreversible = peers_.kernel_.irreversible();
      return !irreversible->header || now().real - irreversible->header->time.microseconds > behindUs;
   }
   void begin() override {
      log::info("A snapshot of the chain comes in; nothing of it is used before all of it is checked");
      if (!std::exchange(rowsCame_, false))
         return;
      auto fresh = std::make_shared<SnapshotIntake>(peers_.store_, peers_.engine_);
      // Its headers came first.
      for (const auto& header : headers_)
         (void)fresh->header(header);
      intake_ = std::move(fresh);
   }
   void beginHeaders() override {
      headers_.clear();
      if (!intake_)
         intake_ = std::make_shared<SnapshotIntake>(peers_.store_, peers_.engine_);
      intake_->noHeaders();
   }
   std::expected<void, std::string> header(format::SignedBlock header) override {
      const auto trusted = peers_.trustedChain();
      if (const auto id = format::blockId(header.block.header); headers_.empty() && trusted && id != *trusted)
         return std::unexpected("it is of another chain, " + toHex(id));
      headers_.push_back(header);
      return intake_->header(std::move(header));
   }
   void rows(std::uint32_t db, std::vector<consensus::SnapshotRowData> rows) override {
      rowsCame_ = true;
      for (const auto& row : rows)
         intake_->row(db, row.key, row.value);
   }
   void finish(consensus::SnapshotVerify seal) override {
      headers_.clear();
      rowsCame_ = false;
      intake_->seal({seal.hash, std::move(seal.signatures)});
      peers_.checkSnapshot(std::exchange(intake_, nullptr));
   }

private:
   /// Who is less far behind waits for blocks.
   static constexpr std::int64_t behindUs = 600'000'000;
   PeerThread& peers_;
   std::shared_ptr<SnapshotIntake> intake_;
   std::vector<format::SignedBlock> headers_;
   bool rowsCame_ = false;
};

class PeerThread::Signer final : public consensus::Signatures {
public:
   Signer(kernel::Kernel& kernel, const Options& options) : kernel_(kernel), options_(options) {}

   bool verify(const format::Consensus& under, const format::Claim& claim, const format::Checksum256& digest,
               ByteView signature) override {
      return kernel_.verifies(under, claim, digest, toBytes(signature));
   }
   bool canSign(const format::Claim& claim) override { return options_.canSign(claim); }
   std::optional<Bytes> sign(const format::Claim& claim, const format::Checksum256& digest) override {
      return options_.sign(claim, digest);
   }

private:
   kernel::Kernel& kernel_;
   const Options& options_;
};

PeerThread::PeerThread(kernel::Kernel& kernel, store::Store& store, vm::Engine& engine, ChainThread& chain,
                       Options options, std::function<void(const char*)> onFault)
   : kernel_(kernel), store_(store), engine_(engine), chain_(chain), options_(std::move(options)),
     onFault_(std::move(onFault)) {}

PeerThread::~PeerThread() { stop(); }

void PeerThread::start() {
   signer_ = std::make_unique<Signer>(kernel_, options_);
   StateSnapshots::Options snapshots;
   snapshots.producer = options_.producer;
   snapshots.background = options_.background;
   snapshots.measured = [this](StateSnapshots::Measured state) { tell(std::move(state)); };
   snapshots.flood = [this](const auto& message, std::optional<PeerId> except) {
      network_->floodAbout(consensus::encode(message), message.blockId, except);
   };
   snapshots.disconnect = [this](PeerId peer, std::string reason) { network_->disconnect(peer, std::move(reason)); };
   snapshots.halt = [this](const std::string& reason) { onFault_(reason.c_str()); };
   snapshots_ = std::make_unique<StateSnapshots>(kernel_, *signer_, std::move(snapshots));
   view_ = std::make_unique<View>(kernel_, replica_, held_, snapshots_);
   incoming_ = std::make_unique<Incoming>(*this);
   peer::Limits limits;
   limits.snapshot.bytesMax = std::min(limits.snapshot.bytesMax, options_.snapshotBytesMax);
   network_ = std::make_unique<peer::Network>(options_.producer, randomNumber(), *view_, limits, incoming_.get());
   vm::onExecutionStack([this] { begin(); });
   thread_ = vm::ExecutionThread([this] {
      nameThread("peer");
      try {
         run();
      } catch (const Fault& fault) {
         onFault_(fault.what());
      }
   });
}

/// A replica that begins with what the kernel holds.
void PeerThread::begin() {
   consensus::Restored restored;
   if (const auto memory = kernel_.remembered()) {
      auto record = format::unpack<consensus::SafetyRecord>(*memory);
      if (!record)
         throw Fault("what consensus must not forget cannot be read: it was written by another version");
      restored.record = std::move(*record);
      restored.fresh = false;
      // It was durable before anything rested on it.
      const auto& committed = restored.record->committed;
      if (format::blockNumOf(committed.id) > kernel_.irreversible()->num &&
          !kernel_.setIrreversible(committed.id, restored.record->commitProof))
         throw Fault("a block that this node knows to be irreversible is not in its journal");
   }
   // A chain that began after this node did has no earlier votes.
   auto& forgotten = restored.record ? restored.record->forgotten : restored.forgotten;
   if (!restored.record)
      forgotten = consensus::ForgottenVotes{now().real, {}};
   const auto genesis = kernel_.block(2);
   if (options_.nothingForgotten || !options_.producer ||
       (genesis && genesis->block.header.time.microseconds >= forgotten.value_or(consensus::ForgottenVotes{}).beforeUs))
      forgotten.reset();
   const auto root = kernel_.irreversible();
   restored.root = root->id;
   restored.rootHeader = root->header.value_or(format::BlockHeader{});
   restored.rootHeader.blockNum = root->num;
   restored.rootConsensus = root->status.consensus;
   restored.blocks = kernel_.reversibleBlocks();
   ownChain_ = root->header || !restored.blocks.empty();

   consensus::Options options;
   options.producer = options_.producer;
   options.seed = randomNumber();
   undurable_.clear();
   senders_.clear();
   held_.clear();
   view_->forget();
   replica_ = std::make_unique<consensus::Replica>(options, *signer_, std::move(restored));
   view_->refresh();
   snapshots_->begin();
   perform(replica_->start(now()));
   lookAtChain();
}

/// What this node knows of its chain from elsewhere than a snapshot.
std::optional<format::Checksum256> PeerThread::trustedChain() const {
   return kernel_.hasChain() ? std::optional(kernel_.chainId()) : options_.chain;
}

/// On the chain thread, which goes on from it if it is good.
void PeerThread::checkSnapshot(std::shared_ptr<SnapshotIntake> intake) {
   chain_.command([this, intake = std::move(intake), trusted = trustedChain()](kernel::Kernel& kernel) {
      const auto facts = intake->check({.chain = trusted, .block = {}, .draft = false});
      if (!facts)
         return tell(SnapshotChecked{std::unexpected(facts.error())});
      tell(SnapshotChecked{});
      if (facts->blockNum <= kernel.irreversible()->num) // blocks were quicker
         return;
      chain_.forget();
      const auto [chain, local] = intake->rows();
      std::vector<std::pair<Bytes, Bytes>> rows;
      auto cursor = local.cursor();
      for (bool valid = cursor.seek({}); valid; valid = cursor.next())
         rows.emplace_back(toBytes(cursor.entry().key), toBytes(cursor.entry().value));
      kernel.adopt(chain, rows);
      log::info("This node goes on from a snapshot of block ", facts->blockNum, ", for which ", facts->signers.size(),
                " producers vouch, of the chain ", toHex(facts->chainId));
      chainMade();
   });
}

void PeerThread::stop() {
   stopping_.store(true);
   wake_.signal();
   if (thread_.joinable())
      thread_.join();
}

PeerId PeerThread::opened(std::shared_ptr<PeerLink> link) {
   PeerId peer;
   {
      Lock lock(mutex_);
      peer = ++lastPeer_;
      events_.emplace_back(Opened{peer, std::move(link)});
   }
   wake_.signal();
   return peer;
}

void PeerThread::tell(Event&& event) {
   {
      Lock lock(mutex_);
      events_.push_back(std::move(event));
   }
   wake_.signal();
}

void PeerThread::durable(store::JournalPosition upTo) {
   durable_.store(upTo);
   wake_.signal();
}

void PeerThread::sealed(const kernel::SealedBlock& block) { tell(Sealed{block.block, block.journalEnd}); }

void PeerThread::chainMade() {
   chain_.forget();
   wantedLife_.fetch_add(1);
   tell(ChainMade{});
}

void PeerThread::toProducers(Bytes&& action) {
   {
      Lock lock(mutex_);
      if (waitingActions_ >= waitingActionsMax)
         return;
      ++waitingActions_;
      events_.emplace_back(ToProducers{std::move(action)});
   }
   wake_.signal();
}

PeerThread::Status PeerThread::status() const {
   Lock lock(mutex_);
   return status_;
}

std::vector<peer::Introduction> PeerThread::neighbours() const {
   Lock lock(mutex_);
   return neighbours_;
}

void PeerThread::run() {
   std::uint64_t seen = 0;
   std::int64_t ticked = 0;
   while (!stopping_.load()) {
      std::deque<Event> events;
      {
         Lock lock(mutex_);
         events.swap(events_);
         waitingActions_ = 0;
      }
      for (Event& event : events) {
         take(std::move(event));
         handOut();
      }
      takeDurable();
      std::int64_t time = nowUs();
      if (const auto at = replica_->wakeAt(); at && *at <= time)
         step(consensus::Tick{});
      const bool ticks = time - ticked >= std::chrono::microseconds(tick).count();
      if (ticks) {
         ticked = time;
         network_->introduce({options_.producer, options_.claims()});
         warnKeyless();
         network_->tick(time);
         tellStory(time);
      }
      handOut();
      std::erase_if(unread_, [&](PeerId peer) {
         const auto at = links_.find(peer);
         if (at == links_.end())
            return true;
         if (!network_->mayRead(peer, time))
            return false;
         at->second->readFrame();
         return true;
      });
      linkCount_.store(links_.size());
      tellChain();
      tellOfVotes();
      {
         Lock lock(mutex_);
         status_ = {replica_->term(), replica_->role(), replica_->counters()};
         if (ticks)
            neighbours_ = network_->introductions();
      }
      time = nowUs();
      auto wait = std::chrono::microseconds(tick);
      if (const auto at = replica_->wakeAt())
         wait = std::clamp(std::chrono::microseconds(*at - time), std::chrono::microseconds(0), wait);
      wake_.waitUntil(seen, std::chrono::steady_clock::now() + wait);
   }
   for (const auto& [peer, link] : links_)
      link->drop();
   links_.clear();
}

/// A chain can call itself what it likes; only its id tells it from others.
void PeerThread::tellChain() {
   if (ownChain_ || toldChain_ || links_.empty()) // one that is being made here is followed nowhere
      return;
   const auto irreversible = kernel_.irreversible();
   if (!irreversible->header || replica_->irreversibleNum() < 2)
      return;
   toldChain_ = true;
   log::info("This node follows the chain ", toHex(irreversible->status.chainId),
             options_.chain ? ", as it was told to"
                            : "; compare with what `polis status` says on a node that you trust");
}

/// A producer without its key makes no blocks and gives no votes.
void PeerThread::warnKeyless() {
   std::vector<format::Claim> claims;
   const auto& sets = replica_->sets();
   for (const auto* set : {&sets.current, sets.next ? &*sets.next : nullptr})
      if (const auto* own = set ? set->find(options_.producer) : nullptr; own && own->auth.service)
         claims.push_back(own->auth);
   if (claims == ownClaims_)
      return;
   ownClaims_ = std::move(claims);
   if (!std::ranges::all_of(ownClaims_, options_.canSign))
      log::error("This node does not have the key by which the chain knows ", options_.producer.str(),
                 ": it makes no blocks and gives no votes. Name the key's file with --key, or put it into the folder "
                 "keys of this node, and start it again");
}

void PeerThread::tellOfVotes() {
   const auto& sets = replica_->sets();
   if (sets.current.empty())
      return;
   if (replica_->keepsFromVoting() && sets.has(options_.producer) && !std::exchange(toldOfVotes_, true))
      log::warning("This node does not know how ", options_.producer.str(),
                   " has voted before it began, and does not vote until a later term is irreversible. See 'A producer "
                   "that lost its folder' in docs/operator.md");
   if (toldOfVotes_ && !replica_->keepsFromVoting()) {
      toldOfVotes_ = false;
      log::info("This node votes again");
   }
}

/// Whoever connects again and again fills no log.
void PeerThread::tellOfLink(log::Level level, std::string_view text) {
   const auto leftOut = linkLines_.take({}, nowUs() / 1000);
   if (!leftOut)
      return;
   if (*leftOut > 0)
      log::warning(*leftOut, " lines about connections of other nodes were left out: there are too many");
   log::write(level, text);
}

/// For whoever reads later why nothing was final for a while.
void PeerThread::tellStory(std::int64_t nowUs) {
   const auto& sets = replica_->sets();
   ConsensusStory::Moment moment;
   moment.nowUs = nowUs;
   moment.term = replica_->term();
   moment.irreversible = replica_->irreversibleNum();
   moment.producers = producers_;
   moment.bft = sets.current.bft();
   if (!sets.single()) {
      const bool leads = replica_->role() == consensus::Role::leader;
      moment.self = producers_.contains(options_.producer) ? options_.producer : format::AccountNumber();
      moment.hearsAll = leads || sets.current.bft();
      moment.quorum = sets.current.strong();
      if (leads)
         moment.leader = moment.self;
      else if (sets.current.bft())
         moment.leader = sets.current.leader(moment.term).name;
      else if (const auto head = replica_->block(replica_->head()); head && head->block.header.term == moment.term)
         moment.leader = head->block.header.producer; // under CFT a leader is known by its blocks
   }
   for (const auto& line : story_.look(moment))
      log::write(line.warning ? log::Level::warning : log::Level::info, line.text);
}

// ---- the replica ---------------------------------------------------------------------------------------------------

void PeerThread::step(const consensus::Event& event) { perform(replica_->step(event, now())); }

/// For the chain thread, in the order in which consensus asked.
void PeerThread::command(std::function<void(kernel::Kernel&)> task) {
   chain_.command([this, life = life_, task = std::move(task)](kernel::Kernel& kernel) {
      if (life == wantedLife_.load())
         task(kernel);
   });
}

void PeerThread::perform(consensus::Effects effects) {
   for (consensus::Effect& effect : effects)
      std::visit([this](auto& e) { perform(e); }, effect);
}

void PeerThread::perform(consensus::SendToPeer& effect) { network_->send(effect); }
void PeerThread::perform(consensus::SendToProducer& effect) { network_->send(effect); }
void PeerThread::perform(consensus::Flood& effect) { network_->flood(effect); }
void PeerThread::perform(consensus::Multicast& effect) {
   network_->multicast({effect.to.begin(), effect.to.end()}, effect.frame, effect.about);
}
void PeerThread::perform(consensus::Disconnect& effect) { network_->disconnect(effect.peer, std::move(effect.reason)); }

void PeerThread::perform(consensus::Persist& effect) {
   undurable_.push_back({kernel_.remember(format::pack(effect.record)), consensus::Persisted{effect.sequence}});
   // A sole producer's blocks wait for nothing but their own durability: its next block takes this along.
   if (!leadsAlone())
      options_.sync();
}

void PeerThread::perform(consensus::Execute& effect) {
   command([this, life = life_, id = effect.id, block = std::move(effect.block)](kernel::Kernel& kernel) {
      Executed out{life, {id, consensus::Verdict::valid}, {}};
      if (const auto done = kernel.executeBlock(block); !done) {
         out.result.verdict = consensus::Verdict::cancelled;
      } else if (!*done) {
         out.result.verdict = consensus::Verdict::invalid;
         out.reason = done->error().reason;
      }
      tell(std::move(out));
   });
}

void PeerThread::perform(consensus::CancelExecution& effect) { kernel_.cancelBlock(effect.id); }

void PeerThread::perform(consensus::SetHead& effect) {
   chainMoved_ = true;
   command([this, id = effect.id](kernel::Kernel&) { chain_.setHead(id); });
}

void PeerThread::perform(consensus::CommitBlock& effect) {
   chainMoved_ = true;
   command([id = effect.id, num = effect.num, proof = std::move(effect.proof)](kernel::Kernel& kernel) {
      if (!kernel.setIrreversible(id, proof) && kernel.irreversible()->num < num)
         throw Fault("a block that became irreversible is not there");
   });
}

void PeerThread::perform(consensus::Produce& effect) {
   command([this, order = std::move(effect)](kernel::Kernel&) { chain_.produce(order); });
}

void PeerThread::perform(consensus::StopProducing&) {
   command([this](kernel::Kernel&) { chain_.stopProducing(); });
}

void PeerThread::perform(consensus::Forged& effect) { network_->forged(effect.from, nowUs()); }
void PeerThread::perform(consensus::Halt& effect) { onFault_(("consensus has failed: " + effect.reason).c_str()); }

bool PeerThread::leadsAlone() const {
   const auto& sets = replica_->sets();
   return sets.single() && !sets.current.empty() && sets.current.has(options_.producer);
}

/// A block or a message of a neighbour.
void PeerThread::received(consensus::Event&& event) {
   if (const auto* message = std::get_if<consensus::MessageReceived>(&event); message && !leadsAlone())
      hear(story_, *message);
   if (const auto* block = std::get_if<consensus::BlockReceived>(&event)) {
      if (!leadsAlone())
         hear(story_, *block);
      const auto& header = block->block->block.header;
      const auto id = format::blockId(header);
      if (!replica_->knows(id)) {
         if (header.blockNum == 2 && options_.chain && id != *options_.chain)
            return network_->disconnect(block->from, "it offers the chain " + toHex(id) +
                                                         ", which is not the one that this node was told to follow");
         if (ownChain_ && leadsAlone() && header.blockNum > replica_->irreversibleNum())
            return network_->disconnect(block->from, "it sends block " + std::to_string(header.blockNum) +
                                                         ", which this node has not made");
         if (senders_.size() >= sendersMax)
            senders_.erase(senders_.begin());
         senders_.try_emplace(id, block->from);
         if (view_->awaitsCode(header)) {
            if (const auto most = held_.add(id, *block))
               network_->disconnect(*most, "it sends more blocks than can be kept until they can be checked");
            return;
         }
      }
   }
   step(event);
}

/// A block was executed: those that waited for it go on.
void PeerThread::release() {
   held_.dropUpTo(replica_->irreversibleNum());
   while (const auto block = held_.take([&](const auto& header) { return !view_->awaitsCode(header); }))
      step(*block);
}

void PeerThread::takeDurable() {
   const auto durable = durable_.load();
   std::vector<consensus::Event> ready;
   std::erase_if(undurable_, [&](Undurable& waiting) {
      const bool done = waiting.end <= durable;
      if (done)
         ready.push_back(std::move(waiting.event));
      return done;
   });
   for (const consensus::Event& event : ready) {
      if (const auto* sealed = std::get_if<consensus::BlockSealed>(&event))
         command(
             [this, id = format::blockId(sealed->block->block.header)](kernel::Kernel&) { chain_.sealedIsKnown(id); });
      step(event);
   }
}

void PeerThread::lookAtChain() {
   chainMoved_ = false;
   view_->refresh();
   if (auto producers = namesIn(replica_->sets()); producers != producers_) {
      producers_ = producers;
      network_->setProducers(std::move(producers));
   }
   snapshots_->irreversible(replica_->irreversible());
   network_->chainChanged();
}

// ---- events --------------------------------------------------------------------------------------------------------

void PeerThread::take(Event&& event) {
   const std::int64_t time = nowUs();
   if (auto* opened = std::get_if<Opened>(&event)) {
      tellOfLink(log::Level::info, "Connected to " + opened->link->where());
      const auto source = opened->link->comesFrom();
      links_.emplace(opened->peer, std::move(opened->link));
      network_->opened(opened->peer, time, source);
      for (const auto& message : snapshots_->signatures())
         network_->sendAbout(opened->peer, consensus::encode(message), message.blockId);
   } else if (auto* frame = std::get_if<Frame>(&event)) {
      if (!links_.contains(frame->peer))
         return;
      network_->frame(frame->peer, frame->bytes, time);
      unread_.insert(frame->peer);
   } else if (auto* written = std::get_if<Written>(&event)) {
      network_->written(written->peer);
   } else if (auto* closed = std::get_if<Closed>(&event)) {
      if (const auto at = links_.find(closed->peer); at != links_.end()) {
         tellOfLink(log::Level::info, "The connection to " + at->second->where() + " has ended");
         links_.erase(at);
      }
      network_->closed(closed->peer, time);
      snapshots_->closed(closed->peer);
   } else if (auto* action = std::get_if<ToProducers>(&event)) {
      const consensus::WasmProducerMessage message{std::move(action->action), options_.producer, {}};
      // A transaction carries its own proofs; who hands it on need not be known.
      network_->multicast(producers_, consensus::encode(message, Bytes()), std::nullopt);
   } else if (auto* executed = std::get_if<Executed>(&event)) {
      if (executed->life != life_)
         return;
      if (const auto sender = senders_.extract(executed->result.id);
          sender && executed->result.verdict == consensus::Verdict::invalid)
         network_->disconnect(sender.mapped(), "its block " + std::to_string(format::blockNumOf(executed->result.id)) +
                                                   " is not valid: " + executed->reason);
      step(executed->result);
      release();
   } else if (auto* sealed = std::get_if<Sealed>(&event)) {
      undurable_.push_back({sealed->end, consensus::BlockSealed{std::move(sealed->block)}});
   } else if (auto* failed = std::get_if<consensus::ProductionFailed>(&event)) {
      step(*failed);
   } else if (auto* checked = std::get_if<SnapshotChecked>(&event)) {
      network_->snapshotChecked(checked->verdict, time);
   } else if (auto* measured = std::get_if<StateSnapshots::Measured>(&event)) {
      snapshots_->measured(std::move(*measured));
   } else if (std::get_if<ChainMade>(&event)) {
      life_ = wantedLife_.load();
      network_->chainReplaced();
      begin();
   }
}

void PeerThread::handOut() {
   for (;;) {
      if (chainMoved_)
         lookAtChain();
      auto outputs = network_->take();
      if (outputs.empty() && !chainMoved_)
         return;
      for (peer::Output& output : outputs) {
         if (auto* send = std::get_if<peer::SendFrame>(&output)) {
            if (const auto at = links_.find(send->to); at != links_.end())
               at->second->sendFrame(std::move(send->frame));
         } else if (auto* close = std::get_if<peer::CloseLink>(&output)) {
            const auto at = links_.find(close->peer);
            if (at == links_.end())
               continue;
            if (reasons_.isNew(close->reason, nowUs()))
               tellOfLink(log::Level::warning,
                          "The connection to " + at->second->where() + " is closed: " + close->reason);
            at->second->drop();
            links_.erase(at);
            snapshots_->closed(close->peer);
         } else if (auto* toConsensus = std::get_if<peer::ToConsensus>(&output)) {
            received(std::move(toConsensus->event));
         } else if (auto* known = std::get_if<peer::KnownBlock>(&output)) {
            // One that is held, or gone meanwhile, needs no proof.
            if (replica_->knows(format::blockId(known->event.block->block.header)))
               received(std::move(known->event));
         } else if (auto* transaction = std::get_if<peer::TransactionFrame>(&output)) {
            options_.transaction(std::move(transaction->data));
         } else if (auto* state = std::get_if<peer::StateSigned>(&output)) {
            snapshots_->received(state->from, std::move(state->message));
         }
      }
   }
}

} // namespace polis::node
