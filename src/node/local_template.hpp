#pragma once
#include "kernel/kernel.hpp"
#include "node/package.hpp"
#include <string_view>
#include <vector>

namespace polis::node {

/// What a new node installs (spec, kernel §8.2, First start), from local packages in dependency order.
/// adminToken: whoever presents it once administers the node; the services are told its hash only. Empty: none.
kernel::LocalTemplate localTemplate(const std::vector<Package>& packages, std::string_view adminToken = {});

} // namespace polis::node
