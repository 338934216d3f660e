// One replica, and a hand that plays everybody else: answers what it asks for, and keeps what it sends.
#pragma once

#include "consensus/test_chain.hpp"

#include <algorithm>
#include <deque>
#include <map>

namespace polis::consensus {

struct TestReplica {
   std::vector<format::Producer> people; ///< who has which key; [0] is this node
   TestSignatures signatures;
   Options options;
   std::optional<Replica> replica;
   Now now{1'000'000, 1'700'000'000'000'000};
   Spot genesis; ///< the irreversible block that the replica begins with

   std::optional<ForgottenVotes> forgotten;
   bool diskWorks = true; ///< Persist is answered at once
   std::map<BlockId, Verdict> verdicts;
   std::vector<Effect> effects; ///< but Persist and Execute
   std::vector<SafetyRecord> records;
   std::vector<BlockId> executed;
   std::uint64_t unanswered = 0;

   explicit TestReplica(std::size_t nodes) {
      for (std::size_t i = 0; i < nodes; ++i)
         people.push_back({AccountNumber(std::string(1, static_cast<char>('a' + i))), testClaim(i + 1)});
      // In the order of the protocol, so that people[i] has index i.
      std::ranges::sort(people, {}, &format::Producer::name);
      be(0);
   }
   void be(std::size_t who) {
      options.producer = people[who].name;
      signatures.keys = {people[who].auth.rawData};
   }
   std::vector<format::Producer> some(std::size_t from, std::size_t to) const {
      return {people.begin() + static_cast<std::ptrdiff_t>(from), people.begin() + static_cast<std::ptrdiff_t>(to)};
   }

   void begin(format::Consensus current, std::optional<SafetyRecord> record = {}, std::vector<BlockPtr> blocks = {}) {
      format::JointConsensus joint{std::move(current), std::nullopt};
      genesis.end = std::make_shared<ChainConsensus>(joint);
      genesis.header = {};
      genesis.header.blockNum = 10;
      genesis.header.commitNum = 8;
      genesis.header.time.microseconds = now.real - 5'000'000;
      genesis.header.consensusState = genesis.end->hash;
      genesis.id = format::blockId(genesis.header);
      Restored restored{genesis.id, genesis.header, joint, std::move(blocks), std::move(record), true, forgotten};
      replica.emplace(options, signatures, std::move(restored));
      take(replica->start(now));
   }
   void take(Effects given) {
      std::deque<Event> events;
      const auto sort = [&](Effects list) {
         for (Effect& effect : list) {
            if (const auto* persist = std::get_if<Persist>(&effect)) {
               records.push_back(persist->record);
               unanswered = persist->sequence;
               if (diskWorks)
                  events.push_back(Persisted{persist->sequence});
            } else if (const auto* execute = std::get_if<Execute>(&effect)) {
               executed.push_back(execute->id);
               const auto verdict = verdicts.find(execute->id);
               events.push_back(
                   BlockExecuted{execute->id, verdict == verdicts.end() ? Verdict::valid : verdict->second});
            } else {
               effects.push_back(std::move(effect));
            }
         }
      };
      sort(std::move(given));
      while (!events.empty()) {
         const Event event = std::move(events.front());
         events.pop_front();
         sort(replica->step(event, now));
      }
   }
   void step(const Event& event) { take(replica->step(event, now)); }
   void receive(const BlockPtr& block) { step(BlockReceived{1, block}); }
   template <SignedContent M>
   void receive(const M& message) {
      step(MessageReceived{1, *decodeMessage(testFrame(message))});
   }
   void wait(std::int64_t us) {
      now.monotonic += us;
      now.real += us;
      step(Tick{});
   }
   void sync() {
      diskWorks = true;
      step(Persisted{unanswered});
   }

   struct Content {
      std::size_t author = 0;
      TermNum term = 0;
      BlockNum commitNum = 0; ///< 0: two below the block
      std::int64_t afterUs = 1'000'000;
      bool empty = false;
      unsigned transactions = 0; ///< besides the block's own
      std::size_t bytes = 0;     ///< in each of these
      std::optional<format::Consensus> newConsensus{};
      std::optional<Bytes> aux{};
      std::uint64_t mark = 0; ///< tells blocks apart that are alike otherwise
   };
   BlockPtr build(const Spot& parent, const Content& content) const {
      format::SignedBlock block;
      format::BlockHeader& header = block.block.header;
      header.time.microseconds = parent.header.time.microseconds + content.afterUs;
      header.producer = people[content.author].name;
      header.term = content.term;
      header.commitNum = content.commitNum ? content.commitNum : parent.header.blockNum - 1;
      std::memcpy(header.eventMerkleRoot.data(), &content.mark, 8);
      header.newConsensus = content.newConsensus;
      if (!content.empty)
         block.block.transactions.push_back(testTransaction("startBlock", {}, parent.header.blockNum));
      for (unsigned i = 0; i < content.transactions; ++i)
         block.block.transactions.push_back(testTransaction("work", Bytes(content.bytes), parent.header.blockNum + i));
      block.auxConsensusData = content.aux;
      return sealedTestBlock(parent, std::move(block));
   }

   /// A block that somebody built arrives.
   Spot grow(const Spot& parent, const Content& content) {
      const BlockPtr block = build(parent, content);
      receive(block);
      return Spot::of(block, parent);
   }

   void prepare(const BlockId& id, std::size_t who) { receive(PrepareMessage{id, people[who].name, people[who].auth}); }
   void commit(const BlockId& id, std::size_t who) { receive(CommitMessage{id, people[who].name, people[who].auth}); }
   template <class M>
   ProducerConfirm confirmOf(const BlockId& id, std::size_t who) const {
      const M message{id, people[who].name, people[who].auth};
      return {message.producer, TestSignatures::signatureOf(message.signer, digestOf(message))};
   }
   template <class M>
   std::vector<ProducerConfirm> confirmsOf(const BlockId& id, const std::vector<std::size_t>& who) const {
      std::vector<ProducerConfirm> out;
      for (const std::size_t i : who)
         out.push_back(confirmOf<M>(id, i));
      return out;
   }
   Bytes proof(const Spot& block, const std::vector<std::size_t>& who,
               std::optional<std::vector<std::size_t>> next = {}) const {
      format::BlockConfirm out{block.header.blockNum, confirmsOf<CommitMessage>(block.id, who), std::nullopt};
      if (next)
         out.nextCommits = confirmsOf<CommitMessage>(block.id, *next);
      return format::pack(out);
   }
   /// Names nothing, or a block with the prepares of some.
   ViewChangeMessage viewChange(TermNum term, std::size_t who, const Spot* named = nullptr,
                                const std::vector<std::size_t>& prepares = {}) const {
      ViewChangeMessage out{term, people[who].name, people[who].auth, {}, 0, {}, std::nullopt};
      if (named) {
         out.best_prepared = named->id;
         out.best_prepared_term = named->header.term;
         out.prepares = confirmsOf<PrepareMessage>(named->id, prepares);
      }
      return out;
   }

   template <class E>
   std::vector<E> taken() {
      std::vector<E> out;
      for (const Effect& effect : effects)
         if (const auto* found = std::get_if<E>(&effect))
            out.push_back(*found);
      return out;
   }
   /// Messages of a kind that left since the last `effects.clear()`, to whomever.
   template <class M>
   std::vector<M> sent() {
      std::vector<M> out;
      for (const Effect& effect : effects) {
         const Bytes* frame = nullptr;
         if (const auto* multicast = std::get_if<Multicast>(&effect))
            frame = &multicast->frame;
         else if (const auto* flood = std::get_if<Flood>(&effect))
            frame = &flood->frame;
         else if (const auto* send = std::get_if<SendToPeer>(&effect))
            frame = &send->frame;
         else if (const auto* routed = std::get_if<SendToProducer>(&effect))
            frame = &routed->frame;
         if (!frame || typeOf(*frame) != messageTypeOf<M>)
            continue;
         if constexpr (SignedContent<M>) {
            if (const auto message = decode<M>(*frame))
               out.push_back(message->message);
         } else {
            out.push_back(*decode<M>(*frame));
         }
      }
      return out;
   }
   bool halted() { return !taken<Halt>().empty(); }
   std::size_t disconnects() { return taken<Disconnect>().size(); }
};

} // namespace polis::consensus
