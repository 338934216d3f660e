#pragma once

#include <filesystem>

namespace polis::cli {

/// What is next to the binary, else the source tree that it was built in, unless POLIS_SDK says otherwise. Throws
/// Fault.
std::filesystem::path sdkFolder();

} // namespace polis::cli
