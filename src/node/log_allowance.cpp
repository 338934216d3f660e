#include "node/log_allowance.hpp"
#include <algorithm>
#include <utility>

namespace polis::node {

std::optional<std::uint64_t> LogAllowance::take(format::AccountNumber service, std::int64_t nowMs) {
   constexpr std::int64_t full = 1000 * std::int64_t{linesSaved};
   const auto refill = [&](Allowance& a) {
      a.thousandths = std::min(full, a.thousandths + std::max<std::int64_t>(nowMs - a.atMs, 0) * linesPerSecond);
      a.atMs = nowMs;
   };
   Lock lock(mutex_);
   auto at = services_.find(service);
   if (at == services_.end() && services_.size() >= servicesMax)
      // whoever has been quiet gives its place
      std::erase_if(services_, [&](const auto& entry) {
         return entry.second.thousandths + (nowMs - entry.second.atMs) * linesPerSecond >= full;
      });
   if (at == services_.end() && services_.size() < servicesMax)
      at = services_.try_emplace(service, Allowance{.atMs = nowMs}).first;
   Allowance& allowance = at == services_.end() ? others_ : at->second;
   refill(allowance);
   if (allowance.thousandths < 1000) {
      ++allowance.leftOut;
      return std::nullopt;
   }
   allowance.thousandths -= 1000;
   return std::exchange(allowance.leftOut, 0);
}

} // namespace polis::node
