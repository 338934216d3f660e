// Every file of ../shared/conformance that holds format vectors, natively. Skipped where the folder is absent.
#include "format/vectors.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace polis::format {
namespace {

namespace fs = std::filesystem;

fs::path vectorFolder() {
   if (const char* folder = std::getenv("POLIS_CONFORMANCE"))
      return folder;
   return fs::path(POLIS_SOURCE_DIR) / "../shared/conformance";
}

class FormatVectors : public testing::TestWithParam<const char*> {};

TEST_P(FormatVectors, pass) {
   const fs::path file = vectorFolder() / GetParam();
   std::ifstream in(file);
   if (!in)
      GTEST_SKIP() << file << " is absent";
   std::stringstream text;
   text << in.rdbuf();
   const VectorReport report = checkVectors(text.str());
   for (const std::string& failure : report.failures)
      ADD_FAILURE() << GetParam() << ": " << failure << "\nreplay: polis format check-vectors " << file.string();
   EXPECT_GT(report.passed, 0u);
   EXPECT_FALSE(report.form.empty());
}

INSTANTIATE_TEST_SUITE_P(Files, FormatVectors,
                         testing::Values("account-numbers.json", "block-and-transaction.json",
                                         "fracpack-validation.json", "fracpack-vectors.json", "json-parse.json",
                                         "jwt.json", "keys.json", "merkle.json", "method-model.json",
                                         "method-numbers.json", "schema.json", "semver.json", "signatures.json",
                                         "time.json"),
                         [](const auto& info) {
                            std::string name(info.param);
                            name.resize(name.find('.'));
                            std::replace(name.begin(), name.end(), '-', '_');
                            return name;
                         });

TEST(Vectors, anUnknownFormIsNoSuccess) {
   EXPECT_FALSE(checkVectors("{}").failures.empty());
   EXPECT_FALSE(checkVectors("not JSON").failures.empty());
   EXPECT_FALSE(checkVectors(R"({"encode":[{"name":"alice","value":"1"}]})").failures.empty());
}

} // namespace
} // namespace polis::format
