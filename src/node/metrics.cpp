#include "node/metrics.hpp"
#include <algorithm>
#include <charconv>

namespace polis::node {

namespace {

std::string numberText(double value) {
   char text[32];
   return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string secondsText(std::uint64_t us) { return numberText(static_cast<double>(us) / 1e6); }

/// Within a label's value and in help, as the format wants it.
std::string escaped(std::string_view text) {
   std::string out;
   for (const char c : text) {
      if (c == '\n') {
         out += "\\n";
         continue;
      }
      if (c == '\\' || c == '"')
         out += '\\';
      out += c;
   }
   return out;
}

} // namespace

void DurationCounts::add(std::chrono::nanoseconds took) {
   const auto us = std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(took).count());
   const auto place =
       std::ranges::lower_bound(endsMs, us, {}, [](std::uint32_t ms) { return std::int64_t{ms} * 1000; });
   classes_[static_cast<std::size_t>(place - endsMs.begin())].fetch_add(1, std::memory_order_relaxed);
   sumUs_.fetch_add(static_cast<std::uint64_t>(us), std::memory_order_relaxed);
}

DurationCounts::Counts DurationCounts::counts() const {
   Counts out;
   for (std::size_t i = 0; i < classes_.size(); ++i)
      out.classes[i] = classes_[i].load(std::memory_order_relaxed);
   out.sumUs = sumUs_.load(std::memory_order_relaxed);
   return out;
}

void MetricsText::family(std::string_view name, std::string_view type, std::string_view help) {
   const auto line = [&](std::string_view what, std::string_view text) {
      ((((out_ += "# ") += what) += " polis_") += name) += ' ';
      (out_ += text) += '\n';
   };
   line("TYPE", type);
   if (name.ends_with("_seconds"))
      line("UNIT", "seconds");
   if (name.ends_with("_bytes"))
      line("UNIT", "bytes");
   line("HELP", escaped(help));
}

void MetricsText::sample(std::string_view name, std::string_view suffix, const MetricLabels& labels,
                         std::string_view value) {
   ((out_ += "polis_") += name) += suffix;
   char before = '{';
   for (const auto& [label, text] : labels) {
      out_ += std::exchange(before, ',');
      ((((out_ += label) += "=\"") += escaped(text)) += '"');
   }
   if (!labels.empty())
      out_ += '}';
   ((out_ += ' ') += value) += '\n';
}

void MetricsText::gauge(std::string_view name, std::string_view help, double value) {
   family(name, "gauge", help);
   sample(name, "", {}, numberText(value));
}

void MetricsText::gauge(std::string_view name, std::string_view help, std::uint64_t value) {
   gauges(name, help, {{{}, value}});
}

void MetricsText::gauges(std::string_view name, std::string_view help, const std::vector<Sample>& samples) {
   family(name, "gauge", help);
   for (const auto& [labels, value] : samples)
      sample(name, "", labels, std::to_string(value));
}

void MetricsText::counter(std::string_view name, std::string_view help, std::uint64_t value) {
   family(name, "counter", help);
   sample(name, "_total", {}, std::to_string(value));
}

void MetricsText::durations(std::string_view name, std::string_view help, const DurationCounts& counts) {
   family(name, "histogram", help);
   const auto now = counts.counts();
   std::uint64_t soFar = 0;
   for (std::size_t i = 0; i < now.classes.size(); ++i) {
      soFar += now.classes[i];
      const std::string end =
          i < DurationCounts::endsMs.size() ? secondsText(std::uint64_t{DurationCounts::endsMs[i]} * 1000) : "+Inf";
      sample(name, "_bucket", {{"le", end}}, std::to_string(soFar));
   }
   sample(name, "_count", {}, std::to_string(soFar));
   sample(name, "_sum", {}, secondsText(now.sumUs));
}

void MetricsText::state(std::string_view name, std::string_view help, const std::vector<std::string_view>& all,
                        std::string_view now) {
   family(name, "stateset", help);
   const std::string label = "polis_" + std::string(name);
   for (const auto one : all)
      sample(name, "", {{label, one}}, one == now ? "1" : "0");
}

void MetricsText::info(std::string_view name, std::string_view help, const MetricLabels& labels) {
   family(name, "info", help);
   sample(name, "_info", labels, "1");
}

std::string MetricsText::finish() && {
   out_ += "# EOF\n";
   return std::move(out_);
}

} // namespace polis::node
