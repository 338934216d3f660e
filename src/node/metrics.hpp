// Figures of a running node, and how they are told: OpenMetrics 1.0 text. docs/operator.md lists them.
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace polis::node {

/// How long something took, counted in fixed classes. Any thread; nobody waits.
class DurationCounts {
public:
   /// Upper ends of the classes, milliseconds, ends included; one more class has all that took longer.
   static constexpr std::array<std::uint32_t, 16> endsMs{1,   2,   5,   10,   20,   50,   100,    200,
                                                         350, 500, 750, 1000, 1500, 3000, 10'000, 60'000};

   void add(std::chrono::nanoseconds took);

   struct Counts {
      std::array<std::uint64_t, endsMs.size() + 1> classes{}; ///< each by itself
      std::uint64_t sumUs = 0;
   };
   Counts counts() const;

private:
   std::array<std::atomic<std::uint64_t>, endsMs.size() + 1> classes_{};
   std::atomic<std::uint64_t> sumUs_ = 0;
};

/// What is kept for the metrics by those who do the work. Outlives them.
struct Measures {
   DurationCounts pushApplied; ///< from a pushed transaction's arrival until its sender was told that it is executed
   DurationCounts pushFinal;   ///< ... that it is irreversible
   std::atomic<std::uint64_t> framesSent = 0, frameBytesSent = 0;         ///< to neighbours, by the peer protocol
   std::atomic<std::uint64_t> framesReceived = 0, frameBytesReceived = 0; ///< from them
};

using MetricLabels = std::vector<std::pair<std::string_view, std::string_view>>;

/// Writes one exposition. Names come without the prefix `polis_`, and each family once.
class MetricsText {
public:
   void gauge(std::string_view name, std::string_view help, double value);
   void gauge(std::string_view name, std::string_view help, std::uint64_t value);
   /// name: without `_total`.
   void counter(std::string_view name, std::string_view help, std::uint64_t value);
   /// name: ends in `_seconds`.
   void durations(std::string_view name, std::string_view help, const DurationCounts& counts);
   /// One of several states, the others being 0.
   void state(std::string_view name, std::string_view help, const std::vector<std::string_view>& all,
              std::string_view now);
   /// Facts that do not change while the node runs. name: without `_info`.
   void info(std::string_view name, std::string_view help, const MetricLabels& labels);
   /// A gauge with a value for each of several things.
   struct Sample {
      MetricLabels labels;
      std::uint64_t value = 0;
   };
   void gauges(std::string_view name, std::string_view help, const std::vector<Sample>& samples);

   /// The whole text, with its end.
   std::string finish() &&;

private:
   void family(std::string_view name, std::string_view type, std::string_view help);
   void sample(std::string_view name, std::string_view suffix, const MetricLabels& labels, std::string_view value);

   std::string out_;
};

} // namespace polis::node
