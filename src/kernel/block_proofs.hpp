// The proofs of a finished block, verified while the block is executed.
#pragma once

#include "kernel/action.hpp"
#include "kernel/kernel.hpp"
#include "kernel/machine.hpp"
#include "vm/execution_thread.hpp"

#include <atomic>
#include <optional>
#include <string>
#include <vector>

namespace polis::kernel {

/// Why a proof is wrong; nothing when it is right. Runs `verifySys` on `parent`, the state before the block: any
/// execution thread. producing: with the limits of a node that makes the block.
std::optional<std::string> failedProof(Machine& machine, const BlockState& parent, const PackedAction& proof,
                                       bool producing);

/// Verdicts do not depend on each other, nor on what the block does: threads of their own find them.
class BlockProofs {
public:
   /// Begins at once. proofs: the actions `verifySys`.
   BlockProofs(Machine& machine, BlockStatePtr parent, std::vector<PackedAction> proofs);
   ~BlockProofs();
   BlockProofs(const BlockProofs&) = delete;
   BlockProofs& operator=(const BlockProofs&) = delete;

   /// Waits for all verdicts, and helps. The first error in the order of the proofs. Throws Fault. Once.
   std::optional<std::string> firstError();

private:
   void work();

   Machine& machine_;
   const BlockStatePtr parent_;
   const std::vector<PackedAction> proofs_;
   std::vector<std::optional<std::string>> errors_; ///< each written by the thread that took the proof
   std::vector<std::exception_ptr> faults_;         ///< likewise, one a proof
   std::atomic<std::size_t> next_{0};
   std::vector<vm::ExecutionThread> threads_;
};

} // namespace polis::kernel
