// `polis new`: writes the folder of an app to start from. `polis sdk`: where what it builds with is.
#include "base/fault.hpp"
#include "cli/commands.hpp"
#include "cli/sdk_folder.hpp"
#include "format/names.hpp"
#include "node/package.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace polis::cli {

namespace {

constexpr std::size_t nameBytesMin = 8;
constexpr std::uint64_t templateBytesMax = 1 << 20;

/// "guest-book" → "GuestBook".
std::string pascalCase(std::string_view name) {
   std::string out;
   bool upper = true;
   for (const char c : name) {
      if (c == '-') {
         upper = true;
         continue;
      }
      out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      upper = false;
   }
   return out;
}

std::string replaced(std::string text, const std::vector<std::pair<std::string, std::string>>& words) {
   for (const auto& [from, to] : words)
      for (std::size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
         text.replace(at, from.size(), to);
   return text;
}

/// The package that comes with this program and has the account; empty: none.
std::string packageOf(format::AccountNumber account) {
   const auto folder = node::defaultPackageFolder();
   if (std::filesystem::exists(folder / "index.json"))
      for (const auto& entry : node::PackageFolder::open(folder).entries())
         if (std::ranges::find(entry.meta.accounts, account) != entry.meta.accounts.end())
            return entry.meta.name;
   return {};
}

void writeApp(const std::string& name, const std::filesystem::path& folder) {
   const format::AccountNumber account{std::string_view(name)};
   if (!account || account.str() != name || name.find('+') != name.npos || name[0] < 'a' || name[0] > 'z' ||
       name.size() < nameBytesMin || name.starts_with("x-"))
      throw Fault("\"" + name +
                  "\" cannot be the name of an app: it is the name of an account, 8 to 10 characters from a-z, 0-9 and "
                  "-, and begins with a letter (not x-)");
   if (const auto package = packageOf(account); !package.empty())
      throw Fault("\"" + name + "\" is taken on every chain: the package " + package +
                  " comes with it. Choose another name.");
   if (std::filesystem::exists(folder))
      throw Fault(folder.string() + " exists already; choose another name, or another folder: polis new app " + name +
                  " FOLDER");
   const auto source = sdkFolder() / "template";
   const std::vector<std::pair<std::string, std::string>> words = {
       {"@app@", name}, {"@ident@", replaced(name, {{"-", "_"}})}, {"@App@", pascalCase(name)}};
   for (const auto& entry : std::filesystem::recursive_directory_iterator(source)) {
      auto relative = std::filesystem::relative(entry.path(), source);
      if (relative == "gitignore")
         relative = ".gitignore";
      const auto target = folder / replaced(relative.string(), words);
      if (entry.is_directory()) {
         std::filesystem::create_directories(target);
         continue;
      }
      std::filesystem::create_directories(target.parent_path());
      std::ofstream out(target, std::ios::binary);
      out << replaced(std::string(asText(node::readFile(entry.path(), templateBytesMax))), words);
      out.close();
      if (!out)
         throw Fault("cannot write " + target.string());
      std::filesystem::permissions(target, entry.status().permissions());
   }
   std::cout << "Wrote " << folder.string() << ". Next:\n   cd " << folder.string()
             << "\n   ./dev          # builds, tests and installs, and again whenever you save\n";
}

} // namespace

void addNewCommand(CLI::App& app, int& exitCode) {
   auto* command = app.add_subcommand("new", "Write the folder of an app to start from\n"
                                             "\n"
                                             "   polis new app guestbook");
   command->require_subcommand(1);
   auto* kind =
       command->add_subcommand("app", "Service, queries, page, tests: builds and installs as it is\n"
                                      "\n"
                                      "   polis new app guestbook\n"
                                      "   cd guestbook\n"
                                      "   ./dev          # builds, tests and installs, and again whenever you save\n"
                                      "The guide docs/first-app.md goes on from here.");
   auto name = std::make_shared<std::string>();
   auto folder = std::make_shared<std::string>();
   kind->add_option("name", *name, "Its account: 8 to 10 characters from a-z, 0-9 and -")
       ->required()
       ->type_name("NAME");
   kind->add_option("folder", *folder, "Where to; by default a folder of that name here")->type_name("DIR");
   kind->callback([name, folder, &exitCode] {
      writeApp(*name, folder->empty() ? *name : *folder);
      exitCode = 0;
   });
   auto* sdk = app.add_subcommand("sdk", "Print the folder of the SDK\n"
                                         "\n"
                                         "   cmake -G Ninja -S . -B build -DPOLIS_SDK=$(polis sdk)\n"
                                         "   polis sdk");
   sdk->callback([&exitCode] {
      std::cout << sdkFolder().string() << "\n";
      exitCode = 0;
   });
}

} // namespace polis::cli
