// What a decoder allocates is bounded by a small multiple of its input, whatever the input is.
#include "format/builtin_types.hpp"
#include "format/chain.hpp"
#include "format/dynamic.hpp"
#include "format/jwt.hpp"
#include "format/keys.hpp"
#include "format/native_tables.hpp"
#include "format/semver.hpp"
#include "format/text_encoding.hpp"
#include "format/type_notation.hpp"
#include "format/vectors.hpp"

#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <malloc.h>
#include <new>

namespace {
std::size_t allocated = 0, peak = 0;
}

// Every allocation of this program is counted; it has one thread.
void* operator new(std::size_t size) {
   void* memory = std::malloc(size ? size : 1);
   if (!memory)
      std::abort();
   allocated += malloc_usable_size(memory);
   peak = std::max(peak, allocated);
   return memory;
}
void operator delete(void* memory) noexcept {
   if (memory)
      allocated -= malloc_usable_size(memory);
   std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace polis::format {
namespace {

/// JSON's tokens take at most six times the text, three of them while they move to more room, the text itself once, and
/// what lists claim (JsonReader::claim) four times as much. Packed bytes become no more than 20 times as many; what
/// they are in JSON depends on the names of members.
constexpr std::size_t multipleMax = 16, packedMultipleMax = 20, textMultipleMax = 80;
constexpr std::size_t inputBytes = 1 << 18;
/// Whatever does not depend on the input: tables made once, messages.
constexpr std::size_t constantMax = (1 << 18) + JsonReader::memoryExtraMax;

template <class F>
void expectBounded(const std::string& what, std::size_t size, const F& decode, std::size_t multiple = multipleMax) {
   const std::size_t before = allocated;
   peak = allocated;
   decode();
   EXPECT_LE(peak - before, multiple * size + constantMax)
       << what << ", " << size << " bytes: " << static_cast<double>(peak - before) / static_cast<double>(size + 1);
}

std::string filled(std::string_view head, std::string_view part, std::string_view tail) {
   std::string out(head);
   while (out.size() + part.size() + tail.size() <= inputBytes)
      out += part;
   return out += tail;
}

std::vector<std::string> hostileTexts() {
   std::vector<std::string> texts;
   for (const auto* part : {"1,", "[],", "{},", "\"\",", "[[]],", "null,", "1e-307,", "{\"\":0},", "{\"a\":[]},"})
      texts.push_back(filled("[", part, std::string(part).substr(0, std::string_view(part).size() - 1) + "]"));
   for (const auto* part : {"\"a\":1,", "\"a\":[],", "\"\":{},"})
      texts.push_back(filled("{", part, std::string(part).substr(0, std::string_view(part).size() - 1) + "}"));
   std::string members = "{"; // all different
   for (int i = 0; members.size() < inputBytes - 20; ++i)
      members += "\"" + std::to_string(i) + "\":\"\",";
   members.back() = '}';
   texts.push_back(members);
   texts.push_back(filled("", "[", ""));
   texts.push_back(filled("\"", "a", "\""));
   texts.push_back(filled("\"", "00", "\""));
   texts.push_back(filled("\"", "\\n", "\""));
   texts.push_back(filled("", "9", ""));
   return texts;
}

/// Every member of a built-in type that is a list gets a hostile one, one after the other.
std::vector<std::string> hostileObjects(const BuiltinType& type) {
   std::vector<std::string> texts;
   const auto schema = type.schema();
   const AnyType* resolved = resolve(schema, {TypeName{std::string(type.name)}});
   const std::vector<Member>* members = nullptr;
   if (resolved)
      if (const auto* object = std::get_if<ObjectType>(&resolved->kind))
         members = &object->members;
   if (members)
      for (const Member& member : *members)
         for (const auto* part : {"{},", "[],", "\"\",", "0,"})
            texts.push_back(filled("{\"" + member.name + "\":[", part,
                                   std::string(part).substr(0, std::string_view(part).size() - 1) + "]}"));
   return texts;
}

/// Lists of as many elements as there is room for, under every alignment that an object's head can give them.
std::vector<Bytes> hostileBytes() {
   std::vector<Bytes> all;
   for (const std::uint32_t head : {0u, 2u, 4u, 6u, 8u, 12u, 16u, 24u, 32u}) {
      for (const std::uint32_t word : {0u, 1u, 4u, 0xFFFFFFFFu}) {
         Bytes bytes;
         const auto put = [&](std::uint32_t value) {
            for (int i = 0; i < 4; ++i)
               bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
         };
         if (head >= 2) {
            bytes = {static_cast<std::uint8_t>(head - 2), 0};
            while (bytes.size() + 4 <= head)
               put(head - static_cast<std::uint32_t>(bytes.size()));
            bytes.resize(head);
         }
         put(static_cast<std::uint32_t>((inputBytes - head - 4) / 4 * 4));
         while (bytes.size() + 4 <= inputBytes)
            put(word);
         all.push_back(std::move(bytes));
      }
   }
   return all;
}

template <class T>
void expectBoundedReading(const char* name, const std::vector<std::string>& texts, const std::vector<Bytes>& packed) {
   for (const std::string& text : texts)
      expectBounded(std::string(name) + " from " + text.substr(0, 20), text.size(),
                    [&] { static_cast<void>(fromJson<T>(text)); });
   for (const Bytes& bytes : packed)
      expectBounded(
          std::string(name) + " from " + toHex(ByteView(bytes).first(20)), bytes.size(),
          [&] { static_cast<void>(unpack<T>(bytes)); }, packedMultipleMax);
   auto schema = CompiledSchema::compile(schemaOf<T>("T"));
   ASSERT_TRUE(schema) << schema.error();
   const TypeId type = schema->find("T").value();
   for (const std::string& text : texts)
      expectBounded(std::string(name) + " by schema from " + text.substr(0, 20), text.size(),
                    [&] { static_cast<void>(schema->fromJson(type, text)); });
   for (const Bytes& bytes : packed)
      expectBounded(
          std::string(name) + " by schema from " + toHex(ByteView(bytes).first(20)), bytes.size(),
          [&] { static_cast<void>(schema->toJson(type, bytes)); }, textMultipleMax);
}

TEST(Memory, listsOfEveryKind) {
   const auto texts = hostileTexts();
   const auto packed = hostileBytes();
   expectBoundedReading<std::vector<double>>("doubles", texts, packed);
   expectBoundedReading<std::vector<std::string>>("texts", texts, packed);
   expectBoundedReading<std::vector<std::vector<std::uint8_t>>>("lists of bytes", texts, packed);
   expectBoundedReading<std::vector<std::optional<std::string>>>("optional texts", texts, packed);
   expectBoundedReading<std::vector<std::vector<std::vector<bool>>>>("lists of lists", texts, packed);
   expectBoundedReading<std::vector<std::tuple<>>>("empty tuples", texts, packed);
   expectBoundedReading<std::vector<std::variant<std::uint8_t, std::string>>>("variants", texts, packed);
   expectBoundedReading<std::map<std::string, std::vector<std::uint8_t>>>("a map", texts, packed);
   expectBoundedReading<std::set<std::string>>("a set", texts, packed);
   expectBoundedReading<Bytes>("bytes", texts, packed);
   expectBoundedReading<std::string>("text", texts, packed);
}

TEST(Memory, everyStructure) {
   const auto texts = hostileTexts();
   const auto packed = hostileBytes();
   for (const BuiltinType& type : builtinTypes()) {
      for (const std::string& text : hostileObjects(type))
         expectBounded(std::string(type.name) + " from " + text.substr(0, 30), text.size(),
                       [&] { static_cast<void>(type.fromJson(text)); });
      expectBounded(std::string(type.name), texts.front().size(), [&] { static_cast<void>(type.fromJson(texts[0])); });
      for (const Bytes& bytes : packed)
         expectBounded(
             std::string(type.name) + " from " + toHex(ByteView(bytes).first(20)), bytes.size(),
             [&] { static_cast<void>(type.toJson(bytes)); }, textMultipleMax);
   }
}

/// A schema comes from outside, too.
TEST(Memory, typesThatAskForMuch) {
   for (const auto* notation :
        {"array(u64,100000000)", "list(array(u8,1000000))", "array(array(u8,32000),32000)", "tuple(array(u64,8000))",
         "list(tuple(array(u8,65536)))", "list(tuple(array(option(u8),16000)))", "array(array(struct{},60000),60000)",
         "list(option(array(struct{},65536)))", "list(tuple(tuple(tuple(array(u8,60000)))))"}) {
      auto schema = CompiledSchema::compile({});
      ASSERT_TRUE(schema);
      const auto notated = parseTypeNotation(notation);
      ASSERT_TRUE(notated) << notation;
      const auto type = schema->add(*notated);
      if (!type)
         continue;
      for (const std::string& text : hostileTexts())
         expectBounded(std::string(notation) + " from " + text.substr(0, 20), text.size(),
                       [&] { static_cast<void>(schema->fromJson(*type, text)); });
      for (const auto* text : {"[", "[]", "[[]]", "[0]", "null"})
         expectBounded(std::string(notation) + " from " + text, std::string_view(text).size() + 1024,
                       [&] { static_cast<void>(schema->fromJson(*type, text)); });
      for (const Bytes& bytes : hostileBytes())
         expectBounded(
             std::string(notation) + " to JSON", bytes.size(), [&] { static_cast<void>(schema->toJson(*type, bytes)); },
             textMultipleMax);
      expectBounded(std::string(notation) + " of nothing", 0,
                    [&] { static_cast<void>(schema->toJson(*type, Bytes())); });
   }
}

TEST(Memory, schemasAndShortTexts) {
   for (const std::string& text :
        {filled("{", "\"\":\"\",", "\"\":\"\"}"), filled("{\"a\":{\"Tuple\":[", "\"\",", "\"\"]}}"),
         filled("{\"a\":{\"Object\":{", "\"b\":\"c\",", "\"b\":\"c\"}}}")})
      expectBounded("a schema", text.size(), [&] {
         if (const auto schema = fromJson<Schema>(text))
            static_cast<void>(CompiledSchema::compile(*schema));
      });
   for (const char c : {'a', '1', '.', '(', '[', '-', '|', '^', '"', '{', '\0'}) {
      const std::string text(inputBytes, c);
      const std::string what = std::string("text of ") + c;
      expectBounded(what, text.size(), [&] { static_cast<void>(parseTypeNotation(text)); });
      expectBounded(what, text.size(), [&] { static_cast<void>(matchesVersion(text, Version{.major = 1})); });
      expectBounded(what, text.size(), [&] { static_cast<void>(Version::parse(text)); });
      expectBounded(what, text.size(), [&] { static_cast<void>(decodeJwt({}, text)); });
      expectBounded(what, text.size(), [&] { static_cast<void>(fromBase64(text)); });
      expectBounded(what, text.size(), [&] { static_cast<void>(fromPem("X", text)); });
      expectBounded(what, text.size(), [&] { static_cast<void>(PublicKey::fromSpki(asBytes(text))); });
      expectBounded(what, text.size(), [&] { static_cast<void>(PrivateKey::fromDer(asBytes(text))); });
      expectBounded(what, text.size(), [&] { static_cast<void>(checkVectors(text)); });
      expectBounded(what, text.size(), [&] { static_cast<void>(parseTimeUSec(text)); });
      expectBounded(what, text.size(), [&] { static_cast<void>(AccountNumber(text)); });
      expectBounded(what, text.size(), [&] { static_cast<void>(MethodNumber(text)); });
   }
}

} // namespace
} // namespace polis::format
