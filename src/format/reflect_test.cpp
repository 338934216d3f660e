#include "format/reflect.hpp"

#include <array>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace polis::format {
namespace {

struct Empty {};
struct One {
   std::string text;
};
struct Inner {
   int x, y;
};
struct Wide {
   using FixedLayout = std::true_type;
   static constexpr int limit = 3;

   int first;
   std::string text;
   std::optional<int> maybe;
   Inner inner;
   std::array<Inner, 3> array;
   std::vector<Inner> list;
   std::variant<int, Inner> either;
   std::map<int, std::string> map;
   One wrapper;
   std::optional<std::vector<Inner>> maybeList;
   bool last;
};
struct Renamed {
   static constexpr std::string_view typeName = "Other";
   int value;
};
template <class T>
struct Template {
   T value;
};

static_assert(fieldCount<Empty> == 0);
static_assert(fieldCount<One> == 1);
static_assert(fieldCount<Wide> == 11 && Wide::limit == 3);
static_assert(fieldName<Wide, 0> == "first");
static_assert(fieldName<Wide, 9> == "maybeList");
static_assert(fieldName<Wide, 10> == "last");
static_assert(fieldIndex<&Wide::inner> == 3);
static_assert(fieldIndex<&Wide::last> == 10);
static_assert(std::is_same_v<FieldType<Wide, 8>, One>);
static_assert(declaredName<Wide>() == "Wide");
static_assert(declaredName<Renamed>() == "Other");
static_assert(declaredName<Template<Inner>>() == "Template");
static_assert(FixedLayoutStruct<Wide> && !FixedLayoutStruct<One>);

struct Forty {
   char a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, c0, c1, c2, c3, c4, c5, c6, c7,
       c8, c9, d0, d1, d2, d3, d4, d5, d6, d7, d8, d9;
};
static_assert(fieldCount<Forty> == 40 && fieldName<Forty, 39> == "d9");

TEST(Reflect, fieldsAreReachedInOrder) {
   Wide wide{};
   field<1>(wide) = "text";
   EXPECT_EQ(wide.text, "text");
   wide.last = true;
   EXPECT_TRUE(field<10>(std::as_const(wide)));
   const auto total = withFields(wide, [](const auto&... fields) { return sizeof...(fields); });
   EXPECT_EQ(total, 11u);
}

} // namespace
} // namespace polis::format
