// Fracpack: the protocol's binary encoding of typed values. Source: spec, formats §1.
//
// A fixed-size value is its little-endian bytes. Any other value has a fixed area, in which its variable-size members
// are 4-byte offsets, followed by the heap that the offsets point into, in member order and without gaps. One codec per
// kind of type writes, measures, and reads; reading and validating are the same code.
#pragma once

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "format/kinds.hpp"
#include "format/types.hpp"

#include <bit>
#include <cstdint>
#include <cstring>
#include <expected>
#include <limits>

namespace polis::format {

static_assert(std::endian::native == std::endian::little, "fracpack is written with plain stores");

enum class Validity : std::uint8_t {
   invalid,
   valid,
   extended, ///< valid, and holds members that this program does not know
};

/// The rule that a byte string breaks.
enum class FracRule : std::uint8_t {
   none,
   truncated,          ///< a value runs past the end of its buffer
   trailingBytes,      ///< bytes after the value's end
   badBool,            ///< a bool that is neither 0 nor 1
   badListSize,        ///< a list's byte size is no multiple of its element size
   badOffset,          ///< an offset of 2 or 3, or 1 where nothing is optional, or 0 where nothing can be empty
   misplacedOffset,    ///< an offset that leaves a gap, overlaps, goes back, or leaves the buffer
   emptyThroughOffset, ///< an empty container that is pointed to instead of written as 0
   badFixedArea,       ///< an object's fixed area ends before a required member or inside a member
   trailingNone,       ///< the last optional member is written though it is absent
   badTag,             ///< no such alternative
   badContentSize,     ///< a variant's or nested value's size is not that of its content
   badText,            ///< text that breaks its type's rule
   tooDeep,            ///< more nesting than this program follows
   hasExtension,       ///< unknown members where only known ones are accepted
};

/// A sentence part such as "offset leaves a gap, overlaps or leaves the buffer".
std::string_view describe(FracRule rule);

struct FracError {
   FracRule rule = FracRule::none;
   /// Where in the given bytes the rule was broken.
   std::uint32_t offset = 0;
   friend bool operator==(const FracError&, const FracError&) = default;
};

/// Values nest at most this deep; deeper bytes are rejected.
inline constexpr unsigned fracDepthMax = 1024;

namespace frac {

inline std::uint32_t load32(const std::uint8_t* at) {
   std::uint32_t value;
   std::memcpy(&value, at, sizeof value);
   return value;
}
inline std::uint16_t load16(const std::uint8_t* at) {
   std::uint16_t value;
   std::memcpy(&value, at, sizeof value);
   return value;
}
inline void store32(std::uint8_t* at, std::size_t value) {
   const auto word = static_cast<std::uint32_t>(value);
   std::memcpy(at, &word, sizeof word);
}
inline void store16(std::uint8_t* at, std::size_t value) {
   const auto word = static_cast<std::uint16_t>(value);
   std::memcpy(at, &word, sizeof word);
}

/// The state of one pass over bytes from outside.
struct Reader {
   const std::uint8_t* data;
   std::uint32_t end;      ///< of the innermost value of known size
   std::uint32_t heap = 0; ///< where the next body is expected
   bool known = true;      ///< whether `heap` is exact; false behind an unknown extension
   bool extended = false;
   FracRule rule = FracRule::none;
   unsigned depth = 0;
   std::uint32_t errorAt = 0;

   [[gnu::noinline, gnu::cold]] bool fail(FracRule broken, std::uint32_t at) {
      rule = broken;
      errorAt = at;
      return false;
   }

   /// Follows the offset word at `slot`; the target is where a body may start.
   bool follow(std::uint32_t slot, std::uint32_t word, std::uint32_t& target) {
      if (word < 4) [[unlikely]]
         return fail(FracRule::badOffset, slot);
      if (word > end - slot) [[unlikely]]
         return fail(FracRule::misplacedOffset, slot);
      target = slot + word;
      if (target != heap && (known || target < heap)) [[unlikely]]
         return fail(FracRule::misplacedOffset, slot);
      return true;
   }

