// What a node stands on: it executes blocks, makes them, and keeps them and what consensus must remember; a crash takes
// what was not synced.
#pragma once

#include "sim/plan.hpp"
#include "sim/stub_chain.hpp"

#include <memory>

namespace polis::sim {

class Checker;

class Ground {
public:
   virtual ~Ground() = default;

   /// Brings the node up with what is there.
   virtual Restored open() = 0;
   /// What was not synced is lost, but for a part of it that happened to be written.
   virtual void crash(Dice& dice) = 0;

   /// False: the block is invalid. Its parent has been executed here.
   virtual bool execute(const BlockPtr& block) = 0;
   /// The next block on a parent that is head; executed, and durable with what is there now. Null: it cannot be made.
   virtual BlockPtr build(const StatePtr& parent, const StubChain::Order& order) = 0;
   virtual void remember(const SafetyRecord& record) = 0;
   virtual void setHead(const BlockId& id) = 0;
   virtual void commit(const CommitBlock& commit) = 0;

   /// Behind everything that was executed, made and remembered.
   virtual std::uint64_t end() const = 0;
   /// Everything before this position is durable.
   virtual void sync(std::uint64_t upTo) = 0;

   /// Stands for the whole state after a block that is irreversible here; none: there is no state but what the chain
   /// says of itself.
   virtual std::optional<Bytes> stateAt(const BlockId& id) const = 0;
};

/// The grounds of one simulation, and the block with which all of them begin.
class Grounds {
public:
   virtual ~Grounds() = default;
   /// Made by nobody in particular, and irreversible.
   virtual Spot genesis() const = 0;
   /// name: of the node's account.
   virtual std::unique_ptr<Ground> make(StubChain& chain, AccountNumber name) = 0;
   /// I7: executes what is irreversible again, from the beginning; what is wrong, if anything.
   virtual std::optional<std::string> again(const StubChain& chain, const Checker& checker) = 0;
};

/// Grounds without services.
std::unique_ptr<Grounds> stubGrounds(const format::Consensus& first, std::int64_t timeUs);

/// Real kernels and stores in files, with a service that does as it is told. Call on a vm::ExecutionThread.
std::unique_ptr<Grounds> kernelGrounds(const format::Consensus& first, std::int64_t timeUs);

} // namespace polis::sim
