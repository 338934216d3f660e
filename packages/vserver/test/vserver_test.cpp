#include "cpu-limit/service/cpu_limit.hpp"
#include "diff-adj/service/diff_adj.hpp"
#include "nft/service/nft.hpp"
#include "producers/service/producers.hpp"
#include "tokens/service/tokens.hpp"
#include "transact/service/transact.hpp"
#include "vserver/service/pricing.hpp"
#include "vserver/service/vserver.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::BufferConfig;
using polis::services::CapacityPricing;
using polis::services::DiffAdj;
using polis::services::InitRow;
using polis::services::Memo;
using polis::services::NetworkVariables;
using polis::services::Nfts;
using polis::services::Producers;
using polis::services::Quantity;
using polis::services::RateLimitPricing;
using polis::services::Resource;
using polis::services::ServerSpecs;
using polis::services::Tokens;
using polis::services::Transact;
using polis::services::VirtualServer;
using polis::services::pricing::DiskCurve;

namespace {

constexpr auto vserver = VirtualServer::account;
const std::optional<bool> on, off = false;
const std::optional<Memo> noMemo;
const std::string poor = " has insufficient resource balance";

/// A system token of the bank's, in everybody's hands. prod makes the blocks.
struct Fixture {
   static constexpr std::uint64_t supply = 1'000'000'000'000'000, each = 10'000'000'000'000;
   TestChain chain{"VirtualServer"};
   TestAccount bank = chain.account("bank"), alice = chain.account("alice"), bob = chain.account("bob");
   TestAccount prod = chain.as("prod"_a), self = chain.as(vserver);
   std::uint32_t money = 0;

   Fixture() {
      bank.to<Nfts>().setUserConf(Nfts::autoDebit, true).succeeds();
      money = bank.to<Tokens>().create(std::uint8_t{4}, Quantity{supply}).value();
      bank.to<Tokens>().setUserConf(0, true).succeeds();
      bank.to<Tokens>().mint(money, Quantity{supply}, "").succeeds();
      chain.as(Tokens::account).to<Tokens>().setSysToken(money).succeeds();
      for (const auto& user : {alice, bob, prod}) {
         user.to<Tokens>().setUserConf(0, true).succeeds();
         bank.to<Tokens>().credit(money, user, Quantity{each}, "").succeeds();
      }
   }
   /// Billing from here on; fees go to the bank.
   void bill() {
      self.to<VirtualServer>().init_billing(bank).succeeds();
      self.to<VirtualServer>().enable_billing(on).succeeds();
   }
   /// prod buys for a user.
   void fund(AccountNumber user, std::uint64_t amount) {
      prod.to<Tokens>().credit(money, vserver, Quantity{amount}, "").succeeds();
      prod.to<VirtualServer>().buy_res_for(Quantity{amount}, user, noMemo).succeeds();
   }
   std::uint64_t reserve(AccountNumber user) { return chain.read<VirtualServer>().get_resources(user).value().value; }
   std::uint64_t balance(AccountNumber user) { return chain.read<Tokens>().getBalance(money, user).value().value; }
   /// Something that stores nothing new.
   Outcome act(const TestAccount& who) { return who.to<Tokens>().setUserConf(0, true); }

   CapacityPricing disk() {
      return chain.row<VirtualServer::CapacityTable>(vserver, static_cast<std::uint8_t>(Resource::disk))
          .value_or(CapacityPricing{});
   }
   RateLimitPricing rate(Resource resource) {
      return chain.row<VirtualServer::RateTable>(vserver, static_cast<std::uint8_t>(resource))
          .value_or(RateLimitPricing{});
   }
   /// Changes a row behind everybody's back.
   template <class T>
   void set(const typename T::Row& row, auto... key) {
      chain.finishBlock();
      Bytes full = toKey(vserver);
      const Bytes rest = polis::sdk::detail::makeKey(T::number, 0, key...);
      full.insert(full.end(), rest.begin(), rest.end());
      const Bytes packed = pack(row);
      raw::polis_tester_kvPut(chain.number(), static_cast<std::uint32_t>(T::db), full.data(),
                              static_cast<std::uint32_t>(full.size()), packed.data(),
                              static_cast<std::uint32_t>(packed.size()));
      raw::polis_tester_commitState(chain.number());
   }
   void setDiskFree(std::uint64_t bytes) {
      auto row = disk();
      row.remaining_capacity = bytes;
      set<VirtualServer::CapacityTable>(row, row.resource_id);
   }
   std::uint64_t overdraft() {
      return chain.row<VirtualServer::OverdraftTable>(vserver).value_or(polis::services::DiskOverdraft{}).bytes;
   }

