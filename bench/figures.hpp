// The lines in which suites tell their figures, and the options of those without peers.
#pragma once

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace polis::bench {

/// One figure as a line of JSON. suite, name and engine hold no characters that JSON would escape.
inline void printJson(std::string_view suite, std::string_view name, std::string_view engine, const char* metric,
                      double value, const char* unit) {
   const auto width = [](std::string_view text) { return static_cast<int>(text.size()); };
   std::printf(R"({"suite":"%.*s","case":"%.*s","engine":"%.*s","metric":"%s","value":%.6g,"unit":"%s"})"
               "\n",
               width(suite), suite.data(), width(name), name.data(), width(engine), engine.data(), metric, value, unit);
   std::fflush(stdout);
}

struct Options {
   bool json = false;
   bool quick = false;
   std::vector<std::string> only{}; ///< parts; empty: all

   bool wants(std::string_view part) const { return only.empty() || std::ranges::find(only, part) != only.end(); }
};

class Figures {
public:
   Figures(std::string_view suite, bool json) : suite_(suite), json_(json) {}

   void operator()(const std::string& name, const char* metric, double value, const char* unit) const {
      if (json_)
         return printJson(suite_, name, "polis", metric, value, unit);
      std::printf("%-28s %-20s %12.1f %s\n", name.c_str(), metric, value, unit);
      std::fflush(stdout);
   }

private:
   std::string suite_;
   bool json_;
};

/// The `main` of a suite: reads its options and runs it. parts: what `--only` may name. Returns the exit code; 1 when
/// `run` throws a std::exception.
template <class Run>
int suiteMain(std::string_view suite, int argc, char** argv, const std::vector<std::string_view>& parts, Run&& run) {
   Options options;
   for (int i = 1; i < argc; ++i) {
      const std::string_view argument = argv[i];
      if (argument == "--json") {
         options.json = true;
      } else if (argument == "--quick") {
         options.quick = true;
      } else if (argument == "--only" && i + 1 < argc && std::ranges::find(parts, argv[i + 1]) != parts.end()) {
         options.only.emplace_back(argv[++i]);
      } else {
         std::cerr << suite << "_bench [--json] [--quick]";
         for (const auto part : parts)
            std::cerr << (part == parts.front() ? " [--only " : "|") << part << (part == parts.back() ? "]..." : "");
         std::cerr << "\n";
         return 2;
      }
   }
   try {
      run(options, Figures(suite, options.json));
      return 0;
   } catch (const std::exception& error) {
      std::cerr << suite << "_bench: " << error.what() << "\n";
      return 1;
   }
}

} // namespace polis::bench
