#include "format/semver.hpp"

#include <algorithm>
#include <limits>

namespace polis::format {
namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isIdentifierChar(char c) { return isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-'; }

/// Reads a number without leading zeros off the front.
bool takeNumber(std::string_view& text, std::uint64_t& value) {
   std::size_t size = 0;
   value = 0;
   for (; size < text.size() && isDigit(text[size]); ++size) {
      const auto digit = static_cast<std::uint64_t>(text[size] - '0');
      if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10)
         return false;
      value = value * 10 + digit;
   }
   if (size == 0 || (size > 1 && text[0] == '0'))
      return false;
   text.remove_prefix(size);
   return true;
}

bool take(std::string_view& text, char c) {
   if (!text.starts_with(c))
      return false;
   text.remove_prefix(1);
   return true;
}

bool isNumeric(std::string_view identifier) {
   for (const char c : identifier)
      if (!isDigit(c))
         return false;
   return true;
}

/// Reads identifiers separated by dots off the front.
bool takeIdentifiers(std::string_view& text, std::string& value, bool zerosMayLead) {
   std::size_t end = 0;
   while (end < text.size() && (isIdentifierChar(text[end]) || text[end] == '.'))
      ++end;
   const std::string_view all = text.substr(0, end);
   for (std::size_t from = 0; from <= all.size();) {
      const std::size_t dot = std::min(all.find('.', from), all.size());
      const std::string_view identifier = all.substr(from, dot - from);
      if (identifier.empty() ||
          (!zerosMayLead && identifier.size() > 1 && identifier[0] == '0' && isNumeric(identifier)))
         return false;
      from = dot + 1;
   }
   value = all;
   text.remove_prefix(end);
   return true;
}

int compare(std::uint64_t a, std::uint64_t b) { return a < b ? -1 : a > b; }

int compareIdentifiers(std::string_view a, std::string_view b) {
   const bool numericA = isNumeric(a), numericB = isNumeric(b);
   if (numericA != numericB)
      return numericA ? -1 : 1;
   if (numericA && a.size() != b.size())
      return a.size() < b.size() ? -1 : 1;
   const int order = a.compare(b);
   return order < 0 ? -1 : order > 0;
}

int comparePrereleases(std::string_view a, std::string_view b) {
   if (a.empty() || b.empty())
      return static_cast<int>(a.empty()) - static_cast<int>(b.empty());
   while (true) {
      const std::size_t endA = std::min(a.find('.'), a.size()), endB = std::min(b.find('.'), b.size());
      if (const int order = compareIdentifiers(a.substr(0, endA), b.substr(0, endB)))
         return order;
      if (endA == a.size() || endB == b.size())
         return static_cast<int>(endA != a.size()) - static_cast<int>(endB != b.size());
      a.remove_prefix(endA + 1);
      b.remove_prefix(endB + 1);
   }
}

/// A version of which only the first components may be given.
struct Pattern {
   unsigned given = 0; ///< 0: the star
   Version version{};

   /// Compares the given components only.
   int compareTo(const Version& v) const {
      int order = 0;
      if (given >= 1)
         order = compare(v.major, version.major);
      if (order == 0 && given >= 2)
         order = compare(v.minor, version.minor);
      if (order == 0 && given >= 3)
         order = compareVersions(v, version);
      return order;
   }

   bool isExactly(const Version& v) const {
      return given == 3 && v.prerelease == version.prerelease && compareTo(v) == 0;
   }

   bool compatible(const Version& v) const {
      if (!v.prerelease.empty())
         return isExactly(v);
      if (given == 0)
         return true;
      if (v.major != version.major || compareTo(v) < 0)
         return false;
      if (v.major == 0 && given >= 2) {
         if (v.minor != version.minor)
            return false;
         if (v.minor == 0 && given >= 3 && v.patch != version.patch)
            return false;
      }
      return true;
   }

