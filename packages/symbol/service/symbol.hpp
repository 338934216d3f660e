// Symbols: short names of tokens, bought with the system token.
#pragma once

#include "tokens/service/tokens.hpp"

namespace polis::services {

/// A length of symbols that is for sale.
struct SymbolLength {
   std::uint8_t symbolLength = 0;
   /// Of `diff-adj`: its difficulty is the price.
   std::uint32_t nftId = 0;
};

struct Symbol {
   /// Lower-case letters.
   AccountNumber symbolId;
   /// Whoever holds this NFT owns the symbol. Burned when the symbol is mapped.
   std::uint32_t ownerNft = 0;
};

struct SymbolMapping {
   static constexpr std::string_view typeName = "Mapping";
   TokenId tokenId = 0;
   AccountNumber symbolId;
};

enum class SymbolAction : std::uint8_t { created = 0, mapped = 1 };

/// History event.
struct SymbolEvent {
   static constexpr std::string_view eventName = "symEvent";
   AccountNumber symbol;
   AccountNumber actor;
   /// A SymbolAction.
   std::uint8_t action = 0;
};

class Symbols : public Service {
public:
   static constexpr auto account = "symbol"_a;
   static constexpr std::uint8_t lengthMin = 3;
   static constexpr std::uint8_t lengthMax = 7;
   static constexpr std::uint32_t windowSeconds = 24 * 60 * 60;
   static constexpr std::uint32_t stepPpm = 50'000;

   // 0 is the protocol's mark that the service has been initialised. Nothing needs it here.
   using LengthTable = Table<1, SymbolLength, &SymbolLength::symbolLength>;
   using SymbolTable = Table<2, Symbol, &Symbol::symbolId>;
   using MappingTable = Table<3, SymbolMapping, &SymbolMapping::tokenId, Index<&SymbolMapping::symbolId>>;
   using EventTable = sdk::EventTable<0, SymbolEvent>;
   using Tables = std::tuple<LengthTable, SymbolTable, MappingTable>;
   using HistoryEvents = std::tuple<SymbolEvent>;

   /// Nothing to do here: for installers of the protocol.
   void init();
   /// Offers symbols of one length for sale. The price rises by 5 % when more than `target` are sold a day, and falls
   /// by 5 % a day, not below `floor_price`, when fewer are. Nothing changes if it is for sale with that target.
   /// Sender: symbol. Refuses: a length other than 3 to 7, or for sale already with another; while there is no
   /// system token.
   void sellLength(std::uint8_t length, Quantity initial_price, std::uint32_t target, Quantity floor_price);
   /// Sender: symbol.
   void delLength(std::uint8_t length);
   /// Buys a symbol: the price is taken from the system tokens that the sender has credited to `symbol`, and the rest
   /// of them sent back. Its NFT is credited to the sender. Refuses: a symbol that exists; other characters than
   /// lower-case letters; a length that is not for sale.
   void create(AccountNumber symbol);
   /// Makes a symbol of any length for somebody who has it not, free of charge. Sender: symbol.
   void admin_create(AccountNumber symbol, AccountNumber recipient);
   /// Gives a token its symbol, for good. The sender owns both, and has credited the symbol's NFT to `symbol`, which
   /// burns it. Refuses a token that has a symbol.
   void mapSymbol(TokenId token_id, AccountNumber symbol);

   /// Of a length that is for sale.
   Quantity getPrice(std::uint8_t length);
   SymbolLength getSymbolType(std::uint8_t length);
   Symbol getSymbol(AccountNumber symbol);
   bool exists(AccountNumber symbol);
   /// Fails for a token without symbol.
   AccountNumber getTokenSym(TokenId token_id);
   std::optional<SymbolMapping> getByToken(TokenId token_id);
   std::optional<SymbolMapping> getMapBySym(AccountNumber symbol);
};
POLIS_SERVICE(Symbols, action(init), action(sellLength, length, initial_price, target, floor_price),
              action(delLength, length), action(create, symbol), action(admin_create, symbol, recipient),
              action(mapSymbol, token_id, symbol), action(getPrice, length), action(getSymbolType, length),
              action(getSymbol, symbol), action(exists, symbol), action(getTokenSym, token_id),
              action(getByToken, token_id), action(getMapBySym, symbol))

} // namespace polis::services
