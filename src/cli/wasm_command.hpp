// `polis wasm`: what the VM thinks of a file of WebAssembly.
#pragma once

#include <CLI/CLI.hpp>

namespace polis::cli {

/// Adds the command to the program. Its subcommands set `exitCode` (0 or 1) when they run.
void addWasmCommand(CLI::App& app, int& exitCode);

} // namespace polis::cli
