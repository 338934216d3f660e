// Time as a parameter: nobody below node/ reads the machine's clock by itself.
#pragma once

#include <cstdint>

namespace polis {

class Clock {
public:
   virtual ~Clock() = default;
   /// Nanoseconds since 1970-01-01 UTC; may jump.
   virtual std::int64_t realtimeNs() = 0;
   /// Nanoseconds since an arbitrary moment; never goes back.
   virtual std::int64_t monotonicNs() = 0;
};

/// The machine's clocks.
class SystemClock final : public Clock {
public:
   std::int64_t realtimeNs() override;
   std::int64_t monotonicNs() override;
};

} // namespace polis
