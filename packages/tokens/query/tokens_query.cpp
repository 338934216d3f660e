// HTTP of tokens: balances, histories, what waits; as plain routes and as GraphQL.
#include "nft/service/nft.hpp"
#include "symbol/service/symbol.hpp"
#include "tokens/service/tokens.hpp"

#include <polis/api.hpp>
#include <polis/graphql.hpp>

#include <map>

namespace polis::services {

POLIS_QUERY_SERVICE(TokensQuery, Tokens::account)

namespace {

struct TokenReply {
   TokenId id = 0;
   std::optional<std::string> symbol;
   std::uint8_t precision = 0;
   AccountNumber owner;
   std::uint32_t nftId = 0;
   std::uint64_t issuedSupply = 0;
   std::uint64_t burnedSupply = 0;
   std::uint64_t maxIssuedSupply = 0;
   bool untransferable = false;
   bool unrecallable = false;
   bool system = false;
};
struct TokensReply {
   std::vector<TokenReply> tokens;
   std::optional<TokenId> next;
};
struct BalanceReply {
   TokenId tokenId = 0;
   std::optional<std::string> symbol;
   std::uint8_t precision = 0;
   std::uint64_t balance = 0;
   bool autoDebit = false;
};
struct BalancesReply {
   AccountNumber account;
   bool autoDebit = false;
   std::vector<BalanceReply> balances;
};
struct LineReply {
   std::uint64_t seq = 0;
   TokenId tokenId = 0;
   std::uint8_t precision = 0;
   std::optional<std::string> symbol;
   std::string action;
   std::string direction;
   std::uint64_t amount = 0;
   AccountNumber counterParty;
   BlockNum blockNum = 0;
   TimePointUSec time;
   std::optional<Memo> memo;
};
struct HistoryReply {
   std::vector<LineReply> entries;
   std::optional<std::uint64_t> next;
};
struct PendingLine {
   AccountNumber creditor;
   AccountNumber debitor;
   TokenId tokenId = 0;
   std::uint8_t precision = 0;
   std::optional<std::string> symbol;
   std::uint64_t amount = 0;
};
struct PendingReply {
   std::vector<PendingLine> pending;
};
struct ConfigReply {
   std::optional<TokenId> systemToken;
};

template <class T>
auto table() {
   return openOf<T>(Tokens::account);
}

bool flag(std::uint8_t flags, BalanceFlag which) { return flags >> static_cast<unsigned>(which) & 1; }

std::optional<TokenId> systemToken() { return table<Tokens::ConfigTable>().get().value_or(TokensConfig{}).sys_tid; }

/// A chain may do without symbols.
bool hasSymbols() {
   static const bool has = native::code(Symbols::account).has_value();
   return has;
}

/// What every line about a token says of it. Asked once a request; an instance answers one request.
struct TokenName {
   std::uint8_t precision = 0;
   std::optional<std::string> symbol;
};
const TokenName& nameOf(TokenId id) {
   static std::map<TokenId, TokenName> names;
   const auto [at, isNew] = names.try_emplace(id);
   if (isNew) {
      if (const auto token = table<Tokens::TokenTable>().get(id))
         at->second.precision = token->precision;
      if (hasSymbols())
         if (const auto mapping = to<Symbols>().getByToken(id))
            at->second.symbol = mapping->symbolId.str();
   }
   return at->second;
}

const char* nameOf(TokenAction action) {
   static constexpr const char* names[] = {"credited", "debited", "uncredited", "rejected",
                                           "minted",   "burned",  "recalled"};
   return names[static_cast<std::size_t>(action)];
}

/// A token by its number or its symbol, in upper or lower case.
std::optional<TokenId> tokenOf(std::string_view text) {
   TokenId id = 0;
   const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
   if (error == std::errc() && end == text.data() + text.size())
      return id;
   const AccountNumber symbol{text};
   if (!symbol || !hasSymbols())
      return std::nullopt;
   const auto mapping = to<Symbols>().getMapBySym(symbol);
   return mapping ? std::optional(mapping->tokenId) : std::nullopt;
}

TokenReply describe(const Token& token) {
   return {.id = token.id,
           .symbol = nameOf(token.id).symbol,
           .precision = token.precision,
           .owner = to<Nfts>().getNft(token.nft_id).owner,
           .nftId = token.nft_id,
           .issuedSupply = token.issued_supply.value,
           .burnedSupply = token.burned_supply.value,
           .maxIssuedSupply = token.max_issued_supply.value,
           .untransferable = (token.settings_value >> static_cast<unsigned>(TokenFlag::untransferable) & 1) != 0,
           .unrecallable = (token.settings_value >> static_cast<unsigned>(TokenFlag::unrecallable) & 1) != 0,
           .system = systemToken() == token.id};
}

HttpReply tokens(const HttpRequest& request) {
   const auto after = numberParameter<TokenId>(request, "after").value_or(0);
   const auto limit = limitParameter(request);
   TokensReply reply;
   if (after == UINT32_MAX)
      return jsonReply(reply);
   for (const auto& token : table<Tokens::TokenTable>().range().from(TokenId{after + 1})) {
      if (reply.tokens.size() == limit) {
         reply.next = reply.tokens.back().id;
         break;
      }
      reply.tokens.push_back(describe(token));
   }
   return jsonReply(reply);
}

HttpReply balances(AccountNumber account) {
   const auto general = table<Tokens::UserConfigTable>().get(account);
   BalancesReply reply{
       .account = account, .autoDebit = general && flag(general->flags, BalanceFlag::autoDebit), .balances = {}};
   for (const auto& row : table<Tokens::BalanceTable>().range(account)) {
      const auto own = table<Tokens::BalanceConfigTable>().get(account, row.token_id);
      reply.balances.push_back({.tokenId = row.token_id,
                                .symbol = nameOf(row.token_id).symbol,
                                .precision = nameOf(row.token_id).precision,
                                .balance = row.balance.value,
                                .autoDebit = own ? flag(own->flags, BalanceFlag::autoDebit) : reply.autoDebit});
      if (reply.balances.size() == apiRowsMax)
         break;
   }
   return jsonReply(reply);
}

HttpReply history(const HttpRequest& request, AccountNumber account, bool withMemos) {
   static constexpr const char* directions[] = {"none", "in", "out"};
   const auto limit = limitParameter(request);
   const auto before = numberParameter<std::uint64_t>(request, "before");
   HistoryReply reply;
   const auto newest = table<Tokens::HistoryTable>().range(account).reverse();
   for (const auto& line : before ? newest.from(account, *before) : newest) {
      if (reply.entries.size() == limit) {
         reply.next = reply.entries.back().seq;
         break;
      }
      reply.entries.push_back({.seq = line.seq,
                               .tokenId = line.token_id,
                               .precision = nameOf(line.token_id).precision,
                               .symbol = nameOf(line.token_id).symbol,
                               .action = nameOf(line.action),
                               .direction = directions[static_cast<std::size_t>(line.direction)],
                               .amount = line.amount.value,
                               .counterParty = line.counter_party,
                               .blockNum = line.block_num,
                               .time = line.time,
                               .memo = withMemos ? std::optional(line.memo) : std::nullopt});
   }
   return jsonReply(reply);
}

HttpReply pending(AccountNumber account) {
   PendingReply reply;
   auto add = [&](const SharedBalance& row) {
      if (reply.pending.size() < apiRowsMax)
         reply.pending.push_back({.creditor = row.creditor,
                                  .debitor = row.debitor,
                                  .tokenId = row.token_id,
                                  .precision = nameOf(row.token_id).precision,
                                  .symbol = nameOf(row.token_id).symbol,
                                  .amount = row.balance.value});
      return reply.pending.size() < apiRowsMax;
   };
   const auto shared = table<Tokens::SharedTable>();
   for (const auto& row : shared.index<1>().range(account))
      if (!add(row))
         break;
   for (const auto& row : shared.range(account))
      if (!add(row))
         break;
   return jsonReply(reply);
}

// --- GraphQL ---------------------------------------------------------------------------------------------------------
// Amounts have the token's decimal point.

std::string decimal(Quantity amount, TokenId id) { return decimalText(amount, nameOf(id).precision); }

struct TokenInfo {
   static constexpr std::string_view typeName = "Token";
   TokenId id = 0;
   std::uint32_t nftId = 0;
   std::uint8_t precision = 0;
   std::optional<std::string> symbol;
   std::string issuedSupply;
   std::string burnedSupply;
   std::string maxIssuedSupply;
   bool untransferable = false;
   bool unrecallable = false;
   /// Whoever holds its NFT.
   std::optional<AccountNumber> owner() const {
      return to<Nfts>().exists(nftId) ? std::optional(to<Nfts>().getNft(nftId).owner) : std::nullopt;
   }
};
POLIS_GRAPHQL(TokenInfo, field(owner))

TokenInfo infoOf(const Token& token) {
   return {.id = token.id,
           .nftId = token.nft_id,
           .precision = token.precision,
           .symbol = nameOf(token.id).symbol,
           .issuedSupply = decimal(token.issued_supply, token.id),
           .burnedSupply = decimal(token.burned_supply, token.id),
           .maxIssuedSupply = decimal(token.max_issued_supply, token.id),
           .untransferable = (token.settings_value >> static_cast<unsigned>(TokenFlag::untransferable) & 1) != 0,
           .unrecallable = (token.settings_value >> static_cast<unsigned>(TokenFlag::unrecallable) & 1) != 0};
}

std::optional<TokenInfo> infoOf(TokenId id) {
   const auto token = table<Tokens::TokenTable>().get(id);
   return token ? std::optional(infoOf(*token)) : std::nullopt;
}

struct TokensConfigInfo {
   static constexpr std::string_view typeName = "Config";
   std::optional<TokenId> sysTid;
   std::optional<TokenInfo> sysToken() const { return sysTid ? infoOf(*sysTid) : std::nullopt; }
};
POLIS_GRAPHQL(TokensConfigInfo, field(sysToken))

struct UserSettings {
   AccountNumber user;
   bool autoDebit = false;
   bool keepZero = false;
};
struct BalanceInfo {
   static constexpr std::string_view typeName = "Balance";
   AccountNumber account;
   TokenId tokenId = 0;
   std::optional<std::string> symbol;
   std::uint8_t precision = 0;
   std::string balance;
};
struct PendingInfo {
   static constexpr std::string_view typeName = "Pending";
   AccountNumber creditor;
   AccountNumber debitor;
   TokenId tokenId = 0;
   std::optional<std::string> symbol;
   std::string balance;
};
struct SubAccountInfo {
   static constexpr std::string_view typeName = "SubAccount";
   std::string subAccount;
   /// Stays when it is empty.
   bool kept = false;
};
struct SubBalanceInfo {
   static constexpr std::string_view typeName = "SubAccountBalance";
   std::string subAccount;
   TokenId tokenId = 0;
   std::optional<std::string> symbol;
   std::string balance;
};
struct ConfiguredInfo {
   static constexpr std::string_view typeName = "Configuration";
   TokenId tokenId = 0;
   std::string action;
   Memo memo;
   EventBlock block;
};
struct SupplyInfo {
   static constexpr std::string_view typeName = "SupplyChange";
   TokenId tokenId = 0;
   AccountNumber actor;
   std::string action;
   std::string amount;
   Memo memo;
   EventBlock block;
};

struct BalanceChangeInfo {
   static constexpr std::string_view typeName = "BalanceChange";
   TokenId tokenId = 0;
   AccountNumber account;
   AccountNumber counterParty;
   /// As in /api/history.
   std::string action;
   std::string amount;
   Memo memo;
   EventBlock block;
};

BalanceInfo infoOf(const Balance& row) {
   return {row.account, row.token_id, nameOf(row.token_id).symbol, nameOf(row.token_id).precision,
           decimal(row.balance, row.token_id)};
}
PendingInfo infoOf(const SharedBalance& row) {
   return {row.creditor, row.debitor, row.token_id, nameOf(row.token_id).symbol, decimal(row.balance, row.token_id)};
}
SubBalanceInfo infoOf(const SubAccountBalance& row) {
   return {row.name, row.token_id, nameOf(row.token_id).symbol, decimal(row.balance, row.token_id)};
}

/// Tokens looked through by userTokens, at most.
constexpr std::size_t tokensMax = 1000;

class Query {
public:
   explicit Query(std::optional<AccountNumber> reader) : reader_(reader) {}

