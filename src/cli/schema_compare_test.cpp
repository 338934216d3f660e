#include "cli/schema_compare.hpp"

#include <gtest/gtest.h>

namespace polis::cli {
namespace {

std::string service(const std::string& actions, const std::string& more = "") {
   return R"({"service":"shop","types":{"Name":{"Custom":{"type":{"List":{"Int":{"bits":8,"isSigned":false}}},"id":"string"}}},)"
          R"("actions":{)" +
          actions + "}" + more + "}";
}

const std::string number = R"({"Int":{"bits":32,"isSigned":false}})", wide = R"({"Int":{"bits":64,"isSigned":false}})";

TEST(SchemaCompare, TypesByName) {
   const auto schema = [](const std::string& types) { return "{" + types + "}"; };
   const auto same = compareSchemas(schema(R"("A":)" + number), schema(R"("A":)" + number));
   ASSERT_TRUE(same);
   EXPECT_TRUE(same->compatible);
   EXPECT_EQ(same->text, "");
   const auto changed = compareSchemas(schema(R"("A":)" + number + R"(,"B":)" + number + R"(,"@p":)" + number),
                                       schema(R"("A":)" + wide + R"(,"C":)" + number));
   ASSERT_TRUE(changed);
   EXPECT_FALSE(changed->compatible);
   EXPECT_EQ(changed->text, "type A: incompatible\ntype B: gone\ntype C: new\n");
}

TEST(SchemaCompare, ServicesByActionsResultsAndEvents) {
   const std::string old = service(R"("buy":{"params":{"Object":{"what":"Name"}},"result":)" + number + "}"),
                     more = service(R"("buy":{"params":{"Object":{"what":"Name","count":{"Option":)" + number +
                                        R"(}}},"result":)" + number + R"(},"sell":{"params":{"Object":{}}})",
                                    R"(,"history":{"sold":{"type":)" + number + "}}");
   const auto upgraded = compareSchemas(old, more);
   ASSERT_TRUE(upgraded);
   EXPECT_TRUE(upgraded->compatible);
   EXPECT_EQ(upgraded->text, "action buy: more optional members or alternatives\naction sell: new\nevent sold: new\n");
   const auto back = compareSchemas(more, old);
   ASSERT_TRUE(back);
   EXPECT_FALSE(back->compatible);
   EXPECT_EQ(back->text, "action buy: fewer optional members or alternatives\naction sell: gone\nevent sold: gone\n");
}

TEST(SchemaCompare, SaysWhichIsNoSchema) {
   EXPECT_EQ(compareSchemas("{}", "[]").error().substr(0, 24), "the second is no schema:");
   EXPECT_EQ(compareSchemas("7", "{}").error().substr(0, 23), "the first is no schema:");
}

} // namespace
} // namespace polis::cli