   /// Reads the extension words between `from` and `to`, and checks the last word of the fixed area.
   bool extension(std::uint32_t from, std::uint32_t to) {
      if ((to - from) % 4)
         return fail(FracRule::badFixedArea, from);
      for (; from != to; from += 4) {
         const std::uint32_t word = load32(data + from);
         std::uint32_t target;
         if (word <= 1)
            continue;
         if (!follow(from, word, target))
            return false;
         heap = target;
         known = false;
      }
      extended = true;
      known = false;
      return true;
   }
};

/// How one type is encoded. Members of every codec:
///   isFixed        its bytes are inline in a parent; otherwise a 4-byte offset is
///   size           bytes in a parent's fixed area
///   anyBytes       fixed, and every byte pattern of that size is a value
///   isPlain        fixed, anyBytes, and the same bytes in memory
///   isContainer    lists and nested values, whose empty form is a zero offset; then isEmpty() and clear()
///   emptyAllowed   whether a container may be empty
///   bodyMin        fewest bytes of a body
///   bodySize(v), write(v, out) → end, read<store>(reader, position, T*) → bool
template <class T>
struct Codec;

template <class T>
inline constexpr std::uint32_t slotSize = Codec<T>::isFixed ? Codec<T>::size : 4;

/// Defaults for what is neither fixed nor a container.
struct VariableCodec {
   static constexpr bool isFixed = false;
   static constexpr bool anyBytes = false;
   static constexpr bool isPlain = false;
   static constexpr bool isContainer = false;
   static constexpr bool emptyAllowed = false;
   static constexpr std::uint32_t size = 4;
};

// --- Members in a parent ---------------------------------------------------------------------------------------------

/// Bytes that a member adds to its parent's heap.
template <class T>
std::size_t heapSize(const T& value) {
   if constexpr (Codec<T>::isFixed) {
      return 0;
   } else if constexpr (Optional<T>) {
      using U = typename T::value_type;
      if (!value)
         return 0;
      if constexpr (Codec<U>::isContainer)
         return Codec<U>::isEmpty(*value) ? 0 : Codec<U>::bodySize(*value);
      else
         return Codec<U>::bodySize(*value);
   } else if constexpr (Codec<T>::isContainer) {
      return Codec<T>::isEmpty(value) ? 0 : Codec<T>::bodySize(value);
   } else {
      return Codec<T>::bodySize(value);
   }
}

/// Writes a member's slot, and its body at `heap`; both move on.
template <class T>
void writeSlot(const T& value, std::uint8_t*& slot, std::uint8_t*& heap) {
   if constexpr (Codec<T>::isFixed) {
      slot = Codec<T>::write(value, slot);
   } else {
      const auto body = [&]<class U>(const U& content) {
         if constexpr (Codec<U>::isContainer)
            if (Codec<U>::isEmpty(content)) {
               store32(slot, 0);
               return;
            }
         store32(slot, static_cast<std::size_t>(heap - slot));
         heap = Codec<U>::write(content, heap);
      };
      if constexpr (Optional<T>) {
         if (value)
            body(*value);
         else
            store32(slot, 1);
      } else {
         body(value);
      }
      slot += 4;
   }
}

/// Reads a body of any type at `position`, the start of the free part of the buffer.
template <bool store, class T>
bool readBody(Reader& reader, std::uint32_t position, T* out) {
   if constexpr (Codec<T>::isFixed) {
      if (reader.end - position < Codec<T>::size)
         return reader.fail(FracRule::truncated, position);
      reader.heap = position + Codec<T>::size;
      reader.known = true;
   }
   return Codec<T>::template read<store>(reader, position, out);
}

/// Reads a body that the offset word at `slot` points to.
template <bool store, class T>
bool readThrough(Reader& reader, std::uint32_t slot, std::uint32_t word, T* out) {
   std::uint32_t target;
   if constexpr (Codec<T>::isContainer) {
      if (word == 0) {
         if (!Codec<T>::emptyAllowed)
            return reader.fail(FracRule::badOffset, slot);
         if constexpr (store)
            Codec<T>::clear(*out);
         return true;
      }
      if (!reader.follow(slot, word, target))
         return false;
      if (reader.end - target >= 4 && load32(reader.data + target) == 0)
         return reader.fail(FracRule::emptyThroughOffset, slot);
   } else if (!reader.follow(slot, word, target)) {
      return false;
   }
   return readBody<store>(reader, target, out);
}

/// Reads the member whose slot is at `slot`; the slot itself is known to be inside the buffer.
template <bool store, class T>
bool readSlot(Reader& reader, std::uint32_t slot, T* out) {
   if constexpr (Codec<T>::isFixed) {
      return Codec<T>::template read<store>(reader, slot, out);
   } else {
      const std::uint32_t word = load32(reader.data + slot);
      if constexpr (Optional<T>) {
         if (word == 1) {
            if constexpr (store)
               out->reset();
            return true;
         }
         typename T::value_type* content = nullptr;
         if constexpr (store)
            content = *out ? &**out : &out->emplace();
         return readThrough<store>(reader, slot, word, content);
      } else {
         return readThrough<store>(reader, slot, word, out);
      }
   }
}

// --- Scalars ---------------------------------------------------------------------------------------------------------

template <class T>
   requires Scalar<T> || Name<T>
struct Codec<T> {
   static constexpr bool isFixed = true;
   static constexpr std::uint32_t size = sizeof(T);
   static constexpr std::uint32_t bodyMin = size;
   static constexpr bool isContainer = false;
   static constexpr bool emptyAllowed = false;
   static constexpr bool anyBytes = !std::is_same_v<T, bool>;
   static constexpr bool isPlain = anyBytes;

