// Fields of plain aggregates, known at compile time without macros.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace polis::format {

/// A list of types, never instantiated.
template <class... T>
struct TypeList {
   static constexpr std::size_t size = sizeof...(T);
};

/// An aggregate that declares `using FixedLayout = std::true_type;` never gains members: the protocol's fixed Struct.
template <class T>
concept FixedLayoutStruct = requires { requires T::FixedLayout::value; };

/// An aggregate of one member that declares `using Transparent = std::true_type;` is encoded as that member.
template <class T>
concept TransparentStruct = requires { requires T::Transparent::value; };

namespace detail {

/// Converts to the type of any field; used in unevaluated code only.
struct AnyField {
   template <class T>
   operator T() const noexcept {
      __builtin_unreachable();
   }
};

template <std::size_t>
using AnyFieldAt = AnyField;

template <class T, class Indices>
inline constexpr bool isInitializableWith = false;
template <class T, std::size_t... I>
inline constexpr bool isInitializableWith<T, std::index_sequence<I...>> = requires { T{{AnyFieldAt<I>{}}...}; };

inline constexpr std::size_t fieldsMax = 40;

template <class T, std::size_t n = 0>
consteval std::size_t countFields() {
   static_assert(n <= fieldsMax, "too many fields for reflection");
   if constexpr (isInitializableWith<T, std::make_index_sequence<n + 1>>)
      return countFields<T, n + 1>();
   else
      return n;
}

template <class T>
inline constexpr std::size_t fieldCountOf = countFields<T>();

} // namespace detail

/// A struct whose members can be listed: no base classes, no constructors, no private members.
template <class T>
concept Aggregate = std::is_class_v<T> && std::is_aggregate_v<T>;

template <Aggregate T>
inline constexpr std::size_t fieldCount = detail::fieldCountOf<T>;

/// Calls `f` with a reference to every field, in order. `value` may be const.
template <class T, class F>
   requires Aggregate<std::remove_const_t<T>>
constexpr decltype(auto) withFields(T& value, F&& f) {
   constexpr std::size_t n = fieldCount<std::remove_const_t<T>>;
   if constexpr (n == 0) {
      return f();
   } else if constexpr (n == 1) {
      auto& [m0] = value;
      return f(m0);
   } else if constexpr (n == 2) {
      auto& [m0, m1] = value;
      return f(m0, m1);
   } else if constexpr (n == 3) {
      auto& [m0, m1, m2] = value;
      return f(m0, m1, m2);
   } else if constexpr (n == 4) {
      auto& [m0, m1, m2, m3] = value;
      return f(m0, m1, m2, m3);
   } else if constexpr (n == 5) {
      auto& [m0, m1, m2, m3, m4] = value;
      return f(m0, m1, m2, m3, m4);
   } else if constexpr (n == 6) {
      auto& [m0, m1, m2, m3, m4, m5] = value;
      return f(m0, m1, m2, m3, m4, m5);
   } else if constexpr (n == 7) {
      auto& [m0, m1, m2, m3, m4, m5, m6] = value;
      return f(m0, m1, m2, m3, m4, m5, m6);
   } else if constexpr (n == 8) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7);
   } else if constexpr (n == 9) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8);
   } else if constexpr (n == 10) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9);
   } else if constexpr (n == 11) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10);
   } else if constexpr (n == 12) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11);
   } else if constexpr (n == 13) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12);
   } else if constexpr (n == 14) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13);
   } else if constexpr (n == 15) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14);
   } else if constexpr (n == 16) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15);
   } else if constexpr (n == 17) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16);
   } else if constexpr (n == 18) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17);
   } else if constexpr (n == 19) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18);
   } else if constexpr (n == 20) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19);
   } else if constexpr (n == 21) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20);
   } else if constexpr (n == 22) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21] =
          value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21);
   } else if constexpr (n == 23) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22] =
          value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22);
   } else if constexpr (n == 24) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23);
   } else if constexpr (n == 25) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24);
   } else if constexpr (n == 26) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25);
   } else if constexpr (n == 27) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26);
   } else if constexpr (n == 28) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27);
   } else if constexpr (n == 29) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27, m28] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27, m28);
   } else if constexpr (n == 30) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27, m28, m29] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27, m28, m29);
   } else if constexpr (n == 31) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27, m28, m29, m30] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27, m28, m29, m30);
   } else if constexpr (n == 32) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27, m28, m29, m30, m31] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27, m28, m29, m30, m31);
   } else if constexpr (n == 33) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27, m28, m29, m30, m31, m32] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27, m28, m29, m30, m31, m32);
   } else if constexpr (n == 34) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33);
   } else if constexpr (n == 35) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34);
   } else if constexpr (n == 36) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34, m35] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34, m35);
   } else if constexpr (n == 37) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34, m35, m36] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34, m35, m36);
   } else if constexpr (n == 38) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34, m35, m36, m37] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34, m35, m36, m37);
   } else if constexpr (n == 39) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34, m35, m36, m37, m38] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34, m35, m36, m37, m38);
   } else if constexpr (n == 40) {
      auto& [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
             m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34, m35, m36, m37, m38, m39] = value;
      return f(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22,
               m23, m24, m25, m26, m27, m28, m29, m30, m31, m32, m33, m34, m35, m36, m37, m38, m39);
   }
}