   bool close(const Version& v) const {
      if (!v.prerelease.empty())
         return isExactly(v);
      if (given == 0)
         return true;
      if (v.major != version.major || (given >= 2 && v.minor != version.minor) || compareTo(v) < 0)
         return false;
      return !(v.major == 0 && v.minor == 0 && given >= 3 && v.patch != version.patch);
   }
};

/// Parses and evaluates at once. Every function returns false in `good` when the text is malformed.
class Evaluator {
public:
   Evaluator(std::string_view text, const Version& version) : rest_(text), version_(version) {}

   std::optional<bool> run() {
      const bool result = all();
      skipSpace();
      if (!good_ || !rest_.empty())
         return std::nullopt;
      return result;
   }

private:
   static constexpr unsigned depthMax = 64;

   void skipSpace() {
      while (rest_.starts_with(' ') || rest_.starts_with('\t'))
         rest_.remove_prefix(1);
   }
   bool takeToken(std::string_view token) {
      skipSpace();
      if (!rest_.starts_with(token))
         return false;
      rest_.remove_prefix(token.size());
      return true;
   }
   bool bad() { return good_ = false; }

   bool all() {
      bool result = either();
      while (good_ && takeToken(","))
         result &= either();
      return result;
   }
   bool either() {
      bool result = both();
      while (good_ && takeToken("||"))
         result |= both();
      return result;
   }
   bool both() {
      bool result = base();
      while (good_ && takeToken("&&"))
         result &= base();
      return result;
   }
   bool base() {
      if (takeToken("(")) {
         if (++depth_ > depthMax)
            return bad();
         const bool result = all();
         --depth_;
         return good_ && (takeToken(")") ? result : bad());
      }
      for (const std::string_view op : {"<=", ">=", "!=", "=", "<", ">", "^", "~"})
         if (takeToken(op))
            return test(op);
      return test("^");
   }
   bool test(std::string_view op) {
      skipSpace();
      Pattern pattern;
      if (!take(rest_, '*')) {
         std::uint64_t* const parts[] = {&pattern.version.major, &pattern.version.minor, &pattern.version.patch};
         do {
            if (!takeNumber(rest_, *parts[pattern.given++]))
               return bad();
         } while (pattern.given < 3 && take(rest_, '.'));
         if (pattern.given == 3) {
            if (take(rest_, '-') && !takeIdentifiers(rest_, pattern.version.prerelease, false))
               return bad();
            if (take(rest_, '+') && !takeIdentifiers(rest_, pattern.version.build, true))
               return bad();
         }
      }
      if (op == "^")
         return pattern.compatible(version_);
      if (op == "~")
         return pattern.close(version_);
      const int order = pattern.compareTo(version_);
      if (op == "=")
         return order == 0;
      if (op == "!=")
         return order != 0;
      if (op == "<")
         return order < 0;
      if (op == "<=")
         return order <= 0;
      return op == ">" ? order > 0 : order >= 0;
   }

   std::string_view rest_;
   const Version& version_;
   unsigned depth_ = 0;
   bool good_ = true;
};

} // namespace

std::optional<Version> Version::parse(std::string_view text) {
   Version version;
   if (!takeNumber(text, version.major) || !take(text, '.') || !takeNumber(text, version.minor) || !take(text, '.') ||
       !takeNumber(text, version.patch))
      return std::nullopt;
   if (take(text, '-') && !takeIdentifiers(text, version.prerelease, false))
      return std::nullopt;
   if (take(text, '+') && !takeIdentifiers(text, version.build, true))
      return std::nullopt;
   if (!text.empty())
      return std::nullopt;
   return version;
}

int compareVersions(const Version& a, const Version& b) {
   if (const int order = compare(a.major, b.major))
      return order;
   if (const int order = compare(a.minor, b.minor))
      return order;
   if (const int order = compare(a.patch, b.patch))
      return order;
   return comparePrereleases(a.prerelease, b.prerelease);
}

std::optional<bool> matchesVersion(std::string_view pattern, const Version& version) {
   return Evaluator(pattern, version).run();
}

} // namespace polis::format
