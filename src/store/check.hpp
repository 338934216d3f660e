// Whole-tree walks that trust nothing. Internal to the store.
#pragma once

#include "store/pool.hpp"

#include <map>

namespace polis::store::detail {

/// Checks every node reachable from `ref` that is not in `references` yet; adds to it how often each is referred to,
/// the caller's own reference included. Throws Fault.
void checkTree(const Pool& pool, Ref ref, std::map<Ref, std::uint32_t>& references);

/// Takes the tree at `ref` of a file just opened into use, with all checks, checksums included. Throws Fault.
void adoptTree(Pool& pool, Ref ref);

/// Gives every node reachable from `ref` that has no checksum yet its own. The caller holds the tree.
void sealTree(const Pool& pool, Ref ref);

} // namespace polis::store::detail
