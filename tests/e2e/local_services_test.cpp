// A folder whose node-local services are older than the program: the next start brings them up to date.
#include "e2e/fixture.hpp"

#include "base/temporary_folder.hpp"
#include "format/hash.hpp"
#include "harness/command.hpp"
#include "node/package.hpp"

#include <zip.h>

namespace polis::e2e {

namespace {

std::filesystem::path packageFile(const std::string& name) {
   return harness::dataFolder() / "packages" / (name + ".psi");
}

/// XTimer as another build made it: another version in its meta.json, and a custom section at the end of its code.
void writeTimer(const std::filesystem::path& file, const std::string& version) {
   std::filesystem::copy_file(packageFile("XTimer"), file, std::filesystem::copy_options::overwrite_existing);
   auto package = node::parsePackage(readAll(file));
   ASSERT_TRUE(package) << package.error();
   package->meta.version = version;
   const std::string meta = format::toJson(package->meta);
   Bytes code = package->services.at(0).code;
   for (const char c : std::string("\0\6\5other", 8))
      code.push_back(static_cast<std::uint8_t>(c));
   int error = 0;
   zip_t* archive = zip_open(file.c_str(), 0, &error);
   ASSERT_NE(archive, nullptr);
   const auto replace = [&](const char* name, const void* data, std::size_t size) {
      ASSERT_GE(zip_file_add(archive, name, zip_source_buffer(archive, data, size, 0), ZIP_FL_OVERWRITE), 0) << name;
   };
   replace("meta.json", meta.data(), meta.size());
   replace("service/x-timer.wasm", code.data(), code.size());
   ASSERT_EQ(zip_close(archive), 0);
}

class LocalServices : public testing::Test {
protected:
   void SetUp() override {
      if (harness::dataFolder().empty())
         GTEST_SKIP() << "the packages are not built: ./run --build";
   }
   static void install(const harness::NodeProcess& node, const std::filesystem::path& file) {
      const auto result = harness::runPolis({"install", file.string(), "--allow-powers", "--url",
                                             "http://polis.localhost:" + std::to_string(node.port())});
      ASSERT_EQ(result.status, 0) << result.output;
   }
   /// The installed XTimer, as the list of packages tells it.
   static std::string timer(const harness::NodeProcess& node) {
      const auto list = ChainClient{node.port()}.get("x-packages", "/api/installed").body;
      auto at = list.find("{\"name\":\"XTimer\",");
      while (at != list.npos && list.find("\"description\"", at) > list.find('}', at)) // another's dependency
         at = list.find("{\"name\":\"XTimer\",", at + 1);
      return at == list.npos ? "" : list.substr(at, list.find("sha256\":\"", at) + 74 - at);
   }
   static std::string hashOf(const std::filesystem::path& file) {
      std::string hex = toHex(format::sha256(ByteView(readAll(file))));
      std::ranges::transform(hex, hex.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
      return hex;
   }
   static bool codeIs(const harness::NodeProcess& node, const std::filesystem::path& file) {
      const auto package = node::parsePackage(readAll(file));
      return package && ChainClient{node.port()}.get("x-admin", "/services/x-timer").body ==
                            std::string(asText(package->services.at(0).code));
   }
};

} // namespace

TEST_F(LocalServices, areBroughtUpToDateByTheNextStart) {
   harness::NodeProcess node;
   TemporaryFolder files{"local-services"};
   const auto own = packageFile("XTimer"), other = files.path() / "other.psi";
   EXPECT_NE(timer(node).find(hashOf(own)), std::string::npos) << timer(node);

   writeTimer(other, "0.0.9");
   install(node, other);
   ASSERT_TRUE(codeIs(node, other));
   ASSERT_NE(timer(node).find("0.0.9"), std::string::npos) << timer(node);
   // Also after a crash: the start that follows does it.
   node.kill();
   auto before = node.log().size();
   node.start();
   EXPECT_NE(node.log().substr(before).find("brought up to date: XTimer"), std::string::npos) << node.log();
   EXPECT_TRUE(codeIs(node, own));
   EXPECT_NE(timer(node).find(hashOf(own)), std::string::npos) << timer(node);
   EXPECT_EQ(ChainClient{node.port()}
                 .get("x-packages", "/manifest/" + toHex(format::sha256(ByteView(readAll(other)))))
                 .status,
             404);

   // Once is enough.
   ASSERT_EQ(node.stop(), 0);
   before = node.log().size();
   node.start();
   EXPECT_EQ(node.log().substr(before).find("brought up to date"), std::string::npos) << node.log();

   // A newer one is not replaced by an older program.
   writeTimer(other, "99.0.0");
   install(node, other);
   ASSERT_EQ(node.stop(), 0);
   before = node.log().size();
   node.start();
   EXPECT_NE(node.log().substr(before).find("XTimer 99.0.0 is newer"), std::string::npos) << node.log();
   EXPECT_TRUE(codeIs(node, other));

   // The chain goes on.
   ChainClient{node.port()}.mustPush({action("prod", "accounts", "getAccount", "prod"_a)});
}

} // namespace polis::e2e
