// Fungible tokens.
#pragma once

#include "tokens/service/quantity.hpp"

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

using TokenId = std::uint32_t;

struct Token {
   TokenId id = 0;
   /// Whoever holds this NFT owns the token.
   std::uint32_t nft_id = 0;
   /// Bits by TokenFlag.
   std::uint8_t settings_value = 0;
   std::uint8_t precision = 0;
   Quantity issued_supply;
   Quantity burned_supply;
   Quantity max_issued_supply;
};

struct Balance {
   AccountNumber account;
   TokenId token_id = 0;
   Quantity balance;
};

/// Credited and not yet debited.
struct SharedBalance {
   AccountNumber creditor;
   AccountNumber debitor;
   TokenId token_id = 0;
   Quantity balance;
};

/// Settings of one account for one token, instead of its general ones. Bits by BalanceFlag.
struct BalanceConfig {
   AccountNumber account;
   TokenId token_id = 0;
   std::uint8_t flags = 0;
};

/// Settings of one account. Bits by BalanceFlag.
struct UserConfig {
   AccountNumber account;
   std::uint8_t flags = 0;
};

struct SubAccount {
   AccountNumber account;
   std::string name;
   /// Made by createSub: stays when it is empty.
   bool kept = false;
};

struct SubAccountBalance {
   AccountNumber account;
   std::string name;
   TokenId token_id = 0;
   Quantity balance;
};

struct TokensConfig {
   std::optional<TokenId> sys_tid;
};

/// Number of the last token, and of the last line of history.
struct TokenCounters {
   TokenId lastToken = 0;
   std::uint64_t lastHistory = 0;
};

enum class TokenFlag : std::uint8_t { untransferable = 0, unrecallable = 1 };
enum class BalanceFlag : std::uint8_t { autoDebit = 0, keepZero = 1 };

enum class TokenAction : std::uint8_t { credited, debited, uncredited, rejected, minted, burned, recalled };

/// How the account's own balance moved.
enum class Direction : std::uint8_t { none, in, out };

/// A line in an account's history. Outside the state hash.
struct HistoryLine {
   AccountNumber account;
   std::uint64_t seq = 0;
   TokenId token_id = 0;
   TokenAction action{};
   Direction direction{};
   AccountNumber counter_party;
   Quantity amount;
   Memo memo;
   BlockNum block_num = 0;
   TimePointUSec time;
};

// History events, of what concerns a whole token.
struct TokenConfigured {
   static constexpr std::string_view eventName = "configured";
   TokenId token_id = 0;
   /// "created" or "configured".
   std::string action;
   Memo memo;
};
struct SupplyChanged {
   static constexpr std::string_view eventName = "supplyChanged";
   TokenId token_id = 0;
   AccountNumber actor;
   /// "minted", "burned" or "recalled".
   std::string action;
   /// With the token's decimal point.
   std::string amount;
   Memo memo;
};

class Tokens : public Service {
public:
   static constexpr auto account = "tokens"_a;
   static constexpr std::uint8_t precisionMax = 8;
   static constexpr std::size_t subNameBytesMax = 80;

   using TokenTable = Table<0, Token, &Token::id, Index<&Token::nft_id>>;
   using BalanceTable = Table<1, Balance, key<&Balance::account, &Balance::token_id>>;
   using SharedTable =
       Table<2, SharedBalance, key<&SharedBalance::creditor, &SharedBalance::debitor, &SharedBalance::token_id>,
             Index<&SharedBalance::debitor, &SharedBalance::creditor, &SharedBalance::token_id>>;
   using BalanceConfigTable = Table<3, BalanceConfig, key<&BalanceConfig::account, &BalanceConfig::token_id>>;
   using UserConfigTable = Table<4, UserConfig, &UserConfig::account>;
   using SubTable = Table<5, SubAccount, key<&SubAccount::account, &SubAccount::name>>;
   using SubBalanceTable =
       Table<6, SubAccountBalance,
             key<&SubAccountBalance::account, &SubAccountBalance::name, &SubAccountBalance::token_id>>;
   using ConfigTable = Singleton<7, TokensConfig>;
   using CounterTable = Singleton<8, TokenCounters>;
   using HistoryTable = WriteOnlyTable<0, HistoryLine, key<&HistoryLine::account, &HistoryLine::seq>>;
   // 1 and 2 held these events in another form.
   using ConfiguredTable = EventTable<3, TokenConfigured, By<&TokenConfigured::token_id>>;
   using SupplyTable =
       EventTable<4, SupplyChanged, By<&SupplyChanged::token_id>, By<&SupplyChanged::token_id, &SupplyChanged::actor>>;
   using Tables = std::tuple<TokenTable, BalanceTable, SharedTable, BalanceConfigTable, UserConfigTable, SubTable,
                             SubBalanceTable, ConfigTable, CounterTable>;
   using HistoryEvents = std::tuple<TokenConfigured, SupplyChanged>;

