#pragma once
#include <string_view>

namespace polis::node {

inline constexpr std::string_view version = POLIS_VERSION;

} // namespace polis::node
