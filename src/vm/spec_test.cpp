// The WebAssembly specification's test suite through policy, metering and engine. Skipped where its files are absent:
// POLIS_WASM_SPEC names the unpacked folder, else ../shared/conformance/wasm-spec.tar.zst beside the repository is
// unpacked.
#include "base/fault.hpp"
#include "vm/spec_script.hpp"
#include "vm/test_engine.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace polis::vm {
namespace {

namespace fs = std::filesystem;

/// A folder of its own, gone at the end.
class Folder {
public:
   Folder() : path_(fs::temp_directory_path() / ("polis_wasm_spec_" + std::to_string(::getpid()))) {
      fs::remove_all(path_);
      fs::create_directories(path_);
   }
   Folder(const Folder&) = delete;
   Folder& operator=(const Folder&) = delete;
   ~Folder() { fs::remove_all(path_); }
   const fs::path& path() const { return path_; }
   void write(const std::string& name, std::string_view bytes) const {
      std::ofstream(path_ / name, std::ios::binary) << bytes;
   }

private:
   fs::path path_;
};

TEST(Spec, Suite) {
   const Folder unpacked;
   fs::path folder = unpacked.path();
   const char* given = std::getenv("POLIS_WASM_SPEC");
   if (given) {
      folder = given;
   } else {
      const fs::path archive = fs::path(POLIS_SOURCE_DIR) / "../shared/conformance/wasm-spec.tar.zst";
      if (!fs::exists(archive))
         GTEST_SKIP() << "no " << archive;
      const std::string command = "tar --zstd -xf '" + archive.string() + "' -C '" + folder.string() + "'";
      if (std::system(command.c_str()) != 0)
         GTEST_SKIP() << "cannot unpack " << archive;
   }
   SpecRunner runner([](const std::string& failure) { ADD_FAILURE() << failure; });
   const SpecTally tally = runner.runFolder(folder);
   EXPECT_GT(tally.passed, 20'000u);
   EXPECT_EQ(tally.failed, 0u);
   if (!given) {
      EXPECT_EQ(tally.refused, 1356u) << "docs/vm.md tells what is refused";
   }
}

TEST(Spec, WrongExpectationsFail) {
   const Folder folder;
   const auto code =
       fromText(R"((module (func (export "one") (result i32) (i32.const 1)) (func (export "stop") unreachable)
      (func (export "same") (param f32) (result f32) (local.get 0))))");
   ASSERT_TRUE(code);
   folder.write("one.wasm", {reinterpret_cast<const char*>(code->data()), code->size()});
   folder.write("broken.wasm", "not wasm");
   folder.write("many.json", R"({"source_filename": "many.wast", "commands": [
      {"type": "module", "line": 1, "filename": "one.wasm"},
      {"type": "assert_return", "line": 2, "action": {"type": "invoke", "field": "one", "args": []}, "expected": [{"type": "i32", "value": "1"}]},
      {"type": "assert_return", "line": 3, "action": {"type": "invoke", "field": "one", "args": []}, "expected": [{"type": "i32", "value": "2"}]},
      {"type": "assert_trap", "line": 4, "action": {"type": "invoke", "field": "stop", "args": []}, "text": "unreachable"},
      {"type": "assert_trap", "line": 5, "action": {"type": "invoke", "field": "stop", "args": []}, "text": "integer overflow"},
      {"type": "assert_trap", "line": 6, "action": {"type": "invoke", "field": "one", "args": []}, "text": "unreachable"},
      {"type": "assert_invalid", "line": 7, "filename": "one.wasm", "text": "type mismatch", "module_type": "binary"},
      {"type": "assert_malformed", "line": 8, "filename": "broken.wasm", "text": "magic", "module_type": "binary"},
      {"type": "assert_return", "line": 9, "action": {"type": "invoke", "field": "same", "args": [{"type": "f32", "value": "2147483648"}]}, "expected": [{"type": "f32", "value": "2147483648"}]},
      {"type": "assert_return", "line": 10, "action": {"type": "invoke", "module": "unknown", "field": "one", "args": []}, "expected": []},
      {"type": "assert_return", "line": 11, "action": {"type": "invoke", "field": "stop", "args": []}, "expected": []}]})");
   std::vector<std::string> failures;
   SpecRunner runner([&](const std::string& failure) { failures.push_back(failure.substr(0, failure.find(": "))); });
   SpecTally tally;
   onExecutionStack([&] { tally = runner.runFolder(folder.path()); });
   EXPECT_EQ(failures,
             (std::vector<std::string>{"many.wast:3", "many.wast:5", "many.wast:6", "many.wast:7", "many.wast:11"}));
   EXPECT_EQ(tally.passed, 5u);
   EXPECT_EQ(tally.failed, 5u);
   EXPECT_EQ(tally.refused, 1u);
}

TEST(Spec, WhatIsNoScriptIsAFault) {
   const Folder folder;
   SpecRunner runner([](const std::string& failure) { ADD_FAILURE() << failure; });
   EXPECT_THROW(runner.runFolder(folder.path()), Fault);
   EXPECT_THROW(runner.runFolder(folder.path() / "missing"), Fault);
   EXPECT_THROW(runner.runScript(folder.path() / "missing.json"), Fault);
   const auto code = fromText(R"((module (func (export "one") (param i32))))");
   ASSERT_TRUE(code);
   folder.write("one.wasm", {reinterpret_cast<const char*>(code->data()), code->size()});
   const std::string call =
       R"({"commands":[{"type":"module","filename":"one.wasm"},{"type":"action","action":{"type":"invoke","field":"one","args":[ARGS]}}]})";
   const auto with = [&](const char* args) { return std::string(call).replace(call.find("ARGS"), 4, args); };
   const std::string lanes = R"({"type":"v128","lane_type":"i64","value":["1","2","3"]})";
   for (const std::string& text :
        {std::string(), std::string("{"), std::string("["), std::string("{}"), std::string(R"({"commands":[]})"),
         std::string(R"({"commands":[{"type":"module","filename":"missing.wasm"}]})"), std::string(R"({"a":"\u12)"),
         std::string(R"({"a":"\)"), std::string(R"({"a" 1})"), std::string("[1 2]"), std::string("{} {}"),
         std::string(10'000, '['), std::string("\0", 1), with(""), with("{},{}"), with(lanes.c_str())}) {
      folder.write("s.json", text);
      onExecutionStack([&] { EXPECT_THROW(runner.runScript(folder.path() / "s.json"), Fault) << text; });
   }
}

} // namespace
} // namespace polis::vm
