#include "harness/history.hpp"

#include <algorithm>
#include <unordered_map>

namespace polis::harness {

namespace {
constexpr std::size_t problemsMax = 20;
}

void History::problem(std::string text) {
   ++problemCount_;
   if (problems_.size() < problemsMax)
      problems_.push_back(std::move(text));
}

bool History::block(std::size_t node, std::uint32_t num, const std::string& id,
                    const std::vector<std::string>& transactions) {
   Lock lock(mutex_);
   const auto [at, fresh] = blocks_.try_emplace(num, Block{id, transactions, node});
   if (fresh)
      return true;
   const Block& known = at->second;
   if (known.id != id)
      problem("block " + std::to_string(num) + " is " + id + " on node " + std::to_string(node) + ", and was " +
              known.id + " on node " + std::to_string(known.node) + ", irreversible on both");
   else if (known.transactions != transactions)
      problem("block " + std::to_string(num) + " of node " + std::to_string(node) +
              " does not hold the transactions that it holds on node " + std::to_string(known.node));
   return false;
}

void History::reported(const std::string& id, Time submitted, Time answered) {
   Lock lock(mutex_);
   reports_.push_back({id, submitted, answered});
}

std::vector<std::string> History::problems() const {
   Lock lock(mutex_);
   auto out = problems_;
   if (problemCount_ > out.size())
      out.push_back("and " + std::to_string(problemCount_ - out.size()) + " more");
   return out;
}

void History::conclude() {
   Lock lock(mutex_);
   std::unordered_map<std::string, std::uint64_t> places;
   std::uint64_t place = 0;
   std::uint32_t expected = blocks_.empty() ? 0 : blocks_.begin()->first;
   for (const auto& [num, block] : blocks_) {
      if (num != expected)
         problem("no node showed block " + std::to_string(expected));
      expected = num + 1;
      for (const auto& id : block.transactions)
         if (!places.emplace(id, ++place).second)
            problem("transaction " + id + " is twice in the chain, again in block " + std::to_string(num));
   }
   // In the order of the answers: whatever was submitted after one of them comes later than the latest of those.
   struct Moment {
      Time time;
      bool answer;
      std::uint64_t place;
      const Report* report;
   };
   std::vector<Moment> moments;
   for (const Report& report : reports_) {
      const auto at = places.find(report.id);
      if (at == places.end()) {
         problem("transaction " + report.id + " was reported final and is not in the chain");
         continue;
      }
      moments.push_back({report.submitted, false, at->second, &report});
      moments.push_back({report.answered, true, at->second, &report});
   }
   // A submission at the very time of an answer is not after it.
   std::ranges::sort(moments, [](const Moment& a, const Moment& b) {
      return a.time != b.time ? a.time < b.time : a.answer < b.answer;
   });
   std::uint64_t latest = 0;
   const Report* latestReport = nullptr;
   for (const Moment& moment : moments) {
      if (moment.answer) {
         if (moment.place > latest) {
            latest = moment.place;
            latestReport = moment.report;
         }
      } else if (moment.place < latest) {
         problem("transaction " + moment.report->id + " was submitted after " + latestReport->id +
                 " had been reported final, and comes before it");
      }
   }
}

std::uint32_t History::highest() const {
   Lock lock(mutex_);
   return blocks_.empty() ? 0 : blocks_.rbegin()->first;
}

std::size_t History::reportedCount() const {
   Lock lock(mutex_);
   return reports_.size();
}

std::size_t History::transactionCount() const {
   Lock lock(mutex_);
   std::size_t count = 0;
   for (const auto& [num, block] : blocks_)
      count += block.transactions.size();
   return count;
}

std::vector<double> History::latenciesMs() const {
   Lock lock(mutex_);
   std::vector<double> out;
   for (const Report& report : reports_)
      out.push_back(std::chrono::duration<double, std::milli>(report.answered - report.submitted).count());
   std::ranges::sort(out);
   return out;
}

} // namespace polis::harness
