#include "node/peer_thread.hpp"
#include "base/clock.hpp"
#include "base/fault.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "base/thread_name.hpp"
#include "format/ids.hpp"
#include <cstring>

namespace polis::node {

namespace {

constexpr auto tick = std::chrono::milliseconds(250);
/// Actions of services that wait for this thread.
constexpr std::size_t waitingActionsMax = 1024;
/// The same reason for closing a link is told once in so many microseconds.
constexpr std::int64_t logEveryUs = 60'000'000;
constexpr std::size_t loggedMax = 1000;

std::int64_t nowUs() { return SystemClock().monotonicNs() / 1000; }

std::uint64_t randomNumber() {
   std::array<std::uint8_t, 8> bytes;
   SystemRandom().fill(bytes);
   std::uint64_t out;
   std::memcpy(&out, bytes.data(), sizeof out);
   return out;
}

template <class F>
void forEachProducer(const format::JointConsensus& consensus, F&& body) {
   const auto each = [&](const format::Consensus& set) {
      std::visit(
          [&](const auto& data) {
             for (const auto& producer : data.producers)
                body(producer);
          },
          set.data);
   };
   each(consensus.current);
   if (consensus.next)
      each(consensus.next->consensus);
}

std::size_t producerCount(const format::JointConsensus& consensus) {
   std::set<format::AccountNumber> names;
   forEachProducer(consensus, [&](const format::Producer& producer) { names.insert(producer.name); });
   return names.size();
}

peer::ExtendedBlockId placeOf(const kernel::BlockState& block) { return {block.id, block.num}; }

} // namespace

/// What the network sees of the chain: its irreversible part, for of a single producer nothing else is passed on, and
/// the blocks that wait for execution.
class PeerThread::View final : public peer::ChainView {
public:
   explicit View(kernel::Kernel& kernel) : kernel_(kernel) { refresh(); }

   /// The moment for which everything is answered.
   void refresh() { head_ = kernel_.irreversible(); }
   const kernel::BlockState& block() const { return *head_; }

   peer::ExtendedBlockId head() const override { return placeOf(*head_); }
   peer::ExtendedBlockId committed() const override { return placeOf(*head_); }
   format::BlockNum logStart() const override { return 0; }
   std::optional<peer::BlockId> onChain(format::BlockNum num) const override {
      return num > head_->num ? std::nullopt : kernel_.blockId(num);
   }
   bool knows(const peer::BlockId& id) const override {
      if (waiting.contains(id))
         return true;
      const auto block = kernel_.retained(id);
      return block && block->num <= head_->num;
   }
   std::optional<peer::ExtendedBlockId> parent(const peer::BlockId& id) const override {
      if (const auto at = waiting.find(id); at != waiting.end())
         return at->second;
      const auto block = kernel_.retained(id);
      if (!block || !block->header)
         return std::nullopt;
      return peer::ExtendedBlockId{block->header->previous, block->num - 1};
   }
   std::optional<Bytes> blockFrame(format::BlockNum num) const override {
      auto block = num > head_->num ? std::nullopt : kernel_.block(num);
      if (!block)
         return std::nullopt;
      return consensus::encode(consensus::BlockMessage{std::move(*block)});
   }
   std::vector<Bytes> votes(const peer::BlockId&) const override { return {}; }
   bool isProducer(format::AccountNumber name) const override {
      bool found = false;
      forEachProducer(head_->status.consensus, [&](const auto& producer) { found = found || producer.name == name; });
      return found;
   }
   bool isProducer(format::AccountNumber name, const format::Claim& claim) const override {
      bool found = false;
      forEachProducer(head_->status.consensus, [&](const auto& producer) {
         found = found || (producer.name == name && producer.auth == claim);
      });
      return found;
   }

