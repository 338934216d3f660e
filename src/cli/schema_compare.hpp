// `polis format compare`: what a new version of a schema changes for those who know the old one.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace polis::cli {

struct SchemaChanges {
   std::string text;        ///< a line for each difference
   bool compatible = false; ///< nothing is gone, and what is left reads what was packed before
};

/// Compares two schemas of types, or of services: then actions with their results, and events.
/// Errors: text that says which of them is no schema, and why.
std::expected<SchemaChanges, std::string> compareSchemas(std::string_view before, std::string_view after);

} // namespace polis::cli
