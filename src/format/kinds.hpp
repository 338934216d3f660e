// Which kind of protocol type a C++ type is: what the codecs dispatch on.
#pragma once

#include "format/names.hpp"
#include "format/reflect.hpp"
#include "format/types.hpp"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace polis::format {

template <class T, template <class...> class Template>
inline constexpr bool isInstanceOf = false;
template <template <class...> class Template, class... A>
inline constexpr bool isInstanceOf<Template<A...>, Template> = true;

/// Integers, floats, bool, character and enumeration types.
template <class T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;

/// AccountNumber and MethodNumber: a fixed Struct of one u64, shown as text.
template <class T>
concept Name = std::is_same_v<T, AccountNumber> || std::is_same_v<T, MethodNumber>;

template <class T>
concept Optional = isInstanceOf<T, std::optional>;
template <class T>
concept Variant = isInstanceOf<T, std::variant>;
template <class T>
concept NestedFrac = isInstanceOf<T, Nested>;
template <class T>
concept Vector = isInstanceOf<T, std::vector>;
template <class T>
concept Set = isInstanceOf<T, std::set>;
template <class T>
concept Map = isInstanceOf<T, std::map>;
template <class T>
concept Pair = isInstanceOf<T, std::pair>;
template <class T>
concept Tuple = isInstanceOf<T, std::tuple> || Pair<T>;

template <class T>
inline constexpr bool isArray = false;
template <class T, std::size_t n>
inline constexpr bool isArray<std::array<T, n>> = true;
template <class T>
concept Array = isArray<T>;

template <class T>
inline constexpr bool isSpan = false;
template <class T>
inline constexpr bool isSpan<std::span<T>> = true;
/// Views can be packed and compared, never unpacked.
template <class T>
concept ListView = isSpan<T> || std::is_same_v<T, std::string_view>;

template <class T>
concept Byte = std::is_same_v<T, char> || std::is_same_v<T, unsigned char> || std::is_same_v<T, signed char> ||
               std::is_same_v<T, std::byte>;

/// Reflected structs that are neither wrappers nor library types.
template <class T>
concept Struct = Aggregate<T> && !TransparentStruct<T> && !Array<T>;

template <class T>
concept Transparent = Aggregate<T> && TransparentStruct<T>;

template <Transparent T>
using TransparentInner = FieldType<T, 0>;

/// Calls `f` with every member of a struct, tuple or pair.
template <class T, class F>
constexpr decltype(auto) withMembers(T& value, F&& f) {
   using Plain = std::remove_const_t<T>;
   if constexpr (Pair<Plain>)
      return f(value.first, value.second);
   else if constexpr (isInstanceOf<Plain, std::tuple>)
      return std::apply(f, value);
   else
      return withFields(value, f);
}

namespace detail {
template <class T>
struct MemberTypesOf {
   using type = FieldTypes<T>;
};
template <class... T>
struct MemberTypesOf<std::tuple<T...>> {
   using type = TypeList<T...>;
};
template <class A, class B>
struct MemberTypesOf<std::pair<A, B>> {
   using type = TypeList<std::remove_const_t<A>, B>;
};
} // namespace detail

/// TypeList of the members of a struct, tuple or pair.
template <class T>
using MemberTypes = typename detail::MemberTypesOf<T>::type;

} // namespace polis::format
