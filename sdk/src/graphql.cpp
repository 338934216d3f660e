#include <polis/graphql_core.hpp>

#include <algorithm>

namespace polis::sdk::graphql {

using format::JsonReader;
using format::JsonToken;
using format::JsonWriter;

namespace {

bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isNamePart(char c) { return isNameStart(c) || isDigit(c); }

void appendUtf8(std::string& out, std::uint32_t code) {
   if (code < 0x80) {
      out += static_cast<char>(code);
   } else if (code < 0x800) {
      out += static_cast<char>(0xc0 | code >> 6);
      out += static_cast<char>(0x80 | (code & 0x3f));
   } else if (code < 0x10000) {
      out += static_cast<char>(0xe0 | code >> 12);
      out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
      out += static_cast<char>(0x80 | (code & 0x3f));
   } else {
      out += static_cast<char>(0xf0 | code >> 18);
      out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
      out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
      out += static_cast<char>(0x80 | (code & 0x3f));
   }
}

enum class Kind : std::uint8_t { end, punctuator, name, number, string };

/// Errors are kept, not thrown: after one, only `end` comes.
class Parser {
public:
   explicit Parser(std::string_view text) : text_(text) { next(); }

   std::expected<Document, Error> document() {
      Document out;
      if (kind_ == Kind::end && !error_)
         fail("an empty query");
      while (kind_ != Kind::end) {
         if (isPunctuator('{')) {
            Operation& operation = out.operations.emplace_back();
            operation.offset = at_;
            selections(operation.selections, 1);
         } else if (token_ == "fragment" && kind_ == Kind::name) {
            next();
            Fragment& fragment = out.fragments.emplace_back();
            fragment.name = name("a fragment's name");
            if (fragment.name == "on")
               fail("a fragment cannot be called \"on\"");
            if (name("\"on\"") != "on")
               fail("expected \"on\"");
            fragment.type = name("a type's name");
            std::vector<Directive> ignored;
            directives(ignored);
            selections(fragment.selections, 1);
         } else if (kind_ == Kind::name && (token_ == "query" || token_ == "mutation" || token_ == "subscription")) {
            Operation& operation = out.operations.emplace_back();
            operation.offset = at_;
            operation.kind = token_;
            next();
            if (kind_ == Kind::name)
               operation.name = name("a name");
            if (isPunctuator('('))
               variables(operation.variables);
            std::vector<Directive> ignored;
            directives(ignored);
            selections(operation.selections, 1);
         } else {
            fail("expected a query or a fragment");
         }
      }
      if (error_)
         return std::unexpected(*error_);
      return out;
   }

private:
   bool fail(std::string message) {
      if (!error_)
         error_ = Error{std::move(message), at_};
      kind_ = Kind::end;
      rest_ = text_.size();
      return false;
   }
   bool node() { return ++nodes_ <= limits::nodesMax || fail("the query has too many parts"); }

   bool isPunctuator(char c) const { return kind_ == Kind::punctuator && token_[0] == c; }
   bool take(char c) {
      if (!isPunctuator(c))
         return false;
      next();
      return true;
   }
   bool expect(char c) { return take(c) || fail(std::string("expected \"") + c + "\""); }

   std::string name(const char* what) {
      if (kind_ != Kind::name) {
         fail(std::string("expected ") + what);
         return {};
      }
      std::string out(token_);
      next();
      return out;
   }

   void next() {
      while (rest_ < text_.size()) {
         const char c = text_[rest_];
         if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',')
            ++rest_;
         else if (c == '#')
            rest_ = std::min(text_.find_first_of("\r\n", rest_), text_.size());
         else if (text_.substr(rest_).starts_with("\xEF\xBB\xBF"))
            rest_ += 3;
         else
            break;
      }
      at_ = rest_;
      if (rest_ >= text_.size()) {
         kind_ = Kind::end;
         token_ = {};
         return;
      }
      const char c = text_[rest_];
      if (isNameStart(c)) {
         while (rest_ < text_.size() && isNamePart(text_[rest_]))
            ++rest_;
         kind_ = Kind::name;
      } else if (isDigit(c) || c == '-') {
         number();
         return;
      } else if (c == '"') {
         string();
         return;
      } else if (text_.substr(rest_).starts_with("...")) {
         rest_ += 3;
         kind_ = Kind::punctuator;
      } else if (std::string_view("!$&():=@[]{|}").contains(c)) {
         ++rest_;
         kind_ = Kind::punctuator;
      } else {
         fail("an unexpected character");
         return;
      }
      token_ = text_.substr(at_, rest_ - at_);
   }

