#include "node/state_snapshots.hpp"

#include "base/clock.hpp"
#include "base/fault.hpp"
#include "base/log.hpp"
#include "consensus/certificate.hpp"
#include "format/ids.hpp"
#include "kernel/databases.hpp"
#include "node/snapshot.hpp"

#include <algorithm>

namespace polis::node {

namespace db = kernel::db;
using kernel::storeKey;

namespace {

/// Rows of one part: cut behind so many bytes.
constexpr std::size_t partBytes = std::size_t{1} << 20;
constexpr std::size_t rowBytes = 16;
/// States that wait for signatures.
constexpr std::size_t knownMax = 4;
constexpr std::size_t earlyMax = 64;
/// A block that was made longer ago is of no interest: it is read, not made.
constexpr std::int64_t freshUs = 600'000'000;

std::uint64_t bytesIn(const store::Version& version, std::uint32_t database) {
   std::uint64_t out = 0;
   const Bytes prefix{static_cast<std::uint8_t>(database)};
   auto cursor = version.cursor();
   for (bool valid = cursor.seek(prefix); valid; valid = cursor.next()) {
      const auto entry = cursor.entry();
      if (entry.key[0] != prefix[0])
         break;
      out += entry.key.size() - 1 + entry.value.size();
   }
   return out;
}

class StateOffer final : public peer::SnapshotOffer {
public:
   StateOffer(StateSnapshots::Measured state, std::vector<format::StateSignature> signatures)
      : state_(std::move(state)), signatures_(std::move(signatures)) {}

   consensus::ExtendedBlockId block() const override { return {state_.state->id, state_.state->num}; }
   std::uint64_t stateBytes() const override { return state_.stateBytes; }
   std::uint64_t blockBytes() const override { return state_.blockBytes; }
   const std::vector<Bytes>& headers() const override { return state_.headers; }

   consensus::SnapshotPart part(std::optional<Place>& place) const override {
      if (!peer::isInSnapshot(place->db)) // a peer that asks for what is not there gets the beginning
         return part(place = Place{});
      consensus::SnapshotPart out{state_.state->id, place->db, place->key, {}, {}};
      std::size_t bytes = 0;
      auto cursor = state_.state->version.cursor();
      for (bool valid = cursor.seek(storeKey(place->db, place->key)); valid; valid = cursor.next()) {
         const auto entry = cursor.entry();
         if (entry.key[0] != place->db)
            break;
         if (bytes >= partBytes) {
            out.highKey = toBytes(entry.key.subspan(1));
            break;
         }
         out.rows.push_back({toBytes(entry.key.subspan(1)), toBytes(entry.value)});
         bytes += entry.key.size() + entry.value.size() + rowBytes;
      }
      place = peer::placeBehind(out);
      return out;
   }

