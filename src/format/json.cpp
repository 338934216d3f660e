#include "format/json.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <span>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace polis::format {

// --- Writing ---------------------------------------------------------------------------------------------------------

namespace {

/// First character at or after `at` that may not stand in a JSON string as it is: a control character, a quote, a
/// backslash and, with `strict`, 0x7F or a part of a longer character. At least 16 bytes can be read behind it.
template <bool strict>
const char* plainEnd(const char* at) {
#ifdef __SSE2__
   for (;; at += 16) {
      const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
      __m128i special =
          _mm_or_si128(_mm_cmpeq_epi8(text, _mm_set1_epi8('"')), _mm_cmpeq_epi8(text, _mm_set1_epi8('\\')));
      if constexpr (strict) // signed: also what is above 0x7F
         special = _mm_or_si128(special, _mm_or_si128(_mm_cmplt_epi8(text, _mm_set1_epi8(0x20)),
                                                      _mm_cmpeq_epi8(text, _mm_set1_epi8(0x7F))));
      else
         special = _mm_or_si128(special, _mm_cmpeq_epi8(_mm_min_epu8(text, _mm_set1_epi8(0x1F)), text));
      if (const int mask = _mm_movemask_epi8(special))
         return at + std::countr_zero(static_cast<unsigned>(mask));
   }
#else
   for (;; ++at) {
      const auto c = static_cast<unsigned char>(*at);
      if (c < 0x20 || c == '"' || c == '\\' || (strict && c >= 0x7F))
         return at;
   }
#endif
}

/// Bytes of the well-formed UTF-8 character that `text` starts with; 0 if there is none.
std::size_t characterBytes(std::string_view text) {
   for (std::size_t size = 1; size <= 4 && size <= text.size(); ++size)
      if (isUtf8(text.substr(0, size)))
         return size;
   return 0;
}

/// Puts text that needs escapes, or whose end cannot be read past.
char* putEscaped(char* out, std::string_view text) {
   static constexpr char digits[] = "0123456789ABCDEF";
   for (std::size_t i = 0; i < text.size();) {
      const auto c = static_cast<unsigned char>(text[i]);
      if (c >= 0x80) {
         const std::size_t size = characterBytes(text.substr(i, 4));
         if (size == 0)
            *out++ = '?';
         for (std::size_t k = 0; k < size; ++k)
            *out++ = text[i + k];
         i += size ? size : 1;
         continue;
      }
      ++i;
      if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') {
         *out++ = static_cast<char>(c);
         continue;
      }
      *out++ = '\\';
      switch (c) {
      case '"':
      case '\\':
         *out++ = static_cast<char>(c);
         break;
      case '\b':
         *out++ = 'b';
         break;
      case '\f':
         *out++ = 'f';
         break;
      case '\n':
         *out++ = 'n';
         break;
      case '\r':
         *out++ = 'r';
         break;
      case '\t':
         *out++ = 't';
         break;
      default:
         out = std::copy_n("u00", 3, out);
         *out++ = digits[c >> 4];
         *out++ = digits[c & 15];
      }
   }
   return out;
}

constexpr std::size_t doubleCharsMax = 32;

