// What the transaction that is running has used, and paying for it at its end.
#pragma once

#include "vserver/service/vserver.hpp"

namespace polis::services {

/// Kept in memory: an instance of the service lives for one transaction.
class Bill {
public:
   explicit Bill(AccountNumber payer) : payer_(payer) {}

   AccountNumber payer() const { return payer_; }
   /// Whether the payer's transactions run though he cannot pay.
   bool mayRepair();
   /// Whether so many bytes more may be stored that are not paid for or not there.
   bool mayRepair(std::uint64_t bytes);
   /// Pays from this part of the payer's reserve; empty: the main one.
   void useSub(std::string sub) { sub_ = std::move(sub); }
   /// What the payer can still pay.
   std::uint64_t available() { return reserve().available; }

   /// Charges CPU or network, and returns what was charged. Fails when the payer cannot pay, unless it may repair the
   /// chain: then that is all that there is.
   std::uint64_t charge(std::uint64_t cost);
   /// The same for disk, which backs the bytes.
   void chargeDisk(std::uint64_t cost, std::uint64_t bytes);
   /// Gives back, as far as there is what backs it.
   void refundDisk(std::uint64_t refund, std::uint64_t bytes);

   /// Tokens came into or went out of a reserve.
   void moved(AccountNumber account, const std::string& sub, std::uint64_t in, std::uint64_t out);
   bool hasCharged(AccountNumber account, const std::string& sub) const;

   /// Moves the tokens. At the transaction's end, when nothing is billed any more.
   void settle() const;

private:
   /// A reserve, and what this transaction leaves of it.
   struct Reserve {
      AccountNumber account;
      std::string sub;
      std::uint64_t before = 0;
      std::uint64_t available = 0;
   };
   Reserve& reserve();

   AccountNumber payer_;
   std::string sub_;
   std::vector<Reserve> reserves_;
   std::uint64_t fees_ = 0;
   std::uint64_t toDisk_ = 0;
   std::uint64_t fromDisk_ = 0;
   /// In the reserve of disk before this transaction.
   std::optional<std::uint64_t> diskReserve_;
   std::int64_t diskBytes_ = 0;
   std::optional<bool> mayRepair_;
   std::uint64_t repairBytes_ = 0;

   [[noreturn]] void refuse() const;
};

/// Tokens in a reserve; nothing when there is none.
std::optional<std::uint64_t> reserveOf(AccountNumber account, const std::string& sub = {});
std::uint64_t diskReserve();

} // namespace polis::services
