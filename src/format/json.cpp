#include "format/json.hpp"

#include "base/assert.hpp"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#define RAPIDJSON_ASSERT(x) ASSERT(x)
// Its empty stack adds an offset to a null pointer before it compares; harmless, but undefined.
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <rapidjson/reader.h>
#pragma clang diagnostic pop
#pragma clang attribute pop

namespace polis::format {

// --- Writing ---------------------------------------------------------------------------------------------------------

namespace {

/// Bytes of the well-formed UTF-8 character that `text` starts with; 0 if there is none.
std::size_t characterBytes(std::string_view text) {
   for (std::size_t size = 1; size <= 4 && size <= text.size(); ++size)
      if (isUtf8(text.substr(0, size)))
         return size;
   return 0;
}

void putString(std::string& out, std::string_view text) {
   static constexpr char digits[] = "0123456789ABCDEF";
   out += '"';
   std::size_t plain = 0; // start of what is not yet copied
   for (std::size_t i = 0; i < text.size();) {
      const auto c = static_cast<unsigned char>(text[i]);
      if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') {
         ++i;
         continue;
      }
      if (c >= 0x80) {
         if (const std::size_t size = characterBytes(text.substr(i, 4))) {
            i += size;
            continue;
         }
      }
      out.append(text, plain, i - plain);
      plain = ++i;
      switch (c) {
      case '"':
         out += "\\\"";
         break;
      case '\\':
         out += "\\\\";
         break;
      case '\b':
         out += "\\b";
         break;
      case '\f':
         out += "\\f";
         break;
      case '\n':
         out += "\\n";
         break;
      case '\r':
         out += "\\r";
         break;
      case '\t':
         out += "\\t";
         break;
      default:
         if (c >= 0x80) {
            out += '?';
         } else {
            out += "\\u00";
            out += digits[c >> 4];
            out += digits[c & 15];
         }
      }
   }
   out.append(text, plain, text.size() - plain);
   out += '"';
}

/// Shortest digits that read back, laid out as in JavaScript but with an exponent from seven zeros on.
std::string textOfDouble(double value) {
   char buffer[40];
   const auto made = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
   std::string_view text(buffer, static_cast<std::size_t>(made.ptr - buffer));
   std::string out;
   if (text.starts_with('-')) {
      out += '-';
      text.remove_prefix(1);
   }
   const std::size_t mark = text.find('e');
   std::string digits;
   for (const char c : text.substr(0, mark))
      if (c != '.')
         digits += c;
   int exponent = 0;
   const std::string_view power = text.substr(mark + (text[mark + 1] == '+' ? 2 : 1));
   std::from_chars(power.data(), power.data() + power.size(), exponent);
   if (digits == "0") {
      out += '0';
      return out;
   }
   const int count = static_cast<int>(digits.size());
   const int trailing = exponent - count + 1; // power of ten of the last digit
   const int magnitude = exponent < 0 ? -exponent : exponent;
   if (trailing >= 0 && magnitude < count + 7) {
      out += digits;
      out.append(static_cast<std::size_t>(trailing), '0');
   } else if (trailing < 0 && (trailing > -7 || magnitude < 4)) {
      if (exponent < 0) {
         out += "0.";
         out.append(static_cast<std::size_t>(-exponent - 1), '0');
         out += digits;
      } else {
         const auto whole = static_cast<std::size_t>(exponent + 1);
         out.append(digits, 0, whole);
         out += '.';
         out.append(digits, whole);
      }
   } else {
      out += digits[0];
      if (count > 1) {
         out += '.';
         out.append(digits, 1);
      }
      out += exponent < 0 ? "e-" : "e+";
      out += std::to_string(magnitude);
   }
   return out;
}

} // namespace

void JsonWriter::raw(std::string_view json) {
   separate();
   out_ += json;
}

void JsonWriter::key(std::string_view name) {
   separate();
   putString(out_, name);
   out_ += ':';
   comma_ = false;
}

void JsonWriter::string(std::string_view text) {
   separate();
   putString(out_, text);
}

void JsonWriter::hex(ByteView bytes) {
   static constexpr char digits[] = "0123456789ABCDEF";
   separate();
   std::size_t at = out_.size();
   out_.resize(at + 2 * bytes.size() + 2);
   out_[at++] = '"';
   for (const std::uint8_t byte : bytes) {
      out_[at++] = digits[byte >> 4];
      out_[at++] = digits[byte & 15];
   }
   out_[at] = '"';
}

