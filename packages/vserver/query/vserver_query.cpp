// HTTP of vserver: GraphQL.
#include "accounts/service/accounts.hpp"
#include "accounts/service/auth_interface.hpp"
#include "diff-adj/service/diff_adj.hpp"
#include "vserver/service/prices.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

namespace polis::services {

POLIS_QUERY_SERVICE(VirtualServerQuery, VirtualServer::account)

namespace {

/// Amounts have the system token's decimal point; none before there is one.
std::string decimal(std::uint64_t amount) {
   static const std::uint8_t precision = [] {
      const auto config = openVServer<VirtualServer::BillingTable>().get();
      return config ? to<Tokens>().getToken(config->sys).precision : std::uint8_t{0};
   }();
   return decimalText({amount}, precision);
}

std::string percent(std::uint64_t ppm) { return decimalText({ppm}, 4); }

struct BillingInfo {
   static constexpr std::string_view typeName = "BillingConfig";
   TokenId sys = 0;
   AccountNumber feeReceiver;
   bool enabled = false;
};
struct ServerInfo {
   static constexpr std::string_view typeName = "ServerSpecs";
   std::uint64_t netBps = 0;
   std::uint64_t storageBytes = 0;
   /// Enough for the part of the state that is used most.
   std::uint64_t recommendedMinMemoryBytes = 0;
};
struct VariablesInfo {
   static constexpr std::string_view typeName = "NetworkVariables";
   std::uint8_t blockReplayFactor = 0;
   std::uint64_t perBlockSysCpuNs = 0;
   std::uint64_t objStorageBytes = 0;
   std::uint64_t subjStorageBytes = 0;
};
struct SpecsInfo {
   static constexpr std::string_view typeName = "NetworkSpecs";
   std::uint64_t netBps = 0;
   std::uint64_t cpuNs = 0;
   std::uint64_t objStorageBytes = 0;
   std::uint64_t subjStorageBytes = 0;
};
struct Thresholds {
   std::string idlePct;
   std::string congestedPct;
};
struct RateInfo {
   static constexpr std::string_view typeName = "RateLimitPricing";
   std::uint8_t resourceId = 0;
   std::uint8_t numBlocksToAverage = 0;
   std::uint32_t doublingTimeSec = 0;
   std::uint32_t halvingTimeSec = 0;
   std::uint64_t billableUnit = 0;
   std::string avgUsagePct;
   Thresholds thresholds;
   std::uint64_t pricePerUnit = 0;
   std::uint64_t availableUnits = 0;
};
struct DiskInfo {
   static constexpr std::string_view typeName = "CapacityPricing";
   std::uint8_t resourceId = 0;
   std::uint64_t remainingCapacity = 0;
   std::uint64_t maxCapacity = 0;
   std::uint64_t curveD = 0;
   std::uint32_t feePpm = 0;
   /// What would back all that is stored.
   std::string reserve;
   std::string maxReserve;
   /// Of a byte.
   std::string spotPrice;
   std::string utilizationPct;
   std::string feePct;
   /// What the backing lacks, and what it has beyond.
   std::string relayShortfall;
   std::string relayExcess;
};
struct UserResources {
   std::string balance;
   std::string bufferCapacity;
   std::uint8_t autoFillThresholdPercent = 0;
};
struct ConsumedInfo {
   static constexpr std::string_view typeName = "Consumption";
   AccountNumber account;
   /// "CPU", "Net" or "Disk".
   std::string resource;
   /// Nanoseconds or bytes.
   std::int64_t amount = 0;
   std::string cost;
   EventBlock block;
};
struct SubsidyInfo {
   static constexpr std::string_view typeName = "Subsidy";
   AccountNumber purchaser;
   AccountNumber recipient;
   std::string amount;
   Memo memo;
   EventBlock block;
};
struct UsageInfo {
   static constexpr std::string_view typeName = "BlockUsage";
   std::string netUsagePct;
   std::string cpuUsagePct;
   std::string diskUsagePct;
   EventBlock block;
};

RateInfo infoOf(const RateLimitPricing& rate) {
   const auto capacity = capacityOf(networkSpecs(), rate);
   RateInfo info{.resourceId = rate.resource_id,
                 .numBlocksToAverage = rate.num_blocks_to_average,
                 .doublingTimeSec = rate.doubling_time_sec,
                 .halvingTimeSec = rate.halving_time_sec,
                 .billableUnit = rate.billable_unit,
                 .avgUsagePct = percent(pricing::ppmOf(rate.avg_usage, capacity)),
                 .thresholds = {},
                 .pricePerUnit = priceOf(rate),
                 .availableUnits = capacity / rate.billable_unit};
   if (const auto limit = to<DiffAdj>().get(rate.diff_adjust_id))
      info.thresholds = {percent(limit->target_min), percent(limit->target_max)};
   return info;
}

std::string signedDecimal(std::int64_t amount) {
   return amount < 0 ? "-" + decimal(std::uint64_t{0} - static_cast<std::uint64_t>(amount))
                     : decimal(static_cast<std::uint64_t>(amount));
}

ConsumedInfo infoOf(const EventLine<ResourceConsumed>& line) {
   static constexpr const char* names[] = {"CPU", "Net", "Disk"};
   const auto& event = line.event;
   return {event.account, event.resource < 3 ? names[event.resource] : "", event.amount, signedDecimal(event.cost),
           line.block()};
}

SubsidyInfo infoOf(const EventLine<ResourcesSubsidized>& line) {
   const auto& event = line.event;
   return {event.purchaser, event.recipient, decimal(event.amount), event.memo, line.block()};
}

class Query {
public:
   explicit Query(std::optional<AccountNumber> reader) : reader_(reader) {}

