#pragma once
#include "kernel/kernel.hpp"
#include "node/package.hpp"
#include <vector>

namespace polis::node {

/// What a new node installs (spec, kernel §8.2, First start), from local packages in dependency order.
kernel::LocalTemplate localTemplate(const std::vector<Package>& packages);

} // namespace polis::node
