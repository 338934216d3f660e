#include "harness/command.hpp"

#include "harness/node_process.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

namespace polis::harness {

CommandResult runPolis(std::vector<std::string> arguments) {
   const std::string binary = polisBinary().string();
   std::vector<char*> argv;
   arguments.insert(arguments.begin(), "polis");
   for (auto& argument : arguments)
      argv.push_back(argument.data());
   argv.push_back(nullptr);

   int ends[2];
   if (::pipe2(ends, O_CLOEXEC) != 0)
      throw std::runtime_error("no pipe");
   const pid_t child = ::fork();
   if (child < 0)
      throw std::runtime_error("fork failed");
   if (child == 0) {
      ::dup2(ends[1], 1);
      ::dup2(ends[1], 2);
      ::execv(binary.c_str(), argv.data());
      ::_exit(127);
   }
   ::close(ends[1]);
   CommandResult result;
   char part[4096];
   for (ssize_t got = 0; (got = ::read(ends[0], part, sizeof part)) > 0;)
      result.output.append(part, static_cast<std::size_t>(got));
   ::close(ends[0]);
   int status = 0;
   ::waitpid(child, &status, 0);
   result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
   return result;
}

} // namespace polis::harness
