#include "cli/sdk_folder.hpp"

#include "base/fault.hpp"

#include <cstdlib>
#include <vector>

namespace polis::cli {

std::optional<std::filesystem::path> findSdkFolder() {
   std::vector<std::filesystem::path> candidates;
   if (const char* given = std::getenv("POLIS_SDK"); given && *given)
      candidates.emplace_back(given);
   const auto binary = std::filesystem::canonical("/proc/self/exe").parent_path();
   candidates.push_back(binary / "../share/polis/sdk");
   candidates.push_back(binary / "../../../sdk");
   for (const auto& candidate : candidates)
      if (std::filesystem::exists(candidate / "cmake/polis_sdk.cmake"))
         return std::filesystem::canonical(candidate);
   return std::nullopt;
}

std::filesystem::path sdkFolder() {
   if (const auto folder = findSdkFolder())
      return *folder;
   throw Fault("the SDK is not there: set POLIS_SDK to the folder that holds cmake/polis_sdk.cmake");
}

} // namespace polis::cli
