#include "cli/source_lines.hpp"

#include "base/fault.hpp"
#include "base/read_all.hpp"
#include "base/temporary_folder.hpp"
#include "cli/sdk_folder.hpp"
#include "format/hash.hpp"
#include "node/package.hpp"
#include "vm/binary.hpp"
#include "vm/metering.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

namespace polis::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* symbolizer = "llvm-symbolizer-19";
constexpr const char* missing = "source lines need llvm-symbolizer-19 (Debian's package llvm-19)";
constexpr std::uint64_t moduleBytesMax = std::uint64_t{64} << 20;
/// What sdk/cmake/wasm.cmake calls the repository.
constexpr std::string_view repositoryName = "/polis/";
constexpr std::size_t failuresMax = 100'000;

/// Addresses in line tables count from the first byte of the code section's contents.
std::uint32_t codeBegin(ByteView code) {
   vm::Reader in(code);
   in.take(8);
   while (in.ok() && !in.atEnd()) {
      const std::uint8_t section = in.u8();
      const std::uint32_t bytes = in.u32();
      if (section == 10)
         return static_cast<std::uint32_t>(in.offset());
      in.take(bytes);
   }
   return 0;
}

/// Where the repository's own sources are, if they are here.
std::optional<fs::path> repository() {
   const auto sdk = findSdkFolder();
   return sdk ? std::optional(sdk->parent_path()) : std::nullopt;
}

fs::path realPath(std::string_view name) {
   const std::string path = fs::path(name).lexically_normal().string();
   if (path.starts_with(repositoryName))
      if (const auto own = repository())
         return *own / path.substr(repositoryName.size());
   return path;
}

std::string shown(const fs::path& file) {
   for (const auto& folder : {std::optional(fs::current_path()), repository()})
      if (folder)
         if (const fs::path inside = file.lexically_relative(*folder); !inside.empty() && *inside.begin() != "..")
            return inside.string();
   return file.string();
}

/// A function's name without what its templates were given.
std::string bare(const std::string& function) {
   return function.starts_with("operator") ? function.substr(0, function.find('<', 10))
                                           : function.substr(0, function.find('<'));
}

std::string quoted(const fs::path& path) {
   std::string out = "'";
   for (const char c : path.string())
      out += c == '\'' ? std::string("'\\''") : std::string(1, c);
   return out + "'";
}

/// What the symbolizer prints for each address: name and place of each call, innermost first, then an empty line.
std::vector<std::vector<SourcePlace>> parseSymbolizer(std::string_view text) {
   std::vector<std::vector<SourcePlace>> out;
   std::vector<SourcePlace> group;
   std::istringstream in{std::string(text)};
   for (std::string function, place; std::getline(in, function);) {
      if (function.empty()) {
         out.push_back(std::move(group));
         group.clear();
         continue;
      }
      if (!std::getline(in, place))
         break;
      // file:line:column
      const auto column = place.rfind(':');
      const auto line = column == place.npos || column == 0 ? place.npos : place.rfind(':', column - 1);
      if (line == place.npos)
         continue;
      SourcePlace item{place.substr(0, line), 0, function};
      std::from_chars(place.data() + line + 1, place.data() + column, item.line);
      if (item.line != 0)
         group.push_back(std::move(item));
   }
   return out;
}

/// The calls at each address of a module with line tables, inlined ones included.
/// Nothing without the program that knows.
std::optional<std::vector<std::vector<SourcePlace>>> placesOf(const fs::path& module,
                                                              const std::vector<std::uint32_t>& addresses) {
   const TemporaryFolder scratch("lines");
   const fs::path asked = scratch.path() / "asked", answered = scratch.path() / "answered";
   {
      std::ofstream out(asked);
      for (const std::uint32_t address : addresses)
         out << address << "\n";
   }
   const std::string command = std::string(symbolizer) + " --obj=" + quoted(fs::absolute(module)) + " < " +
                               quoted(asked) + " > " + quoted(answered);
   if (std::system(command.c_str()) != 0)
      return std::nullopt;
   std::ifstream in(answered);
   auto out = parseSymbolizer(readAll(in).value_or(""));
   out.resize(addresses.size());
   return out;
}

} // namespace