   void number() {
      const auto digits = [&] {
         const std::size_t from = rest_;
         while (rest_ < text_.size() && isDigit(text_[rest_]))
            ++rest_;
         return rest_ > from;
      };
      if (text_[rest_] == '-')
         ++rest_;
      const std::size_t first = rest_;
      bool good = digits() && (rest_ - first == 1 || text_[first] != '0');
      if (good && rest_ < text_.size() && text_[rest_] == '.') {
         ++rest_;
         good = digits();
      }
      if (good && rest_ < text_.size() && (text_[rest_] == 'e' || text_[rest_] == 'E')) {
         ++rest_;
         if (rest_ < text_.size() && (text_[rest_] == '+' || text_[rest_] == '-'))
            ++rest_;
         good = digits();
      }
      if (!good || (rest_ < text_.size() && (isNameStart(text_[rest_]) || text_[rest_] == '.'))) {
         fail("a malformed number");
         return;
      }
      kind_ = Kind::number;
      token_ = text_.substr(at_, rest_ - at_);
   }

   void string() {
      string_.clear();
      kind_ = Kind::string;
      if (text_.substr(rest_).starts_with("\"\"\"")) {
         const std::size_t end = text_.find("\"\"\"", rest_ + 3);
         if (end == text_.npos) {
            fail("a string without end");
            return;
         }
         string_ = text_.substr(rest_ + 3, end - rest_ - 3);
         rest_ = end + 3;
         return;
      }
      for (++rest_; rest_ < text_.size() && text_[rest_] != '"'; ++rest_) {
         const char c = text_[rest_];
         if (c == '\n' || c == '\r')
            break;
         if (c != '\\') {
            string_ += c;
            continue;
         }
         if (++rest_ == text_.size())
            break;
         static constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
         if (const std::size_t letter = letters.find(text_[rest_]); letter != letters.npos) {
            string_ += meanings[letter];
         } else if (text_[rest_] == 'u' && escape()) {
         } else {
            fail("a malformed escape in a string");
            return;
         }
      }
      if (rest_ >= text_.size() || text_[rest_] != '"') {
         fail("a string without end");
         return;
      }
      ++rest_;
   }
   bool hex4(std::uint32_t& code) {
      code = 0;
      for (int i = 0; i < 4; ++i) {
         if (++rest_ >= text_.size())
            return false;
         const int digit = hexDigit(text_[rest_]);
         if (digit < 0)
            return false;
         code = code << 4 | static_cast<std::uint32_t>(digit);
      }
      return true;
   }
   bool escape() {
      std::uint32_t code = 0;
      if (!hex4(code))
         return false;
      if (code >= 0xd800 && code < 0xdc00) {
         std::uint32_t low = 0;
         if (!text_.substr(rest_ + 1).starts_with("\\u"))
            return false;
         rest_ += 2;
         if (!hex4(low) || low < 0xdc00 || low >= 0xe000)
            return false;
         code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      } else if (code >= 0xdc00 && code < 0xe000) {
         return false;
      }
      appendUtf8(string_, code);
      return true;
   }

   void variables(std::vector<Variable>& out) {
      expect('(');
      while (kind_ != Kind::end && !isPunctuator(')')) {
         if (!node())
            return;
         expect('$');
         Variable& variable = out.emplace_back();
         variable.name = name("a variable's name");
         expect(':');
         type(1, variable.required);
         if (take('='))
            value(variable.standard.emplace(), 1, true);
         std::vector<Directive> ignored;
         directives(ignored);
      }
      expect(')');
   }
   void type(std::size_t depth, bool& required) {
      if (depth > limits::depthMax) {
         fail("a type is nested too deep");
         return;
      }
      bool inner = false;
      if (take('[')) {
         type(depth + 1, inner);
         expect(']');
      } else {
         name("a type");
      }
      required = take('!');
   }

