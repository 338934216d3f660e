// Input that breaks a rule: each gets a clear error, changes nothing, and the node goes on.
#include "e2e/fixture.hpp"

#include "format/ids.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

namespace polis::e2e {

namespace {

class BadInput : public WithNode {
protected:
   /// Some action that succeeds for `prod`; the memo makes each transaction another one.
   static std::vector<format::Action> harmless() {
      return {action("prod", "accounts", "exists", "prod"_a, std::to_string(++serial_))};
   }
   static format::Transaction fresh() {
      format::Transaction transaction;
      transaction.tapos = client().tapos();
      transaction.actions = harmless();
      return transaction;
   }
   static void expectRefused(ByteView packed, const std::string& reason) {
      const auto answer = client().push(packed);
      EXPECT_FALSE(ChainClient::succeeded(answer));
      EXPECT_NE(answer.body.find(reason), std::string::npos) << answer.status << " " << answer.body;
   }

private:
   static inline std::atomic<int> serial_ = 0;
};

} // namespace

TEST_F(BadInput, harmlessTransactionIsAccepted) {
   EXPECT_TRUE(ChainClient::succeeded(client().push(ChainClient::signedBytes(fresh(), nullptr))));
}

TEST_F(BadInput, malformedTransaction) {
   for (const Bytes& bytes : {Bytes{}, Bytes{1, 2, 3}, Bytes(1000, 0xFF)}) {
      const auto answer = client().push(bytes);
      EXPECT_GE(answer.status, 400) << answer.body;
      EXPECT_FALSE(answer.body.empty());
   }
}

TEST_F(BadInput, wrongContentType) {
   const auto packed = ChainClient::signedBytes(fresh(), nullptr);
   EXPECT_EQ(client().post("transact", "/push_transaction", packed, "text/plain").status, 415);
}

TEST_F(BadInput, wrongMethod) { EXPECT_EQ(client().get("transact", "/push_transaction").status, 405); }

TEST_F(BadInput, unknownWaitFor) {
   EXPECT_EQ(client().push(ChainClient::signedBytes(fresh(), nullptr), "later").status, 500);
}

TEST_F(BadInput, tooLarge) {
   auto transaction = fresh();
   transaction.actions[0].rawData.resize(std::size_t{9} << 20);
   expectRefused(ChainClient::signedBytes(transaction, nullptr), "too large");
}

TEST_F(BadInput, tooManyClaims) {
   auto transaction = fresh();
   transaction.claims.resize(300);
   format::SignedTransaction trx;
   trx.transaction = format::Nested<format::Transaction>(transaction);
   trx.proofs.resize(300);
   expectRefused(format::pack(trx), "too many claims");
}

TEST_F(BadInput, whatWaitsIsBounded) {
   newAccount("bad-waits");
   client().mustPush({action("bad-waits", "setcode", "setCode", "bad-waits"_a, std::uint8_t{0}, std::uint8_t{0},
                             readAll(std::filesystem::path(POLIS_BAD_SERVICES) / "loop.wasm"))});
   // Large ones whose execution takes long, all of one shard: they come faster than they go.
   std::vector<Bytes> large;
   for (std::uint32_t nonce = 0; large.size() < 10; ++nonce) {
      auto transaction = fresh();
      transaction.actions = {action("prod", "bad-waits", "go", nonce, Bytes(std::size_t{5} << 20))};
      auto packed = ChainClient::signedBytes(transaction, nullptr);
      if (format::transactionId(*format::unpack<format::SignedTransaction>(packed))[0] % 16 == 0)
         large.push_back(std::move(packed));
   }
   std::atomic<int> taken{0}, refused{0};
   std::vector<std::thread> people;
   for (const auto& packed : large)
      people.emplace_back([&] {
         const auto answer = client().push(packed);
         ++(answer.status == 503 ? refused : taken);
      });
   for (auto& person : people)
      person.join();
   EXPECT_GT(refused, 0);
   EXPECT_GT(taken, 0);
   // What has been dealt with makes room.
   EXPECT_NE(client().push(large.front()).status, 503);
}

TEST_F(BadInput, failuresOfOneSenderDoNotHoldUpOthers) {
   newAccount("bad-slow");
   newAccount("flooder-1");
   client().mustPush({action("bad-slow", "setcode", "setCode", "bad-slow"_a, std::uint8_t{0}, std::uint8_t{0},
                             readAll(std::filesystem::path(POLIS_BAD_SERVICES) / "loop.wasm"))});
   const auto failed = [] {
      int count = -1;
      const auto stats = client().get("transact", "/stats").body;
      if (const auto at = stats.find(R"("failed":")"); at != stats.npos)
         count = std::atoi(stats.c_str() + at + 10);
      return count;
   };
   const int before = failed();
   ASSERT_GE(before, 0);
   constexpr int many = 16;
   for (std::uint32_t i = 0; i < many; ++i) {
      auto transaction = fresh();
      transaction.tapos.expiration.seconds -= 580;
      transaction.actions = {action("flooder-1", "bad-slow", "go", i)};
      ASSERT_EQ(client().push(ChainClient::signedBytes(transaction, nullptr), "none").status, 202);
   }
   EXPECT_TRUE(ChainClient::succeeded(client().push(ChainClient::signedBytes(fresh(), nullptr))));
   EXPECT_LT(failed() - before, many / 2);
}

TEST_F(BadInput, aLargeTransactionCostsNobodyTheAnswer) {
   const auto withMemo = [](std::size_t bytes) {
      auto transaction = fresh();
      transaction.actions.push_back(action("prod", "accounts", "exists", "prod"_a, std::string(bytes, 'm')));
      return transaction;
   };
   constexpr std::size_t kilobyte = 1024;
   std::atomic<bool> over = false;
   std::atomic<int> answered = 0;
   std::mutex mutex;
   std::vector<std::string> wrong;
   const auto check = [&](const Answer& answer, const std::string& what) {
      ++answered;
      // A trace in JSON, whatever its length; error is null or left out.
      if (answer.status == 200 && answer.body.find("aborted with") == std::string::npos)
         return;
      std::lock_guard lock(mutex);
      wrong.push_back(what + ": " + std::to_string(answer.status) + " " + answer.body.substr(0, 200));
   };
   const auto push = [](const format::Transaction& transaction, const std::string& wait) {
      return harness::requestWith(node().port(), client().host("transact"), "POST",
                                  "/push_transaction?wait_for=" + wait,
                                  "Content-Type: application/octet-stream\r\nAccept: application/json\r\n",
                                  ChainClient::signedBytes(transaction, nullptr));
   };
   std::vector<std::thread> people;
   for (const std::string wait : {"applied", "final"})
      people.emplace_back([&, wait] {
         while (!over) {
            auto transaction = fresh();
            transaction.actions[0] = action("prod", "accounts", "exists", "prod"_a, wait + std::to_string(answered));
            check(push(transaction, wait), "small, " + wait);
         }
      });
   for (const std::size_t bytes : {1000 * kilobyte, 1700 * kilobyte, 2000 * kilobyte, 3500 * kilobyte})
      for (const std::string wait : {"applied", "final"})
         check(push(withMemo(bytes), wait), std::to_string(bytes) + ", " + wait);
   over = true;
   for (auto& person : people)
      person.join();
   EXPECT_EQ(wrong, std::vector<std::string>());
   EXPECT_GT(answered, 8);
}

TEST_F(BadInput, noActions) {
   auto transaction = fresh();
   transaction.actions.clear();
   expectRefused(ChainClient::signedBytes(transaction, nullptr), "action");
}

TEST_F(BadInput, expired) {
   auto transaction = fresh();
   transaction.tapos.expiration.seconds -= 700;
   expectRefused(ChainClient::signedBytes(transaction, nullptr), "xpire");
}

TEST_F(BadInput, expiresTooLate) {
   auto transaction = fresh();
   transaction.tapos.expiration.seconds += 3700;
   expectRefused(ChainClient::signedBytes(transaction, nullptr), "too early");
}

TEST_F(BadInput, unknownFlag) {
   auto transaction = fresh();
   transaction.tapos.flags = 2;
   expectRefused(ChainClient::signedBytes(transaction, nullptr), "flag");
}

TEST_F(BadInput, foreignChain) {
   auto transaction = fresh();
   transaction.tapos.refBlockSuffix ^= 0xFFFF;
   expectRefused(ChainClient::signedBytes(transaction, nullptr), "block");
}

TEST_F(BadInput, duplicate) {
   const auto packed = ChainClient::signedBytes(fresh(), nullptr);
   ASSERT_TRUE(ChainClient::succeeded(client().push(packed)));
   expectRefused(packed, "uplicate");
}

TEST_F(BadInput, proofsWithoutClaims) {
   format::SignedTransaction transaction;
   transaction.transaction = format::Nested<format::Transaction>{fresh()};
   transaction.proofs.emplace_back(64);
   expectRefused(format::pack(transaction), "proofs and claims must have same size");
}

TEST_F(BadInput, unsignedAndWronglySigned) {
   const auto key = format::PrivateKey::generate(format::Curve::p256);
   const auto other = format::PrivateKey::generate(format::Curve::p256);
   newAccount("keyholder");
   client().mustPush({action("keyholder", "auth-sig", "setKey", key.publicKey().spki()),
                      action("keyholder", "accounts", "setAuthServ", "auth-sig"_a)});
   auto byKeyholder = [](std::string note) {
      return std::vector{action("keyholder", "accounts", "exists", "keyholder"_a, note)};
   };
   EXPECT_TRUE(ChainClient::succeeded(client().push(client().transaction(byKeyholder("one"), &key))));
   // Nobody signed.
   EXPECT_FALSE(ChainClient::succeeded(client().push(client().transaction(byKeyholder("two"), nullptr))));
   // Somebody else signed.
   EXPECT_FALSE(ChainClient::succeeded(client().push(client().transaction(byKeyholder("three"), &other))));
   // The right claim, but another's signature.
   format::Transaction transaction;
   transaction.tapos = client().tapos();
   transaction.actions = byKeyholder("four");
   transaction.claims.push_back({.service = "verify-sig"_a, .rawData = key.publicKey().spki()});
   EXPECT_FALSE(ChainClient::succeeded(client().push(ChainClient::signedBytes(transaction, &other))));
   // The right signature with one bit turned.
   format::SignedTransaction turned;
   turned.transaction = format::Nested<format::Transaction>{transaction};
   const auto signature = key.sign(format::transactionId(turned));
   turned.proofs.emplace_back(signature.begin(), signature.end());
   turned.proofs[0][10] ^= 1;
   EXPECT_FALSE(ChainClient::succeeded(client().push(format::pack(turned))));
}

/// A transaction's id says nothing of its proofs: whoever sends a copy with wrong ones first must not make it fail.
TEST_F(BadInput, wrongProofsOfAnotherDoNotMakeATransactionFail) {
   const auto key = format::PrivateKey::generate(format::Curve::p256);
   newAccount("copied-one");
   client().mustPush({action("copied-one", "auth-sig", "setKey", key.publicKey().spki()),
                      action("copied-one", "accounts", "setAuthServ", "auth-sig"_a)});
   for (int round = 0; round < 5; ++round) {
      format::Transaction transaction;
      transaction.tapos = client().tapos();
      transaction.actions = {action("copied-one", "accounts", "exists", "prod"_a, std::to_string(round))};
      // Many, so that the wrong one is at it for a while.
      transaction.claims.assign(200, {.service = "verify-sig"_a, .rawData = key.publicKey().spki()});
      format::SignedTransaction right;
      right.transaction = format::Nested<format::Transaction>{transaction};
      const auto signature = key.sign(format::transactionId(right));
      right.proofs.assign(200, Bytes(signature.begin(), signature.end()));
      auto wrong = right;
      wrong.proofs.back()[10] ^= 1;
      EXPECT_EQ(client().push(format::pack(wrong), "none").status, 202);
      const auto answer = client().push(format::pack(right));
      EXPECT_TRUE(ChainClient::succeeded(answer)) << answer.status << " " << answer.body.substr(0, 300);
   }
}

TEST_F(BadInput, senderThatDoesNotExist) {
   expectRefused(client().transaction({action("nobody-at-all", "accounts", "exists", "prod"_a)}), "");
   expectRefused(client().transaction({action("ghost-user", "accounts", "exists", "prod"_a)}), "unknown sender");
}

TEST_F(BadInput, unknownServiceAndMethod) {
   expectRefused(client().transaction({action("prod", "no-such-1", "hello")}), "unknown service account");
   expectRefused(client().transaction({action("prod", "accounts", "nosuchmethod")}), "method");
}

TEST_F(BadInput, oversizeBody) {
   const auto answer = client().push(Bytes(21u << 20, 7));
   EXPECT_EQ(answer.status, 413);
}

TEST_F(BadInput, brokenHttp) {
   const auto answer = harness::exchange(node().port(), "NONSENSE\r\n\r\n");
   EXPECT_EQ(answer.status, 400);
   EXPECT_EQ(harness::exchange(node().port(), "BREW / HTTP/1.1\r\nHost: polis.localhost\r\n\r\n").status, 405);
   const std::string longHeader =
       "GET / HTTP/1.1\r\nHost: polis.localhost\r\nX: " + std::string(1 << 20, 'x') + "\r\n\r\n";
   EXPECT_GE(harness::exchange(node().port(), longHeader).status, 400);
}

TEST_F(BadInput, unknownHostAndPath) {
   EXPECT_EQ(harness::request(node().port(), "elsewhere.example", "GET", "/").status, 302);
   EXPECT_EQ(client().get("tokens", "/no/such/page.html").status, 404);
   EXPECT_EQ(client().get("no-such-1", "/").status, 404);
   EXPECT_EQ(client().get("tokens", "/native/admin/status").status, 404);
}

TEST_F(BadInput, aPathIsNoPartOfThePage) {
   for (const char* host : {"tokens", "no-such-1", "x-peers", "x-admin"})
      for (const char* target : {"/native/<b>x</b>", "/no.such/<b>x</b>.txt", "/no.such.txt?<b>x</b>"}) {
         const auto answer = client().get(host, target);
         const bool isHtml = answer.head.find("text/html") != std::string::npos;
         EXPECT_TRUE(answer.status == 404 && (!isHtml || answer.body.find("<b>") == std::string::npos))
             << host << target << " " << answer.status << " " << answer.body;
      }
}

TEST_F(BadInput, headIsAnsweredAsGetWithoutABody) {
   const std::pair<const char*, const char*> targets[] = {{"hello", "/api/greetings"},
                                                          {"tokens", "/api/balances?account=prod"},
                                                          {"explorer", "/api/account?name=prod"},
                                                          {"accounts", "/api/account?name=prod"},
                                                          {"hello", "/"}};
   for (const auto& [service, target] : targets) {
      const auto got = client().get(service, target);
      // On one connection: whatever body came behind the head would be read as the next answer.
      const auto raw = harness::rawRequest(client().host(service), "HEAD", target, {}, {});
      const auto head = harness::headOnly(node().port(), raw);
      EXPECT_EQ(head.status, got.status) << service << target << "\n" << head.head;
      EXPECT_EQ(head.body, "") << service << target;
   }
   EXPECT_EQ(harness::headOnly(node().port(),
                               harness::rawRequest(client().host("transact"), "HEAD", "/push_transaction", {}, {}))
                 .status,
             405);
}

TEST_F(BadInput, anEncodingThatMakesNoSenseIsNotAccepted) {
   for (const char* accepted : {"br;q=9", "br;q=", "br;q=0.12345", "br;level=4", ";;,=,\xff", "gzip;q=1.5, br;q=-1"}) {
      const auto answer = harness::requestWith(node().port(), client().host("tokens"), "GET", "/",
                                               std::string("Accept-Encoding: ") + accepted + "\r\n");
      EXPECT_EQ(answer.status, 200) << accepted << " " << answer.body.substr(0, 200);
      EXPECT_EQ(answer.head.find("Content-Encoding"), std::string::npos) << accepted << " " << answer.head;
   }
}

TEST_F(BadInput, theAccountsPageIsNeverFramed) {
   const auto page = client().get("accounts", "/");
   EXPECT_EQ(page.status, 200);
   EXPECT_NE(page.head.find("frame-ancestors 'none'"), std::string::npos) << page.head;
}

TEST_F(BadInput, foreignPageCannotReachAdminEndpoints) {
   const std::vector<std::pair<std::string, std::string>> calls{
       {"POST", "/native/admin/push_boot"}, {"POST", "/native/admin/boot"}, {"PUT", "/config"}, {"POST", "/shutdown"},
       {"PUT", "/services/x-evil"},         {"POST", "/admin_accounts"}};
   for (const auto& [method, path] : calls)
      for (const std::string origin : {"http://evil.example", "null", "http://tokens.polis.localhost"}) {
         const auto raw = method + " " + path + " HTTP/1.1\r\nHost: " + client().host("x-admin") +
                          "\r\nOrigin: " + origin +
                          "\r\nContent-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\n{}";
         const auto answer = harness::exchange(node().port(), raw);
         EXPECT_GE(answer.status, 400) << method << " " << path << " from " << origin << ": " << answer.body;
         EXPECT_LT(answer.status, 500) << method << " " << path << " from " << origin << ": " << answer.body;
      }
}

TEST_F(BadInput, servicesThatMisbehave) {
   const struct {
      const char* account;
      const char* file;
      const char* reason;
   } cases[] = {{"bad-loop", "loop", "timed out"},
                {"bad-abort", "abort", "service 'bad-abort' aborted with message: this service only says no"},
                {"bad-recur", "recurse", "stack overflow"},
                {"bad-grows", "grow", "unreachable"}};
   for (const auto& bad : cases) {
      newAccount(bad.account);
      const auto code = readAll(std::filesystem::path(POLIS_BAD_SERVICES) / (std::string(bad.file) + ".wasm"));
      ASSERT_FALSE(code.empty());
      client().mustPush({action(bad.account, "setcode", "setCode", format::AccountNumber{bad.account}, std::uint8_t{0},
                                std::uint8_t{0}, code)});
      expectRefused(client().transaction({action("prod", bad.account, "go")}), bad.reason);
   }
}

TEST_F(BadInput, codeThatThePolicyRefuses) {
   newAccount("bad-code1");
   const Bytes notWasm{'n', 'o', 't', ' ', 'w', 'a', 's', 'm'};
   client().push(client().transaction(
       {action("bad-code1", "setcode", "setCode", "bad-code1"_a, std::uint8_t{0}, std::uint8_t{0}, notWasm)}));
   EXPECT_FALSE(ChainClient::succeeded(client().push(client().transaction({action("prod", "bad-code1", "go")}))));
}

} // namespace polis::e2e
