// CPU time of the transaction that is running.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

class CpuLimit : public Service {
public:
   static constexpr auto account = "cpu-limit"_a;

   /// Nanoseconds that this transaction has used.
   std::int64_t getCpuTime();
   /// Limits the transaction to so many nanoseconds in all; none: no limit. Sender: vserver.
   void setCpuLimit(std::optional<std::uint64_t> limit);
};
POLIS_SERVICE(CpuLimit, action(getCpuTime), action(setCpuLimit, limit))

} // namespace polis::services