void JsonWriter::signedInteger(std::int64_t value, bool asString) {
   char buffer[24];
   char* at = buffer;
   if (asString)
      *at++ = '"';
   at = std::to_chars(at, buffer + sizeof buffer, value).ptr;
   if (asString)
      *at++ = '"';
   raw({buffer, static_cast<std::size_t>(at - buffer)});
}

void JsonWriter::unsignedInteger(std::uint64_t value, bool asString) {
   char buffer[24];
   char* at = buffer;
   if (asString)
      *at++ = '"';
   at = std::to_chars(at, buffer + sizeof buffer, value).ptr;
   if (asString)
      *at++ = '"';
   raw({buffer, static_cast<std::size_t>(at - buffer)});
}

void JsonWriter::number(double value) {
   if (value != value)
      raw("\"NaN\"");
   else if (value == std::numeric_limits<double>::infinity())
      raw("\"Infinity\"");
   else if (value == -std::numeric_limits<double>::infinity())
      raw("\"-Infinity\"");
   else
      raw(textOfDouble(value));
}

// --- Reading ---------------------------------------------------------------------------------------------------------

namespace {

/// Receives RapidJSON's events and keeps them as tokens.
struct Tokenizer {
   const char* start;
   std::vector<JsonReader::Token>& tokens;
   unsigned depth = 0;
   std::size_t open[jsonDepthMax] = {}; ///< tokens that are begun and not ended

   bool begin(JsonToken kind) {
      if (depth++ == jsonDepthMax)
         return false;
      open[depth - 1] = tokens.size();
      return put(kind);
   }
   bool end(JsonToken kind) {
      tokens[open[--depth]].offset = static_cast<std::uint32_t>(tokens.size());
      return put(kind);
   }
   bool put(JsonToken kind, std::size_t offset = 0, std::size_t size = 0) {
      JsonReader::Token token;
      token.offset = static_cast<std::uint32_t>(offset);
      token.size = static_cast<std::uint32_t>(size) & 0xFFFFFFFu;
      token.kind = static_cast<std::uint32_t>(kind) & 15u;
      tokens.push_back(token);
      return true;
   }
   bool put(JsonToken kind, const char* chars, std::size_t size) {
      return put(kind, static_cast<std::size_t>(chars - start), size);
   }

   bool Null() { return put(JsonToken::null); }
   bool Bool(bool value) { return put(JsonToken::boolean, value); }
   bool RawNumber(const char* chars, unsigned size, bool) { return put(JsonToken::number, chars, size); }
   bool String(const char* chars, unsigned size, bool) { return put(JsonToken::string, chars, size); }
   bool Key(const char* chars, unsigned size, bool) { return put(JsonToken::key, chars, size); }
   bool StartObject() { return begin(JsonToken::beginObject); }
   bool StartArray() { return begin(JsonToken::beginArray); }
   bool EndObject(unsigned) { return end(JsonToken::endObject); }
   bool EndArray(unsigned) { return end(JsonToken::endArray); }
   // Never sent: numbers come raw.
   bool Int(int) { return false; }
   bool Uint(unsigned) { return false; }
   bool Int64(std::int64_t) { return false; }
   bool Uint64(std::uint64_t) { return false; }
   bool Double(double) { return false; }
};

} // namespace

JsonReader::JsonReader(std::string_view text) {
   constexpr unsigned flags =
       rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseIterativeFlag;
   tokens_.reserve(text.size() / 8 + 2);
   Tokenizer tokenizer{nullptr, tokens_};
   const auto parse = [&]() -> JsonError {
      if (text.size() > bytesMax)
         return {"the text is too long"};
      // Checked here: RapidJSON takes a NUL for the end of the text, and its own check of UTF-8 reads past the end.
      if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
         return {"malformed JSON", nul};
      if (!isUtf8(text))
         return {"malformed UTF-8"};
      buffer_ = text;
      tokenizer.start = buffer_.data();
      rapidjson::InsituStringStream stream(buffer_.data());
      rapidjson::Reader reader;
      if (reader.Parse<flags>(stream, tokenizer).IsError())
         return {tokenizer.depth > jsonDepthMax ? "nested too deeply" : "malformed JSON", reader.GetErrorOffset()};
      return {};
   };
   if (const JsonError error = parse(); !error.message.empty()) {
      tokens_.clear();
      tokenizer.put(JsonToken::end);
      fail(error.message);
      errorAt_ = error.offset;
      return;
   }
   tokenizer.put(JsonToken::end);
   token_ = static_cast<JsonToken>(tokens_[0].kind);
}

