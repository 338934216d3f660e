// A folder for one test, removed afterwards.
#pragma once

#include "base/temporary_folder.hpp"

#include <unistd.h>

namespace polis::store {

/// In memory where there is such a place: the tests sync thousands of times.
class TestFolder : public TemporaryFolder {
public:
   TestFolder() : TemporaryFolder("store-test", parent()) {}

private:
   static std::filesystem::path parent() {
      std::error_code error;
      const bool memory = std::filesystem::is_directory("/dev/shm", error) && ::access("/dev/shm", W_OK) == 0;
      return memory ? "/dev/shm" : std::filesystem::temp_directory_path();
   }
};

} // namespace polis::store
