// Account and method numbers: names packed into 64 bits. Source: spec, formats §3 and §4.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace polis::format {

namespace names {

/// Value of an account name; 0 when it is no name. Upper case reads as lower case; `base+7` names a subaccount.
constexpr std::uint64_t accountFromText(std::string_view text);
/// Text of an account value; `base+7` with a subaccount; the base is empty above the largest name.
constexpr std::string accountToText(std::uint64_t value);
/// Value of a method name: compressed, or hashed when it does not fit or would not decode; 0 when empty or malformed.
constexpr std::uint64_t methodFromText(std::string_view text);
/// Lower-case text of a method value; `#` and 16 letters for a hashed one.
constexpr std::string methodToText(std::uint64_t value);

} // namespace names

/// An account, and the service that lives there. Two spellings of one name are one value.
struct AccountNumber {
   using FixedLayout = std::true_type;

   std::uint64_t value = 0;

   constexpr AccountNumber() = default;
   constexpr explicit AccountNumber(std::uint64_t number) : value(number) {}
   constexpr explicit AccountNumber(std::string_view text) : value(names::accountFromText(text)) {}

   constexpr std::string str() const { return names::accountToText(value); }
   /// The account without its subaccount.
   constexpr AccountNumber base() const { return AccountNumber(value & ~std::uint64_t{255}); }
   /// Subaccount `index` of this account's base.
   constexpr AccountNumber sub(std::uint8_t index) const { return AccountNumber(base().value | index); }
   constexpr std::uint8_t subIndex() const { return static_cast<std::uint8_t>(value & 255); }
   constexpr explicit operator bool() const { return value != 0; }

   friend constexpr auto operator<=>(const AccountNumber&, const AccountNumber&) = default;
};

/// The name of an action or event, as a number. Distinct spellings may share one.
struct MethodNumber {
   using FixedLayout = std::true_type;

   std::uint64_t value = 0;

   constexpr MethodNumber() = default;
   constexpr explicit MethodNumber(std::uint64_t number) : value(number) {}
   constexpr explicit MethodNumber(std::string_view text) : value(names::methodFromText(text)) {}

   constexpr std::string str() const { return names::methodToText(value); }
   constexpr bool isHashed() const { return value >> 56 & 1; }
   constexpr explicit operator bool() const { return value != 0; }

   friend constexpr auto operator<=>(const MethodNumber&, const MethodNumber&) = default;
};

namespace literals {
namespace detail {
// Not constexpr: a call in a literal is the compiler's error message.
inline void notAnAccountName() {}
inline void notAMethodName() {}
} // namespace detail
consteval AccountNumber operator""_a(const char* text, std::size_t size) {
   const AccountNumber account(std::string_view(text, size));
   if (!account && size)
      detail::notAnAccountName();
   return account;
}
consteval MethodNumber operator""_m(const char* text, std::size_t size) {
   const MethodNumber method(std::string_view(text, size));
   if (!method && size)
      detail::notAMethodName();
   return method;
}
} // namespace literals

