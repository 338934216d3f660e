#include "accounts/service/accounts.hpp"
#include "auth-sig/service/auth_sig.hpp"
#include "hello/service/hello.hpp"

#include <polis/test.hpp>

using namespace polis::test;
using hello::Hello;
using polis::services::Accounts;
using polis::services::AuthSig;

namespace {

// The base points of P-256 and secp256k1 as public keys.
const Bytes keyA = polis::fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200"
                                  "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                                  "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
                       .value();
const Bytes keyB = polis::fromHex("3056301006072a8648ce3d020106052b8104000a034200"
                                  "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
                                  "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8")
                       .value();

Claim claimOf(const Bytes& key) { return {"verify-sig"_a, key}; }

} // namespace

POLIS_TEST(auth_sig_the_key_must_be_among_the_claims) {
   TestChain chain("AuthSig,Hello");
   const auto alice = chain.account("alice");
   alice.to<AuthSig>().setKey(keyA).succeeds();
   alice.to<Accounts>().setAuthServ("auth-sig"_a).succeeds();
   alice.to<Hello>().greet("unsigned").fails("key");
   alice.with({claimOf(keyB)}).to<Hello>().greet("another's key").fails("key");
   alice.with({claimOf(keyB), claimOf(keyA)}).to<Hello>().greet("second").fails("is not the first claim");
   alice.with({{"verify-x"_a, keyA}}).to<Hello>().greet("another way to verify").fails("key");
   alice.with({claimOf(keyA)}).to<Hello>().greet("signed").succeeds();
}

POLIS_TEST(auth_sig_set_key_replaces_the_key_and_refuses_what_is_none) {
   TestChain chain("AuthSig,Hello");
   const auto alice = chain.account("alice");
   alice.to<AuthSig>().setKey(Bytes{}).fails("not a public key");
   alice.to<AuthSig>().setKey(Bytes(91, 7)).fails("not a public key");
   alice.to<AuthSig>().setKey(keyA).succeeds();
   alice.to<Accounts>().setAuthServ("auth-sig"_a).succeeds();
   alice.with({claimOf(keyA)}).to<AuthSig>().setKey(keyB).succeeds();
   alice.with({claimOf(keyA)}).to<Hello>().greet("old key").fails("key");
   alice.with({claimOf(keyB)}).to<Hello>().greet("new key").succeeds();
}

// SEC-1
POLIS_TEST(auth_sig_a_second_key_for_a_taken_name_fails_and_the_first_stays) {
   TestChain chain("AuthSig,Hello");
   const auto mallory = chain.account("mallory");
   mallory.to<AuthSig>().newAccount("somebody"_a, keyA).succeeds();
   mallory.to<AuthSig>().newAccount("somebody"_a, keyB).fails("account already exists");
   const auto row = chain.row<AuthSig::Records>(AuthSig::account, "somebody"_a);
   if (expect(row.has_value(), "the account has a key"))
      expect(row->pubkey == keyA, "and it is the first");
   chain.as("somebody"_a).with({claimOf(keyB)}).to<Hello>().greet("stolen").fails("key");
}

POLIS_TEST(auth_sig_graphql_finds_accounts_by_key) {
   TestChain chain("AuthSig");
   const auto alice = chain.account("alice"), bob = chain.account("bob");
   alice.to<AuthSig>().setKey(keyA).succeeds();
   bob.to<AuthSig>().setKey(keyA).succeeds();
   const std::string pem = "-----BEGIN PUBLIC KEY-----\\n"
                           "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\\n"
                           "6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\\n"
                           "-----END PUBLIC KEY-----\\n";
   const auto ask = [&](std::string_view query) { return chain.graphql("auth-sig", query); };
   expectEqual(ask(R"({ accWithKey(pubkeyPem: ")" + pem + R"(", first: 50) { edges { node { account pubkey } } } })"),
               R"({"data":{"accWithKey":{"edges":[{"node":{"account":"alice","pubkey":")" + pem +
                   R"("}},{"node":{"account":"bob","pubkey":")" + pem + R"("}}]}}})");
   expectContains(ask(R"({ accWithKey(pubkeyPem: ")" + pem + R"(", gt: "alice") { nodes { account } } })"),
                  R"({"nodes":[{"account":"bob"}]})");
   expectContains(ask(R"({ accWithKey(pubkeyPem: "nothing") { nodes { account } } })"), "no PEM");
   expectEqual(ask(R"({ account(name: "alice") { account pubkey } none: account(name: "auth-sig") { account } })"),
               R"({"data":{"account":{"account":"alice","pubkey":")" + pem + R"("},"none":null}})");
}

POLIS_TEST_MAIN()
