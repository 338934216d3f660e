// A token for everybody who asks. Development chains only.
#pragma once

#include "tokens/service/tokens.hpp"

namespace polis::services {

struct FaucetToken {
   TokenId token_id = 0;
};

class FaucetTok : public Service {
public:
   static constexpr auto account = "faucet-tok"_a;
   static constexpr std::uint8_t precision = 4;
   static constexpr Quantity maxSupply{1'000'000'000'000'000'000};
   static constexpr TokenId firstToken = 1;
   static constexpr Quantity drip{1'000'000'000};
   using TokenTable = Singleton<0, FaucetToken>;
   using Tables = std::tuple<TokenTable>;

   /// Makes the token, the first of its chain, if it has none. Sender: tokens.
   void create_token();
   /// Gives the token its symbol, unless it has it. Sender: symbol, which has made it and credited it to the faucet.
   void set_symbol(AccountNumber symbol);
   /// Mints 100,000.0000 and credits them to `account`. Anyone.
   void dispense(AccountNumber account);
   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};
POLIS_SERVICE(FaucetTok, action(create_token), action(set_symbol, symbol), action(dispense, account),
              action(serveSys, request, socket, user))

} // namespace polis::services
