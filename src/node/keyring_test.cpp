#include "base/fault.hpp"
#include "base/temporary_folder.hpp"
#include "node/keyring.hpp"
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace polis::node {
namespace {

class KeyringTest : public testing::Test {
protected:
   std::filesystem::path keys() const { return folder_.path() / "keys"; }

private:
   TemporaryFolder folder_{"keyring"};
};

unsigned modeOf(const std::filesystem::path& path) {
   struct stat info{};
   return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

} // namespace

TEST_F(KeyringTest, keptKeysAreThereAgain) {
   const auto key = format::PrivateKey::generate();
   {
      Keyring ring(keys());
      EXPECT_TRUE(ring.claims().empty());
      const auto claim = ring.keep(key);
      ASSERT_TRUE(claim) << claim.error();
      EXPECT_EQ(claim->service.str(), "verify-sig");
      EXPECT_EQ(claim->rawData, key.publicKey().spki());
      EXPECT_EQ(ring.keep(key), claim); // twice is once
      EXPECT_EQ(ring.claims().size(), 1u);
   }
   EXPECT_EQ(modeOf(keys()), 0700u);
   int files = 0;
   for (const auto& entry : std::filesystem::directory_iterator(keys())) {
      EXPECT_EQ(modeOf(entry.path()), 0600u);
      ++files;
   }
   EXPECT_EQ(files, 1);
   Keyring ring(keys());
   ring.add(key); // also named by the configuration
   ASSERT_EQ(ring.claims().size(), 1u);
   const auto found = ring.find(ring.claims()[0]);
   ASSERT_TRUE(found);
   EXPECT_EQ(found->pkcs8(), key.pkcs8());
}

TEST_F(KeyringTest, findsByWhatAClaimMeans) {
   Keyring ring(keys());
   const auto key = format::PrivateKey::generate(format::Curve::k1);
   ring.add(key);
   auto claim = ring.claims()[0];
   EXPECT_FALSE(std::filesystem::exists(keys())); // what is kept elsewhere is not written
   claim.rawData = key.publicKey().spki(format::PointForm::uncompressed);
   EXPECT_TRUE(ring.find(claim));
   claim.service = format::AccountNumber{std::string_view("auth-any")};
   EXPECT_FALSE(ring.find(claim));
   EXPECT_FALSE(ring.find({}));
   EXPECT_FALSE(ring.find({ring.claims()[0].service, toBytes("no key")}));
   EXPECT_FALSE(ring.find({ring.claims()[0].service, format::PrivateKey::generate().publicKey().spki()}));
}

TEST_F(KeyringTest, takesSoManyAndNoMore) {
   Keyring ring(keys());
   for (std::size_t i = 0; i < Keyring::keysMax; ++i)
      ASSERT_TRUE(ring.keep(format::PrivateKey::generate()));
   EXPECT_FALSE(ring.keep(format::PrivateKey::generate()));
}

TEST_F(KeyringTest, aFileWithoutAKeyStopsTheStart) {
   std::filesystem::create_directories(keys());
   std::ofstream(keys() / "x.pem") << "no key";
   EXPECT_THROW(Keyring ring(keys()), Fault);
   std::filesystem::remove(keys() / "x.pem");
   std::ofstream(keys() / "half.pem.new") << "an interrupted writing";
   EXPECT_TRUE(Keyring(keys()).claims().empty());
}

} // namespace polis::node
