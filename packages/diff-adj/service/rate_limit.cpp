#include "diff-adj/service/diff_adj.hpp"

#include <algorithm>

namespace polis::services {

namespace {

/// Difficulties are multiplied in double precision and cut off: part of the protocol, for they are consensus state.
std::uint64_t truncated(double value) {
   constexpr double twoTo64 = 18446744073709551616.0;
   return value >= twoTo64 ? UINT64_MAX : static_cast<std::uint64_t>(value);
}

} // namespace

void RateLimit::passTime(TimePointSec now) {
   const auto elapsed = now.seconds - last_update.seconds;
   const auto windows = elapsed > 0 ? elapsed / window_seconds : 0;
   if (windows == 0)
      return;
   if (activity_count < target_min && decrease_ppm > 0) {
      const double factor = 1.0 - static_cast<double>(decrease_ppm) / DiffAdj::million;
      for (std::int64_t i = 0; i < windows; ++i) {
         const auto lower = std::max(truncated(static_cast<double>(active_difficulty) * factor), floor_difficulty);
         if (lower == active_difficulty)
            break; // and so for ever
         active_difficulty = lower;
      }
   }
   activity_count = 0;
   last_update.seconds += windows * window_seconds;
}

bool RateLimit::rise(std::uint32_t amount, std::uint64_t stepsMax, TimePointSec now) {
   const std::uint64_t size = std::uint64_t{target_max} + 1;
   const std::uint64_t activity = std::uint64_t{activity_count} + amount;
   const auto steps = activity / size;
   activity_count = static_cast<std::uint32_t>(activity % size);
   if (steps == 0)
      return false;
   if (increase_ppm > 0 && active_difficulty > 0) {
      const double factor = 1.0 + static_cast<double>(increase_ppm) / DiffAdj::million;
      auto value = static_cast<double>(active_difficulty);
      for (std::uint64_t i = 0, end = std::min(steps, stepsMax); i < end && truncated(value) < UINT64_MAX; ++i)
         value *= factor;
      active_difficulty = truncated(value);
   }
   last_update = {now.seconds + 1};
   return true;
}

} // namespace polis::services