   std::uint64_t bytesIn(Db db) {
      std::uint64_t total = 0;
      Bytes key;
      for (;;) {
         const auto size = raw::polis_tester_kvGreaterEqual(chain.number(), static_cast<std::uint32_t>(db), key.data(),
                                                            static_cast<std::uint32_t>(key.size()), 0);
         if (size == env::none)
            return total;
         key.resize(raw::polis_tester_getKey(nullptr, 0));
         raw::polis_tester_getKey(key.data(), static_cast<std::uint32_t>(key.size()));
         total += key.size() + size;
         key.push_back(0);
      }
   }
   /// All that is stored, but the status.
   std::uint64_t stored() {
      const Bytes key = StatusRow::key();
      const auto status = raw::polis_tester_kvGet(chain.number(), static_cast<std::uint32_t>(Db::native), key.data(),
                                                  static_cast<std::uint32_t>(key.size()));
      return bytesIn(Db::native) + bytesIn(Db::service) - key.size() - status;
   }
   /// What vserver believes to be stored is what is stored.
   void expectCounted(Where where = Where::current()) {
      chain.finishBlock();
      const auto row = disk();
      expectEqual(row.max_capacity - row.remaining_capacity + overdraft(), stored(), where);
   }
};

} // namespace

// --- Without billing -------------------------------------------------------------------------------------------------

POLIS_TEST(vserver_counts_and_charges_nothing_until_it_is_told_to) {
   Fixture f;
   expect(!f.chain.read<Transact>().isResMonitoring().value(), "resources are not monitored");
   expect(!f.chain.read<VirtualServer>().is_billing_enabled().value(), "billing is off");
   expect(!f.chain.read<VirtualServer>().get_fee_receiver().value(), "no fees, no receiver");
   expect(f.chain.read<VirtualServer>().can_push_tx().value(), "nothing limits blocks");
   f.self.to<VirtualServer>().init_billing(f.bank).succeeds();
   expect(!f.chain.read<VirtualServer>().is_billing_enabled().value(), "initialized is not enabled");
   const auto before = f.disk();
   const auto trace = f.alice.to<Tokens>().credit(f.money, f.bob, Quantity{1}, "");
   trace.succeeds();
   expect(readable(trace.trace).find("vserver") == std::string::npos, "a transaction calls vserver nowhere");
   expectEqual(f.disk().remaining_capacity, before.remaining_capacity);
   expectEqual(f.rate(Resource::net).current_usage, 0u);
   f.alice.to<VirtualServer>().bill_to_sub("games").fails("nobody is billed for this transaction");
}

