// The part of SQL that asks for events: SELECT columns FROM "history.service.event" WHERE … ORDER BY column LIMIT n.
//
// Or, for each of some numbers, the newest row up to it:
//    WITH rows(i, n) AS (VALUES (0, 17), …) SELECT r.i, m.column FROM rows r JOIN "history.service.event" m ON m.ROWID
//    = (SELECT ROWID FROM "history.service.event" WHERE ROWID <= r.n ORDER BY ROWID DESC LIMIT 1)
//
// Conditions: columns, ROWID, numbers, 'text', X'bytes', ? (a parameter), NULL; = == != <> < <= > >= LIKE IN BETWEEN
// IS, NOT, AND, OR, brackets. A number and a text that is one compare as numbers. Knows nothing of databases.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace polis::sql {

/// NULL, a number or a text.
using Value = std::variant<std::monostate, std::int64_t, double, std::string>;

inline constexpr std::size_t queryBytesMax = 16'384;
inline constexpr unsigned depthMax = 32;
inline constexpr std::size_t nodesMax = 1000;

struct Node {
   enum class Kind : std::uint8_t { literal, column, negate, both, either, equal, less, lessEqual, like, isNull, in };
   Kind kind = Kind::literal;
   Value value{};                 ///< of a literal
   std::string column{};          ///< in small letters
   std::vector<std::size_t> of{}; ///< indexes of nodes
};

/// Rows that the query itself holds.
struct Given {
   std::vector<std::string> columns;
   std::vector<std::vector<std::int64_t>> rows;
   std::size_t upTo = 0; ///< the column with the greatest number that the row to be found may have
};

struct Column {
   std::string name;                   ///< "*" is all of them; "rowid" the event's number
   std::optional<std::size_t> given{}; ///< which column of the given rows, if it is one
};

struct Select {
   std::vector<Column> columns;
   std::string table;
   std::optional<Given> given; ///< then the newest row of each, without condition, order and limit
   std::vector<Node> nodes;
   std::optional<std::size_t> where; ///< index of a node
   std::string orderBy = "rowid";
   bool descending = false;
   std::optional<std::uint64_t> limit;

   /// Numbers that a row must lie between to fulfil the condition; both are included.
   struct Bounds {
      std::uint64_t low = 0, high = UINT64_MAX;
   };
   Bounds rowBounds() const;
};

/// Errors: what is wrong, and where.
[[nodiscard]] std::expected<Select, std::string> parse(std::string_view query, const std::vector<std::string>& params);

/// The value of a row's column, named in small letters; nothing: there is no such column.
using Columns = std::function<std::optional<Value>(std::string_view)>;

/// Whether a row fulfils the condition. Errors: a column that is not there.
[[nodiscard]] std::expected<bool, std::string> matches(const Select& select, const Columns& columns);

/// Ascending: NULL, numbers, texts. Negative, zero or positive.
int order(const Value& a, const Value& b);

} // namespace polis::sql
