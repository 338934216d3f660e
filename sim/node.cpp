#include "sim/node.hpp"

#include "sim/world.hpp"

#include <algorithm>
#include <cstdio>

namespace polis::sim {
namespace {

std::string show(const BlockId& id) {
   char text[24];
   std::snprintf(text, sizeof text, "%u:%02x%02x", format::blockNumOf(id), id[4], id[5]);
   return text;
}

std::string describe(ByteView frame) {
   if (const auto m = decode<PrepareMessage>(frame))
      return "prepare " + show(m->message.block_id);
   if (const auto m = decode<CommitMessage>(frame))
      return "commit " + show(m->message.block_id);
   if (const auto m = decode<ViewChangeMessage>(frame))
      return "view " + std::to_string(m->message.term) + " of " + m->message.producer.str() + " on " +
             show(m->message.best_prepared) + " of term " + std::to_string(m->message.best_prepared_term);
   if (const auto m = decode<RequestVoteMessage>(frame))
      return "stands in term " + std::to_string(m->message.term) + " with " + std::to_string(m->message.last_log_term) +
             "/" + std::to_string(m->message.last_log_index);
   if (const auto m = decode<VoteMessage>(frame))
      return (m->message.vote_granted ? "votes in term " : "refuses in term ") + std::to_string(m->message.term) +
             " for " + m->message.candidate_id.str();
   if (const auto m = decode<ConfirmMessage>(frame))
      return "confirms " + std::to_string(m->message.term) + "/" + std::to_string(m->message.head_num);
   return "";
}

constexpr std::int64_t greetUs = 400'000;
constexpr BlockNum pushMax = 40;

} // namespace

Node::Node(World& world, std::size_t nodeIndex, std::size_t nodeAccount, std::uint64_t nodeAudience)
   : index(nodeIndex), account(nodeAccount), audience(nodeAudience), name(world.people[nodeAccount].name),
     world_(world), ground_(world.grounds->make(world.chain, name)) {
   signatures.keys = {world.people[account].auth.rawData};
}

Now Node::clock() const {
   const std::int64_t own = world_.now + world_.now / 1000 * ratePpm / 1000;
   return {own, World::epochUs + own + clockUs};
}

std::function<void()> Node::alive(std::function<void()> what) {
   return [this, life = life_, what = std::move(what)] {
      if (!up || life != life_)
         return;
      if (still)
         missed_.push_back(alive(what));
      else
         what();
   };
}

void Node::later(std::int64_t us, std::function<void()> what) { world_.at(world_.now + us, alive(std::move(what))); }

// ---- life and death -------------------------------------------------------------------------------------------------

void Node::boot() {
   up = true;
   ++life_;
   syncing_ = sealing_ = false;
   waiting_.clear();
   executing_.reset();
   order_.reset();
   open_.reset();
   wakeAt_.reset();
   theirs_.clear();
   Restored restored = ground_->open();
   const StatePtr root = world_.chain.find(restored.root);
   for (const BlockPtr& block : restored.blocks)
      world_.checker.made(block);
   const Bytes proof = restored.record ? restored.record->commitProof : Bytes();
   log_.erase(log_.upper_bound(root->spot.header.blockNum), log_.end());
   for (const ChainState* at = root.get(); at->parent && !log_.contains(at->spot.header.blockNum);
        at = at->parent.get())
      log_[at->spot.header.blockNum] = {world_.checker.block(at->spot.id), {}};
   Options options = world_.plan.options;
   options.producer = name;
   options.seed = world_.plan.seed * 64 + index;
   options.guards = world_.plan.guards;
   replica.emplace(options, signatures, std::move(restored));
   handle(replica->start(clock()));
   if (!world_.lies(account))
      world_.checker.booted(index, name, *replica, proof);
   for (std::size_t other = 0; other < world_.plan.nodes; ++other)
      if (inTouchWith(other))
         step(PeerConnected{other + 1});
   later(world_.dice.between(0, greetUs), [this] { greet(); });
}

void Node::crash() {
   if (!up)
      return;
   up = false;
   ++life_;
   missed_.clear();
   replica.reset();
   ground_->crash(world_.dice);
}

void Node::goOn() {
   if (world_.dice.chance(0.5))
      step(Tick{});
   for (const auto& what : std::exchange(missed_, {}))
      what();
}

// ---- disk -----------------------------------------------------------------------------------------------------------

void Node::whenDurable(std::function<void()> what) {
   waiting_.emplace_back(ground_->end(), std::move(what));
   sync();
}

void Node::sync() {
   if (syncing_ || waiting_.empty())
      return;
   syncing_ = true;
   later(world_.plan.syncUs * slowness, [this, upTo = ground_->end()] {
      syncing_ = false;
      ground_->sync(upTo);
      std::vector<std::function<void()>> done;
      while (!waiting_.empty() && waiting_.front().first <= upTo) {
         done.push_back(std::move(waiting_.front().second));
         waiting_.erase(waiting_.begin());
      }
      const std::uint64_t life = life_;
      for (auto& what : done)
         if (life == life_)
            what();
      if (life == life_)
         sync();
   });
}

// ---- the replica ----------------------------------------------------------------------------------------------------

void Node::step(const Event& event) {
   if (!up || !replica)
      return;
   handle(replica->step(event, clock()));
   if (replica && replica->counters().unsettled)
      world_.checker.fail("the rules of node " + std::to_string(index) + " contradict each other");
}

void Node::handle(Effects effects) {
   const bool honest = !world_.lies(account);
   for (Effect& effect : effects) {
      if (auto* persist = std::get_if<Persist>(&effect)) {
         ground_->remember(persist->record);
         whenDurable([this, sequence = persist->sequence] { step(Persisted{sequence}); });
      } else if (auto* run = std::get_if<Execute>(&effect)) {
         execute(*run);
      } else if (auto* cancel = std::get_if<CancelExecution>(&effect)) {
         later(100, [this, id = cancel->id] {
            if (executing_ == id) {
               executing_.reset();
               step(BlockExecuted{id, Verdict::cancelled});
            }
         });
      } else if (auto* toPeer = std::get_if<SendToPeer>(&effect)) {
         out(toPeer->to - 1, toPeer->frame);
      } else if (auto* routed = std::get_if<SendToProducer>(&effect)) {
         if (const auto to = world_.accountOf(routed->producer))
            out(*to, routed->frame);
      } else if (auto* multicast = std::get_if<Multicast>(&effect)) {
         if (honest) // a sole producer has nobody to tell
            world_.checker.sent(name, multicast->frame);
         for (const AccountNumber producer : multicast->to)
            if (const auto to = world_.accountOf(producer))
               out(*to, multicast->frame);
      } else if (auto* flood = std::get_if<Flood>(&effect)) {
         for (std::size_t to = 0; to < world_.plan.nodes; ++to)
            if (!flood->except || *flood->except != to + 1)
               out(to, flood->frame);
      } else if (const auto* head = std::get_if<SetHead>(&effect)) {
         if (world_.plan.trace)
            trace("head " + show(head->id) + " term " + std::to_string(replica->term()));
         ground_->setHead(head->id);
         later(1, [this] {
            for (std::size_t to = 0; to < world_.plan.nodes; ++to)
               push(to);
         });
      } else if (auto* committed = std::get_if<CommitBlock>(&effect)) {
         commit(*committed);
      } else if (auto* produce = std::get_if<Produce>(&effect)) {
         order_ = *produce;
         openBlock();
      } else if (std::get_if<StopProducing>(&effect)) {
         order_.reset();
         open_.reset();
      } else if (auto* disconnect = std::get_if<Disconnect>(&effect)) {
         if (world_.plan.trace)
            trace("refuses what " + std::to_string(disconnect->peer - 1) + " sent: " + disconnect->reason);
         if (honest && !world_.lies(disconnect->peer - 1))
            world_.checker.fail("node " + std::to_string(index) + " refuses what honest node " +
                                std::to_string(disconnect->peer - 1) + " sent: " + disconnect->reason);
      } else if (auto* forged = std::get_if<Forged>(&effect)) {
         if (honest && !world_.lies(forged->from - 1))
            world_.checker.fail("node " + std::to_string(index) + " takes a message of honest node " +
                                std::to_string(forged->from - 1) + " for forged");
      } else if (auto* halt = std::get_if<Halt>(&effect)) {
         if (honest)
            world_.checker.fail("node " + std::to_string(index) + " halts: " + halt->reason);
      }
   }
   wake();
}

void Node::wake() {
   if (!replica)
      return;
   const auto at = replica->wakeAt();
   if (!at || (wakeAt_ && *wakeAt_ <= *at && *wakeAt_ > clock().monotonic))
      return;
   wakeAt_ = at;
   const std::int64_t wait = std::max<std::int64_t>(*at - clock().monotonic, 0) + 1;
   later(wait, [this, due = *at] {
      if (wakeAt_ != due)
         return;
      wakeAt_.reset();
      idleWakes_ = world_.now - lastWake_ < 10 ? idleWakes_ + 1 : 0;
      lastWake_ = world_.now;
      if (idleWakes_ > 1000)
         world_.checker.fail("node " + std::to_string(index) + " does not come to rest");
      step(Tick{});
   });
}

void Node::execute(const Execute& effect) {
   executing_ = effect.id;
   if (StubChain::endless(*effect.block))
      return;
   later(world_.plan.executeUs * slowness, [this, id = effect.id, block = effect.block] {
      if (executing_ != id)
         return;
      executing_.reset();
      const bool valid = ground_->execute(block);
      step(BlockExecuted{id, valid ? Verdict::valid : Verdict::invalid});
   });
}

// ---- production -----------------------------------------------------------------------------------------------------

void Node::openBlock() {
   if (!order_ || sealing_)
      return;
   if (open_ && open_->parent == order_->parent && open_->term == order_->term && open_->producer == order_->producer)
      return;
   open_ = order_;
   const StatePtr parent = world_.chain.find(open_->parent);
   std::int64_t wait = parent->spot.header.time.microseconds + world_.plan.intervalUs - clock().real;
   if (!world_.plan.waitsForFuture)
      wait = std::min(wait, world_.plan.intervalUs);
   later(std::max<std::int64_t>(wait, 1000), [this, number = ++opened_] {
      if (open_ && number == opened_)
         sealBlock();
   });
}

void Node::sealBlock() {
   const Produce order = *std::exchange(open_, std::nullopt);
   const StatePtr parent = world_.chain.find(order.parent);
   StubChain::Order what;
   what.producer = order.producer;
   what.term = order.term;
   what.commitNum = order.commitNum;
   what.aux = order.aux;
   what.timeUs = std::max(parent->spot.header.time.microseconds + 1, clock().real);
   what.uniqueStartBlock = world_.plan.uniqueStartBlock;
   what.mark = world_.dice.below(3);
   what.change = world_.changeDue(parent->changes);
   if (what.change && what.change->data == parent->spot.after()->joint.current.data)
      what.change.reset();
   const BlockPtr block = ground_->build(parent, what);
   if (!block) {
      step(ProductionFailed{order.parent});
      return;
   }
   sealing_ = true;
   whenDurable([this, block] {
      sealing_ = false;
      world_.checker.made(block);
      trace("made " + show(format::blockId(block->block.header)) + " on " + show(block->block.header.previous) +
            " term " + std::to_string(block->block.header.term) + " says " +
            std::to_string(block->block.header.commitNum) + (block->block.header.newConsensus ? " changes" : "") +
            (block->auxConsensusData ? " proof" : ""));
      order_.reset();
      step(BlockSealed{block});
      openBlock();
   });
}

// ---- blocks for others ----------------------------------------------------------------------------------------------

void Node::commit(const CommitBlock& effect) {
   trace("irreversible " + show(effect.id));
   ground_->commit(effect);
   if (!world_.lies(account)) {
      world_.checker.committed(index, effect);
      if (const auto computed = ground_->stateAt(effect.id))
         world_.checker.stateIs(index, effect.id, *computed);
   }
   const StatePtr state = world_.chain.find(effect.id);
   for (const ChainState* at = state.get(); at->parent && !log_.contains(at->spot.header.blockNum);
        at = at->parent.get())
      log_[at->spot.header.blockNum] = {world_.checker.block(at->spot.id), at == state.get() ? effect.proof : Bytes()};
}

std::optional<BlockId> Node::onChain(BlockNum num) const {
   if (const auto id = replica->blockOnChain(num))
      return id;
   if (const auto at = log_.find(num); at != log_.end() && at->second.block)
      return format::blockId(at->second.block->block.header);
   if (num == world_.chain.genesis()->spot.header.blockNum)
      return world_.chain.genesis()->spot.id;
   return std::nullopt;
}

/// From the log with its own proof, so that whoever lacks the commits gets them.
BlockPtr Node::blockAt(BlockNum num) const {
   if (const auto at = log_.find(num); at != log_.end() && at->second.block) {
      if (at->second.proof.empty())
         return at->second.block;
      auto block = std::make_shared<format::SignedBlock>(*at->second.block);
      block->auxConsensusData = at->second.proof;
      return block;
   }
   const auto id = replica->blockOnChain(num);
   return id ? replica->block(*id) : nullptr;
}

void Node::greet() {
   for (std::size_t to = 0; to < world_.plan.nodes; ++to)
      if (inTouchWith(to))
         world_.send(*this, to,
                     {nullptr,
                      nullptr,
                      {replica->head(), replica->headNum()},
                      {replica->irreversible(), replica->irreversibleNum()}});
   later(greetUs + world_.dice.between(0, greetUs / 4), [this] { greet(); });
}

void Node::push(std::size_t to) {
   if (!inTouchWith(to))
      return;
   auto& theirs = theirs_[to];
   BlockNum from = replica->headNum();
   for (;; --from) {
      const auto id = onChain(from);
      if (!id)
         return; // until the next greeting
      if (theirs.contains(*id))
         break;
   }
   for (BlockNum num = from + 1; num <= replica->headNum() && num <= from + pushMax; ++num) {
      const BlockPtr block = blockAt(num);
      if (!block)
         return;
      const BlockId id = format::blockId(block->block.header);
      theirs.insert(id);
      say(to, block);
      for (const Bytes& vote : replica->votesFor(id))
         out(to, vote);
   }
}

void Node::receive(std::size_t from, const Parcel& parcel) {
   if (!up)
      return;
   if (still)
      return missed_.push_back(alive([this, from, parcel] { receive(from, parcel); }));
   if (parcel.frame) {
      if (auto message = decodeMessage(*parcel.frame))
         step(MessageReceived{from + 1, std::move(*message)});
   } else if (parcel.block) {
      if (world_.plan.trace)
         trace("← " + std::to_string(from) + " block " + show(format::blockId(parcel.block->block.header)));
      theirs_[from].insert(format::blockId(parcel.block->block.header));
      step(BlockReceived{from + 1, parcel.block});
   } else if (parcel.head.id != replica->head()) {
      auto& theirs = theirs_[from];
      for (const ExtendedBlockId& spot : {parcel.head, parcel.committed})
         if (onChain(spot.num) == spot.id) {
            theirs = {spot.id};
            push(from);
            break;
         }
   }
}

void Node::say(std::size_t to, const Bytes& frame) {
   world_.send(*this, to, {std::make_shared<const Bytes>(frame), nullptr, {}, {}});
}
void Node::say(std::size_t to, const BlockPtr& block) { world_.send(*this, to, {nullptr, block, {}, {}}); }

void Node::trace(const std::string& what) const {
   if (world_.plan.trace && !what.empty())
      std::printf("%8.3f %zu%s %s\n", static_cast<double>(world_.now) / 1e6, account, world_.lies(account) ? "*" : "",
                  what.c_str());
}

void Node::out(std::size_t to, const Bytes& frame) {
   if (!inTouchWith(to))
      return;
   if (world_.plan.trace)
      trace("→ " + std::to_string(to) + " " + describe(frame));
   if (world_.lies(account)) {
      // Withheld from some.
      if (world_.dice.chance(0.15))
         return;
   } else {
      world_.checker.sent(name, frame);
   }
   say(to, frame);
}

} // namespace polis::sim