   TokensConfigInfo config() const { return {systemToken()}; }
   std::optional<TokenInfo> token(std::string tokenId) const {
      const auto id = tokenOf(tokenId);
      return id ? infoOf(*id) : std::nullopt;
   }
   UserSettings userSettings(AccountNumber user) const {
      const auto row = table<Tokens::UserConfigTable>().get(user);
      return {user, row && flag(row->flags, BalanceFlag::autoDebit), row && flag(row->flags, BalanceFlag::keepZero)};
   }
   /// Of which the account holds the NFT.
   std::vector<TokenInfo> userTokens(AccountNumber user) const {
      std::vector<TokenInfo> result;
      std::size_t seen = 0;
      for (const auto& token : table<Tokens::TokenTable>()) {
         if (++seen > tokensMax || !graphql::current->charge(10))
            break;
         if (to<Nfts>().exists(token.nft_id) && to<Nfts>().getNft(token.nft_id).owner == user)
            result.push_back(infoOf(token));
      }
      return result;
   }
   /// Both what waits for the account and what it has waiting elsewhere. Private.
   std::vector<PendingInfo> userPending(AccountNumber user) const {
      std::vector<PendingInfo> result;
      if (!mayRead(user))
         return result;
      const auto shared = table<Tokens::SharedTable>();
      const auto add = [&](const SharedBalance& row) {
         if (result.size() == apiRowsMax || !graphql::current->charge(1))
            return false;
         result.push_back(infoOf(row));
         return true;
      };
      for (const auto& row : shared.index<1>().range(user))
         if (!add(row))
            break;
      for (const auto& row : shared.range(user))
         if (!add(row))
            break;
      return result;
   }
   Connection<BalanceInfo> userBalances(AccountNumber user, Page<TokenId> page) const {
      if (!mayRead(user))
         return {};
      return connectionOf(
          table<Tokens::BalanceTable>().index<0>(), page, [](const Balance& row) { return infoOf(row); }, user);
   }
   std::optional<BalanceInfo> userBalance(AccountNumber user, std::string tokenId) const {
      const auto id = mayRead(user) ? tokenOf(tokenId) : std::nullopt;
      if (!id || !table<Tokens::TokenTable>().contains(*id))
         return std::nullopt;
      return infoOf(table<Tokens::BalanceTable>().get(user, *id).value_or(Balance{user, *id, {}}));
   }
   Connection<SubAccountInfo> userSubaccounts(AccountNumber user, Page<std::string> page) const {
      if (!mayRead(user))
         return {};
      return connectionOf(
          table<Tokens::SubTable>().index<0>(), page,
          [](const SubAccount& row) { return SubAccountInfo{row.name, row.kept}; }, user);
   }
   std::optional<SubBalanceInfo> subaccountBalance(AccountNumber user, std::string subAccount, TokenId tokenId) const {
      if (!mayRead(user))
         return std::nullopt;
      if (!table<Tokens::SubTable>().contains(user, subAccount)) {
         graphql::current->fail("Sub-account '" + subAccount + "' not found");
         return std::nullopt;
      }
      return infoOf(table<Tokens::SubBalanceTable>()
                        .get(user, subAccount, tokenId)
                        .value_or(SubAccountBalance{user, subAccount, tokenId, {}}));
   }
   Connection<SubBalanceInfo> subaccountBalances(AccountNumber user, std::string subAccount, Page<TokenId> page) const {
      if (!mayRead(user))
         return {};
      return connectionOf(
          table<Tokens::SubBalanceTable>().index<0>(), page, [](const SubAccountBalance& row) { return infoOf(row); },
          user, subAccount);
   }
   Connection<ConfiguredInfo> configurations(TokenId tokenId, Page<std::uint64_t> page) const {
      const auto describe = [](const EventLine<TokenConfigured>& line) {
         const auto& event = line.event;
         return ConfiguredInfo{event.token_id, event.action, event.memo, line.block()};
      };
      return connectionOf(table<Tokens::ConfiguredTable>().index<1>(), page, describe, tokenId);
   }
   /// Of all actors, or of one.
   Connection<SupplyInfo> supplyChanges(TokenId tokenId, std::optional<AccountNumber> actor,
                                        Page<std::uint64_t> page) const {
      const auto describe = [](const EventLine<SupplyChanged>& line) {
         const auto& event = line.event;
         return SupplyInfo{event.token_id, event.actor, event.action, event.amount, event.memo, line.block()};
      };
      const auto changes = table<Tokens::SupplyTable>();
      return actor ? connectionOf(changes.index<2>(), page, describe, tokenId, *actor)
                   : connectionOf(changes.index<1>(), page, describe, tokenId);
   }
   /// How the account's balances changed: of all tokens, counterparties and actions, or of some. Private.
   Connection<BalanceChangeInfo> balChanges(AccountNumber account, std::optional<TokenId> tokenId,
                                            std::optional<AccountNumber> counterParty,
                                            std::optional<std::string> action, Page<std::uint64_t> page) const {
      if (!mayRead(account))
         return {};
      const auto describe = [&](const HistoryLine& line) -> std::optional<BalanceChangeInfo> {
         const std::string_view name = nameOf(line.action);
         if ((tokenId && line.token_id != *tokenId) || (counterParty && line.counter_party != *counterParty) ||
             (action && name != *action))
            return std::nullopt;
         return BalanceChangeInfo{line.token_id,
                                  line.account,
                                  line.counter_party,
                                  std::string(name),
                                  decimal(line.amount, line.token_id),
                                  line.memo,
                                  {line.block_num, line.time}};
      };
      return connectionOf(table<Tokens::HistoryTable>().index<0>(), page, describe, account);
   }

private:
   /// Whether the one who asks is the account. If not, the query fails.
   bool mayRead(AccountNumber user) const {
      if (reader_ == user)
         return true;
      graphql::current->fail(reader_ ? "only the account itself sees this" : "log in to see this");
      return false;
   }

