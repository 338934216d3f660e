// The newcomer's path, walked: every command of docs/first-app.md does on a real node what the page says. And what the
// command line answers to those who go astray.
#include "e2e/fixture.hpp"

#include "harness/command.hpp"

#include <chrono>
#include <functional>
#include <iostream>
#include <sstream>
#include <thread>
#include <zip.h>

namespace polis::e2e {

namespace {

namespace fs = std::filesystem;
using harness::Command;
using harness::CommandResult;

/// A fenced block of a page, with the line that it begins on. `kind`: the words behind its opening fence.
struct Block {
   std::string kind, text;
   std::size_t line = 0;
};

std::vector<Block> blocksOf(const fs::path& page) {
   std::ifstream in(page);
   std::vector<Block> blocks;
   bool inside = false;
   std::size_t number = 0;
   for (std::string line; std::getline(in, line);) {
      ++number;
      if (line.starts_with("```")) {
         if (!inside)
            blocks.push_back({line.substr(3), "", number});
         inside = !inside;
      } else if (inside) {
         (blocks.back().text += line) += '\n';
      }
   }
   return blocks;
}

/// Whether the parts of `line` between each `…` stand in `output` in this order, on one line.
bool shows(const std::string& output, std::string line) {
   constexpr std::string_view gap = "…";
   std::vector<std::string> parts;
   for (std::size_t at; (at = line.find(gap)) != line.npos; line.erase(0, at + gap.size()))
      parts.push_back(line.substr(0, at));
   parts.push_back(line);
   std::istringstream in(output);
   for (std::string shown; std::getline(in, shown);) {
      std::size_t from = 0;
      for (const auto& part : parts) {
         const auto at = shown.find(part, from);
         from = at == shown.npos ? at : at + part.size();
         if (from == shown.npos)
            break;
      }
      if (from != shown.npos)
         return true;
   }
   return false;
}

class Guide : public WithNode {
protected:
   void SetUp() override {
      WithNode::SetUp();
      if (IsSkipped())
         return;
      if (!fs::exists(sourceFolder() / "build/wasm/libpolis_sdk.a"))
         GTEST_SKIP() << "the SDK is not built: ./run --build";
      // The same place each time, so that the compiler cache knows what has not changed.
      folder_ = harness::polisBinary().parent_path().parent_path() / "guide";
      fs::remove_all(folder_);
      fs::create_directories(folder_);
   }
   void TearDown() override {
      std::error_code ignored;
      if (!folder_.empty())
         fs::remove_all(folder_, ignored);
      WithNode::TearDown();
   }

   static fs::path sourceFolder() { return POLIS_SOURCE_DIR; }
   static std::string url() { return "http://polis.localhost:" + std::to_string(node().port()) + "/"; }
   const fs::path& folder() const { return folder_; }

   /// A person's shell: the command on PATH, the node's address known.
   static Command shell(const std::string& script, const fs::path& folder) {
      const char* path = std::getenv("PATH");
      return {.words = {"bash", "-c", script},
              .folder = folder,
              .environment = {"POLIS_URL=" + url(),
                              "PATH=" + harness::polisBinary().parent_path().string() + ":" + (path ? path : "")}};
   }
   static CommandResult polis(std::vector<std::string> arguments) {
      arguments.insert(arguments.end(), {"--url", url()});
      return harness::runPolis(std::move(arguments));
   }
   static void expectSays(const CommandResult& result, int status, const std::vector<std::string>& parts) {
      EXPECT_EQ(result.status, status) << result.output;
      for (const auto& part : parts)
         EXPECT_NE(result.output.find(part), std::string::npos) << "wanted: " << part << "\n" << result.output;
   }

private:
   fs::path folder_;
};

/// Reads a page as somebody who does what it says.
class Walk {
public:
   using Shell = std::function<Command(const std::string&, const fs::path&)>;
   Walk(Shell shell, fs::path folder) : shell_(std::move(shell)), at_(folder), home_(std::move(folder)) {}

   void step(const Block& block) {
      std::cout << "line " << block.line << ": " << block.kind << "\n" << std::flush;
      if (block.kind == "sh" || block.kind == "sh fails") {
         ran_ = block;
         const auto asSaid = [&] { return (last_.status != 0) == (block.kind == "sh fails"); };
         runAgain();
         retryUntil(asSaid);
         EXPECT_TRUE(asSaid()) << where(block) << last_.output;
      } else if (block.kind == "sh watch") {
         watcher_.emplace(shell_("exec " + block.text, at_), home_ / "watch.log");
         ran_.reset();
      } else if (block.kind == "diff") {
         std::ofstream(home_ / "change.diff") << block.text;
         // As outside of this repository, for the place is within it.
         const auto done = harness::run(shell_("GIT_CEILING_DIRECTORIES=\"$PWD/..\" git apply ../change.diff", at_));
         EXPECT_EQ(done.status, 0) << where(block) << done.output;
      } else if (block.kind == "text") {
         expectShown(block);
      }
   }

private:
   static std::string where(const Block& block) { return "line " + std::to_string(block.line) + ":\n"; }