   static std::size_t bodySize(const T&) { return size; }
   static std::uint8_t* write(const T& value, std::uint8_t* out) {
      std::memcpy(out, &value, size);
      return out + size;
   }
   template <bool store>
   static bool read(Reader& reader, std::uint32_t position, T* out) {
      if constexpr (!anyBytes)
         if (reader.data[position] > 1)
            return reader.fail(FracRule::badBool, position);
      if constexpr (store)
         std::memcpy(static_cast<void*>(out), reader.data + position, size);
      return true;
   }
};

// --- Lists -----------------------------------------------------------------------------------------------------------

template <class L>
struct ListElement {
   using type = typename L::value_type;
};
template <Map L>
struct ListElement<L> {
   using type = std::pair<typename L::key_type, typename L::mapped_type>;
};

/// vector, string, set, map, and, for writing only, span and string_view.
template <class L>
concept List = Vector<L> || std::is_same_v<L, std::string> || Set<L> || Map<L> || ListView<L>;

template <List L>
struct Codec<L> : VariableCodec {
   using E = typename ListElement<L>::type;
   static constexpr bool isContainer = true;
   static constexpr bool emptyAllowed = true;
   static constexpr std::uint32_t bodyMin = 4;

   static bool isEmpty(const L& list) { return list.empty(); }
   static void clear(L& list) { list.clear(); }

   static std::size_t bodySize(const L& list) {
      std::size_t total = 4 + list.size() * std::size_t{slotSize<E>};
      if constexpr (!Codec<E>::isFixed)
         for (const auto& element : list) {
            if constexpr (Map<L>)
               total += Codec<E>::bodySizeOf(element.first, element.second);
            else
               total += heapSize<E>(element);
         }
      return total;
   }

   static std::uint8_t* write(const L& list, std::uint8_t* out) {
      const std::size_t bytes = list.size() * std::size_t{slotSize<E>};
      store32(out, bytes);
      std::uint8_t* slot = out + 4;
      std::uint8_t* heap = slot + bytes;
      if constexpr (Codec<E>::isPlain && requires { list.data(); }) {
         if (bytes)
            std::memcpy(slot, list.data(), bytes);
      } else if constexpr (Map<L>) {
         for (const auto& [key, mapped] : list) {
            store32(slot, static_cast<std::size_t>(heap - slot));
            heap = Codec<E>::writeOf(heap, key, mapped);
            slot += 4;
         }
      } else {
         for (const auto& element : list)
            writeSlot<E>(element, slot, heap);
      }
      return heap;
   }

