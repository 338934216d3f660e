// The services of accounts, keys, invitations, tokens and the explorer on a real chain: what they allow and what they
// refuse.
#include "e2e/fixture.hpp"

#include "format/hash.hpp"
#include "format/ids.hpp"

namespace polis::e2e {

namespace {

using format::Action;
using format::Curve;
using format::PrivateKey;
using harness::Quantity;

/// What invite::createInvite unpacks.
struct InvitePayload {
   Bytes fingerprint;
   std::string secret;
};

class Apps : public WithNode {
protected:
   /// Until it is irreversible: queries show sealed blocks only.
   static Answer finish(std::vector<Action> actions, const PrivateKey* key = nullptr) {
      return client().push(client().transaction(std::move(actions), key), "final");
   }
   static void expectDone(std::vector<Action> actions, const PrivateKey* key = nullptr) {
      const auto answer = finish(std::move(actions), key);
      EXPECT_TRUE(ChainClient::succeeded(answer)) << answer.body;
   }
   static void expectRefused(std::vector<Action> actions, const std::string& reason, const PrivateKey* key = nullptr) {
      const auto answer = client().push(client().transaction(std::move(actions), key));
      EXPECT_FALSE(ChainClient::succeeded(answer)) << answer.body;
      EXPECT_NE(answer.body.find(reason), std::string::npos) << "wanted: " << reason << "\n" << answer.body;
   }
   static std::string api(const char* service, const std::string& target, int status = 200) {
      const auto answer = client().get(service, target);
      EXPECT_EQ(answer.status, status) << target << " " << answer.body;
      return answer.body;
   }
   static bool says(const std::string& body, const std::string& part) { return body.find(part) != std::string::npos; }

   static Action newKeyAccount(const char* name, const PrivateKey& key) {
      return action("prod", "auth-sig", "newAccount", format::AccountNumber{name}, key.publicKey().spki());
   }
   static std::string keyOf(const char* name) { return api("auth-sig", std::string("/api/key?account=") + name); }
   static Action invite(std::uint32_t id, const PrivateKey& key, std::uint16_t accounts) {
      const auto fingerprint = format::sha256(key.publicKey().spki());
      const InvitePayload payload{Bytes(fingerprint.begin(), fingerprint.end()), "encrypted"};
      return action("prod", "invite", "createInvite", id, format::pack(payload), accounts, false, Quantity{});
   }
   static Action redeem(const char* name, const PrivateKey& key) {
      return action("cred-sys", "invite", "createAccount", format::AccountNumber{name}, key.publicKey().spki());
   }

