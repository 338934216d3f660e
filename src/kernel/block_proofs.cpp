#include "kernel/block_proofs.hpp"

#include "kernel/context.hpp"

#include <algorithm>
#include <thread>

namespace polis::kernel {

namespace {
/// CPU limit of one proof while producing, in nanoseconds.
constexpr std::int64_t proofCpuNs = 200'000'000;
/// Fewer are not worth a thread.
constexpr std::size_t proofsPerThread = 4;
constexpr std::size_t threadsMax = 16;
} // namespace

std::optional<std::string> failedProof(Machine& machine, const BlockState& parent, const PackedAction& proof,
                                       bool producing) {
   ChainState state(parent.version);
   Context context(machine, state,
                   {.mode = Mode::verify,
                    .view = Checkout::View::empty,
                    .cpuNs = producing ? std::optional(proofCpuNs) : std::nullopt,
                    .producing = producing});
   return context.run(PackedAction(proof), Entry::called).error;
}

BlockProofs::BlockProofs(Machine& machine, BlockStatePtr parent, std::vector<PackedAction> proofs)
   : machine_(machine), parent_(std::move(parent)), proofs_(std::move(proofs)), errors_(proofs_.size()),
     faults_(proofs_.size()) {
   const std::size_t others = std::max(1u, std::thread::hardware_concurrency()) - 1;
   for (std::size_t i = std::min({others, threadsMax, proofs_.size() / proofsPerThread}); i > 0; --i)
      threads_.emplace_back([this] { work(); });
}

BlockProofs::~BlockProofs() { next_ = proofs_.size(); }

void BlockProofs::work() {
   for (std::size_t i; (i = next_.fetch_add(1)) < proofs_.size();) {
      try {
         errors_[i] = failedProof(machine_, *parent_, proofs_[i], false);
      } catch (...) {
         faults_[i] = std::current_exception();
      }
   }
}

std::optional<std::string> BlockProofs::firstError() {
   work();
   threads_.clear();
   for (std::size_t i = 0; i < proofs_.size(); ++i) {
      if (faults_[i])
         std::rethrow_exception(faults_[i]);
      if (errors_[i])
         return errors_[i];
   }
   return std::nullopt;
}

} // namespace polis::kernel
