#include "vm/simple_ops.hpp"

#include <array>

namespace polis::vm {
namespace {

constexpr std::uint8_t typeOf(char c) {
   switch (c) {
   case 'i':
      return 0x7f;
   case 'I':
      return 0x7e;
   case 'f':
      return 0x7d;
   case 'F':
      return 0x7c;
   case 'v':
      return 0x7b;
   default:
      return 0;
   }
}

/// signature: operands, colon, result, as in "iI:v".
constexpr SimpleOp op(const char* signature, std::uint32_t cost = 1) {
   SimpleOp out;
   out.valid = true;
   out.cost = cost;
   for (; *signature != ':'; ++signature)
      out.params[out.paramCount++] = typeOf(*signature);
   out.result = typeOf(signature[1]);
   return out;
}

constexpr SimpleOp access(const char* signature, std::uint8_t alignMax) {
   SimpleOp out = op(signature);
   out.memory = true;
   out.alignMax = alignMax;
   return out;
}

constexpr auto makeSimple() {
   std::array<SimpleOp, 256> t{};
   auto fill = [&](unsigned first, unsigned last, const char* signature, std::uint32_t cost = 1) {
      for (unsigned i = first; i <= last; ++i)
         t[i] = op(signature, cost);
   };
   constexpr const char* loads[] = {"i:i", "i:I", "i:f", "i:F", "i:i", "i:i", "i:i",
                                    "i:i", "i:I", "i:I", "i:I", "i:I", "i:I", "i:I"};
   constexpr std::uint8_t loadAlign[] = {2, 3, 2, 3, 0, 0, 1, 1, 0, 0, 1, 1, 2, 2};
   for (unsigned i = 0; i < 14; ++i)
      t[0x28 + i] = access(loads[i], loadAlign[i]);
   constexpr const char* stores[] = {"ii:", "iI:", "if:", "iF:", "ii:", "ii:", "iI:", "iI:", "iI:"};
   constexpr std::uint8_t storeAlign[] = {2, 3, 2, 3, 0, 1, 0, 1, 2};
   for (unsigned i = 0; i < 9; ++i)
      t[0x36 + i] = access(stores[i], storeAlign[i]);
   fill(0x45, 0x45, "i:i");
   fill(0x46, 0x4f, "ii:i");
   fill(0x50, 0x50, "I:i");
   fill(0x51, 0x5a, "II:i");
   fill(0x5b, 0x60, "ff:i");
   fill(0x61, 0x66, "FF:i");
   fill(0x67, 0x69, "i:i");
   fill(0x6a, 0x78, "ii:i");
   fill(0x6d, 0x70, "ii:i", costDivide);
   fill(0x79, 0x7b, "I:I");
   fill(0x7c, 0x8a, "II:I");
   fill(0x7f, 0x82, "II:I", costDivide);
   fill(0x8b, 0x91, "f:f");
   fill(0x91, 0x91, "f:f", costRoot);
   fill(0x92, 0x98, "ff:f");
   fill(0x95, 0x95, "ff:f", costDivide);
   fill(0x99, 0x9f, "F:F");
   fill(0x9f, 0x9f, "F:F", costRoot);
   fill(0xa0, 0xa6, "FF:F");
   fill(0xa3, 0xa3, "FF:F", costDivide);
   constexpr const char* conversions[] = {"I:i", "f:i", "f:i", "F:i", "F:i", "i:I", "i:I", "f:I", "f:I",
                                          "F:I", "F:I", "i:f", "i:f", "I:f", "I:f", "F:f", "i:F", "i:F",
                                          "I:F", "I:F", "f:F", "f:i", "F:I", "i:f", "I:F"};
   for (unsigned i = 0; i < 25; ++i)
      t[0xa7 + i] = op(conversions[i]);
   fill(0xc0, 0xc1, "i:i");
   fill(0xc2, 0xc4, "I:I");
   return t;
}

constexpr auto makeSimd() {
   std::array<SimdOp, 256> t{};
   auto set = [&](unsigned code, const char* signature, SimdImmediate immediate, std::uint8_t limit) {
      t[code] = {op(signature), immediate, limit};
   };
   auto fill = [&](unsigned first, unsigned last, const char* signature, std::uint32_t cost = 1) {
      for (unsigned i = first; i <= last; ++i)
         t[i] = {op(signature, cost), SimdImmediate::none, 0};
   };
   using enum SimdImmediate;
   set(0, "i:v", memory, 4);
   for (unsigned i = 1; i <= 6; ++i)
      set(i, "i:v", memory, 3);
   for (unsigned i = 0; i < 4; ++i)
      set(7 + i, "i:v", memory, static_cast<std::uint8_t>(i));
   set(11, "iv:", memory, 4);
   set(12, ":v", constant, 0);
   t[12].op.cost = 0;
   set(13, "vv:v", shuffle, 0);
   fill(14, 14, "vv:v");
   constexpr const char* splats[] = {"i:v", "i:v", "i:v", "I:v", "f:v", "F:v"};
   for (unsigned i = 0; i < 6; ++i)
      fill(15 + i, 15 + i, splats[i]);
   constexpr const char* lanes[] = {"v:i",  "v:i", "vi:v", "v:i", "v:i",  "vi:v", "v:i",
                                    "vi:v", "v:I", "vI:v", "v:f", "vf:v", "v:F",  "vF:v"};
   constexpr std::uint8_t laneCount[] = {16, 16, 16, 8, 8, 8, 4, 4, 2, 2, 4, 4, 2, 2};
   for (unsigned i = 0; i < 14; ++i)
      set(21 + i, lanes[i], lane, laneCount[i]);
   fill(35, 76, "vv:v");
   fill(77, 77, "v:v");
   fill(78, 81, "vv:v");
   fill(82, 82, "vvv:v");
   fill(83, 83, "v:i");
   for (unsigned i = 0; i < 4; ++i) {
      set(84 + i, "iv:v", memoryLane, static_cast<std::uint8_t>(i));
      set(88 + i, "iv:", memoryLane, static_cast<std::uint8_t>(i));
   }
   set(92, "i:v", memory, 2);
   set(93, "i:v", memory, 3);
   fill(94, 95, "v:v");
   // Of each integer shape: what differs stands first.
   fill(96, 98, "v:v");
   fill(99, 100, "v:i");
   fill(101, 102, "vv:v");
   fill(103, 106, "v:v");
   fill(107, 109, "vi:v");
   fill(110, 115, "vv:v");
   fill(116, 117, "v:v");
   fill(118, 121, "vv:v");
   fill(122, 122, "v:v");
   fill(123, 123, "vv:v");
   fill(124, 129, "v:v");
   fill(130, 130, "vv:v");
   fill(131, 132, "v:i");
   fill(133, 134, "vv:v");
   fill(135, 138, "v:v");
   fill(139, 141, "vi:v");
   fill(142, 147, "vv:v");
   fill(148, 148, "v:v");
   fill(149, 153, "vv:v");
   fill(155, 159, "vv:v");
   fill(160, 161, "v:v");
   fill(163, 164, "v:i");
   fill(167, 170, "v:v");
   fill(171, 173, "vi:v");
   fill(174, 174, "vv:v");
   fill(177, 177, "vv:v");
   fill(181, 186, "vv:v");
   fill(188, 191, "vv:v");
   fill(192, 193, "v:v");
   fill(195, 196, "v:i");
   fill(199, 202, "v:v");
   fill(203, 205, "vi:v");
   fill(206, 206, "vv:v");
   fill(209, 209, "vv:v");
   fill(213, 223, "vv:v");
   fill(224, 225, "v:v");
   fill(227, 227, "v:v", costRoot);
   fill(228, 235, "vv:v");
   fill(231, 231, "vv:v", costDivide);
   fill(236, 237, "v:v");
   fill(239, 239, "v:v", costRoot);
   fill(240, 247, "vv:v");
   fill(243, 243, "vv:v", costDivide);
   fill(248, 255, "v:v");
   return t;
}

constexpr auto simpleOps = makeSimple();
constexpr auto simdOps = makeSimd();
constexpr SimpleOp truncations[] = {op("f:i"), op("f:i"), op("F:i"), op("F:i"),
                                    op("f:I"), op("f:I"), op("F:I"), op("F:I")};

} // namespace

const SimpleOp& simpleOp(std::uint8_t code) { return simpleOps[code]; }

const SimpleOp& truncateSaturating(std::uint32_t code) { return truncations[code & 7]; }

const SimdOp* simdOp(std::uint32_t code) {
   return code < simdOps.size() && simdOps[code].op.valid ? &simdOps[code] : nullptr;
}

} // namespace polis::vm
