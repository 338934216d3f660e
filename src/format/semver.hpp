// Versions of packages and patterns over them. Source: spec, formats §8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace polis::format {

struct Version {
   std::uint64_t major = 0;
   std::uint64_t minor = 0;
   std::uint64_t patch = 0;
   std::string prerelease{}; ///< without the hyphen
   std::string build{};      ///< without the plus

   /// None unless the text is N.N.N[-prerelease][+build].
   static std::optional<Version> parse(std::string_view text);
};

/// Negative, zero or positive: precedence of Semantic Versioning, which ignores the build.
int compareVersions(const Version& a, const Version& b);

/// None when the pattern is malformed.
std::optional<bool> matchesVersion(std::string_view pattern, const Version& version);

} // namespace polis::format
