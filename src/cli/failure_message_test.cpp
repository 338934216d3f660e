// Whoever mistypes a command is sent to the help of that command.
#include "cli/failure_message.hpp"

#include "cli/store_command.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace polis::cli {
namespace {

std::string messageOf(std::vector<std::string> args) {
   CLI::App app("", "polis");
   int exitCode = 0;
   addStoreCommand(app, exitCode);
   app.failure_message(failureMessage);
   std::reverse(args.begin(), args.end());
   std::ostringstream out, err;
   try {
      app.parse(args);
   } catch (const CLI::ParseError& error) {
      app.exit(error, out, err);
   }
   return err.str();
}

TEST(FailureMessage, NamesTheHelpOfTheCommand) {
   EXPECT_EQ(messageOf({"store", "diff", "folder", "--name", "v"}),
             "--before is required\nSee: polis store diff --help\n");
   EXPECT_NE(messageOf({"store", "stat"}).find("See: polis store stat --help\n"), std::string::npos);
   EXPECT_NE(messageOf({"store"}).find("See: polis store --help\n"), std::string::npos);
   EXPECT_NE(messageOf({"nothing"}).find("See: polis --help\n"), std::string::npos);
}

} // namespace
} // namespace polis::cli
