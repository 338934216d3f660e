#include "store/crc32c.hpp"

#include <array>
#include <cstring>

namespace polis::store::detail {
namespace {

constexpr std::array<std::uint32_t, 256> makeTable() {
   std::array<std::uint32_t, 256> table{};
   for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t x = i;
      for (int bit = 0; bit < 8; ++bit)
         x = (x >> 1) ^ (x & 1 ? 0x82F63B78u : 0u);
      table[i] = x;
   }
   return table;
}
constexpr auto table = makeTable();

std::uint32_t byTable(std::uint32_t crc, ByteView bytes) {
   for (std::uint8_t byte : bytes)
      crc = (crc >> 8) ^ table[(crc ^ byte) & 255];
   return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t byInstruction(std::uint32_t crc, ByteView bytes) {
   std::uint64_t wide = crc;
   const std::uint8_t* at = bytes.data();
   std::size_t left = bytes.size();
   for (; left >= 8; left -= 8, at += 8) {
      std::uint64_t word;
      std::memcpy(&word, at, 8);
      wide = __builtin_ia32_crc32di(wide, word);
   }
   crc = static_cast<std::uint32_t>(wide);
   for (; left; --left, ++at)
      crc = __builtin_ia32_crc32qi(crc, *at);
   return crc;
}
const bool hasInstruction = __builtin_cpu_supports("sse4.2");
#endif

} // namespace

std::uint32_t crc32c(std::uint32_t crc, ByteView bytes) {
   crc = ~crc;
#if defined(__x86_64__)
   if (hasInstruction)
      return ~byInstruction(crc, bytes);
#endif
   return ~byTable(crc, bytes);
}

} // namespace polis::store::detail
