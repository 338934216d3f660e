#include "http/service/http.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using polis::services::Http;

POLIS_TEST(http_tells_who_answers) {
   TestChain chain("HttpServer,Packages");
   const auto alice = chain.account("alice");
   expect(!alice.to<Http>().getServer(alice).value(), "nobody answers for alice");
   expect(alice.to<Http>().getServer("packages"_a).value() == "packages+1"_a, "packages+1 answers for packages");
   alice.to<Http>().registerServer("packages+1"_a).succeeds();
   expect(alice.to<Http>().getServer(alice).value() == "packages+1"_a, "as registered");
}
POLIS_TEST_MAIN()
