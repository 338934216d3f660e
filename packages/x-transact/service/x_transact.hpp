// Registers what the node asks `transact+1` while it produces.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

class XTransact : public Service {
public:
   static constexpr auto account = "x-transact"_a;

   /// type: 3 nextTransaction, 4 preverifyTransaction, 5 final (the node's own notification that a block became
   /// irreversible). Sender: transact+1. The action's sender must be 0 and its arguments empty.
   /// A callback that is there already is left alone.
   void addCallback(std::uint32_t type, Action action);
   /// Fails unless it is there.
   void removeCallback(std::uint32_t type, Action action);
};
POLIS_SERVICE(XTransact, action(addCallback, type, action), action(removeCallback, type, action))

} // namespace polis::services
