// Where services are in their sources, from the line tables kept beside packages: for `polis test`.
#pragma once

#include "vm/twin.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace polis::cli {

/// A line of a source file, and the function that it belongs to.
struct SourcePlace {
   std::string file; ///< as the compiler was told
   std::uint32_t line = 0;
   std::string function;
   auto operator<=>(const SourcePlace&) const = default;
};

/// One thread, the one that runs guest code.
class SourceLines {
public:
   /// folders: those of packages, each with its folder `debug`. coverage: counts the runs of each line.
   SourceLines(const std::vector<std::filesystem::path>& folders, bool coverage);

   /// The code with line tables that runs in place of this one; null if there is none.
   std::shared_ptr<vm::Twin> twinOf(const std::array<std::uint8_t, 32>& hash);

   /// A transaction or action of the program ran.
   void ran(bool failed);
   /// How many have failed.
   std::uint32_t failures() const { return static_cast<std::uint32_t>(failures_.size()); }
   /// The calls in services that led to a failure, counted from 1: a line each, `file:line function`, the innermost
   /// first. Empty if nothing is known of it.
   std::string text(std::uint32_t failure);

   /// File → line → how often its most run instruction was run; of the files that are here and not the system's.
   using Coverage = std::map<std::string, std::map<std::uint32_t, std::uint64_t>>;
   Coverage coverage() const;

private:
   /// A line, by a name in sources_.
   using Line = std::pair<const std::string*, std::uint32_t>;
   struct Covered {
      std::shared_ptr<vm::Twin> twin;
      std::vector<std::vector<Line>> lines; ///< of each mark
   };
   /// Where guest code stopped.
   struct Stop {
      std::filesystem::path file;
      std::vector<std::uint32_t> addresses;
   };

   void mark(vm::Twin& twin, const std::filesystem::path& file);
   /// Where a file is, from what the compiler called it. Empty: not here, or the system's.
   const std::string& sourceOf(const std::string& name);

   bool coverage_;
   std::map<std::array<std::uint8_t, 32>, std::filesystem::path> files_;
   std::map<std::string, std::string> sources_;
   std::vector<Covered> covered_;
   std::vector<Stop> stops_;
   std::vector<std::vector<Stop>> failures_;
};

} // namespace polis::cli
