#include "harness/node_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace polis::harness {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view readyText = "Polis is ready: http://polis.localhost:";

} // namespace

fs::path polisBinary() { return fs::canonical("/proc/self/exe").parent_path() / "polis"; }

fs::path dataFolder() {
   if (const char* given = std::getenv("PSIBASE_DATADIR"))
      return given;
   const auto bin = polisBinary().parent_path();
   for (const auto& folder :
        {bin.parent_path() / "share" / "polis", bin.parent_path().parent_path() / "release" / "share" / "polis"})
      if (fs::exists(folder / "packages" / "index.json"))
         return folder;
   return {};
}

NodeProcess::NodeProcess(Options options)
   : folder_(std::move(options.folder)), follows_(options.follows), arguments_(std::move(options.arguments)),
     enter_(std::move(options.enter)) {
   if (folder_.empty())
      folder_ = temporary_.emplace("node").path();
   if (options.start)
      start();
}

NodeProcess::~NodeProcess() {
   stop();
   if (std::uncaught_exceptions() > exceptions_)
      std::cerr << "The log of the node in " << folder_.string() << " ends:\n" << lastLines() << std::endl;
}

std::string NodeProcess::log() const {
   std::ifstream in(folder_ / "node.log", std::ios::binary);
   return {std::istreambuf_iterator<char>(in), {}};
}

std::string NodeProcess::lastLines() const {
   constexpr std::size_t bytesMax = 4000;
   const auto text = log();
   return text.substr(text.size() - std::min(text.size(), bytesMax));
}

bool NodeProcess::running() const { return pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == 0; }

void NodeProcess::launch() {
   // The first start takes any free port, later ones the same again.
   const std::string binary = polisBinary().string();
   std::vector<std::string> words{"polis",
                                  "node",
                                  folder_.string(),
                                  "--host",
                                  "polis.localhost",
                                  "--listen",
                                  "127.0.0.1:" + std::to_string(port_)};
   if (!follows_)
      words.insert(words.end(), {"--boot", "--producer", "prod"});
   words.insert(words.end(), arguments_.begin(), arguments_.end());
   std::vector<char*> argv;
   for (auto& word : words)
      argv.push_back(word.data());
   argv.push_back(nullptr);
   const std::string logFile = (folder_ / "node.log").string();
   const std::string data = dataFolder().string();

   pid_ = ::fork();
   if (pid_ < 0)
      throw std::runtime_error("fork failed");
   if (pid_ == 0) {
      const int log = ::open(logFile.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
      ::dup2(log, 1);
      ::dup2(log, 2);
      ::setenv("PSIBASE_DATADIR", data.c_str(), 1);
      if (enter_)
         enter_();
      ::execv(binary.c_str(), argv.data());
      ::_exit(127);
   }
}

void NodeProcess::start() {
   using Steady = std::chrono::steady_clock;
   const auto began = Steady::now();
   const auto logged = log().size();
   launch();
   while (Steady::now() - began < std::chrono::minutes(5)) {
      const auto text = log();
      const auto at = text.find(readyText, logged);
      if (at != std::string::npos && text.find('/', at + readyText.size()) != std::string::npos) {
         std::from_chars(text.data() + at + readyText.size(), text.data() + text.size(), port_);
         startSeconds_ = std::chrono::duration<double>(Steady::now() - began).count();
         return;
      }
      if (!running())
         break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
   }
   kill();
   throw std::runtime_error("the node did not come up; its log ends:\n" + lastLines());
}

int NodeProcess::stop() {
   if (pid_ <= 0)
      return 0;
   int status = 0;
   ::kill(pid_, SIGTERM);
   ::waitpid(pid_, &status, 0);
   pid_ = -1;
   return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

namespace {

/// Clock ticks that a thread or process has worked so far, from its `stat`.
std::uint64_t ticksIn(const fs::path& stat) {
   std::ifstream in(stat);
   std::string text;
   std::getline(in, text);
   // behind the name, which may hold anything: state and ten numbers, then the times in user mode and in the system
   std::istringstream words(text.substr(std::min(text.size(), text.rfind(')') + 1)));
   std::string word;
   for (int i = 0; i < 12; ++i)
      words >> word;
   std::uint64_t system = 0;
   words >> system;
   return (word.empty() ? 0 : std::stoull(word)) + system;
}

/// The same for each thread of a process.
std::map<pid_t, std::uint64_t> ticksOf(pid_t pid) {
   std::map<pid_t, std::uint64_t> ticks;
   std::error_code ignored;
   for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/task", ignored))
      ticks[std::stoi(entry.path().filename().string())] = ticksIn(entry.path() / "stat");
   return ticks;
}

} // namespace

double NodeProcess::processorSeconds() const {
   if (pid_ <= 0)
      return 0;
   return static_cast<double>(ticksIn("/proc/" + std::to_string(pid_) + "/stat")) /
          static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::size_t NodeProcess::residentBytes() const {
   std::ifstream in("/proc/" + std::to_string(pid_) + "/status");
   for (std::string word; in >> word;)
      if (std::size_t kibibytes = 0; word == "RssAnon:" && in >> kibibytes)
         return kibibytes << 10;
   return 0;
}

void NodeProcess::signal(int number) const {
   if (pid_ > 0)
      ::kill(pid_, number);
}

bool NodeProcess::hitBusiestThread(int signal) {
   const auto before = ticksOf(pid_);
   std::this_thread::sleep_for(std::chrono::milliseconds(200));
   pid_t busiest = 0;
   std::uint64_t most = 4; // of about twenty
   for (const auto& [thread, ticks] : ticksOf(pid_))
      if (const auto at = before.find(thread); at != before.end() && ticks - at->second > most) {
         most = ticks - at->second;
         busiest = thread;
      }
   if (busiest == 0 || ::tgkill(pid_, busiest, signal) != 0)
      return false;
   ::waitpid(pid_, nullptr, 0);
   pid_ = -1;
   return true;
}

void NodeProcess::kill() {
   if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      pid_ = -1;
   }
}

} // namespace polis::harness