SourceLines::SourceLines(const std::vector<fs::path>& folders, bool coverage) : coverage_(coverage) {
   for (const fs::path& folder : folders) {
      std::error_code none;
      for (const auto& file : fs::recursive_directory_iterator(folder / "debug", none)) {
         const auto name = fromHex(file.path().stem().string());
         if (file.path().extension() != ".wasm" || !name || name->size() != 32)
            continue;
         std::array<std::uint8_t, 32> hash;
         std::ranges::copy(*name, hash.begin());
         files_.emplace(hash, file.path());
      }
   }
}

std::shared_ptr<vm::Twin> SourceLines::twinOf(const std::array<std::uint8_t, 32>& hash) {
   const auto found = files_.find(hash);
   if (found == files_.end())
      return nullptr;
   auto twin = std::make_shared<vm::Twin>();
   twin->code = node::readFile(found->second, moduleBytesMax);
   if (coverage_)
      mark(*twin, found->second);
   format::Sha256 digest;
   digest.update(twin->code);
   digest.update(
       ByteView(reinterpret_cast<const std::uint8_t*>(twin->marks.data()), twin->marks.size() * sizeof(std::uint32_t)));
   twin->hash = digest.finish();
   if (coverage_)
      covered_.back().twin = twin;
   const std::uint32_t begin = codeBegin(twin->code);
   twin->stopped = [this, begin, file = found->second](std::span<const std::uint32_t> offsets) {
      Stop& stop = stops_.emplace_back(Stop{file, {}});
      for (const std::uint32_t offset : offsets)
         stop.addresses.push_back(offset - begin);
   };
   return twin;
}

/// Marks the instructions at which the source goes on to another place.
void SourceLines::mark(vm::Twin& twin, const fs::path& file) {
   Covered& covered = covered_.emplace_back();
   const vm::Options options;
   const auto checked = vm::checkModule(twin.code, options);
   vm::Twin whole;
   if (!checked || !vm::meter(*checked, twin.code, options, &whole))
      return;
   const std::uint32_t begin = codeBegin(twin.code);
   std::vector<std::uint32_t> addresses;
   for (const vm::Twin::Place& place : whole.places)
      addresses.push_back(place.code - begin);
   const auto places = placesOf(file, addresses);
   if (!places)
      throw Fault(missing);
   for (std::size_t i = 0; i < places->size(); ++i) {
      const auto& calls = (*places)[i];
      if (calls.empty() || (i > 0 && calls == (*places)[i - 1]))
         continue;
      twin.marks.push_back(whole.places[i].code);
      auto& lines = covered.lines.emplace_back();
      for (const SourcePlace& place : calls)
         if (const std::string& source = sourceOf(place.file); !source.empty())
            lines.emplace_back(&source, place.line);
   }
   twin.counts.resize(twin.marks.size());
}

void SourceLines::ran(bool failed) {
   if (failed && failures_.size() < failuresMax)
      failures_.push_back(std::move(stops_));
   stops_.clear();
}

std::string SourceLines::text(std::uint32_t failure) {
   std::string out;
   if (failure == 0 || failure > failures_.size())
      return out;
   for (const Stop& stop : failures_[failure - 1]) {
      const auto places = placesOf(stop.file, stop.addresses);
      if (!places)
         return missing + std::string("\n");
      for (const auto& calls : *places)
         for (const SourcePlace& place : calls)
            if (const std::string& source = sourceOf(place.file); !source.empty())
               out += shown(source) + ":" + std::to_string(place.line) + " " + bare(place.function) + "\n";
   }
   return out;
}

const std::string& SourceLines::sourceOf(const std::string& name) {
   const auto [at, fresh] = sources_.try_emplace(name);
   if (fresh)
      if (const fs::path path = realPath(name); !path.string().starts_with("/usr/") && fs::is_regular_file(path))
         at->second = path.string();
   return at->second;
}

SourceLines::Coverage SourceLines::coverage() const {
   Coverage out;
   for (const Covered& covered : covered_)
      for (std::size_t i = 0; i < covered.lines.size(); ++i)
         for (const auto& [source, line] : covered.lines[i]) {
            std::uint64_t& count = out[*source][line];
            count = std::max(count, covered.twin->counts[i]);
         }
   return out;
}

} // namespace polis::cli