/// Shortest digits that read back, laid out as in JavaScript but with an exponent from seven zeros on.
char* putDouble(char* out, double value) {
   // Up to 15 digits with up to six decimals: no other text of so few digits reads back as the same value.
   double unit = 1;
   for (int decimals = 0; decimals <= 6; ++decimals, unit *= 10) {
      const double scaled = value * unit;
      if (!(scaled > -1e15 && scaled < 1e15))
         break;
      const auto digits = static_cast<std::int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5));
      if (static_cast<double>(digits) / unit != value)
         continue;
      if (digits % 100'000'000 == 0) // zero has a sign; so many zeros take an exponent
         break;
      if (digits < 0)
         *out++ = '-';
      const auto size = static_cast<std::uint64_t>(digits < 0 ? -digits : digits);
      const auto parts = static_cast<std::uint64_t>(unit);
      out = std::to_chars(out, out + 20, size / parts).ptr;
      if (decimals > 0) {
         *out++ = '.';
         std::uint64_t rest = size % parts;
         for (int i = decimals; i-- > 0; rest /= 10)
            out[i] = static_cast<char>('0' + rest % 10);
         out += decimals;
      }
      return out;
   }
   char buffer[40];
   const auto made = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
   std::string_view text(buffer, static_cast<std::size_t>(made.ptr - buffer));
   if (text.starts_with('-')) {
      *out++ = '-';
      text.remove_prefix(1);
   }
   const std::size_t mark = text.find('e');
   char digits[20];
   int count = 0;
   for (const char c : text.substr(0, mark))
      if (c != '.')
         digits[count++] = c;
   int exponent = 0;
   const std::string_view power = text.substr(mark + (text[mark + 1] == '+' ? 2 : 1));
   std::from_chars(power.data(), power.data() + power.size(), exponent);
   if (count == 1 && digits[0] == '0') {
      *out++ = '0';
      return out;
   }
   const int trailing = exponent - count + 1; // power of ten of the last digit
   const int magnitude = exponent < 0 ? -exponent : exponent;
   if (trailing >= 0 && magnitude < count + 7) {
      out = std::copy_n(digits, count, out);
      out = std::fill_n(out, trailing, '0');
   } else if (trailing < 0 && (trailing > -7 || magnitude < 4)) {
      if (exponent < 0) {
         out = std::copy_n("0.", 2, out);
         out = std::fill_n(out, -exponent - 1, '0');
         out = std::copy_n(digits, count, out);
      } else {
         out = std::copy_n(digits, exponent + 1, out);
         *out++ = '.';
         out = std::copy_n(digits + exponent + 1, count - exponent - 1, out);
      }
   } else {
      *out++ = digits[0];
      if (count > 1) {
         *out++ = '.';
         out = std::copy_n(digits + 1, count - 1, out);
      }
      *out++ = 'e';
      *out++ = exponent < 0 ? '-' : '+';
      out = std::to_chars(out, out + 4, magnitude).ptr;
   }
   return out;
}

} // namespace

template <class Put>
void JsonWriter::grow(std::size_t bytesMax, const Put& put) {
   const std::size_t size = out_.size();
   out_.resize_and_overwrite(
       size + bytesMax, [&](char* chars, std::size_t) { return static_cast<std::size_t>(put(chars + size) - chars); });
}

void JsonWriter::raw(std::string_view json) {
   separate();
   out_ += json;
}

void JsonWriter::quoted(std::string_view text, bool isKey) {
   // Short text is copied with room behind it, and then looked at: mostly there is nothing to escape.
   constexpr std::size_t room = 16;
   const std::size_t size = text.size();
   const bool comma = comma_;
   bool plain = false;
   grow(size + 4 + room, [&](char* out) {
      char* at = out;
      if (comma)
         *at++ = ',';
      *at++ = '"';
      std::copy_n(text.data(), size, at);
      at[size] = '\0';
      plain = plainEnd<true>(at) == at + size;
      if (!plain)
         return out;
      at += size;
      *at++ = '"';
      if (isKey)
         *at++ = ':';
      return at;
   });
   if (!plain)
      grow(6 * size + 4, [&](char* out) {
         if (comma)
            *out++ = ',';
         *out++ = '"';
         out = putEscaped(out, text);
         *out++ = '"';
         if (isKey)
            *out++ = ':';
         return out;
      });
   comma_ = !isKey;
}

void JsonWriter::key(std::string_view name) { quoted(name, true); }

void JsonWriter::string(std::string_view text) { quoted(text, false); }

void JsonWriter::hex(ByteView bytes) {
   separate();
   grow(2 * bytes.size() + 2, [&](char* out) {
      *out++ = '"';
      writeHex(bytes, out);
      out += 2 * bytes.size();
      *out++ = '"';
      return out;
   });
}

template <class T>
void JsonWriter::digits(T value, bool asString) {
   const bool comma = comma_;
   comma_ = true;
   grow(24, [&](char* out) {
      if (comma)
         *out++ = ',';
      if (asString)
         *out++ = '"';
      out = std::to_chars(out, out + 20, value).ptr;
      if (asString)
         *out++ = '"';
      return out;
   });
}

