#include "vserver/service/vserver.hpp"

#include "accounts/service/accounts.hpp"
#include "cpu-limit/service/cpu_limit.hpp"
#include "diff-adj/service/diff_adj.hpp"
#include "nft/service/nft.hpp"
#include "producers/service/producers.hpp"
#include "transact/service/transact.hpp"
#include "vserver/service/bill.hpp"
#include "vserver/service/prices.hpp"

#include <algorithm>

namespace polis::services {

namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t curveD = 15;
constexpr std::uint32_t refundFeePpm = 500'000;

/// Of the transaction that is running, from prestartTx to finishTx.
std::optional<Bill> bill;

void onlySelf() {
   check(getSender() == getReceiver(), "only vserver itself may do this");
   check(open<VirtualServer::InitTable>().get().has_value(), "vserver has not been initialized");
}

void onlyTransact() { check(getSender() == Transact::account, "only transact may do this"); }

BillingConfig billing() {
   const auto config = open<VirtualServer::BillingTable>().get();
   check(config.has_value(), "billing has not been initialized");
   return *config;
}

bool isBilling() {
   const auto config = open<VirtualServer::BillingTable>().get();
   return config && config->enabled;
}

// --- What there is ---------------------------------------------------------------------------------------------------

NetworkSpecs specsOf(const ServerSpecs& server, const NetworkVariables& variables) {
   check(variables.block_replay_factor > 0, "block_replay_factor must be greater than 0");
   check(variables.per_block_sys_cpu_ns < second, "per_block_sys_cpu_ns leaves nothing of a second");
   check(variables.obj_storage_bytes > VirtualServer::heldBackBytes, "obj_storage_bytes must be more than 1 GB");
   check(pricing::sum(variables.obj_storage_bytes, variables.subj_storage_bytes) <= server.storage_bytes,
         "the network would have more storage than a node");
   const auto producers = std::max<std::uint64_t>(to<Producers>().getMaxProds(), 1);
   const NetworkSpecs specs{.net_bps = server.net_bps / variables.block_replay_factor / producers,
                            .cpu_ns = (second - variables.per_block_sys_cpu_ns) / variables.block_replay_factor,
                            .obj_storage_bytes = variables.obj_storage_bytes - VirtualServer::heldBackBytes,
                            .subj_storage_bytes = variables.subj_storage_bytes};
   check(specs.net_bps > 0 && specs.cpu_ns > 0, "nothing would be left for the network's users");
   return specs;
}

void updateSpecs(const ServerSpecs& server, const NetworkVariables& variables) {
   const auto table = open<VirtualServer::SpecsTable>(Mode::readWrite);
   const auto before = table.get().value_or(NetworkSpecs{});
   const auto specs = specsOf(server, variables);
   check(before.obj_storage_bytes <= specs.obj_storage_bytes && before.subj_storage_bytes <= specs.subj_storage_bytes,
         "the network's storage cannot become less");
   table.put(specs);
}

/// Goes on counting what is stored, but the status row, which changes with each block. Returns whether that was all.
bool countOn(DiskCount& count, std::uint32_t rows) {
   const KvSpace databases[] = {{Db::service, 0}, native::space()};
   const auto status = native::rowKey(native::statusTable);
   for (; count.databases < std::size(databases); ++count.databases, count.from.clear())
      for (;; --rows) {
         if (rows == 0)
            return false;
         const auto size = databases[count.databases].greaterEqual(count.from, 0);
         if (size == env::none)
            break;
         count.from = sdk::detail::takeKey();
         if (databases[count.databases].db != Db::native || count.from != status)
            count.bytes += count.from.size() + size;
         count.from.push_back(0);
      }
   return true;
}

// --- Disk ------------------------------------------------------------------------------------------------------------

void putDisk(const CapacityPricing& disk) { open<VirtualServer::CapacityTable>(Mode::readWrite).put(disk); }

std::uint64_t overdraft() {
   return open<VirtualServer::OverdraftTable>(Mode::readWrite).get().value_or(DiskOverdraft{}).bytes;
}
void setOverdraft(std::uint64_t bytes) { open<VirtualServer::OverdraftTable>(Mode::readWrite).put({bytes}); }

/// Takes bytes, beyond the capacity where there is none left. Returns those within it.
std::uint64_t takeBytes(CapacityPricing& disk, std::uint64_t bytes) {
   const auto within = std::min(bytes, disk.remaining_capacity);
   if (bytes > within)
      setOverdraft(overdraft() + (bytes - within));
   disk.remaining_capacity -= within;
   putDisk(disk);
   return within;
}

/// Gives bytes back, first those beyond the capacity. Returns the others.
std::uint64_t freeBytes(CapacityPricing& disk, std::uint64_t bytes) {
   if (disk.remaining_capacity == 0)
      if (const auto beyond = overdraft(); beyond > 0) {
         const auto settled = std::min(beyond, bytes);
         setOverdraft(beyond - settled);
         bytes -= settled;
      }
   bytes = std::min(bytes, disk.max_capacity - disk.remaining_capacity);
   disk.remaining_capacity += bytes;
   putDisk(disk);
   return bytes;
}

std::uint64_t refundOf(const CapacityPricing& disk, std::uint64_t bytes) {
   const auto whole = curveOf(disk).refund(disk.remaining_capacity, bytes);
   const auto fee = static_cast<unsigned __int128>(whole) * disk.fee_ppm / pricing::million;
   return whole - static_cast<std::uint64_t>(fee);
}

/// Another reserve or capacity; what is stored stays stored.
void setCurve(CapacityPricing disk, std::uint64_t maxReserve, std::uint64_t maxCapacity) {
   check(maxCapacity >= disk.max_capacity, "the network's storage cannot become less");
   const auto more = maxCapacity - disk.max_capacity;
   disk.max_reserve = maxReserve;
   disk.max_capacity = maxCapacity;
   check(curveOf(disk).isValid(), "disk cannot be priced by these numbers");
   freeBytes(disk, more);
}

// --- CPU and network -------------------------------------------------------------------------------------------------

void putRate(const RateLimitPricing& rate) { open<VirtualServer::RateTable>(Mode::readWrite).put(rate); }

void makeRate(Resource resource, std::uint64_t unit) {
   constexpr std::uint32_t idlePpm = 450'000, congestedPpm = 550'000, windowS = 1;
   constexpr std::uint64_t leastPrice = 1;
   RateLimitPricing rate{.resource_id = static_cast<std::uint8_t>(resource),
                         .num_blocks_to_average = 5,
                         .doubling_time_sec = 600,
                         .halving_time_sec = 1800,
                         .billable_unit = unit};
   rate.diff_adjust_id =
       to<DiffAdj>().create(leastPrice, windowS, idlePpm, congestedPpm, leastPrice,
                            pricing::stepPpm(rate.doubling_time_sec), pricing::stepPpm(rate.halving_time_sec));
   to<Nfts>().debit(rate.diff_adjust_id, Memo{});
   putRate(rate);
}

void setThresholds(Resource resource, std::uint32_t idlePpm, std::uint32_t congestedPpm) {
   onlySelf();
   check(0 < idlePpm && idlePpm < congestedPpm && congestedPpm < pricing::million,
         "0 < idle_ppm < congested_ppm < 1000000 must hold");
   to<DiffAdj>().set_targets(rateOf(resource).diff_adjust_id, idlePpm, congestedPpm);
}

void setRates(Resource resource, std::uint32_t doublingS, std::uint32_t halvingS) {
   onlySelf();
   check(doublingS > 0 && halvingS > 0, "times must be greater than 0");
   auto rate = rateOf(resource);
   rate.doubling_time_sec = doublingS;
   rate.halving_time_sec = halvingS;
   putRate(rate);
   to<DiffAdj>().set_ppm(rate.diff_adjust_id, pricing::stepPpm(doublingS), pricing::stepPpm(halvingS));
}

void setSamples(Resource resource, std::uint8_t samples) {
   onlySelf();
   check(samples > 0, "num_blocks must be greater than 0");
   auto rate = rateOf(resource);
   rate.num_blocks_to_average = samples;
   putRate(rate);
}

void setUnit(Resource resource, std::uint64_t unit) {
   onlySelf();
   check(unit > 0, "a unit must be greater than 0");
   auto rate = rateOf(resource);
   rate.billable_unit = unit;
   putRate(rate);
}

/// Counts `used` (bits, nanoseconds) and charges it. amount: the same as the event tells it.
void consume(Resource resource, AccountNumber user, std::uint64_t used, std::uint64_t amount) {
   auto rate = rateOf(resource);
   rate.current_usage = pricing::sum(rate.current_usage, used);
   putRate(rate);
   if (!bill)
      return;
   const auto charged = bill->charge(pricing::costOf(used, rate.billable_unit, priceOf(rate)));
   keepHistory<VirtualServer::ConsumedTable>(
       ResourceConsumed{user, rate.resource_id, static_cast<std::int64_t>(std::min<std::uint64_t>(amount, INT64_MAX)),
                        static_cast<std::int64_t>(charged)});
}

/// A second has passed: its use becomes part of the average, and the price follows.
void endSecond(const NetworkSpecs& specs, Resource resource) {
   auto rate = rateOf(resource);
   rate.avg_usage = pricing::movingAverage(rate.avg_usage, rate.current_usage, rate.num_blocks_to_average);
   rate.current_usage = 0;
   putRate(rate);
   if (to<DiffAdj>().get(rate.diff_adjust_id))
      to<DiffAdj>().increment(rate.diff_adjust_id, pricing::ppmOf(rate.avg_usage, capacityOf(specs, rate)));
}

/// Time that the payer can pay; none: no limit.
std::optional<std::uint64_t> cpuLimit() {
   if (!bill)
      return std::nullopt;
   const auto available = bill->available();
   if (bill->mayRepair())
      return std::nullopt;
   const auto rate = rateOf(Resource::cpu);
   const auto capacity = networkSpecs().cpu_ns;
   const auto whole = capacity / rate.billable_unit;
   const auto affordable = available / std::max<std::uint64_t>(priceOf(rate), 1);
   return std::min(std::min(whole, affordable) * rate.billable_unit + VirtualServer::leewayNs, capacity);
}

// --- Reserves --------------------------------------------------------------------------------------------------------

void checkSub(const std::string& sub) { check(!sub.empty(), "a sub-account has a name"); }

void buy(Quantity amount, AccountNumber owner, const std::string& sub) {
   const auto token = billing().sys;
   to<Tokens>().debit(token, getSender(), amount, Memo{});
   to<Tokens>().toSub(token, reserveName(owner, sub), amount);
   if (bill)
      bill->moved(owner, sub, amount.value, 0);
}

} // namespace

