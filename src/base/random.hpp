// Randomness as a parameter.
#pragma once

#include <cstdint>
#include <span>

namespace polis {

class Random {
public:
   virtual ~Random() = default;
   virtual void fill(std::span<std::uint8_t> out) = 0;

   std::uint64_t next64();
};

/// The kernel's generator, fit for keys. Throws Fault when the machine has none.
class SystemRandom final : public Random {
public:
   void fill(std::span<std::uint8_t> out) override;
};

/// Reproducible, for tests and simulation; never for keys.
class SeededRandom final : public Random {
public:
   explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
   void fill(std::span<std::uint8_t> out) override;

private:
   std::uint64_t state_;
};

} // namespace polis
