// Reading packed values in place. Source: spec, formats §1.
//
//    auto view = View<SignedTransaction>::of(bytes);           // validates once
//    for (View<Action> action : view->get<&SignedTransaction::transaction>().view().get<&Transaction::actions>())
//       use(action.get<&Action::service>());
//
// Views are pointers into the bytes and live as long as they do.
#pragma once

#include "format/fracpack.hpp"

#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>

namespace polis::format {

template <class T>
class View;
template <class E>
class ListOf;
template <class T>
class VariantView;
template <class T>
class NestedView;

namespace frac {

/// How a packed T is read in place: fixed-size values by value, text and bytes as views of them, the rest by views.
template <class T>
struct ViewOf {
   using type = View<T>;
};
template <class T>
   requires(Codec<T>::isFixed)
struct ViewOf<T> {
   using type = T;
};
template <>
struct ViewOf<std::string> {
   using type = std::string_view;
};
template <class E>
   requires(sizeof(E) == 1 && Codec<E>::isPlain)
struct ViewOf<std::vector<E>> {
   using type = std::span<const E>;
};
template <class L>
   requires(Set<L> || Map<L> ||
            (Vector<L> && !(sizeof(typename L::value_type) == 1 && Codec<typename L::value_type>::isPlain)))
struct ViewOf<L> {
   using type = ListOf<typename ListElement<L>::type>;
};
template <class E, std::size_t n>
   requires(!Codec<E>::isFixed)
struct ViewOf<std::array<E, n>> {
   using type = ListOf<E>;
};
template <class U>
struct ViewOf<std::optional<U>> {
   using type = std::optional<typename ViewOf<U>::type>;
};
template <class... A>
struct ViewOf<std::variant<A...>> {
   using type = VariantView<std::variant<A...>>;
};
template <class U>
struct ViewOf<Nested<U>> {
   using type = NestedView<U>;
};
template <Transparent T>
   requires(!Codec<T>::isFixed)
struct ViewOf<T> : ViewOf<TransparentInner<T>> {};

template <class T>
using ViewType = typename ViewOf<T>::type;

/// body: of a valid T; null for an empty container.
template <class T>
ViewType<T> viewBody(const std::uint8_t* body);

template <class T>
ViewType<T> viewSlot(const std::uint8_t* slot) {
   if constexpr (Codec<T>::isFixed) {
      return viewBody<T>(slot);
   } else {
      const std::uint32_t word = load32(slot);
      if constexpr (Optional<T>) {
         if (word == 1)
            return std::nullopt;
         return viewBody<typename T::value_type>(word ? slot + word : nullptr);
      } else {
         return viewBody<T>(word ? slot + word : nullptr);
      }
   }
}

template <class T>
ViewType<T> viewBody(const std::uint8_t* body) {
   using V = ViewType<T>;
   if constexpr (Codec<T>::isFixed) {
      T value{};
      Reader reader{body, Codec<T>::size};
      static_cast<void>(Codec<T>::template read<true>(reader, 0, &value));
      return value;
   } else if constexpr (Optional<T>) {
      return viewSlot<T>(body);
   } else if constexpr (Transparent<T>) {
      return viewBody<TransparentInner<T>>(body);
   } else if constexpr (std::is_same_v<V, std::string_view> || isSpan<V>) {
      if (!body)
         return V();
      return V(reinterpret_cast<typename V::const_pointer>(body + 4), load32(body));
   } else if constexpr (Array<T>) {
      return V(body, std::tuple_size_v<T>);
   } else if constexpr (isInstanceOf<V, ListOf>) {
      using E = typename ListElement<T>::type;
      return body ? V(body + 4, load32(body) / slotSize<E>) : V(nullptr, 0);
   } else {
      return V(body);
   }
}

} // namespace frac

template <class T>
using ViewType = frac::ViewType<T>;

/// A packed struct, tuple or pair of variable size.
template <class T>
class View {
public:
   using Members = MemberTypes<T>;

