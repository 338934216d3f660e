// What transact tells the billing service when resource monitoring is on.
#pragma once

#include <polis/sdk.hpp>

namespace polis::services {

using namespace polis::sdk;

class VServerInterface : public Service {
public:
   static constexpr auto account = "vserver"_a;

   void prestartTx(AccountNumber actor);
   void setBillableAcc(AccountNumber account);
   void useNetSys(AccountNumber user, std::uint64_t amount_bytes);
   void useCpuSys(AccountNumber user, std::uint64_t amount_ns);
   void useDiskSys(AccountNumber user, std::uint32_t db_id, std::int64_t amount_bytes);
   void finishTx();
   void notifyBlock(std::uint32_t block_num);
   bool can_push_tx();
};
POLIS_SERVICE(VServerInterface, action(prestartTx, actor), action(setBillableAcc, account),
              action(useNetSys, user, amount_bytes), action(useCpuSys, user, amount_ns),
              action(useDiskSys, user, db_id, amount_bytes), action(finishTx), action(notifyBlock, block_num),
              action(can_push_tx))

} // namespace polis::services
