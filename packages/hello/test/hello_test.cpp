#include "hello/service/hello.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using hello::Hello;

POLIS_TEST(a_greeting_is_kept) {
   TestChain chain("Hello");
   const auto alice = chain.account("alice");
   alice.to<Hello>().greet("good morning").succeeds();
   const auto row = chain.row<Hello::Greetings>(Hello::account, alice.name());
   if (expect(row.has_value(), "alice has a greeting"))
      expectEqual(row->text, "good morning");
}

POLIS_TEST(a_greeting_has_1_to_80_bytes) {
   TestChain chain("Hello");
   const auto alice = chain.account("alice");
   alice.to<Hello>().greet("").fails("a greeting has 1 to 80 bytes");
   alice.to<Hello>().greet(std::string(80, 'x')).succeeds();
   alice.to<Hello>().greet(std::string(81, 'x')).fails("a greeting has 1 to 80 bytes");
   expectEqual(chain.row<Hello::Greetings>(Hello::account, alice.name()).value_or(hello::Greeting{}).text.size(), 80u);
}

POLIS_TEST(greetings_are_read_over_http) {
   TestChain chain("Hello");
   chain.account("alice").to<Hello>().greet("good morning").succeeds();
   const auto reply = chain.get("hello", "/api/greetings");
   expectEqual(reply.status, 200);
   expectContains(asText(reply.body), "good morning");
}

POLIS_TEST_MAIN()
