// A folder for one test, removed afterwards.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace polis::store {

class TestFolder {
public:
   TestFolder() {
      std::string name = (std::filesystem::temp_directory_path() / "polis_store_XXXXXX").string();
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
