// Which services may verify, as block headers state it.
#pragma once

#include "format/native_tables.hpp"
#include "kernel/chain_state.hpp"
#include "kernel/context.hpp"

#include <optional>
#include <vector>

namespace polis::kernel {

/// The verify services after a block, and the code that a header must carry for them.
struct VerifyServices {
   std::vector<format::BlockHeaderAuthAccount> services;
   format::BlockHeaderWasmConfig wasmConfig;
   std::vector<format::BlockHeaderCode> code;
};

/// current: what the header chain knows so far. Source: spec, kernel §7.2.
VerifyServices verifyServicesAfter(const ChainState& state, const format::Consensus& current,
                                   const VerifyChanges& changes);

/// Rows of a native-shaped database that holds the given services only: store key and value. `state` has them in
/// `native`. Source: spec, consensus §1.7 A2.
std::vector<std::pair<Bytes, Bytes>> verifyDatabase(const store::Version& state,
                                                    const std::vector<format::BlockHeaderAuthAccount>& services,
                                                    std::uint32_t database);

} // namespace polis::kernel
