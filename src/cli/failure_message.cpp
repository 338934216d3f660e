#include "cli/failure_message.hpp"

namespace polis::cli {

std::string failureMessage(const CLI::App* app, const CLI::Error& error) {
   std::string command = "polis";
   while (app && !app->get_subcommands().empty()) {
      app = app->get_subcommands().front();
      command += " " + app->get_name();
   }
   return std::string(error.what()) + "\nSee: " + command + " --help\n";
}

} // namespace polis::cli
