#include "base/clock.hpp"

#include <chrono>

namespace polis {
namespace {
template <class C>
std::int64_t nanoseconds() {
   return std::chrono::duration_cast<std::chrono::nanoseconds>(C::now().time_since_epoch()).count();
}
} // namespace

std::int64_t SystemClock::realtimeNs() { return nanoseconds<std::chrono::system_clock>(); }
std::int64_t SystemClock::monotonicNs() { return nanoseconds<std::chrono::steady_clock>(); }
} // namespace polis