// --- Set-up and governance -------------------------------------------------------------------------------------------

void VirtualServer::init() {
   const auto table = open<InitTable>(Mode::readWrite);
   if (table.get())
      return;
   table.put({});
   // an empty balance stays, so that paying at the end of a transaction stores nothing new
   to<Tokens>().setUserConf(static_cast<std::uint8_t>(BalanceFlag::keepZero), true);
   makeRate(Resource::cpu, 1'000'000);
   makeRate(Resource::net, 8);
   updateSpecs(serverSpecs(), networkVariables());
   const auto capacity = networkSpecs().obj_storage_bytes;
   putDisk({.resource_id = static_cast<std::uint8_t>(Resource::disk),
            .remaining_capacity = capacity,
            .max_reserve = UINT64_MAX,
            .max_capacity = capacity,
            .curve_d = curveD,
            .fee_ppm = refundFeePpm});
   setOverdraft(0);
   to<Transact>().resMonitoring(false);
}

void VirtualServer::init_billing(AccountNumber fee_receiver) {
   onlySelf();
   const auto table = open<BillingTable>(Mode::readWrite);
   check(!table.get(), "billing has been initialized already");
   check(fee_receiver != account, "vserver cannot be the fee receiver");
   check(to<Accounts>().exists(fee_receiver), "fee receiver does not exist");
   const auto token = to<Tokens>().getSysToken();
   check(token.has_value(), "there is no system token yet");
   table.put({.sys = token->id, .fee_receiver = fee_receiver, .enabled = false});
   const auto disk = diskPricing();
   setCurve(disk, std::min(disk.max_reserve, token->max_issued_supply.value), disk.max_capacity);
}

