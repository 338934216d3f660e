// Logging. Cheap when the level is off; safe from every thread. Native only.
#pragma once

#include <cstdint>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>

namespace polis::log {

enum class Level : std::uint8_t { debug, info, warning, error };

/// Messages below `level` are dropped. Default: info.
void setLevel(Level level) noexcept;
bool enabled(Level level) noexcept;

/// "debug", "info", "warning", "error"; false for any other text.
bool parseLevel(std::string_view text, Level& level) noexcept;

/// "debug", "info", "warning", "error".
std::string_view levelName(Level level) noexcept;

/// Writes one line to standard error, and to the sink if there is one. source: who speaks, where not the node itself.
void write(Level level, std::string_view message, std::string_view source = {});

/// Called with every message that passes the level, and its source, under no lock of the caller; empty to remove. At
/// most one. May be called by the thread that removes it, and until that returns.
using Sink = std::function<void(Level, std::string_view message, std::string_view source)>;
void setSink(Sink sink);

/// Parts are put together with operator<<.
template <class... Parts>
void message(Level level, const Parts&... parts) {
   if (!enabled(level))
      return;
   std::ostringstream text;
   (text << ... << parts);
   write(level, text.str());
}

template <class... Parts>
void debug(const Parts&... parts) {
   message(Level::debug, parts...);
}
template <class... Parts>
void info(const Parts&... parts) {
   message(Level::info, parts...);
}
template <class... Parts>
void warning(const Parts&... parts) {
   message(Level::warning, parts...);
}
template <class... Parts>
void error(const Parts&... parts) {
   message(Level::error, parts...);
}

} // namespace polis::log