   template <bool store>
   static bool read(Reader& reader, std::uint32_t position, L* out) {
      static_assert(!ListView<L>, "a view cannot be unpacked");
      static_assert(slotSize<E> > 0, "elements of a list occupy at least a byte");
      if (reader.end - position < 4)
         return reader.fail(FracRule::truncated, position);
      const std::uint32_t bytes = load32(reader.data + position);
      std::uint32_t slot = position + 4;
      if (bytes > reader.end - slot)
         return reader.fail(FracRule::truncated, position);
      if (slotSize<E> > 1 && bytes % slotSize<E>)
         return reader.fail(FracRule::badListSize, position);
      const std::uint32_t stop = slot + bytes;
      const std::uint32_t count = bytes / slotSize<E>;
      reader.heap = stop;
      reader.known = true;

      if constexpr (Codec<E>::anyBytes && !store) {
         return true;
      } else if constexpr (Codec<E>::isPlain && store && requires { out->assign(out->begin(), out->end()); }) {
         if constexpr (sizeof(E) == 1) {
            const auto* first = reinterpret_cast<const E*>(reader.data + slot);
            out->assign(first, first + bytes);
         } else {
            out->resize(count);
            if (bytes)
               std::memcpy(static_cast<void*>(out->data()), reader.data + slot, bytes);
         }
         return true;
      } else {
         // No element of this kind is shorter, so that a hostile count cannot make us allocate.
         if constexpr (!Codec<E>::isFixed && !Codec<E>::isContainer && !Optional<E>)
            if (std::uint64_t{count} * Codec<E>::bodyMin > reader.end - stop)
               return reader.fail(FracRule::truncated, position);
         if constexpr (store) {
            // Elements that are there already keep their memory.
            if constexpr (Vector<L> && !std::is_same_v<E, bool>)
               out->resize(count);
            else
               out->clear();
         }
         for (std::size_t i = 0; slot != stop; slot += slotSize<E>, ++i) {
            if constexpr (!store) {
               if (!readSlot<false, E>(reader, slot, nullptr))
                  return false;
            } else if constexpr (Vector<L> && !std::is_same_v<E, bool>) {
               if (!readSlot<true, E>(reader, slot, out->data() + i))
                  return false;
            } else {
               E element{};
               if (!readSlot<true, E>(reader, slot, &element))
                  return false;
               if constexpr (Vector<L>)
                  out->push_back(element);
               else
                  out->insert(std::move(element));
            }
         }
         return true;
      }
   }
};

// --- Arrays ----------------------------------------------------------------------------------------------------------

template <class E, std::size_t n>
struct Codec<std::array<E, n>> {
   using T = std::array<E, n>;
   static_assert(n * slotSize<E> <= std::numeric_limits<std::uint32_t>::max() / 2);
   static constexpr bool isFixed = Codec<E>::isFixed;
   static constexpr std::uint32_t areaSize = static_cast<std::uint32_t>(n * slotSize<E>);
   static constexpr std::uint32_t size = isFixed ? areaSize : 4;
   static constexpr std::uint32_t bodyMin = areaSize;
   static constexpr bool isContainer = false;
   static constexpr bool emptyAllowed = false;
   static constexpr bool anyBytes = isFixed && Codec<E>::anyBytes;
   static constexpr bool isPlain = isFixed && Codec<E>::isPlain;

   static std::size_t bodySize(const T& array) {
      std::size_t total = areaSize;
      if constexpr (!isFixed)
         for (const E& element : array)
            total += heapSize(element);
      return total;
   }
   static std::uint8_t* write(const T& array, std::uint8_t* out) {
      std::uint8_t* heap = out + areaSize;
      if constexpr (isPlain) {
         if constexpr (n > 0)
            std::memcpy(out, array.data(), areaSize);
      } else {
         for (const E& element : array)
            writeSlot(element, out, heap);
      }
      return heap;
   }
   template <bool store>
   static bool read(Reader& reader, std::uint32_t position, T* out) {
      if constexpr (!isFixed) {
         if (reader.end - position < areaSize)
            return reader.fail(FracRule::truncated, position);
         reader.heap = position + areaSize;
         reader.known = true;
      }
      if constexpr (isPlain || (anyBytes && !store)) {
         if constexpr (store && n > 0)
            std::memcpy(static_cast<void*>(out->data()), reader.data + position, areaSize);
         return true;
      } else {
         for (std::size_t i = 0; i < n; ++i, position += slotSize<E>)
            if (!readSlot<store>(reader, position, store ? &(*out)[i] : nullptr))
               return false;
         return true;
      }
   }
};

// --- Optional --------------------------------------------------------------------------------------------------------

template <class U>
struct Codec<std::optional<U>> : VariableCodec {
   using T = std::optional<U>;
   static constexpr std::uint32_t bodyMin = 4;