bool VirtualServer::count_disk(std::uint32_t rows) {
   onlySelf();
   check(rows <= countedMax, "so many rows are not counted at once");
   check(!isBilling(), "billing is on already");
   const auto table = open<CountTable>(Mode::readWrite);
   auto count = table.get().value_or(DiskCount{});
   const bool all = countOn(count, rows);
   table.put(count);
   return all;
}

void VirtualServer::enable_billing(std::optional<bool> enabled) {
   onlySelf();
   auto config = billing();
   const bool wanted = enabled.value_or(true);
   if (config.enabled == wanted)
      return;
   config.enabled = wanted;
   open<BillingTable>(Mode::readWrite).put(config);
   if (wanted) {
      const auto table = open<CountTable>(Mode::readWrite);
      auto count = table.get().value_or(DiskCount{});
      table.erase();
      check(countOn(count, countedMax), "count_disk first: there are too many rows for one transaction");
      open<InitTable>(Mode::readWrite).put({count.bytes});
      auto disk = diskPricing();
      disk.remaining_capacity = disk.max_capacity;
      setOverdraft(0);
      takeBytes(disk, count.bytes);
   }
   to<Transact>().resMonitoring(wanted);
}

void VirtualServer::set_specs(ServerSpecs specs) {
   onlySelf();
   check(specs.net_bps >= ServerSpecs{}.net_bps, "net_bps is below the minimum");
   check(specs.storage_bytes >= ServerSpecs{}.storage_bytes, "storage_bytes is below the minimum");
   updateSpecs(specs, networkVariables());
   open<ServerTable>(Mode::readWrite).put(specs);
}