namespace detail {

template <class T>
struct FieldTypesOf {
   using type = decltype(withFields(std::declval<T&>(), []<class... F>(F&...) { return TypeList<F...>{}; }));
};
template <class T>
   requires(fieldCount<T> == 0)
struct FieldTypesOf<T> {
   using type = TypeList<>;
};

template <std::size_t i, class List>
struct TypeAt;
template <std::size_t i, class... T>
struct TypeAt<i, TypeList<T...>> {
   using type = __type_pack_element<i, T...>;
};

} // namespace detail

/// TypeList of the field types, in order.
template <Aggregate T>
using FieldTypes = typename detail::FieldTypesOf<T>::type;

template <Aggregate T, std::size_t i>
using FieldType = typename detail::TypeAt<i, FieldTypes<T>>::type;

namespace detail {

template <std::size_t>
using AnyPointer = const void*;

template <class Indices>
struct Nth;
template <std::size_t... I>
struct Nth<std::index_sequence<I...>> {
   template <class T, class... Rest>
   static constexpr T* get(AnyPointer<I>..., T* chosen, Rest*...) {
      return chosen;
   }
};

} // namespace detail

/// Reference to field `i`.
template <std::size_t i, class T>
   requires Aggregate<std::remove_const_t<T>>
constexpr auto& field(T& value) {
   return *withFields(
       value, [](auto&... fields) { return detail::Nth<std::make_index_sequence<i>>::get(std::addressof(fields)...); });
}

namespace detail {

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
/// Never defined: only addresses of its members are taken, in constant expressions.
template <class T>
struct Somewhere {
   T value;
};
template <class T>
extern const Somewhere<T> somewhere;

template <class T>
struct MemberAddress {
   const T* address;
};

template <MemberAddress member>
consteval std::string_view spellMember() {
   return __PRETTY_FUNCTION__;
}

template <class T, std::size_t i>
consteval std::string_view spelledName() {
   constexpr auto* address = std::addressof(field<i>(somewhere<T>.value));
   constexpr std::string_view text = spellMember<MemberAddress<std::remove_cvref_t<decltype(*address)>>{address}>();
   // "… [member = {&somewhere<T>.value.NAME}]" or the like: the last identifier.
   constexpr auto isWord = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
   };
   std::size_t end = text.size();
   while (!isWord(text[end - 1]))
      --end;
   std::size_t begin = end;
   while (isWord(text[begin - 1]))
      --begin;
   return text.substr(begin, end - begin);
}

/// A copy of the name with static storage, so that the long function spelling is not kept in the binary.
template <class T, std::size_t i>
struct StoredName {
   static constexpr std::size_t size = spelledName<T, i>().size();
   struct Text {
      char text[size + 1];
   };
   static constexpr Text stored = [] {
      Text out{};
      constexpr std::string_view spelled = spelledName<T, i>();
      for (std::size_t k = 0; k < size; ++k)
         out.text[k] = spelled[k];
      return out;
   }();
};

template <class T, auto member>
consteval std::size_t memberIndex() {
   std::size_t found = fieldCount<T>;
   [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((static_cast<const void*>(std::addressof(field<I>(somewhere<T>.value))) ==
                static_cast<const void*>(std::addressof(somewhere<T>.value.*member))
            ? static_cast<void>(found = I)
            : static_cast<void>(0)),
       ...);
   }(std::make_index_sequence<fieldCount<T>>());
   return found;
}
#pragma clang diagnostic pop

template <class T>
consteval std::string_view spellType() {
   return __PRETTY_FUNCTION__;
}

template <class T>
struct StoredTypeName {
   static consteval std::string_view spelled() {
      // "… [T = a::b::Name]" or "… [T = a::Name<b::C>]": the last component before any template arguments.
      std::string_view text = spellType<T>();
      text = text.substr(text.find("T = ") + 4);
      std::size_t end = 0, begin = 0;
      for (; end < text.size() && text[end] != '<' && text[end] != ']'; ++end)
         if (text[end] == ':' || text[end] == ' ')
            begin = end + 1;
      return text.substr(begin, end - begin);
   }
   static constexpr std::size_t size = spelled().size();
   struct Text {
      char text[size + 1];
   };
   static constexpr Text stored = [] {
      Text out{};
      constexpr std::string_view text = spelled();
      for (std::size_t k = 0; k < size; ++k)
         out.text[k] = text[k];
      return out;
   }();
};

} // namespace detail

/// The field's declared name.
template <Aggregate T, std::size_t i>
inline constexpr std::string_view fieldName{detail::StoredName<T, i>::stored.text, detail::StoredName<T, i>::size};

/// Index of the field that a pointer to member names: fieldIndex<&Action::method> is 2.
template <auto member>
inline constexpr std::size_t fieldIndex = []<class T, class F>(F T::*) {
   constexpr std::size_t found = detail::memberIndex<T, member>();
   static_assert(found < fieldCount<T>, "not a field of its class");
   return found;
}(member);

/// The type's own name without namespaces and template arguments; a static member `typeName` overrides it.
template <class T>
constexpr std::string_view declaredName() {
   if constexpr (requires { std::string_view(T::typeName); })
      return T::typeName;
   else
      return {detail::StoredTypeName<T>::stored.text, detail::StoredTypeName<T>::size};
}

} // namespace polis::format
