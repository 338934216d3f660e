// Non-fungible tokens: single things that somebody holds.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

struct Nft {
   std::uint32_t id = 0;
   AccountNumber issuer;
   AccountNumber owner;
};

struct NftHolder {
   AccountNumber account;
   /// Bit 0: auto_debit.
   std::uint8_t config = 0;
};

/// An NFT on its way from its owner to somebody else.
struct NftCredit {
   std::uint32_t nftId = 0;
   AccountNumber debitor;
   AccountNumber creditor;
};

/// The same as it is told to other services.
struct CreditRecord {
   std::uint32_t nftId = 0;
   AccountNumber creditor;
   AccountNumber debitor;
};

struct LastNft {
   std::uint32_t id = 0;
};

// History events.
struct NftMinted {
   static constexpr std::string_view eventName = "minted";
   std::uint32_t nftId = 0;
   AccountNumber issuer;
};
struct NftBurned {
   static constexpr std::string_view eventName = "burned";
   std::uint32_t nftId = 0;
   AccountNumber owner;
};
struct NftCredited {
   static constexpr std::string_view eventName = "credited";
   std::uint32_t nftId = 0;
   AccountNumber creditor;
   AccountNumber debitor;
   Memo memo;
};
struct NftUncredited {
   static constexpr std::string_view eventName = "uncredited";
   std::uint32_t nftId = 0;
   AccountNumber creditor;
   AccountNumber debitor;
   Memo memo;
};
struct NftUserConfSet {
   static constexpr std::string_view eventName = "userConfSet";
   AccountNumber account;
   std::uint8_t index = 0;
   bool enabled = false;
};
/// Merkle event: provable from a block header.
struct NftTransferred {
   static constexpr std::string_view eventName = "transferred";
   std::uint32_t nftId = 0;
   AccountNumber creditor;
   AccountNumber debitor;
   Memo memo;
};

class Nfts : public Service {
public:
   static constexpr auto account = "nft"_a;
   static constexpr std::uint8_t autoDebit = 0;
   using NftTable = Table<0, Nft, &Nft::id, Index<&Nft::owner, &Nft::id>, Index<&Nft::issuer, &Nft::id>>;
   using HolderTable = Table<1, NftHolder, &NftHolder::account>;
   using CreditTable = Table<2, NftCredit, &NftCredit::nftId, Index<&NftCredit::creditor, &NftCredit::nftId>,
                             Index<&NftCredit::debitor, &NftCredit::nftId>>;
   using LastTable = Singleton<3, LastNft>;
   using Tables = std::tuple<NftTable, HolderTable, CreditTable, LastTable>;
   using HistoryEvents = std::tuple<NftMinted, NftBurned, NftCredited, NftUncredited, NftUserConfSet>;
   using MerkleEvents = std::tuple<NftTransferred>;

   /// Nothing to do here: for installers of the protocol.
   void init();
   /// Makes an NFT of the sender and returns its id, from 1.
   std::uint32_t mint();
   /// Sender: its owner. Refuses one that is credited.
   void burn(std::uint32_t nftId);
   /// Offers an NFT to `debitor`, or gives it at once to one who debits automatically. Sender: its owner.
   /// Refuses: the sender itself; a debitor that does not exist; an NFT that is credited.
   void credit(std::uint32_t nftId, AccountNumber debitor, Memo memo);
   /// Takes an offer back. Sender: the owner.
   void uncredit(std::uint32_t nftId, Memo memo);
   /// Takes an offered NFT. Sender: the debitor.
   void debit(std::uint32_t nftId, Memo memo);
   /// index: 0 auto_debit.
   void setUserConf(std::uint8_t index, bool enabled);
   bool getUserConf(AccountNumber account, std::uint8_t index);
   /// Fails, and says whether it was burned or never existed.
   Nft getNft(std::uint32_t nftId);
   bool exists(std::uint32_t nftId);
   /// Of an account that has set nothing, the settings that hold then.
   NftHolder getNftHolder(AccountNumber account);
   /// Fails when nobody has offered the NFT.
   CreditRecord getCredRecord(std::uint32_t nftId);
};
POLIS_SERVICE(Nfts, action(init), action(mint), action(burn, nftId), action(credit, nftId, debitor, memo),
              action(uncredit, nftId, memo), action(debit, nftId, memo), action(setUserConf, index, enabled),
              action(getUserConf, account, index), action(getNft, nftId), action(exists, nftId),
              action(getNftHolder, account), action(getCredRecord, nftId))

} // namespace polis::services