void VirtualServer::set_network_variables(NetworkVariables variables) {
   onlySelf();
   updateSpecs(serverSpecs(), variables);
   open<VariablesTable>(Mode::readWrite).put(variables);
   const auto disk = diskPricing();
   setCurve(disk, disk.max_reserve, networkSpecs().obj_storage_bytes);
}

void VirtualServer::net_thresholds(std::uint32_t idle_ppm, std::uint32_t congested_ppm) {
   setThresholds(Resource::net, idle_ppm, congested_ppm);
}
void VirtualServer::cpu_thresholds(std::uint32_t idle_ppm, std::uint32_t congested_ppm) {
   setThresholds(Resource::cpu, idle_ppm, congested_ppm);
}
void VirtualServer::net_rates(std::uint32_t doubling_time_sec, std::uint32_t halving_time_sec) {
   setRates(Resource::net, doubling_time_sec, halving_time_sec);
}
void VirtualServer::cpu_rates(std::uint32_t doubling_time_sec, std::uint32_t halving_time_sec) {
   setRates(Resource::cpu, doubling_time_sec, halving_time_sec);
}
void VirtualServer::net_blocks_avg(std::uint8_t num_blocks) { setSamples(Resource::net, num_blocks); }
void VirtualServer::cpu_blocks_avg(std::uint8_t num_blocks) { setSamples(Resource::cpu, num_blocks); }
void VirtualServer::net_min_unit(std::uint64_t bits) { setUnit(Resource::net, bits); }
void VirtualServer::cpu_min_unit(std::uint64_t ns) { setUnit(Resource::cpu, ns); }

void VirtualServer::reduce_disk_budget(Quantity delta_supply) {
   onlySelf();
   const auto disk = diskPricing();
   check(delta_supply.value > 0 && delta_supply.value < disk.max_reserve, "more than the whole budget");
   setCurve(disk, disk.max_reserve - delta_supply.value, disk.max_capacity);
}

// --- Questions -------------------------------------------------------------------------------------------------------

std::optional<AccountNumber> VirtualServer::get_fee_receiver() {
   const auto config = open<BillingTable>().get();
   return config ? std::optional(config->fee_receiver) : std::nullopt;
}

bool VirtualServer::is_billing_enabled() { return isBilling(); }

Quantity VirtualServer::get_net_cost(std::uint64_t bytes) { return {netCost(bytes)}; }
Quantity VirtualServer::get_cpu_cost(std::uint64_t ns) { return {cpuCost(ns)}; }

Quantity VirtualServer::get_disk_cost(std::uint64_t bytes) {
   const auto disk = diskPricing();
   check(bytes <= disk.remaining_capacity, "so much disk is not left");
   return {curveOf(disk).cost(disk.remaining_capacity, bytes)};
}

Quantity VirtualServer::disk_ref_quote(std::uint64_t bytes) {
   const auto disk = diskPricing();
   return {refundOf(disk, std::min(bytes, disk.max_capacity - disk.remaining_capacity))};
}

Quantity VirtualServer::std_buffer_cost() { return {defaultBuffer()}; }

Quantity VirtualServer::get_resources(AccountNumber user) { return {reserveOf(user).value_or(0)}; }

Quantity VirtualServer::get_disk_reserve() { return {open<BillingTable>().get() ? diskReserve() : 0}; }

bool VirtualServer::can_push_tx() {
   const auto rate = open<RateTable>().get(static_cast<std::uint8_t>(Resource::net));
   return !rate || rate->current_usage < capacityOf(networkSpecs(), *rate);
}

// --- Reserves --------------------------------------------------------------------------------------------------------

void VirtualServer::buy_res(Quantity amount) { buy(amount, getSender(), {}); }

void VirtualServer::buy_res_for(Quantity amount, AccountNumber for_user, std::optional<Memo> memo) {
   check(to<Accounts>().exists(for_user), "no such account: " + for_user.str());
   buy(amount, for_user, {});
   if (for_user != getSender())
      keepHistory<SubsidizedTable>(
          ResourcesSubsidized{getSender(), for_user, amount.value, std::move(memo).value_or(Memo{})});
}

