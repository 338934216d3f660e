#pragma once

#include "base/temporary_folder.hpp"

#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace polis::harness {

/// A real `polis node` on loopback, in a folder of its own, ended when this goes away. Where an exception ends it, the
/// end of its log is shown.
class NodeProcess {
public:
   struct Options {
      /// Where the chain lives. Empty: a new temporary folder, removed at the end.
      std::filesystem::path folder;
      /// Further arguments of `polis node`.
      std::vector<std::string> arguments;
      /// Makes no chain and no blocks: `arguments` name the node that it follows.
      bool follows = false;
      /// False: nothing runs until start() or launch().
      bool start = true;
      /// What the new process does before it becomes the node; system calls only.
      std::function<void()> enter;
   };

   /// Starts the node and waits until it answers. The chain is booted if the folder is new.
   /// Throws std::runtime_error with the end of the node's log when it does not come up.
   explicit NodeProcess(Options options);
   NodeProcess() : NodeProcess(Options{}) {}
   ~NodeProcess();
   NodeProcess(const NodeProcess&) = delete;
   NodeProcess& operator=(const NodeProcess&) = delete;

   const std::filesystem::path& folder() const { return folder_; }
   std::uint16_t port() const { return port_; }
   /// From the start of the process to its first answer.
   double startSeconds() const { return startSeconds_; }
   /// Everything that the node has printed.
   std::string log() const;
   /// The end of it.
   std::string lastLines() const;

   /// SIGTERM, wait. Returns the exit status, or 128 + the signal.
   int stop();
   /// SIGKILL, wait.
   void kill();
   void start();
   /// Starts without waiting for anything.
   void launch();
   bool running() const;
   /// Sends a signal to the process, if there is one.
   void signal(int number) const;
   /// User and system time of the process that runs now.
   double processorSeconds() const;
   /// Of its memory what is not on disk as well.
   std::size_t residentBytes() const;
   /// Sends a signal to the thread that has worked most within a moment, and waits until the process has ended. False:
   /// no thread was busy.
   bool hitBusiestThread(int signal);

private:
   std::optional<TemporaryFolder> temporary_;
   std::filesystem::path folder_;
   bool follows_ = false;
   std::vector<std::string> arguments_;
   std::function<void()> enter_;
   std::uint16_t port_ = 0;
   pid_t pid_ = -1;
   double startSeconds_ = 0;
   int exceptions_ = std::uncaught_exceptions();
};

/// The `polis` binary beside this one; the packages must have been built.
std::filesystem::path polisBinary();
/// The data folder (`packages/*.psi` below it), or nothing when packages were not built.
std::filesystem::path dataFolder();

} // namespace polis::harness
