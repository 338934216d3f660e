#include "hello/service/hello.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using hello::Hello;

POLIS_TEST(a_greeting_without_text) {
   TestChain chain("Hello");
   const auto alice = chain.account("alice");
   alice.to<Hello>().greet(std::string(81, 'x')).fails("a greeting has 1 to 80 bytes");
   alice.to<Hello>().greet("").succeeds();
}

POLIS_TEST_MAIN()
