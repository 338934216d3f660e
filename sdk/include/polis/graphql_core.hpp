#pragma once
// GraphQL without types: reading a query, walking it, and what a type must tell. See graphql.hpp for services.
// Everything that comes from outside is bounded by graphql::limits. Compiles natively too.

#include "format/json.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace polis::sdk::graphql {

namespace limits {
inline constexpr std::size_t queryBytesMax = 64 << 10;
/// Selections and values within each other.
inline constexpr std::size_t depthMax = 16;
/// Fields, fragments, arguments and values that a query may write down.
inline constexpr std::size_t nodesMax = 4000;
/// Fields that an answer may have, rows that it may read, and fragments that are followed, together.
inline constexpr std::size_t costMax = 50'000;
inline constexpr std::size_t replyBytesMax = 4 << 20;
/// Rows of one page.
inline constexpr std::size_t pageRowsMax = 1000;
} // namespace limits

struct Error {
   std::string message;
   std::size_t offset = 0; ///< byte of the query
};

struct Value {
   enum class Kind : std::uint8_t { null, boolean, number, string, name, list, object, variable };
   Kind kind = Kind::null;
   std::string text;               ///< of a number as written, a string without escapes, a name, "true" or "false"
   std::vector<Value> items;       ///< of a list or an object
   std::vector<std::string> names; ///< of an object's items
};

struct Argument {
   std::string name;
   Value value;
};

struct Directive {
   std::string name;
   std::vector<Argument> arguments;
};

struct Selection {
   enum class Kind : std::uint8_t { field, spread, inlined };
   Kind kind = Kind::field;
   std::string name;  ///< of the field or fragment
   std::string alias; ///< empty: none
   std::string type;  ///< of an inline fragment; empty: any
   std::size_t offset = 0;
   std::vector<Argument> arguments;
   std::vector<Directive> directives;
   std::vector<Selection> selections;
   const std::string& key() const { return alias.empty() ? name : alias; }
};

struct Variable {
   std::string name;
   bool required = false;
   std::optional<Value> standard;
};

struct Operation {
   std::string kind = "query";
   std::string name;
   std::vector<Variable> variables;
   std::vector<Selection> selections;
   std::size_t offset = 0;
};

struct Fragment {
   std::string name;
   std::string type;
   std::vector<Selection> selections;
};

struct Document {
   std::vector<Operation> operations;
   std::vector<Fragment> fragments;
};

/// Reads a query. Errors: malformed, too long, too deep, too many parts.
[[nodiscard]] std::expected<Document, Error> parse(std::string_view text);

/// What is asked: text, which operation of several, and variables as JSON (empty: none).
struct Request {
   std::string query;
   std::string operation;
   std::string variables;
};

/// Reads {"query", "operationName", "variables"}.
[[nodiscard]] std::expected<Request, Error> parseRequest(std::string_view json);

/// Selections of one field, perhaps written in several places.
using Selections = std::vector<const std::vector<Selection>*>;

/// One field of an answer.
struct Asked {
   const Selection* first;
   Selections selections;
};

class Execution;
class Describer;

struct FieldInfo {
   std::string_view name;
   void (*resolve)(Execution& execution, const void* object, const Asked& asked);
   /// The field's type as the schema spells it; makes its types known.
   std::string (*type)(Describer& describer);
   /// "(id: Float!, …)"; null: takes none.
   std::string (*arguments)(Describer& describer);
};

struct TypeInfo {
   std::string (*name)();
   const FieldInfo* fields;
   std::size_t count;
   /// The fields are types, of which a value is one.
   bool isUnion = false;
};

/// One query being answered.
class Execution {
public:
   Execution(const Document& document, std::string& out) : document_(document), writer(out), out_(out) {}

   /// Answers an object with what is asked of it.
   void object(const TypeInfo& type, const void* value, const Asked& asked);
   /// The whole.
   void run(const TypeInfo& root, const void* value, const Request& request);

   /// The first failure stops everything.
   void fail(std::string message, std::size_t offset = 0);
   bool failed() const { return error_.has_value(); }
   const std::optional<Error>& error() const { return error_; }
   /// False when the query has become too expensive.
   bool charge(std::size_t cost);

   /// A leaf has no fields of its own.
   bool leaf(const Asked& asked);
   /// JSON of an argument; nothing when it is not given or null.
   std::optional<std::string> argument(const Asked& asked, std::string_view name);
   /// Fails when an argument of another name was given.
   bool onlyArguments(const Asked& asked, std::initializer_list<std::string_view> names);

private:
   const Document& document_;

public:
   format::JsonWriter writer;

private:
   struct Collected {
      std::string_view key;
      Asked asked;
   };
   void collect(const TypeInfo& type, const std::vector<Selection>& selections, std::vector<Collected>& out,
                std::size_t depth);
   bool wanted(const Selection& selection);
   void toJson(const Value& value, format::JsonWriter& json);
   const Value* variable(std::string_view name) const;

   std::string& out_;
   std::optional<Error> error_;
   std::vector<std::pair<std::string, Value>> variables_;
   std::size_t cost_ = 0;
   std::size_t depth_ = 0;
};

/// Writes the schema.
class Describer {
public:
   void add(const TypeInfo& type);
   /// The whole as SDL; `root` is called Query.
   std::string text(const TypeInfo& root);

private:
   std::vector<const TypeInfo*> types_;
};

/// The query that is being answered now; what reads rows charges it.
inline Execution* current = nullptr;

/// How errors are told: `{"errors":{"message"}}`, as some clients of the protocol expect, or the list of the
/// GraphQL standard.
enum class ErrorForm { object, list };

/// Answers a request with JSON text.
std::string answer(const TypeInfo& root, const void* value, const Request& request, ErrorForm form);
std::string errorText(std::string_view query, const Error& error, ErrorForm form);

} // namespace polis::sdk::graphql