   static std::size_t bodySize(const T& value) { return 4 + heapSize(value); }
   static std::uint8_t* write(const T& value, std::uint8_t* out) {
      std::uint8_t* heap = out + 4;
      writeSlot(value, out, heap);
      return heap;
   }
   template <bool store>
   static bool read(Reader& reader, std::uint32_t position, T* out) {
      if (reader.end - position < 4)
         return reader.fail(FracRule::truncated, position);
      if (++reader.depth > fracDepthMax)
         return reader.fail(FracRule::tooDeep, position);
      reader.heap = position + 4;
      reader.known = true;
      const bool fine = readSlot<store>(reader, position, out);
      --reader.depth;
      return fine;
   }
};

// --- Variant ---------------------------------------------------------------------------------------------------------

/// Reads the `size` bytes at `position` as one self-contained T.
template <bool store, class T>
bool readContained(Reader& reader, std::uint32_t position, std::uint32_t size, T* out) {
   const std::uint32_t outerEnd = reader.end;
   reader.end = position + size;
   if (!readBody<store>(reader, position, out))
      return false;
   if (reader.known && reader.heap != reader.end)
      return reader.fail(FracRule::badContentSize, position);
   reader.heap = reader.end;
   reader.end = outerEnd;
   reader.known = true;
   return true;
}

template <class... A>
struct Codec<std::variant<A...>> : VariableCodec {
   static_assert(sizeof...(A) < 128, "tags are below 128");
   using T = std::variant<A...>;
   static constexpr std::uint32_t bodyMin = 5;

   static std::size_t bodySize(const T& value) {
      return 5 + std::visit([]<class U>(const U& content) { return Codec<U>::bodySize(content); }, value);
   }
   static std::uint8_t* write(const T& value, std::uint8_t* out) {
      *out = static_cast<std::uint8_t>(value.index());
      std::uint8_t* end =
          std::visit([out]<class U>(const U& content) { return Codec<U>::write(content, out + 5); }, value);
      store32(out + 1, static_cast<std::size_t>(end - out - 5));
      return end;
   }
   template <bool store>
   static bool read(Reader& reader, std::uint32_t position, T* out) {
      if (reader.end - position < 5)
         return reader.fail(FracRule::truncated, position);
      const std::uint8_t tag = reader.data[position];
      const std::uint32_t size = load32(reader.data + position + 1);
      if (tag >= sizeof...(A))
         return reader.fail(FracRule::badTag, position);
      if (size > reader.end - position - 5)
         return reader.fail(FracRule::truncated, position + 1);
      if (++reader.depth > fracDepthMax)
         return reader.fail(FracRule::tooDeep, position);
      bool fine = false;
      [&]<std::size_t... I>(std::index_sequence<I...>) {
         static_cast<void>(
             ((I == tag && (fine = readAlternative<store, I>(reader, position + 5, size, out), true)) || ...));
      }(std::index_sequence_for<A...>());
      --reader.depth;
      return fine;
   }

private:
   template <bool store, std::size_t i>
   static bool readAlternative(Reader& reader, std::uint32_t position, std::uint32_t size, T* out) {
      using U = std::variant_alternative_t<i, T>;
      U* content = nullptr;
      if constexpr (store)
         content = &out->template emplace<i>();
      return readContained<store>(reader, position, size, content);
   }
};

// --- Nested values ---------------------------------------------------------------------------------------------------

template <class U>
struct Codec<Nested<U>> : VariableCodec {
   using T = Nested<U>;
   static constexpr bool isContainer = true;
   static constexpr bool emptyAllowed = Codec<U>::isFixed ? Codec<U>::size == 0 : Codec<U>::bodyMin == 0;
   static constexpr std::uint32_t bodyMin = 4;