void JsonWriter::signedInteger(std::int64_t value, bool asString) { digits(value, asString); }

void JsonWriter::unsignedInteger(std::uint64_t value, bool asString) { digits(value, asString); }

void JsonWriter::number(double value) {
   if (value != value)
      raw("\"NaN\"");
   else if (value == std::numeric_limits<double>::infinity())
      raw("\"Infinity\"");
   else if (value == -std::numeric_limits<double>::infinity())
      raw("\"-Infinity\"");
   else {
      separate();
      grow(doubleCharsMax, [&](char* out) { return putDouble(out, value); });
   }
}

// --- Reading ---------------------------------------------------------------------------------------------------------

namespace {

/// Bytes behind the text, all zero: no search for the end of a string or number runs past them.
constexpr std::size_t paddingBytes = 16;

} // namespace

/// Splits a text into tokens, in one pass without recursion. Strings are unescaped in place.
class JsonReader::Tokenizer {
public:
   explicit Tokenizer(JsonReader& reader)
      : reader_(reader), start_(reader.text_), end_(reader.text_ + reader.textBytes_), at_(start_) {}

   /// What is wrong; nothing if the text is one value. Either way the tokens end with `end`.
   std::string_view run() {
      Word* out = reader_.fewWords_;
      const std::string_view wrong = tokens(out, out + shortWords);
      if (!wrong.empty())
         out = reader_.words_;
      *out = word(JsonToken::end, reader_.textBytes_);
      return wrong;
   }
   /// Where `run` stopped.
   std::size_t offset() const { return static_cast<std::size_t>(at_ - start_); }

private:
   static constexpr std::string_view malformed = "malformed JSON";

   struct Level {           // without initial values: there are many, and most stay unused
      std::uint32_t begin;  ///< the place of the word that begins it
      std::uint32_t values; ///< in it so far
      bool isObject;
   };

   /// New room behind the words up to `out`, for as many as there will be if the text goes on as it began. No text
   /// needs more than three words for two characters, and two for each beginning without an end.
   [[gnu::noinline]] std::span<Word> grow(const Word* out, const char* at) {
      const auto used = static_cast<std::size_t>(out - reader_.words_), bytes = static_cast<std::size_t>(at - start_);
      const std::size_t most = used + 3 * ((reader_.textBytes_ - bytes) / 2) + 2 * jsonDepthMax;
      const std::uint64_t foreseen = (std::uint64_t{used} + used / 8) * reader_.textBytes_ / (bytes + 1);
      const auto room =
          static_cast<std::size_t>(std::min<std::uint64_t>(std::max<std::uint64_t>(2 * used, foreseen), most)) +
          endRoom;
      auto more = std::make_unique_for_overwrite<Word[]>(room);
      std::copy_n(reader_.words_, used, more.get());
      reader_.manyWords_ = std::move(more);
      reader_.words_ = reader_.manyWords_.get();
      return {reader_.words_ + used, room - used};
   }

