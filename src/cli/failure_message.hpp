#pragma once
#include <CLI/CLI.hpp>

namespace polis::cli {

/// What is wrong with a command line, and the help of the command that was meant, which explains itself better than the
/// whole does.
std::string failureMessage(const CLI::App* app, const CLI::Error& error);

} // namespace polis::cli