   static bool isEmpty(const T& value) { return value.packed.empty(); }
   static void clear(T& value) { value.packed.clear(); }
   static std::size_t bodySize(const T& value) { return 4 + value.packed.size(); }
   static std::uint8_t* write(const T& value, std::uint8_t* out) {
      store32(out, value.packed.size());
      if (!value.packed.empty())
         std::memcpy(out + 4, value.packed.data(), value.packed.size());
      return out + 4 + value.packed.size();
   }
   template <bool store>
   static bool read(Reader& reader, std::uint32_t position, T* out) {
      if (reader.end - position < 4)
         return reader.fail(FracRule::truncated, position);
      const std::uint32_t size = load32(reader.data + position);
      position += 4;
      if (size > reader.end - position)
         return reader.fail(FracRule::truncated, position - 4);
      if (++reader.depth > fracDepthMax)
         return reader.fail(FracRule::tooDeep, position);
      if (!readContained<false, U>(reader, position, size, nullptr))
         return false;
      --reader.depth;
      if constexpr (store)
         out->packed.assign(reader.data + position, reader.data + position + size);
      return true;
   }
};

// --- Structs, tuples and pairs ---------------------------------------------------------------------------------------

template <std::size_t n>
struct MemberLayout {
   std::uint32_t offset[n + 1] = {}; ///< of each member in the fixed area; the last is the area's full size
   std::size_t required = 0;         ///< members up to the last that is not optional
   bool allFixed = true, allAnyBytes = true, allPlain = true;
};

template <class... M>
consteval MemberLayout<sizeof...(M)> layoutOf(TypeList<M...>) {
   MemberLayout<sizeof...(M)> layout;
   [[maybe_unused]] std::size_t i = 0;
   (
       [&] {
          layout.offset[i + 1] = layout.offset[i] + slotSize<M>;
          ++i;
          if (!Optional<M>)
             layout.required = i;
          layout.allFixed &= Codec<M>::isFixed;
          layout.allAnyBytes &= Codec<M>::anyBytes;
          layout.allPlain &= Codec<M>::isPlain;
       }(),
       ...);
   return layout;
}

template <class T, bool isExtensible>
struct MembersCodec {
   using Members = MemberTypes<T>;
   static constexpr std::size_t count = Members::size;
   static constexpr bool isFixed = !isExtensible && layoutOf(Members()).allFixed;
   static constexpr std::uint32_t areaSize = layoutOf(Members()).offset[count];
   static constexpr std::uint32_t size = isFixed ? areaSize : 4;
   static constexpr bool isContainer = false;
   static constexpr bool emptyAllowed = false;
   static constexpr bool anyBytes = isFixed && layoutOf(Members()).allAnyBytes;
   static constexpr bool isPlain = anyBytes && layoutOf(Members()).allPlain && std::is_trivially_copyable_v<T> &&
                                   sizeof(T) == layoutOf(Members()).offset[count];
   /// The fixed area up to the last required member.
   static constexpr std::uint32_t areaMin = layoutOf(Members()).offset[layoutOf(Members()).required];
   static constexpr std::uint32_t bodyMin = isExtensible ? 2 + areaMin : areaSize;

   static std::size_t bodySize(const T& value) {
      return withMembers(value, [](const auto&... members) { return bodySizeOf(members...); });
   }
   static std::uint8_t* write(const T& value, std::uint8_t* out) {
      if constexpr (isPlain) {
         if constexpr (areaSize > 0)
            std::memcpy(out, &value, areaSize);
         return out + areaSize;
      } else {
         return withMembers(value, [out](const auto&... members) { return writeOf(out, members...); });
      }
   }

   template <class... M>
   static std::size_t bodySizeOf(const M&... members) {
      static_assert(!isExtensible || areaSize <= 65535, "an object's fixed area is at most 65535 bytes");
      if constexpr (isFixed)
         return areaSize;
      std::size_t total = isExtensible ? 2 + layout.offset[written(members...)] : areaSize;
      ((total += heapSize(members)), ...);
      return total;
   }

   template <class... M>
   static std::uint8_t* writeOf(std::uint8_t* out, const M&... members) {
      if constexpr (!isExtensible) {
         std::uint8_t* heap = out + areaSize;
         (writeSlot(members, out, heap), ...);
         return heap;
      } else {
         const std::size_t present = written(members...);
         const std::uint32_t area = layout.offset[present];
         store16(out, area);
         std::uint8_t* slot = out + 2;
         std::uint8_t* heap = slot + area;
         [&]<std::size_t... I>(std::index_sequence<I...>) {
            ((I < layout.required || I < present ? writeSlot(members, slot, heap) : static_cast<void>(0)), ...);
         }(std::index_sequence_for<M...>());
         return heap;
      }
   }

   template <bool store>
   static bool read(Reader& reader, std::uint32_t position, T* out) {
      if constexpr (isFixed) {
         if constexpr (!store && anyBytes) {
            return true;
         } else if constexpr (isPlain) {
            if constexpr (areaSize > 0)
               std::memcpy(static_cast<void*>(out), reader.data + position, areaSize);
            return true;
         } else {
            return readMembers<store>(reader, position, areaSize, out);
         }
      } else if constexpr (!isExtensible) {
         if (reader.end - position < areaSize)
            return reader.fail(FracRule::truncated, position);
         if (++reader.depth > fracDepthMax)
            return reader.fail(FracRule::tooDeep, position);
         reader.heap = position + areaSize;
         reader.known = true;
         const bool fine = readMembers<store>(reader, position, areaSize, out);
         --reader.depth;
         return fine;
      } else {
         if (reader.end - position < 2)
            return reader.fail(FracRule::truncated, position);
         const std::uint32_t area = load16(reader.data + position);
         const std::uint32_t fixed = position + 2;
         if (area > reader.end - fixed)
            return reader.fail(FracRule::truncated, position);
         if (area < areaSize && (area < areaMin || (area - areaMin) % 4))
            return reader.fail(FracRule::badFixedArea, position);
         if (++reader.depth > fracDepthMax)
            return reader.fail(FracRule::tooDeep, position);
         reader.heap = fixed + area;
         reader.known = true;
         if (!readMembers<store>(reader, fixed, area, out))
            return false;
         if (area > areaSize && !reader.extension(fixed + areaSize, fixed + area))
            return false;
         // Whatever lies behind the required members is an optional member or an extension.
         if (area > areaMin && load32(reader.data + fixed + area - 4) == 1)
            return reader.fail(FracRule::trailingNone, fixed + area - 4);
         --reader.depth;
         return true;
      }
   }

private:
   static constexpr auto layout = layoutOf(Members());

