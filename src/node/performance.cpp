#include "node/performance.hpp"
#include "base/clock.hpp"
#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace polis::node {

namespace {

std::string textOf(const std::filesystem::path& file) {
   std::ifstream in(file);
   std::ostringstream out;
   out << in.rdbuf();
   return out.str();
}

std::string_view takeLine(std::string_view& text) {
   const auto line = text.substr(0, text.find('\n'));
   text.remove_prefix(std::min(line.size() + 1, text.size()));
   return line;
}

std::string_view takeWord(std::string_view& text) {
   text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
   const auto word = text.substr(0, text.find(' '));
   text.remove_prefix(word.size());
   return word;
}

std::uint64_t number(std::string_view text) {
   std::uint64_t value = 0;
   std::from_chars(text.data(), text.data() + text.size(), value);
   return value;
}

/// What a mapping is for: a member of MemoryUse.
std::uint64_t MemoryUse::* use(bool executable, std::string_view path, const std::string& folder) {
   if (path.starts_with(folder + "/code/"))
      return &MemoryUse::wasmCode;
   if (path.starts_with(folder + "/"))
      return &MemoryUse::database;
   if (path.starts_with("/memfd:"))
      return &MemoryUse::wasmMemory;
   if (path.starts_with('/'))
      return executable ? &MemoryUse::code : &MemoryUse::data;
   // What is run from memory without a file was compiled here; [vdso] is the system's.
   if (executable)
      return path.empty() ? &MemoryUse::wasmCode : &MemoryUse::code;
   return &MemoryUse::unclassified;
}

} // namespace

MemoryUse memoryUse(std::string_view smaps, const std::filesystem::path& folder) {
   MemoryUse result;
   auto current = &MemoryUse::unclassified;
   while (!smaps.empty()) {
      auto line = takeLine(smaps);
      const auto first = takeWord(line);
      if (first == "Rss:")
         result.*current += number(takeWord(line)) * 1024;
      else if (!first.empty() && !first.ends_with(':')) {
         // 7f00-7f10 r-xp 00000000 08:01 1234   /path
         const auto rights = takeWord(line);
         for (int i = 0; i < 3; ++i)
            takeWord(line);
         line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
         current = use(rights.contains('x'), line, folder.string());
      }
   }
   return result;
}

std::optional<ThreadUse> threadUse(std::string_view stat, std::string_view io, std::uint64_t ticksPerSecond) {
   // 42 (name, of any characters) S …
   const auto begin = stat.find('('), end = stat.rfind(')');
   if (begin == stat.npos || end == stat.npos || end < begin || ticksPerSecond == 0)
      return std::nullopt;
   ThreadUse result;
   result.id = static_cast<std::uint32_t>(number(stat));
   result.group = stat.substr(begin + 1, end - begin - 1);
   auto rest = stat.substr(end + 1);
   // Numbered as in proc(5): state is 3, majflt 12, utime 14, stime 15.
   for (int field = 3; field <= 15; ++field) {
      const auto word = takeWord(rest);
      if (word.empty())
         return std::nullopt;
      if (field == 12)
         result.pageFaults = number(word);
      else if (field == 14)
         result.user = number(word) * 1'000'000 / ticksPerSecond;
      else if (field == 15)
         result.system = number(word) * 1'000'000 / ticksPerSecond;
   }
   while (!io.empty()) {
      auto line = takeLine(io);
      const auto name = takeWord(line);
      if (name == "read_bytes:")
         result.read = number(takeWord(line));
      else if (name == "write_bytes:")
         result.written = number(takeWord(line));
   }
   return result;
}

std::uint64_t residentBytes() {
   const auto text = textOf("/proc/self/statm");
   std::string_view rest = text;
   takeWord(rest);
   return number(takeWord(rest)) * static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_PAGESIZE)));
}

Performance measurePerformance(const std::filesystem::path& folder) {
   Performance result;
   result.timestamp = SystemClock().monotonicNs() / 1000;
   std::error_code failed;
   const auto absolute = std::filesystem::canonical(folder, failed);
   result.memory = memoryUse(textOf("/proc/self/smaps"), failed ? folder : absolute);
   const auto ticks = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
   for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", failed))
      if (auto thread = threadUse(textOf(entry.path() / "stat"), textOf(entry.path() / "io"), ticks))
         result.tasks.push_back(std::move(*thread));
   std::ranges::sort(result.tasks, {}, &ThreadUse::id);
   return result;
}

} // namespace polis::node