   /// The tokens of the text but for its end, which has room at `out` then. What goes on for long is kept in locals.
   std::string_view tokens(Word*& wordsEnd, Word* outEnd) {
      Word* out = wordsEnd;
      outEnd -= endRoom;
      char* at = start_;
      unsigned depth = 0;
      Level level{0, 0, false};
      const auto fail = [&](std::string_view message = malformed) {
         at_ = at;
         return message;
      };
      const auto put = [&] [[gnu::always_inline]] (auto kind, std::size_t value, auto... second) {
         if (out >= outEnd) [[unlikely]] {
            const std::span<Word> room = grow(out, at);
            out = room.data();
            outEnd = out + room.size() - endRoom;
         }
         *out++ = word(kind, value);
         ((*out++ = static_cast<Word>(second)), ...);
      };
      const auto offset = [&] [[gnu::always_inline]] (const char* place) {
         return static_cast<std::size_t>(place - start_);
      };
      const auto string = [&] [[gnu::always_inline]] (JsonToken kind) {
         const std::size_t from = offset(++at);
         at += plainEnd<false>(at) - at;
         const char* end = at;
         if (*at != '"') [[unlikely]] {
            const Unescaped text = unescape(at);
            at = text.at;
            end = text.end;
            if (!end)
               return false;
         }
         ++at;
         put(kind, from, offset(end) - from);
         return true;
      };
      const auto close = [&] [[gnu::always_inline]] {
         Word* const begin = reader_.words_ + level.begin;
         begin[0] = word(kindOf(begin[0]), level.values);
         begin[1] = static_cast<Word>(out - reader_.words_);
         put(level.isObject ? JsonToken::endObject : JsonToken::endArray, offset(at));
         ++at;
         level = levels_[--depth];
      };
      while (true) {
         at = skipSpace(at);
         if (level.isObject) {
            if (*at != '"' || !string(JsonToken::key))
               return fail();
            at = skipSpace(at);
            if (*at != ':')
               return fail();
            at = skipSpace(at + 1);
         }
         ++level.values;
         switch (*at) {
         case '{':
         case '[': {
            const bool isObject = *at == '{';
            const JsonToken kind = isObject ? JsonToken::beginObject : JsonToken::beginArray;
            const char* const from = at;
            if (depth == jsonDepthMax)
               return fail("nested too deeply");
            at = skipSpace(at + 1);
            if (*at == (isObject ? '}' : ']')) {
               put(static_cast<unsigned>(kind) + emptyKinds, offset(from));
               ++at;
               break;
            }
            levels_[depth++] = level;
            level = {static_cast<std::uint32_t>(out - reader_.words_), 0, isObject};
            put(kind, 0, 0);
            continue;
         }
         case '"':
            if (!string(JsonToken::string))
               return fail();
            break;
         case 't':
         case 'f':
         case 'n': {
            const std::string_view word = *at == 't' ? "true" : *at == 'f' ? "false" : "null";
            if (std::memcmp(at, word.data(), word.size()) != 0)
               return fail();
            put(*at == 'n' ? JsonToken::null : JsonToken::boolean, offset(at));
            at += word.size();
            break;
         }
         default: {
            put(JsonToken::number, offset(at));
            while (true) {
               if (!number(at))
                  return fail();
               char* const next = level.isObject || !depth ? nullptr : nextNumber(at);
               if (!next)
                  break;
               at = next;
               ++level.values;
            }
         }
         }
         // Behind a value: on to the next one, or out of what has ended.
         while (true) {
            at = skipSpace(at);
            if (*at == ',' && depth)
               break;
            if (depth == 0) {
               wordsEnd = out;
               return at == end_ ? std::string_view() : fail();
            }
            if (*at != (level.isObject ? '}' : ']'))
               return fail();
            close();
         }
         ++at;
      }
   }

   /// Moves `at` behind the number that begins there.
   static bool number(char*& at) {
      const auto digits = [&] {
         const char* from = at;
         while (isDigit(*at))
            ++at;
         return at != from;
      };
      if (*at == '-')
         ++at;
      if (*at == '0')
         ++at;
      else if (!digits())
         return false;
      if (*at == '.') {
         ++at;
         if (!digits())
            return false;
      }
      if (*at == 'e' || *at == 'E') {
         ++at;
         if (*at == '+' || *at == '-')
            ++at;
         if (!digits())
            return false;
      }
      return true;
   }

   struct Unescaped {
      char* at;  ///< at the closing quote, or at what is wrong
      char* end; ///< of the unescaped text; null if it is malformed
   };
   /// Goes on with a string at its first escape.
   [[gnu::noinline]] static Unescaped unescape(char* at) {
      char* to = at;
      while (*at != '"') {
         if (*at != '\\' || !escape(at, to))
            return {at, nullptr};
         const std::ptrdiff_t size = plainEnd<false>(at) - at;
         std::memmove(to, at, static_cast<std::size_t>(size));
         to += size;
         at += size;
      }
      return {at, to};
   }

