#include "vserver/service/bill.hpp"

#include "producers/service/producers.hpp"
#include "vserver/service/prices.hpp"

#include <algorithm>

namespace polis::services {

namespace {

TokenId systemToken() {
   const auto config = open<VirtualServer::BillingTable>().get();
   check(config.has_value(), "billing has not been initialized");
   return config->sys;
}

} // namespace

std::optional<std::uint64_t> reserveOf(AccountNumber account, const std::string& sub) {
   const auto balance = to<Tokens>().getSubBal(systemToken(), reserveName(account, sub));
   return balance ? std::optional(balance->value) : std::nullopt;
}

std::uint64_t diskReserve() {
   const auto balance = to<Tokens>().getSubBal(systemToken(), diskReserveName());
   return balance ? balance->value : 0;
}

bool Bill::mayRepair() {
   if (!mayRepair_)
      mayRepair_ = payer_ == VirtualServer::account || std::ranges::contains(to<Producers>().getProducers(), payer_);
   return *mayRepair_;
}

bool Bill::mayRepair(std::uint64_t bytes) {
   if (!mayRepair())
      return false;
   repairBytes_ += bytes;
   return repairBytes_ <= VirtualServer::repairBytesMax;
}

void Bill::refuse() const { abortMessage(reserveName(payer_, sub_) + " has insufficient resource balance"); }

Bill::Reserve& Bill::reserve() {
   for (auto& one : reserves_)
      if (one.account == payer_ && one.sub == sub_)
         return one;
   const auto tokens = reserveOf(payer_, sub_).value_or(0);
   return reserves_.emplace_back(Reserve{.account = payer_, .sub = sub_, .before = tokens, .available = tokens});
}

std::uint64_t Bill::charge(std::uint64_t cost) {
   if (cost == 0)
      return 0;
   auto& from = reserve();
   if (from.available < cost) {
      if (!mayRepair())
         refuse();
      cost = from.available;
   }
   from.available -= cost;
   fees_ += cost;
   return cost;
}

void Bill::chargeDisk(std::uint64_t cost, std::uint64_t bytes) {
   const auto charged = charge(cost);
   if (charged < cost && !mayRepair(bytes))
      refuse();
   fees_ -= charged;
   toDisk_ += charged;
   diskBytes_ += static_cast<std::int64_t>(bytes);
}

void Bill::refundDisk(std::uint64_t refund, std::uint64_t bytes) {
   diskBytes_ -= static_cast<std::int64_t>(bytes);
   if (refund == 0)
      return;
   if (!diskReserve_)
      diskReserve_ = diskReserve();
   refund = std::min(refund, *diskReserve_ + toDisk_ - fromDisk_);
   reserve().available += refund; // cannot overflow: a token's supply fits
   fromDisk_ += refund;
}

void Bill::moved(AccountNumber account, const std::string& sub, std::uint64_t in, std::uint64_t out) {
   for (auto& one : reserves_)
      if (one.account == account && one.sub == sub) {
         one.before += in - out;
         one.available += in - out;
      }
}

bool Bill::hasCharged(AccountNumber account, const std::string& sub) const {
   return std::ranges::any_of(reserves_, [&](const Reserve& one) {
      return one.account == account && one.sub == sub && one.before != one.available;
   });
}

void Bill::settle() const {
   if (diskBytes_ != 0 || toDisk_ != fromDisk_)
      keepHistory<VirtualServer::ConsumedTable>(ResourceConsumed{payer_, static_cast<std::uint8_t>(Resource::disk),
                                                                 diskBytes_,
                                                                 static_cast<std::int64_t>(toDisk_ - fromDisk_)});
   const auto config = open<VirtualServer::BillingTable>().get();
   if (!config)
      return;
   const auto take = [&](const std::string& name, std::uint64_t amount) {
      if (amount)
         to<Tokens>().fromSub(config->sys, name, Quantity{amount});
   };
   const auto give = [&](const std::string& name, std::uint64_t amount) {
      if (amount)
         to<Tokens>().toSub(config->sys, name, Quantity{amount});
   };
   for (const auto& one : reserves_)
      take(reserveName(one.account, one.sub), one.before > one.available ? one.before - one.available : 0);
   if (toDisk_ > fromDisk_)
      give(diskReserveName(), toDisk_ - fromDisk_);
   else
      take(diskReserveName(), fromDisk_ - toDisk_);
   for (const auto& one : reserves_)
      give(reserveName(one.account, one.sub), one.available > one.before ? one.available - one.before : 0);

   // What backs more than is stored, as after refunds and when the chain erased what a user had paid for, is a fee.
   // Where it backs less, because the chain itself pays nothing, it is not.
   const auto disk = diskPricing();
   const auto backing = diskReserve();
   const auto wanted = curveOf(disk).reserve(disk.remaining_capacity);
   const auto surplus = backing > wanted ? backing - wanted : 0;
   take(diskReserveName(), surplus);
   const auto fees = fees_ + surplus;
   // Whoever owns the token may have forbidden to send it; then the fees stay here.
   if (fees && !to<Tokens>().getTokenConf(config->sys, static_cast<std::uint8_t>(TokenFlag::untransferable)))
      to<Tokens>().credit(config->sys, config->fee_receiver, Quantity{fees}, Memo{});
}

} // namespace polis::services
