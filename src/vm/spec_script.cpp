#include "vm/spec_script.hpp"

#include "base/fault.hpp"
#include "vm/module_body.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

namespace polis::vm {
namespace {

namespace fs = std::filesystem;

/// As much of JSON as the scripts use.
struct Json {
   std::string text; ///< of a string, number or word
   std::vector<Json> items;
   std::map<std::string, Json> fields;

   const Json& operator[](const std::string& name) const {
      static const Json none;
      const auto at = fields.find(name);
      return at == fields.end() ? none : at->second;
   }
   bool has(const std::string& name) const { return fields.contains(name); }
};

/// Throws Fault for what it cannot read.
class JsonReader {
public:
   explicit JsonReader(std::string_view text) : text_(text) {}

   Json whole() {
      Json out = value(0);
      if (next() != end)
         wrong();
      return out;
   }

private:
   static constexpr int nestingMax = 16;
   static constexpr char end = '\0';

   [[noreturn]] void wrong() const { throw Fault("not a script: unexpected text at byte " + std::to_string(at_)); }

   Json value(int depth) {
      if (depth > nestingMax)
         wrong();
      Json out;
      switch (next()) {
      case '{':
         list('}', [&] {
            const std::string name = string();
            expect(':');
            out.fields[name] = value(depth + 1);
         });
         break;
      case '[':
         list(']', [&] { out.items.push_back(value(depth + 1)); });
         break;
      case '"':
         out.text = string();
         break;
      default:
         while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '-' ||
                                       text_[at_] == '+' || text_[at_] == '.'))
            out.text += text_[at_++];
         if (out.text.empty())
            wrong();
      }
      return out;
   }

   template <class F>
   void list(char close, F&& item) {
      ++at_;
      if (next() == close) {
         ++at_;
         return;
      }
      while (true) {
         item();
         if (next() == close) {
            ++at_;
            return;
         }
         expect(',');
      }
   }

   /// The next character that is not white space; `end` behind the last.
   char next() {
      while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])))
         ++at_;
      return at_ < text_.size() ? text_[at_] : end;
   }

   void expect(char c) {
      if (next() != c)
         wrong();
      ++at_;
   }

   char take() {
      if (at_ >= text_.size())
         wrong();
      return text_[at_++];
   }

   std::string string() {
      expect('"');
      std::string out;
      for (char c = take(); c != '"'; c = take()) {
         if (c == '\\') {
            c = take();
            if (c == 'u') {
               // The scripts escape each byte of a name by itself.
               unsigned code = 0;
               const char* from = text_.data() + at_;
               if (text_.size() - at_ < 4 || std::from_chars(from, from + 4, code, 16).ptr != from + 4)
                  wrong();
               at_ += 4;
               c = static_cast<char>(code);
            } else {
               c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
            }
         }
         out += c;
      }
      return out;
   }

   std::string_view text_;
   std::size_t at_ = 0;
};