   void runAgain() {
      const auto place = home_ / "place";
      last_ = harness::run(shell_("set -e\n" + ran_->text + "\npwd > '" + place.string() + "'", at_));
      std::ifstream in(place);
      std::string now;
      if (std::getline(in, now))
         at_ = now;
   }

   /// While somebody watches, what a save leads to may take a while: a command is repeated until it shows that.
   void retryUntil(const std::function<bool()>& done) {
      for (int tries = 0; watcher_ && tries < 600 && !done(); ++tries) {
         std::this_thread::sleep_for(std::chrono::milliseconds(200));
         if (ran_)
            runAgain();
      }
   }

   /// What the last command printed, or the watcher prints.
   void expectShown(const Block& block) {
      std::vector<std::string> missing;
      const auto shown = [&] {
         missing.clear();
         std::istringstream in(block.text);
         const std::string output = ran_ ? last_.output : watcher_->output();
         for (std::string line; std::getline(in, line);)
            if (!shows(output, line))
               missing.push_back(line);
         return missing.empty();
      };
      if (!shown())
         retryUntil(shown);
      for (const auto& line : missing)
         ADD_FAILURE() << where(block) << "not shown: " << line << "\nshown:\n"
                       << last_.output << (watcher_ ? "\nwatching:\n" + watcher_->output() : "");
   }