   /// Members to write: up to the last that is required or present.
   template <class... M>
   static constexpr std::size_t written([[maybe_unused]] const M&... members) {
      std::size_t count = layout.required;
      if constexpr (layout.required < sizeof...(M)) {
         [&]<std::size_t... I>(std::index_sequence<I...>) {
            const auto see = [&]<std::size_t i>(const auto& member, std::integral_constant<std::size_t, i>) {
               if constexpr (i >= layout.required)
                  if (member.has_value())
                     count = i + 1;
            };
            (see(members, std::integral_constant<std::size_t, I>()), ...);
         }(std::index_sequence_for<M...>());
      }
      return count;
   }

   template <bool store, std::size_t i, class M>
   static bool readMember(Reader& reader, std::uint32_t fixed, std::uint32_t area, M* out) {
      if constexpr (isExtensible && i >= layout.required) {
         if (layout.offset[i] >= area) {
            if constexpr (store)
               out->reset();
            return true;
         }
      }
      return readSlot<store>(reader, fixed + layout.offset[i], out);
   }

   template <bool store>
   static bool readMembers(Reader& reader, std::uint32_t fixed, std::uint32_t area, T* out) {
      if constexpr (store) {
         return withMembers(*out, [&]<class... M>(M&... members) {
            return [&]<std::size_t... I>(std::index_sequence<I...>) {
               return (readMember<true, I>(reader, fixed, area, &members) && ...);
            }(std::index_sequence_for<M...>());
         });
      } else {
         return [&]<class... M, std::size_t... I>(TypeList<M...>, std::index_sequence<I...>) {
            return (readMember<false, I, M>(reader, fixed, area, nullptr) && ...);
         }(Members(), std::make_index_sequence<count>());
      }
   }
};

template <Struct T>
struct Codec<T> : MembersCodec<T, !FixedLayoutStruct<T>> {};

template <Tuple T>
struct Codec<T> : MembersCodec<T, true> {};

// --- Wrappers --------------------------------------------------------------------------------------------------------

template <Transparent T>
struct Codec<T> {
   using Inner = TransparentInner<T>;
   static constexpr bool isFixed = Codec<Inner>::isFixed;
   static constexpr std::uint32_t size = Codec<Inner>::size;
   static constexpr std::uint32_t bodyMin = Codec<Inner>::bodyMin;
   static constexpr bool isContainer = Codec<Inner>::isContainer;
   static constexpr bool emptyAllowed = Codec<Inner>::emptyAllowed;
   static constexpr bool anyBytes = Codec<Inner>::anyBytes;
   static constexpr bool isPlain = Codec<Inner>::isPlain;

