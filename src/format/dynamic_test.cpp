#include "format/dynamic.hpp"

#include "base/random.hpp"
#include "format/builtin_types.hpp"
#include "format/chain.hpp"
#include "format/type_notation.hpp"

#include <gtest/gtest.h>

namespace polis::format {
namespace {

struct Compiled {
   CompiledSchema schema;
   TypeId type;

   explicit Compiled(std::string_view notation) : schema(*CompiledSchema::compile({})) {
      type = schema.add(parseTypeNotation(notation).value()).value();
   }
   std::string pack(std::string_view json) const {
      const auto bytes = schema.fromJson(type, json);
      return bytes ? toHex(*bytes) : "error: " + bytes.error().message;
   }
   std::string json(std::string_view hex) const {
      const auto json = schema.toJson(type, *fromHex(hex));
      return json ? *json : "error: " + json.error().path;
   }
};

TEST(Dynamic, packsInMemberOrderWhateverTheTextsOrder) {
   const Compiled object("object{a:u8,b:string,c:option(string),d:option(u8)}");
   EXPECT_EQ(object.pack(R"({"c":"y","b":"x","a":1})"), object.pack(R"({"a":1,"b":"x","c":"y","d":null})"));
   EXPECT_EQ(object.pack(R"({"a":1})"), "0500010000"
                                        "0000");
   EXPECT_EQ(object.pack(R"({"b":"x"})"), "error: the member \"a\" is missing");
   EXPECT_EQ(object.json("05000100000000"), R"({"a":1,"b":"","c":null,"d":null})");
}

TEST(Dynamic, errorsNameThePath) {
   const Compiled type("object{list:list(tuple(u8,bool)),text:string}");
   const auto bytes = type.schema.fromJson(type.type, R"({"list":[[1,true],[2,false]],"text":"x"})");
   ASSERT_TRUE(bytes);
   Bytes broken = *bytes;
   for (std::size_t i = broken.size(); i-- > 0;)
      if (broken[i] == 2 && broken[i + 1] == 0) {
         broken[i + 1] = 9;
         break;
      }
   const auto checked = type.schema.check(type.type, broken);
   ASSERT_FALSE(checked);
   EXPECT_EQ(checked.error().path, "list[1][1]");
   EXPECT_EQ(checked.error().rule, FracRule::badBool);
   EXPECT_NE(type.schema.explain(type.type, broken).find("in list[1][1]"), std::string::npos);
   EXPECT_NE(type.schema.explain(type.type, *bytes).find("list of 2"), std::string::npos);
}

TEST(Dynamic, aValueWithoutBytesIsExplained) {
   const Compiled nothing("struct{}");
   EXPECT_EQ(nothing.schema.explain(nothing.type, {}), "");
   const Compiled empties("array(struct{},3)");
   EXPECT_EQ(empties.schema.toJson(empties.type, {}).value(), "[{},{},{}]");
   EXPECT_EQ(empties.schema.explain(empties.type, {}), "");
}

TEST(Dynamic, whatATypeAsksForIsBoundedByTheText) {
   const Compiled list("list(tuple(array(u8,60000)))");
   EXPECT_EQ(list.pack("[[]]").size(), 2 * (4 + 4 + 2 + 60000u));
   EXPECT_EQ(list.pack("[[],[],[],[]]"), "error: the value is too large for its text");
   auto schema = CompiledSchema::compile({});
   EXPECT_FALSE(schema->add(parseTypeNotation("array(array(struct{},60),60)").value()));
}

TEST(Dynamic, refusesImpossibleSchemas) {
   const auto refused = [](std::string_view json) {
      const auto schema = fromJson<Schema>(json);
      EXPECT_TRUE(schema) << json;
      return !CompiledSchema::compile(*schema);
   };
   EXPECT_TRUE(refused(R"({"A":"B"})"));
   EXPECT_TRUE(refused(R"({"A":"B","B":"A"})"));
   EXPECT_TRUE(refused(R"({"A":{"Object":{"a":"A"}}})"));
   EXPECT_TRUE(refused(R"({"A":{"Struct":{"a":{"Array":{"type":"A","len":"2"}}}}})"));
   EXPECT_TRUE(refused(R"({"A":{"Int":{"bits":7,"isSigned":false}}})"));
   EXPECT_TRUE(refused(R"({"A":{"Array":{"type":{"Tuple":[]},"len":"99999999999"}}})"));
   EXPECT_TRUE(refused(R"({"A":{"Array":{"type":{"Struct":{}},"len":"99999999999"}}})"));
   EXPECT_FALSE(refused(R"({"A":{"Object":{"a":{"List":"A"},"b":{"Option":"A"},"c":{"Variant":{"x":"A"}}}}})"));
   std::string chain = "{";
   for (int i = 0; i < 10'000; ++i)
      chain += "\"T" + std::to_string(i) + "\":{\"Tuple\":[\"T" + std::to_string(i + 1) + "\"]},";
   chain += "\"T10000\":{\"Tuple\":[]}}";
   EXPECT_TRUE(refused(chain));
}

TEST(Dynamic, recursionThatConsumesNothingIsBounded) {
   const auto schema = CompiledSchema::compile(*fromJson<Schema>(
       R"({"O":{"Option":"O"},"V":{"Variant":{"@v":"V"}},"L":{"List":"L"},"T":{"Option":{"Tuple":["T"]}}})"));
   ASSERT_TRUE(schema);
   for (const auto* name : {"O", "V", "T"}) {
      const auto packed = schema->fromJson(*schema->find(name), "5");
      ASSERT_FALSE(packed) << name;
      EXPECT_EQ(packed.error().message, "nested too deeply");
   }
   EXPECT_TRUE(schema->fromJson(*schema->find("L"), "[[[]]]"));
}

TEST(Dynamic, defaultsAreBounded) {
   // The first alternative holds the variant itself: it has no smallest value.
   const auto schema =
       CompiledSchema::compile(*fromJson<Schema>(R"({"V":{"Variant":{"self":{"Tuple":["V"]}}},"T":{"Tuple":["V"]}})"));
   if (schema)
      EXPECT_FALSE(schema->fromJson(*schema->find("T"), "[]"));
}

/// Random bytes that are often nearly valid: packed random JSON is not needed, mutation of good values is.
Bytes mutated(Bytes bytes, Random& random) {
   for (std::uint64_t changes = random.next64() % 4; changes > 0 && !bytes.empty(); --changes) {
      const std::uint64_t at = random.next64() % bytes.size();
      switch (random.next64() % 4) {
      case 0:
         bytes[at] = static_cast<std::uint8_t>(random.next64());
         break;
      case 1:
         bytes[at] = static_cast<std::uint8_t>(random.next64() % 5);
         break;
      case 2:
         bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(random.next64() % 3));
         break;
      default:
         bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
         break;
      }
   }
   return bytes;
}

TEST(Dynamic, agreesWithTheTypedCodecs) {
   SeededRandom random(7);
   std::size_t accepted = 0;
   for (const BuiltinType& builtin : builtinTypes()) {
      const auto schema = CompiledSchema::compile(builtin.schema());
      ASSERT_TRUE(schema) << builtin.name << ": " << schema.error();
      const TypeId type = schema->find(builtin.name).value();
      std::vector<Bytes> corpus;
      if (auto zero = builtin.fromJson("{}"))
         corpus.push_back(*zero);
      for (int round = 0; round < 3000 && !corpus.empty(); ++round) {
         const Bytes bytes = mutated(corpus[random.next64() % corpus.size()], random);
         const Validity typed = builtin.validate(bytes);
         ASSERT_EQ(schema->validate(type, bytes), typed) << builtin.name << " " << toHex(bytes);
         if (typed == Validity::invalid)
            continue;
         ++accepted;
         const auto json = builtin.toJson(bytes);
         ASSERT_TRUE(json);
         const auto dynamicJson = schema->toJson(type, bytes);
         ASSERT_TRUE(dynamicJson);
         if (!builtin.name.starts_with("S") || builtin.name.find("chema") == std::string_view::npos)
            ASSERT_EQ(*dynamicJson, *json) << builtin.name << " " << toHex(bytes);
         if (corpus.size() < 200)
            corpus.push_back(bytes);
      }
   }
   EXPECT_GT(accepted, 10'000u);
}

} // namespace
} // namespace polis::format