   Shell shell_;
   fs::path at_, home_;
   CommandResult last_;
   std::optional<Block> ran_; ///< none: the watcher was started last
   std::optional<harness::BackgroundCommand> watcher_;
};

} // namespace

TEST_F(Guide, theFirstAppAsItsPageSays) {
   Walk walk(shell, folder());
   for (const auto& block : blocksOf(sourceFolder() / "docs/first-app.md")) {
      walk.step(block);
      if (HasFailure())
         break;
   }
   EXPECT_EQ(client().get("guestbook", "/").status, 200);
   EXPECT_NE(client().get("packages", "/api/apps").body.find(R"({"account":"guestbook")"), std::string::npos);
}

TEST_F(Guide, aHostWithoutAnAppSaysWhatToDo) {
   newAccount("empty-one");
   const auto ask = [](const char* name, const char* target, const std::string& accept) {
      return harness::requestWith(node().port(), client().host(name), "GET", target, "Accept: " + accept + "\r\n");
   };
   const auto expectPage = [&](const char* name, const char* target, const std::vector<std::string>& parts) {
      const auto answer = ask(name, target, "text/html,application/xhtml+xml,*/*;q=0.8");
      EXPECT_EQ(answer.status, 404) << name;
      EXPECT_TRUE(answer.body.starts_with("<!doctype html>")) << answer.body;
      EXPECT_NE(answer.head.find("default-src 'none'"), std::string::npos) << answer.head;
      for (const auto& part : parts)
         EXPECT_NE(answer.body.find(part), std::string::npos) << "wanted: " << part << "\n" << answer.body;
      EXPECT_NE(answer.body.find("href=\"" + url()), std::string::npos) << answer.body;
   };
   expectPage("empty-one", "/", {"<h1>No app here yet</h1>", "empty-one exists", "polis install"});
   expectPage("nobody-yet", "/some/where",
              {"<h1>No app here yet</h1>", "Nobody has taken", "<code>polis new app nobody-yet</code>"});
   expectPage("short", "/", {"<h1>No app here yet</h1>", "8 to 10 characters"});
   expectPage("a-name-that-is-too-long", "/", {"<h1>No app here</h1>", "No account can have this name"});
   expectPage("two.labels", "/", {"<h1>No app here</h1>"});
   expectPage("hello", "/nothing-here", {"<h1>No such page</h1>", "href=\"/\""});
   // What a request brings is never part of the page's code.
   const auto hostile = ask("hello", "/<script>alert(1)</script>&\"", "text/html");
   EXPECT_EQ(hostile.body.find("<script>"), std::string::npos) << hostile.body;

   const auto text = ask("nobody-yet", "/x?y", "*/*");
   EXPECT_EQ(text.status, 404);
   EXPECT_TRUE(text.body.starts_with("The resource '/x' was not found. No app here yet: ")) << text.body;
   EXPECT_EQ(ask("hello", "/x", "*/*").body, "The resource '/x' was not found.\n");
   const auto json = ask("nobody-yet", "/x", "application/json");
   EXPECT_TRUE(json.body.starts_with(R"({"error":"The resource '/x' was not found.)")) << json.body;
   EXPECT_NE(json.head.find("application/json"), std::string::npos) << json.head;
}

TEST_F(Guide, everyCommandTeachesByAnExample) {
   const auto all = harness::runPolis({"--help-all"});
   ASSERT_EQ(all.status, 0);
   // Commands stand at the beginning of a line, each before its explanation.
   std::vector<std::vector<std::string>> commands;
   for (const auto& name : {"node", "status", "boot", "create-account", "invite", "deploy", "upload", "install", "push",
                            "query", "new", "sdk", "test", "key", "format", "wasm"})
      commands.push_back({name});
   commands.push_back({"new", "app"});
   for (auto words : commands) {
      std::string name = "polis";
      for (const auto& word : words)
         name += " " + word;
      EXPECT_NE(all.output.find(words.back()), std::string::npos) << name;
      words.push_back("--help");
      const auto help = harness::runPolis(words);
      EXPECT_EQ(help.status, 0);
      EXPECT_NE(help.output.find("\n   " + name), std::string::npos) << name << " has no example:\n" << help.output;
   }
}

TEST_F(Guide, whatIsPushedIsSeenAtOnce) {
   // Each read comes right after its push, with nothing in between.
   for (int i = 0; i < 5; ++i) {
      const auto text = "seen " + std::to_string(i);
      expectSays(polis({"push", "--sender", "prod", "hello", "greet", R"({"text":")" + text + "\"}"}), 0, {"final"});
      expectSays(polis({"query", "hello", "/api/greetings"}), 0, {text});
   }
   expectSays(polis({"push", "--wait", "applied", "--sender", "prod", "hello", "greet", R"({"text":"a"})"}), 0,
              {"applied"});
   expectSays(polis({"push", "--wait", "none", "--sender", "prod", "hello", "greet", R"({"text":"b"})"}), 0,
              {"taken in"});
   expectSays(polis({"push", "--wait", "ever", "--sender", "prod", "hello", "greet", R"({"text":"c"})"}), 2,
              {"--wait"});
}

TEST_F(Guide, mistakesAreExplained) {
   const auto greet = [](std::vector<std::string> more, const char* sender = "prod") {
      std::vector<std::string> words{"push", "--sender", sender, "hello", "greet", R"({"text":"x"})"};
      words.insert(words.end(), more.begin(), more.end());
      return polis(std::move(words));
   };
   expectSays(harness::runPolis({"push", "--sender", "prod", "hello", "greet", "{}", "--url", "http://127.0.0.1:9/"}),
              1, {"Is the node running?", "./run", "POLIS_URL"});
   expectSays(greet({}, "ghost-user"), 1,
              {"Nothing was changed", "no account ghost-user", "create-account ghost-user"});
   expectSays(greet({}, "Not A Name"), 1, {"is not an account name"});
   expectSays(harness::runPolis({"new", "app", "explorer", (folder() / "explorer").string()}), 1,
              {"is taken on every chain", "Explorer"});

   const auto mine = (folder() / "mine.pem").string(), other = (folder() / "other.pem").string();
   expectSays(harness::runPolis({"key", mine}), 0, {"PUBLIC KEY"});
   expectSays(harness::runPolis({"key", other}), 0, {"PUBLIC KEY"});
   expectSays(polis({"create-account", "key-owner", "--key", mine, "--sender", "prod"}), 0, {"key-owner is made"});
   expectSays(greet({}, "key-owner"), 1, {"key-owner acts with a key", "--sign"});
   expectSays(greet({"--sign", other}, "key-owner"), 1, {"not the one of key-owner", "polis key"});
   expectSays(greet({"--sign", mine}, "key-owner"), 0, {"final"});

   expectSays(polis({"push", "hello", "greet"}), 1, {"no file hello", "--sender"});
   expectSays(polis({"push", "--sender", "prod", "no-app", "greet", "{}"}), 1, {"no service no-app"});
   expectSays(polis({"push", "--sender", "prod", "hello", "shout", "{}"}), 1, {"no action shout", "greet"});
   expectSays(polis({"push", "--sender", "prod", "hello", "greet", R"({"txt":"x"})"}), 1,
              {"hello::greet has no argument txt; it takes text"});
}

TEST_F(Guide, aMemberIsInvited) {
   const auto made = polis({"invite", "--accounts", "3", "--public", "https://community.org/"});
   expectSays(made, 0, {"https://accounts.community.org/invite?token=", "3 accounts", "one week"});
   const auto told = polis({"invite", "--json", "--sender", "prod"});
   expectSays(told, 0, {"\"accounts\":1", "http://accounts.polis.localhost:" + std::to_string(node().port())});
   const auto at = told.output.find("\"id\":") + 5;
   const auto id = told.output.substr(at, told.output.find_first_of(",}", at) - at);
   const auto shown = client().get("invite", "/api/invite?id=" + id);
   EXPECT_NE(shown.body.find("\"inviter\":\"prod\",\"numAccounts\":1"), std::string::npos) << shown.body;
   EXPECT_NE(shown.body.find("\"state\":\"open\""), std::string::npos) << shown.body;
   expectSays(polis({"invite", "--accounts", "0"}), 2, {"--accounts"});
   expectSays(polis({"push", "--sender", "prod", "invite", "delInvite", "{\"inviteId\":" + id + "}"}), 0, {"final"});
   EXPECT_EQ(client().get("invite", "/api/invite?id=" + id).status, 404);
}

/// Whatever a package does after its installation may be done again.
TEST_F(Guide, packagesAreInstalledOverThemselves) {
   std::vector<std::string> command{"install", "--reinstall"};
   for (const auto* name : {"Accounts", "Credentials", "Events", "Explorer", "FaucetTok", "Producers", "SetCode",
                            "Supervisor", "Tokens", "Transact"})
      command.emplace_back(name);
   expectSays(polis(command), 0, {"Installing FaucetTok", "Installing Transact", "Done."});
   EXPECT_EQ(client().get("faucet-tok", "/api/token").status, 200);
}

/// Whoever installs a package may act for many accounts, as `root` for those of the whole chain. It gets none of them
/// but its own.
TEST_F(Guide, aPackageTakesNoAccountThatIsThere) {
   const auto file = folder() / "cute.psi";
   const std::string meta = R"({"name":"Cute","version":"1.0.0","description":"","depends":[],"services":[],)"
                            R"("accounts":["cute-page","hello","root"]})",
                     page = "<h1>Mine</h1>",
                     script = R"([{"sender":"root","service":"accounts","method":"setAuthServ",)"
                              R"("data":{"authService":"auth-any"}}])";
   zip_t* archive = zip_open(file.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
   ASSERT_NE(archive, nullptr);
   const auto add = [&](const char* name, const std::string& text) {
      ASSERT_GE(zip_file_add(archive, name, zip_source_buffer(archive, text.data(), text.size(), 0), ZIP_FL_OVERWRITE),
                0)
          << name;
   };
   add("meta.json", meta);
   add("data/hello/index.html", page);
   add("script/postinstall.json", script);
   ASSERT_EQ(zip_close(archive), 0);
   const auto before = client().get("hello", "/").body;
   expectSays(
       polis({"install", file.string()}), 1,
       {"Cute does more than install itself", "takes the account hello, which is there already, with the package Hello",
        "takes the account root, which is there already and installs it", "Nothing was installed", "--allow-powers"});
   EXPECT_EQ(client().get("hello", "/").body, before);
   EXPECT_EQ(client().get("accounts", "/api/account?name=cute-page").status, 404);
   // Another owner's of the same name is another's, too.
   const auto hello = (harness::dataFolder() / "packages/Hello.psi").string();
   expectSays(polis({"install", hello, "--sender", "prod"}), 1, {"takes the account hello"});
   expectSays(polis({"install", hello}), 0, {"Installing Hello"});
   // Neither does another package under the name of one that came with the chain.
   const auto other = folder() / "hello.psi";
   std::filesystem::copy_file(hello, other);
   archive = zip_open(other.c_str(), 0, nullptr);
   ASSERT_NE(archive, nullptr);
   add("data/hello/index.html", page);
   ASSERT_EQ(zip_close(archive), 0);
   expectSays(polis({"install", other.string()}), 1, {"takes the place of Hello, which comes with every chain"});
   EXPECT_EQ(client().get("hello", "/").body, before);
}

TEST_F(Guide, theNodesOwnServicesAreUpgradedInPlace) {
   const auto package = (harness::dataFolder() / "packages/XAdmin.psi").string();
   ASSERT_EQ(client().get("x-admin", "/").status, 200);
   ASSERT_EQ(harness::requestWith(node().port(), client().host("x-admin"), "DELETE", "/index.html", "").status, 200);
   ASSERT_EQ(client().get("x-admin", "/").status, 404);
   expectSays(polis({"install", package}), 1, {"may do everything on the node", "--allow-powers"});
   expectSays(polis({"install", package, "--allow-powers"}), 0, {"Installing XAdmin", "on the node"});
   EXPECT_EQ(client().get("x-admin", "/").status, 200);
   // All of them, while they answer.
   expectSays(polis({"install", "XDefault"}), 0, {"Installing XHttp", "Installing XDefault", "Done."});
   EXPECT_EQ(client().get("hello", "/").status, 200);
}

} // namespace polis::e2e
