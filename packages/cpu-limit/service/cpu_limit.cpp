#include "cpu_limit.hpp"

namespace polis::services {

namespace {

constexpr std::uint32_t cpuClock = 2;

/// Only callback mode has a CPU clock, so a transaction asks through a recorded call to this action of its own.
constexpr MethodNumber getCpuTimeMethod{"getCpuTime"};

} // namespace

std::int64_t CpuLimit::getCpuTime() {
   std::uint64_t ns = 0;
   if (getSender() == account) {
      check(env::polis_clockTimeGet(cpuClock, &ns) == 0, "no CPU clock");
      return static_cast<std::int64_t>(ns);
   }
   const auto result = callRaw(account, account, getCpuTimeMethod, Bytes{0, 0}, CallMode::callback);
   return unpackOrAbort<std::int64_t>(result);
}

void CpuLimit::setCpuLimit(std::optional<std::uint64_t> limit) {
   check(getSender() == "vserver"_a, "only vserver may limit CPU time");
   env::polis_setMaxCpuTime(limit.value_or(~std::uint64_t{0}));
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::CpuLimit)
