#include "sql.hpp"

#include <algorithm>
#include <charconv>

namespace polis::sql {

namespace {

using Kind = Node::Kind;

char small(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
std::string small(std::string_view text) {
   std::string out(text);
   std::ranges::transform(out, out.begin(), [](char c) { return small(c); });
   return out;
}
std::string upper(std::string_view text) {
   std::string out(text);
   std::ranges::transform(out, out.begin(),
                          [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
   return out;
}

/// A text that is a number, whole.
std::optional<Value> numberIn(std::string_view text) {
   const auto* end = text.data() + text.size();
   std::int64_t integer = 0;
   if (const auto [at, error] = std::from_chars(text.data(), end, integer);
       error == std::errc() && at == end && !text.empty())
      return Value(integer);
   if (text.empty() || !(text[0] == '-' || text[0] == '.' || (text[0] >= '0' && text[0] <= '9')))
      return std::nullopt;
   // libc++ of the wasm target has no from_chars for doubles
   char* stopped = nullptr;
   const std::string copy(text);
   const double number = std::strtod(copy.c_str(), &stopped);
   if (stopped != copy.c_str() + copy.size())
      return std::nullopt;
   return Value(number);
}

bool isNumber(const Value& value) { return value.index() == 1 || value.index() == 2; }

struct Token {
   enum class Kind : std::uint8_t { word, quoted, text, number, sign, end };
   Kind kind = Kind::end;
   std::string text;
   std::size_t at = 0;
};

class Parser {
public:
   Parser(std::string_view query, const std::vector<std::string>& params) : query_(query), params_(params) { next(); }

   std::expected<Select, std::string> select() {
      if (takeWord("with"))
         newestOfEach();
      else
         plain();
      takeSign(";");
      if (token_.kind != Token::Kind::end)
         fail("not understood");
      if (nextParam_ != params_.size())
         fail("more parameters than question marks");
      if (!error_.empty())
         return std::unexpected(error_);
      return std::move(out_);
   }

private:
   void plain() {
      expectWord("select");
      do {
         if (takeSign("*"))
            out_.columns.push_back({"*"});
         else
            out_.columns.push_back({small(name())});
      } while (takeSign(","));
      expectWord("from");
      out_.table = name();
      if (takeWord("where"))
         out_.where = either(0);
      if (takeWord("order")) {
         expectWord("by");
         out_.orderBy = small(name());
         out_.descending = takeWord("desc");
         if (!out_.descending)
            takeWord("asc");
      }
      if (takeWord("limit")) {
         const auto value = token_.kind == Token::Kind::number ? numberIn(token_.text) : std::nullopt;
         if (!value || value->index() != 1)
            fail("a limit is a number");
         else
            out_.limit = static_cast<std::uint64_t>(std::get<std::int64_t>(*value));
         next();
      }
   }

   /// The other form, after WITH; see sql.hpp.
   void newestOfEach() {
      Given given;
      const auto rows = small(name());
      expectSign("(");
      do
         given.columns.push_back(name());
      while (takeSign(","));
      expectSign(")");
      expectWord("as");
      expectSign("(");
      expectWord("values");
      do {
         auto& row = given.rows.emplace_back();
         expectSign("(");
         do
            row.push_back(integer());
         while (takeSign(","));
         expectSign(")");
         if (row.size() != given.columns.size())
            fail("a row of another length");
      } while (takeSign(","));
      expectSign(")");
      expectWord("select");
      std::vector<Qualified> columns;
      do
         columns.push_back(qualified());
      while (takeSign(","));
      expectWord("from");
      expectName(rows);
      const auto ofRows = small(name());
      expectWord("join");
      out_.table = name();
      const auto ofTable = small(name());
      expectWord("on");
      if (qualified() != Qualified{ofTable, "rowid"})
         fail("only rows of one ROWID can be joined");
      expectSign("=");
      expectSign("(");
      expectWord("select");
      expectWord("rowid");
      expectWord("from");
      expectName(small(out_.table));
      expectWord("where");
      expectWord("rowid");
      expectSign("<=");
      const auto upTo = qualified();
      for (const auto* word : {"order", "by", "rowid", "desc", "limit"})
         expectWord(word);
      if (integer() != 1)
         fail("only one row of each");
      expectSign(")");
      const auto find = [&](const Qualified& column) -> std::optional<std::size_t> {
         const auto at = std::ranges::find(given.columns, column.name, [](const auto& text) { return small(text); });
         if (column.of != ofRows || at == given.columns.end())
            return std::nullopt;
         return static_cast<std::size_t>(at - given.columns.begin());
      };
      const auto bound = find(upTo);
      if (!bound)
         fail("no such column: " + upTo.name);
      given.upTo = bound.value_or(0);
      for (const auto& column : columns) {
         const auto at = find(column);
         if (!at && column.of != ofTable)
            fail("no such column: " + column.name);
         out_.columns.push_back({at ? given.columns[*at] : column.name, at});
      }
      out_.given = std::move(given);
   }

   struct Qualified {
      std::string of, name; ///< in small letters
      bool operator==(const Qualified&) const = default;
   };
   Qualified qualified() {
      Qualified out{.of = small(name()), .name = {}};
      expectSign(".");
      out.name = small(name());
      return out;
   }
   std::int64_t integer() {
      const auto value = token_.kind == Token::Kind::number ? numberIn(token_.text) : std::nullopt;
      if (!value || value->index() != 1) {
         fail("expected a whole number");
         return 0;
      }
      next();
      return std::get<std::int64_t>(*value);
   }
   void expectName(std::string_view wanted) {
      if (small(name()) != wanted)
         fail("expected " + std::string(wanted));
   }
   void expectSign(std::string_view sign) {
      if (!takeSign(sign))
         fail("expected " + std::string(sign));
   }

   void fail(std::string_view what) {
      if (error_.empty())
         error_ = std::string(what) + " at byte " + std::to_string(token_.at);
      token_ = {.kind = Token::Kind::end, .text = {}, .at = token_.at};
      position_ = query_.size();
   }

   void next() {
      while (position_ < query_.size() && (query_[position_] == ' ' || query_[position_] == '\n' ||
                                           query_[position_] == '\t' || query_[position_] == '\r'))
         ++position_;
      token_ = {.kind = Token::Kind::end, .text = {}, .at = position_};
      if (position_ == query_.size())
         return;
      const char c = query_[position_];
      const auto isLetter = [](char l) { return l == '_' || (small(l) >= 'a' && small(l) <= 'z'); };
      const auto isDigit = [](char d) { return d >= '0' && d <= '9'; };
      if (small(c) == 'x' && position_ + 1 < query_.size() && query_[position_ + 1] == '\'') {
         ++position_;
         quoted('\'');
         // Bytes are compared in the form that they have in JSON.
         token_.text = upper(token_.text);
      } else if (isLetter(c)) {
         while (position_ < query_.size() && (isLetter(query_[position_]) || isDigit(query_[position_])))
            token_.text += query_[position_++];
         token_.kind = Token::Kind::word;
      } else if (isDigit(c)) {
         while (position_ < query_.size() && (isDigit(query_[position_]) || query_[position_] == '.'))
            token_.text += query_[position_++];
         token_.kind = Token::Kind::number;
      } else if (c == '\'' || c == '"') {
         quoted(c);
      } else {
         token_.kind = Token::Kind::sign;
         token_.text = c;
         ++position_;
         if (position_ < query_.size()) {
            const std::string two = token_.text + query_[position_];
            if (two == "<=" || two == ">=" || two == "!=" || two == "<>" || two == "==") {
               token_.text = two;
               ++position_;
            }
         }
      }
   }

   /// The quote itself is written twice.
   void quoted(char quote) {
      for (++position_; position_ < query_.size(); ++position_) {
         if (query_[position_] == quote) {
            if (position_ + 1 == query_.size() || query_[position_ + 1] != quote) {
               ++position_;
               token_.kind = quote == '"' ? Token::Kind::quoted : Token::Kind::text;
               return;
            }
            ++position_;
         }
         token_.text += query_[position_];
      }
      fail("a quote that does not end");
   }

   bool isWord(std::string_view word) const { return token_.kind == Token::Kind::word && small(token_.text) == word; }
   bool takeWord(std::string_view word) {
      if (!isWord(word))
         return false;
      next();
      return true;
   }
   bool takeSign(std::string_view sign) {
      if (token_.kind != Token::Kind::sign || token_.text != sign)
         return false;
      next();
      return true;
   }
   void expectWord(std::string_view word) {
      if (!takeWord(word))
         fail("expected " + std::string(word));
   }
   std::string name() {
      if (token_.kind != Token::Kind::word && token_.kind != Token::Kind::quoted) {
         fail("expected a name");
         return {};
      }
      auto text = std::move(token_.text);
      next();
      return text;
   }

   std::size_t add(Node node) {
      if (out_.nodes.size() >= nodesMax) {
         fail("the condition is too long");
         return 0;
      }
      out_.nodes.push_back(std::move(node));
      return out_.nodes.size() - 1;
   }
   std::size_t add(Kind kind, std::vector<std::size_t> of) {
      return add(Node{.kind = kind, .value = {}, .column = {}, .of = std::move(of)});
   }
   std::size_t negated(std::size_t node) { return add(Kind::negate, {node}); }

   std::size_t either(unsigned depth) {
      if (depth > depthMax) {
         fail("the condition is nested too deeply");
         return 0;
      }
      auto left = both(depth);
      while (takeWord("or"))
         left = add(Kind::either, {left, both(depth)});
      return left;
   }
   std::size_t both(unsigned depth) {
      auto left = opposite(depth);
      while (takeWord("and"))
         left = add(Kind::both, {left, opposite(depth)});
      return left;
   }
   std::size_t opposite(unsigned depth) {
      bool isNegated = false;
      while (takeWord("not"))
         isNegated = !isNegated;
      const auto node = comparison(depth);
      return isNegated ? negated(node) : node;
   }

   std::size_t comparison(unsigned depth) {
      const auto left = operand(depth);
      if (takeSign("=") || takeSign("=="))
         return add(Kind::equal, {left, operand(depth)});
      if (takeSign("!=") || takeSign("<>"))
         return negated(add(Kind::equal, {left, operand(depth)}));
      if (takeSign("<"))
         return add(Kind::less, {left, operand(depth)});
      if (takeSign("<="))
         return add(Kind::lessEqual, {left, operand(depth)});
      if (takeSign(">"))
         return add(Kind::less, {operand(depth), left});
      if (takeSign(">="))
         return add(Kind::lessEqual, {operand(depth), left});
      if (takeWord("is")) {
         const bool isNegated = takeWord("not");
         expectWord("null");
         const auto node = add(Kind::isNull, {left});
         return isNegated ? negated(node) : node;
      }
      const bool isNegated = takeWord("not");
      std::size_t node = left;
      if (takeWord("like")) {
         node = add(Kind::like, {left, operand(depth)});
      } else if (takeWord("between")) {
         const auto low = add(Kind::lessEqual, {operand(depth), left});
         expectWord("and");
         node = add(Kind::both, {low, add(Kind::lessEqual, {left, operand(depth)})});
      } else if (takeWord("in")) {
         std::vector<std::size_t> of{left};
         if (!takeSign("("))
            fail("expected (");
         do
            of.push_back(operand(depth));
         while (takeSign(","));
         if (!takeSign(")"))
            fail("expected )");
         node = add(Kind::in, std::move(of));
      } else if (isNegated) {
         fail("expected like, in or between");
      }
      return isNegated ? negated(node) : node;
   }

   std::size_t operand(unsigned depth) {
      const auto literal = [&](Value value) {
         next();
         return add(Node{.kind = Kind::literal, .value = std::move(value), .column = {}, .of = {}});
      };
      if (takeSign("(")) {
         const auto node = either(depth + 1);
         if (!takeSign(")"))
            fail("expected )");
         return node;
      }
      const bool isNegative = takeSign("-");
      if (token_.kind == Token::Kind::number) {
         const auto value = numberIn((isNegative ? "-" : "") + token_.text);
         if (!value) {
            fail("not a number");
            return 0;
         }
         return literal(*value);
      }
      if (token_.kind == Token::Kind::text && !isNegative)
         return literal(token_.text);
      if (token_.kind == Token::Kind::sign && token_.text == "?" && !isNegative) {
         if (nextParam_ >= params_.size()) {
            fail("more question marks than parameters");
            return 0;
         }
         return literal(params_[nextParam_++]);
      }
      if (isWord("null") && !isNegative)
         return literal(std::monostate{});
      if ((isWord("true") || isWord("false")) && !isNegative)
         return literal(std::int64_t{isWord("true")});
      if (isNegative)
         fail("expected a number");
      return add(Node{.kind = Kind::column, .value = {}, .column = small(name()), .of = {}});
   }

   std::string_view query_;
   const std::vector<std::string>& params_;
   std::size_t position_ = 0, nextParam_ = 0;
   Token token_;
   Select out_;
   std::string error_;
};

/// % stands for any text, _ for one byte; letters are equal in both sizes.
bool like(std::string_view text, std::string_view pattern) {
   std::size_t at = 0, in = 0, star = std::string_view::npos, resume = 0;
   while (at < text.size()) {
      if (in < pattern.size() && pattern[in] == '%') {
         star = in++;
         resume = at;
      } else if (in < pattern.size() && (pattern[in] == '_' || small(pattern[in]) == small(text[at]))) {
         ++in;
         ++at;
      } else if (star != std::string_view::npos) {
         in = star + 1;
         at = ++resume;
      } else {
         return false;
      }
   }
   while (in < pattern.size() && pattern[in] == '%')
      ++in;
   return in == pattern.size();
}

std::string textOf(const Value& value) {
   if (const auto* text = std::get_if<std::string>(&value))
      return *text;
   if (const auto* integer = std::get_if<std::int64_t>(&value))
      return std::to_string(*integer);
   if (const auto* number = std::get_if<double>(&value))
      return std::to_string(*number);
   return {};
}

/// As for comparing: a text beside a number is one if it can be.
int compare(const Value& a, const Value& b) {
   if (isNumber(a) && b.index() == 3)
      if (const auto number = numberIn(std::get<std::string>(b)))
         return order(a, *number);
   if (isNumber(b) && a.index() == 3)
      if (const auto number = numberIn(std::get<std::string>(a)))
         return order(*number, b);
   return order(a, b);
}

class Evaluation {
public:
   Evaluation(const Select& select, const Columns& columns) : select_(select), columns_(columns) {}

   /// 0 false, 1 true, NULL unknown.
   Value value(std::size_t index) {
      const Node& node = select_.nodes[index];
      const auto truth = [](bool is) { return Value(std::int64_t{is}); };
      switch (node.kind) {
      case Kind::literal:
         return node.value;
      case Kind::column: {
         auto found = columns_(node.column);
         if (!found && error.empty())
            error = "no such column: " + node.column;
         return found.value_or(Value{});
      }
      case Kind::negate: {
         const auto inner = isTrue(value(node.of[0]));
         return inner ? truth(!*inner) : Value{};
      }
      case Kind::both:
      case Kind::either: {
         const bool decides = node.kind == Kind::either;
         const auto left = isTrue(value(node.of[0]));
         if (left && *left == decides)
            return truth(decides);
         const auto right = isTrue(value(node.of[1]));
         if (right && *right == decides)
            return truth(decides);
         return left && right ? truth(!decides) : Value{};
      }
      case Kind::isNull:
         return truth(value(node.of[0]).index() == 0);
      case Kind::in: {
         const auto left = value(node.of[0]);
         if (left.index() == 0)
            return {};
         bool isUnknown = false;
         for (std::size_t i = 1; i < node.of.size(); ++i) {
            const auto right = value(node.of[i]);
            isUnknown = isUnknown || right.index() == 0;
            if (right.index() != 0 && compare(left, right) == 0)
               return truth(true);
         }
         return isUnknown ? Value{} : truth(false);
      }
      default:
         break;
      }
      const auto left = value(node.of[0]), right = value(node.of[1]);
      if (left.index() == 0 || right.index() == 0)
         return {};
      if (node.kind == Kind::like)
         return truth(like(textOf(left), textOf(right)));
      const int difference = compare(left, right);
      return truth(node.kind == Kind::equal  ? difference == 0
                   : node.kind == Kind::less ? difference < 0
                                             : difference <= 0);
   }

   static std::optional<bool> isTrue(const Value& value) {
      if (const auto* integer = std::get_if<std::int64_t>(&value))
         return *integer != 0;
      if (const auto* number = std::get_if<double>(&value))
         return *number != 0;
      if (const auto* text = std::get_if<std::string>(&value))
         return isTrue(numberIn(*text).value_or(std::int64_t{0}));
      return std::nullopt;
   }

   std::string error;

private:
   const Select& select_;
   const Columns& columns_;
};

} // namespace

int order(const Value& a, const Value& b) {
   const auto rank = [](const Value& value) { return value.index() == 3 ? 2 : value.index() == 0 ? 0 : 1; };
   if (rank(a) != rank(b))
      return rank(a) - rank(b);
   if (a.index() == 3) {
      const auto difference = std::get<std::string>(a).compare(std::get<std::string>(b));
      return difference < 0 ? -1 : difference > 0;
   }
   if (a.index() == 0)
      return 0;
   if (a.index() == 1 && b.index() == 1) {
      const auto x = std::get<std::int64_t>(a), y = std::get<std::int64_t>(b);
      return x < y ? -1 : x > y;
   }
   const auto number = [](const Value& value) {
      return value.index() == 1 ? static_cast<double>(std::get<std::int64_t>(value)) : std::get<double>(value);
   };
   return number(a) < number(b) ? -1 : number(a) > number(b);
}

std::expected<Select, std::string> parse(std::string_view query, const std::vector<std::string>& params) {
   if (query.size() > queryBytesMax)
      return std::unexpected("a query has at most " + std::to_string(queryBytesMax) + " bytes");
   return Parser(query, params).select();
}

std::expected<bool, std::string> matches(const Select& select, const Columns& columns) {
   if (!select.where)
      return true;
   Evaluation evaluation(select, columns);
   const auto is = Evaluation::isTrue(evaluation.value(*select.where)).value_or(false);
   if (!evaluation.error.empty())
      return std::unexpected(evaluation.error);
   return is;
}

Select::Bounds Select::rowBounds() const {
   Bounds bounds;
   std::vector<std::size_t> open;
   if (where)
      open.push_back(*where);
   while (!open.empty()) {
      const Node& node = nodes[open.back()];
      open.pop_back();
      if (node.kind == Kind::both) {
         open.insert(open.end(), node.of.begin(), node.of.end());
         continue;
      }
      if (node.kind != Kind::less && node.kind != Kind::lessEqual && node.kind != Kind::equal)
         continue;
      const Node &left = nodes[node.of[0]], &right = nodes[node.of[1]];
      const auto numberOf = [](const Node& literal) -> std::optional<std::uint64_t> {
         const auto* number = literal.kind == Kind::literal ? std::get_if<std::int64_t>(&literal.value) : nullptr;
         return number && *number >= 0 ? std::optional(static_cast<std::uint64_t>(*number)) : std::nullopt;
      };
      const bool strict = node.kind == Kind::less;
      if (left.kind == Kind::column && left.column == "rowid")
         if (const auto number = numberOf(right)) {
            bounds.high = std::min(bounds.high, strict && *number ? *number - 1 : *number);
            if (node.kind == Kind::equal)
               bounds.low = std::max(bounds.low, *number);
         }
      if (right.kind == Kind::column && right.column == "rowid")
         if (const auto number = numberOf(left)) {
            bounds.low = std::max(bounds.low, strict ? *number + 1 : *number);
            if (node.kind == Kind::equal)
               bounds.high = std::min(bounds.high, *number);
         }
   }
   return bounds;
}

} // namespace polis::sql
