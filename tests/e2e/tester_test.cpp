// `polis test` of a program that fails: it tells where in the sources, and which lines were run.
#include "e2e/fixture.hpp"
#include "harness/command.hpp"

#include <fstream>
#include <sstream>

namespace polis::e2e {
namespace {

namespace fs = std::filesystem;

class Tester : public testing::Test {
protected:
   void SetUp() override {
      if (harness::dataFolder().empty() || !fs::exists(program()))
         GTEST_SKIP() << "the packages are not built: ./run --build";
   }
   static fs::path program() { return harness::dataFolder() / "tests/failing_test.wasm"; }
   static fs::path source() { return fs::path(POLIS_SOURCE_DIR) / "packages/hello/service/hello.cpp"; }

   /// Number of the one line of hello's source that holds this text.
   static std::string lineOf(const std::string& text) {
      std::ifstream in(source());
      std::size_t number = 0, found = 0;
      for (std::string line; std::getline(in, line);) {
         ++number;
         if (line.find(text) != line.npos)
            found = number;
      }
      return std::to_string(found);
   }
};

TEST_F(Tester, saysWhereAnActionFailed) {
   const auto result = harness::runPolis({"test", program().string()});
   EXPECT_EQ(result.status, 1);
   EXPECT_NE(
       result.output.find("it should succeed, but: service 'hello' aborted with message: a greeting has 1 to 80 bytes"),
       std::string::npos);
   const auto place = "hello/service/hello.cpp:" + lineOf("a greeting has 1 to 80 bytes") + " greet\n";
   EXPECT_NE(result.output.find(place), std::string::npos) << place << result.output;
   EXPECT_EQ(result.output.find("/usr/"), std::string::npos) << result.output;
}

TEST_F(Tester, runsServicesAsPackagedWhenTold) {
   const auto result = harness::runPolis({"test", "--packaged", program().string()});
   EXPECT_EQ(result.status, 1);
   EXPECT_NE(
       result.output.find("it should succeed, but: service 'hello' aborted with message: a greeting has 1 to 80 bytes"),
       std::string::npos);
   EXPECT_EQ(result.output.find("hello.cpp:"), std::string::npos) << result.output;
}

TEST_F(Tester, failuresComeAloneWhereTheSourcesAreNot) {
   const TemporaryFolder folder("elsewhere");
   fs::create_directories(folder.path() / "bin");
   const auto polis = folder.path() / "bin/polis";
   fs::copy_file(harness::polisBinary(), polis);
   const auto packages = harness::dataFolder() / "packages";
   const auto result = harness::run({.words = {polis, "test", "--packages", packages, program()},
                                     .folder = folder.path(),
                                     .environment = {"POLIS_SDK="}});
   EXPECT_EQ(result.status, 1);
   EXPECT_NE(result.output.find("aborted with message: a greeting has 1 to 80 bytes"), std::string::npos);
   EXPECT_EQ(result.output.find("SDK"), std::string::npos) << result.output;
   EXPECT_EQ(result.output.find("hello.cpp:"), std::string::npos) << result.output;
   EXPECT_TRUE(result.output.ends_with("0 passed, 1 failed\n")) << result.output;
}

TEST_F(Tester, countsTheLinesThatWereRun) {
   const TemporaryFolder folder("coverage");
   const auto file = folder.path() / "hello.info";
   const auto result = harness::runPolis({"test", "--coverage", file.string(), program().string()});
   EXPECT_EQ(result.status, 1);
   EXPECT_NE(result.output.find("lines of services were run"), std::string::npos) << result.output;
   std::ifstream in(file);
   std::stringstream all;
   all << in.rdbuf();
   const auto text = all.str();
   const auto begin = text.find("SF:" + fs::canonical(source()).string() + "\n");
   ASSERT_NE(begin, std::string::npos) << text.substr(0, 1000);
   const auto ours = text.substr(begin, text.find("end_of_record", begin) - begin);
   // Both greetings came to the check, none got further, and nobody asked over HTTP.
   EXPECT_NE(ours.find("\nDA:" + lineOf("a greeting has 1 to 80 bytes") + ",2\n"), std::string::npos) << ours;
   EXPECT_NE(ours.find("\nDA:" + lineOf("open<Greetings>(Mode::readWrite)") + ",0\n"), std::string::npos) << ours;
   EXPECT_NE(ours.find("\nDA:" + lineOf("methodNotAllowed") + ",0\n"), std::string::npos) << ours;
   EXPECT_EQ(text.find("SF:/usr/"), std::string::npos);
}

} // namespace
} // namespace polis::e2e
