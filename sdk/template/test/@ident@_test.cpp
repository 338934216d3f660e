#include "../service/@ident@.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using @ident@::@App@;

POLIS_TEST(entries_are_kept_in_order) {
   TestChain chain("@App@");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   expectEqual(alice.to<@App@>().add("first").value(), 1u);
   expectEqual(bob.to<@App@>().add("second").value(), 2u);
   expectEqual(chain.graphql("@app@", "{ entries(last: 1) { edges { node { author text } } } }"),
               R"({"data":{"entries":{"edges":[{"node":{"author":"bob","text":"second"}}]}}})");
}

POLIS_TEST(a_text_has_1_to_280_bytes) {
   TestChain chain("@App@");
   const auto alice = chain.account("alice");
   alice.to<@App@>().add("").fails("a text has 1 to 280 bytes");
   alice.to<@App@>().add(std::string(281, 'x')).fails("a text has 1 to 280 bytes");
   alice.to<@App@>().add(std::string(280, 'x')).succeeds();
}

POLIS_TEST(only_its_author_removes_an_entry) {
   TestChain chain("@App@");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   alice.to<@App@>().add("mine").succeeds();
   bob.to<@App@>().remove(1).fails("only its author may remove an entry");
   alice.to<@App@>().remove(1).succeeds();
   alice.to<@App@>().remove(1).fails("there is no such entry");
   expect(!chain.row<@App@::Entries>(@App@::account, 1u), "the entry is gone");
}

POLIS_TEST(the_page_is_there) {
   TestChain chain("@App@");
   expectEqual(chain.get("@app@", "/").status, 200);
}

POLIS_TEST_MAIN()
