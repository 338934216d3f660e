// The example to start from: one table, one action, one query, one page.
#pragma once

#include <polis/sdk.hpp>

namespace hello {

using namespace polis::sdk;

struct Greeting {
   AccountNumber account;
   std::string text;
};

class Hello : public Service {
public:
   static constexpr auto account = "hello"_a;
   static constexpr std::uint32_t version = 1;
   static constexpr std::size_t textBytesMax = 80;

   using Greetings = Table<0, Greeting, &Greeting::account>;
   using Tables = std::tuple<Greetings>;

   /// Keeps one greeting of the sender; the next replaces it. text: 1 to 80 bytes.
   void greet(std::string text);

   /// GET /api/greetings
   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};
POLIS_SERVICE(Hello, action(greet, text), action(serveSys, request, socket, user))

} // namespace hello
