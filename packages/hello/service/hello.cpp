#include "hello/service/hello.hpp"

#include <polis/api.hpp>

namespace hello {

namespace {

struct GreetingsReply {
   std::uint32_t version = Hello::version;
   std::vector<Greeting> greetings;
};

} // namespace

void Hello::greet(std::string text) {
   check(!text.empty() && text.size() <= textBytesMax, "a greeting has 1 to 80 bytes");
   open<Greetings>(Mode::readWrite).put({.account = getSender(), .text = std::move(text)});
}

std::optional<HttpReply> Hello::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                         std::optional<AccountNumber>) {
   if (pathOf(request) != "/api/greetings")
      return std::nullopt; // the page is served by `sites`
   if (request.method == "OPTIONS")
      return std::nullopt; // http answers a preflight
   if (request.method != "GET")
      return methodNotAllowed("GET");
   GreetingsReply reply;
   for (const Greeting& greeting : open<Greetings>()) {
      reply.greetings.push_back(greeting);
      if (reply.greetings.size() == apiRowsMax)
         break;
   }
   return jsonReply(reply);
}

} // namespace hello

POLIS_DISPATCH(hello::Hello)