void VirtualServer::buy_res_sub(Quantity amount, std::string sub_account) {
   checkSub(sub_account);
   buy(amount, getSender(), sub_account);
}

void VirtualServer::del_res_sub(std::string sub_account) {
   const auto sender = getSender();
   const auto config = open<BillingTable>().get();
   if (!config || sub_account.empty())
      return;
   check(!bill || !bill->hasCharged(sender, sub_account), "this transaction is charged to that sub-account");
   const auto left = reserveOf(sender, sub_account).value_or(0);
   if (left == 0)
      return;
   to<Tokens>().fromSub(config->sys, reserveName(sender, sub_account), Quantity{left});
   to<Tokens>().toSub(config->sys, reserveName(sender), Quantity{left});
   if (bill) {
      bill->moved(sender, sub_account, 0, left);
      bill->moved(sender, {}, left, 0);
   }
}

void VirtualServer::bill_to_sub(std::string sub_account) {
   checkSub(sub_account);
   const auto sender = getSender();
   check(bill.has_value(), "nobody is billed for this transaction");
   check(reserveOf(sender, sub_account).has_value(), "no such sub-account: " + sub_account);
   if (sender != bill->payer())
      return;
   bill->useSub(std::move(sub_account));
   to<CpuLimit>().setCpuLimit(cpuLimit());
}

void VirtualServer::conf_buffer(std::optional<BufferConfig> config) {
   const auto table = open<UserTable>(Mode::readWrite);
   if (!config) {
      table.erase(getSender());
      return;
   }
   check(config->threshold_percent <= 100, "threshold_percent is at most 100");
   check(config->threshold_percent == 0 || config->capacity > minimumBuffer(), "capacity is below the minimum");
   table.put({getSender(), config->threshold_percent, config->capacity});
}

// --- Told by transact ------------------------------------------------------------------------------------------------

void VirtualServer::prestartTx(AccountNumber actor) {
   onlyTransact();
   bill.reset();
   if (isBilling())
      bill.emplace(actor);
}

void VirtualServer::setBillableAcc(AccountNumber) {
   onlyTransact();
   to<CpuLimit>().setCpuLimit(cpuLimit());
}

void VirtualServer::useNetSys(AccountNumber user, std::uint64_t amount_bytes) {
   onlyTransact();
   consume(Resource::net, user, pricing::product(amount_bytes, 8), amount_bytes);
}

void VirtualServer::useCpuSys(AccountNumber user, std::uint64_t amount_ns) {
   onlyTransact();
   consume(Resource::cpu, user, amount_ns, amount_ns);
}

void VirtualServer::useDiskSys(AccountNumber user, std::uint32_t db_id, std::int64_t amount_bytes) {
   onlyTransact();
   const auto db = static_cast<Db>(db_id);
   if (amount_bytes == 0 || (db != Db::service && db != Db::native))
      return;
   auto disk = diskPricing();
   const bool pays = bill && user == bill->payer();
   const auto before = disk;
   if (amount_bytes > 0) {
      const auto bytes = static_cast<std::uint64_t>(amount_bytes);
      // the chain's own work goes on beside it
      if (pays && bytes > disk.remaining_capacity)
         check(bill->mayRepair(bytes), "the network's disk is full");
      const auto within = takeBytes(disk, bytes);
      if (pays)
         bill->chargeDisk(curveOf(before).cost(before.remaining_capacity, within), bytes);
   } else {
      const auto bytes = std::uint64_t{0} - static_cast<std::uint64_t>(amount_bytes);
      const auto freed = freeBytes(disk, bytes);
      if (pays)
         bill->refundDisk(refundOf(before, freed), bytes);
   }
}

void VirtualServer::finishTx() {
   onlyTransact();
   if (!bill)
      return;
   const Bill finished = std::move(*bill);
   bill.reset(); // what settling stores is paid by nobody
   finished.settle();
}

void VirtualServer::notifyBlock(std::uint32_t block_num) {
   onlyTransact();
   const auto specs = networkSpecs();
   const auto status = native::status();
   // capacities are of a second, however many blocks it has
   if (!status || !status->head || floorToSec(status->head->header.time) != floorToSec(status->current.time)) {
      endSecond(specs, Resource::net);
      endSecond(specs, Resource::cpu);
   }
   if (block_num % 10 == 0) {
      const auto usage = [&](Resource resource) {
         const auto rate = rateOf(resource);
         return pricing::ppmOf(rate.avg_usage, capacityOf(specs, rate));
      };
      keepHistory<SummaryTable>(UsageSummary{usage(Resource::net), usage(Resource::cpu), usagePpm(diskPricing())});
   }
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::VirtualServer)