   static bool isEmpty(const T& value) { return Codec<Inner>::isEmpty(field<0>(value)); }
   static void clear(T& value) { Codec<Inner>::clear(field<0>(value)); }
   static std::size_t bodySize(const T& value) { return Codec<Inner>::bodySize(field<0>(value)); }
   static std::uint8_t* write(const T& value, std::uint8_t* out) { return Codec<Inner>::write(field<0>(value), out); }
   template <bool store>
   static bool read(Reader& reader, std::uint32_t position, T* out) {
      Inner* inner = nullptr;
      if constexpr (store)
         inner = &field<0>(*out);
      if (!Codec<Inner>::template read<store>(reader, position, inner))
         return false;
      if constexpr (requires { T::isValid(std::string_view()); }) {
         static_assert(std::is_same_v<Inner, std::string>);
         const auto* text = reinterpret_cast<const char*>(reader.data + position + 4);
         if (!T::isValid({text, load32(reader.data + position)}))
            return reader.fail(FracRule::badText, position);
      }
      return true;
   }
};

/// Reads the whole of `bytes` as one T.
template <bool store, class T>
bool readAll(Reader& reader, ByteView bytes, T* out) {
   if (bytes.size() > std::numeric_limits<std::uint32_t>::max())
      return reader.fail(FracRule::truncated, 0);
   reader.data = bytes.data();
   reader.end = static_cast<std::uint32_t>(bytes.size());
   if (!readBody<store>(reader, 0, out))
      return false;
   return !reader.known || reader.heap == reader.end || reader.fail(FracRule::trailingBytes, reader.heap);
}

} // namespace frac

// --- Interface -------------------------------------------------------------------------------------------------------

/// Bytes that pack(value) has.
template <class T>
std::size_t packedSize(const T& value) {
   return frac::Codec<T>::bodySize(value);
}

/// Appends pack(value) to `out`.
template <class T>
void packInto(Bytes& out, const T& value) {
   const std::size_t before = out.size();
   out.resize(before + packedSize(value));
   [[maybe_unused]] const std::uint8_t* end = frac::Codec<T>::write(value, out.data() + before);
}

/// Replaces `out` by pack(value), in the memory that it has.
template <class T>
void packOver(Bytes& out, const T& value) {
   out.resize(packedSize(value));
   [[maybe_unused]] const std::uint8_t* end = frac::Codec<T>::write(value, out.data());
}

/// The value's fracpack encoding; the shortest and only canonical one.
template <class T>
Bytes pack(const T& value) {
   Bytes out;
   packInto(out, value);
   return out;
}

/// Whether `bytes` are exactly one T.
template <class T>
Validity validate(ByteView bytes) {
   frac::Reader reader{nullptr, 0};
   if (!frac::readAll<false, T>(reader, bytes, nullptr))
      return Validity::invalid;
   return reader.extended ? Validity::extended : Validity::valid;
}

/// Accepts unknown extensions, and drops them.
template <class T>
[[nodiscard]] std::expected<T, FracError> unpack(ByteView bytes) {
   frac::Reader reader{nullptr, 0};
   std::expected<T, FracError> result;
   if (!frac::readAll<true, T>(reader, bytes, &*result))
      result = std::unexpected(FracError{reader.rule, reader.errorAt});
   return result;
}

/// Rejects unknown extensions too.
template <class T>
[[nodiscard]] std::expected<T, FracError> unpackStrict(ByteView bytes) {
   frac::Reader reader{nullptr, 0};
   std::expected<T, FracError> result;
   if (!frac::readAll<true, T>(reader, bytes, &*result))
      result = std::unexpected(FracError{reader.rule, reader.errorAt});
   else if (reader.extended)
      result = std::unexpected(FracError{FracRule::hasExtension, 0});
   return result;
}

/// Unpacks over an existing value, reusing its memory. On false `out` holds an unspecified value.
template <class T>
[[nodiscard]] bool unpackInto(ByteView bytes, T& out) {
   frac::Reader reader{nullptr, 0};
   return frac::readAll<true, T>(reader, bytes, &out);
}

template <class T>
Nested<T>::Nested(const T& value) : packed(pack(value)) {}

template <class T>
std::expected<T, FracError> Nested<T>::unpack() const {
   return format::unpack<T>(packed);
}

inline std::string_view describe(FracRule rule) {
   switch (rule) {
   case FracRule::none:
      return "nothing is wrong";
   case FracRule::truncated:
      return "runs past the end of its buffer";
   case FracRule::trailingBytes:
      return "bytes follow the end of the value";
   case FracRule::badBool:
      return "a bool is neither 0 nor 1";
   case FracRule::badListSize:
      return "the list's byte size is no multiple of its element size";
   case FracRule::badOffset:
      return "the offset is a reserved value";
   case FracRule::misplacedOffset:
      return "the offset leaves a gap, overlaps, goes back or leaves the buffer";
   case FracRule::emptyThroughOffset:
      return "an empty container must be written as offset 0";
   case FracRule::badFixedArea:
      return "the fixed area ends before a required member or inside a member";
   case FracRule::trailingNone:
      return "a trailing absent member must not be written";
   case FracRule::badTag:
      return "no such alternative";
   case FracRule::badContentSize:
      return "the size is not that of the content";
   case FracRule::badText:
      return "the text breaks its type's rule";
   case FracRule::tooDeep:
      return "nested too deeply";
   case FracRule::hasExtension:
      return "unknown members are not accepted here";
   }
   return "unknown rule";
}

} // namespace polis::format