   void arguments(std::vector<Argument>& out, bool constant) {
      if (!take('('))
         return;
      if (isPunctuator(')'))
         fail("expected an argument");
      while (kind_ != Kind::end && !isPunctuator(')')) {
         if (!node())
            return;
         Argument& argument = out.emplace_back();
         argument.name = name("an argument's name");
         expect(':');
         value(argument.value, 1, constant);
      }
      expect(')');
   }

   void directives(std::vector<Directive>& out) {
      while (take('@')) {
         if (!node())
            return;
         Directive& directive = out.emplace_back();
         directive.name = name("a directive's name");
         arguments(directive.arguments, false);
      }
   }

   void value(Value& out, std::size_t depth, bool constant) {
      if (depth > limits::depthMax) {
         fail("a value is nested too deep");
         return;
      }
      if (!node())
         return;
      if (kind_ == Kind::number || kind_ == Kind::string) {
         out.kind = kind_ == Kind::number ? Value::Kind::number : Value::Kind::string;
         out.text = kind_ == Kind::number ? std::string(token_) : std::move(string_);
         next();
      } else if (kind_ == Kind::name) {
         out.text = name("a value");
         out.kind = out.text == "null"                          ? Value::Kind::null
                    : out.text == "true" || out.text == "false" ? Value::Kind::boolean
                                                                : Value::Kind::name;
      } else if (isPunctuator('$')) {
         if (constant)
            fail("a default value cannot be a variable");
         next();
         out.kind = Value::Kind::variable;
         out.text = name("a variable's name");
      } else if (take('[')) {
         out.kind = Value::Kind::list;
         while (kind_ != Kind::end && !isPunctuator(']'))
            value(out.items.emplace_back(), depth + 1, constant);
         expect(']');
      } else if (take('{')) {
         out.kind = Value::Kind::object;
         while (kind_ != Kind::end && !isPunctuator('}')) {
            out.names.push_back(name("a member's name"));
            expect(':');
            value(out.items.emplace_back(), depth + 1, constant);
         }
         expect('}');
      } else {
         fail("expected a value");
      }
   }

   void selections(std::vector<Selection>& out, std::size_t depth) {
      if (depth > limits::depthMax) {
         fail("the query is nested deeper than " + std::to_string(limits::depthMax));
         return;
      }
      expect('{');
      if (isPunctuator('}'))
         fail("expected a field");
      while (kind_ != Kind::end && !isPunctuator('}')) {
         if (!node())
            return;
         Selection& selection = out.emplace_back();
         selection.offset = at_;
         if (kind_ == Kind::punctuator && token_ == "...") {
            next();
            if (kind_ == Kind::name && token_ != "on") {
               selection.kind = Selection::Kind::spread;
               selection.name = name("a fragment's name");
               directives(selection.directives);
               continue;
            }
            selection.kind = Selection::Kind::inlined;
            if (kind_ == Kind::name) {
               next();
               selection.type = name("a type's name");
            }
            directives(selection.directives);
            selections(selection.selections, depth + 1);
            continue;
         }
         selection.name = name("a field");
         if (take(':')) {
            selection.alias = std::move(selection.name);
            selection.name = name("a field");
         }
         arguments(selection.arguments, false);
         directives(selection.directives);
         if (isPunctuator('{'))
            selections(selection.selections, depth + 1);
      }
      expect('}');
   }

