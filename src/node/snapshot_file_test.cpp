#include "node/snapshot_file.hpp"

#include "base/temporary_folder.hpp"

#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

namespace polis::node {

namespace {

struct SnapshotFile : testing::Test {
   TemporaryFolder folder{"snapshot-test"};
   std::filesystem::path file = folder.path() / "s";
   SnapshotSeal seal;

   void write(bool compress = false) {
      seal.checksum.serviceRoot.fill(1);
      seal.signatures = {{format::AccountNumber("prod"), {}, Bytes{1, 2}}};
      SnapshotWriter writer(file, compress);
      writer.row(0, Bytes{1}, Bytes(100'000, 7));
      writer.row(0, Bytes{1, 0}, {});
      writer.row(2, {}, Bytes{9});
      writer.row(3, Bytes{0, 0, 0, 2}, Bytes{8});
      writer.row(65, Bytes{0, 9, 0}, Bytes{3});
      writer.finish(seal);
   }
   Bytes content() const {
      std::ifstream in(file, std::ios::binary);
      return {std::istreambuf_iterator<char>(in), {}};
   }
   void replace(const Bytes& bytes) const {
      std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
   }
   /// The number of rows, or what is wrong.
   static std::expected<std::size_t, std::string> read(SnapshotReader& reader) {
      for (std::size_t rows = 0;; ++rows) {
         const auto row = reader.next();
         if (!row)
            return std::unexpected(row.error());
         if (!*row)
            return rows;
      }
   }
   std::expected<std::size_t, std::string> read() const {
      SnapshotReader reader(snapshotSource(file));
      return read(reader);
   }
};

} // namespace

TEST_F(SnapshotFile, readsWhatWasWritten) {
   for (const bool compress : {false, true}) {
      write(compress);
      EXPECT_EQ(content()[0], compress ? 0x1F : 0x00);
      SnapshotReader reader(snapshotSource(file));
      EXPECT_EQ(read(reader), 5u);
      EXPECT_EQ(reader.seal().checksum, seal.checksum);
      EXPECT_EQ(reader.seal().signatures, seal.signatures);
   }
}

TEST_F(SnapshotFile, aFileThatWasNotFinishedIsNotThere) {
   {
      SnapshotWriter writer(file, false);
      writer.row(0, Bytes{1}, Bytes{1});
   }
   EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(SnapshotFile, whereverItIsCutOffItIsRefused) {
   for (const bool compress : {false, true}) {
      write(compress);
      const Bytes whole = content();
      // Behind the checksum a file without signatures ends; that it has too few of them is for others to find.
      const std::size_t last = compress ? whole.size() : whole.size() - 60;
      for (std::size_t bytes = 0; bytes < last; bytes += bytes < 64 || bytes + 300 > last ? 1 : 997) {
         replace(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(bytes)));
         EXPECT_FALSE(read()) << bytes << " of " << whole.size();
      }
   }
}

TEST_F(SnapshotFile, orderAndBoundsAreTheFormats) {
   const auto refused = [&](const std::vector<SnapshotFileRow>& rows) {
      SnapshotWriter writer(file, false);
      for (const auto& row : rows)
         writer.row(row.db, row.key, row.value);
      writer.finish(seal);
      return !read();
   };
   EXPECT_FALSE(refused({{0, {1}, {}}, {2, {0}, {}}}));
   EXPECT_TRUE(refused({{2, {1}, {}}, {0, {1}, {}}}));      // databases ascend
   EXPECT_TRUE(refused({{0, {1}, {}}, {0, {1}, {}}}));      // keys do, strictly
   EXPECT_TRUE(refused({{2, {2}, {}}, {2, {1, 5}, {}}}));   //
   EXPECT_TRUE(refused({{1, {1}, {}}}));                    // no other database
   EXPECT_TRUE(refused({{0, Bytes(1025), {}}}));            // as long as a key can be
   EXPECT_TRUE(refused({{snapshotFooter, {7}, {}}}));       // a footer that nobody knows
   EXPECT_TRUE(refused({{snapshotFooter, {0, 0, 0}, {}}})); // a checksum that is none
}

TEST_F(SnapshotFile, anotherFileIsToldApart) {
   replace(toBytes("#!/bin/sh\necho hello, this is no snapshot\n"));
   EXPECT_EQ(read().error(), "this is not a snapshot");
   write();
   Bytes later = content();
   later[4] = 1;
   replace(later);
   EXPECT_NE(read().error().find("version"), std::string::npos);
}

} // namespace polis::node
