// One node: a replica, and around it a disk that may lose what was not synced, a clock that may be wrong, a chain that
// takes time to execute, and the blocks that its neighbours may be missing.
#pragma once

#include "sim/ground.hpp"

#include <functional>
#include <map>
#include <set>

namespace polis::sim {

class World;
struct Parcel;

class Node {
public:
   /// audience: the accounts that this node talks with.
   Node(World& world, std::size_t index, std::size_t account, std::uint64_t audience);

   void boot();
   /// Loses what was not synced, but for a part of it that happened to be written.
   void crash();
   void receive(std::size_t fromAccount, const Parcel& parcel);
   /// After it stood still: whatever was due or came meanwhile.
   void goOn();

   const std::size_t index, account;
   const std::uint64_t audience;
   AccountNumber name{};
   bool up = false;
   int down = 0;  ///< faults that keep it down
   int still = 0; ///< and those that stop it
   int slowness = 1;
   std::int64_t clockUs = 0; ///< what its clock is wrong by
   std::int64_t ratePpm = 0; ///< and by how much it is too fast
   std::optional<Replica> replica;
   TestSignatures signatures;

   Now clock() const;
   void say(std::size_t toAccount, const Bytes& frame);
   void say(std::size_t toAccount, const BlockPtr& block);

private:
   struct Logged {
      BlockPtr block;
      Bytes proof;
   };
   /// What is called only if the node has not been down since, and not before it goes on if it stands still.
   std::function<void()> alive(std::function<void()> what);
   void later(std::int64_t us, std::function<void()> what);
   void step(const Event& event);
   void handle(Effects effects);
   void wake();
   void whenDurable(std::function<void()> what);
   void sync();
   void execute(const Execute& effect);
   void openBlock();
   void sealBlock();
   void commit(const CommitBlock& effect);
   void greet();
   void trace(const std::string& what) const;
   void push(std::size_t toAccount);
   void out(std::size_t toAccount, const Bytes& frame);
   bool inTouchWith(std::size_t other) const { return other != account && audience >> other & 1; }
   std::optional<BlockId> onChain(BlockNum num) const;
   BlockPtr blockAt(BlockNum num) const;

   World& world_;
   std::uint64_t life_ = 0;
   std::unique_ptr<Ground> ground_;
   bool syncing_ = false;
   std::vector<std::pair<std::uint64_t, std::function<void()>>> waiting_;
   std::vector<std::function<void()>> missed_; ///< while it stood still
   std::map<BlockNum, Logged> log_;            ///< irreversible blocks
   std::optional<BlockId> executing_;
   std::optional<Produce> order_, open_;
   bool sealing_ = false;
   std::uint64_t opened_ = 0;
   std::optional<std::int64_t> wakeAt_;
   std::int64_t lastWake_ = -1;
   int idleWakes_ = 0;
   std::map<std::size_t, std::set<BlockId>> theirs_; ///< what a neighbour was sent or said to have
};

} // namespace polis::sim
