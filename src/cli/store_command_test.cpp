// `polis store` on folders that are whole, damaged, open, or none.
#include "cli/store_command.hpp"

#include "base/fault.hpp"
#include "store/store.hpp"
#include "store/test_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace polis::cli {
namespace {

/// What the command prints; Faults pass.
std::string run(std::vector<std::string> args) {
   CLI::App app;
   int exitCode = 1;
   addStoreCommand(app, exitCode);
   testing::internal::CaptureStdout();
   std::reverse(args.begin(), args.end());
   try {
      app.parse(args);
   } catch (...) {
      testing::internal::GetCapturedStdout();
      throw;
   }
   EXPECT_EQ(exitCode, 0);
   return testing::internal::GetCapturedStdout();
}

std::string faultOf(const std::vector<std::string>& args) {
   try {
      run(args);
   } catch (const Fault& fault) {
      return fault.what();
   }
   return "";
}

void makeStore(const std::string& folder) {
   const auto store = store::Store::open(folder);
   store::Writer writer(store->empty());
   writer.put(asBytes("a1"), asBytes("x"));
   writer.put(asBytes("a2"), asBytes("y"));
   const store::Version first = writer.snapshot();
   writer.put(asBytes("b1"), asBytes("z"));
   store->checkpoint({{{"first", first}, {"second", writer.snapshot()}}, 7, {}});
}

TEST(StoreCommand, TellsAndDumps) {
   const store::TestFolder folder;
   const std::string path = folder.path().string();
   makeStore(path);
   const std::string stat = run({"store", "stat", path});
   EXPECT_NE(stat.find("version first: 2 entries\nversion second: 3 entries\n"), std::string::npos) << stat;
   EXPECT_NE(stat.find("journal from position 7"), std::string::npos) << stat;
   EXPECT_NE(run({"store", "verify", path}).find("5 entries"), std::string::npos);
   EXPECT_EQ(run({"store", "dump", path, "--name", "second", "--prefix", "62"}), "second 6231 7A\n");
   EXPECT_EQ(run({"store", "dump", path, "--limit", "1"}), "first 6131 78\nsecond 6131 78\n");
}

TEST(StoreCommand, ComparesHashesCopiesAndCompacts) {
   const store::TestFolder folder, copy, none;
   const std::string path = folder.path().string(), file = (none.path() / "stream").string();
   makeStore(path);
   EXPECT_EQ(run({"store", "diff", path, "--before", "first", "--name", "second"}), "+ 6231 7A\n");
   EXPECT_EQ(run({"store", "diff", path, "--before", "second", "--name", "first"}), "- 6231 7A\n");
   EXPECT_EQ(run({"store", "diff", path, "--before", "second", "--name", "first", "--prefix", "61"}), "");
   const std::string hashes = run({"store", "hash", path, "--name", "second"});
   EXPECT_EQ(hashes.substr(0, 7), "second ");
   const std::string root = hashes.substr(7, 64);
   EXPECT_EQ(run({"store", "export", path, file, "--name", "second"}), "root " + root + "\n");
   EXPECT_EQ(run({"store", "import", (copy.path() / "new").string(), file, "--name", "v"}),
             "3 entries, root " + root + "\n");
   EXPECT_NE(faultOf({"store", "import", path, file, "--name", "v"}).find("already"), std::string::npos);
   std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
   EXPECT_NE(faultOf({"store", "import", (copy.path() / "other").string(), file, "--name", "v"}).find("ends within"),
             std::string::npos);
   EXPECT_NE(run({"store", "compact", path}).find(" now\n"), std::string::npos);
   EXPECT_EQ(run({"store", "hash", path, "--name", "second"}), hashes);
   EXPECT_NE(run({"store", "bench", path}).find("second: 3 entries"), std::string::npos);
}

std::string imageOf(const std::filesystem::path& file) {
   std::ifstream stream(file, std::ios::binary);
   return std::string(std::istreambuf_iterator<char>(stream), {});
}

TEST(StoreCommand, LookingWritesNothing) {
   const store::TestFolder folder;
   const std::string path = folder.path().string();
   makeStore(path);
   std::filesystem::remove(folder.path() / "lock");
   std::string image = imageOf(folder.path() / "data");
   // The remains of something, behind what is in use.
   image.append(100'000, 'x');
   for (const bool damaged : {false, true}) {
      if (damaged)
         image[20] ^= 1;
      std::ofstream(folder.path() / "data", std::ios::binary) << image;
      for (const std::vector<std::string>& args : {std::vector<std::string>{"store", "stat", path},
                                                   {"store", "verify", path},
                                                   {"store", "dump", path},
                                                   {"store", "hash", path},
                                                   {"store", "diff", path, "--before", "first", "--name", "second"},
                                                   {"store", "export", path, "/dev/null", "--name", "second"},
                                                   {"store", "bench", path}}) {
         const std::string said = run(args);
         EXPECT_NE(said, "");
         const bool tells = args[1] == "stat" || args[1] == "verify";
         EXPECT_EQ(said.find("notice: The superblock at byte 0 is damaged") != std::string::npos, damaged && tells)
             << said;
         EXPECT_TRUE(imageOf(folder.path() / "data") == image) << args[1];
         EXPECT_FALSE(std::filesystem::exists(folder.path() / "lock"));
      }
   }
   image[4096 + 20] ^= 1;
   std::ofstream(folder.path() / "data", std::ios::binary) << image;
   for (const char* command : {"stat", "verify", "dump", "hash", "bench", "compact"}) {
      const std::string fault = faultOf({"store", command, path});
      EXPECT_EQ(fault.find(path + "/data: damaged: both superblocks"), 0u) << fault;
      EXPECT_TRUE(imageOf(folder.path() / "data") == image) << command;
   }
}

TEST(StoreCommand, SaysWhatIsWrong) {
   const store::TestFolder folder, none;
   const std::string path = folder.path().string();
   EXPECT_NE(faultOf({"store", "stat", none.path().string()}).find("no store"), std::string::npos);
   EXPECT_FALSE(std::filesystem::exists(none.path() / "data"));
   makeStore(path);
   EXPECT_NE(faultOf({"store", "dump", path, "--name", "third"}).find("'third'"), std::string::npos);
   EXPECT_NE(faultOf({"store", "dump", path, "--prefix", "6"}).find("hexadecimal"), std::string::npos);
   {
      const auto open = store::Store::open(path);
      EXPECT_NE(faultOf({"store", "verify", path}).find("already open"), std::string::npos);
   }
   std::fstream file(folder.path() / "data", std::ios::in | std::ios::out | std::ios::binary);
   file.seekp(65536 + 20);
   file.write("\xFF\xFF\xFF\xFF", 4);
   file.close();
   EXPECT_EQ(faultOf({"store", "verify", path}), path + "/data: damaged: wrong count of dead bytes at byte 65536");
}

} // namespace
} // namespace polis::cli
