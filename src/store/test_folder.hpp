// A folder for one test, removed afterwards.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace polis::store {

class TestFolder {
public:
   TestFolder() {
      // In memory where there is such a place: the tests sync thousands of times.
      std::error_code error;
      const bool memory = std::filesystem::is_directory("/dev/shm", error) && ::access("/dev/shm", W_OK) == 0;
      const std::filesystem::path parent = memory ? "/dev/shm" : std::filesystem::temp_directory_path();
      std::string name = (parent / "polis_store_XXXXXX").string();
      if (!::mkdtemp(name.data()))
         throw std::runtime_error("no folder for the test");
      path_ = name;
   }
   ~TestFolder() {
      std::error_code ignored;
      std::filesystem::remove_all(path_, ignored);
   }
   TestFolder(const TestFolder&) = delete;
   TestFolder& operator=(const TestFolder&) = delete;
   const std::filesystem::path& path() const { return path_; }

private:
   std::filesystem::path path_;
};

} // namespace polis::store