namespace names {

// --- Accounts -------------------------------------------------------------------------------------------------------
// The base number of a name is its rank among all names of at most ten characters. Below a prefix that leaves room for
// i characters there are tailsAfterText[i] names when the prefix ends in a letter or digit, and tailsAfterHyphen[i]
// when it ends in a hyphen, which must be followed by something.

inline constexpr std::size_t accountCharsMax = 10;
inline constexpr std::uint64_t accountBaseMax = 4655369993624388;
inline constexpr std::string_view accountAlphabet = "-0123456789abcdefghijklmnopqrstuvwxyz";

struct TailCounts {
   std::array<std::uint64_t, accountCharsMax> afterText{}, afterHyphen{};
};
inline constexpr TailCounts tailCounts = [] {
   TailCounts counts;
   counts.afterText[0] = 1;
   for (std::size_t i = 1; i < accountCharsMax; ++i) {
      counts.afterHyphen[i] = 36 * counts.afterText[i - 1];
      counts.afterText[i] = counts.afterHyphen[i - 1] + counts.afterHyphen[i] + 1;
   }
   return counts;
}();

/// Index in the alphabet; -1 for any other character.
constexpr int accountSymbol(char c) {
   if (c == '-')
      return 0;
   if (c >= '0' && c <= '9')
      return c - '0' + 1;
   if (c >= 'a' && c <= 'z')
      return c - 'a' + 11;
   if (c >= 'A' && c <= 'Z')
      return c - 'A' + 11;
   return -1;
}

constexpr std::uint64_t accountFromText(std::string_view text) {
   std::uint64_t subaccount = 0;
   if (const std::size_t plus = text.find('+'); plus != std::string_view::npos) {
      for (const char c : text.substr(plus + 1)) {
         if (c < '0' || c > '9')
            return 0;
         subaccount = subaccount * 10 + static_cast<std::uint64_t>(c - '0');
         if (subaccount > 255)
            return 0;
      }
      text = text.substr(0, plus);
   }

   std::uint64_t rank = 0;
   std::size_t room = accountCharsMax;
   bool afterText = false, mayEnd = true;
   for (const char c : text) {
      const int symbol = accountSymbol(c);
      if (room == 0 || symbol < 0 || (symbol == 0 && !afterText))
         return 0;
      --room;
      rank += mayEnd;
      if (symbol > 0)
         rank += static_cast<std::uint64_t>(symbol - 1) * tailCounts.afterText[room] +
                 (afterText ? tailCounts.afterHyphen[room] : 0);
      afterText = mayEnd = symbol != 0;
   }
   return mayEnd ? rank << 8 | subaccount : 0;
}

constexpr std::string accountToText(std::uint64_t value) {
   std::string text;
   if (std::uint64_t rank = value >> 8; rank <= accountBaseMax) {
      std::size_t room = accountCharsMax;
      bool afterText = false, mayEnd = true;
      while (rank != 0 || !mayEnd) {
         rank -= mayEnd;
         --room;
         std::size_t symbol = 1;
         if (afterText) {
            if (rank >= tailCounts.afterHyphen[room])
               rank -= tailCounts.afterHyphen[room];
            else
               symbol = 0;
         }
         if (symbol) {
            symbol += rank / tailCounts.afterText[room];
            rank %= tailCounts.afterText[room];
         }
         text += accountAlphabet[symbol];
         afterText = mayEnd = symbol != 0;
      }
   }
   if (const unsigned subaccount = value & 255) {
      text += '+';
      if (subaccount >= 100)
         text += static_cast<char>('0' + subaccount / 100);
      if (subaccount >= 10)
         text += static_cast<char>('0' + subaccount / 10 % 10);
      text += static_cast<char>('0' + subaccount % 10);
   }
   return text;
}

// --- Methods --------------------------------------------------------------------------------------------------------
// An arithmetic coder with 17-bit bounds over an order-1 model. All its arithmetic is modulo 2^32.

inline constexpr std::string_view methodAlphabet = "?eaiotnrslcuhdpmygbfwvkzxqj";

/// Row: the previous symbol, 0 at the start and as the terminator. Symbol c owns [row[c], row[c + 1]) of 32767.
inline constexpr std::uint16_t methodModel[27][28] = {
    {0,     0,     1956,  4146,  6063,  7423,  9305,  10276, 11226, 13687, 14907, 16131, 17056, 18369,
     19922, 21644, 23210, 24604, 25065, 26398, 28475, 30408, 31395, 31725, 32367, 32402, 32623, 32767},
    {0,     4880,  5243,  6669,  7714,  8472,  9634,  11619, 15233, 16738, 18031, 18650, 18993, 20913,
     22653, 25217, 25802, 26404, 26589, 28244, 29312, 31398, 31845, 32080, 32183, 32478, 32695, 32767},
    {0,     1737,  2901,  3020,  3666,  3734,  8543,  12634, 15523, 17208, 21367, 22949, 23407, 24602,
     25562, 26470, 28001, 28323, 29045, 30727, 31040, 31251, 32084, 32387, 32496, 32598, 32745, 32767},
    {0,     1420,  3454,  4922,  5132,  6751,  9959,  13993, 14547, 18653, 20482, 23055, 23598, 23956,
     25067, 25566, 27966, 27973, 28483, 29334, 29844, 30620, 31685, 31882, 32375, 32425, 32757, 32767},
    {0,     4209,  5209,  5503,  5994,  6779,  9809,  13734, 16394, 17728, 20734, 21636, 23733, 24071,
     24785, 26194, 28482, 28566, 29403, 30186, 30894, 31383, 32100, 32294, 32382, 32531, 32744, 32767},
    {0,     6157,  9213,  10380, 13294, 15931, 16600, 16829, 17987, 18142, 18574, 18667, 19055, 21787,
     22406, 24449, 24772, 25604, 25663, 29173, 30781, 31791, 31995, 32219, 32350, 32610, 32748, 32767},
    {0,     4891,  8913,  10772, 13035, 15218, 19118, 19893, 20080, 21202, 22114, 23568, 23895, 24392,
     26546, 26760, 27744, 28021, 30534, 31037, 31376, 31650, 32250, 32490, 32548, 32565, 32709, 32767},
    {0,     4689,  9532,  12839, 16144, 19335, 21427, 21880, 22583, 23728, 24811, 25404, 25957, 26777,
     27443, 28035, 29213, 30179, 30481, 31447, 31666, 31782, 32303, 32484, 32510, 32511, 32751, 32767},
    {0,     5750,  9495,  10402, 12127, 13082, 19468, 19684, 19710, 21681, 23775, 24600, 25576, 26982,
     27084, 27953, 30214, 30492, 30515, 30947, 31019, 31446, 31709, 31847, 31884, 31884, 32761, 32767},
    {0,     1827,  5418,  7243,  11598, 13806, 14484, 14972, 15432, 15532, 16785, 16863, 17441, 18465,
     19298, 23066, 24626, 26449, 26523, 27067, 29601, 31460, 31683, 32257, 32266, 32312, 32318, 32767},
    {0,     3085,  6902,  11386, 13498, 18692, 21202, 21246, 22818, 22950, 23980, 24484, 25962, 30168,
     30176, 30181, 30391, 31287, 31288, 31293, 31294, 31297, 31592, 32703, 32712, 32712, 32767, 32767},
    {0,     1460,  2488,  3382,  4190,  4382,  7997,  13589, 16710, 21209, 25118, 26178, 26204, 26432,
     27181, 28387, 30216, 30257, 30864, 31867, 32177, 32219, 32374, 32455, 32551, 32617, 32754, 32767},
    {0,     3497,  9469,  11581, 13649, 15750, 19606, 19858, 20362, 20409, 23728, 23738, 24110, 26020,
     26170, 26284, 28241, 29240, 29247, 29296, 29442, 29819, 30442, 30559, 30604, 30604, 32763, 32767},
    {0,     7725,  13656, 15552, 18212, 19436, 22322, 22566, 23251, 23443, 26247, 26267, 26704, 26809,
     27460, 27622, 29567, 30839, 30969, 31225, 31379, 31448, 32114, 32127, 32143, 32143, 32739, 32767},
    {0,     3654,  6677,  7904,  9941,  12843, 16232, 16550, 19915, 20300, 22842, 22898, 23406, 25127,
     25246, 25931, 27743, 28101, 28153, 28321, 29252, 31975, 32243, 32396, 32480, 32494, 32721, 32767},
    {0,     2259,  4242,  6358,  8676,  10453, 10663, 11361, 12343, 12503, 13022, 13049, 13568, 15061,
     16673, 21204, 22114, 23775, 23801, 26743, 28089, 29382, 31518, 31992, 32482, 32634, 32711, 32767},
    {0,     8569,  10926, 11269, 11458, 12219, 15419, 15811, 16168, 19632, 21864, 22233, 22272, 23584,
     23897, 24563, 27086, 27677, 27838, 30347, 30897, 31720, 32305, 32316, 32374, 32410, 32766, 32767},
    {0,     5421,  10228, 13261, 16435, 18453, 18538, 19596, 22477, 22749, 25180, 25189, 26615, 28325,
     28370, 28391, 28704, 29610, 30232, 30341, 30376, 30446, 32750, 32760, 32764, 32764, 32765, 32767},
    {0,     3536,  8233,  9248,  10667, 11916, 16198, 16366, 17262, 17620, 22341, 22384, 23103, 23432,
     24178, 24653, 27955, 28446, 28462, 29156, 29914, 30860, 31440, 31618, 31718, 31718, 32711, 32767},
    {0,     6957,  8777,  9282,  11114, 12083, 14679, 14746, 15172, 16789, 19423, 19431, 20076, 20456,
     21353, 21603, 22831, 23934, 24047, 24077, 26986, 30996, 32258, 32271, 32421, 32421, 32764, 32767},
    {0,     4391,  7270,  8148,  9018,  9499,  14426, 14654, 14752, 18571, 23671, 23681, 23696, 24591,
     24714, 24801, 27775, 27825, 27830, 30016, 30215, 30862, 31659, 31682, 31823, 31824, 32740, 32767},
    {0,     508,   5145,  6952,  9251,  10376, 10985, 11140, 11725, 11743, 12502, 12513, 12662, 15602,
     17187, 22455, 22627, 23556, 23562, 26519, 30666, 32564, 32574, 32641, 32646, 32708, 32730, 32767},
    {0,     2561,  9484,  10526, 12712, 13144, 24077, 24752, 24913, 25311, 29557, 29584, 29814, 30171,
     30199, 30250, 31654, 31986, 32003, 32134, 32255, 32412, 32625, 32686, 32687, 32687, 32751, 32767},
    {0,     1902,  10556, 12815, 13501, 14918, 18520, 18600, 18633, 21631, 26209, 26218, 26391, 26794,
     26889, 27833, 30807, 31246, 31254, 31774, 32060, 32183, 32247, 32252, 32655, 32655, 32756, 32767},
    {0,     3478,  6497,  8308,  12600, 13818, 17038, 17122, 17152, 17528, 20748, 21906, 22255, 22599,
     22677, 24481, 25735, 28777, 28815, 28891, 29073, 31075, 31424, 31433, 31485, 31485, 32764, 32767},
    {0,     17596, 18281, 18455, 19256, 19875, 20521, 20599, 20949, 21038, 21413, 21416, 23479, 24932,
     25804, 26610, 28270, 29555, 29557, 30312, 31584, 32451, 32516, 32525, 32623, 32701, 32703, 32767},
    {0,     392,   8308,  10995, 11504, 13348, 22180, 22194, 22231, 22248, 23981, 23981, 26646, 26978,
     27000, 27014, 30409, 30435, 30435, 30457, 30474, 30503, 30697, 30704, 30818, 30818, 31861, 32767},
};

/// Symbol of each byte; -1 for bytes that no method name holds.
inline constexpr std::array<std::int8_t, 128> methodSymbols = [] {
   std::array<std::int8_t, 128> symbols{};
   symbols.fill(-1);
   for (std::size_t symbol = 1; symbol < methodAlphabet.size(); ++symbol) {
      const auto c = static_cast<std::size_t>(methodAlphabet[symbol]);
      symbols[c] = symbols[c - 'a' + 'A'] = static_cast<std::int8_t>(symbol);
   }
   for (std::size_t digit = 0; digit < 10; ++digit)
      symbols['0' + digit] = static_cast<std::int8_t>(digit + 1);
   symbols['_'] = symbols['q'];
   return symbols;
}();

constexpr int methodSymbol(char c) {
   const auto byte = static_cast<unsigned char>(c);
   return byte < methodSymbols.size() ? methodSymbols[byte] : -1;
}

constexpr std::uint64_t seahash(std::string_view text) {
   constexpr auto mix = [](std::uint64_t x) {
      constexpr std::uint64_t prime = 0x6EED0E9DA4D94A4F;
      x *= prime;
      x ^= (x >> 32) >> (x >> 60);
      return x * prime;
   };
   std::uint64_t state[4] = {0x16F11FE89B0D677C, 0xB480A793D8E6C86C, 0x6FE2E5AAF078EBC9, 0x14F994A4C5259381};
   for (std::size_t start = 0, lane = 0; start < text.size(); start += 8, lane = (lane + 1) % 4) {
      std::uint64_t chunk = 0;
      for (std::size_t i = start; i < start + 8 && i < text.size(); ++i)
         chunk |= std::uint64_t{static_cast<unsigned char>(text[i])} << (8 * (i - start));
      state[lane] = mix(state[lane] ^ chunk);
   }
   return mix(state[0] ^ state[1] ^ state[2] ^ state[3] ^ text.size());
}

/// The coder's output: at most 63 bits and a 64th that is 0, bytes in little-endian order, bits most significant first.
struct MethodBits {
   std::uint64_t out = 0;
   unsigned count = 0, pending = 0;
   unsigned partial = 0;
   bool full = false;

