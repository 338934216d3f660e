// What was told a short while ago is not told again.
#pragma once

#include "base/mutex.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace polis::node {

/// Any thread. Times are microseconds of a clock that never goes back.
class ToldLately {
public:
   explicit ToldLately(std::int64_t periodUs) : periodUs_(periodUs) {}

   /// Whether `text` was not told within the period; then it counts as told now.
   bool isNew(const std::string& text, std::int64_t nowUs) {
      Lock lock(mutex_);
      if (told_.size() >= toldMax)
         told_.clear();
      const auto [at, fresh] = told_.try_emplace(text, nowUs);
      if (!fresh && nowUs - at->second <= periodUs_)
         return false;
      at->second = nowUs;
      return true;
   }

private:
   static constexpr std::size_t toldMax = 1000;
   const std::int64_t periodUs_;
   Mutex mutex_;
   std::map<std::string, std::int64_t> told_ GUARDED_BY(mutex_);
};

} // namespace polis::node