   std::optional<AccountNumber> reader_;
};
POLIS_GRAPHQL(Query, field(config), field(token, tokenId), field(userSettings, user), field(userTokens, user),
              field(userPending, user), field(userBalances, user, page), field(userBalance, user, tokenId),
              field(userSubaccounts, user, page), field(subaccountBalance, user, subAccount, tokenId),
              field(subaccountBalances, user, subAccount, page), field(configurations, tokenId, page),
              field(supplyChanges, tokenId, actor, page),
              field(balChanges, account, tokenId, counterParty, action, page))

} // namespace

std::optional<HttpReply> TokensQuery::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                               std::optional<AccountNumber> user) {
   if (auto reply = serveGraphql(Query{user}, request, graphql::ErrorForm::list))
      return reply;
   const auto path = pathOf(request);
   if (!path.starts_with("/api/"))
      return std::nullopt;
   if (request.method == "OPTIONS")
      return std::nullopt; // http answers a preflight
   if (request.method != "GET")
      return methodNotAllowed("GET");
   if (path == "/api/config")
      return jsonReply(ConfigReply{systemToken()});
   if (path == "/api/tokens")
      return tokens(request);
   if (path == "/api/token") {
      const auto wanted = queryParameter(request, "id");
      if (!wanted)
         return apiError(400, "parameter id: the token's number or symbol");
      const auto id = tokenOf(*wanted);
      const auto token = id ? table<Tokens::TokenTable>().get(*id) : std::nullopt;
      return token ? jsonReply(describe(*token)) : apiError(404, "no such token");
   }
   if (path != "/api/balances" && path != "/api/history" && path != "/api/pending")
      return std::nullopt;
   const auto account = accountParameter(request, "account");
   if (!account)
      return apiError(400, "parameter account: an account name");
   if (path == "/api/balances")
      return balances(*account);
   if (path == "/api/history")
      return history(request, *account, user == account);
   if (!user)
      return apiError(401, "log in to see what is pending");
   if (user != account)
      return apiError(403, "only the account itself sees what is pending");
   return pending(*account);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::TokensQuery)
