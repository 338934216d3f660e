// The `polis` command.
#include "base/fault.hpp"
#include "base/log.hpp"
#include "cli/commands.hpp"
#include "cli/failure_message.hpp"
#include "cli/format_command.hpp"
#include "cli/store_command.hpp"
#include "cli/wasm_command.hpp"
#include "node/version.hpp"
#include <iostream>

int main(int argc, char** argv) {
   using namespace polis;
   CLI::App app("Polis: a community hosts its own web applications, on a chain of its own.\n"
                "\n"
                "Start a chain and look at it:\n"
                "   polis node ./data --producer prod --host polis.localhost --listen 127.0.0.1:8080 --boot\n"
                "   polis status\n"
                "Make an app for it (docs/first-app.md goes on from here):\n"
                "   polis new app guestbook\n"
                "Every command explains itself, with an example: polis COMMAND --help\n",
                "polis");
   app.require_subcommand(1);
   app.set_version_flag("--version,-V", std::string("polis ") + std::string(node::version));
   app.set_help_all_flag("--help-all", "The options of every command");
   app.failure_message(cli::failureMessage);

   int exitCode = 0;
   cli::addNodeCommand(app, exitCode);
   cli::addStatusCommand(app, exitCode);
   cli::addBootCommand(app, exitCode);
   cli::addProducersCommand(app, exitCode);
   cli::addCreateAccountCommand(app, exitCode);
   cli::addInviteCommand(app, exitCode);
   cli::addDeployCommand(app, exitCode);
   cli::addUploadCommand(app, exitCode);
   cli::addInstallCommand(app, exitCode);
   cli::addPushCommand(app, exitCode);
   cli::addQueryCommand(app, exitCode);
   cli::addNewCommand(app, exitCode);
   cli::addTestCommand(app, exitCode);
   cli::addKeyCommand(app, exitCode);
   cli::addReplayCommand(app, exitCode);
   cli::addSnapshotCommand(app, exitCode);
   cli::addFormatCommand(app, exitCode);
   cli::addStoreCommand(app, exitCode);
   cli::addWasmCommand(app, exitCode);
   try {
      app.parse(argc, argv);
   } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? 0 : 2;
   } catch (const Fault& fault) {
      std::cerr << "polis: " << fault.what() << "\n";
      return 1;
   }
   return exitCode;
}
