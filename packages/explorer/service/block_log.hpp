// The log of blocks, as it is stored.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

inline constexpr sdk::BlockNum genesisNum = 2;

inline sdk::BlockNum headNum() { return sdk::StatusView().headNum(); }

/// A packed Block; empty: the log does not hold it.
inline sdk::Bytes packedBlock(sdk::BlockNum num) {
   sdk::Bytes key;
   sdk::appendKey(key, num);
   return sdk::KvSpace{sdk::Db::blockLog, 0}.get(key).value_or(sdk::Bytes{});
}

} // namespace polis::services
