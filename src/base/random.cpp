#include "base/random.hpp"

#include "base/fault.hpp"

#include <cerrno>
#include <cstring>
#include <sys/random.h>

namespace polis {

std::uint64_t Random::next64() {
   std::uint8_t raw[8];
   fill(raw);
   std::uint64_t value;
   std::memcpy(&value, raw, sizeof value);
   return value;
}

void SystemRandom::fill(std::span<std::uint8_t> out) {
   while (!out.empty()) {
      const ssize_t got = getrandom(out.data(), out.size(), 0);
      if (got < 0) {
         if (errno == EINTR)
            continue;
         throwErrno("getrandom");
      }
      out = out.subspan(static_cast<std::size_t>(got));
   }
}

void SeededRandom::fill(std::span<std::uint8_t> out) {
   while (!out.empty()) {
      // SplitMix64: a full-period step, then a bijective mix.
      std::uint64_t value = state_ += 0x9E3779B97F4A7C15u;
      value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
      value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
      value ^= value >> 31;
      const std::size_t count = out.size() < 8 ? out.size() : 8;
      std::memcpy(out.data(), &value, count);
      out = out.subspan(count);
   }
}

} // namespace polis
