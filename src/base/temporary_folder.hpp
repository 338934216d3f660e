#pragma once
#include <filesystem>
#include <string>

namespace polis {

/// A folder of its own that is gone, with all that is in it, at the end.
class TemporaryFolder {
public:
   /// Its name is `polis-PURPOSE-` and random letters. Throws Fault when it cannot be made.
   explicit TemporaryFolder(const std::string& purpose,
                            const std::filesystem::path& within = std::filesystem::temp_directory_path());
   ~TemporaryFolder();
   TemporaryFolder(const TemporaryFolder&) = delete;
   TemporaryFolder& operator=(const TemporaryFolder&) = delete;
   const std::filesystem::path& path() const { return path_; }

private:
   std::filesystem::path path_;
};

} // namespace polis
