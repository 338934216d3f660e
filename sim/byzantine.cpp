// The repertoire of a liar: it runs two replicas that know nothing of each other, each with an audience of its own,
// keeps votes from some, and every now and then does one of the following with its own key.
#include "sim/world.hpp"

namespace polis::sim {
namespace {

struct Liar {
   World& world;
   Node& node;
   Dice& dice = world.dice;
   const format::Producer& self = world.people[node.account];

   /// To some of its audience.
   template <class Thing>
   void tell(const Thing& thing) {
      const std::uint64_t whom = dice.chance(0.5) ? ~std::uint64_t{0} : dice.next();
      for (std::size_t to = 0; to < world.plan.nodes; ++to)
         if (to != node.account && node.audience >> to & 1 && whom >> to & 1)
            node.say(to, thing);
   }
   template <SignedContent M>
   void tellSigned(const M& message) {
      tell(testFrame(message));
   }
   StatePtr recentBlock() const {
      const auto& all = world.checker.all();
      if (all.empty())
         return nullptr;
      const std::size_t last = std::min<std::size_t>(all.size(), 12);
      return world.chain.find(format::blockId(all[all.size() - 1 - dice.below(last)]->block.header));
   }
   /// Its own signature, again and again.
   std::vector<ProducerConfirm> repeated(const Checksum256& digest, std::size_t times) const {
      return std::vector<ProducerConfirm>(times, {self.name, TestSignatures::signatureOf(self.auth, digest)});
   }

   void voteForAnything() {
      if (const StatePtr state = recentBlock()) {
         tellSigned(PrepareMessage{state->spot.id, self.name, self.auth});
         if (dice.chance(0.7))
            tellSigned(CommitMessage{state->spot.id, self.name, self.auth});
      }
   }
   void voteInOddBytes() {
      const StatePtr state = recentBlock();
      if (!state)
         return;
      Bytes packed = format::pack(PrepareMessage{state->spot.id, self.name, self.auth});
      packed.push_back(0);
      const Bytes signature =
          TestSignatures::signatureOf(self.auth, detail::signedDigest(MessageType::prepare, packed));
      tell(detail::frame(MessageType::prepare, format::pack(format::SignedMessage<PrepareMessage>{
                                                   format::Nested<PrepareMessage>(std::move(packed)), signature})));
   }
   void lieAboutTheView() {
      const TermNum term = node.replica->term() + static_cast<TermNum>(dice.below(4));
      ViewChangeMessage change{term, self.name, self.auth, {}, 0, {}, std::nullopt};
      const StatePtr state = recentBlock();
      if (state && dice.chance(0.8)) {
         change.best_prepared = state->spot.id;
         change.best_prepared_term = state->spot.header.term;
         const auto digest = digestOf(PrepareMessage{state->spot.id, self.name, self.auth});
         change.prepares = repeated(digest, 7);
         if (state->spot.end->sets.next)
            change.nextPrepares = repeated(digest, 7);
      }
      tellSigned(change);
   }
   void sayAgain() {
      const auto& heard = world.overheard;
      if (heard.empty())
         return;
      for (int i = 0; i < 6; ++i)
         tell(Bytes(heard[dice.below(heard.size())])); // what is said is overheard too
   }
   /// A block of a term that it leads, as it should not be.
   void buildSomething() {
      if (world.plan.kernel) // whose services would not execute what the stub builds
         return;
      StatePtr parent = dice.chance(0.6) ? world.chain.find(node.replica->head()) : recentBlock();
      if (!parent)
         return;
      const ChainConsensusPtr consensus = parent->spot.after();
      const ProducerSets& sets = consensus->sets;
      if (!sets.current.bft() || !sets.current.has(self.name))
         return;
      TermNum term = dice.chance(0.7) ? node.replica->term() : parent->spot.header.term;
      while (sets.current.leader(term).name != self.name)
         ++term;
      StubChain::Order order;
      order.producer = self.name;
      order.term = term;
      order.commitNum = parent->spot.header.blockNum - static_cast<BlockNum>(dice.below(3));
      order.timeUs = parent->spot.header.time.microseconds + dice.between(1, 1'000'000);
      order.mark = dice.next();
      switch (dice.below(8)) {
      case 0:
         order.empty = true;
         break;
      case 1:
         order.falseState = true;
         break;
      case 2:
         order.spins = true;
         break;
      case 3:
         order.timeUs += dice.between(1'000'000, 4'000'000'000);
         break;
      case 4: // its own commits for a block below, as often as a quorum would be
         if (const auto digest = digestOf(CommitMessage{parent->spot.id, self.name, self.auth}); true) {
            format::BlockConfirm confirm{parent->spot.header.blockNum, repeated(digest, 7), std::nullopt};
            if (parent->spot.end->sets.next)
               confirm.nextCommits = repeated(digest, 7);
            order.aux = format::pack(confirm);
            order.commitNum = parent->spot.header.blockNum;
         }
         break;
      default:
         break; // a second block beside its first
      }
      BlockPtr block = world.chain.build(parent, order);
      if (!block)
         return;
      if (dice.chance(0.1)) { // the header of one, the body of another
         auto swapped = std::make_shared<format::SignedBlock>(*block);
         swapped->block.transactions.push_back(testTransaction("note", {}, 1));
         block = swapped;
      } else if (world.chain.execute(block)) {
         world.checker.made(block);
         if (dice.chance(0.8)) {
            tellSigned(PrepareMessage{format::blockId(block->block.header), self.name, self.auth});
            tellSigned(CommitMessage{format::blockId(block->block.header), self.name, self.auth});
         }
      }
      tell(block);
   }
};

} // namespace

void lie(World& world, Node& node) {
   Liar liar{world, node};
   switch (world.dice.below(8)) {
   case 0:
   case 1:
      return liar.voteForAnything();
   case 2:
      return liar.voteInOddBytes();
   case 3:
      return liar.lieAboutTheView();
   case 4:
      return liar.sayAgain();
   default:
      return liar.buildSomething();
   }
}

} // namespace polis::sim
