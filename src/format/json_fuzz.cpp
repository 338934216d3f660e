// Any text as JSON of every protocol structure: what is accepted is valid when packed, and its own JSON is accepted.
// What is JSON at all, RapidJSON decides too.
#include "base/assert.hpp"
#include "format/builtin_types.hpp"

#define RAPIDJSON_ASSERT(x) ASSERT(x)
// Its empty stack adds an offset to a null pointer before it compares; harmless, but undefined.
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>
#pragma clang diagnostic pop
#pragma clang attribute pop

namespace polis::format {
namespace {

struct Ignore : rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Ignore> {
   bool RawNumber(const char*, unsigned, bool) { return true; }
};

void compareGrammar(std::string_view text) {
   JsonReader ours(text);
   const bool accepted = ours.token() != JsonToken::error;
   if (accepted) {
      // Its compact form is one that stays.
      std::string compact, again;
      JsonWriter first(compact), second(again);
      ASSERT(copyJson(ours, first) && ours.token() == JsonToken::end);
      JsonReader reader(compact);
      ASSERT(copyJson(reader, second) && compact == again);
   }
   // It takes a NUL for the end; a low surrogate alone, it lets pass; how deep it goes is not limited; an exponent is.
   if (text.find('\0') != text.npos || ours.error().message == "nested too deeply")
      return;
   constexpr unsigned flags = rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseIterativeFlag;
   rapidjson::MemoryStream stream(text.data(), text.size());
   rapidjson::Reader reader;
   Ignore ignore;
   const auto theirs = reader.Parse<flags>(stream, ignore);
   if (theirs.Code() == rapidjson::kParseErrorNumberTooBig || !isUtf8(text))
      return;
   const bool loneSurrogate = !accepted && (text.find("\\uD") != text.npos || text.find("\\ud") != text.npos);
   ASSERT(accepted == !theirs.IsError() || loneSurrogate);
}

void run(ByteView data) {
   if (data.empty())
      return;
   compareGrammar(asText(data.subspan(1)));
   const BuiltinType& type = builtinTypes()[data[0] % builtinTypes().size()];
   const auto packed = type.fromJson(asText(data.subspan(1)));
   if (!packed)
      return;
   ASSERT(type.validate(*packed) == Validity::valid);
   const auto json = type.toJson(*packed);
   ASSERT(json.has_value());
   const auto again = type.fromJson(*json);
   ASSERT(again.has_value()); // names may not come back the same
}

} // namespace
} // namespace polis::format

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
   polis::format::run({data, size});
   return 0;
}