std::string readFile(const fs::path& path) {
   std::ifstream in(path, std::ios::binary);
   std::string out((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
   if (!in)
      throw Fault("cannot read " + path.string());
   return out;
}

/// What the policy refuses on purpose. A module refused for anything else is a failure.
bool refusedOnPurpose(const std::string& rule) {
   static const std::set<std::string> rules = {
       "reference types are not allowed",
       "tables hold functions only",
       "functions with several results are not allowed",
       "blocks take no parameters and give at most one result",
       "select with a type is not allowed",
       "only functions may be imported",
       "more than one table is not allowed",
       "more than one memory is not allowed",
       "global.get is not allowed in a constant expression",
       "elements are functions only",
       // Segments are checked when the module is, not when an instance is made.
       "a data segment does not fit the memory",
       "an element segment does not fit the table",
   };
   return rules.contains(rule) || rule.starts_with("unknown import ");
}

/// A value as bits: one lane list for vectors.
struct Lanes {
   unsigned bits = 0;
   std::vector<std::string> values;
};

/// Throws Fault when there are more lanes than a value has.
Lanes lanesOf(const Json& value) {
   const std::string& type = value["type"].text;
   Lanes out;
   const std::string lane = type == "v128" ? value["lane_type"].text : type;
   out.bits = lane == "i8" ? 8 : lane == "i16" ? 16 : lane == "i32" || lane == "f32" ? 32 : 64;
   if (type == "v128")
      for (const Json& item : value["value"].items)
         out.values.push_back(item.text);
   else
      out.values.push_back(value["value"].text);
   if (out.values.size() * out.bits > 128)
      throw Fault("not a script: a value of too many lanes");
   return out;
}

std::uint64_t bitsOf(const std::string& text) {
   std::uint64_t out = 0;
   if (text.starts_with('-'))
      return static_cast<std::uint64_t>(std::strtoll(text.c_str(), nullptr, 10));
   std::from_chars(text.data(), text.data() + text.size(), out);
   return out;
}

wasmtime_val_raw_t rawOf(const Json& value) {
   wasmtime_val_raw_t out{};
   const Lanes lanes = lanesOf(value);
   for (std::size_t i = 0; i < lanes.values.size(); ++i) {
      const std::uint64_t bits = bitsOf(lanes.values[i]);
      std::memcpy(out.v128 + i * lanes.bits / 8, &bits, lanes.bits / 8);
   }
   return out;
}

/// Empty if the value is as expected.
std::string differs(const Json& expected, const wasmtime_val_raw_t& got) {
   const Lanes lanes = lanesOf(expected);
   for (std::size_t i = 0; i < lanes.values.size(); ++i) {
      std::uint64_t bits = 0;
      std::memcpy(&bits, got.v128 + i * lanes.bits / 8, lanes.bits / 8);
      const std::string& want = lanes.values[i];
      bool same;
      if (want.starts_with("nan:")) {
         // Ours are canonical, and positive.
         const std::uint64_t canonical = lanes.bits == 32 ? 0x7fc00000 : 0x7ff8000000000000;
         const std::uint64_t noSign = bits & (lanes.bits == 32 ? 0x7fffffffu : 0x7fffffffffffffffu);
         same = want == "nan:canonical" ? noSign == canonical : (noSign & canonical) == canonical;
      } else {
         const std::uint64_t mask = lanes.bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << lanes.bits) - 1;
         same = bits == (bitsOf(want) & mask);
      }
      if (!same)
         return "lane " + std::to_string(i) + ": expected " + want + ", got " + std::to_string(bits);
   }
   return {};
}

/// The suite's text of a trap as ours.
bool trapMatches(const std::string& text, TrapKind kind) {
   static const std::map<std::string, std::set<TrapKind>> kinds = {
       {"unreachable", {TrapKind::unreachable}},
       {"out of bounds memory access", {TrapKind::memoryOutOfBounds}},
       {"out of bounds table access", {TrapKind::callOutOfRange}},
       {"integer divide by zero", {TrapKind::floatingPoint}},
       {"integer overflow", {TrapKind::floatingPoint}},
       {"invalid conversion to integer", {TrapKind::floatingPoint}},
       {"undefined element", {TrapKind::callOutOfRange}},
       {"uninitialized element", {TrapKind::callWrongType}},
       {"uninitialized element 2", {TrapKind::callWrongType}},
       {"uninitialized", {TrapKind::callWrongType}},
       {"indirect call type mismatch", {TrapKind::callWrongType}},
       {"indirect call", {TrapKind::callWrongType}},
       {"undefined", {TrapKind::callOutOfRange}},
   };
   const auto at = kinds.find(text);
   return at != kinds.end() && at->second.contains(kind);
}

class Script {
public:
   Script(Engine& engine, std::uint64_t& modules, fs::path file,
          const std::function<void(const std::string&)>& onFailure)
      : engine_(engine), modules_(modules), file_(std::move(file)), onFailure_(onFailure) {}

   SpecTally run() {
      const std::string text = readFile(file_);
      const Json script = JsonReader(text).whole();
      if (script["commands"].items.empty())
         throw Fault("not a script: " + file_.string() + " has no commands");
      for (const Json& command : script["commands"].items)
         one(command);
      return tally_;
   }

private:
   static constexpr Options options{.maxMutableGlobalBytes = 1 << 20, .maxPages = 65536, .maxTableElements = 1 << 20};

   void pass() { ++tally_.passed; }
   void fail(const Json& command, const std::string& why) {
      ++tally_.failed;
      onFailure_(file_.stem().string() + ".wast:" + command["line"].text + ": " + command["type"].text + ": " + why);
   }

   Bytes code(const Json& command) const { return toBytes(readFile(file_.parent_path() / command["filename"].text)); }

   /// Null and the reason if refused.
   std::shared_ptr<const Module> compile(const Bytes& code, std::string& rule) {
      CodeHash hash{}; // nothing is kept between runs: a name is enough
      const std::uint64_t serial = ++modules_;
      std::memcpy(hash.data(), &serial, sizeof serial);
      auto made = engine_.compile(code, hash, options);
      if (made)
         return *made;
      rule = made.error().rule;
      return nullptr;
   }

   void makeModule(const Json& command) {
      std::string rule;
      current_.reset();
      const auto module = compile(code(command), rule);
      if (!module) {
         if (refusedOnPurpose(rule)) {
            ++tally_.refused;
            // It would have written into tables of the modules before it.
            if (rule == "only functions may be imported")
               named_.clear();
         } else
            fail(command, "refused: " + rule);
      } else {
         current_ = std::make_shared<Instance>(engine_.instantiate(module, budget_, nullptr));
         budget_.stackBytes = 1 << 20;
         if (auto started = current_->runStartSection(); !started)
            return fail(command, std::string(started.error().text()));
         pass();
      }
      if (command.has("name"))
         named_[command["name"].text] = current_;
   }

   /// None if the module was refused.
   std::optional<std::expected<wasmtime_val_raw_t, Trap>> act(const Json& command) {
      const Json& action = command["action"];
      const auto named = named_.find(action["module"].text);
      const auto instance = !action.has("module") ? current_ : named == named_.end() ? nullptr : named->second;
      if (!instance)
         return std::nullopt;
      const ModuleBody& module = instance->module().body();
      const auto index = module.findExport(action["field"].text);
      if (action["type"].text != "invoke" || !index)
         return std::nullopt; // exported globals are not for hosts to read
      const FunctionType& type = module.facts.exports[*index].type;
      if (action["args"].items.size() != type.params.size())
         throw Fault("not a script: " + action["field"].text + " is called with too many or too few arguments");
      std::vector<wasmtime_val_raw_t> values(type.params.size() + 2);
      for (std::size_t i = 0; i < type.params.size(); ++i)
         values[i] = rawOf(action["args"].items[i]);
      budget_.stackBytes = 1 << 20;
      budget_.instructions = 0;
      const auto done = instance->body().run(module.firstFunctionExport + *index, values, type.result.has_value());
      if (!done)
         return std::unexpected(done.error());
      return values[0];
   }

   void one(const Json& command) {
      const std::string& type = command["type"].text;
      if (type == "module")
         return makeModule(command);
      if (type == "register")
         return;
      if (type == "assert_invalid" || type == "assert_malformed") {
         if (command["module_type"].text == "text")
            return;
         return check(code(command), options) ? fail(command, "accepted: " + command["text"].text) : pass();
      }
      if (type == "assert_unlinkable" || type == "assert_uninstantiable") {
         std::string rule;
         const auto module = compile(code(command), rule);
         if (!module)
            return pass();
         Instance instance = engine_.instantiate(module, budget_, nullptr);
         return instance.runStartSection() ? fail(command, "accepted: " + command["text"].text) : pass();
      }
      const auto result = act(command);
      if (!result) {
         ++tally_.refused;
         return;
      }
      if (type == "assert_return" || type == "action") {
         if (!*result)
            return fail(command, "trap: " + std::string(result->error().text()));
         if (command["expected"].items.empty() || type == "action")
            return pass();
         const std::string difference = differs(command["expected"].items[0], **result);
         return difference.empty() ? pass() : fail(command, difference);
      }
      if (type == "assert_trap") {
         if (*result)
            return fail(command, "no trap: " + command["text"].text);
         return trapMatches(command["text"].text, result->error().kind)
                    ? pass()
                    : fail(command,
                           "another trap: " + std::string(result->error().text()) + ", not " + command["text"].text);
      }
      if (type == "assert_exhaustion")
         return !*result && result->error().kind == TrapKind::stackOverflow ? pass()
                                                                            : fail(command, "no stack overflow");
      fail(command, "unknown command");
   }

   Engine& engine_;
   std::uint64_t& modules_;
   fs::path file_;
   const std::function<void(const std::string&)>& onFailure_;
   SpecTally tally_;
   Budget budget_;
   std::shared_ptr<Instance> current_;
   std::map<std::string, std::shared_ptr<Instance>> named_;
};

} // namespace

SpecTally& SpecTally::operator+=(const SpecTally& other) {
   passed += other.passed;
   failed += other.failed;
   refused += other.refused;
   return *this;
}

SpecRunner::SpecRunner(std::function<void(const std::string&)> onFailure)
   : onFailure_(std::move(onFailure)), engine_({}, {.cacheDir = {}, .instancesMax = 256}) {}

SpecTally SpecRunner::runScript(const fs::path& script) { return Script(engine_, modules_, script, onFailure_).run(); }

SpecTally SpecRunner::runFolder(const fs::path& folder) {
   std::vector<fs::path> scripts;
   std::error_code error;
   for (fs::recursive_directory_iterator at(folder, error), last; !error && at != last; at.increment(error))
      if (at->path().extension() == ".json")
         scripts.push_back(at->path());
   if (error)
      throw Fault("cannot read " + folder.string() + ": " + error.message());
   if (scripts.empty())
      throw Fault("no scripts (.json) in " + folder.string());
   std::ranges::sort(scripts);
   SpecTally out;
   for (const fs::path& script : scripts)
      out += runScript(script);
   return out;
}

} // namespace polis::vm
