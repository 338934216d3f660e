#pragma once

#include "harness/chain_client.hpp"
#include "harness/cluster.hpp"
#include "harness/node_process.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <memory>

namespace polis::e2e {

/// Waits until the condition holds; false after a minute. A node that does not answer makes the condition false for the
/// moment.
inline bool soon(const std::function<bool()>& condition) {
   return harness::within(std::chrono::minutes(1), [&] {
      try {
         return condition();
      } catch (const std::runtime_error&) {
         return false;
      }
   });
}

using namespace format::literals;
using harness::action;
using harness::Answer;
using harness::ChainClient;

inline Bytes readAll(const std::filesystem::path& file) {
   std::ifstream in(file, std::ios::binary);
   return {std::istreambuf_iterator<char>(in), {}};
}

/// One node for all tests of a suite. Skips, visibly, where the packages have not been built.
class WithNode : public testing::Test {
protected:
   static void SetUpTestSuite() {
      if (!harness::dataFolder().empty())
         node_ = std::make_unique<harness::NodeProcess>();
   }
   static void TearDownTestSuite() { node_.reset(); }

   void SetUp() override {
      if (!node_)
         GTEST_SKIP() << "the packages are not built: ./run --build";
   }

   /// Every test leaves the node alive, and the chain going on.
   void TearDown() override {
      if (!node_)
         return;
      ASSERT_TRUE(node_->running()) << node_->log();
      const auto before = client().get("explorer", "/api/head").body;
      client().mustPush({action("prod", "accounts", "getAccount", "prod"_a)});
      EXPECT_NE(before, client().get("explorer", "/api/head").body);
   }

   static ChainClient client() { return ChainClient{node_->port()}; }
   static harness::NodeProcess& node() { return *node_; }

   static void newAccount(const char* name) {
      client().mustPush({action("prod", "accounts", "newAccount", format::AccountNumber{name}, "auth-any"_a, true)});
   }

private:
   static inline std::unique_ptr<harness::NodeProcess> node_;
};

} // namespace polis::e2e