   std::optional<BillingInfo> getBillingConfig() const {
      const auto config = openVServer<VirtualServer::BillingTable>().get();
      return config ? std::optional(BillingInfo{config->sys, config->fee_receiver, config->enabled}) : std::nullopt;
   }
   ServerInfo getServerSpecs() const {
      const auto specs = serverSpecs();
      constexpr std::uint64_t storageToMemory = 5;
      return {specs.net_bps, specs.storage_bytes, networkSpecs().obj_storage_bytes / storageToMemory};
   }
   VariablesInfo getNetworkVariables() const {
      const auto variables = networkVariables();
      return {variables.block_replay_factor, variables.per_block_sys_cpu_ns, variables.obj_storage_bytes,
              variables.subj_storage_bytes};
   }
   SpecsInfo getNetworkSpecs() const {
      const auto specs = networkSpecs();
      return {specs.net_bps, specs.cpu_ns, specs.obj_storage_bytes, specs.subj_storage_bytes};
   }
   RateInfo networkPricing() const { return infoOf(rateOf(Resource::net)); }
   RateInfo cpuPricing() const { return infoOf(rateOf(Resource::cpu)); }
   DiskInfo diskPricing() const {
      const auto disk = services::diskPricing();
      const auto curve = curveOf(disk);
      const auto wanted = curve.reserve(disk.remaining_capacity);
      const auto backing = to<VirtualServer>().get_disk_reserve().value;
      return {.resourceId = disk.resource_id,
              .remainingCapacity = disk.remaining_capacity,
              .maxCapacity = disk.max_capacity,
              .curveD = disk.curve_d,
              .feePpm = disk.fee_ppm,
              .reserve = decimal(wanted),
              .maxReserve = decimal(disk.max_reserve),
              .spotPrice = decimal(curve.spotPrice(disk.remaining_capacity)),
              .utilizationPct = percent(usagePpm(disk)),
              .feePct = percent(disk.fee_ppm),
              .relayShortfall = decimal(wanted > backing ? wanted - backing : 0),
              .relayExcess = decimal(backing > wanted ? backing - wanted : 0)};
   }
   /// Bytes that were stored when billing began, and paid by nobody.
   std::uint64_t dbPrealloc() const {
      return openVServer<VirtualServer::InitTable>().get().value_or(InitRow{}).used_bytes;
   }
   std::string diskCost(std::uint64_t bytes) const { return decimal(to<VirtualServer>().get_disk_cost(bytes).value); }
   std::string diskRefund(std::uint64_t bytes) const {
      return decimal(to<VirtualServer>().disk_ref_quote(bytes).value);
   }
   /// Private.
   std::optional<UserResources> userResources(AccountNumber account) const {
      if (!mayRead({account}))
         return std::nullopt;
      if (!getBillingConfig()) {
         graphql::current->fail("billing has not been initialized");
         return std::nullopt;
      }
      const auto settings = settingsOf(account);
      return UserResources{decimal(to<VirtualServer>().get_resources(account).value), decimal(settings.buffer_capacity),
                           settings.auto_fill_threshold_percent};
   }
   /// Private. resource: a number of the protocol; all without.
   Connection<ConsumedInfo> consumedHistory(AccountNumber account, std::optional<std::uint8_t> resource,
                                            Page<std::uint64_t> page) const {
      if (!mayRead({account}))
         return {};
      const auto table = openVServer<VirtualServer::ConsumedTable>();
      const auto describe = [](const EventLine<ResourceConsumed>& line) { return infoOf(line); };
      return resource ? connectionOf(table.index<2>(), page, describe, account, *resource)
                      : connectionOf(table.index<1>(), page, describe, account);
   }
   /// Private to the two; one of them at least is named.
   Connection<SubsidyInfo> subsidyHistory(std::optional<AccountNumber> purchaser,
                                          std::optional<AccountNumber> recipient, Page<std::uint64_t> page) const {
      if (!purchaser && !recipient) {
         graphql::current->fail("name the purchaser, the recipient or both");
         return {};
      }
      std::vector<AccountNumber> parties;
      for (const auto& party : {purchaser, recipient})
         if (party)
            parties.push_back(*party);
      if (!mayRead(parties))
         return {};
      const auto table = openVServer<VirtualServer::SubsidizedTable>();
      const auto describe = [&](const EventLine<ResourcesSubsidized>& line) -> std::optional<SubsidyInfo> {
         if (recipient && line.event.recipient != *recipient)
            return std::nullopt;
         return infoOf(line);
      };
      return purchaser ? connectionOf(table.index<1>(), page, describe, *purchaser)
                       : connectionOf(table.index<2>(), page, describe, *recipient);
   }
   Connection<UsageInfo> blockUsageHistory(Page<std::uint64_t> page) const {
      return connectionOf(openVServer<VirtualServer::SummaryTable>().index<0>(), page,
                          [](const EventLine<UsageSummary>& line) {
                             const auto& event = line.event;
                             return UsageInfo{percent(event.net_usage_ppm), percent(event.cpu_usage_ppm),
                                              percent(event.disk_usage_ppm), line.block()};
                          });
   }

private:
   /// Whether the one who asks is one of the accounts, or may act for one. If not, the query fails.
   bool mayRead(const std::vector<AccountNumber>& accounts) const {
      if (!reader_) {
         graphql::current->fail("log in to see this");
         return false;
      }
      for (const auto account : accounts)
         if (account == *reader_)
            return true;
      const ServiceMethod reading{VirtualServer::account, MethodNumber{"serveSys"}};
      for (const auto account : accounts)
         if (const auto row = to<Accounts>().getAccount(account);
             row && to<AuthInterface>(row->authService).isAuthSys(account, std::vector{*reader_}, reading))
            return true;
      graphql::current->fail("only the account itself sees this, and those who act for it");
      return false;
   }

   std::optional<AccountNumber> reader_;
};
POLIS_GRAPHQL(Query, field(getBillingConfig), field(getServerSpecs), field(getNetworkVariables), field(getNetworkSpecs),
              field(networkPricing), field(cpuPricing), field(diskPricing), field(dbPrealloc), field(diskCost, bytes),
              field(diskRefund, bytes), field(userResources, account), field(consumedHistory, account, resource, page),
              field(subsidyHistory, purchaser, recipient, page), field(blockUsageHistory, page))

} // namespace

std::optional<HttpReply> VirtualServerQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                                      std::optional<AccountNumber> user) {
   return serveGraphql(Query{user}, request);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::VirtualServerQuery)
