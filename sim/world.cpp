#include "sim/world.hpp"

#include "base/fault.hpp"
#include "vm/execution_thread.hpp"

#include <algorithm>

namespace polis::sim {
namespace {

std::vector<format::Producer> peopleOf(const Plan& plan) {
   std::vector<format::Producer> out;
   for (std::size_t i = 0; i < plan.nodes; ++i)
      out.push_back({AccountNumber(std::string("prod-") + static_cast<char>('a' + i)), testClaim(i + 1)});
   return out;
}

format::Consensus consensusFor(const std::vector<format::Producer>& people, std::uint64_t mask, bool bft) {
   std::vector<format::Producer> members;
   for (std::size_t i = 0; i < people.size(); ++i)
      if (mask >> i & 1)
         members.push_back(people[i]);
   return testConsensus(bft ? Algorithm::bft : Algorithm::cft, std::move(members));
}

std::set<AccountNumber> liarsOf(const std::vector<format::Producer>& people, std::uint64_t mask) {
   std::set<AccountNumber> out;
   for (std::size_t i = 0; i < people.size(); ++i)
      if (mask >> i & 1)
         out.insert(people[i].name);
   return out;
}

} // namespace

World::World(Plan what)
   : plan(std::move(what)), dice(plan.seed), people(peopleOf(plan)),
     grounds((plan.kernel ? kernelGrounds : stubGrounds)(consensusFor(people, plan.first, plan.firstBft),
                                                         epochUs - 1'000'000)),
     chain(grounds->genesis()), checker(chain, liarsOf(people, plan.byzantine)),
     cut_(plan.nodes, std::vector<int>(plan.nodes)) {
   const std::uint64_t everybody = (std::uint64_t{1} << plan.nodes) - 1;
   for (std::size_t i = 0; i < plan.nodes; ++i)
      nodes.push_back(std::make_unique<Node>(*this, nodes.size(), i, lies(i) ? dice.next() & everybody : everybody));
   for (std::size_t i = 0; i < plan.nodes; ++i)
      if (lies(i))
         nodes.push_back(std::make_unique<Node>(*this, nodes.size(), i, dice.next() & everybody));
   for (auto& node : nodes)
      node->ratePpm = dice.between(-2000, 2000);
}

World::~World() = default;

void World::at(std::int64_t time, std::function<void()> what) {
   queue_.push({time, numbers_++, std::make_shared<std::function<void()>>(std::move(what))});
}

std::optional<std::size_t> World::accountOf(AccountNumber name) const {
   const auto found = std::ranges::find(people, name, &format::Producer::name);
   return found == people.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - people.begin()));
}

format::Consensus World::consensusOf(std::uint64_t mask, bool bft) const { return consensusFor(people, mask, bft); }

std::optional<format::Consensus> World::changeDue(std::size_t changes) const {
   for (const Fault& fault : plan.faults) {
      if (fault.kind != Fault::Kind::change)
         continue;
      if (changes == 0)
         return now >= fault.at ? std::optional(consensusOf(fault.mask, fault.bft)) : std::nullopt;
      --changes;
   }
   return std::nullopt;
}

void World::send(const Node& from, std::size_t account, const Parcel& parcel) {
   ++messages_;
   if (parcel.frame && overheard.size() < 4000 && plan.byzantine)
      overheard.push_back(*parcel.frame);
   if (cut_[from.account][account] || dice.chance(plan.loss + lossNow_))
      return;
   for (const auto& node : nodes) {
      if (node->account != account || !(node->audience >> from.account & 1))
         continue;
      for (int copies = dice.chance(plan.twice) ? 2 : 1; copies > 0; --copies) {
         std::int64_t arrival = now + plan.delayUs + dice.between(0, plan.jitterUs) + lateNow_;
         if (parcel.block) {
            std::int64_t& last = blocksUntil_[{from.index, node->index}];
            arrival = last = std::max(arrival, last);
         }
         at(arrival, [to = node.get(), who = from.account, parcel] { to->receive(who, parcel); });
      }
   }
}

void World::begin(const Fault& fault) {
   const auto each = [&](auto&& what) {
      for (auto& node : nodes)
         if (node->account == fault.node)
            what(*node);
   };
   switch (fault.kind) {
   case Fault::Kind::crash:
      return each([](Node& node) {
         ++node.down;
         node.crash();
      });
   case Fault::Kind::cut:
      ++cut_[fault.node][fault.other];
      return;
   case Fault::Kind::isolate:
   case Fault::Kind::split:
      for (std::size_t a = 0; a < plan.nodes; ++a)
         for (std::size_t b = 0; b < plan.nodes; ++b)
            cut_[a][b] += fault.kind == Fault::Kind::isolate ? a == fault.node || b == fault.node
                                                             : (fault.mask >> a & 1) != (fault.mask >> b & 1);
      return;
   case Fault::Kind::slow:
      return each([](Node& node) { node.slowness = 20; });
   case Fault::Kind::clock:
      return each([&](Node& node) { node.clockUs = fault.amount; });
   case Fault::Kind::lossy:
      lossNow_ = static_cast<double>(fault.amount) / 1000;
      return;
   case Fault::Kind::late:
      lateNow_ = fault.amount;
      return;
   case Fault::Kind::change:
      return;
   case Fault::Kind::pause:
      return each([](Node& node) { ++node.still; });
   }
}

