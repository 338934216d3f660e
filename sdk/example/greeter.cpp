#include "greeter.hpp"

namespace greeter {

void Greeter::greet(std::string text) {
   check(text.size() <= 80, "a greeting has at most 80 bytes");
   open<Greetings>().put({getSender(), text});
   emitHistory(Greeted{getSender(), text});
}

std::optional<Greeting> Greeter::get(AccountNumber who) { return open<Greetings>().get(who); }

std::optional<HttpReply> Greeter::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                           std::optional<AccountNumber>) {
   if (request.method != "GET" || pathOf(request) != "/api/greetings")
      return std::nullopt;
   std::string body;
   for (const auto& greeting : open<Greetings>())
      body += greeting.account.str() + ": " + greeting.text + "\n";
   return httpReply(200, "text/plain", body, allowCors());
}

} // namespace greeter

POLIS_DISPATCH(greeter::Greeter)
