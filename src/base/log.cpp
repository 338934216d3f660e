#include "base/log.hpp"

#include "base/mutex.hpp"

#include <atomic>
#include <memory>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace polis::log {
namespace {

std::atomic<Level> threshold{Level::info};

spdlog::logger& logger() {
   static const std::shared_ptr<spdlog::logger> instance = [] {
      auto made = std::make_shared<spdlog::logger>("polis", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
      made->set_level(spdlog::level::trace);
      made->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%-7l%$ %v");
      return made;
   }();
   return *instance;
}

struct SinkSlot {
   Mutex mutex;
   std::shared_ptr<const Sink> sink GUARDED_BY(mutex);
};
SinkSlot& sinkSlot() {
   static SinkSlot slot;
   return slot;
}

spdlog::level::level_enum toSpdlog(Level level) {
   switch (level) {
   case Level::debug:
      return spdlog::level::debug;
   case Level::info:
      return spdlog::level::info;
   case Level::warning:
      return spdlog::level::warn;
   case Level::error:
      return spdlog::level::err;
   }
   return spdlog::level::err;
}

} // namespace

void setLevel(Level level) noexcept { threshold.store(level, std::memory_order_relaxed); }
bool enabled(Level level) noexcept { return level >= threshold.load(std::memory_order_relaxed); }

bool parseLevel(std::string_view text, Level& level) noexcept {
   for (const auto candidate : {Level::debug, Level::info, Level::warning, Level::error})
      if (text == levelName(candidate)) {
         level = candidate;
         return true;
      }
   return false;
}

std::string_view levelName(Level level) noexcept {
   switch (level) {
   case Level::debug:
      return "debug";
   case Level::info:
      return "info";
   case Level::warning:
      return "warning";
   case Level::error:
      return "error";
   }
   return "error";
}

void write(Level level, std::string_view message, std::string_view source) {
   if (!enabled(level))
      return;
   std::string line;
   if (!source.empty())
      line.append(source).append(": ");
   line.append(message);
   logger().log(toSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
   std::shared_ptr<const Sink> sink;
   {
      Lock lock(sinkSlot().mutex);
      sink = sinkSlot().sink;
   }
   if (sink)
      (*sink)(level, message, source);
}

void setSink(Sink sink) {
   auto next = sink ? std::make_shared<const Sink>(std::move(sink)) : nullptr;
   Lock lock(sinkSlot().mutex);
   sinkSlot().sink = std::move(next);
}

} // namespace polis::log
