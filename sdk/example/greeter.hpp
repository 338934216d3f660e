#pragma once
// A service small enough to read in a minute: one table, two actions.

#include <polis/sdk.hpp>

namespace greeter {

using namespace polis::sdk;

struct Greeting {
   AccountNumber account;
   std::string text;
};

struct Greeted {
   static constexpr std::string_view eventName = "greeted";
   AccountNumber account;
   std::string text;
};

class Greeter : public Service {
public:
   static constexpr AccountNumber account = "greeter"_a;

   using Greetings = Table<0, Greeting, &Greeting::account>;
   using Tables = std::tuple<Greetings>;
   using HistoryEvents = std::tuple<Greeted>;

   /// Remembers the sender's greeting.
   void greet(std::string text);
   /// The greeting of an account, if it left one.
   std::optional<Greeting> get(AccountNumber who);
   std::optional<HttpReply> serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                     std::optional<AccountNumber> user);
};

POLIS_SERVICE(Greeter, action(greet, text), action(get, who), action(serveSys, request, socket, user))

} // namespace greeter
