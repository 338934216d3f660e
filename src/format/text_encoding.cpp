#include "format/text_encoding.hpp"

#include <array>
#include <cstdint>

namespace polis::format {
namespace {

constexpr std::string_view plainAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view urlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::array<std::int8_t, 256> reverse(std::string_view alphabet) {
   std::array<std::int8_t, 256> values{};
   values.fill(-1);
   for (std::size_t i = 0; i < alphabet.size(); ++i)
      values[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
   return values;
}
constexpr auto plainValues = reverse(plainAlphabet);
constexpr auto urlValues = reverse(urlAlphabet);

std::string encode(ByteView bytes, std::string_view alphabet, bool pad) {
   std::string out;
   out.reserve((bytes.size() + 2) / 3 * 4);
   for (std::size_t i = 0; i < bytes.size(); i += 3) {
      const std::size_t count = bytes.size() - i < 3 ? bytes.size() - i : 3;
      std::uint32_t group = std::uint32_t{bytes[i]} << 16;
      if (count > 1)
         group |= std::uint32_t{bytes[i + 1]} << 8;
      if (count > 2)
         group |= bytes[i + 2];
      for (std::size_t k = 0; k <= count; ++k)
         out += alphabet[group >> (18 - 6 * k) & 63];
      if (pad)
         out.append(3 - count, '=');
   }
   return out;
}

std::optional<Bytes> decode(std::string_view text, const std::array<std::int8_t, 256>& values) {
   if (text.size() % 4 == 1)
      return std::nullopt;
   Bytes out;
   out.reserve(text.size() / 4 * 3 + 2);
   std::uint32_t group = 0;
   unsigned bits = 0;
   for (const char c : text) {
      const int value = values[static_cast<unsigned char>(c)];
      if (value < 0)
         return std::nullopt;
      group = group << 6 | static_cast<std::uint32_t>(value);
      bits += 6;
      if (bits >= 8) {
         bits -= 8;
         out.push_back(static_cast<std::uint8_t>(group >> bits));
      }
   }
   if (group & ((1u << bits) - 1))
      return std::nullopt;
   return out;
}

} // namespace

std::string toBase64(ByteView bytes) { return encode(bytes, plainAlphabet, true); }
std::string toBase64Url(ByteView bytes) { return encode(bytes, urlAlphabet, false); }

std::optional<Bytes> fromBase64(std::string_view text) {
   if (text.size() % 4)
      return std::nullopt;
   for (int i = 0; i < 2 && text.ends_with('='); ++i)
      text.remove_suffix(1);
   return decode(text, plainValues);
}

std::optional<Bytes> fromBase64Url(std::string_view text) { return decode(text, urlValues); }

std::string toPem(std::string_view label, ByteView der) {
   std::string out = "-----BEGIN " + std::string(label) + "-----\n";
   const std::string body = toBase64(der);
   for (std::size_t i = 0; i < body.size(); i += 64) {
      out.append(body, i, 64);
      out += '\n';
   }
   return out + "-----END " + std::string(label) + "-----\n";
}

std::optional<Bytes> fromPem(std::string_view label, std::string_view text) {
   const std::string begin = "-----BEGIN " + std::string(label) + "-----";
   const std::string end = "-----END " + std::string(label) + "-----";
   std::size_t from = text.find(begin);
   if (from == std::string_view::npos)
      return std::nullopt;
   from += begin.size();
   const std::size_t to = text.find(end, from);
   if (to == std::string_view::npos)
      return std::nullopt;
   std::string body;
   for (const char c : text.substr(from, to - from))
      if (c != '\n' && c != '\r' && c != ' ' && c != '\t')
         body += c;
   return fromBase64(body);
}

} // namespace polis::format
