#pragma once
#include <string>
#include <string_view>

namespace polis::cli {

/// What is known of a transaction that was not carried out.
struct Refused {
   std::string_view error;  ///< as the node reports it
   std::string_view sender; ///< of the first action
   bool hasKeys = false;    ///< whether it was signed with any key
};

/// What failed and why, and on a line of its own what to do next, where that is known.
std::string explained(const Refused& refused);

} // namespace polis::cli
