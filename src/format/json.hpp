// Typed JSON, both ways. Source: spec, formats §5.
//
// A type of its own form has `void writeJson(JsonWriter&) const` and `static bool readJson(JsonReader&, T&)`.
#pragma once

#include "base/bytes.hpp"
#include "format/fracpack.hpp"
#include "format/kinds.hpp"
#include "format/time_text.hpp"

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace polis::format {

struct JsonError {
   std::string message; ///< such as "expected an integer"
   std::size_t offset = 0;
};

/// JSON nests at most this deep; deeper text is rejected.
inline constexpr unsigned jsonDepthMax = 512;

/// Writes JSON text. Commas and colons come by themselves; keys and values are given in order.
class JsonWriter {
public:
   explicit JsonWriter(std::string& out) : out_(out) {}

   void beginObject() { open('{'); }
   void endObject() { close('}'); }
   void beginArray() { open('['); }
   void endArray() { close(']'); }
   void key(std::string_view name);

   void null() { raw("null"); }
   void boolean(bool value) { raw(value ? "true" : "false"); }
   void number(double value); ///< shortest form; infinities and NaN as strings
   void string(std::string_view text);
   void hex(ByteView bytes);
   /// Text that is a JSON value already.
   void raw(std::string_view json);
   /// Numbers of up to 32 bits are numbers, wider ones strings.
   template <std::integral T>
   void integer(T value) {
      if constexpr (std::is_signed_v<T>)
         signedInteger(value, sizeof(T) > 4);
      else
         unsignedInteger(value, sizeof(T) > 4);
   }
   void signedInteger(std::int64_t value, bool asString);
   void unsignedInteger(std::uint64_t value, bool asString);

private:
   /// Lets `put` write up to so many bytes behind the text; it returns their end.
   template <class Put>
   void grow(std::size_t bytesMax, const Put& put);
   template <class T>
   void digits(T value, bool asString);
   void quoted(std::string_view text, bool isKey);
   void separate() {
      if (comma_)
         out_ += ',';
      comma_ = true;
   }
   void open(char c) {
      separate();
      out_ += c;
      comma_ = false;
   }
   void close(char c) {
      out_ += c;
      comma_ = true;
   }

   std::string& out_;
   bool comma_ = false;
};

/// What the reader stands at.
enum class JsonToken : std::uint8_t {
   null,
   boolean,
   number,
   string,
   key,
   beginObject,
   endObject,
   beginArray,
   endArray,
   end,   ///< nothing but whitespace is left
   error, ///< malformed text, or a reading function failed; stays
};

/// Pulls the tokens of a JSON text one by one. Strict: one value, UTF-8, no comments, no trailing commas.
class JsonReader {
public:
   static constexpr std::size_t bytesMax = (std::size_t{1} << 28) - 17;

   explicit JsonReader(std::string_view text);
   JsonReader(const JsonReader&) = delete;
   JsonReader& operator=(const JsonReader&) = delete;

   /// Bytes of the whole text.
   std::size_t size() const { return textBytes_; }
   JsonToken token() const { return token_; }
   /// Of a number as written, of a string or key without escapes, of anything else nothing. Lives as long as the
   /// reader.
   std::string_view text() const {
      if (token_ == JsonToken::string || token_ == JsonToken::key)
         return {text_ + valueOf(words_[at_]), words_[at_ + 1]};
      return token_ == JsonToken::number ? std::string_view(number_, numberEnd()) : std::string_view();
   }
   bool boolean() const { return token_ == JsonToken::boolean && text_[valueOf(words_[at_])] == 't'; }
   /// Elements of the array, or members of the object, that the reader stands at the beginning of; otherwise 0.
   std::size_t count() const { return isBeginning() && !isEmptyWord() ? valueOf(words_[at_]) : 0; }

   void advance() {
      if (token_ >= JsonToken::end)
         return;
      if (isEmptyWord() && isBeginning()) {
         token_ = static_cast<JsonToken>(static_cast<unsigned>(token_) + 1); // the end, in the same word
         return;
      }
      if (token_ == JsonToken::number)
         return behindNumber(numberEnd());
      at_ += wordsOf(words_[at_]);
      stand();
   }
   /// Moves behind the value or the member that the reader stands at.
   void skip();
   /// Moves on if the reader stands at `token`; otherwise fails with "expected `what`".
   bool expect(JsonToken token, std::string_view what) {
      if (token_ != token) [[unlikely]]
         return failExpecting(what);
      advance();
      return true;
   }

   /// Whether floats may be so small that they lose precision. Typed input refuses them, as it refuses overflow.
   /// Returns what held before.
   bool allowSubnormal(bool allow) { return std::exchange(allowSubnormal_, allow); }

   /// A place to come back to; not the end of an empty object or array.
   enum class Mark : std::uint64_t {};
   Mark mark() const {
      const std::size_t number = token_ == JsonToken::number ? static_cast<std::size_t>(number_ - text_) : 0;
      const bool asString = token_ == JsonToken::string && kindOf(words_[at_]) == static_cast<unsigned>(JsonToken::key);
      return static_cast<Mark>((std::uint64_t{at_} << valueBits | number) << 1 | asString);
   }
   void rewind(Mark mark) {
      if (token_ == JsonToken::error)
         return;
      const std::uint64_t place = static_cast<std::uint64_t>(mark) >> 1;
      at_ = static_cast<std::size_t>(place >> valueBits);
      stand();
      if (token_ == JsonToken::number)
         number_ = text_ + (place & valueMask);
      else if (static_cast<std::uint64_t>(mark) & 1)
         keyAsString();
   }
   /// Takes the key that the reader stands at for the string that it is.
   void keyAsString() {
      if (token_ == JsonToken::key)
         token_ = JsonToken::string;
   }

   /// Memory that what is read will take: in all at most `memoryMultipleMax` times the text, and `memoryExtraMax`.
   /// Fails where lists ask for more; to be asked before they get it.
   static constexpr std::size_t memoryMultipleMax = 4, memoryExtraMax = 1 << 20;
   bool claim(std::size_t values, std::size_t bytesEach) {
      const std::uint64_t bytes = std::uint64_t{values} * bytesEach;
      if (bytes > memoryLeft_) [[unlikely]]
         return fail("a list takes too much memory for its text");
      memoryLeft_ -= bytes;
      return true;
   }
   static constexpr std::size_t allocationBytes = 32; ///< what one costs besides its bytes, or the least that it takes

   /// Keeps the first message. Always false.
   bool fail(std::string_view message);
   JsonError error() const { return {message_, errorAt_}; }

   /// The text of a string or number, moving on.
   bool takeText(std::string_view& text, std::string_view what) {
      if (token_ != JsonToken::string && token_ != JsonToken::number) [[unlikely]]
         return failExpecting(what);
      text = this->text();
      advance();
      return true;
   }
   bool takeSigned(std::int64_t& value, std::int64_t min, std::int64_t max);
   bool takeUnsigned(std::uint64_t& value, std::uint64_t max);
   bool takeDouble(double& value);
   bool takeFloat(float& value);
   /// The numbers that follow one another here, as packed doubles: up to `count`, and no further than plain decimal
   /// numbers go. Returns how many.
   std::size_t takeDoubles(std::uint8_t* out, std::size_t count);
   bool takeHex(Bytes& bytes);
   bool takeHex(std::uint8_t* out, std::size_t size);

private:
   // A token is a word, its kind above a value of `valueBits`, or two. No text needs more than six times its size:
   //
   //   null, boolean, endObject, endArray, end; an empty object or array: the offset
   //   number: the offset; it stands for all numbers that follow with nothing between them, too
   //   string, key: the offset, of what is between the quotes; then the size without escapes
   //   beginObject, beginArray: how many values are in it; then the place of the word that ends it
   using Word = std::uint32_t;
   static constexpr unsigned valueBits = 28;
   static constexpr unsigned emptyKinds = 8; ///< added to the kind of the beginning
   static constexpr Word valueMask = (Word{1} << valueBits) - 1;
   static constexpr Word word(unsigned kind, std::size_t value) {
      return kind << valueBits | (static_cast<Word>(value) & valueMask);
   }
   static constexpr Word word(JsonToken kind, std::size_t value) { return word(static_cast<unsigned>(kind), value); }
   static constexpr unsigned kindOf(Word word) { return word >> valueBits; }
   static constexpr std::size_t valueOf(Word word) { return word & valueMask; }
   static constexpr std::size_t wordsOf(Word word) {
      constexpr unsigned two =
          1u << static_cast<unsigned>(JsonToken::string) | 1u << static_cast<unsigned>(JsonToken::key) |
          1u << static_cast<unsigned>(JsonToken::beginObject) | 1u << static_cast<unsigned>(JsonToken::beginArray);
      return 1 + (two >> kindOf(word) & 1);
   }

   bool isEmptyWord() const { return kindOf(words_[at_]) > static_cast<unsigned>(JsonToken::error); }
   bool isBeginning() const { return token_ == JsonToken::beginArray || token_ == JsonToken::beginObject; }
   /// The token of the word that the reader is at now.
   void stand() {
      const unsigned kind = kindOf(words_[at_]);
      token_ = static_cast<JsonToken>(kind > static_cast<unsigned>(JsonToken::error) ? kind - emptyKinds : kind);
      number_ = text_ + valueOf(words_[at_]);
   }
   template <class Char>
   static Char* skipSpace(Char* at) {
      while (*at <= ' ' && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
         ++at;
      return at;
   }
   static bool isDigit(char c) { return c >= '0' && c <= '9'; }
   /// Whether a number goes on behind its first digits.
   static bool isFraction(char c) { return c == '.' || c == 'e' || c == 'E'; }
   /// The number that follows behind the one that ends at `at`; null if something else does.
   template <class Char>
   static Char* nextNumber(Char* at) {
      at = skipSpace(at);
      if (*at != ',')
         return nullptr;
      at = skipSpace(at + 1);
      return isDigit(*at) || *at == '-' ? at : nullptr;
   }
   const char* numberEnd() const {
      const char* at = number_;
      while (isDigit(*at) || isFraction(*at) || *at == '-' || *at == '+')
         ++at;
      return at;
   }
   /// Moves on from the number that ends at `end`.
   void behindNumber(const char* end) {
      if (const char* next = nextNumber(end)) {
         number_ = next;
      } else {
         ++at_;
         stand();
      }
   }

   class Tokenizer;
   /// The digits of an integer, moving on. A sign is taken only where there may be one.
   bool takeMagnitude(std::uint64_t& value, bool& negative, bool isSigned);
   template <class T>
   bool takeFloating(T& value);
   /// Where in the text the reader stands.
   std::size_t offset() const;
   [[gnu::noinline, gnu::cold]] bool failExpecting(std::string_view what);

   /// What a short text needs, without an allocation.
   static constexpr std::size_t shortBytes = 256, shortWords = 96;

   std::size_t textBytes_;
   char* text_;  ///< a copy, its strings unescaped in place, and some zeros behind it
   Word* words_; ///< the last is `end`
   std::size_t at_ = 0;
   const char* number_ = text_; ///< that the reader stands at, if it is one
   JsonToken token_ = JsonToken::end;
   bool allowSubnormal_ = false;
   std::uint64_t memoryLeft_;
   std::size_t errorAt_ = 0;
   std::string message_;
   std::unique_ptr<char[]> longText_;
   std::unique_ptr<Word[]> manyWords_;
   char shortText_[shortBytes];
   Word fewWords_[shortWords];
};

namespace json {

template <class T>
concept SelfWriting = requires(const T& value, JsonWriter& writer) { value.writeJson(writer); };
template <class T>
concept SelfReading = requires(T& value, JsonReader& reader) {
   { T::readJson(reader, value) } -> std::convertible_to<bool>;
};

/// Lists and arrays of plain bytes are hexadecimal.
template <class T>
concept ByteList = (Vector<T> || Array<T> || isSpan<T>) && Byte<std::remove_cv_t<typename T::value_type>>;

/// Maps that are JSON objects.
template <class T>
concept TextMap = Map<T> && (std::is_same_v<typename T::key_type, std::string> || Name<typename T::key_type>);

/// A type's name as the tag of a variant's alternative.
template <class T>
std::string typeName() {
   if constexpr (std::is_same_v<T, bool>)
      return "bool";
   else if constexpr (std::is_same_v<T, char>)
      return "char";
   else if constexpr (std::is_integral_v<T>)
      return std::string(std::is_signed_v<T> ? "int" : "uint") + std::to_string(8 * sizeof(T));
   else if constexpr (std::is_same_v<T, float>)
      return "float32";
   else if constexpr (std::is_floating_point_v<T>)
      return "double";
   else if constexpr (std::is_same_v<T, std::string>)
      return "string";
   else if constexpr (Vector<T> || Set<T>)
      return typeName<typename T::value_type>() + "[]";
   else if constexpr (Array<T>)
      return typeName<typename T::value_type>() + "[" + std::to_string(std::tuple_size_v<T>) + "]";
   else if constexpr (Optional<T>)
      return typeName<typename T::value_type>() + "?";
   else if constexpr (isInstanceOf<T, std::tuple>)
      return []<class... A>(TypeList<A...>) {
         return (std::string("tuple") + ... + ("_" + typeName<A>()));
      }(MemberTypes<T>());
   else if constexpr (Variant<T>)
      return []<class... A>(std::type_identity<std::variant<A...>>) {
         return (std::string("variant") + ... + ("_" + typeName<A>()));
      }(std::type_identity<T>());
   else
      return std::string(declaredName<T>());
}

template <class M>
bool isMissingNested(const M& member) {
   if constexpr (NestedFrac<M>)
      return !frac::Codec<M>::emptyAllowed && member.packed.empty();
   else
      return false;
}

/// Claims the memory of a list, a set or a map of `count` values.
template <class T>
bool claimList(JsonReader& reader, std::size_t count) {
   using E = typename frac::ListElement<T>::type;
   if constexpr (Vector<T>)
      return reader.claim(count, sizeof(E)) && reader.claim(count != 0, JsonReader::allocationBytes);
   else // every value has a node of its own, with three pointers and a colour
      return reader.claim(count, sizeof(E) + 4 * sizeof(void*));
}

/// Alternatives whose name starts with `@` stand without a tag.
inline bool isUntagged(std::string_view name) { return name.starts_with('@'); }

} // namespace json

template <class T>
void writeJson(JsonWriter& writer, const T& value) {
   if constexpr (json::SelfWriting<T>) {
      value.writeJson(writer);
   } else if constexpr (std::is_same_v<T, bool>) {
      writer.boolean(value);
   } else if constexpr (std::is_enum_v<T>) {
      writer.integer(static_cast<std::underlying_type_t<T>>(value));
   } else if constexpr (std::is_integral_v<T>) {
      writer.integer(value);
   } else if constexpr (std::is_floating_point_v<T>) {
      writer.number(double{value});
   } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
      writer.string(value);
   } else if constexpr (Name<T>) {
      writer.string(value.str());
   } else if constexpr (std::is_same_v<T, TimePointSec> || std::is_same_v<T, TimePointUSec>) {
      writer.string(timeText(value));
   } else if constexpr (NestedFrac<T>) {
      writer.hex(value.packed);
   } else if constexpr (json::ByteList<T>) {
      writer.hex({reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
   } else if constexpr (Optional<T>) {
      if (value)
         writeJson(writer, *value);
      else
         writer.null();
   } else if constexpr (Variant<T>) {
      std::visit(
          [&]<class U>(const U& content) {
             const std::string name = json::typeName<U>();
             if (json::isUntagged(name))
                return writeJson(writer, content);
             writer.beginObject();
             writer.key(name);
             writeJson(writer, content);
             writer.endObject();
          },
          value);
   } else if constexpr (json::TextMap<T>) {
      writer.beginObject();
      for (const auto& [key, mapped] : value) {
         if constexpr (Name<typename T::key_type>)
            writer.key(key.str());
         else
            writer.key(key);
         writeJson(writer, mapped);
      }
      writer.endObject();
   } else if constexpr (Vector<T> || Set<T> || Map<T> || ListView<T> || Array<T>) {
      writer.beginArray();
      for (const auto& element : value)
         writeJson<std::remove_cvref_t<decltype(element)>>(writer, element);
      writer.endArray();
   } else if constexpr (Tuple<T>) {
      writer.beginArray();
      withMembers(value, [&](const auto&... members) { (writeJson(writer, members), ...); });
      writer.endArray();
   } else if constexpr (Transparent<T>) {
      writeJson(writer, field<0>(value));
   } else {
      static_assert(Struct<T>, "this type has no JSON form");
      writer.beginObject();
      withFields(value, [&]<class... M>(const M&... members) {
         [&]<std::size_t... I>(std::index_sequence<I...>) {
            ((writer.key(fieldName<T, I>), writeJson(writer, members)), ...);
         }(std::index_sequence_for<M...>());
      });
      writer.endObject();
   }
}

template <class T>
bool readJson(JsonReader& reader, T& out) {
   if constexpr (json::SelfReading<T>) {
      return T::readJson(reader, out);
   } else if constexpr (std::is_same_v<T, bool>) {
      out = reader.boolean();
      return reader.expect(JsonToken::boolean, "true or false");
   } else if constexpr (std::is_enum_v<T>) {
      std::underlying_type_t<T> number{};
      if (!readJson(reader, number))
         return false;
      out = static_cast<T>(number);
      return true;
   } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      std::int64_t number;
      if (!reader.takeSigned(number, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()))
         return false;
      out = static_cast<T>(number);
      return true;
   } else if constexpr (std::is_integral_v<T>) {
      std::uint64_t number;
      if (!reader.takeUnsigned(number, std::numeric_limits<T>::max()))
         return false;
      out = static_cast<T>(number);
      return true;
   } else if constexpr (std::is_same_v<T, float>) {
      return reader.takeFloat(out);
   } else if constexpr (std::is_same_v<T, double>) {
      return reader.takeDouble(out);
   } else if constexpr (std::is_same_v<T, std::string>) {
      std::string_view text;
      if (!reader.takeText(text, "a string"))
         return false;
      out = text;
      return true;
   } else if constexpr (Name<T>) {
      std::string_view text;
      if (!reader.takeText(text, "a name"))
         return false;
      out = T(text);
      return true;
   } else if constexpr (std::is_same_v<T, TimePointSec> || std::is_same_v<T, TimePointUSec>) {
      std::string_view text;
      if (!reader.takeText(text, "a time"))
         return false;
      const auto time = [&] {
         if constexpr (std::is_same_v<T, TimePointSec>)
            return parseTimeSec(text);
         else
            return parseTimeUSec(text);
      }();
      if (!time)
         return reader.fail("expected a time such as 2024-02-29T12:00:00Z");
      out = *time;
      return true;
   } else if constexpr (NestedFrac<T>) {
      using U = typename decltype([]<class V>(std::type_identity<Nested<V>>) {
         return std::type_identity<V>();
      }(std::type_identity<T>()))::type;
      if (!reader.takeHex(out.packed))
         return false;
      return validate<U>(out.packed) != Validity::invalid || reader.fail("the bytes are no value of the nested type");
   } else if constexpr (json::ByteList<T>) {
      if constexpr (Array<T>) {
         return reader.takeHex(reinterpret_cast<std::uint8_t*>(out.data()), out.size());
      } else if constexpr (std::is_same_v<T, Bytes>) {
         return reader.takeHex(out);
      } else {
         Bytes bytes;
         if (!reader.takeHex(bytes))
            return false;
         const auto* first = reinterpret_cast<const typename T::value_type*>(bytes.data());
         out.assign(first, first + bytes.size());
         return true;
      }
   } else if constexpr (Optional<T>) {
      if (reader.token() == JsonToken::null) {
         reader.advance();
         out.reset();
         return true;
      }
      return readJson(reader, out.emplace());
   } else if constexpr (Variant<T>) {
      constexpr std::size_t count = std::variant_size_v<T>;
      bool read = false;
      const auto attempt = [&]<std::size_t... I>(std::index_sequence<I...>, const auto& matches) {
         return ((matches(json::typeName<std::variant_alternative_t<I, T>>()) &&
                  (read = readJson(reader, out.template emplace<I>()), true)) ||
                 ...);
      };
      if (reader.token() != JsonToken::beginObject) {
         if (!attempt(std::make_index_sequence<count>(), [](std::string_view name) { return json::isUntagged(name); }))
            return reader.fail("expected {\"type\": value}");
         return read;
      }
      reader.advance();
      const std::string tag(reader.text());
      if (!reader.expect(JsonToken::key, "the name of an alternative"))
         return false;
      if (!attempt(std::make_index_sequence<count>(),
                   [&](std::string_view name) { return name == tag && !json::isUntagged(name); }))
         return reader.fail("no such alternative");
      return read && reader.expect(JsonToken::endObject, "} after the alternative");
   } else if constexpr (json::TextMap<T>) {
      const std::size_t count = reader.count();
      if (!reader.expect(JsonToken::beginObject, "{"))
         return false;
      out.clear();
      if (!json::claimList<T>(reader, count))
         return false;
      while (reader.token() == JsonToken::key) {
         typename T::key_type key(reader.text());
         reader.advance();
         if (!readJson(reader, out[std::move(key)]))
            return false;
      }
      return reader.expect(JsonToken::endObject, "}");
   } else if constexpr (Vector<T> || Set<T> || Map<T>) {
      using E = typename frac::ListElement<T>::type;
      out.clear();
      const std::size_t count = reader.count();
      if (!json::claimList<T>(reader, count) || !reader.expect(JsonToken::beginArray, "["))
         return false;
      constexpr std::size_t fewElements = 8; // as many get their memory at once, more once the first is good
      if constexpr (Vector<T>)
         if (count <= fewElements)
            out.reserve(count);
      while (reader.token() != JsonToken::endArray) {
         if constexpr (Vector<T>)
            if (out.size() == 1) {
               out.reserve(count);
               if constexpr (std::is_same_v<E, double>) {
                  out.resize(count);
                  out.resize(1 + reader.takeDoubles(reinterpret_cast<std::uint8_t*>(&out[1]), count - 1));
                  if (reader.token() == JsonToken::endArray)
                     break;
               }
            }
         if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            std::string_view text;
            if (!reader.takeText(text, "a string"))
               return false;
            out.emplace_back(text);
         } else if constexpr (Vector<T> && !std::is_same_v<E, bool>) {
            if (!readJson(reader, out.emplace_back()))
               return false;
         } else {
            E element{};
            if (!readJson(reader, element))
               return false;
            out.insert(out.end(), std::move(element));
         }
      }
      reader.advance();
      return true;
   } else if constexpr (Array<T>) {
      if (!reader.expect(JsonToken::beginArray, "["))
         return false;
      for (auto& element : out)
         if (!readJson(reader, element))
            return false;
      return reader.expect(JsonToken::endArray, "]");
   } else if constexpr (Tuple<T>) {
      out = T{};
      if (reader.token() == JsonToken::null) {
         reader.advance();
         return true;
      }
      const bool isList = reader.token() == JsonToken::beginArray;
      if (isList)
         reader.advance();
      else if constexpr (MemberTypes<T>::size == 0)
         return reader.fail("expected [");
      const bool fine = withMembers(out, [&](auto&... members) {
         [[maybe_unused]] bool first = true;
         [[maybe_unused]] const auto step = [&](auto& member) {
            if (isList ? reader.token() == JsonToken::endArray : !first)
               return true;
            first = false;
            return readJson(reader, member);
         };
         return (step(members) && ...);
      });
      if (!fine)
         return false;
      return !isList || reader.expect(JsonToken::endArray, "]");
   } else if constexpr (Transparent<T>) {
      if (!readJson(reader, field<0>(out)))
         return false;
      if constexpr (requires { T::isValid(field<0>(out)); })
         if (!T::isValid(field<0>(out)))
            return reader.fail("the text breaks its type's rule");
      return true;
   } else {
      static_assert(Struct<T>, "this type has no JSON form");
      if (!reader.expect(JsonToken::beginObject, "{"))
         return false;
      while (reader.token() == JsonToken::key) {
         const std::string_view name = reader.text();
         reader.advance();
         bool fine = true;
         const bool known = withFields(out, [&]<class... M>(M&... members) {
            return [&]<std::size_t... I>(std::index_sequence<I...>) {
               return ((name == fieldName<T, I> && (fine = readJson(reader, members), true)) || ...);
            }(std::index_sequence_for<M...>());
         });
         if (!known)
            reader.skip();
         if (!fine)
            return false;
      }
      // A nested value has no default: its packed form is never empty.
      const bool whole =
          withFields(out, []<class... M>(const M&... members) { return (!json::isMissingNested(members) && ...); });
      if (!whole)
         return reader.fail("a nested value is missing");
      return reader.expect(JsonToken::endObject, "}");
   }
}

/// Copies the value that the reader stands at, without spaces.
bool copyJson(JsonReader& reader, JsonWriter& writer);

/// Compact JSON text.
template <class T>
std::string toJson(const T& value) {
   std::string out;
   JsonWriter writer(out);
   writeJson(writer, value);
   return out;
}

/// Members may come in any order; unknown ones are skipped, missing ones keep their default, of repeated ones the last
/// counts.
template <class T>
[[nodiscard]] std::expected<T, JsonError> fromJson(std::string_view text) {
   JsonReader reader(text);
   std::expected<T, JsonError> result;
   if (!readJson(reader, *result) || !reader.expect(JsonToken::end, "nothing after the value"))
      result = std::unexpected(reader.error());
   return result;
}

} // namespace polis::format
