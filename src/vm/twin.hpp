// Another form of a module that runs in its place: for testers, which look into it.
#pragma once

#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace polis::vm {

/// Does what the module does that it stands for; usually the same program with debug information.
struct Twin {
   Bytes code;
   /// Another for every other code or marks; compiled code is kept by it.
   std::array<std::uint8_t, 32> hash{};
   /// Offsets in `code` of instructions whose runs are counted, ascending.
   std::vector<std::uint32_t> marks;
   /// How often each of them was run. Written by the thread that runs guest code; there is one.
   std::vector<std::uint64_t> counts;
   /// Called whenever code of it stops: the offset in `code` of the instruction, then of the calls that led there. On
   /// the thread that runs guest code.
   std::function<void(std::span<const std::uint32_t>)> stopped;

   struct Place {
      std::uint32_t metered = 0, code = 0;
   };
   /// Where each instruction of the metered module comes from, ascending. Filled by the engine.
   std::vector<Place> places;

   /// Offset in `code` of the instruction at `metered` of the metered module; 0 if it comes from nowhere.
   std::uint32_t originOf(std::uint32_t metered) const;
};

} // namespace polis::vm