   std::string_view text_;
   std::size_t rest_ = 0;
   Kind kind_ = Kind::end;
   std::string_view token_;
   std::string string_;
   std::size_t at_ = 0;
   std::size_t nodes_ = 0;
   std::optional<Error> error_;
};

/// A JSON value as if it had been written in the query.
bool readValue(JsonReader& reader, Value& out, std::size_t depth, std::size_t& nodes) {
   if (depth > limits::depthMax || ++nodes > limits::nodesMax)
      return reader.fail("the variables are too large");
   const JsonToken token = reader.token();
   if (token == JsonToken::beginObject) {
      out.kind = Value::Kind::object;
      reader.advance();
      while (reader.token() == JsonToken::key) {
         out.names.emplace_back(reader.text());
         reader.advance();
         if (!readValue(reader, out.items.emplace_back(), depth + 1, nodes))
            return false;
      }
      return reader.expect(JsonToken::endObject, "a member");
   }
   if (token == JsonToken::beginArray) {
      out.kind = Value::Kind::list;
      reader.advance();
      while (reader.token() != JsonToken::endArray)
         if (!readValue(reader, out.items.emplace_back(), depth + 1, nodes))
            return false;
      reader.advance();
      return true;
   }
   if (token == JsonToken::boolean) {
      out.kind = Value::Kind::boolean;
      out.text = reader.boolean() ? "true" : "false";
   } else if (token == JsonToken::number || token == JsonToken::string) {
      out.kind = token == JsonToken::number ? Value::Kind::number : Value::Kind::string;
      out.text = reader.text();
   } else if (token != JsonToken::null) {
      return reader.fail("expected a value");
   }
   reader.advance();
   return true;
}

} // namespace

std::expected<Document, Error> parse(std::string_view text) {
   if (text.size() > limits::queryBytesMax)
      return std::unexpected(Error{"the query is longer than " + std::to_string(limits::queryBytesMax) + " bytes", 0});
   return Parser(text).document();
}

std::expected<Request, Error> parseRequest(std::string_view json) {
   const auto malformed = [] { return std::unexpected(Error{"expected JSON with \"query\"", 0}); };
   if (json.size() > 2 * limits::queryBytesMax)
      return std::unexpected(Error{"the request is too long", 0});
   JsonReader reader(json);
   if (reader.token() != JsonToken::beginObject)
      return malformed();
   Request out;
   bool found = false;
   reader.advance();
   while (reader.token() == JsonToken::key) {
      const std::string name(reader.text());
      reader.advance();
      const bool text = reader.token() == JsonToken::string;
      if (name == "query" && text) {
         out.query = reader.text();
         found = true;
         reader.advance();
      } else if (name == "operationName" && text) {
         out.operation = reader.text();
         reader.advance();
      } else if (name == "variables" && reader.token() == JsonToken::beginObject) {
         Value value;
         std::size_t nodes = 0;
         const auto mark = reader.mark();
         if (!readValue(reader, value, 1, nodes))
            return std::unexpected(Error{reader.error().message, 0});
         reader.rewind(mark);
         out.variables.clear();
         JsonWriter writer(out.variables);
         if (!format::copyJson(reader, writer))
            return malformed();
      } else {
         reader.skip();
      }
   }
   if (reader.token() != JsonToken::endObject || !found)
      return malformed();
   return out;
}

void Execution::fail(std::string message, std::size_t offset) {
   if (!error_)
      error_ = Error{std::move(message), offset};
}

bool Execution::charge(std::size_t cost) {
   cost_ += std::min(cost, limits::costMax);
   if (cost_ > limits::costMax)
      fail("the query is too expensive: ask for fewer rows or fields");
   else if (out_.size() > limits::replyBytesMax)
      fail("the answer is too long: ask for fewer rows or fields");
   return !failed();
}

const Value* Execution::variable(std::string_view name) const {
   for (const auto& [known, value] : variables_)
      if (known == name)
         return &value;
   return nullptr;
}

bool Execution::wanted(const Selection& selection) {
   for (const Directive& directive : selection.directives) {
      const bool include = directive.name == "include";
      if (!include && directive.name != "skip") {
         fail("unknown directive @" + directive.name, selection.offset);
         return false;
      }
      const Value* condition = nullptr;
      for (const Argument& argument : directive.arguments)
         if (argument.name == "if")
            condition = &argument.value;
      if (condition && condition->kind == Value::Kind::variable)
         condition = variable(condition->text);
      if (!condition || condition->kind != Value::Kind::boolean) {
         fail("@" + directive.name + " needs the argument if, true or false", selection.offset);
         return false;
      }
      if ((condition->text == "true") != include)
         return false;
   }
   return true;
}

