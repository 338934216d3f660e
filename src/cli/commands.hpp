#pragma once
#include <CLI/CLI.hpp>
#include <string>

namespace polis::cli {

/// What every command that talks to a node takes.
struct Common {
   std::string url;       ///< of the root host
   std::string trustFile; ///< PEM certificates to trust besides the system's
   bool json = false;
};

/// Adds --url, --json and --trust.
void addCommon(CLI::App& command, Common& common);

/// Each adds one command. It sets `exitCode` when it has run: 0 done, 1 refused or failed, 2 wrong usage.
void addNodeCommand(CLI::App& app, int& exitCode);
void addStatusCommand(CLI::App& app, int& exitCode);
void addBootCommand(CLI::App& app, int& exitCode);
void addProducersCommand(CLI::App& app, int& exitCode);
void addCreateAccountCommand(CLI::App& app, int& exitCode);
void addDeployCommand(CLI::App& app, int& exitCode);
void addUploadCommand(CLI::App& app, int& exitCode);
void addPushCommand(CLI::App& app, int& exitCode);
void addQueryCommand(CLI::App& app, int& exitCode);
void addInviteCommand(CLI::App& app, int& exitCode);
void addInstallCommand(CLI::App& app, int& exitCode);
void addReplayCommand(CLI::App& app, int& exitCode);
void addSnapshotCommand(CLI::App& app, int& exitCode);
void addTestCommand(CLI::App& app, int& exitCode);
void addNewCommand(CLI::App& app, int& exitCode);
void addKeyCommand(CLI::App& app, int& exitCode);

} // namespace polis::cli
