// A whole network on one thread, in virtual time, from one seed.
#pragma once

#include "sim/checker.hpp"
#include "sim/node.hpp"

#include <functional>
#include <memory>
#include <queue>

namespace polis::sim {

/// What passes between two nodes.
struct Parcel {
   std::shared_ptr<const Bytes> frame{}; ///< a consensus message, or
   BlockPtr block{};                     ///< a block, or
   ExtendedBlockId head{}, committed{};  ///< a greeting: where the sender stands
};

struct Outcome {
   std::optional<std::string> violation{};
   std::int64_t us = 0;           ///< virtual
   std::int64_t healedAfter = 0;  ///< from the end of the faults until everybody had moved on
   std::int64_t longestGapUs = 0; ///< between two moments at which something became irreversible anywhere
   BlockNum blocks = 0;           ///< that became irreversible
   std::uint64_t messages = 0;
};

class World {
public:
   explicit World(Plan plan);
   ~World();
   Outcome run();

   // ---- for nodes and liars ----
   void at(std::int64_t time, std::function<void()> what);
   /// To the nodes of an account, through all that a network does.
   void send(const Node& from, std::size_t account, const Parcel& parcel);
   std::optional<std::size_t> accountOf(AccountNumber name) const;
   bool lies(std::size_t account) const { return plan.byzantine >> account & 1; }
   /// The change that is due on a chain that has seen `changes` of them.
   std::optional<format::Consensus> changeDue(std::size_t changes) const;
   format::Consensus consensusOf(std::uint64_t mask, bool bft) const;

   std::int64_t now = 0;
   Plan plan;
   Dice dice;
   std::vector<format::Producer> people;
   std::unique_ptr<Grounds> grounds;
   StubChain chain;
   Checker checker;
   std::vector<std::unique_ptr<Node>> nodes; ///< one an account; a liar has two, behind each other's back
   std::vector<Bytes> overheard;             ///< some of what was ever said, for replays
   static constexpr std::int64_t epochUs = 1'700'000'000'000'000;

private:
   struct Event {
      std::int64_t time;
      std::uint64_t number;
      std::shared_ptr<std::function<void()>> what;
      bool operator<(const Event& other) const { return std::tie(time, number) > std::tie(other.time, other.number); }
   };
   void begin(const Fault& fault);
   void end(const Fault& fault);
   void liesAgain(Node& liar);
   void heal();
   bool everybodyMovedOn() const;

   std::priority_queue<Event> queue_;
   std::uint64_t numbers_ = 0;
   std::vector<std::vector<int>> cut_; ///< how many faults stop what goes from one account to another
   std::map<std::pair<std::size_t, std::size_t>, std::int64_t> blocksUntil_; ///< a link delivers blocks in order
   double lossNow_ = 0;
   std::int64_t lateNow_ = 0;
   BlockNum goal_ = 0;
   std::uint64_t messages_ = 0;
};

/// What a liar does beyond keeping two faces. Called every now and then.
void lie(World& world, Node& liar);

/// Runs a plan, and what it is called by: `sim_run --seed …`.
Outcome simulate(const Plan& plan);

} // namespace polis::sim
