// What a chain's resources are, what they cost, and who pays.
#pragma once

#include "tokens/service/tokens.hpp"

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

enum class Resource : std::uint8_t { cpu = 0, net = 1, disk = 2 };

struct InitRow {
   /// Bytes of state that were stored when billing began.
   std::uint64_t used_bytes = 0;
};

struct BillingConfig {
   /// The token that pays.
   TokenId sys = 0;
   AccountNumber fee_receiver;
   bool enabled = false;
};

/// What each node has at least.
struct ServerSpecs {
   std::uint64_t net_bps = 1'000'000'000;
   std::uint64_t storage_bytes = 40'000'000'000;
};

/// How the network's resources follow from those of a node.
struct NetworkVariables {
   /// So many times as fast as it was made a node repeats the chain.
   std::uint8_t block_replay_factor = 5;
   /// Nanoseconds a second that the chain itself needs.
   std::uint64_t per_block_sys_cpu_ns = 20'000'000;
   std::uint64_t obj_storage_bytes = 20'000'000'000;
   std::uint64_t subj_storage_bytes = 20'000'000'000;
};

/// What users have among them: a second (bits, nanoseconds) or in all (bytes).
struct NetworkSpecs {
   std::uint64_t net_bps = 0;
   std::uint64_t cpu_ns = 0;
   std::uint64_t obj_storage_bytes = 0;
   std::uint64_t subj_storage_bytes = 0;
};

/// How a user wants his reserve kept by his client.
struct UserSettings {
   AccountNumber user;
   /// Refill at or below so many percent; 0: never.
   std::uint8_t auto_fill_threshold_percent = 0;
   std::uint64_t buffer_capacity = 0;
};

struct BufferConfig {
   std::uint8_t threshold_percent = 0;
   std::uint64_t capacity = 0;
};

/// Price of what there is so much of a second: CPU and network.
struct RateLimitPricing {
   /// A Resource.
   std::uint8_t resource_id = 0;
   std::uint8_t num_blocks_to_average = 0;
   /// A second; bits or nanoseconds.
   std::uint64_t avg_usage = 0;
   /// Of the second that is going on.
   std::uint64_t current_usage = 0;
   /// Where `diff-adj` keeps the price of a unit.
   std::uint32_t diff_adjust_id = 0;
   std::uint32_t doubling_time_sec = 0;
   std::uint32_t halving_time_sec = 0;
   /// Bits or nanoseconds that are charged as one, and each begun one in full.
   std::uint64_t billable_unit = 0;
};

/// Price of what there is so much of in all: disk.
struct CapacityPricing {
   std::uint8_t resource_id = 0;
   std::uint64_t remaining_capacity = 0;
   /// Tokens that all of it costs.
   std::uint64_t max_reserve = 0;
   std::uint64_t max_capacity = 0;
   std::uint64_t curve_d = 0;
   /// Of a refund, what is kept; millionths.
   std::uint32_t fee_ppm = 0;
};

/// Bytes stored beyond the capacity: by the chain itself, and by those who may repair it. None while any capacity
/// remains.
struct DiskOverdraft {
   std::uint64_t bytes = 0;
};

/// How far what is stored has been counted, before billing begins.
struct DiskCount {
   std::uint64_t bytes = 0;
   /// Of the databases, `service` first, then `native`; 2: all.
   std::uint8_t databases = 0;
   /// The next key of the present one.
   Bytes from;
};

// History events.
struct ResourceConsumed {
   static constexpr std::string_view eventName = "consumed";
   AccountNumber account;
   /// A Resource.
   std::uint8_t resource = 0;
   /// Nanoseconds or bytes; negative where more was freed than taken.
   std::int64_t amount = 0;
   std::int64_t cost = 0;
};
struct ResourcesSubsidized {
   static constexpr std::string_view eventName = "subsidized";
   AccountNumber purchaser;
   AccountNumber recipient;
   std::uint64_t amount = 0;
   Memo memo;
};
/// Millionths of each capacity.
struct UsageSummary {
   static constexpr std::string_view eventName = "block_summary";
   std::uint32_t net_usage_ppm = 0;
   std::uint32_t cpu_usage_ppm = 0;
   std::uint32_t disk_usage_ppm = 0;
};