   /// The character behind a backslash, which goes to `to`.
   static bool escape(char*& at, char*& to) {
      const char c = at[1];
      at += 2;
      switch (c) {
      case '"':
      case '\\':
      case '/':
         *to++ = c;
         return true;
      case 'b':
         *to++ = '\b';
         return true;
      case 'f':
         *to++ = '\f';
         return true;
      case 'n':
         *to++ = '\n';
         return true;
      case 'r':
         *to++ = '\r';
         return true;
      case 't':
         *to++ = '\t';
         return true;
      case 'u':
         break;
      default:
         return false;
      }
      int code = hex4(at);
      if (code >= 0xD800 && code < 0xDC00) {
         if (at[0] != '\\' || at[1] != 'u')
            return false;
         at += 2;
         const int low = hex4(at);
         if (low < 0xDC00 || low > 0xDFFF)
            return false;
         code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      } else if (code < 0 || (code >= 0xDC00 && code < 0xE000)) {
         return false;
      }
      const auto part = [code](int shift, int mark) { return static_cast<char>(mark | ((code >> shift) & 0x3F)); };
      if (code < 0x80) {
         *to++ = static_cast<char>(code);
      } else if (code < 0x800) {
         *to++ = static_cast<char>(0xC0 | (code >> 6));
         *to++ = part(0, 0x80);
      } else if (code < 0x10000) {
         *to++ = static_cast<char>(0xE0 | (code >> 12));
         *to++ = part(6, 0x80);
         *to++ = part(0, 0x80);
      } else {
         *to++ = static_cast<char>(0xF0 | (code >> 18));
         *to++ = part(12, 0x80);
         *to++ = part(6, 0x80);
         *to++ = part(0, 0x80);
      }
      return true;
   }
   /// Negative unless four hexadecimal digits follow.
   static int hex4(char*& at) {
      int code = 0;
      for (int i = 0; i < 4; ++i, ++at) {
         const int digit = hexDigit(*at);
         if (digit < 0)
            return -1;
         code = code << 4 | digit;
      }
      return code;
   }

   /// Kept free behind the words, for a second one and the last.
   static constexpr std::size_t endRoom = 3;

   JsonReader& reader_;
   char* const start_;
   char* const end_;
   char* at_;
   Level levels_[jsonDepthMax]; ///< around the innermost object or array that is begun and not ended
};

JsonReader::JsonReader(std::string_view text)
   : textBytes_(text.size()), text_(shortText_), words_(fewWords_),
     memoryLeft_(memoryMultipleMax * std::uint64_t{text.size()} + memoryExtraMax) {
   fewWords_[0] = word(JsonToken::end, 0);
   if (text.size() > bytesMax) {
      fail("the text is too long");
      return;
   }
   if (!isUtf8(text)) {
      fail("malformed UTF-8");
      return;
   }
   if (text.size() + paddingBytes > shortBytes) {
      longText_ = std::make_unique_for_overwrite<char[]>(text.size() + paddingBytes);
      text_ = longText_.get();
   }
   std::fill_n(std::copy_n(text.data(), text.size(), text_), paddingBytes, '\0');
   Tokenizer tokenizer(*this);
   if (const std::string_view wrong = tokenizer.run(); !wrong.empty()) {
      fail(wrong);
      errorAt_ = tokenizer.offset();
   } else {
      stand();
   }
}

void JsonReader::skip() {
   if (token_ == JsonToken::key)
      advance();
   if (isBeginning()) {
      if (isEmptyWord())
         advance();
      else {
         at_ = words_[at_ + 1];
         stand();
      }
   }
   advance();
}

std::size_t JsonReader::offset() const {
   const auto isBegin = [&](Word word) {
      return kindOf(word) == static_cast<unsigned>(JsonToken::beginObject) ||
             kindOf(word) == static_cast<unsigned>(JsonToken::beginArray);
   };
   if (token_ == JsonToken::number)
      return static_cast<std::size_t>(number_ - text_);
   std::size_t at = at_;
   while (isBegin(words_[at])) // these have no place of their own: that of what is in them serves
      at += wordsOf(words_[at]);
   return valueOf(words_[at]);
}

bool JsonReader::fail(std::string_view message) {
   if (token_ != JsonToken::error) {
      errorAt_ = offset();
      token_ = JsonToken::error;
      message_ = message;
   }
   return false;
}

bool JsonReader::failExpecting(std::string_view what) { return fail("expected " + std::string(what)); }

