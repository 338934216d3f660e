#include "harness/open_metrics.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>

namespace polis::harness {

namespace {

bool isName(std::string_view text, bool label = false) {
   if (text.empty() || (text[0] >= '0' && text[0] <= '9'))
      return false;
   return std::ranges::all_of(text, [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
             (c == ':' && !label);
   });
}

std::optional<double> number(std::string_view text) {
   if (text == "+Inf")
      return std::numeric_limits<double>::infinity();
   double value = 0;
   const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
   if (error != std::errc() || end != text.data() + text.size())
      return std::nullopt;
   return value;
}

/// Takes a text in quotes with its escapes from the front.
std::optional<std::string> quoted(std::string_view& text) {
   std::string out;
   if (!text.starts_with('"'))
      return std::nullopt;
   for (std::size_t i = 1; i < text.size(); ++i) {
      if (text[i] == '"') {
         text.remove_prefix(i + 1);
         return out;
      }
      if (text[i] != '\\') {
         out += text[i];
         continue;
      }
      if (++i == text.size() || (text[i] != 'n' && text[i] != '\\' && text[i] != '"'))
         return std::nullopt;
      out += text[i] == 'n' ? '\n' : text[i];
   }
   return std::nullopt;
}

std::optional<MetricSample> sampleOf(std::string_view line) {
   MetricSample sample;
   const auto end = line.find_first_of("{ ");
   if (end == line.npos || !isName(line.substr(0, end)))
      return std::nullopt;
   sample.name = line.substr(0, end);
   line.remove_prefix(end);
   if (line.starts_with('{')) {
      line.remove_prefix(1);
      while (!line.starts_with('}')) {
         const auto equals = line.find('=');
         if (equals == line.npos || !isName(line.substr(0, equals), true))
            return std::nullopt;
         const std::string label(line.substr(0, equals));
         line.remove_prefix(equals + 1);
         auto value = quoted(line);
         if (!value || !sample.labels.emplace(label, std::move(*value)).second)
            return std::nullopt;
         if (line.starts_with(','))
            line.remove_prefix(1);
         else if (!line.starts_with('}'))
            return std::nullopt;
      }
      line.remove_prefix(1);
   }
   if (!line.starts_with(' '))
      return std::nullopt;
   const auto value = number(line.substr(1));
   if (!value)
      return std::nullopt;
   sample.value = *value;
   return sample;
}

/// Suffixes that samples of a type have.
std::optional<std::vector<std::string_view>> suffixesOf(std::string_view type) {
   if (type == "gauge" || type == "stateset" || type == "unknown")
      return {{""}};
   if (type == "counter")
      return {{"_total", "_created"}};
   if (type == "info")
      return {{"_info"}};
   if (type == "histogram")
      return {{"_bucket", "_count", "_sum", "_created"}};
   return std::nullopt;
}

/// What a whole family must fulfil beyond the form of its lines.
std::optional<std::string> flawOf(const std::string& name, const MetricFamily& family) {
   if (family.type.empty())
      return "has no type";
   if (!family.unit.empty() && !name.ends_with("_" + family.unit))
      return "does not end in its unit";
   std::set<std::pair<std::string, std::map<std::string, std::string>>> seen;
   for (const auto& sample : family.samples) {
      if (!seen.emplace(sample.name, sample.labels).second)
         return "has a sample twice";
      if (family.type == "counter" && !(sample.value >= 0))
         return "counts below zero";
      if (family.type == "info" && sample.value != 1)
         return "is information and not 1";
      if (family.type == "stateset" && (!sample.labels.contains(name) || (sample.value != 0 && sample.value != 1)))
         return "is no set of states";
   }
   if (family.type != "histogram")
      return std::nullopt;
   double end = -std::numeric_limits<double>::infinity(), soFar = 0;
   std::optional<double> count, sum;
   for (const auto& sample : family.samples) {
      if (sample.name == name + "_count")
         count = sample.value;
      if (sample.name == name + "_sum")
         sum = sample.value;
      if (sample.name != name + "_bucket")
         continue;
      const auto le = sample.labels.find("le");
      const auto next = le == sample.labels.end() ? std::nullopt : number(le->second);
      if (!next || *next <= end || sample.value < soFar)
         return "has classes that do not rise";
      end = *next;
      soFar = sample.value;
   }
   if (end != std::numeric_limits<double>::infinity() || !count || !sum || *count != soFar)
      return "does not add up";
   return std::nullopt;
}

} // namespace

std::expected<Metrics, std::string> parseOpenMetrics(std::string_view text) {
   Metrics out;
   std::string current; // samples of a family stand together
   std::size_t number = 0;
   const auto wrong = [&](std::string what) {
      return std::unexpected("line " + std::to_string(number) + ": " + std::move(what));
   };
   while (true) {
      ++number;
      const auto end = text.find('\n');
      if (end == text.npos)
         return wrong("the text does not end with # EOF and a line feed");
      const auto line = text.substr(0, end);
      text.remove_prefix(end + 1);
      if (line == "# EOF")
         break;
      if (line.starts_with("# ")) {
         const auto space = line.find(' ', 2), after = space == line.npos ? space : line.find(' ', space + 1);
         if (after == line.npos)
            return wrong("half a descriptor");
         const auto what = line.substr(2, space - 2);
         const std::string name(line.substr(space + 1, after - space - 1));
         const std::string value(line.substr(after + 1));
         if (!isName(name))
            return wrong("no name: " + name);
         if (name != current) {
            if (out.contains(name))
               return wrong(name + " is in two places");
            current = name;
         }
         MetricFamily& family = out[name];
         if (!family.samples.empty())
            return wrong("a descriptor behind a sample");
         auto* place = what == "TYPE" ? &family.type : what == "UNIT" ? &family.unit : &family.help;
         if (what != "TYPE" && what != "UNIT" && what != "HELP")
            return wrong("an unknown descriptor");
         if (!place->empty())
            return wrong("a descriptor twice");
         if (what == "TYPE" && !suffixesOf(value))
            return wrong("an unknown type: " + value);
         *place = value;
         continue;
      }
      auto sample = sampleOf(line);
      if (!sample)
         return wrong("no sample: " + std::string(line));
      const auto family = out.find(current);
      const auto suffixes = family == out.end() ? std::nullopt : suffixesOf(family->second.type);
      if (!suffixes ||
          !std::ranges::any_of(*suffixes, [&](auto suffix) { return sample->name == current + std::string(suffix); }))
         return wrong("a sample outside its family: " + sample->name);
      family->second.samples.push_back(std::move(*sample));
   }
   if (!text.empty())
      return wrong("something behind the end");
   for (const auto& [name, family] : out)
      if (const auto flaw = flawOf(name, family))
         return std::unexpected(name + " " + *flaw);
   return out;
}

double metricValue(const Metrics& metrics, const std::string& family) {
   const auto at = metrics.find(family);
   if (at == metrics.end() || at->second.samples.size() != 1)
      throw std::runtime_error("no metric " + family);
   return at->second.samples.front().value;
}

double metricQuantile(const Metrics& metrics, const std::string& family, double share) {
   const auto at = metrics.find(family);
   if (at == metrics.end())
      throw std::runtime_error("no metric " + family);
   double count = 0;
   for (const auto& sample : at->second.samples)
      if (sample.name == family + "_count")
         count = sample.value;
   if (count > 0)
      for (const auto& sample : at->second.samples)
         if (sample.name == family + "_bucket" && sample.value >= share * count)
            return number(sample.labels.at("le")).value_or(0);
   return 0;
}

} // namespace polis::harness