   /// Accepts extended values.
   [[nodiscard]] static std::expected<View, FracError> of(ByteView bytes) {
      frac::Reader reader{nullptr, 0};
      if (!frac::readAll<false, T>(reader, bytes, nullptr))
         return std::unexpected(FracError{reader.rule, reader.errorAt});
      return View(bytes.data());
   }
   /// body: of a valid T.
   explicit View(const std::uint8_t* body) : body_(body) {}

   template <std::size_t i>
   auto get() const {
      using M = typename detail::TypeAt<i, Members>::type;
      constexpr auto layout = frac::layoutOf(Members());
      constexpr bool extensible = Tuple<T> || !FixedLayoutStruct<T>;
      const std::uint8_t* slot = body_ + (extensible ? 2 : 0) + layout.offset[i];
      if constexpr (extensible && i >= layout.required)
         if (layout.offset[i] >= frac::load16(body_))
            return ViewType<M>();
      return frac::viewSlot<M>(slot);
   }
   /// By pointer to member: get<&Action::method>().
   template <auto member>
      requires std::is_member_object_pointer_v<decltype(member)>
   auto get() const {
      return get<fieldIndex<member>>();
   }

private:
   const std::uint8_t* body_;
};

/// A packed list; elements are read when asked for.
template <class E>
class ListOf {
public:
   ListOf(const std::uint8_t* slots, std::size_t size) : slots_(slots), size_(size) {}

   std::size_t size() const { return size_; }
   bool empty() const { return size_ == 0; }
   /// index: below size().
   ViewType<E> operator[](std::size_t index) const { return frac::viewSlot<E>(slots_ + index * frac::slotSize<E>); }

   class Iterator {
   public:
      using value_type = ViewType<E>;
      using difference_type = std::ptrdiff_t;

      Iterator() = default;
      explicit Iterator(const std::uint8_t* slot) : slot_(slot) {}
      ViewType<E> operator*() const { return frac::viewSlot<E>(slot_); }
      Iterator& operator++() {
         slot_ += frac::slotSize<E>;
         return *this;
      }
      Iterator operator++(int) {
         Iterator before = *this;
         ++*this;
         return before;
      }
      friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
      const std::uint8_t* slot_ = nullptr;
   };
   Iterator begin() const { return Iterator(slots_); }
   Iterator end() const { return Iterator(slots_ + size_ * frac::slotSize<E>); }

private:
   const std::uint8_t* slots_;
   std::size_t size_;
};

/// A packed variant.
template <class T>
class VariantView {
public:
   explicit VariantView(const std::uint8_t* body) : body_(body) {}

   std::size_t index() const { return *body_; }
   /// None unless alternative `i` is there.
   template <std::size_t i>
   std::optional<ViewType<std::variant_alternative_t<i, T>>> get() const {
      if (index() != i)
         return std::nullopt;
      return frac::viewBody<std::variant_alternative_t<i, T>>(body_ + 5);
   }

private:
   const std::uint8_t* body_;
};

/// A packed value inside another.
template <class T>
class NestedView {
public:
   explicit NestedView(const std::uint8_t* body) : body_(body) {}

   ByteView bytes() const { return body_ ? ByteView(body_ + 4, frac::load32(body_)) : ByteView(); }
   ViewType<T> view() const { return frac::viewBody<T>(body_ ? body_ + 4 : nullptr); }

private:
   const std::uint8_t* body_;
};

/// Overwrites a fixed-size member of a packed struct in place. False when the bytes are no valid struct of the type.
template <auto member, class M>
bool updateField(std::span<std::uint8_t> bytes, const M& value) {
   return [&]<class T, class F>(F T::*) {
      static_assert(frac::Codec<F>::isFixed, "only fixed-size members can be overwritten");
      constexpr std::size_t at = frac::layoutOf(MemberTypes<T>()).offset[fieldIndex<member>];
      if (validate<T>(bytes) == Validity::invalid)
         return false;
      static_cast<void>(frac::Codec<F>::write(F(value), bytes.data() + at + (FixedLayoutStruct<T> ? 0 : 2)));
      return true;
   }(member);
}

} // namespace polis::format
