#include "tokens/service/tokens.hpp"

#include "accounts/service/accounts.hpp"
#include "nft/service/nft.hpp"

#include <algorithm>

namespace polis::services {

namespace {

constexpr bool has(std::uint8_t flags, TokenFlag flag) { return flags >> static_cast<unsigned>(flag) & 1; }
constexpr bool has(std::uint8_t flags, BalanceFlag flag) { return flags >> static_cast<unsigned>(flag) & 1; }

constexpr std::uint8_t with(std::uint8_t flags, std::uint8_t index, bool enabled) {
   const auto bit = static_cast<std::uint8_t>(1u << index);
   return static_cast<std::uint8_t>(enabled ? flags | bit : flags & ~bit);
}

void checkBalanceFlag(std::uint8_t index) {
   check(index <= static_cast<std::uint8_t>(BalanceFlag::keepZero), "unknown setting");
}

void checkTokenFlag(std::uint8_t index) {
   check(index <= static_cast<std::uint8_t>(TokenFlag::unrecallable), "unknown setting");
}

Token tokenOf(TokenId id) {
   auto token = open<Tokens::TokenTable>().get(id);
   check(token.has_value(), "Token DNE");
   return *token;
}

AccountNumber ownerOf(const Token& token) { return to<Nfts>().getNft(token.nft_id).owner; }

Token ownTokenOf(TokenId id) {
   auto token = tokenOf(id);
   check(ownerOf(token) == getSender(), "Missing required authority");
   return token;
}

/// Settings of an account for one token: those set for the token, else its general ones.
std::uint8_t settingsOf(AccountNumber account, TokenId token) {
   if (const auto own = open<Tokens::BalanceConfigTable>(Mode::readWrite).get(account, token))
      return own->flags;
   const auto general = open<Tokens::UserConfigTable>(Mode::readWrite).get(account);
   return general ? general->flags : 0;
}

void checkAmount(Quantity amount, const char* what) { check(amount.value > 0, what); }

[[noreturn]] void insufficient(AccountNumber account, TokenId token) {
   abortMessage(account.str() + " has insufficient balance (tid " + std::to_string(token) + ")");
}

void take(AccountNumber account, TokenId token, Quantity amount) {
   const auto balances = open<Tokens::BalanceTable>(Mode::readWrite);
   auto row = balances.get(account, token);
   if (!row || row->balance < amount)
      insufficient(account, token);
   row->balance.value -= amount.value;
   if (row->balance.value == 0 && !has(settingsOf(account, token), BalanceFlag::keepZero))
      balances.remove(*row);
   else
      balances.put(*row);
}

void give(AccountNumber account, TokenId token, Quantity amount) {
   const auto balances = open<Tokens::BalanceTable>(Mode::readWrite);
   auto row = balances.get(account, token).value_or(Balance{.account = account, .token_id = token, .balance = {}});
   // Cannot overflow: a token's supply fits.
   row.balance.value += amount.value;
   balances.put(row);
}

/// Appends lines to histories; lines of one action are numbered in a row.
class History {
public:
   History() : table_(open<Tokens::CounterTable>(Mode::readWrite)), counters_(table_.get().value_or(TokenCounters{})) {
      const StatusView status;
      blockNum_ = status.blockNum();
      time_ = status.time();
   }
   ~History() { table_.put(counters_); }
   History(const History&) = delete;
   History& operator=(const History&) = delete;