namespace {

/// What reading a number comes to.
enum class NumberRead : std::uint8_t { good, malformed, outOfRange };

/// The digits from `at` on, which must end at `end`.
NumberRead readDigits(const char* at, const char* end, std::uint64_t& value) {
   if (at == end)
      return NumberRead::malformed;
   value = 0;
   bool over = false;
   for (; at != end; ++at) {
      if (*at < '0' || *at > '9')
         return NumberRead::malformed;
      over |= __builtin_mul_overflow(value, std::uint64_t{10}, &value) ||
              __builtin_add_overflow(value, static_cast<std::uint64_t>(*at - '0'), &value);
   }
   return over ? NumberRead::outOfRange : NumberRead::good;
}

} // namespace

bool JsonReader::takeMagnitude(std::uint64_t& value, bool& negative, bool isSigned) {
   if (token_ == JsonToken::number) { // mostly a few digits
      const char* at = number_;
      negative = isSigned && *at == '-';
      at += negative;
      const char* const from = at;
      for (value = 0; isDigit(*at); ++at)
         value = value * 10 + static_cast<std::uint64_t>(*at - '0');
      if (at != from && at - from <= std::numeric_limits<std::uint64_t>::digits10 && !isFraction(*at)) {
         behindNumber(at);
         return true;
      }
   } else if (token_ != JsonToken::string) {
      return failExpecting("an integer");
   }
   const std::string_view text = this->text();
   negative = isSigned && text.starts_with('-');
   switch (readDigits(text.data() + negative, text.data() + text.size(), value)) {
   case NumberRead::good:
      advance();
      return true;
   case NumberRead::malformed:
      return failExpecting("an integer");
   case NumberRead::outOfRange:
      break;
   }
   return fail("the number is out of range");
}

bool JsonReader::takeUnsigned(std::uint64_t& value, std::uint64_t max) {
   bool negative;
   return takeMagnitude(value, negative, false) && (value <= max || fail("the number is out of range"));
}

bool JsonReader::takeSigned(std::int64_t& value, std::int64_t min, std::int64_t max) {
   std::uint64_t magnitude;
   bool negative;
   if (!takeMagnitude(magnitude, negative, true))
      return false;
   const std::uint64_t most = negative ? 0 - static_cast<std::uint64_t>(min) : static_cast<std::uint64_t>(max);
   value = static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude);
   return magnitude <= most || fail("the number is out of range");
}

namespace {

/// Plain decimal text, as far as it goes, where its value takes one correctly rounded operation.
/// Returns its end; null for any other text. A digit must not follow what is to be read.
template <class T>
const char* readShort(const char* at, T& value) {
   // Both factors are exact up to these.
   constexpr std::uint64_t mantissaMax = std::uint64_t{1} << std::numeric_limits<T>::digits;
   static constexpr T powers[] = {T(1e0),  T(1e1),  T(1e2),  T(1e3),  T(1e4),  T(1e5),  T(1e6),  T(1e7),
                                  T(1e8),  T(1e9),  T(1e10), T(1e11), T(1e12), T(1e13), T(1e14), T(1e15),
                                  T(1e16), T(1e17), T(1e18), T(1e19), T(1e20), T(1e21), T(1e22)};
   constexpr std::ptrdiff_t powerMax = sizeof(T) == 4 ? 10 : 22;
   constexpr std::ptrdiff_t digitsMax = std::numeric_limits<std::uint64_t>::digits10; // more may wrap
   std::uint64_t mantissa = 0;
   const auto digits = [&] {
      const char* const from = at;
      for (; *at >= '0' && *at <= '9'; ++at)
         mantissa = 10 * mantissa + static_cast<std::uint64_t>(*at - '0');
      return at - from;
   };
   const bool negative = *at == '-';
   at += negative;
   const std::ptrdiff_t whole = digits();
   std::ptrdiff_t decimals = 0;
   if (*at == '.') {
      ++at;
      decimals = digits();
      if (decimals == 0)
         return nullptr;
   }
   if (whole == 0 || whole + decimals > digitsMax || mantissa > mantissaMax || decimals > powerMax)
      return nullptr;
   value = static_cast<T>(static_cast<std::int64_t>(mantissa));
   if (decimals)
      value /= powers[decimals];
   if (negative)
      value = -value;
   return at;
}

/// Text as strtod reads it.
template <class T>
bool readFloating(std::string_view text, T& value, bool allowSubnormal) {
#ifdef __cpp_lib_to_chars
   // Without a copy where it can.
   if (const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
       read.ec == std::errc() && read.ptr == text.data() + text.size() &&
       (allowSubnormal || value >= std::numeric_limits<T>::min() || value <= -std::numeric_limits<T>::min()))
      return true;
#endif
   const std::string copy(text); // terminated
   char* end = nullptr;
   errno = 0;
   if constexpr (sizeof(T) == 4)
      value = std::strtof(copy.c_str(), &end);
   else
      value = std::strtod(copy.c_str(), &end);
   const bool inRange = errno == 0 || (allowSubnormal && value > T{-1} && value < T{1});
   return inRange && !copy.empty() && end == copy.c_str() + copy.size();
}

} // namespace

