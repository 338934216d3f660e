#pragma once

#include <string>
#include <vector>

namespace polis::harness {

/// What a command left: its exit status (128 + the signal), and everything that it printed.
struct CommandResult {
   int status = 0;
   std::string output;
};

/// Runs the `polis` binary beside this one and waits. Throws std::runtime_error when it cannot be started.
CommandResult runPolis(std::vector<std::string> arguments);

} // namespace polis::harness