   /// Nothing to do here: for installers of the protocol.
   void init();
   /// Makes a token and its NFT, which is credited to the sender. Returns the token's id, from 1.
   TokenId create(std::uint8_t precision, Quantity max_issued_supply);
   /// Sender: the token's owner.
   void mint(TokenId token_id, Quantity amount, Memo memo);
   void burn(TokenId token_id, Quantity amount, Memo memo);
   /// Takes from somebody, or from a sub-account of his, and burns. Sender: the token's owner. Refuses unrecallable
   /// tokens.
   void recall(TokenId token_id, AccountNumber from, Quantity amount, Memo memo,
               std::optional<std::string> sub_account);
   /// The same of what `creditor` has credited to `debitor` and is not debited yet.
   void recallShared(TokenId token_id, AccountNumber creditor, AccountNumber debitor, Quantity amount, Memo memo);

   /// Sends. It arrives at once where the debitor has auto_debit, else it waits for `debit`.
   /// Refuses: nothing; more than the sender has; the sender itself; a debitor that does not exist; an untransferable
   /// token, but from its owner.
   void credit(TokenId token_id, AccountNumber debitor, Quantity amount, Memo memo);
   /// Takes back what waits, at most `amount`.
   void uncredit(TokenId token_id, AccountNumber debitor, Quantity amount, Memo memo);
   /// Takes what waits for the sender. Refuses more than that.
   void debit(TokenId token_id, AccountNumber creditor, Quantity amount, Memo memo);
   /// Sends all that waits for the sender back.
   void reject(TokenId token_id, AccountNumber creditor, Memo memo);

   /// index: a TokenFlag. Sender: the token's owner. Unrecallable cannot be cleared.
   void setTokenConf(TokenId token_id, std::uint8_t index, bool enabled);
   bool getTokenConf(TokenId token_id, std::uint8_t index);
   /// index: a BalanceFlag.
   void setUserConf(std::uint8_t index, bool enabled);
   bool getUserConf(AccountNumber account, std::uint8_t index);
   void setBalConf(TokenId token_id, std::uint8_t index, bool enabled);
   bool getBalConf(AccountNumber account, TokenId token_id, std::uint8_t index);
   /// Back to the account's general settings.
   void delBalConf(TokenId token_id);

   /// Makes a sub-account of the sender that stays when it is empty. Refuses one that stays already.
   void createSub(std::string sub_account);
   /// Refuses one that is not empty.
   void deleteSub(std::string sub_account);
   void toSub(TokenId token_id, std::string sub_account, Quantity amount);
   void fromSub(TokenId token_id, std::string sub_account, Quantity amount);
   /// What the sender keeps in a sub-account; nothing when there is no such sub-account.
   std::optional<Quantity> getSubBal(TokenId token_id, std::string sub_account);

   /// Sender: tokens. Refuses another token than the one that is set.
   void setSysToken(TokenId token_id);
   std::optional<Token> getSysToken();
   Token getToken(TokenId token_id);
   Quantity getBalance(TokenId token_id, AccountNumber account);
   Quantity getSharedBal(TokenId token_id, AccountNumber creditor, AccountNumber debitor);
};
POLIS_SERVICE(Tokens, action(init), action(create, precision, max_issued_supply), action(mint, token_id, amount, memo),
              action(burn, token_id, amount, memo), action(recall, token_id, from, amount, memo, sub_account),
              action(recallShared, token_id, creditor, debitor, amount, memo),
              action(credit, token_id, debitor, amount, memo), action(uncredit, token_id, debitor, amount, memo),
              action(debit, token_id, creditor, amount, memo), action(reject, token_id, creditor, memo),
              action(setTokenConf, token_id, index, enabled), action(getTokenConf, token_id, index),
              action(setUserConf, index, enabled), action(getUserConf, account, index),
              action(setBalConf, token_id, index, enabled), action(getBalConf, account, token_id, index),
              action(delBalConf, token_id), action(createSub, sub_account), action(deleteSub, sub_account),
              action(toSub, token_id, sub_account, amount), action(fromSub, token_id, sub_account, amount),
              action(getSubBal, token_id, sub_account), action(setSysToken, token_id), action(getSysToken),
              action(getToken, token_id), action(getBalance, token_id, account),
              action(getSharedBal, token_id, creditor, debitor))

} // namespace polis::services
