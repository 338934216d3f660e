// Prices as the tables have them now, for the service and for its queries.
#pragma once

#include "vserver/service/pricing.hpp"
#include "vserver/service/vserver.hpp"

namespace polis::services {

template <class T>
auto openVServer(Mode first = Mode::read) {
   return openOf<T>(VirtualServer::account, first);
}

inline NetworkVariables networkVariables() {
   return openVServer<VirtualServer::VariablesTable>().get().value_or(NetworkVariables{});
}
inline ServerSpecs serverSpecs() { return openVServer<VirtualServer::ServerTable>().get().value_or(ServerSpecs{}); }

/// Refuses: before init.
NetworkSpecs networkSpecs();
RateLimitPricing rateOf(Resource resource);
CapacityPricing diskPricing();

std::uint64_t capacityOf(const NetworkSpecs& specs, const RateLimitPricing& rate);
pricing::DiskCurve curveOf(const CapacityPricing& disk);
/// Tokens a unit.
std::uint64_t priceOf(const RateLimitPricing& rate);
std::uint32_t usagePpm(const CapacityPricing& disk);

/// Of bytes, nanoseconds.
std::uint64_t netCost(std::uint64_t bytes);
std::uint64_t cpuCost(std::uint64_t ns);

/// What a reserve must hold at least where it is refilled, so that a large transaction can be paid when the refill is
/// due.
std::uint64_t minimumBuffer();
std::uint64_t defaultBuffer();
UserSettings settingsOf(AccountNumber user);

/// Name of the sub-account of vserver's in which `tokens` keeps a reserve.
std::string reserveName(AccountNumber account, const std::string& sub = {});
/// And that of what backs disk.
std::string diskReserveName();

} // namespace polis::services
