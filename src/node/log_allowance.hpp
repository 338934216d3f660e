#pragma once
#include "base/mutex.hpp"
#include "format/names.hpp"
#include <cstdint>
#include <map>
#include <optional>

namespace polis::node {

/// How many lines each service may write to the node's log: anybody may deploy one that never stops. Any thread.
class LogAllowance {
public:
   static constexpr std::uint32_t linesSaved = 200;
   static constexpr std::uint32_t linesPerSecond = 2;
   /// Services beyond this number share one allowance.
   static constexpr std::size_t servicesMax = 256;

   /// Nothing: the line is left out. Otherwise how many lines of this service were left out before it.
   std::optional<std::uint64_t> take(format::AccountNumber service, std::int64_t nowMs);

private:
   struct Allowance {
      std::int64_t thousandths = 1000 * std::int64_t{linesSaved}; ///< of a line
      std::int64_t atMs = 0;
      std::uint64_t leftOut = 0;
   };
   Mutex mutex_;
   std::map<format::AccountNumber, Allowance> services_ GUARDED_BY(mutex_);
   Allowance others_ GUARDED_BY(mutex_);
};

} // namespace polis::node
