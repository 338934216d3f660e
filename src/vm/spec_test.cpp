// The WebAssembly specification's test suite through policy, metering and engine. Skipped where its files are absent:
// POLIS_WASM_SPEC names the unpacked folder, else ../shared/conformance/wasm-spec.tar.zst beside the repository is
// unpacked.
#include "vm/checked_module.hpp"
#include "vm/module_body.hpp"
#include "vm/test_engine.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace polis::vm {
namespace {

namespace fs = std::filesystem;

/// As much of JSON as the scripts use.
struct Json {
   std::string text; ///< of a string or number
   std::vector<Json> items;
   std::map<std::string, Json> fields;

   const Json& operator[](const std::string& name) const {
      static const Json none;
      const auto at = fields.find(name);
      return at == fields.end() ? none : at->second;
   }
   bool has(const std::string& name) const { return fields.contains(name); }
};

class JsonReader {
public:
   explicit JsonReader(std::string_view text) : text_(text) {}

   Json value() {
      Json out;
      switch (next()) {
      case '{':
         ++at_;
         while (next() != '}') {
            const std::string name = value().text;
            next();
            ++at_;
            out.fields[name] = value();
            if (next() == ',')
               ++at_;
         }
         ++at_;
         break;
      case '[':
         ++at_;
         while (next() != ']') {
            out.items.push_back(value());
            if (next() == ',')
               ++at_;
         }
         ++at_;
         break;
      case '"':
         out.text = string();
         break;
      default:
         while (at_ < text_.size() && !std::strchr(",]} \n", text_[at_]))
            out.text += text_[at_++];
      }
      return out;
   }

private:
   char next() {
      while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])))
         ++at_;
      return at_ < text_.size() ? text_[at_] : '\0';
   }

   std::string string() {
      std::string out;
      for (++at_; text_.at(at_) != '"'; ++at_) {
         if (text_[at_] != '\\') {
            out += text_[at_];
            continue;
         }
         const char c = text_.at(++at_);
         if (c != 'u') {
            out += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
            continue;
         }
         unsigned code = 0;
         std::from_chars(text_.data() + at_ + 1, text_.data() + at_ + 5, code, 16);
         at_ += 4;
         // The scripts escape each byte of a name by itself.
         out += static_cast<char>(code);
      }
      ++at_;
      return out;
   }

   std::string_view text_;
   std::size_t at_ = 0;
};

std::string readFile(const fs::path& path) {
   std::ifstream in(path, std::ios::binary);
   std::stringstream out;
   out << in.rdbuf();
   return out.str();
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
   Script(TestEngine& engine, fs::path file) : engine_(engine), file_(std::move(file)) {}

   void run() {
      const std::string text = readFile(file_);
      const Json script = JsonReader(text).value();
      for (const Json& command : script["commands"].items)
         one(command);
   }

   int passed = 0, failed = 0, refused = 0;

private:
   static constexpr Options options{.maxMutableGlobalBytes = 1 << 20, .maxPages = 65536, .maxTableElements = 1 << 20};

   void pass() { ++passed; }
   void fail(const Json& command, const std::string& why) {
      ++failed;
      ADD_FAILURE() << file_.stem().string() << ".wast:" << command["line"].text << ": " << command["type"].text << ": "
                    << why;
   }

   Bytes code(const Json& command) const { return toBytes(readFile(file_.parent_path() / command["filename"].text)); }

   /// Null and the reason if refused.
   std::shared_ptr<const Module> compile(const Bytes& code, std::string& rule) {
      auto made = engine_.engine.compile(code, testHash(code), options);
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
            ++refused;
            // It would have written into tables of the modules before it.
            if (rule == "only functions may be imported")
               named_.clear();
         } else
            fail(command, "refused: " + rule);
      } else {
         current_ = std::make_shared<Instance>(engine_.engine.instantiate(module, engine_.budget, &engine_.host));
         engine_.budget.stackBytes = 1 << 20;
         if (auto started = current_->runStartSection(); !started)
            return fail(command, outcome(started));
         pass();
      }
      if (command.has("name"))
         named_[command["name"].text] = current_;
   }

   /// None if the module was refused.
   std::optional<std::expected<wasmtime_val_raw_t, Trap>> act(const Json& command) {
      const Json& action = command["action"];
      const auto instance = action.has("module") ? named_[action["module"].text] : current_;
      if (!instance)
         return std::nullopt;
      const ModuleBody& module = instance->module().body();
      const auto index = module.findExport(action["field"].text);
      if (action["type"].text != "invoke" || !index)
         return std::nullopt; // exported globals are not for hosts to read
      const FunctionType& type = module.facts.exports[*index].type;
      std::vector<wasmtime_val_raw_t> values(type.params.size() + 2);
      for (std::size_t i = 0; i < type.params.size(); ++i)
         values[i] = rawOf(action["args"].items.at(i));
      engine_.budget.stackBytes = 1 << 20;
      engine_.budget.instructions = 0;
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
         Instance instance = engine_.engine.instantiate(module, engine_.budget, &engine_.host);
         return instance.runStartSection() ? fail(command, "accepted: " + command["text"].text) : pass();
      }
      const auto result = act(command);
      if (!result) {
         ++refused;
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

   TestEngine& engine_;
   fs::path file_;
   std::shared_ptr<Instance> current_;
   std::map<std::string, std::shared_ptr<Instance>> named_;
};

TEST(Spec, Suite) {
   fs::path folder;
   fs::path unpacked;
   if (const char* given = std::getenv("POLIS_WASM_SPEC")) {
      folder = given;
   } else {
      const fs::path archive = fs::path(POLIS_SOURCE_DIR) / "../shared/conformance/wasm-spec.tar.zst";
      if (!fs::exists(archive))
         GTEST_SKIP() << "no " << archive;
      unpacked = fs::temp_directory_path() / ("polis_wasm_spec_" + std::to_string(::getpid()));
      fs::create_directories(unpacked);
      const std::string command = "tar --zstd -xf '" + archive.string() + "' -C '" + unpacked.string() + "'";
      if (std::system(command.c_str()) != 0)
         GTEST_SKIP() << "cannot unpack " << archive;
      folder = unpacked;
   }
   std::vector<fs::path> scripts;
   for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (entry.path().extension() == ".json")
         scripts.push_back(entry.path());
   std::ranges::sort(scripts);
   EXPECT_FALSE(scripts.empty());
   TestEngine engine({.cacheDir = {}, .instancesMax = 256});
   int passed = 0, failed = 0, refused = 0;
   for (const fs::path& file : scripts) {
      Script script(engine, file);
      script.run();
      passed += script.passed;
      failed += script.failed;
      refused += script.refused;
   }
   std::printf("spec: %d passed, %d failed, %d refused\n", passed, failed, refused);
   EXPECT_GT(passed, 1000);
   if (!unpacked.empty())
      fs::remove_all(unpacked);
}

} // namespace
} // namespace polis::vm