   consensus::SnapshotVerify seal() const override { return {state_.state->id, state_.checksum, signatures_}; }

private:
   const StateSnapshots::Measured state_;
   const std::vector<format::StateSignature> signatures_;
};

/// What is to be known before a state can be signed and given away. Any thread; takes long.
StateSnapshots::Measured measured(const kernel::Kernel& kernel, const kernel::BlockStatePtr& state) {
   StateSnapshots::Measured out;
   out.state = state;
   out.checksum = kernel::stateChecksum(*state);
   out.stateBytes = bytesIn(state->version, db::service) + bytesIn(state->version, db::native);
   out.blockBytes = bytesIn(state->version, db::blockLog);
   if (state->status.consensus.next) {
      out.problem = "the producers were changing there";
      return out;
   }
   try {
      for (const auto& [num, header] : lightHeaders(kernel, *state))
         out.headers.push_back(consensus::encode(consensus::BlockHeaderMessage{header}));
   } catch (const Fault& fault) {
      out.problem = fault.what();
   }
   return out;
}

} // namespace

StateSnapshots::StateSnapshots(kernel::Kernel& kernel, consensus::Signatures& signatures, Options options)
   : kernel_(kernel), signer_(signatures), options_(std::move(options)) {}

void StateSnapshots::begin() {
   seen_ = kernel_.irreversible()->num;
   waiting_.reset();
   known_.clear();
   offer_.reset();
   if (auto kept = kernel_.keptState())
      measure(std::move(kept));
}

void StateSnapshots::irreversible(const consensus::BlockId& id) {
   const format::BlockNum before = std::exchange(seen_, std::max(seen_, format::blockNumOf(id)));
   for (auto state = kernel_.retained(id); state && state->num > before;
        state = kernel_.retained(state->header->previous)) {
      if (!state->version.get(storeKey(db::native, format::ScheduledSnapshotRow::key(state->num))))
         continue;
      if (SystemClock().realtimeNs() / 1000 - state->header->time.microseconds < freshUs)
         measure(std::move(state));
      return;
   }
}

void StateSnapshots::measure(kernel::BlockStatePtr state) {
   if (measuring_) {
      waiting_ = std::move(state);
      return;
   }
   measuring_ = state->id;
   const auto work = [&kernel = kernel_, state, done = options_.measured] { done(node::measured(kernel, state)); };
   if (options_.background(work))
      return;
   measuring_.reset();
   log::warning("No snapshot is made of block ", state->num, ": the node is busy");
}

void StateSnapshots::measured(Measured state) {
   const auto id = state.state->id;
   if (measuring_ != id)
      return; // of a chain that is not this node's any more
   measuring_.reset();
   if (waiting_)
      measure(std::exchange(waiting_, nullptr));
   const bool fresh = !known_.contains(id);
   while (fresh && known_.size() >= knownMax)
      known_.erase(known_.begin());
   Known& known = known_[id];
   known.state = std::move(state);
   if (fresh)
      if (const auto row = kernel_.snapshotRow(id); row && row->state && row->state->state == known.state.checksum)
         for (const auto& signature : row->state->signatures)
            known.signatures.emplace(signature.account, signature);
   if (!known.state.state->status.consensus.next)
      sign(known);
   std::vector<std::pair<PeerId, consensus::StateChecksumMessage>> early;
   for (auto& [peer, messages] : early_)
      std::erase_if(messages, [&](auto& message) {
         if (message.blockId != id)
            return false;
         early.emplace_back(peer, std::move(message));
         return true;
      });
   look(id, known);
   for (auto& [peer, message] : early)
      received(peer, std::move(message));
}

/// For this node's own producer, and for those who sign with nothing.
void StateSnapshots::sign(Known& known) {
   const consensus::ProducerSet set(known.state.state->status.consensus.current.data);
   const auto* own = set.find(options_.producer);
   if (!own || known.signatures.contains(own->name))
      return;
   std::optional<Bytes> signature = Bytes();
   if (own->auth.service)
      signature = signer_.canSign(own->auth)
                      ? signer_.sign(own->auth, format::stateSignatureDigest(known.state.checksum))
                      : std::nullopt;
   if (!signature)
      return;
   const format::StateSignature made{own->name, own->auth, std::move(*signature)};
   known.signatures.emplace(own->name, made);
   options_.flood({known.state.state->id, known.state.checksum, made}, std::nullopt);
}

void StateSnapshots::received(PeerId from, consensus::StateChecksumMessage message) {
   const auto at = known_.find(message.blockId);
   if (at == known_.end()) {
      // Those of long ago, and of nothing, are let go of in their order.
      auto& early = early_[from];
      if (early.size() >= earlyMax)
         early.pop_front();
      early.push_back(std::move(message));
      return;
   }
   Known& known = at->second;
   const format::Consensus& current = known.state.state->status.consensus.current;
   const auto& [account, claim, signature] = message.signature;
   // Others may sign too; it means nothing.
   if (!consensus::ProducerSet(current.data).has(account, claim) || known.signatures.contains(account) ||
       known.others.contains(account))
      return;
   if (!consensus::answers(signer_, current, claim, format::stateSignatureDigest(message.state), signature))
      return options_.disconnect(from, "it passes on a state that " + account.str() + " has not signed");
   (message.state == known.state.checksum ? known.signatures : known.others).emplace(account, message.signature);
   options_.flood(message, from);
   look(message.blockId, known);
}

void StateSnapshots::look(const consensus::BlockId& id, Known& known) {
   const consensus::ProducerSet set(known.state.state->status.consensus.current.data);
   const auto num = known.state.state->num;
   if (known.others.size() >= set.weak() && !std::exchange(known.toldOfOthers, true))
      log::error("Block ", num, ": ", known.others.size(), " of ", set.size(),
                 " producers have another state after it than this node, which has that of ", known.signatures.size(),
                 ". One of them is wrong: `polis replay --verify` tells whether this one is");
   if (known.others.size() >= set.strong())
      return options_.halt("most producers have another state after block " + std::to_string(num) +
                           " than this node, which cannot be right then");
   if (known.signatures.size() < set.weak())
      return;
   if (offer_ && offer_->block().num > num)
      return;
   std::vector<format::StateSignature> list;
   for (const auto& [account, signature] : known.signatures)
      list.push_back(signature);
   if (!known.state.problem.empty()) {
      log::warning("The snapshot of block ", num, " cannot be given to others: ", known.state.problem);
      return;
   }
   kernel_.putSnapshotRow({id, format::SnapshotStateItem{known.state.checksum, list}, {}});
   if (kernel_.keptState() != known.state.state)
      kernel_.keepState(known.state.state);
   if (!offer_ || offer_->block().num < num)
      log::info("A snapshot of block ", num, ", vouched for by ", list.size(), " of ", set.size(),
                " producers, is ready for newcomers: ", known.state.stateBytes / 1024, " KiB, and the blocks up to it ",
                known.state.blockBytes / 1024);
   offer_ = std::make_shared<StateOffer>(known.state, std::move(list));
   // Ids sort by height: what is older is of no more use.
   known_.erase(known_.begin(), known_.find(id));
}

std::vector<consensus::StateChecksumMessage> StateSnapshots::signatures() const {
   std::vector<consensus::StateChecksumMessage> out;
   for (const auto& [id, known] : known_)
      for (const auto& [account, signature] : known.signatures)
         out.push_back({id, known.state.checksum, signature});
   return out;
}

} // namespace polis::node
