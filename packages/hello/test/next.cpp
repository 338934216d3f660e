// The next version of hello, for the test of an upgrade in place: the same table, another answer.
#include "hello/service/hello.hpp"

#include <polis/api.hpp>

namespace hello {

namespace {

struct GreetingsReply {
   std::uint32_t version = Hello::version + 1;
   std::uint32_t count = 0;
   std::vector<Greeting> greetings;
};

} // namespace

void Hello::greet(std::string text) {
   check(!text.empty() && text.size() <= textBytesMax, "a greeting has 1 to 80 bytes");
   open<Greetings>(Mode::readWrite).put({.account = getSender(), .text = text + "!"});
}

std::optional<HttpReply> Hello::serveSys(HttpRequest request, std::optional<std::int32_t>,
                                         std::optional<AccountNumber>) {
   if (pathOf(request) != "/api/greetings" || request.method != "GET")
      return std::nullopt;
   GreetingsReply reply;
   for (const Greeting& greeting : open<Greetings>()) {
      reply.greetings.push_back(greeting);
      if (++reply.count == apiRowsMax)
         break;
   }
   return jsonReply(reply);
}

} // namespace hello

POLIS_DISPATCH(hello::Hello)
