#pragma once
#include "base/log.hpp"
#include "base/mutex.hpp"
#include "http/exchange.hpp"
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace polis::node {

/// Which severities a follower wants: "Severity >= info" and the like.
struct LogFilter {
   /// A bit for each log::Level.
   std::uint8_t levels = 0xF;
   bool wants(log::Level level) const { return levels >> static_cast<unsigned>(level) & 1; }
};

/// `Severity OP NAME`; OP is one of >= > <= < = !=, NAME one of debug, info, notice, warning, error, critical. Empty:
/// everything. Errors: a sentence.
[[nodiscard]] std::expected<LogFilter, std::string> parseLogFilter(std::string_view text);

/// The log as it is written, for those who follow it over a WebSocket, and its newest records. Any thread.
class LogFeed {
public:
   static constexpr std::size_t recordsMax = 500;
   static constexpr std::size_t recordBytesMax = 8192; ///< of a message; the rest is cut off
   static constexpr std::size_t followersMax = 32;

   /// Takes over the process's log sink until the end of its life.
   LogFeed();
   ~LogFeed();
   LogFeed(const LogFeed&) = delete;
   LogFeed& operator=(const LogFeed&) = delete;

   /// Turns a WebSocket handshake into a follower, who first says what it wants:
   /// {"filter": "Severity >= warning", "recent": 100}, both optional, and may say so again at any time. `recent`: how
   /// many of the records that were written before it wants first. Each message to it is one record:
   /// {"TimeStamp", "Severity", "Message", "Service"?}, or {"error"} for what it said.
   void follow(const std::shared_ptr<http::Exchange>& exchange, const format::HttpRequest& request);

   /// Records at hand, newest last, as JSON. For tests.
   std::vector<std::string> recent() const;

private:
   struct Record {
      log::Level level;
      std::string json;
   };
   class Follower;

   void add(log::Level level, std::string_view message, std::string_view source);
   void settings(const std::shared_ptr<Follower>& follower, std::string_view json);
   void remove(const Follower* follower);

   mutable Mutex mutex_;
   std::deque<Record> records_ GUARDED_BY(mutex_);
   std::vector<std::shared_ptr<Follower>> followers_ GUARDED_BY(mutex_);
};

} // namespace polis::node