template <class T>
bool JsonReader::takeFloating(T& value) {
   if (token_ != JsonToken::number && token_ != JsonToken::string)
      return failExpecting("a number");
   // Everything but plain decimal numbers is rare.
   const char* const end = readShort(number_, value);
   if (token_ == JsonToken::number && end && !isFraction(*end)) {
      behindNumber(end);
      return true;
   }
   const std::string_view text = this->text();
   if (end != text.data() + text.size() && !readFloating(text, value, allowSubnormal_))
      return fail("expected a number in range");
   advance();
   return true;
}

bool JsonReader::takeDouble(double& value) { return takeFloating(value); }

bool JsonReader::takeFloat(float& value) { return takeFloating(value); }

std::size_t JsonReader::takeDoubles(std::uint8_t* out, std::size_t count) {
   if (token_ != JsonToken::number)
      return 0;
   const char* at = number_;
   for (std::size_t i = 0; i < count; ++i) {
      double value;
      const char* const end = readShort(at, value);
      if (!end || isFraction(*end)) {
         number_ = at;
         return i;
      }
      std::memcpy(out + i * sizeof value, &value, sizeof value);
      at = nextNumber(end);
      if (!at) {
         behindNumber(end);
         return i + 1;
      }
   }
   number_ = at;
   return count;
}

bool JsonReader::takeHex(Bytes& bytes) {
   if (token_ != JsonToken::string && token_ != JsonToken::number)
      return fail("expected hexadecimal digits");
   const std::string_view digits = text();
   if (!digits.empty() && !claim(1, allocationBytes))
      return false;
   bytes.resize(digits.size() / 2);
   if (!readHex(digits, bytes.data()))
      return fail("expected hexadecimal digits");
   advance();
   return true;
}

bool JsonReader::takeHex(std::uint8_t* out, std::size_t size) {
   if (token_ != JsonToken::string && token_ != JsonToken::number)
      return fail("expected hexadecimal digits");
   const std::string_view digits = text();
   if (digits.size() != 2 * size || !readHex(digits, out))
      return fail("expected " + std::to_string(2 * size) + " hexadecimal digits");
   advance();
   return true;
}

bool copyJson(JsonReader& reader, JsonWriter& writer) {
   unsigned depth = 0;
   do {
      switch (reader.token()) {
      case JsonToken::null:
         writer.null();
         break;
      case JsonToken::boolean:
         writer.boolean(reader.boolean());
         break;
      case JsonToken::number:
         writer.raw(reader.text());
         break;
      case JsonToken::string:
         writer.string(reader.text());
         break;
      case JsonToken::key:
         writer.key(reader.text());
         break;
      case JsonToken::beginObject:
         ++depth;
         writer.beginObject();
         break;
      case JsonToken::beginArray:
         ++depth;
         writer.beginArray();
         break;
      case JsonToken::endObject:
         --depth;
         writer.endObject();
         break;
      case JsonToken::endArray:
         --depth;
         writer.endArray();
         break;
      case JsonToken::end:
      case JsonToken::error:
         return reader.fail("expected a value");
      }
      reader.advance();
   } while (depth || reader.token() == JsonToken::error);
   return true;
}

} // namespace polis::format