void World::end(const Fault& fault) {
   const auto each = [&](auto&& what) {
      for (auto& node : nodes)
         if (node->account == fault.node)
            what(*node);
   };
   switch (fault.kind) {
   case Fault::Kind::crash:
      return each([](Node& node) {
         if (--node.down == 0)
            node.boot();
      });
   case Fault::Kind::cut:
      --cut_[fault.node][fault.other];
      return;
   case Fault::Kind::isolate:
   case Fault::Kind::split:
      for (std::size_t a = 0; a < plan.nodes; ++a)
         for (std::size_t b = 0; b < plan.nodes; ++b)
            cut_[a][b] -= fault.kind == Fault::Kind::isolate ? a == fault.node || b == fault.node
                                                             : (fault.mask >> a & 1) != (fault.mask >> b & 1);
      return;
   case Fault::Kind::slow:
      return each([](Node& node) { node.slowness = 1; });
   case Fault::Kind::clock:
      return each([](Node& node) { node.clockUs = 0; });
   case Fault::Kind::lossy:
      lossNow_ = 0;
      return;
   case Fault::Kind::late:
      lateNow_ = 0;
      return;
   case Fault::Kind::change:
      return;
   case Fault::Kind::pause:
      return each([](Node& node) {
         if (--node.still == 0)
            node.goOn();
      });
   }
}

void World::liesAgain(Node& liar) {
   at(now + dice.between(50'000, 1'500'000), [this, &liar] {
      if (liar.up)
         lie(*this, liar);
      liesAgain(liar);
   });
}

void World::heal() {
   plan.loss = plan.twice = 0;
   goal_ = checker.highest() + 5;
}

/// Everybody who is honest has what was irreversible when the faults ended and some more, and stands near the others.
/// Where CFT alone decides, its producers are in one term: who is not confirms nothing, and is missed when another
/// fails.
bool World::everybodyMovedOn() const {
   BlockNum low = ~BlockNum{0}, high = 0;
   std::set<TermNum> terms;
   for (const auto& node : nodes) {
      if (lies(node->account))
         continue;
      if (!node->up || node->replica->irreversibleNum() < goal_)
         return false;
      low = std::min(low, node->replica->headNum());
      high = std::max(high, node->replica->headNum());
      const ProducerSets& sets = node->replica->sets();
      const bool byCft = !sets.current.bft() && !(sets.next && sets.next->bft());
      if (byCft && (sets.current.has(node->name) || (sets.next && sets.next->has(node->name))))
         terms.insert(node->replica->term());
   }
   if (terms.size() > 1)
      return false;
   // At ten blocks a second and late messages a few are always under way.
   return high - low <= 3 + static_cast<BlockNum>(2 * (plan.delayUs + plan.jitterUs) / plan.intervalUs);
}

Outcome World::run() {
   for (auto& node : nodes)
      at(dice.between(0, 200'000), [&, raw = node.get()] {
         if (raw->down == 0)
            raw->boot();
      });
   for (const Fault& fault : plan.faults) {
      at(fault.at + 200'000, [this, fault] { begin(fault); });
      at(fault.until + 200'001, [this, fault] { end(fault); });
   }
   at(plan.healUs + 300'000, [this] { heal(); });
   for (auto& node : nodes)
      if (lies(node->account))
         liesAgain(*node);
   Outcome out;
   std::int64_t lookAt = 0, movedAt = 0;
   BlockNum highest = 0;
   while (!queue_.empty() && !checker.violation()) {
      const Event event = queue_.top();
      queue_.pop();
      now = event.time;
      try {
         (*event.what)();
      } catch (const polis::Fault& fault) {
         checker.fail(std::string("a node cannot go on: ") + fault.what());
      }
      if (const BlockNum reached = checker.highest(); reached > highest) {
         if (highest)
            out.longestGapUs = std::max(out.longestGapUs, now - movedAt);
         highest = reached;
         movedAt = now;
      }
      if (goal_ && now >= lookAt) {
         lookAt = now + 200'000;
         if (everybodyMovedOn())
            break;
         if (now > plan.endUs) {
            std::string where;
            for (const auto& node : nodes)
               if (!lies(node->account))
                  where += " " + std::to_string(node->index) + ": " +
                           (node->up ? std::to_string(node->replica->irreversibleNum()) + "/" +
                                           std::to_string(node->replica->headNum()) + " term " +
                                           std::to_string(node->replica->term())
                                     : "down");
            checker.fail("nothing moves long after the last fault; goal " + std::to_string(goal_) + ", now" + where);
         }
      }
   }
   if (!checker.violation())
      if (auto wrong = grounds->again(chain, checker))
         checker.fail(std::move(*wrong));
   out.violation = checker.violation();
   out.us = now;
   out.healedAfter = std::max<std::int64_t>(0, now - plan.healUs);
   out.blocks =
       std::max(checker.highest(), chain.genesis()->spot.header.blockNum) - chain.genesis()->spot.header.blockNum;
   out.messages = messages_;
   return out;
}

Outcome simulate(const Plan& plan) {
   if (!plan.kernel)
      return World(plan).run();
   Outcome out;
   vm::onExecutionStack([&] { out = World(plan).run(); });
   return out;
}

} // namespace polis::sim