   constexpr void put(bool bit) {
      if (bit && count == 63) {
         out = 0;
         full = true;
         return;
      }
      ++count;
      partial = partial << 1 | bit;
      if (count % 8 == 0) {
         if (!full) {
            out |= std::uint64_t{partial} << (count - 8);
            full = count == 64;
         }
         partial = 0;
      }
   }
   constexpr void emit(bool bit) {
      put(bit);
      for (; pending; --pending)
         put(!bit);
   }
   constexpr void finish() {
      if (const unsigned used = count % 8; used && !full)
         out |= std::uint64_t{partial << (8 - used)} << (count - used);
   }
};

enum class MethodRules : std::uint8_t {
   chain, ///< what the node and C++ services use
   rust,  ///< what services built with the Rust SDK use for their own names
};

constexpr std::uint64_t methodFromText(std::string_view text, MethodRules rules) {
   if (text.empty())
      return 0;
   if (text[0] == '#') {
      if (text.size() != 17)
         return rules == MethodRules::chain ? ~std::uint64_t{0} : 0;
      std::uint64_t value = 0;
      for (unsigned k = 0; k < 16; ++k) {
         const int symbol = methodSymbol(text[k + 1]);
         value |= std::uint64_t{static_cast<std::uint8_t>(symbol < 0 ? 255 : symbol - 1)} << (4 * k);
      }
      return value;
   }
   for (const char c : text)
      if (methodSymbol(c) < 0)
         return 0;

   MethodBits bits;
   std::uint32_t low = 0, high = (1u << 17) - 1;
   std::size_t previous = 0, used = 0;
   for (; used <= text.size() && !bits.full; ++used) {
      const auto symbol = used < text.size() ? static_cast<std::size_t>(methodSymbol(text[used])) : 0;
      const std::uint32_t range = high - low + 1;
      high = low + range * methodModel[previous][symbol + 1] / 32767 - 1;
      low = low + range * methodModel[previous][symbol] / 32767;
      previous = symbol;
      while (!bits.full) {
         if (high < 1u << 16) {
            bits.emit(false);
         } else if (low >= 1u << 16) {
            bits.emit(true);
         } else if (low >= 1u << 15 && high < 3u << 15) {
            ++bits.pending;
            low -= 1u << 15;
            high -= 1u << 15;
         } else {
            break;
         }
         high = (2 * high + 1) & ((1u << 17) - 1);
         low = 2 * low & ((1u << 17) - 1);
      }
   }
   ++bits.pending;
   bits.emit(low >= 1u << 15);
   if (bits.full && bits.count % 8 && rules == MethodRules::rust)
      bits.out = 0;
   bits.finish();
   if (used <= text.size() && rules == MethodRules::chain)
      bits.out = 0;
   return bits.out ? bits.out : seahash(text) | std::uint64_t{1} << 56;
}

constexpr std::uint64_t methodFromText(std::string_view text) { return methodFromText(text, MethodRules::chain); }

constexpr std::string methodToText(std::uint64_t value) {
   std::string text;
   if (value == 0)
      return text;
   if (value >> 56 & 1) {
      text += '#';
      for (unsigned k = 0; k < 16; ++k)
         text += methodAlphabet[(value >> (4 * k) & 15) + 1];
      return text;
   }

   constexpr unsigned bitsMax = 80;
   unsigned taken = 0;
   const auto nextBit = [&]() -> std::uint32_t {
      const unsigned at = taken++;
      return at < 64 ? static_cast<std::uint32_t>(value >> (at / 8 * 8 + 7 - at % 8) & 1) : 0;
   };
   std::uint32_t code = 0, low = 0, high = (1u << 17) - 1;
   while (taken < 17)
      code = code << 1 | nextBit();
   std::size_t previous = 0;
   while (taken < bitsMax) {
      const std::uint32_t range = high - low + 1;
      if (range == 0)
         break;
      const std::uint32_t target = ((code - low + 1) * 32767 - 1) / range;
      std::size_t symbol = 0;
      while (symbol < 26 && target >= methodModel[previous][symbol + 1])
         ++symbol;
      if (symbol == 0)
         break;
      text += methodAlphabet[symbol];
      high = low + range * methodModel[previous][symbol + 1] / 32767 - 1;
      low = low + range * methodModel[previous][symbol] / 32767;
      previous = symbol;
      while (taken < bitsMax) {
         std::uint32_t drop = 0;
         if (high < 1u << 16)
            drop = 0;
         else if (low >= 1u << 16)
            drop = 1u << 16;
         else if (low >= 1u << 15 && high < 3u << 15)
            drop = 1u << 15;
         else
            break;
         low = 2 * (low - drop);
         high = 2 * (high - drop) + 1;
         code = 2 * (code - drop) + nextBit();
      }
   }
   return text;
}

} // namespace names
} // namespace polis::format