std::string_view JsonReader::text() const {
   const Token& token = tokens_[at_];
   return std::string_view(buffer_).substr(token.offset, token.size);
}

void JsonReader::advance() {
   if (token_ == JsonToken::error || token_ == JsonToken::end)
      return;
   token_ = static_cast<JsonToken>(tokens_[++at_].kind);
}

void JsonReader::rewind(std::size_t mark) {
   if (token_ == JsonToken::error)
      return;
   at_ = mark;
   token_ = static_cast<JsonToken>(tokens_[at_].kind);
}

void JsonReader::skip() {
   if (token_ == JsonToken::key)
      advance();
   if (token_ == JsonToken::beginObject || token_ == JsonToken::beginArray)
      rewind(tokens_[at_].offset);
   advance();
}

bool JsonReader::fail(std::string_view message) {
   if (token_ != JsonToken::error) {
      token_ = JsonToken::error;
      message_ = message;
      // Structure marks carry no place of their own: that of the nearest text before them serves.
      for (std::size_t i = at_ + 1; i-- > 0 && errorAt_ == 0;)
         if (i < tokens_.size() && tokens_[i].size)
            errorAt_ = tokens_[i].offset;
   }
   return false;
}

bool JsonReader::expect(JsonToken token, std::string_view what) {
   if (token_ != token)
      return fail("expected " + std::string(what));
   advance();
   return true;
}

bool JsonReader::takeText(std::string_view& text, std::string_view what) {
   if (token_ != JsonToken::string && token_ != JsonToken::number)
      return fail("expected " + std::string(what));
   text = this->text();
   advance();
   return true;
}

bool JsonReader::takeUnsigned(std::uint64_t& value, std::uint64_t max) {
   std::string_view text;
   if (!takeText(text, "an integer"))
      return false;
   if (text.empty())
      return fail("expected an integer");
   value = 0;
   for (const char c : text) {
      if (c < '0' || c > '9')
         return fail("expected an integer");
      const auto digit = static_cast<std::uint64_t>(c - '0');
      if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10)
         return fail("the number is out of range");
      value = value * 10 + digit;
   }
   return value <= max || fail("the number is out of range");
}

bool JsonReader::takeSigned(std::int64_t& value, std::int64_t min, std::int64_t max) {
   std::string_view text;
   if (!takeText(text, "an integer"))
      return false;
   const bool negative = text.starts_with('-');
   const std::string_view digits = text.substr(negative);
   if (digits.empty())
      return fail("expected an integer");
   // Counted downwards, where there is room for every value.
   value = 0;
   for (const char c : digits) {
      if (c < '0' || c > '9')
         return fail("expected an integer");
      if (__builtin_mul_overflow(value, std::int64_t{10}, &value) ||
          __builtin_sub_overflow(value, std::int64_t{c - '0'}, &value))
         return fail("the number is out of range");
   }
   if (!negative) {
      if (value == std::numeric_limits<std::int64_t>::min())
         return fail("the number is out of range");
      value = -value;
   }
   return (value >= min && value <= max) || fail("the number is out of range");
}

namespace {
template <class T>
bool readFloating(std::string_view text, T& value, bool allowSubnormal) {
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

bool JsonReader::takeDouble(double& value) {
   std::string_view text;
   return takeText(text, "a number") &&
          (readFloating(text, value, allowSubnormal_) || fail("expected a number in range"));
}

bool JsonReader::takeFloat(float& value) {
   std::string_view text;
   return takeText(text, "a number") &&
          (readFloating(text, value, allowSubnormal_) || fail("expected a number in range"));
}

bool JsonReader::takeHex(Bytes& bytes) {
   if (token_ != JsonToken::string && token_ != JsonToken::number)
      return fail("expected hexadecimal digits");
   const std::string_view digits = text();
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
