#include "symbol/service/symbol.hpp"

#include "diff-adj/service/diff_adj.hpp"
#include "nft/service/nft.hpp"

#include <algorithm>

namespace polis::services {

namespace {

void onlySelf() { check(getSender() == Symbols::account, "only symbol itself may do this"); }

TokenId systemToken() {
   const auto token = to<Tokens>().getSysToken();
   check(token.has_value(), "system token must be defined");
   return token->id;
}

SymbolLength lengthOf(std::size_t length) {
   const auto row = open<Symbols::LengthTable>().get(static_cast<std::uint8_t>(length));
   if (!row)
      abortMessage("symbol length of " + std::to_string(length) + " not supported");
   return *row;
}

Symbol symbolOf(AccountNumber symbol) {
   const auto row = open<Symbols::SymbolTable>().get(symbol);
   check(row.has_value(), "Symbol does not exist");
   return *row;
}

void record(AccountNumber symbol, SymbolAction action) {
   keepHistory<Symbols::EventTable>(SymbolEvent{symbol, getSender(), static_cast<std::uint8_t>(action)});
}

void checkUnused(AccountNumber symbol) {
   check(!open<Symbols::SymbolTable>().contains(symbol), "Symbol already exists");
   const auto text = symbol.str();
   check(!text.empty() && std::ranges::all_of(text, [](char c) { return c >= 'a' && c <= 'z'; }),
         "Symbol may only contain lowercase alphabetic characters");
}

/// Whether the symbol, or the token that it belongs to, is the account's.
bool isOf(AccountNumber symbol, AccountNumber account) {
   const auto row = open<Symbols::SymbolTable>().get(symbol);
   if (!row)
      return false;
   const auto mapping = open<Symbols::MappingTable>().index<1>().get(symbol);
   const auto nft = mapping ? to<Tokens>().getToken(mapping->tokenId).nft_id : row->ownerNft;
   return to<Nfts>().exists(nft) && to<Nfts>().getNft(nft).owner == account;
}

void charge(AccountNumber buyer, const SymbolLength& length) {
   const auto token = systemToken();
   const Quantity price{to<DiffAdj>().increment(length.nftId, 1)};
   if (price.value > 0)
      to<Tokens>().debit(token, buyer, price, Memo{"Purchase of a symbol"});
   to<Tokens>().reject(token, buyer, Memo{"Change"});
}

void make(AccountNumber symbol, AccountNumber recipient) {
   const auto nft = to<Nfts>().mint();
   open<Symbols::SymbolTable>(Mode::readWrite).put({.symbolId = symbol, .ownerNft = nft});
   if (recipient != getReceiver())
      to<Nfts>().credit(nft, recipient, Memo{"Ownership of the symbol " + symbol.str()});
   record(symbol, SymbolAction::created);
}

} // namespace

void Symbols::init() {}

void Symbols::sellLength(std::uint8_t length, Quantity initial_price, std::uint32_t target, Quantity floor_price) {
   onlySelf();
   systemToken();
   check(length >= lengthMin && length <= lengthMax, "symbol length must be between 3 - 7 chars");
   const auto lengths = open<LengthTable>(Mode::readWrite);
   if (const auto row = lengths.get(length)) {
      check(to<DiffAdj>().get_targets(row->nftId) == std::tuple(target, target),
            "sale of symbol length already exists");
      return;
   }
   const auto nft =
       to<DiffAdj>().create(initial_price.value, windowSeconds, target, target, floor_price.value, stepPpm, stepPpm);
   to<Nfts>().debit(nft, Memo{"Price of symbols"});
   lengths.put({.symbolLength = length, .nftId = nft});
}

void Symbols::delLength(std::uint8_t length) {
   onlySelf();
   const auto row = lengthOf(length);
   to<DiffAdj>().remove(row.nftId);
   open<LengthTable>(Mode::readWrite).remove(row);
}

void Symbols::create(AccountNumber symbol) {
   checkUnused(symbol);
   const auto length = open<LengthTable>().get(static_cast<std::uint8_t>(symbol.str().size()));
   check(length.has_value(), "Symbol length is not for sale");
   charge(getSender(), *length);
   make(symbol, getSender());
}

void Symbols::admin_create(AccountNumber symbol, AccountNumber recipient) {
   onlySelf();
   if (isOf(symbol, recipient))
      return;
   checkUnused(symbol);
   make(symbol, recipient);
}

void Symbols::mapSymbol(TokenId token_id, AccountNumber symbol) {
   const auto row = symbolOf(symbol);
   const auto mappings = open<MappingTable>(Mode::readWrite);
   check(!mappings.index<1>().get(symbol), "Symbol is already mapped to a token");
   check(!mappings.contains(token_id), "the token has a symbol already");
   const auto sender = getSender();
   check(to<Nfts>().getNft(to<Tokens>().getToken(token_id).nft_id).owner == sender, "Missing required authority");
   check(to<Nfts>().getNft(row.ownerNft).owner == sender, "Missing required authority");
   if (sender != getReceiver())
      to<Nfts>().debit(row.ownerNft, Memo{"Mapping a symbol to a token"});
   to<Nfts>().burn(row.ownerNft);
   mappings.put({.tokenId = token_id, .symbolId = symbol});
   record(symbol, SymbolAction::mapped);
}

Quantity Symbols::getPrice(std::uint8_t length) { return {to<DiffAdj>().get_diff(lengthOf(length).nftId)}; }

SymbolLength Symbols::getSymbolType(std::uint8_t length) { return lengthOf(length); }

Symbol Symbols::getSymbol(AccountNumber symbol) { return symbolOf(symbol); }

bool Symbols::exists(AccountNumber symbol) { return open<SymbolTable>().contains(symbol); }

AccountNumber Symbols::getTokenSym(TokenId token_id) {
   const auto mapping = getByToken(token_id);
   check(mapping.has_value(), "mapping does not exist");
   return mapping->symbolId;
}

std::optional<SymbolMapping> Symbols::getByToken(TokenId token_id) { return open<MappingTable>().get(token_id); }

std::optional<SymbolMapping> Symbols::getMapBySym(AccountNumber symbol) {
   return open<MappingTable>().index<1>().get(symbol);
}

} // namespace polis::services

POLIS_DISPATCH(polis::services::Symbols)