   /// Blocks that wait for execution, and their parents.
   std::map<peer::BlockId, peer::ExtendedBlockId> waiting;

private:
   kernel::Kernel& kernel_;
   kernel::BlockStatePtr head_;
};

PeerThread::PeerThread(kernel::Kernel& kernel, ChainThread& chain, Options options,
                       std::function<void(const char*)> onFault)
   : kernel_(kernel), chain_(chain), options_(std::move(options)), onFault_(std::move(onFault)) {}

PeerThread::~PeerThread() { stop(); }

void PeerThread::start() {
   view_ = std::make_unique<View>(kernel_);
   network_ = std::make_unique<peer::Network>(options_.producer, randomNumber(), *view_);
   hadChain_ = kernel_.hasChain();
   chainMoved_.store(true);
   thread_ = std::thread([this] {
      nameThread("peer");
      try {
         run();
      } catch (const Fault& fault) {
         onFault_(fault.what());
      }
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

void PeerThread::chainChanged() {
   chainMoved_.store(true);
   wake_.signal();
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
      if (chainMoved_.exchange(false))
         lookAtChain();
      for (Event& event : events) {
         take(std::move(event));
         handOut();
      }
      const std::int64_t now = nowUs();
      if (now - ticked >= std::chrono::microseconds(tick).count()) {
         ticked = now;
         network_->tick(now);
      }
      handOut();
      executeNext();
      std::erase_if(unread_, [&](PeerId peer) {
         const auto at = links_.find(peer);
         if (at == links_.end())
            return true;
         if (!network_->mayRead(peer, now))
            return false;
         at->second->readFrame();
         return true;
      });
      linkCount_.store(links_.size());
      wake_.waitUntil(seen, std::chrono::steady_clock::now() + tick);
   }
   for (const auto& [peer, link] : links_)
      link->drop();
   links_.clear();
}

void PeerThread::lookAtChain() {
   view_->refresh();
   std::set<format::AccountNumber> producers;
   forEachProducer(view_->block().status.consensus,
                   [&](const format::Producer& producer) { producers.insert(producer.name); });
   network_->setProducers(std::move(producers));
   const bool hasChain = view_->block().header.has_value();
   // Made here, rather than taken from a neighbour: what neighbours were told of is gone.
   const bool made = hasChain && !hadChain_ && options_.producer.value != 0;
   hadChain_ = hasChain;
   if (made)
      network_->chainReplaced();
   else
      network_->chainChanged();
}

void PeerThread::take(Event&& event) {
   const std::int64_t now = nowUs();
   if (auto* opened = std::get_if<Opened>(&event)) {
      log::info("Connected to ", opened->link->where());
      links_.emplace(opened->peer, std::move(opened->link));
      network_->opened(opened->peer, now);
   } else if (auto* frame = std::get_if<Frame>(&event)) {
      if (!links_.contains(frame->peer))
         return;
      network_->frame(frame->peer, frame->bytes, now);
      unread_.insert(frame->peer);
   } else if (auto* written = std::get_if<Written>(&event)) {
      network_->written(written->peer);
   } else if (auto* closed = std::get_if<Closed>(&event)) {
      if (const auto at = links_.find(closed->peer); at != links_.end()) {
         log::info("The connection to ", at->second->where(), " has ended");
         links_.erase(at);
      }
      network_->closed(closed->peer, now);
   } else if (auto* action = std::get_if<ToProducers>(&event)) {
      const consensus::WasmProducerMessage message{std::move(action->action), options_.producer, {}};
      // A transaction carries its own proofs; who hands it on need not be known.
      const Bytes bytes = consensus::encode(message, Bytes());
      forEachProducer(view_->block().status.consensus, [&](const format::Producer& producer) {
         if (producer.name != options_.producer)
            network_->send(consensus::SendToProducer{producer.name, bytes, std::nullopt});
      });
   } else if (auto* executed = std::get_if<Executed>(&event)) {
      executing_ = false;
      view_->waiting.erase(executed->id);
      if (executed->error) {
         // What follows on a refused block cannot be executed either.
         std::erase_if(blocks_, [&](const auto& block) { return block.from == executed->from; });
         network_->disconnect(executed->from, std::move(*executed->error));
      }
   }
}

void PeerThread::handOut() {
   for (peer::Output& output : network_->take()) {
      if (auto* send = std::get_if<peer::SendFrame>(&output)) {
         if (const auto at = links_.find(send->to); at != links_.end())
            at->second->sendFrame(std::move(send->frame));
      } else if (auto* close = std::get_if<peer::CloseLink>(&output)) {
         const auto at = links_.find(close->peer);
         if (at == links_.end())
            continue;
         const std::int64_t now = nowUs();
         if (logged_.size() >= loggedMax)
            logged_.clear();
         if (auto& told = logged_[close->reason]; told == 0 || now - told > logEveryUs) {
            told = now;
            log::warning("The connection to ", at->second->where(), " is closed: ", close->reason);
         }
         at->second->drop();
         links_.erase(at);
      } else if (auto* toConsensus = std::get_if<peer::ToConsensus>(&output)) {
         auto* block = std::get_if<consensus::BlockReceived>(&toConsensus->event);
         if (!block)
            continue; // of several producers
         const auto& header = block->block->block.header;
         view_->waiting.emplace(format::blockId(header), peer::ExtendedBlockId{header.previous, header.blockNum - 1});
         blocks_.push_back(std::move(*block));
      } else if (auto* transaction = std::get_if<peer::TransactionFrame>(&output)) {
         options_.transaction(std::move(transaction->data));
      }
   }
}

/// One block at a time is at the chain thread.
void PeerThread::executeNext() {
   if (executing_ || blocks_.empty())
      return;
   const consensus::BlockReceived next = blocks_.front();
   executing_ = chain_.submit([this, next](kernel::Kernel& kernel) {
      tell(Executed{next.from, format::blockId(next.block->block.header), execute(kernel, next.block)});
   });
   if (executing_)
      blocks_.pop_front();
}

/// Chain thread. Nothing: the block is there now.
std::optional<std::string> PeerThread::execute(kernel::Kernel& kernel, const consensus::BlockPtr& block) const {
   const auto& header = block->block.header;
   const auto head = kernel.head();
   const std::string name = "block " + std::to_string(header.blockNum);
   if (header.blockNum <= head->num)
      return kernel.blockId(header.blockNum) == format::blockId(header)
                 ? std::nullopt
                 : std::optional("its " + name + " is another than the one that this node holds");
   if (options_.producer.value != 0 && kernel.hasChain())
      return "it sends " + name + ", which this node has not made";
   if (header.previous != head->id)
      return "it sends " + name + " without those before";
   if (producerCount(head->status.consensus) > 1)
      return "the chain has several producers, which this version cannot follow yet";
   if (const auto applied = kernel.applyBlock(block); !applied)
      return "its " + name + " is not valid: " + applied.error().reason;
   return std::nullopt;
}

} // namespace polis::node
