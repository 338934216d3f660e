#include "store/memory.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace polis::store::detail {
namespace {

/// The number in the file; the largest there is when it holds none.
std::uint64_t numberIn(const std::filesystem::path& path) {
   std::uint64_t number = 0;
   return std::ifstream(path) >> number ? number : std::numeric_limits<std::uint64_t>::max();
}

/// The least limit of a group and those above it.
std::uint64_t groupLimit(const std::filesystem::path& mount, std::string group, const char* file) {
   std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
   for (;;) {
      least = std::min(least, numberIn(mount.string() + group + "/" + file));
      if (group.empty())
         return least;
      const std::size_t slash = group.rfind('/');
      group.resize(slash == std::string::npos ? 0 : slash);
   }
}

} // namespace

std::uint64_t availableMemory() {
   std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
   std::ifstream system("/proc/meminfo");
   for (std::string word; system >> word;)
      if (std::uint64_t kib = 0; word == "MemAvailable:" && system >> kib)
         least = kib * 1024;
   std::ifstream groups("/proc/self/cgroup");
   for (std::string line; std::getline(groups, line);) {
      // number:controllers:path
      const std::size_t first = line.find(':'), second = line.find(':', first + 1);
      if (second == std::string::npos)
         continue;
      const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
      if (controllers.empty())
         for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"})
            least = std::min(least, groupLimit(mount, group, "memory.max"));
      if (controllers == "memory")
         least = std::min(least, groupLimit("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
   }
   return least;
}

} // namespace polis::store::detail
