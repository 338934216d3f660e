#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace polis::harness {

/// What a command left: its exit status (128 + the signal), and everything that it printed.
struct CommandResult {
   int status = 0;
   std::string output;
};

/// How a command is started. Whatever it prints goes to one place.
struct Command {
   /// The program, looked up on PATH, and its arguments.
   std::vector<std::string> words;
   /// Where it runs; empty: here.
   std::filesystem::path folder{};
   /// NAME=value, over what this process has.
   std::vector<std::string> environment{};
};

/// Runs a command and waits. Throws std::runtime_error when it cannot be started.
CommandResult run(const Command& command);

/// Runs the `polis` binary beside this one and waits. Throws std::runtime_error when it cannot be started.
CommandResult runPolis(std::vector<std::string> arguments);

/// A command that goes on beside this process, with everything that it starts, until this goes away.
class BackgroundCommand {
public:
   /// What it prints goes into `log`. Throws std::runtime_error when it cannot be started.
   BackgroundCommand(const Command& command, std::filesystem::path log);
   ~BackgroundCommand();
   BackgroundCommand(const BackgroundCommand&) = delete;
   BackgroundCommand& operator=(const BackgroundCommand&) = delete;

   std::string output() const;

private:
   std::filesystem::path log_;
   pid_t group_ = -1;
};

} // namespace polis::harness
