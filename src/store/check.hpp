// Whole-tree walks that trust nothing. Internal to the store.
#pragma once

#include "store/generation.hpp"

namespace polis::store::detail {

/// Checks every node reachable from `root`, which none that was born after `number` can be, and adds it to `nodes`.
/// Throws Fault.
void checkTree(const Pool& pool, Ref root, std::uint64_t number, std::unordered_set<Ref>& nodes);

/// Takes the tree of generation `number` of a file just opened into use, with all checks, checksums included. Whatever
/// was born up to the number of the one above, `above`, must be in use already (above: null, nothing). Returns what
/// died since the one above. Throws Fault.
std::vector<Dead> adoptTree(Pool& pool, Ref root, std::uint64_t number, const Generation* above);

/// Gives every node reachable from `ref` that has no checksum yet its own, and tells the pool that it changed. The
/// caller holds the tree.
void sealTree(Pool& pool, Ref ref);

} // namespace polis::store::detail