void Execution::collect(const TypeInfo& type, const std::vector<Selection>& selections, std::vector<Collected>& out,
                        std::size_t depth) {
   if (depth > limits::depthMax)
      return fail("fragments are nested too deep, or lead to themselves");
   for (const Selection& selection : selections) {
      if (failed() || !charge(1))
         return;
      if (!wanted(selection))
         continue;
      if (selection.kind == Selection::Kind::field) {
         const auto same = std::ranges::find(out, std::string_view(selection.key()), &Collected::key);
         if (same == out.end()) {
            out.push_back({selection.key(), {&selection, {}}});
            if (!selection.selections.empty())
               out.back().asked.selections.push_back(&selection.selections);
         } else if (same->asked.first->name != selection.name) {
            return fail("\"" + selection.key() + "\" is asked for as two different fields: use an alias",
                        selection.offset);
         } else if (!selection.selections.empty()) {
            same->asked.selections.push_back(&selection.selections);
         }
      } else if (selection.kind == Selection::Kind::inlined) {
         if (selection.type.empty() || selection.type == type.name())
            collect(type, selection.selections, out, depth + 1);
      } else {
         const auto found = std::ranges::find(document_.fragments, selection.name, &Fragment::name);
         if (found == document_.fragments.end())
            return fail("unknown fragment " + selection.name, selection.offset);
         if (found->type == type.name())
            collect(type, found->selections, out, depth + 1);
      }
   }
}

void Execution::object(const TypeInfo& type, const void* value, const Asked& asked) {
   if (failed())
      return;
   if (asked.selections.empty())
      return fail("say which fields of " + asked.first->name + " you want", asked.first->offset);
   if (depth_ >= limits::depthMax)
      return fail("the query is nested deeper than " + std::to_string(limits::depthMax), asked.first->offset);
   ++depth_;
   std::vector<Collected> fields;
   for (const auto* selections : asked.selections)
      collect(type, *selections, fields, 0);
   writer.beginObject();
   for (const Collected& field : fields) {
      if (failed() || !charge(1))
         return;
      const Selection& first = *field.asked.first;
      writer.key(field.key);
      if (first.name == "__typename") {
         if (leaf(field.asked))
            writer.string(type.name());
         continue;
      }
      const FieldInfo* info = nullptr;
      for (std::size_t i = 0; i < type.count && !info; ++i)
         if (type.fields[i].name == first.name)
            info = &type.fields[i];
      if (!info)
         return fail(type.name() + " has no field " + first.name, first.offset);
      info->resolve(*this, value, field.asked);
   }
   writer.endObject();
   --depth_;
}

bool Execution::leaf(const Asked& asked) {
   if (!asked.selections.empty())
      fail(asked.first->name + " has no fields of its own", asked.first->offset);
   return !failed();
}

void Execution::toJson(const Value& value, JsonWriter& json) {
   switch (value.kind) {
   case Value::Kind::null:
      return json.null();
   case Value::Kind::boolean:
   case Value::Kind::number:
      return json.raw(value.text);
   case Value::Kind::string:
   case Value::Kind::name:
      return json.string(value.text);
   case Value::Kind::list:
      json.beginArray();
      for (const Value& item : value.items)
         toJson(item, json);
      return json.endArray();
   case Value::Kind::object:
      json.beginObject();
      for (std::size_t i = 0; i < value.items.size(); ++i) {
         json.key(value.names[i]);
         toJson(value.items[i], json);
      }
      return json.endObject();
   case Value::Kind::variable: {
      const Value* known = variable(value.text);
      // Variables hold no variables.
      return known ? toJson(*known, json) : json.null();
   }
   }
}

std::optional<std::string> Execution::argument(const Asked& asked, std::string_view name) {
   for (const Argument& argument : asked.first->arguments) {
      if (argument.name != name)
         continue;
      const Value* value = &argument.value;
      if (value->kind == Value::Kind::variable)
         value = variable(value->text);
      if (!value || value->kind == Value::Kind::null)
         return std::nullopt;
      std::string json;
      JsonWriter writer(json);
      toJson(*value, writer);
      return json;
   }
   return std::nullopt;
}

