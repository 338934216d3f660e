// Proofs checked by verify services alone, without a chain around them.
#pragma once

#include "kernel/kernel.hpp"

#include <map>
#include <memory>

namespace polis::kernel {

/// Code may come from anybody: it answers for the hash that headers name, and for nothing else. One thread, a
/// `vm::ExecutionThread`.
class ProofChecker {
public:
   /// All outlive it. The store is only written to, and no checkpoint is made.
   ProofChecker(store::Store& store, vm::Engine& engine, Host& host, KernelOptions options = {});
   ~ProofChecker();
   ProofChecker(const ProofChecker&) = delete;
   ProofChecker& operator=(const ProofChecker&) = delete;

   void addCode(const format::BlockHeaderCode& code);

   /// Whether `proof` answers `claim` for `digest`, by the services that `under` lists. False also where code of these
   /// is not known. The empty claim is answered by an empty proof.
   bool verifies(const format::Consensus& under, const format::Claim& claim, const format::Checksum256& digest,
                 const Bytes& proof);

   /// Rows of a native-shaped database that holds the services of `under` only, as store keys. Source: spec, consensus
   /// §1.7 A2.
   std::vector<std::pair<Bytes, Bytes>> rows(const format::Consensus& under, std::uint32_t database) const;

private:
   struct State;
   std::unique_ptr<State> state_;
};

} // namespace polis::kernel
