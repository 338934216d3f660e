#pragma once
#include <istream>
#include <optional>
#include <string>

namespace polis {

/// All that a stream still holds. Nothing when it cannot be read, as a folder or a broken disk; there an
/// istreambuf_iterator would throw.
inline std::optional<std::string> readAll(std::istream& in) {
   std::string all;
   char piece[16 * 1024];
   while (in) {
      in.read(piece, sizeof piece);
      all.append(piece, static_cast<std::size_t>(in.gcount()));
   }
   return in.bad() ? std::nullopt : std::optional(std::move(all));
}

} // namespace polis