POLIS_TEST(vserver_has_its_defaults_from_the_start) {
   TestChain chain("VirtualServer");
   const auto specs = chain.row<VirtualServer::SpecsTable>(vserver).value_or(polis::services::NetworkSpecs{});
   expectEqual(specs.net_bps, 15'384'615u); // 1 Gbps / 5 / 13
   expectEqual(specs.cpu_ns, 196'000'000u);
   expectEqual(specs.obj_storage_bytes, 19'000'000'000u);
   expectEqual(specs.subj_storage_bytes, 20'000'000'000u);
   const auto rates = [&](Resource resource) {
      return chain.row<VirtualServer::RateTable>(vserver, static_cast<std::uint8_t>(resource))
          .value_or(RateLimitPricing{});
   };
   for (const auto resource : {Resource::cpu, Resource::net}) {
      const auto rate = rates(resource);
      expectEqual(rate.num_blocks_to_average, 5u);
      expectEqual(rate.doubling_time_sec, 600u);
      expectEqual(rate.halving_time_sec, 1800u);
      const auto limit = chain.read<DiffAdj>().get(rate.diff_adjust_id).value();
      if (!expect(limit.has_value(), "a price of its own"))
         return;
      expectEqual(limit->increase_ppm, 1155u); // ln 2 / 600 s
      expectEqual(limit->decrease_ppm, 385u);
      expectEqual(limit->target_min, 450'000u);
      expectEqual(limit->target_max, 550'000u);
      expectEqual(chain.read<Nfts>().getNft(rate.diff_adjust_id).value().owner, vserver);
   }
   expectEqual(rates(Resource::cpu).billable_unit, 1'000'000u);
   expectEqual(rates(Resource::net).billable_unit, 8u);
   expectEqual(chain.read<VirtualServer>().get_net_cost(std::uint64_t{113}).value().value, 113u);
   expectEqual(chain.read<VirtualServer>().get_cpu_cost(std::uint64_t{1'000'001}).value().value, 2u);
   expectEqual(chain.read<VirtualServer>().get_net_cost(UINT64_MAX).value().value, UINT64_MAX / 8 + 1);
   const auto disk = chain.row<VirtualServer::CapacityTable>(vserver, static_cast<std::uint8_t>(Resource::disk))
                         .value_or(CapacityPricing{});
   expectEqual(disk.max_capacity, 19'000'000'000u);
   expectEqual(disk.max_reserve, UINT64_MAX);
   expectEqual(disk.curve_d, 15u);
   expectEqual(disk.fee_ppm, 500'000u);
   chain.account("alice").to<VirtualServer>().init().succeeds(); // nothing the second time
   expectEqual(rates(Resource::cpu).diff_adjust_id + rates(Resource::net).diff_adjust_id, 3u);
}

POLIS_TEST(vserver_is_governed_by_itself_alone) {
   Fixture f;
   const std::string refused = "only vserver itself may do this";
   f.alice.to<VirtualServer>().init_billing(f.alice).fails(refused);
   f.alice.to<VirtualServer>().enable_billing(on).fails(refused);
   f.alice.to<VirtualServer>().set_specs(ServerSpecs{}).fails(refused);
   f.alice.to<VirtualServer>().set_network_variables(NetworkVariables{}).fails(refused);
   f.alice.to<VirtualServer>().net_thresholds(1u, 2u).fails(refused);
   f.alice.to<VirtualServer>().cpu_rates(1u, 2u).fails(refused);
   f.alice.to<VirtualServer>().net_blocks_avg(std::uint8_t{1}).fails(refused);
   f.alice.to<VirtualServer>().cpu_min_unit(std::uint64_t{1}).fails(refused);
   f.alice.to<VirtualServer>().reduce_disk_budget(Quantity{1}).fails(refused);
   const std::string byTransact = "only transact may do this";
   f.alice.to<VirtualServer>().prestartTx(f.alice).fails(byTransact);
   f.alice.to<VirtualServer>().setBillableAcc(f.alice).fails(byTransact);
   f.alice.to<VirtualServer>().useNetSys(f.bob, std::uint64_t{1}).fails(byTransact);
   f.alice.to<VirtualServer>().useCpuSys(f.bob, std::uint64_t{1}).fails(byTransact);
   f.alice.to<VirtualServer>().useDiskSys(f.bob, 0u, std::int64_t{1}).fails(byTransact);
   f.alice.to<VirtualServer>().finishTx().fails(byTransact);
   f.alice.to<VirtualServer>().notifyBlock(1u).fails(byTransact);

   f.self.to<VirtualServer>().enable_billing(on).fails("billing has not been initialized");
   f.self.to<VirtualServer>().init_billing("nobody"_a).fails("fee receiver does not exist");
   f.self.to<VirtualServer>().init_billing(f.self).fails("vserver cannot be the fee receiver");
   f.self.to<VirtualServer>().init_billing(f.bank).succeeds();
   f.self.to<VirtualServer>().init_billing(f.alice).fails("billing has been initialized already");
   expectEqual(f.disk().max_reserve, Fixture::supply);
   f.self.to<VirtualServer>().net_thresholds(500'000u, 500'000u).fails("must hold");
   f.self.to<VirtualServer>().net_thresholds(0u, 500'000u).fails("must hold");
   f.self.to<VirtualServer>().cpu_thresholds(1u, 1'000'000u).fails("must hold");
   f.self.to<VirtualServer>().cpu_thresholds(1u, 2u).succeeds();
   f.self.to<VirtualServer>().net_rates(0u, 1u).fails("times must be greater than 0");
   f.self.to<VirtualServer>().net_rates(1u, 1u).succeeds();
   f.self.to<VirtualServer>().net_blocks_avg(std::uint8_t{0}).fails("num_blocks must be greater than 0");
   f.self.to<VirtualServer>().net_min_unit(std::uint64_t{0}).fails("a unit must be greater than 0");
   f.self.to<VirtualServer>().reduce_disk_budget(Quantity{0}).fails("more than the whole budget");
   f.self.to<VirtualServer>().reduce_disk_budget(Quantity{Fixture::supply}).fails("more than the whole budget");
   f.self.to<VirtualServer>().reduce_disk_budget(Quantity{Fixture::supply - 14}).fails("disk cannot be priced");
   f.self.to<VirtualServer>().reduce_disk_budget(Quantity{Fixture::supply / 2}).succeeds();
   expectEqual(f.disk().max_reserve, Fixture::supply / 2);
}

POLIS_TEST(vserver_specifications_leave_something_and_storage_only_grows) {
   Fixture f;
   const auto set = [&](auto change) {
      NetworkVariables variables;
      change(variables);
      return f.self.to<VirtualServer>().set_network_variables(variables);
   };
   set([](auto& v) { v.block_replay_factor = 0; }).fails("block_replay_factor must be greater than 0");
   set([](auto& v) { v.per_block_sys_cpu_ns = 1'000'000'000; }).fails("leaves nothing of a second");
   set([](auto& v) { v.per_block_sys_cpu_ns = 999'999'999; }).fails("nothing would be left");
   set([](auto& v) { v.obj_storage_bytes = 1'000'000'000; }).fails("must be more than 1 GB");
   set([](auto& v) { v.obj_storage_bytes = 20'000'000'001; }).fails("more storage than a node");
   set([](auto& v) { v.subj_storage_bytes = UINT64_MAX; }).fails("more storage than a node");
   set([](auto& v) { v.subj_storage_bytes = 1; }).fails("storage cannot become less");
   f.self.to<VirtualServer>().set_specs(ServerSpecs{.net_bps = 999'999'999}).fails("net_bps is below the minimum");
   f.self.to<VirtualServer>().set_specs(ServerSpecs{.storage_bytes = 1}).fails("storage_bytes is below the minimum");
   f.self.to<VirtualServer>()
       .set_specs(ServerSpecs{.net_bps = 2'000'000'000, .storage_bytes = 80'000'000'000})
       .succeeds();
   set([](auto& v) { v.obj_storage_bytes = 60'000'000'000; }).succeeds();
   expectEqual(f.disk().max_capacity, 59'000'000'000u);
   expectEqual(f.disk().remaining_capacity, 59'000'000'000u);
   f.self.to<VirtualServer>().set_specs(ServerSpecs{}).fails("more storage than a node");
   set([](auto&) {}).fails("storage cannot become less");
   const auto specs = f.chain.row<VirtualServer::SpecsTable>(vserver).value_or(polis::services::NetworkSpecs{});
   expectEqual(specs.net_bps, 30'769'230u);
   // what cannot be computed with is refused
   f.self.to<VirtualServer>().set_specs(ServerSpecs{.storage_bytes = UINT64_MAX}).succeeds();
   set([](auto& v) { v.obj_storage_bytes = UINT64_MAX / 2; }).fails("disk cannot be priced");
}

// --- Prices ----------------------------------------------------------------------------------------------------------

POLIS_TEST(vserver_disk_follows_its_curve) {
   const DiskCurve curve{.maxReserve = 1'000'000, .maxCapacity = 19'000, .d = 15};
   expect(curve.isValid(), "it can be computed with");
   expectEqual(curve.reserve(19'000), 3u);
   expectEqual(curve.reserve(10'000), 53'263u);
   expectEqual(curve.reserve(0), 1'000'000u);
   expectEqual(curve.cost(19'000, 1), 4u);
   expectEqual(curve.cost(10'000, 100), 1'074u);
   expectEqual(curve.refund(10'000, 100), 1'055u);
   expectEqual(curve.cost(1, 1), 279u);
   expectEqual(curve.cost(0, 0), 0u);
   expectEqual(curve.cost(19'000, 19'000), 999'997u); // all of it, for all that there is
   expectEqual(curve.refund(0, 19'000), 999'997u);
   const DiskCurve largest{.maxReserve = UINT64_MAX, .maxCapacity = 19'000'000'000, .d = 15};
   expectEqual(largest.cost(19'000'000'000, 144), 8'737'931'466u);
   expectEqual(largest.reserve(1), 18'446'744'068'531'518'193u);
   expectEqual(largest.cost(1, 1), 5'178'033'422u);
   expect(!DiskCurve{.maxReserve = 14, .maxCapacity = 19'000, .d = 15}.isValid(), "a reserve that is too small");
   expect(!DiskCurve{.maxReserve = 15, .maxCapacity = 14, .d = 15}.isValid(), "a capacity that is too small");
   expect(!DiskCurve{.maxReserve = 15, .maxCapacity = 15, .d = 0}.isValid(), "no form");
   expect(!DiskCurve{.maxReserve = 15, .maxCapacity = UINT64_MAX / 8, .d = 15}.isValid(), "what does not fit");
   // Buying in parts, then giving all back: the reserve always covers what is stored.
   std::uint64_t free = 19'000, held = curve.reserve(free), random = 1;
   while (free > 0) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      const auto bytes = std::min<std::uint64_t>(free, 1 + (random >> 33) % 700);
      held += curve.cost(free, bytes);
      free -= bytes;
      expect(held >= curve.reserve(free), "costs cover the reserve");
   }
   while (free < 19'000) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      const auto bytes = std::min<std::uint64_t>(19'000 - free, 1 + (random >> 33) % 700);
      held -= curve.refund(free, bytes);
      free += bytes;
      expect(held >= curve.reserve(free), "refunds leave the reserve");
   }
}

POLIS_TEST(vserver_arithmetic_saturates) {
   namespace pricing = polis::services::pricing;
   expectEqual(pricing::costOf(9, 8, 5), 10u);
   expectEqual(pricing::costOf(0, 8, 5), 0u);
   expectEqual(pricing::costOf(UINT64_MAX, 1, 2), UINT64_MAX);
   expectEqual(pricing::sum(UINT64_MAX, 1), UINT64_MAX);
   expectEqual(pricing::ppmOf(1, 2), 500'000u);
   expectEqual(pricing::ppmOf(UINT64_MAX, 1), UINT32_MAX);
   expectEqual(pricing::movingAverage(100, 600, 5), 200u);
   expectEqual(pricing::movingAverage(UINT64_MAX, UINT64_MAX, 255), UINT64_MAX);
   expectEqual(pricing::stepPpm(1), 693'147u);
   expectEqual(pricing::stepPpm(UINT32_MAX), 0u);
}

POLIS_TEST(vserver_prices_rise_with_use_and_fall_without) {
   Fixture f;
   f.bill();
   f.self.to<VirtualServer>().net_blocks_avg(std::uint8_t{1}).succeeds();
   f.self.to<VirtualServer>().net_rates(1u, 1u).succeeds(); // 69 % a second
   const auto price = [&] { return f.chain.read<VirtualServer>().get_net_cost(std::uint64_t{1}).value().value; };
   expectEqual(price(), 1u);
   for (int i = 0; i < 12; ++i) {
      auto row = f.rate(Resource::net);
      row.current_usage = 15'384'615; // all of a second's
      f.set<VirtualServer::RateTable>(row, row.resource_id);
      f.chain.startBlock();
      f.chain.finishBlock();
   }
   const auto high = price();
   expect(high > 100, "it rose");
   expectEqual(f.rate(Resource::net).avg_usage, 15'384'615u);
   f.self.to<VirtualServer>().enable_billing(off).succeeds();
   f.chain.advance(60);
   f.chain.startBlock();
   expectEqual(price(), 1u);
}

// --- Billing ---------------------------------------------------------------------------------------------------------

POLIS_TEST(vserver_who_has_no_reserve_does_nothing_until_somebody_buys_for_him) {
   Fixture f;
   f.bill();
   f.act(f.alice).fails("alice" + poor);
   f.alice.to<Tokens>().credit(f.money, vserver, Quantity{5}, "").fails("alice" + poor);
   f.fund(f.alice, 1'000'000'000);
   const auto before = f.balance(f.bank);
   f.act(f.alice).succeeds();
   f.chain.finishBlock();
   const auto paid = 1'000'000'000 - f.reserve(f.alice);
   expect(paid > 0 && paid < 1'000'000'000, "she paid");
   expect(f.balance(f.bank) > before, "and the fees arrived");
   // one action more, which she buys for herself
   f.alice.to<Tokens>().credit(f.money, vserver, Quantity{500'000'000}, "").succeeds();
   const auto left = f.reserve(f.alice);
   f.alice.to<VirtualServer>().buy_res(Quantity{500'000'000}).succeeds();
   expect(f.reserve(f.alice) > left + 400'000'000, "her reserve grew");
   f.alice.to<VirtualServer>().buy_res(Quantity{1}).fails("Insufficient shared balance");
   f.prod.to<VirtualServer>().buy_res_for(Quantity{1}, "nobody"_a, noMemo).fails("no such account: nobody");
   f.act(f.bob).fails("bob" + poor);
}

POLIS_TEST(vserver_tokens_are_neither_made_nor_lost) {
   Fixture f;
   f.bill();
   for (const auto& user : {f.alice, f.bob})
      f.fund(user, 2'000'000'000);
   for (std::uint64_t i = 1; i < 6; ++i) {
      f.alice.to<Tokens>().credit(f.money, f.bob, Quantity{i}, "").succeeds();
      f.bob.to<Tokens>().toSub(f.money, "savings", Quantity{i}).succeeds();
      f.bob.to<Tokens>().fromSub(f.money, "savings", Quantity{i}).succeeds();
      f.chain.advance(1);
   }
   f.chain.finishBlock();
   const auto disk = f.chain.read<VirtualServer>().get_disk_reserve().value().value;
   std::uint64_t all = disk + f.balance(vserver);
   for (const AccountNumber user : {f.bank.name(), f.alice.name(), f.bob.name(), f.prod.name()})
      all += f.balance(user) + f.reserve(user);
   expectEqual(all, Fixture::supply);
   expect(disk > 0, "disk is backed");
   f.expectCounted();
}

POLIS_TEST(vserver_counts_what_is_stored_to_the_byte) {
   Fixture f;
   f.bill();
   f.expectCounted();
   expectEqual(f.chain.row<VirtualServer::InitTable>(vserver).value_or(InitRow{}).used_bytes > 1'000'000, true);
   f.fund(f.alice, 2'000'000'000);
   f.expectCounted();
   f.alice.to<Tokens>().createSub("a").succeeds();
   f.alice.to<Tokens>().toSub(f.money, "b", Quantity{5}).succeeds();
   f.expectCounted();
   f.alice.to<Tokens>().fromSub(f.money, "b", Quantity{5}).succeeds();
   f.alice.to<Tokens>().deleteSub("a").succeeds();
   f.expectCounted();
   f.chain.advance(4000); // the chain forgets what has expired
   f.chain.startBlock();
   f.expectCounted();
   // off, and on again
   f.self.to<VirtualServer>().enable_billing(off).succeeds();
   f.bob.to<Tokens>().createSub("unpaid").succeeds();
   f.self.to<VirtualServer>().enable_billing(on).succeeds();
   f.expectCounted();
}

POLIS_TEST(vserver_a_large_state_is_counted_in_parts) {
   Fixture f;
   f.self.to<VirtualServer>().init_billing(f.bank).succeeds();
   f.alice.to<VirtualServer>().count_disk(10u).fails("only vserver itself may do this");
   f.self.to<VirtualServer>().count_disk(VirtualServer::countedMax + 1).fails("not counted at once");
   int parts = 1;
   while (!f.self.to<VirtualServer>().count_disk(100u).value() && parts < 1000)
      ++parts;
   expect(parts > 3, "parts of a hundred rows");
   expect(f.self.to<VirtualServer>().count_disk(0u).value(), "all is counted");
   f.self.to<VirtualServer>().enable_billing(on).succeeds();
   f.self.to<VirtualServer>().count_disk(1u).fails("billing is on already");
   // what was written in the meantime is missing, but never much
   f.chain.finishBlock();
   const auto counted = f.disk().max_capacity - f.disk().remaining_capacity, stored = f.stored();
   expect(counted <= stored && stored - counted < 200'000, "nearly all");
   expect(!f.chain.row<VirtualServer::CountTable>(vserver), "the count is done with");
}

POLIS_TEST(vserver_disk_is_paid_and_half_of_it_given_back) {
   Fixture f;
   f.bill();
   f.fund(f.alice, 1'000'000'000'000);
   // Where nothing but a row comes and goes, beside the transaction's own.
   const std::string name(80, 'n');
   auto left = static_cast<std::int64_t>(f.reserve(f.alice));
   const auto cost = [&](const Outcome& outcome) {
      outcome.succeeds();
      f.chain.finishBlock();
      return std::exchange(left, static_cast<std::int64_t>(f.reserve(f.alice))) - left;
   };
   const auto plain = cost(f.act(f.alice));
   const auto making = cost(f.alice.to<Tokens>().createSub(name));
   const auto freeing = cost(f.alice.to<Tokens>().deleteSub(name));
   const auto row = making - plain, back = plain - freeing;
   expect(row > plain, "a long row costs more than what is kept of each transaction");
   expect(back > row * 4 / 10 && back < row * 6 / 10, "and freeing it gives half of it back");
}

POLIS_TEST(vserver_sub_accounts_pay_when_they_are_told_to) {
   Fixture f;
   f.bill();
   f.fund(f.alice, 3'000'000'000);
   f.alice.to<Tokens>().credit(f.money, vserver, Quantity{1'000'000'000}, "").succeeds();
   f.alice.to<VirtualServer>().buy_res_sub(Quantity{1}, "").fails("a sub-account has a name");
   f.alice.to<VirtualServer>().buy_res_sub(Quantity{1'000'000'000}, "games").succeeds();
   const auto sub = [&] {
      f.chain.finishBlock();
      const auto row =
          f.chain.row<Tokens::SubBalanceTable>(Tokens::account, vserver, std::string("alice.games"), f.money);
      return row ? row->balance.value : 0;
   };
   expectEqual(sub(), 1'000'000'000u);
   f.alice.to<VirtualServer>().bill_to_sub("toys").fails("no such sub-account: toys");
   f.alice.to<VirtualServer>().bill_to_sub("").fails("a sub-account has a name");
   const auto main = f.reserve(f.alice);
   f.alice.to<VirtualServer>().bill_to_sub("games").succeeds();
   expect(sub() < 1'000'000'000, "the sub-account paid");
   expect(main - f.reserve(f.alice) < 10'000, "and the main one only for the network, before it was told");
   f.chain
       .push({action<VirtualServer>(f.alice).bill_to_sub(std::string("games")),
              action<Tokens>(f.alice).createSub(std::string("kept")),
              action<VirtualServer>(f.alice).del_res_sub(std::string("games"))})
       .fails("this transaction is charged to that sub-account");
   f.alice.to<VirtualServer>().del_res_sub("unknown").succeeds();
   f.alice.to<VirtualServer>().del_res_sub("games").succeeds();
   expectEqual(sub(), 0u);
   f.expectCounted();
}

POLIS_TEST(vserver_a_sub_account_without_tokens_pays_nothing) {
   Fixture f;
   f.bill();
   f.fund(f.alice, 3'000'000'000);
   f.alice.to<Tokens>().credit(f.money, vserver, Quantity{1000}, "").succeeds();
   f.alice.to<VirtualServer>().buy_res_sub(Quantity{1000}, "games").succeeds();
   f.alice.to<VirtualServer>().bill_to_sub("games").fails("alice.games" + poor);
}

POLIS_TEST(vserver_buffers_are_the_users_own) {
   Fixture f;
   f.self.to<VirtualServer>().init_billing(f.bank).succeeds();
   const auto set = [&](std::uint8_t threshold, std::uint64_t capacity) {
      return f.alice.to<VirtualServer>().conf_buffer(
          std::optional(BufferConfig{.threshold_percent = threshold, .capacity = capacity}));
   };
   const auto usual = f.chain.read<VirtualServer>().std_buffer_cost().value().value;
   // 144 bytes, 113 units, 15 units; ten of them at a fifth of the buffer, and five times that
   const auto action = f.chain.read<VirtualServer>().get_disk_cost(std::uint64_t{144}).value().value + 113 + 15;
   expectEqual(usual, action * 10 * 5 * 5);
   set(101, usual).fails("threshold_percent is at most 100");
   set(20, usual / 5).fails("capacity is below the minimum");
   set(20, usual / 5 + 1).succeeds();
   set(0, 0).succeeds();
   expect(f.chain.row<VirtualServer::UserTable>(vserver, f.alice.name()).has_value(), "it is kept");
   f.alice.to<VirtualServer>().conf_buffer(std::optional<BufferConfig>()).succeeds();
   expect(!f.chain.row<VirtualServer::UserTable>(vserver, f.alice.name()).has_value(), "and gone");
}

// --- Nobody stops the chain ------------------------------------------------------------------------------------------

POLIS_TEST(vserver_producers_repair_without_a_reserve) {
   Fixture f;
   f.bill();
   expectEqual(f.reserve("prod"_a), 0u);
   f.act(f.prod).succeeds();
   f.prod.to<Tokens>().createSub("repair").succeeds();
   f.self.to<VirtualServer>().enable_billing(off).succeeds();
   f.act(f.alice).succeeds();
   expect(!f.chain.read<Transact>().isResMonitoring().value(), "monitoring is off again");
}

POLIS_TEST(vserver_a_full_disk_stops_users_and_not_the_chain) {
   Fixture f;
   f.bill();
   f.fund(f.alice, 1'000'000'000'000);
   f.chain.advance(5000); // nothing is left to expire
   for (int i = 0; i < 5; ++i)
      f.chain.startBlock();
   f.chain.finishBlock();
   f.setDiskFree(0);
   f.alice.to<Tokens>().createSub("more").fails("the network's disk is full");
   for (int i = 0; i < 5; ++i)
      f.chain.startBlock();
   const std::string name(80, 'n');
   f.prod.to<Tokens>().createSub(name).succeeds();
   f.chain.finishBlock();
   const auto beyond = f.overdraft();
   expect(beyond > 100, "producers go on beside the capacity");
   f.prod.to<Tokens>().deleteSub(name).succeeds();
   f.chain.finishBlock();
   expect(f.overdraft() < beyond, "what is freed settles that first");
   f.self.to<VirtualServer>().set_specs(ServerSpecs{.storage_bytes = 80'000'000'000}).succeeds();
   NetworkVariables more;
   more.obj_storage_bytes = 30'000'000'000;
   f.self.to<VirtualServer>().set_network_variables(more).succeeds();
   f.chain.finishBlock();
   expectEqual(f.overdraft(), 0u);
   f.alice.to<Tokens>().createSub("more").succeeds();
}

POLIS_TEST(vserver_producers_store_no_more_unpaid_than_repairs_need) {
   Fixture f;
   f.bill();
   const auto subs = [&](int count) {
      std::vector<Action> actions;
      for (int i = 0; i < count; ++i)
         actions.push_back(action<Tokens>(f.prod).createSub(std::string(76, 'n') + std::to_string(1000 + i)));
      return f.chain.push(std::move(actions));
   };
   subs(400).fails("prod" + poor);
   subs(100).succeeds();
   f.chain.finishBlock();
   f.setDiskFree(0);
   f.prod.to<Tokens>().createSub("repair").succeeds();
   f.fund(f.prod, 1'000'000'000'000); // tokens buy no bytes that are not there
   f.chain.finishBlock();
   f.setDiskFree(0);
   std::vector<Action> actions;
   for (int i = 0; i < 400; ++i)
      actions.push_back(action<Tokens>(f.prod).createSub(std::string(76, 'm') + std::to_string(1000 + i)));
   f.chain.push(std::move(actions)).fails("the network's disk is full");
}

POLIS_TEST(vserver_prices_beyond_all_money_stop_no_producer) {
   Fixture f;
   f.bill();
   f.fund(f.alice, 1'000'000'000'000);
   const auto net = f.rate(Resource::net).diff_adjust_id;
   f.self.to<DiffAdj>().set_floor(net, UINT64_MAX).succeeds();
   f.act(f.alice).fails("alice" + poor);
   f.act(f.prod).succeeds();
   f.chain.startBlock();
   // a price that is gone costs nothing, and the chain goes on
   f.self.to<DiffAdj>().remove(net).succeeds();
   f.chain.advance(10);
   f.chain.startBlock();
   f.act(f.alice).succeeds();
}

POLIS_TEST(vserver_a_token_that_may_not_be_sent_stops_nobody) {
   Fixture f;
   f.bill();
   f.fund(f.alice, 1'000'000'000);
   f.prod.to<Tokens>().credit(f.money, vserver, Quantity{1'000'000'000}, "").succeeds();
   f.prod.to<VirtualServer>().buy_res_for(Quantity{1'000'000'000}, f.bank, noMemo).succeeds();
   f.bank.to<Tokens>().setTokenConf(f.money, std::uint8_t{0}, true).succeeds();
   const auto fees = f.balance(vserver);
   f.act(f.alice).succeeds();
   f.chain.finishBlock();
   expect(f.balance(vserver) > fees, "the fees wait at vserver");
}

POLIS_TEST(vserver_capacities_are_of_a_second_however_many_blocks_it_has) {
   Fixture f;
   f.bill();
   f.chain.finishBlock();
   auto row = f.rate(Resource::net);
   row.current_usage = 15'384'615;
   f.set<VirtualServer::RateTable>(row, row.resource_id);
   expect(!f.chain.read<VirtualServer>().can_push_tx().value(), "this second is used up");
   // a block in the same second, then one in the next
   const auto begin = [&](std::int64_t timeUs) {
      raw::polis_tester_startBlock(f.chain.number(), timeUs, "prod"_a.value, 0, 0);
      Transaction start;
      start.tapos.expiration = ceilToSec({timeUs + 1'000'000});
      start.actions.push_back({AccountNumber(), "transact"_a, MethodNumber{"startBlock"}, pack(std::tuple<>())});
      f.chain.pushTransaction(start).succeeds();
      raw::polis_tester_finishBlock(f.chain.number());
   };
   const auto now = f.chain.timeUs();
   begin(now + 100'000);
   expect(f.rate(Resource::net).current_usage >= 15'384'615, "the second goes on");
   begin(now + 1'100'000);
   expectEqual(f.rate(Resource::net).current_usage, 0u);
   expect(f.rate(Resource::net).avg_usage >= 15'384'615 / 5, "and is part of the average");
   expect(f.chain.read<VirtualServer>().can_push_tx().value(), "there is network again");
}

// --- Queries ---------------------------------------------------------------------------------------------------------

POLIS_TEST(vserver_queries_tell_prices_to_all_and_use_to_its_user) {
   Fixture f;
   expectContains(f.chain.graphql("vserver", "{ getBillingConfig { enabled } networkPricing { pricePerUnit } }"),
                  R"({"data":{"getBillingConfig":null,"networkPricing":{"pricePerUnit":"1"}}})");
   f.bill();
   f.fund(f.alice, 1'000'000'000);
   f.act(f.alice).succeeds();
   expectContains(f.chain.graphql("vserver", "{ getBillingConfig { sys feeReceiver enabled } }"),
                  R"({"sys":1,"feeReceiver":"bank","enabled":true})");
   expectContains(f.chain.graphql("vserver", "{ getServerSpecs { netBps storageBytes recommendedMinMemoryBytes } "
                                             "getNetworkVariables { blockReplayFactor } "
                                             "getNetworkSpecs { netBps cpuNs objStorageBytes subjStorageBytes } }"),
                  R"("recommendedMinMemoryBytes":"3800000000")");
   expectContains(f.chain.graphql("vserver", "{ cpuPricing { thresholds { idlePct congestedPct } availableUnits } }"),
                  R"({"thresholds":{"idlePct":"45.0000","congestedPct":"55.0000"},"availableUnits":"196"})");
   expectContains(f.chain.graphql("vserver", "{ diskPricing { reserve maxReserve spotPrice utilizationPct feePct "
                                             "relayShortfall relayExcess } diskCost(bytes: \"1\") "
                                             "diskRefund(bytes: \"1\") dbPrealloc }"),
                  R"("feePct":"50.0000")");
   expectContains(f.chain.graphql("vserver", R"({ userResources(account: "alice") { balance } })"), "log in");
   const auto alice = f.chain.login(f.alice);
   expectContains(f.chain.graphql("vserver", R"({ userResources(account: "bob") { balance } })", alice),
                  "only the account itself");
   expectContains(
       f.chain.graphql("vserver", R"({ userResources(account: "alice") { balance autoFillThresholdPercent } })", alice),
       R"("autoFillThresholdPercent":20)");
   const auto used = f.chain.graphql(
       "vserver", R"({ consumedHistory(account: "alice") { edges { node { resource amount cost } } } })", alice);
   for (const char* resource : {R"("resource":"CPU")", R"("resource":"Net")", R"("resource":"Disk")"})
      expectContains(used, resource);
   const auto disk = f.chain.graphql(
       "vserver", R"({ consumedHistory(account: "alice", resource: 2) { nodes { resource } } })", alice);
   expect(disk.find("CPU") == disk.npos, "of one resource");
   expectContains(f.chain.graphql("vserver", "{ subsidyHistory { nodes { amount } } }", alice), "name the purchaser");
   expectContains(
       f.chain.graphql("vserver", R"({ subsidyHistory(recipient: "alice") { nodes { purchaser amount } } })", alice),
       R"({"purchaser":"prod","amount":"100000.0000"})");
   for (int i = 0; i < 11; ++i) {
      f.chain.startBlock();
      f.chain.finishBlock();
   }
   expectContains(f.chain.graphql("vserver", "{ blockUsageHistory(last: 1) { nodes { diskUsagePct } } }"),
                  R"("diskUsagePct":"0.)");
}

POLIS_TEST_MAIN()