class VirtualServer : public Service {
public:
   static constexpr auto account = "vserver"_a;

   using InitTable = Singleton<0, InitRow>;
   using BillingTable = Singleton<1, BillingConfig>;
   using ServerTable = Singleton<2, ServerSpecs>;
   using VariablesTable = Singleton<3, NetworkVariables>;
   using SpecsTable = Singleton<4, NetworkSpecs>;
   using UserTable = Table<5, UserSettings, &UserSettings::user>;
   using RateTable = Table<6, RateLimitPricing, &RateLimitPricing::resource_id>;
   using CapacityTable = Table<7, CapacityPricing, &CapacityPricing::resource_id>;
   using OverdraftTable = Singleton<8, DiskOverdraft>;
   using CountTable = Singleton<9, DiskCount>;
   using ConsumedTable = EventTable<0, ResourceConsumed, By<&ResourceConsumed::account>,
                                    By<&ResourceConsumed::account, &ResourceConsumed::resource>>;
   using SubsidizedTable =
       EventTable<1, ResourcesSubsidized, By<&ResourcesSubsidized::purchaser>, By<&ResourcesSubsidized::recipient>>;
   using SummaryTable = EventTable<2, UsageSummary>;
   using Tables = std::tuple<InitTable, BillingTable, ServerTable, VariablesTable, SpecsTable, UserTable, RateTable,
                             CapacityTable, OverdraftTable, CountTable>;
   using HistoryEvents = std::tuple<ResourceConsumed, ResourcesSubsidized, UsageSummary>;

   /// Objective storage that is not for sale, so that the chain itself never stands still.
   static constexpr std::uint64_t heldBackBytes = 1'000'000'000;
   /// Bytes that a transaction of those who may repair the chain stores without paying, or beyond the capacity.
   static constexpr std::uint64_t repairBytesMax = 64 << 10;
   /// Time to buy more in the transaction that needs it.
   static constexpr std::uint64_t leewayNs = 5'000'000;
   static constexpr std::uint8_t refillPercent = 20;
   /// Rows that a transaction counts.
   static constexpr std::uint32_t countedMax = 400'000;

   /// Makes prices and specifications; nothing the second time. Billing stays off.
   void init();

   // Sender: vserver.

   /// Chooses who receives the fees. Once. Refuses: an account that does not exist, or vserver itself; before there is
   /// a system token.
   void init_billing(AccountNumber fee_receiver);
   /// Counts what is stored, so many rows further. Returns whether that was all. Refuses more than countedMax; while
   /// billing is on.
   bool count_disk(std::uint32_t rows);
   /// From the next transaction on, resources are counted and paid for; or, with false, no longer. Refuses while more
   /// than countedMax rows have not been counted.
   void enable_billing(std::optional<bool> enabled);
   /// Refuses less than the default, and less storage than the network has been given.
   void set_specs(ServerSpecs specs);
   /// Refuses what leaves nothing, more storage than a node has, and less storage than before.
   void set_network_variables(NetworkVariables variables);
   /// Average use below which a price falls and above which it rises; millionths of the capacity.
   void net_thresholds(std::uint32_t idle_ppm, std::uint32_t congested_ppm);
   void cpu_thresholds(std::uint32_t idle_ppm, std::uint32_t congested_ppm);
   /// Times in which a price doubles and halves.
   void net_rates(std::uint32_t doubling_time_sec, std::uint32_t halving_time_sec);
   void cpu_rates(std::uint32_t doubling_time_sec, std::uint32_t halving_time_sec);
   void net_blocks_avg(std::uint8_t num_blocks);
   void cpu_blocks_avg(std::uint8_t num_blocks);
   void net_min_unit(std::uint64_t bits);
   void cpu_min_unit(std::uint64_t ns);
   /// Takes so many tokens off the price of all disk, as when they were burned.
   void reduce_disk_budget(Quantity delta_supply);

