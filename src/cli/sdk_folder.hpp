#pragma once

#include <filesystem>
#include <optional>

namespace polis::cli {

/// What is next to the binary, else the source tree that it was built in, unless POLIS_SDK says otherwise.
std::optional<std::filesystem::path> findSdkFolder();

/// The same. Throws Fault if there is none.
std::filesystem::path sdkFolder();

} // namespace polis::cli
