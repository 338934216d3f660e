#include "nft/service/nft.hpp"

#include "accounts/service/accounts.hpp"

namespace polis::services {

namespace {

constexpr const char* nothingToUncredit = "Nothing to uncredit. Must first credit.";

std::optional<NftCredit> creditOf(std::uint32_t nftId) { return open<Nfts::CreditTable>().get(nftId); }

void transfer(Nft nft, AccountNumber receiver, const Memo& memo) {
   const auto creditor = nft.owner;
   nft.owner = receiver;
   open<Nfts::NftTable>(Mode::readWrite).put(nft);
   emitMerkle(NftTransferred{nft.id, creditor, receiver, memo});
}

} // namespace

void Nfts::init() {}

std::uint32_t Nfts::mint() {
   const auto last = open<LastTable>(Mode::readWrite);
   const auto id = last.get().value_or(LastNft{}).id + 1;
   check(id != 0, "no more NFT ids");
   last.put({id});
   open<NftTable>(Mode::readWrite).put({.id = id, .issuer = getSender(), .owner = getSender()});
   emitHistory(NftMinted{id, getSender()});
   return id;
}

void Nfts::burn(std::uint32_t nftId) {
   const auto nft = getNft(nftId);
   check(nft.owner == getSender(), "Missing required authority");
   check(!creditOf(nftId), "cannot burn nft while credited");
   open<NftTable>(Mode::readWrite).remove(nft);
   emitHistory(NftBurned{nftId, nft.owner});
}

void Nfts::credit(std::uint32_t nftId, AccountNumber debitor, Memo memo) {
   const auto nft = getNft(nftId);
   check(nft.owner == getSender(), "Missing required authority");
   check(!creditOf(nftId), "NFT already credited to an account");
   check(debitor != nft.owner, "Creditor and debitor cannot be the same");
   check(to<Accounts>().exists(debitor), "Receiver DNE");
   emitHistory(NftCredited{nftId, nft.owner, debitor, memo});
   if (getUserConf(debitor, autoDebit))
      transfer(nft, debitor, memo);
   else
      open<CreditTable>(Mode::readWrite).put({.nftId = nftId, .debitor = debitor, .creditor = nft.owner});
}

void Nfts::uncredit(std::uint32_t nftId, Memo memo) {
   const auto credit = creditOf(nftId);
   check(credit.has_value(), nothingToUncredit);
   check(getNft(nftId).owner == getSender(), "Only the creditor may perform this action");
   open<CreditTable>(Mode::readWrite).remove(*credit);
   emitHistory(NftUncredited{nftId, credit->creditor, credit->debitor, memo});
}

void Nfts::debit(std::uint32_t nftId, Memo memo) {
   const auto credit = creditOf(nftId);
   if (!credit)
      abortMessage(getSender().str() + " has no pending nft " + std::to_string(nftId) + " to debit.");
   check(credit->debitor == getSender(), "Missing required authority");
   open<CreditTable>(Mode::readWrite).remove(*credit);
   transfer(getNft(nftId), credit->debitor, memo);
}

void Nfts::setUserConf(std::uint8_t index, bool enabled) {
   check(index == autoDebit, "unknown setting");
   const auto holders = open<HolderTable>(Mode::readWrite);
   auto holder = holders.get(getSender()).value_or(NftHolder{.account = getSender(), .config = 0});
   const auto bit = static_cast<std::uint8_t>(1u << index);
   holder.config = static_cast<std::uint8_t>(enabled ? holder.config | bit : holder.config & ~bit);
   holders.put(holder);
   emitHistory(NftUserConfSet{getSender(), index, enabled});
}

bool Nfts::getUserConf(AccountNumber account, std::uint8_t index) {
   check(index == autoDebit, "unknown setting");
   const auto holder = open<HolderTable>().get(account);
   return holder && holder->config >> index & 1;
}

NftHolder Nfts::getNftHolder(AccountNumber account) {
   return open<HolderTable>().get(account).value_or(NftHolder{account, 0});
}

CreditRecord Nfts::getCredRecord(std::uint32_t nftId) {
   const auto credit = creditOf(nftId);
   check(credit.has_value(), nothingToUncredit);
   return {nftId, credit->creditor, credit->debitor};
}

Nft Nfts::getNft(std::uint32_t nftId) {
   auto nft = open<NftTable>().get(nftId);
   if (nft)
      return *nft;
   const auto last = open<LastTable>().get().value_or(LastNft{}).id;
   abortMessage(nftId != 0 && nftId <= last ? "NFT was burned" : "NFT does not exist");
}

bool Nfts::exists(std::uint32_t nftId) { return open<NftTable>().contains(nftId); }

} // namespace polis::services

POLIS_DISPATCH(polis::services::Nfts)
