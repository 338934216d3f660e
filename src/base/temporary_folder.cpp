#include "base/temporary_folder.hpp"
#include "base/fault.hpp"
#include <cstdlib>
#include <system_error>

namespace polis {

TemporaryFolder::TemporaryFolder(const std::string& purpose, const std::filesystem::path& within) {
   std::string name = (within / ("polis-" + purpose + "-XXXXXX")).string();
   if (!::mkdtemp(name.data()))
      throwErrno("make a folder in " + within.string());
   path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
   std::error_code ignored;
   std::filesystem::remove_all(path_, ignored);
}

} // namespace polis
