#include "vm/binary.hpp"

namespace polis::vm {

std::uint64_t Reader::leb(unsigned bits, bool isSigned) {
   const std::size_t start = at_;
   std::uint64_t value = 0;
   unsigned shift = 0;
   while (true) {
      if (at_ >= end_) {
         fail("unexpected end");
         return 0;
      }
      const std::uint8_t byte = bytes_[at_++];
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      const unsigned valid = bits - shift; // bits of this byte that count
      if (valid < 7) {
         // The rest must be zero, or copies of the sign.
         const unsigned rest = (byte & 0x7fu) >> (isSigned ? valid - 1 : valid);
         const unsigned ones = 0x7fu >> (isSigned ? valid - 1 : valid);
         if ((byte & 0x80) || (rest != 0 && !(isSigned && rest == ones))) {
            fail(start, "integer too large");
            return 0;
         }
      }
      shift += 7;
      if (!(byte & 0x80)) {
         if (isSigned && shift < 64 && (byte & 0x40))
            value |= ~std::uint64_t{0} << shift;
         return value;
      }
      if (shift >= bits) {
         fail(start, "integer too long");
         return 0;
      }
   }
}

bool isUtf8(std::string_view text) {
   const auto* p = reinterpret_cast<const unsigned char*>(text.data());
   const auto* end = p + text.size();
   while (p < end) {
      const unsigned c = *p++;
      if (c < 0x80)
         continue;
      const unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
      if (c < 0xc2 || c > 0xf4 || end - p < static_cast<std::ptrdiff_t>(more))
         return false;
      unsigned value = c & (0x3fu >> more);
      for (unsigned i = 0; i < more; ++i) {
         if ((*p & 0xc0) != 0x80)
            return false;
         value = value << 6 | (*p++ & 0x3fu);
      }
      if (value < (more == 3   ? 0x10000u
                   : more == 2 ? 0x800u
                               : 0x80u) ||
          value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
         return false;
   }
   return true;
}

std::string_view Reader::name() {
   const std::size_t start = at_;
   const std::uint32_t n = u32();
   const ByteView text = take(n);
   if (!ok())
      return {};
   if (n > limits::nameBytesMax)
      fail(start, "a name is too long");
   else if (!isUtf8(asText(text)))
      fail(start, "a name is not UTF-8");
   else
      return asText(text);
   return {};
}

} // namespace polis::vm
