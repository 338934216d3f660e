#pragma once

#include "harness/cluster.hpp"
#include "harness/history.hpp"

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace polis::harness {

/// Accounts that send tokens to each other for as long as is wanted, through any node that answers, and note what they
/// were told.
class TransferLoad {
public:
   struct Options {
      std::size_t accounts = 4;
      /// Of all together; 0: each as soon as the last one is answered.
      double perSecond = 20;
      /// Nodes that are asked; empty: all.
      std::vector<std::size_t> nodes{};
      /// A node that is silent for so long is given up, and with it what was sent.
      std::chrono::milliseconds patience = std::chrono::seconds(10);
      std::uint64_t seed = 1;
   };

   /// Makes the accounts. Throws std::runtime_error.
   TransferLoad(Cluster& cluster, Options options);
   ~TransferLoad() { stop(); }
   TransferLoad(const TransferLoad&) = delete;
   TransferLoad& operator=(const TransferLoad&) = delete;

   /// Only these nodes are asked from the next start on.
   void ask(std::vector<std::size_t> nodes) { options_.nodes = std::move(nodes); }
   void start(History& history);
   void stop();
   /// One more transfer of the first account, for whoever sends it.
   Bytes transfer(const format::Tapos& tapos);

   std::uint64_t sent() const { return sent_.load(); }
   /// What became of the rest nobody was told.
   std::uint64_t refused() const { return refused_.load(); }
   std::string firstRefusal() const;
   /// What the receiver of all holds after a block, in the token's smallest unit: one for each transfer.
   std::uint64_t received(std::size_t node, std::uint32_t block) const;

private:
   void run(History& history, std::size_t number);
   format::SignedTransaction transfer(const format::Tapos& tapos, std::size_t from);

   Cluster& cluster_;
   Options options_;
   unsigned token_ = 0;
   std::atomic<bool> stopping_ = false;
   std::atomic<std::uint64_t> serial_ = 0, sent_ = 0, refused_ = 0;
   mutable Mutex mutex_;
   std::string firstRefusal_ GUARDED_BY(mutex_);
   std::vector<std::thread> threads_;
};

} // namespace polis::harness
