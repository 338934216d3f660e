#include "vserver/service/prices.hpp"

#include "diff-adj/service/diff_adj.hpp"

namespace polis::services {

NetworkSpecs networkSpecs() {
   const auto specs = openVServer<VirtualServer::SpecsTable>().get();
   check(specs.has_value(), "vserver has not been initialized");
   return *specs;
}

RateLimitPricing rateOf(Resource resource) {
   const auto rate = openVServer<VirtualServer::RateTable>().get(static_cast<std::uint8_t>(resource));
   check(rate.has_value(), "vserver has not been initialized");
   return *rate;
}

CapacityPricing diskPricing() {
   const auto disk = openVServer<VirtualServer::CapacityTable>().get(static_cast<std::uint8_t>(Resource::disk));
   check(disk.has_value(), "vserver has not been initialized");
   return *disk;
}

std::uint64_t capacityOf(const NetworkSpecs& specs, const RateLimitPricing& rate) {
   return rate.resource_id == static_cast<std::uint8_t>(Resource::cpu) ? specs.cpu_ns : specs.net_bps;
}

pricing::DiskCurve curveOf(const CapacityPricing& disk) {
   return {.maxReserve = disk.max_reserve, .maxCapacity = disk.max_capacity, .d = disk.curve_d};
}

std::uint64_t priceOf(const RateLimitPricing& rate) {
   auto difficulty = to<DiffAdj>().get(rate.diff_adjust_id);
   if (!difficulty)
      return 0; // its keeper deleted it; a chain goes on without
   difficulty->passTime(floorToSec(currentBlockTime()));
   return difficulty->active_difficulty;
}

std::uint32_t usagePpm(const CapacityPricing& disk) {
   return pricing::ppmOf(disk.max_capacity - disk.remaining_capacity, disk.max_capacity);
}

namespace {

std::uint64_t costOf(Resource resource, std::uint64_t amount) {
   const auto rate = rateOf(resource);
   return pricing::costOf(amount, rate.billable_unit, priceOf(rate));
}

} // namespace

std::uint64_t netCost(std::uint64_t bytes) { return costOf(Resource::net, pricing::product(bytes, 8)); }
std::uint64_t cpuCost(std::uint64_t ns) { return costOf(Resource::cpu, ns); }

std::uint64_t minimumBuffer() {
   // a usual action: bytes of disk, and units of the others
   constexpr std::uint64_t diskBytes = 144, netUnits = 113, cpuUnits = 15;
   constexpr std::uint64_t actionsOfLargeTransaction = 10;
   const auto disk = diskPricing();
   auto action = curveOf(disk).cost(disk.remaining_capacity, std::min(diskBytes, disk.remaining_capacity));
   action = pricing::sum(action, pricing::product(netUnits, priceOf(rateOf(Resource::net))));
   action = pricing::sum(action, pricing::product(cpuUnits, priceOf(rateOf(Resource::cpu))));
   return pricing::product(action, actionsOfLargeTransaction * 100 / VirtualServer::refillPercent);
}

std::uint64_t defaultBuffer() { return pricing::product(minimumBuffer(), 5); }

UserSettings settingsOf(AccountNumber user) {
   const auto row = openVServer<VirtualServer::UserTable>().get(user);
   return row ? *row : UserSettings{user, VirtualServer::refillPercent, defaultBuffer()};
}

std::string reserveName(AccountNumber account, const std::string& sub) {
   return sub.empty() ? account.str() : account.str() + "." + sub;
}

std::string diskReserveName() { return reserveName(VirtualServer::account, "disk:relay"); }

} // namespace polis::services
