#include "node/log_feed.hpp"
#include "base/clock.hpp"
#include "format/json.hpp"
#include "format/time_text.hpp"
#include "http/reply_writer.hpp"
#include <algorithm>
#include <array>
#include <optional>

namespace polis::node {

namespace {

struct FollowerSettings {
   std::optional<std::string> filter{};
   std::optional<std::string> format{};
   std::uint32_t recent = 0;
};

/// In the protocol's order. Ours are some of them.
constexpr std::array<std::string_view, 6> severities = {"debug", "info", "notice", "warning", "error", "critical"};

std::size_t severityOf(log::Level level) {
   return static_cast<std::size_t>(std::ranges::find(severities, log::levelName(level)) - severities.begin());
}

std::string_view trimmed(std::string_view text) {
   while (text.starts_with(' '))
      text.remove_prefix(1);
   while (text.ends_with(' '))
      text.remove_suffix(1);
   return text;
}

void sendText(http::Exchange& exchange, std::string_view text) {
   exchange.send(toBytes(text), http::MessageKind::text);
}

const std::string* header(const format::HttpRequest& request, std::string_view name) {
   for (const auto& h : request.headers)
      if (http::equalsIgnoringCase(h.name, name))
         return &h.value;
   return nullptr;
}

} // namespace

std::expected<LogFilter, std::string> parseLogFilter(std::string_view text) {
   text = trimmed(text);
   if (text.empty())
      return LogFilter{};
   const std::string problem = "This filter is not understood; an example is: Severity >= info";
   constexpr std::string_view subject = "Severity";
   if (!text.starts_with(subject))
      return std::unexpected(problem);
   text = trimmed(text.substr(subject.size()));
   const auto op = text.substr(0, text.find_first_not_of("<>=!"));
   const auto name = trimmed(text.substr(op.size()));
   const auto at = std::ranges::find(severities, name);
   if (at == severities.end())
      return std::unexpected(problem);
   const auto bound = static_cast<std::size_t>(at - severities.begin());
   LogFilter filter{0};
   for (const auto level : {log::Level::debug, log::Level::info, log::Level::warning, log::Level::error}) {
      const auto severity = severityOf(level);
      bool wanted = false;
      if (op == ">=")
         wanted = severity >= bound;
      else if (op == ">")
         wanted = severity > bound;
      else if (op == "<=")
         wanted = severity <= bound;
      else if (op == "<")
         wanted = severity < bound;
      else if (op == "=" || op == "==")
         wanted = severity == bound;
      else if (op == "!=")
         wanted = severity != bound;
      else
         return std::unexpected(problem);
      if (wanted)
         filter.levels |= static_cast<std::uint8_t>(1u << static_cast<unsigned>(level));
   }
   return filter;
}

class LogFeed::Follower final : public http::ExchangeEvents, public std::enable_shared_from_this<Follower> {
public:
   Follower(LogFeed& feed, std::shared_ptr<http::Exchange> exchange) : feed_(feed), exchange_(std::move(exchange)) {}

   http::Exchange& exchange() { return *exchange_; }
   /// Under the feed's lock. Nothing before it has said what it wants.
   std::optional<LogFilter> filter;

   void opened() override { exchange_->receive(); }
   void message(Bytes&& data, http::MessageKind) override {
      feed_.settings(shared_from_this(), asText(data));
      exchange_->receive();
   }
   void gone() override { feed_.remove(this); }

private:
   LogFeed& feed_; ///< owns this
   std::shared_ptr<http::Exchange> exchange_;
};

LogFeed::LogFeed() {
   log::setSink(
       [this](log::Level level, std::string_view message, std::string_view source) { add(level, message, source); });
}

LogFeed::~LogFeed() { log::setSink({}); }

void LogFeed::add(log::Level level, std::string_view message, std::string_view source) {
   std::string text(message.substr(0, recordBytesMax));
   if (!format::isUtf8(text)) // also where a character was cut
      for (char& c : text)
         if (static_cast<unsigned char>(c) >= 0x80)
            c = '?';
   std::string json;
   format::JsonWriter writer(json);
   writer.beginObject();
   writer.key("TimeStamp");
   writer.string(format::timeText(format::TimePointUSec{SystemClock().realtimeNs() / 1000}));
   writer.key("Severity");
   writer.string(log::levelName(level));
   writer.key("Message");
   writer.string(text);
   if (!source.empty()) {
      writer.key("Service");
      writer.string(source);
   }
   writer.endObject();

   Lock lock(mutex_);
   for (const auto& follower : followers_)
      if (follower->filter && follower->filter->wants(level))
         sendText(follower->exchange(), json);
   records_.push_back({level, std::move(json)});
   if (records_.size() > recordsMax)
      records_.pop_front();
}

void LogFeed::follow(const std::shared_ptr<http::Exchange>& exchange, const format::HttpRequest& request) {
   const auto* key = header(request, "Sec-WebSocket-Key");
   if (!key) {
      auto reply = http::textReply(426, "The log is followed over a WebSocket.");
      reply.headers.push_back({"Upgrade", "websocket"});
      (void)exchange->reply(std::move(reply));
      return;
   }
   auto follower = std::make_shared<Follower>(*this, exchange);
   {
      Lock lock(mutex_);
      if (followers_.size() >= followersMax) {
         (void)exchange->reply(http::textReply(503, "Too many follow the log already."));
         return;
      }
      followers_.push_back(follower);
   }
   exchange->setEvents(follower);
   format::HttpReply reply;
   reply.status = 101;
   reply.headers = {
       {"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", http::webSocketAccept(*key)}};
   if (!exchange->reply(std::move(reply)))
      remove(follower.get());
}

void LogFeed::settings(const std::shared_ptr<Follower>& follower, std::string_view json) {
   const auto refuse = [&](std::string_view why) {
      std::string text;
      format::JsonWriter writer(text);
      writer.beginObject();
      writer.key("error");
      writer.string(why);
      writer.endObject();
      sendText(follower->exchange(), text);
   };
   constexpr std::size_t settingsBytesMax = 4096;
   if (json.size() > settingsBytesMax)
      return refuse("These settings are too long.");
   const auto wanted = format::fromJson<FollowerSettings>(json);
   if (!wanted)
      return refuse("Malformed settings: " + wanted.error().message + ".");
   if (wanted->format)
      return refuse("Records are sent as JSON; other formats are not made here.");
   const auto filter = parseLogFilter(wanted->filter.value_or(""));
   if (!filter)
      return refuse(filter.error());
   Lock lock(mutex_);
   follower->filter = *filter;
   std::vector<const Record*> recent;
   for (auto at = records_.rbegin(); at != records_.rend() && recent.size() < wanted->recent; ++at)
      if (filter->wants(at->level))
         recent.push_back(&*at);
   for (auto at = recent.rbegin(); at != recent.rend(); ++at)
      sendText(follower->exchange(), (*at)->json);
}

void LogFeed::remove(const Follower* follower) {
   std::shared_ptr<Follower> last; // ends outside of the lock
   Lock lock(mutex_);
   const auto at = std::ranges::find(followers_, follower, &std::shared_ptr<Follower>::get);
   if (at == followers_.end())
      return;
   last = std::move(*at);
   followers_.erase(at);
}

std::vector<std::string> LogFeed::recent() const {
   Lock lock(mutex_);
   std::vector<std::string> out;
   for (const auto& record : records_)
      out.push_back(record.json);
   return out;
}

} // namespace polis::node