bool Execution::onlyArguments(const Asked& asked, std::initializer_list<std::string_view> names) {
   for (const Argument& argument : asked.first->arguments)
      if (std::ranges::find(names, std::string_view(argument.name)) == names.end())
         fail(asked.first->name + " takes no argument " + argument.name, asked.first->offset);
   return !failed();
}

void Execution::run(const TypeInfo& root, const void* value, const Request& request) {
   const Operation* operation = nullptr;
   for (const Operation& candidate : document_.operations)
      if (request.operation.empty() || candidate.name == request.operation) {
         if (operation)
            return fail("there are several operations: say which by operationName");
         operation = &candidate;
      }
   if (!operation)
      return fail(request.operation.empty() ? "there is no operation" : "there is no operation " + request.operation);
   if (operation->kind != "query")
      return fail("only queries are answered here, no " + operation->kind + "; push a transaction instead",
                  operation->offset);
   Value given;
   if (!request.variables.empty()) {
      JsonReader reader(request.variables);
      std::size_t nodes = 0;
      if (!readValue(reader, given, 1, nodes) || given.kind != Value::Kind::object)
         return fail("the variables are not a JSON object");
   }
   for (const Variable& variable : operation->variables) {
      const auto at = std::ranges::find(given.names, variable.name);
      if (at != given.names.end())
         variables_.emplace_back(variable.name, given.items[static_cast<std::size_t>(at - given.names.begin())]);
      else if (variable.standard)
         variables_.emplace_back(variable.name, *variable.standard);
      else if (variable.required)
         return fail("the variable $" + variable.name + " is missing", operation->offset);
   }
   Selection top;
   top.name = "the query";
   object(root, value, {&top, {&operation->selections}});
}

std::string errorText(std::string_view query, const Error& error, ErrorForm form) {
   const std::string_view before = query.substr(0, std::min(error.offset, query.size()));
   const auto line = 1 + static_cast<std::uint32_t>(std::ranges::count(before, '\n'));
   const std::size_t start = before.rfind('\n');
   const auto column = static_cast<std::uint32_t>(before.size() - (start == before.npos ? 0 : start + 1) + 1);
   std::string out;
   JsonWriter writer(out);
   writer.beginObject();
   writer.key("errors");
   if (form == ErrorForm::list)
      writer.beginArray();
   writer.beginObject();
   writer.key("message");
   writer.string(error.message);
   writer.key("locations");
   writer.beginArray();
   writer.beginObject();
   writer.key("line");
   writer.integer(line);
   writer.key("column");
   writer.integer(column);
   writer.endObject();
   writer.endArray();
   writer.endObject();
   if (form == ErrorForm::list)
      writer.endArray();
   writer.endObject();
   return out;
}

std::string answer(const TypeInfo& root, const void* value, const Request& request, ErrorForm form) {
   const auto document = parse(request.query);
   if (!document)
      return errorText(request.query, document.error(), form);
   std::string out = "{\"data\":";
   Execution execution(*document, out);
   Execution* outer = current;
   current = &execution;
   execution.run(root, value, request);
   current = outer;
   if (execution.failed())
      return errorText(request.query, *execution.error(), form);
   return out + "}";
}

// ---- schema --------------------------------------------------------------------------------------------------------

void Describer::add(const TypeInfo& type) {
   if (std::ranges::find(types_, &type) == types_.end())
      types_.push_back(&type);
}

std::string Describer::text(const TypeInfo& root) {
   std::string out;
   add(root);
   for (std::size_t at = 0; at < types_.size(); ++at) { // grows meanwhile
      const TypeInfo& type = *types_[at];
      if (type.isUnion) {
         out += "\nunion " + type.name() + " = ";
         for (std::size_t i = 0; i < type.count; ++i)
            out += (i ? " | " : "") + type.fields[i].type(*this);
         out += "\n";
         continue;
      }
      out += (at ? "\ntype " : "type ") + (at ? type.name() : std::string("Query")) + " {\n";
      for (std::size_t i = 0; i < type.count; ++i) {
         const FieldInfo& field = type.fields[i];
         out += "   " + std::string(field.name);
         if (field.arguments)
            out += field.arguments(*this);
         out += ": " + field.type(*this) + "\n";
      }
      out += "}\n";
   }
   return out;
}

} // namespace polis::sdk::graphql