   void add(AccountNumber account, TokenId token, TokenAction action, Direction direction, AccountNumber counterParty,
            Quantity amount, const Memo& memo) {
      open<Tokens::HistoryTable>().put({.account = account,
                                        .seq = ++counters_.lastHistory,
                                        .token_id = token,
                                        .action = action,
                                        .direction = direction,
                                        .counter_party = counterParty,
                                        .amount = amount,
                                        .memo = memo,
                                        .block_num = blockNum_,
                                        .time = time_});
   }

private:
   TableRef<Tokens::CounterTable> table_;
   TokenCounters counters_;
   BlockNum blockNum_ = 0;
   TimePointUSec time_;
};

/// Takes `amount` from what `creditor` has waiting for `debitor`.
void takeShared(AccountNumber creditor, AccountNumber debitor, TokenId token, Quantity amount) {
   const auto shared = open<Tokens::SharedTable>(Mode::readWrite);
   auto row = shared.get(creditor, debitor, token);
   if (!row || row->balance < amount)
      abortMessage("Insufficient shared balance (tid " + std::to_string(token) + ") between " + creditor.str() +
                   " and " + debitor.str());
   row->balance.value -= amount.value;
   if (row->balance.value == 0)
      shared.remove(*row);
   else
      shared.put(*row);
}

Quantity sharedBetween(AccountNumber creditor, AccountNumber debitor, TokenId token) {
   const auto row = open<Tokens::SharedTable>().get(creditor, debitor, token);
   return row ? row->balance : Quantity{};
}

void checkSubName(const std::string& name) {
   check(!name.empty() && name.size() <= Tokens::subNameBytesMax,
         "Sub-account key must be 80 bytes or less, and not empty");
}

bool subIsEmpty(AccountNumber account, const std::string& name) {
   return !open<Tokens::SubBalanceTable>().first(account, name);
}

void takeFromSub(AccountNumber account, const std::string& name, TokenId token, Quantity amount) {
   const auto balances = open<Tokens::SubBalanceTable>(Mode::readWrite);
   auto row = balances.get(account, name, token);
   check(row && row->balance >= amount, "Insufficient sub-account balance");
   row->balance.value -= amount.value;
   if (row->balance.value == 0)
      balances.remove(*row);
   else
      balances.put(*row);
   const auto subs = open<Tokens::SubTable>(Mode::readWrite);
   if (const auto sub = subs.get(account, name); sub && !sub->kept && subIsEmpty(account, name))
      subs.remove(*sub);
}

} // namespace

void Tokens::init() {}

TokenId Tokens::create(std::uint8_t precision, Quantity max_issued_supply) {
   check(precision <= precisionMax, "precision must be at most 8");
   check(max_issued_supply.value > 0, "Max issued supply must be greater than 0");
   const auto counterTable = open<CounterTable>(Mode::readWrite);
   auto counters = counterTable.get().value_or(TokenCounters{});
   const auto id = ++counters.lastToken;
   check(id != 0, "no more token ids");
   counterTable.put(counters);
   const auto nft = to<Nfts>().mint();
   open<TokenTable>(Mode::readWrite)
       .put({.id = id,
             .nft_id = nft,
             .settings_value = 0,
             .precision = precision,
             .issued_supply = {},
             .burned_supply = {},
             .max_issued_supply = max_issued_supply});
   if (getSender() != getReceiver())
      to<Nfts>().credit(nft, getSender(), Memo{"Owner of a new token"});
   keepHistory<Tokens::ConfiguredTable>(
       TokenConfigured{id, "created", Memo{"max supply " + decimalText(max_issued_supply, precision)}});
   return id;
}

void Tokens::mint(TokenId token_id, Quantity amount, Memo memo) {
   auto token = ownTokenOf(token_id);
   checkAmount(amount, "mint quantity must be greater than 0");
   check(amount.value <= token.max_issued_supply.value - token.issued_supply.value, "Max issued supply exceeded");
   token.issued_supply.value += amount.value;
   open<TokenTable>(Mode::readWrite).put(token);
   const auto sender = getSender();
   give(sender, token_id, amount);
   History().add(sender, token_id, TokenAction::minted, Direction::in, sender, amount, memo);
   keepHistory<Tokens::SupplyTable>(
       SupplyChanged{token_id, sender, "minted", decimalText(amount, token.precision), memo});
}

void Tokens::burn(TokenId token_id, Quantity amount, Memo memo) {
   auto token = tokenOf(token_id);
   checkAmount(amount, "burn quantity must be greater than 0");
   const auto sender = getSender();
   take(sender, token_id, amount);
   token.burned_supply.value += amount.value;
   open<TokenTable>(Mode::readWrite).put(token);
   History().add(sender, token_id, TokenAction::burned, Direction::out, sender, amount, memo);
   keepHistory<Tokens::SupplyTable>(
       SupplyChanged{token_id, sender, "burned", decimalText(amount, token.precision), memo});
}

namespace {

/// `takeIt` takes the amount from where it is.
void recallFrom(AccountNumber from, TokenId id, Quantity amount, const Memo& memo, auto&& takeIt) {
   auto token = ownTokenOf(id);
   check(!has(token.settings_value, TokenFlag::unrecallable), "Token unrecallable");
   checkAmount(amount, "burn quantity must be greater than 0");
   takeIt();
   token.burned_supply.value += amount.value;
   open<Tokens::TokenTable>(Mode::readWrite).put(token);
   History().add(from, id, TokenAction::recalled, Direction::out, getSender(), amount, memo);
   keepHistory<Tokens::SupplyTable>(
       SupplyChanged{id, getSender(), "recalled", decimalText(amount, token.precision), memo});
}

} // namespace

void Tokens::recall(TokenId token_id, AccountNumber from, Quantity amount, Memo memo,
                    std::optional<std::string> sub_account) {
   recallFrom(from, token_id, amount, memo, [&] {
      if (sub_account)
         takeFromSub(from, *sub_account, token_id, amount);
      else
         take(from, token_id, amount);
   });
}

void Tokens::recallShared(TokenId token_id, AccountNumber creditor, AccountNumber debitor, Quantity amount, Memo memo) {
   recallFrom(creditor, token_id, amount, memo, [&] { takeShared(creditor, debitor, token_id, amount); });
}

void Tokens::credit(TokenId token_id, AccountNumber debitor, Quantity amount, Memo memo) {
   const auto sender = getSender();
   checkAmount(amount, "credit quantity must be greater than 0");
   if (debitor == sender)
      abortMessage("Sender " + sender.str() + " cannot also be receiver");
   const auto token = open<TokenTable>(Mode::readWrite).get(token_id);
   check(token.has_value(), "Token DNE");
   if (has(token->settings_value, TokenFlag::untransferable))
      check(ownerOf(*token) == sender, "Token untradeable");
   take(sender, token_id, amount);
   History history;
   if (has(settingsOf(debitor, token_id), BalanceFlag::autoDebit)) {
      // Whoever has settings exists.
      give(debitor, token_id, amount);
      history.add(sender, token_id, TokenAction::credited, Direction::out, debitor, amount, memo);
      history.add(debitor, token_id, TokenAction::debited, Direction::in, sender, amount, memo);
      return;
   }
   check(to<Accounts>().exists(debitor), "debitor account does not exist");
   const auto shared = open<SharedTable>(Mode::readWrite);
   auto row = shared.get(sender, debitor, token_id)
                  .value_or(SharedBalance{.creditor = sender, .debitor = debitor, .token_id = token_id, .balance = {}});
   row.balance.value += amount.value;
   shared.put(row);
   history.add(sender, token_id, TokenAction::credited, Direction::out, debitor, amount, memo);
}

void Tokens::uncredit(TokenId token_id, AccountNumber debitor, Quantity amount, Memo memo) {
   const auto sender = getSender();
   checkAmount(amount, "uncredit quantity must be greater than 0");
   const auto taken = std::min(amount, sharedBetween(sender, debitor, token_id));
   if (taken.value == 0)
      return;
   takeShared(sender, debitor, token_id, taken);
   give(sender, token_id, taken);
   History().add(sender, token_id, TokenAction::uncredited, Direction::in, debitor, taken, memo);
}

void Tokens::debit(TokenId token_id, AccountNumber creditor, Quantity amount, Memo memo) {
   const auto sender = getSender();
   checkAmount(amount, "debit quantity must be greater than 0");
   takeShared(creditor, sender, token_id, amount);
   give(sender, token_id, amount);
   History().add(sender, token_id, TokenAction::debited, Direction::in, creditor, amount, memo);
}

void Tokens::reject(TokenId token_id, AccountNumber creditor, Memo memo) {
   const auto sender = getSender();
   const auto amount = sharedBetween(creditor, sender, token_id);
   if (amount.value == 0)
      return;
   takeShared(creditor, sender, token_id, amount);
   give(creditor, token_id, amount);
   History history;
   history.add(sender, token_id, TokenAction::rejected, Direction::none, creditor, amount, memo);
   history.add(creditor, token_id, TokenAction::rejected, Direction::in, sender, amount, memo);
}

void Tokens::setTokenConf(TokenId token_id, std::uint8_t index, bool enabled) {
   checkTokenFlag(index);
   auto token = ownTokenOf(token_id);
   check(enabled || index != static_cast<std::uint8_t>(TokenFlag::unrecallable), "Invalid configuration update");
   token.settings_value = with(token.settings_value, index, enabled);
   open<TokenTable>(Mode::readWrite).put(token);
   const std::string name =
       index == static_cast<std::uint8_t>(TokenFlag::untransferable) ? "untransferable" : "unrecallable";
   keepHistory<Tokens::ConfiguredTable>(
       TokenConfigured{token_id, "configured", Memo{name + (enabled ? ": on" : ": off")}});
}

bool Tokens::getTokenConf(TokenId token_id, std::uint8_t index) {
   checkTokenFlag(index);
   return has(tokenOf(token_id).settings_value, static_cast<TokenFlag>(index));
}

void Tokens::setUserConf(std::uint8_t index, bool enabled) {
   checkBalanceFlag(index);
   const auto configs = open<UserConfigTable>(Mode::readWrite);
   auto row = configs.get(getSender()).value_or(UserConfig{.account = getSender(), .flags = 0});
   row.flags = with(row.flags, index, enabled);
   configs.put(row);
}

bool Tokens::getUserConf(AccountNumber account, std::uint8_t index) {
   checkBalanceFlag(index);
   const auto row = open<UserConfigTable>().get(account);
   return row && has(row->flags, static_cast<BalanceFlag>(index));
}

void Tokens::setBalConf(TokenId token_id, std::uint8_t index, bool enabled) {
   checkBalanceFlag(index);
   tokenOf(token_id);
   const auto sender = getSender();
   const auto flags = with(settingsOf(sender, token_id), index, enabled);
   open<BalanceConfigTable>(Mode::readWrite).put({.account = sender, .token_id = token_id, .flags = flags});
}

bool Tokens::getBalConf(AccountNumber account, TokenId token_id, std::uint8_t index) {
   checkBalanceFlag(index);
   const auto own = open<BalanceConfigTable>().get(account, token_id);
   return own ? has(own->flags, static_cast<BalanceFlag>(index)) : getUserConf(account, index);
}

void Tokens::delBalConf(TokenId token_id) { open<BalanceConfigTable>(Mode::readWrite).erase(getSender(), token_id); }

void Tokens::createSub(std::string sub_account) {
   checkSubName(sub_account);
   const auto subs = open<SubTable>(Mode::readWrite);
   const auto row = subs.get(getSender(), sub_account);
   check(!row || !row->kept, "Sub-account was 'created' twice");
   subs.put({.account = getSender(), .name = std::move(sub_account), .kept = true});
}

void Tokens::deleteSub(std::string sub_account) {
   const auto subs = open<SubTable>(Mode::readWrite);
   check(subs.contains(getSender(), sub_account), getSender().str() + " has no sub-account '" + sub_account + "'");
   check(subIsEmpty(getSender(), sub_account), "Sub-account with non-zero balances cannot be deleted");
   subs.erase(getSender(), sub_account);
}

void Tokens::toSub(TokenId token_id, std::string sub_account, Quantity amount) {
   checkSubName(sub_account);
   checkAmount(amount, "credit quantity must be greater than 0");
   const auto sender = getSender();
   take(sender, token_id, amount);
   const auto subs = open<SubTable>(Mode::readWrite);
   if (!subs.contains(sender, sub_account))
      subs.put({.account = sender, .name = sub_account, .kept = false});
   const auto balances = open<SubBalanceTable>(Mode::readWrite);
   auto row =
       balances.get(sender, sub_account, token_id)
           .value_or(SubAccountBalance{.account = sender, .name = sub_account, .token_id = token_id, .balance = {}});
   row.balance.value += amount.value;
   balances.put(row);
}

void Tokens::fromSub(TokenId token_id, std::string sub_account, Quantity amount) {
   checkAmount(amount, "debit quantity must be greater than 0");
   takeFromSub(getSender(), sub_account, token_id, amount);
   give(getSender(), token_id, amount);
}

std::optional<Quantity> Tokens::getSubBal(TokenId token_id, std::string sub_account) {
   if (!open<SubTable>().contains(getSender(), sub_account))
      return std::nullopt;
   const auto row = open<SubBalanceTable>().get(getSender(), sub_account, token_id);
   return row ? row->balance : Quantity{};
}

void Tokens::setSysToken(TokenId token_id) {
   check(getSender() == getReceiver(), "only tokens itself may set the system token");
   tokenOf(token_id);
   const auto config = open<ConfigTable>(Mode::readWrite);
   const auto present = config.get().value_or(TokensConfig{}).sys_tid;
   check(!present || *present == token_id, "the system token is set already");
   config.put({.sys_tid = token_id});
}

std::optional<Token> Tokens::getSysToken() {
   const auto config = open<ConfigTable>().get();
   return config && config->sys_tid ? std::optional(tokenOf(*config->sys_tid)) : std::nullopt;
}

Token Tokens::getToken(TokenId token_id) { return tokenOf(token_id); }

Quantity Tokens::getBalance(TokenId token_id, AccountNumber account) {
   const auto row = open<BalanceTable>().get(account, token_id);
   return row ? row->balance : Quantity{};
}

Quantity Tokens::getSharedBal(TokenId token_id, AccountNumber creditor, AccountNumber debitor) {
   return sharedBetween(creditor, debitor, token_id);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::Tokens)
