// A service is upgraded in place while it is being called: no request fails, and both versions are seen at work.
#include "e2e/fixture.hpp"

#include "harness/command.hpp"

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

namespace polis::e2e {

namespace {

class Upgrade : public WithNode {
protected:
   static std::string packageFile(const char* name) { return (harness::dataFolder() / name).string(); }
   static void install(const std::string& file) {
      const auto result = harness::runPolis({"install", file, "--allow-powers", "--url", url()});
      ASSERT_EQ(result.status, 0) << result.output;
   }
   static std::string url() { return "http://polis.localhost:" + std::to_string(node().port()); }
   static int version() {
      const auto body = client().get("hello", "/api/greetings").body;
      return body.starts_with(R"({"version":1,)") ? 1 : body.starts_with(R"({"version":2,)") ? 2 : 0;
   }
};

/// Callers of hello, each on connections of its own, until told to stop.
class Callers {
public:
   explicit Callers(std::uint16_t port) {
      const ChainClient client{port};
      const auto query = harness::rawRequest(client.host("hello"), "GET", "/api/greetings", {}, {});
      const auto page = harness::rawRequest(client.host("hello"), "GET", "/", {}, {});
      for (const auto& request : {query, query, page})
         threads_.emplace_back([this, port, request] {
            while (!stop_) {
               const auto result = harness::load(port, std::vector<harness::RawRequest>(40, request), 2,
                                                 [this](const Answer& answer) { return note(answer); });
               const std::lock_guard lock(mutex_);
               bad += result.bad;
               if (result.bad && firstBad.empty())
                  firstBad = result.firstBad;
            }
         });
      threads_.emplace_back([this, client] {
         while (!stop_) {
            const auto answer =
                client.push(client.transaction({action("prod", "hello", "greet", "call " + std::to_string(++pushed))}));
            const std::lock_guard lock(mutex_);
            if (!ChainClient::succeeded(answer)) {
               ++bad;
               if (firstBad.empty())
                  firstBad = answer.body;
            }
         }
      });
   }
   ~Callers() { finish(); }

   /// Ends the callers.
   void finish() {
      stop_ = true;
      for (auto& thread : threads_)
         if (thread.joinable())
            thread.join();
   }
   /// Until `count` more answers came from `version`.
   void await(int version, unsigned count) const {
      const auto& seen = version == 1 ? first : second;
      for (const unsigned from = seen; seen < from + count;)
         std::this_thread::sleep_for(std::chrono::milliseconds(2));
   }

   std::size_t bad = 0, pushed = 0;
   std::string firstBad;
   std::atomic<unsigned> first = 0, second = 0, pages = 0;

private:
   bool note(const Answer& answer) {
      if (answer.status != 200)
         return false;
      if (answer.body.starts_with(R"({"version":1,)"))
         ++first;
      else if (answer.body.starts_with(R"({"version":2,)"))
         ++second;
      else if (answer.body.find("<!doctype html>") != std::string::npos)
         ++pages;
      else
         return false;
      return true;
   }

   std::atomic<bool> stop_ = false;
   std::mutex mutex_;
   std::vector<std::thread> threads_;
};

} // namespace

TEST_F(Upgrade, noCallFailsWhileTheCodeChanges) {
   const auto original = packageFile("packages/Hello.psi");
   const auto next = packageFile("tests/Hello-next.psi");
   ASSERT_TRUE(std::filesystem::exists(next)) << "the packages are older than this test: ./run --build";
   ASSERT_EQ(version(), 1);

   Callers callers(node().port());
   callers.await(1, 20);
   for (int round = 0; round < 2; ++round) {
      install(next);
      callers.await(2, 20);
      EXPECT_EQ(version(), 2);
      EXPECT_EQ(client().get("hello", "/news.txt").status, 200);
      install(original);
      callers.await(1, 20);
      EXPECT_EQ(version(), 1);
      // The older package does not bring this file, so it is gone.
      EXPECT_EQ(client().get("hello", "/news.txt").status, 404);
   }
   callers.finish();
   EXPECT_EQ(callers.bad, 0u) << callers.firstBad;
   EXPECT_GT(callers.pages, 0u);
   EXPECT_GT(callers.pushed, 0u);
   // What was written under one version is read under the other.
   EXPECT_NE(client().get("hello", "/api/greetings").body.find("\"account\":\"prod\""), std::string::npos);
}

} // namespace polis::e2e