   static Action credit(const char* from, const char* to, std::uint64_t amount, std::string memo = "") {
      return action(from, "tokens", "credit", std::uint32_t{1}, format::AccountNumber{to}, Quantity{amount},
                    std::move(memo));
   }
   static Action dispense(const char* to) { return action(to, "faucet-tok", "dispense", format::AccountNumber{to}); }
   static Action autoDebit(const char* who, bool on = true) {
      return action(who, "tokens", "setUserConf", std::uint8_t{0}, on);
   }
   static bool hasBalance(const char* who, std::uint64_t amount) {
      return says(api("tokens", std::string("/api/balances?account=") + who),
                  "\"balance\":\"" + std::to_string(amount) + "\"");
   }
   static constexpr std::uint64_t drip = 1'000'000'000;
};

} // namespace

TEST_F(Apps, accountNames) {
   const auto make = [](const char* name, const char* auth = "auth-any") {
      return action("prod", "accounts", "newAccount", format::AccountNumber{name}, format::AccountNumber{auth}, true);
   };
   expectRefused({make("short")}, "at least 8 characters");
   expectRefused({make("x-longname")}, "reserved");
   expectRefused({make("bob-two+1")}, "primary account");
   expectRefused({action("prod", "accounts", "newAccount", format::AccountNumber{}, "auth-any"_a, true)},
                 "invalid account name");
   expectRefused({make("somebody", "nobody-here")}, "unknown auth service");
   expectDone({make("somebody")});
   expectRefused({action("prod", "accounts", "newAccount", "somebody"_a, "auth-sig"_a, true)}, "already exists");
   // Without requireMatch a taken name is no failure: the answer is false, and nothing changes.
   const auto answer = finish({action("prod", "accounts", "newAccount", "somebody"_a, "auth-sig"_a, false)});
   EXPECT_TRUE(ChainClient::succeeded(answer)) << answer.body;
   EXPECT_TRUE(says(answer.body, "\"rawRetval\":\"00\"")) << answer.body;
   EXPECT_TRUE(says(api("accounts", "/api/account?name=somebody"), "\"authService\":\"auth-any\""));
   expectRefused({action("prod", "accounts", "preapproveAcc", "tiny"_a)}, "unauthorized");
   expectRefused({action("somebody", "accounts", "setAuthServ", "auth-sig"_a)}, "key");
   api("accounts", "/api/account?name=nobody-at-all", 400);
   api("accounts", "/api/account?name=nobody-1", 404);
   api("accounts", "/api/account", 400);
}

TEST_F(Apps, keyAccounts) {
   for (const Curve curve : {Curve::p256, Curve::k1}) {
      const auto first = PrivateKey::generate(curve), second = PrivateKey::generate(curve);
      const char* name = curve == Curve::p256 ? "keyed-r1" : "keyed-k1";
      const auto act = action(name, "accounts", "exists", "prod"_a);
      expectDone({newKeyAccount(name, first)});
      expectDone({act}, &first);
      expectRefused({act}, "first claim");
      expectRefused({act}, "first claim", &second);
      // The account's key must be the first claim for the first action only.
      expectDone({action("prod", "accounts", "exists", "prod"_a), act}, &first);
      expectRefused({action("prod", "accounts", "exists", "prod"_a), act}, "not signed", &second);
      expectDone({action(name, "auth-sig", "setKey", second.publicKey().spki())}, &first);
      expectRefused({act}, "first claim", &first);
      expectDone({act}, &second);
      expectRefused({action(name, "auth-sig", "setKey", Bytes{1, 2, 3})}, "not a public key", &second);
   }
}

TEST_F(Apps, nobodyTakesAnAccountOver) {
   const auto owner = PrivateKey::generate(), thief = PrivateKey::generate();
   expectDone({newKeyAccount("owned-one", owner)});
   const auto before = keyOf("owned-one");
   expectRefused({newKeyAccount("owned-one", thief)}, "already exists");
   // Also for an account of that service without any key, and for one of another service.
   expectDone({action("prod", "accounts", "newAccount", "keyless-1"_a, "auth-sig"_a, true)});
   expectRefused({newKeyAccount("keyless-1", thief)}, "already exists");
   expectRefused({newKeyAccount("prod", thief)}, "");
   const auto key = PrivateKey::generate();
   expectDone({invite(7001, key, 2)});
   expectRefused({redeem("owned-one", thief)}, "already exists", &key);
   EXPECT_TRUE(says(api("invite", "/api/invite?id=7001"), "\"numAccounts\":2"));
   EXPECT_EQ(keyOf("owned-one"), before);
   expectDone({action("owned-one", "accounts", "exists", "prod"_a)}, &owner);
   expectRefused({action("owned-one", "accounts", "exists", "prod"_a)}, "first claim", &thief);
}

TEST_F(Apps, invitations) {
   const auto key = PrivateKey::generate(), member = PrivateKey::generate(), other = PrivateKey::generate();
   expectDone({invite(8001, key, 1)});
   expectRefused({invite(8001, other, 1)}, "in use");
   expectRefused({invite(8002, key, 1)}, "a credential with this key exists");
   const auto shown = api("invite", "/api/invite?id=8001");
   EXPECT_TRUE(says(shown, "\"state\":\"open\"") && says(shown, "\"secret\":\"encrypted\"") &&
               says(shown, "\"inviter\":\"prod\""))
       << shown;
   api("invite", "/api/invite?id=8999", 404);
   api("invite", "/api/invite?id=x", 400);

   // The credential may do one thing only, and only its bearer may.
   expectRefused({redeem("invited-1", member)}, "");
   expectRefused({redeem("invited-1", member)}, "not a known credential", &other);
   expectRefused({redeem("invited-1", key)}, "must differ", &key);
   expectRefused({action("cred-sys", "accounts", "exists", "prod"_a)}, "only call its issuer", &key);
   expectRefused({action("cred-sys", "invite", "delInvite", std::uint32_t{8001})}, "does not allow", &key);
   expectRefused({action("prod", "invite", "createAccount", "invited-1"_a, member.publicKey().spki())}, "cred-sys",
                 &key);
   expectRefused({redeem("short", member)}, "at least 8", &key);
   EXPECT_TRUE(says(api("invite", "/api/invite?id=8001"), "\"numAccounts\":1"));

   expectDone({redeem("invited-1", member)}, &key);
   EXPECT_TRUE(says(keyOf("invited-1"), toHex(member.publicKey().spki())));
   expectDone({action("invited-1", "accounts", "exists", "prod"_a)}, &member);
   EXPECT_TRUE(says(api("invite", "/api/invite?id=8001"), "\"state\":\"used\""));
   expectRefused({redeem("invited-2", other)}, "no accounts left", &key);
   expectDone({action("prod", "invite", "accept", std::uint32_t{8001})}, &key);
   expectRefused({action("prod", "invite", "accept", std::uint32_t{8001})}, "not active", &other);

   newAccount("stranger-1");
   expectRefused({action("stranger-1", "invite", "delInvite", std::uint32_t{8001})}, "only its inviter");
   expectDone({action("prod", "invite", "delInvite", std::uint32_t{8001})});
   api("invite", "/api/invite?id=8001", 404);
   expectRefused({redeem("invited-2", other)}, "not a known credential", &key);
   expectRefused({action("prod", "invite", "createInvite", std::uint32_t{8003}, Bytes{1, 2}, std::uint16_t{1}, false,
                         Quantity{})},
                 "malformed");
}

// Where one node makes all blocks, a failure is final long before the transaction expires.
TEST_F(Apps, whoeverWaitsForFinalHearsOfAFailure) {
   const auto answer = finish({action("prod", "hello", "greet", std::string{})});
   EXPECT_EQ(answer.status, 200);
   EXPECT_TRUE(says(answer.body, "a greeting has 1 to 80 bytes")) << answer.body;
}

TEST_F(Apps, ownedAccounts) {
   newAccount("ownerone");
   expectDone({action("ownerone", "auth-delg", "newAccount", "ownedone"_a, "ownerone"_a, true)});
   expectDone({action("ownedone", "accounts", "exists", "prod"_a)});
   const auto key = PrivateKey::generate();
   expectDone({newKeyAccount("ownerkey", key)});
   expectDone({action("ownedone", "auth-delg", "setOwner", "ownerkey"_a)});
   expectRefused({action("ownedone", "accounts", "exists", "prod"_a)}, "first claim");
   expectDone({action("ownedone", "accounts", "exists", "prod"_a)}, &key);
   EXPECT_TRUE(says(api("accounts", "/api/account?name=ownedone"), "\"authSequence\":\"1\""));
   expectRefused({action("ownerkey", "auth-delg", "setOwner", "ownerkey"_a)}, "circular ownership", &key);
   expectRefused({action("ownerkey", "auth-delg", "setOwner", "ownedone"_a)}, "circular", &key);
   expectRefused({action("prod", "auth-delg", "newAccount", "ownedone"_a, "prod"_a, true)}, "already exists");
   expectRefused({action("prod", "auth-delg", "newAccount", "ownedtwo"_a, "nobody-1"_a, true)},
                 "owner account does not exist");
   // A taken name without requireMatch changes nothing.
   expectDone({action("prod", "auth-delg", "newAccount", "ownedone"_a, "prod"_a, false)});
   expectRefused({action("ownedone", "accounts", "exists", "prod"_a)}, "first claim");
}

TEST_F(Apps, tokensWaitUntilTheyAreDebited) {
   newAccount("waiter-1");
   newAccount("sender-1");
   expectDone({autoDebit("sender-1"), dispense("sender-1")});
   ASSERT_TRUE(hasBalance("sender-1", drip));
   expectDone({credit("sender-1", "waiter-1", 500, "lunch")});
   EXPECT_TRUE(hasBalance("sender-1", drip - 500));
   EXPECT_FALSE(hasBalance("waiter-1", 500));
   api("tokens", "/api/pending?account=waiter-1", 401);
   const auto with = [](const char* who, const char* method, const char* other, std::uint64_t amount) {
      return action(who, "tokens", method, std::uint32_t{1}, format::AccountNumber{other}, Quantity{amount},
                    std::string{});
   };
   expectRefused({with("waiter-1", "debit", "sender-1", 501)}, "Insufficient shared balance");
   expectRefused({with("waiter-1", "debit", "prod", 1)}, "Insufficient shared balance");
   expectDone({with("waiter-1", "debit", "sender-1", 200)});
   EXPECT_TRUE(hasBalance("waiter-1", 200));
   // What is uncredited is at most what waits.
   expectDone({with("sender-1", "uncredit", "waiter-1", 100)});
   EXPECT_TRUE(hasBalance("sender-1", drip - 400));
   expectDone({with("sender-1", "uncredit", "waiter-1", 5000)});
   EXPECT_TRUE(hasBalance("sender-1", drip - 200));
   expectDone({credit("sender-1", "waiter-1", 70)});
   expectDone({action("waiter-1", "tokens", "reject", std::uint32_t{1}, "sender-1"_a, std::string{"no"})});
   EXPECT_TRUE(hasBalance("sender-1", drip - 200));
   expectDone({action("waiter-1", "tokens", "reject", std::uint32_t{1}, "sender-1"_a, std::string{})});
   EXPECT_TRUE(hasBalance("sender-1", drip - 200)) << "nothing is left to give back";
}

TEST_F(Apps, tokensMove) {
   newAccount("payer-one");
   newAccount("payee-one");
   expectDone({autoDebit("payer-one"), dispense("payer-one")});
   expectDone({autoDebit("payee-one")});
   for (int i = 1; i <= 5; ++i)
      expectDone({credit("payer-one", "payee-one", 10, "number " + std::to_string(i))});
   EXPECT_TRUE(hasBalance("payer-one", drip - 50));
   EXPECT_TRUE(hasBalance("payee-one", 50));
   const auto history = api("tokens", "/api/history?account=payee-one&limit=3");
   EXPECT_TRUE(says(history, "\"action\":\"debited\"") && says(history, "\"direction\":\"in\"") &&
               says(history, "\"counterParty\":\"payer-one\""))
       << history;
   // Memos are for the account itself.
   EXPECT_FALSE(says(history, "number ")) << history;
   const auto at = history.find("\"next\":\"");
   ASSERT_NE(at, std::string::npos) << history;
   const auto next = history.substr(at + 8, history.find('"', at + 8) - at - 8);
   const auto older = api("tokens", "/api/history?account=payee-one&limit=3&before=" + next);
   EXPECT_TRUE(says(older, "\"next\":null")) << older;

   expectRefused({credit("payer-one", "payee-one", drip)}, "insufficient");
   expectRefused({credit("payer-one", "payee-one", 0)}, "greater than 0");
   expectRefused({credit("payer-one", "payer-one", 1)}, "cannot also be receiver");
   expectRefused({credit("payer-one", "nobody-1", 1)}, "does not exist");
   expectRefused({credit("payer-one", "payee-one", 1, std::string(81, 'x'))}, "");
   expectRefused({credit("payer-one", "payee-one", 1, "\xFF")}, "");
   expectRefused(
       {action("payer-one", "tokens", "credit", std::uint32_t{99}, "payee-one"_a, Quantity{1}, std::string{})},
       "Token DNE");
   // One action of two fails: neither happened.
   expectRefused({credit("payer-one", "payee-one", 1), credit("payer-one", "payee-one", drip)}, "insufficient");
   EXPECT_TRUE(hasBalance("payee-one", 50));
   // An empty balance is kept only where that is asked for.
   expectDone({credit("payee-one", "payer-one", 50)});
   EXPECT_TRUE(says(api("tokens", "/api/balances?account=payee-one"), "\"balances\":[]"));
   api("tokens", "/api/balances?account=Payee", 400);
}

TEST_F(Apps, tokenOwners) {
   newAccount("issuer-1");
   newAccount("holder-1");
   const auto act = [](const char* who, const char* method, std::uint32_t token, auto... args) {
      return action(who, "tokens", method, token, args...);
   };
   expectRefused({action("issuer-1", "tokens", "create", std::uint8_t{9}, Quantity{1000})}, "precision");
   expectRefused({action("issuer-1", "tokens", "create", std::uint8_t{2}, Quantity{0})}, "greater than 0");
   expectDone({action("issuer-1", "nft", "setUserConf", std::uint8_t{0}, true), autoDebit("holder-1"),
               autoDebit("issuer-1"), action("issuer-1", "tokens", "create", std::uint8_t{2}, Quantity{1000})});
   const auto list = api("tokens", "/api/tokens");
   const auto end = list.find("\"owner\":\"issuer-1\"");
   ASSERT_NE(end, std::string::npos) << list;
   const auto start = list.rfind("\"id\":", end) + 5;
   const auto id = static_cast<std::uint32_t>(std::stoul(list.substr(start)));

   expectRefused({act("holder-1", "mint", id, Quantity{1}, std::string{})}, "Missing required authority");
   expectDone({act("issuer-1", "mint", id, Quantity{900}, std::string{})});
   expectRefused({act("issuer-1", "mint", id, Quantity{101}, std::string{})}, "Max issued supply");
   expectRefused({act("issuer-1", "mint", id, Quantity{UINT64_MAX}, std::string{})}, "Max issued supply");
   expectDone({act("issuer-1", "credit", id, "holder-1"_a, Quantity{100}, std::string{})});
   expectRefused({act("holder-1", "setTokenConf", id, std::uint8_t{0}, true)}, "Missing required authority");
   expectDone({act("issuer-1", "setTokenConf", id, std::uint8_t{0}, true)});
   EXPECT_TRUE(
       says(api("tokens", "/api/token?id=" + std::to_string(id)), "\"untransferable\":true,\"unrecallable\":false"));
   expectRefused({act("holder-1", "credit", id, "issuer-1"_a, Quantity{1}, std::string{})}, "Token untradeable");
   expectDone({act("issuer-1", "credit", id, "holder-1"_a, Quantity{1}, std::string{})});
   expectRefused({act("holder-1", "recall", id, "issuer-1"_a, Quantity{1}, std::string{})},
                 "Missing required authority");
   expectDone({act("issuer-1", "recall", id, "holder-1"_a, Quantity{51}, std::string{})});
   EXPECT_TRUE(hasBalance("holder-1", 50));
   expectDone({act("holder-1", "burn", id, Quantity{20}, std::string{})});
   EXPECT_TRUE(hasBalance("holder-1", 30));
   EXPECT_TRUE(says(api("tokens", "/api/token?id=" + std::to_string(id)), "\"burnedSupply\":\"71\""));
   expectDone({act("issuer-1", "setTokenConf", id, std::uint8_t{1}, true)});
   expectRefused({act("issuer-1", "setTokenConf", id, std::uint8_t{1}, false)}, "Invalid configuration update");
   expectRefused({act("issuer-1", "recall", id, "holder-1"_a, Quantity{1}, std::string{})}, "unrecallable");
   expectRefused({act("issuer-1", "setTokenConf", id, std::uint8_t{2}, true)}, "unknown setting");
   expectRefused({act("issuer-1", "setSysToken", id)}, "only tokens");

   const std::string box = "savings";
   expectDone({act("holder-1", "toSub", id, box, Quantity{30})});
   EXPECT_TRUE(says(api("tokens", "/api/balances?account=holder-1"), "\"balances\":[]"));
   expectRefused({action("holder-1", "tokens", "deleteSub", box)}, "non-zero balances");
   expectRefused({act("holder-1", "fromSub", id, box, Quantity{31})}, "Insufficient sub-account balance");
   expectDone({act("holder-1", "fromSub", id, box, Quantity{30})});
   // It was made by toSub, and so went with its last token.
   expectRefused({action("holder-1", "tokens", "deleteSub", box)}, "has no sub-account");
   expectDone({action("holder-1", "tokens", "createSub", box)});
   expectRefused({action("holder-1", "tokens", "createSub", box)}, "created' twice");
   expectDone({action("holder-1", "tokens", "deleteSub", box)});
}

TEST_F(Apps, explorerFindsTransactions) {
   newAccount("finder-1");
   format::Transaction transaction;
   transaction.tapos = client().tapos();
   transaction.actions = {action("finder-1", "accounts", "exists", "prod"_a)};
   const auto bytes = ChainClient::signedBytes(transaction, nullptr);
   const auto answer = client().push(bytes, "final");
   ASSERT_TRUE(ChainClient::succeeded(answer)) << answer.body;
   const auto id = toHex(format::transactionId(*format::unpack<format::SignedTransaction>(bytes)));
   const auto found = api("explorer", "/api/transaction?id=" + id);
   EXPECT_TRUE(says(found, "\"sender\":\"finder-1\"") && says(found, "\"irreversible\":true")) << found;
   const auto at = found.find("\"blockNum\":") + 11;
   const auto block = api("explorer", "/api/block?num=" + found.substr(at, found.find(',', at) - at));
   EXPECT_TRUE(says(block, id)) << block;
   EXPECT_TRUE(says(api("explorer", "/api/transactions?limit=5"), id));
   EXPECT_TRUE(says(api("explorer", "/api/blocks?limit=2"), "\"next\":"));
   api("explorer", "/api/transaction?id=" + std::string(64, '0'), 404);
   api("explorer", "/api/transaction?id=12", 400);
   api("explorer", "/api/block?num=4000000000", 404);
   api("explorer", "/api/block?num=-1", 400);
   EXPECT_TRUE(says(api("explorer", "/api/blocks?before=2"), "\"blocks\":[]"));
}

TEST_F(Apps, hello) {
   newAccount("greeter-1");
   expectDone({action("greeter-1", "hello", "greet", std::string{"good morning"})});
   EXPECT_TRUE(says(api("hello", "/api/greetings"), R"({"account":"greeter-1","text":"good morning"})"));
   expectRefused({action("greeter-1", "hello", "greet", std::string{})}, "1 to 80");
   expectRefused({action("greeter-1", "hello", "greet", std::string(81, 'x'))}, "1 to 80");
}

} // namespace polis::e2e
