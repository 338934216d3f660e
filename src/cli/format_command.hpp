// `polis format`: names, bytes and JSON for people.
#pragma once

#include <CLI/CLI.hpp>

namespace polis::cli {

/// Adds the command to the program. Its subcommands set `exitCode` (0 or 1) when they run.
void addFormatCommand(CLI::App& app, int& exitCode);

} // namespace polis::cli
