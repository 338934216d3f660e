// `polis store`: what lies in the folder of a store.
#pragma once

#include <CLI/CLI.hpp>

namespace polis::cli {

/// Adds the command to the program. Its subcommands set `exitCode` when they run; what is damaged is a Fault.
void addStoreCommand(CLI::App& app, int& exitCode);

} // namespace polis::cli
