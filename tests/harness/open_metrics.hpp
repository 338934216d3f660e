#pragma once

#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace polis::harness {

struct MetricSample {
   std::string name; ///< with its suffix
   std::map<std::string, std::string> labels;
   double value = 0;
};

struct MetricFamily {
   std::string type, unit, help;
   std::vector<MetricSample> samples;
};

using Metrics = std::map<std::string, MetricFamily>;

/// Reads OpenMetrics 1.0 text, as strictly as its specification, without timestamps and exemplars. Error: what is
/// wrong, and in which line.
std::expected<Metrics, std::string> parseOpenMetrics(std::string_view text);

/// The value of a family with one sample, without labels. Throws std::runtime_error when it is not there.
double metricValue(const Metrics& metrics, const std::string& family);
/// The end of the class of a histogram in which the share lies, in its unit; 0 without any samples.
double metricQuantile(const Metrics& metrics, const std::string& family, double share);

} // namespace polis::harness