   // Anyone.

   std::optional<AccountNumber> get_fee_receiver();
   bool is_billing_enabled();
   Quantity get_net_cost(std::uint64_t bytes);
   Quantity get_cpu_cost(std::uint64_t ns);
   /// Fails when so many bytes are not left.
   Quantity get_disk_cost(std::uint64_t bytes);
   /// What the one who frees so many bytes would get.
   Quantity disk_ref_quote(std::uint64_t bytes);
   /// Price of a reserve of usual size.
   Quantity std_buffer_cost();
   /// The user's reserve.
   Quantity get_resources(AccountNumber user);
   /// What users' disk is backed with.
   Quantity get_disk_reserve();
   /// Whether this second has network left.
   bool can_push_tx();

   // Reserves. Buying takes tokens that were credited to vserver.

   void buy_res(Quantity amount);
   void buy_res_for(Quantity amount, AccountNumber for_user, std::optional<Memo> memo);
   /// For a part of the sender's reserve that is kept apart.
   void buy_res_sub(Quantity amount, std::string sub_account);
   /// Puts what is left of it to the sender's main reserve. Refuses one that this transaction has charged.
   void del_res_sub(std::string sub_account);
   /// Lets this transaction be paid from there, if it is the sender's to pay.
   void bill_to_sub(std::string sub_account);
   /// Without one: back to the default. Refuses percentages over 100, and a capacity below the minimum where it is
   /// refilled.
   void conf_buffer(std::optional<BufferConfig> config);

   // Sender: transact.

   /// A transaction begins whose first sender is `actor`.
   void prestartTx(AccountNumber actor);
   /// Who pays; limits the time to what that account can pay.
   void setBillableAcc(AccountNumber account);
   void useNetSys(AccountNumber user, std::uint64_t amount_bytes);
   void useCpuSys(AccountNumber user, std::uint64_t amount_ns);
   /// Bytes stored, or freed where negative.
   void useDiskSys(AccountNumber user, std::uint32_t db_id, std::int64_t amount_bytes);
   /// Pays what the transaction has used.
   void finishTx();
   void notifyBlock(std::uint32_t block_num);
};
POLIS_SERVICE(VirtualServer, action(init), action(init_billing, fee_receiver), action(get_fee_receiver),
              action(set_specs, specs), action(set_network_variables, variables), action(count_disk, rows),
              action(enable_billing, enabled), action(is_billing_enabled), action(buy_res, amount),
              action(buy_res_for, amount, for_user, memo), action(buy_res_sub, amount, sub_account),
              action(del_res_sub, sub_account), action(bill_to_sub, sub_account), action(conf_buffer, config),
              action(std_buffer_cost), action(net_thresholds, idle_ppm, congested_ppm),
              action(net_rates, doubling_time_sec, halving_time_sec), action(net_blocks_avg, num_blocks),
              action(net_min_unit, bits), action(get_net_cost, bytes), action(cpu_thresholds, idle_ppm, congested_ppm),
              action(cpu_rates, doubling_time_sec, halving_time_sec), action(cpu_blocks_avg, num_blocks),
              action(cpu_min_unit, ns), action(get_cpu_cost, ns), action(reduce_disk_budget, delta_supply),
              action(get_disk_cost, bytes), action(disk_ref_quote, bytes), action(get_disk_reserve),
              action(get_resources, user), action(can_push_tx), action(prestartTx, actor),
              action(setBillableAcc, account), action(useNetSys, user, amount_bytes),
              action(useCpuSys, user, amount_ns), action(useDiskSys, user, db_id, amount_bytes), action(finishTx),
              action(notifyBlock, block_num))

} // namespace polis::services
