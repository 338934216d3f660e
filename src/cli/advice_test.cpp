// Errors tell what failed, why, and what to do next.
#include "cli/advice.hpp"

#include <gtest/gtest.h>

namespace polis::cli {

namespace {

void expectSays(const std::string& text, const std::string& part) {
   EXPECT_NE(text.find(part), std::string::npos) << "wanted: " << part << "\n" << text;
}

} // namespace

TEST(Advice, namesTheServiceThatRefused) {
   EXPECT_EQ(explained({.error = "service 'tokens' aborted with message: insufficient balance", .sender = "alice-one"}),
             "Nothing was changed: insufficient balance (tokens)");
   EXPECT_EQ(
       explained({.error = "service 'a-service' aborted with message: service 'b-service' aborted with message: no",
                  .sender = "alice-one"}),
       "Nothing was changed: no (b-service)");
   EXPECT_EQ(explained({.error = "service 'half", .sender = ""}), "Nothing was changed: service 'half");
   EXPECT_EQ(explained({.error = "", .sender = ""}), "Nothing was changed: ");
}

TEST(Advice, unknownAccount) {
   const auto text =
       explained({.error = "service 'transact' aborted with message: unknown sender \"bob-two\"", .sender = "bob-two"});
   expectSays(text, "unknown sender \"bob-two\" (transact)\n");
   expectSays(text, "polis create-account bob-two");
   expectSays(text, "POLIS_URL");
   expectSays(explained({.error = "unknown sender \"guestbook+1\"", .sender = "guestbook+1"}), "polis install again");
}

TEST(Advice, missingAndWrongKeys) {
   const std::string_view first =
       "service 'auth-sig' aborted with message: the first sender's key is not the first claim";
   const std::string_view second =
       "service 'auth-sig' aborted with message: transaction is not signed with the key of bob-two";
   expectSays(explained({.error = first, .sender = "alice-one"}), "alice-one acts with a key: add --sign FILE");
   expectSays(explained({.error = first, .sender = "alice-one", .hasKeys = true}), "not the one of alice-one");
   expectSays(explained({.error = second, .sender = "alice-one"}), "bob-two acts with a key");
   expectSays(explained({.error = second, .sender = "alice-one", .hasKeys = true}), "/api/key?account=bob-two");
   expectSays(explained({.error = "service 'producers' aborted with message: not enough producers have signed",
                         .sender = "root"}),
              "root belongs to the producers, and acts when enough of them have signed");
   expectSays(explained({.error = "not authorized: root", .sender = "root"}), "root has not agreed");
}

TEST(Advice, missingService) {
   for (const char* error : {"service account has no code: guestbook", "unknown service account: guestbook"})
      expectSays(explained({.error = error, .sender = "prod"}), "No service runs on the account guestbook");
}

TEST(Advice, resourcesAndTime) {
   expectSays(explained({.error = "alice-one has insufficient resource balance", .sender = "alice-one"}), "Buy more");
   expectSays(explained({.error = "insufficient CPU", .sender = "alice-one"}), "Buy more");
   expectSays(explained({.error = "transaction timed out", .sender = "alice-one"}), "Do less in one action");
   expectSays(explained({.error = "Transaction expired", .sender = "alice-one"}), "polis status");
   expectSays(explained({.error = "transaction was submitted too early", .sender = "alice-one"}), "date -u");
   expectSays(explained({.error = "transaction references a block of another chain", .sender = "alice-one"}),
              "started anew");
   expectSays(explained({.error = "duplicate transaction", .sender = "alice-one"}), "carried out before");
}

} // namespace polis::cli
