#include "vm/program.hpp"

#include "vm/wat.hpp"

#include <gtest/gtest.h>

namespace polis::vm {
namespace {

/// What a program showed to its import `env.show`: a place in its memory, five bytes.
std::string shown(std::string_view text) {
   const auto code = fromText(text);
   if (!code)
      return code.error();
   std::string seen;
   std::vector<ProgramFunction> imports;
   imports.push_back(
       {"env", "show", {{ValueType::i32}, std::nullopt}, [&](const ProgramMemory& memory, const Value* args, Value*) {
           const auto bytes = memory.span(static_cast<std::uint32_t>(args[0].i64), 5);
           seen.assign(bytes.begin(), bytes.end());
        }});
   const auto done = runProgram(*code, std::move(imports));
   return done ? seen : done.error();
}

TEST(Program, importsSeeMemoryWhateverItIsCalled) { // K-2.2
   const std::string body = R"((data (i32.const 16) "hello") (func (export "_start") (call $show (i32.const 16))))";
   const std::string show = R"((module (import "env" "show" (func $show (param i32))) )";
   EXPECT_EQ(shown(show + R"((memory (export "memory") 1))" + body + ")"), "hello");
   EXPECT_EQ(shown(show + R"((memory (export "other") 1))" + body + ")"), "hello");
   EXPECT_EQ(shown(show + "(memory 1)" + body + ")"), "hello");
   // Without a memory there is nothing to see.
   EXPECT_NE(shown(show + R"((func (export "_start") (call $show (i32.const 16)))))").find("does not have"),
             std::string::npos);
}

} // namespace
} // namespace polis::vm
