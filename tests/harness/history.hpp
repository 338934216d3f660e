#pragma once

#include "base/mutex.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace polis::harness {

/// What clients were told, and what nodes say is irreversible, over one run. Any thread.
/// The rules: a block that a node ever called irreversible is the one of its height on every node, for ever. A
/// transaction that was reported final is in such a block, once. One that was submitted after another had been
/// reported comes after it.
class History {
public:
   using Time = std::chrono::steady_clock::time_point;

   /// An irreversible block, as a node shows it. True: nobody showed it before.
   bool block(std::size_t node, std::uint32_t num, const std::string& id, const std::vector<std::string>& transactions);
   /// A client was told that its transaction is final.
   void reported(const std::string& id, Time submitted, Time answered);

   /// What broke a rule so far, the first few.
   std::vector<std::string> problems() const;
   /// The rules that need the whole chain: that every block from the first reported on was seen, and the rest of the
   /// above. After the last block.
   void conclude();

   std::uint32_t highest() const;
   std::size_t reportedCount() const;
   std::size_t transactionCount() const;
   /// From submission to the answer, milliseconds, ascending.
   std::vector<double> latenciesMs() const;

private:
   struct Block {
      std::string id;
      std::vector<std::string> transactions;
      std::size_t node = 0; ///< that showed it first
   };
   struct Report {
      std::string id;
      Time submitted, answered;
   };
   void problem(std::string text) REQUIRES(mutex_);

   mutable Mutex mutex_;
   std::map<std::uint32_t, Block> blocks_ GUARDED_BY(mutex_);
   std::vector<Report> reports_ GUARDED_BY(mutex_);
   std::vector<std::string> problems_ GUARDED_BY(mutex_);
   std::size_t problemCount_ GUARDED_BY(mutex_) = 0;
};

} // namespace polis::harness
