#include "harness/command.hpp"

#include "harness/node_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace polis::harness {

namespace {

/// Forks; the child prints to `output`, in a process group of its own if asked.
pid_t start(const Command& command, int output, bool ownGroup) {
   std::vector<std::string> words = command.words, environment = command.environment;
   std::vector<char*> argv;
   for (auto& word : words)
      argv.push_back(word.data());
   argv.push_back(nullptr);
   const std::string folder = command.folder.string();
   const pid_t child = ::fork();
   if (child < 0)
      throw std::runtime_error("fork failed");
   if (child > 0)
      return child;
   if (ownGroup)
      ::setpgid(0, 0);
   const int nothing = ::open("/dev/null", O_RDONLY);
   ::dup2(nothing, 0);
   ::dup2(output, 1);
   ::dup2(output, 2);
   if (!folder.empty() && ::chdir(folder.c_str()) != 0)
      ::_exit(127);
   for (auto& entry : environment)
      ::putenv(entry.data());
   ::execvp(argv.front(), argv.data());
   ::_exit(127);
}

int statusOf(pid_t child) {
   int status = 0;
   ::waitpid(child, &status, 0);
   return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

} // namespace

CommandResult run(const Command& command) {
   int ends[2];
   if (::pipe2(ends, O_CLOEXEC) != 0)
      throw std::runtime_error("no pipe");
   const pid_t child = start(command, ends[1], false);
   ::close(ends[1]);
   CommandResult result;
   char part[4096];
   for (ssize_t got = 0; (got = ::read(ends[0], part, sizeof part)) > 0;)
      result.output.append(part, static_cast<std::size_t>(got));
   ::close(ends[0]);
   result.status = statusOf(child);
   return result;
}

CommandResult runPolis(std::vector<std::string> arguments) {
   arguments.insert(arguments.begin(), polisBinary().string());
   return run({.words = std::move(arguments)});
}

BackgroundCommand::BackgroundCommand(const Command& command, std::filesystem::path log) : log_(std::move(log)) {
   const int output = ::open(log_.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
   if (output < 0)
      throw std::runtime_error("cannot write " + log_.string());
   group_ = start(command, output, true);
   ::setpgid(group_, group_); // whichever of the two comes first
   ::close(output);
}

BackgroundCommand::~BackgroundCommand() {
   ::kill(-group_, SIGTERM);
   statusOf(group_);
}

std::string BackgroundCommand::output() const {
   std::ifstream in(log_, std::ios::binary);
   return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace polis::harness
